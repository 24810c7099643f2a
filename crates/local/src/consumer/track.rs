//! One partition: where the consumer is, and the segment that it reads there.
//!
//! Bytes are copied out of the page cache (`pread`) into memory of the consumer's own. A mapping
//! would save that copy, and cost a SIGBUS where the file is cut, the faults of every page, and
//! trust in bytes that change after they were checked.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use chaski_batch::{HEADER_LEN, Span};

use super::error::{Lost, of_partition};
use super::link::Link;
use super::scan::{Found, Wanted, scan};
use super::wire::{Answer, Place, Request};
use super::{ConsumeError, Position};

/// The least that a read asks for.
const READ_MIN: usize = 4 << 10;

/// What a record is taken to have, before any was read.
const RECORD_BYTES: usize = 256;

/// How a consumer reads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    /// The most that a read asks for, but for a batch that is larger.
    pub(super) bytes: usize,
    /// Whether checksums are looked at.
    pub(super) check: bool,
}

/// Why a read brought nothing.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The connection is gone.
    Lost(Lost),
    /// The partition, and what is the matter with it.
    Error(ConsumeError),
}

impl From<Lost> for Trouble {
    fn from(lost: Lost) -> Trouble {
        Trouble::Lost(lost)
    }
}

/// Why there is no good batch at a place, and the first offset that may be good again.
#[derive(Debug)]
struct Flaw {
    why: String,
    resumes: i64,
}

/// Memory for what was read, used again and again. Grown, never shrunk: only growth is paid for
/// with zeros.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    /// How many of them are the last read's batches.
    len: usize,
}

impl Buffer {
    /// What the last read brought.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Where a consumer is in one partition. It moves with each read.
#[derive(Debug)]
pub(super) struct Track {
    pub(super) topic: Arc<str>,
    pub(super) partition: i32,
    /// All zero until the broker has said it.
    topic_id: [u8; 16],
    /// Offset of the next record to read.
    pub(super) offset: i64,
    /// As this connection knows it; None: it does not, or not any more.
    open: Option<Open>,
    /// The last that was seen.
    high_watermark: i64,
    /// Something may have happened to it that the high watermark does not show.
    suspect: bool,
    /// Of the last read, about.
    record_bytes: usize,
}

#[derive(Debug)]
struct Open {
    handle: u32,
    cell: u32,
    segment: Option<Segment>,
}

/// The segment that holds the position.
#[derive(Debug)]
struct Segment {
    file: File,
    /// Where the next batch begins.
    position: u64,
    /// The next batch begins with the position, and not before it.
    is_aligned: bool,
}

impl Track {
    /// Opens a partition.
    pub(super) fn open(
        link: &mut Link,
        topic: &str,
        partition: i32,
        at: Position,
    ) -> Result<Track, Trouble> {
        let mut track = Track {
            topic: topic.into(),
            partition,
            topic_id: [0; 16],
            offset: 0,
            open: None,
            high_watermark: 0,
            suspect: false,
            record_bytes: RECORD_BYTES,
        };
        track.open_at(link, at)?;
        Ok(track)
    }

    /// Forgets what only the last connection knew.
    pub(super) fn disconnect(&mut self) {
        self.open = None;
    }

    /// What stands for it in requests.
    pub(super) fn handle(&self) -> Option<u32> {
        self.open.as_ref().map(|open| open.handle)
    }

    /// Whether there is something to be seen: records, as far as the shared memory tells, or a
    /// reason to ask the broker.
    #[inline]
    pub(super) fn is_ready(&self, link: &Link) -> bool {
        let ready = |open: &Open| self.suspect || link.high_watermark(open.cell) > self.offset;
        self.open.as_ref().is_none_or(ready)
    }

    /// Has the next read ask the broker, whatever the high watermark is.
    pub(super) fn suspect(&mut self) {
        self.suspect = true;
    }

    /// Records between here and the high watermark.
    pub(super) fn lag(&self, link: Option<&Link>) -> i64 {
        let seen = link.zip(self.open.as_ref()).map(|(link, open)| link.high_watermark(open.cell));
        seen.unwrap_or(self.high_watermark).saturating_sub(self.offset).max(0)
    }

    /// Moves to a position; returns its offset.
    pub(super) fn seek(&mut self, link: &mut Link, to: Position) -> Result<i64, Trouble> {
        self.offset = match (to, self.handle()) {
            (Position::Offset(offset), _) => offset,
            (_, None) => {
                self.open_at(link, to)?;
                self.offset
            }
            (_, Some(handle)) => match link.ask(&Request::Seek { handle, to })?.0 {
                Answer::Moved(Place { offset, .. }) => offset,
                other => return Err(self.explain(other)),
            },
        };
        if let Some(open) = &mut self.open {
            open.segment = None;
        }
        // It may be outside of what there is, which the broker knows to tell.
        self.suspect = true;
        Ok(self.offset)
    }

