//! The side that reads records.

use std::fmt;

use super::super::error::{AttachError, Corrupt};
use super::super::extent::Extent;
use super::super::layout::{BYTES, MESSAGES};
use super::super::memory::{Words, as_uninit};
use super::super::record::Kind;
use super::super::waiting::{Fence, Waiting};
use super::error::RecvError;
use super::layout::{LOST, Layout, OLDEST, OVERWRITTEN, POSITION};
use super::starts::Start;

/// The reading side of a broadcast: one of them.
///
/// Nothing here waits and nothing calls the system: a ring with nothing new answers `None`.
///
/// Whatever the publisher's area may hold, no call reads outside it, panics, allocates more than
/// the limit for one record, or loops; what no publisher would write is found out
/// ([`RecvError::Corrupt`]), and where it cannot be, the payload is garbage, which its reader must
/// expect from a peer it does not trust.
///
/// Where it has read up to is private and shown when an eighth of the ring has been read
/// ([`Subscriber::publish_every`]), when nothing new is found, and by [`Subscriber::publish`].
pub struct Subscriber<M> {
    layout: Layout,
    page: Words,
    ring: Words,
    /// Where the next record is, or will be.
    next: u64,
    /// Its number; the least it can be if `jumped`.
    sequence: u64,
    /// Records were lost, and it is not yet known how many.
    jumped: bool,
    /// The cursor that the publisher can see.
    published: u64,
    publish_every: u64,
    limit: usize,
    received: u64,
    bytes: u64,
    lost: u64,
    corrupt: Option<Corrupt>,
    waiting: Waiting,
    /// What keeps the words in place.
    _memory: (M, M),
}

/// What was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// Bytes of payload.
    pub len: usize,
    /// What the publisher gave.
    pub tag: u16,
    /// How many records were published before this one.
    pub sequence: u64,
}

/// A record that was looked at and found sound.
#[derive(Debug, Clone, Copy)]
struct Found {
    record: Record,
    /// Where its header is.
    position: u64,
    /// Where the next record is.
    end: u64,
}

/// What a look at the next record says.
enum Look {
    /// None has been published.
    Nothing,
    /// It is there, and the caller has seen it whole.
    Whole(Found),
    /// It has been written over, before or while it was looked at.
    Lapped,
}

impl<M: Extent> Subscriber<M> {
    /// The reader of a broadcast that begins where the publisher said
    /// ([`Publisher::subscribe`](super::Publisher::subscribe)). Of the memory, `ring` is the
    /// publisher's area and only read, and `page` is its own, formatted by it before, and written.
    ///
    /// # Errors
    ///
    /// Where the memory is not of a broadcast of this layout, see [`AttachError`];
    /// [`AttachError::Corrupt`] where nothing can begin at `start`.
    pub fn attach(
        ring: M,
        page: M,
        layout: Layout,
        start: Start,
        fence: Fence,
    ) -> Result<Self, AttachError> {
        let (theirs, mine) = (layout.open_publisher(&ring)?, layout.open_subscriber(&page)?);
        let next = layout.position(start.position)?;
        mine.publish(POSITION, next);
        Ok(Subscriber {
            layout,
            next,
            sequence: start.sequence,
            jumped: false,
            published: next,
            publish_every: layout.capacity() as u64 / 8,
            limit: layout.payload_max(),
            received: 0,
            bytes: 0,
            lost: 0,
            corrupt: None,
            waiting: Waiting::resume(&mine, fence),
            page: mine,
            ring: theirs,
            _memory: (ring, page),
        })
    }

    /// Takes no payload longer than `limit` bytes ([`RecvError::TooLong`]).
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Shows where it has read up to once `bytes` of records have been read, with 0 after each.
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
    /// [`RecvError::Lagged`], and the next call goes on behind what was lost.
    /// [`RecvError::TooLong`], and the record stays: [`Subscriber::skip`] passes over it.
    /// [`RecvError::Corrupt`].
    #[inline]
    pub fn try_recv(&mut self, into: &mut Vec<u8>) -> Result<Option<Record>, RecvError> {
        into.clear();
        self.try_append(into)
    }

    /// As [`Subscriber::try_recv`], but adds to what `into` holds.
    ///
    /// # Errors
    ///
    /// As [`Subscriber::try_recv`]; on any, `into` is as it was.
    #[inline]
    pub fn try_append(&mut self, into: &mut Vec<u8>) -> Result<Option<Record>, RecvError> {
        let before = into.len();
        let received = self.receive(self.limit, |ring, at, len| {
            into.truncate(before);
            ring.append(at, len, into);
        });
        if !matches!(received, Ok(Some(_))) {
            into.truncate(before);
        }
        received
    }

