//! Appending: judge, patch, write in one call, publish.
//!
//! A call's consecutive batches for one partition are staged and written by one `pwritev`. Until
//! it has returned for all of them nothing has happened: offsets, producers and readers learn of a
//! batch only then. If it fails, the next write goes to the same place, and the file is cut back
//! there, so that not even a whole batch of a failed write comes back to life after a crash. While
//! the file cannot be cut, nothing more is written to it.

use std::io::{self, IoSlice};
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard};

use chaski_batch::Header;

use super::Shared;
use super::background::Task;
use super::files;
use super::index::{LiveIndex, Mark};
use super::partition::{Partition, Writer};
use super::pending::{Pending, Place};
use super::scan::{BATCH_BYTES_MAX, LEADER_EPOCH};
use super::segment::Segment;
use super::zone::Zone;
use crate::disk::{Disk, write_all_at};
use crate::producers::{Undo, Verdict};
use crate::store::{
    Append, AppendError, AppendOutcome, AppendSink, Appended, Durability, Fault, FaultKind,
};
use crate::watch::Calls;

/// Index entries hold positions in 32 bits.
const SEGMENT_BYTES_MAX: u64 = u32::MAX as u64;

/// Where outcomes go.
pub(crate) struct Outcomes<'a> {
    pub(crate) now: &'a mut Vec<(u64, AppendOutcome)>,
    pub(crate) later: &'a Arc<dyn AppendSink>,
}

