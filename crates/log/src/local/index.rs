//! The sparse indexes of a segment, in memory and on disk.
//!
//! The offset index has an entry about every `index.interval.bytes` of log: a batch's offset,
//! relative to the segment's base, and its position. A lookup finds the last entry at or before
//! the offset and walks headers from there. The time index has one entry for [`TIME_STRIDE`] of
//! those: the largest timestamp of all batches *before* an offset, so a lookup by time starts at
//! the last entry whose timestamp is too small.
//!
//! An index is derived. It is believed only if magic, checksum and extent fit the segment, and
//! even then the header it leads to must be there; else it is built anew by walking the segment.
//!
//! ```text
//! .index, .timeindex                                     big-endian
//!  0  magic "chskidx1" or "chsktim1"            8
//!  8  base offset of the segment                8
//! 16  bytes of the segment it describes         8
//! 24  largest timestamp of those                8
//! 32  number of entries, n                      4
//! 36  .index      n x (relative offset 4, position 4)
//!     .timeindex  n x (timestamp 8, relative offset 4)
//!     CRC-32C of all before                     4
//! ```

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::files;
use crate::bytes::{Bytes, Cut, put, seal, unseal};
use crate::disk::{Disk, replace};

/// Offset index entries per time index entry.
pub(crate) const TIME_STRIDE: usize = 16;

/// The timestamp before any: a segment without batches has it as its largest.
pub(crate) const NO_TIMESTAMP: i64 = -1;

const OFFSET_MAGIC: &[u8; 8] = b"chskidx1";
const TIME_MAGIC: &[u8; 8] = b"chsktim1";
const HEADER_BYTES: u64 = 36;
const ENTRY_BYTES: u64 = 8;

/// Larger than any index of a segment under 4 GiB with the smallest interval worth having.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// A batch boundary: `offset` is relative to the segment's base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) offset: u32,
    pub(crate) position: u32,
}

impl Mark {
    /// The start of a segment, which needs no entry.
    pub(crate) const START: Mark = Mark { offset: 0, position: 0 };

    fn pack(self) -> u64 {
        u64::from(self.offset) << 32 | u64::from(self.position)
    }

    fn unpack(packed: u64) -> Mark {
        Mark { offset: (packed >> 32) as u32, position: packed as u32 }
    }
}

/// All batches before `offset` (relative) have timestamps of at most `timestamp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeMark {
    pub(crate) timestamp: i64,
    pub(crate) offset: u32,
}

/// Both indexes of a stretch of log, as built or loaded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct IndexData {
    pub(crate) marks: Vec<Mark>,
    pub(crate) times: Vec<TimeMark>,
}

impl IndexData {
    /// The last mark at or before a relative offset.
    pub(crate) fn floor_offset(&self, offset: u32) -> Mark {
        let after = self.marks.partition_point(|m| m.offset <= offset);
        after.checked_sub(1).map_or(Mark::START, |i| self.marks[i])
    }

    /// The last mark at or before a position.
    pub(crate) fn floor_position(&self, position: u32) -> Mark {
        let after = self.marks.partition_point(|m| m.position <= position);
        after.checked_sub(1).map_or(Mark::START, |i| self.marks[i])
    }

    /// Adds a batch if it is `interval` bytes or more behind the last mark. `max_timestamp` is
    /// that of all batches before it.
    pub(crate) fn add(&mut self, mark: Mark, max_timestamp: i64, interval: u32) {
        let last = self.marks.last().map_or(0, |m| m.position);
        if mark.position - last < interval {
            return;
        }
        if self.marks.len().is_multiple_of(TIME_STRIDE) {
            self.times.push(TimeMark { timestamp: max_timestamp, offset: mark.offset });
        }
        self.marks.push(mark);
    }
}

/// The last time mark that leaves everything before it too old for `timestamp`.
pub(crate) fn floor_time(times: &[TimeMark], timestamp: i64) -> u32 {
    let after = times.partition_point(|t| t.timestamp < timestamp);
    after.checked_sub(1).map_or(0, |i| times[i].offset)
}

/// The indexes of a segment that is written to. One thread adds (it holds the partition's writer
/// lock), any number look up, without a lock.
#[derive(Debug)]
pub(crate) struct LiveIndex {
    /// Where it begins: a segment found at recovery has a part before, indexed on demand.
    start: Mark,
    chunks: [OnceLock<Box<[AtomicU64]>>; CHUNKS],
    len: AtomicUsize,
    times: Mutex<Vec<TimeMark>>,
    older: OnceLock<IndexData>,
}

/// Chunk `k` holds `FIRST_CHUNK << k` marks: growing never moves one, and the sum is ample.
const CHUNKS: usize = 18;
const FIRST_CHUNK: usize = 32;

