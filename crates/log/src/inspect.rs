//! Looking at the files of a log from outside: no lock, no recovery, nothing changed, damage and
//! all. For people, and for tools that must work when the log does not.

use std::fs::File;
use std::io;
use std::path::Path;

use chaski_batch::Header;

use crate::local::checkpoint::Checkpoint;
use crate::local::files::{self, LOG};
use crate::local::index;
use crate::local::scan::{After, SCAN_BYTES, Window, after_flaw};

/// A stretch of a segment file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// First byte.
    pub position: u64,
    /// Bytes.
    pub len: u64,
    /// What they are.
    pub kind: Kind,
}

/// What a stretch of a segment file is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A batch: checksum right, offsets where they belong.
    Batch(Header),
    /// No good batch.
    Damage {
        /// Why not.
        reason: String,
        /// The header, if the bytes have one all the same.
        header: Option<Header>,
        /// The damage goes on to the end of the file: recovery would cut it off.
        tail: bool,
    },
    /// Zeros to the end of the file, written ahead of the tail.
    Zeros,
}

/// The stretches of a segment file, see [`batches`].
pub struct Stretches {
    window: Window<Box<File>>,
    position: u64,
    len: u64,
    /// Offset the next batch must have; None: any, nothing tells.
    expected: Option<i64>,
}

/// Walks a segment file from its first byte to its last, checking every batch.
///
/// The name tells the first offset; a file named otherwise may begin at any. A file that grows
/// meanwhile is walked to where it ended first.
///
/// # Errors
/// If the file cannot be opened; an item, if it cannot be read, and then no more follow.
pub fn batches(path: &Path) -> io::Result<Stretches> {
    let file = File::open(path)?;
    let len = file.metadata()?.len();
    let named = path.file_name().and_then(files::parse_segment);
    let expected = named.filter(|(_, kind)| *kind == LOG).map(|(base, _)| base);
    Ok(Stretches { window: Window::new(Box::new(file), SCAN_BYTES), position: 0, len, expected })
}

impl Stretches {
    fn step(&mut self) -> io::Result<Stretch> {
        let (position, limit) = (self.position, self.len);
        let found = self.window.any_header(position, limit)?;
        let header = found.as_ref().ok().copied();
        let expected = self.expected.or(header.map(|h| h.base_offset)).unwrap_or(0);
        let reason = match self.window.batch(position, limit, expected)? {
            Ok(header) => {
                self.expected = Some(header.next_offset());
                return Ok(self.take(header.total_len() as u64, Kind::Batch(header)));
            }
            Err(flaw) => flaw.to_string(),
        };
        match after_flaw(&mut self.window, position, limit, expected, i64::MAX)? {
            After::Zeros => Ok(self.take(limit - position, Kind::Zeros)),
            After::Nothing => {
                let kind = Kind::Damage { reason, header, tail: true };
                Ok(self.take(limit - position, kind))
            }
            After::Batch { position: resumes, header: next } => {
                self.expected = Some(next.base_offset);
                let kind = Kind::Damage { reason, header, tail: false };
                Ok(self.take(resumes - position, kind))
            }
        }
    }

    fn take(&mut self, len: u64, kind: Kind) -> Stretch {
        let position = self.position;
        self.position += len;
        Stretch { position, len, kind }
    }
}

impl Iterator for Stretches {
    type Item = io::Result<Stretch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.position >= self.len {
            return None;
        }
        let step = self.step();
        if step.is_err() {
            self.position = self.len;
        }
        Some(step)
    }
}

impl std::fmt::Debug for Stretches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stretches").field("position", &self.position).finish_non_exhaustive()
    }
}

/// An index file and its entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index<T> {
    /// Base offset of the segment.
    pub base_offset: i64,
    /// Bytes of the segment it describes.
    pub covered_bytes: u64,
    /// Largest timestamp of the batches in those; -1 if there are none.
    pub max_timestamp: i64,
    /// The entries, ascending.
    pub entries: Vec<T>,
}

/// A batch that the offset index (`.index`) has an entry for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetEntry {
    /// Its base offset.
    pub offset: i64,
    /// Its first byte in the segment.
    pub position: u64,
}

/// An entry of the time index (`.timeindex`): every batch before an offset is no younger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeEntry {
    /// Largest timestamp of all batches before `offset`.
    pub timestamp: i64,
    /// Base offset of a batch.
    pub offset: i64,
}

/// Reads an offset index file.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`] if it is damaged.
pub fn offset_index(path: &Path) -> io::Result<Index<OffsetEntry>> {
    let (extent, marks) = index::read_offsets(path)?;
    let entry = |m: &index::Mark| OffsetEntry {
        offset: extent.base.saturating_add(m.offset.into()),
        position: m.position.into(),
    };
    Ok(describe(&extent, marks.iter().map(entry)))
}

/// Reads a time index file.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`] if it is damaged.
pub fn time_index(path: &Path) -> io::Result<Index<TimeEntry>> {
    let (extent, times) = index::read_times(path)?;
    let entry = |t: &index::TimeMark| TimeEntry {
        timestamp: t.timestamp,
        offset: extent.base.saturating_add(t.offset.into()),
    };
    Ok(describe(&extent, times.iter().map(entry)))
}

fn describe<T>(extent: &index::Extent, entries: impl Iterator<Item = T>) -> Index<T> {
    Index {
        base_offset: extent.base,
        covered_bytes: extent.covered,
        max_timestamp: extent.max_timestamp,
        entries: entries.collect(),
    }
}

/// What a checkpoint file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckpointSummary {
    /// Base offset of the segment that was active.
    pub segment: i64,
    /// Everything before this byte of it was on disk.
    pub position: u64,
    /// Offset there.
    pub next_offset: i64,
    /// Oldest offset kept.
    pub log_start: i64,
    /// Idempotent producers remembered.
    pub producers: usize,
}

/// Reads a checkpoint file.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`] if it is damaged.
pub fn checkpoint(path: &Path) -> io::Result<CheckpointSummary> {
    let Checkpoint { segment, position, next_offset, log_start, producers, .. } =
        Checkpoint::read_file(path)?;
    let producers = producers.len();
    Ok(CheckpointSummary { segment, position, next_offset, log_start, producers })
}
