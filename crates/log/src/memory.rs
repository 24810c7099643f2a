//! [`MemoryLog`]: the store without a disk, for embedding and for tests.
//!
//! One lock over everything, every batch its own allocation. Each outcome is known at once, and
//! [`Durability::Disk`](crate::store::Durability::Disk) promises no more than the other: what is
//! here dies with the process.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chaski_batch::{BatchError, Header};

use crate::clock;
use crate::producers::{Producers, Verdict};
use crate::store::{
    Append, AppendError, AppendOutcome, AppendSink, Appended, LogConfig, LogStore, Mirror,
    OffsetFound, OffsetQuery, Offsets, PartitionId, PartitionSpec, PartitionStats, Read, ReadError,
    ReadOk, Slice, StoreError, Watcher,
};
use crate::watch::{Calls, Watchers};

/// Partitions in memory.
#[derive(Default)]
pub struct MemoryLog {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    partitions: Vec<Option<Partition>>,
    closed: bool,
}

struct Partition {
    spec: PartitionSpec,
    batches: VecDeque<Batch>,
    bytes: u64,
    log_start: i64,
    /// Also the high watermark.
    log_end: AtomicI64,
    producers: Producers,
    watchers: Watchers,
    mirror: Option<Arc<dyn Mirror>>,
}

struct Batch {
    header: Header,
    bytes: Arc<[u8]>,
}

impl MemoryLog {
    /// No partitions.
    pub fn new() -> MemoryLog {
        MemoryLog::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(
        &self,
        partition: PartitionId,
        f: impl FnOnce(&mut Partition) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        f(self.lock().partition(partition).ok_or(StoreError::NotFound)?)
    }
}

impl std::fmt::Debug for MemoryLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryLog").finish_non_exhaustive()
    }
}

impl State {
    fn partition(&mut self, id: PartitionId) -> Option<&mut Partition> {
        self.partitions.get_mut(id.0 as usize)?.as_mut()
    }
}

impl LogStore for MemoryLog {
    fn open(&self, spec: &PartitionSpec) -> Result<PartitionId, StoreError> {
        let mut state = self.lock();
        let same = |p: &Partition| p.spec.topic_id == spec.topic_id && p.spec.index == spec.index;
        if let Some(open) = state.partitions.iter().position(|p| p.as_ref().is_some_and(same)) {
            return Ok(PartitionId(open as u32));
        }
        let id = PartitionId(state.partitions.len() as u32);
        state.partitions.push(Some(Partition::new(spec.clone())));
        Ok(id)
    }

    fn delete(&self, partition: PartitionId) -> Result<(), StoreError> {
        let slot = self.lock().partitions.get_mut(partition.0 as usize).and_then(Option::take);
        let mut calls = Calls::default();
        slot.ok_or(StoreError::NotFound)?.watchers.all(&mut calls);
        calls.make();
        Ok(())
    }

    fn configure(&self, partition: PartitionId, config: &LogConfig) -> Result<(), StoreError> {
        self.with(partition, |p| {
            p.spec.config = config.clone();
            Ok(())
        })
    }

    fn append(
        &self,
        batches: &mut [Append<'_>],
        now: &mut Vec<(u64, AppendOutcome)>,
        _later: &Arc<dyn AppendSink>,
    ) {
        let mut calls = Calls::default();
        let mut state = self.lock();
        let now_ms = clock::now_ms();
        for append in batches {
            let outcome = if state.closed {
                Err(AppendError::Closed)
            } else {
                match state.partition(append.partition) {
                    Some(partition) => partition.append(append, now_ms, &mut calls),
                    None => Err(AppendError::NotFound),
                }
            };
            now.push((append.token, outcome));
        }
        drop(state);
        calls.make();
    }

    fn read(&self, reads: &[Read], results: &mut Vec<Result<ReadOk, ReadError>>) {
        let mut state = self.lock();
        results.extend(reads.iter().map(|read| match state.partition(read.partition) {
            Some(partition) => partition.read(read),
            None => Err(ReadError::NotFound),
        }));
    }

    fn offsets(&self, partition: PartitionId) -> Result<Offsets, StoreError> {
        self.with(partition, |p| Ok(p.offsets()))
    }

    fn find(
        &self,
        partition: PartitionId,
        query: OffsetQuery,
    ) -> Result<Option<OffsetFound>, StoreError> {
        self.with(partition, |p| {
            p.find(query).map_err(|e| StoreError::Corrupt(format!("{}: {e}", p.spec.topic)))
        })
    }

    fn watch(
        &self,
        partition: PartitionId,
        offset: i64,
        key: u64,
        watcher: &Arc<dyn Watcher>,
    ) -> bool {
        let mut state = self.lock();
        state
            .partition(partition)
            .is_some_and(|p| p.watchers.watch(offset, key, watcher, &p.log_end))
    }

    fn unwatch(&self, partition: PartitionId, key: u64) {
        if let Some(partition) = self.lock().partition(partition) {
            partition.watchers.unwatch(key);
        }
    }

    fn mirror(
        &self,
        partition: PartitionId,
        mirror: Option<Arc<dyn Mirror>>,
    ) -> Result<(), StoreError> {
        self.with(partition, |p| {
            if let Some(mirror) = &mirror {
                mirror.show(p.offsets().high_watermark);
            }
            p.mirror = mirror;
            Ok(())
        })
    }

    fn trim(&self, partition: PartitionId, offset: i64) -> Result<i64, StoreError> {
        self.with(partition, |p| p.trim(offset))
    }

    fn stats(&self, partition: PartitionId) -> Result<PartitionStats, StoreError> {
        self.with(partition, |p| {
            Ok(PartitionStats {
                offsets: p.offsets(),
                bytes: p.bytes,
                segments: 1,
                ..PartitionStats::default()
            })
        })
    }

    fn retain(&self, now_ms: i64) {
        for partition in self.lock().partitions.iter_mut().flatten() {
            partition.retain(now_ms);
        }
    }

    fn close(&self) -> Result<(), StoreError> {
        self.lock().closed = true;
        Ok(())
    }
}

impl Partition {
    fn new(spec: PartitionSpec) -> Partition {
        Partition {
            spec,
            batches: VecDeque::new(),
            bytes: 0,
            log_start: 0,
            log_end: AtomicI64::new(0),
            producers: Producers::default(),
            watchers: Watchers::default(),
            mirror: None,
        }
    }

