//! HTTP on a thread of its own, apart from the shards: metrics, health and the console.
//!
//! | path | answers |
//! |---|---|
//! | `/metrics` | Prometheus text; 503 while the log is being recovered |
//! | `/healthz` | 200 while the process runs |
//! | `/readyz` | 200 while it takes requests, 503 before and while it stops, or has failed |
//! | elsewhere | the console: see [`console`] |
//!
//! It is there before the log is, whose recovery may take minutes.

use std::io;
use std::net::TcpListener;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::oneshot;

use crate::Broker;
use crate::console;
use crate::health::Health;
use crate::metrics;

/// What the handlers see.
#[derive(Default)]
pub(crate) struct View {
    pub(crate) health: Arc<Health>,
    /// Set once the log is recovered.
    pub(crate) broker: OnceLock<Arc<Broker>>,
}

/// The thread; it ends when this is dropped.
pub(crate) struct Http {
    thread: JoinHandle<()>,
    stop: oneshot::Sender<()>,
}

impl Http {
    /// Ends it and waits until it has.
    pub(crate) fn stop(self) {
        let _ = self.stop.send(());
        let _ = self.thread.join();
    }
}

/// Begins to serve.
pub(crate) fn spawn(listener: TcpListener, view: Arc<View>) -> io::Result<Http> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    listener.set_nonblocking(true)?;
    let (stop, stopped) = oneshot::channel();
    let thread = std::thread::Builder::new().name("chaski-http".to_owned());
    let thread = thread.spawn(move || {
        let served = runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            // A scrape in progress may finish; idle keep-alive connections must not hold us.
            tokio::select! {
                served = axum::serve(listener, router(view)).into_future() => served,
                _ = stopped => Ok(()),
            }
        });
        if let Err(error) = served {
            tracing::error!(%error, "http stopped");
        }
    })?;
    Ok(Http { thread, stop })
}

fn router(view: Arc<View>) -> Router {
    Router::new()
        .route("/metrics", get(metrics_text))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .merge(console::router())
        .with_state(view)
}

async fn metrics_text(State(view): State<Arc<View>>) -> Response {
    let Some(broker) = view.broker.get() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "the log is being recovered\n").into_response();
    };
    let text = metrics::render(broker);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

async fn ready(State(view): State<Arc<View>>) -> impl IntoResponse {
    match view.health.is_ready() {
        true => (StatusCode::OK, "ready\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpStream};

    use super::*;

    /// The status of an answer.
    fn status(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).expect("connected");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            .expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer.split(' ').nth(1).expect("a status").to_owned()
    }

    #[test]
    fn a_broker_that_recovers_is_alive_and_not_ready() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let view = Arc::new(View::default());
        let http = spawn(listener, view.clone()).expect("a thread");
        assert_eq!(status(address, "/healthz"), "200");
        assert_eq!(status(address, "/readyz"), "503");
        assert_eq!(status(address, "/metrics"), "503");
        view.health.started();
        assert_eq!(status(address, "/readyz"), "200");
        view.health.stopping();
        assert_eq!(status(address, "/readyz"), "503");
        http.stop();
    }
}
