//! What all handles of a socket, its links and the driver share.

use std::sync::Arc;
use std::time::Instant;

use chaski_zmtp::Kind;
use chaski_zmtp::pattern::{Attach, Peer, PeerInfo};

use crate::link::{Established, NearReceiver, NearSender, Route, Stream};

/// A socket.
pub(crate) struct Shared {
    /// What kind it is.
    pub(crate) kind: Kind,
}

impl Shared {
    /// A peer exists. `Err` says why the pattern refuses it.
    pub(crate) fn attach(
        self: &Arc<Self>,
        _how: Attach,
        _about: Arc<Route>,
    ) -> Result<Peer, &'static str> {
        Err("not yet")
    }

    /// The handshake with `peer` is done: from here on its stream belongs to the socket. `leftover`
    /// is what was read behind the handshake. `Err` says why the pattern refuses it; the peer is
    /// then as it was.
    pub(crate) fn up(
        self: &Arc<Self>,
        _peer: Peer,
        _established: Established,
        _stream: Stream,
        _leftover: &[u8],
    ) -> Result<(), &'static str> {
        Err("not yet")
    }

    /// After `attach`, for a peer that is reached through memory: what is sent to it goes this way
    /// from now on, though nobody may be at the other end yet.
    pub(crate) fn lay(
        self: &Arc<Self>,
        _peer: Peer,
        _sender: Box<dyn NearSender>,
        _receiver: Box<dyn NearReceiver>,
    ) {
    }

    /// After `lay`: who is at the other end is known now. `Err` says why the pattern refuses it.
    pub(crate) fn up_near(
        self: &Arc<Self>,
        _peer: Peer,
        _info: PeerInfo,
    ) -> Result<(), &'static str> {
        Err("not yet")
    }

    /// The connection to `peer` is lost; it may come again.
    pub(crate) fn down(self: &Arc<Self>, _peer: Peer) {}

    /// The peer is gone for good. Messages that came from it are still received.
    pub(crate) fn gone(self: &Arc<Self>, _peer: Peer) {}

    /// The driver's turn: called when a heartbeat is due, when stuck output can be written, when
    /// the peer hung up or when input came that nobody reads.
    pub(crate) fn service(self: &Arc<Self>, _peer: Peer, _now: Instant) {}

    /// There may be something to receive from `peer`: lists it and wakes a receiver, if one sleeps.
    pub(crate) fn rouse(&self, _peer: Peer) {}

    /// There may be room for messages: wakes senders, if any sleep.
    pub(crate) fn room(&self) {}

    /// The socket's descriptor is readable: takes its events and wakes who waits for them. Whether
    /// anybody still waits as a task, so that the descriptor is to be watched on.
    pub(crate) fn readable(self: &Arc<Self>) -> bool {
        false
    }
}
