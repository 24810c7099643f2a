//! Where every word of a ring lies, and the check that two sides mean the same.
//!
//! ```text
//!            producer's area                         consumer's area
//!      0  +-----------------------------+      0  +-----------------------------+
//!         | magic, version, capacity    |         | magic, version, capacity    |
//!    128  +-----------------------------+    128  +-----------------------------+
//!         | doze, bell                  |         | doze, bell                  |
//!    256  +-----------------------------+    256  +-----------------------------+
//!         | tail                        |         | head                        |
//!    384  +-----------------------------+    384  +-----------------------------+
//!         | messages, bytes, stalls     |         | messages, bytes             |
//!   4096  +-----------------------------+   4096  +-----------------------------+
//!         | records: `capacity` bytes   |
//!         +-----------------------------+
//! ```
//!
//! Words of 8 bytes in the machine's byte order. The gaps keep words that move at different times
//! on lines of their own; 128 bytes, because x86-64 fetches lines in pairs. The records begin on a
//! page of their own.

use super::error::{AttachError, Corrupt};
use super::extent;
use super::memory::{Area, Memory, Words};
use super::record::{Header, Kind, WORD};

/// The version of the layout that this code writes and reads.
pub const VERSION: u64 = 1;

/// Bytes in front of the records, and all there is of the consumer's area.
pub(super) const HEADER: usize = if cfg!(loom) { 5 * LINE * WORD } else { 4096 };

/// How an area must be aligned.
pub(super) const ALIGN: usize = if cfg!(loom) { WORD } else { 4096 };

/// Words from one line to the next.
pub(super) const LINE: usize = if cfg!(loom) { 4 } else { 16 };

// Indexes of words, the same in both areas.
pub(super) const MAGIC: usize = 0;
pub(super) const VERSION_AT: usize = 1;
pub(super) const CAPACITY: usize = 2;
/// Odd while the owner of the area sleeps or is about to.
pub(super) const DOZE: usize = LINE;
/// How often the owner of the area woke the other side. Its low 32 bits are a futex word.
pub(super) const BELL: usize = LINE + 1;
/// Producer: where its next record goes. Consumer: up to where the space is free again.
pub(super) const CURSOR: usize = 2 * LINE;
/// Messages sent or received.
pub(super) const MESSAGES: usize = 3 * LINE;
/// Payload bytes of those.
pub(super) const BYTES: usize = 3 * LINE + 1;
/// Producer: how often it found the ring full after a send that went through.
pub(super) const STALLS: usize = 3 * LINE + 2;
/// Words of a header that mean something.
const USED: usize = STALLS + 1;
/// Producer: the first word of the records.
const RECORDS: usize = HEADER / WORD;

/// The largest position that a ring can be taken up at. At 20 GB/s it is 14 years away.
const POSITION_MAX: u64 = u64::MAX / 2;

/// Whose area it is; each begins with a magic of its own, so that two that were mixed up are found
/// out.
#[derive(Clone, Copy)]
pub(super) enum Side {
    Producer,
    Consumer,
}

impl Side {
    fn name(self) -> [u8; 8] {
        match self {
            Side::Producer => *b"chskprod",
            Side::Consumer => *b"chskcons",
        }
    }
}

/// The sizes of a ring, all derived from its capacity.
///
/// Each side holds its own layout, agreed on outside the ring; what the memory says is only
/// compared with it.
///
/// ```
/// use chaski_ring::region::Layout;
///
/// let layout = Layout::new(64 * 1024)?;
/// assert_eq!(layout.producer_len(), 4096 + 64 * 1024);
/// assert_eq!(layout.consumer_len(), 4096);
/// assert_eq!(layout.payload_max(), 32 * 1024 - 8);
/// # Ok::<(), chaski_ring::region::AttachError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    capacity: usize,
}

impl Layout {
    /// The smallest capacity, in bytes.
    pub const CAPACITY_MIN: usize = 64;

    /// The largest capacity, in bytes: 1 GiB.
    pub const CAPACITY_MAX: usize = 1 << 30;

    /// The layout of a ring with `capacity` bytes of records.
    ///
    /// # Errors
    ///
    /// [`AttachError::BadCapacity`]: not a power of two between [`Layout::CAPACITY_MIN`] and
    /// [`Layout::CAPACITY_MAX`].
    pub fn new(capacity: usize) -> Result<Self, AttachError> {
        let within = (Self::CAPACITY_MIN..=Self::CAPACITY_MAX).contains(&capacity);
        if !within || !capacity.is_power_of_two() {
            return Err(AttachError::BadCapacity { found: capacity as u64 });
        }
        Ok(Layout { capacity })
    }

    /// Bytes for records. A record takes 8 bytes and its payload, rounded up to a multiple of 8;
    /// all but 8 bytes can be in use at once.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// The longest payload: with its header, half of the capacity. A record of that size fits into
    /// an empty ring wherever the cursors stand; a larger one might never, because it must lie in
    /// one piece.
    pub fn payload_max(&self) -> usize {
        self.capacity / 2 - WORD
    }

    /// Bytes that can be in use at once: there is always a free word behind the last record.
    #[inline]
    pub(super) fn in_use_max(&self) -> u64 {
        (self.capacity - WORD) as u64
    }

    /// Bytes of the producer's area.
    pub fn producer_len(&self) -> usize {
        HEADER + self.capacity
    }

