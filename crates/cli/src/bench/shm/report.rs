//! What is told of two processes.

use serde::Serialize;

use super::{LIMIT_BYTES, Measured, wait_name};
use crate::args::BenchShm;
use crate::bench::figures::{RoundTrip, Stream};
use crate::bench::machine::{Facts, Pinning};
use crate::output::{self, Described};

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
