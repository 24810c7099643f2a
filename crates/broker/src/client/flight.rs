//! Batches between the store's taking them and its answer.
//!
//! A flight is what the store reports to. It answers once: when the last outcome has come, when who
//! waits for it gives up, or when the store drops it, for then no outcome will come.

use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chaski_local::producer::sum_up;
use chaski_log::store::{AppendError, AppendOutcome, AppendSink};

use super::{Acked, BatchFailed, Flushed, InsideStats, ProduceError};
use crate::Broker;

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
    /// The number of the first batch; they count on.
    first: u64,
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
        first: u64,
        loads: Vec<Load>,
        done: Option<Done>,
        slot: Option<Slot>,
    ) -> Flight {
        let (outcomes, outstanding) = (vec![None; loads.len()], loads.len());
        let state = Mutex::new(State { first, loads, outcomes, outstanding, done });
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
        let each = self.loads.iter().zip(&self.outcomes).zip(self.first..);
        let told = each.map(|((&Load { partition, count }, outcome), batch)| {
            let error = match outcome {
                &Some(Ok(base_offset)) => {
                    return Ok(Acked { batch, partition, base_offset, count });
                }
                Some(Err(error)) => error,
                None => missing,
            };
            Err(BatchFailed { batch, partition, count, error: error.clone() })
        });
        sum_up(told.collect())
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
    /// Waits for a slot, but no longer than that.
    pub(super) fn take(self: &Arc<Airspace>, timeout: Duration) -> Option<Slot> {
        let is_full = |taken: &mut usize| *taken >= FLIGHTS_MAX;
        let waited = self.left.wait_timeout_while(self.lock(), timeout, is_full);
        let (mut taken, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return None;
        }
        *taken += 1;
        Some(Slot(self.clone()))
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
        Flight::new(Arc::new(Broker::for_tests()), "t".into(), 7, loads, done, None)
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
        let acked: Vec<_> = error.acked().map(|acked| (acked.batch, acked.base_offset)).collect();
        assert_eq!(acked, [(7, 10), (9, 30)], "an outcome is told once");
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
        let take = || airspace.take(Duration::ZERO);
        let slots: Vec<Slot> = (0..FLIGHTS_MAX).map_while(|_| take()).collect();
        assert_eq!(slots.len(), FLIGHTS_MAX);
        assert!(take().is_none(), "there is no more");
        let waiting = std::thread::spawn({
            let airspace = airspace.clone();
            move || airspace.take(Duration::MAX).is_some()
        });
        drop(slots);
        assert!(waiting.join().expect("no panic"), "it was let in");
        assert_eq!(airspace.taken(), 0);
    }
}
