//! How a side that is about to sleep is noticed, and woken once.
//!
//! Two words, each written by one side alone, so that each side's area can be read-only to the
//! other:
//!
//! ```text
//! sleeper's area   doze   odd while its owner sleeps or is about to; counts up, never repeats
//! waker's area     bell   counts the wakes; its low 32 bits are the futex word
//!
//! sleeper                                  waker
//!   seen = bell                              publish a record (or a head)
//!   doze += 1            (odd)               fence
//!   fence                                    doze is odd, and not the one I rang for last?
//!   look once more: nothing                    bell += 1
//!   sleep until bell != seen                   wake whoever sleeps on the bell
//!   doze += 1            (even)
//! ```
//!
//! With a fence between the two steps of each side, at least one of them sees what the other did
//! (Dekker's handshake). One word would not do: a flag that only the sleeper may write cannot tell
//! a sleeper that is about to call `futex(FUTEX_WAIT)` that it has just been rung for.
//!
//! A hostile peer can keep its doze odd and changing: that costs one needless wake per publication.

#[cfg(not(loom))]
use std::sync::atomic::compiler_fence;

use super::layout::{BELL, DOZE};
use super::memory::Words;
use crate::sync::{Ordering, fence};

/// Who pays for the order between "publish, then ask who sleeps" and "say so, then look again".
/// Both sides of a ring must have chosen the same.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub enum Fence {
    /// Each side runs a fence: the sleeper when it lies down, the waker at each question. The
    /// latter waits for the store buffer to drain, tens of nanoseconds: publish in batches.
    #[default]
    Both,
    /// The waker runs none; the sleeper calls this function, which must be a fence in its own
    /// thread and in every thread of the waker that is running: on Linux `membarrier`, with
    /// `PRIVATE_EXPEDITED` within a process and `GLOBAL_EXPEDITED` between two, for which the
    /// *waker's* process must have registered. A sleep then costs microseconds more, a question
    /// next to nothing.
    Sleeper(fn()),
}

impl Fence {
    /// Between the sleeper's doze and its last look.
    pub(super) fn of_sleeper(self) {
        match self {
            // ORDERING: pairs with the fence of the waker: either the load of the doze there sees
            // the store before this, or the sleeper's look after this sees what was published
            // there.
            Fence::Both => fence(Ordering::SeqCst),
            Fence::Sleeper(bring_about) => bring_about(),
        }
    }

    /// Between a publication and the look at the doze.
    #[inline]
    pub(super) fn of_waker(self) {
        match self {
            // ORDERING: pairs with the fence of the sleeper, see there.
            Fence::Both => fence(Ordering::SeqCst),
            // ORDERING: the processor's part is done by the sleeper's function, at whatever
            // instruction this thread then is; the compiler's part is to leave the store of what
            // was published and the load of the doze in this order.
            #[cfg(not(loom))]
            Fence::Sleeper(_) => compiler_fence(Ordering::SeqCst),
            #[cfg(loom)]
            Fence::Sleeper(_) => unreachable!("loom knows no membarrier"),
        }
    }
}

/// One side's part in the handshake, as sleeper and as waker. `mine` and `theirs` are always the
/// area of this side and of the other.
#[derive(Debug)]
pub(super) struct Waiting {
    fence: Fence,
    /// What is in my doze word.
    doze: u64,
    /// What is in my bell word.
    bell: u64,
    /// The doze of the other side that I rang for last.
    answered: u64,
    /// Something was published since the last question.
    owed: bool,
}

impl Waiting {
    /// Takes the words up where an earlier owner left them, perhaps asleep.
    pub(super) fn resume(mine: &Words, fence: Fence) -> Self {
        let doze = (mine.load(DOZE) | 1).wrapping_add(1);
        mine.store(DOZE, doze);
        // What has been published before I came may not have been rung for.
        Waiting { fence, doze, bell: mine.load(BELL), answered: 0, owed: true }
    }

    /// Says that something was published.
    #[inline]
    pub(super) fn owe(&mut self) {
        self.owed = true;
    }

    /// Says that sleep is near; the value that the other side's bell has while nobody rang.
    pub(super) fn announce(&mut self, mine: &Words, theirs: &Words) -> u32 {
        let seen = theirs.load(BELL) as u32;
        self.doze = self.doze.wrapping_add(1) | 1;
        // ORDERING: the load before may not move behind this store, or it could count the ring that
        // answers it: release, pairs with the fence of `ring`.
        mine.publish(DOZE, self.doze);
        self.fence.of_sleeper();
        seen
    }

    /// Says that this side is up again.
    pub(super) fn awake(&mut self, mine: &Words) {
        self.doze = (self.doze | 1).wrapping_add(1);
        mine.store(DOZE, self.doze);
    }

    /// Whether this side must wake the other; if so, the bell has been counted up.
    #[inline]
    pub(super) fn must_wake(&mut self, mine: &Words, theirs: &Words) -> bool {
        if !self.owed {
            return false;
        }
        self.owed = false;
        self.fence.of_waker();
        let doze = theirs.load(DOZE);
        let rings = doze % 2 == 1 && doze != self.answered;
        if rings {
            self.ring(doze, mine);
        }
        rings
    }

    #[cold]
    fn ring(&mut self, doze: u64, mine: &Words) {
        // ORDERING: pairs with the release of `announce`, see there.
        mine.acquired();
        self.answered = doze;
        self.bell = self.bell.wrapping_add(1);
        mine.store(BELL, self.bell);
    }

    /// The futex word of the bell in an area.
    #[cfg(not(loom))]
    pub(super) fn futex(words: &Words) -> *mut u32 {
        let low_half = if cfg!(target_endian = "big") { 4 } else { 0 };
        words.address(BELL).wrapping_add(low_half).cast()
    }
}
