//! Appending, reading, rolling, trimming and looking up, all at once.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chaski_log::conformance::{Probe, sequenced, spec};
use chaski_log::store::Durability::{Disk, PageCache};
use chaski_log::store::{LogConfig, OffsetQuery, PartitionId, ReadError};
use support::{FaultyDisk, local, on, scratch};

const WRITERS: i64 = 4;
const BATCHES: i32 = 300;

#[test]
fn everything_at_once() {
    let dir = scratch();
    let probe = local(dir.path());
    let config = LogConfig {
        segment_bytes: 3000,
        index_interval_bytes: 200,
        flush_bytes: 5000,
        ..LogConfig::default()
    };
    let p = probe.store.open(&spec("t", 0, config)).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|id| {
                scope.spawn({
                    let probe = &probe;
                    move || write(probe, p, id)
                })
            })
            .collect();
        scope.spawn(|| read(&probe, p, &done));
        scope.spawn(|| read(&probe, p, &done));
        scope.spawn(|| trim_and_find(&probe, p, &done));
        // The others end with the writers, however these end.
        let ends: Vec<_> = writers.into_iter().map(|writer| writer.join()).collect();
        done.store(true, Ordering::Release);
        ends.into_iter().for_each(|end| end.unwrap());
    });
    let offsets = probe.store.offsets(p).unwrap();
    assert_eq!(offsets.log_end, WRITERS * i64::from(BATCHES) * 2);
    assert_eq!(offsets.high_watermark, offsets.log_end);
    assert!(offsets.log_start > 0);
    let all = probe.read_all(p, offsets.log_start, 1000);
    probe.store.close().unwrap();
    drop(probe);
    let probe = local(dir.path());
    probe.open("t", 0);
    assert_eq!(probe.store.offsets(p).unwrap(), offsets);
    assert_eq!(probe.read_all(p, offsets.log_start, 1000), all);
}

fn write(probe: &Probe, p: PartitionId, id: i64) {
    for i in 0..BATCHES {
        let durability = if i % 3 == 0 { Disk } else { PageCache };
        assert!(!probe.append(p, &sequenced(id, 0, i * 2, 2), durability).unwrap().duplicate);
    }
}

fn read(probe: &Probe, p: PartitionId, done: &AtomicBool) {
    let mut offset = 0;
    while !done.load(Ordering::Acquire) || offset < probe.store.offsets(p).unwrap().high_watermark {
        match probe.read(p, offset, 1000) {
            Ok(bytes) => {
                let mut rest = &bytes[..];
                while !rest.is_empty() {
                    let header = chaski_batch::check(rest).unwrap();
                    assert!((header.base_offset..header.next_offset()).contains(&offset));
                    offset = header.next_offset();
                    rest = &rest[header.total_len()..];
                }
            }
            Err(ReadError::OutOfRange { start, .. }) => {
                assert!(start > offset, "trimmed");
                offset = start;
            }
            Err(other) => panic!("offset {offset}: {other}"),
        }
    }
}

fn trim_and_find(probe: &Probe, p: PartitionId, done: &AtomicBool) {
    let mut is_last = false;
    while !is_last {
        // Once more when all is written: on one core it may not have had a turn before.
        is_last = done.load(Ordering::Acquire);
        let end = probe.store.offsets(p).unwrap().high_watermark;
        let start = probe.store.trim(p, end / 2).unwrap();
        assert!(start >= end / 2);
        // Every record has timestamp 0 or 1.
        let found = probe.store.find(p, OffsetQuery::AtOrAfter(1)).unwrap();
        assert!(found.is_none_or(|f| f.offset >= start && f.timestamp == 1));
        assert!(probe.store.stats(p).unwrap().damaged.is_empty());
    }
}

/// Zeros are written ahead while several threads append, and recovery takes them for what they are.
#[test]
fn zeros_ahead_are_no_damage() {
    let dir = scratch();
    let disk = Arc::new(FaultyDisk::default());
    let probe = on(disk, dir.path());
    // No checkpoint, however long it takes: recovery is to read all of it.
    let config = LogConfig { flush_age: Duration::from_secs(3600), ..LogConfig::default() };
    let p = probe.store.open(&spec("t", 0, config)).unwrap();
    std::thread::scope(|scope| {
        for id in 0..WRITERS {
            let probe = &probe;
            scope.spawn(move || write(probe, p, id));
        }
    });
    let all = probe.read_all(p, 0, 1000);
    assert_eq!(all.len() as i64, WRITERS * i64::from(BATCHES));
    drop(probe);
    let file = support::files(dir.path(), "log").remove(0);
    let batches: usize = all.iter().map(|(_, bytes)| bytes.len()).sum();
    assert!(std::fs::metadata(&file).unwrap().len() as usize > batches, "there was a zone");

    let log = chaski_log::LocalLog::open(dir.path(), 1).unwrap();
    let p = chaski_log::store::LogStore::open(&log, &spec("t", 0, LogConfig::default())).unwrap();
    let report = log.recovered(p).unwrap();
    assert_eq!((report.truncated_bytes, report.scanned_bytes), (0, batches as u64));
    assert!(report.damaged.is_empty());
    assert_eq!(Probe::new(Box::new(log)).read_all(p, 0, 1000), all);
    assert_eq!(std::fs::metadata(&file).unwrap().len() as usize, batches, "it is cut off");
}
