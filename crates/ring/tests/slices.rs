//! What the channel of slices promises beyond the other channels.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use chaski_ring::spsc as slices;
use chaski_ring::{
    RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError,
};

mod common;

use common::{MANY, block_on};

#[test]
fn room_is_two_parts_at_the_wrap_and_so_are_messages() {
    // Eight slots and no more: the quantum is one.
    let (mut tx, mut rx) = slices::channel(8);
    tx.send_all(0..6).unwrap();
    rx.peek().unwrap().release(5);

    let mut room = tx.try_reserve(100).unwrap();
    assert_eq!(room.capacity(), 7);
    let (first, second) = room.unfilled_mut();
    assert_eq!((first.len(), second.len()), (2, 5));
    assert_eq!(room.extend_from_iter(6..9), 3);
    assert_eq!(room.filled_mut(), (&mut [6, 7][..], &mut [8][..]));
    assert_eq!(room.copy_from_slice(&[9, 10, 11, 12, 13, 14]), 4);
    assert_eq!(room.push(13), Err(13));
    room.commit().unwrap();

    assert_eq!(tx.try_reserve(1).unwrap_err(), TrySendError::Full(()));
    // What was known of at the last look, and then the rest.
    let unread = rx.try_peek().unwrap();
    assert_eq!(unread.iter().collect::<Vec<_>>(), [&5]);
    unread.release_all();
    let unread = rx.try_peek().unwrap();
    assert_eq!(unread.as_slices(), (&[6, 7][..], &[8, 9, 10, 11, 12][..]));
    unread.release(1);
    let unread = rx.try_peek().unwrap();
    assert_eq!(unread.into_iter().collect::<Vec<_>>(), [7, 8, 9, 10, 11, 12]);
    assert_eq!(rx.try_peek().unwrap_err(), TryRecvError::Empty);
}

#[test]
fn room_is_written_in_place() {
    let (mut tx, mut rx) = slices::channel(4);
    let mut room = tx.reserve(3).unwrap();
    room.push(1).unwrap();
    let (rest, none) = room.unfilled_mut();
    assert_eq!((rest.len(), none.len()), (2, 0));
    for (n, slot) in (2..).zip(rest) {
        slot.write(n);
    }
    // SAFETY: both were written.
    unsafe { room.assume_filled(2) };
    room.filled_mut().0[0] = 10;
    room.commit().unwrap();
    let mut into = [0; 2];
    assert_eq!(rx.peek().unwrap().read_into(&mut into), 2);
    assert_eq!(into, [10, 2]);
    assert_eq!(rx.recv(), Ok(3));
}

#[test]
#[should_panic(expected = "more than the reserve has room for")]
fn nothing_is_filled_beyond_the_room() {
    let (mut tx, _rx) = slices::channel::<u8>(4);
    let mut room = tx.reserve(2).unwrap();
    // SAFETY: none is: it is refused.
    unsafe { room.assume_filled(3) };
}

#[test]
fn a_message_without_a_size_has_a_place_too() {
    let (mut tx, mut rx) = slices::channel(3);
    assert_eq!(tx.send_all([(); 3]), Ok(3));
    assert!(tx.try_send(()).is_err());
    assert_eq!(rx.peek().unwrap().as_slices().0.len(), 3);
    assert_eq!(rx.iter().take(3).count(), 3);
}

#[test]
fn what_is_not_committed_is_not_sent_and_dropped() {
    let message = Arc::new(());
    let (mut tx, mut rx) = slices::channel(4);
    let mut room = tx.reserve(4).unwrap();
    assert_eq!(room.extend_from_iter([Arc::clone(&message), Arc::clone(&message)]), 2);
    drop(room);
    assert_eq!(Arc::strong_count(&message), 1);
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    // The room is there again.
    assert_eq!(tx.reserve(4).unwrap().capacity(), 4);
}

