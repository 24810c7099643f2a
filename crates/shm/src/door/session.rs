//! A connection after the handshake: silent, but for control messages and the hang-up.
//!
//! Control messages stay in the kernel's queue until the endpoint takes them. So they cost memory
//! and descriptors of their sender, not of ours, and a sender whose messages nobody takes is told
//! so by the socket, which takes a few hundred of them.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use rustix::event::epoll::EventFlags;
use rustix::io::{Errno, Result};
use rustix::net::{Shutdown, shutdown};

use super::doorman::Doorman;
use super::packet::{self, Received};
use crate::admit::Peer;
use crate::porch::Porch;
use crate::step::step;
use crate::wire::{Control, PACKET_MAX};

/// The most control messages that one call of [`Session::take`] returns.
const TAKEN_MAX: usize = 256;

/// A connection. When the last clone is dropped its socket is closed and the doorman forgets it.
#[derive(Clone)]
pub(crate) struct Session {
    line: Arc<Line>,
}

/// What the clones share; the doorman has it weakly.
pub(super) struct Line {
    socket: OwnedFd,
    peer: Peer,
    token: u64,
    doorman: Arc<Doorman>,
    porch: Arc<Porch>,
    /// The peer hung up, or this side did.
    closed: AtomicBool,
    /// This side hung up: nothing more is taken from the socket.
    shut: AtomicBool,
    /// Control messages may be waiting.
    mail: AtomicBool,
}

impl Session {
    /// Takes a connected socket and lets the doorman watch it.
    pub(super) fn open(
        doorman: &Arc<Doorman>,
        socket: OwnedFd,
        peer: Peer,
        porch: Arc<Porch>,
    ) -> Result<Session> {
        let line = Arc::new(Line {
            socket,
            peer,
            token: doorman.token(),
            doorman: Arc::clone(doorman),
            porch,
            closed: AtomicBool::new(false),
            shut: AtomicBool::new(false),
            mail: AtomicBool::new(false),
        });
        doorman.remember(line.token, Arc::downgrade(&line));
        // Edges: a message that is not taken yet is not reported again and again.
        let flags = EventFlags::IN | EventFlags::RDHUP | EventFlags::ET;
        doorman.watch(&line.socket, line.token, flags)?;
        Ok(Session { line })
    }

    /// Who is at the other end.
    pub(crate) fn peer(&self) -> &Peer {
        &self.line.peer
    }

    /// Where it knocks.
    pub(crate) fn porch(&self) -> &Arc<Porch> {
        &self.line.porch
    }

    /// Whether the peer has hung up or [`close`](Session::close) was called. What the peer
    /// published before it died can be read by whoever sees this true.
    pub(crate) fn is_closed(&self) -> bool {
        // ORDERING: pairs with `hang_up`, which comes after the kernel's word that the peer is
        // gone, which comes after all that the peer stored.
        self.line.closed.load(Ordering::Acquire)
    }

    /// Whether this side hung up: then the other may be at work on what is between the two.
    pub(crate) fn is_shut(&self) -> bool {
        self.line.shut.load(Ordering::Relaxed)
    }

    /// Whether [`take`](Session::take) is likely to return something. There was a knock when this
    /// became true.
    pub(crate) fn has_mail(&self) -> bool {
        self.line.mail.load(Ordering::Relaxed)
    }

    /// Sends a control message; never waits.
    ///
    /// Errors: `AGAIN` when the peer does not take its messages; `TOOMANYREFS` when too many
    /// descriptors of this user are under way; `PIPE` when it is gone, which closes the session.
    pub(crate) fn send(&self, control: &Control, fd: Option<BorrowedFd<'_>>) -> Result<()> {
        debug_assert_eq!(control.descriptors(), usize::from(fd.is_some()));
        self.send_packet(&control.encode(), fd.as_slice())?;
        step("control.sent");
        Ok(())
    }

    /// Sends any packet; never waits.
    pub(super) fn send_packet(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<()> {
        let sent = packet::send(&self.line.socket, bytes, fds);
        if let Err(Errno::PIPE | Errno::CONNRESET) = sent {
            self.line.hang_up();
        }
        sent
    }

    /// What has come, oldest first, with its descriptor. It looks at the socket itself, so a
    /// message that was sent before a record was published is there when the record is. To be
    /// called by one thread at a time. A message that cannot be understood, or has another number
    /// of descriptors than its kind, closes the session, and nothing after it is taken.
    pub(crate) fn take(&self) -> Vec<(Control, Option<OwnedFd>)> {
        let line = &*self.line;
        let mut taken = Vec::new();
        // Before the look: what comes after it sets the mark again.
        line.mail.store(false, Ordering::SeqCst);
        while !line.shut.load(Ordering::Relaxed) {
            if taken.len() == TAKEN_MAX {
                line.note_mail();
                break;
            }
            let mut buffer = [0; PACKET_MAX];
            match packet::receive(&line.socket, &mut buffer) {
                Received::Packet(bytes, fds) => match understood(bytes, fds) {
                    Some(message) => taken.push(message),
                    None => self.close(),
                },
                Received::Oversized => self.close(),
                Received::Nothing => break,
                Received::Gone => {
                    line.hang_up();
                    break;
                }
            }
        }
        taken
    }

    /// Hangs up. The other side notices at once; the socket is closed with the last clone.
    pub(crate) fn close(&self) {
        if !self.line.doorman.is_at_home() {
            return;
        }
        self.line.shut.store(true, Ordering::Relaxed);
        let _ = shutdown(&self.line.socket, Shutdown::Both);
        step("session.shut");
        self.line.hang_up();
    }
}

fn understood(bytes: &[u8], mut fds: Vec<OwnedFd>) -> Option<(Control, Option<OwnedFd>)> {
    let control = Control::decode(bytes).ok()?;
    (fds.len() == control.descriptors()).then(|| (control, fds.pop()))
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("peer", &self.line.peer)
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

impl Line {
    /// The doorman saw something on the socket.
    pub(super) fn on_event(&self, flags: EventFlags) {
        // First what the peer said, then that it is gone.
        if flags.contains(EventFlags::IN) {
            self.note_mail();
        }
        if flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR) {
            self.hang_up();
        }
    }

    fn note_mail(&self) {
        if !self.mail.swap(true, Ordering::SeqCst) {
            self.porch.knock();
        }
    }

    /// The connection has come to its end, whoever ended it.
    fn hang_up(&self) {
        // ORDERING: pairs with `is_closed`.
        if !self.closed.swap(true, Ordering::AcqRel) {
            self.doorman.unwatch(&self.socket);
            self.porch.knock();
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.doorman.is_at_home() {
            return;
        }
        self.doorman.forget(self.token);
        // Explicitly, not by closing alone: a child between `fork` and `exec` has a copy of the
        // socket, which would keep it open and watched.
        if !*self.closed.get_mut() {
            self.doorman.unwatch(&self.socket);
        }
        let _ = shutdown(&self.socket, Shutdown::Both);
    }
}

/// The doorman's hold on a session, which does not keep it.
pub(super) type WeakLine = Weak<Line>;

impl AsFd for Session {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.line.socket.as_fd()
    }
}