    /// Reads whole batches into `buffer` and moves on behind them. None: nothing more yet.
    pub(super) fn read(
        &mut self,
        link: &mut Link,
        buffer: &mut Buffer,
        reading: Reading,
    ) -> Result<Option<Span>, Trouble> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.reopen(link)?,
        };
        let read = self.read_open(&mut open, link, buffer, reading);
        self.open = Some(open);
        read
    }

    fn read_open(
        &mut self,
        open: &mut Open,
        link: &mut Link,
        buffer: &mut Buffer,
        reading: Reading,
    ) -> Result<Option<Span>, Trouble> {
        self.high_watermark = link.high_watermark(open.cell);
        if self.offset >= self.high_watermark && !self.suspect {
            return Ok(None);
        }
        if open.segment.is_some() && !self.suspect {
            // What is not found where the last batch ended is in the next segment, or somewhere
            // that the broker knows to tell.
            if let Ok(span) = self.read_segment(open, buffer, reading)? {
                return Ok(Some(span));
            }
        }
        open.segment = self.locate(open.handle, link)?;
        self.suspect = false;
        if open.segment.is_none() {
            return Ok(None);
        }
        match self.read_segment(open, buffer, reading)? {
            Ok(span) => Ok(Some(span)),
            Err(Flaw { why: reason, resumes }) => {
                // The broker has found it good some time, and here it is not.
                open.segment = None;
                let (topic, partition) = (self.topic.to_string(), self.partition);
                let offset = self.offset;
                let error = ConsumeError::Damaged { topic, partition, offset, resumes, reason };
                Err(Trouble::Error(error))
            }
        }
    }

    /// Reads where the last batch ended, if there is a good one.
    fn read_segment(
        &mut self,
        open: &mut Open,
        buffer: &mut Buffer,
        reading: Reading,
    ) -> Result<Result<Span, Flaw>, Trouble> {
        let resumes = self.offset.saturating_add(1);
        let flaw = |why: &str| Ok(Err(Flaw { why: why.to_owned(), resumes }));
        let Some(segment) = &mut open.segment else { return flaw("no segment") };
        let wanted = Wanted {
            offset: self.offset,
            is_first: segment.is_aligned,
            high_watermark: self.high_watermark,
            check: reading.check,
        };
        let about = count(self.offset, self.high_watermark);
        let about = about.saturating_mul(self.record_bytes).saturating_add(READ_MIN / 2);
        let mut want = about.clamp(READ_MIN.min(reading.bytes), reading.bytes);
        loop {
            let have = fill(&mut buffer.bytes, &segment.file, segment.position, want);
            let have = have.map_err(|error| self.storage(error))?;
            match scan(&buffer.bytes[..have], wanted) {
                Found::Batches { span, len } => {
                    buffer.len = len;
                    segment.position += len as u64;
                    segment.is_aligned = true;
                    self.record_bytes = len.div_ceil(count(span.from, span.next).max(1));
                    self.offset = span.next;
                    return Ok(Ok(span));
                }
                // With the header behind it, by which a damaged one is passed over.
                Found::Longer(len) if want < len => want = len + HEADER_LEN,
                Found::Longer(_) => return flaw("the file ends inside a batch"),
                Found::Nothing { why, resumes } => return Ok(Err(Flaw { why, resumes })),
            }
        }
    }

    /// Asks the broker for the segment with the position; None: there is nothing there yet.
    fn locate(&mut self, handle: u32, link: &mut Link) -> Result<Option<Segment>, Trouble> {
        let (answer, fds) = link.ask(&Request::Locate { handle, offset: self.offset })?;
        match answer {
            Answer::Located { position, high_watermark, .. } => {
                // It may be ahead of the cell, which is written behind it.
                self.high_watermark = self.high_watermark.max(high_watermark);
                let [fd] = <[OwnedFd; 1]>::try_from(fds).map_err(|_| Lost::nonsense())?;
                Ok(Some(Segment { file: File::from(fd), position, is_aligned: false }))
            }
            Answer::Nothing(_) => Ok(None),
            other => Err(self.explain(other)),
        }
    }

    /// What stands for it in requests, once it is open.
    pub(super) fn ensure_open(&mut self, link: &mut Link) -> Result<u32, Trouble> {
        let open = match self.open.take() {
            Some(open) => open,
            None => self.reopen(link)?,
        };
        Ok(self.open.insert(open).handle)
    }

    fn reopen(&mut self, link: &mut Link) -> Result<Open, Trouble> {
        self.open_at(link, Position::Offset(self.offset))?;
        self.open.take().ok_or_else(|| Lost::nonsense().into())
    }

    fn open_at(&mut self, link: &mut Link, at: Position) -> Result<(), Trouble> {
        let (topic, partition, topic_id) = (&*self.topic, self.partition, self.topic_id);
        let request = Request::Open { topic, topic_id, partition, at };
        match link.ask(&request)?.0 {
            Answer::Opened { handle, cell, topic_id, place } => {
                self.open = Some(Open { handle, cell, segment: None });
                self.topic_id = topic_id;
                self.offset = place.offset;
                self.high_watermark = place.high_watermark;
                // A position outside is told by the broker, at the first read.
                self.suspect = true;
                Ok(())
            }
            other => Err(self.explain(other)),
        }
    }

    /// What an answer that is not the one hoped for says of it.
    pub(super) fn explain(&self, answer: Answer) -> Trouble {
        match of_partition(answer, &self.topic, self.partition) {
            Ok(error) => Trouble::Error(error),
            Err(lost) => Trouble::Lost(lost),
        }
    }

    fn storage(&self, error: io::Error) -> Trouble {
        let (topic, partition) = (self.topic.to_string(), self.partition);
        Trouble::Error(ConsumeError::Storage { topic, partition, why: error.to_string() })
    }
}

/// How many offsets there are from one to another.
fn count(from: i64, to: i64) -> usize {
    usize::try_from(to.saturating_sub(from)).unwrap_or(0)
}

/// Reads up to `want` bytes; returns how many there are before the end of the file.
fn fill(bytes: &mut Vec<u8>, file: &File, position: u64, want: usize) -> io::Result<usize> {
    if bytes.len() < want {
        bytes.resize(want, 0);
    }
    let mut have = 0;
    while have < want {
        match file.read_at(&mut bytes[have..want], position + have as u64) {
            Ok(0) => break,
            Ok(read) => have += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(have)
}
