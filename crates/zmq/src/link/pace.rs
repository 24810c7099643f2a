//! Whether sends come in a burst.
//!
//! A send that finds nothing before it may be written at once, which is best for whoever waits for
//! an answer, or be kept for the next ones, which is best for whoever sends many. Which of the two
//! it is shows in what went before: two sends in a row that each came within [`BURST`] of the end
//! of the write before, and nothing read from the peer since, are a burst.
//!
//! The clock is read only by a send that finds nothing before it and after a write: inside a burst
//! that is once per write.

use std::time::{Duration, Instant};

/// How soon after the end of a write the next send must come to count as quick. A write takes 5 to
/// 10 us, a peer's answer over loopback more than 20.
const BURST: Duration = Duration::from_micros(20);

/// How many quick sends make a burst.
const QUICK: u8 = 2;

/// How sends followed writes of late.
#[derive(Debug, Default)]
pub(super) struct Pace {
    written: Option<Instant>,
    quick: u8,
}

impl Pace {
    /// A send that finds nothing before it: whether it belongs to a burst.
    pub(super) fn sends(&mut self, now: Instant) -> bool {
        let soon = self.written.is_some_and(|at| now.saturating_duration_since(at) < BURST);
        self.quick = if soon { self.quick.saturating_add(1) } else { 0 };
        self.quick > QUICK
    }

    /// A write has ended.
    pub(super) fn wrote(&mut self, now: Instant) {
        self.written = Some(now);
    }

    /// The peer was heard: its answers are waited for.
    pub(super) fn heard(&mut self) {
        self.quick = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_third_quick_send_begins_a_burst_and_a_pause_ends_it() {
        let mut pace = Pace::default();
        let start = Instant::now();
        let at = |us| start + Duration::from_micros(us);
        assert!(!pace.sends(at(0)));
        for us in [5, 10] {
            pace.wrote(at(us));
            assert!(!pace.sends(at(us + 1)));
        }
        pace.wrote(at(15));
        assert!(pace.sends(at(16)));
        pace.wrote(at(20));
        assert!(pace.sends(at(21)));
        pace.wrote(at(25));
        assert!(!pace.sends(at(45)));
    }

    #[test]
    fn whoever_is_answered_is_in_no_burst() {
        let mut pace = Pace::default();
        let now = Instant::now();
        for _ in 0..9 {
            pace.wrote(now);
            assert!(!pace.sends(now));
            pace.heard();
        }
    }
}
