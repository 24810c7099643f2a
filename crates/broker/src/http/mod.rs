//! HTTP on a thread of its own, apart from the shards: metrics, health, the JSON API, the console.
//!
//! | path | answers |
//! |---|---|
//! | `/metrics` | Prometheus text; 503 while the log is being recovered |
//! | `/healthz` | 200 while the process runs |
//! | `/readyz` | 200 while it takes requests; 503: it begins, stops, cannot store, has failed |
//! | `/api` | the JSON API: see [`api`]; what it may do says [`auth`] |
//! | elsewhere | the console: see [`console`] |
//!
//! It is there before the log is, whose recovery may take minutes.
//!
//! One thread answers all of them, so a handler must not hold it: what reads the log, or asks the
//! control thread, goes to [`workers`], which are few and so are those who may wait for them.

mod api;
mod auth;
mod census;
mod connections;
mod endpoints;
mod error;
mod events;
mod extract;
mod findings;
mod guesses;
mod health;
mod history;
mod lags;
mod metrics;
mod sampler;
mod services;
mod sessions;
mod workers;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use chaski_reactor::Handle;
use tokio::sync::{Semaphore, oneshot};

use self::auth::Access;
use self::census::Census;
use self::connections::{Bounded, Peer};
use self::events::Streams;
use self::lags::Lags;
use self::sampler::Samples;
use self::services::Services;
use self::workers::Workers;
use crate::health::Health;
use crate::settings::Given;
use crate::shard::ToShard;
use crate::{Broker, console};

/// Longest that work under way is waited for when the broker stops. It reads and asks, and loses
/// nothing.
const GRACE: Duration = Duration::from_secs(1);

/// Changes under way, each with a body of a few MiB at most.
const CHANGES_MAX: usize = 32;

/// What the handlers see.
pub(crate) struct View {
    pub(crate) health: Arc<Health>,
    /// Set once the log is recovered.
    pub(crate) broker: OnceLock<Arc<Broker>>,
    /// Set before the broker is.
    pub(crate) shards: OnceLock<Vec<Handle<ToShard>>>,
    /// Where HTTP is served.
    address: SocketAddr,
    /// None: records are in memory.
    data_dir: Option<PathBuf>,
    access: Access,
    workers: Workers,
    samples: Samples,
    census: Census,
    lags: Lags,
    services: Services,
    streams: Streams,
    /// Turns of those who change something.
    changes: Semaphore,
}

impl View {
    /// What handlers at `address` see of a broker with these settings.
    pub(crate) fn new(
        address: SocketAddr,
        data_dir: Option<PathBuf>,
        given: &Given,
        health: Arc<Health>,
    ) -> View {
        View {
            health,
            broker: OnceLock::new(),
            shards: OnceLock::new(),
            address,
            data_dir,
            access: Access::new(address, given),
            workers: Workers::new(),
            samples: Samples::new(),
            census: Census::default(),
            lags: Lags::default(),
            services: Services::new(given),
            streams: Streams::new(),
            changes: Semaphore::new(CHANGES_MAX),
        }
    }
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
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(workers::COUNT)
        .thread_name("chaski-http-work")
        .build()?;
    listener.set_nonblocking(true)?;
    view.access.warn();
    let (stop, stopped) = oneshot::channel();
    let thread = std::thread::Builder::new().name("chaski-http".to_owned());
    let thread = thread.spawn(move || {
        let served = runtime.block_on(async {
            let listener = Bounded::new(tokio::net::TcpListener::from_std(listener)?);
            let sampler = tokio::spawn(sampler::run(view.clone()));
            // A scrape in progress may finish; idle keep-alive connections must not hold us.
            let service = router(view).into_make_service_with_connect_info::<Peer>();
            let served = tokio::select! {
                served = axum::serve(listener, service).into_future() => served,
                _ = stopped => Ok(()),
            };
            sampler.abort();
            served
        });
        if let Err(error) = served {
            tracing::error!(%error, "http stopped");
        }
        runtime.shutdown_timeout(GRACE);
    })?;
    Ok(Http { thread, stop })
}

fn router(view: Arc<View>) -> Router {
    Router::new()
        .route("/metrics", get(metrics::text))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(health::ready))
        .nest("/api", api::router(&view))
        .merge(console::router())
        .with_state(view)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpStream};

    use super::*;

    /// The status of an answer.
    fn status(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).expect("connected");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer.split(' ').nth(1).expect("a status").to_owned()
    }

    #[test]
    fn a_broker_that_recovers_is_alive_and_not_ready() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let view = Arc::new(View::new(address, None, &Given::new(), Arc::default()));
        let http = spawn(listener, view.clone()).expect("a thread");
        assert_eq!(status(address, "/healthz"), "200");
        assert_eq!(status(address, "/readyz"), "503");
        assert_eq!(status(address, "/metrics"), "503");
        assert_eq!(status(address, "/api"), "200");
        assert_eq!(status(address, "/api/overview"), "503");
        view.health.started();
        assert_eq!(status(address, "/readyz"), "200");
        view.health.stopping();
        assert_eq!(status(address, "/readyz"), "503");
        http.stop();
    }
}
