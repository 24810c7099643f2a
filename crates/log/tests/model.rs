//! A log does what a plain list of batches would, through restarts of both kinds.

mod support;

use chaski_batch::Header;
use chaski_log::conformance::{batch_of, sequenced, spec};
use chaski_log::store::Durability::{Disk, PageCache};
use chaski_log::store::{AppendError, LogConfig, OffsetFound, OffsetQuery, Offsets, ReadError};
use proptest::prelude::*;
use support::local;

#[derive(Debug, Clone)]
enum Step {
    /// One call: records of each batch, their size, durable or not.
    Append(Vec<(usize, usize, bool)>),
    /// The next batch of a producer, or one it sent before.
    Produce {
        id: i64,
        back: usize,
    },
    Read {
        at: f64,
        max_bytes: usize,
    },
    Find(i64),
    Trim(f64),
    Restart {
        clean: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let one = (1..5usize, 0..300usize, any::<bool>());
    prop_oneof![
        6 => prop::collection::vec(one, 1..6).prop_map(Step::Append),
        3 => (0..3i64, 0..7usize).prop_map(|(id, back)| Step::Produce { id, back }),
        4 => (0.0..1.1f64, 0..3000usize).prop_map(|(at, max_bytes)| Step::Read { at, max_bytes }),
        2 => (0..400i64).prop_map(Step::Find),
        1 => (0.0..1.0f64).prop_map(Step::Trim),
        1 => any::<bool>().prop_map(|clean| Step::Restart { clean }),
    ]
}

#[derive(Default)]
struct Model {
    batches: Vec<(Header, Vec<u8>)>,
    log_start: i64,
    /// Per producer, the offsets of its batches of one record.
    produced: [Vec<i64>; 3],
}

impl Model {
    fn end(&self) -> i64 {
        self.batches.last().map_or(0, |(h, _)| h.next_offset())
    }

    fn append(&mut self, mut batch: Vec<u8>) -> i64 {
        let offset = self.end();
        chaski_batch::set_base_offset(&mut batch, offset);
        chaski_batch::set_leader_epoch(&mut batch, 0);
        self.batches.push((Header::parse(&batch).unwrap(), batch));
        offset
    }

    fn at(&self, fraction: f64) -> i64 {
        (self.end() as f64 * fraction) as i64
    }

    /// The first record with this timestamp or a later one.
    fn find(&self, timestamp: i64) -> Option<OffsetFound> {
        let records = self.batches.iter().flat_map(|(h, _)| {
            (0..=i64::from(h.last_offset_delta))
                .map(|i| OffsetFound { offset: h.base_offset + i, timestamp: h.base_timestamp + i })
        });
        records.into_iter().find(|r| r.timestamp >= timestamp && r.offset >= self.log_start)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_log_is_a_list_of_batches(
        steps in prop::collection::vec(step(), 1..60),
        segment_bytes in prop::sample::select(vec![500_u64, 2000, 1 << 20]),
        index_interval_bytes in prop::sample::select(vec![1_u32, 300, 4096]),
    ) {
        let dir = support::scratch();
        let config = LogConfig {
            segment_bytes,
            index_interval_bytes,
            flush_bytes: 4000,
            ..LogConfig::default()
        };
        let spec = spec("t", 0, config);
        let mut probe = local(dir.path());
        let mut p = probe.store.open(&spec).unwrap();
        let mut model = Model::default();
        for step in steps {
            match step {
                Step::Append(batches) => {
                    let clock = model.end();
                    let batches: Vec<_> = batches
                        .into_iter()
                        .map(|(records, bytes, durable)| {
                            let batch = batch_of(chaski_batch::Codec::None, clock, records, bytes);
                            (p, batch, if durable { Disk } else { PageCache })
                        })
                        .collect();
                    for ((_, batch, _), outcome) in batches.iter().zip(probe.append_all(&batches)) {
                        let offset = model.append(batch.clone());
                        prop_assert_eq!(outcome.unwrap().base_offset, offset);
                    }
                }
                Step::Produce { id, back } => {
                    let sent = model.produced[id as usize].len();
                    let sequence = sent.saturating_sub(back);
                    let batch = sequenced(id, 0, sequence as i32, 1);
                    let outcome = probe.append(p, &batch, Disk);
                    let outcome = outcome.map(|a| (a.base_offset, a.duplicate));
                    if sequence == sent {
                        let offset = model.append(batch);
                        model.produced[id as usize].push(offset);
                        prop_assert_eq!(outcome, Ok((offset, false)));
                    } else if sent - sequence <= 5 {
                        let offset = model.produced[id as usize][sequence];
                        prop_assert_eq!(outcome, Ok((offset, true)));
                    } else {
                        let (producer_id, got, expected) = (id, sequence as i32, sent as i32);
                        let gap =
                            AppendError::OutOfOrderSequence { producer_id, got, expected };
                        prop_assert_eq!(outcome, Err(gap));
                    }
                }
                Step::Read { at, max_bytes } => {
                    let (offset, start, end) = (model.at(at), model.log_start, model.end());
                    let read = probe.read(p, offset, max_bytes);
                    if offset < start || offset > end {
                        prop_assert_eq!(read, Err(ReadError::OutOfRange { offset, start, end }));
                        continue;
                    }
                    let from = model.batches.partition_point(|(h, _)| h.next_offset() <= offset);
                    let expected: Vec<u8> =
                        model.batches[from..].iter().flat_map(|(_, b)| b.iter().copied()).collect();
                    let read = read.unwrap();
                    prop_assert!(expected.starts_with(&read));
                    let first = model.batches.get(from).map_or(0, |(_, b)| b.len());
                    prop_assert!(read.len() >= first && read.len() <= max_bytes.max(first));
                }
                Step::Find(timestamp) => {
                    let found = probe.store.find(p, OffsetQuery::AtOrAfter(timestamp)).unwrap();
                    let expected = model.find(timestamp);
                    prop_assert_eq!(found.map(|f| f.offset), expected.map(|f| f.offset));
                }
                Step::Trim(to) => {
                    model.log_start = model.log_start.max(model.at(to));
                    prop_assert_eq!(probe.store.trim(p, model.at(to)).unwrap(), model.log_start);
                }
                Step::Restart { clean } => {
                    if clean {
                        probe.store.close().unwrap();
                    }
                    drop(probe);
                    probe = local(dir.path());
                    p = probe.store.open(&spec).unwrap();
                }
            }
            let (log_start, end) = (model.log_start, model.end());
            let offsets = Offsets { log_start, high_watermark: end, log_end: end };
            prop_assert_eq!(probe.store.offsets(p).unwrap(), offsets);
        }
        let first = model.batches.partition_point(|(h, _)| h.next_offset() <= model.log_start);
        prop_assert_eq!(probe.read_all(p, model.log_start, 700), model.batches[first..].to_vec());
        prop_assert!(probe.store.stats(p).unwrap().damaged.is_empty());
    }
}
