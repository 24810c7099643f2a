//! What the channel without a bound promises.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use chaski_ring::unbounded::{Sender, channel};
use chaski_ring::{RecvError, RecvTimeoutError, SendError, TryRecvError, TrySendError};

mod common;

use common::{MANY, block_on};

#[test]
fn holds_what_it_is_given_in_order() {
    // Over many blocks, of small messages and of large ones.
    let (tx, rx) = channel();
    let (large_tx, large_rx) = channel();
    for n in 0..MANY {
        tx.try_send(n).unwrap();
        large_tx.send([n; 32]).unwrap();
    }
    assert_eq!((tx.len(), rx.len(), rx.capacity()), (MANY as usize, MANY as usize, None));
    let stats = tx.stats();
    assert_eq!((stats.sent, stats.received, stats.depth), (MANY, 0, MANY));
    assert_eq!(stats.high_water, MANY);
    assert!(rx.try_iter().eq(0..MANY));
    assert!(large_rx.try_iter().map(|message| message[31]).eq(0..MANY));
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    let stats = rx.stats();
    assert_eq!((stats.sent, stats.received, stats.depth), (MANY, MANY, 0));
    assert!(rx.is_empty() && tx.is_empty());
}

#[test]
fn a_receiver_that_goes_drops_what_was_sent_and_the_sender_learns_of_it() {
    let message = Arc::new(());
    let (tx, rx) = channel();
    tx.send_all((0..200).map(|_| Arc::clone(&message))).unwrap();
    let other = rx.clone();
    drop(rx);
    assert!(!tx.is_closed());
    drop(other);
    assert_eq!(Arc::strong_count(&message), 1);
    assert!(tx.is_closed());
    let Err(TrySendError::Closed(back)) = tx.try_send(Arc::clone(&message)) else {
        panic!("nobody listens")
    };
    assert!(Arc::ptr_eq(&back, &message));
    let mut messages = [back, Arc::clone(&message)].into_iter();
    assert!(tx.send_all(&mut messages).is_err());
    assert_eq!(messages.count(), 1);
}

#[test]
fn close_refuses_the_new_and_keeps_the_old() {
    let (tx, rx) = channel();
    tx.send_all(0..70).unwrap();
    tx.close();
    assert_eq!(tx.send(70), Err(SendError(70)));
    assert!(rx.iter().eq(0..70));
    assert_eq!(rx.recv(), Err(RecvError));
    assert_eq!(rx.try_recv(), Err(TryRecvError::Closed));
    assert_eq!(block_on(rx.recv_async()), Err(RecvError));
}

#[test]
fn receivers_time_out_and_wake_up() {
    let (tx, rx) = channel();
    let short = Duration::from_millis(2);
    assert_eq!(rx.recv_timeout(short), Err(RecvTimeoutError::Timeout));
    let receivers: Vec<_> = (0..3)
        .map(|_| {
            let rx = rx.clone();
            thread::spawn(move || rx.recv())
        })
        .collect();
    thread::sleep(short);
    tx.send_all([1, 1]).unwrap();
    thread::sleep(short);
    drop(tx);
    let got: Vec<_> = receivers.into_iter().map(|receiver| receiver.join().unwrap()).collect();
    assert_eq!(got.iter().filter(|got| **got == Ok(1)).count(), 2);
    assert!(got.contains(&Err(RecvError)));
    assert_eq!(rx.recv_timeout(short), Err(RecvTimeoutError::Closed));
}

