//! Shared-nothing workers: each owns its thread, its state and its queue, and messages go straight
//! to it.
//!
//! ```text
//!   producer   handle.send(&key, message)      on the producer's own thread: pick, push
//!      |               |
//!      |     +---------+---------+
//!      |     v         v         v
//!      |   queue     queue     queue           bounded, one a worker
//!      |   worker 0  worker 1  worker 2        a thread, bound to a CPU if you like
//!      |   state     state     state           built there, never shared, never locked
//!      +---- reply <---------------            ask: an answer comes back
//! ```
//!
//! There is no dispatcher and no lock between a producer and a worker. Work that touches the same
//! state carries the same key, the key finds the same worker, and that worker is the only thread
//! that ever sees the state. What would be a mutex is a queue.
//!
//! # A pool in five minutes
//!
//! A [`Worker`] says what its [`State`](Worker::State) and its [`Message`](Worker::Message) are,
//! how the state is built and what is done with a message. [`Pool::builder`] starts some, and a
//! [`Handle`] sends to them.
//!
//! ```
//! use chaski_pool::{BoxError, Context, Pool, Reply, Seat, Worker};
//! use std::collections::HashMap;
//! use std::time::Duration;
//!
//! enum Request {
//!     Deposit { account: String, cents: u64 },
//!     Balance { account: String, reply: Reply<u64> },
//! }
//!
//! struct Accounts;
//!
//! impl Worker for Accounts {
//!     type State = HashMap<String, u64>;
//!     type Message = Request;
//!
//!     fn build(&self, _: &Seat) -> Result<Self::State, BoxError> {
//!         Ok(HashMap::new())
//!     }
//!
//!     fn handle(&self, accounts: &mut Self::State, request: Request, _: &Context) {
//!         match request {
//!             Request::Deposit { account, cents } => {
//!                 *accounts.entry(account).or_default() += cents;
//!             }
//!             Request::Balance { account, reply } => {
//!                 let _ = reply.send(accounts.get(&account).copied().unwrap_or(0));
//!             }
//!         }
//!     }
//! }
//!
//! let pool = Pool::builder().workers(2).name("accounts").start(Accounts)?;
//! let bank = pool.handle(); // clone it for each producer
//!
//! for cents in [100, 250] {
//!     let account = "anna".to_owned();
//!     bank.send("anna", Request::Deposit { account, cents })?;
//! }
//! let account = "anna".to_owned();
//! let balance = bank.ask("anna", |reply| Request::Balance { account, reply })?;
//! assert_eq!(balance, 350); // behind both deposits in the same queue
//!
//! let report = pool.drain(Duration::from_secs(5));
//! assert_eq!(report.left, 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! From here:
//!
//! - two closures instead of a type: [`worker()`];
//! - many messages at once: [`Worker::handle_batch`], with a [`Batch`];
//! - memory that lives no longer than a batch: [`Context::arena`];
//! - something every so often: [`Builder::tick`] and [`Worker::tick`];
//! - handlers that await: [`AsyncWorker`], on a loop of the pool's own or, with the feature
//!   `tokio`, on tokio;
//! - from async code: [`Handle::send_async`] and [`Handle::ask_async`], on any executor;
//! - ahead of all that is queued: [`Handle::send_urgent`]; to everyone: [`Handle::broadcast`].
//!
//! # Who gets a message
//!
//! A [`Partitioner`] picks the worker, on the producer's thread. [`Builder::partitioner`] takes one
//! of these or your own:
//!
//! | partitioner | a key moves when | for |
//! |---|---|---|
//! | [`Hash`](struct@partition::Hash) | the number of workers changes | a fixed pool |
//! | [`Consistent`](partition::Consistent) | its worker leaves, another comes | an elastic pool |
//! | [`Range`](partition::Range) | the number of workers changes | keys that belong together |
//! | [`RoundRobin`](partition::RoundRobin) | with every message | messages of equal cost |
//! | [`LeastLoaded`](partition::LeastLoaded) | with every message | messages of unequal cost |
//! | [`Custom`](partition::Custom) | you say so | what none of these does |
//!
//! `Hash` is the default. When a worker joins `n` others, `Hash` moves one key in `n + 1`, and
//! `Consistent` as many on average, all of them to the new one. When one of `n` leaves,
//! `Consistent` moves its keys and no others, one in `n`; `Hash` does only if it was the last to
//! join, and otherwise moves most. Each partitioner's page has the figures, and the tests that hold
//! them.
//!
//! Messages of one producer with one key are handled in the order they were sent, as long as the
//! key does not move and no handler of theirs awaits.
//!
//! # When a queue is full
//!
//! | [`Policy`] | `send` | `try_send` | who loses |
//! |---|---|---|---|
//! | `Block`, the default | waits for room | answers `Full` | nobody: the producer slows down |
//! | `Fail` | answers `Full` | answers `Full` | the producer decides |
//! | `DropOldest` | drops the oldest | drops the oldest | the oldest message, counted |
//!
//! # When a handler panics
//!
//! The panic stays on the worker's thread, and the program is told by an [`Event`]. The message is
//! lost, who asked with it gets [`AskError::NoReply`], and [`Restart`] decides about the rest:
//!
//! | [`Restart`] | state | messages behind it | more panics |
//! |---|---|---|---|
//! | `AtMost`, the default | built anew | are handled | too many in a time: it dies |
//! | `Always` | built anew | are handled | the same again |
//! | `Never` | dropped | go to [`Worker::undelivered`] | none: it is dead |
//!
//! A dead worker's place stays: see [`Handle`] for what that means to who sends, and
//! [`Pool::remove_worker`] and [`Pool::add_worker`] for how to replace it.
//!
//! # More and fewer workers
//!
//! [`Pool::add_worker`] starts one more; [`Pool::remove_worker`] has one handle what it has queued
//! and leave. Producers need not know: a message on its way to a worker that leaves goes to the one
//! that has the key now. No message is lost or handled twice. State does not move with its keys;
//! where it must, let [`Worker::stop`] write it to where [`Worker::build`] or the next handler
//! finds it.
//!
//! # The end
//!
//! [`Pool::drain`] refuses new messages, has the queued ones handled, and says at its deadline what
//! it could not do. A drop stops after the message in each worker's hands. Neither waits for ever
//! for a handler that does not return.
//!
//! # What it costs
//!
//! Measured on a 2.5 GHz Skylake with two virtual cores:
//!
//! | | ns |
//! |---|---|
//! | producer, a send with `RoundRobin` / `Hash` / `Consistent` | 17 / 25 / 45 |
//! | worker, a message of a batch | 9 |
//! | the same for a bare [`chaski_ring::mpsc`] channel: send, receive | 5, 5 |
//!
//! An idle worker sleeps in the kernel, on its queue and never on a timer, after a short spin where
//! that has paid; [`Builder::wait`] chooses. A worker counts what it does with plain stores, see
//! [`Pool::stats`], and reads the clock only when it falls idle or wakes.
//!
//! # The rest of the crate
//!
//! - [`topology`] says where workers run: the CPUs this process may use, how they are grouped, and
//!   a [`Placement`] of workers on them.
//! - [`partition`] says who gets a message, and is of use without a pool too.
//! - [`arena`] is what a worker allocates from while it handles a batch.
#![forbid(unsafe_code)]

pub mod arena;
mod async_worker;
mod batch;
mod builder;
mod context;
mod core;
mod engine;
mod error;
mod event;
mod handle;
pub mod partition;
mod policy;
mod pool;
mod reply;
mod shard;
mod stats;
pub mod topology;
mod worker;

pub use arena::Arena;
pub use async_worker::{AsyncWorker, TaskContext};
pub use batch::Batch;
pub use builder::{BATCH_DEFAULT, Builder, CONCURRENCY_DEFAULT, QUEUE_CAPACITY_DEFAULT};
pub use chaski_ring::Wait;
pub use context::Context;
pub use error::{AskError, Refusal, SendError, StartError};
pub use event::{During, Event};
pub use handle::{Broadcast, Handle};
pub use partition::{Key, Partitioner, WorkerId, Workers};
pub use policy::{Policy, Restart};
pub use pool::{DROP_WAIT, Pool, UnknownWorker};
pub use reply::{Answer, Reply, reply};
pub use shard::{Status, URGENT_CAPACITY};
pub use stats::{PoolStats, Report, WorkerStats};
pub use topology::{Cpu, Placement, Topology};
pub use worker::{BoxError, Seat, Worker, worker};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
