//! The ring that any number of threads push into and pop from.
//!
//! D. Vyukov's bounded queue: a tail and a head that are claimed by compare-and-swap, and in each
//! slot a stamp that says whose turn it is.
//!
//! ```text
//!   a position       | lap | index |            laps go up by `one_lap`, a power of two; no bound
//!                                               on the number of slots but that index < one_lap
//!   a slot's stamp   == position                free for the sender that claims this position
//!                    == position + 1            written, for the receiver that claims it
//!                    == position + one_lap      free again, for the sender of the next lap
//! ```
//!
//! Messages are received in the order in which their positions were claimed. There is no lock, but
//! a thread that is stopped between its claim and its stamp, which are nanoseconds apart, holds up
//! those who come to its slot: they pause and then yield until it has gone on, also those that only
//! try.
//!
//! **Room.** A receiver that frees slots wakes senders only when it crosses a multiple of `quantum`
//! (a power of two, at most an eighth of the capacity), so that they find much room at once. There
//! are `quantum - 1` slots more than the capacity, so a sender never sleeps with less than
//! `capacity` messages unread.
//!
//! **Close.** A bit in the tail that every claim checks by its compare-and-swap: what was claimed
//! before is sent, and what comes later is refused. The close is exact.
//!
//! How it can fail: as [`crate::spsc`] does, and by a stamp taken for another lap's.

use crate::error::{TryRecvError, TrySendError};
use crate::padded::Padded;
use crate::slots::Slots;
use crate::stats::Stats;
use crate::sync::{self, AtomicU64, AtomicUsize, Ordering, Room};
use crate::wait::Waiters;

/// In the tail: no claim succeeds any more.
const CLOSED: usize = 1 << (usize::BITS - 1);

/// The ring and those who wait at it.
pub(crate) struct Array<T> {
    slots: Slots<Slot<T>>,
    one_lap: usize,
    capacity: usize,
    quantum: usize,
    tail: Padded<AtomicUsize>,
    head: Padded<AtomicUsize>,
    counts: Padded<Counts>,
    /// Receivers wait here.
    pub(crate) items: Waiters,
    /// Senders wait here.
    pub(crate) space: Waiters,
}

/// Rarely written.
#[derive(Default)]
struct Counts {
    full_stalls: AtomicU64,
    high_water: AtomicUsize,
}

struct Slot<T> {
    room: Room<T>,
    stamp: AtomicUsize,
}

// SAFETY: the ring moves messages from thread to thread, and lets nobody look at one in place.
unsafe impl<T: Send> Send for Array<T> {}
// SAFETY: as above: a slot is written and read by the one thread that claimed its position.
unsafe impl<T: Send> Sync for Array<T> {}

impl<T> Array<T> {
    /// # Panics
    /// If `capacity` is 0 or more than memory can hold.
    pub(crate) fn new(capacity: usize) -> Array<T> {
        assert!(capacity > 0, "a channel has room for at least one message");
        let quantum = 1 << (capacity / 8).max(1).ilog2();
        let count = capacity.checked_add(quantum - 1).filter(|count| *count < CLOSED / 4);
        let count = count.expect("a ring larger than memory");
        let slots =
            Slots::new(count, |index| Slot { room: Room::empty(), stamp: AtomicUsize::new(index) });
        Array {
            slots,
            // One lap has room for the index and, for a ring of one slot, for `position + 1` to
            // differ from the next lap.
            one_lap: (count + 1).next_power_of_two(),
            capacity,
            quantum,
            tail: Padded::default(),
            head: Padded::default(),
            counts: Padded::default(),
            items: Waiters::new(),
            space: Waiters::new(),
        }
    }

    #[inline(always)]
    fn index(&self, position: usize) -> usize {
        position & (self.one_lap - 1)
    }

    /// The position `count` behind `position`; `count` is at most the number of slots.
    #[inline(always)]
    fn after(&self, position: usize, count: usize) -> usize {
        let index = self.index(position) + count;
        let slots = self.slots.count();
        let next = if index < slots {
            position + count
        } else {
            (position - self.index(position)).wrapping_add(self.one_lap) + (index - slots)
        };
        next & !CLOSED
    }

    #[inline(always)]
    fn slot(&self, position: usize) -> &Slot<T> {
        // SAFETY: positions are made by `after`, whose index is below the count.
        unsafe { self.slots.at(self.index(position)) }
    }

    /// Messages sent and not received.
    pub(crate) fn len(&self) -> usize {
        let head = self.head.load(Ordering::Acquire);
        let tail = self.tail.load(Ordering::Acquire);
        self.number(tail).saturating_sub(self.number(head)).min(self.slots.count())
    }

    /// Slots without a message.
    pub(crate) fn room(&self) -> usize {
        self.slots.count() - self.len()
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.tail.load(Ordering::Relaxed) & CLOSED != 0
    }

