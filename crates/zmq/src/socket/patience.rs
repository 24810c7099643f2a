//! A moment's patience before a receiver of near peers sleeps.
//!
//! To sleep and be woken takes two system calls and 7 to 30 us; what two threads that talk to each
//! other through memory have to say takes less than one. So a receiver looks for a moment whether
//! the answer comes, as long as that pays: a moment that brought nothing makes the next less
//! likely, down to one in [`SLEEPS_PER_TRY`]. Who waits for wires only never does this; for those
//! there is the option `spin`.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::shared::Shared;
use super::waiting::Attempt;

/// How long the moment is. Most of what dense traffic has to gain is gained in half of it.
const MOMENT: Duration = Duration::from_micros(10);
/// How often it has to bring nothing before it is thought to be of no use.
const LUCK_MAX: u32 = 16;
/// What one that brought something is worth: it saves two or three times what the other costs.
const LUCK_PER_HIT: u32 = 2;
/// How often it is tried again when it is of no use.
const SLEEPS_PER_TRY: u32 = 64;

/// Whether waiting a moment has paid of late. Its numbers are hints, and read and written as such.
#[derive(Debug)]
pub(super) struct Patience {
    /// Some peer is reached by `inproc`.
    near: AtomicBool,
    luck: AtomicU32,
    sleeps: AtomicU32,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            near: AtomicBool::new(false),
            luck: AtomicU32::new(LUCK_MAX),
            sleeps: AtomicU32::new(0),
        }
    }
}

impl Patience {
    fn is_due(&self) -> bool {
        self.near.load(Ordering::Relaxed)
            && has_cores()
            && (self.luck.load(Ordering::Relaxed) > 0
                || self.sleeps.fetch_add(1, Ordering::Relaxed) % SLEEPS_PER_TRY == 0)
    }

    fn paid(&self, it_did: bool) {
        let luck = self.luck.load(Ordering::Relaxed);
        let luck = if it_did { luck + LUCK_PER_HIT } else { luck.saturating_sub(1) };
        self.luck.store(luck.min(LUCK_MAX), Ordering::Relaxed);
    }
}

/// Whether another thread can run while this one looks.
fn has_cores() -> bool {
    static SEVERAL: OnceLock<bool> = OnceLock::new();
    *SEVERAL.get_or_init(|| thread::available_parallelism().is_ok_and(|cores| cores.get() > 1))
}

impl Shared {
    /// A peer is reached by `inproc` from now on.
    pub(crate) fn has_near_peers(&self) {
        self.patience.near.store(true, Ordering::Relaxed);
    }

    /// Looks for a moment whether a near peer says something, if that is likely to pay.
    pub(super) fn look_for_a_moment<T>(
        &self,
        attempt: &mut impl FnMut() -> Attempt<T>,
    ) -> Attempt<T> {
        if !self.patience.is_due() {
            return None;
        }
        let start = Instant::now();
        while start.elapsed() < MOMENT {
            std::hint::spin_loop();
            // Near peers ring when the socket found nothing of theirs, as it just did.
            if self.doorbell.has_rung()
                && let Some(found) = attempt()
            {
                self.patience.paid(true);
                return Some(found);
            }
        }
        self.patience.paid(false);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_pays_is_hardly_tried() {
        let patience = Patience::default();
        assert!(!patience.is_due(), "no peer is near");
        patience.near.store(true, Ordering::Relaxed);
        let tries = (0..10_000).filter(|_| {
            let due = patience.is_due();
            if due {
                patience.paid(false);
            }
            due
        });
        let tries = tries.count();
        assert!(tries <= LUCK_MAX as usize + 10_000 / SLEEPS_PER_TRY as usize + 1, "{tries}");
    }

    #[test]
    fn what_pays_every_third_time_is_tried_on() {
        let patience = Patience::default();
        patience.near.store(true, Ordering::Relaxed);
        let tries = (0..999).filter(|n| {
            let due = patience.is_due();
            if due {
                patience.paid(n % 3 == 0);
            }
            due
        });
        assert!(!has_cores() || tries.count() == 999);
    }
}
