//! What is counted of the processes of this machine.

use std::sync::atomic::AtomicU64;

use crate::metrics::{Count, Histogram};

/// What the services of this machine count. The intake's thread alone writes what is its own.
#[derive(Debug, Default)]
pub(crate) struct LocalStats {
    pub(crate) produced_records: Count,
    pub(crate) produced_batches: Count,
    pub(crate) produced_bytes: Count,
    pub(crate) produce_errors: Count,
    /// Requests of producers, those that open a topic included.
    pub(crate) requests: Count,
    /// Producers that are connected, as of about a second ago at worst.
    pub(crate) producers: AtomicU64,
    /// From when a batch has been taken to when its answer is ready.
    pub(crate) produce_latency: Histogram,
}
