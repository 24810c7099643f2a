//! The queue without a bound that any number of threads push into and pop from.
//!
//! Messages lie in blocks, the blocks in a list. A tail and a head count positions, and each is
//! claimed by compare-and-swap; one position of every lap has no slot and stands for the step from
//! a block to the next.
//!
//! ```text
//!   head, head.block --.                        .-- tail, tail.block
//!                      v                        v
//!                 | 0 1 2 ... 30 | hop -> | 0 1 2 ... 30 | hop -> null
//!                       a block                 laps are powers of two: 32 positions, 31 slots
//!
//!   a slot: | message | written | read |        written: for the receiver that claimed it
//!                                               read: nobody looks at this slot any more
//! ```
//!
//! **The step.** Whoever claims the last slot of a block alone moves its end on: the tail and its
//! block change together from the others' point of view, because a position on the hop makes them
//! wait. A sender makes the next block before it claims, so nothing that takes long or can fail
//! happens in between.
//!
//! **Who may touch a block.** Only one who has claimed a slot in it: a sender until it says that
//! the slot is written, a receiver until it says that it is read. A claim by an address read before
//! fails, since positions never come back, so no thread that lost a race ever follows a pointer,
//! and neither hazard pointers nor epochs are needed. The receiver of a block's last message goes
//! through the block. At a slot whose receiver is still at work it leaves word, and that one goes
//! on from there; whoever comes through frees the block. One free block is kept for the next step;
//! the rest goes back to the allocator.
//!
//! **Close.** A bit in the tail that every claim checks by its compare-and-swap, as in
//! [`crate::mpmc`]: the close is exact.
//!
//! A sender that stops between its claim and its word holds up the receiver that claimed the same
//! position; one that stops in the step holds up the senders. Both are a few instructions.
//!
//! How it can fail: a slot read before it was written (loom's cells see it), a block freed while
//! one who claimed in it still looks (miri and the sanitizers see it), a message counted twice.

use std::ptr;

use crate::error::TryRecvError;
use crate::padded::Padded;
use crate::stats::Stats;
use crate::sync::{self, AtomicPtr, AtomicU32, AtomicU64, Ordering, Room};
use crate::wait::Waiters;

/// In the tail: no claim succeeds any more. Positions are 64 bits wide on every machine, so that
/// they neither reach it nor come back.
const CLOSED: u64 = 1 << 63;

/// Positions a block; a model has small ones, so that it comes to the step.
const LAP: u64 = if cfg!(loom) { 3 } else { 32 };
/// Slots a block.
const SLOTS: usize = LAP as usize - 1;
/// The offset of the hop.
const HOP: u64 = LAP - 1;

/// The queue and those who wait at it.
pub(crate) struct List<T> {
    tail: Padded<Tail<T>>,
    head: Padded<Head<T>>,
    /// A block for the next step, or null.
    spare: Padded<AtomicPtr<Block<T>>>,
    /// Receivers wait here.
    pub(crate) items: Waiters,
}

/// Where senders are.
struct Tail<T> {
    position: AtomicU64,
    block: AtomicPtr<Block<T>>,
    /// The greatest depth seen at a step.
    high_water: AtomicU64,
}

/// Where receivers are.
struct Head<T> {
    position: AtomicU64,
    block: AtomicPtr<Block<T>>,
    /// The newest tail that a receiver looked at: the tail's own line is left to the senders while
    /// there are messages before this.
    seen: AtomicU64,
}

struct Block<T> {
    next: AtomicPtr<Block<T>>,
    slots: [Slot<T>; SLOTS],
}

struct Slot<T> {
    room: Room<T>,
    /// 1: the message is there.
    written: AtomicU32,
    /// [`READ`], [`RETIRE`] or 0.
    read: AtomicU32,
}

/// The message was moved out, and its receiver is done with the block.
const READ: u32 = 1;
/// The receiver at this slot is to go on with the block's retirement when it has read.
const RETIRE: u32 = 2;

/// The pause after a lost claim is at most two to the power of this.
const LOSSES_MAX: u32 = if cfg!(loom) { 0 } else { 6 };

