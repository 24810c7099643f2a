//! Where a record has been put.

use super::{Flushed, ProduceError};

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
