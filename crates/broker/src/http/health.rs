//! Whether the broker takes requests.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;

use super::View;

pub(super) async fn ready(State(view): State<Arc<View>>) -> impl IntoResponse {
    match view.health.is_ready() {
        true => (StatusCode::OK, "ready\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
    }
}
