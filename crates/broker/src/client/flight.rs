//! Batches between the store's taking them and its answer.
//!
//! A flight is what the store reports to. It answers once: when the last outcome has come, when who
//! waits for it gives up, or when the store drops it, for then no outcome will come.

use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chaski_log::store::{AppendError, AppendOutcome, AppendSink};
use thiserror::Error;

use super::{InsideStats, ProduceError};
use crate::Broker;

/// A batch that the log holds, as durable as was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acked {
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
pub struct BatchFailed {
    /// The partition it was for.
    pub partition: i32,
    /// Its records: kept all or none.
    pub count: usize,
    /// Why.
    pub error: ProduceError,
}

/// What became of a flush of which not all went well. The others are in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlushError {
    /// Each batch, in the order they were begun.
    pub batches: Vec<Result<Acked, BatchFailed>>,
}

impl FlushError {
    /// The batches that the log holds.
    pub fn acked(&self) -> impl Iterator<Item = &Acked> {
        self.batches.iter().filter_map(|batch| batch.as_ref().ok())
    }

    /// The batches that failed; at least one.
    pub fn failed(&self) -> impl Iterator<Item = &BatchFailed> {
        self.batches.iter().filter_map(|batch| batch.as_ref().err())
    }
}

impl std::fmt::Display for FlushError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut failed = self.failed();
        if let Some(first) = failed.next() {
            write!(f, "{first}")?;
        }
        match failed.count() {
            0 => Ok(()),
            others => write!(f, "; and {others} other batches"),
        }
    }
}

impl std::error::Error for FlushError {}

/// What became of all that was pushed since the flush before: the batches in the log, in the order
/// they were begun.
pub type Flushed = Result<Vec<Acked>, FlushError>;

/// Where a batch goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    pub(super) partition: i32,
    pub(super) count: usize,
}

/// What is called with the outcome of a flush.
pub(super) type Done = Box<dyn FnOnce(Flushed) + Send>;

/// The batches of one flush, under way.
pub(super) struct Flight {
    broker: Arc<Broker>,
    topic: Arc<str>,
    began: Instant,
    state: Mutex<State>,
    landed: Condvar,
    /// Held until the flight has answered.
    _slot: Option<Slot>,
}

struct State {
    loads: Vec<Load>,
    outcomes: Vec<Option<Result<i64, ProduceError>>>,
    outstanding: usize,
    /// None: somebody waits instead, or it has been called.
    done: Option<Done>,
}

impl Flight {
    pub(super) fn new(
        broker: Arc<Broker>,
        topic: Arc<str>,
        loads: Vec<Load>,
        done: Option<Done>,
        slot: Option<Slot>,
    ) -> Flight {
        let (outcomes, outstanding) = (vec![None; loads.len()], loads.len());
        let state = Mutex::new(State { loads, outcomes, outstanding, done });
        Flight { broker, topic, began: Instant::now(), state, landed: Condvar::new(), _slot: slot }
    }

    /// Takes the outcome of one batch.
    pub(super) fn note(&self, batch: usize, outcome: Result<i64, ProduceError>) {
        self.stats().produce_errors.add(u64::from(outcome.is_err()));
        let mut state = self.lock();
        let Some(place @ None) = state.outcomes.get_mut(batch) else { return };
        *place = Some(outcome);
        state.outstanding -= 1;
        if state.outstanding == 0 {
            self.land(state);
        }
    }

    /// Takes the store's outcome of one batch.
    pub(super) fn note_append(&self, batch: u64, outcome: AppendOutcome) {
        let outcome = match outcome {
            Ok(appended) => Ok(appended.base_offset),
            Err(AppendError::NotFound) => Err(ProduceError::Deleted(self.topic.to_string())),
            Err(AppendError::Closed) => Err(ProduceError::Stopped),
            Err(error) => Err(ProduceError::Append(error)),
        };
        self.note(batch as usize, outcome);
    }

    /// Waits until all outcomes are there; those that are not in time have timed out.
    pub(super) fn wait(&self, timeout: Duration) -> Flushed {
        let deadline = Instant::now().checked_add(timeout);
        let mut state = self.lock();
        while state.outstanding > 0 {
            let left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                break;
            }
            let left = left.unwrap_or(Duration::MAX);
            let waited = self.landed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.answer(&ProduceError::TimedOut(timeout))
    }

    fn land(&self, mut state: MutexGuard<'_, State>) {
        self.stats().flushes.record_shared(self.began.elapsed());
        let done = state.done.take().map(|done| (done, state.answer(&ProduceError::Stopped)));
        drop(state);
        self.landed.notify_all();
        if let Some((done, answer)) = done {
            call(done, answer);
        }
    }

