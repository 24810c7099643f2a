//! What a read brought: whole batches, opened one at a time.
//!
//! A batch inflates to 64 MiB at most, whatever it claims, and only one of them is inflated at a
//! time: what a read costs in memory is bounded by what is asked for and one batch.

use chaski_batch::{BatchError, Header, INFLATED_BYTES_MAX, Record};

use super::ReadError;

/// Batches of one partition, in order, in the reader's buffer.
#[derive(Debug, Clone, Copy)]
pub struct Records<'a> {
    partition: i32,
    /// The first record wanted: a batch that holds it may begin before.
    from: i64,
    next: i64,
    bytes: &'a [u8],
}

impl<'a> Records<'a> {
    pub(super) fn new(partition: i32, span: Span, bytes: &'a [u8]) -> Records<'a> {
        Records { partition, from: span.from, next: span.next, bytes }
    }

    /// The partition they are of.
    pub fn partition(&self) -> i32 {
        self.partition
    }

    /// The first offset they may hold.
    pub fn first_offset(&self) -> i64 {
        self.from
    }

    /// The offset after the last of them.
    pub fn next_offset(&self) -> i64 {
        self.next
    }

    /// The batches as they are stored. The first may begin before [`Records::first_offset`].
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Each batch in turn, its records inflated.
    pub fn batches(&self) -> impl Iterator<Item = Result<Batch<'a>, ReadError>> + use<'a> {
        let from = self.from;
        Headers(self.bytes).map(move |(header, bytes)| {
            let records = chaski_batch::records(bytes, INFLATED_BYTES_MAX);
            let records = records.map_err(|error| malformed(&header, error))?;
            Ok(Batch { records, from })
        })
    }

    /// Calls `take` with each record in turn.
    ///
    /// # Errors
    /// [`ReadError::Malformed`] for the first batch that cannot be read; the records before it
    /// have been taken, those behind it have not.
    pub fn for_each(&self, mut take: impl FnMut(Record<'_>)) -> Result<(), ReadError> {
        for batch in self.batches() {
            for record in &batch? {
                take(record?);
            }
        }
        Ok(())
    }
}

/// The offsets that a run of batches covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: i64,
    pub(super) next: i64,
}

impl Span {
    /// From `from` to the end of the batches in `bytes`. None: they begin with no batch, or end
    /// before `from`.
    pub(super) fn of(from: i64, bytes: &[u8]) -> Option<Span> {
        let next = Headers(bytes).last()?.0.next_offset();
        (next > from).then_some(Span { from, next })
    }
}

/// One batch, its records inflated. Iterate over `&batch`.
#[derive(Debug, Clone)]
pub struct Batch<'a> {
    records: chaski_batch::Records<'a>,
    from: i64,
}

impl Batch<'_> {
    /// Its header.
    pub fn header(&self) -> &Header {
        self.records.header()
    }

    /// Each record that was asked for; ends behind the first error.
    pub fn iter(&self) -> impl Iterator<Item = Result<Record<'_>, ReadError>> {
        let (header, from) = (*self.records.header(), self.from);
        let records = self.records.iter();
        let wanted = records.skip_while(move |r| matches!(r, Ok(record) if record.offset < from));
        wanted.map(move |record| record.map_err(|error| malformed(&header, error)))
    }
}

impl<'b> IntoIterator for &'b Batch<'_> {
    type Item = Result<Record<'b>, ReadError>;
    type IntoIter = Box<dyn Iterator<Item = Self::Item> + 'b>;

    fn into_iter(self) -> Self::IntoIter {
        Box::new(self.iter())
    }
}

fn malformed(header: &Header, error: BatchError) -> ReadError {
    ReadError::Malformed { offset: header.base_offset, error }
}

/// The batches in a run of them, each with its header.
struct Headers<'a>(&'a [u8]);

impl<'a> Iterator for Headers<'a> {
    type Item = (Header, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let header = Header::parse(self.0).ok()?;
        let (batch, rest) = self.0.split_at_checked(header.total_len())?;
        self.0 = rest;
        Some((header, batch))
    }
}

#[cfg(test)]
mod tests {
    use chaski_batch::{Builder, Codec};

    use super::*;

    fn batch(base_offset: i64, values: &[&str]) -> Vec<u8> {
        let mut builder = Builder::new(Codec::Lz4).base_offset(base_offset);
        for value in values {
            builder.push(0, None, Some(value.as_bytes()), &[]);
        }
        builder.build().expect("records")
    }

    #[test]
    fn records_before_the_one_asked_for_are_passed_over() {
        let bytes = [batch(10, &["a", "b", "c"]), batch(13, &["d"])].concat();
        let records = Records::new(0, Span::of(11, &bytes).expect("a batch"), &bytes);
        assert_eq!((records.first_offset(), records.next_offset()), (11, 14));
        let mut offsets = Vec::new();
        records.for_each(|record| offsets.push(record.offset)).expect("well formed");
        assert_eq!(offsets, [11, 12, 13]);
    }

    #[test]
    fn a_batch_that_makes_no_sense_is_named_and_the_next_is_still_there() {
        let mut wrong = batch(0, &["a"]);
        let len = wrong.len();
        wrong[len - 8..].fill(0xff);
        let bytes = [wrong, batch(1, &["b"])].concat();
        let records = Records::new(0, Span::of(0, &bytes).expect("a batch"), &bytes);
        let read: Vec<_> = records.batches().map(|b| b.map(|b| b.header().base_offset)).collect();
        assert!(matches!(read[0], Err(ReadError::Malformed { offset: 0, .. })), "{read:?}");
        assert_eq!(read[1], Ok(1));
    }

    #[test]
    fn bytes_that_are_no_batch_are_no_records() {
        assert_eq!(Span::of(0, b""), None);
        assert_eq!(Span::of(0, &batch(0, &["a"])[..70]), None);
        assert_eq!(Span::of(1, &batch(0, &["a"])), None, "it would be read again and again");
    }
}
