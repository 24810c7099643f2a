//! Who is there: the services of a directory, their connections, and what those have moved.
//!
//! A survey asks each socket of the directory. The answer is given by a background thread of the
//! service, whatever its own threads do, and read from counters that are kept anyway, so that it
//! costs nothing while nobody asks. It goes to the service's own user and to root only.
//!
//! ```no_run
//! for service in chaski_shm::survey::list()? {
//!     println!("{} {} {}", service.name, service.pattern, service.pid);
//!     for peer in &service.connections {
//!         println!("  {} sent {} took {}", peer.pid, peer.incoming.sent, peer.outgoing.received);
//!     }
//! }
//! # Ok::<(), chaski_shm::survey::ListError>(())
//! ```

mod list;
mod text;

use std::fmt;
use std::os::fd::OwnedFd;
use std::time::Duration;

use chaski_ring::region::Stats;
use rustix::io::Result;

pub use list::{ListError, list, list_in};

use crate::door::for_surveys;
use crate::memory;
use crate::wire::Kind;

/// The longest survey that is read, in bytes: some thousands of connections.
const SURVEY_MAX: usize = 4 << 20;

/// Surveys are in whole pages.
const PAGE: usize = 4096;

/// A service: an endpoint that others connect to.
///
/// What is under `pid` and `uid` is the kernel's word; all below is the service's own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Its process; 0 if that is unknown.
    pub pid: u32,
    /// The user it runs as.
    pub uid: u32,
    /// Whether it answered. If not, it has been stopped, is out of descriptors or of another user,
    /// and nothing else is known of it.
    pub answered: bool,
    /// What it is.
    pub pattern: Pattern,
    /// A random number of this binding of the name.
    pub generation: u64,
    /// How long it has been bound.
    pub age: Duration,
    /// The most connections it can have; 0 if there is no limit.
    pub connections_max: u64,
    /// Connections that ended since it was bound.
    pub departed: u64,
    /// Its connections, by slot.
    pub connections: Vec<Connection>,
}

/// What a service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Pattern {
    /// A server, whose peers are clients.
    Server,
    /// A publisher, whose peers are subscribers.
    Publisher,
    /// It pushes, and its peers pull.
    Push,
    /// It pulls, and its peers push.
    Pull,
    /// It is rung, and its peers ring.
    Listener,
    /// It has pipes to its peers.
    Pipe,
    /// It speaks a protocol of its own, of which it says nothing here.
    Packets,
    /// Something this version does not know.
    #[default]
    Unknown,
}

impl Pattern {
    const KNOWN: [Pattern; 7] = [
        Pattern::Server,
        Pattern::Publisher,
        Pattern::Push,
        Pattern::Pull,
        Pattern::Listener,
        Pattern::Pipe,
        Pattern::Packets,
    ];

    /// What an endpoint is whose peers are of this kind.
    pub(crate) fn serving(peers: Kind) -> Pattern {
        match peers {
            Kind::Call => Pattern::Server,
            Kind::Subscribe => Pattern::Publisher,
            Kind::Pull => Pattern::Push,
            Kind::Push => Pattern::Pull,
            Kind::Notify => Pattern::Listener,
            Kind::Pipe => Pattern::Pipe,
            Kind::Survey => Pattern::Unknown,
        }
    }

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Pattern::Server => "server",
            Pattern::Publisher => "publisher",
            Pattern::Push => "push",
            Pattern::Pull => "pull",
            Pattern::Listener => "listener",
            Pattern::Pipe => "pipe",
            Pattern::Packets => "packets",
            Pattern::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A connection of a service.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Connection {
    /// Its place among the connections of the service.
    pub slot: u64,
    /// The peer's process when it connected; 0 if it cannot be seen from the service.
    pub pid: u64,
    /// The peer's user.
    pub uid: u64,
    /// From the service to the peer.
    pub outgoing: Ring,
    /// From the peer to the service.
    pub incoming: Ring,
    /// Messages that were dropped because the peer was behind.
    pub drops: u64,
    /// Bytes of segments for large payloads that the service has made for the peer.
    pub large_bytes: u64,
    /// The peer has gone; what it had sent is still being taken.
    pub dead: bool,
}

/// One direction of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Ring {
    /// Bytes of records that it holds.
    pub capacity: u64,
    /// Bytes of those in use now.
    pub fill: u64,
    /// Messages published and not yet taken.
    pub depth: u64,
    /// Messages published.
    pub sent: u64,
    /// Payload bytes of those.
    pub sent_bytes: u64,
    /// Messages taken.
    pub received: u64,
    /// Payload bytes of those.
    pub received_bytes: u64,
    /// Times the sender found no room.
    pub stalls: u64,
    /// Times the sender woke the receiver.
    pub receiver_wakes: u64,
    /// Times the receiver woke the sender.
    pub sender_wakes: u64,
    /// The receiver sleeps, waiting for messages.
    pub receiver_sleeps: bool,
    /// The sender sleeps, waiting for room.
    pub sender_sleeps: bool,
}

impl Ring {
    /// What an observer saw of a ring of this capacity.
    pub(crate) fn new(capacity: usize, stats: &Stats) -> Ring {
        Ring {
            capacity: capacity as u64,
            fill: stats.bytes_in_use,
            depth: stats.depth,
            sent: stats.sent,
            sent_bytes: stats.sent_bytes,
            received: stats.received,
            received_bytes: stats.received_bytes,
            stalls: stats.full_stalls,
            receiver_wakes: stats.consumer_wakes,
            sender_wakes: stats.producer_wakes,
            receiver_sleeps: stats.consumer_sleeps,
            sender_sleeps: stats.producer_sleeps,
        }
    }
}

/// Writes what a service says of itself into memory of its own, to be handed over: a socket would
/// have to be waited for.
pub(crate) fn write(service: &Service) -> Result<(u64, OwnedFd)> {
    let text = text::encode(service);
    let (mapping, fd) =
        memory::create("chaski-survey", pages(text.len())).map_err(for_surveys::errno)?;
    mapping.copy_in(0, text.as_bytes());
    Ok((text.len() as u64, fd))
}

/// The size of the memory for so many bytes of text.
fn pages(len: usize) -> usize {
    len.max(1).next_multiple_of(PAGE)
}
