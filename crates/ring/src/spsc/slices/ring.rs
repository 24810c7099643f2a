//! The memory both ends share: messages side by side, and a cursor each.
//!
//! ```text
//!             released        head                     tail
//!   positions  |----- free ----|------ unread ----------|------ free ------>
//!   slots      | 4 | 5 |   |   |   |   | 0 | 1 | 2 | 3 |      a part up to the end of the row,
//!                                                             and one from its beginning
//! ```
//!
//! A lap of [`crate::spsc::channel`]'s ring without stamps: the producer's tail tells of everything
//! before it (L. Lamport, 1983), so the messages form slices. Room and close are that ring's: room
//! is shown every `quantum` messages, of which there are `quantum - 1` slots more than the
//! capacity; the close is exact by a *cut* that is found under a lock.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;

use crate::padded::Padded;
use crate::slots::Slots;
use crate::stats::Stats;
use crate::sync::{AtomicU64, AtomicUsize, Mutex, Ordering};
use crate::wait::Waiters;

/// What both ends share.
pub(super) struct Ring<T> {
    slots: Slots<UnsafeCell<MaybeUninit<T>>, true>,
    pub(super) capacity: usize,
    /// How many messages the consumer takes before it shows their room.
    pub(super) quantum: usize,
    pub(super) producer: Padded<Producer>,
    pub(super) consumer: Padded<Consumer>,
    /// How far the consumer has come, for statistics: not on the line the producer looks at.
    pub(super) received: Padded<AtomicUsize>,
    /// Where the receiver closed.
    pub(super) cut: Mutex<Option<usize>>,
    /// The receiver waits here for messages. Closed when the receiver is.
    pub(super) items: Waiters,
    /// The sender waits here for room. Closed when the sender is gone.
    pub(super) space: Waiters,
    #[cfg(loom)]
    witness: Witness,
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

// SAFETY: the ring moves messages from one thread to another.
unsafe impl<T: Send> Send for Ring<T> {}
// SAFETY: a slot is in the hands of one end at a time, and the protocol of the cursors passes it
// on; both may not look at the same message.
unsafe impl<T: Send> Sync for Ring<T> {}

impl<T> Ring<T> {
    /// # Panics
    /// If `capacity` is 0 or more than memory can hold.
    pub(super) fn new(capacity: usize) -> Ring<T> {
        assert!(capacity > 0, "a channel has room for at least one message");
        let quantum = (capacity / 8).max(1);
        let count = capacity.checked_add(quantum - 1).expect("a ring larger than memory");
        Ring {
            slots: Slots::new(count, |_| UnsafeCell::new(MaybeUninit::uninit())),
            capacity,
            quantum,
            producer: Padded::default(),
            consumer: Padded::default(),
            received: Padded::default(),
            cut: Mutex::new(None),
            items: Waiters::new(),
            space: Waiters::new(),
            #[cfg(loom)]
            witness: Witness::new(count),
        }
    }

    /// Slots.
    #[inline(always)]
    pub(super) fn count(&self) -> usize {
        self.slots.count()
    }

    /// The index `count` slots behind `index`; `count` is at most that of all slots.
    #[inline(always)]
    pub(super) fn after(&self, index: usize, count: usize) -> usize {
        // Neither exceeds the number of slots, whose bytes an address can count.
        let next = index + count;
        if next < self.count() { next } else { next - self.count() }
    }

    /// The index `count` slots before `index`.
    pub(super) fn before(&self, index: usize, count: usize) -> usize {
        if count <= index { index - count } else { index + self.count() - count }
    }

    /// Where the slot at `index` lies, which is below [`Ring::count`].
    #[inline(always)]
    pub(super) fn slot(&self, index: usize) -> *mut T {
        debug_assert!(index < self.count());
        // An `UnsafeCell` and a `MaybeUninit` lie as what is in them does.
        // SAFETY: below the count by the caller's word.
        unsafe { self.slots.base().cast::<T>().add(index) }
    }

    /// `count` slots from `index` on: up to the end of the row, and from its beginning.
    #[inline(always)]
    pub(super) fn parts(&self, index: usize, count: usize) -> [(*mut T, usize); 2] {
        let first = count.min(self.count() - index);
        [(self.slot(index), first), (self.slot(0), count - first)]
    }

    /// Messages sent and not received, about.
    pub(super) fn len(&self) -> usize {
        let received = self.received.load(Ordering::Relaxed);
        let sent = self.producer.tail.load(Ordering::Relaxed);
        sent.wrapping_sub(received).min(self.count())
    }

    pub(super) fn stats(&self) -> Stats {
        let received = self.received.load(Ordering::Relaxed);
        let sent = self.producer.tail.load(Ordering::Relaxed);
        Stats {
            sent: sent as u64,
            received: received as u64,
            depth: sent.wrapping_sub(received).min(self.count()) as u64,
            full_stalls: self.producer.full_stalls.load(Ordering::Relaxed),
            high_water: self.producer.high_water.load(Ordering::Relaxed) as u64,
            receiver_wakes: self.items.wakes(),
            sender_wakes: self.space.wakes(),
            capacity: self.capacity as u64,
        }
    }

    /// The producer wrote `count` slots from `index` on, and publishes them next.
    #[inline(always)]
    pub(super) fn written(&self, _index: usize, _count: usize) {
        #[cfg(loom)]
        self.witness.written(_index, _count);
    }

    /// An end moved the messages out of `count` slots from `index` on.
    #[inline(always)]
    pub(super) fn taken(&self, _index: usize, _count: usize) {
        #[cfg(loom)]
        self.witness.taken(_index, _count);
    }
}

/// A cell a slot, by which the model checker sees two ends in one slot: it cannot look into the
/// slices themselves.
#[cfg(loom)]
struct Witness(Vec<crate::sync::Room<()>>);

#[cfg(loom)]
impl Witness {
    fn new(count: usize) -> Witness {
        Witness((0..count).map(|_| crate::sync::Room::empty()).collect())
    }

    fn written(&self, index: usize, count: usize) {
        for index in index..index + count {
            // SAFETY: what is put is nothing; that the room is ours alone is what loom checks.
            unsafe { self.0[index % self.0.len()].put(()) };
        }
    }

    fn taken(&self, index: usize, count: usize) {
        for index in index..index + count {
            // SAFETY: what is taken is nothing, which is always there.
            unsafe { self.0[index % self.0.len()].take() };
        }
    }
}
