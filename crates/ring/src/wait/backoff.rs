//! What a side does before it sleeps.
//!
//! A sleep costs 7 to 9 us of latency and two system calls, so it pays to look a little longer; but
//! whoever spins on a core that another thread needs makes that thread, perhaps the very one it
//! waits for, wait for the scheduler. [`Wait::Adaptive`] therefore spins only
//!
//! - with at most as many spinning threads in the process as there are cores, and never with one
//!   core;
//! - while it was not taken off its core: a gap between two looks at the clock says that more
//!   threads want to run than there are cores, and nobody spins for a while after;
//! - as long as spinning has paid here of late: each wait that spun in vain halves the next.

use std::time::{Duration, Instant};

use super::Waiters;

/// How an end of a channel waits when it blocks. Each end has its own; the default is
/// [`Wait::Adaptive`]. Tasks that await are not concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Wait {
    /// Never gives the core away. The least latency, for a core per thread that nobody else wants.
    Spin,
    /// Spins a little, then gives the rest of each time slice away. Never sleeps.
    Yield,
    /// Spins for up to 20 us where that has paid and a core is free, then sleeps.
    #[default]
    Adaptive,
    /// Sleeps at once. The least processor time, for messages that are rare.
    Park,
}

/// The longest adaptive spin.
const SPIN: Duration = Duration::from_micros(20);
/// A thread that was away from its core for so long was not alone on it.
/// A hypervisor takes a core away for less.
const AWAY: Duration = Duration::from_micros(400);
/// How long nobody spins after that.
const CROWDED: Duration = Duration::from_millis(2);
/// Spinning in vain halves it, spinning with success doubles it; the spin is [`SPIN`] times this
/// over [`FULL_LUCK`].
pub(crate) const FULL_LUCK: u32 = 64;
/// Of so many waits in vain, one spins in full all the same. Two threads that have both come to
/// sleep would else go on so: by the time that a sleeper answers, a short spin is over.
const PROBE: u32 = 16;
/// Pauses between two looks at the clock.
const PAUSES_PER_LOOK: u32 = 32;
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
    _permit: crowd::Permit,
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
        if self.pauses % PAUSES_PER_LOOK != PAUSES_PER_LOOK - 1 {
            self.pauses += 1;
            std::hint::spin_loop();
            return Next::Look;
        }
        self.pauses += 1;
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
    let _permit = crowd::permit(now)?;
    let luck = luck::now(waiters.luck());
    Some(Spin { until: now + SPIN * luck / FULL_LUCK, last: now, _permit })
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

mod crowd {
    //! Whether there is a core to spin on: one answer for the whole process.

    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
    use std::time::Instant;

    use super::CROWDED;

    static SPINNING: AtomicUsize = AtomicUsize::new(0);
    /// Until when nobody spins, in nanoseconds since the first question.
    static CROWDED_UNTIL: AtomicU64 = AtomicU64::new(0);

    /// Leave to spin, given back when dropped.
    pub(super) struct Permit(());

    impl Drop for Permit {
        fn drop(&mut self) {
            SPINNING.fetch_sub(1, Ordering::Relaxed);
        }
    }

    pub(super) fn permit(now: Instant) -> Option<Permit> {
        let cores = cores();
        if cores == 1 || since_start(now) < CROWDED_UNTIL.load(Ordering::Relaxed) {
            return None;
        }
        let others = SPINNING.fetch_add(1, Ordering::Relaxed);
        let permit = Permit(());
        (others < cores).then_some(permit)
    }

    /// A thread found that it had been taken off its core.
    pub(super) fn report(now: Instant) {
        let until = since_start(now + CROWDED);
        CROWDED_UNTIL.store(until, Ordering::Relaxed);
    }

    fn since_start(now: Instant) -> u64 {
        static START: OnceLock<Instant> = OnceLock::new();
        let start = START.get_or_init(|| now);
        u64::try_from(now.saturating_duration_since(*start).as_nanos()).unwrap_or(u64::MAX)
    }

    /// How many cores the threads that ever waited may use between them. Each thread's own answer
    /// would be one for all that are pinned.
    #[cfg(all(target_os = "linux", not(miri)))]
    fn cores() -> usize {
        use std::cell::Cell;

        use rustix::thread::{CpuSet, sched_getaffinity};

        const WORDS: usize = CpuSet::MAX_CPU / 64;
        static CORES: [AtomicU64; WORDS] = [const { AtomicU64::new(0) }; WORDS];
        thread_local! {
            static TOLD: Cell<bool> = const { Cell::new(false) };
        }
        if !TOLD.replace(true)
            && let Ok(mine) = sched_getaffinity(None)
        {
            for core in (0..CpuSet::MAX_CPU).filter(|core| mine.is_set(*core)) {
                CORES[core / 64].fetch_or(1 << (core % 64), Ordering::Relaxed);
            }
        }
        CORES.iter().map(|word| word.load(Ordering::Relaxed).count_ones() as usize).sum()
    }

    #[cfg(not(all(target_os = "linux", not(miri))))]
    fn cores() -> usize {
        static CORES: OnceLock<usize> = OnceLock::new();
        *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
    }
}
