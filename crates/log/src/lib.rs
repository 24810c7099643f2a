//! The durable log: partitions of record batches, stored as they came.
#![forbid(unsafe_code)]

mod bytes;
mod clock;
pub mod disk;
mod lock;
mod memory;
mod meta;
mod producers;
pub mod store;
mod watch;

pub use lock::{DirLock, LockError};
pub use memory::MemoryLog;
pub use meta::{LocalMeta, MemoryMeta};
