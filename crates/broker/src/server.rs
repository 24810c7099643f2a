//! Starting and stopping a broker.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use chaski_log::disk::{Disk, RealDisk};
use chaski_log::store::{Durability, StoreError};
use chaski_reactor::{Handle, Limits, Reactor};
use thiserror::Error;

use crate::client::{Callers, InsideStats, Stopping};
use crate::control::{self, Control, Files, ToControl};
use crate::data::{self, Data};
use crate::gateway::{self, GatewayError, GatewaySpec};
use crate::health::{self, Health};
use crate::http::{self, Http, View};
use crate::local::{Local, LocalStats};
use crate::metrics::ShardView;
use crate::settings::{self, BROKER, Given, SettingError};
use crate::shard::{Reports, Seats, Shard, ToShard};
use crate::{Broker, Builder, Client, Node};

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
    #[error(
        "{log} holds {partitions} partitions ({first} is one) but meta.redb beside it knows of no \
         topic", log = .log.display()
    )]
    Unclaimed { log: PathBuf, first: String, partitions: usize },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Setting(#[from] SettingError),
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    #[error("cannot serve processes of this machine as `{name}`: {source}")]
    Shm { name: String, source: chaski_shm::BindError },
    #[error("cannot start a thread: {0}")]
    Thread(#[from] io::Error),
}

/// What a broker is to be.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan {
    pub(crate) settings: Given,
    /// Records and facts are kept in memory, not in `data.dir`.
    pub(crate) memory: bool,
    /// The disk of the log, where a test gives one.
    pub(crate) disk: Option<Arc<dyn Disk>>,
    /// Listens for Kafka clients.
    pub(crate) kafka: bool,
    /// Serves HTTP.
    pub(crate) http: bool,
    /// Gateways to begin with.
    pub(crate) gateways: Vec<GatewaySpec>,
}

/// A running broker. Dropping it stops it; [`Server::stop`] tells how that went.
pub struct Server {
    kafka: Option<SocketAddr>,
    http_addr: Option<SocketAddr>,
    recovered: Recovered,
    broker: Arc<Broker>,
    health: Arc<Health>,
    handles: Vec<Handle<ToShard>>,
    shards: Vec<JoinHandle<()>>,
    control: Option<JoinHandle<()>>,
    files: Option<JoinHandle<()>>,
    http: Option<Http>,
    local: Option<Local>,
    /// What closing the log came to; None: it is open.
    closed: Option<Result<(), StoreError>>,
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

pub(crate) fn number(given: &Given, name: &str) -> i64 {
    value(given, name).parse().unwrap_or_default()
}

fn durability(given: &Given, name: &str) -> Durability {
    if value(given, name) == "fsync" { Durability::Disk } else { Durability::PageCache }
}

impl Server {
    /// Starts a broker with these settings, as `chaski serve` does: opens and recovers the log,
    /// then takes requests. Health is served from the beginning.
    ///
    /// # Errors
    /// An address that cannot be listened on, a data directory that is in use or damaged.
    pub fn start(given: Given) -> Result<Server, StartError> {
        Builder::from_settings(given).start()
    }

