//! One event loop per core: listeners, connections, timers, wake-ups. No protocol.
//!
//! A [`Service`] gives the loop its meaning. It never touches a socket: it is handed the bytes
//! that came, and hands back bytes and file ranges to send. That is the whole seam, so a readiness
//! backend (mio) and a completion backend (io_uring) look alike from above.
//!
//! # A turn
//!
//! The loop waits for events, then calls the service for timers that are due, for messages from
//! other threads, for new connections, for input, and for connections that ended; last comes
//! [`Service::turn_ended`]. Only then output is written, so all that a turn has to say to a
//! connection leaves in one system call, and a service that gathers work over a turn (a group
//! commit, say) loses nothing by it.
//!
//! # Fairness
//!
//! In each turn a connection may read [`Limits::turn_bytes`] and send 1 MiB; one that has more to
//! do goes to the end of the list, and all are bounded together as well. A busy client so delays
//! others by what it is served in a turn, never more.
//!
//! # Memory
//!
//! A connection without partial input holds no buffer. One in the middle of a frame holds at most
//! four times what it has received of it, whatever the frame claims. One whose peer does not read
//! is not read either once [`Limits::unsent_bytes_max`] is queued for it.
//!
//! # The end of a connection
//!
//! `closed` is called exactly once for each connection that `opened` said yes to, unless the loop
//! is left first. When the peer shuts down its side, all it sent is offered, then `closed` is
//! called with [`Closed::Peer`]; what was queued by then is still sent.
#![forbid(unsafe_code)]

mod accept;
mod conn;
mod handle;
mod input;
mod io;
mod limits;
mod output;
mod reactor;
mod state;
mod stats;
mod timers;

use std::fs::File;
use std::net::SocketAddr;
use std::sync::Arc;

pub use conn::ConnId;
pub use handle::Handle;
pub use io::Io;
pub use limits::Limits;
pub use reactor::Reactor;
pub use stats::Stats;

/// What a service made of the input it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes it is done with, from the front.
    pub consumed: usize,
    /// Bytes the unconsumed rest must reach before it is worth calling again (0 or 1: any more).
    /// More than [`Limits::frame_bytes_max`] closes the connection.
    pub need: usize,
}

/// Why a connection ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum Closed {
    /// The peer closed its side, cleanly.
    Peer,
    /// The service asked for it.
    Service,
    /// No byte came or went for [`Limits::idle_max`], or none was taken for
    /// [`Limits::linger_max`] after the service had asked to close.
    Idle,
    /// The service asked for this many bytes, or left as many unconsumed: more than
    /// [`Limits::frame_bytes_max`].
    FrameTooLarge(usize),
    /// The socket failed, or a file was shorter than the range to be sent of it.
    Io(std::io::Error),
}

/// Something to send.
#[derive(Debug)]
pub enum Output {
    /// Bytes in memory.
    Bytes(Vec<u8>),
    /// Bytes in memory that others hold too.
    Shared(Arc<[u8]>),
    /// A range of a file: goes from the page cache to the socket where the kernel allows it.
    File {
        /// The file.
        file: Arc<File>,
        /// First byte.
        position: u64,
        /// Bytes.
        len: usize,
    },
}

impl Output {
    /// Bytes to send.
    pub fn len(&self) -> usize {
        match self {
            Output::Bytes(bytes) => bytes.len(),
            Output::Shared(bytes) => bytes.len(),
            Output::File { len, .. } => *len,
        }
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory it holds until it is sent.
    pub(crate) fn memory(&self) -> usize {
        match self {
            Output::File { .. } => 0,
            in_memory => in_memory.len(),
        }
    }
}

/// Gives a reactor its meaning. All calls come from the reactor's own thread.
pub trait Service {
    /// What other threads send to this reactor.
    type Message: Send + 'static;

    /// A connection was accepted (or adopted). `false` refuses it: what was queued for it is sent,
    /// and `closed` is not called.
    fn opened(&mut self, io: &mut Io<'_>, id: ConnId, peer: SocketAddr) -> bool;

    /// Bytes came: `input` is all that is not consumed yet, to be changed in place at will.
    fn received(&mut self, io: &mut Io<'_>, id: ConnId, input: &mut [u8]) -> Progress;

    /// The connection is gone; `id` is never heard of again.
    fn closed(&mut self, io: &mut Io<'_>, id: ConnId, why: Closed);

    /// A timer set by [`Io::timer`] is due.
    fn timer(&mut self, io: &mut Io<'_>, key: u64);

    /// A message came through the [`Handle`].
    fn message(&mut self, io: &mut Io<'_>, message: Self::Message);

    /// All that was ready in this turn has been handled, and nothing has been sent yet.
    fn turn_ended(&mut self, _io: &mut Io<'_>) {}
}
