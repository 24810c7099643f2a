//! The distance "processes": messages between processes of one machine. Conversations, streams,
//! many clients, many subscribers, and what connections cost.
//!
//! ```text
//!   bench                       starts a turn, kills it when it stalls, sweeps behind it
//!    `- bench turn CASE WHO     measures, on the client's core
//!        `- bench side ..       the other side, on the server's core; dies with its turn
//! ```
//!
//! Every message carries its number at both ends, and is checked where it arrives.

mod clients;
mod connect;
mod crowd;
mod memory;
mod publish;
mod round_trip;
mod stream;

use super::apart::{Distance, Setup};
use super::contest::Contest;
use super::side::turn_dir;
use crate::rivals::processes::iceoryx2;
use crate::run::{Case, Metric, quantile};

pub const DISTANCE: &str = "processes";

const P50_US: Metric = Metric::lower("p50_us", "us");
const P99_US: Metric = Metric::lower("p99_us", "us");
const P999_US: Metric = Metric::lower("p999_us", "us");
const MSGS_PER_S: Metric = Metric::higher("msgs_per_s", "1/s");
const BYTES_PER_S: Metric = Metric::higher("bytes_per_s", "B/s");
const ROUND_TRIPS_PER_S: Metric = Metric::higher("round_trips_per_s", "1/s");
const NS_PER_PUBLISH: Metric = Metric::lower("ns_per_publish", "ns");
const DELIVERIES_PER_S: Metric = Metric::higher("deliveries_per_s", "1/s");
const US_PER_CONNECT: Metric = Metric::lower("us_per_connect", "us");
const PSS_BYTES: Metric = Metric::lower("pss_bytes", "B");
const SHARED_BYTES: Metric = Metric::lower("shared_bytes", "B");

/// The distance, as one whose turns are apart.
pub const APART: Distance = Distance {
    cases,
    metrics: &[
        P50_US,
        P99_US,
        P999_US,
        MSGS_PER_S,
        BYTES_PER_S,
        ROUND_TRIPS_PER_S,
        NS_PER_PUBLISH,
        DELIVERIES_PER_S,
        US_PER_CONNECT,
        PSS_BYTES,
        SHARED_BYTES,
    ],
    sweep,
};

/// Connections where there are many.
const CONNECTIONS: usize = 32;

/// Bytes that a channel holds, for messages of up to 1 KiB where there is one connection.
const ROOM: usize = 256 * 1024;

/// The same for longer messages.
const LARGE_ROOM: usize = 1024 * 1024;

/// The same where there are many connections.
const SMALL_ROOM: usize = 64 * 1024;

/// All contests of the distance, in the order they run.
pub fn contests() -> Vec<Contest> {
    let mut contests = round_trip::contests();
    contests.extend(stream::contests());
    contests.extend(clients::contests());
    contests.push(crowd::contest());
    contests.extend(publish::contests());
    contests.push(connect::contest());
    contests.push(memory::contest());
    contests
}

fn cases(setup: Setup) -> Vec<Case> {
    contests().into_iter().map(|contest| contest.into_case(DISTANCE, sweep, setup)).collect()
}

/// Removes what a turn may have left behind.
fn sweep(turn: u32) {
    iceoryx2::sweep(turn);
    // Most turns leave nothing, and those that are over have removed it themselves.
    std::fs::remove_dir_all(turn_dir(turn)).ok();
}

/// What this part of `times_ns`, which are sorted, does not exceed.
pub fn microseconds(times_ns: &[u64], part: f64) -> f64 {
    quantile(times_ns, part) as f64 / 1000.0
}

/// A message with its number at both ends.
pub fn numbered(message: &mut [u8], number: u64) {
    let length = message.len();
    message[..8].copy_from_slice(&number.to_ne_bytes());
    message[length - 8..].copy_from_slice(&number.to_ne_bytes());
}

/// The number of a message; None if its ends belong to two.
pub fn number_of(message: &[u8]) -> Option<u64> {
    let (first, last) = (message.first_chunk()?, message.last_chunk()?);
    (first == last).then(|| u64::from_ne_bytes(*first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_two_is_none() {
        let mut message = vec![0; 1024];
        numbered(&mut message, 7);
        assert_eq!(number_of(&message), Some(7));
        message[1023] ^= 1;
        assert_eq!(number_of(&message), None);
        assert_eq!(number_of(&[0; 4]), None);
    }
}
