//! What Prometheus reads.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::View;
use crate::metrics;

/// All metrics. With many partitions that takes a while, so it is no work for this thread.
pub(super) async fn text(State(view): State<Arc<View>>) -> Response {
    let Some(broker) = view.broker.get().cloned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "the log is being recovered\n").into_response();
    };
    match view.workers.run(move || Ok(metrics::render(&broker))).await {
        Ok(text) => {
            let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
            (kind, text).into_response()
        }
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response(),
    }
}
