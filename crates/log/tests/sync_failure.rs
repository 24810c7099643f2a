//! A failed sync: the partition takes no more appends, nobody is told that all is well, and what
//! consumers could read they still can.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use chaski_log::conformance::{batch, sequenced, spec};
use chaski_log::store::Durability::{Disk, PageCache};
use chaski_log::store::{AppendError, FaultKind, LogConfig, Mirror, StoreError};
use support::{FaultyDisk, local, on};

#[test]
fn a_failed_sync_is_final() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(FaultyDisk::default());
    let probe = on(disk.clone(), dir.path());
    let (p, other) = (probe.open("t", 0), probe.open("t", 1));
    probe.append(p, &batch(0, 2), Disk).unwrap();
    disk.fail_syncs.store(true, Ordering::Release);
    let pending = [(p, batch(0, 1), Disk), (p, batch(0, 1), Disk)];
    for outcome in probe.append_all(&pending) {
        assert!(matches!(outcome, Err(AppendError::InDoubt(_))), "{outcome:?}");
        assert_eq!(outcome.unwrap_err().fault_kind(), Some(FaultKind::Broken));
    }
    disk.fail_syncs.store(false, Ordering::Release);
    let syncs = disk.syncs.load(Ordering::Relaxed);
    for durability in [Disk, PageCache] {
        let outcome = probe.append(p, &batch(0, 1), durability);
        assert!(matches!(outcome, Err(AppendError::Storage(_))), "{outcome:?}");
    }
    assert_eq!(disk.syncs.load(Ordering::Relaxed), syncs, "it is not tried again");
    let fault = probe.store.stats(p).unwrap().failed.expect("closed for writing");
    assert_eq!((fault.kind(), fault.errno()), (FaultKind::Broken, Some(5)));
    assert_eq!(probe.store.offsets(p).unwrap().high_watermark, 2);
    assert_eq!(probe.read_all(p, 0, 1000).len(), 1);
    probe.append(other, &batch(0, 1), Disk).unwrap();
    let closed = probe.store.close().expect_err("the partition that failed is not closed cleanly");
    assert_eq!(closed.fault_kind(), Some(FaultKind::Broken));
}

#[test]
fn what_waits_for_the_disk_is_not_shown() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(FaultyDisk::default());
    let probe = on(disk.clone(), dir.path());
    let config = LogConfig { segment_bytes: 600, ..LogConfig::default() };
    let p = probe.store.open(&spec("t", 0, config)).unwrap();
    probe.append(p, &batch(0, 1), PageCache).unwrap();
    let held = disk.hold();
    let mut sent = probe.send(&[(p, sequenced(1, 0, 0, 3), Disk)]);
    // Through several segments, all of them behind the one that waits.
    for i in 0..30 {
        probe.append(p, &batch(i, 1), PageCache).unwrap();
    }
    sent.extend(probe.send(&[(p, sequenced(1, 0, 0, 3), Disk), (p, batch(0, 1), Disk)]));
    let offsets = probe.store.offsets(p).unwrap();
    assert_eq!((offsets.high_watermark, offsets.log_end), (1, 35));
    assert!(probe.read_ok(p, 1, 1000, true).unwrap().records.is_none());
    assert!(sent.iter().all(|token| probe.poll(*token).is_none()), "even the duplicate waits");

    drop(held);
    let outcomes: Vec<_> = sent.iter().map(|token| probe.wait(*token).unwrap()).collect();
    assert_eq!(outcomes.iter().map(|a| a.base_offset).collect::<Vec<_>>(), [1, 1, 34]);
    assert_eq!(outcomes.iter().map(|a| a.duplicate).collect::<Vec<_>>(), [false, true, false]);
    assert_eq!(probe.store.offsets(p).unwrap().high_watermark, 35);
    assert_eq!(probe.read_all(p, 0, 300).len(), 33);
}

/// Keeps what it was shown last.
struct Shown(AtomicI64);

impl Mirror for Shown {
    fn show(&self, high_watermark: i64) {
        self.0.store(high_watermark, Ordering::Release);
    }
}

#[test]
fn a_sync_that_ends_after_the_deletion_shows_nothing() {
    for fails in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let disk = Arc::new(FaultyDisk::default());
        let probe = on(disk.clone(), dir.path());
        let p = probe.open("t", 0);
        let shown = Arc::new(Shown(AtomicI64::new(-1)));
        probe.store.mirror(p, Some(shown.clone())).unwrap();
        disk.fail_syncs.store(fails, Ordering::Release);
        let held = disk.hold();
        let sent = probe.send(&[(p, batch(0, 3), Disk)]);
        let deadline = Instant::now() + Duration::from_secs(60);
        while disk.held.load(Ordering::Acquire) == 0 {
            assert!(Instant::now() < deadline, "nothing is synced");
            std::thread::yield_now();
        }
        std::thread::scope(|scope| {
            // It waits for the sync before it sets the files aside.
            let deleting = scope.spawn(|| probe.store.delete(p));
            let outcome = probe.wait(sent[0]);
            assert!(matches!(outcome, Err(AppendError::NotFound)), "{outcome:?}");
            assert!(matches!(probe.store.mirror(p, None), Err(StoreError::NotFound)));
            // From here on the mirror may be another's.
            shown.0.store(-1, Ordering::Release);
            drop(held);
            deleting.join().unwrap().unwrap();
        });
        assert_eq!(shown.0.load(Ordering::Acquire), -1);
    }
}

#[test]
fn one_sync_serves_all_who_wait() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(FaultyDisk::default());
    let probe = on(disk.clone(), dir.path());
    let p = probe.open("t", 0);
    probe.append(p, &batch(0, 1), Disk).unwrap();
    let held = disk.hold();
    let before = disk.syncs.load(Ordering::Relaxed);
    let sent: Vec<u64> = (0..100).flat_map(|i| probe.send(&[(p, batch(i, 1), Disk)])).collect();
    drop(held);
    for token in sent {
        probe.wait(token).unwrap();
    }
    let syncs = disk.syncs.load(Ordering::Relaxed) - before;
    assert!((1..=2).contains(&syncs), "{syncs} syncs for 100 appends");
}

#[test]
fn a_failed_background_flush_is_final_too() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(FaultyDisk::default());
    let probe = on(disk.clone(), dir.path());
    let config = LogConfig { flush_bytes: 300, ..LogConfig::default() };
    let p = probe.store.open(&spec("t", 0, config)).unwrap();
    disk.fail_syncs.store(true, Ordering::Release);
    let begun = Instant::now();
    while probe.append(p, &batch(0, 1), PageCache).is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(60), "nobody flushes");
        std::thread::sleep(Duration::from_micros(50));
    }
    let failed = probe.store.stats(p).unwrap().failed;
    assert!(failed.is_some_and(|fault| fault.to_string().contains("t-0")));
    drop(probe);
    let probe = local(dir.path());
    probe.open("t", 0);
    probe.append(p, &batch(0, 1), Disk).unwrap();
}
