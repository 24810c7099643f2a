//! Looking through partitions for records, within bounds.
//!
//! Forward, partitions take turns, so that each gets its share of the answer. For the newest
//! records one must look from the end, but batches are read forward: so windows before the end are
//! surveyed, each farther back than the one before, for where the wanted records are; then these
//! alone are read.

use std::borrow::Cow;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use chaski_batch::{Malformed, Record};

use super::record::{Lens, Matcher, Message, Problem};
use crate::Client;
use crate::client::{Position, ReadError};
use crate::http::error::ApiError;

/// Bytes of the log that are read in one go, or one batch.
const CHUNK_BYTES: usize = 256 << 10;

/// Bounds of a request: bytes of the log, records, time, bytes of the answer.
const BYTES_MAX: usize = 64 << 20;
const RECORDS_MAX: u64 = 1_000_000;
const TIME_MAX: Duration = Duration::from_secs(2);
const ANSWER_BYTES_MAX: usize = 8 << 20;

/// Batches that could not be read, and are told.
const PROBLEMS_MAX: usize = 20;

/// Of the newest records, each of many partitions is surveyed for less than all that is wanted:
/// all together for so many times that.
const SURVEY_FACTOR: usize = 16;

/// What may still be spent.
#[derive(Debug)]
pub(super) struct Budget {
    bytes: usize,
    records: u64,
    answer_bytes: usize,
    until: Instant,
}

impl Budget {
    pub(super) fn of_request() -> Budget {
        Budget {
            bytes: BYTES_MAX,
            records: RECORDS_MAX,
            answer_bytes: ANSWER_BYTES_MAX,
            until: Instant::now() + TIME_MAX,
        }
    }

    /// For whoever bounds the answer himself.
    pub(super) fn new(bytes: usize, records: u64) -> Budget {
        Budget { bytes, records, answer_bytes: usize::MAX, until: Instant::now() + TIME_MAX }
    }

    pub(super) fn is_spent(&self) -> bool {
        let left = self.bytes > 0 && self.records > 0 && self.answer_bytes > 0;
        !left || Instant::now() >= self.until
    }
}

/// A stretch of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) partition: i32,
    /// The first record not looked at.
    pub(super) next: i64,
    /// The end of the stretch, not part of it.
    pub(super) end: i64,
}

impl Stretch {
    pub(super) fn is_done(&self) -> bool {
        self.next >= self.end
    }
}

/// What is done with a wanted record; false: no more of them.
type Take<'t> = dyn FnMut(&Record<'_>, &mut Budget) -> bool + 't;

/// A look through a topic.
pub(super) struct Scan<'a> {
    pub(super) client: &'a Client,
    pub(super) topic: &'a str,
    pub(super) matcher: &'a Matcher,
    pub(super) budget: Budget,
    /// Records looked at.
    pub(super) scanned: u64,
    pub(super) problems: Vec<Problem>,
}

