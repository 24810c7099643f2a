//! A place in a partition, and what reads from there.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use chaski_batch::Span;
use chaski_log::store::{
    self, Fault, FaultKind, OffsetQuery, Offsets, PartitionId, Read, ReadOk, Slice,
};

use super::{Position, ReadError};
use crate::Broker;
use crate::cluster::Topic;

/// Where a reader is in one partition. It moves with each read.
pub(crate) struct Cursor {
    pub(crate) topic: Arc<Topic>,
    pub(crate) partition: i32,
    pub(crate) id: PartitionId,
    /// Offset of the next record to read.
    pub(crate) offset: i64,
}

/// Where the bytes of a read lie until the next one: in memory that the store shares, or copied
/// out of the page cache into memory that is used again.
#[derive(Default)]
pub(super) struct Buffer {
    shared: Option<Arc<[u8]>>,
    copied: Vec<u8>,
    /// Bytes of `copied` that count.
    len: usize,
}

/// Where a batch lies.
pub(crate) struct Located {
    /// The segment and the batch's place in it; None: there is nothing yet at this offset.
    pub(crate) file: Option<(Arc<File>, u64)>,
    pub(crate) offsets: Offsets,
}

impl Cursor {
    /// None: there is no such partition.
    pub(crate) fn new(topic: Arc<Topic>, partition: i32) -> Option<Cursor> {
        let id = topic.partition(partition)?;
        Some(Cursor { topic, partition, id, offset: 0 })
    }

    pub(super) fn is_of(&self, topic: &Topic) -> bool {
        self.topic.id == topic.id
    }

    /// Moves to a position; returns its offset.
    pub(crate) fn seek(&mut self, broker: &Broker, to: Position) -> Result<i64, ReadError> {
        if broker.stopping.has_begun() {
            return Err(ReadError::Stopped);
        }
        let found = |query| match broker.store.find(self.id, query) {
            Ok(found) => Ok(found.map(|found| found.offset)),
            Err(error) => Err(ReadError::of_lookup(&error, &self.topic.name)),
        };
        let latest = || found(OffsetQuery::Latest).map(Option::unwrap_or_default);
        self.offset = match to {
            Position::Offset(offset) => offset,
            Position::Earliest => found(OffsetQuery::Earliest)?.unwrap_or_default(),
            Position::Latest => latest()?,
            Position::Time(ms) => match found(OffsetQuery::AtOrAfter(ms))? {
                Some(offset) => offset,
                None => latest()?,
            },
        };
        Ok(self.offset)
    }

    /// Reads whole batches into `buffer`, `max_bytes` of them, or one if it is larger, and moves
    /// on behind them. None: nothing more yet.
    pub(super) fn read(
        &mut self,
        broker: &Broker,
        max_bytes: usize,
        buffer: &mut Buffer,
    ) -> Result<Option<Span>, ReadError> {
        let Some(slice) = self.look(broker, self.offset, max_bytes)?.records else {
            return Ok(None);
        };
        buffer.fill(slice)?;
        let bytes = buffer.bytes();
        let span = Span::of(self.offset, bytes)
            .ok_or_else(|| unexplained(format!("no batch at offset {}", self.offset)))?;
        broker.inside.read_bytes.add(bytes.len() as u64);
        self.offset = span.next;
        Ok(Some(span))
    }

    /// Where the batch with an offset lies, for somebody who reads the file without us; the cursor
    /// stays where it is.
    pub(crate) fn locate(&self, broker: &Broker, offset: i64) -> Result<Located, ReadError> {
        let found = self.look(broker, offset, 1)?;
        let file = match found.records {
            None => None,
            Some(Slice::File { file, position, .. }) => Some((file, position)),
            Some(Slice::Bytes(_)) => {
                let why = "these records are not in a file: the broker keeps them in memory";
                return Err(unexplained(why));
            }
        };
        Ok(Located { file, offsets: found.offsets })
    }

    fn look(&self, broker: &Broker, offset: i64, max_bytes: usize) -> Result<ReadOk, ReadError> {
        if broker.stopping.has_begun() {
            return Err(ReadError::Stopped);
        }
        let read = Read { partition: self.id, offset, max_bytes, at_least_one: true };
        let mut results = Vec::with_capacity(1);
        broker.store.read(&[read], &mut results);
        let found = results.pop().ok_or_else(|| unexplained("no result"))?;
        found.map_err(|error| self.explain(broker, offset, error))
    }

    /// Why nothing was read at the offset `from`.
    fn explain(&self, broker: &Broker, from: i64, error: store::ReadError) -> ReadError {
        match error {
            store::ReadError::NotFound => ReadError::Deleted(self.topic.name.to_string()),
            store::ReadError::OutOfRange { offset, start, end } => {
                ReadError::OutOfRange { offset, start, end }
            }
            store::ReadError::Corrupt { offset, resumes, reason, .. } => {
                let end = || broker.store.offsets(self.id).map_or(0, |o| o.high_watermark);
                // Past the position, whatever the store says: nobody must go round in circles.
                let resumes = resumes.unwrap_or_else(end).max(from.saturating_add(1));
                ReadError::Damaged { offset, resumes, reason }
            }
            store::ReadError::Storage(fault) => ReadError::Storage(fault),
            other => unexplained(other.to_string()),
        }
    }
}

impl Buffer {
    /// What the last read brought.
    pub(super) fn bytes(&self) -> &[u8] {
        match &self.shared {
            Some(shared) => shared,
            None => &self.copied[..self.len],
        }
    }

    fn fill(&mut self, slice: Slice) -> Result<(), ReadError> {
        match slice {
            Slice::Bytes(bytes) => self.shared = Some(bytes),
            Slice::File { file, position, len } => {
                self.shared = None;
                // Grown, never shrunk: only growth is paid for with zeros.
                if self.copied.len() < len {
                    self.copied.resize(len, 0);
                }
                self.len = len;
                file.read_exact_at(&mut self.copied[..len], position)
                    .map_err(|error| ReadError::Storage(Fault::from(&error)))?;
            }
        }
        Ok(())
    }
}

/// A failure that no system call has told of.
fn unexplained(why: impl Into<String>) -> ReadError {
    ReadError::Storage(Fault::new(FaultKind::Other, why))
}
