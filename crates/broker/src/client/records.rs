//! What a read brought: whole batches, opened one at a time.
//!
//! What a read costs in memory is bounded by what is asked for and one batch: see
//! [`chaski_batch::Run`].

use chaski_batch::{Header, Malformed, Record, Run, Span};

use super::ReadError;

/// Batches of one partition, in order, in the reader's buffer.
#[derive(Debug, Clone, Copy)]
pub struct Records<'a> {
    partition: i32,
    run: Run<'a>,
}

impl<'a> Records<'a> {
    pub(super) fn new(partition: i32, span: Span, bytes: &'a [u8]) -> Records<'a> {
        Records { partition, run: Run::new(span, bytes) }
    }

    /// The partition they are of.
    pub fn partition(&self) -> i32 {
        self.partition
    }

    /// The first offset they may hold.
    pub fn first_offset(&self) -> i64 {
        self.run.first_offset()
    }

    /// The offset after the last of them.
    pub fn next_offset(&self) -> i64 {
        self.run.next_offset()
    }

    /// The batches as they are stored. The first may begin before [`Records::first_offset`].
    pub fn bytes(&self) -> &'a [u8] {
        self.run.bytes()
    }

    /// Each batch in turn, its records inflated.
    pub fn batches(&self) -> impl Iterator<Item = Result<Batch<'a>, ReadError>> + use<'a> {
        self.run.batches().map(|batch| Ok(Batch(batch?)))
    }

    /// Calls `take` with each record in turn.
    ///
    /// # Errors
    /// [`ReadError::Malformed`] for the first batch that cannot be read; the records before it
    /// have been taken, those behind it have not.
    pub fn for_each(&self, mut take: impl FnMut(Record<'_>)) -> Result<(), ReadError> {
        for batch in self.run.batches() {
            for record in &batch? {
                take(record?);
            }
        }
        Ok(())
    }
}

/// One batch, its records inflated. Iterate over `&batch`.
#[derive(Debug, Clone)]
pub struct Batch<'a>(chaski_batch::Batch<'a>);

impl Batch<'_> {
    /// Its header.
    pub fn header(&self) -> &Header {
        self.0.header()
    }

    /// Each record that was asked for; ends behind the first error.
    pub fn iter(&self) -> BatchIter<'_> {
        BatchIter(self.0.iter())
    }
}

impl<'b> IntoIterator for &'b Batch<'_> {
    type Item = Result<Record<'b>, ReadError>;
    type IntoIter = BatchIter<'b>;

    fn into_iter(self) -> BatchIter<'b> {
        self.iter()
    }
}

/// Iterator over the records of a [`Batch`].
#[derive(Debug, Clone)]
pub struct BatchIter<'b>(chaski_batch::Wanted<'b>);

impl<'b> Iterator for BatchIter<'b> {
    type Item = Result<Record<'b>, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.0.next()?.map_err(ReadError::from))
    }
}

impl From<Malformed> for ReadError {
    fn from(Malformed { offset, error, .. }: Malformed) -> ReadError {
        ReadError::Malformed { offset, error }
    }
}