impl LiveIndex {
    /// An index that begins at `start`.
    pub(crate) fn new(start: Mark) -> LiveIndex {
        LiveIndex {
            start,
            chunks: [const { OnceLock::new() }; CHUNKS],
            len: AtomicUsize::new(0),
            times: Mutex::default(),
            older: OnceLock::new(),
        }
    }

    pub(crate) fn start(&self) -> Mark {
        self.start
    }

    /// Adds a batch if it is `interval` bytes or more behind the last one added. Only under the
    /// partition's writer lock.
    pub(crate) fn add(&self, mark: Mark, max_timestamp: i64, interval: u32) {
        // ORDERING: the only writer reads its own store.
        let len = self.len.load(Ordering::Relaxed);
        let last = len.checked_sub(1).map_or(self.start, |i| self.get(i));
        if mark.position - last.position >= interval {
            self.push(mark, max_timestamp);
        }
    }

    /// Adds a batch whatever the distance.
    pub(crate) fn push(&self, mark: Mark, max_timestamp: i64) {
        let len = self.len.load(Ordering::Relaxed);
        let (chunk, at) = locate(len);
        // Past the last chunk the index stays as it is: lookups walk further, nothing else.
        let Some(slot) = self.chunks.get(chunk) else { return };
        let marks = slot.get_or_init(|| {
            std::iter::repeat_with(AtomicU64::default).take(FIRST_CHUNK << chunk).collect()
        });
        marks[at].store(mark.pack(), Ordering::Relaxed);
        if len.is_multiple_of(TIME_STRIDE) {
            let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
            times.push(TimeMark { timestamp: max_timestamp, offset: mark.offset });
        }
        // ORDERING: pairs with the load in `partition_point`: who sees the length sees the mark.
        self.len.store(len + 1, Ordering::Release);
    }

    /// The last mark at or before a relative offset; None: it is in the older part.
    pub(crate) fn floor_offset(&self, offset: u32) -> Option<Mark> {
        if offset < self.start.offset {
            return None;
        }
        let after = self.partition_point(|m| m.offset <= offset);
        Some(after.checked_sub(1).map_or(self.start, |i| self.get(i)))
    }

    /// The last mark at or before a position; None: it is in the older part.
    pub(crate) fn floor_position(&self, position: u32) -> Option<Mark> {
        if position < self.start.position {
            return None;
        }
        let after = self.partition_point(|m| m.position <= position);
        Some(after.checked_sub(1).map_or(self.start, |i| self.get(i)))
    }

    /// The part before the start, built once.
    pub(crate) fn older(
        &self,
        build: impl FnOnce() -> io::Result<IndexData>,
    ) -> io::Result<&IndexData> {
        if let Some(older) = self.older.get() {
            return Ok(older);
        }
        let built = build()?;
        Ok(self.older.get_or_init(|| built))
    }

    /// Everything from the start on. Only under the writer lock, or once nobody adds any more, is
    /// it complete.
    pub(crate) fn copy(&self) -> IndexData {
        let len = self.len.load(Ordering::Acquire);
        let mut marks = Vec::with_capacity(len + 1);
        if self.start != Mark::START {
            marks.push(self.start);
        }
        marks.extend((0..len).map(|i| self.get(i)));
        let times = self.times.lock().unwrap_or_else(PoisonError::into_inner).clone();
        IndexData { marks, times }
    }

