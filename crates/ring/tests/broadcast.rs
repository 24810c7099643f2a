//! Every message to every receiver: in order, whole, and the missed ones counted.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use chaski_ring::broadcast::{self, Lag, RecvError, RecvTimeoutError, TryRecvError};
use chaski_ring::{SendError, SendTimeoutError, TrySendError, Wait, mpmc, select};

/// Small under miri, which runs a few thousand times slower.
const MANY: u64 = if cfg!(miri) { 60 } else { 50_000 };
const SHORT: Duration = Duration::from_millis(2);

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn poll<F: Future + ?Sized>(future: &mut Pin<Box<F>>, count: &Arc<Count>) -> Poll<F::Output> {
    let waker = Waker::from(Arc::clone(count));
    future.as_mut().poll(&mut Context::from_waker(&waker))
}

#[test]
fn every_receiver_gets_every_message() {
    for lag in [Lag::Overwrite, Lag::Block] {
        let (tx, mut a) = broadcast::channel_with(4, lag);
        let mut b = tx.subscribe();
        tx.send_all([1, 2, 3]).unwrap();
        let mut late = tx.subscribe();
        assert_eq!((a.len(), late.len(), tx.len()), (3, 0, 3));
        assert_eq!(a.recv(), Ok(1));
        let mut like_a = a.clone();
        tx.send(4).unwrap();
        drop(tx);
        assert!(a.iter().eq([2, 3, 4]));
        assert!(like_a.iter().eq([2, 3, 4]));
        assert!(b.iter().eq([1, 2, 3, 4]));
        assert!(late.iter().eq([4]));
        assert_eq!(late.try_recv(), Err(TryRecvError::Closed));
    }
}

#[test]
fn the_slow_learn_how_much_they_missed() {
    for capacity in [1, 2, 3, 7, 8, 100] {
        let (tx, mut rx) = broadcast::channel(capacity);
        let mut missed_from = 0;
        for round in 1..4 {
            let more = capacity * round + round;
            tx.send_all(missed_from..missed_from + more).unwrap();
            let missed = (more - capacity) as u64;
            assert_eq!(rx.try_recv(), Err(TryRecvError::Lagged(missed)));
            let kept = missed_from + more - capacity..missed_from + more;
            assert!(rx.try_iter().eq(kept), "capacity {capacity}, round {round}");
            assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
            missed_from += more;
        }
    }
}

#[test]
fn a_batch_ends_where_messages_are_missed() {
    let (tx, mut rx) = broadcast::channel(4);
    tx.send_all(0..4).unwrap();
    let mut got = Vec::new();
    assert_eq!(rx.recv_many(&mut got, 2), Ok(2));
    tx.send_all(4..8).unwrap();
    assert_eq!(rx.recv_many(&mut got, 9), Err(RecvError::Lagged(2)));
    assert_eq!(rx.recv_many(&mut got, 9), Ok(4));
    assert_eq!(got, [0, 1, 4, 5, 6, 7]);
    assert_eq!(rx.try_recv_many(&mut got, 9), Err(TryRecvError::Empty));
    assert_eq!(rx.try_recv_many(&mut got, 0), Ok(0));
}

#[test]
fn a_blocking_channel_holds_its_capacity_and_at_most_an_eighth_more() {
    for capacity in [1, 2, 5, 8, 16, 100, 1024] {
        let (tx, mut rx) = broadcast::channel_with(capacity, Lag::Block);
        let mut held = 0;
        while tx.try_send(held).is_ok() {
            held += 1;
        }
        assert!((capacity..=capacity + capacity / 8).contains(&held), "{held}");
        assert_eq!(tx.try_send(0), Err(TrySendError::Full(0)));
        assert_eq!(tx.send_timeout(0, SHORT), Err(SendTimeoutError::Timeout(0)));
        assert_eq!((tx.stats().depth, tx.stats().high_water), (held as u64, held as u64));
        assert!(rx.try_iter().eq(0..held));
    }
}

