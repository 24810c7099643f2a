//! Words that a pattern tells its peers beside the rings, one line each.
//!
//! They lie on the page of the ledger, behind its slots, so each side writes its own and reads the
//! other's. A word costs a store, and its reader a load; nothing wakes for it.
//!
//! ```text
//!            0  ledger: 64 slots         512
//!         2048  notes: a line each       16 x 128
//!         4096
//! ```

use std::sync::atomic::AtomicU64;

use super::Link;
use crate::memory::{Half, Mapping};

/// How many there are.
pub(crate) const NOTES: usize = 16;

/// Where they begin, in the page of the ledger.
const BEGIN: usize = 2048;

/// Bytes from one note to the next: two lines, which x86-64 fetches together.
const APART: usize = 128;

/// A note in the half of one side. Of the other side's load it relaxed: it is mapped read-only.
///
/// # Panics
///
/// If `at` is not below 16.
#[inline]
pub(crate) fn note(mapping: &Mapping, half: Half, at: usize) -> &AtomicU64 {
    assert!(at < NOTES);
    mapping.word(half.ledger() + BEGIN + at * APART)
}

impl Link {
    /// A note of this side.
    #[inline]
    pub(crate) fn my_note(&self, at: usize) -> &AtomicU64 {
        note(&self.ends.mine, self.ends.half, at)
    }

    /// A note of the peer: to be loaded relaxed, and never believed.
    #[inline]
    pub(crate) fn their_note(&self, at: usize) -> &AtomicU64 {
        note(&self.ends.theirs, self.ends.half, at)
    }

    /// Lets the peer look at the notes: marks its board and rings if it sleeps, or rings.
    pub(crate) fn nudge(&mut self) {
        self.doorbell.ring();
    }

    /// The longest payload that may be sent to the peer.
    #[inline]
    pub(crate) fn payload_max(&self) -> usize {
        self.outgoing.payload_max
    }
}