impl<'a> Scan<'a> {
    pub(super) fn new(
        client: &'a Client,
        topic: &'a str,
        matcher: &'a Matcher,
        budget: Budget,
    ) -> Scan<'a> {
        Scan { client, topic, matcher, budget, scanned: 0, problems: Vec::new() }
    }

    /// The next wanted records of all stretches, `limit` of them at most, by partition.
    pub(super) fn forward(
        &mut self,
        stretches: &mut [Stretch],
        limit: usize,
        lens: Lens,
    ) -> Result<Vec<Message>, ApiError> {
        let mut found = Vec::new();
        loop {
            let open = stretches.iter().filter(|stretch| !stretch.is_done()).count();
            if open == 0 {
                break;
            }
            let share = ((limit - found.len()) / open).max(1);
            for stretch in stretches.iter_mut().filter(|stretch| !stretch.is_done()) {
                if found.len() >= limit || self.budget.is_spent() {
                    return Ok(by_partition(found));
                }
                let full = (found.len() + share).min(limit);
                let partition = stretch.partition;
                self.turn(stretch, &mut |record, budget| {
                    let message = lens.message(partition, record);
                    budget.answer_bytes = budget.answer_bytes.saturating_sub(message.len());
                    found.push(message);
                    found.len() < full && budget.answer_bytes > 0
                })?;
            }
            if found.len() >= limit {
                break;
            }
        }
        Ok(by_partition(found))
    }

    /// Each wanted record of all stretches, as far as the budget goes.
    pub(super) fn each(
        &mut self,
        stretches: &mut [Stretch],
        take: &mut dyn FnMut(i32, &Record<'_>),
    ) -> Result<(), ApiError> {
        for stretch in stretches {
            let partition = stretch.partition;
            while !stretch.is_done() && !self.budget.is_spent() {
                self.turn(stretch, &mut |record, _| {
                    take(partition, record);
                    true
                })?;
            }
        }
        Ok(())
    }

    /// Moves each stretch to where the newest `limit` wanted records begin.
    pub(super) fn seek_newest(
        &mut self,
        stretches: &mut [Stretch],
        limit: usize,
    ) -> Result<(), ApiError> {
        let mut surveys: Vec<Survey> = stretches.iter().map(Survey::new).collect();
        let share = (limit * SURVEY_FACTOR).div_ceil(surveys.len().max(1));
        let mut window = share.clamp(1, limit.max(1)) as i64;
        loop {
            for survey in &mut surveys {
                self.survey(survey, window)?;
            }
            let found: usize = surveys.iter().map(|survey| survey.found.len()).sum();
            let all = surveys.iter().all(|survey| survey.floor <= survey.start);
            if found >= limit || all || self.budget.is_spent() {
                break;
            }
            window = window.saturating_mul(4);
        }
        let firsts = newest(&mut surveys, limit);
        for (stretch, first) in stretches.iter_mut().zip(firsts) {
            stretch.next = first.unwrap_or(stretch.end);
        }
        Ok(())
    }

    /// Looks through one more window of a partition, unless the budget ends before it.
    fn survey(&mut self, survey: &mut Survey, window: i64) -> Result<(), ApiError> {
        let from = survey.floor.saturating_sub(window).max(survey.start);
        let mut stretch = Stretch { partition: survey.partition, next: from, end: survey.floor };
        let mut found = Vec::new();
        while !stretch.is_done() {
            if self.budget.is_spent() {
                return Ok(());
            }
            self.turn(&mut stretch, &mut |record, _| {
                found.push((record.offset, record.timestamp));
                true
            })?;
        }
        found.append(&mut survey.found);
        (survey.found, survey.floor) = (found, from);
        Ok(())
    }

    /// Looks at a chunk of a stretch, and moves on.
    fn turn(&mut self, stretch: &mut Stretch, take: &mut Take<'_>) -> Result<(), ApiError> {
        let from = Position::Offset(stretch.next);
        let mut reader = self.client.reader(self.topic, stretch.partition, from)?;
        let records = match reader.next(CHUNK_BYTES) {
            Ok(Some(records)) => records,
            Ok(None) => {
                stretch.next = stretch.end;
                return Ok(());
            }
            Err(ReadError::OutOfRange { start, .. }) if start > stretch.next => {
                stretch.next = start;
                return Ok(());
            }
            Err(ReadError::OutOfRange { .. }) => {
                stretch.next = stretch.end;
                return Ok(());
            }
            Err(ReadError::Damaged { offset, resumes, reason }) => {
                self.note(stretch.partition, offset, reason);
                stretch.next = resumes.max(stretch.next + 1);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        self.budget.bytes = self.budget.bytes.saturating_sub(records.bytes().len());
        for batch in records.batches() {
            let batch = match batch {
                Ok(batch) => batch,
                Err(error) => {
                    self.note_unreadable(stretch.partition, &error);
                    continue;
                }
            };
            for record in &batch {
                match record {
                    Ok(record) => {
                        if !self.look(stretch, &record, take) {
                            return Ok(());
                        }
                    }
                    Err(error) => self.note_unreadable(stretch.partition, &error),
                }
            }
        }
        stretch.next = records.next_offset().min(stretch.end);
        Ok(())
    }

    /// Looks at a record; false: enough.
    fn look(&mut self, stretch: &mut Stretch, record: &Record<'_>, take: &mut Take<'_>) -> bool {
        if record.offset >= stretch.end {
            stretch.next = stretch.end;
            return false;
        }
        stretch.next = record.offset + 1;
        self.scanned += 1;
        self.budget.records = self.budget.records.saturating_sub(1);
        if self.matcher.wants(record) && !take(record, &mut self.budget) {
            return false;
        }
        // A look at the clock, now and then.
        !(self.scanned.is_multiple_of(1024) && self.budget.is_spent())
    }

    fn note_unreadable(&mut self, partition: i32, error: &Malformed) {
        self.note(partition, error.offset, error.to_string());
    }

    fn note(&mut self, partition: i32, offset: i64, what: impl Into<Cow<'static, str>>) {
        let is_known =
            self.problems.iter().any(|one| (one.partition, one.offset) == (partition, offset));
        if self.problems.len() < PROBLEMS_MAX && !is_known {
            self.problems.push(Problem { partition, offset, what: what.into() });
        }
    }
}

/// Grouped by partition, each in order of offsets.
fn by_partition(mut messages: Vec<Message>) -> Vec<Message> {
    messages.sort_by_key(|message| (message.partition, message.offset));
    messages
}

/// What was found in a partition, from the end backwards.
struct Survey {
    partition: i32,
    start: i64,
    /// All from here on has been looked through.
    floor: i64,
    /// Offset and timestamp of each wanted record, in order.
    found: Vec<(i64, i64)>,
}

impl Survey {
    fn new(stretch: &Stretch) -> Survey {
        let Stretch { partition, next, end } = *stretch;
        Survey { partition, start: next, floor: end, found: Vec::new() }
    }
}

/// The first of the newest `limit` records in each partition; None: it has none of them. Of every
/// partition they are the last ones, whatever their timestamps say: nothing is left out between.
fn newest(surveys: &mut [Survey], limit: usize) -> Vec<Option<i64>> {
    let mut firsts = vec![None; surveys.len()];
    let last = |survey: &Survey, at| survey.found.last().map(|(_, timestamp)| (*timestamp, at));
    let mut heap: BinaryHeap<(i64, usize)> =
        surveys.iter().enumerate().filter_map(|(at, survey)| last(survey, at)).collect();
    for _ in 0..limit {
        let Some((_, at)) = heap.pop() else { break };
        firsts[at] = surveys[at].found.pop().map(|(offset, _)| offset);
        heap.extend(last(&surveys[at], at));
    }
    firsts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survey(found: &[(i64, i64)]) -> Survey {
        Survey { partition: 0, start: 0, floor: 0, found: found.to_vec() }
    }

    #[test]
    fn the_newest_are_the_last_of_each_partition() {
        let mut surveys =
            [survey(&[(0, 10), (1, 20), (2, 30)]), survey(&[(7, 25), (8, 26)]), survey(&[])];
        assert_eq!(newest(&mut surveys, 3), [Some(2), Some(7), None]);
        let mut surveys = [survey(&[(0, 99), (1, 1)]), survey(&[(5, 2)])];
        assert_eq!(newest(&mut surveys, 2), [Some(1), Some(5)], "no gap, though 0 is younger");
        let mut surveys = [survey(&[(4, 1)])];
        assert_eq!(newest(&mut surveys, 0), [None]);
    }
}
