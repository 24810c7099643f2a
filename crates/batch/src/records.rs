//! The records of a batch, one after the other, borrowed from its bytes.
//!
//! ```text
//! | length | attributes | timestamp delta | offset delta | key | value | header count | headers |
//!   varint   i8 (unused)  varlong           varint         bytes  bytes   varint
//! ```
//!
//! `bytes` is a varint length and as many bytes, -1 for null; a header is a key, which may not be
//! null, and a value. The deltas count from the base timestamp and base offset in the batch
//! header. Compression covers all the records of a batch together.

use std::borrow::Cow;

use crate::codec::inflate;
use crate::header::{BatchError, Codec, HEADER_LEN, Header, TimestampType};
use crate::varint::{Cursor, Flaw};

/// What the records of one batch may inflate to where the caller has no limit of its own: 64 MiB.
pub const INFLATED_BYTES_MAX: usize = 64 << 20;

/// Opens the batch at the start of `batch` and inflates its records, to `inflated_bytes_max` bytes
/// at most. Records that are not compressed are borrowed, whatever their size.
///
/// The checksum is taken for granted; [`crate::check`] is what looks at it.
///
/// # Errors
/// As [`Header::parse`]; [`BatchError::Short`] if the end of the batch is missing;
/// [`BatchError::Codec`], [`BatchError::Inflate`] and [`BatchError::TooLarge`].
///
/// ```
/// use chaski_batch::{Builder, Codec, INFLATED_BYTES_MAX, records};
///
/// let mut builder = Builder::new(Codec::Lz4);
/// builder.push(1_700_000_000_000, Some(b"key"), Some(b"value"), &[("trace", Some(b"7"))]);
/// let batch = builder.build()?;
///
/// for record in &records(&batch, INFLATED_BYTES_MAX)? {
///     let record = record?;
///     assert_eq!((record.offset, record.key), (0, Some(&b"key"[..])));
///     assert_eq!(record.headers.iter().next(), Some((&b"trace"[..], Some(&b"7"[..]))));
/// }
/// # Ok::<(), chaski_batch::BatchError>(())
/// ```
pub fn records(batch: &[u8], inflated_bytes_max: usize) -> Result<Records<'_>, BatchError> {
    let header = Header::parse(batch)?;
    let need = header.total_len();
    let Some(body) = batch.get(HEADER_LEN..need) else {
        return Err(BatchError::Short { have: batch.len(), need });
    };
    let body = match header.codec()? {
        Codec::None => Cow::Borrowed(body),
        codec => Cow::Owned(inflate(codec, body, inflated_bytes_max)?),
    };
    Ok(Records { header, body })
}

/// The records of one batch; see [`records`].
#[derive(Debug, Clone)]
pub struct Records<'a> {
    header: Header,
    /// The records, inflated.
    body: Cow<'a, [u8]>,
}

impl Records<'_> {
    /// The header of the batch.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Each record in turn; ends behind the first error.
    pub fn iter(&self) -> Iter<'_> {
        Iter::new(&self.header, &self.body)
    }
}

impl<'a> IntoIterator for &'a Records<'_> {
    type Item = Result<Record<'a>, BatchError>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// One record, its bytes borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Offset in the partition, once the broker has patched the base offset.
    pub offset: i64,
    /// Milliseconds since the epoch, -1 for none: the producer's, or the broker's where the batch
    /// says [`TimestampType::LogAppend`].
    pub timestamp: i64,
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The value; None is a tombstone.
    pub value: Option<&'a [u8]>,
    /// The headers.
    pub headers: Headers<'a>,
}

/// The headers of a record, known to be well formed, read when asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Headers<'a> {
    count: usize,
    bytes: &'a [u8],
}

impl<'a> Headers<'a> {
    /// Walks over all of them once; they end where `bytes` does.
    #[inline]
    fn parse(mut cursor: Cursor<'a>) -> Result<Headers<'a>, Flaw> {
        let count = cursor.length()?;
        let headers = Headers { count, bytes: cursor.0 };
        let rest = if count == 0 { cursor.0 } else { walk(count, cursor)? };
        if rest.is_empty() { Ok(headers) } else { Err(Flaw("bytes behind the last header")) }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.count
    }

    /// None at all.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Key and value of each, in order; a key may come twice. Keys are meant to be UTF-8, which
    /// nobody checks.
    pub fn iter(&self) -> HeaderIter<'a> {
        HeaderIter { left: self.count, rest: Cursor(self.bytes) }
    }
}

impl<'a> IntoIterator for Headers<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);
    type IntoIter = HeaderIter<'a>;

    fn into_iter(self) -> HeaderIter<'a> {
        self.iter()
    }
}