    /// How many positions come before this one.
    fn number(&self, position: usize) -> usize {
        let position = position & !CLOSED;
        let laps = position >> self.one_lap.ilog2();
        laps * self.slots.count() + self.index(position)
    }

    /// Adds this ring's counts to `stats`.
    pub(crate) fn count(&self, stats: &mut Stats) {
        stats.received += self.number(self.head.load(Ordering::Acquire)) as u64;
        stats.sent += self.number(self.tail.load(Ordering::Acquire)) as u64;
        stats.depth += self.len() as u64;
        stats.full_stalls += self.counts.full_stalls.load(Ordering::Relaxed);
        stats.high_water += self.counts.high_water.load(Ordering::Relaxed) as u64;
        stats.receiver_wakes += self.items.wakes();
        stats.sender_wakes += self.space.wakes();
        stats.capacity += self.capacity as u64;
    }

    /// How far senders have come, roughly.
    pub(crate) fn tail(&self) -> usize {
        self.tail.load(Ordering::Relaxed)
    }

    /// How far receivers have come, roughly.
    pub(crate) fn head(&self) -> usize {
        self.head.load(Ordering::Relaxed)
    }

    /// Refuses what is sent from now on, and wakes everyone to see it.
    pub(crate) fn close(&self) {
        // ORDERING: acquire and release, among the claims, which are read-modify-writes of the same
        // word: a claim either comes before and is in `tail`, or fails. Sleepers see it by the
        // handshake in `notify`.
        if self.tail.fetch_or(CLOSED, Ordering::AcqRel) & CLOSED == 0 {
            self.items.notify(usize::MAX);
            self.space.notify(usize::MAX);
        }
    }

    /// Moves a message in.
    #[inline]
    pub(crate) fn try_push(&self, message: T) -> Result<(), TrySendError<T>> {
        // ORDERING: relaxed: a claim is checked by the exchange, a slot by its stamp.
        let mut tail = self.tail.load(Ordering::Relaxed);
        let (mut pause, mut lost) = (Pause::default(), Lost::default());
        loop {
            if tail & CLOSED != 0 {
                // ORDERING: acquire, pairs with `close`: who learns of it sees what came before it.
                let _closed = self.tail.load(Ordering::Acquire);
                return Err(TrySendError::Closed(message));
            }
            let slot = self.slot(tail);
            // ORDERING: acquire, pairs with the release of `free`: the last message has been moved
            // out.
            let stamp = slot.stamp.load(Ordering::Acquire);
            if stamp == tail {
                let next = self.after(tail, 1);
                match self.tail.compare_exchange_weak(
                    tail,
                    next,
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                ) {
                    Ok(_) => {
                        // SAFETY: the stamp says that the slot is free in this lap, and the
                        // exchange made this position ours alone.
                        unsafe { slot.room.put(message) };
                        // ORDERING: release, pairs with the acquire of `claim`.
                        slot.stamp.store(tail + 1, Ordering::Release);
                        if self.crosses(next) {
                            self.look_around(next);
                        }
                        self.items.notify(1);
                        return Ok(());
                    }
                    Err(now) => {
                        tail = now;
                        lost.step_aside();
                    }
                }
            } else if stamp == self.before(tail) && self.is_full(tail) {
                self.counts.full_stalls.fetch_add(1, Ordering::Relaxed);
                self.space.awake_at(|| tail);
                return Err(TrySendError::Full(message));
            } else {
                // The tail has moved on, or a receiver is about to free this slot.
                pause.once();
                tail = self.tail.load(Ordering::Relaxed);
            }
        }
    }

    /// The stamp of a slot whose message of the lap before `position` has not been moved out.
    #[inline(always)]
    fn before(&self, position: usize) -> usize {
        (position.wrapping_sub(self.one_lap) & !CLOSED) + 1
    }

    /// Whether no receiver has claimed the oldest message, `tail` being the newest known.
    fn is_full(&self, tail: usize) -> bool {
        let head = self.head.load(Ordering::Relaxed);
        head == tail.wrapping_sub(self.one_lap) & !CLOSED
    }

    /// Whether the claim that ended before `next` is one of those that look after the rest.
    #[inline(always)]
    fn crosses(&self, next: usize) -> bool {
        self.index(next) & (self.quantum - 1) == 0
    }

    /// A sender, now and then: notes the depth, and that senders are awake.
    #[cold]
    fn look_around(&self, tail: usize) {
        let depth = self.len();
        if depth > self.counts.high_water.load(Ordering::Relaxed) {
            self.counts.high_water.fetch_max(depth, Ordering::Relaxed);
        }
        self.space.awake_at(|| tail);
    }

    /// Moves the next message out. `SOLE`: no other thread receives.
    #[inline]
    pub(crate) fn try_pop<const SOLE: bool>(&self) -> Result<T, TryRecvError> {
        let (position, count) = self.claim::<SOLE>(1)?;
        debug_assert_eq!(count, 1);
        let slot = self.slot(position);
        // SAFETY: the claim made this position ours alone, and its stamp says that it is written.
        let message = unsafe { slot.room.take() };
        self.free(slot, position);
        let next = self.after(position, 1);
        if self.crosses(next) {
            self.offer_room(next, 1);
        }
        Ok(message)
    }

