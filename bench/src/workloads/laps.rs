//! Laps of a round trip, timed one by one.

use std::time::{Duration, Instant};

use super::apart::Setup;

/// Laps before the counted ones are this part of a turn.
const WARM_UP_SHARE: u32 = 8;

/// Most laps that are kept.
const LAPS_MAX: usize = 1 << 21;

/// Readings from which the cost of the clock is taken.
const CLOCK_READINGS: usize = 10_000;

/// Times laps by one reading of the clock each, and takes its cost off.
pub struct Laps {
    last: Instant,
    counted_from: Instant,
    until: Instant,
    laps_ns: Vec<u64>,
}

impl Laps {
    pub fn new(setup: Setup) -> Laps {
        let laps_ns = room_for_times(LAPS_MAX);
        let now = Instant::now();
        let counted_from = now + warm_up(setup);
        Laps { last: now, counted_from, until: counted_from + setup.turn(), laps_ns }
    }

    /// Ends a lap; whether there is to be another.
    pub fn next(&mut self) -> bool {
        let now = Instant::now();
        if self.last >= self.counted_from {
            self.laps_ns.push(now.duration_since(self.last).as_nanos() as u64);
        }
        self.last = now;
        // One lap at least, even if the machine was away for as long as a turn.
        (now < self.until || self.laps_ns.is_empty()) && self.laps_ns.len() < LAPS_MAX
    }

    /// The counted laps in their order.
    pub fn times_ns(self) -> Vec<u64> {
        let clock = reading_the_clock().as_nanos() as u64;
        self.laps_ns.into_iter().map(|lap| lap.saturating_sub(clock)).collect()
    }
}

/// Room that is written once, so that no page is touched for the first time while something is
/// timed.
pub fn room_for_times(count: usize) -> Vec<u64> {
    let mut times_ns = vec![1; count];
    times_ns.clear();
    times_ns
}

/// How long a turn runs before it counts.
pub fn warm_up(setup: Setup) -> Duration {
    setup.turn() / WARM_UP_SHARE
}

fn reading_the_clock() -> Duration {
    let readings: Vec<Instant> = (0..CLOCK_READINGS).map(|_| Instant::now()).collect();
    let (Some(first), Some(last)) = (readings.first(), readings.last()) else {
        return Duration::ZERO;
    };
    last.duration_since(*first) / CLOCK_READINGS as u32
}