    /// Receives the next record into the first bytes of `into`, which are of no meaning unless
    /// there was one.
    ///
    /// # Errors
    ///
    /// As [`Subscriber::try_recv`]; the limit is the length of `into` where that is less.
    #[inline]
    pub fn try_recv_slice(&mut self, into: &mut [u8]) -> Result<Option<Record>, RecvError> {
        self.receive(self.limit.min(into.len()), |ring, at, len| {
            ring.copy_out(at, as_uninit(&mut into[..len]));
        })
    }

    /// Passes over the next record; whether there was one.
    ///
    /// # Errors
    ///
    /// [`RecvError::Lagged`], [`RecvError::Corrupt`].
    pub fn skip(&mut self) -> Result<bool, RecvError> {
        Ok(self.receive(usize::MAX, |_, _, _| {})?.is_some())
    }

    /// Whether there is a record, or a loss to be told of. This is what to look at between
    /// [`Subscriber::announce`] and sleep.
    ///
    /// # Errors
    ///
    /// [`RecvError::Corrupt`], where it was found earlier.
    pub fn is_ready(&mut self) -> Result<bool, RecvError> {
        if let Some(corrupt) = self.corrupt {
            return Err(corrupt.into());
        }
        let ready = self.ring.load(self.layout.index(self.next)) != 0 || self.is_lapped();
        if !ready {
            self.publish();
        }
        Ok(ready)
    }

    /// Shows the publisher where this side has read up to.
    #[inline]
    pub fn publish(&mut self) {
        if self.published == self.next {
            return;
        }
        self.published = self.next;
        // ORDERING: release, pairs with the fence of the publisher's look at the cursors: it writes
        // over these records only after they were read.
        self.page.publish(POSITION, self.next);
        self.waiting.owe();
    }

    /// Says that this side is about to sleep until a record comes: it must look
    /// ([`Subscriber::is_ready`]) after this and before it sleeps. Returns the value that the word
    /// at [`Subscriber::sleep_word`] has until the publisher rings for anyone.
    pub fn announce(&mut self) -> u32 {
        self.waiting.announce(&self.page, &self.ring)
    }

    /// Says that this side is up again, woken or not.
    pub fn awake(&mut self) {
        self.waiting.awake(&self.page);
    }

    /// Whether the publisher sleeps, waiting for room, and must be woken; asked after receiving and
    /// before sleep, answered `true` once a sleep. Of interest only to those it waits for
    /// ([`Policy::Block`](super::Policy::Block)).
    #[inline]
    #[must_use]
    pub fn must_wake(&mut self) -> bool {
        self.waiting.must_wake(&self.page, &self.ring)
    }

    /// The futex word to sleep on; the publisher writes it, for all its subscribers.
    #[cfg(not(loom))]
    pub fn sleep_word(&self) -> *const u32 {
        Waiting::futex(&self.ring)
    }

    /// The number that the next record has, or the least it can have if some were lost.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Records that this side lost.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// The sizes of the ring.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The next record, which `copy` is given to read while that may yet be in vain: what it has
    /// read counts only if a record is returned.
    #[inline]
    fn receive(
        &mut self,
        limit: usize,
        mut copy: impl FnMut(&Words, usize, usize),
    ) -> Result<Option<Record>, RecvError> {
        if let Some(corrupt) = self.corrupt {
            return Err(corrupt.into());
        }
        match self.look(limit, &mut copy)? {
            Look::Nothing => Ok(self.nothing()),
            Look::Whole(found) => self.take(found, limit).map(Some),
            Look::Lapped => self.receive_lapped(limit, &mut copy),
        }
    }

    /// As `receive`, where the record due is gone.
    ///
    /// A second lap in between is told of: by then the publisher has written down how much the
    /// first one cost, see [`Subscriber::jump`]. So this looks once more and no more, however fast
    /// the publisher is.
    #[cold]
    fn receive_lapped(
        &mut self,
        limit: usize,
        copy: &mut impl FnMut(&Words, usize, usize),
    ) -> Result<Option<Record>, RecvError> {
        self.jump()?;
        match self.look(limit, copy)? {
            Look::Nothing => Ok(self.nothing()),
            Look::Whole(found) => self.take(found, limit).map(Some),
            Look::Lapped => {
                let position = self.next;
                self.jump()?;
                Err(self.found_out(Corrupt::Cursor { position }).into())
            }
        }
    }

