//! Records gathered into batches, one a partition.

use chaski_batch::{BatchError, Builder, Codec};

use super::wire::{APPEND_LEN, Append};

/// Builders without records that are kept for their memory.
const SPARE_MAX: usize = 16;

/// A batch that grows.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) number: u64,
    pub(super) builder: Builder,
}

/// The open batches of a producer.
#[derive(Debug)]
pub(super) struct Gathering {
    codec: Codec,
    /// By partition.
    open: Vec<Option<Open>>,
    count: usize,
    spare: Vec<Builder>,
}

impl Gathering {
    pub(super) fn new(codec: Codec) -> Gathering {
        Gathering { codec, open: Vec::new(), count: 0, spare: Vec::new() }
    }

    /// The open batch of a partition, if it has one.
    #[inline]
    pub(super) fn get(&mut self, partition: usize) -> Option<&mut Open> {
        self.open.get_mut(partition)?.as_mut()
    }

    /// Opens one for a partition that has none.
    pub(super) fn begin(&mut self, partition: usize, number: u64) -> &mut Open {
        if self.open.len() <= partition {
            self.open.resize_with(partition + 1, || None);
        }
        let builder = self.spare.pop().unwrap_or_else(|| Builder::new(self.codec));
        self.count += 1;
        self.open[partition].insert(Open { number, builder })
    }

    /// Takes the batch of a partition, to be sent.
    pub(super) fn take(&mut self, partition: usize) -> Option<Open> {
        let open = self.open.get_mut(partition)?.take()?;
        self.count -= 1;
        Some(open)
    }

    /// Keeps the memory of a batch that was sent.
    pub(super) fn recycle(&mut self, mut builder: Builder) {
        if self.spare.len() < SPARE_MAX {
            builder.clear();
            self.spare.push(builder);
        }
    }

    /// Partitions with an open batch, the one begun first in front.
    pub(super) fn in_order(&self) -> Vec<usize> {
        if self.count == 0 {
            return Vec::new();
        }
        let open = self.open.iter().enumerate();
        let mut found: Vec<(u64, usize)> =
            open.filter_map(|(at, open)| Some((open.as_ref()?.number, at))).collect();
        found.sort_unstable();
        found.into_iter().map(|(_, partition)| partition).collect()
    }

    pub(super) fn records(&self) -> usize {
        self.open.iter().flatten().map(|open| open.builder.record_count()).sum()
    }

    pub(super) fn bytes(&self) -> usize {
        self.open.iter().flatten().map(|open| open.builder.bytes()).sum()
    }
}

/// A request to append what a builder holds, as it is sent if it need not be kept.
pub(super) fn request(append: &Append, builder: Builder) -> Result<Vec<u8>, BatchError> {
    let batch = builder.build_smallest()?;
    let mut bytes = Vec::with_capacity(APPEND_LEN + batch.len());
    bytes.extend_from_slice(&append.encode());
    bytes.extend_from_slice(&batch);
    Ok(bytes)
}
