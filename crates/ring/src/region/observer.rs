//! What a ring tells a third party that maps it read-only.

use super::error::AttachError;
use super::layout::{BELL, BYTES, CURSOR, DOZE, Layout, MESSAGES, STALLS};
use super::memory::{Memory, Words};

/// Reads the counters of a ring that others use.
///
/// Each counter is written by its owner with a plain store, so that counting costs nothing; whoever
/// reads them gets values that are each right but not of one moment, and that an owner can forge.
#[derive(Debug)]
pub struct Observer<M> {
    layout: Layout,
    producer: Words,
    consumer: Words,
    /// What keeps the words in place.
    _memory: M,
}

/// What a ring counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Records that were published.
    pub sent: u64,
    /// Payload bytes of those.
    pub sent_bytes: u64,
    /// Records that were taken; twice if taken again after a [`Consumer::resume`](super::Consumer).
    pub received: u64,
    /// Payload bytes of those.
    pub received_bytes: u64,
    /// Records published and not yet taken. A consumer that began in a new area counts from there,
    /// and what its predecessors took is missing.
    pub depth: u64,
    /// Bytes of the ring published and not yet given back.
    pub bytes_in_use: u64,
    /// Times the producer found no room, counted once until a send goes through.
    pub full_stalls: u64,
    /// Times the producer woke the consumer.
    pub consumer_wakes: u64,
    /// Times the consumer woke the producer.
    pub producer_wakes: u64,
    /// Whether the consumer sleeps, waiting for records.
    pub consumer_sleeps: bool,
    /// Whether the producer sleeps, waiting for room.
    pub producer_sleeps: bool,
}

impl<M: Memory> Observer<M> {
    /// Looks on at a ring, whose capacity it learns from the ring itself.
    ///
    /// # Errors
    ///
    /// Where there is no ring, or one that does not fit its areas: see [`AttachError`].
    pub fn attach(memory: M) -> Result<Self, AttachError> {
        let layout = Layout::read(&memory)?;
        let (producer, consumer) = layout.open(&memory)?;
        Ok(Observer { layout, producer, consumer, _memory: memory })
    }

    /// The sizes of the ring.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The counters now.
    pub fn stats(&self) -> Stats {
        let (producer, consumer) = (&self.producer, &self.consumer);
        // What was received, first: so that it is no more than what was sent.
        let (received, head) = (consumer.load(MESSAGES), consumer.load(CURSOR));
        consumer.acquired();
        let sent = producer.load(MESSAGES);
        Stats {
            sent,
            sent_bytes: producer.load(BYTES),
            received,
            received_bytes: consumer.load(BYTES),
            depth: sent.saturating_sub(received),
            bytes_in_use: producer.load(CURSOR).saturating_sub(head),
            full_stalls: producer.load(STALLS),
            consumer_wakes: producer.load(BELL),
            producer_wakes: consumer.load(BELL),
            consumer_sleeps: consumer.load(DOZE) % 2 == 1,
            producer_sleeps: producer.load(DOZE) % 2 == 1,
        }
    }
}
