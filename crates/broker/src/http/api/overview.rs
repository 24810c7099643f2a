//! What the broker does now, in one object; and what it did in the last hour.

use std::time::Duration;

use axum::Json;
use serde::{Deserialize, Serialize};

use crate::client::Latency;
use crate::gateway::Glance;
use crate::http::endpoints::{Endpoint, Endpoints};
use crate::http::extract::{Live, Params};
use crate::http::findings::{self, Disk, Finding};
use crate::http::history::Told;
use crate::http::lags::Behind;
use crate::http::sampler::Rates;
use crate::shard::now_ms;

const OVERVIEW: Endpoint = Endpoint::get("/api/overview", "What the broker is and does now.")
    .answer(
        "{version, cluster_id, node_id, uptime_s, now_ms, kafka: address or null, http, data_dir: \
         path or null (in memory), topics, partitions, groups, connections, gateways, \
         rates:{in_records_s, in_bytes_s, out_bytes_s, requests_s}, latency:[{path, p50_us, \
         p99_us, p999_us, count}] since the start, disk:{used_bytes, free_bytes, total_bytes}, \
         slow:[{group, topic, partition, lag}], findings:[{severity: \"error\"|\"warning\"|\
         \"info\", what, effect, command}]}",
    );

const HISTORY: Endpoint = Endpoint::get("/api/history", "The last hour, a point every 5 seconds.")
    .query(&[("since_ms", "Only points from this time on, in milliseconds since the epoch.")])
    .answer(
        "{step_ms, from_ms, series:{in_records_s:[..], in_bytes_s:[..], out_bytes_s:[..], \
         connections:[..], lag:[..], busy:[[..] a shard]}}; null where it is not known",
    );

pub(super) fn add(all: &mut Endpoints) {
    all.add(OVERVIEW, overview);
    all.add(HISTORY, history);
}

#[derive(Serialize)]
pub(in crate::http) struct Overview {
    version: &'static str,
    cluster_id: String,
    node_id: i32,
    uptime_s: u64,
    now_ms: i64,
    kafka: Option<String>,
    http: String,
    data_dir: Option<String>,
    topics: usize,
    partitions: usize,
    groups: usize,
    connections: u64,
    gateways: usize,
    rates: Rates,
    latency: Vec<Path>,
    disk: Disk,
    slow: Vec<Behind>,
    findings: Vec<Finding>,
}

/// How long the broker takes on one path.
#[derive(Serialize)]
struct Path {
    path: String,
    p50_us: Option<f64>,
    p99_us: Option<f64>,
    p999_us: Option<f64>,
    count: u64,
}

impl Path {
    fn new(path: &str, latency: &Latency) -> Path {
        let micros = |time: Duration| time.as_nanos() as f64 / 1000.0;
        let at = |share| latency.percentile(share).map(micros);
        let (p50_us, p99_us, p999_us) = (at(0.5), at(0.99), at(0.999));
        Path { path: path.to_owned(), p50_us, p99_us, p999_us, count: latency.count() }
    }
}

/// From what is known already: costs the same whatever there is of topics and groups.
pub(in crate::http) fn of(live: &Live) -> Overview {
    let Live { view, broker, client } = live;
    view.samples.refresh(live);
    let sample = view.samples.last();
    let metrics = sample.as_ref().map(|sample| sample.metrics.clone()).unwrap_or_default();
    let latency = &metrics.latency;
    let gateways = client.gateways().glance();
    let named = |one: &Glance| Path::new(&format!("gateway:{}", one.name), &one.latency);
    let paths = [
        Path::new("produce", &latency.produce),
        Path::new("fetch", &latency.fetch),
        Path::new("inside", &latency.inside),
    ];
    let disk = Disk::of(live);
    let node = &broker.node;
    let kafka = !broker.shards.is_empty();
    Overview {
        version: env!("CARGO_PKG_VERSION"),
        cluster_id: client.cluster_id().to_owned(),
        node_id: node.id,
        uptime_s: client.uptime().as_secs(),
        now_ms: now_ms(),
        kafka: kafka.then(|| address(&node.host, node.port)),
        http: view.address.to_string(),
        data_dir: view.data_dir.as_ref().map(|dir| dir.display().to_string()),
        topics: metrics.topics,
        partitions: metrics.partitions,
        groups: metrics.groups.iter().map(|(_, count)| count).sum(),
        connections: metrics.shards.iter().map(|shard| shard.connections).sum(),
        gateways: gateways.len(),
        rates: sample.as_ref().map(|sample| sample.rates).unwrap_or_default(),
        latency: paths
            .into_iter()
            .chain(gateways.iter().map(named))
            .filter(|path| path.count > 0)
            .collect(),
        slow: view.lags.last().map(|seen| seen.worst.clone()).unwrap_or_default(),
        findings: findings::of(live, sample.as_ref(), &disk, &gateways),
        disk,
    }
}

fn address(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

async fn overview(live: Live) -> Json<Overview> {
    // While nobody watches, nobody else sums the partitions up.
    if live.view.census.is_stale() {
        let (view, broker) = (live.view.clone(), live.broker.clone());
        let count = move || {
            view.census.freshen(&broker);
            Ok(())
        };
        let _ = live.view.workers.run(count).await;
    }
    Json(of(&live))
}

#[derive(Deserialize)]
struct Since {
    #[serde(default)]
    since_ms: i64,
}

async fn history(live: Live, Params(Since { since_ms }): Params<Since>) -> Json<Told> {
    Json(live.view.samples.history(since_ms))
}
