//! What is counted of the processes of this machine.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::readers::Readers;
use crate::metrics::{Count, Histogram};

/// What the services of this machine count. The intake's thread alone writes what producers do, the
/// outlet's what consumers do.
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
    /// Consumers that are connected.
    pub(crate) consumers: AtomicU64,
    /// Who reads what, and how far.
    pub(crate) readers: Arc<Readers>,
    /// Offsets that consumers have passed, as far as they have said so.
    pub(crate) read_records: Count,
    /// Segments that consumers were handed.
    pub(crate) segments: Count,
    /// Times that a consumer had read all there was, and slept.
    pub(crate) sleeps: Count,
    /// Times that one was woken, by whoever appended.
    pub(crate) wakes: Arc<AtomicU64>,
}