#[test]
fn an_iterator_that_panics_loses_nothing_that_was_filled() {
    let (mut tx, mut rx) = slices::channel(4);
    let messages = |fatal| (0..4).map(move |n| if n == fatal { panic!("fatal") } else { n });
    let panicked = catch_unwind(AssertUnwindSafe(|| tx.send_all(messages(2))));
    assert!(panicked.is_err());
    assert_eq!(rx.try_iter().collect::<Vec<_>>(), [0, 1]);

    let mut room = tx.reserve(4).unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(|| room.extend_from_iter(messages(1))));
    assert!(panicked.is_err());
    assert_eq!(room.len(), 1);
    room.commit().unwrap();
    assert_eq!(rx.try_iter().collect::<Vec<_>>(), [0]);
}

#[test]
fn what_was_peeked_at_comes_again_until_it_is_released() {
    let message = Arc::new(());
    let (mut tx, mut rx) = slices::channel(4);
    tx.send_all((0..3).map(|n| (n, Arc::clone(&message)))).unwrap();
    for _ in 0..2 {
        let unread = rx.try_peek().unwrap();
        assert_eq!(unread.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [0, 1, 2]);
    }
    rx.try_peek().unwrap().as_mut_slices().0[1].0 = 9;
    rx.try_peek().unwrap().release(1);
    assert_eq!(Arc::strong_count(&message), 3);
    assert_eq!(rx.try_peek().unwrap().into_iter().next().unwrap().0, 9);
    // A forgotten iterator has moved out what it gave, and nothing else.
    let mut taken = rx.try_peek().unwrap().into_iter();
    assert_eq!(taken.next().unwrap().0, 2);
    std::mem::forget(taken);
    assert_eq!(rx.try_recv().unwrap_err(), TryRecvError::Empty);
    assert_eq!(Arc::strong_count(&message), 1);
}

#[test]
fn exactly_so_much_room_is_waited_for() {
    let (mut tx, mut rx) = slices::channel(16);
    tx.send_all(0..16).unwrap();
    assert_eq!(tx.try_reserve_exact(16).unwrap_err(), TrySendError::Full(()));
    let sender = thread::spawn(move || {
        let mut room = tx.reserve_exact(16).unwrap();
        room.extend_from_iter(16..32);
        room.commit().unwrap();
    });
    assert!(rx.iter().eq(0..32));
    sender.join().unwrap();
}

#[test]
#[should_panic(expected = "more than the capacity")]
fn more_room_than_there_can_be_is_refused() {
    let (mut tx, _rx) = slices::channel::<u8>(16);
    let _never = tx.reserve_exact(17);
}

#[test]
fn both_ends_time_out_and_learn_of_the_close() {
    let (mut tx, mut rx) = slices::channel(1);
    let short = Duration::from_millis(2);
    assert_eq!(rx.peek_timeout(short).unwrap_err(), RecvTimeoutError::Timeout);
    tx.send(1).unwrap();
    assert_eq!(tx.reserve_timeout(1, short).unwrap_err(), SendTimeoutError::Timeout(()));
    rx.close();
    assert_eq!(tx.reserve_timeout(1, short).unwrap_err(), SendTimeoutError::Closed(()));
    assert_eq!(tx.try_reserve(1).unwrap_err(), TrySendError::Closed(()));
    assert_eq!(tx.reserve(1).unwrap_err(), SendError(()));
    assert_eq!(block_on(tx.reserve_async(1)).unwrap_err(), SendError(()));
    rx.peek().unwrap().release_all();
    assert_eq!(rx.peek().unwrap_err(), RecvError);
    assert_eq!(block_on(rx.peek_async()).unwrap_err(), RecvError);
    assert_eq!(rx.peek_timeout(short).unwrap_err(), RecvTimeoutError::Closed);
}

#[test]
fn a_commit_that_comes_after_the_close_gives_its_messages_up() {
    let message = Arc::new(());
    let (mut tx, mut rx) = slices::channel(8);
    tx.send(Arc::clone(&message)).unwrap();
    let mut room = tx.reserve(4).unwrap();
    room.extend_from_iter([Arc::clone(&message), Arc::clone(&message)]);
    rx.close();
    assert_eq!(room.commit(), Err(SendError(())));
    assert_eq!(Arc::strong_count(&message), 2);
    assert_eq!(rx.iter().count(), 1);
    assert_eq!(rx.stats().sent, 1);
}

