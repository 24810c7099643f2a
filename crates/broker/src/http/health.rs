//! Whether the broker takes requests.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;

use super::View;
use crate::health::remedy;

pub(super) async fn ready(State(view): State<Arc<View>>) -> impl IntoResponse {
    // Whoever asks for a topic, a group or an offset is sent away while these cannot be stored.
    let ailment = view.broker.get().and_then(|broker| broker.ailment.get());
    match (view.health.is_ready(), ailment) {
        (true, None) => (StatusCode::OK, "ready\n".to_owned()),
        (true, Some(fault)) => {
            // The page is open to everybody: no names of files.
            let kind = fault.kind();
            let why = format!("not ready: storage fails ({kind})\n{}\n", remedy(kind));
            (StatusCode::SERVICE_UNAVAILABLE, why)
        }
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n".to_owned()),
    }
}
