//! Gateways: ZeroMQ sockets that feed a topic, or are fed by one.
//!
//! ```text
//!   PUSH   ==> PULL   \                          / PUB  ==> SUB      all who subscribed
//!   DEALER <=> ROUTER  > Writer -> topic -> Reader
//!   PUB    ==> SUB    /   one append a batch     \ PUSH ==> PULL     one of them, as a group
//! ```
//! Each gateway is a socket and a thread. A thread takes all that is there, within bounds, does
//! one append (or one round of sends) for it, and then takes more: batches grow with the load and
//! nobody waits for one to fill. So what a gateway holds is bounded by a batch, or a few that are
//! on their way to the disk, and the queues of its socket (`hwm` messages a peer); everything else
//! stays in the kernel or in the log.
//!
//! What is promised, and how it can fail:
//!
//! - PULL, SUB: what was taken is stored, in the order of each peer and partition. What was on the
//!   wire or in a queue when the broker or the sender died is lost: ZeroMQ tells neither of them.
//! - ROUTER: at least once, for a client that asks again until it is told an offset. An answer that
//!   nobody takes is counted.
//! - PUB: at most once, in the order of the log. A subscriber whose queue is full is waited for,
//!   but not so long that the gateway falls more than `patience_ms` behind; then what it loses is
//!   counted as its drops. It can tell a gap by `position`, and ask for history.
//! - PUSH: at least once: an offset is committed when the message has left and no worker was lost
//!   for `settle_ms`. What sat longer than that in a worker that dies is lost with it.
//!
//! - A message that makes no sense, or that the topic's settings forbid, is dropped and counted;
//!   the reason is the gateway's last error. What the log cannot take at present is tried again,
//!   and the senders wait.
//! - A thread that fails, by an error or a panic, is shown as failed and started again, with a
//!   growing wait. What it had taken and not stored is counted as dropped.
//! - A gateway that would close a loop is refused: see `topology`.
//! - All are stopped before the broker is, within a second; what has come already is stored.
//!
//! Those that are added while the broker runs are kept with its other facts (`gateway/NAME`) and
//! come back with it, passwords included. Those of the configuration file are not kept.
//!
//! ```
//! use chaski_broker::Builder;
//! use chaski_broker::client::Position;
//! use chaski_broker::gateway::{GatewayKind, GatewaySpec};
//!
//! let server = Builder::new().in_memory().start()?;
//! let client = server.client();
//! let spec = GatewaySpec::new("intake", GatewayKind::Pull, "orders").bind("tcp://127.0.0.1:*");
//! let status = client.gateways().add(spec)?;
//!
//! let push = chaski_zmq::Push::new();
//! push.connect(&status.endpoints[0])?;
//! push.send("an order")?;
//! let mut reader = client.reader("orders", 0, Position::Earliest)?;
//! assert!(reader.wait(std::time::Duration::from_secs(10)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod drain;
mod frames;
mod gate;
mod history;
mod inside;
mod intake;
mod landing;
mod limits;
mod open;
mod outlet;
mod patience;
mod publish;
mod push;
mod registry;
mod router;
mod security;
mod spec;
mod stats;
mod topology;
mod wait;
mod writer;

use std::sync::Arc;

use chaski_log::store::{Change, MetaStore, StoreError};
use thiserror::Error;

pub use self::frames::Frames;
use self::limits::GATEWAYS_MAX;
use self::open::Opened;
use self::registry::Entry;
pub(crate) use self::registry::Registry;
pub use self::security::Security;
pub use self::spec::{Acks, Direction, From, GatewayKind, GatewaySpec, SpecError, TopicFrame};
pub use self::stats::{GatewaySource, GatewayState, GatewayStatus, PeerStatus};
use self::topology::Place;
use crate::client::{Client, ClientError, Latency};
use crate::nearest;

/// Where a gateway is kept that was added while the broker ran.
const KEY_PREFIX: &str = "gateway/";

/// Why a gateway was not added or removed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// It makes no sense.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// There is one of this name.
    #[error("there is a gateway `{0}` already")]
    Exists(String),
    /// There is none of this name.
    #[error("no gateway `{name}`")]
    Unknown {
        /// What was asked for.
        name: String,
        /// The name most like it, if one is.
        nearest: Option<String>,
    },
    /// It would close a loop.
    #[error("gateway `{gateway}` is refused: {why}")]
    Loop {
        /// Its name.
        gateway: String,
        /// The loop, in words.
        why: String,
    },
    /// Its socket could not be opened.
    #[error("gateway `{gateway}` cannot be opened: {why}")]
    Open {
        /// Its name.
        gateway: String,
        /// Why.
        why: String,
    },
    /// It is not ours to remove.
    #[error("gateway `{0}` is in the configuration file, and comes back from there")]
    Configured(String),
    /// There are as many as may be.
    #[error("a broker has {GATEWAYS_MAX} gateways at most")]
    TooMany,
    /// The broker did not do its part.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// A gateway in a few words.
