//! The durable log: partitions of record batches, stored as they came.
//!
//! [`store`] has the seams: [`LogStore`](store::LogStore) for batches,
//! [`MetaStore`](store::MetaStore) for the facts about them. Behind them are
//!
//! - [`LocalLog`] and [`LocalMeta`], on files of this machine;
//! - [`MemoryLog`] and [`MemoryMeta`], for embedding and tests.
//!
//! [`DirLock`] keeps a second process out of a data directory, [`inspect`] looks at its files when
//! nobody runs on it, [`disk`] is where a test stands in the way of the file system. The formats
//! and the protocol of recovery are drawn in `docs/design/log.md`.
//!
//! ```
//! use std::sync::Arc;
//!
//! use chaski_batch::{Builder, Codec};
//! use chaski_log::MemoryLog;
//! use chaski_log::store::*;
//!
//! struct Nobody;
//! impl AppendSink for Nobody {
//!     fn appended(&self, _: u64, _: AppendOutcome) {}
//! }
//!
//! let log = MemoryLog::new();
//! let partition = log.open(&PartitionSpec {
//!     topic: "orders".to_owned(),
//!     topic_id: uuid::Uuid::new_v4(),
//!     index: 0,
//!     config: LogConfig::default(),
//! })?;
//!
//! let mut builder = Builder::new(Codec::None);
//! builder.push(1_700_000_000_000, Some(b"key"), Some(b"value"), &[]);
//! let mut batch = builder.build()?;
//! let header = chaski_batch::check(&batch)?;
//! let append = Append {
//!     partition,
//!     batch: &mut batch,
//!     header,
//!     durability: Durability::PageCache,
//!     token: 7,
//! };
//! let (mut now, later) = (Vec::new(), Arc::new(Nobody) as Arc<dyn AppendSink>);
//! log.append(&mut [append], &mut now, &later);
//! let appended = Appended { base_offset: 0, log_start: 0, duplicate: false };
//! assert_eq!(now, [(7, Ok(appended))]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod bytes;
mod clock;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod disk;
mod fault;
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
