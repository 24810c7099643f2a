//! The receiving end of a ring.

use super::publication::Publication;
use super::ring::Ring;
use crate::error::TryRecvError;
use crate::front::{Pop, Side};
use crate::sync::{Arc, Ordering, lock};
use crate::wait::{Wait, Waiters};

/// The receiving end.
pub(crate) struct Rx<T, P: Publication<T>> {
    ring: Arc<Ring<T, P>>,
    items: Arc<Waiters>,
    head: usize,
    index: usize,
    /// What `released` says.
    released: usize,
    /// What is known of the producer's tail, see [`Publication::is_published`].
    seen: usize,
    /// Where this end closed.
    cut: Option<usize>,
    pub(crate) wait: Wait,
}

// SAFETY: as for the sending end: one thread's at a time, and messages pass to it.
unsafe impl<T: Send, P: Publication<T>> Send for Rx<T, P> {}
// SAFETY: a shared end lets one look at counters and at whether a message is there, never at one.
unsafe impl<T: Send, P: Publication<T>> Sync for Rx<T, P> {}

impl<T, P: Publication<T>> Rx<T, P> {
    pub(super) fn new(ring: Arc<Ring<T, P>>, items: Arc<Waiters>) -> Rx<T, P> {
        let wait = Wait::default();
        Rx { ring, items, head: 0, index: 0, released: 0, seen: 0, cut: None, wait }
    }

    pub(crate) fn ring(&self) -> &Arc<Ring<T, P>> {
        &self.ring
    }

    pub(crate) fn items(&self) -> &Arc<Waiters> {
        &self.items
    }

    /// Whether the slot at the head may be read.
    #[inline(always)]
    fn is_published(&mut self) -> bool {
        if self.cut == Some(self.head) {
            return false;
        }
        // SAFETY: the index is below the count.
        let slot = unsafe { self.ring.slots.at(self.index) };
        P::is_published(slot, &self.ring.producer.tail, self.head, &mut self.seen)
    }

    /// # Safety
    /// The slot at the head is published and before the cut.
    #[inline(always)]
    unsafe fn take(&mut self) -> T {
        // SAFETY: the index is below the count; the slot was published and is not read again.
        let message = unsafe { P::room(self.ring.slots.at(self.index)).take() };
        self.head = self.head.wrapping_add(1);
        self.index = self.ring.after(self.index);
        message
    }

    /// Nothing was there. Ok: there is now.
    #[inline(never)]
    fn why_none(&mut self) -> Result<(), TryRecvError> {
        if self.cut == Some(self.head) {
            return Err(TryRecvError::Closed);
        }
        if !self.ring.space.is_closed() {
            return Err(TryRecvError::Empty);
        }
        // The sender is gone, and whatever it sent before it went is visible now.
        if self.is_published() { Ok(()) } else { Err(TryRecvError::Closed) }
    }

    /// Shows the room of what was taken, if it is much.
    #[inline(always)]
    fn release_some(&mut self) {
        if self.head.wrapping_sub(self.released) >= self.ring.quantum {
            self.release();
        }
    }

    /// Shows the room of all that was taken.
    #[inline(never)]
    pub(crate) fn release(&mut self) {
        if self.released == self.head {
            return;
        }
        let freed = self.head.wrapping_sub(self.released);
        self.released = self.head;
        // ORDERING: release, pairs with the load of `refresh`.
        self.ring.consumer.released.store(self.head, Ordering::Release);
        self.ring.space.notify(freed);
        self.items.awake_at(self.head);
    }

    /// Refuses what is sent from now on; what was sent before can still be received.
    pub(crate) fn close(&mut self) {
        if self.cut.is_some() {
            return;
        }
        self.items.close();
        self.find_cut();
        self.ring.space.wake(usize::MAX);
    }

    /// Where the producer had come when `items` was closed. Whoever shares `items` between rings
    /// closes them itself.
    pub(crate) fn find_cut(&mut self) {
        let mut cut = lock(&self.ring.cut);
        let (mut position, mut index) = (self.head, self.index);
        // SAFETY: the index is below the count.
        while P::is_published(
            unsafe { self.ring.slots.at(index) },
            &self.ring.producer.tail,
            position,
            &mut self.seen,
        ) {
            position = position.wrapping_add(1);
            index = self.ring.after(index);
        }
        *cut = Some(position);
        self.cut = Some(position);
    }

    /// Drops everything that was sent; goes on if a message's drop panics.
    pub(crate) fn drain(&mut self) {
        struct Rest<'a, T, P: Publication<T>>(&'a mut Rx<T, P>);
        impl<T, P: Publication<T>> Drop for Rest<'_, T, P> {
            fn drop(&mut self) {
                while self.0.try_pop().is_ok() {}
            }
        }
        let rest = Rest(self);
        while let Ok(message) = rest.0.try_pop() {
            drop(message);
        }
    }
}

impl<T, P: Publication<T>> Pop for Rx<T, P> {
    type Item = T;

    #[inline(always)]
    fn try_pop(&mut self) -> Result<T, TryRecvError> {
        if !self.is_published() {
            self.why_none()?;
        }
        // SAFETY: published and before the cut, so it is this end's; the head moves past it.
        let message = unsafe { self.take() };
        self.ring.received.store(self.head, Ordering::Relaxed);
        self.release_some();
        Ok(message)
    }

    fn pop_many(&mut self, into: &mut Vec<T>, max: usize) -> Result<usize, TryRecvError> {
        if max == 0 {
            return Ok(0);
        }
        if !self.is_published() {
            self.why_none()?;
        }
        let mut count = 0;
        while count < max && self.is_published() {
            if into.len() == into.capacity() {
                into.reserve((max - count).min(self.ring.quantum));
            }
            // SAFETY: published and before the cut.
            into.push(unsafe { self.take() });
            count += 1;
            self.release_some();
        }
        self.ring.received.store(self.head, Ordering::Relaxed);
        Ok(count)
    }

    fn is_ready(&self) -> bool {
        if self.cut == Some(self.head) || self.ring.space.is_closed() {
            return true;
        }
        // SAFETY: the index is below the count.
        let slot = unsafe { self.ring.slots.at(self.index) };
        P::is_published(slot, &self.ring.producer.tail, self.head, &mut self.seen.clone())
    }
}

impl<T, P: Publication<T>> Side for Rx<T, P> {
    #[inline(always)]
    fn waiters(&self) -> &Waiters {
        &self.items
    }

    fn position(&self) -> usize {
        self.head
    }

    fn wait(&self) -> Wait {
        self.wait
    }

    fn settle(&mut self) {
        self.release();
    }
}
