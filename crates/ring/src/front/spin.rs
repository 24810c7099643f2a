//! The spin before a sleep, for waits that have no one queue of waiters.
//!
//! Whether spinning pays is remembered per queue ([`Waiters::luck`]). A wait on several sources, or
//! on a channel that lives for one message, remembers it per thread instead.

use std::time::Instant;

use crate::wait::Wait;
#[cfg(not(loom))]
use crate::wait::{Backoff, Next, Waiters};

/// How a spin ended.
pub(crate) enum Spun<R> {
    /// The attempt gave this.
    Found(R),
    /// The deadline passed.
    Passed,
    /// It is time to sleep.
    Sleep,
}

/// Tries until `attempt` gives something, the deadline passes, or spinning has had its time.
#[cfg(not(loom))]
pub(crate) fn spin<R>(
    wait: Wait,
    deadline: Option<Instant>,
    mut attempt: impl FnMut() -> Option<R>,
) -> Spun<R> {
    thread_local! {
        /// Nobody waits in it; it keeps this thread's luck.
        static OWN: Waiters = Waiters::new();
    }
    if let Some(found) = attempt() {
        return Spun::Found(found);
    }
    let mut backoff = Backoff::new(wait);
    let spun = OWN.try_with(|own| {
        loop {
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Spun::Passed;
            }
            if backoff.next(own) == Next::Sleep {
                return Spun::Sleep;
            }
            if let Some(found) = attempt() {
                backoff.paid(own);
                return Spun::Found(found);
            }
        }
    });
    // A thread that is ending has no luck left.
    spun.unwrap_or(Spun::Sleep)
}

/// The model checker explores what sleeping can do; spinning adds nothing to that.
#[cfg(loom)]
pub(crate) fn spin<R>(
    _wait: Wait,
    deadline: Option<Instant>,
    mut attempt: impl FnMut() -> Option<R>,
) -> Spun<R> {
    match attempt() {
        Some(found) => Spun::Found(found),
        None if deadline.is_some_and(|deadline| Instant::now() >= deadline) => Spun::Passed,
        None => Spun::Sleep,
    }
}