    pub(crate) fn launch(plan: Plan) -> Result<Server, StartError> {
        let Plan { settings: given, memory, disk, gateways, .. } = plan;
        if plan.kafka || !memory {
            raise_descriptor_limit();
        }
        let listener = |wanted: bool, name| wanted.then(|| listen(value(&given, name))).transpose();
        let kafka_listener = listener(plan.kafka, "kafka.listen")?;
        let http_listener = listener(plan.http, "http.listen")?;
        let kafka = kafka_listener.as_ref().map(TcpListener::local_addr).transpose()?;
        let http_addr = http_listener.as_ref().map(TcpListener::local_addr).transpose()?;
        let node = node(&given, kafka)?;
        let health: Arc<Health> = Arc::default();
        let dir = (!memory).then(|| data_dir(&given));
        let view = http_addr.map(|at| Arc::new(View::new(at, dir, &given, health.clone())));
        let http = match (http_listener, &view) {
            (Some(listener), Some(view)) => Some(http::spawn(listener, view.clone())?),
            _ => None,
        };

        let began = Instant::now();
        let disk = disk.unwrap_or_else(|| Arc::new(RealDisk));
        let data = if memory { Ok(data::in_memory()) } else { open(&given, disk) };
        let Data { lock, log, mut meta } = data?;
        let cluster = control::load(&mut *meta, &*log, &given)?;
        if !memory {
            data::warn_of_unclaimed(&data_dir(&given), &cluster);
        }
        let recovered = Recovered {
            topics: cluster.by_name.len(),
            partitions: cluster.partitions,
            took: began.elapsed(),
        };

        // All that can fail but the start of a thread fails before the first of them.
        let reactors = kafka_listener.map_or(Ok(Vec::new()), |it| reactors(&given, it))?;
        let handles: Vec<_> = reactors.iter().map(Reactor::handle).collect();
        let connections_max = connections_max(&given);
        let (to_control, from_all) = mpsc::channel();
        let broker = Arc::new(Broker {
            node,
            cluster_id: control::cluster_id(&mut *meta)?,
            store: log,
            cluster: ArcSwap::from_pointee(cluster),
            control: to_control,
            acks_one: durability(&given, "acks.one"),
            acks_all: durability(&given, "acks.all"),
            auto_create: value(&given, "auto.create.topics.enable") == "true",
            request_max: request_max(&given),
            fetch_max: number(&given, "fetch.max.bytes") as usize,
            in_flight_max: number(&given, "max.in.flight.requests.per.connection") as usize,
            settings: given,
            queued_bytes: AtomicUsize::new(0),
            ailment: health::Ailment::default(),
            groups: ArcSwap::default(),
            callers: Callers::default(),
            stopping: Stopping::default(),
            inside: InsideStats::default(),
            local: LocalStats::default(),
            gateways: gateway::Registry::default(),
            shards: reactors.iter().map(ShardView::of).collect(),
            seats: Seats::new(connections_max),
            started: Instant::now(),
            lock: Mutex::new(lock),
        });
        let kept = gateway::kept(&*meta)?;
        let (control, files) = Control::new(broker.clone(), meta, handles.clone())?;
        let mut server = Server {
            kafka,
            http_addr,
            recovered,
            broker,
            health,
            handles,
            shards: Vec::new(),
            control: None,
            files: None,
            http,
            local: None,
            closed: None,
        };
        server.spawn(control, files, from_all, reactors)?;
        server.start_local()?;
        server.client().gateways().start_all(gateways, kept)?;
        if let Some(view) = view {
            let _first = view.shards.set(server.handles.clone());
            let _first = view.broker.set(server.broker.clone());
        }
        server.health.started();
        Ok(server)
    }

    /// Starts the threads. If one of them does not start, the server is to be dropped, which
    /// stops the others.
    fn spawn(
        &mut self,
        control: Control,
        files: Files,
        from_all: mpsc::Receiver<ToControl>,
        reactors: Vec<Reactor<ToShard>>,
    ) -> io::Result<()> {
        let run = move || control.run(&from_all);
        self.control = Some(health::spawn(&self.health, "chaski-control", run)?);
        // Its end is that of the control thread, which says why.
        let files_thread = std::thread::Builder::new().name("chaski-files".to_owned());
        self.files = Some(files_thread.spawn(move || files.run())?);
        let pin = value(&self.broker.settings, "shards.pin") == "true";
        for (index, reactor) in reactors.into_iter().enumerate() {
            let reports = Arc::new(Reports(reactor.handle()));
            let stats = self.broker.shards[index].stats.clone();
            let shard = Shard::new(index, self.broker.clone(), reports, stats);
            let run = move || {
                if pin {
                    pin_to_core(index);
                }
                reactor.run(shard).map(drop)
            };
            let name = format!("chaski-shard-{index}");
            self.shards.push(health::spawn(&self.health, &name, run)?);
        }
        Ok(())
    }

