//! Unread messages, read in place.

use std::iter::FusedIterator;
use std::marker::PhantomData;
use std::{fmt, ptr, slice};

use super::rx::Rx;

/// Unread messages, at least one, where they lie in the ring. They stay unread, and come again with
/// the next look, unless they are released or moved out.
///
/// They are one slice, or two where they reach over the end of the ring.
pub struct Peek<'a, T> {
    rx: &'a mut Rx<T>,
    count: usize,
    /// A shared peek lends messages, so threads may share it only if they may share those.
    _lends: PhantomData<&'a mut [T]>,
}

impl<'a, T> Peek<'a, T> {
    /// `count` messages from the head on are unread and known.
    pub(super) fn new(rx: &'a mut Rx<T>, count: usize) -> Peek<'a, T> {
        Peek { rx, count, _lends: PhantomData }
    }

    /// How many messages there are.
    #[allow(clippy::len_without_is_empty, reason = "there is always one")]
    pub fn len(&self) -> usize {
        self.count
    }

    /// The messages, in order.
    #[inline]
    pub fn as_slices(&self) -> (&[T], &[T]) {
        let [first, second] = self.rx.parts(self.count);
        // SAFETY: published and unread, so they are initialised and nobody writes them; the slices
        // borrow this peek, which borrows the only receiver.
        unsafe {
            (slice::from_raw_parts(first.0, first.1), slice::from_raw_parts(second.0, second.1))
        }
    }

    /// The messages, in order, to be changed in place.
    #[inline]
    pub fn as_mut_slices(&mut self) -> (&mut [T], &mut [T]) {
        let [first, second] = self.rx.parts(self.count);
        // SAFETY: as in `as_slices`; and the borrow is exclusive.
        unsafe {
            (
                slice::from_raw_parts_mut(first.0, first.1),
                slice::from_raw_parts_mut(second.0, second.1),
            )
        }
    }

    /// The messages, in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        let (first, second) = self.as_slices();
        first.iter().chain(second)
    }

    /// Drops the first `count` messages and gives their room back. The others stay.
    ///
    /// # Panics
    /// If there are not so many.
    #[inline]
    pub fn release(self, count: usize) {
        assert!(count <= self.count, "more than there are messages");
        // SAFETY: so many are unread and known.
        unsafe { self.rx.drop_next(count) };
    }

    /// Drops the messages and gives their room back.
    #[inline]
    pub fn release_all(self) {
        let count = self.count;
        self.release(count);
    }

    /// Copies as many messages as fit into `into`, and gives their room back. Returns how many. The
    /// others stay.
    #[inline]
    pub fn read_into(self, into: &mut [T]) -> usize
    where
        T: Copy,
    {
        let count = self.count.min(into.len());
        let [first, second] = self.rx.parts(count);
        // SAFETY: published and unread; the parts are as long together as `count`, which fits, and
        // the caller's slice cannot lie in them.
        unsafe {
            ptr::copy_nonoverlapping(first.0, into.as_mut_ptr(), first.1);
            ptr::copy_nonoverlapping(second.0, into.as_mut_ptr().add(first.1), second.1);
        }
        self.release(count);
        count
    }
}

/// Moves the messages out, in order. Those that the iterator was not asked for stay.
impl<'a, T> IntoIterator for Peek<'a, T> {
    type Item = T;
    type IntoIter = Taken<'a, T>;

    fn into_iter(self) -> Taken<'a, T> {
        Taken { rx: self.rx, left: self.count }
    }
}

impl<T> fmt::Debug for Peek<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peek").field("len", &self.count).finish()
    }
}

/// Messages on their way out of a [`Peek`]. Their room goes back when it is dropped.
pub struct Taken<'a, T> {
    rx: &'a mut Rx<T>,
    left: usize,
}

impl<T> Iterator for Taken<'_, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        self.left = self.left.checked_sub(1)?;
        // SAFETY: so many more are unread and known. The head moves at once: a message is not read
        // twice even if this iterator is forgotten.
        Some(unsafe { self.rx.take() })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<T> ExactSizeIterator for Taken<'_, T> {}
impl<T> FusedIterator for Taken<'_, T> {}

impl<T> Drop for Taken<'_, T> {
    fn drop(&mut self) {
        self.rx.show();
    }
}

impl<T> fmt::Debug for Taken<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Taken").field("left", &self.left).finish()
    }
}
