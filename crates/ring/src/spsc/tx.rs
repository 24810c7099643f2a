//! The sending end of a ring.

use super::publication::Publication;
use super::ring::Ring;
use crate::error::{SendError, TrySendError};
use crate::front::{Push, Side};
use crate::sync::{Arc, Ordering, lock};
use crate::wait::{Wait, Waiters};

/// The sending end.
pub(crate) struct Tx<T, P: Publication<T>> {
    ring: Arc<Ring<T, P>>,
    /// The receiver waits here. Closed when the receiver is.
    items: Arc<Waiters>,
    tail: usize,
    index: usize,
    /// The newest `released` this end has seen.
    released: usize,
    pub(crate) wait: Wait,
}

// SAFETY: each end is one thread's at a time (`&mut self`), and moves messages between the two.
unsafe impl<T: Send, P: Publication<T>> Send for Tx<T, P> {}
// SAFETY: a shared end lets one look at counters only.
unsafe impl<T: Send, P: Publication<T>> Sync for Tx<T, P> {}

impl<T, P: Publication<T>> Tx<T, P> {
    pub(super) fn new(ring: Arc<Ring<T, P>>, items: Arc<Waiters>) -> Tx<T, P> {
        Tx { ring, items, tail: 0, index: 0, released: 0, wait: Wait::default() }
    }

    pub(crate) fn ring(&self) -> &Arc<Ring<T, P>> {
        &self.ring
    }

    pub(crate) fn items(&self) -> &Arc<Waiters> {
        &self.items
    }

    #[inline(always)]
    pub(crate) fn is_closed(&self) -> bool {
        self.items.is_closed()
    }

    /// Free slots, as far as known; if none are known, the consumer's line is looked at.
    #[inline(always)]
    fn room(&mut self) -> usize {
        let room = self.known_room();
        if room > 0 { room } else { self.refresh() }
    }

    #[inline(always)]
    fn known_room(&self) -> usize {
        self.ring.slots.count() - self.tail.wrapping_sub(self.released)
    }

    #[cold]
    #[inline(never)]
    fn refresh(&mut self) -> usize {
        // ORDERING: acquire, pairs with the store of `release`: the consumer is done with the slots
        // before `released`.
        self.released = self.ring.consumer.released.load(Ordering::Acquire);
        let depth = self.tail.wrapping_sub(self.released);
        let producer = &self.ring.producer;
        if depth > producer.high_water.load(Ordering::Relaxed) {
            producer.high_water.store(depth, Ordering::Relaxed);
        }
        self.ring.space.awake_at(self.tail);
        let room = self.known_room();
        if room == 0 {
            let stalls = producer.full_stalls.load(Ordering::Relaxed);
            producer.full_stalls.store(stalls + 1, Ordering::Relaxed);
        }
        room
    }

    /// # Safety
    /// The slot at the tail is free.
    #[inline(always)]
    unsafe fn put(&self, message: T) {
        // SAFETY: the index is below the count, and the slot is free: nobody else looks at it.
        unsafe { P::room(self.ring.slots.at(self.index)).put(message) };
    }

    /// Publishes the slot at this end's index, whose position is `position`.
    #[inline(always)]
    fn publish(&self, position: usize) {
        // SAFETY: the index is below the count.
        let slot = unsafe { self.ring.slots.at(self.index) };
        P::publish(slot, &self.ring.producer.tail, position);
    }

    /// The receiver closed. If it did before it saw the last `count` messages, they come back: the
    /// first as the error; the others, there are none but in a batch, are dropped.
    #[cold]
    fn take_back(&mut self, count: usize) -> Result<(), T> {
        let cut = *lock(&self.ring.cut);
        // Not cut yet: the closer will look after it has this lock, and see what was published.
        let Some(cut) = cut else { return Ok(()) };
        let behind = self.tail.wrapping_sub(cut);
        let first = self.tail.wrapping_sub(count);
        if behind == 0 || behind > self.ring.slots.count() {
            return Ok(());
        }
        let mut back = None;
        for _ in 0..behind.min(count) {
            self.tail = self.tail.wrapping_sub(1);
            self.index = self.index.checked_sub(1).unwrap_or(self.ring.slots.count() - 1);
            // SAFETY: behind the cut the consumer reads nothing, and this end wrote it just now.
            back = Some(unsafe { P::room(self.ring.slots.at(self.index)).take() });
        }
        debug_assert!(self.tail.wrapping_sub(first) <= count);
        self.ring.producer.tail.store(self.tail, Ordering::Relaxed);
        back.map_or(Ok(()), Err)
    }

