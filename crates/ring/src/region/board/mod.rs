//! Who has something for me: bits that many may set, and one takes.
//!
//! A receiver with thousands of rings cannot look at each of them all the time. It looks at those
//! that are busy, and a sender whose ring is not looked at sets its bit on the receiver's board. So
//! the receiver's work grows with the senders that are active, not with those that are connected.
//!
//! ```
//! use chaski_ring::region::HeapExtent;
//! use chaski_ring::region::board::{Board, Ringer, Sleeper};
//!
//! let (page, plate) = (HeapExtent::new(Board::LEN), HeapExtent::new(Sleeper::LEN));
//! Board::format(&page)?;
//! // The receiver: room for 100 senders.
//! let mut board = Board::attach(page.clone(), 100)?;
//! let mut sleeper = Sleeper::new(plate.clone())?;
//! // A sender, in a process of its own.
//! let bits = Board::attach(page, 100)?;
//! let mut ringer = Ringer::attach(plate)?;
//!
//! sleeper.announce();
//! assert!(board.is_empty(), "nobody was quicker: sleep");
//!
//! bits.set(42);
//! assert!(ringer.must_ring(), "write to the receiver's eventfd");
//!
//! sleeper.awake();
//! board.take(|slot| assert_eq!(slot, 42));
//! # Ok::<(), chaski_ring::region::AttachError>(())
//! ```
//!
//! # Layout
//!
//! ```text
//!      0  magic "chskbord", version      16
//!    128  summary                         8    bit w: word w may have bits
//!    256  words                      64 x 8    bit b of word w: slot 64 w + b
//!    768  not used, up to 4096
//! ```
//!
//! # A hint, and no more
//!
//! The page is writable by everyone who may set a bit, so any of them can erase the bits of others,
//! add some, or fill all of it. Nothing but a look at a ring may follow from a bit, and a receiver
//! among strangers also looks at all its rings now and then, whatever the board says.
//! [`Board::take`] is bounded: it calls for each slot once at most, and only for slots below the
//! limit. Nothing here waits for anybody, so a sender may die or stop between any two steps: its
//! own bit may then be missing, another's is not.
//!
//! # Set and sleep
//!
//! A sender sets its bit after it has published a record and seen that its ring is not looked at
//! ([`Producer::must_wake`]). Whether it must ring as well is said by a word that the receiver
//! alone writes, see [`Sleeper`]:
//!
//! ```text
//! receiver                                sender
//!   ring's consumer: announce               publish a record
//!   nothing there, still: leave it          ring's consumer dozes: board.set(slot)
//!   ...                                     ringer.must_ring(): write its eventfd
//!   sleeper.announce()                 (1)
//!   board.is_empty(), still            (2)
//!   sleep on the eventfd
//!   sleeper.awake()
//!   board.take(look at the ring)
//! ```
//!
//! `set` orders the bit before the look at the sleeper's word, [`Sleeper::announce`] orders that
//! word before the look at the board. So either the sender sees the receiver asleep and rings, or
//! the receiver sees the bit and does not sleep: Dekker's handshake.
//!
//! The same board serves the other way round where one publisher has many subscribers: each
//! announces its sleep, sets its bit *then*, and looks once more; the publisher, after publishing,
//! asks `is_empty` and takes those who sleep. In the other order a bit could be taken, for an
//! earlier record, before its owner is seen to sleep, and none would be there for the next.
//!
//! [`Producer::must_wake`]: super::Producer::must_wake

mod sleeper;

use std::fmt;
#[cfg(all(target_arch = "x86_64", not(any(loom, miri))))]
use std::sync::atomic::compiler_fence;

use super::error::AttachError;
use super::extent::{Extent, check_name, name, words};
use super::layout::LINE;
use super::memory::Words;
use super::record::WORD;
use crate::sync::Ordering;
#[cfg(not(all(target_arch = "x86_64", not(any(loom, miri)))))]
use crate::sync::fence;

pub use sleeper::{Ringer, Sleeper};

const NAME: [u8; 8] = *b"chskbord";

/// Words of bits: as many as the summary has bits. Few in a model.
const WORDS: usize = if cfg!(loom) { 2 } else { 64 };

/// Bits of a word.
const BITS: usize = 64;

// Indexes of words.
const SUMMARY: usize = LINE;
const SLOTS: usize = 2 * LINE;

/// Bits for up to [`Board::SLOTS_MAX`] senders, set by them and taken by one receiver; see the
/// [module](self).
pub struct Board<M> {
    words: Words,
    slots: usize,
    /// What keeps the words in place.
    _memory: M,
}

impl Board<()> {
    /// Bytes of its page.
    pub const LEN: usize = if cfg!(loom) { (SLOTS + WORDS) * WORD } else { 4096 };

    /// The most slots that a board can have: 4096.
    pub const SLOTS_MAX: usize = WORDS * BITS;

