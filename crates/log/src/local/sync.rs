//! Making a partition durable: the group commit, the flush that moves the checkpoint, the end.
//!
//! One sync serves every append that was written before it began. A partition syncs one file at a
//! time, oldest first, under its sync turn: the kernel reports a failed write-back once per open
//! file, so of two syncs at a time one might be told that all is well. A failure stops the
//! partition for good. The kernel marks pages clean that it could not write, and a second sync
//! would succeed without them.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Shared;
use super::checkpoint::Checkpoint;
use super::index::Extent;
use super::partition::{Names, Partition, Stopped, Writer};
use super::pending::Answers;
use super::segment::Segment;
use crate::clock;
use crate::disk::Disk;
use crate::store::{AppendError, Fault};
use crate::watch::Calls;

/// The active segment's index is saved with a checkpoint if it has grown by so many bytes: what a
/// crash then leaves to be walked on demand is little.
const INDEX_SAVE_BYTES: u64 = 8 << 20;

/// What one sync has to do, and what it proves.
struct Plan {
    /// Files with unsynced bytes, oldest first.
    files: Vec<Arc<File>>,
    names: Names,
    /// Everything before this offset is on disk afterwards.
    end: i64,
}

/// What one flush has to do beyond the sync.
struct Flush {
    unsealed: Vec<Arc<Segment>>,
    active: Arc<Segment>,
    checkpoint: Checkpoint,
    save_index: bool,
}

impl Partition {
    /// Serves the appends that wait for the disk.
    pub(crate) fn sync(&self, shared: &Shared) {
        let _turn = self.take_sync_turn();
        let plan = {
            let mut w = self.lock();
            w.sync_queued = false;
            if w.stopped.is_some() || w.pending.is_empty() {
                return;
            }
            w.plan()
        };
        let result = plan.run(&*shared.files.disk, &self.dir);
        // If it failed, the partition and everybody who waits know now.
        let _ = self.conclude(&plan, result);
    }

    /// Syncs, seals rolled segments, and moves the checkpoint to the end.
    pub(crate) fn flush(&self, shared: &Shared) -> io::Result<()> {
        self.flush_and_index(shared, INDEX_SAVE_BYTES)
    }

    /// As `flush`, and saves the active segment's index if it has grown by `index_bytes`.
    fn flush_and_index(&self, shared: &Shared, index_bytes: u64) -> io::Result<()> {
        let _turn = self.take_sync_turn();
        let (plan, flush) = {
            let mut w = self.lock();
            w.flush_queued = false;
            match &w.stopped {
                Some(Stopped::Failed(fault)) => return Err(io::Error::other(fault.clone())),
                Some(Stopped::Deleted) => return Ok(()),
                Some(Stopped::Closed) | None => {}
            }
            (w.plan(), self.plan_flush(&mut w, index_bytes))
        };
        let result =
            flush.cut_zones(&plan, shared).and_then(|()| plan.run(&*shared.files.disk, &self.dir));
        self.conclude(&plan, result)?;
        self.seal(&flush, shared);
        flush.checkpoint.write(&*shared.files.disk, &self.dir).inspect_err(|_| {
            // The flush is still owed, even if nothing more is appended.
            let mut w = self.lock();
            w.unchecked = w.unchecked.max(1);
            w.unchecked_since_ms = clock::now_ms();
        })
    }

    fn plan_flush(&self, w: &mut Writer, index_bytes: u64) -> Flush {
        w.unchecked = 0;
        let save_index = w.position >= w.indexed + index_bytes;
        if save_index {
            w.indexed = w.position;
        }
        Flush {
            unsealed: w.unsealed.clone(),
            active: w.active.clone(),
            checkpoint: Checkpoint {
                segment: w.active.base,
                position: w.position,
                next_offset: w.end,
                log_start: self.log_start.load(Ordering::Acquire),
                max_timestamp: w.active.live_max_timestamp(),
                created_ms: w.active.created_ms,
                producers: w.producers.clone(),
            },
            save_index,
        }
    }

    /// Settles a sync: what waited for it is answered, or fails with the partition.
    fn conclude(&self, plan: &Plan, result: io::Result<()>) -> io::Result<()> {
        let (mut answers, mut calls) = (Answers::default(), Calls::default());
        {
            let mut w = self.lock();
            match &result {
                // Whoever waited has been answered, and nothing more is shown to anybody.
                _ if w.stopped == Some(Stopped::Deleted) => {}
                Ok(()) => {
                    w.synced_end = w.synced_end.max(plan.end);
                    let served = w.pending.iter().take_while(|p| p.end <= plan.end).count();
                    w.pending.drain(..served).for_each(|pending| answers.succeed(pending));
                    self.publish(&mut w, &mut calls);
                }
                Err(error) => {
                    let fault = Fault::of(format_args!("sync of {} failed", self.name), error);
                    tracing::error!(partition = self.name, %error, "sync failed, writing ends");
                    w.stop(Stopped::Failed(fault), &mut answers);
                }
            }
        }
        answers.deliver();
        calls.make();
        result
    }

