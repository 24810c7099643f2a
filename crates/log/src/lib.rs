//! The durable log: partitions of record batches, stored as they came.
#![forbid(unsafe_code)]

mod bytes;
mod clock;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod disk;
pub mod inspect;
mod local;
mod lock;
mod memory;
mod meta;
mod producers;
pub mod store;
mod watch;

pub use local::{LocalLog, RecoveryReport};
pub use lock::{DirLock, LockError};
pub use memory::MemoryLog;
pub use meta::{LocalMeta, MemoryMeta};
