//! How evenly partitioners spread keys: the figures their docs name.

use std::num::NonZero;

use chaski_pool::partition::{Consistent, Hash, Key, Partitioner, RoundRobin};
use chaski_pool::partition::{Turn, WorkerId, Workers};

/// Messages that each of `count` workers gets from one producer.
fn spread<K: Key>(
    policy: &impl Partitioner<K>,
    count: u32,
    keys: impl IntoIterator<Item = K>,
) -> Vec<usize> {
    let ids: Vec<_> = (0..count).map(WorkerId::new).collect();
    let turn = Turn::of(0);
    let workers = Workers::new(&ids, &|_| 0, &turn).unwrap();
    let mut counts = vec![0; ids.len()];
    keys.into_iter().for_each(|key| counts[policy.pick(&key, &workers)] += 1);
    counts
}

fn max_over_mean(counts: &[usize]) -> f64 {
    let (max, sum) = (counts.iter().max().unwrap(), counts.iter().sum::<usize>());
    *max as f64 * counts.len() as f64 / sum as f64
}

fn ring(virtual_nodes: u16, workers: u32) -> Consistent {
    let ring = Consistent::with_virtual_nodes(NonZero::new(virtual_nodes).unwrap());
    (0..workers).for_each(|number| ring.add(WorkerId::new(number)));
    ring
}

/// The largest share of the ring over the mean. No sample of keys: the arcs themselves.
fn largest_share(ring: &Consistent) -> f64 {
    let shares = ring.shares();
    shares.iter().map(|(_, share)| share * shares.len() as f64).fold(0.0, f64::max)
}

/// With 1000 keys a worker, a fair draw deviates by 3 %; the largest of 64 by up to four of those.
#[test]
fn hash_is_as_even_as_a_fair_draw() {
    for count in [2, 3, 4, 7, 8, 16, 31, 32, 64] {
        let keys = 1000 * u64::from(count);
        let integers = max_over_mean(&spread(&Hash, count, 0..keys));
        let texts = max_over_mean(&spread(&Hash, count, (0..keys).map(|n| format!("user-{n}"))));
        assert!(integers < 1.13 && texts < 1.13, "{count}: {integers} {texts}");
    }
}

#[test]
fn consistent_has_the_balance_of_its_docs() {
    let documented = [(2, 1.03), (4, 1.06), (8, 1.06), (16, 1.18), (32, 1.12), (64, 1.21)];
    for (workers, expected) in documented {
        let measured = largest_share(&ring(160, workers));
        assert!((measured - expected).abs() < 0.01, "{workers}: {measured}");
    }
    let growing = ring(160, 1);
    for newcomer in 1..64 {
        growing.add(WorkerId::new(newcomer));
        let measured = largest_share(&growing);
        assert!(measured < 1.22, "{} workers: {measured}", newcomer + 1);
    }
}

/// Keys land as the arcs promise.
#[test]
fn consistent_gives_keys_by_share() {
    let ring = ring(160, 8);
    let counts = spread(&ring, 8, (0..40_000_u32).map(|n| format!("user-{n}")));
    for (count, (worker, share)) in counts.iter().zip(ring.shares()) {
        let part = *count as f64 / 40_000.0;
        assert!((part / share - 1.0).abs() < 0.06, "{worker}: {part} of {share}");
    }
}

#[test]
fn four_times_the_virtual_nodes_are_twice_as_even() {
    let deviation = |virtual_nodes| {
        let shares = ring(virtual_nodes, 64).shares();
        let squares = shares.iter().map(|(_, share)| (share * 64.0 - 1.0).powi(2));
        (squares.sum::<f64>() / 64.0).sqrt()
    };
    let (few, default, many) = (deviation(40), deviation(160), deviation(640));
    assert!((0.13..0.19).contains(&few), "{few}");
    assert!((0.065..0.095).contains(&default), "{default}");
    assert!((0.03..0.05).contains(&many), "{many}");
}

#[test]
fn round_robin_is_exact() {
    assert_eq!(spread(&RoundRobin::new(), 7, 0..700_u32), [100; 7]);
    let runs = RoundRobin::in_runs_of(NonZero::new(10).unwrap());
    assert_eq!(spread(&runs, 7, 0..700_u32), [100; 7]);
}
