//! `client-*`: one producer, then one consumer, of the client library people use: librdkafka for
//! Kafka brokers, a raw pipelining socket for the others. Two ceilings stand beside it: the
//! client's own mock broker for producing, the bare server for both. The mock keeps only the last
//! 5 MB, so there is nothing to consume from it.
//!
//! Nothing is pinned: client and server share all cores, as they would.

use std::rc::Rc;
use std::time::Instant;

use anyhow::{Result, ensure};

use super::peer::Peer;
use super::{GB, RSS, SERVER_CPU, TOPIC, case};
use crate::load::{Load, Stop};
use crate::rivals::kafka::{AcksAll, Broker};
use crate::rivals::librdkafka::{Compression, Mock, Production, consume, produce};
use crate::rivals::redis::Fsync;
use crate::rivals::{nats, redis};
use crate::run::{Case, Entrant, Metric, Samples};
use crate::wire::batch::Payload;
use crate::workloads::Plan;

const PRODUCE: Metric = Metric::higher("produce_records_per_s", "1/s");
const CONSUME: Metric = Metric::higher("consume_records_per_s", "1/s");
const CONSUME_CPU: Metric = Metric::lower("consume_cpu_s_per_GB", "s/GB");

/// One of the cases.
#[derive(Debug, Clone, Copy)]
struct Shape {
    name: &'static str,
    value_bytes: usize,
    compression: Compression,
    idempotent: bool,
    fsync: bool,
    /// Records, in a full and in a quick run; a tenth for those who take one at a time.
    records: (u64, u64),
}

const SHAPES: [Shape; 5] = [
    Shape::plain("client-100B", 100, (3_000_000, 600_000)),
    Shape::plain("client-1KiB", 1024, (1_000_000, 200_000)),
    Shape {
        compression: Compression::Lz4,
        ..Shape::plain("client-1KiB-lz4", 1024, (1_000_000, 200_000))
    },
    Shape {
        compression: Compression::Lz4,
        idempotent: true,
        ..Shape::plain("client-100B-idempotent-lz4", 100, (3_000_000, 600_000))
    },
    Shape { fsync: true, ..Shape::plain("client-100B-acks-all-fsync", 100, (3_000_000, 600_000)) },
];

impl Shape {
    const fn plain(name: &'static str, value_bytes: usize, records: (u64, u64)) -> Shape {
        let compression = Compression::None;
        Shape { name, value_bytes, compression, idempotent: false, fsync: false, records }
    }

    /// Only the plain cases exist outside Kafka.
    fn is_plain(&self) -> bool {
        self.compression == Compression::None && !self.idempotent
    }

    fn peer(&self, broker: &Broker) -> Peer {
        let acks_all = if self.fsync { AcksAll::Fsync } else { AcksAll::PageCache };
        let acks = if self.acks_all() { -1 } else { 1 };
        Peer::Kafka { broker: broker.clone(), acks_all, acks }
    }

    fn acks_all(&self) -> bool {
        self.fsync || self.idempotent
    }

    fn production(&self, plan: &Plan) -> Production {
        let compressed = self.compression != Compression::None;
        Production {
            records: plan.size(self.records.0, self.records.1),
            value_bytes: self.value_bytes,
            payload: if compressed { plan.payload } else { Payload::Random },
            compression: self.compression,
            acks_all: self.acks_all(),
            idempotent: self.idempotent,
        }
    }

    fn gigabytes(&self, records: u64) -> f64 {
        (records * self.value_bytes as u64) as f64 / GB
    }
}

pub(super) fn cases(plan: &Rc<Plan>) -> Vec<Case> {
    SHAPES.into_iter().map(|shape| case(shape.name, entrants(plan, shape))).collect()
}

fn entrants(plan: &Rc<Plan>, shape: Shape) -> Vec<Entrant> {
    let brokers = plan.brokers.iter().filter(|broker| broker.can_fsync || !shape.fsync);
    let mut entrants: Vec<Entrant> = brokers
        .chain([&plan.limit])
        .map(|broker| {
            let (plan, peer) = (Rc::clone(plan), shape.peer(broker));
            Entrant::new(&broker.who.clone(), move || through_broker(&plan, &peer, shape))
        })
        .collect();
    if !shape.fsync {
        let plan = Rc::clone(plan);
        entrants.push(Entrant::new("librdkafka-mock", move || {
            let mock = Mock::start(TOPIC)?;
            let rate = produce(&mock.bootstrap(), TOPIC, shape.production(&plan))?;
            Ok(vec![(PRODUCE, rate)])
        }));
    }
    if shape.is_plain() {
        let fsync = if shape.fsync { Fsync::Always } else { Fsync::EverySecond };
        let others = [Some(Peer::Redis(fsync)), (!shape.fsync).then_some(Peer::Nats)];
        entrants.extend(others.into_iter().flatten().map(|peer| {
            let plan = Rc::clone(plan);
            Entrant::new(&peer.who(), move || through_socket(&plan, &peer, shape))
        }));
    }
    entrants
}

fn through_broker(plan: &Plan, peer: &Peer, shape: Shape) -> Result<Samples> {
    rustix::fs::sync();
    let server = peer.start(plan, None, 1, None)?;
    let bootstrap = server.address.to_string();
    let work = shape.production(plan);
    let cpu_start = server.cpu_seconds();
    let produced_per_s = produce(&bootstrap, TOPIC, work)?;
    let cpu_produced = server.cpu_seconds();
    let consumed_per_s = consume(&bootstrap, TOPIC, work.records)?;
    let cpu_consumed = server.cpu_seconds();
    let gigabytes = shape.gigabytes(work.records);
    Ok(vec![
        (PRODUCE, produced_per_s),
        (CONSUME, consumed_per_s),
        (SERVER_CPU, (cpu_produced - cpu_start) / gigabytes),
        (CONSUME_CPU, (cpu_consumed - cpu_produced) / gigabytes),
        (RSS, server.resident_bytes().1 as f64),
    ])
}

/// NATS by one connection with 1000 publishes in flight, Redis by eight with 64 each: what each of
/// them likes best.
fn through_socket(plan: &Plan, peer: &Peer, shape: Shape) -> Result<Samples> {
    rustix::fs::sync();
    let server = peer.start(plan, None, 1, None)?;
    let records = plan.size(shape.records.0, shape.records.1) / 10;
    let (connections, window) = if matches!(peer, Peer::Nats) { (1, 1000) } else { (8, 64) };
    let lanes = (0..connections)
        .map(|_| peer.lane(server.address, shape.value_bytes))
        .collect::<Result<Vec<_>>>()?;
    let mut load = Load::new(lanes, window)?;
    let cpu_start = server.cpu_seconds();
    let tally = load.run(Stop::Requests(records))?;
    let cpu_produced = server.cpu_seconds();
    let start = Instant::now();
    let read = match peer {
        Peer::Nats => nats::read_all(server.address, TOPIC, records)?,
        _ => redis::read_all(server.address, TOPIC)?,
    };
    ensure!(read == records, "{records} records were acknowledged, {read} came back");
    let consumed_per_s = records as f64 / start.elapsed().as_secs_f64();
    let gigabytes = shape.gigabytes(records);
    Ok(vec![
        (PRODUCE, tally.requests_per_s()),
        (CONSUME, consumed_per_s),
        (SERVER_CPU, (cpu_produced - cpu_start) / gigabytes),
        (CONSUME_CPU, (server.cpu_seconds() - cpu_produced) / gigabytes),
        (RSS, server.resident_bytes().1 as f64),
    ])
}
