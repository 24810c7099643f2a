//! How an endpoint waits: it looks, it spins, it naps, it sleeps.
//!
//! ```text
//!   look and find nothing
//!   spin        look again and again, for as long as that has paid of late
//!   lie down    say so where the peers can see it (doze), and look once more for a moment
//!   nap         sleep, but for ten milliseconds at most
//!   fence       run a full fence in every process that may be sending, and look everywhere
//!   sleep       until something rings
//! ```
//!
//! # Why a nap before the sleep
//!
//! A sender publishes, then looks whether the receiver sleeps; the receiver says that it sleeps,
//! then looks whether something was published. Unless there is a fence between the two steps on
//! either side they can miss each other. A fence in the sender costs each message ten times what it
//! costs otherwise. `membarrier` lets the receiver pay for both, but takes 10 us here while the
//! sender runs, a fifth of a whole round trip between sleepers. What has to be bridged is only the
//! time that a published word can rest in the sender's store buffer: some hundred nanoseconds. So
//! the receiver keeps looking for a moment after it has said that it sleeps, and then sleeps with a
//! limit; only if that passes it buys the fence, once, and sleeps for good. A message that slipped
//! through all the same is ten milliseconds late, and none is lost, because nobody sleeps without a
//! limit who has not run the fence. (A limit of one millisecond made a round trip between sleepers
//! 15 us longer here: a timer due before the next tick has to be set up, which leaves the virtual
//! machine. One of ten costs nothing.)
//!
//! # When to stop spinning
//!
//! Between processes nobody can count who is runnable. What can be noticed is being in the way:
//! after a few microseconds the spinner offers its core to others, and if that takes long twice in
//! a row, somebody had been waiting for it. (Once may have been the hypervisor.) Then this endpoint
//! does not spin for a while. Each spin in vain halves the next, each that paid doubles it, and now
//! and then one in full finds out whether times have changed. After a sleep that turned out short,
//! which is mostly the time of the wake-up, the next spin is longer.

use std::sync::OnceLock;
use std::sync::atomic::{Ordering, fence};
use std::time::{Duration, Instant};

use rustix::thread::{MembarrierCommand, membarrier};

use crate::error::Error;
use crate::porch::Porch;

/// How an endpoint waits when it blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wait {
    /// Never sleeps: the least latency, for a core that nobody else wants.
    Spin,
    /// Looks for up to this long, where that has paid and the core is not wanted, then sleeps; for
    /// up to two and a half times as long where messages came soon after. The default, with 20 us.
    Adaptive(Duration),
    /// Sleeps at once: the least processor time.
    Block,
}

impl Default for Wait {
    fn default() -> Self {
        Wait::Adaptive(Duration::from_micros(20))
    }
}

/// Looks without a pause between them: a dense conversation is answered within these.
const LOOKS_AT_ONCE: u32 = 64;
/// Looks with a pause after each, before the clock is asked.
const LOOKS_BEFORE_CLOCK: u32 = 64;
/// From then on the core is offered to others so often.
const YIELD_EVERY: Duration = Duration::from_micros(5);
/// A yield that took so long ran somebody else, who had something to do. One that finds nobody
/// takes less than a microsecond.
const WANTED: Duration = Duration::from_micros(20);
/// So many of them in a row, with no message found by spinning in between.
const WANTED_AGAIN: u32 = 2;
/// How long nobody spins after that.
const CROWDED: Duration = Duration::from_millis(2);
/// Spins in vain halve the next down to this part of the full one.
const LUCK_FULL: u32 = 64;
/// Of so many waits with the least luck, one spins in full.
const PROBE: u32 = 16;
/// A sleep of less than so many full spins was for something that came soon.
const SHORT: u32 = 4;
/// After a short sleep the full spin is so many halves longer: with the default, 50 us, which is
/// what a sleep and a wake-up cost.
const LONGER: u32 = 5;
/// After lying down: a published word leaves a store buffer within this.
const SETTLE: Duration = Duration::from_micros(1);
/// The longest a message can be late that fell between a publication and lying down.
const NAP: Duration = Duration::from_millis(10);
/// Who never sleeps looks everywhere so often, and lets the threads of its core have a turn: the
/// doorman may be one of them.
const SWEEP_EVERY: Duration = Duration::from_millis(1);

