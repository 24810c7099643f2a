//! Opening a partition: what is there, what of it counts.
//!
//! 1. Whose directory is it? One with another topic's id was left by a crash between the deletion
//!    of a topic and its creation anew, and is set aside.
//! 2. The checkpoint says up to where everything is on disk. What is before is not read now.
//! 3. From there every batch is checked, through later segments to the end. At bytes that are no
//!    good batch:
//!    - only zeros follow: the tail, never written;
//!    - nothing good follows: a tail torn off in the middle of a write. It is cut off and reported;
//!    - the next segment begins at that offset: what is here is of a failed write that could not
//!      be cut off when it failed. It is cut off, good or not;
//!    - a good batch follows: damage in the middle. Nothing is cut, for what follows may have been
//!      acknowledged; the stretch is remembered and never served.
//!
//! Nothing is written until all of it has been read, but for the tail that is cut.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};

use super::checkpoint::Checkpoint;
use super::files::{self, io_error};
use super::index::{LiveIndex, Mark, NO_TIMESTAMP};
use super::partition::{Names, Partition, Writer};
use super::scan::{After, SCAN_BYTES, Window, after_flaw};
use super::segment::{Damage, Segment};
use super::zone::Zone;
use super::{RecoveryReport, Shared};
use crate::clock;
use crate::disk::{Disk, TEMPORARY, replace};
use crate::producers::Producers;
use crate::store::{PartitionSpec, StoreError};
use crate::watch::Watchers;

/// Contents of `partition.json`.
#[derive(Debug, Serialize, Deserialize)]
struct Identity {
    version: u32,
    topic: String,
    topic_id: String,
    index: i32,
}

/// Opens the partition in `dir`, which is created if it is not there.
pub(crate) fn open(
    spec: &PartitionSpec,
    dir: &Path,
    shared: &Shared,
) -> Result<Partition, StoreError> {
    claim(spec, dir, shared)?;
    let bases = list(dir, &*shared.files.disk).map_err(io_error("list", dir))?;
    let checkpoint = Checkpoint::read(dir).map_err(io_error("read the checkpoint of", dir))?;
    let mut recovery = Recovery::new(spec, dir, shared, bases, checkpoint)?;
    recovery.scan_all()?;
    recovery.finish()
}

/// Makes the directory this partition's.
fn claim(spec: &PartitionSpec, dir: &Path, shared: &Shared) -> Result<(), StoreError> {
    let disk = &*shared.files.disk;
    let topic_id = spec.topic_id.simple().to_string();
    let path = dir.join(files::IDENTITY);
    let found = match fs::read(&path) {
        Ok(bytes) => serde_json::from_slice::<Identity>(&bytes).ok(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(e) => return Err(io_error("read", &path)(e)),
    };
    match found {
        Some(identity) if identity.topic_id == topic_id => return Ok(()),
        Some(identity) => {
            let aside = files::set_aside(dir);
            tracing::warn!(
                dir = %dir.display(), topic_id = identity.topic_id,
                "a deleted topic of the same name was still here; it is removed"
            );
            disk.rename(dir, &aside).map_err(io_error("set aside", dir))?;
            shared.background.push(super::background::Task::Remove(aside));
        }
        // Without a readable identity the log in it counts for more than the doubt whose it is.
        None if dir.exists() => tracing::warn!(dir = %dir.display(), "partition.json is missing"),
        None => {}
    }
    match disk.create_dir(dir) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
            return Err(io_error("create", dir)(e));
        }
        _ => {}
    }
    let (topic, index) = (spec.topic.clone(), spec.index);
    let identity = Identity { version: 1, topic, topic_id, index };
    let json = serde_json::to_vec_pretty(&identity).unwrap_or_default();
    replace(disk, &path, &json, true).map_err(io_error("write", &path))
}

/// Base offsets of the segments, ascending. Removes what a crash has left half made.
fn list(dir: &Path, disk: &dyn Disk) -> io::Result<Vec<i64>> {
    let (mut bases, mut derived) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        match files::parse_segment(&name) {
            Some((base, files::LOG)) => bases.push(base),
            Some((base, kind)) => derived.push((base, kind.to_owned())),
            None if name.to_string_lossy().ends_with(TEMPORARY) => {
                disk.remove_file(&dir.join(name))?;
            }
            None => {}
        }
    }
    bases.sort_unstable();
    for (base, kind) in derived {
        if bases.binary_search(&base).is_err() {
            disk.remove_file(&files::segment(dir, base, &kind))?;
        }
    }
    Ok(bases)
}

