//! Which process a context belongs to.
//!
//! A fork copies memory and the calling thread, and nothing else of a process: the child has all
//! sockets of its parent and none of the threads that serve them, and shares the parent's
//! descriptors with it. So a context remembers the process that made it and is refused in any
//! other.

use chaski_ring::fork;

/// The context was made by another process, of which this one is a fork.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this socket belongs to the process that this one was forked from; make a new one here")]
pub struct Forked;

/// The process that made something.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin(u64);

impl Origin {
    /// This process.
    pub(crate) fn here() -> Self {
        Origin(fork::generation())
    }

    /// Whether this is still the same process. It costs two loads.
    #[inline]
    pub(crate) fn check(self) -> Result<(), Forked> {
        if self.is_here() { Ok(()) } else { Err(Forked) }
    }

    /// The same as a yes or no.
    #[inline]
    pub(crate) fn is_here(self) -> bool {
        self.0 == fork::generation()
    }
}
