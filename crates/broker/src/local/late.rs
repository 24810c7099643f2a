//! Outcomes that come when the disk has spoken, on their way from the store's threads to the
//! intake's.

use std::mem;
use std::sync::{Mutex, PoisonError};

use chaski_log::store::{AppendOutcome, AppendSink};
use chaski_shm::Alarm;

/// Takes outcomes on any thread; the intake is woken once a group commit.
#[derive(Debug)]
pub(super) struct Late {
    /// No more than there are appends without an outcome, which the intake bounds.
    outcomes: Mutex<Vec<(u64, AppendOutcome)>>,
    alarm: Alarm,
}

impl Late {
    pub(super) fn new(alarm: Alarm) -> Late {
        Late { outcomes: Mutex::default(), alarm }
    }

    /// Takes what has come, and leaves `empty` in its place.
    pub(super) fn take(&self, empty: Vec<(u64, AppendOutcome)>) -> Vec<(u64, AppendOutcome)> {
        mem::replace(&mut self.outcomes.lock().unwrap_or_else(PoisonError::into_inner), empty)
    }

    /// Ends the intake's wait.
    pub(super) fn ring(&self) {
        self.alarm.ring();
    }
}

impl AppendSink for Late {
    fn appended(&self, token: u64, outcome: AppendOutcome) {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner).push((token, outcome));
    }

    fn flush(&self) {
        self.alarm.ring();
    }
}
