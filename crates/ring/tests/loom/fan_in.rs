//! A lane for each sender: lanes that come and go while the receiver sleeps, closes or goes.

use chaski_ring::{RecvError, SendError, TryRecvError, fan_in};
use loom::thread;

use crate::kit::{Token, block_on, check};

/// Two lanes of one place each, both full, and one of them with a sender that waits for room.
#[test]
fn each_sender_stays_in_order() {
    check(2, || {
        let (mut tx, mut rx) = fan_in::channel(1);
        let mut other = tx.clone();
        other.send(10).unwrap();
        tx.send(0).unwrap();
        let sender = thread::spawn(move || {
            drop(other);
            tx.send(1).unwrap();
        });
        let mut next = [0, 10];
        while let Ok(n) = rx.recv() {
            let lane = &mut next[n / 10];
            assert_eq!(n, *lane);
            *lane += 1;
        }
        assert_eq!(next, [2, 11]);
        sender.join().unwrap();
    });
}

/// The lane appears, gives its message and goes while the receiver may be asleep already; and it is
/// not taken for the last one.
#[test]
fn a_lane_that_comes_later_is_found() {
    check(3, || {
        let (tx, mut rx) = fan_in::channel(1);
        let sender = thread::spawn(move || {
            let mut other = tx.clone();
            drop(tx);
            other.send(7).unwrap();
        });
        assert_eq!(rx.recv(), Ok(7));
        assert_eq!(rx.recv(), Err(RecvError));
        sender.join().unwrap();
    });
}

#[test]
fn a_lane_that_comes_later_is_awaited() {
    check(3, || {
        let (tx, mut rx) = fan_in::channel(1);
        let sender = thread::spawn(move || {
            let mut other = tx.clone();
            block_on(other.send_async(7)).unwrap();
        });
        assert_eq!(block_on(rx.recv_async()), Ok(7));
        assert_eq!(block_on(rx.recv_async()), Err(RecvError));
        sender.join().unwrap();
    });
}

/// Without waiting: empty until the last message of the last sender, then closed.
#[test]
fn tries_see_the_end_after_the_last_message() {
    check(2, || {
        let (tx, mut rx) = fan_in::channel(1);
        let other = tx.clone();
        let senders = [(tx, 1), (other, 2)]
            .map(|(mut tx, n)| thread::spawn(move || tx.send(Token::new(n)).unwrap()));
        let mut sum = 0;
        loop {
            match rx.try_recv() {
                Ok(token) => sum += token.number(),
                Err(TryRecvError::Empty) => thread::yield_now(),
                Err(TryRecvError::Closed) => break,
            }
        }
        assert_eq!(sum, 3);
        for sender in senders {
            sender.join().unwrap();
        }
    });
}

/// Close against one sender of each kind: of a lane that the receiver visits, and of one that is
/// made meanwhile.
#[test]
fn close_is_exact() {
    check(2, || {
        let (tx, mut rx) = fan_in::channel(2);
        let mut known = tx.clone();
        assert_eq!(rx.try_recv().map(|_: Token| ()), Err(TryRecvError::Empty));
        let known = thread::spawn(move || u32::from(known.try_send(Token::new(1)).is_ok()));
        let unknown = thread::spawn(move || {
            let mut late = tx.clone();
            if late.try_send(Token::new(2)).is_ok() { 2 } else { 0 }
        });
        rx.close();
        let mut got = 0;
        while let Ok(token) = rx.recv() {
            got += token.number();
        }
        assert_eq!(got, known.join().unwrap() + unknown.join().unwrap());
    });
}

/// The receiver's drop against a sender that clones itself. Nothing leaks.
#[test]
fn what_is_sent_to_a_receiver_that_goes_is_dropped_or_comes_back() {
    check(3, || {
        let (mut tx, rx) = fan_in::channel(1);
        let sender = thread::spawn(move || {
            let mut other = tx.clone();
            for (tx, n) in [(&mut tx, 1), (&mut other, 2)] {
                if let Err(SendError(back)) = tx.send(Token::new(n)) {
                    assert_eq!(back.number(), n);
                }
            }
        });
        drop(rx);
        sender.join().unwrap();
    });
}

/// A sender asleep on a full lane is woken by the close.
#[test]
fn close_wakes_a_sender_asleep() {
    check(3, || {
        let (mut tx, mut rx) = fan_in::channel(1);
        tx.send(Token::new(0)).unwrap();
        let sender =
            thread::spawn(move || tx.send(Token::new(1)).map_err(|SendError(back)| back.number()));
        rx.close();
        assert_eq!(rx.recv().map(|token| token.number()), Ok(0));
        assert!(matches!(rx.recv(), Err(RecvError)));
        assert_eq!(sender.join().unwrap(), Err(1));
    });
}
