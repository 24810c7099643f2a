//! What the machine itself allows, measured in the same rounds as those who try to reach it.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use rustix::thread::futex;

use crate::rivals::threads::Message;
use crate::workloads::padded::Padded;

/// Bytes that change cores at once: small enough for the caches, large enough that the words which
/// say so do not count.
const BLOCK_BYTES: usize = 32 * 1024;

/// Blocks on the way.
const BLOCKS: usize = 4;

/// Blocks of messages that one core fills and another reads: no message can be handed over with
/// less work than its share of a block.
#[derive(Debug)]
pub struct Handoff<T>(Arc<Blocks<T>>);

#[derive(Debug)]
struct Blocks<T> {
    /// Nobody ever waits for one of these locks: the counts below say whose block it is.
    blocks: Vec<Padded<Mutex<Vec<T>>>>,
    filled: Padded<AtomicU64>,
    read: Padded<AtomicU64>,
}

impl<T: Message> Handoff<T> {
    pub fn pair() -> (Handoff<T>, Handoff<T>) {
        let messages = BLOCK_BYTES / size_of::<T>();
        let block = || Padded(Mutex::new(vec![T::new(u64::MAX); messages]));
        let blocks = Arc::new(Blocks {
            blocks: (0..BLOCKS).map(|_| block()).collect(),
            filled: Padded::default(),
            read: Padded::default(),
        });
        (Handoff(Arc::clone(&blocks)), Handoff(blocks))
    }

    pub fn send(&mut self, count: u64) {
        let shared = &*self.0;
        let (mut number, mut turn) = (0, 0);
        while number < count {
            // ORDERING: pairs with the release in `receive`; the reader is done with the block.
            while turn - shared.read.0.load(Ordering::Acquire) == BLOCKS as u64 {
                std::hint::spin_loop();
            }
            for slot in shared.blocks[turn as usize % BLOCKS].0.lock().expect("no panic").iter_mut()
            {
                *slot = T::new(number);
                number += 1;
            }
            turn += 1;
            // ORDERING: pairs with the acquire in `receive`; the block is complete.
            shared.filled.0.store(turn, Ordering::Release);
        }
    }

    pub fn receive(&mut self, count: u64) -> bool {
        let shared = &*self.0;
        let (mut number, mut turn, mut differences) = (0, 0, 0);
        while number < count {
            // ORDERING: pairs with the release in `send`.
            while shared.filled.0.load(Ordering::Acquire) == turn {
                std::hint::spin_loop();
            }
            for message in shared.blocks[turn as usize % BLOCKS].0.lock().expect("no panic").iter()
            {
                differences |= message.value() ^ T::new(number).value();
                number += 1;
            }
            turn += 1;
            // ORDERING: pairs with the acquire in `send`.
            shared.read.0.store(turn, Ordering::Release);
        }
        differences == 0
    }
}

/// A cache line in each direction: what two spinning threads cannot be quicker than.
#[derive(Debug, Default)]
pub struct PingPong {
    there: Padded<AtomicU64>,
    back: Padded<AtomicU64>,
}

impl PingPong {
    /// Sends `number`; the answer, once it is another than the one before.
    pub fn ping(&self, number: u64, answered: u64) -> u64 {
        // ORDERING: the number is the message; there is nothing to order it with.
        self.there.0.store(number, Ordering::Relaxed);
        changed(&self.back.0, answered)
    }

    /// Waits for another number than `answered` and sends it back.
    pub fn echo(&self, answered: u64) -> u64 {
        let number = changed(&self.there.0, answered);
        self.back.0.store(number, Ordering::Relaxed);
        number
    }
}

/// The least that claims a place in a ring which several threads share.
pub fn claim(counter: &AtomicU64, count: u64) {
    for _ in 0..count {
        // ORDERING: the claim is all that is measured.
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// A number and a futex: the least that wakes a thread.
#[derive(Debug, Default)]
pub struct Doorbell {
    number: AtomicU64,
    rings: AtomicU32,
}

impl Doorbell {
    pub fn ring(&self, number: u64) {
        self.number.store(number, Ordering::Relaxed);
        // ORDERING: pairs with the acquire in `wait`; the number is there before the ring.
        self.rings.fetch_add(1, Ordering::Release);
        futex::wake(&self.rings, futex::Flags::PRIVATE, 1).expect("a futex can be woken");
    }

    /// Sleeps until the ring after `heard`, and counts it; its number.
    pub fn wait(&self, heard: &mut u32) -> u64 {
        // ORDERING: pairs with the release in `ring`.
        while self.rings.load(Ordering::Acquire) == *heard {
            // It returns at once if the word has changed, and may return without a cause.
            futex::wait(&self.rings, futex::Flags::PRIVATE, *heard, None).ok();
        }
        *heard = heard.wrapping_add(1);
        self.number.load(Ordering::Relaxed)
    }
}

fn changed(word: &AtomicU64, from: u64) -> u64 {
    loop {
        match word.load(Ordering::Relaxed) {
            same if same == from => std::hint::spin_loop(),
            number => return number,
        }
    }
}
