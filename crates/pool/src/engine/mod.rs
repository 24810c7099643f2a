//! What runs on a worker's thread.
//!
//! ```text
//!   bind to the CPU -> build the state -> [orders -> receive -> handle]* -> end
//!                            ^                                 |
//!                            +----------- panic ---------------+
//! ```
//!
//! [`serial`] handles one message after the other, [`tasks`] runs many handlers that await. Both
//! are supervised alike, by the [`Post`] of the worker: code of the program runs inside
//! [`contain`], and no panic of it leaves the thread.

mod reactor;
mod ready;
pub(crate) mod serial;
pub(crate) mod tasks;

use std::io;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use chaski_ring::Wait;

use crate::error::StartError;
use crate::event::{During, Event, Listener, panic_text};
use crate::partition::WorkerId;
use crate::policy::{Restart, Restarts};
use crate::shard::{Shard, Status, add};
use crate::topology::{Cpu, pin_current_thread};
use crate::worker::{BoxError, Seat};

/// What all workers of a pool have in common.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) name: String,
    pub(crate) stack_bytes: Option<usize>,
    pub(crate) capacity: usize,
    pub(crate) batch: usize,
    pub(crate) concurrency: usize,
    #[cfg(feature = "tokio")]
    pub(crate) tokio: bool,
    pub(crate) tick: Option<Duration>,
    pub(crate) wait: Wait,
    pub(crate) arena_limit_bytes: usize,
    pub(crate) restart: Restart,
    pub(crate) listener: Listener,
}

impl Settings {
    /// When to tick after `now`. Never, if that is too far off to be told.
    pub(crate) fn next_tick(&self, now: Instant) -> Option<Instant> {
        self.tick.and_then(|period| now.checked_add(period))
    }
}

/// Why a worker's loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Its queue was closed, and all in it is handled.
    Drained,
    /// It was told to stop.
    Stopped,
    /// It panicked too often.
    Dead,
}

/// A step of a worker's loop: go on, or end.
pub(crate) type Flow = ControlFlow<End>;

/// What a panic was raised with.
pub(crate) type Payload = Box<dyn std::any::Any + Send>;

/// Runs code of the program. The worker stays in order if it panics: what the code left half done
/// is the worker's state, which is thrown away then.
pub(crate) fn contain<R>(code: impl FnOnce() -> R) -> Result<R, Payload> {
    catch_unwind(AssertUnwindSafe(code))
}

/// A worker that is to be started.
pub(crate) struct Launch<M> {
    pub(crate) shard: Arc<Shard<M>>,
    pub(crate) cpu: Option<Cpu>,
    pub(crate) settings: Arc<Settings>,
    /// Told once, when the state is built or is not.
    pub(crate) started: mpsc::Sender<Result<(), StartError>>,
    /// Called if the worker dies while it was taking messages.
    pub(crate) on_death: Box<dyn FnOnce(WorkerId) + Send>,
}

impl<M: Send + 'static> Launch<M> {
    /// Starts a thread that is bound to its CPU and then runs `body`.
    pub(crate) fn spawn(
        self,
        body: impl FnOnce(Post<M>) + Send + 'static,
    ) -> io::Result<JoinHandle<()>> {
        let mut builder = thread::Builder::new().name(format!(
            "{}-{}",
            self.settings.name,
            self.shard.id.number()
        ));
        if let Some(bytes) = self.settings.stack_bytes {
            builder = builder.stack_size(bytes);
        }
        builder.spawn(move || {
            // Dropped after everything else of this thread.
            let _ending = Ending(Arc::clone(&self.shard));
            body(self.take_post());
        })
    }

    fn take_post(self) -> Post<M> {
        let mut seat = Seat::new(self.shard.id);
        if let Some(cpu) = self.cpu {
            match pin_current_thread(cpu) {
                Ok(()) => seat.cpu = Some(cpu),
                Err(error) => self
                    .settings
                    .listener
                    .tell(Event::NotPinned { worker: seat.worker, reason: error.to_string() }),
            }
        }
        let restarts = Restarts::new(self.settings.restart);
        let Launch { shard, settings, started, on_death, .. } = self;
        Post { seat, shard, settings, restarts, started, on_death: Some(on_death) }
    }
}

/// Says that the thread has ended, however it did.
struct Ending<M>(Arc<Shard<M>>);

impl<M> Drop for Ending<M> {
    fn drop(&mut self) {
        // It changes nothing unless the end was not one of the ends of a worker's loop.
        self.0.close(Status::Dead);
        for message in self.0.rest() {
            add(&self.0.counters.left, 1);
            if let Err(payload) = contain(|| drop(message)) {
                let _ = panic_text(payload);
            }
        }
        self.0.say_ended();
    }
}

/// A worker's own view of its place: who it is, and who looks after it.
pub(crate) struct Post<M> {
    pub(crate) seat: Seat,
    pub(crate) shard: Arc<Shard<M>>,
    pub(crate) settings: Arc<Settings>,
    restarts: Restarts,
    started: mpsc::Sender<Result<(), StartError>>,
    on_death: Option<Box<dyn FnOnce(WorkerId) + Send>>,
}