    /// Looks at the next record.
    #[inline]
    fn look(
        &mut self,
        limit: usize,
        copy: &mut impl FnMut(&Words, usize, usize),
    ) -> Result<Look, Corrupt> {
        let word = self.ring.load(self.layout.index(self.next));
        // ORDERING: pairs with the release of the publisher's `publish`: the rest of the record is
        // there, and the word behind it is zero or newer.
        self.ring.acquired();
        let judged = if word == 0 { Ok(None) } else { self.judge(word).map(Some) };
        if let Ok(Some(Found { record, position, .. })) = judged
            && record.len <= limit
        {
            copy(&self.ring, self.layout.index(position) + 2, record.len);
        }
        // All of that may have been written over under this side's hands: no word of it counts,
        // and not even its being nonsense, until this is ruled out.
        if self.is_lapped() {
            return Ok(Look::Lapped);
        }
        match judged {
            Ok(None) => Ok(Look::Nothing),
            Ok(Some(found)) => Ok(Look::Whole(found)),
            Err(corrupt) => Err(self.found_out(corrupt)),
        }
    }

    /// Whether what was read at the next position may have been written over by then.
    #[inline]
    fn is_lapped(&self) -> bool {
        // ORDERING: pairs with the fence of `Publisher::give_up`: if a load before this one saw
        // what was written over a record, the load below sees that the record was given up.
        self.ring.acquired();
        self.ring.load(OLDEST) > self.next
    }

    /// The record at the next position, or behind the pad there, by the header that was found.
    #[inline]
    fn judge(&self, word: u64) -> Result<Found, Corrupt> {
        let mut position = self.next;
        let (mut header, mut size) = self.layout.header(word, position)?;
        if header.kind == Kind::Pad {
            position += size;
            let word = self.ring.load(self.layout.index(position));
            (header, size) = self.layout.header(word, position)?;
            if header.kind == Kind::Pad {
                return Err(Corrupt::Header { position, word });
            }
        }
        let sequence = self.ring.load(self.layout.index(position) + 1);
        let record = Record { len: header.len as usize, tag: header.tag, sequence };
        Ok(Found { record, position, end: position + size })
    }

    fn nothing(&mut self) -> Option<Record> {
        self.publish();
        None
    }

    /// Moves behind a record, if it is the next one and within the limit.
    #[inline]
    fn take(&mut self, found: Found, limit: usize) -> Result<Record, RecvError> {
        let Record { len, sequence, .. } = found.record;
        if sequence != self.sequence {
            let position = found.position;
            if !self.jumped || sequence < self.sequence {
                let corrupt = Corrupt::Sequence { position, sequence, from: self.sequence };
                return Err(self.found_out(corrupt).into());
            }
            self.jumped = false;
            return Err(self.lose_until(sequence));
        }
        self.jumped = false;
        if len > limit {
            return Err(RecvError::TooLong { len, limit });
        }
        self.next = found.end;
        self.sequence = sequence.wrapping_add(1);
        self.received = self.received.wrapping_add(1);
        self.bytes = self.bytes.wrapping_add(len as u64);
        self.page.store(MESSAGES, self.received);
        self.page.store(BYTES, self.bytes);
        if self.next - self.published >= self.publish_every {
            self.publish();
        }
        Ok(found.record)
    }

    /// Goes to the oldest record. What that costs may be known already, and is then the error.
    ///
    /// The publisher stores the oldest position, and after it the number of the record there. So a
    /// number read before a position is that of this position or of an earlier one: that many are
    /// gone for certain, and the record at the position, once it can be read, tells of the others.
    /// And who has been given two positions has been given the number of the first with the second.
    fn jump(&mut self) -> Result<(), RecvError> {
        // ORDERING: pairs with the release of the oldest position in `Publisher::give_up`, see
        // there: of the number that belongs to the position before.
        self.ring.acquired();
        let sequence = self.ring.load(OVERWRITTEN);
        // ORDERING: the position below is no older than the number above: pairs with the fence of
        // `Publisher::give_up`, between the two.
        self.ring.acquired();
        let position = self.ring.load(OLDEST);
        // ORDERING: pairs with the release of the position: the header there, or the zero in its
        // place, is what the look after this finds.
        self.ring.acquired();
        if position <= self.next || self.layout.position(position).is_err() {
            return Err(self.found_out(Corrupt::Cursor { position }).into());
        }
        self.next = position;
        self.jumped = true;
        if sequence > self.sequence {
            return Err(self.lose_until(sequence));
        }
        Ok(())
    }

    fn lose_until(&mut self, sequence: u64) -> RecvError {
        let lost = sequence - self.sequence;
        self.sequence = sequence;
        self.lost = self.lost.wrapping_add(lost);
        self.page.store(LOST, self.lost);
        RecvError::Lagged { lost }
    }

    #[cold]
    fn found_out(&mut self, corrupt: Corrupt) -> Corrupt {
        self.corrupt = Some(corrupt);
        corrupt
    }
}

impl<M> fmt::Debug for Subscriber<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber")
            .field("capacity", &self.layout.capacity())
            .field("next", &self.next)
            .field("sequence", &self.sequence)
            .field("lost", &self.lost)
            .field("corrupt", &self.corrupt)
            .finish_non_exhaustive()
    }
}