    /// Serves the processes of this machine, if that was asked for.
    fn start_local(&mut self) -> Result<(), StartError> {
        if let Some(name) = self.shm_name() {
            self.local = Some(Local::start(name, &self.broker, &self.health)?);
        }
        Ok(())
    }

    /// The broker as seen from this process: produce, read, look around, change.
    pub fn client(&self) -> Client {
        Client::new(self.broker.clone())
    }

    /// Where Kafka clients connect; None: nowhere.
    pub fn kafka_addr(&self) -> Option<SocketAddr> {
        self.kafka
    }

    /// Where the console, its API, metrics and health are; None: nowhere.
    pub fn http_addr(&self) -> Option<SocketAddr> {
        self.http_addr
    }

    /// The name under which processes of this machine reach the log; None: they do not.
    pub fn shm_name(&self) -> Option<&str> {
        Some(value(&self.broker.settings, "shm.listen")).filter(|name| !name.is_empty())
    }

    /// What the start found in the data directory.
    pub fn recovered(&self) -> Recovered {
        self.recovered
    }

    /// Event loops that serve clients.
    pub fn shards(&self) -> usize {
        self.handles.len()
    }

    /// Why the broker failed: one of the threads it cannot do without has ended. It is of no use
    /// any more but to be stopped.
    pub fn failed(&self) -> Option<String> {
        self.health.failure()
    }

    /// Has `tell` called once, with the reason, if the broker fails; at once if it has. It is
    /// called on any thread, and not after [`Server::stop`].
    pub fn when_failed(&self, tell: impl FnOnce(&str) + Send + 'static) {
        self.health.when_failed(tell);
    }

    /// Stops: answers what is under way, flushes the log, writes its checkpoints. Clients, and
    /// what was made by them, live on, and are told at every call that the broker has stopped.
    ///
    /// # Errors
    /// If the log was not closed cleanly. It is closed all the same, and recovered at the next
    /// start.
    pub fn stop(mut self) -> Result<(), StoreError> {
        self.shut_down();
        self.closed.take().unwrap_or(Ok(()))
    }

    fn shut_down(&mut self) {
        if self.closed.is_some() {
            return;
        }
        self.health.stopping();
        // What has come already is stored.
        self.broker.gateways.stop();
        if let Some(local) = self.local.take() {
            local.stop();
        }
        self.broker.stopping.begin();
        for handle in &self.handles {
            handle.send(ToShard::Stop { grace: GRACE });
        }
        for shard in self.shards.drain(..) {
            let _ = shard.join();
        }
        self.broker.tell_control(ToControl::Stop);
        if let Some(control) = self.control.take() {
            let _ = control.join();
        }
        if let Some(files) = self.files.take() {
            let _ = files.join();
        }
        self.closed = Some(self.broker.store.close());
        if let Some(http) = self.http.take() {
            http.stop();
        }
        self.broker.unlock();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shut_down();
    }
}

fn data_dir(given: &Given) -> PathBuf {
    PathBuf::from(value(given, "data.dir"))
}

fn open(given: &Given, disk: Arc<dyn Disk>) -> Result<Data, StartError> {
    data::open(&data_dir(given), disk, number(given, "sync.threads") as usize)
}

fn request_max(given: &Given) -> usize {
    number(given, "socket.request.max.bytes") as usize
}

fn connections_max(given: &Given) -> usize {
    number(given, "max.connections") as usize
}

/// Event loops, one a shard; the first listens for all.
fn reactors(given: &Given, listener: TcpListener) -> Result<Vec<Reactor<ToShard>>, StartError> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let count = match number(given, "shards") as usize {
        0 => cores,
        count => count,
    };
    let limits = Limits {
        frame_bytes_max: request_max(given) + 4,
        // All may come to one shard: what is bounded is their sum.
        connections_max: connections_max(given),
        idle_max: u64::try_from(number(given, "connections.max.idle.ms"))
            .ok()
            .map(Duration::from_millis),
        spin: Duration::from_micros(number(given, "shards.spin.us") as u64),
        ..Limits::default()
    };
    let mut reactors: Vec<Reactor<ToShard>> =
        (0..count).map(|_| Reactor::new(limits.clone())).collect::<io::Result<_>>()?;
    let handles = reactors.iter().map(Reactor::handle).collect();
    reactors[0].listen(listener, handles)?;
    Ok(reactors)
}

