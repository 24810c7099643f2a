//! The broker: topics on a durable log, served to Kafka clients by one event loop per core.
//!
//! ```text
//!   clients ==TCP==> shard 0 .. n-1        one event loop each (chaski-reactor)
//!                      |  produce, fetch, offsets: answered on the shard,
//!                      |  straight from the store (chaski-log)
//!                      |
//!                      +-- topics, groups, settings --> control thread
//!                                                         | one writer: MetaStore, then
//!                      <------- snapshot, answers --------+ a new snapshot for all shards
//!   /metrics ========> http thread
//!   this process ====> Client                store and snapshot directly, the rest as a shard asks
//! ```
//!
//! [`Server::start`] runs one from settings, as `chaski serve` does; [`Builder`] embeds one, on
//! disk or in memory; [`Client`] is how the process that it runs in produces, reads and looks
//! around.
//!
//! Invariants: a connection's answers leave in the order of its requests; a shard never blocks on
//! anything but its own event loop, a partition's lock and file pages; what the control thread has
//! answered is on disk.
#![forbid(unsafe_code)]

mod admission;
mod builder;
pub mod client;
mod cluster;
mod console;
mod control;
mod data;
pub mod gateway;
mod groups;
mod health;
mod http;
mod limits;
mod local;
mod metadata;
mod metrics;
mod nearest;
mod server;
pub mod settings;
mod shard;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Instant;

use arc_swap::ArcSwap;
use chaski_log::DirLock;
use chaski_log::store::{Durability, LogStore};

pub use self::builder::Builder;
pub use self::client::Client;
use self::client::{Callers, InsideStats, Stopping};
use self::cluster::Cluster;
use self::control::ToControl;
pub use self::gateway::Gateways;
use self::metrics::ShardView;
pub use self::nearest::nearest;
pub use self::server::{Server, StartError};
use self::settings::Given;

/// Where clients are told to find this broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) id: i32,
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// What all threads of a broker share.
pub(crate) struct Broker {
    pub(crate) node: Node,
    pub(crate) cluster_id: String,
    pub(crate) store: Arc<dyn LogStore>,
    pub(crate) cluster: ArcSwap<Cluster>,
    pub(crate) control: mpsc::Sender<ToControl>,
    pub(crate) settings: Given,
    pub(crate) acks_one: Durability,
    pub(crate) acks_all: Durability,
    pub(crate) auto_create: bool,
    pub(crate) request_max: usize,
    pub(crate) fetch_max: usize,
    pub(crate) in_flight_max: usize,
    /// Bytes of requests that wait for the control thread.
    pub(crate) queued_bytes: AtomicUsize,
    /// Why nothing the control thread keeps can be stored at present.
    pub(crate) ailment: health::Ailment,
    /// How many groups there were of late.
    pub(crate) groups: ArcSwap<groups::Counts>,
    /// Callers in this process that wait for the control thread.
    pub(crate) callers: Callers,
    /// Readers and producers in this process, to be told when the broker stops.
    pub(crate) stopping: Stopping,
    /// What producers and readers in this process count.
    pub(crate) inside: InsideStats,
    /// What other processes of this machine have produced.
    pub(crate) local: local::LocalStats,
    /// Gateways, while they run.
    pub(crate) gateways: gateway::Registry,
    pub(crate) shards: Vec<ShardView>,
    /// Places for client connections, of all shards together.
    pub(crate) seats: Arc<shard::Seats>,
    pub(crate) started: Instant,
    /// The data directory is ours as long as any thread may write to it: until the broker has
    /// stopped, though a client may outlive that. The last field, for it must go last. None: the
    /// store is in memory.
    pub(crate) lock: Mutex<Option<DirLock>>,
}

impl Broker {
    /// Whether a request of so many bytes may be handed to the control thread. If not, its
    /// connection is to be closed: the thread is behind, or the request beyond all measure.
    pub(crate) fn control_has_room(&self, bytes: usize) -> bool {
        // ORDERING: a bound that may be passed by what the shards send at the same moment.
        let queued = self.queued_bytes.load(Ordering::Relaxed);
        bytes <= limits::CONTROL_REQUEST_BYTES_MAX
            && queued.saturating_add(bytes) <= limits::CONTROL_QUEUED_BYTES_MAX
    }

    /// Lets go of the data directory. Nothing of the broker may run any more.
    fn unlock(&self) {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Sends the control thread a message. It outlives the shards, so one that does not arrive
    /// was sent while the process is on its way out.
    fn tell_control(&self, message: ToControl) {
        // ORDERING: a sum; nothing else is published through it. The channel orders it before
        // the subtraction.
        self.queued_bytes.fetch_add(message.bytes(), Ordering::Relaxed);
        let _ = self.control.send(message);
    }
}

#[cfg(test)]
impl Broker {
    /// One in memory, without threads.
    pub(crate) fn for_tests() -> Broker {
        Broker {
            node: Node { id: 1, host: "h".to_owned(), port: 1 },
            cluster_id: "c".to_owned(),
            store: Arc::new(chaski_log::MemoryLog::new()),
            cluster: ArcSwap::default(),
            control: mpsc::channel().0,
            settings: Given::new(),
            acks_one: Durability::PageCache,
            acks_all: Durability::PageCache,
            auto_create: true,
            request_max: 1 << 20,
            fetch_max: 1 << 20,
            in_flight_max: 10,
            queued_bytes: AtomicUsize::new(0),
            ailment: health::Ailment::default(),
            groups: ArcSwap::default(),
            callers: Callers::default(),
            stopping: Stopping::default(),
            inside: InsideStats::default(),
            local: local::LocalStats::default(),
            gateways: gateway::Registry::default(),
            shards: Vec::new(),
            seats: shard::Seats::new(10),
            started: Instant::now(),
            lock: Mutex::new(None),
        }
    }
}
