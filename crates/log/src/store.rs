//! The seams: [`LogStore`] holds record batches, [`MetaStore`] small facts about them.
//!
//! Above these traits nobody knows which store serves them. Hence: calls are batched over
//! partitions; an outcome may come at once or later; offsets are known only with the outcome; a
//! duplicate sequence is an answer and not an error; a read returns slices that are bytes or file
//! ranges.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

pub use crate::fault::{Fault, FaultKind};

/// A partition that a store has opened. Dense and small: stores index arrays by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartitionId(pub u32);

/// What names a partition for good: the topic's id, so that a topic created anew under an old
/// name is another topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionSpec {
    /// Topic name, for people (directories, reports).
    pub topic: String,
    /// Topic id (random 128 bits).
    pub topic_id: uuid::Uuid,
    /// Partition number within the topic.
    pub index: i32,
    /// Settings.
    pub config: LogConfig,
}

/// Settings of one partition's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// A segment that would grow past this is closed and a new one begun (`segment.bytes`).
    pub segment_bytes: u64,
    /// A segment older than this is closed even if small (`segment.ms`).
    pub segment_age: Duration,
    /// Bytes kept per partition, oldest segments go first (`retention.bytes`); None: no limit.
    pub retention_bytes: Option<u64>,
    /// Age kept, by the largest timestamp of a segment (`retention.ms`); None: for ever.
    pub retention_age: Option<Duration>,
    /// Bytes of log between two entries of the sparse index (`index.interval.bytes`).
    pub index_interval_bytes: u32,
    /// Unflushed bytes after which a background flush moves the recovery checkpoint.
    pub flush_bytes: u64,
    /// Age of unflushed bytes after which the same happens.
    pub flush_age: Duration,
}

impl Default for LogConfig {
    fn default() -> Self {
        LogConfig {
            segment_bytes: 256 << 20,
            segment_age: Duration::from_secs(7 * 24 * 3600),
            retention_bytes: None,
            retention_age: Some(Duration::from_secs(7 * 24 * 3600)),
            index_interval_bytes: 4096,
            flush_bytes: 64 << 20,
            flush_age: Duration::from_secs(10),
        }
    }
}

/// When an append is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Once the page cache has it: survives the death of the process, not of the machine.
    PageCache,
    /// Once fdatasync has returned: survives the death of the machine.
    Disk,
}

/// One checked batch on its way into one partition.
#[derive(Debug)]
pub struct Append<'a> {
    /// Where to.
    pub partition: PartitionId,
    /// One whole batch that passed [`chaski_batch::check`]. The store patches base offset and
    /// leader epoch in place.
    pub batch: &'a mut [u8],
    /// Its header, as checked.
    pub header: chaski_batch::Header,
    /// When to answer.
    pub durability: Durability,
    /// Given back with the outcome.
    pub token: u64,
}

/// An append that the log holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Offset of the batch's first record.
    pub base_offset: i64,
    /// Oldest offset of the partition.
    pub log_start: i64,
    /// The batch had been appended before (idempotent producer, KIP-98); `base_offset` is the
    /// first one's.
    pub duplicate: bool,
}

/// Why an append is not in the log. Nothing of the batch was kept.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum AppendError {
    #[error("no such partition")]
    NotFound,
    #[error("producer {producer_id}: sequence {got} does not follow {expected}")]
    OutOfOrderSequence { producer_id: i64, got: i32, expected: i32 },
    #[error("producer {producer_id}: epoch {got} is older than {current}")]
    FencedEpoch { producer_id: i64, got: i16, current: i16 },
    #[error("no room left on the device")]
    Full,
    #[error("storage failed: {0}")]
    Storage(Fault),
    /// Written, but not known to be on disk: a sync failed. Recovery may find it.
    #[error("it may be in the log or not: {0}")]
    InDoubt(Fault),
    #[error("the log is closed")]
    Closed,
}

/// What became of an append.
pub type AppendOutcome = Result<Appended, AppendError>;

