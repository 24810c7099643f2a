//! One message, once: received, given back or dropped, and never two of them.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use chaski_ring::{RecvError, RecvTimeoutError, SendError, TryRecvError, Wait, oneshot};

/// Small under miri, which runs a few thousand times slower.
const MANY: usize = if cfg!(miri) { 50 } else { 3_000 };

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Count {
    fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

fn poll<F: Future + Unpin>(future: &mut F, count: &Arc<Count>) -> Poll<F::Output> {
    let waker = Waker::from(Arc::clone(count));
    Pin::new(future).poll(&mut Context::from_waker(&waker))
}

/// A message that counts how often it is dropped.
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn what_is_sent_is_received_once() {
    let (tx, mut rx) = oneshot::channel();
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    assert!(!tx.is_closed() && !rx.is_closed());
    tx.send(5).unwrap();
    assert!(rx.is_closed());
    assert_eq!(rx.try_recv(), Ok(5));
    assert_eq!(rx.try_recv(), Err(TryRecvError::Closed));
    assert_eq!(rx.recv(), Err(RecvError));
}

#[test]
fn a_sender_that_goes_is_noticed() {
    let (tx, mut rx) = oneshot::channel::<u8>();
    drop(tx);
    assert_eq!(rx.try_recv(), Err(TryRecvError::Closed));
    assert_eq!(rx.recv_timeout(Duration::from_secs(60)), Err(RecvTimeoutError::Closed));
    let (tx, rx) = oneshot::channel::<u8>();
    let other = thread::spawn(move || drop(tx));
    assert_eq!(rx.recv(), Err(RecvError));
    other.join().unwrap();
}

#[test]
fn a_receiver_that_goes_gives_the_message_back() {
    let (tx, rx) = oneshot::channel();
    drop(rx);
    assert!(tx.is_closed());
    assert_eq!(tx.send("back"), Err(SendError("back")));
}

#[test]
fn close_refuses_the_new_and_keeps_the_old() {
    let (tx, mut rx) = oneshot::channel();
    rx.close();
    assert_eq!(tx.send(1), Err(SendError(1)));
    assert_eq!(rx.try_recv(), Err(TryRecvError::Closed));
    let (tx, mut rx) = oneshot::channel();
    tx.send(1).unwrap();
    rx.close();
    rx.close();
    assert_eq!(rx.recv(), Ok(1));
}

#[test]
fn every_message_is_dropped_once_however_it_ends() {
    let drops = Arc::new(AtomicUsize::new(0));
    let message = || Dropped(Arc::clone(&drops));
    let (tx, rx) = oneshot::channel();
    assert!(tx.send(message()).is_ok());
    drop(rx);
    assert_eq!(drops.load(Ordering::SeqCst), 1, "sent and not received");
    let (tx, rx) = oneshot::channel();
    assert!(tx.send(message()).is_ok());
    drop(rx.recv());
    assert_eq!(drops.load(Ordering::SeqCst), 2, "received");
    let (tx, rx) = oneshot::channel();
    drop(rx);
    drop(tx.send(message()));
    assert_eq!(drops.load(Ordering::SeqCst), 3, "given back");
}

#[test]
fn a_time_that_passes_leaves_the_message_to_come() {
    let (tx, mut rx) = oneshot::channel();
    for wait in [Wait::Spin, Wait::Yield, Wait::Adaptive, Wait::Park] {
        rx.set_wait(wait);
        assert_eq!(rx.recv_timeout(Duration::from_millis(1)), Err(RecvTimeoutError::Timeout));
    }
    tx.send(()).unwrap();
    assert_eq!(rx.recv_timeout(Duration::ZERO), Ok(()));
}

#[test]
fn the_future_wakes_the_task_that_polled_last() {
    let (first, second) = (Arc::new(Count::default()), Arc::new(Count::default()));
    let (tx, mut rx) = oneshot::channel();
    assert!(poll(&mut rx, &first).is_pending());
    assert!(poll(&mut rx, &first).is_pending());
    assert_eq!(first.get(), 0);
    assert!(poll(&mut rx, &second).is_pending());
    let before = first.get();
    tx.send(3).unwrap();
    assert_eq!((first.get(), second.get()), (before, 1));
    assert_eq!(poll(&mut rx, &second), Poll::Ready(Ok(3)));
    assert_eq!(poll(&mut rx, &second), Poll::Ready(Err(RecvError)));
    assert_eq!(Arc::strong_count(&first) + Arc::strong_count(&second), 2, "no waker is left");
}

#[test]
fn wakers_are_not_kept_beyond_the_channel() {
    let count = Arc::new(Count::default());
    // Each end waits; they go in both orders, with and without a message.
    for order in 0..6 {
        let (mut tx, mut rx) = oneshot::channel();
        assert!(poll(&mut rx, &count).is_pending());
        assert!(poll(&mut pin!(tx.closed()), &count).is_pending());
        match order {
            0 => {
                drop(rx);
                drop(tx);
            }
            1 => {
                drop(tx);
                drop(rx);
            }
            2 => {
                tx.send(1).unwrap();
                drop(rx);
            }
            3 => {
                drop(rx);
                tx.send(1).unwrap_err();
            }
            4 => {
                rx.close();
                assert!(poll(&mut pin!(tx.closed()), &count).is_ready());
                assert!(poll(&mut pin!(tx.closed()), &count).is_ready());
                drop(rx);
            }
            _ => {
                tx.send(1).unwrap();
                assert_eq!(rx.recv(), Ok(1));
            }
        }
        assert_eq!(Arc::strong_count(&count), 1, "order {order}");
    }
}

#[test]
fn the_sender_learns_that_nobody_wants_it_any_more() {
    let count = Arc::new(Count::default());
    let (mut tx, rx) = oneshot::channel::<u8>();
    let mut closed = pin!(tx.closed());
    assert!(poll(&mut closed, &count).is_pending());
    drop(rx);
    assert_eq!(count.get(), 1);
    assert!(poll(&mut closed, &count).is_ready());
}

/// Both ends at once, with every way to end; each message is accounted for.
#[test]
fn races_lose_nothing_and_double_nothing() {
    let drops = Arc::new(AtomicUsize::new(0));
    for n in 0..MANY {
        let (tx, rx) = oneshot::channel();
        let message = Dropped(Arc::clone(&drops));
        let other = thread::spawn(move || match n % 3 {
            0 => tx.send(message).is_ok(),
            1 => {
                drop(message);
                drop(tx);
                false
            }
            _ => {
                let is_closed = tx.is_closed();
                let ok = tx.send(message).is_ok();
                assert!(!(is_closed && ok));
                ok
            }
        });
        let got = end(rx, n % 5);
        let ok = other.join().unwrap();
        assert!(ok || !got, "received what was given back");
        assert!(n % 5 < 3 || got == ok, "sent, waited for, and not received");
        assert_eq!(drops.load(Ordering::SeqCst), n + 1);
    }
}

/// Ends a receiver in the given way. Whether it received.
fn end(mut rx: oneshot::Receiver<Dropped>, way: usize) -> bool {
    let count = Arc::new(Count::default());
    match way {
        0 => rx.try_recv().is_ok(),
        1 => {
            rx.close();
            rx.recv().is_ok()
        }
        2 => (0..3).any(|_| matches!(poll(&mut rx, &count), Poll::Ready(Ok(_)))),
        3 => rx.with_wait(Wait::Park).recv().is_ok(),
        _ => rx.recv().is_ok(),
    }
}

#[test]
fn a_panic_in_the_drop_of_a_message_frees_the_channel() {
    struct Bomb(#[allow(dead_code, reason = "held")] Arc<()>);
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }
    let held = Arc::new(());
    let (tx, rx) = oneshot::channel();
    assert!(tx.send(Bomb(Arc::clone(&held))).is_ok());
    let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || drop(rx)));
    assert!(dropped.is_err());
    assert_eq!(Arc::strong_count(&held), 1);
}
