//! Shards, and the connections they serve.

use axum::Json;
use serde::Serialize;

use crate::http::endpoints::{Endpoint, Endpoints};
use crate::http::extract::Live;

const SHARDS: Endpoint = Endpoint::get("/api/shards", "The event loops, and what each does.")
    .answer(
        "{shards:[{shard, connections, busy (0 to 1), turns_s, bytes_in_s, bytes_out_s, depth \
         (bytes not yet sent), moves (connections it was given so far)}]}",
    );

pub(super) fn add(all: &mut Endpoints) {
    all.add(SHARDS, shards);
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
