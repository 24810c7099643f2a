//! The lanes of a fan-in, seen from the receiver.
//!
//! ```text
//!   sender a --- lane ---.
//!   sender b --- lane ---+--> visited in turn: at most BURST messages a visit
//!   sender c --- lane ---'
//!       |
//!       '-- clone: a new lane, handed over in the registry; `version` tells the receiver
//! ```
//!
//! A lane is an [`crate::spsc`] ring of its own; all of them share the [`Waiters`] in which the
//! receiver sleeps. A sender works on its own lane and on nothing else; the receiver looks at the
//! registry's version, a line that is written when a sender is cloned, whenever it changes lanes. A
//! lane whose sender is gone is taken out once it is drained.
//!
//! **No message is overlooked by one who sleeps.** A sender's first publish comes after its lane
//! was registered, and its look at the waiters after both; the receiver registers as a waiter, then
//! looks at the version, then at the lanes. By the handshake of [`Waiters`] one sees the other.
//!
//! **The end.** A sender is cloned by a sender, before that one is gone. So once every lane is
//! drained and its sender gone, and then the registry has nothing new, no sender is left.
//!
//! **Close** is that of the rings, for all of them: the waiters are closed first; then, under the
//! registry's lock, the set of lanes is closed; then each lane is cut. A lane that comes later is
//! cut before its first message, and its sender has seen the lock, and so the close.

use crate::error::TryRecvError;
use crate::front::{Measure, Pop, Side};
use crate::spsc::{Rx, Tx, ring};
use crate::stats::Stats;
use crate::sync::{Arc, AtomicUsize, Mutex, Ordering, lock};
use crate::wait::{Wait, Waiters};

type Lane<T> = Rx<T>;

/// Messages that are taken from a lane before the next is looked at, if it has any.
const BURST: usize = 64;

/// Where senders leave the receiving ends of new lanes.
pub(super) struct Registry<T> {
    capacity: usize,
    /// Goes up with every lane.
    version: AtomicUsize,
    /// The receiver sleeps here.
    items: Arc<Waiters>,
    new: Mutex<New<T>>,
}

struct New<T> {
    lanes: Vec<Lane<T>>,
    closed: bool,
}

impl<T> Registry<T> {
    pub(super) fn new(capacity: usize) -> Registry<T> {
        let new = Mutex::new(New { lanes: Vec::new(), closed: false });
        let items = Arc::new(Waiters::new());
        Registry { capacity, version: AtomicUsize::new(0), items, new }
    }

    /// A new lane; its other end is registered.
    pub(super) fn add(&self) -> Tx<T> {
        let (tx, mut rx) = ring::ring(self.capacity, Arc::clone(&self.items), false);
        let mut new = lock(&self.new);
        if new.closed {
            // The sender is to find it cut, and nobody else looks at it.
            rx.find_cut();
        } else {
            new.lanes.push(rx);
            let version = self.version.load(Ordering::Relaxed);
            // ORDERING: release, pairs with the load of `adopt`. The lane itself passes under the
            // lock; the version must be seen by a receiver that sees the lane's first message.
            self.version.store(version.wrapping_add(1), Ordering::Release);
        }
        tx
    }

    /// Lanes that the receiver has not adopted.
    fn measure<R>(&self, with: impl FnOnce(&[Lane<T>]) -> R) -> R {
        with(&lock(&self.new).lanes)
    }
}

/// The receiving ends of all lanes.
pub(super) struct Lanes<T> {
    registry: Arc<Registry<T>>,
    lanes: Vec<Lane<T>>,
    /// The one that is visited.
    at: usize,
    /// How many messages it may give before the next.
    burst: usize,
    /// The registry's, when it was last looked into.
    version: usize,
    /// What the lanes counted that are no more.
    gone: Stats,
    pub(super) wait: Wait,
}

impl<T> Lanes<T> {
    pub(super) fn new(registry: Arc<Registry<T>>) -> Lanes<T> {
        let (lanes, gone, wait) = (Vec::new(), Stats::default(), Wait::default());
        Lanes { registry, lanes, at: 0, burst: 0, version: 0, gone, wait }
    }

    /// Goes on to the next lane that has a message, and takes it.
    #[inline(never)]
    fn take_from_next(&mut self) -> Result<T, TryRecvError> {
        self.visit_next(|lane| lane.try_pop())
    }

