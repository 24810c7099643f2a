//! The distance "threads": messages within one process. Channels of every shape, pools of workers,
//! and what the machine itself allows.
//!
//! Every turn is a process of its own (`process.rs`), so that a contestant that stalls or crashes
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
mod process;
mod round_trip;
mod spsc;
mod wake;

pub use process::{TurnArgs, turn};

use std::time::Duration;

use crate::machine::Cores;
use crate::run::{Case, Entrant, Metric};

pub const DISTANCE: &str = "threads";

const NS_PER_MSG: Metric = Metric::lower("ns_per_msg", "ns");
const P50_NS: Metric = Metric::lower("p50_ns", "ns");
const P99_NS: Metric = Metric::lower("p99_ns", "ns");
const SPEEDUP: Metric = Metric::higher("speedup_2_workers", "x");

/// All metrics of the distance: a turn reports by name across its process.
const METRICS: [Metric; 4] = [NS_PER_MSG, P50_NS, P99_NS, SPEEDUP];

/// What the workloads need to know of this run.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    /// Shorter turns, for a look and not for a claim.
    pub quick: bool,
    /// A core for the sending and one for the receiving thread; None: nothing is pinned.
    pub cores: Option<Cores>,
}

impl Setup {
    /// About how long one turn measures.
    fn turn(&self) -> Duration {
        Duration::from_millis(if self.quick { 40 } else { 100 })
    }
}

/// All cases of the distance, in the order they run; each turn starts a process.
pub fn cases(setup: Setup) -> Vec<Case> {
    cases_in_this_process(setup).into_iter().map(|case| process::apart(case, setup)).collect()
}

fn cases_in_this_process(setup: Setup) -> Vec<Case> {
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
