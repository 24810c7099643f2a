//! The page on which a borrower says what it has given back.
//!
//! ```text
//!    0  slot 0: number of the last use given back      8
//!    8  slot 1                                         8
//!       ...
//!  504  slot 63                                        8
//!  512  not used, up to 4096
//! ```
//!
//! It lies in the half of the borrower, who alone writes it; the lender reads it.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use super::half::LEDGER;
use super::{Half, Mapping};

/// How many segments can be lent at once, in one direction of a connection.
pub(crate) const SLOTS: usize = 64;

const WORD: usize = 8;

/// A ledger, of this side or of the other.
#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    mapping: Arc<Mapping>,
    offset: usize,
}

impl Ledger {
    /// The one in the given half.
    ///
    /// # Panics
    ///
    /// If the mapping is shorter than the half.
    pub(crate) fn new(mapping: &Arc<Mapping>, half: Half) -> Ledger {
        // Panics now rather than later.
        mapping.area(half.ledger(), LEDGER);
        Ledger { mapping: Arc::clone(mapping), offset: half.ledger() }
    }

    /// The last use of a slot that was given back, as the borrower says; 0 if none was.
    ///
    /// Relaxed, since the page may be read-only: [`acquired`](Ledger::acquired) before anything is
    /// done with what was given back.
    ///
    /// # Panics
    ///
    /// If there is no such slot.
    #[inline]
    pub(crate) fn last(&self, slot: usize) -> u64 {
        self.mapping.word(self.at(slot)).load(Ordering::Relaxed)
    }

    /// Orders what follows behind the borrower's reads of what [`last`](Ledger::last) said was
    /// given back.
    #[inline]
    pub(crate) fn acquired(&self) {
        // ORDERING: pairs with the release in `give_back`.
        fence(Ordering::Acquire);
    }

    /// Says that a use of a slot has ended.
    ///
    /// # Panics
    ///
    /// If there is no such slot, or the ledger is the other side's.
    #[inline]
    pub(crate) fn give_back(&self, slot: usize, usage: u64) {
        assert!(self.mapping.is_writable());
        // ORDERING: release, pairs with `acquired`: the reads of the payload are done before its
        // owner writes over it.
        self.mapping.word(self.at(slot)).store(usage, Ordering::Release);
    }

    fn at(&self, slot: usize) -> usize {
        assert!(slot < SLOTS, "slot {slot}");
        self.offset + slot * WORD
    }
}
