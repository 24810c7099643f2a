//! Partitions that were stored are found again.
//!
//! The figures here must never change: a difference means that keys written with an older version
//! belong to another worker now. They were checked against a program in another language, built on
//! the reference implementation of XXH3 and on the two papers.

use chaski_pool::partition::{Consistent, Hash, Key, Partitioner, Turn, WorkerId, Workers, hash};

fn slots<K: Key>(policy: &impl Partitioner<K>, count: u32, keys: Vec<K>) -> Vec<usize> {
    let ids: Vec<_> = (0..count).map(WorkerId::new).collect();
    ids.iter().for_each(|id| policy.joined(*id));
    let turn = Turn::of(0);
    let workers = Workers::new(&ids, &|_| 0, &turn).unwrap();
    keys.iter().map(|key| policy.pick(key, &workers)).collect()
}

fn users(count: u32) -> Vec<String> {
    (0..count).map(|number| format!("user-{number}")).collect()
}

/// The picks of 10,000 keys for several numbers of workers, in one figure.
fn digest<P: Partitioner<String>>(policy: impl Fn() -> P) -> u64 {
    let picks = [2, 3, 5, 8, 13, 64].map(|count| slots(&policy(), count, users(10_000)));
    hash(&picks.concat().iter().map(|slot| *slot as u8).collect::<Vec<_>>())
}

/// One length from each branch of the algorithm, and those on either side of each.
#[test]
fn the_hash_is_xxh3() {
    let sequence: Vec<u8> = (0..1000_u32).map(|i| (i % 251) as u8).collect();
    let vectors = [
        (0, 0x2d06_8005_38d3_94c2),
        (1, 0xc44b_dff4_074e_ecdb),
        (3, 0x5f42_99fc_161c_9cbb),
        (4, 0x60da_b036_a582_11f2),
        (8, 0x3a1c_2d7c_85af_88f8),
        (9, 0xe961_2598_145b_b9dc),
        (16, 0x8355_e3a6_f617_70db),
        (17, 0x9ef3_41a9_9de3_7328),
        (128, 0x85c6_174c_7ff4_c46b),
        (129, 0xec76_42b4_31ba_3e5a),
        (240, 0x375a_384d_957f_e865),
        (241, 0x02e8_cd95_421c_6d02),
        (512, 0x5c02_1aac_1395_4143),
        (513, 0x4ee4_eacf_61b5_e833),
        (1000, 0x33ef_703f_b2b2_0ed1),
    ];
    for (len, expected) in vectors {
        assert_eq!(hash(&sequence[..len]), expected, "{len} bytes");
    }
}

#[test]
fn hash_picks_as_ever() {
    let texts = [7, 5, 6, 2, 1, 1, 5, 7, 2, 3, 7, 4, 6, 6, 7, 6];
    assert_eq!(slots(&Hash, 8, users(16)), texts);
    let unsigned = [1, 3, 4, 2, 4, 5, 6, 1, 5, 7, 3, 6, 1, 2, 3, 7];
    assert_eq!(slots(&Hash, 8, (0..16_u64).collect()), unsigned);
    let signed = [1, 4, 3, 6, 0, 4, 6, 5, 1, 7, 4, 2, 2, 5, 6, 6];
    assert_eq!(slots(&Hash, 8, (-8..8_i32).collect()), signed);
    assert_eq!(digest(|| Hash), 0xaf53_54b1_07a4_f402);
}

#[test]
fn consistent_picks_as_ever() {
    let texts = [7, 7, 4, 6, 4, 1, 4, 2, 1, 2, 7, 0, 1, 2, 2, 1];
    assert_eq!(slots(&Consistent::new(), 8, users(16)), texts);
    let unsigned = [7, 0, 0, 7, 3, 4, 6, 2, 3, 4, 3, 0, 6, 5, 1, 4];
    assert_eq!(slots(&Consistent::new(), 8, (0..16_u64).collect()), unsigned);
    assert_eq!(digest(Consistent::new), 0xc583_b143_131e_f830);
}