/// Iterator over [`Headers`].
#[derive(Debug, Clone)]
pub struct HeaderIter<'a> {
    left: usize,
    rest: Cursor<'a>,
}

impl<'a> Iterator for HeaderIter<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        header(&mut self.rest).ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for HeaderIter<'_> {}

/// What is behind so many headers.
#[inline(never)]
fn walk(count: usize, mut cursor: Cursor<'_>) -> Result<&[u8], Flaw> {
    for _ in 0..count {
        header(&mut cursor)?;
    }
    Ok(cursor.0)
}

fn header<'a>(cursor: &mut Cursor<'a>) -> Result<(&'a [u8], Option<&'a [u8]>), Flaw> {
    let key = cursor.nullable()?.ok_or(Flaw("a header without a key"))?;
    Ok((key, cursor.nullable()?))
}

/// Iterator over [`Records`].
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    rest: Cursor<'a>,
    /// Records to come, by the header.
    left: i32,
    base_offset: i64,
    /// Smallest offset delta the next record may have.
    delta_min: i64,
    /// The largest; base offset and this are an offset.
    delta_max: i64,
    base_timestamp: i64,
    /// All ones where records have timestamps of their own, none where the batch has one for all.
    timestamp_mask: i64,
}

impl<'a> Iter<'a> {
    fn new(header: &Header, body: &'a [u8]) -> Iter<'a> {
        let (base_timestamp, timestamp_mask) = match header.timestamp_type() {
            TimestampType::Create => (header.base_timestamp, -1),
            TimestampType::LogAppend => (header.max_timestamp, 0),
        };
        Iter {
            rest: Cursor(body),
            left: header.record_count,
            base_offset: header.base_offset,
            delta_min: 0,
            // No offset is past what there is, whatever the header says.
            delta_max: i64::from(header.last_offset_delta)
                .min(i64::MAX.saturating_sub(header.base_offset)),
            base_timestamp,
            timestamp_mask,
        }
    }

    #[inline(always)]
    fn record(&mut self) -> Result<Record<'a>, Flaw> {
        let length = self.rest.length()?;
        let mut fields = Cursor(self.rest.take(length)?);
        fields.take(1)?;
        let timestamp_delta = fields.varlong()? & self.timestamp_mask;
        let offset = self.offset(fields.varint()?)?;
        Ok(Record {
            offset,
            timestamp: self.base_timestamp.wrapping_add(timestamp_delta),
            key: fields.nullable()?,
            value: fields.nullable()?,
            headers: Headers::parse(fields)?,
        })
    }

    /// Offsets rise within a batch and end with its last offset; compaction may leave gaps.
    #[inline]
    fn offset(&mut self, delta: i32) -> Result<i64, Flaw> {
        let delta = i64::from(delta);
        if delta < self.delta_min || delta > self.delta_max {
            return Err(Flaw("an offset out of order or outside the batch"));
        }
        self.delta_min = delta + 1;
        Ok(self.base_offset.wrapping_add(delta))
    }

    fn end(&mut self) {
        self.left = 0;
        self.rest = Cursor(&[]);
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = Result<Record<'a>, BatchError>;

    // Always inlined, for in a loop all of this lives in registers. Called, it takes twice the
    // time: the iterator and each record go through memory.
    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        if self.left <= 0 {
            let left_over = !self.rest.0.is_empty();
            self.end();
            return left_over.then_some(Err(BatchError::Record("bytes behind the last record")));
        }
        match self.record() {
            Ok(record) => {
                self.left -= 1;
                Some(Ok(record))
            }
            Err(flaw) => {
                self.end();
                Some(Err(flaw.into()))
            }
        }
    }
}

