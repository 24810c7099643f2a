//! Several senders, several receivers.

use std::pin::pin;
use std::task::Poll;

use chaski_ring::{RecvError, SendError, mpmc};
use loom::thread;

use crate::kit::{Token, block_on, check, poll_once};

/// Two receivers that want one message each, and a sender that has two.
fn two_receivers(capacity: usize) {
    check(2, move || {
        let (tx, rx) = mpmc::channel(capacity);
        let receivers = [rx.clone(), rx].map(|rx| thread::spawn(move || rx.recv().unwrap()));
        tx.send(1).unwrap();
        tx.send(2).unwrap();
        let sum: u32 = receivers.into_iter().map(|receiver| receiver.join().unwrap()).sum();
        assert_eq!(sum, 3);
    });
}

#[test]
fn two_receivers_one_message_each_capacity_1() {
    two_receivers(1);
}

#[test]
fn two_receivers_one_message_each_capacity_2() {
    two_receivers(2);
}

#[test]
fn two_tasks_one_message_each() {
    check(2, move || {
        let (tx, rx) = mpmc::channel(2);
        let receivers =
            [rx.clone(), rx].map(|rx| thread::spawn(move || block_on(rx.recv_async()).unwrap()));
        tx.send(1).unwrap();
        tx.send(2).unwrap();
        let sum: u32 = receivers.into_iter().map(|receiver| receiver.join().unwrap()).sum();
        assert_eq!(sum, 3);
    });
}

/// A batch wakes as many receivers as it has messages.
#[test]
fn a_batch_for_two_receivers() {
    check(2, || {
        let (tx, rx) = mpmc::channel(2);
        let receivers = [rx.clone(), rx].map(|rx| thread::spawn(move || rx.recv().unwrap()));
        tx.send_all([1, 2]).unwrap();
        let sum: u32 = receivers.into_iter().map(|receiver| receiver.join().unwrap()).sum();
        assert_eq!(sum, 3);
    });
}

/// A receiver that takes several leaves the other to learn of the end.
#[test]
fn batches_at_two_receivers() {
    check(2, || {
        let (tx, rx) = mpmc::channel(2);
        let receivers = [rx.clone(), rx].map(|rx| {
            thread::spawn(move || {
                let mut got = Vec::new();
                while rx.recv_many(&mut got, 2).is_ok() {}
                got.iter().sum::<u32>()
            })
        });
        tx.send_all([1, 2]).unwrap();
        drop(tx);
        let sum: u32 = receivers.into_iter().map(|receiver| receiver.join().unwrap()).sum();
        assert_eq!(sum, 3);
    });
}

/// Two senders and two receivers meet at one place.
#[test]
fn two_and_two() {
    check(2, || {
        let (tx, rx) = mpmc::channel(1);
        let sender = {
            let tx = tx.clone();
            thread::spawn(move || tx.send(1).unwrap())
        };
        let receiver = {
            let rx = rx.clone();
            thread::spawn(move || rx.recv().unwrap())
        };
        let other = thread::spawn(move || rx.recv().unwrap());
        tx.send(2).unwrap();
        sender.join().unwrap();
        assert_eq!(receiver.join().unwrap() + other.join().unwrap(), 3);
    });
}

/// A receiver's future that was woken and is dropped wakes the other receiver.
#[test]
fn a_dropped_receive_passes_its_wake_on() {
    check(3, || {
        let (tx, rx) = mpmc::channel(1);
        let fickle = {
            let rx = rx.clone();
            let tx = tx.clone();
            thread::spawn(move || {
                let mut recv = pin!(rx.recv_async());
                if let Poll::Ready(Ok(n)) = poll_once(recv.as_mut()) {
                    // Not cancelled: the message is this one's, so the other needs a new one.
                    tx.send(n).unwrap();
                }
            })
        };
        let steady = thread::spawn(move || assert_eq!(rx.recv(), Ok(5)));
        tx.send(5).unwrap();
        fickle.join().unwrap();
        steady.join().unwrap();
    });
}

/// As above, with the future dropped by a thread that has seen it woken.
#[test]
fn a_receive_dropped_after_its_wake_passes_it_on() {
    check(2, || {
        let (tx, rx) = mpmc::channel(1);
        let first = rx.clone();
        let mut recv = Box::pin(first.recv_async());
        assert!(poll_once(recv.as_mut()).is_pending());
        let steady = thread::spawn(move || assert_eq!(rx.recv(), Ok(5)));
        let sender = thread::spawn(move || tx.send(5).unwrap());
        drop(recv);
        sender.join().unwrap();
        steady.join().unwrap();
    });
}

#[test]
fn all_receivers_learn_that_the_last_sender_is_gone() {
    check(2, || {
        let (tx, rx) = mpmc::channel::<u32>(1);
        let receivers =
            [rx.clone(), rx].map(|rx| thread::spawn(move || assert_eq!(rx.recv(), Err(RecvError))));
        let other = tx.clone();
        let sender = thread::spawn(move || drop(other));
        drop(tx);
        sender.join().unwrap();
        for receiver in receivers {
            receiver.join().unwrap();
        }
    });
}

/// Two receivers go, and with the last what was sent.
#[test]
fn the_last_receiver_drops_what_was_sent() {
    check(2, || {
        let (tx, rx) = mpmc::channel(1);
        let other = rx.clone();
        let receiver = thread::spawn(move || drop(other.try_recv()));
        let sender = thread::spawn(move || {
            for n in 0..2 {
                if let Err(SendError(back)) = tx.send(Token::new(n)) {
                    assert_eq!(back.number(), n);
                }
            }
        });
        drop(rx);
        sender.join().unwrap();
        receiver.join().unwrap();
    });
}

/// A close by one end against a sender and a receiver at work.
#[test]
fn close_is_exact() {
    check(2, || {
        let (tx, rx) = mpmc::channel(2);
        let sender = {
            let tx = tx.clone();
            thread::spawn(move || {
                (1..3).filter(|n| tx.try_send(Token::new(*n)).is_ok()).sum::<u32>()
            })
        };
        let receiver = thread::spawn(move || {
            let mut sum = 0;
            while let Ok(token) = rx.recv() {
                sum += token.number();
            }
            sum
        });
        tx.close();
        assert_eq!(sender.join().unwrap(), receiver.join().unwrap());
    });
}
