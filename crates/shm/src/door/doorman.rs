//! The one background thread of the process: it listens, dials and notices hang-ups for all
//! endpoints.
//!
//! ```text
//!   endpoints --orders--> +---------+ <-- listening sockets, unfinished handshakes  reception
//!   (mutex and eventfd)   | doorman | <-- dialled sockets, timers                   dial
//!   porches   <--knocks-- +---------+ <-- sockets of sessions                       session
//!   tasks     <--wakes---             <-- porches of tasks that wait              watched
//! ```
//!
//! Listening and dialling belong to the thread alone; endpoints ask for them by orders. Sessions
//! are known to it by a number and weakly, so that they end with their endpoints. Numbers are
//! never used twice: an event of something that is gone finds nothing.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::io::{self, Errno};
use rustix::process::{Pid, getpid};

use super::dial::{Dial, Dials};
use super::reception::{Listener, Reception};
use super::session::WeakLine;
use super::watched::Watches;

/// The number under which the doorman's own bell rings.
const BELL: u64 = 0;

/// Events taken in one round.
const EVENTS_MAX: usize = 64;

/// How long the thread rests when it cannot even wait, because somebody closed its descriptors, or
/// after something panicked.
const REST: Duration = Duration::from_millis(100);

/// What endpoints ask for.
pub(super) enum Order {
    Listen(u64, Listener),
    StopListening(u64),
    Dial(u64, Box<Dial>),
    StopDialling(u64),
}

/// What the thread and the endpoints share.
pub(super) struct Doorman {
    epoll: OwnedFd,
    bell: OwnedFd,
    orders: Mutex<Vec<Order>>,
    sessions: Mutex<HashMap<u64, WeakLine>>,
    watches: Watches,
    tokens: AtomicU64,
    process: Pid,
}

impl Doorman {
    /// The doorman of this process, who starts with the first call and never ends.
    pub(super) fn of_this_process() -> io::Result<Arc<Doorman>> {
        static DOORMAN: Mutex<Option<Arc<Doorman>>> = Mutex::new(None);

        let mut doorman = lock(&DOORMAN);
        match &*doorman {
            // After a fork the thread is the parent's, and so are the descriptors.
            Some(running) if running.is_at_home() => Ok(Arc::clone(running)),
            _ => Ok(Arc::clone(doorman.insert(Doorman::start()?))),
        }
    }

    fn start() -> io::Result<Arc<Doorman>> {
        let doorman = Arc::new(Doorman {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            bell: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            orders: Mutex::default(),
            sessions: Mutex::default(),
            watches: Watches::default(),
            tokens: AtomicU64::new(BELL + 1),
            process: getpid(),
        });
        doorman.watch(&doorman.bell, BELL, EventFlags::IN | EventFlags::ET)?;
        let rounds = Rounds {
            doorman: Arc::clone(&doorman),
            reception: Reception::new(),
            dials: Dials::new(),
        };
        let started = thread::Builder::new().name("chaski-doorman".into()).spawn(|| rounds.make());
        match started {
            Ok(_) => Ok(doorman),
            Err(e) => Err(super::errno(e)),
        }
    }

    /// A number nobody else has.
    pub(super) fn token(&self) -> u64 {
        self.tokens.fetch_add(1, Ordering::Relaxed)
    }

    /// Asks the thread for something. What was ordered is known to it before any event of a
    /// descriptor that is watched after this.
    pub(super) fn order(&self, order: Order) {
        lock(&self.orders).push(order);
        // It can only fail when it is full of rings already.
        let _ = io::write(&self.bell, &1u64.to_ne_bytes());
    }

    pub(super) fn watch(&self, fd: impl AsFd, token: u64, flags: EventFlags) -> io::Result<()> {
        epoll::add(&self.epoll, fd, EventData::new_u64(token), flags)
    }

    pub(super) fn watch_differently(
        &self,
        fd: impl AsFd,
        token: u64,
        flags: EventFlags,
    ) -> io::Result<()> {
        epoll::modify(&self.epoll, fd, EventData::new_u64(token), flags)
    }

    pub(super) fn unwatch(&self, fd: impl AsFd) {
        // A forked child shares the epoll instance, too.
        if self.is_at_home() {
            // What is not watched need not be stopped.
            let _ = epoll::delete(&self.epoll, fd);
        }
    }

    /// Whether this is still the process the doorman was started in, and not a child that was
    /// forked off it: such a child shares the sockets, and must leave them alone.
    pub(super) fn is_at_home(&self) -> bool {
        self.process == getpid()
    }

    pub(super) fn remember(&self, token: u64, line: WeakLine) {
        lock(&self.sessions).insert(token, line);
    }

    pub(super) fn forget(&self, token: u64) {
        lock(&self.sessions).remove(&token);
    }

    pub(super) fn watches(&self) -> &Watches {
        &self.watches
    }

    fn session_event(&self, token: u64, flags: EventFlags) {
        // The lock is let go first: the last hold on the line may be this one, and its end locks.
        let line = lock(&self.sessions).get(&token).and_then(WeakLine::upgrade);
        if let Some(line) = line {
            line.on_event(flags);
        }
    }

    #[cfg(test)]
    pub(super) fn sessions(&self) -> usize {
        lock(&self.sessions).len()
    }
}

/// Nothing that is done under these locks can leave them in disorder.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What belongs to the thread alone.
struct Rounds {
    doorman: Arc<Doorman>,
    reception: Reception,
    dials: Dials,
}

impl Rounds {
    fn make(mut self) {
        loop {
            // What endpoints bring may panic when it is called, which is dealt with where that is
            // done, or when it is dropped. All others depend on this thread.
            if catch_unwind(AssertUnwindSafe(|| self.make_one())).is_err() {
                thread::sleep(REST);
            }
        }
    }

    fn make_one(&mut self) {
        let mut events = Vec::with_capacity(EVENTS_MAX);
        self.wait(&mut events);
        self.obey();
        for event in events {
            self.on_event(event.data.u64(), event.flags);
        }
        let now = Instant::now();
        self.reception.tick(&self.doorman, now);
        self.dials.tick(&self.doorman, now);
    }

    fn wait(&self, events: &mut Vec<Event>) {
        let next = [self.reception.next(), self.dials.next()].into_iter().flatten().min();
        let timeout = next.map(|next| timespec(next.saturating_duration_since(Instant::now())));
        match epoll::wait(&self.doorman.epoll, spare_capacity(events), timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => thread::sleep(REST),
        }
    }

    fn obey(&mut self) {
        for order in std::mem::take(&mut *lock(&self.doorman.orders)) {
            match order {
                Order::Listen(token, listener) => self.reception.open(token, listener),
                Order::StopListening(token) => self.reception.close(token),
                Order::Dial(token, dial) => self.dials.begin(&self.doorman, token, dial),
                Order::StopDialling(token) => self.dials.stop(token),
            }
        }
    }

    fn on_event(&mut self, token: u64, flags: EventFlags) {
        let mine = token == BELL
            || self.reception.on_event(&self.doorman, token)
            || self.dials.on_event(&self.doorman, token)
            || self.doorman.watches.on_event(token);
        if !mine {
            self.doorman.session_event(token, flags);
        }
    }
}

/// A little late rather than a little early, which would only lead to another round.
fn timespec(duration: Duration) -> Timespec {
    let duration = duration.min(Duration::from_secs(3600)) + Duration::from_millis(1);
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(1),
        tv_nsec: duration.subsec_nanos().into(),
    }
}
