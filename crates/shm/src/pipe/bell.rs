//! What the halves of one side share: the descriptor on which it sleeps, and the connection.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::desk::Place;
use crate::admit::Peer;
use crate::door::Session;
use crate::porch::Porch;

/// One side of a pipe.
pub(super) struct Side {
    porch: Arc<Porch>,
    session: Session,
    /// How often the bell was cleared. Who lay down before that may have been rung for, once and
    /// no more, and must lie down anew.
    cleared: AtomicU64,
    /// The place at the listener that it takes.
    _place: Option<Place>,
}

impl Side {
    pub(super) fn new(porch: Arc<Porch>, session: Session, place: Option<Place>) -> Side {
        Side { porch, session, cleared: AtomicU64::new(0), _place: place }
    }

    pub(super) fn porch(&self) -> &Arc<Porch> {
        &self.porch
    }

    pub(super) fn session(&self) -> &Session {
        &self.session
    }

    #[inline]
    pub(super) fn is_closed(&self) -> bool {
        self.session.is_closed()
    }

    /// See the field.
    pub(super) fn cleared(&self) -> u64 {
        // ORDERING: pairs with `clear`: who sees the count knows that rings before it are gone.
        self.cleared.load(Ordering::Acquire)
    }

    /// Forgets all rings so far.
    pub(super) fn clear(&self) {
        // It fails only for a descriptor that somebody else has closed.
        let _ = self.porch.sleep(Some(Duration::ZERO), |_| ());
        // ORDERING: see `cleared`. Behind the reading, so that who lies down between the two is
        // taken to have slept already, and lies down once more.
        self.cleared.fetch_add(1, Ordering::Release);
    }
}

/// The descriptor of a pipe, for an event loop, from any thread and without its halves.
///
/// See the [module](super) for when it becomes readable.
#[derive(Clone)]
pub struct Bell(Arc<Side>);

impl Bell {
    pub(super) fn new(side: &Arc<Side>) -> Bell {
        Bell(Arc::clone(side))
    }

    /// Forgets that it rang; to be called when the descriptor was readable. From now on both halves
    /// must be looked at, and be armed anew before the next sleep.
    pub fn clear(&self) {
        self.0.clear();
    }

    /// Whether the pipe has ended: the peer closed it, died, or did not keep the protocol, or
    /// [`Bell::close`] was called.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// Ends the pipe, whoever has its halves: the peer is told at once, and so is who sleeps on
    /// this side.
    pub fn close(&self) {
        self.0.session.close();
    }

    /// A descriptor for nothing but the end: it polls as hung up (`EPOLLRDHUP`, `EPOLLHUP`) when
    /// the peer is gone or the pipe was closed. For who looks after many pipes, and reads none.
    ///
    /// It must not be read or written.
    pub fn lifeline(&self) -> BorrowedFd<'_> {
        self.0.session.as_fd()
    }

    /// The process at the other end.
    pub fn peer(&self) -> &Peer {
        self.0.session.peer()
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.porch.as_fd()
    }
}

impl fmt::Debug for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bell").field("closed", &self.is_closed()).finish_non_exhaustive()
    }
}
