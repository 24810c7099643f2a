//! The broker as seen from its own process: produce, read, look around, change.
//!
//! ```text
//!   Producer   batches in the making -> admission -> LogStore::append        no hop, no socket
//!   Reader     LogStore::read -> one buffer -> records                       woken by the store
//!   Client     topics, offsets            <- snapshot, store
//!              groups, changes            -> control thread, as a shard asks
//! ```
//! All that is not a Kafka connection goes through here, and meets the rules that connections do:
//! a topic's settings are checked by the same code, changes are made by the same requests.
//!
//! Invariants:
//! - no call waits for ever: those that wait have a limit, and all end when the broker stops;
//! - what lives on when the broker has stopped is told so at every call, and holds no lock on the
//!   data directory.
//!
//! ```
//! use chaski_broker::Builder;
//! use chaski_broker::client::{Position, ProducerOptions, Record};
//!
//! let server = Builder::new().in_memory().start()?;
//! let client = server.client();
//! client.create_topic("greetings", Some(3), &[("retention.ms", "-1")])?;
//!
//! let mut producer = client.producer("greetings", ProducerOptions::default())?;
//! let placed = producer.push(Record { key: Some(b"en"), ..Record::of(b"hello") })?;
//! let acked = producer.flush();
//! let offset = placed.offset_in(&acked)?;
//!
//! let mut reader = client.reader("greetings", placed.partition, Position::Offset(offset))?;
//! let records = reader.next(1 << 20)?.expect("one");
//! records.for_each(|record| assert_eq!(record.value, Some(&b"hello"[..])))?;
//! server.stop()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod ask;
mod batches;
mod commits;
mod cursor;
mod error;
mod flight;
mod groups;
mod producer;
mod reader;
mod signal;
mod topics;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use chaski_batch::{Batch, BatchError, Batches, Codec, Malformed};
pub use chaski_kafka::{ApiKey, ErrorCode};
pub use chaski_local::producer::{Acked, OtherFlush, Placed};
pub use chaski_local::{Partitioner, Position, Record, Records};
pub use chaski_log::store::{
    AppendError, Durability, Fault, FaultKind, OffsetFound, OffsetQuery, Offsets, PartitionStats,
};

pub(crate) use self::ask::Callers;
pub use self::commits::{OffsetChange, ResetTo};
pub(crate) use self::cursor::Cursor;
pub use self::error::{BatchFailed, ClientError, FlushError, Flushed, ProduceError, ReadError};
pub use self::groups::{GroupDescription, GroupMember, GroupOffset, GroupSummary};
pub use self::producer::{Producer, ProducerOptions};
pub(crate) use self::reader::watch_key;
pub use self::reader::{Interrupter, Reader, TopicReader};
pub(crate) use self::signal::Stopping;
pub use self::topics::{SettingValue, Topic};
use crate::Broker;
pub use crate::cluster::Source;
use crate::gateway::Gateways;
use crate::metrics::Histogram;
pub use crate::metrics::{Latencies, Latency, LocalReads, Metrics, ShardMetrics, Traffic};

/// The broker of this process. Cheap to clone, and to keep: it does not keep the broker running.
#[derive(Clone)]
pub struct Client {
    broker: Arc<Broker>,
}

impl Client {
    pub(crate) fn new(broker: Arc<Broker>) -> Client {
        Client { broker }
    }

    /// Whether the broker has begun to stop: every call that asks something of it fails from then
    /// on.
    pub fn has_stopped(&self) -> bool {
        self.broker.stopping.has_begun()
    }

    pub(super) fn check_running(&self) -> Result<(), ClientError> {
        if self.has_stopped() { Err(ClientError::Stopped) } else { Ok(()) }
    }

    /// Time since the broker began to take requests.
    pub fn uptime(&self) -> Duration {
        self.broker.started.elapsed()
    }

    /// The gateways between ZeroMQ and the topics.
    pub fn gateways(&self) -> Gateways {
        Gateways::new(self.clone())
    }

    pub(crate) fn broker(&self) -> &Broker {
        &self.broker
    }

    /// What the broker has counted.
    pub fn metrics(&self) -> Metrics {
        Metrics::of(&self.broker)
    }

    /// The id of the cluster, made up at the first start of its data directory.
    pub fn cluster_id(&self) -> &str {
        &self.broker.cluster_id
    }

    /// The id of this broker.
    pub fn node_id(&self) -> i32 {
        self.broker.node.id
    }

    /// How long a batch waits to be acknowledged where Kafka's clients would say `acks=1`
    /// (`acks.one`).
    pub fn acks_one(&self) -> Durability {
        self.broker.acks_one
    }

    /// How long a batch waits to be acknowledged where Kafka's clients would say `acks=all`
    /// (`acks.all`).
    pub fn acks_all(&self) -> Durability {
        self.broker.acks_all
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("cluster_id", &self.broker.cluster_id).finish()
    }
}

/// A count that many may add to: once a flush or a read, not once a record.
#[derive(Debug, Default)]
pub(crate) struct Sum(AtomicU64);

impl Sum {
    fn add(&self, n: u64) {
        // ORDERING: a count; nothing is published through it.
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// The sum as of about now.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What all producers and readers in this process count.
#[derive(Debug, Default)]
pub(crate) struct InsideStats {
    pub(crate) produced_records: Sum,
    pub(crate) produced_batches: Sum,
    pub(crate) produced_bytes: Sum,
    pub(crate) produce_errors: Sum,
    pub(crate) read_bytes: Sum,
    pub(crate) flushes: Histogram,
}
