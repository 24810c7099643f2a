//! Reading: find the batch that holds an offset, take whole batches from there, verify what nobody
//! has verified yet.
//!
//! At the tail, which is where consumers are, a read is a look into the index in memory and takes
//! no lock: every batch with an index entry of its own is found without touching the file.

use std::fs::File;
use std::io;
use std::sync::Arc;

use chaski_batch::Header;

use super::partition::Partition;
use super::scan::{SCAN_BYTES, WALK_BYTES, Window};
use super::segment::{Damage, OpenFiles, Segment};
use crate::store::{Fault, Offsets, Read, ReadError, ReadOk, Slice};

/// A batch in a segment.
struct Found {
    position: u64,
    base_offset: i64,
}

impl Partition {
    /// Reads whole batches of one segment.
    pub(crate) fn read(&self, read: &Read, files: &OpenFiles) -> Result<ReadOk, ReadError> {
        let offsets = self.offsets();
        let offset = read.offset;
        let (start, end) = (offsets.log_start, offsets.log_end);
        if offset < start || offset > end {
            return Err(ReadError::OutOfRange { offset, start, end });
        }
        if offset >= offsets.high_watermark {
            return Ok(ReadOk { offsets, records: None, more: false });
        }
        let found = self.slice(read, files);
        if self.is_gone() {
            return Err(ReadError::NotFound);
        }
        let (records, more) = match found {
            Ok(found) => found,
            // Retention has taken the file away meanwhile.
            Err(error) => return Err(self.past(offset).unwrap_or_else(|| self.resuming(error))),
        };
        // Read anew, so that the high watermark is not behind the records.
        Ok(ReadOk { records, more, offsets: self.offsets() })
    }

    /// The segment that holds an offset, unless retention has just removed it.
    pub(crate) fn segment_of(&self, offset: i64) -> Option<Arc<Segment>> {
        let segments = self.segments.load();
        let after = segments.partition_point(|s| s.base <= offset);
        Some(segments[after.checked_sub(1)?].clone())
    }

    /// What to say of an offset that the log start has passed.
    fn past(&self, offset: i64) -> Option<ReadError> {
        let Offsets { log_start: start, log_end: end, .. } = self.offsets();
        (start > offset).then_some(ReadError::OutOfRange { offset, start, end })
    }

    /// Says of damage that reaches the end of its segment that the next one may be good.
    fn resuming(&self, mut error: ReadError) -> ReadError {
        if let ReadError::Corrupt { offset, resumes: resumes @ None, .. } = &mut error {
            let segments = self.segments.load();
            let after = segments.partition_point(|s| s.base <= *offset);
            *resumes = segments.get(after).map(|next| next.base);
        }
        error
    }

    /// The records, and whether more follow.
    fn slice(&self, read: &Read, files: &OpenFiles) -> Result<(Option<Slice>, bool), ReadError> {
        let Some(segment) = self.segment_of(read.offset) else {
            let Offsets { log_start: start, log_end: end, .. } = self.offsets();
            return Err(ReadError::OutOfRange { offset: read.offset, start, end });
        };
        let file = segment.file(files).map_err(storage)?;
        let visible = segment.visible();
        let found = locate(&segment, &file, read.offset, visible, files)?;
        let end = extent(&segment, &file, &found, visible, read, files)?;
        let end = verify(&segment, &file, &found, end)?;
        let position = found.position;
        let len = (end - position) as usize;
        let last = self.segment_of(self.offsets().high_watermark - 1);
        let more = end < visible || last.is_some_and(|last| last.base > segment.base);
        Ok(((len > 0).then(|| Slice::File { file, position, len }), more))
    }
}

/// The batch that holds `offset`.
fn locate(
    segment: &Arc<Segment>,
    file: &File,
    offset: i64,
    visible: u64,
    files: &OpenFiles,
) -> Result<Found, ReadError> {
    let mark = segment.floor_offset(offset, files).map_err(storage)?;
    let base_offset = segment.base + i64::from(mark.offset);
    let position = u64::from(mark.position);
    // An index that recovery began at the end of a segment has a mark there and no batch behind it.
    let batch_at_mark = base_offset == offset && position > 0 && position < visible;
    if segment.is_live() && batch_at_mark {
        return Ok(Found { position, base_offset });
    }
    let mut walk = Walk::new(segment, file, position, base_offset, visible);
    loop {
        match walk.next().map_err(storage)? {
            Some(Step::Batch { position, header }) if offset < header.next_offset() => {
                return Ok(Found { position, base_offset: header.base_offset });
            }
            Some(Step::Batch { .. }) => {}
            Some(Step::Damage(damage)) => {
                // What an index says is believed only as long as the file agrees.
                if damage.position == position && position > 0 {
                    match segment.distrust_index(files) {
                        Ok(true) => return locate(segment, file, offset, visible, files),
                        Ok(false) => {}
                        Err(e) => return Err(storage(e)),
                    }
                }
                if damage.resumes.is_none_or(|(_, resumed)| offset < resumed) {
                    return Err(corrupt(damage));
                }
            }
            None => {
                let reason = "no batch holds this offset".to_owned();
                let position = walk.position;
                return Err(ReadError::Corrupt { offset, position, resumes: None, reason });
            }
        }
    }
}

