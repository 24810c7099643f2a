//! The distance "time": messages that are kept. The product's broker, other logs, and the bare
//! programs that show what the machine allows.

mod acknowledge;
mod client;
mod consume;
mod end_to_end;
mod footprint;
mod gateways;
mod pages;
mod peer;
mod produce;
mod rings;

use std::rc::Rc;

use crate::run::{Case, Entrant, Metric};
use crate::workloads::Plan;

const DISTANCE: &str = "time";
const TOPIC: &str = "bench";

/// Uncompressed bytes of a batch of the raw generator: what one write should carry.
const BATCH_BYTES: usize = 64 * 1024;

/// Decimal, as in bytes per second.
const GB: f64 = 1e9;

const RECORDS_PER_S: Metric = Metric::higher("records_per_s", "1/s");
const BYTES_PER_S: Metric = Metric::higher("bytes_per_s", "B/s");
const SERVER_CPU: Metric = Metric::lower("server_cpu_s_per_GB", "s/GB");
const RSS: Metric = Metric::lower("rss_bytes", "B");
const P50_US: Metric = Metric::lower("p50_us", "us");
const P99_US: Metric = Metric::lower("p99_us", "us");

/// All cases of the distance, in the order they run.
pub fn cases(plan: &Rc<Plan>) -> Vec<Case> {
    let mut cases = produce::cases(plan);
    cases.extend(acknowledge::cases(plan));
    cases.extend(consume::cases(plan));
    cases.extend(pages::cases(plan));
    cases.extend(rings::cases(plan));
    cases.extend(end_to_end::cases(plan));
    cases.extend(client::cases(plan));
    cases.extend(footprint::cases(plan));
    cases.extend(gateways::cases(plan));
    cases
}

fn case(name: &'static str, entrants: Vec<Entrant>) -> Case {
    Case { distance: DISTANCE, name, entrants }
}

fn us(ns: u64) -> f64 {
    ns as f64 / 1000.0
}