    fn partition_point(&self, before: impl Fn(Mark) -> bool) -> usize {
        // ORDERING: pairs with the store in `push`.
        let (mut low, mut high) = (0, self.len.load(Ordering::Acquire));
        while low < high {
            let middle = low + (high - low) / 2;
            if before(self.get(middle)) { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// The mark at `i`, which is below a length that was loaded.
    fn get(&self, i: usize) -> Mark {
        let (chunk, at) = locate(i);
        let marks = self.chunks[chunk].get().expect("a chunk below the length is there");
        Mark::unpack(marks[at].load(Ordering::Relaxed))
    }
}

/// Chunk of the `i`-th mark, and its place there.
fn locate(i: usize) -> (usize, usize) {
    let chunk = (i / FIRST_CHUNK + 1).ilog2() as usize;
    (chunk, i - FIRST_CHUNK * ((1 << chunk) - 1))
}

/// What an index file says of its segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) base: i64,
    /// Bytes of the segment it describes.
    pub(crate) covered: u64,
    pub(crate) max_timestamp: i64,
}

impl Default for Extent {
    fn default() -> Self {
        Extent { base: 0, covered: 0, max_timestamp: NO_TIMESTAMP }
    }
}

/// The offset index of a sealed segment: looked up in the file, nothing of it is held.
#[derive(Debug)]
pub(crate) struct SealedIndex {
    file: File,
    len: u32,
}

impl SealedIndex {
    /// The index in a file that has been found valid.
    pub(crate) fn open(file: File) -> io::Result<SealedIndex> {
        let mut len = [0; 4];
        file.read_exact_at(&mut len, HEADER_BYTES - 4)?;
        Ok(SealedIndex { file, len: u32::from_be_bytes(len) })
    }

    /// The last mark at or before a relative offset.
    pub(crate) fn floor_offset(&self, offset: u32) -> io::Result<Mark> {
        self.floor(|m| m.offset <= offset)
    }

    /// The last mark at or before a position.
    pub(crate) fn floor_position(&self, position: u32) -> io::Result<Mark> {
        self.floor(|m| m.position <= position)
    }

    fn floor(&self, before: impl Fn(Mark) -> bool) -> io::Result<Mark> {
        let (mut low, mut high) = (0, self.len);
        let mut page = [0; PAGE_MARKS as usize * ENTRY_BYTES as usize];
        while high - low > PAGE_MARKS {
            let middle = low + (high - low) / 2;
            let entry = &mut page[..ENTRY_BYTES as usize];
            self.read(middle, entry)?;
            if before(decode_mark(entry)) { low = middle } else { high = middle }
        }
        let page = &mut page[..((high - low) as usize) * ENTRY_BYTES as usize];
        self.read(low, page)?;
        let marks = page.chunks_exact(ENTRY_BYTES as usize).map(decode_mark);
        Ok(marks.take_while(|m| before(*m)).last().unwrap_or(Mark::START))
    }

    fn read(&self, index: u32, to: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(to, HEADER_BYTES + u64::from(index) * ENTRY_BYTES)
    }
}

/// Marks read at once at the end of a search.
const PAGE_MARKS: u32 = 128;

fn decode_mark(entry: &[u8]) -> Mark {
    let mut packed = [0; 8];
    packed.copy_from_slice(entry);
    Mark::unpack(u64::from_be_bytes(packed))
}

/// Writes both indexes of a segment.
pub(crate) fn write(
    disk: &dyn Disk,
    dir: &Path,
    extent: &Extent,
    data: &IndexData,
) -> io::Result<()> {
    let mut out = encode_header(OFFSET_MAGIC, extent, data.marks.len());
    for mark in &data.marks {
        put(&mut out, &mark.pack().to_be_bytes());
    }
    seal(&mut out);
    replace(disk, &files::segment(dir, extent.base, files::INDEX), &out, false)?;
    let mut out = encode_header(TIME_MAGIC, extent, data.times.len());
    for time in &data.times {
        put(&mut out, &time.timestamp.to_be_bytes());
        put(&mut out, &time.offset.to_be_bytes());
    }
    seal(&mut out);
    replace(disk, &files::segment(dir, extent.base, files::TIME_INDEX), &out, false)
}

fn encode_header(magic: &[u8; 8], extent: &Extent, count: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_BYTES as usize + 12 * count + 4);
    put(&mut out, magic);
    put(&mut out, &extent.base.to_be_bytes());
    put(&mut out, &extent.covered.to_be_bytes());
    put(&mut out, &extent.max_timestamp.to_be_bytes());
    put(&mut out, &(count as u32).to_be_bytes());
    out
}

/// Reads an offset index file; `InvalidData` if it is not a valid one.
pub(crate) fn read_offsets(path: &Path) -> io::Result<(Extent, Vec<Mark>)> {
    let bytes = read_small(path)?;
    decode_offsets(&bytes).map_err(|Cut| invalid(path))
}

/// Reads a time index file; `InvalidData` if it is not a valid one.
pub(crate) fn read_times(path: &Path) -> io::Result<(Extent, Vec<TimeMark>)> {
    let bytes = read_small(path)?;
    decode_times(&bytes).map_err(|Cut| invalid(path))
}

fn decode_offsets(bytes: &[u8]) -> Result<(Extent, Vec<Mark>), Cut> {
    let mut bytes = unseal(bytes)?;
    let (extent, count) = decode_header(&mut bytes, OFFSET_MAGIC)?;
    let mut marks = Vec::with_capacity(count.min(bytes.len() / ENTRY_BYTES as usize));
    for _ in 0..count {
        marks.push(Mark::unpack(u64::from_be_bytes(bytes.take()?)));
    }
    bytes.end()?;
    let rising = |w: &[Mark]| w[0].offset < w[1].offset && w[0].position < w[1].position;
    let within = marks.last().is_none_or(|m| u64::from(m.position) < extent.covered);
    if within && marks.windows(2).all(rising) { Ok((extent, marks)) } else { Err(Cut) }
}

fn decode_times(bytes: &[u8]) -> Result<(Extent, Vec<TimeMark>), Cut> {
    let mut bytes = unseal(bytes)?;
    let (extent, count) = decode_header(&mut bytes, TIME_MAGIC)?;
    let mut times = Vec::with_capacity(count.min(bytes.len() / 12));
    for _ in 0..count {
        let timestamp = i64::from_be_bytes(bytes.take()?);
        let offset = u32::from_be_bytes(bytes.take()?);
        times.push(TimeMark { timestamp, offset });
    }
    bytes.end()?;
    let rising = |w: &[TimeMark]| w[0].offset < w[1].offset && w[0].timestamp <= w[1].timestamp;
    if times.windows(2).all(rising) { Ok((extent, times)) } else { Err(Cut) }
}

fn decode_header(bytes: &mut Bytes<'_>, magic: &[u8; 8]) -> Result<(Extent, usize), Cut> {
    if bytes.take::<8>()? != *magic {
        return Err(Cut);
    }
    let base = i64::from_be_bytes(bytes.take()?);
    let covered = u64::from_be_bytes(bytes.take()?);
    let max_timestamp = i64::from_be_bytes(bytes.take()?);
    let count = u32::from_be_bytes(bytes.take()?) as usize;
    Ok((Extent { base, covered, max_timestamp }, count))
}

fn read_small(path: &Path) -> io::Result<Vec<u8>> {
    if fs::metadata(path)?.len() > FILE_BYTES_MAX {
        return Err(invalid(path));
    }
    fs::read(path)
}

fn invalid(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{} is damaged", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(n: u32) -> Vec<Mark> {
        (1..=n).map(|i| Mark { offset: i * 10, position: i * 4096 }).collect()
    }

