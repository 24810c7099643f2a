//! To the shortest queue, or to the shorter of two.

use super::{Partitioner, Workers};

/// Up to so many workers, [`LeastLoaded::new`] looks at all of them.
pub const SCAN_MAX_DEFAULT: usize = 4;

/// To a worker with few messages waiting: for messages whose costs differ.
///
/// Looking at all queues finds the shortest, but each look is a cache line that its worker writes
/// to, so with many workers the looking costs more than it gains, and all producers find the same
/// one at the same time. Two queues drawn at random, and the message to the shorter of them, is
/// nearly as even: when `n` messages go to `n` workers, the longest queue is about
/// `log2(ln n)` above the mean instead of `ln n / ln ln n` with one choice. See Y. Azar, A. Broder,
/// A. Karlin and E. Upfal, "Balanced Allocations", 1999, and M. Mitzenmacher, "The Power of Two
/// Choices in Randomized Load Balancing", 2001.
///
/// Depths are read without a lock and are old by the time they are used. That costs evenness, never
/// correctness.
///
/// ```
/// use chaski_pool::partition::{LeastLoaded, Partitioner, Turn, WorkerId, Workers};
///
/// let (ids, turn) = ([0, 1, 2].map(WorkerId::new), Turn::new());
/// let depths = |slot: usize| [9, 2, 5][slot];
/// let workers = Workers::new(&ids, &depths, &turn).unwrap();
/// assert_eq!(LeastLoaded::scan().pick("any", &workers), 1);
/// assert_ne!(LeastLoaded::two_choices().pick("any", &workers), 0); // never the longest
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeastLoaded {
    /// Up to so many workers are all looked at; of more, two.
    scan_max: usize,
}

impl LeastLoaded {
    /// Looks at all queues while there are at most [`SCAN_MAX_DEFAULT`] workers, at two if more.
    pub const fn new() -> LeastLoaded {
        LeastLoaded { scan_max: SCAN_MAX_DEFAULT }
    }

    /// Always looks at all queues: for few messages of great cost.
    pub const fn scan() -> LeastLoaded {
        LeastLoaded { scan_max: usize::MAX }
    }

    /// Always looks at two queues.
    pub const fn two_choices() -> LeastLoaded {
        LeastLoaded { scan_max: 0 }
    }
}

impl Default for LeastLoaded {
    fn default() -> LeastLoaded {
        LeastLoaded::new()
    }
}

impl<K: ?Sized> Partitioner<K> for LeastLoaded {
    fn pick(&self, _: &K, workers: &Workers<'_>) -> usize {
        let drawn = draw(workers);
        match workers.count() {
            1 => 0,
            count if count <= self.scan_max => shortest(workers, below(drawn as u32, count)),
            _ => shorter_of_two(workers, drawn),
        }
    }

    fn keyless(&self) -> bool {
        true
    }
}

/// The shortest queue, the search beginning at `start` so that equals are not all found alike.
fn shortest(workers: &Workers<'_>, start: usize) -> usize {
    let mut best = start;
    let mut best_depth = workers.depth(start);
    for slot in (start + 1..workers.count()).chain(0..start) {
        if best_depth == 0 {
            break;
        }
        let depth = workers.depth(slot);
        if depth < best_depth {
            (best, best_depth) = (slot, depth);
        }
    }
    best
}

/// Two different slots, all pairs alike; the first if both are as deep.
fn shorter_of_two(workers: &Workers<'_>, drawn: u64) -> usize {
    let count = workers.count();
    let first = below(drawn as u32, count);
    let other = below((drawn >> 32) as u32, count - 1);
    let second = if other >= first { other + 1 } else { other };
    if workers.depth(second) < workers.depth(first) { second } else { first }
}

/// A number that looks random: the producer's turn through the finalizer of SplitMix64 (G. Steele,
/// D. Lea, C. Flood, "Fast Splittable Pseudorandom Number Generators", 2014).
fn draw(workers: &Workers<'_>) -> u64 {
    let turn = workers.take_turn().wrapping_add(u64::from(workers.producer()) << 32);
    let mut bits = turn.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// Maps 32 random bits to `0..count` by multiplication, which is cheaper than a remainder.
fn below(random: u32, count: usize) -> usize {
    ((u64::from(random) * count as u64) >> 32) as usize
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::super::{Turn, WorkerId};
    use super::*;

    /// Sends `messages` to `count` queues that nobody drains, and says how deep they are then.
    fn fill(policy: LeastLoaded, count: usize, messages: usize) -> Vec<usize> {
        let ids: Vec<_> = (0..count as u32).map(WorkerId::new).collect();
        let turn = Turn::of(0);
        let queues = RefCell::new(vec![0; count]);
        let depths = |slot: usize| queues.borrow()[slot];
        let workers = Workers::new(&ids, &depths, &turn).unwrap();
        for _ in 0..messages {
            let slot = policy.pick("", &workers);
            queues.borrow_mut()[slot] += 1;
        }
        queues.into_inner()
    }

    #[test]
    fn a_scan_keeps_queues_level() {
        for count in [1, 2, 5, 64] {
            let depths = fill(LeastLoaded::scan(), count, count * 100);
            assert_eq!(depths, vec![100; count]);
        }
    }

    #[test]
    fn two_choices_keep_queues_nearly_level() {
        for count in [2, 5, 64, 512] {
            let depths = fill(LeastLoaded::two_choices(), count, count * 100);
            let longest = depths.iter().max().unwrap();
            // log2(ln 512) is 2.6; one choice would be 35 above the mean with 512 workers.
            assert!(*longest <= 100 + 5, "{count}: {longest}");
        }
    }

    #[test]
    fn two_choices_look_at_two_different_queues() {
        let ids: Vec<_> = (0..8).map(WorkerId::new).collect();
        let (turn, seen) = (Turn::of(3), RefCell::new(Vec::new()));
        let depths = |slot: usize| {
            seen.borrow_mut().push(slot);
            0
        };
        let workers = Workers::new(&ids, &depths, &turn).unwrap();
        for _ in 0..1000 {
            LeastLoaded::new().pick("", &workers);
            let pair = seen.take();
            assert_eq!(pair.len(), 2);
            assert_ne!(pair[0], pair[1]);
            seen.borrow_mut().clear();
        }
    }

    #[test]
    fn a_scan_ends_at_an_empty_queue() {
        let ids: Vec<_> = (0..4).map(WorkerId::new).collect();
        let (turn, looks) = (Turn::of(0), Cell::new(0));
        let depths = |_: usize| {
            looks.set(looks.get() + 1);
            0
        };
        LeastLoaded::new().pick("", &Workers::new(&ids, &depths, &turn).unwrap());
        assert_eq!(looks.get(), 1);
    }

    #[test]
    fn idle_workers_get_equal_shares() {
        let ids: Vec<_> = (0..3).map(WorkerId::new).collect();
        for policy in [LeastLoaded::scan(), LeastLoaded::two_choices()] {
            let turn = Turn::of(0);
            let workers = Workers::new(&ids, &|_| 0, &turn).unwrap();
            let mut counts = [0; 3];
            (0..3000).for_each(|_| counts[policy.pick("", &workers)] += 1);
            assert!(counts.iter().all(|count| (900..1100).contains(count)), "{counts:?}");
        }
    }
}
