//! A partition: one writer behind a lock, any number of readers beside it.
//!
//! ```text
//!            log_start                high_watermark        log_end
//! offsets        | readable by consumers  | waits for a sync  |
//! segments   [ sealed ][ sealed ][ rolled, not yet sealed ][ active ]
//! ```
//!
//! Locks, in this order: `sync_turn` (one sync at a time, so that nobody misses a failure that
//! another sync was told of), `writer`, then leaves. Readers take none of these: they load the
//! high watermark, then the segment list, then the segment's visible size. The writer stores in
//! the opposite order.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;

use super::RecoveryReport;
use super::index::LiveIndex;
use super::pending::Pending;
use super::segment::Segment;
use super::zone::Zone;
use crate::producers::Producers;
use crate::store::{
    AppendError, Fault, FaultKind, LogConfig, Mirror, Offsets, PartitionStats, StoreError,
};
use crate::watch::{Calls, Watchers};

pub(crate) struct Partition {
    /// Directory name, for reports.
    pub(crate) name: String,
    pub(crate) dir: Arc<Path>,
    pub(crate) topic_id: uuid::Uuid,
    /// Which of the threads that sync is its own, modulo their number.
    pub(crate) lane: usize,
    pub(crate) writer: Mutex<Writer>,
    pub(crate) sync_turn: Mutex<()>,
    /// Ascending by base offset, never empty.
    pub(crate) segments: ArcSwap<Vec<Arc<Segment>>>,
    pub(crate) log_start: AtomicI64,
    pub(crate) high_watermark: AtomicI64,
    pub(crate) log_end: AtomicI64,
    pub(crate) watchers: Watchers,
    /// Deleted: nothing may be written to its directory any more, another may have its name.
    pub(crate) gone: AtomicBool,
    pub(crate) recovery: RecoveryReport,
}

/// What only one thread at a time may see.
pub(crate) struct Writer {
    pub(crate) config: LogConfig,
    /// Offset of the next record.
    pub(crate) end: i64,
    /// Where in the active segment its batch goes.
    pub(crate) position: u64,
    pub(crate) active: Arc<Segment>,
    pub(crate) file: Arc<std::fs::File>,
    pub(crate) index: Arc<LiveIndex>,
    pub(crate) producers: Producers,
    /// Appends that wait for a sync, in order.
    pub(crate) pending: std::collections::VecDeque<Pending>,
    /// Who keeps a copy of the high watermark.
    pub(crate) mirror: Option<Arc<dyn Mirror>>,
    /// Segment that the high watermark was in when last published.
    pub(crate) shown: Arc<Segment>,
    /// Rolled segments that are not sealed yet, in order.
    pub(crate) unsealed: Vec<Arc<Segment>>,
    /// Everything before this offset is on disk.
    pub(crate) synced_end: i64,
    /// Names of new files, and of the partition, that may not be on disk yet.
    pub(crate) names: Names,
    /// Bytes since the last sync began.
    pub(crate) unsynced: u64,
    /// Bytes since the last checkpoint, and the wall clock of the first of them.
    pub(crate) unchecked: u64,
    pub(crate) unchecked_since_ms: i64,
    /// Bytes of the active segment that its saved index describes.
    pub(crate) indexed: u64,
    pub(crate) zone: Zone,
    pub(crate) sync_queued: bool,
    pub(crate) flush_queued: bool,
    /// Why the last write failed, if it did; it has been said once.
    pub(crate) failing: Option<FaultKind>,
    /// Bytes of a failed write may lie behind the tail, to be cut off before anything is written
    /// there.
    pub(crate) uncut: bool,
    /// Why nothing more can be written.
    pub(crate) stopped: Option<Stopped>,
}

/// Which directory entries a durable answer must wait for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Names {
    /// A segment's, in the partition's directory.
    pub(crate) segment: bool,
    /// The partition's, in the log's directory, and that one's.
    pub(crate) partition: bool,
}

/// Why a partition takes no more appends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stopped {
    Closed,
    Deleted,
    /// A sync failed. The kernel may have dropped what it could not write and would not say so
    /// again, so there is nothing to retry.
    Failed(Fault),
}

impl Stopped {
    /// What an append is told that comes now.
    pub(crate) fn error(&self) -> AppendError {
        match self {
            Stopped::Closed => AppendError::Closed,
            Stopped::Deleted => AppendError::NotFound,
            Stopped::Failed(fault) => AppendError::Storage(fault.clone()),
        }
    }
}

impl Partition {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn take_sync_turn(&self) -> MutexGuard<'_, ()> {
        self.sync_turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    pub(crate) fn offsets(&self) -> Offsets {
        // ORDERING: the high watermark before the log end, which is stored before it, so that what
        // is seen of them is never the wrong way round.
        let high_watermark = self.high_watermark.load(Ordering::Acquire);
        Offsets {
            log_start: self.log_start.load(Ordering::Acquire),
            high_watermark,
            log_end: self.log_end.load(Ordering::Acquire),
        }
    }

    /// Shows the high watermark to this mirror from now on.
    pub(crate) fn set_mirror(&self, mirror: Option<Arc<dyn Mirror>>) -> Result<(), StoreError> {
        // It moves under this lock alone.
        let mut w = self.lock();
        if w.stopped == Some(Stopped::Deleted) {
            return Err(StoreError::NotFound);
        }
        if let Some(mirror) = &mirror {
            mirror.show(self.high_watermark.load(Ordering::Acquire));
        }
        w.mirror = mirror;
        Ok(())
    }

    /// Lets readers see what they may: all, or what lies before the first append that waits for a
    /// sync. Gathers the watchers to be told.
    pub(crate) fn publish(&self, w: &mut Writer, calls: &mut Calls) {
        let (segment, position, offset) = match w.pending.iter().find_map(|p| p.hides.as_ref()) {
            Some(place) => (place.segment.clone(), place.position, place.offset),
            None => (w.active.clone(), w.position, w.end),
        };
        self.log_end.store(w.end, Ordering::Release);
        if !Arc::ptr_eq(&segment, &w.shown) {
            for passed in self.segments.load().iter() {
                if (w.shown.base..segment.base).contains(&passed.base) {
                    passed.visible.store(passed.size(), Ordering::Release);
                }
            }
        }
        segment.visible.store(position, Ordering::Release);
        w.shown = segment;
        if self.high_watermark.load(Ordering::Relaxed) < offset {
            // ORDERING: release for readers, who find the visible bytes by it; sequentially
            // consistent for watchers, see `Watchers`.
            self.high_watermark.store(offset, Ordering::SeqCst);
            if let Some(mirror) = &w.mirror {
                mirror.show(offset);
            }
            self.watchers.due(offset, calls);
        }
    }

    pub(crate) fn stats(&self) -> PartitionStats {
        let (unflushed_bytes, failed, failing) = {
            let w = self.lock();
            let failed = match &w.stopped {
                Some(Stopped::Failed(fault)) => Some(fault.clone()),
                _ => None,
            };
            (w.unsynced, failed, w.failing)
        };
        let segments = self.segments.load();
        let mut damaged: Vec<i64> = segments.iter().flat_map(|s| s.damaged()).collect();
        damaged.sort_unstable();
        damaged.dedup();
        PartitionStats {
            offsets: self.offsets(),
            bytes: segments.iter().map(|s| s.size()).sum(),
            segments: segments.len(),
            unflushed_bytes,
            damaged,
            failed,
            failing,
        }
    }
}
