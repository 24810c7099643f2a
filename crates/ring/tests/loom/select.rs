//! Select: no wake-up is lost, neither of the chosen source nor of another.

use std::pin::pin;
use std::task::Poll;

use chaski_ring::select::{self, Source};
use chaski_ring::{mpmc, mpsc, oneshot};
use loom::thread;

use crate::kit::{Token, block_on, check, poll_once};

#[test]
fn is_woken_by_either() {
    check(2, || {
        let (ta, mut ra) = mpsc::channel(1);
        let (tb, rb) = oneshot::channel();
        let a = thread::spawn(move || ta.send(Token::new(1)).unwrap());
        let b = thread::spawn(move || tb.send(Token::new(2)).unwrap());
        let first = select::ready(&[&ra, &rb]);
        if first == 0 {
            assert_eq!(ra.try_recv().unwrap().number(), 1);
            assert_eq!(rb.recv().unwrap().number(), 2);
        } else {
            assert_eq!(rb.recv().unwrap().number(), 2);
            assert_eq!(ra.recv().unwrap().number(), 1);
        }
        a.join().unwrap();
        b.join().unwrap();
    });
}

#[test]
fn is_woken_by_a_close() {
    check(3, || {
        let (ta, ra) = mpsc::channel::<Token>(1);
        let (_tb, rb) = mpmc::channel::<Token>(1);
        let a = thread::spawn(move || drop(ta));
        assert_eq!(select::ready(&[&rb, &ra]), 1);
        a.join().unwrap();
    });
}

/// A select and a receiver wait for one message each; the select may be woken for both channels and
/// chooses one. Whoever waits for the other must not sleep over it.
#[test]
fn what_it_does_not_choose_wakes_another() {
    check(2, || {
        let (ta, ra) = mpmc::channel::<Token>(1);
        let (tb, rb) = mpmc::channel::<Token>(1);
        let other = rb.clone();
        let receiver = thread::spawn(move || other.recv().unwrap().number());
        let sender = thread::spawn(move || {
            ta.send(Token::new(1)).unwrap();
            tb.send(Token::new(2)).unwrap();
            (ta, tb)
        });
        let sources: [&dyn Source; 2] = [&ra, &rb];
        // Whatever it says, this takes from the first channel only.
        let _ = select::ready(&sources);
        assert_eq!(ra.recv().unwrap().number(), 1);
        assert_eq!(receiver.join().unwrap(), 2);
        drop(sender.join().unwrap());
    });
}

#[test]
fn a_cancelled_one_passes_its_wake_up_on() {
    check(2, || {
        let (tx, rx) = mpmc::channel::<Token>(1);
        let other = rx.clone();
        let receiver = thread::spawn(move || block_on(other.recv_async()).unwrap().number());
        let sender = thread::spawn(move || {
            tx.send(Token::new(1)).unwrap();
            tx
        });
        let sources: [&dyn Source; 1] = [&rx];
        {
            let selecting = pin!(select::ready_async(&sources));
            if let Poll::Ready(index) = poll_once(selecting) {
                assert_eq!(index, 0);
            }
        }
        assert_eq!(receiver.join().unwrap(), 1);
        drop(sender.join().unwrap());
    });
}
