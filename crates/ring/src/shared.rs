//! What the channels with shared senders have in common: the ring, who holds it, and its ports.

use crate::error::{SendError, TryRecvError, TrySendError};
use crate::front::{Measure, Pop, Push, Side};
use crate::mpmc::array::Array;
use crate::stats::Stats;
use crate::sync::{AtomicUsize, Ordering};
use crate::wait::{Wait, Waiters};

/// A ring, and how many hold each end of it.
pub(crate) struct Shared<T> {
    pub(crate) array: Array<T>,
    senders: AtomicUsize,
    receivers: AtomicUsize,
}

impl<T> Shared<T> {
    /// One sender, one receiver.
    pub(crate) fn new(capacity: usize) -> Shared<T> {
        let (senders, receivers) = (AtomicUsize::new(1), AtomicUsize::new(1));
        Shared { array: Array::new(capacity), senders, receivers }
    }

    pub(crate) fn add_sender(&self) {
        // ORDERING: relaxed, as for any reference count: the caller holds one already.
        self.senders.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn add_receiver(&self) {
        self.receivers.fetch_add(1, Ordering::Relaxed);
    }

    /// The last one closes.
    pub(crate) fn remove_sender(&self) {
        // ORDERING: acquire and release: what the others sent comes before the close.
        if self.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.array.close();
        }
    }

    /// The last one closes, and drops what nobody will receive.
    pub(crate) fn remove_receiver(&self) {
        // ORDERING: acquire and release: the others have received before the rest is dropped.
        if self.receivers.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.array.close();
            self.array.drain();
        }
    }
}

/// A sender at work.
pub(crate) struct SenderPort<'a, T> {
    pub(crate) array: &'a Array<T>,
    pub(crate) wait: Wait,
}

/// A receiver at work. `SOLE`: there is no other.
pub(crate) struct ReceiverPort<'a, T, const SOLE: bool> {
    pub(crate) array: &'a Array<T>,
    pub(crate) wait: Wait,
}

impl<T> Side for SenderPort<'_, T> {
    #[inline(always)]
    fn waiters(&self) -> &Waiters {
        &self.array.space
    }

    fn position(&self) -> usize {
        self.array.tail()
    }

    fn backlog(&self) -> usize {
        self.array.room()
    }

    fn wait(&self) -> Wait {
        self.wait
    }
}

impl<T> Push for SenderPort<'_, T> {
    type Item = T;

    #[inline(always)]
    fn try_push(&mut self, message: T) -> Result<(), TrySendError<T>> {
        self.array.try_push(message)
    }

    fn push_many<I: Iterator<Item = T>>(
        &mut self,
        messages: &mut I,
        held: &mut Option<T>,
    ) -> Result<usize, SendError<T>> {
        let mut sent = 0;
        for message in messages {
            match self.array.try_push(message) {
                Ok(()) => sent += 1,
                Err(TrySendError::Closed(message)) => return Err(SendError(message)),
                Err(TrySendError::Full(message)) => {
                    *held = Some(message);
                    break;
                }
            }
        }
        Ok(sent)
    }
}

impl<T, const SOLE: bool> Side for ReceiverPort<'_, T, SOLE> {
    #[inline(always)]
    fn waiters(&self) -> &Waiters {
        &self.array.items
    }

    fn position(&self) -> usize {
        self.array.head()
    }

    fn backlog(&self) -> usize {
        self.array.len()
    }

    fn wait(&self) -> Wait {
        self.wait
    }
}

impl<T, const SOLE: bool> Pop for ReceiverPort<'_, T, SOLE> {
    type Item = T;

    #[inline(always)]
    fn try_pop(&mut self) -> Result<T, TryRecvError> {
        self.array.try_pop::<SOLE>()
    }

    fn pop_many(&mut self, into: &mut Vec<T>, max: usize) -> Result<usize, TryRecvError> {
        self.array.pop_many::<SOLE>(into, max)
    }

    fn is_ready(&self) -> bool {
        self.array.is_ready()
    }
}

impl<T> Measure for &Shared<T> {
    fn len(&self) -> usize {
        self.array.len()
    }

    fn capacity(&self) -> Option<usize> {
        Some(self.array.capacity())
    }

    fn is_closed(&self) -> bool {
        self.array.is_closed()
    }

    fn stats(&self) -> Stats {
        let mut stats = Stats::default();
        self.array.count(&mut stats);
        stats
    }
}
