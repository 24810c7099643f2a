//! Who reads the log's own pages, and how far: what can be told of consumers that read without the
//! broker.
//!
//! A consumer says where it is when it has read all there is and sleeps, when it goes on to another
//! segment, and when it commits. Between these it says nothing, and nothing is asked of it. So it
//! is never behind where it is told to be: its lag is what is told here or less, and is exact of
//! one that keeps up. How many bytes it read it alone knows.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chaski_log::store::{LogStore, PartitionId};

/// All partitions that are read, each as often as it has readers.
#[derive(Debug, Default)]
pub(crate) struct Readers {
    /// In the order in which they began.
    all: Mutex<BTreeMap<u64, Arc<Reader>>>,
    next: AtomicU64,
}

/// A partition as one consumer reads it.
#[derive(Debug)]
pub(crate) struct Reader {
    /// That no other has, or had.
    pub(crate) number: u64,
    /// The process; 0: it cannot be told.
    pub(crate) pid: u32,
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    id: PartitionId,
    /// Of the next record, as it said last.
    offset: AtomicI64,
    /// Offsets it has passed, as far as it has said so.
    records: AtomicU64,
}

/// Where a reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) offset: i64,
    pub(crate) records: u64,
    /// At most; None: the partition is gone.
    pub(crate) lag: Option<i64>,
}

/// A reader that is on the list until this is dropped.
#[derive(Debug)]
pub(super) struct Listed {
    readers: Arc<Readers>,
    reader: Arc<Reader>,
}

impl Readers {
    pub(super) fn add(
        self: &Arc<Readers>,
        pid: u32,
        (topic, partition, id): (Arc<str>, i32, PartitionId),
        offset: i64,
    ) -> Listed {
        let reader = Arc::new(Reader {
            // ORDERING: a number that nobody else gets; nothing is published through it.
            number: self.next.fetch_add(1, Ordering::Relaxed),
            pid,
            topic,
            partition,
            id,
            offset: AtomicI64::new(offset),
            records: AtomicU64::new(0),
        });
        self.lock().insert(reader.number, reader.clone());
        Listed { readers: self.clone(), reader }
    }

    /// All of them, as of now.
    pub(crate) fn list(&self) -> Vec<Arc<Reader>> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Reader>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reader {
    pub(crate) fn progress(&self, store: &dyn LogStore) -> Progress {
        // ORDERING: relaxed, here and below; one thread writes, and what is read is told to people.
        let offset = self.offset.load(Ordering::Relaxed);
        let lag = |end: i64| end.saturating_sub(offset).max(0);
        Progress {
            offset,
            records: self.records.load(Ordering::Relaxed),
            lag: store.offsets(self.id).ok().map(|offsets| lag(offsets.high_watermark)),
        }
    }

    /// It has read up to there, it says; how many records that is, as far as there are so many. Its
    /// own thread alone may call this and the next.
    pub(super) fn reached(&self, offset: i64, store: &dyn LogStore) -> u64 {
        let end = store.offsets(self.id).map_or(0, |offsets| offsets.high_watermark);
        let offset = offset.clamp(0, end.max(0));
        let passed = offset.saturating_sub(self.offset.load(Ordering::Relaxed)).max(0) as u64;
        self.offset.store(offset, Ordering::Relaxed);
        let records = self.records.load(Ordering::Relaxed).wrapping_add(passed);
        self.records.store(records, Ordering::Relaxed);
        passed
    }

    /// It reads from there on, and has not read what lies between.
    pub(super) fn moved(&self, offset: i64) {
        self.offset.store(offset, Ordering::Relaxed);
    }
}

impl Deref for Listed {
    type Target = Reader;

    fn deref(&self) -> &Reader {
        &self.reader
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.readers.lock().remove(&self.reader.number);
    }
}

#[cfg(test)]
mod tests {
    use chaski_log::MemoryLog;
    use chaski_log::store::{LogConfig, PartitionSpec};
    use uuid::Uuid;

    use super::*;

    fn partition(log: &MemoryLog) -> PartitionId {
        let (topic_id, config) = (Uuid::from_u128(1), LogConfig::default());
        log.open(&PartitionSpec { topic: "t".to_owned(), topic_id, index: 0, config }).unwrap()
    }

    #[test]
    fn a_reader_is_listed_while_it_reads() {
        let log = MemoryLog::new();
        let (readers, id) = (Arc::new(Readers::default()), partition(&log));
        let first = readers.add(7, ("t".into(), 0, id), 0);
        let second = readers.add(8, ("t".into(), 0, id), 0);
        let pids = || readers.list().iter().map(|reader| reader.pid).collect::<Vec<_>>();
        assert_eq!(pids(), [7, 8]);
        drop(first);
        assert_eq!(pids(), [8]);
        drop(second);
        assert_eq!(pids(), [0u32; 0]);
    }

    #[test]
    fn nobody_has_read_what_is_not_there() {
        let log = MemoryLog::new();
        let (readers, id) = (Arc::new(Readers::default()), partition(&log));
        let reader = readers.add(7, ("t".into(), 0, id), 0);
        for lie in [1, i64::MAX, i64::MIN, -1] {
            assert_eq!(reader.reached(lie, &log), 0, "{lie}");
        }
        assert_eq!(reader.progress(&log), Progress { offset: 0, records: 0, lag: Some(0) });
        log.delete(id).unwrap();
        assert_eq!(reader.reached(5, &log), 0);
        assert_eq!(reader.progress(&log).lag, None);
    }
}
