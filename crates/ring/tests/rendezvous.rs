//! Meeting without room: a send is over when the message was received, or gives it back.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use chaski_ring::{
    RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError,
    rendezvous, select,
};

/// Small under miri, which runs a few thousand times slower.
const MANY: u64 = if cfg!(miri) { 50 } else { 10_000 };
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
fn there_is_no_room() {
    let (tx, rx) = rendezvous::channel();
    assert_eq!(tx.try_send(1), Err(TrySendError::Full(1)));
    assert_eq!(tx.send_timeout(1, SHORT), Err(SendTimeoutError::Timeout(1)));
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    assert_eq!(rx.recv_timeout(SHORT), Err(RecvTimeoutError::Timeout));
    assert_eq!((tx.capacity(), tx.len(), rx.is_empty()), (Some(0), 0, true));
}

#[test]
fn a_send_returns_after_the_receive() {
    let (tx, rx) = rendezvous::channel();
    let received = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&received);
    let sender = thread::spawn(move || {
        tx.send(()).unwrap();
        assert!(seen.load(Ordering::SeqCst));
    });
    thread::sleep(SHORT);
    received.store(true, Ordering::SeqCst);
    assert_eq!(rx.recv(), Ok(()));
    sender.join().unwrap();
    assert_eq!(rx.recv(), Err(RecvError));
}

#[test]
fn a_try_is_taken_by_a_blocked_receiver() {
    let (tx, rx) = rendezvous::channel();
    let receiver = thread::spawn(move || rx.recv());
    while tx.try_send(7).is_err() {
        thread::yield_now();
    }
    assert_eq!(receiver.join().unwrap(), Ok(7));
}

#[test]
fn every_message_once_whoever_takes_it() {
    let (tx, rx) = rendezvous::channel();
    let receivers: Vec<_> = (0..3)
        .map(|_| {
            let rx = rx.clone();
            thread::spawn(move || rx.iter().sum::<u64>())
        })
        .collect();
    drop(rx);
    let senders: Vec<_> = (0..3)
        .map(|_| {
            let tx = tx.clone();
            thread::spawn(move || tx.send_all(0..MANY).unwrap())
        })
        .collect();
    let stats = tx.clone();
    drop(tx);
    for sender in senders {
        assert_eq!(sender.join().unwrap() as u64, MANY);
    }
    assert_eq!((stats.stats().sent, stats.stats().received), (3 * MANY, 3 * MANY));
    drop(stats);
    let sum: u64 = receivers.into_iter().map(|receiver| receiver.join().unwrap()).sum();
    assert_eq!(sum, 3 * (MANY - 1) * MANY / 2);
}

/// Senders and receivers that give up all the time: what was received is what was not given back.
#[test]
fn deadlines_on_both_sides_lose_nothing_and_double_nothing() {
    let (tx, rx) = rendezvous::channel();
    let senders: Vec<_> = (0..2)
        .map(|_| {
            let tx = tx.clone();
            thread::spawn(move || {
                let patience = Duration::from_micros(20);
                (0..MANY).filter(|n| tx.send_timeout(*n, patience).is_ok()).sum::<u64>()
            })
        })
        .collect();
    drop(tx);
    let receivers: Vec<_> = (0..2)
        .map(|_| {
            let rx = rx.clone();
            thread::spawn(move || {
                let mut sum = 0;
                loop {
                    match rx.recv_timeout(Duration::from_micros(15)) {
                        Ok(n) => sum += n,
                        Err(RecvTimeoutError::Timeout) => {}
                        Err(RecvTimeoutError::Closed) => return sum,
                    }
                }
            })
        })
        .collect();
    let sent: u64 = senders.into_iter().map(|sender| sender.join().unwrap()).sum();
    let received: u64 = receivers.into_iter().map(|receiver| receiver.join().unwrap()).sum();
    assert_eq!(sent, received);
}

#[test]
fn a_dropped_send_takes_its_message_back() {
    let count = Arc::new(Count::default());
    let (tx, rx) = rendezvous::channel();
    let mut slot = Some(String::from("mine"));
    let mut sending = Box::pin(tx.send_from_async(&mut slot));
    assert!(poll(&mut sending, &count).is_pending());
    drop(sending);
    assert_eq!(slot.as_deref(), Some("mine"));
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    let mut sending = Box::pin(tx.send_from_async(&mut slot));
    assert!(poll(&mut sending, &count).is_pending());
    assert_eq!(rx.try_recv().as_deref(), Ok("mine"));
    assert_eq!(count.0.load(Ordering::SeqCst), 1, "the sender learns of it");
    drop(sending);
    assert_eq!(slot, None, "it was received");
    assert_eq!(Arc::strong_count(&count), 1);
}

