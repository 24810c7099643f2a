//! What a full queue does, and what a panic does.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What a send does when the worker's queue is full.
///
/// | policy | `send` | `try_send` | who loses |
/// |---|---|---|---|
/// | `Block` | waits for room | answers `Full` | nobody: the producer slows down |
/// | `Fail` | answers `Full` | answers `Full` | the producer decides |
/// | `DropOldest` | drops the oldest | drops the oldest | the oldest message, counted |
///
/// The message that an error names comes back with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Policy {
    /// Producers wait for room: the worker sets the pace.
    #[default]
    Block,
    /// Producers are told at once, and get their message back.
    Fail,
    /// The oldest queued message makes room for the newest: for readings of which only the latest
    /// matter. What is left arrives in order. The dropped ones are counted in
    /// [`WorkerStats::dropped`](crate::WorkerStats::dropped); their `drop` runs on the producer's
    /// thread.
    DropOldest,
}

/// What happens after a handler has panicked.
///
/// Whatever is chosen, the message whose handler panicked is not tried again: it is counted in
/// [`WorkerStats::lost`](crate::WorkerStats::lost), so that one bad message cannot stop a worker
/// for ever. A restart drops the state, builds a new one on the same thread, and goes on with the
/// next message in the queue. A worker that is not restarted is dead: what it had queued is handed
/// to [`Worker::undelivered`](crate::Worker::undelivered), and who sends to it learns it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Restart {
    /// The first panic is the end of the worker.
    Never,
    /// However often. A state that cannot be built again still ends the worker.
    Always,
    /// Up to `times` restarts in any span of length `within`; one more is the end of the worker.
    AtMost {
        /// How many restarts are too many, less one.
        times: u32,
        /// The span in which they are counted.
        within: Duration,
    },
}

impl Default for Restart {
    /// 16 restarts in 60 seconds: enough for a poison message now and then, and the end of a worker
    /// whose every message is one.
    fn default() -> Restart {
        Restart::AtMost { times: 16, within: Duration::from_secs(60) }
    }
}

/// One worker's restarts, as far as its policy remembers them.
#[derive(Debug)]
pub(crate) struct Restarts {
    policy: Restart,
    /// The latest, up to as many as are allowed.
    recent: VecDeque<Instant>,
}

impl Restarts {
    pub(crate) fn new(policy: Restart) -> Restarts {
        Restarts { policy, recent: VecDeque::new() }
    }

    /// Whether a panic at `now` may be followed by a restart; if so, it is counted.
    pub(crate) fn allow(&mut self, now: Instant) -> bool {
        let (times, within) = match self.policy {
            Restart::Never => return false,
            Restart::Always => return true,
            Restart::AtMost { times, within } => (times as usize, within),
        };
        self.recent.retain(|restart| now.saturating_duration_since(*restart) < within);
        let allowed = self.recent.len() < times;
        if allowed {
            self.recent.push_back(now);
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restarts_are_counted_in_a_window_that_moves() {
        let policy = Restart::AtMost { times: 2, within: Duration::from_secs(10) };
        let mut restarts = Restarts::new(policy);
        let start = Instant::now();
        let mut at = |seconds| restarts.allow(start + Duration::from_secs(seconds));
        assert!(at(0));
        assert!(at(5));
        assert!(!at(9), "a third within ten seconds");
        assert!(at(10), "the first is forgotten");
        assert!(!at(14));
        assert!(at(15));
    }

    #[test]
    fn never_and_always() {
        let now = Instant::now();
        assert!(!Restarts::new(Restart::Never).allow(now));
        let mut always = Restarts::new(Restart::Always);
        assert!((0..1000).all(|_| always.allow(now)));
        let none = Restart::AtMost { times: 0, within: Duration::from_secs(1) };
        assert!(!Restarts::new(none).allow(now));
    }
}
