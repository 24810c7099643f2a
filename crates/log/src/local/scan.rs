//! Reading a segment file batch by batch, through damage if need be.
//!
//! A batch is good at a position if it is whole, passes [`chaski_batch::check`], bears the leader
//! epoch this store writes and continues the offsets before it: base offset and epoch lie outside
//! the checksum, so the rule covers for it. Zeros are never a batch (their magic is wrong), which
//! is why zeros ahead of the tail can be told from damage.

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Deref;
use std::os::unix::fs::FileExt as _;

use chaski_batch::{BatchError, HEADER_LEN, Header};

/// The leader epoch of every batch: this store has one leader, itself.
pub(crate) const LEADER_EPOCH: i32 = 0;

/// Largest batch the log takes, in bytes. Bounds what a damaged length can make recovery read.
pub(crate) const BATCH_BYTES_MAX: usize = 128 << 20;

/// Bytes per read of a scan over much data.
pub(crate) const SCAN_BYTES: usize = 1 << 20;

/// Bytes per read of a walk over a few headers: one index interval.
pub(crate) const WALK_BYTES: usize = 4096;

/// Why the bytes at a position are not the batch that belongs there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Flaw {
    Batch(BatchError),
    Offset { got: i64, expected: i64 },
    Epoch(i32),
    Length(usize),
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Flaw::Batch(e) => e.fmt(f),
            Flaw::Offset { got, expected } => {
                write!(f, "base offset {got} where {expected} belongs")
            }
            Flaw::Epoch(got) => write!(f, "leader epoch {got} where {LEADER_EPOCH} belongs"),
            Flaw::Length(len) => write!(f, "batch of {len} bytes is over {BATCH_BYTES_MAX}"),
        }
    }
}

/// A stretch of a file in memory, moved along as it is read.
pub(crate) struct Window<F> {
    file: F,
    chunk: usize,
    buffer: Vec<u8>,
    /// Position in the file of `buffer[0]`.
    at: u64,
    /// Bytes of `buffer` that hold file content.
    filled: usize,
}

impl<F: Deref<Target = File>> Window<F> {
    /// Reads `file` in pieces of `chunk` bytes, larger where one batch is.
    pub(crate) fn new(file: F, chunk: usize) -> Window<F> {
        Window { file, chunk, buffer: Vec::new(), at: 0, filled: 0 }
    }

    /// Up to `want` bytes at `position`: fewer only where `limit` or the file ends.
    pub(crate) fn bytes(&mut self, position: u64, want: usize, limit: u64) -> io::Result<&[u8]> {
        let want = want.min(usize::try_from(limit.saturating_sub(position)).unwrap_or(want));
        let held = self.at + self.filled as u64;
        if position < self.at || position + want as u64 > held {
            self.move_to(position, want, limit)?;
        }
        let from = (position - self.at) as usize;
        Ok(&self.buffer[from..self.filled.min(from + want)])
    }

