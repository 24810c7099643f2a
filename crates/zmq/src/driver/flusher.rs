//! The tick: gathered output leaves soon, whatever its senders do next.
//!
//! Adaptive flush (`link::outbox`) lets a burst of sends gather. Mostly its sender flushes what
//! gathered itself, by filling 64 KiB or by going to wait. This thread is for the sender that does
//! neither: while any link is armed, it ticks each 50 us; less often, down to once in 1 ms, while
//! it finds nothing to do; and it sleeps when nothing was armed for 10 ms.

use std::num::NonZeroU64;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::inbox::{Command, Common};
use super::limits::{TICK_MAX, TICK_MIN, TICK_ON};
use super::{PeerKey, SocketId};
use crate::link::{Link, Tick};

/// The handle of the ticking thread, which is started at first need.
pub(super) struct Flusher(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    armed: Condvar,
    common: Arc<Common>,
}

#[derive(Default)]
struct State {
    /// Armed since the last tick.
    links: Vec<Arc<Link>>,
    started: bool,
    asleep: bool,
    stop: bool,
}

impl Flusher {
    pub(super) fn new(common: Arc<Common>) -> Self {
        Flusher(Arc::new(Shared { state: Mutex::default(), armed: Condvar::new(), common }))
    }

    /// Has a link ticked until it retires. False if there is no thread to do it.
    pub(super) fn arm(&self, link: &Arc<Link>) -> bool {
        let mut state = self.0.lock();
        if state.stop || !state.started && !self.start(&mut state) {
            return false;
        }
        state.links.push(Arc::clone(link));
        let wake = std::mem::replace(&mut state.asleep, false);
        drop(state);
        if wake {
            self.0.armed.notify_one();
        }
        true
    }

    fn start(&self, state: &mut State) -> bool {
        let shared = Arc::clone(&self.0);
        let thread = thread::Builder::new().name("chaski-zmq-tick".into());
        state.started = thread.spawn(move || shared.run()).is_ok();
        state.started
    }

    /// Lets the thread end.
    pub(super) fn stop(&self) {
        self.0.lock().stop = true;
        self.0.armed.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        // By default the kernel may let a sleep of 50 us take another 50.
        let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1_000));
        let mut ticking: Vec<Arc<Link>> = Vec::new();
        let mut pace = TICK_MIN;
        let mut last = Instant::now();
        loop {
            if !self.gather(&mut ticking) {
                return;
            }
            thread::sleep(pace);
            let now = Instant::now();
            let found = self.tick(&mut ticking, now.duration_since(last) >= TICK_ON);
            if found {
                last = now;
            }
            pace = next_pace(pace, found);
        }
    }

    /// Takes over what was armed; sleeps if there is nothing. False at the end.
    fn gather(&self, ticking: &mut Vec<Arc<Link>>) -> bool {
        let mut state = self.lock();
        while ticking.is_empty() && state.links.is_empty() && !state.stop {
            state.asleep = true;
            state = self.armed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.asleep = false;
        ticking.append(&mut state.links);
        !state.stop || !ticking.is_empty()
    }

    /// Ticks all links. Whether there was anything to flush.
    fn tick(&self, ticking: &mut Vec<Arc<Link>>, retire: bool) -> bool {
        let mut found = false;
        ticking.retain(|link| match ticked(link, retire) {
            Tick::Flushed => {
                found = true;
                true
            }
            Tick::Left => true,
            Tick::Retired => false,
            Tick::Stuck => {
                if let Some(socket) = link.socket() {
                    let peer = PeerKey { socket: SocketId::of(&socket), peer: link.peer };
                    self.common.push(Command::Stuck { peer });
                }
                false
            }
        });
        found
    }
}

/// Ticks a link. A panic, as of a task's waker that is called for it, costs that link alone its
/// tick.
fn ticked(link: &Arc<Link>, retire: bool) -> Tick {
    catch_unwind(AssertUnwindSafe(|| link.tick(retire))).unwrap_or_else(|_| {
        link.outbox.ends_ticking();
        Tick::Retired
    })
}

fn next_pace(pace: Duration, found: bool) -> Duration {
    if found { TICK_MIN } else { (pace * 2).min(TICK_MAX) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_that_find_nothing_become_rare() {
        let mut pace = TICK_MIN;
        for _ in 0..20 {
            assert!(pace <= TICK_MAX);
            pace = next_pace(pace, false);
        }
        assert_eq!(pace, TICK_MAX);
        assert_eq!(next_pace(pace, true), TICK_MIN);
    }
}
