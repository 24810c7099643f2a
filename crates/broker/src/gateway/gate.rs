//! What a kind of gateway works with while it runs, and the sign to stop.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chaski_zmq::Socket;

use super::spec::GatewaySpec;
use super::stats::Counters;
use crate::client::Client;

/// One run of a gateway: from the opening of its socket to its end.
pub(super) struct Gate<'a> {
    pub(super) spec: &'a GatewaySpec,
    pub(super) client: &'a Client,
    pub(super) counters: &'a Counters,
    pub(super) halt: &'a Halt,
    pub(super) socket: &'a Socket,
    /// Where the socket is bound.
    pub(super) bound: &'a [String],
}

impl Gate<'_> {
    /// Whether it is to end.
    pub(super) fn halted(&self) -> bool {
        self.halt.is_set() || self.client.has_stopped()
    }

    /// The topic of a gateway whose messages do not name their own.
    pub(super) fn topic(&self) -> &str {
        self.spec.topic.as_deref().unwrap_or_default()
    }
}

/// Told once, and for good: stop.
#[derive(Default)]
pub(super) struct Halt {
    is_set: Mutex<bool>,
    told: Condvar,
}

impl Halt {
    pub(super) fn set(&self) {
        *self.lock() = true;
        self.told.notify_all();
    }

    pub(super) fn is_set(&self) -> bool {
        *self.lock()
    }

    /// Sleeps, but not past the sign to stop.
    pub(super) fn sleep(&self, time: Duration) {
        let deadline = Instant::now() + time;
        let mut is_set = self.lock();
        while !*is_set {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.told.wait_timeout(is_set, left);
            is_set = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.is_set.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
