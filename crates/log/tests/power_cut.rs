//! The plug is pulled between two operations: every append that was answered as durable is there,
//! in order, and nothing is there that was never sent.

mod support;

use std::sync::Arc;

use chaski_log::conformance::{sequenced, spec};
use chaski_log::store::Durability::{Disk, PageCache};
use chaski_log::store::{LogConfig, ReadError};
use proptest::prelude::*;
use support::{Unplugged, local, on};

#[derive(Debug, Clone)]
enum Step {
    /// One call with so many batches, durable or not.
    Append(usize, bool),
    /// Trim by so many records.
    Trim(i64),
    /// Stop without a word and start again, on the same machine.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1..6usize, any::<bool>()).prop_map(|(n, durable)| Step::Append(n, durable)),
        1 => (1..20i64).prop_map(Step::Trim),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn what_was_acknowledged_is_there(
        steps in prop::collection::vec(step(), 1..50),
        segment_bytes in prop::sample::select(vec![300_u64, 1000, 8 << 20]),
        fuse in 0..400usize,
        luck in any::<u64>(),
    ) {
        let (dir, left) = (support::scratch(), support::scratch());
        let disk = Arc::new(Unplugged::new(fuse));
        let config = LogConfig { segment_bytes, flush_bytes: 1500, ..LogConfig::default() };
        let spec = spec("t", 0, config);
        let mut probe = on(disk.clone(), dir.path());
        let mut p = probe.store.open(&spec).unwrap();
        // Every record has its offset as its sequence number.
        let (mut next, mut durable_end, mut trimmed) = (0, 0, 0);
        for step in &steps {
            match *step {
                Step::Append(count, durable) => {
                    let durability = if durable { Disk } else { PageCache };
                    let one = |i: usize| (p, sequenced(7, 0, next + i as i32 * 2, 2), durability);
                    let batches: Vec<_> = (0..count).map(one).collect();
                    for outcome in probe.append_all(&batches) {
                        prop_assert_eq!(outcome.unwrap().base_offset, i64::from(next));
                        next += 2;
                    }
                    // An answer that came after the end of the machine came to nobody.
                    durable_end = if durable && !disk.is_pulled() { next } else { durable_end };
                }
                Step::Trim(by) => {
                    trimmed = (trimmed + by).min(next.into());
                    probe.store.trim(p, trimmed).unwrap();
                }
                Step::Restart => {
                    drop(probe);
                    probe = on(disk.clone(), dir.path());
                    p = probe.store.open(&spec).unwrap();
                }
            }
        }
        let mut luck = luck;
        disk.left(dir.path(), left.path(), || {
            luck = luck.rotate_left(7).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x55;
            luck >> 62 != 0
        });
        drop(probe);

        let probe = local(left.path());
        p = probe.store.open(&spec).unwrap();
        let offsets = probe.store.offsets(p).unwrap();
        prop_assert!(offsets.log_end >= durable_end.into() || i64::from(durable_end) <= trimmed);
        let mut offset = offsets.log_start.max(trimmed);
        while offset < offsets.log_end {
            match probe.read(p, offset, 1) {
                Ok(batch) => {
                    let header = chaski_batch::check(&batch).unwrap();
                    prop_assert!((header.base_offset..header.next_offset()).contains(&offset));
                    prop_assert_eq!(i64::from(header.base_sequence), header.base_offset);
                    offset = header.next_offset();
                }
                // Only what nobody was promised may be missing.
                Err(ReadError::Corrupt { .. }) => {
                    prop_assert!(offset >= durable_end.into(), "{} is lost", offset);
                    offset += 1;
                }
                Err(other) => prop_assert!(false, "{:?}", other),
            }
        }
        let end = offsets.log_end;
        let repeated = probe.append(p, &sequenced(8, 0, 0, 1), Disk).unwrap();
        prop_assert_eq!(repeated.base_offset, end);
    }
}
