//! A disk without room: the producer is told, nothing half written is kept, and when there is room
//! again all goes on by itself.

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use chaski_log::conformance::{batch, sequenced, spec};
use chaski_log::store::Durability::{Disk, PageCache};
use chaski_log::store::{AppendError, FaultKind, LogConfig};
use support::{FaultyDisk, local, on};

#[test]
fn nothing_of_a_short_write_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(FaultyDisk::default());
    let probe = on(disk.clone(), dir.path());
    let p = probe.open("t", 0);
    probe.append(p, &sequenced(1, 0, 0, 2), Disk).unwrap();
    let one = sequenced(1, 0, 2, 2);
    for room in [0, 1, 61, one.len() as i64 - 1, one.len() as i64, one.len() as i64 * 2 - 1] {
        disk.room.store(room, Ordering::Relaxed);
        let two = [(p, one.clone(), Disk), (p, sequenced(1, 0, 4, 2), PageCache)];
        for outcome in probe.append_all(&two) {
            assert_eq!(outcome, Err(AppendError::Full), "room for {room} bytes");
        }
        assert_eq!(probe.store.offsets(p).unwrap().log_end, 2);
        assert_eq!(probe.read_all(p, 0, 1000).len(), 1);
        assert_eq!(probe.store.stats(p).unwrap().failing, Some(FaultKind::Full));
    }
    // Even whole batches of a failed write must not come back to life.
    drop(probe);
    let probe = on(disk.clone(), dir.path());
    assert_eq!(probe.open("t", 0), p);
    assert_eq!(probe.store.offsets(p).unwrap().log_end, 2);

    disk.room.store(1 << 20, Ordering::Relaxed);
    let outcome = probe.append(p, &one, Disk).unwrap();
    assert_eq!((outcome.base_offset, outcome.duplicate), (2, false), "its sequence was taken back");
    assert_eq!(probe.store.stats(p).unwrap().failing, None, "there is room again");
    assert_eq!(probe.read_all(p, 0, 1000).len(), 2);
}

#[test]
fn no_room_for_a_new_segment() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(FaultyDisk::default());
    let probe = on(disk.clone(), dir.path());
    let config = LogConfig { segment_bytes: 500, ..LogConfig::default() };
    let p = probe.store.open(&spec("t", 0, config)).unwrap();
    let mut appended = 0;
    while probe.store.stats(p).unwrap().bytes < 1400 {
        probe.append(p, &batch(appended, 1), PageCache).unwrap();
        appended += 1;
    }
    disk.room.store(0, Ordering::Relaxed);
    for _ in 0..5 {
        assert_eq!(probe.append(p, &batch(0, 1), PageCache), Err(AppendError::Full));
        assert_eq!(probe.store.stats(p).unwrap().failing, Some(FaultKind::Full));
    }
    assert_eq!(probe.read_all(p, 0, 1000).len() as i64, appended, "reads go on");

    // Retention makes room even where there is none for a checkpoint.
    let config = LogConfig { segment_bytes: 500, retention_bytes: Some(0), ..LogConfig::default() };
    probe.store.configure(p, &config).unwrap();
    probe.store.retain(0);
    assert!(probe.store.offsets(p).unwrap().log_start > 0);
    assert!(support::files(dir.path(), "log").len() < 3);
    disk.room.store(1 << 20, Ordering::Relaxed);
    assert_eq!(probe.append(p, &batch(0, 1), Disk).unwrap().base_offset, appended);

    drop(probe);
    let probe = local(dir.path());
    probe.open("t", 0);
    assert_eq!(probe.store.offsets(p).unwrap().log_end, appended + 1);
}

