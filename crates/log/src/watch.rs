//! Who waits for a partition to grow.
//!
//! An append must not take a lock to learn that nobody waits, so the smallest offset waited for is
//! also in an atomic. The two sides race: a watcher registers, then looks at the high watermark;
//! an appender moves the high watermark, then looks at the smallest offset waited for. Both
//! accesses of both sides are sequentially consistent, so at least one of them sees the other.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::store::Watcher;

/// Nobody waits.
const NONE: i64 = i64::MAX;

/// The watchers of one partition.
pub(crate) struct Watchers {
    by_key: Mutex<HashMap<u64, Waiting>>,
    /// No larger than the smallest offset in `by_key`. It may be too small, which costs the next
    /// append a look.
    lowest: AtomicI64,
}

struct Waiting {
    offset: i64,
    watcher: Arc<dyn Watcher>,
}

impl Default for Watchers {
    fn default() -> Self {
        Watchers { by_key: Mutex::default(), lowest: AtomicI64::new(NONE) }
    }
}

impl Watchers {
    /// Registers unless `high_watermark`, read anew, is past `offset` already.
    pub(crate) fn watch(
        &self,
        offset: i64,
        key: u64,
        watcher: &Arc<dyn Watcher>,
        high_watermark: &AtomicI64,
    ) -> bool {
        let mut by_key = self.lock();
        by_key.insert(key, Waiting { offset, watcher: watcher.clone() });
        self.lowest.fetch_min(offset, Ordering::SeqCst);
        // ORDERING: pairs with the store in `due`'s caller, see the module head.
        if high_watermark.load(Ordering::SeqCst) > offset {
            by_key.remove(&key);
            return false;
        }
        true
    }

    /// Withdraws a watch.
    pub(crate) fn unwatch(&self, key: u64) {
        self.lock().remove(&key);
    }

    /// Moves everybody who waited for less than `high_watermark` to `calls`. The caller has stored
    /// the high watermark with sequential consistency before.
    pub(crate) fn due(&self, high_watermark: i64, calls: &mut Calls) {
        // ORDERING: pairs with the store in `watch`, see the module head.
        if self.lowest.load(Ordering::SeqCst) >= high_watermark {
            return;
        }
        let mut by_key = self.lock();
        let due = by_key.extract_if(|_, waiting| waiting.offset < high_watermark);
        calls.0.extend(due.map(|(key, waiting)| (key, waiting.watcher)));
        self.set_lowest(&by_key);
    }

    /// Moves everybody to `calls`: the partition is gone.
    pub(crate) fn all(&self, calls: &mut Calls) {
        let mut by_key = self.lock();
        calls.0.extend(by_key.drain().map(|(key, waiting)| (key, waiting.watcher)));
        self.set_lowest(&by_key);
    }

    fn set_lowest(&self, by_key: &HashMap<u64, Waiting>) {
        let lowest = by_key.values().map(|w| w.offset).min().unwrap_or(NONE);
        self.lowest.store(lowest, Ordering::SeqCst);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Waiting>> {
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Calls to watchers, gathered under locks and made without any.
#[derive(Default)]
pub(crate) struct Calls(Vec<(u64, Arc<dyn Watcher>)>);

impl Calls {
    /// Tells everybody, then flushes each watcher once.
    pub(crate) fn make(mut self) {
        self.0.sort_by_key(|(_, watcher)| Arc::as_ptr(watcher).cast::<()>());
        for group in self.0.chunk_by(|(_, a), (_, b)| Arc::ptr_eq(a, b)) {
            for (key, watcher) in group {
                watcher.advanced(*key);
            }
            group[0].1.flush();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Log(Mutex<Vec<Option<u64>>>);

    impl Watcher for Log {
        fn advanced(&self, key: u64) {
            self.0.lock().unwrap().push(Some(key));
        }
        fn flush(&self) {
            self.0.lock().unwrap().push(None);
        }
    }

    fn due(watchers: &Watchers, high_watermark: i64) {
        let mut calls = Calls::default();
        watchers.due(high_watermark, &mut calls);
        calls.make();
    }

    #[test]
    fn only_those_who_are_passed_are_told_and_once() {
        let (watchers, at) = (Watchers::default(), AtomicI64::new(5));
        let log = Arc::new(Log::default());
        let watcher: Arc<dyn Watcher> = log.clone();
        assert!(!watchers.watch(4, 1, &watcher, &at), "5 is past 4 already");
        assert!(watchers.watch(5, 2, &watcher, &at));
        assert!(watchers.watch(7, 3, &watcher, &at));
        due(&watchers, 6);
        due(&watchers, 7);
        assert_eq!(*log.0.lock().unwrap(), [Some(2), None]);
        due(&watchers, 8);
        assert_eq!(log.0.lock().unwrap()[2..], [Some(3), None]);
        assert_eq!(watchers.lowest.load(Ordering::SeqCst), NONE);
    }

    #[test]
    fn a_withdrawn_or_replaced_watch_is_silent() {
        let (watchers, at) = (Watchers::default(), AtomicI64::new(0));
        let log = Arc::new(Log::default());
        let watcher: Arc<dyn Watcher> = log.clone();
        assert!(watchers.watch(0, 1, &watcher, &at));
        assert!(watchers.watch(9, 1, &watcher, &at));
        assert!(watchers.watch(0, 2, &watcher, &at));
        watchers.unwatch(2);
        watchers.unwatch(77);
        due(&watchers, 5);
        assert!(log.0.lock().unwrap().is_empty());
    }
}