pub(crate) struct Glance {
    pub(crate) name: String,
    pub(crate) state: GatewayState,
    pub(crate) last_error: Option<String>,
    pub(crate) latency: Latency,
}

/// The gateways of a broker. From [`Client::gateways`].
#[derive(Debug, Clone)]
pub struct Gateways {
    client: Client,
}

impl Gateways {
    pub(crate) fn new(client: Client) -> Gateways {
        Gateways { client }
    }

    /// All of them, by name, as they are now.
    pub fn list(&self) -> Vec<GatewayStatus> {
        self.registry().statuses(self.client.broker())
    }

    /// One, as it is now.
    pub fn get(&self, name: &str) -> Option<GatewayStatus> {
        self.registry().get(name).map(|entry| entry.status(self.client.broker()))
    }

    /// All of them without a look at their sockets: what is asked for once a second.
    pub(crate) fn glance(&self) -> Vec<Glance> {
        let glance = |entry: &Arc<Entry>| Glance {
            name: entry.spec.name.clone(),
            state: entry.counters.state(),
            last_error: entry.counters.last_error(),
            latency: entry.counters.latency.read(),
        };
        self.registry().all().iter().map(glance).collect()
    }

    /// What one was asked to be.
    pub fn spec(&self, name: &str) -> Option<GatewaySpec> {
        self.registry().get(name).map(|entry| entry.spec.clone())
    }

    /// Starts one, and keeps it for the next start of the broker. Its topic is made if it is not
    /// there and the broker makes topics for those who ask (`auto.create.topics.enable`).
    ///
    /// # Errors
    /// It then has changed nothing, but for the topic.
    pub fn add(&self, spec: GatewaySpec) -> Result<GatewayStatus, GatewayError> {
        let registry = self.registry();
        let changing = registry.lock_changes();
        self.admit(&spec)?;
        let opened = self.open(&spec)?;
        let opened = opened.map_err(|why| self.not_opened(&spec, why))?;
        let bound = Place { spec: &spec, bound: &opened.bound };
        self.check_loops(&bound).inspect_err(|_| registry.doors.close(&spec.name))?;
        let kept = serde_json::to_vec(&spec).map_err(|e| self.not_opened(&spec, e.to_string()))?;
        let change = Change::Put { key: key(&spec.name), value: kept };
        self.client.keep(vec![change]).inspect_err(|_| registry.doors.close(&spec.name))?;
        let name = spec.name.clone();
        self.start(Entry::new(spec, GatewaySource::Runtime), Ok(opened))?;
        drop(changing);
        self.get(&name).ok_or(GatewayError::Client(ClientError::Stopped))
    }

    /// Stops one, and forgets it. Returns when it has ended.
    ///
    /// # Errors
    /// [`GatewayError::Unknown`], [`GatewayError::Configured`]; it could not be forgotten.
    pub fn remove(&self, name: &str) -> Result<(), GatewayError> {
        let registry = self.registry();
        let _changing = registry.lock_changes();
        let entry = registry.get(name).ok_or_else(|| self.unknown(name))?;
        if entry.source == GatewaySource::Config {
            return Err(GatewayError::Configured(name.to_owned()));
        }
        self.client.keep(vec![Change::Delete { key: key(name) }])?;
        registry.remove(name);
        Ok(())
    }

    /// Starts those of the configuration, and those that were kept. One that cannot be opened at
    /// present is shown as failed, and tried again; so is, without another try, a kept one that
    /// does not go with the configuration of today.
    ///
    /// # Errors
    /// What is wrong with one of the configuration whatever the world is like.
    pub(crate) fn start_all(
        &self,
        configured: Vec<GatewaySpec>,
        kept: Vec<GatewaySpec>,
    ) -> Result<(), GatewayError> {
        let _changing = self.registry().lock_changes();
        for spec in configured {
            self.admit(&spec)?;
            let opened = self.open(&spec).unwrap_or_else(|error| Err(error.to_string()));
            self.start(Entry::new(spec, GatewaySource::Config), opened)?;
        }
        for spec in kept {
            let source = GatewaySource::Runtime;
            if let Err(error) = self.admit(&spec) {
                tracing::error!(%error, "a gateway from before does not start");
                if !matches!(error, GatewayError::Exists(_)) {
                    self.registry().insert(Entry::refused(spec, source, &error.to_string()));
                }
                continue;
            }
            let opened = self.open(&spec).unwrap_or_else(|error| Err(error.to_string()));
            self.start(Entry::new(spec, source), opened)?;
        }
        Ok(())
    }

