//! What a side does before it sleeps.
//!
//! A sleep costs 7 to 50 us of latency and two system calls, so it pays to look a little longer;
//! but whoever spins on a core that another thread needs makes that thread, perhaps the very one it
//! waits for, wait for the scheduler. [`Wait::Adaptive`] therefore spins only
//!
//! - while the threads that use channels and are awake are not more than the cores they may use,
//!   see [`super::crowd`];
//! - while it was not taken off its core: a gap between two looks at the clock says that other
//!   threads want it, and nobody spins for a while after;
//! - as long as spinning has paid here of late: each wait that spun in vain halves the next.

use std::time::{Duration, Instant};

use super::{Waiters, crowd};
use crate::sync;

/// How an end of a channel waits when it blocks. Each end has its own; the default is
/// [`Wait::Adaptive`]. Tasks that await are not concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Wait {
    /// Never gives the core away. The least latency, for a core per thread that nobody else wants.
    Spin,
    /// Spins a little, then gives the rest of each time slice away. Never sleeps.
    Yield,
    /// Spins for up to 50 us where that has paid and a core is free, then sleeps.
    #[default]
    Adaptive,
    /// Sleeps at once. The least processor time, for messages that are rare.
    Park,
}

/// The longest adaptive spin: about what a sleep and a wake cost.
const SPIN: Duration = Duration::from_micros(50);
/// A thread that was away from its core for so long was not alone on it.
/// A hypervisor takes a core away for less.
const AWAY: Duration = Duration::from_micros(400);
/// Spinning in vain halves it, spinning with success doubles it; the spin is [`SPIN`] times this
/// over [`FULL_LUCK`].
pub(crate) const FULL_LUCK: u32 = 64;
/// Of so many waits in vain, one spins in full all the same. Two threads that have both come to
/// sleep would else go on so: by the time that a sleeper answers, a short spin is over.
const PROBE: u32 = 16;
/// Pauses before the first look at the clock; then each step is followed by one.
const PAUSES_BEFORE_CLOCK: u32 = 64;
/// Looks at the channel that [`Wait::Yield`] makes before it yields.
const SPINS_BEFORE_YIELD: u32 = 64;

/// One wait of one thread: asked after each look at the channel that was in vain.
pub(crate) struct Backoff {
    wait: Wait,
    pauses: u32,
    spin: Option<Spin>,
}

/// A spin under way.
struct Spin {
    until: Instant,
    last: Instant,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    Look,
    Sleep,
}

impl Backoff {
    pub(crate) fn new(wait: Wait) -> Backoff {
        Backoff { wait, pauses: 0, spin: None }
    }

    /// Passes a little time, and says whether to look again or to sleep.
    #[inline]
    pub(crate) fn next(&mut self, waiters: &Waiters) -> Next {
        if cfg!(loom) {
            return Next::Sleep;
        }
        match self.wait {
            Wait::Spin => std::hint::spin_loop(),
            Wait::Yield if self.pauses < SPINS_BEFORE_YIELD => std::hint::spin_loop(),
            Wait::Yield => std::thread::yield_now(),
            Wait::Adaptive => return self.adapt(waiters),
            Wait::Park => return Next::Sleep,
        }
        self.pauses = self.pauses.saturating_add(1);
        Next::Look
    }

    fn adapt(&mut self, waiters: &Waiters) -> Next {
        // Each look may take the line away from the one who is to end the wait: fewer by and by.
        let step = match self.pauses {
            0..16 => 1,
            16..64 => 4,
            _ => 16,
        };
        sync::pause_for(step);
        self.pauses = self.pauses.saturating_add(step);
        if self.pauses < PAUSES_BEFORE_CLOCK {
            return Next::Look;
        }
        let next = self.look_at_the_clock(waiters);
        if next == Next::Sleep {
            self.spin = None;
        }
        next
    }

    fn look_at_the_clock(&mut self, waiters: &Waiters) -> Next {
        let now = Instant::now();
        let Some(spin) = &mut self.spin else {
            self.spin = begin(waiters, now);
            return if self.spin.is_some() { Next::Look } else { Next::Sleep };
        };
        if now.duration_since(spin.last) > AWAY {
            crowd::report(now);
            return Next::Sleep;
        }
        spin.last = now;
        if now < spin.until {
            return Next::Look;
        }
        luck::bad(waiters.luck());
        Next::Sleep
    }

    /// The wait ended well before it came to sleeping.
    #[inline]
    pub(crate) fn paid(&mut self, waiters: &Waiters) {
        if self.spin.take().is_some() {
            luck::good(waiters.luck());
        }
    }
}

fn begin(waiters: &Waiters, now: Instant) -> Option<Spin> {
    if !crowd::has_room(now) {
        return None;
    }
    let luck = luck::now(waiters.luck());
    Some(Spin { until: now + SPIN * luck / FULL_LUCK, last: now })
}

mod luck {
    //! How well spinning has paid: the luck, and above it how often it has been the least.

    use std::cmp::min;

    use super::{FULL_LUCK, PROBE};
    use crate::sync::{AtomicU32, Ordering};

    const TIMES: u32 = 256;

    /// Of [`FULL_LUCK`] parts, how many to spin.
    pub(super) fn now(word: &AtomicU32) -> u32 {
        let word_now = word.load(Ordering::Relaxed);
        let (luck, times) = (word_now % TIMES, word_now / TIMES);
        if times >= PROBE { FULL_LUCK } else { luck }
    }

    pub(super) fn good(word: &AtomicU32) {
        let luck = word.load(Ordering::Relaxed) % TIMES;
        word.store(min(luck * 2, FULL_LUCK), Ordering::Relaxed);
    }

    pub(super) fn bad(word: &AtomicU32) {
        let word_now = word.load(Ordering::Relaxed);
        let (luck, times) = (word_now % TIMES, word_now / TIMES);
        let next = match luck {
            1 if times < PROBE => 1 + (times + 1) * TIMES,
            _ => (luck / 2).max(1),
        };
        word.store(next, Ordering::Relaxed);
    }
}
