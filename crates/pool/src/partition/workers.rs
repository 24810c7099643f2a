//! The workers as one producer sees them at the moment it picks one.

use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// A worker's name, for as long as its pool lives.
///
/// A worker that is restarted keeps its id; a pool gives the next worker the next number. Ids are
/// what [`Consistent`](super::Consistent) puts on its ring, so two pools with workers of the same
/// ids send the same key to the same id, in any process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(u32);

impl WorkerId {
    /// The worker with this number.
    pub const fn new(number: u32) -> WorkerId {
        WorkerId(number)
    }

    /// Its number.
    pub const fn number(self) -> u32 {
        self.0
    }
}

/// `worker 3`.
impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "worker {}", self.0)
    }
}

/// What a producer knows when it picks: the workers there are, in slots `0..count()`, the depth of
/// each one's queue, and its own turn.
///
/// There is always at least one worker.
#[derive(Clone, Copy)]
pub struct Workers<'a> {
    ids: &'a [WorkerId],
    depths: &'a dyn Fn(usize) -> usize,
    turn: &'a Turn,
}

impl<'a> Workers<'a> {
    /// The workers a producer can send to now; `None` if there are none.
    ///
    /// `ids` has the worker of each slot and must ascend, as it does in a pool. `depths` says how
    /// many messages wait in a slot's queue; it is called only by partitioners that ask. `turn`
    /// belongs to the producer.
    ///
    /// ```
    /// use chaski_pool::partition::{LeastLoaded, Partitioner, Turn, WorkerId, Workers};
    ///
    /// let ids = [WorkerId::new(0), WorkerId::new(4)];
    /// let queues = [vec!["busy", "busy"], vec!["busy"]];
    /// let turn = Turn::new();
    /// let depths = |slot: usize| queues[slot].len();
    /// let workers = Workers::new(&ids, &depths, &turn).unwrap();
    /// assert_eq!(LeastLoaded::new().pick("any key", &workers), 1);
    /// ```
    pub fn new(
        ids: &'a [WorkerId],
        depths: &'a dyn Fn(usize) -> usize,
        turn: &'a Turn,
    ) -> Option<Workers<'a>> {
        debug_assert!(ids.is_sorted_by(|a, b| a < b), "ids must ascend: {ids:?}");
        (!ids.is_empty()).then_some(Workers { ids, depths, turn })
    }

    /// How many workers there are; at least 1.
    pub fn count(&self) -> usize {
        self.ids.len()
    }

    /// The worker of each slot, ascending.
    pub fn ids(&self) -> &'a [WorkerId] {
        self.ids
    }

    /// The slot of a worker, if this producer knows of it.
    pub fn slot_of(&self, worker: WorkerId) -> Option<usize> {
        // Until a worker has left, each sits in the slot of its number.
        let guess = worker.number() as usize;
        if self.ids.get(guess) == Some(&worker) {
            return Some(guess);
        }
        self.ids.binary_search(&worker).ok()
    }

    /// How many messages wait for the worker in `slot`.
    ///
    /// The number is old when it arrives: the worker and other producers go on meanwhile. Reading
    /// it takes memory that the worker writes to, which costs a transfer between cores (about
    /// 100 ns) unless the queue is idle.
    ///
    /// # Panics
    ///
    /// May panic when `slot` is not less than [`count`](Self::count).
    pub fn depth(&self, slot: usize) -> usize {
        (self.depths)(slot)
    }

    /// Takes this producer's next turn: 0, 1, 2, and so on.
    pub fn take_turn(&self) -> u64 {
        self.turn.take()
    }

    /// The number of this producer, which no other one in the process has.
    pub fn producer(&self) -> u32 {
        self.turn.producer
    }
}

impl fmt::Debug for Workers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers").field("ids", &self.ids).field("turn", &self.turn).finish()
    }
}

/// How often one producer has picked: what round robin counts with.
///
/// Each handle of a producer owns one, and a clone of the handle gets a new one, so that no two
/// threads write to the same counter. A turn that is shared all the same does no harm: two threads
/// may then draw the same number.
///
/// Producers are numbered as their turns are made, so that they can start in different places.
#[derive(Debug)]
pub struct Turn {
    producer: u32,
    taken: AtomicU64,
}

impl Turn {
    /// The turn of a new producer.
    pub fn new() -> Turn {
        static PRODUCERS: AtomicU32 = AtomicU32::new(0);
        Turn::of(PRODUCERS.fetch_add(1, Ordering::Relaxed))
    }

    /// The turn of the producer with this number: for tests that must repeat.
    pub fn of(producer: u32) -> Turn {
        Turn { producer, taken: AtomicU64::new(0) }
    }

    fn take(&self) -> u64 {
        // ORDERING: nothing is published by a turn. A load and a store, where `fetch_add` would
        // lock the line: the owner is the only writer, and a rare double draw is allowed.
        let taken = self.taken.load(Ordering::Relaxed);
        self.taken.store(taken.wrapping_add(1), Ordering::Relaxed);
        taken
    }
}

impl Default for Turn {
    fn default() -> Turn {
        Turn::new()
    }
}

/// A clone is a new producer, with a turn of its own.
impl Clone for Turn {
    fn clone(&self) -> Turn {
        Turn::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_workers_no_view() {
        assert!(Workers::new(&[], &|_| 0, &Turn::new()).is_none());
    }

    #[test]
    fn slots_are_found_before_and_after_a_worker_left() {
        let turn = Turn::new();
        let dense = [0, 1, 2, 3].map(WorkerId::new);
        let workers = Workers::new(&dense, &|_| 0, &turn).unwrap();
        assert_eq!(workers.slot_of(WorkerId::new(2)), Some(2));
        assert_eq!(workers.slot_of(WorkerId::new(4)), None);

        let sparse = [0, 2, 3, 9].map(WorkerId::new);
        let workers = Workers::new(&sparse, &|_| 0, &turn).unwrap();
        let slots = [0, 1, 2, 3, 9].map(|number| workers.slot_of(WorkerId::new(number)));
        assert_eq!(slots, [Some(0), None, Some(1), Some(2), Some(3)]);
    }

    #[test]
    fn each_producer_has_its_own_number_and_count() {
        let (a, b) = (Turn::new(), Turn::new());
        assert_ne!(a.producer, b.producer);
        assert_ne!(a.clone().producer, a.producer);
        assert_eq!((a.take(), a.take(), b.take()), (0, 1, 0));
    }
}
