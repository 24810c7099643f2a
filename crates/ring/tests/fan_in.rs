//! What the channel of lanes promises beyond the other channels.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use chaski_ring::fan_in::{Receiver, channel};
use chaski_ring::{RecvError, RecvTimeoutError, SendError, TryRecvError, TrySendError};

mod common;

use common::{MANY, block_on};

#[test]
fn every_sender_has_its_own_room() {
    let (mut a, mut rx) = channel(4);
    let mut b = a.clone();
    a.send_all(0..4).unwrap();
    assert_eq!(a.try_send(4), Err(TrySendError::Full(4)));
    assert_eq!((a.len(), b.len(), rx.len()), (4, 0, 4));
    b.send_all(10..14).unwrap();
    assert_eq!((rx.len(), rx.capacity()), (8, Some(4)));
    let mut got: Vec<_> = rx.try_iter().collect();
    got.sort_unstable();
    assert_eq!(got, [0, 1, 2, 3, 10, 11, 12, 13]);
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    let stats = rx.stats();
    assert_eq!((stats.sent, stats.received, stats.depth, stats.capacity), (8, 8, 0, 8));
    assert_eq!(b.stats().sent, 4);
}

#[test]
fn a_busy_sender_does_not_starve_the_others() {
    let (mut busy, mut rx) = channel(10_000);
    let mut quiet = busy.clone();
    busy.send_all((0..10_000).map(|_| 0)).unwrap();
    for _ in 0..10 {
        assert_eq!(rx.recv(), Ok(0));
    }
    quiet.send(1).unwrap();
    let before = rx.iter().position(|message| message == 1).unwrap();
    assert!(before <= 64, "{before} messages of the busy sender came first");
    let mut got = Vec::new();
    quiet.send(2).unwrap();
    rx.recv_many(&mut got, 1000).unwrap();
    assert!(got.contains(&2));
}

#[test]
fn lanes_come_and_go() {
    let (mut first, mut rx) = channel(8);
    first.send(0).unwrap();
    for n in 1..100 {
        let mut next = first.clone();
        next.send(n).unwrap();
        drop(first);
        first = next;
        if n % 3 == 0 {
            assert_eq!(rx.try_iter().count(), 3 + usize::from(n == 3));
        }
    }
    assert_eq!(rx.stats().capacity, 8, "only one lane is left");
    assert_eq!((rx.stats().sent, rx.stats().received), (100, 100));
    assert!(!rx.is_closed());
    first.send(100).unwrap();
    drop(first);
    assert!(rx.is_closed());
    assert_eq!(rx.recv(), Ok(100));
    assert_eq!(rx.recv(), Err(RecvError));
    assert_eq!(rx.stats().received, 101);
}

#[test]
fn a_clone_of_the_last_sender_keeps_it_open() {
    let (tx, mut rx) = channel::<u8>(8);
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    let mut other = tx.clone();
    drop(tx);
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    other.send(1).unwrap();
    assert_eq!(rx.try_recv(), Ok(1));
    drop(other);
    assert_eq!(rx.try_recv(), Err(TryRecvError::Closed));
}

#[test]
fn close_is_for_every_sender_also_for_those_to_come() {
    let message = Arc::new(());
    let (mut tx, mut rx) = channel(8);
    let mut known = tx.clone();
    tx.send(Arc::clone(&message)).unwrap();
    assert!(rx.try_recv().is_ok());
    let mut unknown = tx.clone();
    for sender in [&mut tx, &mut known, &mut unknown] {
        sender.send(Arc::clone(&message)).unwrap();
    }
    rx.close();
    rx.close();
    let mut late = tx.clone();
    for sender in [&mut tx, &mut known, &mut unknown, &mut late] {
        assert!(sender.is_closed());
        assert_eq!(sender.send(Arc::clone(&message)), Err(SendError(Arc::clone(&message))));
    }
    assert_eq!(rx.iter().count(), 3);
    assert_eq!(rx.recv(), Err(RecvError));
    drop(rx);
    assert!(tx.clone().try_send(Arc::clone(&message)).is_err());
    assert_eq!(Arc::strong_count(&message), 1);
}

#[test]
fn a_receiver_that_goes_drops_what_is_in_every_lane() {
    let message = Arc::new(());
    let (mut a, mut rx) = channel(8);
    let mut b = a.clone();
    a.send_all([Arc::clone(&message), Arc::clone(&message)]).unwrap();
    assert!(rx.recv().is_ok());
    b.send(Arc::clone(&message)).unwrap();
    // A lane that the receiver has not seen.
    let mut c = b.clone();
    c.send(Arc::clone(&message)).unwrap();
    drop(rx);
    assert_eq!(Arc::strong_count(&message), 1);
    for sender in [&mut a, &mut b, &mut c] {
        assert!(sender.send(Arc::clone(&message)).is_err());
    }
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
    for fatal in 0..6 {
        let dropped = Cell::new(0);
        let (mut a, rx) = channel(8);
        let mut b = a.clone();
        assert!(a.send_all((0..3).map(|n| Bomb(&dropped, n == fatal))).is_ok());
        assert!(b.send_all((3..6).map(|n| Bomb(&dropped, n == fatal))).is_ok());
        assert!(catch_unwind(AssertUnwindSafe(|| drop(rx))).is_err());
        assert_eq!(dropped.get(), 6);
    }
}

