//! Many senders, many receivers, and no bound: sending never waits.
//!
//! ```
//! use chaski_ring::unbounded;
//!
//! let (tx, rx) = unbounded::channel();
//! tx.send_all(0..1000).unwrap();
//! tx.send(1000).unwrap();
//! drop(tx);
//! assert_eq!(rx.iter().sum::<u32>(), 500_500);
//! ```
//!
//! A channel without a bound hides a receiver that is too slow until memory is gone. It is right
//! where the number of messages is bounded by something else, or where a sender must not wait: in a
//! `Drop`, under a lock, towards one's own thread. What a burst took goes back to the allocator as
//! it is received, in blocks of 31 messages; an empty channel holds one or two.

mod list;

use crate::error::{SendError, TryRecvError, TrySendError};
use crate::front::{Measure, Pop, Side, end_methods, receiver_methods};
use crate::stats::Stats;
use crate::sync::{Arc, AtomicUsize, Ordering};
use crate::wait::{Wait, Waiters};
use list::List;

/// A channel of any number of senders and receivers that is never full.
///
/// Messages are received in the order in which they were sent, each by one receiver.
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let (senders, receivers) = (AtomicUsize::new(1), AtomicUsize::new(1));
    let shared = Arc::new(Shared { list: List::new(), senders, receivers });
    let sender = Sender { shared: Arc::clone(&shared) };
    (sender, Receiver { shared, wait: Wait::default() })
}

/// A sending end of [`channel`]. Clone it for another thread, or share it.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

/// A receiving end of [`channel`]. Clone it for another thread, or share it.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    wait: Wait,
}

/// A list, and how many hold each end of it.
struct Shared<T> {
    list: List<T>,
    senders: AtomicUsize,
    receivers: AtomicUsize,
}

impl<T> Sender<T> {
    /// Sends. Never waits for a receiver.
    ///
    /// # Errors
    /// The message comes back if nobody will receive it.
    #[inline]
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        self.shared.list.push(message).map_err(SendError)
    }

    /// Sends, as [`Sender::send`]; for code that is written for channels with a bound.
    ///
    /// # Errors
    /// The message comes back: `Closed`, if nobody will receive it. Never `Full`.
    #[inline]
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        self.shared.list.push(message).map_err(TrySendError::Closed)
    }

    /// Sends all of `messages`, and wakes those who wait for them when all are there. Returns how
    /// many were sent.
    ///
    /// # Errors
    /// The first message that nobody will receive comes back. Those behind it are still in the
    /// iterator, if it was passed by reference.
    pub fn send_all<I: IntoIterator<Item = T>>(&self, messages: I) -> Result<usize, SendError<T>> {
        let mut batch = Batch { list: &self.shared.list, count: 0 };
        for message in messages {
            batch.list.push_quietly(message).map_err(SendError)?;
            batch.count += 1;
        }
        Ok(batch.count)
    }

    /// Refuses what is sent from now on, by this and every other end. What was sent before can
    /// still be received.
    pub fn close(&self) {
        self.shared.list.close();
    }

    /// Messages sent and not yet received. By the time it is known it may have changed.
    pub fn len(&self) -> usize {
        self.shared.list.len()
    }

    /// Whether there is no message now.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `None`: there is no bound.
    pub fn capacity(&self) -> Option<usize> {
        None
    }

    /// Whether sending is in vain: no receiver is left, or the channel was closed.
    pub fn is_closed(&self) -> bool {
        self.shared.list.is_closed()
    }

    /// What the channel counted so far.
    pub fn stats(&self) -> Stats {
        (&*self.shared).stats()
    }
}

impl<T> Receiver<T> {
    receiver_methods!(self, &);
    end_methods!(self);

    /// Refuses what is sent from now on. What was sent before can still be received, by this and
    /// every other end.
    pub fn close(&self) {
        self.shared.list.close();
    }

    fn port(&self) -> Port<'_, T> {
        Port { list: &self.shared.list, wait: self.wait }
    }

    fn measured(&self) -> &Shared<T> {
        &self.shared
    }

    fn wait_mut(&mut self) -> &mut Wait {
        &mut self.wait
    }
}

/// Messages sent for whom nobody was woken yet; also if the program's iterator panics.
struct Batch<'a, T> {
    list: &'a List<T>,
    count: usize,
}

impl<T> Drop for Batch<'_, T> {
    fn drop(&mut self) {
        if self.count > 0 {
            self.list.items.notify(self.count);
        }
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        // ORDERING: relaxed, as for any reference count: the caller holds one already.
        self.shared.senders.fetch_add(1, Ordering::Relaxed);
        Sender { shared: Arc::clone(&self.shared) }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        // ORDERING: as above.
        self.shared.receivers.fetch_add(1, Ordering::Relaxed);
        Receiver { shared: Arc::clone(&self.shared), wait: self.wait }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        // ORDERING: acquire and release: what the others sent comes before the close.
        if self.shared.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.list.close();
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        // ORDERING: acquire and release: the others have received before the rest is dropped.
        if self.shared.receivers.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.list.close();
            self.shared.list.drain();
        }
    }
}

crate::front::debug_ends!("unbounded");

/// A receiver at work.
struct Port<'a, T> {
    list: &'a List<T>,
    wait: Wait,
}

impl<T> Side for Port<'_, T> {
    #[inline(always)]
    fn waiters(&self) -> &Waiters {
        &self.list.items
    }

    fn position(&self) -> usize {
        self.list.position()
    }

    fn wait(&self) -> Wait {
        self.wait
    }
}

impl<T> Pop for Port<'_, T> {
    type Item = T;

    #[inline(always)]
    fn try_pop(&mut self) -> Result<T, TryRecvError> {
        self.list.pop()
    }

    fn pop_many(&mut self, into: &mut Vec<T>, max: usize) -> Result<usize, TryRecvError> {
        self.list.pop_many(into, max)
    }

    fn is_ready(&self) -> bool {
        self.list.is_ready()
    }
}

impl<T> Measure for &Shared<T> {
    fn len(&self) -> usize {
        self.list.len()
    }

    fn capacity(&self) -> Option<usize> {
        None
    }

    fn is_closed(&self) -> bool {
        self.list.is_closed()
    }

    fn stats(&self) -> Stats {
        let mut stats = Stats::default();
        self.list.count(&mut stats);
        stats
    }
}
