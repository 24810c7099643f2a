//! Batches that wait for a flush: records gathered by partition, and batches made elsewhere.

use chaski_batch::{Builder, Codec, HEADER_LEN, Header};
use chaski_log::store::PartitionId;

use super::{ProduceError, Record};
use crate::admission::{self, Fit, Refusal};
use crate::cluster::{Topic, TopicConfig};

/// A batch is closed before it grows past this, if the topic's limit does not close it earlier; a
/// record that is larger is a batch of its own.
const BATCH_BYTES_MAX: usize = 1 << 20;

/// Batches in the order they were begun.
#[derive(Default)]
pub(super) struct Batches {
    open: Vec<Open>,
    /// Where in `open` a partition's last batch is, plus one; 0: it has none that may grow.
    last: Vec<usize>,
    /// Bytes in `open`.
    held: usize,
}

/// A batch that waits for a flush.
pub(super) struct Open {
    partition: i32,
    content: Content,
}

enum Content {
    /// In the making.
    Records { builder: Builder, has_null_key: bool },
    /// Made elsewhere, and checked.
    Whole { bytes: Vec<u8>, header: Header },
}

/// A batch that may go to the store.
pub(super) struct Ready {
    pub(super) batch: usize,
    pub(super) partition: PartitionId,
    pub(super) bytes: Vec<u8>,
    pub(super) header: Header,
}

impl Batches {
    /// Puts a record into the batch of its partition, or into a new one if it has none with room.
    /// Returns the number of the batch, and its place there.
    pub(super) fn add(
        &mut self,
        partition: usize,
        record: &Record<'_>,
        timestamp: i64,
        codec: Codec,
        topic: &TopicConfig,
    ) -> Result<(usize, usize), Refusal> {
        let batch = self.batch_for(partition, record.bytes_max(), codec, topic);
        let Content::Records { builder, has_null_key } = &mut self.open[batch].content else {
            unreachable!("a whole batch is never one that may grow");
        };
        let (index, before) = (builder.record_count(), builder.bytes());
        builder.push(timestamp, record.key, record.value, record.headers);
        *has_null_key |= record.key.is_none();
        let after = builder.bytes();
        if index == 0 {
            // It is alone in its batch: now its size is known.
            if let Err(refused) = admission::check_size(after, topic) {
                self.open.pop();
                self.last[partition] = 0;
                return Err(refused);
            }
            self.held += HEADER_LEN;
        }
        self.held += after - before;
        Ok((batch, index))
    }

    /// Takes a batch made elsewhere; returns its number. What is added later comes after it.
    pub(super) fn add_whole(&mut self, partition: usize, bytes: &[u8], header: Header) -> usize {
        self.mark(partition, 0);
        self.held += bytes.len();
        let content = Content::Whole { bytes: bytes.to_vec(), header };
        self.open.push(Open { partition: partition as i32, content });
        self.open.len() - 1
    }

    /// Takes them all out.
    pub(super) fn take(&mut self) -> Vec<Open> {
        let open = std::mem::take(&mut self.open);
        open.iter().for_each(|open| self.last[open.partition as usize] = 0);
        self.held = 0;
        open
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.held
    }

    pub(super) fn record_count(&self) -> usize {
        self.open.iter().map(Open::record_count).sum()
    }

    /// The batch that has room for a record of a partition, a new one if need be.
    fn batch_for(
        &mut self,
        partition: usize,
        bytes_max: usize,
        codec: Codec,
        topic: &TopicConfig,
    ) -> usize {
        let max = topic.max_message_bytes.min(BATCH_BYTES_MAX);
        let has_room = |open: &Open| match &open.content {
            Content::Records { builder, .. } => builder.bytes() + bytes_max <= max,
            Content::Whole { .. } => false,
        };
        let last = self.last.get(partition).and_then(|last| last.checked_sub(1));
        if let Some(at) = last
            && has_room(&self.open[at])
        {
            return at;
        }
        let content = Content::Records { builder: Builder::new(codec), has_null_key: false };
        self.open.push(Open { partition: partition as i32, content });
        self.mark(partition, self.open.len());
        self.open.len() - 1
    }

    fn mark(&mut self, partition: usize, last: usize) {
        if self.last.len() <= partition {
            self.last.resize(partition + 1, 0);
        }
        self.last[partition] = last;
    }
}

impl Open {
    pub(super) fn partition(&self) -> i32 {
        self.partition
    }

    pub(super) fn record_count(&self) -> usize {
        match &self.content {
            Content::Records { builder, .. } => builder.record_count(),
            Content::Whole { header, .. } => header.record_count as usize,
        }
    }

    /// Makes it fit for the store; `batch` is its number. The settings may have changed since the
    /// records were pushed.
    pub(super) fn seal(self, batch: usize, topic: &Topic) -> Result<Ready, ProduceError> {
        let (index, partitions) = (self.partition, topic.partitions.len());
        let unknown = ProduceError::UnknownPartition { partition: index, partitions };
        let partition = topic.partition(index).ok_or(unknown)?;
        let (bytes, Fit { header, .. }) = match self.content {
            Content::Records { builder, has_null_key } => {
                let mut bytes = builder.build_smallest().map_err(Refusal::from)?;
                let header = Header::parse(&bytes).map_err(Refusal::from)?;
                let fit = admission::fit(&mut bytes, header, &topic.config, |_| Ok(has_null_key))?;
                (bytes, fit)
            }
            Content::Whole { mut bytes, header } => {
                let has_null_key = chaski_batch::has_null_key;
                let fit = admission::fit(&mut bytes, header, &topic.config, has_null_key)?;
                (bytes, fit)
            }
        };
        Ok(Ready { batch, partition, bytes, header })
    }
}
