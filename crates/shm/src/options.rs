//! What can be chosen for every kind of endpoint, and the builder methods for it.

use std::path::PathBuf;

use chaski_ring::region::Layout;

use crate::admit::Admit;
use crate::memory::{CAPACITY_MIN, Pages};
use crate::wait::Wait;

/// Bytes of each ring of a connection, unless the side that connects says otherwise.
pub(crate) const RING_BYTES: usize = 64 * 1024;

/// The most that it may say, unless the side that is bound says otherwise.
pub(crate) const RING_BYTES_MAX: usize = 1024 * 1024;

/// The most bytes of large payloads in flight, in each direction of each connection.
pub(crate) const LARGE_BYTES: usize = 64 * 1024 * 1024;

/// A size that a ring cannot have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a ring of {bytes} bytes; it must be a power of two from {min} to {max}")]
#[non_exhaustive]
pub struct BadRing {
    /// The size that was asked for, in bytes.
    pub bytes: usize,
    /// The least it may be.
    pub min: usize,
    /// The most it may be.
    pub max: usize,
}

impl BadRing {
    pub(crate) fn new(bytes: usize) -> BadRing {
        BadRing { bytes, min: CAPACITY_MIN, max: Layout::CAPACITY_MAX }
    }
}

/// What every endpoint can be told.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) directory: Option<PathBuf>,
    pub(crate) admit: Admit,
    pub(crate) wait: Wait,
    pub(crate) ring_bytes: usize,
    pub(crate) ring_bytes_max: usize,
    pub(crate) large_bytes: usize,
    pub(crate) pages: Pages,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            directory: None,
            admit: Admit::default(),
            wait: Wait::default(),
            ring_bytes: RING_BYTES,
            ring_bytes_max: RING_BYTES_MAX,
            large_bytes: LARGE_BYTES,
            pages: Pages::default(),
        }
    }
}

/// The builder methods of endpoints of every kind, for a type with a field `options`.
macro_rules! meeting_options {
    () => {
        /// Where sockets are, in place of [`directory`](crate::directory): it is made with mode
        /// 0700 if it does not exist, and must belong to this user.
        #[must_use]
        pub fn directory(mut self, path: impl Into<std::path::PathBuf>) -> Self {
            self.options.directory = Some(path.into());
            self
        }

        /// Which peers are dealt with: by default those of the same user, and root.
        #[must_use]
        pub fn admit(mut self, admit: crate::Admit) -> Self {
            self.options.admit = admit;
            self
        }

        /// How calls that block wait: by default 20 us of spinning where that has paid, then sleep.
        #[must_use]
        pub fn wait(mut self, wait: crate::Wait) -> Self {
            self.options.wait = wait;
            self
        }
    };
}

/// The builder methods of endpoints with a connection of their own to each peer.
macro_rules! common_options {
    () => {
        crate::options::meeting_options!();

        /// The most bytes of large payloads under way at once, in each direction of each
        /// connection, and so the longest payload: 64 MiB by default. Memory is taken when it is
        /// first needed. The lower of what the two sides say is what holds.
        #[must_use]
        pub fn large_bytes(mut self, bytes: usize) -> Self {
            self.options.large_bytes = bytes;
            self
        }

        /// When the memory this side makes gets its pages, and of which size: by default as they
        /// are touched.
        #[must_use]
        pub fn pages(mut self, pages: crate::Pages) -> Self {
            self.options.pages = pages;
            self
        }
    };
}

/// The builder method of endpoints that connect.
macro_rules! connecting_options {
    () => {
        /// Bytes of each of the two rings of this connection: a power of two from 4 KiB to 1 GiB,
        /// 64 KiB by default. A payload of up to a quarter of it goes through the ring. 256 KiB
        /// carry the widest stream; more than the processor's second-level cache carries less.
        #[must_use]
        pub fn ring_bytes(mut self, bytes: usize) -> Self {
            self.options.ring_bytes = bytes;
            self
        }
    };
}

/// The builder method of endpoints that are bound.
macro_rules! binding_options {
    () => {
        /// The largest rings that a peer may ask for, in bytes: 1 MiB by default. It is the side
        /// that connects which decides, within that.
        #[must_use]
        pub fn ring_bytes_max(mut self, bytes: usize) -> Self {
            self.options.ring_bytes_max = bytes;
            self
        }
    };
}

pub(crate) use {binding_options, common_options, connecting_options, meeting_options};
