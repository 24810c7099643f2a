//! A segment: one file of batches, and what is known about it.
//!
//! ```text
//! file      | batch | batch | batch | batch | batch | 0 0 0 0 ...
//!           0                  visible          size    zero-ahead
//! ```
//! `visible` is where consumers stop, `size` where the next batch goes. The active segment and
//! those not yet sealed keep their file open and their index in memory. A sealed segment holds
//! nothing but its name: file and index are opened on demand, and closed again when too many are.
//!
//! Bytes that this process wrote, or recovery scanned, are known to be good. The others are
//! verified when they are first read, see [`Verified`].

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use arc_swap::ArcSwapOption;

use super::files;
use super::index::{self, Extent, IndexData, LiveIndex, Mark, NO_TIMESTAMP, SealedIndex, TimeMark};
use super::scan::{After, Flaw, SCAN_BYTES, Window, after_flaw};
use crate::disk::Disk;

#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) base: i64,
    dir: Arc<Path>,
    /// Bytes of batches.
    pub(crate) size: AtomicU64,
    /// Bytes below the high watermark.
    pub(crate) visible: AtomicU64,
    /// Of all batches in it, once it is known: always for a live segment.
    max_timestamp: AtomicI64,
    /// Written since its last sync began.
    pub(crate) dirty: AtomicBool,
    pub(crate) verified: Verified,
    file: ArcSwapOption<File>,
    live: ArcSwapOption<LiveIndex>,
    sealed: ArcSwapOption<SealedLookup>,
    /// The index file was found valid in this process life.
    index_checked: AtomicBool,
    /// The index file was written in this process life.
    index_rebuilt: AtomicBool,
    /// A zone of zeros lies behind its batches, to be cut off when it is sealed.
    pub(crate) zoned: AtomicBool,
    damage: Mutex<Vec<Damage>>,
    /// Wall clock when it was begun.
    pub(crate) created_ms: i64,
}

/// How a sealed segment is looked up.
#[derive(Debug)]
enum SealedLookup {
    File(SealedIndex),
    /// The index file cannot be written: the disk is full or read-only.
    Memory(IndexData),
}

/// A stretch of a segment that holds no good batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Damage {
    /// First offset lost.
    pub(crate) offset: i64,
    /// First byte.
    pub(crate) position: u64,
    /// Position and offset of the next good batch in the segment.
    pub(crate) resumes: Option<(u64, i64)>,
    pub(crate) reason: String,
}

/// Stretches of damage remembered per segment; the rest are looked for each time.
const DAMAGES_MAX: usize = 1000;

/// Not known.
const UNKNOWN: i64 = i64::MIN;

impl Segment {
    /// A segment that is written to, or was until the process before this one died.
    pub(crate) fn live(
        dir: Arc<Path>,
        base: i64,
        file: Arc<File>,
        index: Arc<LiveIndex>,
        created_ms: i64,
    ) -> Segment {
        Segment {
            base,
            dir,
            size: AtomicU64::new(0),
            visible: AtomicU64::new(0),
            max_timestamp: AtomicI64::new(NO_TIMESTAMP),
            dirty: AtomicBool::new(false),
            verified: Verified::new(0),
            file: ArcSwapOption::new(Some(file)),
            live: ArcSwapOption::new(Some(index)),
            sealed: ArcSwapOption::empty(),
            index_checked: AtomicBool::new(false),
            index_rebuilt: AtomicBool::new(false),
            zoned: AtomicBool::new(false),
            damage: Mutex::default(),
            created_ms,
        }
    }

