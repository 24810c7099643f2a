//! The ring of one producer and one consumer that every channel of lanes is made of.
//!
//! ```text
//!             released        head                     tail
//!   positions  |----- free ----|------ unread ----------|------ free ------>
//!   producer   knows a copy of released; writes slots and publishes them in order
//!   consumer   reads slots in order; shows its head as `released`, lazily
//! ```
//!
//! Positions count messages from 0 and wrap with `usize`; a slot's index is its position modulo the
//! number of slots, carried beside it. How a slot is published is for [`Publication`] to say.
//!
//! **Room.** The consumer shows its head only every `quantum` messages (an eighth of the capacity)
//! and before it sleeps, so that the producer, which looks when its copy says full, finds much room
//! at once instead of fetching the line for every message. To keep the promise that a full channel
//! holds `capacity` unread messages, there are `quantum - 1` slots more than that.
//!
//! **Close.** The receiver's close is exact: what is sent is received or given back. It says CLOSED,
//! then looks under a lock how far the producer has published: the *cut*. A producer looks for
//! CLOSED after each publish, as it looks for sleepers, so either the closer's look sees its message
//! (before the cut: sent) or the producer sees CLOSED; then it takes the lock, and takes back what
//! lies behind the cut, which the consumer never reads. The sender's close is its drop.
//!
//! How it can fail: a slot read before it is published or written before it is free (loom's cells
//! see both); a message both given back and received, or neither (the torture test counts).

use super::publication::Publication;
use super::rx::Rx;
use super::tx::Tx;
use crate::padded::Padded;
use crate::slots::Slots;
use crate::stats::Stats;
use crate::sync::{Arc, AtomicU64, AtomicUsize, Mutex, Ordering};
use crate::wait::Waiters;

/// What both ends share.
pub(crate) struct Ring<T, P: Publication<T>> {
    pub(super) slots: Slots<P::Slot>,
    pub(super) capacity: usize,
    /// How many messages the consumer takes before it shows their room.
    pub(super) quantum: usize,
    pub(super) producer: Padded<Producer>,
    pub(super) consumer: Padded<Consumer>,
    /// How far the consumer has come, for statistics: not on the line the producer looks at.
    pub(super) received: Padded<AtomicUsize>,
    /// Where the receiver closed.
    pub(super) cut: Mutex<Option<usize>>,
    /// The sender waits here for room. Closed when the sender is gone.
    pub(crate) space: Waiters,
}

/// Written by the producer.
#[derive(Default)]
pub(super) struct Producer {
    /// The position behind the last published message.
    pub(super) tail: AtomicUsize,
    pub(super) full_stalls: AtomicU64,
    pub(super) high_water: AtomicUsize,
}

/// Written by the consumer.
#[derive(Default)]
pub(super) struct Consumer {
    /// Positions before it are free to be written again.
    pub(super) released: AtomicUsize,
}

/// Both ends of a ring for `capacity` messages, whose receiver waits in `items`.
///
/// # Panics
/// If `capacity` is 0 or more than memory can hold.
pub(crate) fn ring<T, P: Publication<T>>(
    capacity: usize,
    items: Arc<Waiters>,
) -> (Tx<T, P>, Rx<T, P>) {
    assert!(capacity > 0, "a channel has room for at least one message");
    let quantum = (capacity / 8).max(1);
    let count = capacity.checked_add(quantum - 1).expect("a ring larger than memory");
    let ring = Arc::new(Ring {
        slots: Slots::new(count, |_| P::slot()),
        capacity,
        quantum,
        producer: Padded::default(),
        consumer: Padded::default(),
        received: Padded::default(),
        cut: Mutex::new(None),
        space: Waiters::new(),
    });
    (Tx::new(Arc::clone(&ring), Arc::clone(&items)), Rx::new(ring, items))
}

impl<T, P: Publication<T>> Ring<T, P> {
    /// The index behind `index`.
    #[inline(always)]
    pub(super) fn after(&self, index: usize) -> usize {
        let next = index + 1;
        if next == self.slots.count() { 0 } else { next }
    }

    /// Adds this ring's counts to `stats`.
    pub(crate) fn count(&self, stats: &mut Stats) {
        let received = self.received.load(Ordering::Relaxed);
        let sent = self.producer.tail.load(Ordering::Relaxed);
        stats.sent += sent as u64;
        stats.received += received as u64;
        stats.depth += sent.wrapping_sub(received).min(self.slots.count()) as u64;
        stats.full_stalls += self.producer.full_stalls.load(Ordering::Relaxed);
        stats.sender_wakes += self.space.wakes();
        stats.high_water += self.producer.high_water.load(Ordering::Relaxed) as u64;
        stats.capacity += self.capacity as u64;
    }

    /// Messages sent and not received, about.
    pub(crate) fn len(&self) -> usize {
        let received = self.received.load(Ordering::Relaxed);
        let sent = self.producer.tail.load(Ordering::Relaxed);
        sent.wrapping_sub(received).min(self.slots.count())
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }
}
