//! What one side of a connection owns, and the rings that two of them make.
//!
//! ```text
//!        offset
//!            0  +---------------------------------------+
//!               | outgoing ring: producer's area        |   header of 4096 bytes
//!         4096  |   records                             |   capacity
//!               +---------------------------------------+
//!    4096 + cap | incoming ring: consumer's area        |   4096
//!               +---------------------------------------+
//!    8192 + cap | ledger: large payloads given back     |   4096
//!               +---------------------------------------+
//!   12288 + cap
//! ```
//!
//! The capacity is that of the outgoing ring alone; the incoming one has its records, and its
//! capacity, in the other side's half.

use std::sync::Arc;

use chaski_ring::region::{Area, Areas, AttachError, Layout, Memory};

use super::Mapping;

/// Bytes of the ledger: a page, so that nothing else shares it.
pub(crate) const LEDGER: usize = 4096;

/// The least capacity of a ring between processes: below a page there is nothing to save.
pub(crate) const CAPACITY_MIN: usize = 4096;

/// Where everything is in the memory of one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Half {
    layout: Layout,
}

impl Half {
    /// The half whose outgoing ring has `capacity` bytes: a power of two from 4096 to 1 GiB.
    ///
    /// # Errors
    ///
    /// [`AttachError::BadCapacity`].
    pub(crate) fn new(capacity: usize) -> Result<Half, AttachError> {
        if capacity < CAPACITY_MIN {
            return Err(AttachError::BadCapacity { found: capacity as u64 });
        }
        Ok(Half { layout: Layout::new(capacity)? })
    }

    /// Bytes of memory.
    pub(crate) fn len(&self) -> usize {
        self.ledger() + LEDGER
    }

    /// The outgoing ring.
    pub(crate) fn layout(&self) -> Layout {
        self.layout
    }

    /// Where the ledger is.
    pub(crate) fn ledger(&self) -> usize {
        self.consumer() + self.layout.consumer_len()
    }

    /// Where the consumer's area of the incoming ring is.
    fn consumer(&self) -> usize {
        self.layout.producer_len()
    }
}

/// A ring between two halves, as `chaski_ring::region` takes it.
#[derive(Debug, Clone)]
pub(crate) struct RingMemory {
    producer: Part,
    consumer: Part,
}

/// Part of a mapping.
#[derive(Debug, Clone)]
struct Part {
    mapping: Arc<Mapping>,
    offset: usize,
    len: usize,
}

impl RingMemory {
    /// The ring that this side sends to, of the layout of its own half.
    ///
    /// # Panics
    ///
    /// If a mapping is shorter than its half, or `mine` read-only.
    pub(crate) fn outgoing(
        mine: &Arc<Mapping>,
        my_half: Half,
        theirs: &Arc<Mapping>,
        their_half: Half,
    ) -> RingMemory {
        assert!(mine.is_writable());
        RingMemory {
            producer: Part::producer(mine, my_half),
            consumer: Part::consumer(theirs, their_half),
        }
    }

    /// The ring that this side receives from, of the layout of the other's half.
    ///
    /// # Panics
    ///
    /// As [`RingMemory::outgoing`].
    pub(crate) fn incoming(
        mine: &Arc<Mapping>,
        my_half: Half,
        theirs: &Arc<Mapping>,
        their_half: Half,
    ) -> RingMemory {
        assert!(mine.is_writable());
        RingMemory {
            producer: Part::producer(theirs, their_half),
            consumer: Part::consumer(mine, my_half),
        }
    }
}

impl Part {
    fn producer(mapping: &Arc<Mapping>, half: Half) -> Part {
        Part::new(mapping, 0, half.layout.producer_len())
    }

    fn consumer(mapping: &Arc<Mapping>, half: Half) -> Part {
        Part::new(mapping, half.consumer(), half.layout.consumer_len())
    }

    fn new(mapping: &Arc<Mapping>, offset: usize, len: usize) -> Part {
        // Panics now rather than later.
        mapping.area(offset, len);
        Part { mapping: Arc::clone(mapping), offset, len }
    }

    fn area(&self) -> Area {
        self.mapping.area(self.offset, self.len)
    }
}

// SAFETY: the areas are parts of mappings, which stay where they are until the last `Arc` is gone,
// and whose memory is sealed against shrinking. The one that this side writes, the producer's of an
// outgoing ring, the consumer's of an incoming one, is in a writable mapping, as the constructors
// make sure. This process touches a mapping in no other way than atomically or by the copies of
// `region`; the exceptions, `bytes` and `bytes_mut`, are made only of mappings that hold no ring.
unsafe impl Memory for RingMemory {
    fn areas(&self) -> Areas {
        Areas { producer: self.producer.area(), consumer: self.consumer.area() }
    }
}