#[test]
fn a_receiver_that_goes_makes_room() {
    let (tx, mut fast) = broadcast::channel_with(2, Lag::Block);
    let slow = tx.subscribe();
    tx.send_all([1, 2]).unwrap();
    assert!(fast.try_iter().eq([1, 2]));
    let sender = thread::spawn(move || tx.send(3));
    thread::sleep(SHORT);
    drop(slow);
    sender.join().unwrap().unwrap();
    assert_eq!(fast.recv(), Ok(3));
}

#[test]
fn messages_are_dropped_when_nobody_can_receive_them() {
    for lag in [Lag::Overwrite, Lag::Block] {
        let message = Arc::new(());
        let (tx, mut rx) = broadcast::channel_with(4, lag);
        for _ in 0..3 {
            tx.send(Arc::clone(&message)).unwrap();
        }
        drop(rx.recv());
        assert_eq!(Arc::strong_count(&message), 4);
        drop(rx);
        assert_eq!(Arc::strong_count(&message), 1);
        assert!(tx.is_closed());
        let Err(SendError(back)) = tx.send(Arc::clone(&message)) else { panic!("nobody listens") };
        assert!(Arc::ptr_eq(&back, &message));
        let mut rx = tx.subscribe();
        assert!(!tx.is_closed());
        tx.send(back).unwrap();
        assert!(rx.recv().is_ok());
        drop(tx);
        assert_eq!(rx.recv(), Err(RecvError::Closed));
        drop(rx);
        assert_eq!(Arc::strong_count(&message), 1);
    }
}

#[test]
fn close_refuses_the_new_and_keeps_the_old() {
    let (tx, mut rx) = broadcast::channel(4);
    tx.send(1).unwrap();
    rx.close();
    assert_eq!(tx.send(2), Err(SendError(2)));
    assert_eq!(rx.recv(), Ok(1));
    assert_eq!(rx.recv_timeout(SHORT), Err(RecvTimeoutError::Closed));
}

#[test]
fn times_out_and_wakes_up() {
    let (tx, mut rx) = broadcast::channel(4);
    assert_eq!(rx.recv_timeout(SHORT), Err(RecvTimeoutError::Timeout));
    let mut others: Vec<_> = (0..3).map(|_| tx.subscribe()).collect();
    others[0].set_wait(Wait::Park);
    let threads: Vec<_> =
        others.into_iter().map(|mut rx| thread::spawn(move || rx.recv())).collect();
    thread::sleep(SHORT);
    tx.send("all of you").unwrap();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), Ok("all of you"));
    }
}

/// Receivers that keep the sender waiting, and join and leave meanwhile: each sees an unbroken run.
#[test]
fn blocking_loses_nothing() {
    let (tx, first) = broadcast::channel_with(8, Lag::Block);
    let receivers: Vec<_> = [first.clone(), first]
        .into_iter()
        .map(|mut rx| {
            thread::spawn(move || {
                let mut next = 0;
                while let Ok(n) = rx.recv() {
                    assert_eq!(n, next);
                    next += 1;
                    if n % 97 == 0 {
                        let mut visitor = rx.clone();
                        assert_eq!(visitor.recv().unwrap_or(MANY), n + 1);
                    }
                }
                next
            })
        })
        .collect();
    for n in 0..MANY {
        tx.send(n).unwrap();
        if n % 89 == 0 {
            drop(tx.subscribe());
        }
    }
    drop(tx);
    for receiver in receivers {
        assert_eq!(receiver.join().unwrap(), MANY);
    }
}

/// A message whose parts belong together, so that a torn clone shows.
#[derive(Clone)]
struct Whole(u64, Box<u64>, [u64; 6]);

