//! Listeners: where connections come from, and which reactor they go to.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use mio::net::{TcpListener, TcpStream};

use crate::handle::Handle;
use crate::limits::{ACCEPT_REST, TURN_ACCEPTS};

/// A listening socket and its turn.
#[derive(Debug)]
pub(crate) struct Listener<M> {
    pub(crate) socket: TcpListener,
    to: Vec<Handle<M>>,
    next: usize,
    /// Connections may be waiting. Under edge triggering this is ours to remember.
    pub(crate) is_ready: bool,
    /// It accepts nothing before this.
    rests_until: Option<Instant>,
}

impl<M: Send> Listener<M> {
    /// One that deals its connections out to `to`, or keeps them if that is empty.
    pub(crate) fn new(socket: TcpListener, to: Vec<Handle<M>>) -> Self {
        Listener { socket, to, next: 0, is_ready: false, rests_until: None }
    }

    /// When it wants to be asked again: some time ago, if connections may be waiting now.
    pub(crate) fn wake_at(&self, now: Instant) -> Option<Instant> {
        self.is_ready.then(|| self.rests_until.unwrap_or(now))
    }

    /// Accepts what a turn allows. Those for `own` reactor are put to `kept`, the others are sent
    /// where they belong.
    pub(crate) fn accept(
        &mut self,
        now: Instant,
        own: &Handle<M>,
        kept: &mut Vec<(TcpStream, SocketAddr)>,
    ) {
        if !self.is_ready || self.rests_until.is_some_and(|until| now < until) {
            return;
        }
        self.rests_until = None;
        for _ in 0..TURN_ACCEPTS {
            match self.socket.accept() {
                Ok((stream, peer)) => self.deal(stream, peer, own, kept),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.is_ready = false;
                    return;
                }
                Err(error) if is_of_one_connection(&error) => {}
                // Out of descriptors or memory. The backlog keeps them waiting, and so do we: to
                // try again at once would only burn the time of those connected.
                Err(error) => {
                    tracing::warn!(%error, rest = ?ACCEPT_REST, "cannot accept a connection");
                    self.rests_until = Some(now + ACCEPT_REST);
                    return;
                }
            }
        }
    }

    fn deal(
        &mut self,
        stream: TcpStream,
        peer: SocketAddr,
        own: &Handle<M>,
        kept: &mut Vec<(TcpStream, SocketAddr)>,
    ) {
        let to = self.to.get(self.next);
        self.next = (self.next + 1) % self.to.len().max(1);
        match to {
            Some(other) if !other.is(own) => other.adopt_from(stream.into(), Some(peer)),
            _ => kept.push((stream, peer)),
        }
    }
}

/// Errors that concern a connection that went away in the backlog, not the listener (accept(2),
/// "Error handling").
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::*;
    matches!(
        error.kind(),
        Interrupted
            | ConnectionAborted
            | ConnectionReset
            | PermissionDenied
            | HostUnreachable
            | NetworkUnreachable
            | NetworkDown
            | TimedOut
    )
}
