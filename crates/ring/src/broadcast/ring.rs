//! One ring, one writer at a time, a cursor for every receiver.
//!
//! ```text
//!               slowest                  other cursors      tail
//!   positions   |------------------------|---------|--------|----->
//!   Overwrite   a slot is written over when its lap has come, whoever has not read it
//!   Block       a slot is written over when the slowest cursor has passed it
//! ```
//!
//! A publish takes the writers' lock, writes one slot, shows it by its stamp, and wakes those who
//! sleep: its cost does not depend on how many receivers there are, but that under *Block* the
//! cursors are read once a lap at most while receivers keep up. A receiver reads the slot its own
//! cursor stands at; nothing that receivers write is shared between them but, under *Overwrite*,
//! the count of readers in the slot ([`super::slot`]).
//!
//! **Room**, under *Block*. Receivers wake senders only when they cross a multiple of `quantum` (a
//! power of two, at most an eighth of the capacity). There are `quantum - 1` slots more than the
//! capacity, so a sender never sleeps while all receivers have less than `capacity` messages
//! unread.
//!
//! **Wake-ups.** A publish wakes as many as there are receivers, no more: each waits at one place
//! at most, and one that was woken and waits again must not keep the sender busy waking it for
//! ever. The number is read under the lock under which receivers join, so it counts all who may
//! wait for the message.
//!
//! How it can fail: a slot read while it is written (loom's cells see it); a receiver that joined
//! unseen is written over under *Block* (it joins under the lock).

use super::Lag;
use super::slot::Slot;
use crate::error::TrySendError;
use crate::padded::Padded;
use crate::slots::Slots;
use crate::stats::Stats;
use crate::sync::{Arc, AtomicBool, AtomicUsize, Mutex, Ordering, lock};
use crate::wait::Waiters;

pub(super) struct Ring<T> {
    pub(super) slots: Slots<Slot<T>>,
    pub(super) capacity: usize,
    quantum: usize,
    pub(super) lag: Lag,
    writers: Padded<Mutex<Writer>>,
    /// The position behind the newest message: for those who found no message, and statistics.
    tail: Padded<AtomicUsize>,
    closed: Padded<AtomicBool>,
    pub(super) senders: AtomicUsize,
    /// Receivers wait here.
    pub(super) items: Waiters,
    /// Senders wait here.
    pub(super) space: Waiters,
}

/// What writers share.
struct Writer {
    closed: bool,
    tail: usize,
    /// The index of the tail.
    index: usize,
    /// No cursor stands before it.
    slowest: usize,
    cursors: Vec<Arc<Cursor>>,
    full_stalls: u64,
    high_water: usize,
}

/// Where one receiver stands: written by it alone.
pub(super) type Cursor = Padded<AtomicUsize>;

/// Where a receiver begins.
pub(super) struct Start {
    pub(super) cursor: Arc<Cursor>,
    pub(super) position: usize,
    pub(super) index: usize,
}

impl<T> Ring<T> {
    /// # Panics
    /// If `capacity` is 0 or more than memory can hold.
    pub(super) fn new(capacity: usize, lag: Lag) -> Ring<T> {
        assert!(capacity > 0, "a channel has room for at least one message");
        let quantum: usize = 1 << (capacity / 8).max(1).ilog2();
        let more = if lag == Lag::Block { quantum - 1 } else { 0 };
        let count = capacity.checked_add(more).expect("a ring larger than memory");
        let writer = Writer {
            closed: false,
            tail: 0,
            index: 0,
            slowest: 0,
            cursors: Vec::new(),
            full_stalls: 0,
            high_water: 0,
        };
        Ring {
            slots: Slots::new(count, |_| Slot::new()),
            capacity,
            quantum,
            lag,
            writers: Padded(Mutex::new(writer)),
            tail: Padded(AtomicUsize::new(0)),
            closed: Padded(AtomicBool::new(false)),
            senders: AtomicUsize::new(1),
            items: Waiters::new(),
            space: Waiters::new(),
        }
    }

    /// Shows a message to every receiver.
    pub(super) fn publish(&self, message: T) -> Result<(), TrySendError<T>> {
        let mut writer = lock(&self.writers);
        if writer.closed || writer.cursors.is_empty() {
            return Err(TrySendError::Closed(message));
        }
        if self.lag == Lag::Block && !writer.has_room(self.slots.count()) {
            writer.full_stalls += 1;
            let tail = writer.tail;
            drop(writer);
            self.space.awake_at(|| tail);
            return Err(TrySendError::Full(message));
        }
        // SAFETY: the index is below the count.
        let slot = unsafe { self.slots.at(writer.index) };
        let old = match self.lag {
            // SAFETY: one writer, by the lock; all cursors have passed what is in the slot.
            Lag::Block => unsafe { slot.write(writer.tail, message) },
            // SAFETY: one writer, by the lock; readers pin.
            Lag::Overwrite => unsafe { slot.write_pinned(writer.tail, message) },
        };
        writer.tail = writer.tail.wrapping_add(1);
        writer.index = self.after(writer.index);
        // ORDERING: release, pairs with the load of `tail`: the message is there.
        self.tail.store(writer.tail, Ordering::Release);
        let receivers = writer.cursors.len();
        drop(writer);
        self.items.notify(receivers);
        // The program's own code, so at the end.
        drop(old);
        Ok(())
    }

