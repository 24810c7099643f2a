//! `into-the-log-*`: records of a process on the broker's machine, acknowledged from the page
//! cache: through shared memory, and over TCP by librdkafka (many) or a bare socket (one by one).

use std::path::Path;
use std::rc::Rc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use chaski_local::producer::Durability;
use chaski_local::{LocalProducer, Record};

use super::peer::{Peer, Pressure};
use super::{BYTES_PER_S, GB, P50_US, P99_US, RECORDS_PER_S, SERVER_CPU, TOPIC, case, us};
use crate::load::Stop;
use crate::machine::Pinned;
use crate::rivals::kafka::Broker;
use crate::rivals::librdkafka::{self, Compression, Production};
use crate::run::{Case, Entrant, Samples, quantile};
use crate::server::{Launch, Server};
use crate::wire::batch::Payload;
use crate::workloads::Plan;

const VALUE_BYTES: usize = 100;

/// The name that the broker has for processes of this machine.
const NAME: &str = "bench";

/// Batches under way before their acknowledgements are taken.
const LOOK_EVERY: usize = 8;

pub(super) fn cases(plan: &Rc<Plan>) -> Vec<Case> {
    let Some(broker) = plan.brokers.first() else { return Vec::new() };
    let entrant = |who: &str, turn: fn(&Plan, &Broker) -> Result<Samples>| {
        let (plan, broker) = (Rc::clone(plan), broker.clone());
        Entrant::new(who, move || {
            rustix::fs::sync();
            turn(&plan, &broker)
        })
    };
    vec![
        case(
            "into-the-log-100B",
            vec![entrant("chaski-local", stream), entrant("librdkafka", stream_librdkafka)],
        ),
        case(
            "into-the-log-1rec",
            vec![entrant("chaski-local", one_by_one), entrant("tcp", one_by_one_tcp)],
        ),
    ]
}

/// A broker that processes of this machine reach in `directory`.
fn start(plan: &Plan, broker: &Broker, directory: &Path) -> Result<Server> {
    let directory = directory.to_str().context("a path that is not UTF-8")?;
    let mut launch: Launch = Peer::cached(broker).launch(plan.server_core())?;
    for setting in [format!("shm.listen={NAME}"), format!("shm.directory={directory}/shm")] {
        launch.args.extend(["--set".to_owned(), setting]);
    }
    let server = Server::start(launch, &plan.dir)?;
    crate::wire::Client::connect(server.address)?.create_topic(TOPIC, 1, None)?;
    Ok(server)
}

fn producer(directory: &Path) -> Result<LocalProducer> {
    let builder = LocalProducer::builder().directory(directory.join("shm"));
    Ok(builder.durability(Durability::PageCache).connect(NAME, TOPIC)?)
}

fn records(plan: &Plan) -> u64 {
    plan.size(10_000_000, 2_000_000)
}

fn rates(server: &Server, cpu_before: f64, records: u64, per_s: f64) -> Samples {
    let gigabytes = (records * VALUE_BYTES as u64) as f64 / GB;
    vec![
        (RECORDS_PER_S, per_s),
        (BYTES_PER_S, per_s * VALUE_BYTES as f64),
        (SERVER_CPU, (server.cpu_seconds() - cpu_before) / gigabytes),
    ]
}

fn stream(plan: &Plan, broker: &Broker) -> Result<Samples> {
    let sockets = tempfile::tempdir()?;
    let server = start(plan, broker, sockets.path())?;
    let _pinned = Pinned::to(plan.client_core());
    let mut producer = producer(sockets.path())?;
    let (value, records) = ([b'x'; VALUE_BYTES], records(plan));
    let cpu_before = server.cpu_seconds();
    let (began, mut acked) = (Instant::now(), 0);
    for _ in 0..records {
        producer.push(Record::of(&value))?;
        if producer.in_flight() >= LOOK_EVERY {
            while let Some(outcome) = producer.next_ack() {
                acked += outcome?.count;
            }
        }
    }
    acked += producer.flush()?.iter().map(|acked| acked.count).sum::<usize>();
    let per_s = records as f64 / began.elapsed().as_secs_f64();
    ensure!(acked as u64 == records, "{acked} of {records} records were acknowledged");
    Ok(rates(&server, cpu_before, records, per_s))
}

fn stream_librdkafka(plan: &Plan, broker: &Broker) -> Result<Samples> {
    let sockets = tempfile::tempdir()?;
    let server = start(plan, broker, sockets.path())?;
    let _pinned = Pinned::to(plan.client_core());
    let production = Production {
        records: records(plan) / 4,
        value_bytes: VALUE_BYTES,
        payload: Payload::Random,
        compression: Compression::None,
        acks_all: false,
        idempotent: false,
    };
    let cpu_before = server.cpu_seconds();
    let per_s = librdkafka::produce(&server.address.to_string(), TOPIC, production)?;
    Ok(rates(&server, cpu_before, production.records, per_s))
}

fn latency(sorted_ns: &[u64]) -> Samples {
    vec![(P50_US, us(quantile(sorted_ns, 0.5))), (P99_US, us(quantile(sorted_ns, 0.99)))]
}

/// One record, its acknowledgement, the next.
fn one_by_one(plan: &Plan, broker: &Broker) -> Result<Samples> {
    let sockets = tempfile::tempdir()?;
    let _server = start(plan, broker, sockets.path())?;
    let _pinned = Pinned::to(plan.client_core());
    let mut producer = producer(sockets.path())?;
    let value = [b'x'; VALUE_BYTES];
    let rounds = plan.size(200_000, 50_000) as usize;
    let mut took_ns = Vec::with_capacity(rounds);
    for round in 0..rounds + rounds / 5 {
        let began = Instant::now();
        producer.push(Record::of(&value))?;
        producer.flush()?;
        if round >= rounds / 5 {
            took_ns.push(began.elapsed().as_nanos() as u64);
        }
    }
    took_ns.sort_unstable();
    Ok(latency(&took_ns))
}

fn one_by_one_tcp(plan: &Plan, broker: &Broker) -> Result<Samples> {
    let measured = plan.time(2000, 300);
    let pressure = Pressure {
        connections: 1,
        window: 1,
        warm_up: Stop::After(measured / 5),
        measured: Stop::After(measured),
    };
    let tally = Peer::cached(broker).measure(plan, VALUE_BYTES, pressure)?;
    Ok(latency(&tally.latencies_ns))
}