/// An endpoint as its waiting sees it.
pub(crate) trait Sleeper {
    /// Whether there is something to do, at the places where something is likely.
    fn look(&mut self) -> bool;
    /// Whether there is something to do anywhere at all.
    fn look_everywhere(&mut self) -> bool {
        self.look()
    }
    /// Tells all peers that whoever publishes must ring.
    fn lie_down(&mut self);
    /// Tells those peers that need not ring any more.
    fn get_up(&mut self);
    /// The doorbell of this key rang.
    fn rung(&mut self, _key: u32) {}
}

/// An endpoint's way to wait, and how well spinning has paid.
#[derive(Debug)]
pub(crate) struct Waiter {
    wait: Wait,
    luck: u32,
    since_probe: u32,
    /// The last sleep was short.
    gives_up_early: bool,
    /// Yields in a row that ran somebody else.
    wanted: u32,
    crowded_until: Option<Instant>,
}

impl Waiter {
    pub(crate) fn new(wait: Wait) -> Waiter {
        Waiter {
            wait,
            luck: LUCK_FULL,
            since_probe: 0,
            gives_up_early: false,
            wanted: 0,
            crowded_until: None,
        }
    }

    /// Whether it never sleeps.
    pub(crate) fn is_endless(&self) -> bool {
        self.wait == Wait::Spin
    }

    /// Waits until there is something to do, or until the deadline; whether there is.
    pub(crate) fn wait(
        &mut self,
        porch: &Porch,
        sleeper: &mut impl Sleeper,
        deadline: Option<Instant>,
    ) -> Result<bool, Error> {
        if self.spin(sleeper, deadline) {
            return Ok(true);
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Ok(false);
        }
        let began = Instant::now();
        lie_down(porch, sleeper);
        let found = sleep(porch, sleeper, deadline);
        porch.get_up();
        sleeper.get_up();
        self.slept(began.elapsed());
        found
    }

    /// Learns from a sleep. Most of a short one was the wake-up: the message came when this side
    /// had just given up.
    fn slept(&mut self, time: Duration) {
        let Wait::Adaptive(limit) = self.wait else { return };
        self.gives_up_early = time < limit.saturating_mul(SHORT);
        if self.gives_up_early {
            self.luck = LUCK_FULL;
            self.since_probe = 0;
        }
    }

    /// Looks for a while; whether there is something.
    #[inline]
    pub(crate) fn spin(&mut self, sleeper: &mut impl Sleeper, deadline: Option<Instant>) -> bool {
        let limit = match self.wait {
            Wait::Block => return sleeper.look(),
            Wait::Spin => Duration::MAX,
            // Longer is as good as for ever, and can be counted with.
            Wait::Adaptive(limit) => limit.min(Duration::from_secs(3600)),
        };
        for _ in 0..LOOKS_AT_ONCE {
            if sleeper.look() {
                return true;
            }
        }
        for _ in 0..LOOKS_BEFORE_CLOCK {
            if sleeper.look() {
                return true;
            }
            std::hint::spin_loop();
        }
        match self.wait {
            Wait::Spin => spin_on(sleeper, deadline),
            _ => self.spin_adaptively(sleeper, limit, deadline),
        }
    }

    #[cold]
    fn spin_adaptively(
        &mut self,
        sleeper: &mut impl Sleeper,
        limit: Duration,
        deadline: Option<Instant>,
    ) -> bool {
        let start = Instant::now();
        if self.crowded_until.is_some_and(|until| start < until) {
            return false;
        }
        let limit = if self.gives_up_early { limit * LONGER / 2 } else { limit };
        let mut until = start + limit * self.share() / LUCK_FULL;
        if let Some(deadline) = deadline {
            until = until.min(deadline);
        }
        let mut yielded = start;
        loop {
            for _ in 0..16 {
                if sleeper.look() {
                    self.luck = (self.luck * 2).min(LUCK_FULL);
                    self.since_probe = 0;
                    self.wanted = 0;
                    return true;
                }
                std::hint::spin_loop();
            }
            let now = Instant::now();
            if now >= until {
                self.luck = (self.luck / 2).max(1);
                return false;
            }
            if now - yielded >= YIELD_EVERY {
                std::thread::yield_now();
                yielded = Instant::now();
                if yielded - now >= WANTED {
                    self.wanted += 1;
                    if self.wanted >= WANTED_AGAIN {
                        self.wanted = 0;
                        self.crowded_until = Some(yielded + CROWDED);
                    }
                    return sleeper.look();
                }
            }
        }
    }

    /// Of [`LUCK_FULL`] parts, how many to spin this time.
    fn share(&mut self) -> u32 {
        self.since_probe += u32::from(self.luck == 1);
        if self.since_probe < PROBE {
            return self.luck;
        }
        self.since_probe = 0;
        LUCK_FULL
    }
}

