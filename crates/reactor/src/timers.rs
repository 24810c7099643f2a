//! Timers: a binary heap, earliest first.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// Timers that are not due yet. They cannot be cancelled: a service that no longer cares ignores
/// the call.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<Timer>>,
    set: u64,
}

/// Ordered by time, and among equals by who came first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Timer {
    at: Instant,
    order: u64,
    key: u64,
}

impl Timers {
    pub(crate) fn set(&mut self, at: Instant, key: u64) {
        self.set += 1;
        self.heap.push(Reverse(Timer { at, order: self.set, key }));
    }

    /// When the next one is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse(timer)| timer.at)
    }

    /// Moves the keys of all that are due to `into`, in order.
    ///
    /// They are taken off before any of them is called, so that one set for the past by such a call
    /// waits for the next turn, and cannot keep this one from ending.
    pub(crate) fn take_due(&mut self, now: Instant, into: &mut Vec<u64>) {
        while self.next().is_some_and(|at| at <= now) {
            into.extend(self.heap.pop().map(|Reverse(timer)| timer.key));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn due_ones_come_in_order_and_equal_ones_as_they_were_set() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut timers = Timers::default();
        for (ms, key) in [(30, 1), (10, 2), (20, 3), (10, 4), (40, 5)] {
            timers.set(at(ms), key);
        }
        let mut due = Vec::new();
        timers.take_due(at(9), &mut due);
        assert_eq!((due.len(), timers.next()), (0, Some(at(10))));
        timers.take_due(at(30), &mut due);
        assert_eq!(due, [2, 4, 3, 1]);
        assert_eq!(timers.next(), Some(at(40)));
    }
}
