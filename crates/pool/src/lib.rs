//! Shared-nothing workers.
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
