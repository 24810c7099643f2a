//! The settings of a pool.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chaski_ring::Wait;

use crate::arena;
use crate::async_worker::AsyncWorker;
use crate::engine::{Launch, Settings, serial, tasks};
use crate::error::StartError;
use crate::event::{Event, Listener};
use crate::partition::{Hash, Partitioner};
use crate::policy::{Policy, Restart};
use crate::pool::{Plan, Pool};
use crate::topology::{Placement, Topology};
use crate::worker::Worker;

/// Messages that fit into a worker's queue, unless told otherwise.
pub const QUEUE_CAPACITY_DEFAULT: usize = 1024;
/// Messages that a worker takes from its queue at once at most, unless told otherwise.
pub const BATCH_DEFAULT: usize = 128;
/// Handlers that await and run at a time on one worker, unless told otherwise.
pub const CONCURRENCY_DEFAULT: usize = 64;

/// The settings of a pool; each has a default. Made by [`Pool::builder`].
pub struct Builder<P = Hash> {
    workers: Option<usize>,
    placement: Placement,
    policy: Policy,
    partitioner: P,
    settings: Settings,
}

impl Pool<(), ()> {
    /// The settings of a pool, all at their defaults. Key and message are those of the partitioner
    /// and the worker it is given.
    pub fn builder() -> Builder<Hash> {
        Builder {
            workers: None,
            placement: Placement::default(),
            policy: Policy::default(),
            partitioner: Hash,
            settings: Settings {
                name: "chaski".to_owned(),
                stack_bytes: None,
                capacity: QUEUE_CAPACITY_DEFAULT,
                batch: BATCH_DEFAULT,
                concurrency: CONCURRENCY_DEFAULT,
                #[cfg(feature = "tokio")]
                tokio: false,
                tick: None,
                wait: Wait::default(),
                arena_limit_bytes: arena::LIMIT_BYTES_DEFAULT,
                restart: Restart::default(),
                listener: Listener::default(),
            },
        }
    }
}

impl<P> Builder<P> {
    /// How many workers to start with. Default: [`Topology::workers`] of this machine.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// Where the workers run. Default: [`Placement::Unpinned`].
    #[must_use]
    pub fn placement(mut self, placement: Placement) -> Self {
        self.placement = placement;
        self
    }

    /// Messages that fit into each worker's queue; it may take up to an eighth more before it is
    /// full. Default: [`QUEUE_CAPACITY_DEFAULT`].
    #[must_use]
    pub fn queue(mut self, capacity: usize) -> Self {
        self.settings.capacity = capacity;
        self
    }

    /// What happens when a queue is full. Default: [`Policy::Block`].
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Who gets a message. Default: [`struct@Hash`]. For a pool that grows and shrinks:
    /// [`Consistent`](crate::partition::Consistent).
    #[must_use]
    pub fn partitioner<Q>(self, partitioner: Q) -> Builder<Q> {
        let Builder { workers, placement, policy, settings, .. } = self;
        Builder { workers, placement, policy, partitioner, settings }
    }

    /// What happens after a panic. Default: [`Restart::default`].
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> Self {
        self.settings.restart = restart;
        self
    }

