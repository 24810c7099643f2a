//! Free room in the ring, written in place.

use std::fmt;
use std::mem::MaybeUninit;
use std::{ptr, slice};

use super::tx::{Tx, drop_parts};
use crate::error::SendError;

/// Free room that the sender has for itself. What is put into it is sent by [`Reserve::commit`],
/// all at once; without a commit it is dropped.
///
/// The room is one slice, or two where it reaches over the end of the ring.
pub struct Reserve<'a, T> {
    tx: &'a mut Tx<T>,
    room: usize,
    /// Initialised, from the beginning on.
    filled: usize,
}

impl<'a, T> Reserve<'a, T> {
    /// `room` slots from the tail on are free.
    pub(super) fn new(tx: &'a mut Tx<T>, room: usize) -> Reserve<'a, T> {
        Reserve { tx, room, filled: 0 }
    }

    /// How many messages it has room for, with those that are in it.
    pub fn capacity(&self) -> usize {
        self.room
    }

    /// How many messages are in it.
    pub fn len(&self) -> usize {
        self.filled
    }

    /// Whether no message is in it.
    pub fn is_empty(&self) -> bool {
        self.filled == 0
    }

    /// Puts one message in.
    ///
    /// # Errors
    /// The message comes back if the reserve is full.
    #[inline]
    pub fn push(&mut self, message: T) -> Result<(), T> {
        if self.filled == self.room {
            return Err(message);
        }
        // SAFETY: within the room, and not initialised, so nothing is overwritten.
        unsafe { self.tx.slot(self.filled).write(message) };
        self.filled += 1;
        Ok(())
    }

    /// Puts in as many of `messages` as there is room for. Returns how many; the others stay in the
    /// iterator, if it was passed by reference.
    #[inline]
    pub fn extend_from_iter(&mut self, messages: impl IntoIterator<Item = T>) -> usize {
        let before = self.filled;
        let mut messages = messages.into_iter();
        for (part, length) in self.tx.parts(self.filled, self.room - self.filled) {
            for offset in 0..length {
                // The program's code: if it panics, what is filled is known.
                let Some(message) = messages.next() else { return self.filled - before };
                // SAFETY: within the room, and not initialised.
                unsafe { part.add(offset).write(message) };
                self.filled += 1;
            }
        }
        self.filled - before
    }

    /// Copies as many of `messages` in as there is room for. Returns how many.
    #[inline]
    pub fn copy_from_slice(&mut self, messages: &[T]) -> usize
    where
        T: Copy,
    {
        let count = messages.len().min(self.room - self.filled);
        let [first, second] = self.tx.parts(self.filled, count);
        // SAFETY: the parts are within the room, as long together as what is copied, and the
        // caller's slice cannot lie in them.
        unsafe {
            ptr::copy_nonoverlapping(messages.as_ptr(), first.0, first.1);
            ptr::copy_nonoverlapping(messages.as_ptr().add(first.1), second.0, second.1);
        }
        self.filled += count;
        count
    }

    /// The messages that are in it.
    pub fn filled_mut(&mut self) -> (&mut [T], &mut [T]) {
        let [first, second] = self.tx.parts(0, self.filled);
        // SAFETY: initialised, free, and the slices borrow this reserve.
        unsafe {
            (
                slice::from_raw_parts_mut(first.0, first.1),
                slice::from_raw_parts_mut(second.0, second.1),
            )
        }
    }

    /// The room behind the messages that are in it, to be written in place, from the first slice's
    /// beginning on. [`Reserve::assume_filled`] says how much of it was.
    pub fn unfilled_mut(&mut self) -> (&mut [MaybeUninit<T>], &mut [MaybeUninit<T>]) {
        let [first, second] = self.tx.parts(self.filled, self.room - self.filled);
        // SAFETY: free, uninitialised is allowed here, and the slices borrow this reserve.
        unsafe {
            (
                slice::from_raw_parts_mut(first.0.cast(), first.1),
                slice::from_raw_parts_mut(second.0.cast(), second.1),
            )
        }
    }

    /// Counts `count` more messages as being in it.
    ///
    /// # Safety
    /// The first `count` of [`Reserve::unfilled_mut`] are initialised.
    ///
    /// # Panics
    /// If that is more than there is room for.
    #[inline]
    pub unsafe fn assume_filled(&mut self, count: usize) {
        assert!(count <= self.room - self.filled, "more than the reserve has room for");
        self.filled += count;
    }

    /// Sends what is in it, shown to the receiver at once; room that was not used goes back.
    ///
    /// # Errors
    /// If the receiver closed: the messages that it did not see in time are dropped.
    #[inline]
    pub fn commit(mut self) -> Result<(), SendError<()>> {
        let (tx, back) = self.publish();
        if back == 0 {
            return Ok(());
        }
        // SAFETY: `back` messages were given back and lie from the tail on.
        unsafe { drop_parts(tx.parts(0, back)) };
        Err(SendError(()))
    }

    /// Sends what is in it. If the receiver closed in between: how many came back. They lie from
    /// the tail on, and are the caller's.
    #[inline(always)]
    pub(super) fn publish(&mut self) -> (&mut Tx<T>, usize) {
        let count = std::mem::take(&mut self.filled);
        self.room -= count;
        // SAFETY: within the room, and initialised.
        let back = unsafe { self.tx.publish(count) };
        (self.tx, back)
    }
}

impl<T> Drop for Reserve<'_, T> {
    fn drop(&mut self) {
        // SAFETY: initialised, not published, and this reserve's alone.
        unsafe { drop_parts(self.tx.parts(0, self.filled)) };
    }
}

impl<T> fmt::Debug for Reserve<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reserve").field("capacity", &self.room).field("len", &self.filled).finish()
    }
}