    /// Whether it may be added, as far as that is known before its socket is open.
    fn admit(&self, spec: &GatewaySpec) -> Result<(), GatewayError> {
        spec.check()?;
        let registry = self.registry();
        if registry.get(&spec.name).is_some() {
            return Err(GatewayError::Exists(spec.name.clone()));
        }
        if registry.all().len() >= GATEWAYS_MAX {
            return Err(GatewayError::TooMany);
        }
        self.check_group(spec)?;
        self.check_loops(&Place { spec, bound: &spec.bind })
    }

    /// Two that commit for one group would each send everything, and overwrite the other's offsets.
    fn check_group(&self, spec: &GatewaySpec) -> Result<(), GatewayError> {
        let same = |other: &&Arc<Entry>| {
            spec.group.is_some() && other.spec.group == spec.group && other.spec.topic == spec.topic
        };
        match self.registry().all().iter().find(same) {
            Some(other) => Err(GatewayError::Spec(SpecError {
                gateway: spec.name.clone(),
                why: format!("gateway `{}` has its group and topic already", other.spec.name),
            })),
            None => Ok(()),
        }
    }

    fn check_loops(&self, new: &Place<'_>) -> Result<(), GatewayError> {
        let entries = self.registry().all();
        let bound: Vec<Vec<String>> = entries.iter().map(|entry| entry.bound()).collect();
        let places = entries.iter().zip(&bound);
        let places: Vec<Place<'_>> =
            places.map(|(entry, bound)| Place { spec: &entry.spec, bound }).collect();
        match topology::find_loop(&places, new) {
            Some(why) => Err(GatewayError::Loop { gateway: new.spec.name.clone(), why }),
            None => Ok(()),
        }
    }

    /// Makes its topic if need be, and opens its socket. The outer error is for good, the inner
    /// may pass.
    fn open(&self, spec: &GatewaySpec) -> Result<Result<Opened, String>, GatewayError> {
        if let Some(topic) = spec.topic.as_deref() {
            self.client.make_topic_if_wanted(topic)?;
        }
        self.registry().doors.open(spec);
        Ok(open::open(spec, self.registry().doors.context(), &[]))
    }

    fn start(&self, entry: Entry, opened: Result<Opened, String>) -> Result<(), GatewayError> {
        let name = entry.spec.name.clone();
        let registry = self.registry();
        let entry = registry.insert(entry).ok_or(ClientError::Stopped)?;
        entry.spawn(&self.client, &registry.doors, opened).map_err(|error| {
            registry.remove(&name);
            GatewayError::Open { gateway: name, why: format!("cannot start a thread: {error}") }
        })
    }

    fn not_opened(&self, spec: &GatewaySpec, why: String) -> GatewayError {
        self.registry().doors.close(&spec.name);
        GatewayError::Open { gateway: spec.name.clone(), why }
    }

    fn unknown(&self, name: &str) -> GatewayError {
        let entries = self.registry().all();
        let nearest = nearest(name, entries.iter().map(|entry| entry.spec.name.as_str()));
        GatewayError::Unknown { name: name.to_owned(), nearest: nearest.map(str::to_owned) }
    }

    fn registry(&self) -> &Registry {
        self.client.gateway_registry()
    }
}

fn key(name: &str) -> String {
    format!("{KEY_PREFIX}{name}")
}

/// The gateways that were added while the broker ran, in earlier lives of it.
pub(crate) fn kept(meta: &dyn MetaStore) -> Result<Vec<GatewaySpec>, StoreError> {
    let mut specs = Vec::new();
    for (key, value) in meta.scan(KEY_PREFIX)? {
        match serde_json::from_slice(&value) {
            Ok(spec) => specs.push(spec),
            Err(error) => tracing::error!(key, %error, "a gateway from before cannot be read"),
        }
    }
    Ok(specs)
}
