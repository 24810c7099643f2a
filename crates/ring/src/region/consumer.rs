//! The side that reads records.

use std::fmt;
#[cfg(not(loom))]
use std::ops::Deref;

use super::error::{AttachError, Corrupt, RecvError};
use super::layout::{BYTES, CURSOR, Layout, MESSAGES};
use super::memory::{Memory, Words, as_uninit};
use super::record::Kind;
#[cfg(not(loom))]
use super::record::WORD;
use super::waiting::{Fence, Waiting};

/// The reading side of a ring.
///
/// Nothing here waits and nothing calls the system: an empty ring answers `None`.
///
/// Whatever the producer's area may hold, no call reads outside it, panics, allocates more than the
/// limit for one record, or loops; what no producer would write is found out
/// ([`RecvError::Corrupt`]), and where it cannot be, the payload is garbage, which its reader must
/// expect from a peer it does not trust.
///
/// # When space is given back
///
/// The head is private and published when an eighth of the ring has been read
/// ([`Consumer::publish_every`]), when the ring is found empty, and by [`Consumer::publish`]. A
/// producer can thus count on seven eighths of the ring while its consumer is at work, and on all
/// of it once the consumer has looked and found nothing.
pub struct Consumer<M> {
    layout: Layout,
    mine: Words,
    theirs: Words,
    /// Where the next record is, or will be.
    next: u64,
    /// The head that the producer can see.
    published: u64,
    publish_every: u64,
    limit: usize,
    /// The record at `next`, if it has been looked at and left there. Its header is never read
    /// again.
    found: Option<Found>,
    messages: u64,
    bytes: u64,
    corrupt: Option<Corrupt>,
    waiting: Waiting,
    /// What keeps the words in place.
    _memory: M,
}

/// What was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// Bytes of payload.
    pub len: usize,
    /// What the sender gave.
    pub tag: u16,
}

/// A record that was looked at and found sound. Whole words throughout: what is stored in a narrow
/// one and loaded with its neighbours waits for the store to reach the cache.
#[derive(Debug, Clone, Copy)]
struct Found {
    /// Its header.
    word: u64,
    /// The index of the payload's first word.
    payload: usize,
    /// Where the next record is.
    end: u64,
}

impl Found {
    #[inline]
    fn len(self) -> usize {
        // The low half of a header.
        self.word as u32 as usize
    }

    #[inline]
    fn record(self) -> Record {
        Record { len: self.len(), tag: (self.word >> 48) as u16 }
    }
}

/// What there is at the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Nothing,
    /// A record, left in `found`.
    Record,
    /// What is in `corrupt`.
    Corrupt,
}

impl<M: Memory> Consumer<M> {
    /// The consumer of a new ring.
    ///
    /// The producer may have begun to send already.
    ///
    /// # Errors
    ///
    /// Where the memory is not a ring of this layout without a consumer so far, see
    /// [`AttachError`].
    pub fn attach(memory: M, layout: Layout, fence: Fence) -> Result<Self, AttachError> {
        let (theirs, mine) = layout.open(&memory)?;
        if mine.load(CURSOR) != 0 {
            return Err(AttachError::InUse);
        }
        Ok(Consumer::take_up(memory, layout, fence, mine, theirs)?)
    }

    /// The consumer of a ring that had one before, which is no more.
    ///
    /// It begins at the published head. What the earlier one read behind that is read again: at
    /// most an eighth of the ring, or what [`Consumer::publish_every`] said. See there for how to
    /// have each record at most once.
    ///
    /// If the earlier one took its area along, it begins in a new one, see
    /// [`Layout::format_consumer`].
    ///
    /// # Errors
    ///
    /// As [`Consumer::attach`]; [`AttachError::Corrupt`] where the head can be none.
    pub fn resume(memory: M, layout: Layout, fence: Fence) -> Result<Self, AttachError> {
        let (theirs, mine) = layout.open(&memory)?;
        Ok(Consumer::take_up(memory, layout, fence, mine, theirs)?)
    }

    fn take_up(
        memory: M,
        layout: Layout,
        fence: Fence,
        mine: Words,
        theirs: Words,
    ) -> Result<Self, Corrupt> {
        let head = layout.cursor(mine.load(CURSOR))?;
        let waiting = Waiting::resume(&mine, fence);
        Ok(Consumer {
            layout,
            next: head,
            published: head,
            publish_every: layout.capacity() as u64 / 8,
            limit: layout.payload_max(),
            found: None,
            messages: mine.load(MESSAGES),
            bytes: mine.load(BYTES),
            corrupt: None,
            waiting,
            mine,
            theirs,
            _memory: memory,
        })
    }

