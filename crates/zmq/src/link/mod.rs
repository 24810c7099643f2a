//! What lies between a socket and one of its peers.
//!
//! A [`Link`] lives as long as the pattern knows the peer: for one that we connect to, across any
//! number of connections. What it leads through is either
//!
//! - a *wire*: a stream of the kernel's, with an outbox of encoded messages before it and a decoder
//!   behind it; or
//! - something *near*: memory shared with another socket of this process or machine. [`NearSender`]
//!   and [`NearReceiver`] are all that a socket asks of it.

mod stream;

use std::sync::Arc;

use chaski_zmtp::Command;
use chaski_zmtp::Message;
use chaski_zmtp::pattern::{Peer, PeerInfo};

pub(crate) use stream::{Read, Stream};

use crate::endpoint::Endpoint;

/// How a link came to be, for those who look at it.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    /// What was given to `connect`, or the endpoint that accepted it.
    pub(crate) endpoint: Endpoint,
    /// Whether we connect to it.
    pub(crate) dialled: bool,
}

/// A peer of a socket, and the way to it.
pub(crate) struct Link {
    /// Its number in the pattern.
    pub(crate) peer: Peer,
    /// Where it leads.
    pub(crate) route: Arc<Route>,
}

/// What arrives from a near peer.
pub(crate) enum Arrival {
    /// A message.
    Message(Message),
    /// A command: SUBSCRIBE, CANCEL, JOIN, LEAVE.
    Command(Command),
}

/// The way to a peer reached through memory.
///
/// It is called under the lock of the sending socket's rules: by one thread at a time, which may
/// not wait there. After a `push` into what the receiver may believe empty, the implementation
/// calls `Shared::rouse` of the receiving socket.
pub(crate) trait NearSender: Send {
    /// Whether one more message fits.
    fn has_room(&self) -> bool;

    /// Queues a message, or gives it back if there is no room or nobody at the other end.
    fn push(&mut self, message: Message) -> Result<(), Message>;

    /// Queues a command, whatever the room.
    fn tell(&mut self, command: Command);

    /// How many messages wait to be popped by the other end.
    fn queued(&self) -> usize;

    /// Lets the other end pop what is there, and no more; also done by `drop`.
    fn close(&mut self);
}

/// The way from a peer reached through memory.
///
/// It is called under the lock of the receiving socket's inboxes. After a `pop` that a sender may
/// be waiting for, the implementation calls `Shared::room` of the sending socket.
pub(crate) trait NearReceiver: Send {
    /// Takes the next that came. `Err` once the other end has closed and all it sent was taken.
    fn pop(&mut self) -> Result<Option<Arrival>, Gone>;
}

/// The other end has closed.
pub(crate) struct Gone;

/// A handshake that came to its end.
pub(crate) struct Established {
    /// What the peer said about itself.
    pub(crate) info: PeerInfo,
}
