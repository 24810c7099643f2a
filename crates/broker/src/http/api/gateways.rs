//! Gateways.

use axum::Json;
use serde_json::{Value, json};

use crate::http::endpoints::{Endpoint, Endpoints};
use crate::http::extract::Live;

const LIST: Endpoint = Endpoint::get("/api/gateways", "Gateways, and what passes through them.")
    .answer(
        "{gateways:[{name, kind, direction: \"in\"|\"out\", endpoints:[..], topic, group, state, \
         messages, bytes, drops, errors, lag, last_error, peers:[..], source: \
         \"config\"|\"runtime\"}]}",
    );

pub(super) fn add(all: &mut Endpoints) {
    all.add(LIST, list);
}

async fn list(_: Live) -> Json<Value> {
    Json(json!({ "gateways": [] }))
}
