//! What is told of sockets.

use serde::Serialize;

use super::Measured;
use crate::args::BenchZmq;
use crate::bench::figures::{RoundTrip, Stream};
use crate::bench::machine::{Facts, Pinning};
use crate::output::{self, Described};

#[derive(Debug, Serialize)]
pub(super) struct Report {
    machine: Facts,
    rounds: u16,
    transport: &'static str,
    size_bytes: u32,
    batch: u32,
    pinned: bool,
    round_trip: Vec<RoundTrip>,
    stream: Vec<Stream>,
}

impl Report {
    pub(super) fn new(
        args: &BenchZmq,
        machine: Facts,
        pinning: Pinning,
        measured: &Measured,
    ) -> Report {
        let size = f64::from(args.size);
        Report {
            machine,
            rounds: args.extent.rounds,
            transport: "tcp",
            size_bytes: args.size,
            batch: args.batch,
            pinned: pinning.is_on(),
            round_trip: vec![
                RoundTrip::of("limit", &measured.limit_laps),
                RoundTrip::of("zmq", &measured.laps),
            ],
            stream: vec![
                Stream::of("limit", &measured.limit_streams, 1.0, size),
                Stream::of("zmq", &measured.streams, 1.0, size),
            ],
        }
    }
}

impl Described for Report {
    fn describe(&self) -> String {
        let Report { machine, transport, size_bytes, batch, round_trip, stream, .. } = self;
        let rounds = output::count(self.rounds, "round");
        let pinned = if self.pinned { "pinned" } else { "not pinned" };
        format!(
            "{machine}{rounds}, messages of {size_bytes} B over {transport}, {pinned}\n\n\
             Round trip between two threads, REQ and REP\n{}\n\
             Stream from PUSH to PULL, received up to {batch} a call: the median of the rounds\n\
             {}\n\
             The limit is TCP without ZeroMQ: one message there and back, and blocks of 64 KiB.\n",
            output::table(round_trip),
            output::table(stream),
        )
    }
}