#[test]
fn tasks_meet() {
    let (first, second) = (Arc::new(Count::default()), Arc::new(Count::default()));
    let (tx, rx) = rendezvous::channel();
    let mut receiving = Box::pin(rx.recv_async());
    assert!(poll(&mut receiving, &first).is_pending());
    assert_eq!(tx.try_send(0), Err(TrySendError::Full(0)), "it may still turn away");
    let mut sending = Box::pin(tx.send_async(1));
    assert!(poll(&mut sending, &second).is_pending());
    assert_eq!(first.0.load(Ordering::SeqCst), 1);
    assert_eq!(poll(&mut receiving, &first), Poll::Ready(Ok(1)));
    assert_eq!(second.0.load(Ordering::SeqCst), 1);
    assert_eq!(poll(&mut sending, &second), Poll::Ready(Ok(())));
}

#[test]
fn an_offer_whose_receiver_turns_away_goes_to_the_next() {
    let (first, second) = (Arc::new(Count::default()), Arc::new(Count::default()));
    let (tx, rx) = rendezvous::channel();
    let (mut a, mut b) = (Box::pin(rx.recv_async()), Box::pin(rx.recv_async()));
    assert!(poll(&mut a, &first).is_pending() && poll(&mut b, &second).is_pending());
    let mut sending = Box::pin(tx.send_async(1));
    assert!(poll(&mut sending, &first).is_pending());
    drop(a);
    assert_eq!(second.0.load(Ordering::SeqCst), 1, "passed on");
    assert_eq!(poll(&mut b, &second), Poll::Ready(Ok(1)));
}

#[test]
fn a_close_gives_what_is_offered_back() {
    let (tx, rx) = rendezvous::channel();
    let other = tx.clone();
    let sender = thread::spawn(move || other.send(5));
    thread::sleep(SHORT);
    rx.close();
    assert_eq!(sender.join().unwrap(), Err(SendError(5)));
    assert!(tx.is_closed());
    assert_eq!(tx.try_send(6), Err(TrySendError::Closed(6)));
    assert_eq!(rx.recv(), Err(RecvError));
    let (tx, rx) = rendezvous::channel();
    let sender = thread::spawn(move || tx.send(5));
    thread::sleep(SHORT);
    drop(rx);
    assert_eq!(sender.join().unwrap(), Err(SendError(5)));
}

#[test]
fn receivers_learn_that_the_last_sender_went() {
    let (tx, rx) = rendezvous::channel::<u8>();
    let other = rx.clone();
    let receiver = thread::spawn(move || other.recv());
    thread::sleep(SHORT);
    drop(tx);
    assert_eq!(receiver.join().unwrap(), Err(RecvError));
    assert_eq!(rx.try_recv(), Err(TryRecvError::Closed));
}

#[test]
fn a_batch_is_what_is_offered() {
    let (tx, rx) = rendezvous::channel();
    let count = Arc::new(Count::default());
    let mut sending: Vec<_> = (0..3).map(|n| Box::pin(tx.send_async(n))).collect();
    for send in &mut sending {
        assert!(poll(send, &count).is_pending());
    }
    let mut got = Vec::new();
    assert_eq!(rx.recv_many(&mut got, 2), Ok(2));
    assert_eq!(rx.recv_many(&mut got, 2), Ok(1));
    assert_eq!(got, [0, 1, 2]);
    assert_eq!(rx.try_recv_many(&mut got, 2), Err(TryRecvError::Empty));
}

#[test]
fn select_comes_for_an_offer() {
    let (tx, rx) = rendezvous::channel();
    let (_quiet, ry) = rendezvous::channel::<u8>();
    let sender = thread::spawn(move || tx.send(3));
    let got = select! {
        recv(rx) -> n => n,
        recv(ry) -> _n => unreachable!(),
    };
    assert_eq!(got, Ok(3));
    sender.join().unwrap().unwrap();
}