/// Takes the outcomes that come after [`LogStore::append`] has returned, on any thread.
pub trait AppendSink: Send + Sync {
    /// The outcome of the append with this token.
    fn appended(&self, token: u64, outcome: AppendOutcome);
    /// Ends a group of calls to `appended` made in one go: the place to wake somebody once.
    fn flush(&self) {}
}

/// One partition's share of a read.
#[derive(Debug, Clone, Copy)]
pub struct Read {
    /// Where from.
    pub partition: PartitionId,
    /// First offset wanted: the batch that holds it comes first.
    pub offset: i64,
    /// Bytes at most, whole batches.
    pub max_bytes: usize,
    /// Return the first batch even if it is larger than `max_bytes` (KIP-74).
    pub at_least_one: bool,
}

/// Bytes of a partition, where they are.
#[derive(Debug, Clone)]
pub enum Slice {
    /// In memory.
    Bytes(Arc<[u8]>),
    /// In a file: valid as long as the handle lives, whatever retention does.
    File {
        /// The segment.
        file: Arc<File>,
        /// First byte.
        position: u64,
        /// Bytes.
        len: usize,
    },
}

impl Slice {
    /// Bytes in this slice.
    pub fn len(&self) -> usize {
        match self {
            Slice::Bytes(b) => b.len(),
            Slice::File { len, .. } => *len,
        }
    }
    /// No bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What a read found: whole batches, the first of which holds the offset asked for.
#[derive(Debug, Clone)]
pub struct ReadOk {
    /// The offsets of the partition as of this read.
    pub offsets: Offsets,
    /// None when `offset` is the high watermark.
    pub records: Option<Slice>,
    /// More records follow these and may be read already: a read ends where a segment does.
    pub more: bool,
}

/// Why a read found nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum ReadError {
    #[error("no such partition")]
    NotFound,
    #[error("offset {offset} is outside {start}..={end}")]
    OutOfRange { offset: i64, start: i64, end: i64 },
    /// Batches from `offset` on cannot be read, up to `resumes`; None: up to the end, as of now.
    #[error("damaged batch at offset {offset}, byte {position}: {reason}")]
    Corrupt { offset: i64, position: u64, resumes: Option<i64>, reason: String },
    #[error("storage failed: {0}")]
    Storage(Fault),
}

/// The offsets that bound a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Offsets {
    /// Oldest offset kept.
    pub log_start: i64,
    /// First offset consumers may not read yet.
    pub high_watermark: i64,
    /// Offset the next record will get.
    pub log_end: i64,
}

/// Which offset to look up, as ListOffsets asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetQuery {
    /// Oldest offset kept (-2).
    Earliest,
    /// The high watermark (-1).
    Latest,
    /// The record with the largest timestamp (-3, KIP-734).
    MaxTimestamp,
    /// The first record whose timestamp is this or later.
    AtOrAfter(i64),
}

/// An answer to an [`OffsetQuery`]: `timestamp` is -1 where the query is not about time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct OffsetFound {
    pub offset: i64,
    pub timestamp: i64,
}

/// Is told once that a partition's high watermark has passed a point (or the partition is gone).
pub trait Watcher: Send + Sync {
    /// `key` as given to [`LogStore::watch`].
    fn advanced(&self, key: u64);
    /// Ends a group of calls to `advanced` made in one go: the place to wake somebody once.
    fn flush(&self) {}
}

/// Keeps a copy of a partition's high watermark in a place that others look at: memory shared with
/// another process, say.
pub trait Mirror: Send + Sync {
    /// The high watermark has this value now. Called for each new one, in order, under the
    /// partition's lock, when the records before it can be read: it must not block.
    fn show(&self, high_watermark: i64);
}

