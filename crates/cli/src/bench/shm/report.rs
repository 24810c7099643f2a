//! What is told of two processes.

use serde::Serialize;

use super::{LIMIT_BYTES, Measured, wait_name};
use crate::args::BenchShm;
use crate::bench::histogram::{Histogram, Percentiles};
use crate::bench::machine::{Facts, Pinning};
use crate::bench::throughput::Run;
use crate::bench::{median, per_second, shown};
use crate::output::{self, Described, Row};
use crate::table::{Column, number, text};

#[derive(Debug, Serialize)]
pub(super) struct Report {
    machine: Facts,
    rounds: u16,
    wait: &'static str,
    size_bytes: u32,
    ring_bytes: u32,
    batch: u32,
    pinned: bool,
    round_trip: Vec<RoundTrip>,
    stream: Vec<Stream>,
}

#[derive(Debug, Serialize)]
struct RoundTrip {
    /// `shm` or `limit`.
    who: &'static str,
    #[serde(flatten)]
    percentiles: Percentiles,
}

#[derive(Debug, Serialize)]
struct Stream {
    /// `shm` or `limit`.
    who: &'static str,
    /// The median of the rounds.
    ns_per_message: f64,
    messages_per_second: f64,
    bytes_per_second: f64,
    /// The slowest round over the quickest, less 1.
    spread: f64,
}

impl Report {
    pub(super) fn new(
        args: &BenchShm,
        machine: Facts,
        pinning: Pinning,
        measured: &Measured,
    ) -> Report {
        let size = f64::from(args.size);
        let mut round_trip = vec![RoundTrip::of("shm", &measured.laps)];
        let mut stream = vec![Stream::of("shm", &measured.streams, 1.0, size)];
        if machine.has_two_cpus() {
            round_trip.insert(0, RoundTrip::of("limit", &measured.limit_laps));
            let share = size / LIMIT_BYTES as f64;
            stream.insert(0, Stream::of("limit", &measured.limit_streams, share, size));
        }
        Report {
            machine,
            rounds: args.extent.rounds,
            wait: wait_name(args.wait),
            size_bytes: args.size,
            ring_bytes: args.ring,
            batch: args.batch,
            pinned: pinning.is_on(),
            round_trip,
            stream,
        }
    }
}

impl RoundTrip {
    fn of(who: &'static str, laps: &Histogram) -> RoundTrip {
        RoundTrip { who, percentiles: laps.percentiles() }
    }
}

impl Stream {
    /// Of messages of this size, each of which takes `share` of what one took in the runs.
    fn of(who: &'static str, runs: &[Run], share: f64, size_bytes: f64) -> Stream {
        let costs: Vec<f64> = runs.iter().map(|run| run.ns_per_message() * share).collect();
        let least = costs.iter().copied().fold(f64::INFINITY, f64::min);
        let most = costs.iter().copied().fold(0.0, f64::max);
        let ns_per_message = median(costs);
        let messages_per_second = 1e9 / ns_per_message;
        Stream {
            who,
            ns_per_message,
            messages_per_second,
            bytes_per_second: messages_per_second * size_bytes,
            spread: most / least - 1.0,
        }
    }
}

impl Described for Report {
    fn describe(&self) -> String {
        let Report { machine, wait, size_bytes, ring_bytes, batch, round_trip, stream, .. } = self;
        let rounds = output::count(self.rounds, "round");
        let pinned = if self.pinned { "pinned" } else { "not pinned" };
        let limits = if machine.has_two_cpus() {
            "The limit of a round trip is a cache line each way, that of a stream memory which \
             changes cores in blocks of 32 KiB."
        } else {
            "With one CPU there is no limit to show: nothing moves between cores."
        };
        format!(
            "{machine}{rounds}, messages of {size_bytes} B, rings of {ring_bytes} B, wait {wait}, \
             {pinned}\n\n\
             Round trip between two processes\n{}\n\
             Stream from one process to the other, {batch} a batch: the median of the rounds\n{}\n\
             {limits}\n",
            output::table(round_trip),
            output::table(stream),
        )
    }
}

impl Row for RoundTrip {
    const COLUMNS: &'static [Column] = &[
        text("WHO"),
        number("P50 NS"),
        number("P99 NS"),
        number("P99.9 NS"),
        number("MAX NS"),
        number("SAMPLES"),
    ];

    fn cells(&self) -> Vec<String> {
        let mut cells = vec![self.who.to_owned()];
        cells.extend(self.percentiles.cells());
        cells
    }
}

impl Row for Stream {
    const COLUMNS: &'static [Column] = &[
        text("WHO"),
        number("NS/MESSAGE"),
        number("MESSAGES/S"),
        number("BYTES/S"),
        number("SPREAD"),
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.who.to_owned(),
            shown(self.ns_per_message),
            per_second(self.messages_per_second),
            per_second(self.bytes_per_second),
            format!("{:.0} %", self.spread * 100.0),
        ]
    }
}