impl Partition {
    /// Appends batches, all of this partition.
    pub(crate) fn append(
        self: &Arc<Self>,
        shared: &Shared,
        batches: &mut [Append<'_>],
        now_ms: i64,
        outcomes: &mut Outcomes<'_>,
        calls: &mut Calls,
    ) {
        let w = self.lock();
        if let Some(stopped) = &w.stopped {
            let error = stopped.error();
            outcomes.now.extend(batches.iter().map(|a| (a.token, Err(error.clone()))));
            return;
        }
        let staged = Vec::with_capacity(batches.len());
        let (offset, position) = (w.end, w.position);
        let log_start = self.log_start.load(Ordering::Relaxed);
        let mut appending = Appending {
            partition: self,
            shared,
            w,
            now_ms,
            log_start,
            outcomes,
            staged,
            offset,
            position,
            failed: None,
        };
        for index in 0..batches.len() {
            if let Err(error) = appending.stage(batches, index) {
                appending.outcomes.now.push((batches[index].token, Err(error)));
            }
        }
        // If it failed, its batches have their outcomes.
        let _ = appending.write(batches);
        appending.finish(calls);
    }
}

/// One call's work on one partition.
struct Appending<'a, 'o> {
    partition: &'a Arc<Partition>,
    shared: &'a Shared,
    w: MutexGuard<'a, Writer>,
    now_ms: i64,
    log_start: i64,
    outcomes: &'a mut Outcomes<'o>,
    /// Batches judged and patched but not written.
    staged: Vec<Staged>,
    /// Offset and position behind the last of them.
    offset: i64,
    position: u64,
    /// Why a write of this call failed. What comes behind it in the call fails with it: it may be
    /// the sequel of a batch that never was.
    failed: Option<AppendError>,
}

/// A batch about to be written.
struct Staged {
    /// Its place among the call's batches.
    index: usize,
    /// With its final offset.
    header: Header,
    position: u64,
    undo: Option<Undo>,
}

impl Appending<'_, '_> {
    /// Judges a batch and stages it if it is new.
    fn stage(&mut self, batches: &mut [Append<'_>], index: usize) -> Result<(), AppendError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let header = batches[index].header;
        let len = batches[index].batch.len();
        if len != header.total_len() || len > BATCH_BYTES_MAX {
            let why = format!("a batch of {len} bytes cannot be kept");
            return Err(AppendError::Storage(Fault::new(FaultKind::Other, why)));
        }
        let mut verdict = self.w.producers.judge(&header)?;
        if verdict != Verdict::New && !self.staged.is_empty() {
            // It may repeat a batch that is only staged, and whose fate is its own.
            self.write(batches)?;
            verdict = self.w.producers.judge(&header)?;
        }
        if let Verdict::Duplicate { base_offset, next_offset } = verdict {
            self.repeat(&batches[index], base_offset, next_offset);
            return Ok(());
        }
        if !self.fits(&header, len as u64) {
            self.write(batches)?;
            self.roll()?;
        }
        chaski_batch::set_base_offset(batches[index].batch, self.offset);
        chaski_batch::set_leader_epoch(batches[index].batch, LEADER_EPOCH);
        let header = Header { base_offset: self.offset, leader_epoch: LEADER_EPOCH, ..header };
        let undo = self.w.producers.record(&header, self.offset, self.now_ms);
        self.staged.push(Staged { index, header, position: self.position, undo });
        self.offset = header.next_offset();
        self.position += len as u64;
        Ok(())
    }

    /// Answers a duplicate as its first was answered, and not before it is as durable.
    fn repeat(&mut self, append: &Append<'_>, base_offset: i64, next_offset: i64) {
        let appended = Appended { base_offset, log_start: self.log_start, duplicate: true };
        if append.durability == Durability::Disk && next_offset > self.w.synced_end {
            self.wait(append.token, next_offset, appended, None);
        } else {
            self.outcomes.now.push((append.token, Ok(appended)));
        }
    }

    fn wait(&mut self, token: u64, end: i64, appended: Appended, hides: Option<Place>) {
        let sink = self.outcomes.later.clone();
        self.w.pending.push_back(Pending { token, sink, end, appended, hides });
    }

    /// Whether the active segment takes a batch of `len` bytes.
    fn fits(&self, header: &Header, len: u64) -> bool {
        let end = self.position + len;
        let last = self.offset.saturating_add(i64::from(header.last_offset_delta));
        let room = end <= self.w.config.segment_bytes.min(SEGMENT_BYTES_MAX);
        let near = last - self.w.active.base <= i64::from(u32::MAX);
        self.position == 0 || (room && near)
    }

    /// Writes what is staged, and settles its outcomes either way.
    fn write(&mut self, batches: &[Append<'_>]) -> Result<(), AppendError> {
        if self.staged.is_empty() {
            return Ok(());
        }
        let bytes = |s: &Staged| IoSlice::new(batches[s.index].batch);
        let mut slices: Vec<IoSlice<'_>> = self.staged.iter().map(bytes).collect();
        let disk = &*self.shared.files.disk;
        let w = &mut *self.w;
        let written =
            w.cut(disk).and_then(|()| write_all_at(disk, &w.file, &mut slices, w.position));
        let written = match written {
            Ok(()) => {
                self.settle(batches);
                Ok(())
            }
            Err(error) => Err(self.take_back(batches, error)),
        };
        (self.offset, self.position) = (self.w.end, self.w.position);
        written
    }

    /// The staged batches are in the page cache.
    fn settle(&mut self, batches: &[Append<'_>]) {
        let written = self.position - self.w.position;
        let interval = self.w.config.index_interval_bytes;
        let active = self.w.active.clone();
        for staged in std::mem::take(&mut self.staged) {
            let Staged { index, header, position, .. } = staged;
            let offset = header.base_offset;
            let max_timestamp = active.live_max_timestamp();
            let mark = Mark { offset: active.relative(offset), position: position as u32 };
            self.w.index.add(mark, max_timestamp, interval);
            active.set_max_timestamp(max_timestamp.max(header.max_timestamp));
            let appended =
                Appended { base_offset: offset, log_start: self.log_start, duplicate: false };
            let Append { token, durability, .. } = batches[index];
            match durability {
                Durability::PageCache => self.outcomes.now.push((token, Ok(appended))),
                Durability::Disk => {
                    let place = Place { segment: active.clone(), position, offset };
                    self.wait(token, header.next_offset(), appended, Some(place));
                }
            }
        }
        let w = &mut *self.w;
        if w.failing.take().is_some() {
            tracing::info!(partition = self.partition.name, "appends succeed again");
        }
        (w.end, w.position) = (self.offset, self.position);
        active.size.store(w.position, Ordering::Release);
        active.dirty.store(true, Ordering::Relaxed);
        w.unsynced += written;
        if w.unchecked == 0 {
            w.unchecked_since_ms = self.now_ms;
        }
        w.unchecked += written;
    }

    /// The staged batches never were. Returns what they and the rest of the call fail with.
    fn take_back(&mut self, batches: &[Append<'_>], error: io::Error) -> AppendError {
        let w = &mut *self.w;
        for undo in self.staged.iter_mut().rev().filter_map(|s| s.undo.take()) {
            w.producers.undo(undo);
        }
        w.uncut = true;
        if w.cut(&*self.shared.files.disk).is_err() {
            // The next write owes it, or else whoever closes the segment.
            w.active.zoned.store(true, Ordering::Relaxed);
        }
        let error = self.refuse(&error);
        for staged in self.staged.drain(..) {
            self.outcomes.now.push((batches[staged.index].token, Err(error.clone())));
        }
        error
    }

    /// What the rest of the call fails with. It is said once.
    fn refuse(&mut self, error: &io::Error) -> AppendError {
        if self.w.failing.replace(FaultKind::of(error)).is_none() {
            tracing::warn!(partition = self.partition.name, %error, "appends fail");
        }
        let error = append_error(error);
        self.failed = Some(error.clone());
        error
    }

    fn roll(&mut self) -> Result<(), AppendError> {
        if let Err(error) = self.partition.roll(&mut self.w, self.shared, self.now_ms) {
            return Err(self.refuse(&error));
        }
        (self.offset, self.position) = (self.w.end, self.w.position);
        Ok(())
    }

    /// Publishes, and has done what must be done off this thread.
    fn finish(mut self, calls: &mut Calls) {
        self.partition.publish(&mut self.w, calls);
        let w = &mut *self.w;
        let sync = !w.pending.is_empty() && !std::mem::replace(&mut w.sync_queued, true);
        let flush =
            w.unchecked >= w.config.flush_bytes && !std::mem::replace(&mut w.flush_queued, true);
        let zone = sync && w.zone.is_due(w.position, w.config.segment_bytes);
        drop(self.w);
        if sync {
            self.shared.sync(self.partition);
        }
        if flush {
            self.shared.background.push(Task::Flush(self.partition.clone()));
        }
        if zone {
            self.shared.background.push(Task::Zone(self.partition.clone()));
        }
    }
}

impl Partition {
    /// Begins a new segment, once the old one is cut. Only the file is made here; the old one is
    /// sealed in the background.
    pub(crate) fn roll(
        self: &Arc<Self>,
        w: &mut Writer,
        shared: &Shared,
        now_ms: i64,
    ) -> io::Result<()> {
        w.cut(&*shared.files.disk)?;
        let path = files::segment(&self.dir, w.end, files::LOG);
        let file = Arc::new(shared.files.disk.create(&path)?);
        let index = Arc::new(LiveIndex::new(Mark::START));
        let (dir, base) = (self.dir.clone(), w.end);
        let segment = Arc::new(Segment::live(dir, base, file.clone(), index.clone(), now_ms));
        let mut segments = Vec::clone(&self.segments.load());
        segments.push(segment.clone());
        self.segments.store(Arc::new(segments));
        w.unsealed.push(std::mem::replace(&mut w.active, segment));
        (w.file, w.index, w.position, w.indexed) = (file, index, 0, 0);
        w.zone = Zone::default();
        w.names.segment = true;
        if !std::mem::replace(&mut w.flush_queued, true) {
            shared.background.push(Task::Flush(self.clone()));
        }
        Ok(())
    }
}

impl Writer {
    /// Cuts off what a failed write has left behind the tail, if anything.
    fn cut(&mut self, disk: &dyn Disk) -> io::Result<()> {
        if self.uncut {
            disk.set_len(&self.file, self.position)?;
            self.uncut = false;
            self.active.dirty.store(true, Ordering::Relaxed);
            self.zone.forget(self.position);
        }
        Ok(())
    }
}

/// What an I/O error means to a producer.
fn append_error(error: &io::Error) -> AppendError {
    match Fault::from(error) {
        fault if fault.kind() == FaultKind::Full => AppendError::Full,
        fault => AppendError::Storage(fault),
    }
}
