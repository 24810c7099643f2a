//! In turn.

use std::num::NonZero;

use super::{Partitioner, Workers};

/// Each producer sends to all workers in turn, starting in a place of its own.
///
/// The place in the round is the producer's, kept in its [`Turn`](super::Turn): producers share no
/// counter. Each worker gets the same number of messages from each producer, give or take one run.
///
/// With runs, a producer stays with a worker for some messages before it goes on to the next. That
/// keeps the worker's queue in the producer's cache, and gives batches where a worker would
/// otherwise see single messages from many producers.
///
/// ```
/// use chaski_pool::partition::{Partitioner, RoundRobin, Turn, WorkerId, Workers};
///
/// let (ids, turn) = ([0, 1, 2].map(WorkerId::new), Turn::of(0));
/// let workers = Workers::new(&ids, &|_| 0, &turn).unwrap();
/// let picks = |policy: RoundRobin| [(); 6].map(|()| policy.pick("any", &workers));
/// assert_eq!(picks(RoundRobin::new()), [0, 1, 2, 0, 1, 2]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoundRobin {
    run: NonZero<u32>,
}

impl RoundRobin {
    /// One message to each worker in turn.
    pub const fn new() -> RoundRobin {
        RoundRobin::in_runs_of(NonZero::<u32>::MIN)
    }

    /// `run` messages to each worker in turn.
    pub const fn in_runs_of(run: NonZero<u32>) -> RoundRobin {
        RoundRobin { run }
    }
}

impl Default for RoundRobin {
    fn default() -> RoundRobin {
        RoundRobin::new()
    }
}

impl<K: ?Sized> Partitioner<K> for RoundRobin {
    fn pick(&self, _: &K, workers: &Workers<'_>) -> usize {
        let turn = workers.take_turn();
        // A division costs as much as the rest of a send.
        let round = if self.run.get() == 1 { turn } else { turn / u64::from(self.run.get()) };
        let place = round.wrapping_add(u64::from(workers.producer()));
        (place % workers.count() as u64) as usize
    }

    fn keyless(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Turn, WorkerId};
    use super::*;

    fn picks(policy: RoundRobin, producer: u32, workers: u32, messages: usize) -> Vec<usize> {
        let ids: Vec<_> = (0..workers).map(WorkerId::new).collect();
        let turn = Turn::of(producer);
        let workers = Workers::new(&ids, &|_| 0, &turn).unwrap();
        (0..messages).map(|_| policy.pick("", &workers)).collect()
    }

    #[test]
    fn producers_start_in_different_places() {
        assert_eq!(picks(RoundRobin::new(), 0, 3, 4), [0, 1, 2, 0]);
        assert_eq!(picks(RoundRobin::new(), 1, 3, 4), [1, 2, 0, 1]);
        assert_eq!(picks(RoundRobin::new(), 3, 3, 4), [0, 1, 2, 0]);
    }

    #[test]
    fn runs_stay_with_a_worker() {
        let runs = RoundRobin::in_runs_of(NonZero::new(2).unwrap());
        assert_eq!(picks(runs, 0, 3, 7), [0, 0, 1, 1, 2, 2, 0]);
        assert_eq!(picks(runs, 1, 3, 3), [1, 1, 2]);
    }

    #[test]
    fn the_round_goes_on_when_a_worker_leaves() {
        let turn = Turn::of(0);
        let ids: Vec<_> = (0..3).map(WorkerId::new).collect();
        let pick = |ids: &[WorkerId]| {
            RoundRobin::new().pick("", &Workers::new(ids, &|_| 0, &turn).unwrap())
        };
        assert_eq!([pick(&ids), pick(&ids), pick(&ids)], [0, 1, 2]);
        assert_eq!([pick(&ids[..2]), pick(&ids[..2]), pick(&ids[..2])], [1, 0, 1]);
    }
}
