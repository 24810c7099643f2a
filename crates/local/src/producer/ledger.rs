//! What became of batches, in the order in which they were begun.
//!
//! ```text
//!    first                                             next
//!      |                                                |
//!      v  known   known   under way   known   gathering v
//!      +-------+-------+-----------+-------+-----------+
//!      |   3   |   4   |     5     |   6   |     7     |
//!      +-------+-------+-----------+-------+-----------+
//!       may be taken                         may be sent
//! ```

use std::collections::VecDeque;

use super::outcome::sum_up;
use super::{Acked, BatchFailed, Flushed, Outcome, ProduceError};

/// Outcomes that may wait to be taken, those of batches under way included.
pub(super) const OUTCOMES_MAX: usize = 64 << 10;

/// The outcomes of a producer.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    entries: VecDeque<Entry>,
    /// The number of the entry in front.
    first: u64,
    /// Entries without an outcome.
    unknown: usize,
}

#[derive(Debug)]
struct Entry {
    partition: i32,
    count: usize,
    outcome: Option<Result<i64, ProduceError>>,
}

impl Ledger {
    /// A batch is begun; returns its number.
    pub(super) fn begin(&mut self, partition: i32) -> u64 {
        self.entries.push_back(Entry { partition, count: 0, outcome: None });
        self.unknown += 1;
        self.first + self.entries.len() as u64 - 1
    }

    /// It holds so many records.
    pub(super) fn closed(&mut self, batch: u64, count: usize) {
        if let Some(entry) = self.at(batch) {
            entry.count = count;
        }
    }

    /// The batch begun last held nothing after all.
    pub(super) fn take_back(&mut self) {
        if self.entries.pop_back().is_some_and(|entry| entry.outcome.is_none()) {
            self.unknown -= 1;
        }
    }

    /// What became of a batch; the first word counts.
    pub(super) fn note(&mut self, batch: u64, outcome: Result<i64, ProduceError>) {
        if let Some(entry) = self.at(batch)
            && entry.outcome.is_none()
        {
            entry.outcome = Some(outcome);
            self.unknown -= 1;
        }
    }

    /// The partition of the batch that so many others were begun after, if it still gathers.
    pub(super) fn gathering(&self, others: u64) -> Option<i32> {
        let back = usize::try_from(others).ok()?.checked_add(1)?;
        let entry = self.entries.get(self.entries.len().checked_sub(back)?)?;
        (entry.count == 0 && entry.outcome.is_none()).then_some(entry.partition)
    }

    /// The partition of a batch.
    pub(super) fn partition(&self, batch: u64) -> Option<i32> {
        let index = usize::try_from(batch.checked_sub(self.first)?).ok()?;
        Some(self.entries.get(index)?.partition)
    }

    /// The outcome in front, if it is known.
    pub(super) fn pop(&mut self) -> Option<Outcome> {
        self.entries.front()?.outcome.as_ref()?;
        let Entry { partition, count, outcome } = self.entries.pop_front()?;
        let batch = self.first;
        self.first += 1;
        Some(match outcome? {
            Ok(base_offset) => Ok(Acked { batch, partition, base_offset, count }),
            Err(error) => Err(BatchFailed { batch, partition, count, error }),
        })
    }

    /// All outcomes; those that are not known are as `missing` says.
    pub(super) fn take(&mut self, missing: &ProduceError) -> Flushed {
        for entry in &mut self.entries {
            entry.outcome.get_or_insert_with(|| Err(missing.clone()));
        }
        self.unknown = 0;
        sum_up(std::iter::from_fn(|| self.pop()).collect())
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Batches whose outcome is not known.
    pub(super) fn unknown(&self) -> usize {
        self.unknown
    }

    pub(super) fn is_front_known(&self) -> bool {
        self.entries.front().is_some_and(|entry| entry.outcome.is_some())
    }

    fn at(&mut self, batch: u64) -> Option<&mut Entry> {
        let index = usize::try_from(batch.checked_sub(self.first)?).ok()?;
        self.entries.get_mut(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(batches: usize) -> Ledger {
        let mut ledger = Ledger::default();
        for batch in 0..batches {
            assert_eq!(ledger.begin(3), batch as u64);
            ledger.closed(batch as u64, 2);
        }
        ledger
    }

    #[test]
    fn outcomes_are_told_in_the_order_of_batches_whatever_order_they_come_in() {
        let mut ledger = ledger(3);
        ledger.note(2, Ok(30));
        ledger.note(7, Ok(99));
        assert_eq!(ledger.pop(), None, "the first is not known");
        ledger.note(0, Ok(10));
        ledger.note(0, Ok(99));
        let first = Acked { batch: 0, partition: 3, base_offset: 10, count: 2 };
        assert_eq!(ledger.pop(), Some(Ok(first)), "an outcome is told once");
        assert_eq!((ledger.pop(), ledger.unknown()), (None, 1));
        ledger.note(0, Ok(99));
        ledger.note(1, Err(ProduceError::InDoubt));
        let error = ledger.take(&ProduceError::Stopped).expect_err("one has failed");
        assert_eq!(error.acked().map(|acked| acked.base_offset).collect::<Vec<_>>(), [30]);
        assert_eq!(error.failed().map(|failed| failed.batch).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn what_does_not_come_in_time_is_not_known() {
        let mut ledger = ledger(2);
        ledger.note(1, Ok(5));
        let error = ledger.take(&ProduceError::InDoubt).expect_err("not all came");
        assert_eq!(error.failed().map(|failed| failed.batch).collect::<Vec<_>>(), [0]);
        assert_eq!((ledger.len(), ledger.unknown(), ledger.begin(0)), (0, 0, 2));
        ledger.take_back();
        assert_eq!((ledger.len(), ledger.unknown(), ledger.begin(1)), (0, 0, 2));
    }
}
