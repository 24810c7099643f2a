//! Shards, and the connections they serve.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use axum::Json;
use chaski_reactor::Handle;
use serde::Serialize;

use crate::http::endpoints::{Endpoint, Endpoints};
use crate::http::error::ApiError;
use crate::http::extract::{Live, Told};
use crate::shard::{ConnectionView, ToShard};

const SHARDS: Endpoint = Endpoint::get("/api/shards", "The event loops, and what each does.")
    .answer(
        "{shards:[{shard, connections, busy (0 to 1), turns_s, bytes_in_s, bytes_out_s, depth \
         (bytes not yet sent), moves (connections it was given so far)}]}",
    );

const CONNECTIONS: Endpoint = Endpoint::get("/api/connections", "Kafka clients, as of now.")
    .answer(
        "{total, connections:[{shard, id, address, client_id, software, requests, bytes_in, \
         bytes_out, unanswered}]}, 10000 connections at most; null what a client has not said",
    );

/// Connections of an answer.
const CONNECTIONS_MAX: usize = 10_000;

/// Longest that shards are waited for. One that is silent so long has other worries.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) fn add(all: &mut Endpoints) {
    all.add(SHARDS, shards);
    all.add(CONNECTIONS, connections);
}

#[derive(Serialize)]
struct Shards {
    shards: Vec<Shard>,
}

#[derive(Serialize)]
struct Shard {
    shard: usize,
    connections: u64,
    busy: f64,
    turns_s: f64,
    bytes_in_s: f64,
    bytes_out_s: f64,
    depth: u64,
    moves: u64,
}

async fn shards(live: Live) -> Json<Shards> {
    live.view.samples.refresh(&live);
    let sample = live.view.samples.last();
    let pairs = sample.iter().flat_map(|sample| sample.metrics.shards.iter().zip(&sample.shards));
    let shard = |(shard, (counts, rates)): (usize, (&crate::metrics::ShardMetrics, &_))| {
        let rates: &crate::http::sampler::ShardRates = rates;
        Shard {
            shard,
            connections: counts.connections,
            busy: rates.busy,
            turns_s: rates.turns_s,
            bytes_in_s: rates.in_bytes_s,
            bytes_out_s: rates.out_bytes_s,
            depth: counts.unsent_bytes,
            moves: counts.accepted,
        }
    };
    Json(Shards { shards: pairs.enumerate().map(shard).collect() })
}

#[derive(Serialize)]
struct Connections {
    total: usize,
    connections: Vec<Connection>,
}

#[derive(Serialize)]
struct Connection {
    shard: usize,
    id: u64,
    address: String,
    client_id: Option<String>,
    software: Option<String>,
    requests: u64,
    bytes_in: u64,
    bytes_out: u64,
    unanswered: usize,
}

impl Connection {
    fn new(shard: usize, view: ConnectionView) -> Connection {
        let said = |text: String| Some(text).filter(|text| !text.is_empty());
        Connection {
            shard,
            id: view.id,
            address: view.address.to_string(),
            client_id: said(view.client_id),
            software: said(view.software),
            requests: view.requests,
            bytes_in: view.bytes_in,
            bytes_out: view.bytes_out,
            unanswered: view.unanswered,
        }
    }
}

async fn connections(live: Live) -> Told {
    let shards = live.view.shards.get().cloned().unwrap_or_default();
    let sample = live.view.samples.last();
    let counted = sample.map_or(0, |sample| {
        sample.metrics.shards.iter().map(|shard| shard.connections as usize).sum()
    });
    live.tell(move |_| {
        let mut connections = ask(&shards);
        let total = connections.len().max(counted);
        connections.truncate(CONNECTIONS_MAX);
        Ok::<_, ApiError>(Connections { total, connections })
    })
    .await
}

/// Asks all shards, and takes what they tell in time.
fn ask(shards: &[Handle<ToShard>]) -> Vec<Connection> {
    let deadline = Instant::now() + PATIENCE;
    let ask = |shard: &Handle<ToShard>| {
        let (tell, told) = mpsc::channel();
        shard.send(ToShard::Describe(tell));
        told
    };
    let asked: Vec<_> = shards.iter().map(ask).collect();
    let mut all = Vec::new();
    for (shard, told) in asked.into_iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let told = told.recv_timeout(left).unwrap_or_default();
        all.extend(told.into_iter().map(|view| Connection::new(shard, view)));
    }
    all
}
