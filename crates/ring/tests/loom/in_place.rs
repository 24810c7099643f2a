//! Parts of a ring: batches that are written and read in place.

use chaski_ring::SendError;
use chaski_ring::spsc::{self, Reserve};
use loom::thread;

use crate::kit::{Token, block_on, check};

fn fill(mut room: Reserve<'_, Token>, from: u32) -> u32 {
    let capacity = room.capacity() as u32;
    let count = room.extend_from_iter((from..from + capacity).map(Token::new));
    room.commit().unwrap();
    count as u32
}

/// Reserve and commit against peek and release, both blocking, around the end of the ring.
fn batches(capacity: usize, messages: u32) {
    check(2, move || {
        let (mut tx, mut rx) = spsc::channel(capacity);
        let sender = thread::spawn(move || {
            let mut next = 0;
            while next < messages {
                next += fill(tx.reserve((messages - next).min(2) as usize).unwrap(), next);
            }
        });
        let mut next = 0;
        while let Ok(unread) = rx.peek() {
            for token in unread.iter() {
                assert_eq!(token.number(), next);
                next += 1;
            }
            unread.release_all();
        }
        assert_eq!(next, messages);
        sender.join().unwrap();
    });
}

#[test]
fn batches_are_passed_capacity_1() {
    batches(1, 2);
}

#[test]
fn batches_are_passed_capacity_2() {
    batches(2, 3);
}

/// As tasks that are polled only when woken; the receiver moves messages out one by one.
#[test]
fn batches_are_awaited() {
    check(2, || {
        let (mut tx, mut rx) = spsc::channel(2);
        let sender = thread::spawn(move || {
            block_on(async {
                let mut next = 0;
                while next < 2 {
                    next += fill(tx.reserve_async(2 - next as usize).await.unwrap(), next);
                }
            });
        });
        block_on(async {
            let mut next = 0;
            while let Ok(unread) = rx.peek_async().await {
                let token = unread.into_iter().next().unwrap();
                assert_eq!(token.number(), next);
                next += 1;
            }
            assert_eq!(next, 2);
        });
        sender.join().unwrap();
    });
}

/// A wait for more room than there is, while the receiver takes one message after the other.
#[test]
fn exactly_so_much_room_is_waited_for() {
    check(3, || {
        let (mut tx, mut rx) = spsc::channel(2);
        tx.send(0).unwrap();
        let sender = thread::spawn(move || {
            let mut room = tx.reserve_exact(2).unwrap();
            assert_eq!(room.extend_from_iter(1..3), 2);
            room.commit().unwrap();
        });
        for n in 0..3 {
            assert_eq!(rx.recv(), Ok(n));
        }
        sender.join().unwrap();
    });
}

/// A commit that meets a close: what is received is a beginning of the batch, and all of it if the
/// commit says so. What is not received is dropped, or loom names the leak.
#[test]
fn close_cuts_a_batch() {
    check(3, || {
        let (mut tx, mut rx) = spsc::channel(4);
        let sender = thread::spawn(move || {
            let Ok(mut room) = tx.reserve(2) else { return Err(0) };
            room.extend_from_iter((0..2).map(Token::new));
            if room.commit().is_err() {
                return Err(0);
            }
            // Alone it comes back.
            tx.send(Token::new(2)).map_err(|SendError(back)| back.number())
        });
        rx.close();
        let mut next = 0;
        while let Ok(token) = rx.recv() {
            assert_eq!(token.number(), next);
            next += 1;
        }
        match sender.join().unwrap() {
            Ok(()) => assert_eq!(next, 3),
            Err(2) => assert_eq!(next, 2),
            Err(_) => assert!(next <= 2),
        }
    });
}

#[test]
fn a_batch_is_dropped_with_the_receiver() {
    check(3, || {
        let (mut tx, rx) = spsc::channel(2);
        let sender = thread::spawn(move || {
            assert!(tx.send_all((0..3).map(Token::new)).is_err());
        });
        drop(rx);
        sender.join().unwrap();
    });
}