/// Looks until there is something or the deadline is over; now and then everywhere, as before a
/// sleep: what says where something is likely can be erased by those who share it.
fn spin_on(sleeper: &mut impl Sleeper, deadline: Option<Instant>) -> bool {
    let mut swept = Instant::now();
    loop {
        for _ in 0..LOOKS_BEFORE_CLOCK {
            if sleeper.look() {
                return true;
            }
            std::hint::spin_loop();
        }
        let now = Instant::now();
        if now - swept >= SWEEP_EVERY {
            swept = now;
            std::thread::yield_now();
            if sleeper.look_everywhere() {
                return true;
            }
        }
        if deadline.is_some_and(|deadline| now >= deadline) {
            return false;
        }
    }
}

/// Says that the endpoint sleeps, to peers and doorman.
pub(crate) fn lie_down(porch: &Porch, sleeper: &mut impl Sleeper) {
    sleeper.lie_down();
    porch.lie_down();
}

/// Naps, and then sleeps, until there is something to do.
fn sleep(
    porch: &Porch,
    sleeper: &mut impl Sleeper,
    deadline: Option<Instant>,
) -> Result<bool, Error> {
    if settled(sleeper) {
        return Ok(true);
    }
    let mut limit = Some(NAP);
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let limit_now = match (limit, left) {
            (Some(limit), Some(left)) => Some(limit.min(left)),
            (limit, left) => limit.or(left),
        };
        let rung = porch
            .sleep(limit_now, |key| sleeper.rung(key))
            .map_err(Error::system("waiting for a doorbell"))?;
        if rung && sleeper.look() {
            return Ok(true);
        }
        if left.is_some_and(|left| left.is_zero()) {
            return Ok(false);
        }
        if rung {
            // It was for what had been taken before this side lay down, or for less room than is
            // waited for. Whoever rang has answered this sleep, and rings for the next one only.
            porch.get_up();
            sleeper.get_up();
            lie_down(porch, sleeper);
            if settled(sleeper) {
                return Ok(true);
            }
            limit = Some(NAP);
        } else if limit.is_some() {
            heavy_fence();
            if sleeper.look_everywhere() {
                return Ok(true);
            }
            limit = None;
        }
    }
}

/// Looks for a moment, until nothing that was published before can still be on its way.
fn settled(sleeper: &mut impl Sleeper) -> bool {
    let start = Instant::now();
    loop {
        if sleeper.look() {
            return true;
        }
        if start.elapsed() >= SETTLE {
            return false;
        }
        std::hint::spin_loop();
    }
}

/// The moment that long from now, or in some lifetimes if there is none.
pub(crate) fn after(limit: Duration) -> Instant {
    const LIFETIMES: Duration = Duration::from_secs(1 << 33);
    let now = Instant::now();
    now.checked_add(limit).unwrap_or_else(|| now + LIFETIMES)
}

/// Whether other processes can run [`heavy_fence`] for this one: asked once, and told to peers in
/// the handshake. Where it is not so on both sides, both fence on each message.
pub(crate) fn fences() -> bool {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    *REGISTERED.get_or_init(|| {
        membarrier(MembarrierCommand::RegisterGlobalExpedited).is_ok()
            && membarrier(MembarrierCommand::GlobalExpedited).is_ok()
    })
}

/// A full fence here and in every running thread of the processes that have registered for it.
pub(crate) fn heavy_fence() {
    fence(Ordering::SeqCst);
    if fences() {
        // It worked when it was asked for; nothing can be done about a kernel that takes it back.
        let _ = membarrier(MembarrierCommand::GlobalExpedited);
    }
}

/// What a side that lies down runs itself; the other processes' part is [`heavy_fence`], later.
pub(crate) fn light_fence() {
    fence(Ordering::SeqCst);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Has something where nothing is likely.
    struct Elsewhere;

    impl Sleeper for Elsewhere {
        fn look(&mut self) -> bool {
            false
        }

        fn look_everywhere(&mut self) -> bool {
            true
        }

        fn lie_down(&mut self) {
            panic!("who spins does not lie down");
        }

        fn get_up(&mut self) {}
    }

    #[test]
    fn who_spins_finds_what_no_mark_tells_of() {
        let deadline = Instant::now() + Duration::from_secs(60);
        let porch = Porch::new().unwrap();
        let found = Waiter::new(Wait::Spin).wait(&porch, &mut Elsewhere, Some(deadline));
        assert!(found.unwrap(), "not found for a minute");
    }
}
