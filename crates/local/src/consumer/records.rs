//! What a read brought: whole batches, opened one at a time. Readers of every kind hand it out,
//! those in the broker's own process too.
//!
//! What it costs in memory is bounded by what was read and one batch: see [`chaski_batch::Run`].

use chaski_batch::{Batches, Malformed, Record, Run, Span};

/// Batches of one partition, in order, in the reader's buffer.
#[derive(Debug, Clone, Copy)]
pub struct Records<'a> {
    topic: &'a str,
    partition: i32,
    run: Run<'a>,
}

impl<'a> Records<'a> {
    /// The whole batches in `bytes`, which cover these offsets.
    pub fn new(topic: &'a str, partition: i32, span: Span, bytes: &'a [u8]) -> Records<'a> {
        Records { topic, partition, run: Run::new(span, bytes) }
    }

    /// The topic they are of.
    pub fn topic(&self) -> &'a str {
        self.topic
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

    /// Each batch in turn, its records inflated. Records that are not compressed are borrowed from
    /// the reader's buffer, and nothing is allocated for them.
    pub fn batches(&self) -> Batches<'a> {
        self.run.batches()
    }

    /// Calls `take` with each record in turn.
    ///
    /// # Errors
    /// [`Malformed`] for the first batch that cannot be read; the records before it have been
    /// taken, those behind it have not.
    pub fn for_each(&self, mut take: impl FnMut(Record<'_>)) -> Result<(), Malformed> {
        for batch in self.run.batches() {
            for record in &batch? {
                take(record?);
            }
        }
        Ok(())
    }
}
