//! What the machine itself allows: no message can be quicker than these.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};

use chaski_ring::Padded;

use super::kinds::Message;

/// Bytes that change cores at once: small enough for the caches, large enough that the words which
/// say so do not count.
const BLOCK_BYTES: usize = 32 * 1024;
/// Blocks on the way.
const BLOCKS: usize = 4;
/// Looks at a word before the core is given away, for machines that are not ours alone.
const LOOKS: u32 = 1 << 14;

/// Blocks of messages that one core fills and another reads: a message cannot be handed over with
/// less work than its share of a block.
pub(super) struct Handoff<const WORDS: usize> {
    /// Nobody ever waits for one of these locks: the counts below say whose block it is.
    blocks: [Padded<Mutex<Vec<Message<WORDS>>>>; BLOCKS],
    filled: Padded<AtomicU64>,
    read: Padded<AtomicU64>,
    ended: AtomicBool,
}

impl<const WORDS: usize> Handoff<WORDS> {
    pub(super) fn new() -> Handoff<WORDS> {
        let block = |_| Padded(Mutex::new(vec![Message::new(0); Self::messages_a_block()]));
        Handoff {
            blocks: std::array::from_fn(block),
            filled: Padded::default(),
            read: Padded::default(),
            ended: AtomicBool::new(false),
        }
    }

    pub(super) fn messages_a_block() -> usize {
        (BLOCK_BYTES / size_of::<Message<WORDS>>()).max(1)
    }

    /// Fills block number `turn`, counted from 0, with messages numbered from `first` on.
    pub(super) fn fill(&self, turn: u64, first: u64) {
        // ORDERING: acquire, pairs with the release in `take`: the reader is done with the block.
        until(|| turn - self.read.load(Ordering::Acquire) < BLOCKS as u64);
        for (number, message) in (first..).zip(self.block(turn).iter_mut()) {
            *message = Message::new(number);
        }
        // ORDERING: release, pairs with the acquire in `take`: the block is complete.
        self.filled.store(turn + 1, Ordering::Release);
    }

    /// No block follows those that were filled.
    pub(super) fn end(&self) {
        // ORDERING: release, pairs with the acquire in `take`: the last block is filled.
        self.ended.store(true, Ordering::Release);
    }

    /// Reads block number `turn`; the sum of its numbers, or `None` if there is no such block.
    pub(super) fn take(&self, turn: u64) -> Option<u64> {
        let mut found = false;
        until(|| {
            // ORDERING: acquire, pairs with the release in `end`; before the look at `filled`, so
            // that no block is missed which was filled before the end.
            let ended = self.ended.load(Ordering::Acquire);
            // ORDERING: acquire, pairs with the release in `fill`.
            found = self.filled.load(Ordering::Acquire) > turn;
            found || ended
        });
        if !found {
            return None;
        }
        let sum = self.block(turn).iter().map(Message::read).fold(0, u64::wrapping_add);
        // ORDERING: release, pairs with the acquire in `fill`.
        self.read.store(turn + 1, Ordering::Release);
        Some(sum)
    }

    fn block(&self, turn: u64) -> MutexGuard<'_, Vec<Message<WORDS>>> {
        let block = &self.blocks[turn as usize % BLOCKS];
        block.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A cache line in each direction: what two threads cannot be quicker than.
#[derive(Debug, Default)]
pub(super) struct PingPong {
    there: Padded<AtomicU64>,
    back: Padded<AtomicU64>,
}

impl PingPong {
    /// Sends `number`, which is another than the one before, and waits for it to come back.
    pub(super) fn ping(&self, number: u64) {
        // ORDERING: relaxed, here and in `echo`: the number is all there is.
        self.there.store(number, Ordering::Relaxed);
        until(|| self.back.load(Ordering::Relaxed) == number);
    }

    /// Waits for another number than `last` and sends it back.
    pub(super) fn echo(&self, last: u64) -> u64 {
        let mut number = last;
        until(|| {
            number = self.there.load(Ordering::Relaxed);
            number != last
        });
        self.back.store(number, Ordering::Relaxed);
        number
    }
}

/// A number and a thread that sleeps: the least that wakes one without `unsafe`. On Linux this is a
/// swap and a futex.
#[derive(Debug, Default)]
pub(super) struct Bell {
    number: AtomicU64,
    rings: AtomicU64,
}

impl Bell {
    pub(super) fn ring(&self, sleeper: &Thread, number: u64) {
        self.number.store(number, Ordering::Relaxed);
        // ORDERING: release, pairs with the acquire in `wait`: the number is there before the ring.
        self.rings.fetch_add(1, Ordering::Release);
        sleeper.unpark();
    }

    /// Sleeps until the ring after `heard`; its number.
    pub(super) fn wait(&self, heard: u64) -> u64 {
        // ORDERING: acquire, pairs with the release in `ring`.
        while self.rings.load(Ordering::Acquire) == heard {
            thread::park();
        }
        self.number.load(Ordering::Relaxed)
    }
}

/// Looks until it is so.
fn until(mut is_so: impl FnMut() -> bool) {
    let mut looks = 0_u32;
    while !is_so() {
        looks = looks.wrapping_add(1);
        if looks.is_multiple_of(LOOKS) {
            thread::yield_now();
        } else {
            std::hint::spin_loop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handoff_hands_over_every_message() {
        let handoff = Handoff::<8>::new();
        let size = Handoff::<8>::messages_a_block() as u64;
        let turns = 3 * BLOCKS as u64;
        thread::scope(|scope| {
            scope.spawn(|| {
                (0..turns).for_each(|turn| handoff.fill(turn, turn * size));
                handoff.end();
            });
            let sum: u64 = (0..).map_while(|turn| handoff.take(turn)).sum();
            assert_eq!(sum, (0..turns * size).sum::<u64>());
            assert_eq!(handoff.take(turns), None);
        });
    }

    #[test]
    fn a_ping_comes_back() {
        let lines = PingPong::default();
        thread::scope(|scope| {
            let echo = scope.spawn(|| (0..3).fold(0, |last, _| lines.echo(last)));
            (1..=3).for_each(|number| lines.ping(number));
            assert_eq!(echo.join().unwrap(), 3);
        });
    }

    #[test]
    fn a_bell_is_heard_before_and_after_it_is_listened_to() {
        let bell = Bell::default();
        bell.ring(&thread::current(), 7);
        assert_eq!(bell.wait(0), 7);
        thread::scope(|scope| {
            let sleeper = scope.spawn(|| bell.wait(1));
            bell.ring(sleeper.thread(), 8);
            assert_eq!(sleeper.join().unwrap(), 8);
        });
    }
}
