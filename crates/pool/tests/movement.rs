//! Which keys move when a worker joins or leaves.

use std::collections::BTreeSet;

use chaski_pool::partition::{Consistent, Hash, Partitioner, Turn, WorkerId, Workers};
use proptest::prelude::*;

const KEYS: u32 = 1000;

fn ring<'a>(workers: impl IntoIterator<Item = &'a u32>) -> Consistent {
    let ring = Consistent::new();
    workers.into_iter().for_each(|number| ring.add(WorkerId::new(*number)));
    ring
}

/// The worker of each key, by a producer that knows `known`.
fn picks(policy: &impl Partitioner<u32>, known: &BTreeSet<u32>) -> Vec<WorkerId> {
    let ids: Vec<_> = known.iter().copied().map(WorkerId::new).collect();
    let turn = Turn::of(0);
    let workers = Workers::new(&ids, &|_| 0, &turn).unwrap();
    (0..KEYS).map(|key| ids[policy.pick(&key, &workers)]).collect()
}

/// Sets of workers with gaps, as they are after some have left.
fn workers() -> impl Strategy<Value = BTreeSet<u32>> {
    prop::collection::btree_set(0..80_u32, 1..24)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// All that moves goes to the one that joins, and it gets its fair share: five deviations of
    /// 8 % are allowed.
    #[test]
    fn a_worker_that_joins_a_ring_only_takes(mut members in workers(), newcomer in 80..120_u32) {
        let ring = ring(&members);
        let before = picks(&ring, &members);
        let new = WorkerId::new(newcomer);
        ring.joined_by_pool(new);
        members.insert(newcomer);
        let after = picks(&ring, &members);
        for (before, after) in before.iter().zip(&after) {
            prop_assert!(after == before || *after == new, "{before} to {after}");
        }
        let share = ring.shares().iter().find(|(worker, _)| *worker == new).unwrap().1;
        let relative = share * members.len() as f64;
        prop_assert!((0.6..1.4).contains(&relative), "{relative} of {} workers", members.len());
    }

    /// Only the keys of the one that leaves move.
    #[test]
    fn a_worker_that_leaves_a_ring_only_gives(members in workers(), which: prop::sample::Index) {
        prop_assume!(members.len() > 1);
        let leaver = *which.get(&members.iter().copied().collect::<Vec<_>>());
        let ring = ring(&members);
        let before = picks(&ring, &members);
        ring.left_by_pool(WorkerId::new(leaver));
        let others = members.iter().copied().filter(|member| *member != leaver).collect();
        let after = picks(&ring, &others);
        for (before, after) in before.iter().zip(&after) {
            prop_assert!(before.number() == leaver || after == before, "{before} to {after}");
            prop_assert_ne!(after.number(), leaver);
        }
    }

    /// Ring and producer may learn of changes in any order: what counts is whom both know.
    #[test]
    fn a_ring_and_a_producer_that_disagree_use_whom_both_know(
        on_ring in workers(),
        known in workers(),
    ) {
        let both: BTreeSet<u32> = &on_ring & &known;
        prop_assume!(!both.is_empty());
        prop_assert_eq!(picks(&ring(&on_ring), &known), picks(&ring(&both), &both));
    }

}

/// A producer that knows nobody on the ring still picks.
#[test]
fn a_ring_of_strangers_falls_back_to_hash() {
    let known = BTreeSet::from([5, 6, 7]);
    for on_ring in [BTreeSet::new(), BTreeSet::from([0, 1])] {
        assert_eq!(picks(&ring(&on_ring), &known), picks(&Hash, &known));
    }
}

/// The keys of one that left do not all fall to one neighbour.
#[test]
fn what_a_worker_leaves_behind_is_spread_over_all_others() {
    let members: BTreeSet<u32> = (0..8).collect();
    let ring = ring(&members);
    let before = picks(&ring, &members);
    ring.remove(WorkerId::new(3));
    let after = picks(&ring, &members.iter().copied().filter(|member| *member != 3).collect());
    let heirs: BTreeSet<WorkerId> = before
        .iter()
        .zip(&after)
        .filter(|(before, _)| before.number() == 3)
        .map(|(_, after)| *after)
        .collect();
    assert_eq!(heirs.len(), 7);
}

/// The bound of the docs: one in `n + 1`, all to the last.
#[test]
fn a_worker_added_at_the_end_takes_one_part_from_hash() {
    for count in [1, 2, 3, 7, 15, 31] {
        let (small, large) = ((0..count).collect(), (0..=count).collect());
        let (before, after) = (picks(&Hash, &small), picks(&Hash, &large));
        let moved: Vec<_> =
            before.iter().zip(&after).filter(|(before, after)| before != after).collect();
        assert!(moved.iter().all(|(_, after)| after.number() == count));
        let expected = f64::from(KEYS) / f64::from(count + 1);
        let slack = 4.0 * expected.sqrt();
        assert!((moved.len() as f64 - expected).abs() < slack, "{count}: {}", moved.len());
    }
}

/// Members as a pool changes them.
trait ByPool {
    fn joined_by_pool(&self, worker: WorkerId);
    fn left_by_pool(&self, worker: WorkerId);
}

impl ByPool for Consistent {
    fn joined_by_pool(&self, worker: WorkerId) {
        Partitioner::<u32>::joined(self, worker);
    }

    fn left_by_pool(&self, worker: WorkerId) {
        Partitioner::<u32>::left(self, worker);
    }
}
