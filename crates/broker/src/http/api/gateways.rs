//! Gateways: which there are, what passes, and how one is added and removed.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};

use crate::gateway::{GatewayError, GatewaySpec, GatewayStatus};
use crate::http::endpoints::{Endpoint, Endpoints};
use crate::http::error::{Answer, ApiError};
use crate::http::extract::{Body, Live, Told};

const LIST: Endpoint = Endpoint::get("/api/gateways", "Gateways, and what passes through them.")
    .answer(
        "{gateways:[{name, kind, direction: \"in\"|\"out\", endpoints:[..], topic, group, state: \
         \"starting\"|\"running\"|\"failed\"|\"stopped\", messages, bytes, drops, malformed, \
         resent, errors, lag, last_error, peers:[{address, connected, mechanism, user, sent, \
         received, queued, hwm, dropped}], source: \"config\"|\"runtime\", latency: {p50_us, \
         p99_us, p999_us, count}}]}",
    );

const ADD: Endpoint = Endpoint::post(
    "/api/gateways",
    "Adds a gateway, which is kept over restarts; one that would close a loop is refused.",
)
.body(
    "{name, kind: \"pull\"|\"router\"|\"sub\"|\"pub\"|\"push\", bind?:[..], connect?:[..], topic, \
     frames?, ..}, the keys of a [[gateway]] table",
)
.answer("one of `gateways`, as above");

const REMOVE: Endpoint = Endpoint::delete(
    "/api/gateways/{gateway}",
    "Stops and forgets a gateway that was added at run time.",
)
.answer("{name}");

pub(super) fn add(all: &mut Endpoints) {
    all.add(LIST, list);
    all.add(ADD, begin);
    all.add(REMOVE, remove);
}

#[derive(Serialize)]
struct List {
    gateways: Vec<GatewayStatus>,
}

async fn list(live: Live) -> Told {
    live.tell(|client| Ok::<_, ApiError>(List { gateways: client.gateways().list() })).await
}

async fn begin(live: Live, Body(spec): Body<GatewaySpec>) -> Answer<GatewayStatus> {
    live.run(move |client| client.gateways().add(spec)).await.map(Json)
}

async fn remove(live: Live, Path(name): Path<String>) -> Answer<Value> {
    let told = json!({ "name": name });
    live.run(move |client| client.gateways().remove(&name)).await?;
    Ok(Json(told))
}

impl From<GatewayError> for ApiError {
    fn from(error: GatewayError) -> ApiError {
        let message = error.to_string();
        let conflict = |kind, message| ApiError::new(StatusCode::CONFLICT, kind, message);
        match error {
            GatewayError::Client(error) => error.into(),
            GatewayError::Spec(_) => {
                ApiError::invalid(message).hint("docs/gateways.md tells of every key")
            }
            GatewayError::Exists(_) => conflict("already_exists", message),
            GatewayError::Unknown { nearest, .. } => {
                ApiError::not_found(message).did_you_mean(nearest.as_deref())
            }
            GatewayError::Loop { .. } => conflict("loop", message),
            GatewayError::Open { .. } => conflict("not_opened", message),
            GatewayError::Configured(_) => conflict("configured", message)
                .hint("take it out of the configuration file, and restart the broker"),
            GatewayError::TooMany => conflict("too_many", message),
        }
    }
}
