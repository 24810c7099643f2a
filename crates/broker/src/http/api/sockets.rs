//! ZeroMQ sockets of the process, and rings in shared memory.

use axum::Json;
use serde_json::{Value, json};

use crate::http::endpoints::{Endpoint, Endpoints};
use crate::http::extract::Live;

const SOCKETS: Endpoint = Endpoint::get("/api/sockets", "ZeroMQ sockets, and who is connected.")
    .answer(
        "{sockets:[{name, kind, endpoints:[..], messages_in, messages_out, drops, peers:[{address, \
         mechanism, user, sent, received, queued, hwm, dropped}]}]}",
    );

const RINGS: Endpoint =
    Endpoint::get("/api/rings", "Rings in shared memory, and the processes at their other end.")
        .answer(
            "{rings:[{name, kind, clients:[{pid, alive, fill, capacity, stalls, in, out}], dead}]}",
        );

pub(super) fn add(all: &mut Endpoints) {
    all.add(SOCKETS, sockets);
    all.add(RINGS, rings);
}

async fn sockets(_: Live) -> Json<Value> {
    Json(json!({ "sockets": [] }))
}

async fn rings(_: Live) -> Json<Value> {
    Json(json!({ "rings": [] }))
}