    /// Takes no payload longer than `limit` bytes ([`RecvError::TooLong`]).
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Gives space back once `bytes` of records have been read.
    ///
    /// With 0 each record is given back as it is taken, so that a consumer that is killed and
    /// [resumed](Consumer::resume) sees no record twice: a receive that copies gives it back before
    /// it returns (at most once), a [release](Peeked::release) after it was worked on (at least
    /// once, one record in doubt).
    #[must_use]
    pub fn publish_every(mut self, bytes: usize) -> Self {
        self.publish_every = bytes as u64;
        self
    }

    /// Receives the next record into `into`, whose earlier contents are cleared. `None`: nothing
    /// has been published.
    ///
    /// # Errors
    ///
    /// [`RecvError::TooLong`], and the record stays: [`Consumer::skip`] passes over it.
    /// [`RecvError::Corrupt`].
    #[inline]
    pub fn try_recv(&mut self, into: &mut Vec<u8>) -> Result<Option<Record>, RecvError> {
        into.clear();
        self.try_append(into)
    }

    /// As [`Consumer::try_recv`], but adds to what `into` holds.
    ///
    /// # Errors
    ///
    /// As [`Consumer::try_recv`]; on any, `into` is as it was.
    #[inline]
    pub fn try_append(&mut self, into: &mut Vec<u8>) -> Result<Option<Record>, RecvError> {
        let Some(found) = self.look_within(self.limit)? else { return Ok(None) };
        self.theirs.append(found.payload, found.len(), into);
        self.take(found);
        Ok(Some(found.record()))
    }

    /// Receives the next record into the first bytes of `into`.
    ///
    /// # Errors
    ///
    /// As [`Consumer::try_recv`]; the limit is the length of `into` where that is less.
    #[inline]
    pub fn try_recv_slice(&mut self, into: &mut [u8]) -> Result<Option<Record>, RecvError> {
        let Some(found) = self.look_within(self.limit.min(into.len()))? else { return Ok(None) };
        self.theirs.copy_out(found.payload, as_uninit(&mut into[..found.len()]));
        self.take(found);
        Ok(Some(found.record()))
    }

    /// Receives up to `max` records, each through `buffer` into `each`; how many there were.
    ///
    /// # Errors
    ///
    /// As [`Consumer::try_recv`], when the first record meets one; what meets the second or a later
    /// one is found again by the next call.
    pub fn try_recv_many(
        &mut self,
        max: usize,
        buffer: &mut Vec<u8>,
        mut each: impl FnMut(Record, &[u8]),
    ) -> Result<usize, RecvError> {
        for count in 0..max {
            match self.try_recv(buffer) {
                Ok(Some(record)) => each(record, buffer),
                Err(error) if count == 0 => return Err(error),
                Ok(None) | Err(_) => return Ok(count),
            }
        }
        Ok(max)
    }

    /// Passes over the next record; whether there was one.
    ///
    /// # Errors
    ///
    /// [`RecvError::Corrupt`].
    pub fn skip(&mut self) -> Result<bool, RecvError> {
        let Some(found) = self.look_within(usize::MAX)? else { return Ok(false) };
        self.take(found);
        Ok(true)
    }

