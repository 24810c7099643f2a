//! Cases about looking up by time, and about what is kept.

use std::time::Duration;

use super::{Fixture, Probe, batch, spec};
use crate::store::Durability::PageCache;
use crate::store::{LogConfig, OffsetFound, OffsetQuery, PartitionId, ReadError, StoreError};

fn find(probe: &Probe, p: PartitionId, query: OffsetQuery) -> Option<(i64, i64)> {
    let found = probe.store.find(p, query).unwrap();
    found.map(|OffsetFound { offset, timestamp }| (offset, timestamp))
}

pub(super) fn offsets_by_time(fixture: &mut dyn Fixture) {
    let probe = Probe::new(fixture.fresh());
    let config = LogConfig { segment_bytes: 4000, ..LogConfig::default() };
    let p = probe.store.open(&spec("orders", 0, config)).unwrap();
    // Two records a batch, timestamps 0, 1, 10, 11, 20, 21, ... and one out of order at the end.
    for i in 0..200 {
        probe.append(p, &batch(i * 10, 2), PageCache).unwrap();
    }
    probe.append(p, &batch(5, 2), PageCache).unwrap();
    assert_eq!(find(&probe, p, OffsetQuery::Earliest), Some((0, -1)));
    assert_eq!(find(&probe, p, OffsetQuery::Latest), Some((402, -1)));
    assert_eq!(find(&probe, p, OffsetQuery::MaxTimestamp), Some((399, 1991)));
    let at = |timestamp| find(&probe, p, OffsetQuery::AtOrAfter(timestamp));
    assert_eq!(at(i64::MIN), Some((0, 0)));
    assert_eq!(at(0), Some((0, 0)));
    assert_eq!(at(1), Some((1, 1)));
    assert_eq!(at(2), Some((2, 10)));
    for i in 1..200 {
        assert_eq!(at(i * 10), Some((i * 2, i * 10)));
        assert_eq!(at(i * 10 - 5), Some((i * 2, i * 10)));
        assert_eq!(at(i * 10 + 1), Some((i * 2 + 1, i * 10 + 1)));
    }
    assert_eq!(at(1992), None);
}

pub(super) fn offsets_of_an_empty_partition(fixture: &mut dyn Fixture) {
    let probe = Probe::new(fixture.fresh());
    let p = probe.open("orders", 0);
    assert_eq!(find(&probe, p, OffsetQuery::Earliest), Some((0, -1)));
    assert_eq!(find(&probe, p, OffsetQuery::Latest), Some((0, -1)));
    assert_eq!(find(&probe, p, OffsetQuery::MaxTimestamp), None);
    assert_eq!(find(&probe, p, OffsetQuery::AtOrAfter(0)), None);
}

pub(super) fn trim_moves_the_log_start(fixture: &mut dyn Fixture) {
    let probe = Probe::new(fixture.fresh());
    let config = LogConfig { segment_bytes: 1000, ..LogConfig::default() };
    let p = probe.store.open(&spec("orders", 0, config)).unwrap();
    for i in 0..50 {
        probe.append(p, &batch(i, 4), PageCache).unwrap();
    }
    let bytes = probe.store.stats(p).unwrap().bytes;
    assert_eq!(probe.store.trim(p, 41).unwrap(), 41);
    assert_eq!(probe.store.trim(p, 7).unwrap(), 41, "it never moves back");
    let found = probe.read(p, 41, 1).unwrap();
    assert_eq!(chaski_batch::check(&found).unwrap().base_offset, 40, "41 is in this batch");
    let below = ReadError::OutOfRange { offset: 40, start: 41, end: 200 };
    assert_eq!(probe.read(p, 40, 1), Err(below));
    assert_eq!(find(&probe, p, OffsetQuery::Earliest), Some((41, -1)));
    assert!(probe.store.stats(p).unwrap().bytes < bytes, "whole segments are gone");
    let beyond = probe.store.trim(p, 201);
    assert!(matches!(beyond, Err(StoreError::OutOfRange { offset: 201, .. })), "{beyond:?}");
    assert!(probe.store.trim(p, -2).is_err());
    assert_eq!(probe.store.trim(p, -1).unwrap(), 200);
    assert!(probe.read_ok(p, 200, 1, true).unwrap().records.is_none());
    assert_eq!(find(&probe, p, OffsetQuery::AtOrAfter(0)), None);
    probe.append(p, &batch(99, 4), PageCache).unwrap();
    assert_eq!(probe.read_all(p, 200, 1000).len(), 1);
}

pub(super) fn retention_by_size(fixture: &mut dyn Fixture) {
    let probe = Probe::new(fixture.fresh());
    let mut config = LogConfig { segment_bytes: 1000, retention_age: None, ..LogConfig::default() };
    let p = probe.store.open(&spec("orders", 0, config.clone())).unwrap();
    for i in 0..50 {
        probe.append(p, &batch(i, 4), PageCache).unwrap();
    }
    probe.store.retain(i64::MAX);
    assert_eq!(probe.store.offsets(p).unwrap().log_start, 0, "there is no limit");
    config.retention_bytes = Some(3000);
    probe.store.configure(p, &config).unwrap();
    probe.store.retain(0);
    let stats = probe.store.stats(p).unwrap();
    assert!((3000..=4000).contains(&stats.bytes), "{} bytes are left", stats.bytes);
    let left = probe.read_all(p, stats.offsets.log_start, 1 << 20);
    assert_eq!(left[0].0.base_offset, stats.offsets.log_start, "it begins with a whole batch");
    assert_eq!(left.last().unwrap().0.next_offset(), 200);
}

pub(super) fn retention_by_age(fixture: &mut dyn Fixture) {
    let probe = Probe::new(fixture.fresh());
    let config = LogConfig {
        segment_bytes: 1000,
        retention_age: Some(Duration::from_millis(100)),
        ..LogConfig::default()
    };
    let p = probe.store.open(&spec("orders", 0, config)).unwrap();
    for i in 0..50 {
        probe.append(p, &batch(i * 10, 2), PageCache).unwrap();
    }
    probe.store.retain(300);
    let start = probe.store.offsets(p).unwrap().log_start;
    let oldest = probe.read_all(p, start, 1 << 20).remove(0).0;
    assert!(start > 0 && oldest.max_timestamp <= 300, "it begins at {}", oldest.max_timestamp);
    let kept = probe.store.find(p, OffsetQuery::AtOrAfter(200)).unwrap().unwrap();
    assert_eq!(kept.timestamp, 200, "what is not older than 100 ms is kept");
    probe.store.retain(10_000);
    let offsets = probe.store.offsets(p).unwrap();
    assert_eq!(offsets.log_start, offsets.log_end, "all of it was old");
    probe.append(p, &batch(0, 1), PageCache).unwrap();
    assert_eq!(probe.store.offsets(p).unwrap().log_end, offsets.log_end + 1);
}