#[test]
fn what_follows_a_failed_write_fails_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(FaultyDisk::default());
    let probe = on(disk.clone(), dir.path());
    let (large, small) = (sequenced(1, 0, 0, 9), sequenced(1, 0, 9, 1));
    // The first fits and the second does not, so that the first is written before a roll. There is
    // room for the second alone.
    let config = LogConfig { segment_bytes: large.len() as u64 + 1, ..LogConfig::default() };
    for (topic, both) in
        [("sequenced", [large.clone(), small]), ("plain", [batch(0, 9), batch(9, 1)])]
    {
        let p = probe.store.open(&spec(topic, 0, config.clone())).unwrap();
        disk.room.store(both[1].len() as i64, Ordering::Relaxed);
        let sent = both.clone().map(|batch| (p, batch, PageCache));
        for outcome in probe.append_all(&sent) {
            assert_eq!(outcome, Err(AppendError::Full), "{topic}");
        }
        assert_eq!(probe.store.offsets(p).unwrap().log_end, 0, "{topic}");
        disk.room.store(1 << 20, Ordering::Relaxed);
        let outcomes = probe.append_all(&sent).into_iter().map(|o| o.unwrap().base_offset);
        assert_eq!(outcomes.collect::<Vec<_>>(), [0, 9], "{topic}");
    }
}

#[test]
fn a_failed_write_that_cannot_be_cut_off_is_never_built_upon() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(FaultyDisk::default());
    let probe = on(disk.clone(), dir.path());
    let one = batch(0, 3);
    // The third batch needs a new segment.
    let segment_bytes = one.len() as u64 * 5 / 2;
    let config = LogConfig { segment_bytes, ..LogConfig::default() };
    let p = probe.store.open(&spec("t", 0, config)).unwrap();
    probe.append(p, &one, PageCache).unwrap();
    let log = || std::fs::metadata(&support::files(dir.path(), "log")[0]).unwrap().len();
    let clean = log();

    // A whole batch and a part of one are left behind the tail.
    disk.fail_cuts.store(true, Ordering::Relaxed);
    let small = batch(0, 1);
    disk.room.store(small.len() as i64 + 5, Ordering::Relaxed);
    let two = [(p, small.clone(), PageCache), (p, small.clone(), PageCache)];
    for outcome in probe.append_all(&two) {
        assert_eq!(outcome, Err(AppendError::Full));
    }
    assert!(log() > clean, "it is there");
    // Neither in the segment nor in a new one, though there is room.
    disk.room.store(1 << 20, Ordering::Relaxed);
    for batch in [&one, &batch(0, 40)] {
        let outcome = probe.append(p, batch, Disk);
        assert!(matches!(outcome, Err(AppendError::Storage(_))), "{outcome:?}");
        assert_eq!(support::files(dir.path(), "log").len(), 1);
    }
    disk.fail_cuts.store(false, Ordering::Relaxed);
    for offset in [3, 6, 9] {
        assert_eq!(probe.append(p, &one, Disk).unwrap().base_offset, offset);
    }
    assert_eq!(log(), one.len() as u64 * 2);

    drop(probe);
    let probe = local(dir.path());
    probe.open("t", 0);
    assert_eq!(probe.store.offsets(p).unwrap().log_end, 12);
    assert_eq!(probe.read_all(p, 0, 1000).len(), 4);
    assert!(probe.store.stats(p).unwrap().damaged.is_empty());
}

#[test]
fn recovery_cuts_off_what_lies_behind_the_end_of_an_older_segment() {
    let dir = tempfile::tempdir().unwrap();
    let probe = local(dir.path());
    let one = batch(0, 3);
    let config = LogConfig { segment_bytes: one.len() as u64 * 2, ..LogConfig::default() };
    let p = probe.store.open(&spec("t", 0, config)).unwrap();
    for _ in 0..5 {
        probe.append(p, &one, PageCache).unwrap();
    }
    let failed = probe.read(p, 6, 1).unwrap();
    drop(probe);
    let first = &support::files(dir.path(), "log")[0];
    let mut bytes = std::fs::read(first).unwrap();
    let len = bytes.len();
    bytes.extend([&failed[..], &failed[..70]].concat());
    std::fs::write(first, bytes).unwrap();
    let _ = std::fs::remove_file(dir.path().join("log/t-0/checkpoint"));

    let probe = local(dir.path());
    probe.open("t", 0);
    assert_eq!(std::fs::metadata(first).unwrap().len(), len as u64);
    assert_eq!(probe.store.offsets(p).unwrap().log_end, 15);
    assert_eq!(probe.read_all(p, 0, 1000).len(), 5);
    assert!(probe.store.stats(p).unwrap().damaged.is_empty());
}