    fn move_to(&mut self, position: u64, want: usize, limit: u64) -> io::Result<()> {
        let held = self.at + self.filled as u64;
        let kept = if (self.at..held).contains(&position) { (held - position) as usize } else { 0 };
        self.buffer.copy_within(self.filled - kept..self.filled, 0);
        (self.at, self.filled) = (position, kept);
        let left = usize::try_from(limit.saturating_sub(position)).unwrap_or(usize::MAX);
        let size = want.max(self.chunk).min(left);
        if self.buffer.len() < size {
            self.buffer.resize(size, 0);
        }
        while self.filled < size {
            let to = &mut self.buffer[self.filled..size];
            match self.file.read_at(to, position + self.filled as u64) {
                Ok(0) => break,
                Ok(read) => self.filled += read,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// All bytes at hand from `position` on, at least a header's worth unless `limit` or the file
    /// ends before.
    fn at_hand(&mut self, position: u64, limit: u64) -> io::Result<&[u8]> {
        self.bytes(position, HEADER_LEN, limit)?;
        let (from, end) = ((position - self.at) as usize, limit - self.at);
        Ok(&self.buffer[from..self.filled.min(usize::try_from(end).unwrap_or(usize::MAX))])
    }

    /// The header at `position`, if it can be one and its batch ends by `limit`.
    pub(crate) fn any_header(
        &mut self,
        position: u64,
        limit: u64,
    ) -> io::Result<Result<Header, Flaw>> {
        let bytes = self.bytes(position, HEADER_LEN, limit)?;
        let header = match Header::parse(bytes) {
            Ok(header) => header,
            Err(e) => return Ok(Err(Flaw::Batch(e))),
        };
        let need = header.total_len();
        if need > BATCH_BYTES_MAX {
            return Ok(Err(Flaw::Length(need)));
        }
        let have = usize::try_from(limit - position).unwrap_or(usize::MAX);
        if need > have {
            return Ok(Err(Flaw::Batch(BatchError::Short { have, need })));
        }
        if header.leader_epoch != LEADER_EPOCH {
            return Ok(Err(Flaw::Epoch(header.leader_epoch)));
        }
        let (count, delta) = (header.record_count, header.last_offset_delta);
        if delta < 0 {
            return Ok(Err(Flaw::Batch(BatchError::Count { count, delta })));
        }
        Ok(Ok(header))
    }

    /// As [`Window::any_header`], and it continues at offset `expected`.
    pub(crate) fn header(
        &mut self,
        position: u64,
        limit: u64,
        expected: i64,
    ) -> io::Result<Result<Header, Flaw>> {
        Ok(self.any_header(position, limit)?.and_then(|header| match header.base_offset {
            got if got == expected => Ok(header),
            got => Err(Flaw::Offset { got, expected }),
        }))
    }

    /// As [`Window::header`], and the batch is whole and its checksum right.
    pub(crate) fn batch(
        &mut self,
        position: u64,
        limit: u64,
        expected: i64,
    ) -> io::Result<Result<Header, Flaw>> {
        match self.header(position, limit, expected)? {
            Ok(header) => self.check(position, limit, &header),
            flaw => Ok(flaw),
        }
    }

    fn check(
        &mut self,
        position: u64,
        limit: u64,
        header: &Header,
    ) -> io::Result<Result<Header, Flaw>> {
        let bytes = self.bytes(position, header.total_len(), limit)?;
        Ok(chaski_batch::check(bytes).map_err(Flaw::Batch))
    }

    /// Whether all bytes from `position` to `limit` are zero.
    pub(crate) fn is_zero(&mut self, mut position: u64, limit: u64) -> io::Result<bool> {
        while position < limit {
            let bytes = self.bytes(position, self.chunk, limit)?;
            if bytes.is_empty() {
                break;
            }
            if bytes.iter().any(|b| *b != 0) {
                return Ok(false);
            }
            position += bytes.len() as u64;
        }
        Ok(true)
    }
}

/// What follows the first bytes of a file that are no good batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum After {
    /// Zeros to the end: nothing was ever written there.
    Zeros,
    /// No good batch any more: a tail that was torn off.
    Nothing,
    /// A good batch: the damage is in the middle.
    Batch { position: u64, header: Header },
}

/// Looks behind a flaw at `position`, where offset `expected` belongs, for the next good batch with
/// an offset above `expected` and below `below`.
///
/// If the damaged header still tells where its batch ends, that place is tried first, and if
/// nothing at all is behind it, it is the end. So a record whose value happens to be a batch is
/// not mistaken for one, as long as the header around it can be read. Otherwise every byte is
/// tried; the total of bytes that are checksummed in vain is bounded.
pub(crate) fn after_flaw(
    window: &mut Window<impl Deref<Target = File>>,
    position: u64,
    limit: u64,
    expected: i64,
    below: i64,
) -> io::Result<After> {
    if window.is_zero(position, limit)? {
        return Ok(After::Zeros);
    }
    if let Ok(header) = window.any_header(position, limit)? {
        let end = position + header.total_len() as u64;
        if window.is_zero(end, limit)? {
            return Ok(After::Nothing);
        }
        let mut budget = header.total_len() + BATCH_BYTES_MAX;
        if let Some(header) = candidate(window, end, limit, expected, below, &mut budget)? {
            return Ok(After::Batch { position: end, header });
        }
    }
    search(window, position + 1, limit, expected, below)
}

/// Tries every byte from `position` on.
fn search(
    window: &mut Window<impl Deref<Target = File>>,
    mut position: u64,
    limit: u64,
    expected: i64,
    below: i64,
) -> io::Result<After> {
    let mut budget = 4 * (limit - position) as usize + SCAN_BYTES;
    while position + HEADER_LEN as u64 <= limit && budget > 0 {
        let bytes = window.at_hand(position, limit)?;
        if bytes.len() < HEADER_LEN {
            break;
        }
        // The format's magic byte, 2, is at 16 of a batch.
        let Some(skip) = bytes[16..].iter().position(|b| *b == 2) else {
            position += (bytes.len() - 16) as u64;
            continue;
        };
        position += skip as u64;
        if let Some(header) = candidate(window, position, limit, expected, below, &mut budget)? {
            return Ok(After::Batch { position, header });
        }
        position += 1;
    }
    Ok(After::Nothing)
}

/// The batch at `position` if it is good and its offset is between the two given.
fn candidate(
    window: &mut Window<impl Deref<Target = File>>,
    position: u64,
    limit: u64,
    expected: i64,
    below: i64,
    budget: &mut usize,
) -> io::Result<Option<Header>> {
    if position >= limit {
        return Ok(None);
    }
    let Ok(header) = window.any_header(position, limit)? else { return Ok(None) };
    let continues = header.base_offset > expected && header.next_offset() <= below;
    if !continues || header.total_len() > *budget {
        return Ok(None);
    }
    *budget -= header.total_len();
    Ok(window.check(position, limit, &header)?.ok())
}

#[cfg(test)]
mod tests {
    use chaski_batch::{Builder, Codec};

    use super::*;

    /// A batch at `offset` whose one record has this value.
    fn batch(offset: i64, value: &[u8]) -> Vec<u8> {
        let mut builder = Builder::new(Codec::None).base_offset(offset);
        builder.push(0, None, Some(value), &[]);
        let mut batch = builder.build().unwrap();
        chaski_batch::set_leader_epoch(&mut batch, LEADER_EPOCH);
        batch
    }

    fn look(bytes: &[u8], position: u64, expected: i64) -> After {
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, bytes).unwrap();
        let mut window = Window::new(&file, WALK_BYTES);
        let limit = bytes.len() as u64;
        assert!(window.batch(position, limit, expected).unwrap().is_err());
        after_flaw(&mut window, position, limit, expected, i64::MAX).unwrap()
    }

    fn found(after: &After) -> Option<(u64, i64)> {
        match after {
            After::Batch { position, header } => Some((*position, header.base_offset)),
            After::Zeros | After::Nothing => None,
        }
    }

    #[test]
    fn a_batch_in_a_value_is_not_taken_for_one() {
        let inner = batch(5, b"inner");
        let mut outer = batch(0, &inner);
        let len = outer.len();
        *outer.last_mut().unwrap() ^= 1;
        assert_eq!(look(&outer, 0, 0), After::Nothing, "the damaged batch is the last one");
        outer.resize(len + 5000, 0);
        assert_eq!(look(&outer, 0, 0), After::Nothing, "and so it is with zeros behind");
        outer.truncate(len);
        outer.extend(batch(1, b"next"));
        assert_eq!(found(&look(&outer, 0, 0)), Some((len as u64, 1)));
    }

    #[test]
    fn a_batch_is_found_though_nothing_tells_where() {
        let mut bytes = vec![0xab; 3 * WALK_BYTES + 17];
        let position = bytes.len() as u64;
        bytes.extend(batch(9, b"later"));
        assert_eq!(found(&look(&bytes, 0, 3)), Some((position, 9)));
        assert_eq!(look(&bytes, 0, 9), After::Nothing, "not a later offset");
    }

    #[test]
    fn bytes_that_all_look_like_headers_end_the_search() {
        // Every byte is a magic byte, every length plausible, no checksum right.
        let bytes = vec![2; 1 << 20];
        assert_eq!(look(&bytes, 0, 0), After::Nothing);
        let header = [0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 200, 0, 0, 0, 0, 0, 2, 0, 0, 0];
        let bytes: Vec<u8> = header.iter().copied().cycle().take(1 << 20).collect();
        assert_eq!(look(&bytes, 0, 0), After::Nothing);
    }

    #[test]
    fn a_window_moves_over_a_file_without_losing_a_byte() {
        let mut file = tempfile::tempfile().unwrap();
        let bytes: Vec<u8> = (0..20_000_u32).map(|i| (i * 7 % 251) as u8).collect();
        io::Write::write_all(&mut file, &bytes).unwrap();
        let mut window = Window::new(&file, 100);
        for (position, want) in [(0, 10), (5, 200), (150, 100), (90, 20), (19_990, 50), (30_000, 5)]
        {
            let from = bytes.len().min(position);
            let expected = &bytes[from..bytes.len().min(position + want)];
            assert_eq!(window.bytes(position as u64, want, u64::MAX).unwrap(), expected);
            let short = window.bytes(position as u64, want, position as u64 + 3).unwrap();
            assert_eq!(short, &expected[..expected.len().min(3)]);
        }
    }
}