impl std::iter::FusedIterator for Iter<'_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Builder;

    /// A batch of these records as they are, for `count` of them.
    fn batch(records: &[u8], count: i32) -> Vec<u8> {
        let header = Header {
            base_offset: 100,
            batch_length: (HEADER_LEN - 12 + records.len()) as i32,
            leader_epoch: 0,
            crc: 0,
            attributes: 0,
            last_offset_delta: count - 1,
            base_timestamp: 1_000,
            max_timestamp: 1_001,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            record_count: count,
        };
        [&header.encode()[..], records].concat()
    }

    fn error(records: &[u8], count: i32) -> &'static str {
        let batch = batch(records, count);
        let records = super::records(&batch, 0).unwrap();
        let mut iter = records.iter();
        let error = iter.find_map(Result::err);
        assert!(iter.next().is_none(), "nothing comes behind an error");
        match error {
            Some(BatchError::Record(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn fields_are_read_in_their_order() {
        // Key "k", null value, headers "a" = "b" and "c" = null; then a record of nulls.
        let bytes = b"\x1c\0\x01\0\x02k\x01\x04\x02a\x02b\x02c\x01\x0c\0\x02\x02\x01\x01\0";
        let batch = batch(bytes, 2);
        let records = records(&batch, 0).unwrap();
        assert_eq!(records.header().base_offset, 100);
        let read: Vec<Record<'_>> = records.iter().map(Result::unwrap).collect();
        assert_eq!((read[0].offset, read[0].timestamp), (100, 999));
        assert_eq!((read[0].key, read[0].value), (Some(&b"k"[..]), None));
        let headers: Vec<_> = read[0].headers.iter().collect();
        assert_eq!(headers, [(&b"a"[..], Some(&b"b"[..])), (&b"c"[..], None)]);
        assert_eq!(read[0].headers.len(), 2);
        assert_eq!((read[1].offset, read[1].timestamp), (101, 1_001));
        assert_eq!((read[1].key, read[1].value), (None, None));
        assert!(read[1].headers.is_empty());
    }

    #[test]
    fn what_is_malformed_is_named() {
        assert_eq!(error(b"", 1), "an integer has no end");
        assert_eq!(error(b"\x01", 1), "a negative length");
        assert_eq!(error(b"\x0e\0\0\0\x01\x01", 1), "a field runs past the end of its record");
        assert_eq!(error(b"\x0c\0\0\0\x01\x01\0x", 1), "bytes behind the last record");
        assert_eq!(error(b"\x0e\0\0\0\x01\x01\0x", 1), "bytes behind the last header");
        assert_eq!(error(b"\x0c\0\0\0\x01\x01\x01", 1), "a negative length");
        assert_eq!(error(b"\x10\0\0\0\x01\x01\x02\x01\0", 1), "a header without a key");
        // The key claims a byte more than the record has.
        assert_eq!(error(b"\x0c\0\0\0\x08\x01\0", 1), "a field runs past the end of its record");
        // A header count of i32::MAX.
        assert_eq!(error(b"\x14\0\0\0\x01\x01\xfe\xff\xff\xff\x0f", 1), "an integer has no end");
    }

    #[test]
    fn offsets_must_rise_and_stay_in_the_batch() {
        let why = "an offset out of order or outside the batch";
        assert_eq!(error(b"\x0c\0\0\x02\x01\x01\0", 1), why);
        assert_eq!(error(b"\x0c\0\0\x01\x01\x01\0", 1), why);
        assert_eq!(error(b"\x0c\0\0\0\x01\x01\0\x0c\0\0\0\x01\x01\0", 2), why);
    }

    #[test]
    fn no_offset_is_past_the_largest_there_is() {
        let mut batch = batch(b"\x0c\0\0\0\x01\x01\0\x0c\0\0\x02\x01\x01\0", 2);
        let offsets = |batch: &[u8]| {
            let read = |record: Result<Record<'_>, _>| record.map(|record| record.offset).ok();
            records(batch, 0).unwrap().iter().map(read).collect::<Vec<_>>()
        };
        crate::set_base_offset(&mut batch, i64::MAX - 1);
        assert_eq!(offsets(&batch), [Some(i64::MAX - 1), Some(i64::MAX)]);
        crate::set_base_offset(&mut batch, i64::MAX);
        assert_eq!(offsets(&batch), [Some(i64::MAX), None]);
        crate::set_base_offset(&mut batch, i64::MIN);
        assert_eq!(offsets(&batch), [Some(i64::MIN), Some(i64::MIN + 1)]);
    }

    #[test]
    fn a_negative_count_is_no_records() {
        assert!(records(&batch(b"", -5), 0).unwrap().iter().next().is_none());
    }

    #[test]
    fn the_brokers_clock_covers_every_record() {
        let mut builder = Builder::new(Codec::Gzip);
        builder.push(5, None, Some(b"a"), &[]);
        builder.push(9, None, Some(b"b"), &[]);
        let mut batch = builder.build().unwrap();
        crate::set_log_append_time(&mut batch, 77);
        let records = records(&batch, 1 << 20).unwrap();
        assert!(records.iter().all(|record| record.unwrap().timestamp == 77));
    }

    #[test]
    fn the_limit_holds_for_what_is_inflated() {
        let mut builder = Builder::new(Codec::Zstd);
        builder.push(0, None, Some(&[0; 4096]), &[]);
        let batch = builder.build().unwrap();
        assert!(records(&batch, 8192).is_ok());
        assert_eq!(records(&batch, 4096).err(), Some(BatchError::TooLarge(4096)));
        let short = BatchError::Short { have: batch.len() - 1, need: batch.len() };
        assert_eq!(records(&batch[..batch.len() - 1], 8192).err(), Some(short));
    }
}
