//! The word that says whether a receiver sleeps: written by it alone, read by all its senders.
//!
//! ```text
//!      0  magic "chskslpr", version      16
//!    128  doze                            8    odd: its owner sleeps, or is about to
//!    136  not used, up to 256
//!    256  the owner's own, up to 4096
//! ```

use std::fmt;

use super::super::error::AttachError;
use super::super::extent::{Extent, check_name, name, words};
use super::super::layout::{DOZE, LINE};
use super::super::memory::Words;
use super::super::record::WORD;
use crate::sync::{Ordering, fence};

const NAME: [u8; 8] = *b"chskslpr";

/// A receiver that tells its senders whether it sleeps.
///
/// Its page is writable by it alone. Of that, only the first 256 bytes are used here.
pub struct Sleeper<M> {
    words: Words,
    /// What is in the doze word. It counts up and never repeats, so that each sender answers each
    /// sleep once although it cannot clear the word.
    doze: u64,
    /// What keeps the words in place.
    _memory: M,
}

impl Sleeper<()> {
    /// Bytes of its page.
    pub const LEN: usize = if cfg!(loom) { 2 * LINE * WORD } else { 4096 };

    /// A receiver that is awake, in a page that may hold anything. Writes.
    ///
    /// # Errors
    ///
    /// [`AttachError::Misaligned`], [`AttachError::TooSmall`].
    pub fn new<M: Extent>(memory: M) -> Result<Sleeper<M>, AttachError> {
        let words = words(memory.area(), Self::LEN)?;
        words.store(DOZE, 0);
        name(&words, NAME);
        Ok(Sleeper { words, doze: 0, _memory: memory })
    }
}

impl<M: Extent> Sleeper<M> {
    /// Says that sleep is near: the receiver must look at its board
    /// ([`Board::is_empty`](super::Board::is_empty)) after this and before it sleeps.
    pub fn announce(&mut self) {
        self.doze = self.doze.wrapping_add(1) | 1;
        self.words.store(DOZE, self.doze);
        // ORDERING: pairs with the last fence of `Board::set`: either the look at the board after
        // this sees the bit, or the sender's look at the word sees the store above.
        fence(Ordering::SeqCst);
    }

    /// Says that the receiver is up again, woken or not.
    pub fn awake(&mut self) {
        self.doze = (self.doze | 1).wrapping_add(1);
        self.words.store(DOZE, self.doze);
    }
}

impl<M> fmt::Debug for Sleeper<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleeper").field("doze", &self.doze).finish_non_exhaustive()
    }
}

/// A sender that wakes a sleeping receiver. It only reads the receiver's page.
pub struct Ringer<M> {
    words: Words,
    /// The doze that was rung for last.
    answered: u64,
    /// What keeps the words in place.
    _memory: M,
}

impl Ringer<()> {
    /// Looks at a receiver's page.
    ///
    /// # Errors
    ///
    /// Where the memory is no such page, see [`AttachError`].
    pub fn attach<M: Extent>(memory: M) -> Result<Ringer<M>, AttachError> {
        let words = words(memory.area(), Sleeper::LEN)?;
        check_name(&words, NAME)?;
        Ok(Ringer { words, answered: 0, _memory: memory })
    }
}

impl<M: Extent> Ringer<M> {
    /// Whether the receiver sleeps and must be woken; asked after
    /// [`Board::set`](super::Board::set), answered `true` once a sleep. Each sender rings for
    /// itself, so that one that stops before it could does not leave the others unheard.
    #[must_use]
    pub fn must_ring(&mut self) -> bool {
        // ORDERING: behind the last fence of `Board::set`, see there.
        let doze = self.words.load(DOZE);
        let rings = doze % 2 == 1 && doze != self.answered;
        if rings {
            self.answered = doze;
        }
        rings
    }
}

impl<M> fmt::Debug for Ringer<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ringer").field("answered", &self.answered).finish_non_exhaustive()
    }
}
