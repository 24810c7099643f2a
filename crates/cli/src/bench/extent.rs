//! How long to measure: a time, or a number of messages; and in how many rounds.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::args::ExtentArg;

/// Messages of a measurement that sleeps before each.
const WAKES_MAX: u64 = 1000;

/// How long one measurement of one round lasts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Extent {
    Time(Duration),
    Messages(u64),
}

impl Extent {
    pub(super) fn of(args: &ExtentArg) -> Extent {
        match args.messages {
            Some(messages) => Extent::Messages(messages),
            None => Extent::Time(Duration::from_secs_f64(args.seconds)),
        }
    }

    /// The share of one of so many producers.
    pub(super) fn share(self, producers: usize) -> Extent {
        match self {
            Extent::Time(time) => Extent::Time(time),
            Extent::Messages(messages) => Extent::Messages(messages.div_ceil(producers as u64)),
        }
    }

    /// The same, for what sleeps before each message.
    pub(super) fn of_wakes(self) -> Extent {
        match self {
            Extent::Time(time) => Extent::Time(time),
            Extent::Messages(messages) => Extent::Messages(messages.min(WAKES_MAX)),
        }
    }

    /// Whether it goes on after so many messages, at this time.
    pub(super) fn goes_on(self, messages: u64, began: Instant, now: Instant) -> bool {
        match self {
            Extent::Time(time) => now.saturating_duration_since(began) < time,
            Extent::Messages(most) => messages < most,
        }
    }
}

/// A flag that ends what many threads do, without a clock in their loops.
#[derive(Debug, Default)]
pub(super) struct Whistle(AtomicBool);

impl Whistle {
    /// Blows it when the time is over; not at all if messages are counted.
    pub(super) fn after(&self, extent: Extent) {
        if let Extent::Time(time) = extent {
            std::thread::sleep(time);
            // ORDERING: a lone flag; nothing else is published with it.
            self.0.store(true, Ordering::Relaxed);
        }
    }

    /// Of `wanted` more messages, how many may still be sent after so many.
    pub(super) fn leave(&self, extent: Extent, sent: u64, wanted: u64) -> u64 {
        match extent {
            Extent::Messages(most) => wanted.min(most.saturating_sub(sent)),
            // ORDERING: see `after`.
            Extent::Time(_) if self.0.load(Ordering::Relaxed) => 0,
            Extent::Time(_) => wanted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_shared_out_and_none_is_forgotten() {
        assert_eq!(Extent::Messages(10).share(3), Extent::Messages(4));
        assert_eq!(Extent::Messages(1_000_000).of_wakes(), Extent::Messages(WAKES_MAX));
        let whistle = Whistle::default();
        let leave = |sent, wanted| whistle.leave(Extent::Messages(10), sent, wanted);
        assert_eq!([leave(0, 4), leave(8, 4), leave(10, 4)], [4, 2, 0]);
    }

    #[test]
    fn the_whistle_ends_what_is_timed() {
        let (whistle, extent) = (Whistle::default(), Extent::Time(Duration::ZERO));
        assert_eq!(whistle.leave(extent, 1 << 40, 4), 4);
        whistle.after(extent);
        assert_eq!(whistle.leave(extent, 0, 4), 0);
    }

    #[test]
    fn time_passes_as_it_is_told() {
        let (began, second) = (Instant::now(), Duration::from_secs(1));
        let extent = Extent::Time(second);
        assert!(extent.goes_on(u64::MAX, began, began + second / 2));
        assert!(!extent.goes_on(0, began, began + second));
        assert!(Extent::Messages(3).goes_on(2, began, began + second));
        assert!(!Extent::Messages(3).goes_on(3, began, began));
    }
}