impl<M> Post<M> {
    /// Reports the first state to whoever started the worker.
    pub(crate) fn begin<S>(&self, built: Result<Result<S, BoxError>, Payload>) -> Option<S> {
        let worker = self.seat.worker;
        let (report, state) = match built {
            Ok(Ok(state)) => (Ok(()), Some(state)),
            Ok(Err(source)) => (Err(StartError::Build { worker, source }), None),
            Err(payload) => {
                let message = panic_text(payload);
                (Err(StartError::BuildPanicked { worker, message }), None)
            }
        };
        // Nobody listens if another worker of the pool has failed first; that one stops this one.
        let _ = self.started.send(report);
        // Only now, as a listener may call the pool.
        if state.is_some() {
            self.settings.listener.tell(Event::Started { worker });
        }
        state
    }

    /// A handler or a tick panicked. Continue: the state is to be built anew.
    pub(crate) fn panicked(&mut self, during: During, payload: Payload) -> Flow {
        add(&self.shard.counters.panics, 1);
        let restarting = self.restarts.allow(Instant::now());
        self.tell_panic(during, payload, restarting);
        if restarting { Flow::Continue(()) } else { Flow::Break(End::Dead) }
    }

    /// Takes what `build` made of a restart.
    pub(crate) fn rebuilt<S>(
        &mut self,
        built: Result<Result<S, BoxError>, Payload>,
    ) -> ControlFlow<End, S> {
        let worker = self.seat.worker;
        match built {
            Ok(Ok(state)) => {
                add(&self.shard.counters.restarts, 1);
                self.settings
                    .listener
                    .tell(Event::Restarted { worker, restarts: self.seat.restarts });
                return ControlFlow::Continue(state);
            }
            Ok(Err(error)) => {
                let reason = contain(move || error.to_string()).unwrap_or_else(panic_text);
                self.settings.listener.tell(Event::NotRestarted { worker, reason });
            }
            Err(payload) => self.tell_panic(During::Build, payload, false),
        }
        ControlFlow::Break(End::Dead)
    }

    /// Tells of a panic that changes nothing else, or of one that was judged already.
    pub(crate) fn tell_panic(&self, during: During, payload: Payload, restarting: bool) {
        self.settings.listener.tell(Event::Panicked {
            worker: self.seat.worker,
            during,
            message: panic_text(payload),
            handled: self.shard.counters.handled.load(Ordering::Relaxed),
            restarting,
        });
    }

    /// Closes the queues for the reason of the end.
    pub(crate) fn close(&mut self, end: End) {
        match end {
            End::Drained | End::Stopped => {
                self.shard.close(Status::Leaving);
            }
            End::Dead => {
                // The partitioner first: whoever is refused and picks again picks another.
                if self.shard.take_farewell()
                    && let Some(on_death) = self.on_death.take()
                    && let Err(payload) = contain(|| on_death(self.seat.worker))
                {
                    let _ = panic_text(payload);
                }
                self.shard.die();
            }
        }
    }

    /// Gives up the messages nobody will handle, which were received. The queues are closed.
    pub(crate) fn give_up(
        &self,
        messages: impl Iterator<Item = M>,
        undelivered: impl Fn(M, WorkerId),
    ) {
        for message in messages {
            // Before the call, which may take its time: a drain does not wait for it.
            add(&self.shard.counters.left, 1);
            if let Err(payload) = contain(|| undelivered(message, self.seat.worker)) {
                self.tell_panic(During::Undelivered, payload, false);
            }
        }
    }

    /// Tells of the end.
    pub(crate) fn tell_end(&self, end: End) {
        let worker = self.seat.worker;
        let left = self.shard.counters.left.load(Ordering::Relaxed);
        self.settings.listener.tell(match end {
            End::Dead => Event::Died { worker, left },
            End::Drained | End::Stopped => Event::Stopped { worker, left },
        });
    }
}

/// Time a worker had something to do, read off the clock only where it begins and ends, and now and
/// then in between.
pub(crate) struct BusyClock {
    since: Instant,
    looks: u32,
}

/// Batches between two readings of a worker that is never idle.
const LOOKS_PER_READING: u32 = 256;

impl BusyClock {
    pub(crate) fn start() -> BusyClock {
        BusyClock { since: Instant::now(), looks: 0 }
    }

    /// Busy until now.
    pub(crate) fn pause<M>(&mut self, shard: &Shard<M>) {
        let now = Instant::now();
        let busy = now.saturating_duration_since(self.since).as_nanos();
        add(&shard.counters.busy_ns, u64::try_from(busy).unwrap_or(u64::MAX));
        self.since = now;
    }

    /// Idle until now.
    pub(crate) fn resume(&mut self) {
        self.since = Instant::now();
    }

    /// After each batch.
    #[inline]
    pub(crate) fn batch<M>(&mut self, shard: &Shard<M>) {
        self.looks += 1;
        if self.looks >= LOOKS_PER_READING {
            self.looks = 0;
            self.pause(shard);
        }
    }
}