    /// No more will be sent.
    pub(crate) fn close(&mut self) {
        self.ring.space.close();
        self.items.notify(usize::MAX);
    }
}

impl<T, P: Publication<T>> Side for Tx<T, P> {
    #[inline(always)]
    fn waiters(&self) -> &Waiters {
        &self.ring.space
    }

    fn position(&self) -> usize {
        self.tail
    }

    fn wait(&self) -> Wait {
        self.wait
    }
}

impl<T, P: Publication<T>> Push for Tx<T, P> {
    type Item = T;

    #[inline(always)]
    fn try_push(&mut self, message: T) -> Result<(), TrySendError<T>> {
        if self.items.is_closed() {
            return Err(TrySendError::Closed(message));
        }
        if self.room() == 0 {
            return Err(TrySendError::Full(message));
        }
        // SAFETY: `room` says that the slot at the tail is free, and only this end writes slots.
        unsafe { self.put(message) };
        self.publish(self.tail);
        self.tail = self.tail.wrapping_add(1);
        self.index = self.ring.after(self.index);
        if self.items.notify(1) { self.take_back(1).map_err(TrySendError::Closed) } else { Ok(()) }
    }

    fn push_many<I: Iterator<Item = T>>(
        &mut self,
        messages: &mut I,
        _held: &mut Option<T>,
    ) -> Result<usize, SendError<T>> {
        if self.items.is_closed() {
            return match messages.next() {
                Some(message) => Err(SendError(message)),
                None => Ok(0),
            };
        }
        let mut batch = Batch { room: self.room(), tx: self, count: 0 };
        batch.fill(messages);
        let count = batch.count;
        let closed = batch.finish();
        drop(batch);
        if closed {
            self.take_back(count).map_err(SendError)?;
        }
        Ok(count)
    }
}

/// Messages written and not yet published: the first is published last, so that the consumer, which
/// goes by order, sees all or none.
struct Batch<'a, T, P: Publication<T>> {
    tx: &'a mut Tx<T, P>,
    room: usize,
    count: usize,
}

impl<T, P: Publication<T>> Batch<'_, T, P> {
    fn fill<I: Iterator<Item = T>>(&mut self, messages: &mut I) {
        while self.count < self.room {
            // The program's code: if it panics, the drop publishes what was written before.
            let Some(message) = messages.next() else { return };
            // SAFETY: `room` slots are free from the tail on.
            unsafe { self.tx.put(message) };
            self.tx.index = self.tx.ring.after(self.tx.index);
            self.count += 1;
        }
    }
}

impl<T, P: Publication<T>> Batch<'_, T, P> {
    /// Publishes what was written. True: the receiver has closed.
    fn finish(&mut self) -> bool {
        let count = std::mem::take(&mut self.count);
        if count == 0 {
            return false;
        }
        let ring = &self.tx.ring;
        let tail = self.tx.tail.wrapping_add(count);
        if P::EACH {
            let (mut position, mut index) = (tail, self.tx.index);
            for _ in 0..count {
                position = position.wrapping_sub(1);
                index = index.checked_sub(1).unwrap_or(ring.slots.count() - 1);
                // SAFETY: the index is below the count.
                P::publish(unsafe { ring.slots.at(index) }, &ring.producer.tail, position);
            }
        }
        ring.producer.tail.store(tail, P::TAIL);
        self.tx.tail = tail;
        self.tx.items.notify(count)
    }
}

impl<T, P: Publication<T>> Drop for Batch<'_, T, P> {
    fn drop(&mut self) {
        self.finish();
    }
}