    /// Lends the next record where it lies, without a copy.
    ///
    /// # Errors
    ///
    /// As [`Consumer::try_recv`].
    ///
    /// # Safety
    ///
    /// While the loan lives, nobody writes to the records: the producer is trusted to keep the
    /// protocol, and no other process can write there.
    #[cfg(not(loom))]
    pub unsafe fn peek(&mut self) -> Result<Option<Peeked<'_, M>>, RecvError> {
        let Some(found) = self.look_within(self.limit)? else { return Ok(None) };
        Ok(Some(Peeked { consumer: self, found }))
    }

    /// Whether a record is there. This is what to look at between [`Consumer::announce`] and sleep.
    ///
    /// # Errors
    ///
    /// [`RecvError::Corrupt`].
    #[inline]
    pub fn is_ready(&mut self) -> Result<bool, RecvError> {
        match self.look() {
            Look::Nothing => Ok(false),
            Look::Record => Ok(true),
            Look::Corrupt => Err(self.corruption()),
        }
    }

    /// Gives back the space of all that was read.
    #[inline]
    pub fn publish(&mut self) {
        if self.published == self.next {
            return;
        }
        self.published = self.next;
        // ORDERING: release, pairs with the fence of the producer's look at the head: it writes
        // over these records only after they were read.
        self.mine.publish(CURSOR, self.next);
        self.waiting.owe();
    }

    /// Says that this side is about to sleep until a record comes: it must look
    /// ([`Consumer::is_ready`]) after this and before it sleeps. Returns the value that the word at
    /// [`Consumer::sleep_word`] has until the producer rings.
    pub fn announce(&mut self) -> u32 {
        self.waiting.announce(&self.mine, &self.theirs)
    }

    /// Says that this side is up again, woken or not.
    pub fn awake(&mut self) {
        self.waiting.awake(&self.mine);
    }

    /// Says that something was given back that is not in this ring, and that the producer may sleep
    /// for: the next [`Consumer::must_wake`] asks.
    pub fn gave_back(&mut self) {
        self.waiting.owe();
    }

    /// Whether the producer sleeps and must be woken; asked after receiving, answered `true` once a
    /// sleep. It costs next to nothing unless space was given back since the last question.
    #[inline]
    #[must_use]
    pub fn must_wake(&mut self) -> bool {
        self.waiting.must_wake(&self.mine, &self.theirs)
    }

    /// The futex word to sleep on; the producer writes it.
    #[cfg(not(loom))]
    pub fn sleep_word(&self) -> *const u32 {
        Waiting::futex(&self.theirs)
    }

    /// The futex word that the producer sleeps on; this side writes it.
    #[cfg(not(loom))]
    pub fn wake_word(&self) -> *const u32 {
        Waiting::futex(&self.mine)
    }

    /// The sizes of this ring.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The next record, if its payload is within the limit. It stays the next one.
    #[inline]
    fn look_within(&mut self, limit: usize) -> Result<Option<Found>, RecvError> {
        match self.look() {
            Look::Nothing => return Ok(None),
            Look::Record => {}
            Look::Corrupt => return Err(self.corruption()),
        }
        match self.found {
            Some(found) if found.len() > limit => {
                Err(RecvError::TooLong { len: found.len(), limit })
            }
            found => Ok(found),
        }
    }

    #[cold]
    fn corruption(&self) -> RecvError {
        self.corrupt.expect("only what was noted is reported").into()
    }

    /// Looks at the head.
    #[inline]
    fn look(&mut self) -> Look {
        if self.found.is_some() {
            return Look::Record;
        }
        let word = self.theirs.load(self.layout.index(self.next));
        if self.corrupt.is_some() {
            return Look::Corrupt;
        }
        if word == 0 {
            self.publish();
            return Look::Nothing;
        }
        // ORDERING: pairs with the release of the producer's `publish`: the payload is there, and
        // the word behind it is zero or newer.
        self.theirs.acquired();
        match self.judge(word) {
            Ok(found) => {
                self.found = Some(found);
                Look::Record
            }
            Err(corrupt) => {
                self.corrupt = Some(corrupt);
                Look::Corrupt
            }
        }
    }

    /// The record at the head, or behind the pad there, by the header that was found. A pad is
    /// published together with the record behind it, so there is at most one, and never nothing.
    #[inline(always)]
    fn judge(&self, mut word: u64) -> Result<Found, Corrupt> {
        let mut position = self.next;
        let mut header = self.layout.header(word, position)?;
        if header.kind == Kind::Pad {
            position += header.size() as u64;
            word = self.theirs.load(self.layout.index(position));
            header = self.layout.header(word, position)?;
            if header.kind == Kind::Pad {
                return Err(Corrupt::Header { position, word });
            }
        }
        let end = position + header.size() as u64;
        if end - self.published > self.layout.in_use_max() {
            return Err(Corrupt::Overrun { position });
        }
        Ok(Found { word, payload: self.layout.index(position) + 1, end })
    }

    /// Moves behind a record.
    #[inline]
    fn take(&mut self, found: Found) {
        self.found = None;
        self.next = found.end;
        self.messages = self.messages.wrapping_add(1);
        self.bytes = self.bytes.wrapping_add(found.len() as u64);
        self.mine.store(MESSAGES, self.messages);
        self.mine.store(BYTES, self.bytes);
        if self.next - self.published >= self.publish_every {
            self.publish();
        }
    }
}

impl<M> fmt::Debug for Consumer<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer")
            .field("capacity", &self.layout.capacity())
            .field("next", &self.next)
            .field("published", &self.published)
            .field("corrupt", &self.corrupt)
            .finish_non_exhaustive()
    }
}

/// A record in its place, lent by [`Consumer::peek`]. Dropped without [`Peeked::release`] it is
/// the next record still.
#[cfg(not(loom))]
#[derive(Debug)]
pub struct Peeked<'a, M> {
    consumer: &'a mut Consumer<M>,
    found: Found,
}

#[cfg(not(loom))]
impl<M: Memory> Peeked<'_, M> {
    /// Moves behind this record.
    pub fn release(self) {
        self.consumer.take(self.found);
    }
}

#[cfg(not(loom))]
impl<M> Peeked<'_, M> {
    /// What the sender gave.
    pub fn tag(&self) -> u16 {
        self.found.record().tag
    }
}

#[cfg(not(loom))]
impl<M> Deref for Peeked<'_, M> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let base = self.consumer.theirs.address(self.found.payload - 1).wrapping_add(WORD);
        // SAFETY: `judge` found the record to lie within the ring. That nobody writes there was
        // promised to `peek`, and this loan borrows the consumer, which gives the space back.
        unsafe { std::slice::from_raw_parts(base, self.found.len()) }
    }
}
