//! `chaski bench`: what messages between threads, processes and sockets cost on this machine.
//!
//! - `channel`, `pool`, `shm`, `zmq`: the commands, what they print;
//! - `kinds`: the channels, alike; `throughput` and `round_trip` run them;
//! - `limits`: what the machine itself allows, measured beside them;
//! - `extent`: how long, and in how many rounds; `histogram`: what was timed; `figures`: what is
//!   told of it; `numbered`: that nothing was lost;
//! - `machine`: the facts that head every report, and which thread runs where.
//!
//! How Chaski compares with others is for the program in `bench/`, which runs them all side by
//! side. This one is what a user asks his own machine with.

mod channel;
mod extent;
mod figures;
mod histogram;
mod kinds;
mod limits;
mod machine;
mod numbered;
mod pool;
mod round_trip;
#[cfg(target_os = "linux")]
mod shm;
#[cfg(not(target_os = "linux"))]
#[path = "bench/shm_elsewhere.rs"]
mod shm;
mod throughput;
#[cfg(target_os = "linux")]
mod zmq;
#[cfg(not(target_os = "linux"))]
#[path = "bench/zmq_elsewhere.rs"]
mod zmq;

pub(crate) use self::machine::{Facts, reading_the_clock};
use crate::args::Bench;
use crate::failure::Failure;

pub(crate) fn run(args: &Bench) -> Result<(), Failure> {
    match args {
        Bench::Channel(args) => channel::run(args),
        Bench::Pool(args) => pool::run(args),
        Bench::Shm(args) => shm::run(args),
        Bench::Zmq(args) => zmq::run(args),
    }
}

/// A figure for people: three digits that mean something.
fn shown(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

/// So many in a second, in the unit that leaves a digit before the point.
fn per_second(rate: f64) -> String {
    let units = [(1e9, " G"), (1e6, " M"), (1e3, " k")];
    match units.iter().find(|(size, _)| rate >= *size) {
        Some((size, unit)) => shown(rate / size) + unit,
        None => shown(rate),
    }
}

/// The value in the middle, the lower of two.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits() {
        assert_eq!(
            [0.123, 2.345, 23.45, 234.5, 23456.0].map(shown),
            ["0.12", "2.35", "23.4", "234", "23456"]
        );
        assert_eq!(
            [999.0, 1_500.0, 2.5e6, 3.21e9].map(per_second),
            ["999", "1.50 k", "2.50 M", "3.21 G"]
        );
    }

    #[test]
    fn the_median_is_a_value_that_was_measured() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 3.0, 2.0]), 2.0);
        assert_eq!(median(vec![7.0]), 7.0);
        assert!(median(Vec::new()).is_nan());
    }
}
