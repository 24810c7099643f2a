//! What a pool counted.

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::partition::WorkerId;
use crate::shard::{Shard, Status};

/// What the workers of a pool counted, ascending by worker; a list of [`WorkerStats`].
///
/// Each worker writes its own figures with plain stores, and they are read here without disturbing
/// it: they are each recent, and not all of one instant.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PoolStats {
    /// Those in the pool now, the dead included; not those that were removed.
    pub workers: Vec<WorkerStats>,
}

impl PoolStats {
    pub(crate) fn of<'a, M: 'a>(shards: impl IntoIterator<Item = &'a Shard<M>>) -> PoolStats {
        PoolStats { workers: shards.into_iter().map(WorkerStats::of).collect() }
    }

    /// One figure, added up over the workers: `stats.total(|worker| worker.handled)`.
    pub fn total(&self, figure: impl Fn(&WorkerStats) -> u64) -> u64 {
        self.workers.iter().map(figure).sum()
    }

    /// The figures of one worker.
    pub fn worker(&self, worker: WorkerId) -> Option<&WorkerStats> {
        self.workers.iter().find(|stats| stats.worker == worker)
    }
}

impl Deref for PoolStats {
    type Target = [WorkerStats];

    fn deref(&self) -> &[WorkerStats] {
        &self.workers
    }
}

/// What one worker counted since it started; restarts do not set it back.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct WorkerStats {
    /// Which worker.
    pub worker: WorkerId,
    /// Whether it takes messages.
    pub status: Status,
    /// Messages it took from its queue.
    pub received: u64,
    /// Messages whose handler returned.
    pub handled: u64,
    /// Messages whose handler panicked.
    pub lost: u64,
    /// Messages it had taken or queued when it ended, and did not handle.
    pub left: u64,
    /// Messages that newer ones pushed out of its queue.
    pub dropped: u64,
    /// Messages in its queue.
    pub depth: u64,
    /// The greatest depth that was noticed; see [`chaski_ring::Stats::high_water`].
    pub high_water: u64,
    /// Times it took messages from its queue; `received / batches` is the mean size of a batch.
    pub batches: u64,
    /// Panics of its handlers and ticks.
    pub panics: u64,
    /// Times its state was built anew.
    pub restarts: u64,
    /// Times producers woke it from its sleep.
    pub wakes: u64,
    /// Time it had something to do. A worker that is never idle reads the clock every 256 batches,
    /// so this lags by up to as many.
    pub busy: Duration,
    /// Time since it was started.
    pub uptime: Duration,
    /// Bytes its arena holds.
    pub arena_bytes: u64,
    /// The most bytes that one batch used of its arena.
    pub arena_high_water_bytes: u64,
}

impl WorkerStats {
    fn of<M>(shard: &Shard<M>) -> WorkerStats {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (counters, queue) = (&shard.counters, shard.data.stats());
        WorkerStats {
            worker: shard.id,
            status: shard.status(),
            received: count(&counters.received),
            handled: count(&counters.handled),
            lost: count(&counters.lost),
            left: count(&counters.left),
            dropped: shard.dropped(),
            depth: queue.depth,
            high_water: queue.high_water,
            batches: count(&counters.batches),
            panics: count(&counters.panics),
            restarts: count(&counters.restarts),
            wakes: queue.receiver_wakes,
            busy: Duration::from_nanos(count(&counters.busy_ns)),
            uptime: Instant::now().saturating_duration_since(shard.started()),
            arena_bytes: count(&counters.arena_bytes),
            arena_high_water_bytes: count(&counters.arena_high_water_bytes),
        }
    }

    /// The share of its time in which it had something to do, 0 to 1.
    pub fn busy_share(&self) -> f64 {
        if self.uptime.is_zero() {
            return 0.0;
        }
        (self.busy.as_secs_f64() / self.uptime.as_secs_f64()).min(1.0)
    }
}

/// What became of the messages, when a pool was drained or a worker removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Report {
    /// Messages handled since the drain began.
    pub handled: u64,
    /// Messages that were accepted and will not be handled. One that is in a handler's hands at the
    /// deadline counts as left.
    pub left: u64,
    /// Workers whose handler had not returned in time. Each ends when it does. One that drained its
    /// own pool, or removed itself, is among them, and still handles what is counted as left.
    pub stuck: u64,
}
