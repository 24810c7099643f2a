//! HTTP on a thread of its own, apart from the shards: metrics and health.
//!
//! | path | answers |
//! |---|---|
//! | `/metrics` | Prometheus text |
//! | `/healthz` | 200 while the process runs |
//! | `/readyz` | 200 while it takes requests, 503 before and while it stops |

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;

use crate::Broker;
use crate::metrics::{self, ShardView};

/// What the handlers see.
pub(crate) struct View {
    pub(crate) broker: Arc<Broker>,
    pub(crate) shards: Vec<ShardView>,
    pub(crate) ready: AtomicBool,
}

/// Serves until `stop` resolves.
pub(crate) fn spawn(
    listener: TcpListener,
    view: Arc<View>,
    stop: tokio::sync::oneshot::Receiver<()>,
) -> io::Result<JoinHandle<()>> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    listener.set_nonblocking(true)?;
    std::thread::Builder::new().name("chaski-http".to_owned()).spawn(move || {
        let served = runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            // A scrape in progress may finish; idle keep-alive connections must not hold us.
            tokio::select! {
                served = axum::serve(listener, router(view)).into_future() => served,
                _ = stop => Ok(()),
            }
        });
        if let Err(error) = served {
            tracing::error!(%error, "http stopped");
        }
    })
}

fn router(view: Arc<View>) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/metrics", get(metrics_text))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .with_state(view)
}

async fn index() -> impl IntoResponse {
    "chaski\n\n/metrics  Prometheus text\n/healthz  alive\n/readyz   takes requests\n"
}

async fn metrics_text(State(view): State<Arc<View>>) -> impl IntoResponse {
    let text = metrics::render(&view.broker, &view.shards);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}

async fn ready(State(view): State<Arc<View>>) -> impl IntoResponse {
    // ORDERING: a flag on its own; nothing else is published through it.
    match view.ready.load(Ordering::Relaxed) {
        true => (StatusCode::OK, "ready\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
    }
}
