//! One member of a group: what it said when it joined, and what it is waiting for.

use std::sync::Arc;
use std::time::{Duration, Instant};

/// A member's id, made by the coordinator. Shared between the maps that name the member.
pub(super) type MemberId = Arc<str>;

/// One way of assigning partitions that a member offers, with what the leader needs for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Protocol {
    pub(super) name: Arc<str>,
    pub(super) metadata: Arc<[u8]>,
}

/// The request that a member has open, if any. `P` is the caller's handle on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waiting<P> {
    Nothing,
    Join(P),
    Sync(P),
}

/// One member.
#[derive(Debug)]
pub(super) struct Member<P> {
    /// `group.instance.id` of a static member (KIP-345).
    pub(super) instance: Option<Arc<str>>,
    pub(super) client_id: String,
    pub(super) client_host: String,
    pub(super) session_timeout: Duration,
    pub(super) rebalance_timeout: Duration,
    /// Most preferred first, no name twice.
    pub(super) protocols: Vec<Protocol>,
    /// What the leader of the current generation gave it.
    pub(super) assignment: Arc<[u8]>,
    pub(super) waiting: Waiting<P>,
    /// Has never had an answer to a join, hence does not know its id.
    pub(super) fresh: bool,
    /// Was told of a generation and has not come back for its assignment.
    pub(super) owes_sync: bool,
    /// When it is taken for dead, unless [`Member::expires`] says that it cannot be.
    pub(super) deadline: Instant,
}

impl<P> Member<P> {
    /// When the member is taken for dead. Never while it waits for an answer: it is the
    /// coordinator's turn then. A fresh member is bounded all the same, for nobody can tell
    /// whether its client still wants that answer.
    pub(super) fn expires(&self) -> Option<Instant> {
        let owed_an_answer = !matches!(self.waiting, Waiting::Nothing);
        (self.fresh || !owed_an_answer).then_some(self.deadline)
    }

    pub(super) fn is_joining(&self) -> bool {
        matches!(self.waiting, Waiting::Join(_))
    }

    pub(super) fn supports(&self, protocol: &str) -> bool {
        self.protocols.iter().any(|p| &*p.name == protocol)
    }

    /// The metadata for one protocol; empty if the member does not offer it.
    pub(super) fn metadata(&self, protocol: &str) -> Arc<[u8]> {
        let found = self.protocols.iter().find(|p| &*p.name == protocol);
        found.map_or_else(|| Arc::from([]), |p| p.metadata.clone())
    }

    /// Bytes that the member's protocols hold.
    pub(super) fn metadata_bytes(&self) -> usize {
        metadata_bytes(&self.protocols)
    }
}

/// Bytes that these protocols hold.
pub(super) fn metadata_bytes(protocols: &[Protocol]) -> usize {
    protocols.iter().map(|p| p.name.len() + p.metadata.len()).sum()
}
