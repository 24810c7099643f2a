//! The broadcast: every receiver sees every message or learns of the gap, and none torn.

use std::pin::pin;

use chaski_ring::broadcast::{self, Lag, RecvError, TryRecvError};
use loom::thread;

use crate::kit::{Token, block_on, check, poll_once};

/// Receives to the end; the numbers, with a gap as the negative of what was missed.
fn drain(mut rx: broadcast::Receiver<Token>) -> Vec<i64> {
    let mut got = Vec::new();
    loop {
        match rx.recv() {
            Ok(token) => got.push(i64::from(token.number())),
            Err(RecvError::Lagged(missed)) => got.push(-i64::try_from(missed).unwrap()),
            Err(RecvError::Closed) => return got,
        }
    }
}

#[test]
fn one_receiver_that_may_lag() {
    check(3, || {
        let (tx, rx) = broadcast::channel(1);
        let sender = thread::spawn(move || {
            tx.send(Token::new(1)).unwrap();
            tx.send(Token::new(2)).unwrap();
        });
        let got = drain(rx);
        assert!(got == [1, 2] || got == [-1, 2], "{got:?}");
        sender.join().unwrap();
    });
}

#[test]
fn two_receivers_that_may_lag() {
    check(2, || {
        let (tx, rx) = broadcast::channel(1);
        let other = rx.clone();
        let receiver = thread::spawn(move || {
            let got = drain(other);
            assert!(got == [1, 2] || got == [-1, 2], "{got:?}");
        });
        let sender = thread::spawn(move || {
            tx.send(Token::new(1)).unwrap();
            tx.send(Token::new(2)).unwrap();
        });
        let got = drain(rx);
        assert!(got == [1, 2] || got == [-1, 2], "{got:?}");
        receiver.join().unwrap();
        sender.join().unwrap();
    });
}

#[test]
fn a_slot_is_not_written_while_it_is_cloned() {
    check(3, || {
        let (tx, mut rx) = broadcast::channel(1);
        tx.send(Token::new(1)).unwrap();
        let sender = thread::spawn(move || {
            tx.send(Token::new(2)).unwrap();
            tx
        });
        match rx.try_recv() {
            Ok(token) => assert!(token.number() == 1),
            Err(TryRecvError::Lagged(missed)) => assert_eq!(missed, 1),
            Err(error) => panic!("{error}"),
        }
        drop(sender.join().unwrap());
    });
}

#[test]
fn the_sender_waits_for_the_slowest() {
    check(2, || {
        let (tx, rx) = broadcast::channel_with(1, Lag::Block);
        let other = rx.clone();
        let receiver = thread::spawn(move || assert_eq!(drain(other), [1, 2]));
        let sender = thread::spawn(move || {
            tx.send(Token::new(1)).unwrap();
            tx.send(Token::new(2)).unwrap();
        });
        assert_eq!(drain(rx), [1, 2]);
        receiver.join().unwrap();
        sender.join().unwrap();
    });
}

#[test]
fn a_receiver_that_goes_lets_the_sender_on() {
    check(3, || {
        let (tx, mut rx) = broadcast::channel_with(1, Lag::Block);
        let slow = rx.clone();
        tx.send(Token::new(1)).unwrap();
        assert_eq!(rx.recv().unwrap().number(), 1);
        let sender = thread::spawn(move || tx.send(Token::new(2)).unwrap());
        drop(slow);
        sender.join().unwrap();
        assert_eq!(drain(rx), [2]);
    });
}

#[test]
fn the_last_receiver_that_goes_drops_what_is_left() {
    check(3, || {
        let (tx, rx) = broadcast::channel(2);
        let sender = thread::spawn(move || {
            let first = tx.send(Token::new(1)).is_ok();
            let second = tx.send(Token::new(2)).is_ok();
            assert!(first || !second);
        });
        drop(rx);
        sender.join().unwrap();
    });
}

#[test]
fn who_joins_meanwhile_sees_an_unbroken_run() {
    check(2, || {
        let (tx, rx) = broadcast::channel_with(1, Lag::Block);
        let joining = tx.clone();
        let joiner = thread::spawn(move || {
            let late = joining.subscribe();
            drop(joining);
            let got = drain(late);
            assert!([1, 2].ends_with(&got[..]), "{got:?}");
        });
        let sender = thread::spawn(move || {
            tx.send(Token::new(1)).unwrap();
            tx.send(Token::new(2)).unwrap();
        });
        assert_eq!(drain(rx), [1, 2]);
        joiner.join().unwrap();
        sender.join().unwrap();
    });
}

#[test]
fn awaiting_receivers_are_all_woken() {
    check(2, || {
        let (tx, mut rx) = broadcast::channel::<Token>(1);
        let mut other = rx.clone();
        let receiver = thread::spawn(move || {
            assert_eq!(block_on(other.recv_async()).unwrap().number(), 1);
        });
        let sender = thread::spawn(move || {
            tx.send(Token::new(1)).unwrap();
            tx
        });
        let _ = poll_once(pin!(rx.recv_async()));
        receiver.join().unwrap();
        drop(sender.join().unwrap());
    });
}

#[test]
fn blocked_receivers_are_all_woken() {
    check(2, || {
        let (tx, rx) = broadcast::channel::<Token>(1);
        let receivers = [rx.clone(), rx]
            .map(|mut rx| thread::spawn(move || assert_eq!(rx.recv().unwrap().number(), 1)));
        tx.send(Token::new(1)).unwrap();
        for receiver in receivers {
            receiver.join().unwrap();
        }
    });
}