    fn stats(&self) -> &InsideStats {
        &self.broker.inside
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What became of the batches; `missing` for those without an outcome.
    fn answer(&mut self, missing: &ProduceError) -> Flushed {
        let batches: Vec<Result<Acked, BatchFailed>> = self
            .loads
            .iter()
            .zip(self.outcomes.iter())
            .map(|(&Load { partition, count }, outcome)| match outcome {
                Some(Ok(base_offset)) => Ok(Acked { partition, base_offset: *base_offset, count }),
                Some(Err(error)) => Err(BatchFailed { partition, count, error: error.clone() }),
                None => Err(BatchFailed { partition, count, error: missing.clone() }),
            })
            .collect();
        match batches.iter().all(Result::is_ok) {
            true => Ok(batches.into_iter().flatten().collect()),
            false => Err(FlushError { batches }),
        }
    }
}

impl AppendSink for Flight {
    fn appended(&self, token: u64, outcome: AppendOutcome) {
        self.note_append(token, outcome);
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(done) = state.done.take() {
            call(done, state.answer(&ProduceError::Stopped));
        }
    }
}

/// The thread that brings the outcome is the store's: a panic must not end it.
fn call(done: Done, answer: Flushed) {
    if panic::catch_unwind(AssertUnwindSafe(|| done(answer))).is_err() {
        tracing::error!("what was to be called after a flush has panicked");
    }
}

/// Flights of one producer that may be under way at the same time.
pub(super) const FLIGHTS_MAX: usize = 1024;

/// How many flights of a producer are under way.
#[derive(Debug, Default)]
pub(super) struct Airspace {
    taken: Mutex<usize>,
    left: Condvar,
}

/// One of [`FLIGHTS_MAX`].
pub(super) struct Slot(Arc<Airspace>);

impl Airspace {
    /// Waits for a slot.
    pub(super) fn take(self: &Arc<Airspace>) -> Slot {
        let mut taken = self.lock();
        while *taken >= FLIGHTS_MAX {
            taken = self.left.wait(taken).unwrap_or_else(PoisonError::into_inner);
        }
        *taken += 1;
        Slot(self.clone())
    }

    pub(super) fn taken(&self) -> usize {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, usize> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        *self.0.lock() -= 1;
        self.0.left.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use chaski_log::store::Appended;

    use super::*;

    fn flight(batches: usize, done: Option<Done>) -> Flight {
        let loads = vec![Load { partition: 3, count: 2 }; batches];
        Flight::new(Arc::new(Broker::for_tests()), "t".into(), loads, done, None)
    }

    fn at(base_offset: i64) -> AppendOutcome {
        Ok(Appended { base_offset, log_start: 0, duplicate: false })
    }

    #[test]
    fn outcomes_are_told_in_the_order_of_batches_whatever_order_they_come_in() {
        let flight = flight(3, None);
        flight.appended(2, at(30));
        flight.appended(0, at(10));
        flight.appended(0, at(99));
        flight.appended(7, at(99));
        flight.appended(1, Err(AppendError::Full));
        let error = flight.wait(Duration::MAX).expect_err("one has failed");
        let offsets: Vec<_> = error.acked().map(|acked| acked.base_offset).collect();
        assert_eq!(offsets, [10, 30], "an outcome is told once");
        assert_eq!(error.to_string(), "2 records for partition 3: no room left on the device");
    }

    #[test]
    fn what_does_not_come_in_time_is_not_known() {
        let flight = flight(2, None);
        flight.appended(1, at(5));
        let error = flight.wait(Duration::ZERO).expect_err("not all came");
        assert_eq!(error.acked().count(), 1);
        let failed = error.failed().next().expect("the other").error.clone();
        assert_eq!(failed, ProduceError::TimedOut(Duration::ZERO));
    }

    #[test]
    fn a_flight_that_the_store_drops_is_answered_all_the_same() {
        let (tell, told) = mpsc::channel();
        let flight = flight(1, Some(Box::new(move |flushed| drop(tell.send(flushed)))));
        drop(flight);
        let error = told.recv().expect("told").expect_err("nothing came");
        assert_eq!(error.failed().next().expect("one").error, ProduceError::Stopped);
    }

    #[test]
    fn a_panic_in_what_is_called_stays_there() {
        let flight = flight(1, Some(Box::new(|_| panic!("on purpose"))));
        flight.appended(0, at(0));
    }

    #[test]
    fn a_slot_is_free_again_when_its_flight_is_over() {
        let airspace = Arc::new(Airspace::default());
        let slots: Vec<Slot> = (0..FLIGHTS_MAX).map(|_| airspace.take()).collect();
        let waiting = std::thread::spawn({
            let airspace = airspace.clone();
            move || drop(airspace.take())
        });
        drop(slots);
        waiting.join().expect("it was let in");
        assert_eq!(airspace.taken(), 0);
    }
}
