//! What is counted, and how it is told.
//!
//! A shard's counters are written by that shard alone, with a plain load and store, and read by
//! anyone, who adds them up. [`Metrics`] has them as values; [`render`] writes the text that
//! Prometheus reads from these.

mod histogram;
mod text;
mod values;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chaski_kafka::ApiKey;
use chaski_reactor::{Reactor, Stats};

pub(crate) use self::histogram::Histogram;
pub use self::histogram::Latency;
pub(crate) use self::text::render;
pub use self::values::{Latencies, LocalReads, Metrics, ShardMetrics, Traffic};

/// A count with one writer.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    /// Adds `n`; only the owner may call this.
    pub(crate) fn add(&self, n: u64) {
        // ORDERING: one writer, and readers want a recent value of this count alone.
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// The count as of about now.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// API keys a request may have: the table of counts is indexed by them.
const API_KEYS: usize = 128;

/// Requests by API key.
#[derive(Debug)]
pub(crate) struct ByApi(Box<[Count]>);

impl Default for ByApi {
    fn default() -> Self {
        ByApi((0..API_KEYS).map(|_| Count::default()).collect())
    }
}

impl ByApi {
    pub(crate) fn count(&self, api: ApiKey) {
        if let Some(count) = self.0.get(api as usize) {
            count.add(1);
        }
    }

    fn get(&self, api: ApiKey) -> u64 {
        self.0.get(api as usize).map_or(0, Count::get)
    }

    fn sum(&self) -> u64 {
        self.0.iter().map(Count::get).sum()
    }
}

/// What one shard counts.
#[derive(Debug, Default)]
pub(crate) struct ShardStats {
    pub(crate) requests: ByApi,
    pub(crate) malformed: Count,
    pub(crate) produced_records: Count,
    pub(crate) produced_batches: Count,
    pub(crate) produced_bytes: Count,
    pub(crate) produce_errors: Count,
    pub(crate) fetched_bytes: Count,
    pub(crate) produce_latency: Histogram,
    pub(crate) fetch_latency: Histogram,
}

/// A shard as others see it.
#[derive(Debug)]
pub(crate) struct ShardView {
    pub(crate) stats: Arc<ShardStats>,
    pub(crate) reactor: Arc<Stats>,
}

impl ShardView {
    /// What the shard that runs on this reactor will count.
    pub(crate) fn of<M: Send + 'static>(reactor: &Reactor<M>) -> ShardView {
        ShardView { stats: Arc::default(), reactor: reactor.stats() }
    }
}
