//! Streams and sinks, driven by the combinators of `futures-util`.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use chaski_ring::broadcast::{self, Lagged};
use chaski_ring::{SendError, fan_in, mpmc, mpsc, oneshot, rendezvous, spsc, unbounded};
use futures_util::future::{FusedFuture, FutureExt, join};
use futures_util::stream::{self, FusedStream, StreamExt};
use futures_util::{SinkExt, Stream};

/// Small under miri, which runs a few thousand times slower.
const MANY: u64 = if cfg!(miri) { 60 } else { 20_000 };

struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

macro_rules! round_trip {
    ($name:ident, $channel:expr) => {
        #[test]
        fn $name() {
            let (tx, rx) = $channel;
            let sender = thread::spawn(move || {
                let mut sink = tx.into_sink();
                block_on(async {
                    sink.send_all(&mut stream::iter((0..MANY).map(Ok))).await.unwrap();
                    sink.close().await.unwrap();
                    assert_eq!(sink.send(0).await, Err(SendError(0)));
                });
            });
            let mut stream = rx.into_stream();
            block_on(async {
                let mut next = 0;
                while let Some(n) = stream.next().await {
                    assert_eq!(n, next);
                    next += 1;
                }
                assert_eq!(next, MANY);
                assert!(stream.is_terminated());
                assert_eq!(stream.next().await, None);
            });
            sender.join().unwrap();
        }
    };
}

round_trip!(spsc_in_order, spsc::channel(4));
round_trip!(fan_in_in_order, fan_in::channel(4));
round_trip!(mpsc_in_order, mpsc::channel(4));
round_trip!(mpmc_in_order, mpmc::channel(4));
round_trip!(unbounded_in_order, unbounded::channel());
round_trip!(rendezvous_in_order, rendezvous::channel());

#[test]
fn a_broadcast_stream_tells_of_what_was_missed() {
    let (tx, rx) = broadcast::channel(2);
    let mut sink = tx.into_sink();
    let got: Vec<_> = block_on(async {
        sink.send_all(&mut stream::iter((0..5).map(Ok))).await.unwrap();
        sink.close().await.unwrap();
        rx.into_stream().collect().await
    });
    assert_eq!(got, [Err(Lagged(3)), Ok(3), Ok(4)]);
}

#[test]
fn both_ends_in_one_task() {
    let (tx, rx) = rendezvous::channel();
    let mut sink = tx.into_sink();
    let sending = async move {
        for n in 0..10 {
            sink.feed(n).await.unwrap();
        }
        sink.close().await.unwrap();
    };
    let (_, got) = block_on(join(sending, rx.into_stream().collect::<Vec<_>>()));
    assert_eq!(got, Vec::from_iter(0..10));
}

#[test]
fn a_stream_that_loses_a_select_loses_nothing() {
    let (ta, ra) = mpsc::channel(MANY as usize);
    let (tb, rb) = mpmc::channel(MANY as usize);
    let (mut a, mut b) = (ra.into_stream(), rb.into_stream());
    let sender = thread::spawn(move || {
        for n in 0..MANY {
            ta.send(n).unwrap();
            tb.send(n).unwrap();
        }
    });
    let sum = block_on(async {
        let mut sum = 0;
        while !(a.is_terminated() && b.is_terminated()) {
            futures_util::select_biased! {
                n = a.next() => sum += n.unwrap_or(0),
                n = b.next() => sum += n.unwrap_or(0),
            }
        }
        sum
    });
    sender.join().unwrap();
    assert_eq!(sum, MANY * (MANY - 1));
}

#[test]
fn a_dropped_stream_passes_its_wake_up_on() {
    let (tx, rx) = mpmc::channel(4);
    let other = rx.clone();
    let mut stream = rx.into_stream();
    let mut context = Context::from_waker(Waker::noop());
    assert!(stream.poll_next_unpin(&mut context).is_pending());
    let receiver = thread::spawn(move || other.recv());
    while tx.stats().receiver_wakes == 0 {
        // The stream was first in the queue, so it is woken, and does not come.
        tx.try_send(1).ok();
    }
    drop(stream);
    assert_eq!(receiver.join().unwrap(), Ok(1));
}

#[test]
fn what_a_sink_holds_is_given_back() {
    let (tx, mut rx) = mpsc::channel(1);
    let mut sink = tx.into_sink();
    sink.feed(1).now_or_never().unwrap().unwrap();
    sink.feed(2).now_or_never().unwrap().unwrap();
    assert!(sink.feed(3).now_or_never().is_none(), "one in the channel, one in the sink");
    let (tx, held) = sink.into_inner();
    assert_eq!((rx.try_recv(), held), (Ok(1), Some(2)));
    drop(tx);
    let (tx, rx) = rendezvous::channel();
    let mut sink = tx.into_sink();
    assert!(sink.send(1).now_or_never().is_none());
    let (_tx, held) = sink.into_inner();
    assert_eq!(held, Some(1), "offered, and taken back");
    assert!(rx.try_recv().is_err());
}

#[test]
fn a_sink_whose_receiver_went_gives_the_message_back() {
    let (tx, rx) = spsc::channel(1);
    drop(rx);
    assert_eq!(block_on(tx.into_sink().send("back")), Err(SendError("back")));
}

#[test]
fn a_stream_gives_its_receiver_back() {
    let (mut tx, rx) = spsc::channel(4);
    let mut stream = rx.into_stream();
    assert!(stream.next().now_or_never().is_none());
    let mut rx = stream.into_inner();
    tx.send(1).unwrap();
    assert_eq!(rx.recv(), Ok(1));
}

#[test]
fn a_oneshot_is_a_fused_future() {
    let (tx, mut rx) = oneshot::channel();
    assert!(!rx.is_terminated());
    tx.send(1).unwrap();
    assert_eq!(block_on(&mut rx), Ok(1));
    assert!(rx.is_terminated());
    let (tx, mut rx) = oneshot::channel::<u8>();
    drop(tx);
    assert!(block_on(&mut rx).is_err() && rx.is_terminated());
}

#[test]
fn streams_and_sinks_go_to_other_threads() {
    fn sent<T: Send + Unpin>(_: &T) {}
    let (tx, rx) = mpsc::channel::<u8>(1);
    let (sink, stream) = (tx.into_sink(), rx.into_stream());
    sent(&sink);
    sent(&stream);
    fn streams(_: impl Stream<Item = u8>) {}
    streams(stream);
}