    /// Goes on, lane by lane, to one that `visit` gets something from; the lane that is visited now
    /// is the last to be tried.
    #[inline(always)]
    fn visit_next<R>(
        &mut self,
        mut visit: impl FnMut(&mut Lane<T>) -> Result<R, TryRecvError>,
    ) -> Result<R, TryRecvError> {
        self.adopt();
        self.registry.items.awake_at(|| Side::position(self));
        let mut left = self.lanes.len();
        while left > 0 {
            left -= 1;
            self.at = if self.at + 1 < self.lanes.len() { self.at + 1 } else { 0 };
            match visit(&mut self.lanes[self.at]) {
                Ok(result) => {
                    self.burst = BURST;
                    return Ok(result);
                }
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Closed) => self.remove(),
            }
        }
        self.burst = 0;
        self.why_none()
    }

    /// No lane had anything.
    #[cold]
    fn why_none<R>(&mut self) -> Result<R, TryRecvError> {
        if !self.lanes.is_empty() {
            return Err(TryRecvError::Empty);
        }
        // The last sender is gone, unless it was cloned before: then the registry knows.
        self.adopt();
        Err(if self.lanes.is_empty() { TryRecvError::Closed } else { TryRecvError::Empty })
    }

    /// Takes new lanes out of the registry.
    #[inline(always)]
    fn adopt(&mut self) {
        // ORDERING: acquire, pairs with the store of `add`.
        let version = self.registry.version.load(Ordering::Acquire);
        if version != self.version {
            self.adopt_new();
        }
    }

    #[cold]
    fn adopt_new(&mut self) {
        let mut new = lock(&self.registry.new);
        self.version = self.registry.version.load(Ordering::Relaxed);
        self.lanes.append(&mut new.lanes);
    }

    /// Takes out the lane that is visited. The one before it is visited instead.
    #[cold]
    fn remove(&mut self) {
        let lane = self.lanes.remove(self.at);
        lane.ring().count_into(&mut self.gone);
        (self.gone.capacity, self.gone.depth) = (0, 0);
        self.at = self.at.checked_sub(1).unwrap_or(self.lanes.len().saturating_sub(1));
    }

    /// Refuses what is sent from now on; what was sent before can still be received.
    pub(super) fn close(&mut self) {
        self.registry.items.close();
        let mut new = lock(&self.registry.new);
        if std::mem::replace(&mut new.closed, true) {
            return;
        }
        self.lanes.append(&mut new.lanes);
        drop(new);
        // All are cut before anyone is woken: a waker is the program's code, and may panic.
        for lane in &mut self.lanes {
            lane.find_cut();
        }
        for lane in &self.lanes {
            lane.ring().space.wake(usize::MAX);
        }
    }

    /// Drops everything that was sent; goes on if a message's drop panics.
    pub(super) fn drain(&mut self) {
        struct Rest<'a, T>(&'a mut Lanes<T>);
        impl<T> Drop for Rest<'_, T> {
            fn drop(&mut self) {
                while self.0.try_pop().is_ok() {}
            }
        }
        let rest = Rest(self);
        while let Ok(message) = rest.0.try_pop() {
            drop(message);
        }
    }
}

impl<T> Side for Lanes<T> {
    #[inline(always)]
    fn waiters(&self) -> &Waiters {
        &self.registry.items
    }

    fn position(&self) -> usize {
        let lanes = self.lanes.iter().map(|lane| lane.position());
        lanes.fold(self.gone.received as usize, usize::wrapping_add)
    }

    fn wait(&self) -> Wait {
        self.wait
    }

    // Nothing to settle: what a lane withholds is less than its quantum, and lanes have that much
    // more than their capacity. A drained lane has room for all of it.
}

impl<T> Pop for Lanes<T> {
    type Item = T;

    #[inline(always)]
    fn try_pop(&mut self) -> Result<T, TryRecvError> {
        if self.burst > 0 {
            self.burst -= 1;
            if let Ok(message) = self.lanes[self.at].try_pop() {
                return Ok(message);
            }
        }
        self.take_from_next()
    }

    fn pop_many(&mut self, into: &mut Vec<T>, max: usize) -> Result<usize, TryRecvError> {
        if max == 0 {
            return Ok(0);
        }
        let mut count = self.visit_next(|lane| lane.pop_many(into, max.min(BURST)))?;
        for _ in 1..self.lanes.len() {
            if count == max {
                break;
            }
            let more = (max - count).min(BURST);
            let Ok(taken) = self.visit_next(|lane| lane.pop_many(into, more)) else { break };
            count += taken;
        }
        Ok(count)
    }

    fn is_ready(&self) -> bool {
        // ORDERING: acquire, as in `adopt`.
        let known = self.registry.version.load(Ordering::Acquire) == self.version;
        !known || self.lanes.is_empty() || self.lanes.iter().any(|lane| lane.is_ready())
    }
}

impl<T> Measure for &Lanes<T> {
    fn len(&self) -> usize {
        let of = |lanes: &[Lane<T>]| lanes.iter().map(|lane| lane.ring().len()).sum::<usize>();
        of(&self.lanes) + self.registry.measure(of)
    }

    fn capacity(&self) -> Option<usize> {
        Some(self.registry.capacity)
    }

    fn is_closed(&self) -> bool {
        let senders_gone =
            |lanes: &[Lane<T>]| lanes.iter().all(|lane| lane.ring().space.is_closed());
        self.registry.items.is_closed()
            || senders_gone(&self.lanes) && self.registry.measure(senders_gone)
    }

    fn stats(&self) -> Stats {
        let mut stats = self.gone;
        stats.receiver_wakes = self.registry.items.wakes();
        let mut add = |lanes: &[Lane<T>]| {
            for lane in lanes {
                lane.ring().count_into(&mut stats);
            }
        };
        add(&self.lanes);
        self.registry.measure(add);
        stats
    }
}