    /// A segment of which everything is on disk and nothing is known but its length.
    pub(crate) fn sealed(dir: Arc<Path>, base: i64, size: u64) -> Segment {
        Segment {
            base,
            dir,
            size: AtomicU64::new(size),
            visible: AtomicU64::new(size),
            max_timestamp: AtomicI64::new(UNKNOWN),
            dirty: AtomicBool::new(false),
            verified: Verified::new(u64::MAX),
            file: ArcSwapOption::empty(),
            live: ArcSwapOption::empty(),
            sealed: ArcSwapOption::empty(),
            index_checked: AtomicBool::new(false),
            index_rebuilt: AtomicBool::new(false),
            zoned: AtomicBool::new(false),
            damage: Mutex::default(),
            created_ms: 0,
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        files::segment(&self.dir, self.base, files::LOG)
    }

    pub(crate) fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    pub(crate) fn visible(&self) -> u64 {
        self.visible.load(Ordering::Acquire)
    }

    /// An absolute offset as an index has it. Offsets before the base count as the base.
    pub(crate) fn relative(&self, offset: i64) -> u32 {
        u32::try_from(offset.saturating_sub(self.base).max(0)).unwrap_or(u32::MAX)
    }

    /// Of a live segment: the largest timestamp so far. Only the appender changes it.
    pub(crate) fn live_max_timestamp(&self) -> i64 {
        self.max_timestamp.load(Ordering::Relaxed)
    }

    pub(crate) fn set_max_timestamp(&self, timestamp: i64) {
        self.max_timestamp.store(timestamp, Ordering::Relaxed);
    }

    /// The largest timestamp, from the time index if need be.
    pub(crate) fn max_timestamp(self: &Arc<Self>, files: &OpenFiles) -> io::Result<i64> {
        match self.max_timestamp.load(Ordering::Relaxed) {
            UNKNOWN => {
                self.times(files)?;
                Ok(self.max_timestamp.load(Ordering::Relaxed).max(NO_TIMESTAMP))
            }
            known => Ok(known),
        }
    }

    /// The file if it is open, as that of a live segment is.
    pub(crate) fn open_file(&self) -> Option<Arc<File>> {
        self.file.load_full()
    }

    /// The file, opened if it is not.
    pub(crate) fn file(self: &Arc<Self>, files: &OpenFiles) -> io::Result<Arc<File>> {
        if let Some(file) = self.file.load_full() {
            return Ok(file);
        }
        let file = Arc::new(files.open(&self.path())?);
        self.file.store(Some(file.clone()));
        files.enrol(self);
        Ok(file)
    }

    /// The last mark at or before an absolute offset.
    pub(crate) fn floor_offset(
        self: &Arc<Self>,
        offset: i64,
        files: &OpenFiles,
    ) -> io::Result<Mark> {
        let offset = self.relative(offset);
        if let Some(live) = &*self.live.load() {
            return match live.floor_offset(offset) {
                Some(mark) => Ok(mark),
                None => Ok(self.older(live, files)?.floor_offset(offset)),
            };
        }
        match &*self.lookup(files)? {
            SealedLookup::File(index) => index.floor_offset(offset),
            SealedLookup::Memory(data) => Ok(data.floor_offset(offset)),
        }
    }

    /// The last mark at or before a position.
    pub(crate) fn floor_position(
        self: &Arc<Self>,
        position: u64,
        files: &OpenFiles,
    ) -> io::Result<Mark> {
        let position = u32::try_from(position).unwrap_or(u32::MAX);
        if let Some(live) = &*self.live.load() {
            return match live.floor_position(position) {
                Some(mark) => Ok(mark),
                None => Ok(self.older(live, files)?.floor_position(position)),
            };
        }
        match &*self.lookup(files)? {
            SealedLookup::File(index) => index.floor_position(position),
            SealedLookup::Memory(data) => Ok(data.floor_position(position)),
        }
    }

    /// The time index: read or copied whole, for lookups by time are rare.
    pub(crate) fn times(self: &Arc<Self>, files: &OpenFiles) -> io::Result<Vec<TimeMark>> {
        if let Some(live) = &*self.live.load() {
            let mut times = self.older(live, files)?.times.clone();
            times.extend(live.copy().times);
            return Ok(times);
        }
        let path = files::segment(&self.dir, self.base, files::TIME_INDEX);
        match index::read_times(&path) {
            Ok((extent, times)) if self.fits(&extent) => {
                self.set_max_timestamp(extent.max_timestamp);
                Ok(times)
            }
            _ => Ok(self.rebuild(files)?.times),
        }
    }

    /// Forgets what an index said, because the file says otherwise, and builds it anew. False: it
    /// has been built in this process life, so it is the file that is damaged.
    pub(crate) fn distrust_index(self: &Arc<Self>, files: &OpenFiles) -> io::Result<bool> {
        if self.is_live() || self.index_rebuilt.load(Ordering::Relaxed) {
            return Ok(false);
        }
        self.rebuild(files)?;
        self.sealed.store(None);
        Ok(true)
    }

    /// Whether its index is in memory, where nothing can have damaged it.
    pub(crate) fn is_live(&self) -> bool {
        self.live.load().is_some()
    }

    /// The damage that begins at `position`, where offset `expected` belongs, looked for only the
    /// first time.
    pub(crate) fn damage_at(
        &self,
        window: &mut Window<&File>,
        position: u64,
        expected: i64,
        flaw: &Flaw,
    ) -> io::Result<Damage> {
        let mut known = self.damage.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(damage) = known.iter().find(|d| d.position == position) {
            return Ok(damage.clone());
        }
        let resumes = match after_flaw(window, position, self.size(), expected, i64::MAX)? {
            After::Batch { position, header } => Some((position, header.base_offset)),
            After::Zeros | After::Nothing => None,
        };
        let damage = Damage { offset: expected, position, resumes, reason: flaw.to_string() };
        tracing::error!(
            path = %self.path().display(), offset = expected, position, reason = damage.reason,
            "damage in the log: its batches will not be served"
        );
        if known.len() < DAMAGES_MAX {
            known.push(damage.clone());
        }
        Ok(damage)
    }

    /// Notes damage that recovery found.
    pub(crate) fn add_damage(&self, damage: Damage) {
        self.damage.lock().unwrap_or_else(PoisonError::into_inner).push(damage);
    }

    /// First offsets of the damage found so far.
    pub(crate) fn damaged(&self) -> Vec<i64> {
        let known = self.damage.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().map(|d| d.offset).collect()
    }

    fn lookup(self: &Arc<Self>, files: &OpenFiles) -> io::Result<Arc<SealedLookup>> {
        if let Some(lookup) = self.sealed.load_full() {
            return Ok(lookup);
        }
        let lookup = Arc::new(match self.open_index(files) {
            Ok(index) => SealedLookup::File(index),
            Err(_) => {
                let data = self.rebuild(files)?;
                match self.open_index(files) {
                    Ok(index) => SealedLookup::File(index),
                    Err(_) => SealedLookup::Memory(data),
                }
            }
        });
        self.sealed.store(Some(lookup.clone()));
        files.enrol(self);
        Ok(lookup)
    }

    /// Opens the index file, checked whole the first time.
    fn open_index(&self, files: &OpenFiles) -> io::Result<SealedIndex> {
        let path = files::segment(&self.dir, self.base, files::INDEX);
        if !self.index_checked.load(Ordering::Relaxed) {
            let (extent, _) = index::read_offsets(&path)?;
            if !self.fits(&extent) {
                return Err(io::ErrorKind::InvalidData.into());
            }
            self.index_checked.store(true, Ordering::Relaxed);
        }
        SealedIndex::open(files.open(&path)?)
    }

    fn fits(&self, extent: &Extent) -> bool {
        extent.base == self.base && extent.covered == self.size()
    }

    /// Walks the segment and writes its indexes.
    fn rebuild(self: &Arc<Self>, files: &OpenFiles) -> io::Result<IndexData> {
        tracing::info!(path = %self.path().display(), "building the index of a segment anew");
        self.index_rebuilt.store(true, Ordering::Relaxed);
        let (data, max_timestamp) =
            self.walk(IndexData::default(), NO_TIMESTAMP, 0..self.size(), files)?;
        self.set_max_timestamp(max_timestamp);
        let extent = Extent { base: self.base, covered: self.size(), max_timestamp };
        if let Err(error) = index::write(&*files.disk, &self.dir, &extent, &data) {
            tracing::warn!(path = %self.path().display(), %error, "cannot write an index");
        }
        Ok(data)
    }

    /// Indexes the batches in `range` behind those in `data`, whose largest timestamp is given.
    fn walk(
        self: &Arc<Self>,
        mut data: IndexData,
        mut max_timestamp: i64,
        range: Range<u64>,
        files: &OpenFiles,
    ) -> io::Result<(IndexData, i64)> {
        let file = self.file(files)?;
        let mut window = Window::new(&*file, SCAN_BYTES);
        let Range { start: mut position, end: limit } = range;
        let mut expected = (position == 0).then_some(self.base);
        while position < limit {
            let found = match expected {
                Some(expected) => window.header(position, limit, expected)?,
                None => window.any_header(position, limit)?,
            };
            let header = match found {
                Ok(header) => header,
                Err(_) => {
                    let from = expected.unwrap_or(self.base);
                    match after_flaw(&mut window, position, limit, from, i64::MAX)? {
                        After::Batch { position: resumed, header } => {
                            position = resumed;
                            header
                        }
                        After::Zeros | After::Nothing => break,
                    }
                }
            };
            let mark =
                Mark { offset: self.relative(header.base_offset), position: position as u32 };
            data.add(mark, max_timestamp, files.interval);
            max_timestamp = max_timestamp.max(header.max_timestamp);
            position += header.total_len() as u64;
            expected = Some(header.next_offset());
        }
        Ok((data, max_timestamp))
    }

    /// The index of what was in the segment before this process scanned or wrote it.
    fn older<'a>(
        self: &Arc<Self>,
        live: &'a LiveIndex,
        files: &OpenFiles,
    ) -> io::Result<&'a IndexData> {
        live.older(|| {
            let end = u64::from(live.start().position);
            let (data, extent) = self.saved(end).unwrap_or_default();
            Ok(self.walk(data, extent.max_timestamp, extent.covered..end, files)?.0)
        })
    }

    /// Index files that describe the segment up to some point not past `end`.
    fn saved(&self, end: u64) -> Option<(IndexData, Extent)> {
        let path = |kind| files::segment(&self.dir, self.base, kind);
        let (extent, marks) = index::read_offsets(&path(files::INDEX)).ok()?;
        let (same, times) = index::read_times(&path(files::TIME_INDEX)).ok()?;
        let usable = extent == same && extent.base == self.base && extent.covered <= end;
        usable.then_some((IndexData { marks, times }, extent))
    }

    /// Writes the indexes of a live segment, as far as `extent` says, up to offset `next`.
    pub(crate) fn save_index(
        self: &Arc<Self>,
        extent: &Extent,
        next: i64,
        files: &OpenFiles,
    ) -> io::Result<()> {
        let Some(live) = self.live.load_full() else { return Ok(()) };
        let mut data = self.older(&live, files)?.clone();
        let rest = live.copy();
        let next = self.relative(next);
        data.marks.extend(rest.marks.iter().filter(|m| m.offset < next));
        data.times.extend(rest.times.iter().filter(|t| t.offset < next));
        index::write(&*files.disk, &self.dir, extent, &data)
    }

    /// Ends the live part of a segment's life: its index is in the file now.
    pub(crate) fn seal(self: &Arc<Self>, files: &OpenFiles) {
        self.live.store(None);
        files.enrol(self);
    }

    /// Closes what can be opened again.
    fn close(&self) {
        if self.live.load().is_none() {
            self.file.store(None);
            if matches!(self.sealed.load().as_deref(), Some(SealedLookup::File(_))) {
                self.sealed.store(None);
            }
        }
    }
}