#[test]
fn a_sleeping_receiver_is_woken_by_a_lane_it_does_not_know() {
    let (tx, mut rx) = channel(8);
    assert_eq!(rx.recv_timeout(Duration::from_millis(1)), Err(RecvTimeoutError::Timeout));
    let receiver = thread::spawn(move || (rx.recv(), rx));
    thread::sleep(Duration::from_millis(5));
    let mut other = tx.clone();
    other.send(7).unwrap();
    let (got, mut rx) = receiver.join().unwrap();
    assert_eq!(got, Ok(7));
    let receiver = thread::spawn(move || rx.recv());
    thread::sleep(Duration::from_millis(5));
    drop((tx, other));
    assert_eq!(receiver.join().unwrap(), Err(RecvError));
}

/// Receives in all forms of use, in turn.
fn receive<T>(rx: &mut Receiver<T>, form: u64, into: &mut Vec<T>) -> bool {
    match form % 5 {
        0 => into.extend(rx.recv()),
        1 => drop(rx.recv_many(into, 100)),
        2 => into.extend(block_on(rx.recv_async())),
        3 => drop(block_on(rx.recv_many_async(into, 3))),
        _ => into.extend(rx.iter().next()),
    }
    !into.is_empty()
}

/// Senders of all kinds that clone themselves on the way: each message comes once, and those of
/// each sender in order.
#[test]
fn every_message_comes_once_and_in_its_senders_order() {
    const SENDERS: u64 = 4;
    let each = MANY / 2;
    let (tx, mut rx) = channel(32);
    for sender in 0..SENDERS {
        let mut tx = tx.clone();
        thread::spawn(move || {
            let mut next = 0;
            while next < each {
                let run = if sender % 2 == 0 { 1 } else { 40.min(each - next) };
                if sender == 3 {
                    block_on(tx.send_all_async((next..next + run).map(|n| (sender, n)))).unwrap();
                } else {
                    tx.send_all((next..next + run).map(|n| (sender, n))).unwrap();
                }
                next += run;
            }
        });
    }
    drop(tx);
    let (mut next, mut form, mut got) = ([0; SENDERS as usize], 0, Vec::new());
    while receive(&mut rx, form, &mut got) {
        form += 1;
        for (sender, n) in got.drain(..) {
            assert_eq!(n, next[sender as usize]);
            next[sender as usize] += 1;
        }
    }
    assert_eq!(next, [each; SENDERS as usize]);
}

/// Senders that live for a few messages, each with a lane of its own.
#[test]
fn nothing_is_lost_while_lanes_come_and_go() {
    let message = Arc::new(());
    let (tx, mut rx) = channel(4);
    let lives = MANY / 100;
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let (mut tx, message) = (tx.clone(), Arc::clone(&message));
            thread::spawn(move || {
                for life in 0..lives {
                    tx.send_all((0..life % 7).map(|_| Arc::clone(&message))).unwrap();
                    tx = tx.clone();
                }
            })
        })
        .collect();
    drop(tx);
    let expected = 2 * (0..lives).map(|life| life % 7).sum::<u64>();
    let (mut count, mut form, mut got) = (0, 0, Vec::new());
    while receive(&mut rx, form, &mut got) {
        form += 1;
        count += got.drain(..).count() as u64;
    }
    assert_eq!(count, expected);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(Arc::strong_count(&message), 1);
    assert_eq!(rx.stats().received, expected);
}

/// The receiver closes somewhere in the stream: what was sent is received, what was refused came
/// back.
#[test]
fn closing_accounts_for_every_message() {
    for round in 0..(MANY / 1000).max(3) {
        let message = Arc::new(());
        let sent = Arc::new(AtomicU64::new(0));
        let (tx, mut rx) = channel(8);
        let senders: Vec<_> = (0..2)
            .map(|_| {
                let (mut tx, message) = (tx.clone(), Arc::clone(&message));
                let sent = Arc::clone(&sent);
                thread::spawn(move || {
                    while tx.send(Arc::clone(&message)).is_ok() {
                        sent.fetch_add(1, Ordering::Relaxed);
                        tx = tx.clone();
                    }
                })
            })
            .collect();
        let before = rx.iter().take(round as usize % 50).count();
        rx.close();
        let received = (before + rx.iter().count()) as u64;
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        assert_eq!(received, sent.load(Ordering::Relaxed));
        drop((rx, tx));
        assert_eq!(Arc::strong_count(&message), 1);
    }
}
