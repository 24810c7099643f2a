//! The sending end of a ring of slices. One message is a batch of one.

use std::ptr;

use super::reserve::Reserve;
use super::ring::Ring;
use crate::error::{SendError, TrySendError};
use crate::front::{Measure, Push, Side};
use crate::stats::Stats;
use crate::sync::{Arc, Ordering, lock};
use crate::wait::{Wait, Waiters};

/// The sending end.
pub(crate) struct Tx<T> {
    ring: Arc<Ring<T>>,
    tail: usize,
    index: usize,
    /// The newest `released` this end has seen.
    released: usize,
    pub(crate) wait: Wait,
}

impl<T> Tx<T> {
    pub(super) fn new(ring: Arc<Ring<T>>) -> Tx<T> {
        Tx { ring, tail: 0, index: 0, released: 0, wait: Wait::default() }
    }

    /// Free slots: as many as are known, if that is `wanted`; all of them, if not.
    #[inline(always)]
    pub(super) fn room(&mut self, wanted: usize) -> usize {
        if self.known_room() < wanted {
            self.released = self.ring.look_for_room(self.tail);
        }
        self.known_room()
    }

    #[inline(always)]
    fn known_room(&self) -> usize {
        self.ring.count() - self.tail.wrapping_sub(self.released)
    }

    /// Whether sending is in vain.
    #[inline(always)]
    pub(super) fn is_closed(&self) -> bool {
        self.ring.items.is_closed()
    }

    /// Where the slot lies that is `offset` behind the tail.
    #[inline(always)]
    pub(super) fn slot(&self, offset: usize) -> *mut T {
        self.ring.slot(self.ring.after(self.index, offset))
    }

    /// `count` slots from `offset` behind the tail on.
    #[inline(always)]
    pub(super) fn parts(&self, offset: usize, count: usize) -> [(*mut T, usize); 2] {
        self.ring.parts(self.ring.after(self.index, offset), count)
    }

    /// Publishes `count` messages that were written from the tail on. If the receiver closed before
    /// it could see the last of them, returns how many: they lie from the tail on, initialised, and
    /// are the caller's again.
    ///
    /// # Safety
    /// That many slots were free, and are initialised.
    #[inline(always)]
    pub(super) unsafe fn publish(&mut self, count: usize) -> usize {
        if count == 0 {
            return 0;
        }
        self.ring.written(self.index, count);
        self.tail = self.tail.wrapping_add(count);
        self.index = self.ring.after(self.index, count);
        // ORDERING: release, pairs with the load of `Rx::refresh`: everything before is written.
        self.ring.producer.tail.store(self.tail, Ordering::Release);
        // All who wait: it is one receiver, and places of futures that were forgotten.
        if self.ring.items.notify(usize::MAX) { self.take_back(count) } else { 0 }
    }

    /// The receiver closed: of the last `count` messages, those behind its cut are not sent.
    #[cold]
    fn take_back(&mut self, count: usize) -> usize {
        let cut = *lock(&self.ring.cut);
        // Not cut yet: the closer will look after it has this lock, and see what was published.
        let Some(cut) = cut else { return 0 };
        let behind = self.tail.wrapping_sub(cut);
        if behind > self.ring.count() {
            return 0;
        }
        let back = behind.min(count);
        self.tail = self.tail.wrapping_sub(back);
        self.index = self.ring.before(self.index, back);
        self.ring.taken(self.index, back);
        self.ring.producer.tail.store(self.tail, Ordering::Relaxed);
        back
    }

    /// No more will be sent.
    pub(crate) fn close(&mut self) {
        self.ring.space.close();
        self.ring.items.notify(usize::MAX);
    }
}

impl<T> Side for Tx<T> {
    #[inline(always)]
    fn waiters(&self) -> &Waiters {
        &self.ring.space
    }

    fn position(&self) -> usize {
        self.tail
    }

    fn backlog(&self) -> usize {
        // ORDERING: relaxed: an estimate.
        let released = self.ring.consumer.released.load(Ordering::Relaxed);
        self.ring.count() - self.tail.wrapping_sub(released)
    }

    fn wait(&self) -> Wait {
        self.wait
    }
}

impl<T> Push for Tx<T> {
    type Item = T;

    #[inline(always)]
    fn try_push(&mut self, message: T) -> Result<(), TrySendError<T>> {
        if self.is_closed() {
            return Err(TrySendError::Closed(message));
        }
        if self.room(1) == 0 {
            return Err(TrySendError::Full(message));
        }
        self.ring.expect::<true>(self.index);
        // SAFETY: the slot at the tail is free, so nobody else looks at it; then it is initialised.
        let back = unsafe {
            self.slot(0).write(message);
            self.publish(1)
        };
        if back == 0 {
            return Ok(());
        }
        // SAFETY: given back, initialised, at the tail.
        Err(TrySendError::Closed(unsafe { self.slot(0).read() }))
    }

    fn push_many<I: Iterator<Item = T>>(
        &mut self,
        messages: &mut I,
        _held: &mut Option<T>,
    ) -> Result<usize, SendError<T>> {
        if self.is_closed() {
            return messages.next().map_or(Ok(0), |message| Err(SendError(message)));
        }
        let room = self.room(1);
        let mut batch = Batch(Reserve::new(self, room));
        let count = batch.0.extend_from_iter(messages);
        let first = batch.publish();
        first.map_or(Ok(count), |first| Err(SendError(first)))
    }
}

/// Messages of a batch that are shown at its end; also if the program's iterator panics.
struct Batch<'a, T>(Reserve<'a, T>);

impl<T> Batch<'_, T> {
    /// Of those that came back, the first. The others are dropped.
    fn publish(&mut self) -> Option<T> {
        let tx = self.0.publish();
        let (tx, back) = tx;
        if back == 0 {
            return None;
        }
        // SAFETY: `back` messages were given back and lie from the tail on; each is moved or
        // dropped once.
        unsafe {
            let first = tx.slot(0).read();
            drop_parts(tx.parts(1, back - 1));
            Some(first)
        }
    }
}

impl<T> Drop for Batch<'_, T> {
    fn drop(&mut self) {
        drop(self.publish());
    }
}

/// Drops the messages in both parts, those in the second also if one in the first panics.
///
/// # Safety
/// They are initialised, and the caller's alone.
pub(super) unsafe fn drop_parts<T>([first, second]: [(*mut T, usize); 2]) {
    struct Part<T>((*mut T, usize));
    impl<T> Drop for Part<T> {
        fn drop(&mut self) {
            // SAFETY: by the word of the caller of `drop_parts`.
            unsafe { ptr::slice_from_raw_parts_mut(self.0.0, self.0.1).drop_in_place() };
        }
    }
    if std::mem::needs_drop::<T>() {
        let _second = Part(second);
        drop(Part(first));
    }
}

impl<T> Measure for &Tx<T> {
    fn len(&self) -> usize {
        self.ring.len()
    }

    fn capacity(&self) -> Option<usize> {
        Some(self.ring.capacity)
    }

    fn is_closed(&self) -> bool {
        self.ring.items.is_closed()
    }

    fn stats(&self) -> Stats {
        self.ring.stats()
    }
}
