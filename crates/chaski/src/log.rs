//! The durable log, in files or in memory; and, on Linux with the feature `local`, the log of a
//! broker on the same machine: records in through shared memory ([`LocalProducer`]), records out of
//! its own pages ([`LocalConsumer`]).

#[cfg(all(feature = "local", target_os = "linux"))]
pub use chaski_local::*;
pub use chaski_log::*;
