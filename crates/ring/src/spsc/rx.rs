//! The receiving end of a ring of slices. One message is a batch of one.

use std::ptr;

use super::ring::Ring;
use super::slip::Slip;
use super::tx::drop_parts;
use crate::error::TryRecvError;
use crate::front::{Measure, Pop, Side};
use crate::stats::Stats;
use crate::sync::{Arc, Ordering, lock};
use crate::wait::{Wait, Waiters};

/// The receiving end.
pub(crate) struct Rx<T> {
    ring: Arc<Ring<T>>,
    head: usize,
    index: usize,
    /// What `released` says.
    released: usize,
    /// The newest tail this end has seen; the cut, once it has closed.
    seen: usize,
    closed: bool,
    slip: Slip,
    pub(crate) wait: Wait,
}

impl<T> Rx<T> {
    pub(super) fn new(ring: Arc<Ring<T>>) -> Rx<T> {
        let wait = Wait::default();
        Rx {
            ring,
            head: 0,
            index: 0,
            released: 0,
            seen: 0,
            closed: false,
            slip: Slip::default(),
            wait,
        }
    }

    /// How many messages there are, as far as is known. If none are known, the producer's line is
    /// looked at.
    #[inline(always)]
    pub(super) fn look(&mut self) -> Result<usize, TryRecvError> {
        match self.seen.wrapping_sub(self.head) {
            0 => self.refresh(),
            known => Ok(known),
        }
    }

    #[inline(always)]
    fn refresh(&mut self) -> Result<usize, TryRecvError> {
        if self.closed {
            return Err(TryRecvError::Closed);
        }
        if let Some(unread) = self.look_at_the_tail() {
            return Ok(unread);
        }
        if !self.ring.space.is_closed() {
            // Messages moved out by an iterator that was forgotten are shown here.
            self.show();
            return Err(TryRecvError::Empty);
        }
        // The sender is gone, and whatever it sent before it went is visible now.
        self.look_at_the_tail().ok_or(TryRecvError::Closed)
    }

    #[inline(always)]
    fn look_at_the_tail(&mut self) -> Option<usize> {
        (self.seen, self.slip) = self.ring.look_for_messages(self.head, self.slip);
        let unread = self.seen.wrapping_sub(self.head);
        (unread > 0).then_some(unread)
    }

    /// `count` slots from the head on.
    #[inline(always)]
    pub(super) fn parts(&self, count: usize) -> [(*mut T, usize); 2] {
        self.ring.parts(self.index, count)
    }

    /// Goes past `count` messages, whose slots may be written again once that is shown.
    ///
    /// # Safety
    /// They are unread and known, and were moved out or dropped, or are so before the next call
    /// that shows room.
    #[inline(always)]
    pub(super) unsafe fn pass(&mut self, count: usize) {
        debug_assert!(count <= self.seen.wrapping_sub(self.head));
        self.ring.taken(self.index, count);
        self.head = self.head.wrapping_add(count);
        self.index = self.ring.after(self.index, count);
    }

    /// Shows how far this end has come: to statistics, and to the sender, if there is much room.
    #[inline(always)]
    pub(super) fn show(&mut self) {
        self.ring.received.store(self.head, Ordering::Relaxed);
        if self.head.wrapping_sub(self.released) >= self.ring.quantum {
            self.release();
        }
    }

    /// Shows the room of all that was taken.
    #[inline(always)]
    fn release(&mut self) {
        self.ring.release(self.released, self.head);
        self.released = self.head;
    }

    /// Moves the next message out.
    ///
    /// # Safety
    /// There is one, and it is known.
    #[inline(always)]
    pub(super) unsafe fn take(&mut self) -> T {
        // SAFETY: published and unread, so it is initialised and ours; the head moves past it.
        unsafe {
            let message = self.ring.slot(self.index).read();
            self.pass(1);
            message
        }
    }

