//! What a socket counts, for each of its peers.

use crate::endpoint::Endpoint;

/// A peer and what went to it and came from it. Counts begin when the peer is first known, and go
/// on across connections.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerStats {
    /// What was given to `connect`, or the endpoint that accepted it.
    pub endpoint: Endpoint,
    /// The other side's address, if there is one: `10.0.0.7:40112`.
    pub address: Option<String>,
    /// Whether messages can flow now.
    pub connected: bool,
    /// The kind of socket that the peer is, once known, by its name on the wire.
    pub kind: Option<&'static str>,
    /// The identity that the peer gave, if any.
    pub identity: Vec<u8>,
    /// By which [`routing_id`](crate::Message::routing_id) a SERVER or PEER knows it; else 0.
    pub routing_id: u32,
    /// The mechanism of the connection: `NULL`, `PLAIN` or `CURVE`.
    pub mechanism: &'static str,
    /// Who the peer is, as whoever was asked whether it may enter says: the user of a password or
    /// of a key (RFC 27, user id). `None` if nobody was asked, or said nothing.
    pub user_id: Option<String>,
    /// What the peer says about itself, the `metadata` option of its socket, and what whoever was
    /// asked whether it may enter says about it, in this order. The peer's part proves nothing;
    /// names are compared without case.
    pub metadata: Vec<(String, Vec<u8>)>,
    /// Messages that wait to be sent; none once the peer is given up, when they are lost.
    pub queued: u64,
    /// Messages that were not sent because as many waited as may.
    pub dropped: u64,
    /// Messages given to the system.
    pub sent: u64,
    /// Bytes given to the system.
    pub sent_bytes: u64,
    /// Messages that came.
    pub received: u64,
    /// Bytes that came.
    pub received_bytes: u64,
    /// How many times a connection came up.
    pub connections: u64,
}

impl PeerStats {
    /// A peer of whom nothing is known but where it is.
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        PeerStats {
            endpoint,
            address: None,
            connected: false,
            kind: None,
            identity: Vec::new(),
            routing_id: 0,
            mechanism: "NULL",
            user_id: None,
            metadata: Vec::new(),
            queued: 0,
            dropped: 0,
            sent: 0,
            sent_bytes: 0,
            received: 0,
            received_bytes: 0,
            connections: 0,
        }
    }
}
