//! Whether there is a core to spin on: one answer for the whole process.
//!
//! Counted are the threads that ever waited at a channel: each is *awake* but for the time of its
//! sleep there. Whoever wakes one counts it as awake at once, before it runs, because from then on
//! it wants a core. With more of them awake than there are cores, a spinning thread keeps the very
//! one from running that it waits for. A thread that sleeps elsewhere, in a system call of its own,
//! counts as awake: then others sleep where they might have spun.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How long nobody spins after a thread found itself off its core.
const CROWDED: Duration = Duration::from_millis(2);

static AWAKE: AtomicUsize = AtomicUsize::new(0);
/// Until when nobody spins, in nanoseconds since the first question.
static CROWDED_UNTIL: AtomicU64 = AtomicU64::new(0);

/// Counts a thread from its first wait to its end.
struct Member;

impl Drop for Member {
    fn drop(&mut self) {
        fell_asleep();
    }
}

/// Counts this thread, if it is not counted yet.
pub(super) fn join() {
    thread_local! {
        static MEMBER: Member = {
            woke();
            Member
        };
    }
    // A thread that is ending has left already.
    let _ = MEMBER.try_with(|_| ());
}

/// A counted thread is about to sleep, or has ended.
pub(super) fn fell_asleep() {
    AWAKE.fetch_sub(1, Ordering::Relaxed);
}

/// A counted thread was woken, or woke up by itself.
pub(super) fn woke() {
    AWAKE.fetch_add(1, Ordering::Relaxed);
}

/// Whether this thread may spin.
pub(super) fn has_room(now: Instant) -> bool {
    join();
    let cores = cores();
    cores > 1
        && AWAKE.load(Ordering::Relaxed) <= cores
        && since_start(now) >= CROWDED_UNTIL.load(Ordering::Relaxed)
}

/// A thread found that it had been taken off its core.
pub(super) fn report(now: Instant) {
    CROWDED_UNTIL.store(since_start(now + CROWDED), Ordering::Relaxed);
}

fn since_start(now: Instant) -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = START.get_or_init(|| now);
    u64::try_from(now.saturating_duration_since(*start).as_nanos()).unwrap_or(u64::MAX)
}

/// How many cores the threads that ever waited may use between them. Each thread's own answer would
/// be one for all that are pinned.
#[cfg(all(target_os = "linux", not(miri)))]
fn cores() -> usize {
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