    fn append(&mut self, append: &mut Append<'_>, now_ms: i64, calls: &mut Calls) -> AppendOutcome {
        let (end, log_start) = (self.end(), self.log_start);
        if let Verdict::Duplicate { base_offset, .. } = self.producers.judge(&append.header)? {
            return Ok(Appended { base_offset, log_start, duplicate: true });
        }
        chaski_batch::set_base_offset(append.batch, end);
        chaski_batch::set_leader_epoch(append.batch, 0);
        let header = Header { base_offset: end, leader_epoch: 0, ..append.header };
        self.producers.record(&header, end, now_ms);
        self.bytes += append.batch.len() as u64;
        self.batches.push_back(Batch { header, bytes: Arc::from(&*append.batch) });
        // ORDERING: pairs with the loads in `Watchers`, see there.
        self.log_end.store(header.next_offset(), Ordering::SeqCst);
        if let Some(mirror) = &self.mirror {
            mirror.show(header.next_offset());
        }
        self.watchers.due(header.next_offset(), calls);
        Ok(Appended { base_offset: end, log_start, duplicate: false })
    }

    fn read(&self, read: &Read) -> Result<ReadOk, ReadError> {
        let (offsets, offset) = (self.offsets(), read.offset);
        let (start, end) = (offsets.log_start, offsets.log_end);
        if offset < start || offset > end {
            return Err(ReadError::OutOfRange { offset, start, end });
        }
        let from = self.batches.partition_point(|b| b.header.last_offset() < offset);
        let mut room = read.max_bytes;
        let mut to = from;
        while let Some(batch) = self.batches.get(to) {
            let len = batch.bytes.len();
            if len > room && !(to == from && read.at_least_one) {
                break;
            }
            room = room.saturating_sub(len);
            to += 1;
        }
        let more = to < self.batches.len();
        Ok(ReadOk { offsets, records: self.join(from, to), more })
    }

    /// One slice of several batches.
    fn join(&self, from: usize, to: usize) -> Option<Slice> {
        if from + 1 >= to {
            return self.batches.range(from..to).next().map(|b| Slice::Bytes(b.bytes.clone()));
        }
        let batches: Vec<&[u8]> = self.batches.range(from..to).map(|b| &*b.bytes).collect();
        Some(Slice::Bytes(batches.concat().into()))
    }

    fn find(&self, query: OffsetQuery) -> Result<Option<OffsetFound>, BatchError> {
        let found = match query {
            OffsetQuery::Earliest => Some((self.log_start, -1)),
            OffsetQuery::Latest => Some((self.end(), -1)),
            OffsetQuery::MaxTimestamp => {
                let newest = self.batches.iter().rev().max_by_key(|b| b.header.max_timestamp);
                let found =
                    newest.map(|b| chaski_batch::find_max_timestamp(&b.bytes)).transpose()?;
                found.map(|t| (t.offset, t.timestamp))
            }
            OffsetQuery::AtOrAfter(timestamp) => {
                let mut found = None;
                for b in self.batches.iter().filter(|b| b.header.max_timestamp >= timestamp) {
                    found = chaski_batch::find_timestamp(&b.bytes, timestamp)?;
                    if found.is_some() {
                        break;
                    }
                }
                found.map(|t| (t.offset, t.timestamp))
            }
        };
        let start = self.log_start;
        Ok(found.map(|(offset, timestamp)| OffsetFound { offset: offset.max(start), timestamp }))
    }

    fn trim(&mut self, offset: i64) -> Result<i64, StoreError> {
        let (start, end) = (self.log_start, self.end());
        let offset = if offset == -1 { end } else { offset };
        if offset < 0 || offset > end {
            return Err(StoreError::OutOfRange { offset, start, end });
        }
        self.log_start = start.max(offset);
        while self.batches.front().is_some_and(|b| b.header.next_offset() <= self.log_start) {
            self.drop_front();
        }
        Ok(self.log_start)
    }

    fn retain(&mut self, now_ms: i64) {
        self.producers.expire(now_ms);
        let config = self.spec.config.clone();
        let age_max = config.retention_age.map(clock::as_ms);
        while let Some(oldest) = self.batches.front() {
            let len = oldest.bytes.len() as u64;
            let old =
                age_max.is_some_and(|max| now_ms.saturating_sub(oldest.header.max_timestamp) > max);
            let big = config.retention_bytes.is_some_and(|max| self.bytes - len >= max);
            if !old && !big {
                break;
            }
            self.log_start = self.log_start.max(oldest.header.next_offset());
            self.drop_front();
        }
    }

    fn drop_front(&mut self) {
        if let Some(batch) = self.batches.pop_front() {
            self.bytes -= batch.bytes.len() as u64;
        }
    }

    fn end(&self) -> i64 {
        self.log_end.load(Ordering::SeqCst)
    }

    fn offsets(&self) -> Offsets {
        let end = self.end();
        Offsets { log_start: self.log_start, high_watermark: end, log_end: end }
    }
}
