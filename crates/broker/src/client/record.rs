//! A record on its way into a topic, and where it has been put.

use super::{Flushed, ProduceError};

/// A record on its way into a topic.
#[derive(Debug, Clone, Copy, Default)]
pub struct Record<'a> {
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The value; None is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Names and values that go along.
    pub headers: &'a [(&'a str, Option<&'a [u8]>)],
    /// Milliseconds since the epoch; None: now, which costs a look at the clock.
    pub timestamp: Option<i64>,
    /// Where it goes; None: where the partitioner says.
    pub partition: Option<i32>,
}

impl<'a> Record<'a> {
    /// One with this value, and nothing else.
    pub fn of(value: &'a [u8]) -> Record<'a> {
        Record { value: Some(value), ..Record::default() }
    }

    /// Bytes it takes in a batch at most.
    pub(super) fn bytes_max(&self) -> usize {
        /// Lengths, deltas and counts take ten bytes each at most.
        const NUMBERS: usize = 7 * 10;
        let len = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
        let headers = self.headers.iter().map(|(name, value)| 20 + name.len() + len(*value));
        NUMBERS + len(self.key) + len(self.value) + headers.sum::<usize>()
    }
}

/// Where a record has been put, good until the next flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// The partition.
    pub partition: i32,
    /// The batch, counted since the last flush.
    pub(super) batch: usize,
    /// Its place in the batch.
    pub(super) index: usize,
}

impl Placed {
    /// The offset it got by the flush that followed.
    ///
    /// # Errors
    /// Why its batch is not in the log.
    pub fn offset_in(&self, flushed: &Flushed) -> Result<i64, ProduceError> {
        let base_offset = match flushed {
            Ok(acked) => acked.get(self.batch).map(|acked| Ok(acked.base_offset)),
            Err(error) => error.batches.get(self.batch).map(|batch| match batch {
                Ok(acked) => Ok(acked.base_offset),
                Err(failed) => Err(failed.error.clone()),
            }),
        };
        // A flush of another time: nobody can say.
        let base_offset = base_offset.unwrap_or(Err(ProduceError::Stopped))?;
        Ok(base_offset + self.index as i64)
    }
}