/// Slots that one thread claimed: `count` of them, from `position` on, in one block.
struct Claim<T> {
    block: ptr::NonNull<Block<T>>,
    position: u64,
    count: u64,
}

// SAFETY: the list moves messages from thread to thread, and lets nobody look at one in place.
unsafe impl<T: Send> Send for List<T> {}
// SAFETY: as above: a slot is written by the one thread that claimed it at the tail, and read by
// the one that claimed it at the head.
unsafe impl<T: Send> Sync for List<T> {}

impl<T> List<T> {
    pub(crate) fn new() -> List<T> {
        let first = Self::new_block();
        let tail = Tail {
            position: AtomicU64::new(0),
            block: AtomicPtr::new(first),
            high_water: AtomicU64::new(0),
        };
        let head = Head {
            position: AtomicU64::new(0),
            block: AtomicPtr::new(first),
            seen: AtomicU64::new(0),
        };
        List {
            tail: Padded(tail),
            head: Padded(head),
            spare: Padded(AtomicPtr::new(ptr::null_mut())),
            items: Waiters::new(),
        }
    }

    /// Moves a message in, or gives it back if the list is closed.
    #[inline]
    pub(crate) fn push(&self, message: T) -> Result<(), T> {
        self.push_quietly(message)?;
        self.items.notify(1);
        Ok(())
    }

    /// Moves a message in and wakes nobody.
    #[inline]
    pub(crate) fn push_quietly(&self, message: T) -> Result<(), T> {
        let Some(claim) = self.claim_tail() else { return Err(message) };
        // SAFETY: claimed and not yet read, so the block is alive.
        let slot = unsafe { claim.slot(claim.position) };
        // SAFETY: the claim made this slot ours alone, and it was never written in this lap.
        unsafe { slot.room.put(message) };
        // ORDERING: release, pairs with the acquire of `take`: the message is written.
        slot.written.store(1, Ordering::Release);
        Ok(())
    }

