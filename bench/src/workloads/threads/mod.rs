//! The distance "threads": messages within one process. Channels of every shape, pools of workers,
//! and what the machine itself allows.
//!
//! Every turn is a process of its own (`apart.rs`), so that a contestant that stalls or crashes
//! leaves the case and harms nobody else. Within it the turn is sized by probing (`pace.rs`), and
//! every message is accounted for: a channel that loses one fails.

mod asynchronous;
mod blocking;
mod limits;
mod mpmc;
mod mpsc;
mod pace;
mod pair;
mod pool;
mod round_trip;
mod spsc;
mod wake;

use super::apart::{Distance, Setup};
use crate::run::{Case, Entrant, Metric};

pub const DISTANCE: &str = "threads";

const NS_PER_MSG: Metric = Metric::lower("ns_per_msg", "ns");
const P50_NS: Metric = Metric::lower("p50_ns", "ns");
const P99_NS: Metric = Metric::lower("p99_ns", "ns");
const SPEEDUP: Metric = Metric::higher("speedup_2_workers", "x");

/// The distance, as one whose turns are apart.
pub const APART: Distance = Distance {
    cases,
    metrics: &[NS_PER_MSG, P50_NS, P99_NS, SPEEDUP],
    // What threads share is gone with their process.
    sweep: |_| {},
};

/// All cases of the distance, in the order they run.
fn cases(setup: Setup) -> Vec<Case> {
    let mut cases = spsc::cases(setup);
    cases.extend(blocking::cases(setup));
    cases.extend(round_trip::cases(setup));
    cases.extend(wake::cases(setup));
    cases.extend(mpsc::cases(setup));
    cases.extend(mpmc::cases(setup));
    cases.extend(asynchronous::cases(setup));
    cases.extend(pool::cases(setup));
    cases
}

fn case(name: &'static str, entrants: Vec<Entrant>) -> Case {
    Case { distance: DISTANCE, name, entrants }
}
