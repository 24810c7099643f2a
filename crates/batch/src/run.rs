//! Whole batches in a row, as a read brings them, and the records of them that were asked for.
//!
//! Batches are opened one at a time, and each inflates to [`INFLATED_BYTES_MAX`] at most: what a
//! run costs in memory is its own bytes and one batch.

use crate::header::{BatchError, Header};
use crate::records::{INFLATED_BYTES_MAX, Iter, Record, Records, records};

/// The offsets that a run of batches covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first record wanted: the batch that holds it may begin before.
    pub from: i64,
    /// The offset after the last record.
    pub next: i64,
}

impl Span {
    /// From `from` to the end of the whole batches in `bytes`. None: they begin with no batch, or
    /// end before `from`.
    pub fn of(from: i64, bytes: &[u8]) -> Option<Span> {
        let next = Whole(bytes).last()?.0.next_offset();
        (next > from).then_some(Span { from, next })
    }
}

/// Batches in a row, of which the records from one offset on are wanted.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    span: Span,
    bytes: &'a [u8],
}

impl<'a> Run<'a> {
    /// The whole batches in `bytes`, which cover these offsets.
    ///
    /// ```
    /// use chaski_batch::{Builder, Codec, Run, Span};
    ///
    /// let mut builder = Builder::new(Codec::Zstd).base_offset(10);
    /// for value in [b"a", b"b", b"c"] {
    ///     builder.push(0, None, Some(value), &[]);
    /// }
    /// let bytes = builder.build()?;
    ///
    /// let span = Span::of(11, &bytes).expect("a batch");
    /// let run = Run::new(span, &bytes);
    /// assert_eq!((run.first_offset(), run.next_offset()), (11, 13));
    /// for batch in run.batches() {
    ///     for record in &batch? {
    ///         assert!(record?.offset >= 11);
    ///     }
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(span: Span, bytes: &'a [u8]) -> Run<'a> {
        Run { span, bytes }
    }

    /// The first offset its records may have.
    pub fn first_offset(&self) -> i64 {
        self.span.from
    }

    /// The offset after the last of them.
    pub fn next_offset(&self) -> i64 {
        self.span.next
    }

    /// The batches as they are stored.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Each batch in turn, its records inflated. Behind one that cannot be read comes the next.
    pub fn batches(&self) -> Batches<'a> {
        Batches { whole: Whole(self.bytes), from: self.span.from }
    }
}

/// Iterator over the batches of a [`Run`].
#[derive(Debug, Clone)]
pub struct Batches<'a> {
    whole: Whole<'a>,
    from: i64,
}

impl<'a> Iterator for Batches<'a> {
    type Item = Result<Batch<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let (header, bytes) = self.whole.next()?;
        let opened = records(bytes, INFLATED_BYTES_MAX);
        let (from, offset) = (self.from, header.base_offset);
        let malformed = |error| Malformed { offset, error };
        Some(opened.map(|records| Batch { records, from }).map_err(malformed))
    }
}

/// One batch of a [`Run`], its records inflated. Iterate over `&batch`.
#[derive(Debug, Clone)]
pub struct Batch<'a> {
    records: Records<'a>,
    from: i64,
}

impl Batch<'_> {
    /// Its header.
    pub fn header(&self) -> &Header {
        self.records.header()
    }

    /// Each record that was asked for; ends behind the first error.
    pub fn iter(&self) -> Wanted<'_> {
        Wanted { batch: self.header().base_offset, records: self.records.iter(), from: self.from }
    }
}

impl<'b> IntoIterator for &'b Batch<'_> {
    type Item = Result<Record<'b>, Malformed>;
    type IntoIter = Wanted<'b>;

    fn into_iter(self) -> Wanted<'b> {
        self.iter()
    }
}

/// Iterator over the records of a [`Batch`].
#[derive(Debug, Clone)]
pub struct Wanted<'b> {
    /// Offset of the batch.
    batch: i64,
    records: Iter<'b>,
    from: i64,
}

impl<'b> Iterator for Wanted<'b> {
    type Item = Result<Record<'b>, Malformed>;

    // As with those that it chooses from.
    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.records.next()? {
                Ok(record) if record.offset < self.from => {}
                Ok(record) => return Some(Ok(record)),
                Err(error) => return Some(Err(Malformed { offset: self.batch, error })),
            }
        }
    }
}

/// A batch that arrived whole and cannot be read: its producer has written nonsense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the batch at offset {offset} makes no sense: {error}")]
#[non_exhaustive]
pub struct Malformed {
    /// Offset of the batch.
    pub offset: i64,
    /// What is wrong with it.
    pub error: BatchError,
}

/// The whole batches at the start of some bytes, each with its header.
#[derive(Debug, Clone)]
struct Whole<'a>(&'a [u8]);

impl<'a> Iterator for Whole<'a> {
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
    use super::*;
    use crate::{Builder, Codec};

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
        let run = Run::new(Span::of(11, &bytes).expect("a batch"), &bytes);
        let batches: Vec<_> = run.batches().map(|batch| batch.expect("well formed")).collect();
        let offset = |record: Result<Record<'_>, Malformed>| record.expect("well formed").offset;
        let offsets: Vec<i64> = batches.iter().flat_map(|batch| batch.iter().map(offset)).collect();
        assert_eq!(offsets, [11, 12, 13]);
    }

    #[test]
    fn a_batch_that_makes_no_sense_is_named_and_the_next_is_still_there() {
        let mut wrong = batch(0, &["a"]);
        let len = wrong.len();
        wrong[len - 8..].fill(0xff);
        let bytes = [wrong, batch(1, &["b"])].concat();
        let run = Run::new(Span::of(0, &bytes).expect("a batch"), &bytes);
        let read: Vec<_> = run.batches().map(|b| b.map(|b| b.header().base_offset)).collect();
        assert!(matches!(read[0], Err(Malformed { offset: 0, .. })), "{read:?}");
        assert_eq!(read[1], Ok(1));
    }

    #[test]
    fn bytes_that_are_no_batch_are_no_run() {
        assert_eq!(Span::of(0, b""), None);
        assert_eq!(Span::of(0, &batch(0, &["a"])[..70]), None);
        assert_eq!(Span::of(1, &batch(0, &["a"])), None, "it would be read again and again");
        let cut = [&batch(0, &["a"])[..], &batch(1, &["b"])[..70]].concat();
        assert_eq!(Span::of(0, &cut), Some(Span { from: 0, next: 1 }));
    }
}
