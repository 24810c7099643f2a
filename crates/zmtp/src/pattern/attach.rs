//! A peer, how it came to be, and what it says of itself.

use crate::kind::Kind;
use crate::message::Frame;

/// A peer, as numbered by who drives the pattern.
///
/// A number is not given to another peer before [`Pattern::detach`](super::Pattern::detach).
/// Numbers are places in tables: the smallest free one is given next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Peer(pub u32);

/// How a peer came to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attach {
    /// We connect to it: it can be given messages before it is there, if `early`.
    Connecting {
        /// Messages may be queued before the connection is up (libzmq: not `ZMQ_IMMEDIATE`).
        early: bool,
        /// The identity a ROUTER is to know it by (`ZMQ_CONNECT_ROUTING_ID`), or empty.
        identity: Frame,
    },
    /// It connected to us.
    Accepted,
}

impl Attach {
    /// Whether messages may be queued before the connection is up.
    pub(crate) fn is_early(&self) -> bool {
        matches!(self, Attach::Connecting { early: true, .. })
    }
}

/// What [`Pattern::greet`](super::Pattern::greet) found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Greeted {
    /// It is one of our peers now.
    Welcome,
    /// The same, and it took the identity over from this one, whose connection is to be closed
    /// (`ZMQ_ROUTER_HANDOVER`).
    Replaces(Peer),
}

/// What a peer said about itself in the handshake.
#[derive(Clone, Debug)]
pub struct PeerInfo {
    /// What kind of socket it is.
    pub kind: Kind,
    /// Its `Identity` property; empty if it gave none.
    pub identity: Frame,
    /// Whether it takes SUBSCRIBE and CANCEL as commands (ZMTP 3.1) rather than as messages.
    pub subscribes_by_command: bool,
}
