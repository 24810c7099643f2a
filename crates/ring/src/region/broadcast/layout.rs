//! Where every word of a broadcast lies.
//!
//! ```text
//!            publisher's area                        a subscriber's page
//!      0  +-----------------------------+      0  +-----------------------------+
//!         | magic, version, capacity    |         | magic, version, capacity    |
//!    128  +-----------------------------+    128  +-----------------------------+
//!         | doze, bell                  |         | doze, bell                  |
//!    256  +-----------------------------+    256  +-----------------------------+
//!         | tail                        |         | cursor                      |
//!    384  +-----------------------------+    384  +-----------------------------+
//!         | records, bytes,             |         | received, bytes, lost       |
//!         | stalls, cut off             |   4096  +-----------------------------+
//!    512  +-----------------------------+
//!         | oldest, overwritten,        |
//!         | subscribers                 |
//!   4096  +-----------------------------+
//!         | records: `capacity` bytes   |
//!         +-----------------------------+
//! ```

use super::super::error::{AttachError, Corrupt};
use super::super::extent::{self, Extent, check_name, name};
use super::super::layout::{self as ring, CAPACITY, CURSOR, HEADER, LINE, STALLS};
use super::super::memory::Words;
use super::super::record::{Header, Kind, WORD};

// Indexes of words, beside those that a ring has too.
/// Publisher: the tail, up to where records are published. Subscriber: up to where it has read.
pub(super) const POSITION: usize = CURSOR;
/// Publisher: subscribers that were cut off.
pub(super) const CUT_OFF: usize = STALLS + 1;
/// Publisher: the bytes of records before this position may be written over at any time.
pub(super) const OLDEST: usize = 4 * LINE;
/// Publisher: the sequence number of the record at the oldest position, or an earlier one: as many
/// records at least are gone.
pub(super) const OVERWRITTEN: usize = 4 * LINE + 1;
/// Publisher: subscribers now.
pub(super) const SUBSCRIBERS: usize = 4 * LINE + 2;
/// Subscriber: records that it lost.
pub(super) const LOST: usize = STALLS;
/// Words of a header that mean something.
const USED: usize = SUBSCRIBERS + 1;

const PUBLISHER: [u8; 8] = *b"chskpubl";
const SUBSCRIBER: [u8; 8] = *b"chsksubs";

const _: () = assert!(USED * WORD <= HEADER);

/// The sizes of a broadcast, all derived from its capacity.
///
/// Each side holds its own layout, agreed on outside the ring; what the memory says is only
/// compared with it.
///
/// ```
/// use chaski_ring::region::broadcast::Layout;
///
/// let layout = Layout::new(64 * 1024)?;
/// assert_eq!(layout.publisher_len(), 4096 + 64 * 1024);
/// assert_eq!(layout.subscriber_len(), 4096);
/// assert_eq!(layout.payload_max(), 32 * 1024 - 16);
/// # Ok::<(), chaski_ring::region::AttachError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout(ring::Layout);

impl Layout {
    /// The smallest capacity, in bytes.
    pub const CAPACITY_MIN: usize = ring::Layout::CAPACITY_MIN;

    /// The largest capacity, in bytes: 1 GiB.
    pub const CAPACITY_MAX: usize = ring::Layout::CAPACITY_MAX;

    /// The layout of a ring with `capacity` bytes of records.
    ///
    /// # Errors
    ///
    /// [`AttachError::BadCapacity`]: not a power of two between [`Layout::CAPACITY_MIN`] and
    /// [`Layout::CAPACITY_MAX`].
    pub fn new(capacity: usize) -> Result<Self, AttachError> {
        ring::Layout::new(capacity).map(Layout)
    }

    /// Bytes for records. A record takes 16 bytes and its payload, rounded up to a multiple of 8.
    pub fn capacity(&self) -> usize {
        self.0.capacity()
    }

    /// The longest payload: with its two words, half of the capacity, so that it can be published
    /// wherever in the ring the last record ended.
    pub fn payload_max(&self) -> usize {
        self.capacity() / 2 - 2 * WORD
    }

    /// Bytes of the publisher's area.
    pub fn publisher_len(&self) -> usize {
        self.0.producer_len()
    }

    /// Bytes of a subscriber's page.
    pub fn subscriber_len(&self) -> usize {
        self.0.consumer_len()
    }