#[test]
fn an_iterator_that_panics_loses_nothing_that_was_sent() {
    let (tx, rx) = channel();
    let messages = (0..4).map(|n| if n == 2 { panic!("fatal") } else { n });
    assert!(catch_unwind(AssertUnwindSafe(|| tx.send_all(messages))).is_err());
    assert_eq!(rx.try_iter().collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn a_drop_that_panics_drops_the_others() {
    struct Bomb<'a>(&'a Cell<u32>, bool);
    impl Drop for Bomb<'_> {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
            assert!(!self.1, "bomb");
        }
    }
    for fatal in [0, 30, 31, 99] {
        let dropped = Cell::new(0);
        let (tx, rx) = channel();
        assert!(tx.send_all((0..100).map(|n| Bomb(&dropped, n == fatal))).is_ok());
        assert!(catch_unwind(AssertUnwindSafe(|| drop(rx))).is_err());
        assert_eq!(dropped.get(), 100);
    }
}

/// A message that knows how many of its kind are alive.
struct Counted(u64, Arc<AtomicU64>);

impl Counted {
    fn new(n: u64, alive: &Arc<AtomicU64>) -> Counted {
        alive.fetch_add(1, Ordering::Relaxed);
        Counted(n, Arc::clone(alive))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Senders and receivers in all forms of use: each message is received once, those of one sender in
/// order by each receiver, and all are dropped.
#[test]
fn every_message_comes_once() {
    const SENDERS: u64 = 3;
    let alive = Arc::new(AtomicU64::new(0));
    let (tx, rx) = channel();
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let (tx, alive) = (tx.clone(), Arc::clone(&alive));
            thread::spawn(move || {
                let (first, end) = (sender * MANY, (sender + 1) * MANY);
                let mut next = first;
                while next < end {
                    let run = if next % 3 == 0 { (next % 100).min(end - next).max(1) } else { 1 };
                    let messages = (next..next + run).map(|n| Counted::new(n, &alive));
                    assert!(tx.send_all(messages).is_ok());
                    next += run;
                }
            })
        })
        .collect();
    drop(tx);
    let receivers: Vec<_> = (0..3)
        .map(|form| {
            let rx = rx.clone();
            thread::spawn(move || {
                let (mut got, mut batch) = (Vec::new(), Vec::new());
                loop {
                    match form {
                        0 => batch.extend(rx.recv()),
                        1 => drop(rx.recv_many(&mut batch, 50)),
                        _ => batch.extend(block_on(rx.recv_async())),
                    }
                    if batch.is_empty() {
                        return got;
                    }
                    got.extend(batch.drain(..).map(|message| message.0));
                }
            })
        })
        .collect();
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    let mut all = Vec::new();
    for receiver in receivers {
        let got = receiver.join().unwrap();
        let mut next = [0; SENDERS as usize];
        for n in &got {
            let last = &mut next[(n / MANY) as usize];
            assert!(*n >= *last, "one sender's messages overtook each other");
            *last = n + 1;
        }
        all.extend(got);
    }
    all.sort_unstable();
    assert!(all.into_iter().eq(0..SENDERS * MANY));
    assert_eq!(alive.load(Ordering::Relaxed), 0);
}

/// The receivers go, or one of them closes, somewhere in the stream: what was sent is received or
/// dropped, what was refused came back.
#[test]
fn closing_accounts_for_every_message() {
    for round in 0..(MANY / 1000).max(3) {
        let alive = Arc::new(AtomicU64::new(0));
        let (tx, rx) = channel();
        let send = |tx: Sender<Counted>, alive: Arc<AtomicU64>| {
            (0..).take_while(|n| tx.send(Counted::new(*n, &alive)).is_ok()).count()
        };
        let other = (tx.clone(), Arc::clone(&alive));
        let first = thread::spawn(move || send(other.0, other.1));
        let for_second = Arc::clone(&alive);
        let second = thread::spawn(move || send(tx, for_second));
        let mut received = rx.iter().take(round as usize).count();
        if round % 2 == 0 {
            rx.close();
            received += rx.iter().count();
        }
        let stats = rx.stats();
        drop(rx);
        let sent = first.join().unwrap() + second.join().unwrap();
        if round % 2 == 0 {
            assert_eq!((sent, stats.sent), (received, received as u64));
        }
        assert_eq!(alive.load(Ordering::Relaxed), 0);
    }
}
