//! How a thread sleeps until it can go on, and what happens to events meanwhile.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use chaski_zmtp::pattern::Peer;
use smallvec::SmallVec;

use super::poller::Sleep;
use super::shared::Shared;
use super::turn::{Seat, Want, Who};
use crate::driver::Forked;
use crate::link::Link;

/// Until when a call waits.
#[derive(Clone, Copy, Debug)]
pub(super) enum Until {
    /// For ever.
    Forever,
    /// To this time.
    Time(Instant),
}

impl Until {
    /// From now on; for ever if there is no time so far away.
    pub(super) fn after(timeout: Option<Duration>) -> Self {
        timeout
            .and_then(|timeout| Instant::now().checked_add(timeout))
            .map_or(Until::Forever, Until::Time)
    }

    /// How long that is; `None` for ever, and an error if it is over.
    fn left(self) -> Result<Option<Duration>, Over> {
        match self {
            Until::Forever => Ok(None),
            Until::Time(at) => match at.checked_duration_since(Instant::now()) {
                Some(left) if !left.is_zero() => Ok(Some(left)),
                _ => Err(Over),
            },
        }
    }
}

/// The time is over.
struct Over;

/// What came of an attempt: what was wanted, and whether there may be more of it.
pub(super) type Attempt<T> = Option<(T, bool)>;

impl Shared {
    /// Sleeps until `attempt` gets what it wants, or the time is over.
    pub(super) fn wait<T>(
        self: &Arc<Self>,
        want: Want,
        until: Until,
        mut attempt: impl FnMut() -> Attempt<T>,
    ) -> Result<Option<T>, Forked> {
        self.check_origin()?;
        if want == Want::Recv {
            self.flush_armed();
            if let Some((wanted, more)) = self.look_for_a_moment(&mut attempt) {
                if more {
                    self.answer(self.turn.pass_on(want));
                }
                return Ok(Some(wanted));
            }
        }
        let mut seat = self.turn.sit(want, Who::Thread(thread::current()));
        loop {
            if let Some((wanted, more)) = attempt() {
                self.answer(self.turn.leave(seat, want, Some(more)));
                self.watch_over_stuck();
                return Ok(Some(wanted));
            }
            let Ok(left) = until.left() else {
                self.answer(self.turn.leave(seat, want, None));
                self.watch_over_stuck();
                return Ok(None);
            };
            self.flush_armed();
            match seat {
                Seat::Lead => self.lead(want, left),
                Seat::Follow(_) => {
                    match left {
                        None => thread::park(),
                        Some(left) => thread::park_timeout(left),
                    }
                    if !self.turn.still(&seat, None) {
                        seat = self.turn.sit_again(want, Who::Thread(thread::current()));
                    }
                }
            }
        }
    }

    /// Sleeps in the poll, once.
    fn lead(self: &Arc<Self>, want: Want, timeout: Option<Duration>) {
        let mut sleep = self.poller.sleep();
        if self.turn.take_call() {
            return;
        }
        if want == Want::Recv {
            let spin = timeout.map_or(self.options().spin, |left| left.min(self.options().spin));
            let look = || self.take_events(&mut sleep, Some(Duration::ZERO), Some(want)) > 0;
            if self.look_into_poll(spin, look) {
                self.turn.look_up();
                return;
            }
        }
        self.take_events(&mut sleep, timeout, Some(want));
        drop(sleep);
        self.turn.look_up();
    }

    /// A task's look before it gives its thread back, if the user wants one; whether there were
    /// events.
    pub(super) fn look_as_task(self: &Arc<Self>, want: Want) -> bool {
        let spin = match &*self.options() {
            options if options.spin_tasks && want == Want::Recv => options.spin,
            _ => return false,
        };
        let Some(mut sleep) = self.poller.try_sleep() else { return false };
        self.look_into_poll(spin, || {
            self.take_events(&mut sleep, Some(Duration::ZERO), Some(want)) > 0
        })
    }

    /// Takes events from the poll and passes them on; how many there were. `mine` is what the
    /// caller itself waits for, and looks after itself.
    fn take_events(
        self: &Arc<Self>,
        sleep: &mut Sleep,
        timeout: Option<Duration>,
        mine: Option<Want>,
    ) -> usize {
        let mut writable: SmallVec<[Peer; 8]> = SmallVec::new();
        let (mut readable, mut bell) = (false, false);
        let count = sleep.wait(timeout, |occasion| {
            if occasion.readable && self.kind.receives() {
                self.doorbell.ring(occasion.peer, occasion.hung_up);
                readable = true;
            }
            if occasion.writable {
                writable.push(occasion.peer);
            }
            bell |= occasion.bell;
        });
        self.flush_writable(&writable);
        if bell && mine != Some(Want::Send) {
            self.room();
        }
        if readable && mine != Some(Want::Recv) {
            self.notify(Want::Recv);
        }
        count
    }

    /// Writes on where the kernel takes more again.
    fn flush_writable(self: &Arc<Self>, peers: &[Peer]) {
        if peers.is_empty() {
            return;
        }
        let links: SmallVec<[Arc<Link>; 8]> = {
            let rules = self.rules();
            let link = |peer: &Peer| rules.seats.get(*peer).map(|seat| Arc::clone(&seat.link));
            peers.iter().filter_map(link).collect()
        };
        for link in &links {
            self.flushed(link, link.outbox.flush_stuck());
        }
    }

    /// Takes events that are there, without sleeping, unless somebody else sleeps in the poll:
    /// whether all were taken.
    pub(super) fn harvest(self: &Arc<Self>, mine: Option<Want>) -> bool {
        let Some(mut sleep) = self.poller.try_sleep() else { return false };
        while self.take_events(&mut sleep, Some(Duration::ZERO), mine) == super::poller::EVENTS_MAX
        {
        }
        true
    }

    /// The socket's descriptor is readable: takes its events and wakes who waits for them. Whether
    /// anybody still waits as a task, so that the descriptor is to be watched on.
    pub(crate) fn readable(self: &Arc<Self>) -> bool {
        // If a thread has the poll, it has the events.
        self.harvest(None);
        self.turn.goes_on_watching()
    }

    /// Nobody may be in the poll any more to see when a stuck outbox can go on: the driver will.
    fn watch_over_stuck(self: &Arc<Self>) {
        if !self.any_stuck.swap(false, Ordering::AcqRel) {
            return;
        }
        let stuck: Vec<Arc<Link>> = {
            let rules = self.rules();
            let links = rules.seats.0.iter().map(|(_, seat)| &seat.link);
            links.filter(|link| link.outbox.is_stuck()).cloned().collect()
        };
        for link in stuck {
            self.any_stuck.store(true, Ordering::Release);
            if link.outbox.begins_ticking() {
                self.driver().arm(&link);
            }
        }
    }
}