#[test]
fn a_drop_that_panics_drops_the_others_and_frees_the_room() {
    struct Bomb<'a>(&'a Cell<u32>, bool);
    impl Drop for Bomb<'_> {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
            assert!(!self.1, "bomb");
        }
    }
    for fatal in 0..6 {
        let dropped = Cell::new(0);
        let (mut tx, mut rx) = slices::channel(6);
        // So that the bombs reach over the end of the ring.
        tx.send_all((0..3).map(|_| Bomb(&dropped, false))).unwrap();
        rx.peek().unwrap().release_all();
        dropped.set(0);
        let fill = |tx: &mut slices::Sender<_>| {
            assert!(tx.send_all((0..6).map(|n| Bomb(&dropped, n == fatal))).is_ok());
        };
        fill(&mut tx);
        assert!(catch_unwind(AssertUnwindSafe(|| rx.peek().unwrap().release_all())).is_err());
        assert_eq!(dropped.take(), 6);
        fill(&mut tx);
        assert!(catch_unwind(AssertUnwindSafe(|| drop(rx))).is_err());
        assert_eq!(dropped.take(), 6);
    }
}

/// Every form of use on both sides, in turn: each message comes once, in order.
#[test]
fn all_forms_of_use_keep_the_order() {
    for capacity in [1, 2, 7, 64, 1000] {
        let (mut tx, mut rx) = slices::channel(capacity);
        let sender = thread::spawn(move || {
            let (mut next, mut form) = (0, 0);
            while next < MANY / 5 {
                let left = MANY / 5 - next;
                form += 1;
                let sent = match form % 5 {
                    0 => tx.send(next).map(|()| 1).unwrap(),
                    1 => tx.send_all(next..next + left.min(5)).unwrap() as u64,
                    2 => fill(block_on(tx.reserve_async(left.min(9) as usize)).unwrap(), next),
                    3 => fill(tx.reserve(left.min(300) as usize).unwrap(), next),
                    _ => match tx.try_reserve_exact(capacity.min(left as usize)) {
                        Ok(room) => fill(room, next),
                        Err(_) => 0,
                    },
                };
                next += sent;
            }
        });
        let (mut next, mut form, mut buffer) = (0, 0, Vec::new());
        while next < MANY / 5 {
            form += 1;
            buffer.clear();
            match form % 6 {
                0 => buffer.push(rx.recv().unwrap()),
                1 => assert_ne!(rx.recv_many(&mut buffer, 7).unwrap(), 0),
                2 => buffer.extend(rx.peek().unwrap()),
                3 => buffer.extend(rx.peek().unwrap().into_iter().take(3)),
                4 => {
                    let unread = block_on(rx.peek_async()).unwrap();
                    buffer.extend(unread.iter());
                    unread.release_all();
                }
                _ => {
                    buffer.resize(10, 0);
                    let count = rx.peek().unwrap().read_into(&mut buffer);
                    buffer.truncate(count);
                }
            }
            for n in &buffer {
                assert_eq!(*n, next);
                next += 1;
            }
        }
        assert_eq!(rx.recv(), Err(RecvError));
        sender.join().unwrap();
    }
}

fn fill(mut room: slices::Reserve<'_, u64>, from: u64) -> u64 {
    let count = room.extend_from_iter(from..from + room.capacity() as u64) as u64;
    room.commit().unwrap();
    count
}

/// The receiver closes somewhere in the stream: what was sent is received, what was refused is not,
/// and nothing is dropped twice or never.
#[test]
fn closing_accounts_for_every_message() {
    let message = Arc::new(());
    for round in 0..(MANY / 1000).max(3) {
        let (mut tx, mut rx) = slices::channel(8);
        let sent = Arc::clone(&message);
        let sender = thread::spawn(move || {
            let mut confirmed = 0;
            loop {
                let Ok(mut room) = tx.reserve(1) else { return confirmed };
                room.push(Arc::clone(&sent)).unwrap();
                if room.commit().is_err() {
                    return confirmed;
                }
                confirmed += 1;
            }
        });
        let before = rx.iter().take(round as usize % 50).count();
        rx.close();
        let received = before + rx.iter().count();
        assert_eq!(received, sender.join().unwrap());
        drop(rx);
        assert_eq!(Arc::strong_count(&message), 1);
    }
}
