//! How other threads reach a reactor.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use chaski_ring::{Doze, Mailbox};
use mio::Waker;

/// What travels through a reactor's mailbox.
pub(crate) enum Envelope<M> {
    Message(M),
    /// A connection accepted elsewhere, and its peer if that is known already.
    Adopt(TcpStream, Option<SocketAddr>),
}

/// What a reactor shares with its handles.
struct Shared<M> {
    mailbox: Mailbox<Envelope<M>>,
    /// Raised while the loop is in `epoll_wait`: only then does a message cost a system call.
    doze: Doze,
    waker: Waker,
}

/// Reaches a reactor from any thread, its own included.
///
/// Messages of one thread arrive in the order they were sent. What is sent after the reactor has
/// ended is dropped with the last handle.
pub struct Handle<M> {
    shared: Arc<Shared<M>>,
}

impl<M> Clone for Handle<M> {
    fn clone(&self) -> Self {
        Handle { shared: Arc::clone(&self.shared) }
    }
}

impl<M> fmt::Debug for Handle<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("doze", &self.shared.doze).finish_non_exhaustive()
    }
}

impl<M: Send> Handle<M> {
    /// Sends a message and wakes the reactor if it may be asleep. Never blocks.
    pub fn send(&self, message: M) {
        self.send_quietly(message);
        self.wake();
    }

    /// Queues a message without waking; [`Handle::wake`] must follow. For bursts.
    pub fn send_quietly(&self, message: M) {
        // Whether it was the first does not matter: `wake` asks whether the reactor sleeps.
        let _first = self.shared.mailbox.push(Envelope::Message(message));
    }

    /// Wakes the reactor if messages are waiting that nobody has woken it for.
    pub fn wake(&self) {
        if self.shared.doze.must_wake()
            && let Err(error) = self.shared.waker.wake()
        {
            tracing::error!(%error, "cannot wake a reactor");
        }
    }

    /// Gives the reactor a connection accepted elsewhere; its service hears of it by `opened`.
    pub fn adopt(&self, stream: TcpStream) {
        self.adopt_from(stream, None);
    }

    pub(crate) fn adopt_from(&self, stream: TcpStream, peer: Option<SocketAddr>) {
        let _first = self.shared.mailbox.push(Envelope::Adopt(stream, peer));
        self.wake();
    }
}

/// The reactor's own end.
impl<M> Handle<M> {
    pub(crate) fn new(waker: Waker) -> Self {
        let (mailbox, doze) = (Mailbox::new(), Doze::new());
        Handle { shared: Arc::new(Shared { mailbox, doze, waker }) }
    }

    /// Moves all that came to the end of `into`.
    pub(crate) fn drain(&self, into: &mut Vec<Envelope<M>>) {
        self.shared.mailbox.drain(into);
    }

    pub(crate) fn has_mail(&self) -> bool {
        !self.shared.mailbox.is_empty()
    }

    /// Calls `sleep` such that a message sent meanwhile ends it; it is told whether there is one
    /// already, and then must not sleep.
    pub(crate) fn asleep(&self, sleep: impl FnOnce(bool) -> io::Result<()>) -> io::Result<()> {
        self.shared.doze.announce();
        let slept = sleep(self.has_mail());
        self.shared.doze.awake();
        slept
    }

    /// Whether both reach the same reactor.
    pub(crate) fn is(&self, other: &Handle<M>) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}