/// Senders that overwrite, and receivers that lag: received and missed make up what was sent, and
/// every message is whole.
#[test]
fn overwriting_tears_nothing_and_counts_what_is_missed() {
    const SENDERS: u64 = 2;
    let (tx, first) = broadcast::channel(4);
    let receivers: Vec<_> = [first.clone(), first]
        .into_iter()
        .map(|mut rx| {
            thread::spawn(move || {
                let (mut received, mut missed) = (0, 0);
                loop {
                    match rx.recv() {
                        Ok(Whole(n, boxed, rest)) => {
                            assert!(*boxed == n && rest == [n; 6]);
                            received += 1;
                        }
                        Err(RecvError::Lagged(n)) => missed += n,
                        Err(RecvError::Closed) => return received + missed,
                    }
                }
            })
        })
        .collect();
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let tx = tx.clone();
            thread::spawn(move || {
                for n in 0..MANY {
                    let n = n * SENDERS + sender;
                    assert!(tx.send(Whole(n, Box::new(n), [n; 6])).is_ok());
                }
            })
        })
        .collect();
    drop(tx);
    for sender in senders {
        sender.join().unwrap();
    }
    for receiver in receivers {
        assert_eq!(receiver.join().unwrap(), SENDERS * MANY);
    }
}

#[test]
fn a_clone_that_panics_harms_nobody_else() {
    struct Touchy(bool);
    impl Clone for Touchy {
        fn clone(&self) -> Touchy {
            assert!(!self.0, "not this one");
            Touchy(self.0)
        }
    }
    let (tx, mut rx) = broadcast::channel(1);
    assert!(tx.send(Touchy(true)).is_ok());
    let cloned = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| rx.recv().is_ok()));
    assert!(cloned.is_err());
    assert!(tx.send(Touchy(false)).is_ok(), "the slot is not pinned for ever");
    assert!(matches!(rx.recv(), Err(RecvError::Lagged(1))));
    assert!(rx.recv().is_ok());
}

#[test]
fn tasks_are_all_woken_and_a_cancelled_one_has_taken_nothing() {
    let counts = [(); 3].map(|()| Arc::new(Count::default()));
    let (tx, first) = broadcast::channel(4);
    let (mut a, mut b, mut c) = (first.clone(), first.clone(), first);
    let mut ready = Box::pin(a.recv_async());
    let mut cancelled = Box::pin(b.recv_async());
    let mut other = Box::pin(c.recv_async());
    assert!(poll(&mut ready, &counts[0]).is_pending());
    assert!(poll(&mut cancelled, &counts[1]).is_pending());
    assert!(poll(&mut other, &counts[2]).is_pending());
    tx.send(1).unwrap();
    assert!(counts.iter().all(|count| count.0.load(Ordering::SeqCst) == 1));
    assert_eq!(poll(&mut ready, &counts[0]), Poll::Ready(Ok(1)));
    drop(cancelled);
    assert_eq!(poll(&mut other, &counts[2]), Poll::Ready(Ok(1)));
    assert_eq!(b.try_recv(), Ok(1));
}

#[test]
fn select_tells_of_what_was_missed() {
    let (tx, mut rx) = broadcast::channel(1);
    let (_quiet, ry) = mpmc::channel::<u8>(1);
    let mut log = Vec::new();
    tx.send_all([1, 2, 3]).unwrap();
    for _ in 0..3 {
        select! {
            recv(rx) -> n => log.push(n),
            recv(ry) -> _n => unreachable!(),
            default => log.push(Ok(0)),
        }
    }
    assert_eq!(log, [Err(RecvError::Lagged(2)), Ok(3), Ok(0)]);
    let sender = thread::spawn(move || {
        thread::sleep(SHORT);
        tx.send(4).unwrap();
        tx
    });
    assert_eq!(select! { recv(rx) -> n => n, recv(ry) -> _n => unreachable!() }, Ok(4));
    drop(sender.join().unwrap());
    assert_eq!(
        select! { recv(rx) -> n => n, recv(ry) -> _n => unreachable!() },
        Err(RecvError::Closed)
    );
}