/// Facts about a partition, for people and metrics.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs)]
pub struct PartitionStats {
    pub offsets: Offsets,
    /// Bytes of batches kept.
    pub bytes: u64,
    pub segments: usize,
    /// Appended but not yet known to be on disk.
    pub unflushed_bytes: u64,
    /// First offset of each damaged stretch found so far.
    pub damaged: Vec<i64>,
    /// A failed fdatasync has closed the partition for writing.
    pub failed: Option<Fault>,
    /// Appends fail, of late, for this reason; one that succeeds ends it.
    pub failing: Option<FaultKind>,
}

/// Any failure of a cold call.
#[derive(Debug, Error)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum StoreError {
    #[error("no such partition")]
    NotFound,
    #[error("{what}: {source}")]
    Io { what: String, source: io::Error },
    #[error("offset {offset} is outside {start}..={end}")]
    OutOfRange { offset: i64, start: i64, end: i64 },
    #[error("{0}")]
    Corrupt(String),
}

/// A store of partitions. Cheap to share: every call takes `&self`, from any thread.
pub trait LogStore: Send + Sync + 'static {
    /// Opens a partition, creating or recovering it.
    fn open(&self, spec: &PartitionSpec) -> Result<PartitionId, StoreError>;

    /// Forgets and deletes a partition; its watchers are told.
    fn delete(&self, partition: PartitionId) -> Result<(), StoreError>;

    /// Changes a partition's settings.
    fn configure(&self, partition: PartitionId, config: &LogConfig) -> Result<(), StoreError>;

    /// Appends each batch in turn. Outcomes known at once are pushed to `now`; the others reach
    /// `later`. Batches of one partition keep their order.
    fn append(
        &self,
        batches: &mut [Append<'_>],
        now: &mut Vec<(u64, AppendOutcome)>,
        later: &Arc<dyn AppendSink>,
    );

    /// Reads each partition; one result a read, in order. Never blocks on the network; a store
    /// that must fetch first answers with no records and tells the watchers when it has them.
    fn read(&self, reads: &[Read], results: &mut Vec<Result<ReadOk, ReadError>>);

    /// The bounding offsets.
    fn offsets(&self, partition: PartitionId) -> Result<Offsets, StoreError>;

    /// Looks an offset up; None: no record is that young.
    fn find(
        &self,
        partition: PartitionId,
        query: OffsetQuery,
    ) -> Result<Option<OffsetFound>, StoreError>;

    /// Tells `watcher` once when the high watermark is past `offset`. Returns false, and does not
    /// register, if it already is. A second call with the same `key` replaces the first.
    fn watch(
        &self,
        partition: PartitionId,
        offset: i64,
        key: u64,
        watcher: &Arc<dyn Watcher>,
    ) -> bool;

    /// Withdraws a watch; no harm if there is none.
    fn unwatch(&self, partition: PartitionId, key: u64);

    /// Has each high watermark shown to `mirror`, the present one before this returns; None: to
    /// nobody any more, and not one after this has returned. There is one mirror at most.
    fn mirror(
        &self,
        partition: PartitionId,
        mirror: Option<Arc<dyn Mirror>>,
    ) -> Result<(), StoreError>;

    /// Moves the log start up to `offset` (or the high watermark if -1): DeleteRecords.
    fn trim(&self, partition: PartitionId, offset: i64) -> Result<i64, StoreError>;

    /// Facts for people and metrics.
    fn stats(&self, partition: PartitionId) -> Result<PartitionStats, StoreError>;

    /// One round of retention over all partitions; `now_ms` is wall-clock time since the epoch.
    fn retain(&self, now_ms: i64);

    /// Flushes everything and writes the checkpoints: a clean stop. Appends fail from now on.
    fn close(&self) -> Result<(), StoreError>;
}

/// A change to a [`MetaStore`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Change {
    Put { key: String, value: Vec<u8> },
    Delete { key: String },
}

/// A small durable map from names to values: topics, settings, committed offsets, producer ids.
pub trait MetaStore: Send + 'static {
    /// All pairs whose key starts with `prefix`, in key order.
    fn scan(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError>;
    /// One value.
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError>;
    /// Makes all changes durable, or none.
    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError>;
}
