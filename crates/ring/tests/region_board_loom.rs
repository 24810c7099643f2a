//! Every interleaving of a receiver that sleeps and the senders that set bits on its board.
//!
//! A bit that is lost, or a sleeper that nobody wakes, shows as a deadlock: loom fails a model in
//! which no thread can go on.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p chaski-ring --release --test region_board_loom
//! --target-dir target/loom`
#![cfg(loom)]

use chaski_ring::region::HeapExtent;
use chaski_ring::region::board::{Board, Ringer, Sleeper};
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

const SLOTS: usize = Board::SLOTS_MAX;

/// A permit that stays until it is taken, as an eventfd does.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rung.lock().unwrap() = true;
        self.changed.notify_one();
    }

    fn wait(&self) {
        let mut rung = self.rung.lock().unwrap();
        while !*rung {
            rung = self.changed.wait(rung).unwrap();
        }
        *rung = false;
    }
}

struct Shared {
    board: Board<HeapExtent>,
    plate: HeapExtent,
    bell: Bell,
    /// In place of rings: what each sender has published.
    published: [AtomicU32; 2],
}

impl Shared {
    fn new() -> (Arc<Shared>, Board<HeapExtent>, Sleeper<HeapExtent>) {
        let (page, plate) = (HeapExtent::new(Board::LEN), HeapExtent::new(Sleeper::LEN));
        Board::format(&page).unwrap();
        let sleeper = Sleeper::new(plate.clone()).unwrap();
        let shared = Shared {
            board: Board::attach(page.clone(), SLOTS).unwrap(),
            plate,
            bell: Bell::default(),
            published: [AtomicU32::new(0), AtomicU32::new(0)],
        };
        (Arc::new(shared), Board::attach(page, SLOTS).unwrap(), sleeper)
    }

    /// Publishes `times` for the sender `n`, whose slot is `slot`.
    fn send(&self, n: usize, slot: usize, times: u32) {
        let mut ringer = Ringer::attach(self.plate.clone()).unwrap();
        for time in 1..=times {
            self.published[n].store(time, Ordering::Relaxed);
            self.board.set(slot);
            if ringer.must_ring() {
                self.bell.ring();
            }
        }
    }
}

/// Takes and sleeps until `done` says of what the slots' owners have published that it is all.
fn receive(
    shared: &Shared,
    board: &mut Board<HeapExtent>,
    sleeper: &mut Sleeper<HeapExtent>,
    slots: [usize; 2],
    done: impl Fn([u32; 2]) -> bool,
) {
    let mut seen = [0; 2];
    loop {
        board.take(|slot| {
            for n in (0..2).filter(|n| slots[*n] == slot) {
                seen[n] = shared.published[n].load(Ordering::Relaxed);
            }
        });
        if done(seen) {
            return;
        }
        sleeper.announce();
        if board.is_empty() {
            shared.bell.wait();
        }
        sleeper.awake();
    }
}

fn model(preemptions: usize, program: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    // See `region_loom.rs`.
    builder.preemption_bound.get_or_insert(preemptions);
    builder.check(program);
}

/// One sender, again and again: bits set while they are taken.
#[test]
fn no_bit_of_one_sender_is_lost() {
    model(4, || {
        let (shared, mut board, mut sleeper) = Shared::new();
        let sender = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.send(0, 1, 2))
        };
        receive(&shared, &mut board, &mut sleeper, [1, SLOTS], |seen| seen[0] == 2);
        sender.join().unwrap();
    });
}

fn two_senders(slots: [usize; 2]) {
    model(3, move || {
        let (shared, mut board, mut sleeper) = Shared::new();
        let senders: Vec<_> = (0..2)
            .map(|n| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.send(n, slots[n], 1))
            })
            .collect();
        receive(&shared, &mut board, &mut sleeper, slots, |seen| seen == [1, 1]);
        senders.into_iter().for_each(|sender| sender.join().unwrap());
    });
}

/// In one word: the second finds the summary set, by the first or by an earlier round.
#[test]
fn two_senders_of_one_word_are_heard() {
    two_senders([3, 60]);
}

#[test]
fn two_senders_of_two_words_are_heard() {
    two_senders([3, 64]);
}

/// A sender that dies after it has set its bit, before it could ring, leaves nobody else unheard.
#[test]
fn a_sender_that_does_not_ring_harms_nobody() {
    model(3, || {
        let (shared, mut board, mut sleeper) = Shared::new();
        let dying = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.board.set(3))
        };
        let sender = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.send(1, 5, 1))
        };
        receive(&shared, &mut board, &mut sleeper, [SLOTS, 5], |seen| seen[1] == 1);
        dying.join().unwrap();
        sender.join().unwrap();
    });
}
