//! The distance "machines": ZeroMQ sockets of several libraries over TCP, Unix sockets and within a
//! process. Conversations, pipelines, publishing, encryption, and what many peers cost.
//!
//! ```text
//!   bench turn CASE WHO      connects or binds, measures, on the client's core
//!    `- bench side ..        the other side, on the server's core; or a thread on that core
//! ```
//!
//! What counts is what arrives: every message carries its number at both ends, and where it arrives
//! it must be the next one, or a later one where a library knows no publishing without loss.

mod field;
mod peers;
mod publish;
mod round_trip;
mod stream;

use std::time::Duration;

use super::apart::{Distance, Setup};
use super::contest::Contest;
use super::side::turn_dir;
use crate::run::{Case, Metric};

pub const DISTANCE: &str = "machines";

const P50_US: Metric = Metric::lower("p50_us", "us");
const P99_US: Metric = Metric::lower("p99_us", "us");
const MSGS_PER_S: Metric = Metric::higher("msgs_per_s", "1/s");
const BYTES_PER_S: Metric = Metric::higher("bytes_per_s", "B/s");
const DELIVERIES_PER_S: Metric = Metric::higher("deliveries_per_s", "1/s");
const PUBLISHES_PER_S: Metric = Metric::higher("publishes_per_s", "1/s");
const MS_PER_10000: Metric = Metric::lower("ms_per_10000", "ms");
const MSGS_PER_S_1PEER: Metric = Metric::higher("msgs_per_s_1peer", "1/s");
const RSS_BYTES_PER_PEER: Metric = Metric::lower("rss_bytes_per_peer", "B");

/// The distance, as one whose turns are apart.
pub const APART: Distance = Distance {
    cases,
    metrics: &[
        P50_US,
        P99_US,
        MSGS_PER_S,
        BYTES_PER_S,
        DELIVERIES_PER_S,
        PUBLISHES_PER_S,
        MS_PER_10000,
        MSGS_PER_S_1PEER,
        RSS_BYTES_PER_PEER,
    ],
    sweep,
};

/// All contests of the distance, in the order they run.
pub fn contests() -> Vec<Contest> {
    let mut contests = round_trip::contests();
    contests.extend(stream::contests());
    contests.extend(publish::contests());
    contests.push(peers::contest());
    contests
}

fn cases(setup: Setup) -> Vec<Case> {
    contests().into_iter().map(|contest| contest.into_case(DISTANCE, sweep, setup)).collect()
}

/// Removes what a turn may have left behind: the names of its sockets.
fn sweep(turn: u32) {
    std::fs::remove_dir_all(turn_dir(turn)).ok();
}

/// How long a stream is counted: windows of TCP take their time to open.
fn counted(setup: Setup) -> Duration {
    setup.turn() * 2
}

/// How long it runs before.
fn warm_up(setup: Setup) -> Duration {
    setup.turn() / 2
}
