//! What a gateway counts, and how it is shown.
//!
//! For a gateway in, `received = messages + drops + held`, where what is held is on its way into
//! the log; nothing is held once it is idle. For a gateway out, `messages` were handed to the
//! socket, and a socket's own drops are counted a peer.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chaski_zmq::{PeerStats, Socket};
use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};

use super::spec::{Direction, GatewayKind};
use crate::metrics::{Histogram, Latency};

/// Characters of an error that are kept.
const ERROR_CHARS_MAX: usize = 500;

/// Where a gateway is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GatewayState {
    /// Its thread is about to run.
    #[default]
    Starting,
    /// It works.
    Running,
    /// It does not, for the reason that `last_error` tells; it tries again.
    Failed,
    /// It has been told to stop.
    Stopped,
}

impl GatewayState {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            GatewayState::Starting => "starting",
            GatewayState::Running => "running",
            GatewayState::Failed => "failed",
            GatewayState::Stopped => "stopped",
        }
    }
}

/// Who has asked for a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GatewaySource {
    /// The configuration file, or the program that embeds the broker.
    Config,
    /// Somebody, while the broker ran; it is kept with the broker's data.
    Runtime,
}

/// A gateway as it is now. Serializes as the API shows it.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct GatewayStatus {
    /// Its name.
    pub name: String,
    /// Which ZeroMQ socket it is.
    pub kind: GatewayKind,
    /// Which way messages go.
    pub direction: Direction,
    /// Where it is bound, with the ports that the system has chosen, and what it connects to.
    pub endpoints: Vec<String>,
    /// Its topic; None: each message names one.
    pub topic: Option<String>,
    /// Its consumer group.
    pub group: Option<String>,
    /// Where it is in its life.
    pub state: GatewayState,
    /// In: records stored. Out: messages handed to the socket, those sent again included.
    pub messages: u64,
    /// Bytes of their frames.
    pub bytes: u64,
    /// In: messages that did not become records. Out: messages that a full subscriber did not get.
    pub drops: u64,
    /// Of the drops of a gateway in, those that did not fit its rule of frames.
    pub malformed: u64,
    /// Messages that a PUSH has sent again because a worker was lost.
    pub resent: u64,
    /// Answers of a ROUTER that nobody took: the client is gone, or does not read.
    pub unanswered: u64,
    /// Failures, those included that were made up for by trying again.
    pub errors: u64,
    /// Out: records between what it has read, or for a PUSH is done with, and the end of the
    /// topic. In: messages taken from the socket and not stored yet. None: not known.
    pub lag: Option<i64>,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// Who it talks to.
    pub peers: Vec<PeerStatus>,
    /// Who has asked for it.
    pub source: GatewaySource,
    /// In: from when a batch was received to when it was acknowledged. Out: from when a batch was
    /// read to when the socket had it.
    #[serde(serialize_with = "percentiles")]
    pub latency: Latency,
}

/// As a latency is shown everywhere in the API; null where nothing has passed.
fn percentiles<S: Serializer>(latency: &Latency, to: S) -> Result<S::Ok, S::Error> {
    let micros = |share| latency.percentile(share).map(|time| time.as_nanos() as f64 / 1000.0);
    let mut shown = to.serialize_struct("Latency", 4)?;
    shown.serialize_field("p50_us", &micros(0.5))?;
    shown.serialize_field("p99_us", &micros(0.99))?;
    shown.serialize_field("p999_us", &micros(0.999))?;
    shown.serialize_field("count", &latency.count())?;
    shown.end()
}

/// A peer of a ZeroMQ socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PeerStatus {
    /// Its address, or where we connect to while there is none.
    pub address: String,
    /// Whether messages can flow.
    pub connected: bool,
    /// `NULL`, `PLAIN` or `CURVE`.
    pub mechanism: &'static str,
    /// Who it is, if it was asked.
    pub user: Option<String>,
    /// Messages given to the system.
    pub sent: u64,
    /// Messages that came.
    pub received: u64,
    /// Messages that wait to be sent.
    pub queued: u64,
    /// How many may.
    pub hwm: u32,
    /// Messages it did not get because as many waited as may.
    pub dropped: u64,
}