    /// The name of the threads, to which the worker's number is added; Linux shows the first 15
    /// bytes. Default: `chaski`.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.name = name.into();
        self
    }

    /// The stack of each thread. Default: that of [`std::thread`], 2 MiB.
    #[must_use]
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.settings.stack_bytes = Some(bytes);
        self
    }

    /// How often to call [`Worker::tick`]; not zero. Default: never, and then an idle worker sleeps
    /// until it has a message.
    #[must_use]
    pub fn tick(mut self, period: Duration) -> Self {
        self.settings.tick = Some(period);
        self
    }

    /// Messages that a worker takes from its queue at once at most; the queue gives no more than an
    /// eighth of its capacity. Default: [`BATCH_DEFAULT`].
    #[must_use]
    pub fn batch(mut self, messages: usize) -> Self {
        self.settings.batch = messages;
        self
    }

    /// How idle workers wait before they sleep. Default: [`Wait::Adaptive`]. Workers whose handlers
    /// await do not: they sleep at once.
    #[must_use]
    pub fn wait(mut self, wait: Wait) -> Self {
        self.settings.wait = wait;
        self
    }

    /// Bytes that a worker's arena keeps from one batch to the next at most. Default:
    /// [`LIMIT_BYTES_DEFAULT`](crate::arena::LIMIT_BYTES_DEFAULT).
    #[must_use]
    pub fn arena_limit(mut self, bytes: usize) -> Self {
        self.settings.arena_limit_bytes = bytes;
        self
    }

    /// Handlers of an [`AsyncWorker`] that run at a time on one worker. Default:
    /// [`CONCURRENCY_DEFAULT`].
    #[must_use]
    pub fn concurrency(mut self, handlers: usize) -> Self {
        self.settings.concurrency = handlers;
        self
    }

    /// Runs the handlers of an [`AsyncWorker`] on a current-thread tokio runtime per worker, with
    /// its sockets and timers, and `tokio::task::spawn_local`. Default: on a loop that needs none.
    #[cfg(feature = "tokio")]
    #[must_use]
    pub fn tokio(mut self) -> Self {
        self.settings.tokio = true;
        self
    }

    /// Calls `listener` with what happens to workers, on their threads.
    ///
    /// ```
    /// use chaski_pool::{Event, Pool, worker};
    /// use std::sync::mpsc;
    ///
    /// let (events, seen) = mpsc::channel();
    /// let divider = worker(|_| (), |(), number: u32, _| { 100 / number; });
    /// let pool = Pool::builder()
    ///     .workers(1)
    ///     .on_event(move |event| {
    ///         if let Event::Panicked { message, .. } = event {
    ///             events.send(message).unwrap();
    ///         }
    ///     })
    ///     .start(divider)?;
    /// pool.handle().send(&1_u32, 0)?;
    /// assert_eq!(seen.recv()?, "attempt to divide by zero");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn on_event(mut self, listener: impl Fn(Event) + Send + Sync + 'static) -> Self {
        self.settings.listener = Listener::new(listener);
        self
    }

    /// Starts the workers, and waits until each has built its state.
    ///
    /// # Errors
    ///
    /// The first that failed; the others have been stopped.
    pub fn start<W, K>(self, worker: W) -> Result<Pool<K, W::Message>, StartError>
    where
        W: Worker,
        K: ?Sized + 'static,
        P: Partitioner<K> + 'static,
    {
        let worker = Arc::new(worker);
        self.start_with(move |launch: Launch<W::Message>| {
            let worker = Arc::clone(&worker);
            launch.spawn(move |post| serial::run(&*worker, post))
        })
    }

    /// Starts workers whose handlers await, and waits until each has built its state.
    ///
    /// # Errors
    ///
    /// The first that failed; the others have been stopped.
    pub fn start_async<A, K>(self, worker: A) -> Result<Pool<K, A::Message>, StartError>
    where
        A: AsyncWorker,
        K: ?Sized + 'static,
        P: Partitioner<K> + 'static,
    {
        let worker = Arc::new(worker);
        self.start_with(move |launch: Launch<A::Message>| {
            let worker = Arc::clone(&worker);
            launch.spawn(move |post| tasks::run(&worker, post))
        })
    }

    fn start_with<K, M>(
        self,
        spawn: impl Fn(Launch<M>) -> std::io::Result<std::thread::JoinHandle<()>>
        + Send
        + Sync
        + 'static,
    ) -> Result<Pool<K, M>, StartError>
    where
        K: ?Sized + 'static,
        M: Send + 'static,
        P: Partitioner<K> + 'static,
    {
        let topology = Topology::detect();
        let workers = self.workers.unwrap_or_else(|| topology.workers());
        let settings = &self.settings;
        let counts = [
            ("workers", workers),
            ("queue", settings.capacity),
            ("batch", settings.batch),
            ("concurrency", settings.concurrency),
        ];
        if let Some((setting, _)) = counts.into_iter().find(|(_, count)| *count == 0) {
            return Err(StartError::Zero { setting });
        }
        if settings.tick.is_some_and(|period| period.is_zero()) {
            return Err(StartError::Zero { setting: "tick" });
        }
        let plan = Plan {
            topology,
            placement: self.placement,
            settings: Arc::new(self.settings),
            spawn: Box::new(spawn),
        };
        Pool::start(plan, workers, Box::new(self.partitioner), self.policy)
    }
}

impl<P> fmt::Debug for Builder<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("workers", &self.workers)
            .field("placement", &self.placement)
            .field("policy", &self.policy)
            .field("name", &self.settings.name)
            .finish_non_exhaustive()
    }
}