    /// Bytes of the consumer's area.
    pub fn consumer_len(&self) -> usize {
        HEADER
    }

    /// Makes an empty ring of two areas, whatever was in them. Done once, by whoever brings the
    /// memory, before either side attaches; both areas must be writable.
    ///
    /// Where each side brings the area that it writes, each formats its own:
    /// [`Layout::format_producer`], [`Layout::format_consumer`].
    ///
    /// # Errors
    ///
    /// [`AttachError::Misaligned`], [`AttachError::TooSmall`].
    pub fn format<M: Memory>(&self, memory: &M) -> Result<(), AttachError> {
        self.format_producer(memory)?;
        self.format_consumer(memory, 0)
    }

    /// Makes the producer's area of an empty ring, whatever was in it. The consumer's area is not
    /// looked at and need not be there yet, see [`Memory`].
    ///
    /// # Errors
    ///
    /// As [`Layout::format`].
    pub fn format_producer<M: Memory>(&self, memory: &M) -> Result<(), AttachError> {
        let words = self.words(memory.areas().producer, Side::Producer)?;
        words.store(RECORDS, 0);
        self.format_header(&words, Side::Producer, 0);
        Ok(())
    }

    /// Makes the consumer's area of a ring, whatever was in it, for a consumer that begins at
    /// `head`. The producer's area is not looked at and need not be there yet, see [`Memory`].
    ///
    /// The head of a new ring is 0. Any other is that of a ring whose earlier consumer is dead and
    /// whose producer lives on: what [`Producer::released`] said. Both sides then take the ring up
    /// with `resume`.
    ///
    /// A head inside a record is not told apart here: it makes the consumer find headers that are
    /// none.
    ///
    /// [`Producer::released`]: super::Producer::released
    ///
    /// # Errors
    ///
    /// As [`Layout::format`]; [`AttachError::Corrupt`] where no head can be at `head`.
    pub fn format_consumer<M: Memory>(&self, memory: &M, head: u64) -> Result<(), AttachError> {
        let words = self.words(memory.areas().consumer, Side::Consumer)?;
        self.format_header(&words, Side::Consumer, self.cursor(head)?);
        Ok(())
    }

    fn format_header(&self, words: &Words, side: Side, cursor: u64) {
        (0..USED).for_each(|at| words.store(at, 0));
        words.store(CAPACITY, self.capacity as u64);
        words.store(CURSOR, cursor);
        extent::name(words, side.name());
    }

    /// The layout that an area claims to have, for those who only look on.
    pub(super) fn read<M: Memory>(memory: &M) -> Result<Self, AttachError> {
        let area = memory.areas().producer;
        let smallest = Layout { capacity: Self::CAPACITY_MIN };
        let words = smallest.words(area, Side::Producer)?;
        extent::check_name(&words, Side::Producer.name())?;
        let found = words.load(CAPACITY);
        usize::try_from(found).map_err(|_| AttachError::BadCapacity { found }).and_then(Layout::new)
    }

    /// Both areas, with everything checked that does not change while the ring lives.
    pub(super) fn open<M: Memory>(&self, memory: &M) -> Result<(Words, Words), AttachError> {
        let areas = memory.areas();
        let producer = self.words(areas.producer, Side::Producer)?;
        let consumer = self.words(areas.consumer, Side::Consumer)?;
        for (words, side) in [(&producer, Side::Producer), (&consumer, Side::Consumer)] {
            extent::check_name(words, side.name())?;
            let found = words.load(CAPACITY);
            if found != self.capacity as u64 {
                return Err(AttachError::BadCapacity { found });
            }
        }
        Ok((producer, consumer))
    }

    /// An area as words, once it is known to be large enough.
    fn words(&self, area: Area, side: Side) -> Result<Words, AttachError> {
        let required = match side {
            Side::Producer => self.producer_len(),
            Side::Consumer => self.consumer_len(),
        };
        extent::words(area, required)
    }

    /// The index of the word at a position.
    #[inline]
    pub(super) fn index(&self, position: u64) -> usize {
        RECORDS + self.offset(position) / WORD
    }

    /// Bytes from a position to the end of the records.
    #[inline]
    pub(super) fn bytes_left(&self, position: u64) -> usize {
        self.capacity - self.offset(position)
    }

    #[inline]
    fn offset(&self, position: u64) -> usize {
        // Capacities end at 1 GiB, so what the mask leaves fits.
        (position & (self.capacity as u64 - 1)) as usize
    }

    /// The header that `word` is at `position`, if one of its kind and size can be there.
    #[inline]
    pub(super) fn header(&self, word: u64, position: u64) -> Result<Header, Corrupt> {
        let left = self.bytes_left(position);
        Header::decode(word)
            .filter(|header| {
                let size = header.size();
                let in_place = match header.kind {
                    Kind::Record => size <= left,
                    Kind::Pad => size == left,
                };
                in_place && size <= self.capacity / 2
            })
            .ok_or(Corrupt::Header { position, word })
    }

    /// A cursor as an earlier owner left it, if a cursor can be there.
    pub(super) fn cursor(&self, position: u64) -> Result<u64, Corrupt> {
        if position <= POSITION_MAX && position.is_multiple_of(WORD as u64) {
            return Ok(position);
        }
        Err(Corrupt::Cursor { position })
    }
}
