//! Several senders, one receiver.

use std::pin::pin;
use std::task::Poll;

use chaski_ring::{RecvError, SendError, mpsc};
use loom::thread;

use crate::kit::{Token, check, poll_once};

/// Two senders fight for the one place, and sleep for it.
#[test]
fn two_senders_block_for_room() {
    check(2, || {
        let (tx, mut rx) = mpsc::channel(1);
        let other = tx.clone();
        let senders =
            [(tx, 1), (other, 2)].map(|(tx, n)| thread::spawn(move || tx.send(n).unwrap()));
        let sum: u32 = (0..2).map(|_| rx.recv().unwrap()).sum();
        assert_eq!(sum, 3);
        assert_eq!(rx.recv(), Err(RecvError));
        for sender in senders {
            sender.join().unwrap();
        }
    });
}

/// As above with a ring that is full from the beginning, so that both sleep at once.
#[test]
fn two_senders_block_on_a_full_ring() {
    check(2, || {
        let (tx, mut rx) = mpsc::channel(1);
        tx.send(0).unwrap();
        let other = tx.clone();
        let senders =
            [(tx, 1), (other, 2)].map(|(tx, n)| thread::spawn(move || tx.send(n).unwrap()));
        let sum: u32 = (0..3).map(|_| rx.recv().unwrap()).sum();
        assert_eq!(sum, 3);
        for sender in senders {
            sender.join().unwrap();
        }
    });
}

#[test]
fn each_sender_stays_in_order() {
    check(2, || {
        let (tx, mut rx) = mpsc::channel(2);
        let other = tx.clone();
        let senders = [(tx, 0), (other, 10)].map(|(tx, first)| {
            thread::spawn(move || {
                for n in 0..2 {
                    tx.send(first + n).unwrap();
                }
            })
        });
        let mut got = Vec::new();
        while let Ok(n) = rx.recv() {
            got.push(n);
        }
        for first in [0, 10] {
            let own: Vec<_> = got.iter().copied().filter(|n| n / 10 * 10 == first).collect();
            assert_eq!(own, [first, first + 1]);
        }
        for sender in senders {
            sender.join().unwrap();
        }
    });
}

/// A sender's future that was woken and is dropped wakes the next one.
#[test]
fn a_dropped_send_passes_its_wake_on() {
    check(2, || {
        let (tx, mut rx) = mpsc::channel(1);
        tx.send(0).unwrap();
        let other = tx.clone();
        let fickle = thread::spawn(move || {
            let mut send = pin!(tx.send_async(1));
            matches!(poll_once(send.as_mut()), Poll::Ready(Ok(())))
        });
        let steady = thread::spawn(move || other.send(2).unwrap());
        assert_eq!(rx.recv(), Ok(0));
        // The ring has room now, so whoever waits for it must come.
        let mut got = vec![rx.recv().unwrap()];
        if fickle.join().unwrap() {
            got.push(rx.recv().unwrap());
        }
        assert!(got.contains(&2));
        steady.join().unwrap();
    });
}

/// The receiver's drop against two senders, one message of each.
#[test]
fn what_is_sent_to_a_receiver_that_goes_is_dropped_or_comes_back() {
    check(2, || {
        let (tx, rx) = mpsc::channel(1);
        let other = tx.clone();
        let senders = [(tx, 1), (other, 2)].map(|(tx, n)| {
            thread::spawn(move || match tx.send(Token::new(n)) {
                Ok(()) => {}
                Err(SendError(back)) => assert_eq!(back.number(), n),
            })
        });
        drop(rx);
        for sender in senders {
            sender.join().unwrap();
        }
    });
}

/// Close against two senders: what is received is what was sent.
#[test]
fn close_is_exact() {
    check(2, || {
        let (tx, mut rx) = mpsc::channel(2);
        let other = tx.clone();
        let senders = [(tx, 1), (other, 2)].map(|(tx, n)| {
            thread::spawn(move || if tx.try_send(Token::new(n)).is_ok() { n } else { 0 })
        });
        rx.close();
        let mut got = 0;
        while let Ok(token) = rx.recv() {
            got += token.number();
        }
        assert_eq!(got, senders.into_iter().map(|sender| sender.join().unwrap()).sum::<u32>());
    });
}