    /// Writes the indexes of the segments that the flush has made durable.
    fn seal(&self, flush: &Flush, shared: &Shared) {
        let segments = self.segments.load();
        for segment in &flush.unsealed {
            let after = segments.iter().find(|s| s.base > segment.base);
            let next = after.map_or(i64::MAX, |s| s.base);
            let max_timestamp = segment.live_max_timestamp();
            let extent = Extent { base: segment.base, covered: segment.size(), max_timestamp };
            self.save_index(segment, &extent, next, shared);
            segment.seal(&shared.files);
        }
        let mut w = self.lock();
        w.unsealed.retain(|s| !flush.unsealed.iter().any(|sealed| Arc::ptr_eq(s, sealed)));
        drop(w);
        if flush.save_index {
            let Checkpoint { segment, position, max_timestamp, next_offset, .. } = flush.checkpoint;
            let extent = Extent { base: segment, covered: position, max_timestamp };
            self.save_index(&flush.active, &extent, next_offset, shared);
        }
    }

    /// An index that cannot be written is built from the log when it is needed.
    fn save_index(&self, segment: &Arc<Segment>, extent: &Extent, next: i64, shared: &Shared) {
        if let Err(error) = segment.save_index(extent, next, &shared.files) {
            tracing::warn!(partition = self.name, %error, "cannot write an index");
        }
    }

    /// Flushes for the last time and leaves a log that opens without a scan.
    pub(crate) fn close(&self, shared: &Shared) -> io::Result<()> {
        let mut answers = Answers::default();
        let cut = {
            let mut w = self.lock();
            match &w.stopped {
                None => w.stopped = Some(Stopped::Closed),
                Some(Stopped::Failed(fault)) => return Err(io::Error::other(fault.clone())),
                Some(_) => return Ok(()),
            }
            if w.is_clean() {
                return Ok(());
            }
            w.cut_zone(shared).inspect_err(|error| {
                // Nobody will sync what waits for it any more.
                let what = format_args!("cannot cut {} to its batches", self.name);
                w.stop(Stopped::Failed(Fault::of(what, error)), &mut answers);
            })
        };
        answers.deliver();
        cut?;
        self.flush_and_index(shared, 1)
    }
}

impl Writer {
    fn plan(&mut self) -> Plan {
        let mut files = Vec::new();
        for segment in self.unsealed.iter().chain([&self.active]) {
            if segment.dirty.swap(false, Ordering::Relaxed) {
                files.extend(segment.open_file());
            }
        }
        self.zone.synced(self.unsynced);
        self.unsynced = 0;
        Plan { files, names: std::mem::take(&mut self.names), end: self.end }
    }

    /// Cuts the active segment to its batches; the sync that follows makes it last.
    fn cut_zone(&self, shared: &Shared) -> io::Result<()> {
        if self.active.zoned.swap(false, Ordering::Relaxed) {
            shared.files.disk.set_len(&self.file, self.position)?;
            self.active.dirty.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Takes no more appends, and fails those that wait.
    pub(crate) fn stop(&mut self, why: Stopped, answers: &mut Answers) {
        let error = match &why {
            Stopped::Failed(fault) => AppendError::InDoubt(fault.clone()),
            Stopped::Closed | Stopped::Deleted => why.error(),
        };
        for pending in self.pending.drain(..) {
            answers.fail(pending, &error);
        }
        if why == Stopped::Deleted {
            // Whoever kept it gives its place to another partition, and cannot take it back first.
            self.mirror = None;
        }
        self.stopped = Some(why);
    }

    /// Whether the process before this one left something to flush.
    pub(crate) fn has_leftovers(&self) -> bool {
        self.unchecked > 0 || !self.unsealed.is_empty()
    }

    /// Whether the checkpoint on disk says it all.
    fn is_clean(&self) -> bool {
        self.unchecked == 0
            && self.unsealed.is_empty()
            && self.names == Names::default()
            && !self.active.zoned.load(Ordering::Relaxed)
            && self.indexed == self.position
    }
}

impl Plan {
    fn run(&self, disk: &dyn Disk, dir: &Path) -> io::Result<()> {
        for file in &self.files {
            disk.sync_data(file)?;
        }
        if self.names.segment {
            disk.sync_dir(dir)?;
        }
        if self.names.partition {
            // The partition's name is in the log's directory, whose name is in the data directory.
            for above in dir.ancestors().skip(1).take(2) {
                disk.sync_dir(above)?;
            }
        }
        Ok(())
    }
}

impl Flush {
    /// Cuts rolled segments to their batches; the sync that follows makes it last.
    fn cut_zones(&self, plan: &Plan, shared: &Shared) -> io::Result<()> {
        let disk = &*shared.files.disk;
        for segment in &self.unsealed {
            let Some(file) = segment.open_file() else { continue };
            if segment.zoned.swap(false, Ordering::Relaxed) {
                disk.set_len(&file, segment.size())?;
                if !plan.files.iter().any(|f| Arc::ptr_eq(f, &file)) {
                    disk.sync_data(&file)?;
                }
            }
        }
        Ok(())
    }
}