    /// How far messages are published; those shown by their slots may be one further.
    pub(super) fn tail(&self) -> usize {
        // ORDERING: acquire, pairs with the store of `publish`.
        self.tail.load(Ordering::Acquire)
    }

    #[inline(always)]
    pub(super) fn after(&self, index: usize) -> usize {
        let next = index + 1;
        if next == self.slots.count() { 0 } else { next }
    }

    /// A receiver has come to `position`: now and then it looks after those who wait.
    #[inline(always)]
    pub(super) fn passed(&self, position: usize) {
        if position & (self.quantum - 1) == 0 {
            self.look_around(position);
        }
    }

    #[inline(never)]
    fn look_around(&self, position: usize) {
        if self.lag == Lag::Block {
            self.space.notify(self.quantum);
        }
        self.items.awake_at(|| position);
    }

    /// A receiver joins behind the newest message.
    pub(super) fn join(&self) -> Start {
        let mut writer = lock(&self.writers);
        if writer.cursors.is_empty() {
            writer.slowest = writer.tail;
        }
        let (position, index) = (writer.tail, writer.index);
        Start { cursor: writer.add(position), position, index }
    }

    /// A receiver joins where another stands.
    pub(super) fn join_at(&self, position: usize) -> Arc<Cursor> {
        lock(&self.writers).add(position)
    }

    /// A receiver leaves. The last one drops what nobody will receive.
    pub(super) fn part(&self, cursor: &Arc<Cursor>) {
        let mut writer = lock(&self.writers);
        writer.cursors.retain(|other| !Arc::ptr_eq(other, cursor));
        let mut left = Vec::new();
        if writer.cursors.is_empty() {
            for index in 0..self.slots.count() {
                // SAFETY: the index is below the count; no writer, by the lock; no reader, and who
                // joins later begins behind all of it.
                left.extend(unsafe { self.slots.at(index).clear() });
            }
        }
        drop(writer);
        // It may have been the slowest, or the last: what it held up is at most all the room.
        self.space.notify(self.slots.count());
        drop(left);
    }

    /// Refuses what is sent from now on, and wakes everyone to see it.
    pub(super) fn close(&self) {
        let mut writer = lock(&self.writers);
        if std::mem::replace(&mut writer.closed, true) {
            return;
        }
        // ORDERING: release, pairs with `is_closed`: who sees it sees everything published.
        self.closed.store(true, Ordering::Release);
        drop(writer);
        self.items.notify(usize::MAX);
        self.space.notify(usize::MAX);
    }

    pub(super) fn is_closed(&self) -> bool {
        // ORDERING: acquire, pairs with the store of `close`.
        self.closed.load(Ordering::Acquire)
    }

    pub(super) fn receivers(&self) -> usize {
        lock(&self.writers).cursors.len()
    }

    /// Messages that the slowest receiver has not received and can.
    pub(super) fn depth(&self) -> usize {
        let writer = lock(&self.writers);
        writer.depth().min(self.slots.count())
    }

    pub(super) fn stats(&self) -> Stats {
        let writer = lock(&self.writers);
        let depth = writer.depth();
        Stats {
            sent: writer.tail as u64,
            received: writer.tail.wrapping_sub(depth) as u64,
            full_stalls: writer.full_stalls,
            receiver_wakes: self.items.wakes(),
            sender_wakes: self.space.wakes(),
            depth: depth.min(self.slots.count()) as u64,
            high_water: writer.high_water as u64,
            capacity: self.capacity as u64,
        }
    }
}

impl Writer {
    /// Whether all cursors have passed the slot at the tail.
    fn has_room(&mut self, count: usize) -> bool {
        if self.tail.wrapping_sub(self.slowest) < count {
            return true;
        }
        let depth = self.depth();
        self.slowest = self.tail.wrapping_sub(depth);
        self.high_water = self.high_water.max(depth);
        depth < count
    }

    /// How far the slowest cursor is behind the tail.
    fn depth(&self) -> usize {
        // ORDERING: acquire, pairs with the store of `Rx::advance`: the clones are made. A receiver
        // may already be a message ahead of what is shown, never of the tail under this lock.
        let behind = |cursor: &Arc<Cursor>| self.tail.wrapping_sub(cursor.load(Ordering::Acquire));
        self.cursors.iter().map(behind).max().unwrap_or(0)
    }

    fn add(&mut self, position: usize) -> Arc<Cursor> {
        let cursor = Arc::new(Padded(AtomicUsize::new(position)));
        self.cursors.push(Arc::clone(&cursor));
        cursor
    }
}
