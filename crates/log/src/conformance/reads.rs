//! Cases about reading and waiting.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::probe::{bytes, split};
use super::{Fixture, Probe, batch, spec};
use crate::store::Durability::{Disk, PageCache};
use crate::store::{LogConfig, Mirror, ReadError, StoreError, Watcher};

pub(super) fn reads_are_whole_batches(fixture: &mut dyn Fixture) {
    let probe = Probe::new(fixture.fresh());
    let config = LogConfig { segment_bytes: 5000, ..LogConfig::default() };
    let p = probe.store.open(&spec("orders", 0, config)).unwrap();
    for i in 0..100 {
        probe.append(p, &batch(i, 1 + i as usize % 7), PageCache).unwrap();
    }
    let all = probe.read_all(p, 0, 1 << 20);
    for max_bytes in [1, 100, 300, 1000, 4096, 5000, 100_000] {
        assert_eq!(probe.read_all(p, 0, max_bytes), all, "in reads of {max_bytes} bytes");
    }
    for (header, batch) in &all {
        for offset in header.base_offset..header.next_offset() {
            let found = split(&probe.read(p, offset, batch.len()).unwrap());
            assert_eq!(found, [(*header, batch.clone())], "offset {offset}");
            let less = batch.len() - 1;
            assert!(probe.read_ok(p, offset, less, false).unwrap().records.is_none());
            assert_eq!(split(&probe.read(p, offset, less).unwrap()), found);
        }
        let found = probe.read_ok(p, header.base_offset, 1000, false).unwrap();
        let records = found.records.expect("1000 bytes hold a batch");
        assert!(!records.is_empty() && records.len() <= 1000);
        assert!(split(&bytes(&records)).last().unwrap().0.next_offset() <= 400);
    }
}

pub(super) fn reads_have_bounds(fixture: &mut dyn Fixture) {
    let probe = Probe::new(fixture.fresh());
    let p = probe.open("orders", 0);
    assert!(probe.read_ok(p, 0, 100, true).unwrap().records.is_none(), "an empty partition");
    probe.append(p, &batch(0, 4), PageCache).unwrap();
    assert!(probe.read_ok(p, 4, 100, true).unwrap().records.is_none(), "the high watermark");
    let outside = |offset| Err(ReadError::OutOfRange { offset, start: 0, end: 4 });
    assert_eq!(probe.read(p, 5, 100), outside(5));
    assert_eq!(probe.read(p, -1, 100), outside(-1));
    assert_eq!(probe.read(p, i64::MIN, 100), outside(i64::MIN));
    assert!(!probe.read(p, 0, usize::MAX).unwrap().is_empty());
}

/// Keeps what it is told; None is a flush.
#[derive(Default)]
struct Heard(Mutex<Vec<Option<u64>>>);

impl Heard {
    /// Whether a flush comes last, before long.
    fn is_flushed(&self) -> bool {
        let begun = Instant::now();
        while self.0.lock().unwrap().last() != Some(&None) {
            if begun.elapsed() > Duration::from_secs(60) {
                return false;
            }
            std::thread::yield_now();
        }
        true
    }

    fn keys(&self) -> Vec<u64> {
        let mut keys: Vec<u64> = self.0.lock().unwrap().drain(..).flatten().collect();
        keys.sort_unstable();
        keys
    }
}

impl Watcher for Heard {
    fn advanced(&self, key: u64) {
        self.0.lock().unwrap().push(Some(key));
    }

    fn flush(&self) {
        self.0.lock().unwrap().push(None);
    }
}

pub(super) fn watchers_are_told_once(fixture: &mut dyn Fixture) {
    let probe = Probe::new(fixture.fresh());
    let p = probe.open("orders", 0);
    let heard = Arc::new(Heard::default());
    let watcher: Arc<dyn Watcher> = heard.clone();
    let watch = |offset, key| probe.store.watch(p, offset, key, &watcher);
    probe.append(p, &batch(0, 2), Disk).unwrap();
    assert!(!watch(1, 1), "the high watermark is past 1 already");
    assert!(watch(2, 2) && watch(3, 3) && watch(2, 4) && watch(2, 5));
    assert!(watch(9, 5), "replaces the first");
    probe.store.unwatch(p, 4);
    probe.append(p, &batch(0, 1), Disk).unwrap();
    // Who appends is answered first, so watchers may hear of it a little later.
    assert!(heard.is_flushed(), "a flush comes last");
    assert_eq!(heard.keys(), [2]);
    probe.append(p, &batch(0, 1), PageCache).unwrap();
    assert_eq!(heard.keys(), [3]);
    probe.append(p, &batch(0, 10), PageCache).unwrap();
    assert_eq!(heard.keys(), [5]);
}

pub(super) fn watchers_learn_of_a_deletion(fixture: &mut dyn Fixture) {
    let probe = Probe::new(fixture.fresh());
    let p = probe.open("orders", 0);
    let heard = Arc::new(Heard::default());
    let watcher: Arc<dyn Watcher> = heard.clone();
    assert!(probe.store.watch(p, 0, 1, &watcher) && probe.store.watch(p, 100, 2, &watcher));
    probe.store.delete(p).unwrap();
    assert_eq!(heard.keys(), [1, 2]);
    assert!(!probe.store.watch(p, 0, 3, &watcher), "nothing to wait for");
}

/// Keeps what it is shown.
#[derive(Default)]
struct Seen(Mutex<Vec<i64>>);

impl Mirror for Seen {
    fn show(&self, high_watermark: i64) {
        self.0.lock().unwrap().push(high_watermark);
    }
}

pub(super) fn a_mirror_shows_each_high_watermark(fixture: &mut dyn Fixture) {
    let probe = Probe::new(fixture.fresh());
    let p = probe.open("orders", 0);
    probe.append(p, &batch(0, 2), PageCache).unwrap();
    let (first, second) = (Arc::new(Seen::default()), Arc::new(Seen::default()));
    probe.store.mirror(p, Some(first.clone())).unwrap();
    assert_eq!(*first.0.lock().unwrap(), [2], "the present one is shown at once");
    probe.append(p, &batch(0, 3), PageCache).unwrap();
    probe.append(p, &batch(0, 1), Disk).unwrap();
    probe.store.mirror(p, Some(second.clone())).unwrap();
    probe.append(p, &batch(0, 1), PageCache).unwrap();
    probe.store.mirror(p, None).unwrap();
    probe.append(p, &batch(0, 1), PageCache).unwrap();
    assert_eq!(*first.0.lock().unwrap(), [2, 5, 6]);
    assert_eq!(*second.0.lock().unwrap(), [6, 7]);
    probe.store.delete(p).unwrap();
    assert!(matches!(probe.store.mirror(p, None), Err(StoreError::NotFound)));
}
