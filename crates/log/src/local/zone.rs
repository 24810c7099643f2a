//! Zero-ahead: room for small synced appends that the file system already knows of.
//!
//! A sync after a write that grows the file must commit the new length to the file system's
//! journal; a sync after one that lands in bytes already written need not. So where a partition
//! sees durable appends, zeros are written and synced ahead of its tail, in the background:
//!
//! ```text
//! | batch | batch | batch | 0 0 0 0 0 0 0 0 0 0 0 0 |
//!                         position                  end
//! ```
//! Zeros are never a batch, so recovery sees where the batches end, and no batch of an earlier
//! life of the file can be taken for one of this, as in recycled segments. An appender that is
//! faster than the zone grows the file as if there were none.
//!
//! Zeros are written under the partition's writer lock, in small pieces: whoever holds it knows
//! that nobody appends where the zeros go.

use std::fs::OpenOptions;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Shared;
use super::partition::Partition;
use crate::disk::write_all_at;

/// Zone a partition begins with.
const ZONE_BYTES_MIN: u64 = 1 << 20;
/// Zone of a partition whose traffic keeps catching up with smaller ones.
const ZONE_BYTES_MAX: u64 = 16 << 20;
/// Zeros written under the lock at a time.
const PIECE_BYTES: usize = 64 << 10;
/// Bytes left to an appender that has overtaken its zone, before the next one begins.
const GAP_BYTES: u64 = 256 << 10;
/// With more bytes than this per sync, writing them twice costs more than the journal.
const GROUP_BYTES_MAX: u64 = 128 << 10;

/// Syncs a segment sees before it gets a zone: a partition used now and then needs none.
const SYNCS_MIN: u32 = 16;

/// The zone of one active segment.
#[derive(Debug)]
pub(crate) struct Zone {
    /// Position up to which there are synced zeros; before the tail, there is no zone.
    end: u64,
    bytes: u64,
    queued: bool,
    /// Bytes per sync, averaged over about eight.
    group_bytes: u64,
    syncs: u32,
    /// Writing zeros has failed; the segment does without.
    given_up: bool,
}

impl Default for Zone {
    fn default() -> Self {
        Zone {
            end: 0,
            bytes: ZONE_BYTES_MIN,
            queued: false,
            group_bytes: 0,
            syncs: 0,
            given_up: false,
        }
    }
}

impl Zone {
    /// Whether it is time to extend it. If so, says so once.
    pub(crate) fn is_due(&mut self, position: u64, segment_bytes: u64) -> bool {
        let due = !self.queued
            && !self.given_up
            && self.syncs >= SYNCS_MIN
            && self.group_bytes <= GROUP_BYTES_MAX
            && self.end < position + self.bytes / 2
            && position + self.bytes / 2 < segment_bytes
            && self.end < segment_bytes;
        self.queued |= due;
        due
    }

    /// A sync of so many bytes begins.
    pub(crate) fn synced(&mut self, bytes: u64) {
        self.syncs = self.syncs.saturating_add(1);
        self.group_bytes = self.group_bytes - self.group_bytes / 8 + bytes / 8;
    }

    /// The file ends at `position`: what was ahead is gone.
    pub(crate) fn forget(&mut self, position: u64) {
        self.end = self.end.min(position);
    }
}

impl Partition {
    /// Writes and syncs zeros ahead of the tail.
    pub(crate) fn extend_zone(self: &Arc<Self>, shared: &Shared) {
        let base = self.lock().active.base;
        let extended = self.write_zeros(base, shared);
        let mut w = self.lock();
        if w.active.base != base {
            return;
        }
        w.zone.queued = false;
        match extended {
            Ok(end) => w.zone.end = w.zone.end.max(end),
            Err(error) => {
                tracing::debug!(partition = self.name, %error, "no room for zeros ahead");
                w.zone.given_up = true;
            }
        }
    }

    /// Returns where the zeros end.
    fn write_zeros(&self, base: i64, shared: &Shared) -> io::Result<u64> {
        let (mut at, end, path) = {
            let mut w = self.lock();
            if w.zone.end < w.position {
                w.zone.bytes = (w.zone.bytes * 2).min(ZONE_BYTES_MAX);
            }
            let end = (w.position + w.zone.bytes).min(w.config.segment_bytes);
            (w.zone.end, end, w.active.path())
        };
        while let Some(next) = self.write_piece(base, at, end, shared)? {
            at = next;
            // The lock is not a fair one.
            std::thread::yield_now();
        }
        // By a file of its own: a failed sync of this one must be told to the partition's own.
        shared.files.disk.sync_data(&OpenOptions::new().write(true).open(path)?)?;
        Ok(at.min(end))
    }

    /// Writes one piece at `at` or a little behind the tail; None: there is no more to write.
    fn write_piece(
        &self,
        base: i64,
        at: u64,
        end: u64,
        shared: &Shared,
    ) -> io::Result<Option<u64>> {
        static ZEROS: [u8; PIECE_BYTES] = [0; PIECE_BYTES];
        let w = self.lock();
        let at = if at < w.position { w.position + GAP_BYTES } else { at };
        if w.active.base != base || w.stopped.is_some() || at >= end {
            return Ok(None);
        }
        let piece = usize::try_from(end - at).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
        w.active.zoned.store(true, Ordering::Relaxed);
        let mut slices = [IoSlice::new(&ZEROS[..piece])];
        write_all_at(&*shared.files.disk, &w.file, &mut slices, at)?;
        Ok(Some(at + piece as u64))
    }
}