    /// Moves up to `max` messages out, all claimed at once.
    pub(crate) fn pop_many<const SOLE: bool>(
        &self,
        into: &mut Vec<T>,
        max: usize,
    ) -> Result<usize, TryRecvError> {
        if max == 0 {
            return Ok(0);
        }
        let (mut position, count) = self.claim::<SOLE>(max.min(self.quantum))?;
        // Two are possible, as the last quantum of a lap may be a short one. Each is offered: room
        // that sleeping senders are not told of now they are never told of.
        let mut crossings = 0;
        into.reserve(count);
        for _ in 0..count {
            let slot = self.slot(position);
            // SAFETY: as in `try_pop`, for each position of the claim.
            into.push(unsafe { slot.room.take() });
            self.free(slot, position);
            position = self.after(position, 1);
            crossings += usize::from(self.crosses(position));
        }
        if crossings > 0 {
            self.offer_room(position, crossings);
        }
        Ok(count)
    }

    /// Makes the next written positions, up to `max`, the caller's.
    #[inline(always)]
    fn claim<const SOLE: bool>(&self, max: usize) -> Result<(usize, usize), TryRecvError> {
        let mut head = self.head.load(Ordering::Relaxed);
        let (mut pause, mut lost) = (Pause::default(), Lost::default());
        loop {
            // ORDERING: acquire, pairs with the release of `try_push`: the message is written.
            let stamp = self.slot(head).stamp.load(Ordering::Acquire);
            if stamp == head + 1 {
                let count = if max == 1 { 1 } else { self.written(head, max) };
                let next = self.after(head, count);
                if SOLE {
                    self.head.store(next, Ordering::Relaxed);
                    return Ok((head, count));
                }
                match self.head.compare_exchange_weak(
                    head,
                    next,
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                ) {
                    Ok(_) => return Ok((head, count)),
                    Err(now) => {
                        head = now;
                        lost.step_aside();
                    }
                }
            } else {
                // ORDERING: acquire, pairs with `close`: who learns of it sees what came before it.
                let tail = self.tail.load(Ordering::Acquire);
                if tail & !CLOSED == head {
                    let closed = tail & CLOSED != 0;
                    return Err(if closed { TryRecvError::Closed } else { TryRecvError::Empty });
                }
                // The head has moved on, or a sender is about to write this slot.
                pause.once();
                head = self.head.load(Ordering::Relaxed);
            }
        }
    }

    /// How many positions from `head` on are written, up to `max`.
    fn written(&self, head: usize, max: usize) -> usize {
        let mut position = head;
        let mut count = 0;
        // ORDERING: as in `claim`.
        while count < max && self.slot(position).stamp.load(Ordering::Acquire) == position + 1 {
            position = self.after(position, 1);
            count += 1;
        }
        count
    }

    /// The slot at `position` may be written in the next lap.
    #[inline(always)]
    fn free(&self, slot: &Slot<T>, position: usize) {
        let next_lap = position.wrapping_add(self.one_lap) & !CLOSED;
        // ORDERING: release, pairs with the acquire in `try_push`.
        slot.stamp.store(next_lap, Ordering::Release);
    }

    /// A receiver, now and then: wakes senders, and notes that receivers are awake.
    #[inline(never)]
    fn offer_room(&self, head: usize, quanta: usize) {
        self.space.notify(quanta * self.quantum);
        self.items.awake_at(|| head);
    }

    /// Whether `try_pop` would answer something other than empty.
    pub(crate) fn is_ready(&self) -> bool {
        self.tail.load(Ordering::Relaxed) != self.head.load(Ordering::Relaxed)
    }

    /// Drops everything that was sent; goes on if a message's drop panics.
    pub(crate) fn drain(&self) {
        struct Rest<'a, T>(&'a Array<T>);
        impl<T> Drop for Rest<'_, T> {
            fn drop(&mut self) {
                while self.0.try_pop::<false>().is_ok() {}
            }
        }
        let rest = Rest(self);
        while let Ok(message) = rest.0.try_pop::<false>() {
            drop(message);
        }
    }
}

/// A claim that another thread won: it is about to use the line, so leave it to it for a while,
/// each time for longer.
#[derive(Default)]
struct Lost {
    times: u32,
}

impl Lost {
    #[cold]
    fn step_aside(&mut self) {
        sync::pause_for(1 << self.times.min(6));
        self.times += 1;
    }
}

/// Passes a moment until another thread has done its next step, which takes nanoseconds unless it
/// was taken off its core.
#[derive(Default)]
struct Pause {
    count: u32,
}

impl Pause {
    #[cold]
    fn once(&mut self) {
        self.count += 1;
        if self.count < 32 { sync::pause() } else { sync::yield_now() }
    }
}