/// Where the batches end that a read may have.
fn extent(
    segment: &Arc<Segment>,
    file: &File,
    found: &Found,
    visible: u64,
    read: &Read,
    files: &OpenFiles,
) -> Result<u64, ReadError> {
    let room = found.position.saturating_add(read.max_bytes as u64);
    if visible <= room {
        return Ok(visible);
    }
    let mark = segment.floor_position(room, files).map_err(storage)?;
    if u64::from(mark.position) > found.position {
        return Ok(u64::from(mark.position));
    }
    let mut end = found.position;
    let mut walk = Walk::new(segment, file, found.position, found.base_offset, visible);
    while let Some(step) = walk.next().map_err(storage)? {
        match step {
            Step::Batch { position, header } => {
                let after = position + header.total_len() as u64;
                let first = end == found.position && read.at_least_one;
                if after > room && !first {
                    break;
                }
                end = after;
            }
            Step::Damage(damage) if end == found.position => return Err(corrupt(damage)),
            Step::Damage(_) => break,
        }
    }
    Ok(end)
}

/// Checks the batches up to `end` unless they have been in this process life. Returns where the
/// good ones end.
fn verify(segment: &Arc<Segment>, file: &File, found: &Found, end: u64) -> Result<u64, ReadError> {
    if segment.verified.covers(found.position, end) {
        return Ok(end);
    }
    let mut window = Window::new(file, SCAN_BYTES.min((end - found.position) as usize));
    let (mut position, mut expected) = (found.position, found.base_offset);
    while position < end {
        match window.batch(position, end, expected).map_err(storage)? {
            Ok(header) => {
                position += header.total_len() as u64;
                expected = header.next_offset();
            }
            Err(flaw) => {
                let damage = segment.damage_at(&mut window, position, expected, &flaw);
                let damage = damage.map_err(storage)?;
                if position == found.position {
                    return Err(corrupt(damage));
                }
                break;
            }
        }
    }
    segment.verified.add(found.position, position);
    Ok(position)
}

/// Walks the headers of a segment, over damage.
pub(crate) struct Walk<'a> {
    segment: &'a Segment,
    window: Window<&'a File>,
    position: u64,
    expected: i64,
    limit: u64,
}

pub(crate) enum Step {
    Batch { position: u64, header: Header },
    Damage(Damage),
}

impl<'a> Walk<'a> {
    /// From a batch boundary at `position`, where offset `expected` is, to `limit`.
    pub(crate) fn new(
        segment: &'a Segment,
        file: &'a File,
        position: u64,
        expected: i64,
        limit: u64,
    ) -> Walk<'a> {
        let window = Window::new(file, WALK_BYTES);
        Walk { segment, window, position, expected, limit }
    }

    pub(crate) fn next(&mut self) -> io::Result<Option<Step>> {
        if self.position >= self.limit {
            return Ok(None);
        }
        let position = self.position;
        match self.window.header(position, self.limit, self.expected)? {
            Ok(header) => {
                self.position += header.total_len() as u64;
                self.expected = header.next_offset();
                Ok(Some(Step::Batch { position, header }))
            }
            Err(flaw) => {
                let damage =
                    self.segment.damage_at(&mut self.window, position, self.expected, &flaw)?;
                (self.position, self.expected) = damage.resumes.unwrap_or((self.limit, i64::MAX));
                Ok(Some(Step::Damage(damage)))
            }
        }
    }

    /// The whole batch at a position the walk has passed, if it is good.
    pub(crate) fn batch(&mut self, position: u64, header: &Header) -> io::Result<Option<&[u8]>> {
        if self.window.batch(position, self.limit, header.base_offset)?.is_err() {
            return Ok(None);
        }
        self.window.bytes(position, header.total_len(), self.limit).map(Some)
    }
}

fn storage(error: io::Error) -> ReadError {
    ReadError::Storage(Fault::from(&error))
}

fn corrupt(damage: Damage) -> ReadError {
    let Damage { offset, position, resumes, reason } = damage;
    let resumes = resumes.map(|(_, offset)| offset);
    ReadError::Corrupt { offset, position, resumes, reason }
}
