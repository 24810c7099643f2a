//! Chaski for programs: each distance behind a feature.
//!
//! | feature | gives | |
//! |---|---|---|
//! | `log` (default) | [`log`] | the durable log, in files or in memory |
//! | `broker` | [`broker`] | the broker as a library |
//! | `kafka` | [`kafka`] | the Kafka wire protocol, sans I/O |
//!
//! [`batch`] is the record batch they all share.
//!
//! # A log of one's own
//!
//! ```
//! # #[cfg(feature = "log")] {
//! use std::sync::Arc;
//!
//! use chaski::batch::{Builder, Codec, records};
//! use chaski::log::MemoryLog;
//! use chaski::log::store::{
//!     Append, AppendOutcome, AppendSink, Durability, LogConfig, LogStore, PartitionSpec, Read,
//!     Slice,
//! };
//!
//! /// Outcomes that come late: only appends that wait for the disk have them.
//! struct Late;
//! impl AppendSink for Late {
//!     fn appended(&self, _token: u64, _outcome: AppendOutcome) {}
//! }
//!
//! // `LocalLog::open(dir, 2)` is the same in files.
//! let log = MemoryLog::new();
//! let partition = log
//!     .open(&PartitionSpec {
//!         topic: "greetings".to_owned(),
//!         topic_id: uuid::Uuid::new_v4(),
//!         index: 0,
//!         config: LogConfig::default(),
//!     })
//!     .unwrap();
//!
//! let mut builder = Builder::new(Codec::Lz4);
//! builder.push(1_700_000_000_000, Some(b"en"), Some(b"hello"), &[]);
//! let mut batch = builder.build().unwrap();
//! let header = chaski::batch::check(&batch).unwrap();
//! let durability = Durability::PageCache;
//! let append = Append { partition, batch: &mut batch, header, durability, token: 7 };
//!
//! let late: Arc<dyn AppendSink> = Arc::new(Late);
//! let mut outcomes = Vec::new();
//! log.append(&mut [append], &mut outcomes, &late);
//! let (token, outcome) = outcomes.pop().unwrap();
//! assert_eq!((token, outcome.unwrap().base_offset), (7, 0));
//!
//! let read = Read { partition, offset: 0, max_bytes: 1 << 20, at_least_one: true };
//! let mut results = Vec::new();
//! log.read(&[read], &mut results);
//! let Some(Slice::Bytes(bytes)) = results.pop().unwrap().unwrap().records else {
//!     panic!("records in memory are bytes")
//! };
//! let found = records(&bytes, 1 << 20).unwrap();
//! let record = (&found).into_iter().next().unwrap().unwrap();
//! assert_eq!((record.offset, record.value), (0, Some(&b"hello"[..])));
//! # }
//! ```
#![forbid(unsafe_code)]

pub use chaski_batch as batch;
#[cfg(feature = "broker")]
pub use chaski_broker as broker;
#[cfg(feature = "kafka")]
pub use chaski_kafka as kafka;
#[cfg(feature = "log")]
pub use chaski_log as log;
