//! Shared-nothing workers: each owns its state, and messages go straight to it.
//!
//! - [`topology`] says where workers run: the CPUs this process may use, how they are grouped, and
//!   a [`Placement`] of workers on them.
//! - [`partition`] says who gets a message: a producer calls a [`Partitioner`] on its own thread,
//!   without a lock, and pushes to the worker it names. There is no dispatcher.
//! - [`arena`] is what a worker allocates from while it handles a batch.
#![forbid(unsafe_code)]

pub mod arena;
pub mod partition;
pub mod topology;

pub use arena::Arena;
pub use partition::{Key, Partitioner, WorkerId, Workers};
pub use topology::{Cpu, Placement, Topology};
