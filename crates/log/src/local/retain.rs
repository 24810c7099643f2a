//! What is kept: retention by age and size, and log starts that somebody moves up.
//!
//! The log start moves first, then the checkpoint says so, then the files go, oldest first: a
//! crash in between leaves segments that recovery removes.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Shared;
use super::files::{self, io_error};
use super::partition::{Partition, Writer};
use super::segment::Segment;
use crate::clock;
use crate::disk::Disk;
use crate::store::StoreError;

impl Partition {
    /// One round of retention.
    pub(crate) fn retain(self: &Arc<Self>, now_ms: i64, shared: &Shared) -> io::Result<()> {
        let doomed = {
            let mut w = self.lock();
            if w.stopped.is_some() {
                return Ok(());
            }
            w.producers.expire(now_ms);
            self.roll_aged(&mut w, now_ms, shared)?;
            let segments = self.segments.load();
            let count = self.expired(&w, &segments, now_ms, shared)?;
            if count == 0 {
                return Ok(());
            }
            self.log_start.fetch_max(segments[count].base, Ordering::AcqRel);
            self.forget_segments(count)
        };
        self.remove(&doomed, shared)
    }

    /// Begins a new segment if the active one is older than its age, or holds nothing that is
    /// young enough to keep.
    fn roll_aged(self: &Arc<Self>, w: &mut Writer, now_ms: i64, shared: &Shared) -> io::Result<()> {
        let age = now_ms.saturating_sub(w.active.created_ms);
        let old = age > clock::as_ms(w.config.segment_age);
        let expired = is_expired(w, w.active.live_max_timestamp(), now_ms);
        if w.position > 0 && (old || expired) {
            self.roll(w, shared, now_ms)?;
        }
        Ok(())
    }

    /// How many of the oldest segments are to go. Never the active one, nor one that consumers
    /// have not been shown all of.
    fn expired(
        &self,
        w: &Writer,
        segments: &[Arc<Segment>],
        now_ms: i64,
        shared: &Shared,
    ) -> io::Result<usize> {
        let mut bytes: u64 = segments.iter().map(|s| s.size()).sum();
        let closed = &segments[..segments.len() - 1];
        let mut count = 0;
        for segment in closed.iter().take_while(|s| s.visible() == s.size()) {
            let size = segment.size();
            let too_big = w.config.retention_bytes.is_some_and(|max| bytes - size >= max);
            if !too_big && !is_expired(w, segment.max_timestamp(&shared.files)?, now_ms) {
                break;
            }
            bytes -= size;
            count += 1;
        }
        Ok(count)
    }

    /// Moves the log start up to `offset`; returns where it is.
    pub(crate) fn trim(&self, offset: i64, shared: &Shared) -> Result<i64, StoreError> {
        let (log_start, doomed) = {
            let _w = self.lock();
            let (start, end) = (
                self.log_start.load(Ordering::Acquire),
                self.high_watermark.load(Ordering::Acquire),
            );
            let offset = if offset == -1 { end } else { offset };
            if offset < 0 || offset > end {
                return Err(StoreError::OutOfRange { offset, start, end });
            }
            if offset <= start {
                return Ok(start);
            }
            self.log_start.store(offset, Ordering::Release);
            let segments = self.segments.load();
            let whole = segments.partition_point(|s| s.base <= offset).saturating_sub(1);
            let hidden = segments.partition_point(|s| s.visible() == s.size());
            (offset, self.forget_segments(whole.min(hidden)))
        };
        self.remove(&doomed, shared).map_err(io_error("move the log start of", &self.dir))?;
        Ok(log_start)
    }

    /// Takes the oldest `count` segments from the list. Only under the writer lock.
    fn forget_segments(&self, count: usize) -> Vec<Arc<Segment>> {
        let mut doomed = Vec::clone(&self.segments.load());
        let kept = doomed.split_off(count);
        self.segments.store(Arc::new(kept));
        doomed
    }

    /// Makes the log start last, then removes the files of segments below it. They go even if the
    /// checkpoint cannot be written, for it may be they who leave no room for it.
    fn remove(&self, doomed: &[Arc<Segment>], shared: &Shared) -> io::Result<()> {
        let flushed = self.flush(shared);
        let _turn = self.take_sync_turn();
        if self.is_gone() {
            return Ok(());
        }
        for segment in doomed {
            remove_files(&self.dir, segment.base, &*shared.files.disk)?;
        }
        flushed
    }
}

/// Whether a segment with this largest timestamp is past the retention age.
fn is_expired(w: &Writer, max_timestamp: i64, now_ms: i64) -> bool {
    let Some(age) = w.config.retention_age else { return false };
    max_timestamp >= 0 && now_ms.saturating_sub(max_timestamp) > clock::as_ms(age)
}

/// Removes a segment: the log first, so that no index is ever without one for long.
pub(crate) fn remove_files(dir: &Path, base: i64, disk: &dyn Disk) -> io::Result<()> {
    for kind in [files::LOG, files::INDEX, files::TIME_INDEX] {
        match disk.remove_file(&files::segment(dir, base, kind)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
    }
    Ok(())
}
