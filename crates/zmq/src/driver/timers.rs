//! What is due when.
//!
//! Nothing is ever taken out before its time: who set a timer and no longer wants it sees that when
//! it is due. Each connection sets few, so that those left behind are few.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

/// A heap of things due.
pub(super) struct Timers<T> {
    heap: BinaryHeap<Timer<T>>,
    /// Keeps those of one time in the order in which they were set.
    next: u64,
}

struct Timer<T> {
    at: Instant,
    number: u64,
    what: T,
}

impl<T> Timers<T> {
    pub(super) fn new() -> Self {
        Timers { heap: BinaryHeap::new(), next: 0 }
    }

    /// Sets a timer.
    pub(super) fn set(&mut self, at: Instant, what: T) {
        self.next += 1;
        self.heap.push(Timer { at, number: self.next, what });
    }

    /// Takes the first that is due by `now`.
    pub(super) fn due(&mut self, now: Instant) -> Option<T> {
        if self.heap.peek()?.at > now {
            return None;
        }
        self.heap.pop().map(|timer| timer.what)
    }

    /// How long until the first is due.
    pub(super) fn wait(&self, now: Instant) -> Option<Duration> {
        Some(self.heap.peek()?.at.saturating_duration_since(now))
    }
}

// The greatest of the heap is the earliest.
impl<T> Ord for Timer<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl<T> PartialOrd for Timer<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Timer<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Timer<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_comes_first_and_equals_in_order() {
        let start = Instant::now();
        let later = start + Duration::from_secs(1);
        let mut timers = Timers::new();
        timers.set(later, "c");
        timers.set(start, "a");
        timers.set(start, "b");
        assert_eq!(timers.wait(start), Some(Duration::ZERO));
        assert_eq!((timers.due(start), timers.due(start)), (Some("a"), Some("b")));
        assert_eq!(timers.due(start), None);
        assert_eq!(timers.wait(start), Some(Duration::from_secs(1)));
        assert_eq!(timers.due(later), Some("c"));
        assert_eq!(timers.wait(later), None);
    }
}