    #[test]
    fn a_live_index_finds_what_was_added() {
        let index = LiveIndex::new(Mark::START);
        for mark in marks(5000) {
            index.add(mark, i64::from(mark.offset), 4096);
            index.add(Mark { offset: mark.offset + 1, position: mark.position + 9 }, 0, 4096);
        }
        let data = index.copy();
        assert_eq!(data.marks, marks(5000));
        for offset in [0, 9, 10, 11, 319, 320, 321, 49_999, 50_000, u32::MAX] {
            assert_eq!(index.floor_offset(offset), Some(data.floor_offset(offset)));
            let position = offset.saturating_mul(400);
            assert_eq!(index.floor_position(position), Some(data.floor_position(position)));
        }
        assert_eq!(index.floor_offset(325), Some(Mark { offset: 320, position: 32 * 4096 }));
        assert_eq!(data.times.len(), 5000_usize.div_ceil(TIME_STRIDE));
    }

    #[test]
    fn a_live_index_that_starts_late_knows_what_it_lacks() {
        let start = Mark { offset: 100, position: 8000 };
        let index = LiveIndex::new(start);
        assert_eq!(index.floor_offset(99), None);
        assert_eq!(index.floor_position(7999), None);
        assert_eq!(index.floor_offset(100), Some(start));
        assert_eq!(index.copy().marks, [start]);
    }

    #[test]
    fn files_round_trip_and_any_flip_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let extent = Extent { base: 7, covered: 1 << 30, max_timestamp: 99 };
        let times =
            vec![TimeMark { timestamp: 5, offset: 1 }, TimeMark { timestamp: 5, offset: 9 }];
        let data = IndexData { marks: marks(1000), times };
        write(&crate::disk::RealDisk, dir.path(), &extent, &data).unwrap();
        let path = files::segment(dir.path(), 7, files::INDEX);
        assert_eq!(read_offsets(&path).unwrap(), (extent, data.marks.clone()));
        let time_path = files::segment(dir.path(), 7, files::TIME_INDEX);
        assert_eq!(read_times(&time_path).unwrap(), (extent, data.times.clone()));

        let sealed = SealedIndex::open(File::open(&path).unwrap()).unwrap();
        for offset in [0, 9, 10, 11, 5000, 5001, 10_000, u32::MAX] {
            assert_eq!(sealed.floor_offset(offset).unwrap(), data.floor_offset(offset));
            let position = offset.saturating_mul(400);
            assert_eq!(sealed.floor_position(position).unwrap(), data.floor_position(position));
        }

        let good = fs::read(&time_path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert_eq!(decode_times(&bad), Err(Cut), "flip at {at}");
            assert_eq!(decode_times(&good[..at]), Err(Cut), "cut at {at}");
        }
    }

    #[test]
    fn time_lookups_start_early_enough() {
        let times = [(10, 100), (10, 200), (40, 300)]
            .map(|(timestamp, offset)| TimeMark { timestamp, offset });
        assert_eq!(floor_time(&times, 5), 0);
        assert_eq!(floor_time(&times, 10), 0);
        assert_eq!(floor_time(&times, 11), 200);
        assert_eq!(floor_time(&times, 41), 300);
        assert_eq!(floor_time(&[], 41), 0);
    }
}