    /// Makes the position at the tail the caller's. None: closed.
    #[inline(always)]
    fn claim_tail(&self) -> Option<Claim<T>> {
        let mut next = ptr::null_mut();
        let mut pause = Pause::default();
        loop {
            // ORDERING: acquire, pairs with the release of `step_tail`: the block that is loaded
            // next is this position's or a newer one, and with a newer one the exchange fails.
            let position = self.tail.position.load(Ordering::Acquire);
            if position & CLOSED != 0 {
                self.keep(next);
                return None;
            }
            let offset = position % LAP;
            if offset == HOP {
                pause.once();
                continue;
            }
            let last = offset + 1 == HOP;
            if last && next.is_null() {
                next = self.fresh();
            }
            let block = self.tail.block.load(Ordering::Relaxed);
            // ORDERING: relaxed: the message is published by its slot. An exchange continues the
            // release sequence of the last step.
            let claimed = self.tail.position.compare_exchange_weak(
                position,
                position + 1,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            if claimed.is_err() {
                pause.after_a_loss();
                continue;
            }
            // SAFETY: tails never are null.
            let block = unsafe { ptr::NonNull::new_unchecked(block) };
            let claim = Claim { block, position, count: 1 };
            if last {
                self.step_tail(&claim, next);
            } else if !next.is_null() {
                self.keep(next);
            }
            return Some(claim);
        }
    }

    /// Moves the tail to the block `next`, for the sender that claimed the last slot of its block.
    #[cold]
    fn step_tail(&self, claim: &Claim<T>, next: *mut Block<T>) {
        self.tail.block.store(next, Ordering::Relaxed);
        // ORDERING: release, pairs with the load of `claim_tail`. An addition, not a store: the bit
        // of a close may have been set meanwhile.
        self.tail.position.fetch_add(1, Ordering::Release);
        // SAFETY: claimed and not yet written, so the block is alive.
        let block = unsafe { claim.block.as_ref() };
        // ORDERING: release, pairs with the acquire of `step_head`: the block is made. Last, so
        // that the head is never before the tail.
        block.next.store(next, Ordering::Release);
        let depth = self.len() as u64;
        if depth > self.tail.high_water.load(Ordering::Relaxed) {
            self.tail.high_water.fetch_max(depth, Ordering::Relaxed);
        }
    }

    /// Moves the next message out.
    #[inline]
    pub(crate) fn pop(&self) -> Result<T, TryRecvError> {
        let claim = self.claim_head(1)?;
        Ok(self.take(&claim, claim.position))
    }

    /// Moves up to `max` messages out to the end of `into`, as many as lie in one block.
    pub(crate) fn pop_many(&self, into: &mut Vec<T>, max: usize) -> Result<usize, TryRecvError> {
        if max == 0 {
            return Ok(0);
        }
        // Before the claim: an allocation that fails must not leave claimed slots behind.
        let most = max.min(SLOTS);
        into.reserve(most);
        let claim = self.claim_head(most as u64)?;
        for position in claim.position..claim.position + claim.count {
            into.push(self.take(&claim, position));
        }
        Ok(claim.count as usize)
    }

    /// Makes up to `max` positions at the head the caller's.
    #[inline(always)]
    fn claim_head(&self, max: u64) -> Result<Claim<T>, TryRecvError> {
        let mut pause = Pause::default();
        loop {
            // ORDERING: acquire, pairs with the release of `step_head`, as for the tail; and with
            // that of the exchange below: the tail that let the head come here is seen next.
            let position = self.head.position.load(Ordering::Acquire);
            let offset = position % LAP;
            if offset == HOP {
                pause.once();
                continue;
            }
            let block = self.head.block.load(Ordering::Relaxed);
            // ORDERING: acquire, pairs with the store of `look_at_the_tail`, so that whoever goes
            // by the head that is made of it sees a tail at least as new.
            let mut seen = self.head.seen.load(Ordering::Acquire);
            if seen <= position {
                seen = self.look_at_the_tail(position)?;
            }
            let count = (seen - position).min(max).min(HOP - offset);
            let claimed = self.head.position.compare_exchange_weak(
                position,
                position + count,
                Ordering::Release,
                Ordering::Relaxed,
            );
            if claimed.is_err() {
                pause.after_a_loss();
                continue;
            }
            // SAFETY: heads never are null.
            let block = unsafe { ptr::NonNull::new_unchecked(block) };
            let claim = Claim { block, position, count };
            if offset + count == HOP {
                self.step_head(&claim);
            }
            return Ok(claim);
        }
    }

    /// The tail, if it is behind `position`.
    fn look_at_the_tail(&self, position: u64) -> Result<u64, TryRecvError> {
        // ORDERING: acquire: who learns of the close sees what was done before it.
        let tail = self.tail.position.load(Ordering::Acquire);
        let seen = tail & !CLOSED;
        if seen <= position {
            let closed = tail & CLOSED != 0;
            return Err(if closed { TryRecvError::Closed } else { TryRecvError::Empty });
        }
        // ORDERING: release, pairs with the load of `claim_head`.
        self.head.seen.store(seen, Ordering::Release);
        Ok(seen)
    }

    /// Moves the head to the next block, for the receiver that claimed the last slot of its block.
    #[cold]
    fn step_head(&self, claim: &Claim<T>) {
        // SAFETY: claimed and not yet read, so the block is alive.
        let block = unsafe { claim.block.as_ref() };
        let mut pause = Pause::default();
        let next = loop {
            // ORDERING: acquire, pairs with the store of `step_tail`.
            let next = block.next.load(Ordering::Acquire);
            if !next.is_null() {
                break next;
            }
            pause.once();
        };
        self.head.block.store(next, Ordering::Relaxed);
        // ORDERING: release, pairs with the load of `claim_head`. A store: on the hop nobody else
        // writes it.
        self.head.position.store(claim.position + claim.count + 1, Ordering::Release);
        self.items.awake_at(|| self.position());
    }

    /// Moves the message at `position` out; waits the moment until it is written.
    #[inline(always)]
    fn take(&self, claim: &Claim<T>, position: u64) -> T {
        // SAFETY: claimed and not yet read, so the block is alive.
        let slot = unsafe { claim.slot(position) };
        let mut pause = Pause::default();
        // ORDERING: acquire, pairs with the store of `push_quietly`.
        while slot.written.load(Ordering::Acquire) == 0 {
            pause.once();
        }
        // SAFETY: written, and the claim made it ours alone.
        let message = unsafe { slot.room.take() };
        let index = (position % LAP) as usize;
        if index + 1 == SLOTS {
            self.retire(claim.block, 0);
        // ORDERING: release: the message has been moved out before the slot is given up. Acquire,
        // if it comes to that: all that was given up before is seen by the one who frees the block.
        } else if slot.read.swap(READ, Ordering::AcqRel) == RETIRE {
            self.retire(claim.block, index + 1);
        }
        message
    }

    /// Goes through a block from slot `from` on, up to one whose receiver is still at work; that
    /// one goes on. The receiver of the last message began.
    #[cold]
    fn retire(&self, block: ptr::NonNull<Block<T>>, from: usize) {
        // SAFETY: the slots from here on are given up only by the one who goes through the block.
        let this = unsafe { block.as_ref() };
        for index in from..SLOTS - 1 {
            let slot = &this.slots[index];
            // ORDERING: acquire, here and below, pairs with the swap of `take`; release, for the
            // one who goes on.
            if slot.read.load(Ordering::Acquire) != READ
                && slot.read.swap(RETIRE, Ordering::AcqRel) != READ
            {
                return;
            }
        }
        self.keep(block.as_ptr());
    }

    /// A block for the next step.
    #[cold]
    fn fresh(&self) -> *mut Block<T> {
        // ORDERING: acquire, pairs with the swap of `keep`.
        let spare = self.spare.swap(ptr::null_mut(), Ordering::Acquire);
        // SAFETY: the swap made it ours alone, if there is one.
        let Some(block) = (unsafe { spare.as_ref() }) else { return Self::new_block() };
        // As new: here and not where it was retired, as here its lines are written next.
        block.next.store(ptr::null_mut(), Ordering::Relaxed);
        for slot in &block.slots {
            slot.written.store(0, Ordering::Relaxed);
            slot.read.store(0, Ordering::Relaxed);
        }
        spare
    }

    /// Keeps a block that nobody has for the next step, and frees the one that was kept before.
    #[cold]
    fn keep(&self, block: *mut Block<T>) {
        if block.is_null() {
            return;
        }
        // ORDERING: release, pairs with the swap of `fresh`; acquire, with that of another `keep`.
        let other = self.spare.swap(block, Ordering::AcqRel);
        // SAFETY: the swap made it ours alone.
        unsafe { Self::free(other) };
    }

    /// Made in place: a block of large messages does not fit on the stack.
    fn new_block() -> *mut Block<T> {
        let mut block = Box::<Block<T>>::new_uninit();
        let raw = block.as_mut_ptr();
        // SAFETY: each field is written once, where it lies in the allocation; then all are.
        unsafe {
            (&raw mut (*raw).next).write(AtomicPtr::new(ptr::null_mut()));
            let slots = (&raw mut (*raw).slots).cast::<Slot<T>>();
            for index in 0..SLOTS {
                let slot = slots.add(index);
                (&raw mut (*slot).room).write(Room::empty());
                (&raw mut (*slot).written).write(AtomicU32::new(0));
                (&raw mut (*slot).read).write(AtomicU32::new(0));
            }
            Box::into_raw(block.assume_init())
        }
    }

    /// # Safety
    /// The block is null, or came from [`List::new_block`] and nobody else has it.
    unsafe fn free(block: *mut Block<T>) {
        if !block.is_null() {
            // SAFETY: by the caller's word.
            drop(unsafe { Box::from_raw(block) });
        }
    }

    /// Refuses what is sent from now on, and wakes everyone to see it.
    pub(crate) fn close(&self) {
        // ORDERING: release, what came before is seen by those who learn of it; and among claims,
        // which are read-modify-writes of the same word, a claim comes before, or it fails.
        // Sleepers see it by the handshake in `notify`.
        if self.tail.position.fetch_or(CLOSED, Ordering::AcqRel) & CLOSED == 0 {
            self.items.notify(usize::MAX);
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        // ORDERING: acquire, pairs with `close`.
        self.tail.position.load(Ordering::Acquire) & CLOSED != 0
    }

    /// Whether [`List::pop`] would answer something other than empty.
    pub(crate) fn is_ready(&self) -> bool {
        let head = self.head.position.load(Ordering::Acquire);
        self.tail.position.load(Ordering::Relaxed) != head
    }

    /// How many positions before this one have slots.
    fn number(position: u64) -> u64 {
        let position = position & !CLOSED;
        position / LAP * HOP + position % LAP
    }

    /// How far receivers have come, in messages.
    pub(crate) fn position(&self) -> usize {
        Self::number(self.head.position.load(Ordering::Relaxed)) as usize
    }

    /// Messages sent and not received.
    pub(crate) fn len(&self) -> usize {
        // ORDERING: acquire: the head first, so that the tail is not before it.
        let head = Self::number(self.head.position.load(Ordering::Acquire));
        let tail = Self::number(self.tail.position.load(Ordering::Acquire));
        tail.saturating_sub(head) as usize
    }

    /// Adds this list's counts to `stats`.
    pub(crate) fn count(&self, stats: &mut Stats) {
        let depth = self.len() as u64;
        stats.depth += depth;
        stats.received += Self::number(self.head.position.load(Ordering::Acquire));
        stats.sent += Self::number(self.tail.position.load(Ordering::Acquire));
        stats.receiver_wakes += self.items.wakes();
        stats.high_water += self.tail.high_water.load(Ordering::Relaxed).max(depth);
        stats.capacity = u64::MAX;
    }

    /// Drops everything that was sent; goes on if a message's drop panics.
    pub(crate) fn drain(&self) {
        struct Rest<'a, T>(&'a List<T>);
        impl<T> Drop for Rest<'_, T> {
            fn drop(&mut self) {
                while self.0.pop().is_ok() {}
            }
        }
        let rest = Rest(self);
        while let Ok(message) = rest.0.pop() {
            drop(message);
        }
    }
}

