//! Memory and starts: `rss-idle`, `rss-load`, `start-empty`, `start-after-kill`.

use std::rc::Rc;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::peer::{Peer, kafka_lane};
use super::{BATCH_BYTES, RSS, TOPIC, case};
use crate::load::{Load, Stop};
use crate::rivals::redis::Fsync;
use crate::run::{Case, Entrant, Metric, Samples, median_and_spread};
use crate::server::Server;
use crate::wire::batch::{Codec, Payload, batch_up_to};
use crate::wire::{Client, Fetcher};
use crate::workloads::Plan;

const PEAK: Metric = Metric::lower("peak_bytes", "B");
const ACCEPT: Metric = Metric::lower("accept_ms", "ms");
const READY: Metric = Metric::lower("ready_ms", "ms");

/// Starts within one turn of `start-empty`.
const STARTS: usize = 5;

/// How long a restarted broker may take until it knows its records again.
const READY_MAX: Duration = Duration::from_secs(20);

/// The load under which memory is read.
const CONNECTIONS: usize = 4;
const WINDOW: usize = 8;
const VALUE_BYTES: usize = 100;

pub(super) fn cases(plan: &Rc<Plan>) -> Vec<Case> {
    let kafka: Vec<Peer> = plan.brokers.iter().map(Peer::cached).collect();
    let others = [Peer::Nats, Peer::Redis(Fsync::EverySecond)];
    let servers = || [&kafka[..], &others[..]].concat();
    let mut started = servers();
    started.push(Peer::cached(&plan.limit));
    vec![
        case("rss-idle", entrants(plan, servers(), idle)),
        case("rss-load", entrants(plan, servers(), loaded)),
        case("start-empty", entrants(plan, started, start_empty)),
        case("start-after-kill", entrants(plan, kafka.clone(), start_after_kill)),
    ]
}

fn entrants(
    plan: &Rc<Plan>,
    peers: Vec<Peer>,
    turn: fn(&Plan, &Peer) -> Result<Samples>,
) -> Vec<Entrant> {
    let entrant = |peer: Peer| {
        let plan = Rc::clone(plan);
        Entrant::new(&peer.who(), move || turn(&plan, &peer))
    };
    peers.into_iter().map(entrant).collect()
}

fn idle(plan: &Plan, peer: &Peer) -> Result<Samples> {
    let server = Server::start(peer.launch(None)?, &plan.dir)?;
    std::thread::sleep(plan.time(1000, 300));
    Ok(vec![(RSS, server.resident_bytes().0 as f64)])
}

/// Kafka brokers: batches over four connections, then one reader of one partition. The others take
/// a tenth of a million records of the same size one by one, or a million in a full run.
fn loaded(plan: &Plan, peer: &Peer) -> Result<Samples> {
    let server = peer.start(plan, None, CONNECTIONS, None)?;
    if let Peer::Kafka { .. } = peer {
        let bytes = plan.size(1 << 30, 128 << 20);
        let records = fill(&server, CONNECTIONS, bytes)? / CONNECTIONS as i64;
        let client = Client::connect(server.address)?;
        let mut fetcher = Fetcher::new(client, TOPIC, 0, 1 << 20);
        // Connections share the load about evenly; half of a partition is there for certain.
        while fetcher.next_offset() < records / 2 {
            ensure!(fetcher.fetch()?.records > 0, "nothing to fetch");
        }
    } else {
        let lanes = vec![peer.lane(server.address, VALUE_BYTES)?];
        Load::new(lanes, 1000)?.run(Stop::Requests(plan.size(1_000_000, 100_000)))?;
    }
    let (now, peak) = server.resident_bytes();
    Ok(vec![(RSS, now as f64), (PEAK, peak as f64)])
}

fn start_empty(plan: &Plan, peer: &Peer) -> Result<Samples> {
    let mut times_ms = Vec::with_capacity(STARTS);
    for _ in 0..STARTS {
        let server = Server::start(peer.launch(None)?, &plan.dir)?;
        times_ms.push(server.accepted_after.as_secs_f64() * 1e3);
    }
    Ok(vec![(ACCEPT, median_and_spread(times_ms).0)])
}

/// 1.4 GB in one partition, SIGKILL, start again: ready once the end offset is told, and right.
fn start_after_kill(plan: &Plan, peer: &Peer) -> Result<Samples> {
    rustix::fs::sync();
    let server = peer.start(plan, None, 1, None)?;
    let records = fill(&server, 1, plan.size(1_400_000_000, 256 << 20))?;
    let (launch, data) = server.kill()?;
    let server = Server::start_in(launch, data)?;
    let ready = loop {
        let told = Client::connect(server.address).and_then(|mut c| c.end_offset(TOPIC, 0));
        match told {
            Ok(end) if end == records => break server.started.elapsed(),
            Ok(end) if server.started.elapsed() > READY_MAX => {
                anyhow::bail!("{records} records were acknowledged, {end} are there")
            }
            Err(error) if server.started.elapsed() > READY_MAX => return Err(error),
            _ => std::thread::sleep(Duration::from_micros(500)),
        }
    };
    Ok(vec![
        (READY, ready.as_secs_f64() * 1e3),
        (ACCEPT, server.accepted_after.as_secs_f64() * 1e3),
    ])
}

/// Writes `bytes` of batches over `connections`, a partition each; how many records.
fn fill(server: &Server, connections: usize, bytes: u64) -> Result<i64> {
    let batch = batch_up_to(BATCH_BYTES, VALUE_BYTES, Payload::Random, Codec::None)?;
    let lanes = (0..connections)
        .map(|partition| kafka_lane(server.address, partition, 1, &batch.bytes))
        .collect::<Result<Vec<_>>>()?;
    let requests = bytes / batch.bytes.len() as u64;
    Load::new(lanes, WINDOW)?.run(Stop::Requests(requests))?;
    Ok((requests * u64::from(batch.records)) as i64)
}