impl PeerStatus {
    fn of(peer: &PeerStats, hwm: u32) -> PeerStatus {
        PeerStatus {
            address: peer.address.clone().unwrap_or_else(|| peer.endpoint.as_str().to_owned()),
            connected: peer.connected,
            mechanism: peer.mechanism,
            user: peer.user_id.clone().filter(|user| !user.is_empty()),
            sent: peer.sent,
            received: peer.received,
            queued: peer.queued,
            hwm,
            dropped: peer.dropped,
        }
    }
}

/// A count with any number of writers; written once a batch.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, n: u64) {
        // ORDERING: a count; nothing is published through it.
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a gateway counts, over all its restarts.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// In: messages taken from the socket.
    pub(super) received: Counter,
    pub(super) messages: Counter,
    pub(super) bytes: Counter,
    pub(super) drops: Counter,
    pub(super) malformed: Counter,
    pub(super) resent: Counter,
    pub(super) unanswered: Counter,
    pub(super) errors: Counter,
    pub(super) latency: Histogram,
    /// Out: where each partition is.
    positions: Mutex<Vec<(i32, i64)>>,
    life: Mutex<Life>,
    dropped: Mutex<Dropped>,
}

#[derive(Debug, Default)]
struct Life {
    state: GatewayState,
    last_error: Option<String>,
}

/// What sockets have dropped. A peer's count goes with the peer, so it is kept here as it was last
/// seen; what is dropped between the last look and the peer's end is not known.
#[derive(Debug, Default)]
struct Dropped {
    gone: u64,
    seen: HashMap<String, u64>,
}

impl Counters {
    pub(super) fn state(&self) -> GatewayState {
        lock(&self.life).state
    }

    pub(super) fn last_error(&self) -> Option<String> {
        lock(&self.life).last_error.clone()
    }

    pub(super) fn enter(&self, state: GatewayState) {
        lock(&self.life).state = state;
    }

    /// Counts a failure, and keeps it to be shown.
    pub(super) fn fail(&self, why: &dyn std::fmt::Display) {
        self.errors.add(1);
        self.note(why);
    }

    /// Keeps what went wrong to be shown, where it is counted otherwise.
    pub(super) fn note(&self, why: &dyn std::fmt::Display) {
        let why: String = why.to_string().chars().take(ERROR_CHARS_MAX).collect();
        lock(&self.life).last_error = Some(why);
    }

    /// Counts messages that did not become records.
    pub(super) fn drop_messages(&self, count: usize, why: &dyn std::fmt::Display) {
        if count > 0 {
            self.drops.add(count as u64);
            self.note(why);
        }
    }

    /// In: messages taken that are neither stored nor dropped.
    pub(super) fn held(&self) -> u64 {
        let done = self.messages.get() + self.drops.get();
        self.received.get().saturating_sub(done)
    }

    pub(super) fn set_positions(&self, positions: impl IntoIterator<Item = (i32, i64)>) {
        let mut kept = lock(&self.positions);
        kept.clear();
        kept.extend(positions);
    }

    pub(super) fn positions(&self) -> Vec<(i32, i64)> {
        lock(&self.positions).clone()
    }

    /// Looks at a socket's peers: who they are, and what they did not get.
    pub(super) fn look(&self, socket: &Socket, hwm: u32) -> Vec<PeerStatus> {
        let peers = socket.peers();
        self.note_drops(&peers);
        peers.iter().map(|peer| PeerStatus::of(peer, hwm)).collect()
    }

    /// Messages that peers did not get, those included that are gone.
    pub(super) fn dropped(&self) -> u64 {
        let dropped = lock(&self.dropped);
        dropped.gone + dropped.seen.values().sum::<u64>()
    }

    fn note_drops(&self, peers: &[PeerStats]) {
        let mut dropped = lock(&self.dropped);
        let mut now: HashMap<String, u64> = HashMap::with_capacity(peers.len());
        for peer in peers {
            let address = peer.address.as_deref().unwrap_or_default();
            *now.entry(format!("{} {address}", peer.endpoint.as_str())).or_default() +=
                peer.dropped;
        }
        // A count that has gone back is another peer's at the same address.
        let lost = |(key, count): (&String, &u64)| match now.get(key) {
            Some(present) if present >= count => 0,
            _ => *count,
        };
        let gone: u64 = dropped.seen.iter().map(lost).sum();
        dropped.gone += gone;
        dropped.seen = now;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