impl<T> Drop for List<T> {
    fn drop(&mut self) {
        self.drain();
        // ORDERING: relaxed, here and below: nobody else is left.
        let last = self.head.block.load(Ordering::Relaxed);
        let spare = self.spare.load(Ordering::Relaxed);
        // SAFETY: drained, so the head's block is the tail's and the only one in the list; the
        // spare is in no list. Nobody else is left to have either.
        unsafe {
            Self::free(last);
            Self::free(spare);
        }
    }
}

impl<T> Claim<T> {
    /// # Safety
    /// `position` is within the claim, and was not yet given up.
    #[inline(always)]
    unsafe fn slot(&self, position: u64) -> &Slot<T> {
        let index = (position % LAP) as usize;
        // SAFETY: a claimed position is not the hop, so the index is below the count; the block is
        // alive by the caller's word.
        unsafe { self.block.as_ref().slots.get_unchecked(index) }
    }
}

/// Passes a moment.
#[derive(Default)]
struct Pause {
    count: u32,
    losses: u32,
}

impl Pause {
    /// Until another thread has done its next step, which takes nanoseconds unless it was taken off
    /// its core.
    #[cold]
    fn once(&mut self) {
        self.count += 1;
        if self.count < 32 { sync::pause() } else { sync::yield_now() }
    }

    /// After a claim that another thread made first: longer each time, so that one thread makes
    /// many claims while it has the line, instead of each taking it from the other for every one.
    #[cold]
    fn after_a_loss(&mut self) {
        for _ in 0..1 << self.losses {
            sync::pause();
        }
        self.losses = (self.losses + 1).min(LOSSES_MAX);
    }
}
