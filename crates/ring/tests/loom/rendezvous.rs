//! The rendezvous: what is given up is given back or was received, never both, never neither.

use std::pin::pin;
use std::task::Poll;

use chaski_ring::{RecvError, TryRecvError, rendezvous};
use loom::sync::Arc;
use loom::thread;

use crate::kit::{Token, block_on, check, poll_once};

#[test]
fn two_threads_meet() {
    check(3, || {
        let (tx, rx) = rendezvous::channel();
        let sender = thread::spawn(move || tx.send(Token::new(1)).unwrap());
        assert_eq!(rx.recv().unwrap().number(), 1);
        sender.join().unwrap();
        assert_eq!(rx.recv().err(), Some(RecvError));
    });
}

#[test]
fn two_senders_meet_one_receiver() {
    check(2, || {
        let (tx, rx) = rendezvous::channel();
        let other = tx.clone();
        let senders = [
            thread::spawn(move || tx.send(Token::new(1)).unwrap()),
            thread::spawn(move || other.send(Token::new(2)).unwrap()),
        ];
        let got = rx.recv().unwrap().number() + rx.recv().unwrap().number();
        assert_eq!(got, 3);
        for sender in senders {
            sender.join().unwrap();
        }
    });
}

#[test]
fn a_task_comes_for_an_offer() {
    check(2, || {
        let (tx, rx) = rendezvous::channel();
        let sender = thread::spawn(move || block_on(tx.send_async(Token::new(1))).unwrap());
        assert_eq!(block_on(rx.recv_async()).unwrap().number(), 1);
        sender.join().unwrap();
    });
}

#[test]
fn a_send_that_is_cancelled_is_received_or_taken_back() {
    check(3, || {
        let (tx, rx) = rendezvous::channel::<Token>();
        let receiver = thread::spawn(move || rx.try_recv().map(|token| token.number()));
        let mut slot = Some(Token::new(1));
        let sent = {
            let sending = pin!(tx.send_from_async(&mut slot));
            matches!(poll_once(sending), Poll::Ready(Ok(())))
        };
        let received = match receiver.join().unwrap() {
            Ok(number) => number == 1,
            Err(error) => {
                assert!(matches!(error, TryRecvError::Empty | TryRecvError::Closed));
                false
            }
        };
        assert!(received != slot.is_some(), "both or neither");
        assert!(!sent || received);
    });
}

#[test]
fn an_offer_passes_from_a_cancelled_receiver_to_the_next() {
    check(2, || {
        let (tx, rx) = rendezvous::channel();
        let rx = Arc::new(rx);
        let other = Arc::clone(&rx);
        let cancelled = thread::spawn(move || {
            let receiving = pin!(other.recv_async());
            let got = match poll_once(receiving) {
                Poll::Ready(got) => got.is_ok(),
                Poll::Pending => false,
            };
            usize::from(got)
        });
        let sender = thread::spawn(move || {
            let sent = tx.send(Token::new(1)).is_ok();
            drop(tx);
            usize::from(sent)
        });
        let got = usize::from(block_on(rx.recv_async()).is_ok());
        assert_eq!(sender.join().unwrap(), got + cancelled.join().unwrap());
    });
}

#[test]
fn a_close_gives_back_what_is_offered() {
    check(3, || {
        let (tx, rx) = rendezvous::channel();
        let sender = thread::spawn(move || match tx.send(Token::new(1)) {
            Ok(()) => None,
            Err(error) => Some(error.into_inner().number()),
        });
        drop(rx);
        assert_eq!(sender.join().unwrap(), Some(1));
    });
}

#[test]
fn a_blocked_receiver_learns_that_the_sender_went() {
    check(3, || {
        let (tx, rx) = rendezvous::channel::<Token>();
        let sender = thread::spawn(move || drop(tx));
        assert_eq!(rx.recv().err(), Some(RecvError));
        sender.join().unwrap();
    });
}
