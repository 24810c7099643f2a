//! What became of what was pushed, batch by batch.
//!
//! Producers of every kind tell it in these words, those in the broker's own process too. Only why
//! a batch failed is for each kind to say: that is the `E` here.

use std::fmt;

use thiserror::Error;

use super::ProduceError;

/// A batch that the log holds, as durable as was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acked {
    /// Which: batches of a producer count from 0.
    pub batch: u64,
    /// The partition it is in.
    pub partition: i32,
    /// Offset of its first record.
    pub base_offset: i64,
    /// Its records; their offsets follow one another.
    pub count: usize,
}

/// A batch that the log does not hold, as far as is known. The error says where that is not sure.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{count} records for partition {partition}: {error}")]
pub struct BatchFailed<E = ProduceError> {
    /// Which: batches of a producer count from 0.
    pub batch: u64,
    /// The partition it was for.
    pub partition: i32,
    /// Its records: kept all or none.
    pub count: usize,
    /// Why.
    pub error: E,
}

/// What became of one batch.
pub type Outcome<E = ProduceError> = Result<Acked, BatchFailed<E>>;

/// What became of a flush of which not all went well. The others are in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlushError<E = ProduceError> {
    /// Each batch, in the order they were begun.
    pub batches: Vec<Outcome<E>>,
}

impl<E> FlushError<E> {
    /// The batches that the log holds.
    pub fn acked(&self) -> impl Iterator<Item = &Acked> {
        self.batches.iter().filter_map(|batch| batch.as_ref().ok())
    }

    /// The batches that failed; at least one.
    pub fn failed(&self) -> impl Iterator<Item = &BatchFailed<E>> {
        self.batches.iter().filter_map(|batch| batch.as_ref().err())
    }
}

impl<E: fmt::Display> fmt::Display for FlushError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut failed = self.failed();
        if let Some(first) = failed.next() {
            write!(f, "{first}")?;
        }
        match failed.count() {
            0 => Ok(()),
            1 => write!(f, "; and another batch"),
            others => write!(f, "; and {others} other batches"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for FlushError<E> {}

/// What became of all batches since the flush before, but for those whose outcomes were taken one
/// by one: the batches in the log, in the order they were begun.
pub type Flushed<E = ProduceError> = Result<Vec<Acked>, FlushError<E>>;

/// What a flush came to, given what became of each of its batches, in the order they were begun.
pub fn sum_up<E>(batches: Vec<Outcome<E>>) -> Flushed<E> {
    match batches.iter().all(Result::is_ok) {
        true => Ok(batches.into_iter().flatten().collect()),
        false => Err(FlushError { batches }),
    }
}

/// Where a record has been put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// The partition.
    pub partition: i32,
    /// Its batch: those of a producer count from 0.
    pub batch: u64,
    /// Its place in the batch.
    pub index: usize,
}

/// A flush was asked for a record of which it knows nothing: it is not the one that followed, or
/// what became of the batch was told before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("this flush knows nothing of the record: it is another's, or was told of before")]
pub struct OtherFlush;

impl Placed {
    /// The offset it got by the flush that followed.
    ///
    /// # Errors
    /// Why its batch is not in the log; [`OtherFlush`], as the producer's errors have it, if the
    /// flush is another.
    ///
    /// ```
    /// use chaski_local::producer::{Acked, Flushed, OtherFlush, Placed, ProduceError};
    ///
    /// let flushed: Flushed =
    ///     Ok(vec![Acked { batch: 7, partition: 0, base_offset: 100, count: 10 }]);
    /// let placed = Placed { partition: 0, batch: 7, index: 2 };
    /// assert_eq!(placed.offset_in(&flushed), Ok(102));
    /// let earlier = Placed { batch: 6, ..placed };
    /// assert_eq!(earlier.offset_in(&flushed), Err(ProduceError::OtherFlush(OtherFlush)));
    /// ```
    pub fn offset_in<E>(&self, flushed: &Flushed<E>) -> Result<i64, E>
    where
        E: Clone + From<OtherFlush>,
    {
        let acked = match flushed {
            Ok(acked) => {
                let at = acked.binary_search_by_key(&self.batch, |acked| acked.batch);
                &acked[at.map_err(|_| OtherFlush)?]
            }
            Err(FlushError { batches }) => {
                let at = batches.binary_search_by_key(&self.batch, number);
                match &batches[at.map_err(|_| OtherFlush)?] {
                    Ok(acked) => acked,
                    Err(failed) => return Err(failed.error.clone()),
                }
            }
        };
        // What a broker elsewhere says may be anything.
        Ok(acked.base_offset.saturating_add(self.index as i64))
    }
}

/// Which batch an outcome is of.
fn number<E>(outcome: &Outcome<E>) -> u64 {
    match outcome {
        Ok(acked) => acked.batch,
        Err(failed) => failed.batch,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acked(batch: u64, base_offset: i64) -> Outcome {
        Ok(Acked { batch, partition: 3, base_offset, count: 2 })
    }

    fn failed(batch: u64) -> Outcome {
        Err(BatchFailed { batch, partition: 3, count: 2, error: ProduceError::InDoubt })
    }

    #[test]
    fn a_record_is_found_by_its_batch_and_in_no_other_flush() {
        let offset =
            |batch, flushed: &Flushed| Placed { partition: 3, batch, index: 1 }.offset_in(flushed);
        let other = Err(ProduceError::OtherFlush(OtherFlush));
        // The outcome of batch 5 was taken by itself.
        let well = sum_up(vec![acked(4, 10), acked(6, 12)]);
        let ill = sum_up(vec![acked(4, 10), failed(6), acked(7, i64::MAX)]);
        for flushed in [&well, &ill] {
            assert_eq!(offset(4, flushed), Ok(11));
            assert_eq!(
                [3, 5, 8].map(|batch| offset(batch, flushed)),
                [(); 3].map(|()| other.clone())
            );
        }
        assert_eq!((offset(6, &well), offset(7, &well)), (Ok(13), other));
        assert_eq!((offset(6, &ill), offset(7, &ill)), (Err(ProduceError::InDoubt), Ok(i64::MAX)));
    }

    #[test]
    fn a_flush_that_failed_names_the_first_batch_and_counts_the_others() {
        let told = |batches| sum_up(batches).expect_err("one has failed").to_string();
        let first = failed(0).expect_err("it has failed").to_string();
        assert!(first.starts_with("2 records for partition 3: the broker took it"), "{first}");
        assert_eq!(told(vec![acked(0, 0), failed(1)]), first);
        assert_eq!(told(vec![failed(0), failed(1)]), format!("{first}; and another batch"));
        let more = vec![failed(0), acked(1, 0), failed(2), failed(3)];
        assert_eq!(told(more), format!("{first}; and 2 other batches"));
    }
}