    /// Makes a subscriber's page, whatever was in it. Done by the subscriber, before it gives the
    /// page to the publisher. Writes.
    ///
    /// # Errors
    ///
    /// [`AttachError::Misaligned`], [`AttachError::TooSmall`].
    pub fn format_subscriber(&self, page: &impl Extent) -> Result<(), AttachError> {
        let words = extent::words(page.area(), self.subscriber_len())?;
        self.format(&words, SUBSCRIBER);
        Ok(())
    }

    /// Makes the publisher's area.
    pub(super) fn format_publisher(&self, area: &impl Extent) -> Result<Words, AttachError> {
        let words = extent::words(area.area(), self.publisher_len())?;
        words.store(self.index(0), 0);
        self.format(&words, PUBLISHER);
        Ok(words)
    }

    fn format(&self, words: &Words, magic: [u8; 8]) {
        (0..USED).for_each(|at| words.store(at, 0));
        words.store(CAPACITY, self.capacity() as u64);
        name(words, magic);
    }

    /// The publisher's area, with everything checked that does not change.
    pub(super) fn open_publisher(&self, area: &impl Extent) -> Result<Words, AttachError> {
        self.open(extent::words(area.area(), self.publisher_len())?, PUBLISHER)
    }

    /// A subscriber's page, checked in the same way.
    pub(super) fn open_subscriber(&self, page: &impl Extent) -> Result<Words, AttachError> {
        self.open(extent::words(page.area(), self.subscriber_len())?, SUBSCRIBER)
    }

    fn open(&self, words: Words, magic: [u8; 8]) -> Result<Words, AttachError> {
        check_name(&words, magic)?;
        match words.load(CAPACITY) {
            found if found == self.capacity() as u64 => Ok(words),
            found => Err(AttachError::BadCapacity { found }),
        }
    }

    /// A publisher's area with the layout that it claims to have, for those who only look on.
    pub(super) fn read_publisher(area: &impl Extent) -> Result<(Self, Words), AttachError> {
        let layout = Layout::read(area, PUBLISHER)?;
        Ok((layout, layout.open_publisher(area)?))
    }

    /// A subscriber's page, in the same way.
    pub(super) fn read_subscriber(page: &impl Extent) -> Result<(Self, Words), AttachError> {
        let layout = Layout::read(page, SUBSCRIBER)?;
        Ok((layout, layout.open_subscriber(page)?))
    }

    fn read(memory: &impl Extent, magic: [u8; 8]) -> Result<Self, AttachError> {
        let words = extent::words(memory.area(), HEADER)?;
        check_name(&words, magic)?;
        let found = words.load(CAPACITY);
        usize::try_from(found).map_err(|_| AttachError::BadCapacity { found }).and_then(Layout::new)
    }

    /// The index of the word at a position.
    #[inline]
    pub(super) fn index(&self, position: u64) -> usize {
        self.0.index(position)
    }

    /// Bytes from a position to the end of the records.
    #[inline]
    pub(super) fn bytes_left(&self, position: u64) -> usize {
        self.0.bytes_left(position)
    }

    /// The header that `word` is at `position`, and the bytes of what it heads, if such a one can
    /// be there.
    #[inline]
    pub(super) fn header(&self, word: u64, position: u64) -> Result<(Header, u64), Corrupt> {
        let left = self.bytes_left(position);
        let sized = Header::decode(word).map(|header| match header.kind {
            Kind::Record => (header, record_size(header.len as usize)),
            Kind::Pad => (header, header.size()),
        });
        sized
            .filter(|(header, size)| {
                let in_place = match header.kind {
                    Kind::Record => *size <= left,
                    Kind::Pad => *size == left,
                };
                in_place && *size <= self.capacity() / 2
            })
            .map(|(header, size)| (header, size as u64))
            .ok_or(Corrupt::Header { position, word })
    }

    /// A position as another side gave it, if one can be there.
    pub(super) fn position(&self, position: u64) -> Result<u64, Corrupt> {
        self.0.cursor(position)
    }
}

/// Bytes that a payload of `len` takes, its header and its sequence number included.
#[inline]
pub(super) fn record_size(len: usize) -> usize {
    2 * WORD + len.next_multiple_of(WORD)
}
