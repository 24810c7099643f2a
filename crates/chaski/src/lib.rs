//! Chaski for programs: each distance behind a feature.
//!
//! | feature | gives | |
//! |---|---|---|
//! | `log` (default) | [`log`] | the durable log, in files or in memory |
//! | `broker` | [`broker`] | the broker as a library |
//! | `kafka` | [`kafka`] | the Kafka wire protocol, sans I/O |
//!
//! [`batch`] is the record batch they all share.
#![forbid(unsafe_code)]

pub use chaski_batch as batch;
#[cfg(feature = "broker")]
pub use chaski_broker as broker;
#[cfg(feature = "kafka")]
pub use chaski_kafka as kafka;
#[cfg(feature = "log")]
pub use chaski_log as log;
