//! Where one receiver stands, and what it finds there.

use super::Lag;
use super::error::{RecvError, TryRecvError};
use super::ring::{Cursor, Ring};
use crate::error::TryRecvError as Attempted;
use crate::front::{Measure, Pop, Side};
use crate::stats::Stats;
use crate::sync::{Arc, Ordering, pause, yield_now};
use crate::wait::{Wait, Waiters};

/// Looks at a slot that is being written before the core is given away to its writer.
const PAUSES: u32 = 64;

/// The receiving end.
pub(super) struct Rx<T> {
    pub(super) ring: Arc<Ring<T>>,
    cursor: Arc<Cursor>,
    position: usize,
    /// The index of the position.
    index: usize,
    pub(super) wait: Wait,
}

impl<T> Rx<T> {
    /// Behind the newest message.
    pub(super) fn join(ring: Arc<Ring<T>>) -> Rx<T> {
        let start = ring.join();
        let (position, index) = (start.position, start.index);
        Rx { ring, cursor: start.cursor, position, index, wait: Wait::default() }
    }

    /// Where this one stands.
    pub(super) fn split(&self) -> Rx<T> {
        let cursor = self.ring.join_at(self.position);
        let (position, index) = (self.position, self.index);
        Rx { ring: Arc::clone(&self.ring), cursor, position, index, wait: self.wait }
    }

    #[inline]
    pub(super) fn try_recv(&mut self) -> Result<T, TryRecvError>
    where
        T: Clone,
    {
        self.try_next().inspect_err(|error| {
            if let TryRecvError::Lagged(missed) = error {
                self.skip(*missed as usize);
            }
        })
    }

    /// As `try_recv`, but messages that were missed are still to be told of.
    #[inline]
    pub(super) fn try_next(&mut self) -> Result<T, TryRecvError>
    where
        T: Clone,
    {
        let mut pauses = 0;
        loop {
            if let Some(message) = self.look() {
                self.advance();
                return Ok(message);
            }
            self.why_none()?;
            // Its slot is being written over: in a moment it is missed.
            pauses += 1;
            if pauses < PAUSES { pause() } else { yield_now() }
        }
    }

    #[inline(always)]
    fn look(&self) -> Option<T>
    where
        T: Clone,
    {
        // SAFETY: the index is below the count.
        let slot = unsafe { self.ring.slots.at(self.index) };
        match self.ring.lag {
            // SAFETY: senders wait until this receiver's cursor has passed the slot.
            Lag::Block => unsafe { slot.read(self.position) },
            Lag::Overwrite => slot.read_pinned(self.position),
        }
    }

    #[inline(always)]
    fn advance(&mut self) {
        self.position = self.position.wrapping_add(1);
        self.index = self.ring.after(self.index);
        // ORDERING: release, pairs with the load of `Writer::depth`: the clone is made.
        self.cursor.store(self.position, Ordering::Release);
        self.ring.passed(self.position);
    }

    /// Nothing was there. Ok: there is now, or was a moment ago.
    #[inline(never)]
    fn why_none(&self) -> Result<(), TryRecvError> {
        // Closed before the tail is looked at: whatever was published before the close is seen.
        let closed = self.ring.is_closed();
        let behind = self.behind();
        if behind == 0 {
            return Err(if closed { TryRecvError::Closed } else { TryRecvError::Empty });
        }
        if behind <= self.ring.slots.count() {
            return Ok(());
        }
        Err(TryRecvError::Lagged((behind - self.ring.capacity) as u64))
    }

    /// Goes on with the oldest message that is left.
    #[cold]
    fn skip(&mut self, missed: usize) {
        let count = self.ring.slots.count();
        self.position = self.position.wrapping_add(missed);
        self.index = (self.index + missed % count) % count;
        self.cursor.store(self.position, Ordering::Release);
    }

    /// How many messages are published and not received.
    fn behind(&self) -> usize {
        let behind = self.ring.tail().wrapping_sub(self.position);
        // A message may be received a moment before the tail tells of it.
        if behind > usize::MAX / 2 { 0 } else { behind }
    }

    pub(super) fn is_ready(&self) -> bool {
        self.behind() > 0 || self.ring.is_closed()
    }
}

impl<T> Drop for Rx<T> {
    fn drop(&mut self) {
        self.ring.part(&self.cursor);
    }
}

/// Waits until a receive would not be in vain. It takes nothing: the clone, which is the program's
/// code and may panic, is made where nobody is registered.
pub(super) struct Arrival<'a, T>(pub(super) &'a Rx<T>);

impl<T> Side for Arrival<'_, T> {
    fn waiters(&self) -> &Waiters {
        &self.0.ring.items
    }

    fn position(&self) -> usize {
        self.0.position
    }

    fn wait(&self) -> Wait {
        self.0.wait
    }
}

impl<T> Pop for Arrival<'_, T> {
    type Item = ();

    fn try_pop(&mut self) -> Result<(), Attempted> {
        if self.0.is_ready() { Ok(()) } else { Err(Attempted::Empty) }
    }

    fn pop_many(&mut self, into: &mut Vec<()>, max: usize) -> Result<usize, Attempted> {
        if max > 0 {
            into.push(self.try_pop()?);
        }
        Ok(max.min(1))
    }

    fn is_ready(&self) -> bool {
        self.0.is_ready()
    }
}

impl<T> Measure for &Rx<T> {
    fn len(&self) -> usize {
        self.behind().min(self.ring.slots.count())
    }

    fn capacity(&self) -> Option<usize> {
        Some(self.ring.capacity)
    }

    fn is_closed(&self) -> bool {
        self.ring.is_closed()
    }

    fn stats(&self) -> Stats {
        self.ring.stats()
    }
}

/// The answer of a receive that waited for ever: it is never empty.
pub(super) fn answered<T>(answer: Result<T, TryRecvError>) -> Option<Result<T, RecvError>> {
    match answer {
        Ok(message) => Some(Ok(message)),
        Err(TryRecvError::Lagged(missed)) => Some(Err(RecvError::Lagged(missed))),
        Err(TryRecvError::Closed) => Some(Err(RecvError::Closed)),
        Err(TryRecvError::Empty) => None,
    }
}
