//! How the producer tells the consumer that a slot is written: two ways.
//!
//! ```text
//!   Stamped   | message 0, stamp | message 1, stamp | ...     the slot tells of itself
//!   Cursor    | message 0 | message 1 | ...   and a tail      one word tells of all
//! ```
//!
//! With a stamp one cache line crosses the cores where a cursor needs two, the slot's and the
//! tail's: less latency, and a consumer that is close behind does not take the tail's line away from
//! the producer for every message (J. Giacomoni et al., "FastForward for efficient pipeline
//! parallelism", PPoPP 2008). With a cursor the messages lie side by side: slices, and no stamp to
//! push a message of a whole line onto a second one (L. Lamport, 1983; the private copy of the
//! other's cursor: P. Lee et al., "MCRingBuffer", IPDPS 2010).

use crate::sync::{AtomicUsize, Ordering, Room};

/// A way to publish slots.
pub(crate) trait Publication<T> {
    /// Room for a message, and what tells of it.
    type Slot;
    /// Whether each slot of a batch has to be published, or only its last.
    const EACH: bool;
    /// How the tail is stored behind a batch.
    const TAIL: Ordering;

    /// An empty slot.
    fn slot() -> Self::Slot;

    /// The room in a slot.
    fn room(slot: &Self::Slot) -> &Room<T>;

    /// The slot, whose position is `position`, is written. `tail` is the producer's own word.
    fn publish(slot: &Self::Slot, tail: &AtomicUsize, position: usize);

    /// Whether the slot that has `position` is published. `seen` is the consumer's copy of the tail.
    fn is_published(
        slot: &Self::Slot,
        tail: &AtomicUsize,
        position: usize,
        seen: &mut usize,
    ) -> bool;
}

/// Each slot carries the number of the message in it.
pub struct Stamped;

/// The tail says how far slots are written.
pub struct Cursor;

/// A message and its number.
pub struct StampedSlot<T> {
    room: Room<T>,
    /// One more than the position of the newest message written here; 0: none yet.
    stamp: AtomicUsize,
}

impl<T> Publication<T> for Stamped {
    type Slot = StampedSlot<T>;
    const EACH: bool = true;
    const TAIL: Ordering = Ordering::Relaxed;

    fn slot() -> StampedSlot<T> {
        StampedSlot { room: Room::empty(), stamp: AtomicUsize::new(0) }
    }

    #[inline(always)]
    fn room(slot: &StampedSlot<T>) -> &Room<T> {
        &slot.room
    }

    #[inline(always)]
    fn publish(slot: &StampedSlot<T>, tail: &AtomicUsize, position: usize) {
        let stamp = position.wrapping_add(1);
        // ORDERING: release, pairs with the load of `is_published`: the message is written.
        slot.stamp.store(stamp, Ordering::Release);
        // ORDERING: relaxed: only statistics read it.
        tail.store(stamp, Ordering::Relaxed);
    }

    #[inline(always)]
    fn is_published(
        slot: &StampedSlot<T>,
        _tail: &AtomicUsize,
        position: usize,
        _seen: &mut usize,
    ) -> bool {
        // ORDERING: acquire, pairs with the store of `publish`. An older lap's stamp is smaller by
        // the number of slots, so it is never taken for this one's.
        slot.stamp.load(Ordering::Acquire) == position.wrapping_add(1)
    }
}

impl<T> Publication<T> for Cursor {
    type Slot = Room<T>;
    const EACH: bool = false;
    const TAIL: Ordering = Ordering::Release;

    fn slot() -> Room<T> {
        Room::empty()
    }

    #[inline(always)]
    fn room(slot: &Room<T>) -> &Room<T> {
        slot
    }

    #[inline(always)]
    fn publish(_slot: &Room<T>, tail: &AtomicUsize, position: usize) {
        // ORDERING: release, pairs with the load of `is_published`: all slots up to here are
        // written.
        tail.store(position.wrapping_add(1), Ordering::Release);
    }

    #[inline(always)]
    fn is_published(
        _slot: &Room<T>,
        tail: &AtomicUsize,
        position: usize,
        seen: &mut usize,
    ) -> bool {
        if *seen != position {
            return true;
        }
        // ORDERING: acquire, pairs with the store of `publish`.
        *seen = tail.load(Ordering::Acquire);
        *seen != position
    }
}
