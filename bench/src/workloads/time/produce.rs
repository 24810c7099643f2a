//! `produce-*-acks1`: what the server takes in, by batches that were encoded once. One connection,
//! and four with a partition each. Enough bytes that segments roll: the longest silence of the
//! server is reported.

use std::rc::Rc;

use anyhow::{Result, ensure};

use super::peer::{Peer, kafka_lane};
use super::{BATCH_BYTES, BYTES_PER_S, GB, RECORDS_PER_S, RSS, SERVER_CPU, TOPIC, case};
use crate::load::{Load, Stop, Tally};
use crate::machine::Pinned;
use crate::run::{Case, Entrant, Metric, Samples};
use crate::wire::Client;
use crate::wire::batch::{Batch, Codec, Payload, batch_up_to};
use crate::workloads::Plan;

/// Requests in flight on each connection.
const WINDOW: usize = 8;

const STALL: Metric = Metric::lower("stall_max_ms", "ms");

/// The same, over four connections.
const CONNECTIONS: usize = 4;
const RECORDS_PER_S_4: Metric = Metric::higher("records_per_s_4conn", "1/s");
const BYTES_PER_S_4: Metric = Metric::higher("bytes_per_s_4conn", "B/s");
const SERVER_CPU_4: Metric = Metric::lower("server_cpu_s_per_GB_4conn", "s/GB");
const STALL_4: Metric = Metric::lower("stall_max_ms_4conn", "ms");

/// What is sent.
#[derive(Debug, Clone, Copy)]
struct Shape {
    value_bytes: usize,
    payload: Payload,
    codec: Codec,
}

pub(super) fn cases(plan: &Rc<Plan>) -> Vec<Case> {
    let plain = |value_bytes| Shape { value_bytes, payload: Payload::Random, codec: Codec::None };
    let lz4 = Shape { value_bytes: 1024, payload: Payload::Text, codec: Codec::Lz4 };
    [
        ("produce-100B-acks1", plain(100)),
        ("produce-1KiB-acks1", plain(1024)),
        ("produce-1KiB-lz4-acks1", lz4),
    ]
    .into_iter()
    .map(|(name, shape)| {
        let peers = plan.brokers.iter().chain([&plan.limit]).map(Peer::cached);
        let entrants = peers.map(|peer| {
            let plan = Rc::clone(plan);
            Entrant::new(&peer.who(), move || turn(&plan, &peer, shape))
        });
        case(name, entrants.collect())
    })
    .collect()
}

fn turn(plan: &Plan, peer: &Peer, shape: Shape) -> Result<Samples> {
    let batch = batch_up_to(BATCH_BYTES, shape.value_bytes, shape.payload, shape.codec)?;
    // Record values, as other benchmarks count; compressed, the bytes that really travel.
    let counted_bytes = batch.bytes.len().min(batch.records as usize * shape.value_bytes);
    let one = stream(plan, peer, &batch, 1)?;
    let four = stream(plan, peer, &batch, CONNECTIONS)?;
    let records = |run: &Run| run.tally.requests_per_s() * f64::from(batch.records);
    let bytes = |run: &Run| run.tally.requests_per_s() * counted_bytes as f64;
    let cpu = |run: &Run| run.cpu_seconds / (run.tally.requests as f64 * counted_bytes as f64 / GB);
    let stall = |run: &Run| run.tally.stall_ns as f64 / 1e6;
    Ok(vec![
        (RECORDS_PER_S, records(&one)),
        (BYTES_PER_S, bytes(&one)),
        (SERVER_CPU, cpu(&one)),
        (STALL, stall(&one)),
        (RECORDS_PER_S_4, records(&four)),
        (BYTES_PER_S_4, bytes(&four)),
        (SERVER_CPU_4, cpu(&four)),
        (STALL_4, stall(&four)),
        (RSS, four.resident_bytes as f64),
    ])
}

struct Run {
    tally: Tally,
    cpu_seconds: f64,
    resident_bytes: u64,
}

fn stream(plan: &Plan, peer: &Peer, batch: &Batch, connections: usize) -> Result<Run> {
    rustix::fs::sync();
    let segment_bytes = plan.size(256 << 20, 32 << 20);
    let requests = plan.size(5 << 28, 5 << 26) / batch.bytes.len() as u64;
    let warm_up = requests / 10;
    let server = peer.start(plan, plan.server_core(), connections, Some(segment_bytes))?;
    let _pinned = Pinned::to(plan.client_core());
    let lanes = (0..connections)
        .map(|partition| kafka_lane(server.address, partition, 1, &batch.bytes))
        .collect::<Result<Vec<_>>>()?;
    let mut load = Load::new(lanes, WINDOW)?;
    load.run(Stop::Requests(warm_up))?;
    let cpu_before = server.cpu_seconds();
    let tally = load.run(Stop::Requests(requests))?;
    let cpu_seconds = server.cpu_seconds() - cpu_before;
    let mut client = Client::connect(server.address)?;
    let mut kept = 0;
    for partition in 0..connections {
        kept += client.end_offset(TOPIC, partition as i32)?;
    }
    let sent = (warm_up + requests) * u64::from(batch.records);
    ensure!(kept as u64 == sent, "{sent} records were acknowledged, {kept} are there");
    Ok(Run { tally, cpu_seconds, resident_bytes: server.resident_bytes().1 })
}