    /// Drops the next `count` messages; all of them, also if the drop of one panics.
    ///
    /// # Safety
    /// There are so many, and they are known.
    pub(super) unsafe fn drop_next(&mut self, count: usize) {
        struct Passed<'a, T>(&'a mut Rx<T>, usize);
        impl<T> Drop for Passed<'_, T> {
            fn drop(&mut self) {
                // SAFETY: dropped, by the time that this guard is.
                unsafe { self.0.pass(self.1) };
                self.0.show();
            }
        }
        let passed = Passed(self, count);
        // SAFETY: published and unread, so they are initialised and ours; the guard moves the head
        // past them whatever happens.
        unsafe { drop_parts(passed.0.parts(count)) };
    }

    /// Refuses what is sent from now on; what was sent before can still be received.
    pub(crate) fn close(&mut self) {
        if self.closed {
            return;
        }
        self.ring.items.close();
        self.find_cut();
        self.ring.space.wake(usize::MAX);
    }

    /// Where the producer had come when `items` was closed. Whoever shares `items` between rings
    /// closes them itself.
    pub(crate) fn find_cut(&mut self) {
        let mut cut = lock(&self.ring.cut);
        // ORDERING: acquire, as in `look_at_the_tail`. That the tail is not older than what a
        // producer published without seeing the close is the work of the fence in `close`.
        self.seen = self.ring.producer.tail.load(Ordering::Acquire);
        *cut = Some(self.seen);
        drop(cut);
        self.closed = true;
    }

    pub(crate) fn ring(&self) -> &Arc<Ring<T>> {
        &self.ring
    }

    /// Drops everything that was sent; goes on if a message's drop panics.
    pub(crate) fn drain(&mut self) {
        struct Rest<'a, T>(&'a mut Rx<T>);
        impl<T> Rest<'_, T> {
            fn drop_all(&mut self) {
                while let Ok(count) = self.0.look() {
                    // SAFETY: `look` says so.
                    unsafe { self.0.drop_next(count) };
                }
            }
        }
        impl<T> Drop for Rest<'_, T> {
            fn drop(&mut self) {
                self.drop_all();
            }
        }
        Rest(self).drop_all();
    }
}

impl<T> Side for Rx<T> {
    #[inline(always)]
    fn waiters(&self) -> &Waiters {
        &self.ring.items
    }

    fn position(&self) -> usize {
        self.head
    }

    fn backlog(&self) -> usize {
        // ORDERING: relaxed: an estimate.
        self.ring.producer.tail.load(Ordering::Relaxed).wrapping_sub(self.head)
    }

    fn wait(&self) -> Wait {
        self.wait
    }

    fn settle(&mut self) {
        self.release();
    }
}

impl<T> Pop for Rx<T> {
    type Item = T;

    #[inline(always)]
    fn try_pop(&mut self) -> Result<T, TryRecvError> {
        self.look()?;
        if self.seen.wrapping_sub(self.head) > Ring::<T>::AHEAD {
            self.ring.expect::<false>(self.index);
        }
        // SAFETY: `look` says that there is one.
        let message = unsafe { self.take() };
        self.show();
        Ok(message)
    }

    fn pop_many(&mut self, into: &mut Vec<T>, max: usize) -> Result<usize, TryRecvError> {
        if max == 0 {
            return Ok(0);
        }
        let mut count = 0;
        let mut unread = self.look()?;
        loop {
            let run = unread.min(max - count);
            into.reserve(run);
            for (from, length) in self.parts(run) {
                // SAFETY: published and unread; there is room behind the vector's end, which lies
                // nowhere in the ring; the head moves past them below.
                unsafe {
                    let end = into.as_mut_ptr().add(into.len());
                    ptr::copy_nonoverlapping(from, end, length);
                    into.set_len(into.len() + length);
                }
            }
            // SAFETY: moved out just now.
            unsafe { self.pass(run) };
            self.show();
            count += run;
            if count == max {
                return Ok(count);
            }
            match self.look() {
                Ok(more) => unread = more,
                Err(_) => return Ok(count),
            }
        }
    }

    fn is_ready(&self) -> bool {
        // ORDERING: acquire, as in `look_at_the_tail`.
        self.closed
            || self.seen != self.head
            || self.ring.space.is_closed()
            || self.ring.producer.tail.load(Ordering::Acquire) != self.head
    }
}

impl<T> Measure for &Rx<T> {
    fn len(&self) -> usize {
        self.ring.len()
    }

    fn capacity(&self) -> Option<usize> {
        Some(self.ring.capacity)
    }

    fn is_closed(&self) -> bool {
        self.ring.items.is_closed() || self.ring.space.is_closed()
    }

    fn stats(&self) -> Stats {
        self.ring.stats()
    }
}