/// A recovery under way.
struct Recovery<'a> {
    spec: &'a PartitionSpec,
    dir: Arc<Path>,
    shared: &'a Shared,
    /// Segments opened so far, then those to be scanned.
    segments: Vec<Arc<Segment>>,
    to_scan: VecDeque<i64>,
    /// Where the first of those is scanned from.
    start: Mark,
    /// Offset the next batch must have.
    expected: i64,
    log_start: i64,
    /// Largest timestamp before the start, in its segment.
    max_timestamp: i64,
    created_ms: Option<i64>,
    producers: Producers,
    now_ms: i64,
    /// The last segment scanned, to be the active one.
    last: Option<(Arc<File>, Arc<LiveIndex>)>,
    report: RecoveryReport,
}

impl<'a> Recovery<'a> {
    fn new(
        spec: &'a PartitionSpec,
        dir: &Path,
        shared: &'a Shared,
        mut bases: Vec<i64>,
        checkpoint: Option<Checkpoint>,
    ) -> Result<Recovery<'a>, StoreError> {
        let checkpoint = checkpoint.filter(|c| fits(c, dir, &bases));
        let mut recovery = Recovery {
            spec,
            dir: Arc::from(dir),
            shared,
            segments: Vec::new(),
            to_scan: VecDeque::new(),
            start: Mark::START,
            expected: bases.first().copied().unwrap_or(0),
            log_start: bases.first().copied().unwrap_or(0),
            max_timestamp: NO_TIMESTAMP,
            created_ms: None,
            producers: Producers::default(),
            now_ms: clock::now_ms(),
            last: None,
            report: RecoveryReport::default(),
        };
        if let Some(checkpoint) = checkpoint {
            recovery.drop_below(&checkpoint, &mut bases)?;
            recovery.begin_at(checkpoint, &bases)?;
        } else {
            recovery.to_scan.extend(bases);
        }
        Ok(recovery)
    }

    /// Removes segments that retention had given up when the process died. The one that the
    /// checkpoint is in stays: recovery begins there.
    fn drop_below(&self, checkpoint: &Checkpoint, bases: &mut Vec<i64>) -> Result<(), StoreError> {
        let whole = bases.partition_point(|b| *b <= checkpoint.log_start).saturating_sub(1);
        let before = bases.partition_point(|b| *b < checkpoint.segment);
        let whole = whole.min(before);
        for base in bases.drain(..whole) {
            super::retain::remove_files(&self.dir, base, &*self.shared.files.disk)
                .map_err(io_error("remove a segment from", &self.dir))?;
        }
        Ok(())
    }

    fn begin_at(&mut self, checkpoint: Checkpoint, bases: &[i64]) -> Result<(), StoreError> {
        for &base in bases {
            if base >= checkpoint.segment {
                self.to_scan.push_back(base);
                continue;
            }
            let path = files::segment(&self.dir, base, files::LOG);
            let len = fs::metadata(&path).map_err(io_error("look at", &path))?.len();
            self.segments.push(Arc::new(Segment::sealed(self.dir.clone(), base, len)));
        }
        let relative = checkpoint.next_offset - checkpoint.segment;
        self.start = Mark { offset: relative as u32, position: checkpoint.position as u32 };
        self.expected = checkpoint.next_offset;
        self.log_start = checkpoint.log_start;
        self.max_timestamp = checkpoint.max_timestamp;
        self.created_ms = Some(checkpoint.created_ms);
        self.producers = checkpoint.producers;
        self.report.checkpoint_used = true;
        Ok(())
    }

    fn scan_all(&mut self) -> Result<(), StoreError> {
        let mut gap_from = None;
        while let Some(base) = self.to_scan.pop_front() {
            let start = std::mem::replace(&mut self.start, Mark::START);
            if start == Mark::START {
                self.meet(base, gap_from.take())?;
            }
            let path = files::segment(&self.dir, base, files::LOG);
            gap_from = self.scan(base, start, &path).map_err(io_error("scan", &path))?;
        }
        Ok(())
    }

    /// The next segment begins at `base`, which should be the offset expected.
    fn meet(&mut self, base: i64, gap_from: Option<u64>) -> Result<(), StoreError> {
        if base < self.expected {
            let (dir, expected) = (self.dir.display(), self.expected);
            let why = format!("{dir}: segment {base} begins before offset {expected}, the end");
            return Err(StoreError::Corrupt(why));
        }
        if base > self.expected {
            let reason = format!("the next segment begins at offset {base}");
            let offset = self.expected;
            let position = gap_from.unwrap_or(0);
            self.damaged(self.segments.last().cloned(), offset, position, None, reason);
            self.expected = base;
        }
        Ok(())
    }

    /// Scans one segment. If batches are missing at its end that were there once, by the offset
    /// of the next segment, returns where.
    fn scan(&mut self, base: i64, start: Mark, path: &Path) -> io::Result<Option<u64>> {
        let file = Arc::new(OpenOptions::new().read(true).write(true).open(path)?);
        let limit = file.metadata()?.len();
        let index = Arc::new(LiveIndex::new(start));
        let created_ms = self.created_ms.take().unwrap_or(self.now_ms);
        let (dir, from) = (self.dir.clone(), u64::from(start.position));
        let segment = Arc::new(Segment::live(dir, base, file.clone(), index.clone(), created_ms));
        segment.set_max_timestamp(std::mem::replace(&mut self.max_timestamp, NO_TIMESTAMP));
        let end = self.scan_batches(&segment, &file, &index, from..limit)?;
        let cut = self.cut_tail(&file, end, limit)?;
        segment.size.store(end, Ordering::Relaxed);
        segment.visible.store(end, Ordering::Relaxed);
        segment.verified.set_from(end);
        segment.dirty.store(end > from || cut, Ordering::Relaxed);
        self.segments.push(segment);
        self.last = Some((file, index));
        Ok((!cut && end < limit).then_some(end))
    }

    /// Returns where the last good batch ends.
    fn scan_batches(
        &mut self,
        segment: &Arc<Segment>,
        file: &File,
        index: &LiveIndex,
        range: Range<u64>,
    ) -> io::Result<u64> {
        let below = self.to_scan.front().copied().unwrap_or(i64::MAX);
        let mut window = Window::new(file, SCAN_BYTES);
        let Range { start: mut position, end: limit } = range;
        let mut good_from = position;
        while position < limit {
            if self.expected == below {
                // The next segment was begun here, behind a write that had failed and could not
                // be cut off.
                break;
            }
            let (header, resumed) = match window.batch(position, limit, self.expected)? {
                Ok(header) => (header, false),
                Err(flaw) => {
                    let after = after_flaw(&mut window, position, limit, self.expected, below)?;
                    let After::Batch { position: resumes, header } = after else { break };
                    segment.verified.add(good_from, position);
                    let resumed = Some((resumes, header.base_offset));
                    let (offset, reason) = (self.expected, flaw.to_string());
                    self.damaged(Some(segment.clone()), offset, position, resumed, reason);
                    (position, good_from) = (resumes, resumes);
                    (header, true)
                }
            };
            let relative = segment.relative(header.base_offset);
            let mark = Mark { offset: relative, position: position as u32 };
            let max_timestamp = segment.live_max_timestamp();
            if resumed {
                index.push(mark, max_timestamp);
            } else {
                index.add(mark, max_timestamp, self.spec.config.index_interval_bytes);
            }
            segment.set_max_timestamp(max_timestamp.max(header.max_timestamp));
            self.producers.record(&header, header.base_offset, self.now_ms);
            self.report.scanned_bytes += header.total_len() as u64;
            self.expected = header.next_offset();
            position += header.total_len() as u64;
        }
        segment.verified.add(good_from, position);
        Ok(position)
    }

    /// Cuts off what is behind the last good batch, unless batches were there that are missed:
    /// then it is kept as it is. True: the file is exact now.
    fn cut_tail(&mut self, file: &File, end: u64, limit: u64) -> io::Result<bool> {
        if end == limit {
            return Ok(false);
        }
        let zeros = Window::new(file, SCAN_BYTES).is_zero(end, limit)?;
        let missed = self.to_scan.front().is_some_and(|next| *next > self.expected);
        if missed && !zeros {
            return Ok(false);
        }
        if !zeros {
            self.report.truncated_bytes += limit - end;
            self.report.truncated_at = Some(self.expected);
            tracing::warn!(
                dir = %self.dir.display(), offset = self.expected, position = end,
                bytes = limit - end, "cut off a torn tail"
            );
        }
        self.shared.files.disk.set_len(file, end)?;
        Ok(true)
    }

    fn damaged(
        &mut self,
        segment: Option<Arc<Segment>>,
        offset: i64,
        position: u64,
        resumes: Option<(u64, i64)>,
        reason: String,
    ) {
        tracing::error!(
            dir = %self.dir.display(), offset, position, reason,
            "damage in the log: its batches will not be served"
        );
        self.report.damaged.push(offset);
        if let Some(segment) = segment {
            segment.add_damage(Damage { offset, position, resumes, reason });
        }
    }

    fn finish(mut self) -> Result<Partition, StoreError> {
        if self.last.is_none() {
            self.create_first()?;
        }
        let Some(((file, index), active)) = self.last.take().zip(self.segments.last().cloned())
        else {
            return Err(StoreError::Corrupt(format!("{}: no segment", self.dir.display())));
        };
        let (end, position) = (self.expected, active.size());
        let cp = self.report.checkpoint_used;
        let scanned = self.segments.iter().rev().take_while(|s| s.is_live()).count();
        let live = &self.segments[self.segments.len() - scanned..];
        let unsealed = live[..scanned - 1].to_vec();
        let dirty = live.iter().any(|s| s.dirty.load(Ordering::Relaxed));
        let clean = cp && !dirty && unsealed.is_empty();
        let log_start = self.log_start.clamp(self.segments[0].base, end.max(self.segments[0].base));
        // A checkpoint is only written once the names it depends on are on disk.
        let names = Names { segment: !clean, partition: !cp };
        let writer = Writer {
            config: self.spec.config.clone(),
            end,
            position,
            mirror: None,
            shown: active.clone(),
            active,
            file,
            index,
            producers: self.producers,
            pending: VecDeque::new(),
            unsealed,
            synced_end: if clean { end } else { log_start },
            names,
            unsynced: self.report.scanned_bytes,
            unchecked: self.report.scanned_bytes,
            unchecked_since_ms: 0,
            indexed: if clean { position } else { 0 },
            zone: Zone::default(),
            sync_queued: false,
            flush_queued: false,
            failing: None,
            uncut: false,
            stopped: None,
        };
        Ok(Partition {
            name: self.dir.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            topic_id: self.spec.topic_id,
            lane: lane(self.spec),
            dir: self.dir,
            writer: Mutex::new(writer),
            sync_turn: Mutex::new(()),
            segments: ArcSwap::from_pointee(self.segments),
            log_start: AtomicI64::new(log_start),
            high_watermark: AtomicI64::new(end),
            log_end: AtomicI64::new(end),
            watchers: Watchers::default(),
            gone: AtomicBool::new(false),
            recovery: self.report,
        })
    }

    /// The first segment of a partition that has none.
    fn create_first(&mut self) -> Result<(), StoreError> {
        let path = files::segment(&self.dir, self.expected, files::LOG);
        let file = self.shared.files.disk.create(&path).map_err(io_error("create", &path))?;
        let (file, index) = (Arc::new(file), Arc::new(LiveIndex::new(Mark::START)));
        let (dir, base) = (self.dir.clone(), self.expected);
        let segment = Segment::live(dir, base, file.clone(), index.clone(), self.now_ms);
        self.segments.push(Arc::new(segment));
        self.last = Some((file, index));
        Ok(())
    }
}

/// Whether a checkpoint speaks of the files that are there.
fn fits(checkpoint: &Checkpoint, dir: &Path, bases: &[i64]) -> bool {
    let path = files::segment(dir, checkpoint.segment, files::LOG);
    let there = bases.binary_search(&checkpoint.segment).is_ok();
    let long_enough = fs::metadata(&path).is_ok_and(|m| m.len() >= checkpoint.position);
    let relative = checkpoint.next_offset - checkpoint.segment;
    let in_range = checkpoint.position <= u64::from(u32::MAX) && relative <= i64::from(u32::MAX);
    if !(there && long_enough && in_range) {
        tracing::warn!(
            dir = %dir.display(), segment = checkpoint.segment, position = checkpoint.position,
            "the checkpoint does not fit the segments, the whole log is read"
        );
    }
    there && long_enough && in_range
}

/// Spreads partitions over the threads that sync: those of one topic evenly.
fn lane(spec: &PartitionSpec) -> usize {
    (spec.topic_id.as_u128() as usize).wrapping_add(spec.index as usize)
}
