//! One event loop per core: listeners, connections, timers, wake-ups. No protocol.
//!
//! A [`Service`] gives the loop its meaning. It never touches a socket: it is handed the bytes
//! that came, and hands back bytes and file ranges to send. That is the whole seam, so a readiness
//! backend (mio) and a completion backend (io_uring) look alike from above.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A connection of this reactor: an index and a generation, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnId(pub u64);

/// Bounds on what one reactor does and holds. Every queue has its limit here.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes read from one connection before the next one has its turn.
    pub turn_bytes: usize,
    /// Largest input a service may ask to have whole ([`Progress::need`]).
    pub frame_bytes_max: usize,
    /// A connection whose unsent memory passes this is not read until it has drained.
    pub unsent_bytes_max: usize,
    /// Connections at most; one more is accepted and closed at once.
    pub connections_max: usize,
    /// A connection without a byte in or out for so long is closed. None: never.
    pub idle_max: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            turn_bytes: 256 << 10,
            frame_bytes_max: 100 << 20,
            unsent_bytes_max: 4 << 20,
            connections_max: 10_000,
            idle_max: None,
        }
    }
}

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
#[allow(missing_docs)]
pub enum Closed {
    /// The peer closed its side, cleanly.
    Peer,
    /// The service asked for it.
    Service,
    Idle,
    FrameTooLarge(usize),
    Io(io::Error),
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

/// Gives a reactor its meaning. All calls come from the reactor's own thread.
pub trait Service {
    /// What other threads send to this reactor.
    type Message: Send + 'static;

    /// A connection was accepted (or adopted). `false` refuses it.
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

/// What a service may do from within a call.
#[derive(Debug)]
pub struct Io<'a> {
    _p: std::marker::PhantomData<&'a mut ()>,
}

impl Io<'_> {
    /// Queues output; it is written at the end of the turn, all of a connection's in one go.
    /// Silently dropped if the connection is gone.
    pub fn send(&mut self, _id: ConnId, _output: Output) {
        unimplemented!()
    }
    /// Closes once everything queued is written.
    pub fn close(&mut self, _id: ConnId) {
        unimplemented!()
    }
    /// Stops or resumes calls to `received` (and reading, so that TCP pushes back).
    pub fn pause(&mut self, _id: ConnId, _paused: bool) {
        unimplemented!()
    }
    /// Calls [`Service::timer`] with `key` at `at` or soon after. Several timers may share a key.
    pub fn timer(&mut self, _at: Instant, _key: u64) {
        unimplemented!()
    }
    /// The time this turn began: good for timers, free to ask.
    pub fn now(&self) -> Instant {
        unimplemented!()
    }
    /// Leaves the loop after this turn, once queued output is written or `grace` is over.
    pub fn stop(&mut self, _grace: Duration) {
        unimplemented!()
    }
    /// Connections open.
    pub fn connections(&self) -> usize {
        unimplemented!()
    }
}

/// Reaches a reactor from any thread.
#[derive(Debug)]
pub struct Handle<M> {
    _m: std::marker::PhantomData<M>,
}

impl<M> Clone for Handle<M> {
    fn clone(&self) -> Self {
        Handle { _m: std::marker::PhantomData }
    }
}

impl<M: Send> Handle<M> {
    /// Sends a message and wakes the reactor if it may be asleep. Never blocks.
    pub fn send(&self, _message: M) {
        unimplemented!()
    }
    /// Queues a message without waking; [`Handle::wake`] must follow. For bursts.
    pub fn send_quietly(&self, _message: M) {
        unimplemented!()
    }
    /// Wakes the reactor if messages are waiting that nobody has woken it for.
    pub fn wake(&self) {
        unimplemented!()
    }
    /// Gives the reactor a connection accepted elsewhere; its service hears of it by `opened`.
    pub fn adopt(&self, _stream: std::net::TcpStream) {
        unimplemented!()
    }
}

/// Counts a reactor keeps, written by its own thread with plain stores, read by anyone.
#[derive(Debug, Default)]
#[allow(missing_docs)]
pub struct Stats {
    pub turns: std::sync::atomic::AtomicU64,
    pub connections: std::sync::atomic::AtomicU64,
    pub accepted: std::sync::atomic::AtomicU64,
    pub bytes_in: std::sync::atomic::AtomicU64,
    pub bytes_out: std::sync::atomic::AtomicU64,
    /// Nanoseconds not spent asleep.
    pub busy_ns: std::sync::atomic::AtomicU64,
}

/// An event loop. Made on any thread, run on one.
#[derive(Debug)]
pub struct Reactor<M> {
    _m: std::marker::PhantomData<M>,
}

impl<M: Send + 'static> Reactor<M> {
    /// A reactor with no listener yet.
    pub fn new(_limits: Limits) -> io::Result<Self> {
        unimplemented!()
    }
    /// How others reach it.
    pub fn handle(&self) -> Handle<M> {
        unimplemented!()
    }
    /// Its counts.
    pub fn stats(&self) -> Arc<Stats> {
        unimplemented!()
    }
    /// Accepts from `listener`. New connections go round-robin to `to` (this reactor may be among
    /// them), or to this reactor if `to` is empty.
    pub fn listen(&mut self, _listener: TcpListener, _to: Vec<Handle<M>>) -> io::Result<()> {
        unimplemented!()
    }
    /// Runs until [`Io::stop`]. Returns the service.
    pub fn run<S: Service<Message = M>>(self, _service: S) -> io::Result<S> {
        unimplemented!()
    }
}