/// What every segment needs to open and index itself, and the limit on files kept open.
#[derive(Debug)]
pub(crate) struct OpenFiles {
    pub(crate) disk: Arc<dyn Disk>,
    /// Bytes between index entries where an index is rebuilt.
    pub(crate) interval: u32,
    max: usize,
    /// Sealed segments with open files, the longest open first. One may be in it twice.
    open: Mutex<VecDeque<Weak<Segment>>>,
}

impl OpenFiles {
    pub(crate) fn new(disk: Arc<dyn Disk>, interval: u32, max: usize) -> OpenFiles {
        OpenFiles { disk, interval, max, open: Mutex::default() }
    }

    fn open(&self, path: &Path) -> io::Result<File> {
        match File::open(path) {
            Err(e) if is_exhaustion(&e) => {
                self.close_all_but(0);
                File::open(path)
            }
            result => result,
        }
    }

    fn enrol(&self, segment: &Arc<Segment>) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).push_back(Arc::downgrade(segment));
        self.close_all_but(self.max);
    }

    fn close_all_but(&self, keep: usize) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        while open.len() > keep {
            if let Some(segment) = open.pop_front().and_then(|weak| weak.upgrade()) {
                segment.close();
            }
        }
    }
}

/// No descriptor left, in the process or the system.
fn is_exhaustion(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(code)
        if code == rustix::io::Errno::MFILE.raw_os_error()
            || code == rustix::io::Errno::NFILE.raw_os_error())
}

