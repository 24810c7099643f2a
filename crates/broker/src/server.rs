//! Starting and stopping a broker.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use chaski_log::store::{Durability, MetaStore, StoreError};
use chaski_log::{DirLock, LocalLog, LocalMeta};
use chaski_reactor::{Handle, Limits, Reactor};
use thiserror::Error;

use crate::control::{self, Control, ToControl};
use crate::http::{self, View};
use crate::metrics::{ShardStats, ShardView};
use crate::settings::{self, BROKER, Given};
use crate::shard::{Reports, Shard, ToShard};
use crate::{Broker, Node};

/// How long a stopping broker waits for answers under way.
const GRACE: Duration = Duration::from_secs(5);

/// Why a broker did not start.
#[derive(Debug, Error)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum StartError {
    #[error("cannot listen on {address}: {source}")]
    Listen { address: String, source: io::Error },
    #[error("`{0}` is not an address of the form host:port")]
    Address(String),
    #[error("data directory {dir}: {source}")]
    Data { dir: PathBuf, source: Box<dyn std::error::Error + Send + Sync> },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot start a thread: {0}")]
    Thread(#[from] io::Error),
}

/// A running broker. Dropping it without [`Server::stop`] leaves its threads running.
pub struct Server {
    kafka: SocketAddr,
    http: SocketAddr,
    recovered: Recovered,
    broker: Arc<Broker>,
    view: Arc<View>,
    handles: Vec<Handle<ToShard>>,
    shards: Vec<JoinHandle<()>>,
    control: JoinHandle<()>,
    http_thread: JoinHandle<()>,
    http_stop: tokio::sync::oneshot::Sender<()>,
    _lock: DirLock,
}

/// What a start found in the data directory.
#[derive(Debug, Clone, Copy, Default)]
pub struct Recovered {
    /// Topics there were.
    pub topics: usize,
    /// Partitions of these.
    pub partitions: usize,
    /// How long opening and checking them took.
    pub took: Duration,
}

/// A setting's value: what was given, else its default.
fn value<'a>(given: &'a Given, name: &str) -> &'a str {
    let setting = settings::find(BROKER, name).expect("a name from the table");
    given.get(setting.name).unwrap_or(setting.default)
}

fn number(given: &Given, name: &str) -> i64 {
    value(given, name).parse().unwrap_or_default()
}

fn durability(given: &Given, name: &str) -> Durability {
    if value(given, name) == "fsync" { Durability::Disk } else { Durability::PageCache }
}

impl Server {
    /// Starts a broker with these settings: opens and recovers the log, then listens.
    pub fn start(given: Given) -> Result<Server, StartError> {
        raise_descriptor_limit();
        let kafka = listen(value(&given, "kafka.listen"))?;
        let http = listen(value(&given, "http.listen"))?;
        let (kafka_addr, http_addr) = (kafka.local_addr()?, http.local_addr()?);
        let node = node(&given, kafka_addr)?;

        let began = Instant::now();
        let dir = PathBuf::from(value(&given, "data.dir"));
        let (lock, store, mut meta) = open_data(&dir, &given)?;
        let cluster = control::load(&mut *meta, &*store, &given)?;
        let recovered = Recovered {
            topics: cluster.by_name.len(),
            partitions: cluster.partitions,
            took: began.elapsed(),
        };

        let (to_control, from_all) = mpsc::channel();
        let broker = Arc::new(Broker {
            node,
            cluster_id: control::cluster_id(&mut *meta)?,
            store,
            cluster: ArcSwap::from_pointee(cluster),
            control: to_control,
            acks_one: durability(&given, "acks.one"),
            acks_all: durability(&given, "acks.all"),
            auto_create: value(&given, "auto.create.topics.enable") == "true",
            request_max: number(&given, "socket.request.max.bytes") as usize,
            fetch_max: number(&given, "fetch.max.bytes") as usize,
            in_flight_max: number(&given, "max.in.flight.requests.per.connection") as usize,
            settings: given,
            queued_bytes: AtomicUsize::new(0),
        });
        let shards = start_shards(&broker, kafka)?;
        let view = Arc::new(View {
            broker: broker.clone(),
            shards: shards.views,
            ready: AtomicBool::new(true),
        });
        let control = Control::new(broker.clone(), meta, shards.handles.clone())?;
        let control = std::thread::Builder::new()
            .name("chaski-control".to_owned())
            .spawn(move || control.run(&from_all))?;
        let (http_stop, stopped) = tokio::sync::oneshot::channel();
        let http_thread = http::spawn(http, view.clone(), stopped)?;
        Ok(Server {
            kafka: kafka_addr,
            http: http_addr,
            recovered,
            broker,
            view,
            handles: shards.handles,
            shards: shards.threads,
            control,
            http_thread,
            http_stop,
            _lock: lock,
        })
    }

    /// Where Kafka clients connect.
    pub fn kafka_addr(&self) -> SocketAddr {
        self.kafka
    }

    /// Where metrics and health are.
    pub fn http_addr(&self) -> SocketAddr {
        self.http
    }

    /// What the start found in the data directory.
    pub fn recovered(&self) -> Recovered {
        self.recovered
    }

    /// Event loops that serve clients.
    pub fn shards(&self) -> usize {
        self.handles.len()
    }

    /// Stops: answers what is under way, flushes the log, writes its checkpoints.
    pub fn stop(self) -> Result<(), StoreError> {
        // ORDERING: a flag on its own; nothing else is published through it.
        self.view.ready.store(false, Ordering::Relaxed);
        for handle in &self.handles {
            handle.send(ToShard::Stop { grace: GRACE });
        }
        for shard in self.shards {
            let _ = shard.join();
        }
        self.broker.tell_control(ToControl::Stop);
        let _ = self.control.join();
        let closed = self.broker.store.close();
        let _ = self.http_stop.send(());
        let _ = self.http_thread.join();
        closed
    }
}

