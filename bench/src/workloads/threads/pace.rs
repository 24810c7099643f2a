//! How many messages a turn sends: contestants lie a factor of 300 apart, so each is probed, which
//! warms it up as well, and then gets as many as fill its turn.

use std::time::Duration;

use anyhow::Result;

use super::{NS_PER_MSG, Setup};
use crate::run::Samples;

/// Counts are multiples of this, so that batches and shares of several threads come out even.
const GRAIN: u64 = 4096;

/// By how much one probe is larger than the last.
const GROWTH: u64 = 4;

/// The part of a turn that a probe must take before its pace is believed.
const PROBE_SHARE: u32 = 8;

/// Runs `send` with growing counts until one turn is filled; nanoseconds per message of the last.
pub fn ns_per_msg(setup: Setup, send: &mut dyn FnMut(u64) -> Result<Duration>) -> Result<Samples> {
    let mut count = GRAIN;
    let mut took = send(count)?;
    while took < setup.turn() / PROBE_SHARE {
        count *= GROWTH;
        took = send(count)?;
    }
    let count = fitting(count, took, setup.turn());
    let took = send(count)?;
    Ok(vec![(NS_PER_MSG, took.as_nanos() as f64 / count as f64)])
}

/// As many messages as take `turn` if `count` took `took`.
fn fitting(count: u64, took: Duration, turn: Duration) -> u64 {
    let grains = turn.as_secs_f64() / took.as_secs_f64() * count as f64 / GRAIN as f64;
    (grains.round() as u64).max(1) * GRAIN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_filled_at_the_probed_pace() {
        let setup = Setup { quick: false, cores: None };
        let mut counts = Vec::new();
        let samples = ns_per_msg(setup, &mut |count| {
            counts.push(count);
            Ok(Duration::from_nanos(count * 100))
        });
        assert_eq!(counts.first(), Some(&GRAIN));
        let filled = *counts.last().expect("it ran") * 100;
        assert!(filled.abs_diff(setup.turn().as_nanos() as u64) < GRAIN * 100);
        assert_eq!(samples.expect("no turn failed"), [(NS_PER_MSG, 100.0)]);
    }
}
