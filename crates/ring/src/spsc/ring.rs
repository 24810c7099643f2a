//! The memory both ends share: messages side by side, and a cursor each.
//!
//! ```text
//!             released        head                     tail
//!   positions  |----- free ----|------ unread ----------|------ free ------>
//!   producer   knows a copy of released; writes slots, then shows them by its tail
//!   consumer   knows a copy of tail; reads slots in order; shows its head as `released`, lazily
//!   slots      | 4 | 5 |   |   |   |   | 0 | 1 | 2 | 3 |      a part up to the end of the row,
//!                                                             and one from its beginning
//! ```
//!
//! L. Lamport's ring (1983) with a private copy of the other's cursor at each end, which is looked
//! at anew only when the copy says stop (P. Lee et al., "MCRingBuffer", IPDPS 2010). Positions
//! count messages from 0 and wrap with `usize`; a slot's index is its position modulo the number of
//! slots, carried beside it.
//!
//! What limits such a ring is not its instructions but the lines that cross the cores. So:
//!
//! - **Room** is shown every `quantum` messages (an eighth of the capacity) and before the consumer
//!   sleeps: a producer without room then finds much at once. To keep the promise that a full
//!   channel holds `capacity` unread messages, there are `quantum - 1` slots more than that.
//! - **Slip**: a consumer close behind its producer waits a moment, see [`super::slip`]: one
//!   message at a time is 30 ns and more if each one takes the tail's line from the producer, and 3
//!   ns if many come with one look.
//! - **Ahead**: both ends ask for the lines of the slots they come to soon, see
//!   [`crate::slots::AHEAD`].
//!
//! A number in each slot instead of the tail (J. Giacomoni et al., "FastForward", PPoPP 2008) would
//! send one line less for a message that comes alone. Measured, the round trip is the same here,
//! and the stream of 56 bytes a message half as fast.
//!
//! **Close.** The receiver's close is exact: what is sent is received or given back. It says
//! CLOSED, then looks under a lock how far the producer has published: the *cut*. A producer looks
//! for CLOSED after each publish, as it looks for sleepers, so either the closer's look sees its
//! message (before the cut: sent) or the producer sees CLOSED; then it takes the lock, and takes
//! back what lies behind the cut, which the consumer never reads. The sender's close is its drop.
//!
//! How it can fail: a slot read before it is published or written before it is free (loom's cells
//! see both); a message both given back and received, or neither (the torture test counts).

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;

use super::rx::Rx;
use super::slip::Slip;
use super::tx::Tx;
use crate::padded::Padded;
use crate::slots::{AHEAD, Slots};
use crate::stats::Stats;
use crate::sync::{self, Arc, AtomicU64, AtomicUsize, Mutex, Ordering};
use crate::wait::{MOMENT, Waiters};

/// What both ends share.
pub(crate) struct Ring<T> {
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
    pub(super) items: Arc<Waiters>,
    /// The receiver waits for this ring alone, so its position is that of `items`.
    sole: bool,
    /// The sender waits here for room. Closed when the sender is gone.
    pub(crate) space: Waiters,
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

/// Both ends of a ring for `capacity` messages, whose receiver waits in `items`. `sole`: for this
/// ring and no other.
///
/// # Panics
/// If `capacity` is 0 or more than memory can hold.
pub(crate) fn ring<T>(capacity: usize, items: Arc<Waiters>, sole: bool) -> (Tx<T>, Rx<T>) {
    let ring = Arc::new(Ring::new(capacity, items, sole));
    (Tx::new(Arc::clone(&ring)), Rx::new(ring))
}

impl<T> Ring<T> {
    /// # Panics
    /// If `capacity` is 0 or more than memory can hold.
    fn new(capacity: usize, items: Arc<Waiters>, sole: bool) -> Ring<T> {
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
            items,
            sole,
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

    /// How many slots ahead that is. A consumer must not ask for a line that the producer is about
    /// to write.
    pub(super) const AHEAD: usize =
        AHEAD / if size_of::<T>() == 0 { 1 } else { size_of::<T>() } + 1;

    /// Asks for the line of a slot that comes soon after `index`, to read or to write.
    #[inline(always)]
    pub(super) fn expect<const WRITE: bool>(&self, index: usize) {
        self.slots.expect::<WRITE>(index);
    }

    /// `count` slots from `index` on: up to the end of the row, and from its beginning.
    #[inline(always)]
    pub(super) fn parts(&self, index: usize, count: usize) -> [(*mut T, usize); 2] {
        let first = count.min(self.count() - index);
        [(self.slot(index), first), (self.slot(0), count - first)]
    }

    /// Producer: how far the consumer has released by now. It asks when its copy of that says full.
    #[cold]
    #[inline(never)]
    pub(super) fn look_for_room(&self, tail: usize) -> usize {
        // ORDERING: acquire, pairs with the store of `release`: the consumer is done with the slots
        // before `released`.
        let released = self.consumer.released.load(Ordering::Acquire);
        let depth = tail.wrapping_sub(released);
        if depth > self.producer.high_water.load(Ordering::Relaxed) {
            self.producer.high_water.store(depth, Ordering::Relaxed);
        }
        self.space.awake_at(|| tail);
        if depth == self.count() {
            let stalls = self.producer.full_stalls.load(Ordering::Relaxed);
            self.producer.full_stalls.store(stalls + 1, Ordering::Relaxed);
        }
        released
    }

    /// Consumer: shows the room of the slots before `head`.
    #[inline(never)]
    pub(super) fn release(&self, released: usize, head: usize) {
        if released != head {
            // ORDERING: release, pairs with the load of `look_for_room`.
            self.consumer.released.store(head, Ordering::Release);
            // All who wait: it is one sender, and places of futures that were forgotten.
            self.space.notify(usize::MAX);
            if self.sole {
                self.items.awake_at(|| head);
            }
        }
    }

    /// Consumer: how far the producer has come. It asks when its copy of that says empty.
    #[inline(never)]
    pub(super) fn look_for_messages(&self, head: usize, mut slip: Slip) -> (usize, Slip) {
        // ORDERING: acquire, pairs with the store of `Tx::publish`: everything before is written.
        let tail = self.producer.tail.load(Ordering::Acquire);
        if !slip.is_due(tail.wrapping_sub(head)) {
            return (tail, slip);
        }
        sync::pause_for(MOMENT);
        let later = self.producer.tail.load(Ordering::Acquire);
        slip.gave(later.wrapping_sub(tail));
        (later, slip)
    }

    /// Messages sent and not received, about.
    pub(crate) fn len(&self) -> usize {
        let received = self.received.load(Ordering::Relaxed);
        let sent = self.producer.tail.load(Ordering::Relaxed);
        sent.wrapping_sub(received).min(self.count())
    }

    /// Adds this ring's counts to `stats`.
    pub(crate) fn count_into(&self, stats: &mut Stats) {
        let received = self.received.load(Ordering::Relaxed);
        let sent = self.producer.tail.load(Ordering::Relaxed);
        stats.sent += sent as u64;
        stats.received += received as u64;
        stats.depth += sent.wrapping_sub(received).min(self.count()) as u64;
        stats.full_stalls += self.producer.full_stalls.load(Ordering::Relaxed);
        stats.sender_wakes += self.space.wakes();
        stats.high_water += self.producer.high_water.load(Ordering::Relaxed) as u64;
        stats.capacity += self.capacity as u64;
    }

    /// What was counted, of this ring alone.
    pub(super) fn stats(&self) -> Stats {
        let mut stats = Stats { receiver_wakes: self.items.wakes(), ..Stats::default() };
        self.count_into(&mut stats);
        stats
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
