//! Consumers of this machine: they read the log's pages themselves, and are told where those are.
//!
//! ```text
//!   open, locate, seek         -> one thread -> Client's cursors, LogStore
//!   commit                     -> the control thread, which sends the answer too
//!   sleep                      -> a watch at the partition ..> awake, sent by who appends
//!   high watermarks            -> the board: a cell a partition, written by who appends
//! ```
//! One thread, which blocks on nothing but its poll and file pages. An append pays a store for a
//! partition that is read here, and a packet for each consumer that sleeps on it.
//!
//! Invariants:
//! - a consumer gets descriptors that were opened for it, and for reading;
//! - what a consumer can make the broker keep is bounded: [`CONSUMERS_MAX`] of them, partitions of
//!   each and of all, packets and descriptors under way. One that does not take its answers, or
//!   says what is none, is hung up on, and nobody else notices;
//! - whatever a consumer had open is given back when it hangs up, however it ended.

mod board;
mod consumer;
mod errand;
#[cfg(test)]
mod tests;
mod waker;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use chaski_local::consumer::wire::SUFFIX;
use chaski_shm::packets::Listener;
use chaski_shm::{Admit, BindError};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;

use self::board::Board;
use self::consumer::{Consumer, House};
use crate::health::{self, Health};
use crate::{Broker, Client};

/// Consumers at once.
const CONSUMERS_MAX: usize = 256;

/// Who is accepted, or turned away, before those that are here have their turn.
const ACCEPTS_A_TURN: usize = 32;

/// How long nobody is accepted after a descriptor or memory was wanting.
const PAUSE: Duration = Duration::from_millis(50);

/// The outlet, before and while it runs.
pub(super) struct Outlet {
    listener: Listener,
    /// Until when nobody is accepted.
    paused: Option<Instant>,
    house: House,
    consumers: Vec<Consumer>,
    stop: Arc<Stop>,
}

/// How its thread is told to end.
struct Stop {
    is_set: AtomicBool,
    /// Readable from then on.
    wakes: OwnedFd,
}

/// An outlet that runs.
pub(super) struct Running {
    stop: Arc<Stop>,
    thread: JoinHandle<()>,
}

impl Running {
    /// Ends it: consumers are hung up on.
    pub(super) fn stop(self) {
        self.stop.is_set.store(true, Ordering::Release);
        let _ = rustix::io::write(&self.stop.wakes, &1u64.to_ne_bytes());
        let _ = self.thread.join();
    }
}

impl Outlet {
    /// Takes the name for consumers that goes with that of the broker.
    pub(super) fn bind(name: &str, broker: Arc<Broker>) -> Result<Outlet, BindError> {
        let directory = broker.settings.get("shm.directory").filter(|path| !path.is_empty());
        let directory = directory.map(Path::new);
        let listener = Listener::bind(&format!("{name}{SUFFIX}"), directory, Admit::same_user())?;
        let wakes = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        let wakes = wakes.map_err(system("make a descriptor to be stopped by"))?;
        let stop = Arc::new(Stop { is_set: AtomicBool::new(false), wakes });
        let board = Board::new().map_err(|error| {
            system("make memory for high watermarks")(
                Errno::from_io_error(&error).unwrap_or(Errno::IO),
            )
        })?;
        let is_memory = broker.lock.lock().unwrap_or_else(PoisonError::into_inner).is_none();
        let house = House { client: Client::new(broker), board, is_memory };
        Ok(Outlet { listener, paused: None, house, consumers: Vec::new(), stop })
    }

    /// Starts its thread.
    pub(super) fn spawn(self, health: &Arc<Health>) -> io::Result<Running> {
        let stop = self.stop.clone();
        let thread = health::spawn(health, "chaski-outlet", move || self.run())?;
        Ok(Running { stop, thread })
    }

    fn run(mut self) -> io::Result<()> {
        loop {
            let News { stop, accept, consumers } = self.wait()?;
            if stop {
                break;
            }
            // The last first, so that those before keep their places.
            for at in consumers.into_iter().rev() {
                if !self.consumers[at].serve(&mut self.house) {
                    self.consumers.swap_remove(at).leave(&mut self.house);
                }
            }
            if accept {
                self.accept();
            }
            self.count();
        }
        for consumer in self.consumers.drain(..) {
            consumer.leave(&mut self.house);
        }
        self.count();
        Ok(())
    }

    fn count(&self) {
        // ORDERING: relaxed; a count, and nothing is published through it.
        let consumers = &self.house.client.broker().local.consumers;
        consumers.store(self.consumers.len() as u64, Ordering::Relaxed);
    }

    /// Sleeps until somebody wants something.
    fn wait(&mut self) -> io::Result<News> {
        let now = Instant::now();
        self.paused = self.paused.filter(|until| *until > now);
        let timeout = self.paused.map(|until| Timespec {
            tv_sec: 0,
            tv_nsec: (until - now).as_nanos().min(999_999_999) as _,
        });
        let accepting = if self.paused.is_none() { PollFlags::IN } else { PollFlags::empty() };
        let mut fds = Vec::with_capacity(2 + self.consumers.len());
        fds.push(PollFd::new(&self.stop.wakes, PollFlags::IN));
        fds.push(PollFd::from_borrowed_fd(self.listener.as_fd(), accepting));
        let consumer = |it| PollFd::from_borrowed_fd(Consumer::as_fd(it), PollFlags::IN);
        fds.extend(self.consumers.iter().map(consumer));
        loop {
            match poll(&mut fds, timeout.as_ref()) {
                Ok(_) => break,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        let is_ready = |fd: &PollFd<'_>| !fd.revents().is_empty();
        let ready = fds[2..].iter().enumerate().filter(|(_, fd)| is_ready(fd));
        Ok(News {
            stop: is_ready(&fds[0]),
            accept: is_ready(&fds[1]) && self.paused.is_none(),
            consumers: ready.map(|(at, _)| at).collect(),
        })
    }

    fn accept(&mut self) {
        for _ in 0..ACCEPTS_A_TURN {
            let accepted = match self.listener.accept() {
                Ok(Some(connection)) => Consumer::new(connection, &self.house),
                Ok(None) => return,
                Err(error) => Err(error),
            };
            match accepted {
                Ok(consumer) if self.consumers.len() < CONSUMERS_MAX => {
                    self.consumers.push(consumer);
                }
                Ok(consumer) => {
                    consumer.turn_away(&format!("it serves {CONSUMERS_MAX} consumers already"));
                }
                Err(_) => {
                    self.paused = Some(Instant::now() + PAUSE);
                    return;
                }
            }
        }
    }
}

/// Who wants something.
struct News {
    stop: bool,
    accept: bool,
    /// By place in the list, ascending.
    consumers: Vec<usize>,
}

fn system(what: &'static str) -> impl Fn(Errno) -> BindError {
    move |errno| BindError::System { what, errno }
}
