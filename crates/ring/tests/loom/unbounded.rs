//! The list of blocks. In a model a block holds two messages, so that every program comes to the
//! step from one to the next and to the end of a block.

use chaski_ring::{RecvError, SendError, TryRecvError, unbounded};
use loom::thread;

use crate::kit::{Token, block_on, check};

#[test]
fn blocks_for_messages_in_two_blocks() {
    check(2, || {
        let (tx, rx) = unbounded::channel();
        let sender = thread::spawn(move || (0..3).for_each(|n| tx.send(Token::new(n)).unwrap()));
        for n in 0..3 {
            assert_eq!(rx.recv().map(|token| token.number()), Ok(n));
        }
        assert!(matches!(rx.recv(), Err(RecvError)));
        sender.join().unwrap();
    });
}

#[test]
fn awaits_messages_and_the_end() {
    check(3, || {
        let (tx, rx) = unbounded::channel();
        let sender = thread::spawn(move || tx.send_all(0..3).unwrap());
        block_on(async {
            for n in 0..3 {
                assert_eq!(rx.recv_async().await, Ok(n));
            }
            assert_eq!(rx.recv_async().await, Err(RecvError));
        });
        sender.join().unwrap();
    });
}

/// One of them makes the step to the next block.
#[test]
fn two_senders_stay_in_order() {
    check(1, || {
        let (tx, rx) = unbounded::channel();
        tx.send(0).unwrap();
        let other = tx.clone();
        let senders =
            [(tx, 1), (other, 10)].map(|(tx, n)| thread::spawn(move || tx.send(n).unwrap()));
        let mut next = [0, 10];
        while let Ok(n) = rx.recv() {
            let own = &mut next[n / 10];
            assert_eq!(n, *own);
            *own += 1;
        }
        assert_eq!(next, [2, 11]);
        for sender in senders {
            sender.join().unwrap();
        }
    });
}

/// Two receivers in one block: whoever reads the last message retires it, or leaves word to the
/// other.
#[test]
fn two_receivers_share_blocks() {
    check(2, || {
        let (tx, rx) = unbounded::channel();
        let sum = tx.send_all((1..4).map(Token::new)).map(|_| 1 + 2 + 3).unwrap();
        drop(tx);
        let other = rx.clone();
        let receive = |rx: unbounded::Receiver<Token>| {
            let (mut sum, mut last) = (0, 0);
            while let Ok(token) = rx.recv() {
                assert!(token.number() > last);
                last = token.number();
                sum += last;
            }
            sum
        };
        let receiver = thread::spawn(move || receive(other));
        assert_eq!(receive(rx) + receiver.join().unwrap(), sum);
    });
}

/// A batch that is claimed at once, against one who takes single messages.
#[test]
fn batches_and_single_messages_come_once() {
    check(2, || {
        let (tx, rx) = unbounded::channel();
        tx.send_all(1..4).unwrap();
        drop(tx);
        let other = rx.clone();
        let receiver = thread::spawn(move || {
            let mut got = Vec::new();
            while other.recv_many(&mut got, 2).is_ok() {}
            got.into_iter().sum::<u32>()
        });
        assert_eq!(rx.iter().sum::<u32>() + receiver.join().unwrap(), 6);
    });
}

/// Two receivers asleep, one message: one of them takes it, and both learn of the end.
#[test]
fn one_of_two_receivers_asleep_is_woken() {
    check(1, || {
        let (tx, rx) = unbounded::channel();
        let other = rx.clone();
        let receiver = thread::spawn(move || other.iter().sum::<u32>());
        let sender = thread::spawn(move || tx.send(1).unwrap());
        assert_eq!(rx.iter().sum::<u32>() + receiver.join().unwrap(), 1);
        sender.join().unwrap();
    });
}

/// A block that was freed is used again.
#[test]
fn blocks_are_used_again() {
    check(2, || {
        let (tx, rx) = unbounded::channel();
        for n in 0..3 {
            tx.send(n).unwrap();
            assert_eq!(rx.try_recv(), Ok(n));
        }
        let sender = thread::spawn(move || (3..5).for_each(|n| tx.send(n).unwrap()));
        for n in 3..5 {
            assert_eq!(rx.recv(), Ok(n));
        }
        sender.join().unwrap();
    });
}

/// Every message that was sent is received, and every other one comes back.
#[test]
fn close_is_exact() {
    check(2, || {
        let (tx, rx) = unbounded::channel();
        let other = tx.clone();
        let senders = [(tx, 1), (other, 10)].map(|(tx, unit)| {
            thread::spawn(move || (0..2).filter(|_| tx.send(Token::new(unit)).is_ok()).count())
        });
        rx.close();
        let mut got = 0;
        while let Ok(token) = rx.recv() {
            got += token.number() as usize;
        }
        assert!(matches!(rx.try_recv(), Err(TryRecvError::Closed)));
        let [ones, tens] = senders.map(|sender| sender.join().unwrap());
        assert_eq!(got, ones + 10 * tens);
    });
}

/// What is sent is dropped with the last receiver, or loom names the leak.
#[test]
fn what_is_sent_to_a_receiver_that_goes_is_dropped_or_comes_back() {
    check(3, || {
        let (tx, rx) = unbounded::channel();
        let sender = thread::spawn(move || {
            for n in 0..3 {
                if let Err(SendError(back)) = tx.send(Token::new(n)) {
                    assert_eq!(back.number(), n);
                }
            }
        });
        drop(rx);
        sender.join().unwrap();
    });
}