fn listen(address: &str) -> Result<TcpListener, StartError> {
    TcpListener::bind(address)
        .map_err(|source| StartError::Listen { address: address.to_owned(), source })
}

fn node(given: &Given, bound: Option<SocketAddr>) -> Result<Node, StartError> {
    let id = number(given, "node.id") as i32;
    let advertised = value(given, "kafka.advertised");
    if advertised.is_empty() {
        let Some(bound) = bound else {
            return Ok(Node { id, host: "127.0.0.1".to_owned(), port: 0 });
        };
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
    use chaski_kafka::ApiKey;
    use chaski_reactor::ConnId;

    use super::*;
    use crate::client::ClientError;
    use crate::control::{Asker, Work};
    use crate::shard::Ticket;

    /// Settings of a broker in `dir`, on ports of its own.
    fn settings(dir: &std::path::Path) -> Given {
        let dir = dir.display().to_string();
        let mut given = Given::new();
        let values =
            [("data.dir", &*dir), ("kafka.listen", "127.0.0.1:0"), ("http.listen", "127.0.0.1:0")];
        for (name, value) in values {
            given.set(BROKER, name, value).expect("valid");
        }
        given
    }

    #[test]
    fn a_control_thread_that_panics_fails_the_broker() {
        let dir = tempfile::tempdir().expect("a directory");
        let server = Server::start(settings(dir.path())).expect("started");
        assert!(server.health.is_ready());
        let (tell, told) = mpsc::channel();
        server.when_failed(move |why| tell.send(why.to_owned()).expect("somebody listens"));
        // An answer for a shard that does not exist: no request can lead to this.
        let (api, version) = (ApiKey::InitProducerId, 0);
        server.broker.tell_control(ToControl::Request(Work {
            asker: Asker::Connection(Ticket {
                shard: usize::MAX,
                conn: ConnId(0),
                sequence: 0,
                api,
                version,
                correlation_id: 0,
            }),
            api,
            version,
            client_id: String::new(),
            client_host: String::new(),
            body: Vec::new(),
        }));
        assert_eq!(told.recv().as_deref(), Ok("thread chaski-control panicked"));
        assert!(!server.health.is_ready());
        assert!(server.failed().is_some());
        assert_eq!(server.client().groups(), Err(ClientError::Stopped), "nobody is left waiting");
        server.stop().expect("the log is closed all the same");
    }

    #[test]
    fn the_directory_is_locked_as_long_as_any_thread_runs() {
        let dir = tempfile::tempdir().expect("a directory");
        let server = Server::start(settings(dir.path())).expect("started");
        let error = Server::start(settings(dir.path())).err().expect("refused").to_string();
        assert!(error.contains("is locked by process"), "{error}");
        let client = server.client();
        drop(server);
        let again = Server::start(settings(dir.path())).expect("dropping it has stopped it");
        assert!(client.topics().is_empty(), "what is left of the first one does no harm");
        again.stop().expect("stopped");
    }

    #[test]
    fn what_is_advertised_is_a_host_and_a_port() {
        let bound = "127.0.0.1:4000".parse().ok();
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