/// Which bytes of a segment are known to be good batches.
#[derive(Debug)]
pub(crate) struct Verified {
    /// Everything from here on: scanned by recovery to its end, or written since.
    from: AtomicU64,
    /// Stretches before, ascending and apart.
    ranges: Mutex<Vec<(u64, u64)>>,
}

/// Stretches remembered per segment; past it the shortest is forgotten, to be verified again.
const RANGES_MAX: usize = 64;

impl Verified {
    fn new(from: u64) -> Verified {
        Verified { from: AtomicU64::new(from), ranges: Mutex::default() }
    }

    /// Everything written from `position` on is good.
    pub(crate) fn set_from(&self, position: u64) {
        self.from.store(position, Ordering::Relaxed);
    }

    /// Whether all of the range is known to be good.
    pub(crate) fn covers(&self, start: u64, end: u64) -> bool {
        let from = self.from.load(Ordering::Relaxed);
        if start >= from || start >= end {
            return true;
        }
        let end = end.min(from);
        let ranges = self.ranges.lock().unwrap_or_else(PoisonError::into_inner);
        ranges.iter().any(|(a, b)| *a <= start && end <= *b)
    }

    /// Notes that a range is good.
    pub(crate) fn add(&self, mut start: u64, mut end: u64) {
        if start >= end {
            return;
        }
        let mut ranges = self.ranges.lock().unwrap_or_else(PoisonError::into_inner);
        ranges.retain(|(a, b)| {
            let apart = *b < start || end < *a;
            if !apart {
                start = start.min(*a);
                end = end.max(*b);
            }
            apart
        });
        let at = ranges.partition_point(|(a, _)| *a < start);
        ranges.insert(at, (start, end));
        if ranges.len() > RANGES_MAX {
            let shortest = (0..ranges.len()).min_by_key(|i| ranges[*i].1 - ranges[*i].0);
            ranges.remove(shortest.unwrap_or(0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verified_stretches_grow_together() {
        let verified = Verified::new(1000);
        verified.add(0, 100);
        verified.add(200, 300);
        assert!(
            verified.covers(0, 100) && verified.covers(250, 300) && verified.covers(1000, 9999)
        );
        assert!(!verified.covers(50, 250) && !verified.covers(900, 1100));
        verified.add(100, 200);
        assert!(verified.covers(50, 250));
        verified.add(300, 1000);
        assert!(verified.covers(0, 5000));
        assert_eq!(verified.ranges.lock().unwrap().len(), 1);
    }

    #[test]
    fn verified_stretches_are_bounded() {
        let verified = Verified::new(u64::MAX);
        for i in 0..1000 {
            verified.add(i * 10, i * 10 + 1 + i % 7);
        }
        assert_eq!(verified.ranges.lock().unwrap().len(), RANGES_MAX);
    }
}