struct Shards {
    handles: Vec<Handle<ToShard>>,
    threads: Vec<JoinHandle<()>>,
    views: Vec<ShardView>,
}

fn start_shards(broker: &Arc<Broker>, listener: TcpListener) -> Result<Shards, StartError> {
    let given = &broker.settings;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let count = match number(given, "shards") as usize {
        0 => cores,
        count => count,
    };
    let limits = Limits {
        frame_bytes_max: broker.request_max + 4,
        connections_max: (number(given, "max.connections") as usize).div_ceil(count),
        idle_max: u64::try_from(number(given, "connections.max.idle.ms"))
            .ok()
            .map(Duration::from_millis),
        spin: Duration::from_micros(number(given, "shards.spin.us") as u64),
        ..Limits::default()
    };
    let mut reactors: Vec<Reactor<ToShard>> =
        (0..count).map(|_| Reactor::new(limits.clone())).collect::<io::Result<_>>()?;
    let handles: Vec<_> = reactors.iter().map(Reactor::handle).collect();
    reactors[0].listen(listener, handles.clone())?;
    let pin = value(given, "shards.pin") == "true";
    let mut shards = Shards { handles, threads: Vec::new(), views: Vec::new() };
    for (index, reactor) in reactors.into_iter().enumerate() {
        let stats = Arc::new(ShardStats::default());
        shards.views.push(ShardView { stats: stats.clone(), reactor: reactor.stats() });
        let reports = Arc::new(Reports(reactor.handle()));
        let shard = Shard::new(index, broker.clone(), reports, stats);
        let thread = std::thread::Builder::new().name(format!("chaski-shard-{index}"));
        shards.threads.push(thread.spawn(move || {
            if pin {
                pin_to_core(index);
            }
            if let Err(error) = reactor.run(shard) {
                tracing::error!(shard = index, %error, "event loop ended");
            }
        })?);
    }
    Ok(shards)
}

fn listen(address: &str) -> Result<TcpListener, StartError> {
    TcpListener::bind(address)
        .map_err(|source| StartError::Listen { address: address.to_owned(), source })
}

fn node(given: &Given, bound: SocketAddr) -> Result<Node, StartError> {
    let id = number(given, "node.id") as i32;
    let advertised = value(given, "kafka.advertised");
    if advertised.is_empty() {
        let ip = bound.ip();
        let host = if ip.is_unspecified() { "127.0.0.1".to_owned() } else { ip.to_string() };
        if ip.is_unspecified() {
            tracing::warn!(
                "listening on all addresses, but clients are told {host}: those on other machines \
                 need kafka.advertised=HOST:PORT"
            );
        }
        return Ok(Node { id, host, port: bound.port() });
    }
    let (host, port) = advertised
        .rsplit_once(':')
        .and_then(|(host, port)| Some((unbracketed(host), port.parse().ok()?)))
        .filter(|(host, _)| !host.is_empty())
        .ok_or_else(|| StartError::Address(advertised.to_owned()))?;
    Ok(Node { id, host: host.to_owned(), port })
}

/// Brackets keep an IPv6 address apart from its port; the protocol has a field for each.
fn unbracketed(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

type Data = (DirLock, Arc<LocalLog>, Box<dyn MetaStore>);

fn open_data(dir: &Path, given: &Given) -> Result<Data, StartError> {
    let data = |source: Box<dyn std::error::Error + Send + Sync>| StartError::Data {
        dir: dir.to_owned(),
        source,
    };
    std::fs::create_dir_all(dir).map_err(|e| data(e.into()))?;
    let lock = DirLock::acquire(dir).map_err(|e| data(e.into()))?;
    let sync_threads = number(given, "sync.threads") as usize;
    let log = LocalLog::open(dir, sync_threads).map_err(|e| data(e.into()))?;
    let meta = LocalMeta::open(dir).map_err(|e| data(e.into()))?;
    Ok((lock, Arc::new(log), Box::new(meta)))
}

/// Segments and connections are descriptors: take as many as the system lets us.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
}

#[cfg(target_os = "linux")]
fn pin_to_core(index: usize) {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    let Ok(allowed) = sched_getaffinity(None) else { return };
    let cores: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|c| allowed.is_set(*c)).collect();
    let Some(core) = cores.get(index % cores.len().max(1)) else { return };
    let mut one = CpuSet::new();
    one.set(*core);
    if let Err(error) = sched_setaffinity(None, &one) {
        tracing::warn!(shard = index, %error, "cannot pin an event loop");
    }
}

#[cfg(not(target_os = "linux"))]
fn pin_to_core(_index: usize) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_advertised_is_a_host_and_a_port() {
        let bound = "127.0.0.1:4000".parse().expect("an address");
        let advertised = |value: &str| {
            let mut given = Given::new();
            given.set(BROKER, "kafka.advertised", value).expect("valid");
            node(&given, bound).map(|node| (node.host, node.port))
        };
        assert_eq!(advertised("").expect("told"), ("127.0.0.1".to_owned(), 4000));
        assert_eq!(advertised("kafka.example:9092").expect("told").0, "kafka.example");
        assert_eq!(advertised("[::1]:9092").expect("told"), ("::1".to_owned(), 9092));
        for wrong in ["kafka.example", ":9092", "[]:9092", "host:port"] {
            assert!(advertised(wrong).is_err(), "{wrong}");
        }
    }
}
