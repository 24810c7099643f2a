//! How long to look before going to sleep.
//!
//! A look at shared memory costs nothing, to sleep and be woken costs both sides some
//! microseconds. So a consumer looks for a while, for as long as that has paid of late: each spin
//! in vain halves the next, each that paid doubles it, up to the full one.

use std::time::{Duration, Instant};

/// Looks between two looks at the clock.
const LOOKS: u32 = 32;

/// Spins in vain halve the next down to this part of the full one.
const LUCK_FULL: u32 = 64;

/// Of so many sleeps, one has a full spin before it: times may have changed.
const PROBE: u32 = 16;

/// The spins of one consumer, and how they paid.
#[derive(Debug)]
pub(super) struct Spin {
    full: Duration,
    luck: u32,
    since_probe: u32,
}

impl Spin {
    /// Spins of up to `full`; none where there is one core, which whoever is waited for needs.
    pub(super) fn new(full: Duration) -> Spin {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let full = if cores > 1 { full } else { Duration::ZERO };
        Spin { full, luck: LUCK_FULL, since_probe: 0 }
    }

    /// Looks until there is something, for as long as it is worth it; false: there is nothing.
    pub(super) fn until(&mut self, mut is_ready: impl FnMut() -> bool) -> bool {
        let limit = self.limit();
        if limit.is_zero() {
            return is_ready();
        }
        let began = Instant::now();
        loop {
            for _ in 0..LOOKS {
                if is_ready() {
                    self.luck = (self.luck * 2).min(LUCK_FULL);
                    return true;
                }
                std::hint::spin_loop();
            }
            if began.elapsed() >= limit {
                self.luck = (self.luck / 2).max(1);
                return false;
            }
        }
    }

    fn limit(&mut self) -> Duration {
        self.since_probe += 1;
        if self.since_probe >= PROBE {
            self.since_probe = 0;
            return self.full;
        }
        self.full * self.luck / LUCK_FULL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spins_in_vain_get_shorter_and_one_that_paid_longer() {
        let mut spin = Spin { full: Duration::from_micros(64), luck: LUCK_FULL, since_probe: 0 };
        for _ in 0..8 {
            assert!(!spin.until(|| false));
        }
        assert_eq!(spin.luck, 1);
        assert!(spin.until(|| true) && spin.until(|| true));
        assert_eq!(spin.luck, 4);
        let limits: Vec<Duration> = (0..PROBE).map(|_| spin.limit()).collect();
        assert_eq!(limits.iter().filter(|limit| **limit == spin.full).count(), 1);
    }

    #[test]
    fn without_a_spin_there_is_one_look() {
        let mut spin = Spin::new(Duration::ZERO);
        let mut looks = 0;
        let mut look = || {
            looks += 1;
            false
        };
        assert!(!spin.until(&mut look));
        assert_eq!(looks, 1);
    }
}