    /// Makes an empty board, whatever was there. Writes.
    ///
    /// # Errors
    ///
    /// [`AttachError::Misaligned`], [`AttachError::TooSmall`].
    pub fn format(memory: &impl Extent) -> Result<(), AttachError> {
        let words = words(memory.area(), Self::LEN)?;
        (0..SLOTS + WORDS).for_each(|at| words.store(at, 0));
        name(&words, NAME);
        Ok(())
    }

    /// Takes part in a board of `slots` slots, as the receiver or as a sender. Writes.
    ///
    /// # Errors
    ///
    /// Where the memory is no board, see [`AttachError`].
    ///
    /// # Panics
    ///
    /// If `slots` is more than [`Board::SLOTS_MAX`].
    pub fn attach<M: Extent>(memory: M, slots: usize) -> Result<Board<M>, AttachError> {
        assert!(slots <= Self::SLOTS_MAX, "{slots} slots of {}", Self::SLOTS_MAX);
        let words = words(memory.area(), Self::LEN)?;
        check_name(&words, NAME)?;
        Ok(Board { words, slots, _memory: memory })
    }
}

impl<M: Extent> Board<M> {
    /// Sets the bit of a slot. What was published before is seen by the receiver once it has taken
    /// the bit. Whether to ring is to be asked ([`Ringer::must_ring`]) after this.
    ///
    /// One locked instruction where the receiver has not yet taken an earlier bit of the same word,
    /// else two.
    ///
    /// # Panics
    ///
    /// If the slot is not below the limit given to [`Board::attach`].
    pub fn set(&self, slot: usize) {
        assert!(slot < self.slots, "slot {slot} of {}", self.slots);
        let (word, bit) = (slot / BITS, slot % BITS);
        // ORDERING: release, pairs with the swap of the word in `take`: who takes the bit sees what
        // was published before it was set.
        self.words.set_bits(SLOTS + word, 1 << bit);
        // ORDERING: pairs with the fence in `take`, which clears the summary and then the word. If
        // the summary is seen set below, it is cleared after that, so the swap of the word, later
        // still, takes the bit; this is what makes the skip right.
        settle();
        if self.words.load(SUMMARY) & 1 << word == 0 {
            self.words.set_bits(SUMMARY, 1 << word);
        }
        // ORDERING: pairs with the fence of `Sleeper::announce`: either the sleeper sees the
        // summary's bit, set just now or found set, or the load of its word that follows sees it
        // asleep. Who set a bit that was found may have died before it could ring, so nobody relies
        // on another's ringing.
        settle();
    }

    /// Whether no bit is set. This is what to look at between [`Sleeper::announce`] and sleep.
    pub fn is_empty(&self) -> bool {
        self.words.load(SUMMARY) == 0
    }

    /// Takes all bits that are set, and calls `each` for the slot of each, in rising order. How
    /// many there were. One receiver does this; bits of slots that are not below the limit are
    /// passed over.
    ///
    /// A slot may be called for although nothing is new: its bit was set again while its ring was
    /// being looked at, or by somebody else.
    pub fn take(&mut self, mut each: impl FnMut(usize)) -> usize {
        if self.is_empty() {
            return 0;
        }
        let mut count = 0;
        let summary = self.words.take_bits(SUMMARY);
        // ORDERING: pairs with the first fence of `set`, see there.
        settle();
        for word in ones(summary).take_while(|word| *word < WORDS) {
            // ORDERING: acquire, pairs with the release in `set`, see there.
            let bits = self.words.take_bits(SLOTS + word);
            for slot in ones(bits).map(|bit| word * BITS + bit).filter(|slot| *slot < self.slots) {
                count += 1;
                each(slot);
            }
        }
        count
    }

    /// Slots of this board.
    pub fn slots(&self) -> usize {
        self.slots
    }
}

impl<M> fmt::Debug for Board<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Board").field("slots", &self.slots).finish_non_exhaustive()
    }
}

/// The bits that are set, from the lowest.
fn ones(mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lowest = (bits != 0).then(|| bits.trailing_zeros() as usize)?;
        bits &= bits - 1;
        Some(lowest)
    })
}

/// Orders all before, in which there was an atomic read-modify-write, ahead of the loads after.
#[inline]
fn settle() {
    // ORDERING: an x86-64 processor drains its stores at such an instruction, and keeps the order
    // of loads (Intel SDM, volume 3, "Memory Ordering"): nothing is left to do but for the compiler
    // to keep it too. A fence would cost as much as the instruction, again.
    #[cfg(all(target_arch = "x86_64", not(any(loom, miri))))]
    compiler_fence(Ordering::SeqCst);
    #[cfg(not(all(target_arch = "x86_64", not(any(loom, miri)))))]
    fence(Ordering::SeqCst);
}
