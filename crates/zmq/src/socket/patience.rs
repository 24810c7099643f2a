//! A moment's patience before a receiver sleeps.
//!
//! To sleep and be woken takes 7 to 50 us, and as long again for the peer if it slept meanwhile;
//! what two threads that talk to each other through memory have to say takes less than one, and
//! what two processes say over loopback less than 20. So a receiver looks for a moment whether the
//! answer comes, as long as that pays: a moment that brought nothing makes the next less likely,
//! down to one in [`SLEEPS_PER_TRY`]. For near peers it looks at memory, for [`MOMENT`]; for wires
//! into the poll, for as long as the option `spin` says.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::shared::Shared;
use super::waiting::Attempt;

/// How long the moment is. Most of what dense traffic has to gain is gained in half of it.
const MOMENT: Duration = Duration::from_micros(10);
/// How long a thread looks into the poll before it offers its core to others between two looks.
const ALONE: Duration = Duration::from_micros(20);
/// How often it has to bring nothing before it is thought to be of no use.
const LUCK_MAX: u32 = 16;
/// What one that brought something is worth: it saves two or three times what the other costs.
const LUCK_PER_HIT: u32 = 2;
/// How often it is tried again when it is of no use.
const SLEEPS_PER_TRY: u32 = 64;

/// Whom a receiver has patience with.
#[derive(Debug, Default)]
pub(super) struct Patience {
    /// Some peer is reached by `inproc`.
    near: AtomicBool,
    with_near: Luck,
    with_wires: Luck,
}

/// Whether waiting a moment has paid of late. Its numbers are hints, and read and written as such.
#[derive(Debug)]
struct Luck {
    luck: AtomicU32,
    sleeps: AtomicU32,
}

impl Default for Luck {
    fn default() -> Self {
        Luck { luck: AtomicU32::new(LUCK_MAX), sleeps: AtomicU32::new(0) }
    }
}

impl Patience {
    fn is_due(&self) -> bool {
        self.near.load(Ordering::Relaxed) && has_other_cores() && self.with_near.is_due()
    }
}

impl Luck {
    fn is_due(&self) -> bool {
        self.luck.load(Ordering::Relaxed) > 0
            || self.sleeps.fetch_add(1, Ordering::Relaxed).is_multiple_of(SLEEPS_PER_TRY)
    }

    fn paid(&self, it_did: bool) {
        let luck = self.luck.load(Ordering::Relaxed);
        let luck = if it_did { luck + LUCK_PER_HIT } else { luck.saturating_sub(1) };
        self.luck.store(luck.min(LUCK_MAX), Ordering::Relaxed);
    }
}

/// Whether somebody else can run while this thread looks. What this thread is bound to says nothing
/// of where others run; if they are all bound to one core, it shows in the [`Luck`].
fn has_other_cores() -> bool {
    static SEVERAL: OnceLock<bool> = OnceLock::new();
    *SEVERAL.get_or_init(|| {
        let online = std::fs::read_to_string("/sys/devices/system/cpu/online");
        online.map_or_else(|_| has_cores(), |cores| cores.trim() != "0")
    })
}

/// The same where the system does not tell, by the cores that this thread may use.
fn has_cores() -> bool {
    thread::available_parallelism().is_ok_and(|cores| cores.get() > 1)
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
                self.patience.with_near.paid(true);
                return Some(found);
            }
        }
        self.patience.with_near.paid(false);
        None
    }

    /// Looks into the poll for up to `spin`, if that is likely to pay; whether there were events.
    pub(super) fn look_into_poll(&self, spin: Duration, mut look: impl FnMut() -> bool) -> bool {
        let luck = &self.patience.with_wires;
        if spin.is_zero() || !has_other_cores() || !luck.is_due() {
            return false;
        }
        let start = Instant::now();
        let found = loop {
            if look() {
                break true;
            }
            let waited = start.elapsed();
            if waited >= spin {
                break false;
            }
            if waited > ALONE {
                // Somebody may wait for this core who has something to do.
                thread::yield_now();
            }
        };
        luck.paid(found);
        found
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
                patience.with_near.paid(false);
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
                patience.with_near.paid(n % 3 == 0);
            }
            due
        });
        assert!(!has_other_cores() || tries.count() == 999);
    }
}
