//! A slot that one sender writes and any number of receivers clone from.
//!
//! ```text
//!   word   | stamp: one more than the position, 43 bits | WRITING | readers: 20 bits |
//! ```
//!
//! A reader pins the slot: it adds one to the word, and what the word was before tells whether the
//! message it wants is there and whole. A writer sets WRITING, which turns new readers away, waits
//! for those inside, replaces the message, and shows the new stamp. So a clone is never of a torn
//! or half-dropped message, readers do not exclude each other, and a writer waits for a reader only
//! while that clones the very message that is overwritten, a whole lap behind.
//!
//! Where no slot is overwritten before all have read it ([`super::Lag::Block`]) nobody pins: the
//! stamp alone says that the message is there, and the receiver's cursor, shown after the clone,
//! that it may be replaced.

use crate::sync::{AtomicU64, Ordering, pause, yield_now};

const WRITING: u64 = 1 << 20;
const READERS: u64 = WRITING - 1;
const STAMP_SHIFT: u32 = 21;

/// Looks at a slot before the core is given away to whoever is in it.
const PAUSES: u32 = 64;

pub(super) struct Slot<T> {
    word: AtomicU64,
    message: Cell<T>,
}

// SAFETY: the message is moved in and out by whoever has the slot alone.
unsafe impl<T: Send> Send for Slot<T> {}
// SAFETY: as above, and readers on several threads look at the message at once.
unsafe impl<T: Send + Sync> Sync for Slot<T> {}

/// One reader inside; dropped, also by a panic in a clone, it is outside.
struct Pin<'a>(&'a AtomicU64);

impl Drop for Pin<'_> {
    fn drop(&mut self) {
        // ORDERING: release, pairs with the acquire in `write`: the clone is made.
        self.0.fetch_sub(1, Ordering::Release);
    }
}

fn stamp(position: usize) -> u64 {
    (position as u64).wrapping_add(1) << STAMP_SHIFT
}

impl<T> Slot<T> {
    pub(super) fn new() -> Slot<T> {
        Slot { word: AtomicU64::new(0), message: Cell::new() }
    }

    /// Whether the message at `position` is here.
    #[inline(always)]
    pub(super) fn holds(&self, position: usize) -> bool {
        // ORDERING: acquire, pairs with the release of `write`: the message is written.
        self.word.load(Ordering::Acquire) & !READERS == stamp(position)
    }

    /// A clone of the message at `position`, if it is here. Nobody overwrites it meanwhile.
    ///
    /// # Safety
    /// The slot is not written to while this runs, if it holds that message.
    #[inline(always)]
    pub(super) unsafe fn read(&self, position: usize) -> Option<T>
    where
        T: Clone,
    {
        // SAFETY: the message is whole, and stays so by the caller's word.
        self.holds(position).then(|| unsafe { self.message.clone_out() })
    }

    /// A clone of the message at `position`, if it is here, against writers.
    #[inline(always)]
    pub(super) fn read_pinned(&self, position: usize) -> Option<T>
    where
        T: Clone,
    {
        // A look first: it leaves the line shared.
        if !self.holds(position) {
            return None;
        }
        // ORDERING: acquire, as in `holds`. The add is before the writer's WRITING in the order of
        // changes of this word, and then the writer waits, or after it, and then it is seen here.
        let before = self.word.fetch_add(1, Ordering::Acquire);
        let _pin = Pin(&self.word);
        // SAFETY: the message is whole, and pinned.
        (before & !READERS == stamp(position)).then(|| unsafe { self.message.clone_out() })
    }

    /// Puts the message at `position` here and gives the one that was here.
    ///
    /// # Safety
    /// Nobody else writes, and nobody reads but by [`Slot::read_pinned`].
    pub(super) unsafe fn write_pinned(&self, position: usize, message: T) -> Option<T> {
        // ORDERING: see `read_pinned`.
        let mut word = self.word.fetch_or(WRITING, Ordering::Acquire);
        let mut pauses = 0;
        while word & READERS != 0 {
            pauses += 1;
            if pauses < PAUSES {
                pause()
            } else {
                yield_now()
            }
            // ORDERING: acquire, pairs with the release of the pin: the clones are made.
            word = self.word.load(Ordering::Acquire);
        }
        // SAFETY: readers are outside, and WRITING keeps them there.
        let old = unsafe { self.message.replace(message) };
        // Readers that come in vain add to the word all the while, so the change is an addition.
        let change = stamp(position).wrapping_sub((word | WRITING) & !READERS);
        // ORDERING: release, pairs with the acquire of `holds` and `read_pinned`.
        self.word.fetch_add(change, Ordering::Release);
        old
    }

    /// Puts the message at `position` here and gives the one that was here.
    ///
    /// # Safety
    /// Nobody else writes, and nobody reads a message that is here now.
    pub(super) unsafe fn write(&self, position: usize, message: T) -> Option<T> {
        // SAFETY: alone with it, by the caller's word.
        let old = unsafe { self.message.replace(message) };
        // ORDERING: release, pairs with the acquire of `holds`.
        self.word.store(stamp(position), Ordering::Release);
        old
    }

    /// Takes the message out; the slot goes on claiming to hold it.
    ///
    /// # Safety
    /// Nobody else writes, and nobody will ever read what is here now.
    pub(super) unsafe fn clear(&self) -> Option<T> {
        // SAFETY: alone with it, by the caller's word.
        unsafe { self.message.take() }
    }
}

/// A message or none, in a cell that loom sees.
struct Cell<T>(
    #[cfg(not(loom))] std::cell::UnsafeCell<Option<T>>,
    #[cfg(loom)] loom::cell::UnsafeCell<Option<T>>,
);

impl<T> Cell<T> {
    fn new() -> Cell<T> {
        #[cfg(not(loom))]
        return Cell(std::cell::UnsafeCell::new(None));
        #[cfg(loom)]
        return Cell(loom::cell::UnsafeCell::new(None));
    }

    /// # Safety
    /// A message is in it, and nobody writes meanwhile.
    #[inline(always)]
    unsafe fn clone_out(&self) -> T
    where
        T: Clone,
    {
        // SAFETY: shared with readers only, by the caller's word.
        #[cfg(not(loom))]
        let message = unsafe { (*self.0.get()).clone() };
        // SAFETY: as above; loom checks it.
        #[cfg(loom)]
        let message = self.0.with(|message| unsafe { (*message).clone() });
        message.expect("a slot that holds a position holds its message")
    }

    /// # Safety
    /// Nobody else has the cell meanwhile.
    unsafe fn replace(&self, message: T) -> Option<T> {
        // SAFETY: alone with it, by the caller's word.
        unsafe { self.exchange(Some(message)) }
    }

    /// # Safety
    /// As for `replace`.
    unsafe fn take(&self) -> Option<T> {
        // SAFETY: alone with it, by the caller's word.
        unsafe { self.exchange(None) }
    }

    unsafe fn exchange(&self, message: Option<T>) -> Option<T> {
        // SAFETY: alone with it, by the word of `replace` and `take`.
        #[cfg(not(loom))]
        return unsafe { std::mem::replace(&mut *self.0.get(), message) };
        // SAFETY: as above; loom checks it.
        #[cfg(loom)]
        return self.0.with_mut(|cell| unsafe { std::mem::replace(&mut *cell, message) });
    }
}
