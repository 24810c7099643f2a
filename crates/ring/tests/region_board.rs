//! Boards among threads, and boards that somebody has written over.
#![cfg(not(loom))]

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use chaski_ring::region::board::{Board, Ringer, Sleeper};
use chaski_ring::region::{AttachError, Extent, HeapExtent};

fn board(slots: usize) -> (Board<HeapExtent>, HeapExtent) {
    let page = HeapExtent::new(Board::LEN);
    Board::format(&page).unwrap();
    (Board::attach(page.clone(), slots).unwrap(), page)
}

fn taken(board: &mut Board<HeapExtent>) -> Vec<usize> {
    let mut slots = Vec::new();
    assert_eq!(board.take(|slot| slots.push(slot)), slots.len());
    slots
}

#[test]
fn what_is_set_is_taken_once_and_in_order() {
    let (mut board, _) = board(Board::SLOTS_MAX);
    assert!(board.is_empty());
    for slots in [&[0][..], &[4095, 63, 64, 63], &[7, 8, 4000, 128]] {
        slots.iter().for_each(|slot| board.set(*slot));
        assert!(!board.is_empty());
        let sorted: BTreeSet<usize> = slots.iter().copied().collect();
        assert_eq!(taken(&mut board), Vec::from_iter(sorted));
        assert!(board.is_empty());
        assert_eq!(taken(&mut board), []);
    }
    (0..4096).for_each(|slot| board.set(slot));
    assert!(taken(&mut board).into_iter().eq(0..4096));
}

#[test]
#[should_panic(expected = "slot 100 of 100")]
fn no_slot_beyond_the_limit_is_set() {
    board(100).0.set(100);
}

/// Whoever may set a bit may set all of them.
#[test]
fn a_board_full_of_anything_is_taken_up_to_its_limit() {
    let (mut board, page) = board(100);
    let base = page.area().base.cast::<AtomicU64>();
    for word in 16..512 {
        // SAFETY: within the page, which holds atomics.
        unsafe { base.add(word).as_ref() }.store(u64::MAX, Ordering::Relaxed);
    }
    assert!(taken(&mut board).into_iter().eq(0..100));
    assert_eq!(taken(&mut board), []);
    // A summary that is erased hides a bit until the word's next.
    board.set(5);
    // SAFETY: as above.
    unsafe { base.add(16).as_ref() }.store(0, Ordering::Relaxed);
    assert_eq!(taken(&mut board), []);
    board.set(6);
    assert_eq!(taken(&mut board), [5, 6]);
}

#[test]
fn pages_are_told_apart() {
    let (_, page) = board(1);
    let (plate, raw) = (HeapExtent::new(Sleeper::LEN), HeapExtent::new(4096));
    let _sleeper = Sleeper::new(plate.clone()).unwrap();
    assert_eq!(Board::attach(plate, 1).err(), Some(AttachError::BadMagic));
    assert_eq!(Board::attach(raw.clone(), 1).err(), Some(AttachError::BadMagic));
    assert_eq!(Ringer::attach(page).err(), Some(AttachError::BadMagic));
    assert_eq!(Ringer::attach(raw).err(), Some(AttachError::BadMagic));
    let nothing = HeapExtent::new(0);
    let too_small = AttachError::TooSmall { required: 4096, found: 0 };
    assert_eq!(Board::format(&nothing), Err(too_small));
    assert_eq!(Sleeper::new(nothing).err(), Some(too_small));
}

#[test]
fn one_ring_answers_one_sleep() {
    let plate = HeapExtent::new(Sleeper::LEN);
    let mut sleeper = Sleeper::new(plate.clone()).unwrap();
    let mut ringers: Vec<_> = (0..2).map(|_| Ringer::attach(plate.clone()).unwrap()).collect();
    for _ in 0..3 {
        assert!(!ringers[0].must_ring());
        sleeper.announce();
        for ringer in &mut ringers {
            assert!(ringer.must_ring());
            assert!(!ringer.must_ring(), "once a sleep");
        }
        sleeper.awake();
    }
    sleeper.announce();
    sleeper.announce();
    assert!(ringers[1].must_ring());
}

/// Threads that count up, set their bit and ring; a receiver that sleeps by parking. It ends only
/// if no bit and no ring is lost.
#[test]
fn many_senders_are_heard_by_one_that_sleeps() {
    const SENDERS: usize = 6;
    const COUNT: u64 = if cfg!(miri) { 20 } else { 20_000 };
    let (mut board, page) = board(SENDERS * 70);
    let plate = HeapExtent::new(Sleeper::LEN);
    let mut sleeper = Sleeper::new(plate.clone()).unwrap();
    let counters: [AtomicU64; SENDERS] = std::array::from_fn(|_| AtomicU64::new(0));
    let (bell, receiver) = (AtomicBool::new(false), thread::current());
    thread::scope(|scope| {
        for (n, counter) in counters.iter().enumerate() {
            let bits = Board::attach(page.clone(), SENDERS * 70).unwrap();
            let mut ringer = Ringer::attach(plate.clone()).unwrap();
            let (bell, receiver) = (&bell, &receiver);
            scope.spawn(move || {
                for count in 1..=COUNT {
                    counter.store(count, Ordering::Relaxed);
                    bits.set(n * 70);
                    if ringer.must_ring() {
                        bell.store(true, Ordering::Release);
                        receiver.unpark();
                    }
                }
            });
        }
        let mut seen = [0; SENDERS];
        while seen != [COUNT; SENDERS] {
            let took = board.take(|slot| {
                assert_eq!(slot % 70, 0);
                seen[slot / 70] = counters[slot / 70].load(Ordering::Relaxed);
            });
            if took > 0 {
                continue;
            }
            sleeper.announce();
            if board.is_empty() {
                while !bell.swap(false, Ordering::Acquire) {
                    thread::park();
                }
            }
            sleeper.awake();
        }
    });
}
