//! The side that writes records.

use std::fmt;
#[cfg(not(loom))]
use std::ops::{Deref, DerefMut};

use super::error::{AttachError, Corrupt, SendError};
use super::layout::{BYTES, CURSOR, Layout, MESSAGES, STALLS};
use super::memory::{Memory, Words};
use super::record::{Header, WORD, size_of_record};
use super::waiting::{Fence, Waiting};

/// How far [`Producer::publish`] fetches ahead.
const LINES_AHEAD: u64 = 2;

/// Bytes of a line, as the processor moves it.
const LINE_BYTES: u64 = 64;

/// The writing side of a ring.
///
/// Nothing here waits and nothing calls the system: a full ring answers [`SendError::Full`].
///
/// Whatever the consumer's area may hold, no call reads or writes outside the producer's area and
/// the header of the consumer's, panics, or loops longer than one walk over the ring; lies about
/// the head are found out ([`SendError::Corrupt`]), or cost the consumer its own records.
///
/// A producer that is dropped, or that dies, leaves what it published; what it staged is gone.
pub struct Producer<M> {
    layout: Layout,
    mine: Words,
    theirs: Words,
    /// Where the next record goes. The word there is zero.
    end: u64,
    /// Where the staged records begin: their first header is withheld and the word there is zero.
    /// Equal to `end` if nothing is staged.
    open: u64,
    /// The withheld header.
    withheld: u64,
    /// The consumer's head, as last seen.
    head: u64,
    messages: u64,
    bytes: u64,
    stalls: u64,
    /// The ring was full at the last try.
    stalled: bool,
    corrupt: Option<Corrupt>,
    waiting: Waiting,
    /// What keeps the words in place.
    _memory: M,
}

/// Where a record will lie, found to be free.
#[derive(Debug)]
struct Place {
    /// Bytes of pad in front of it.
    pad: usize,
    /// Its header's position.
    start: u64,
}

impl<M: Memory> Producer<M> {
    /// The producer of a new ring.
    ///
    /// # Errors
    ///
    /// Where the memory is not a new ring of this layout, see [`AttachError`].
    pub fn attach(memory: M, layout: Layout, fence: Fence) -> Result<Self, AttachError> {
        let (mine, theirs) = layout.open(&memory)?;
        if mine.load(CURSOR) != 0 || mine.load(layout.index(0)) != 0 {
            return Err(AttachError::InUse);
        }
        Ok(Producer::take_up(memory, layout, fence, mine, theirs)?)
    }

    /// The producer of a ring that had one before, which is no more.
    ///
    /// It goes on behind the last record that was published. What the earlier one had not published
    /// when it went is written over.
    ///
    /// It is also how a producer goes on with another consumer's area in place of a dead one's: the
    /// memory then joins its own area to one that was [formatted](Layout::format_consumer) with the
    /// head that it had [released](Producer::released). The earlier producer must be used no more.
    ///
    /// # Errors
    ///
    /// As [`Producer::attach`]; [`AttachError::Corrupt`] where the tail, the records behind it or
    /// the consumer's head are not sound.
    pub fn resume(memory: M, layout: Layout, fence: Fence) -> Result<Self, AttachError> {
        let (mine, theirs) = layout.open(&memory)?;
        Ok(Producer::take_up(memory, layout, fence, mine, theirs)?)
    }

    fn take_up(
        memory: M,
        layout: Layout,
        fence: Fence,
        mine: Words,
        theirs: Words,
    ) -> Result<Self, Corrupt> {
        let end = walk(&layout, &mine)?;
        let waiting = Waiting::resume(&mine, fence);
        let mut producer = Producer {
            layout,
            end,
            open: end,
            withheld: 0,
            head: end.saturating_sub(layout.in_use_max()),
            messages: mine.load(MESSAGES),
            bytes: mine.load(BYTES),
            stalls: mine.load(STALLS),
            stalled: false,
            corrupt: None,
            waiting,
            mine,
            theirs,
            _memory: memory,
        };
        producer.refresh_head()?;
        producer.mine.store(CURSOR, end);
        Ok(producer)
    }

    /// Sends a payload.
    ///
    /// # Errors
    ///
    /// [`SendError::Full`], [`SendError::TooLarge`], [`SendError::Corrupt`].
    #[inline]
    pub fn try_send(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.stage(0, payload)?;
        self.publish();
        Ok(())
    }

    /// Sends a payload of several parts, in one record, with a tag for the receiver.
    ///
    /// # Errors
    ///
    /// As [`Producer::try_send`].
    pub fn try_send_parts(&mut self, tag: u16, parts: &[&[u8]]) -> Result<(), SendError> {
        self.stage_parts(tag, parts)?;
        self.publish();
        Ok(())
    }

    /// Writes a record that the consumer sees only after [`Producer::publish`], together with all
    /// that were staged since the last.
    ///
    /// # Errors
    ///
    /// As [`Producer::try_send`]. On [`SendError::Full`] what was staged before is published, so
    /// that the consumer can make room.
    #[inline]
    pub fn stage(&mut self, tag: u16, payload: &[u8]) -> Result<(), SendError> {
        let place = self.place(payload.len())?;
        self.mine.copy_in(self.layout.index(place.start) + 1, payload);
        self.close(place, payload.len(), tag);
        Ok(())
    }

    /// As [`Producer::stage`], with a payload of several parts.
    ///
    /// # Errors
    ///
    /// As [`Producer::stage`].
    pub fn stage_parts(&mut self, tag: u16, parts: &[&[u8]]) -> Result<(), SendError> {
        let len = parts.iter().map(|part| part.len()).fold(0, usize::saturating_add);
        let place = self.place(len)?;
        self.mine.copy_in_parts(self.layout.index(place.start) + 1, parts);
        self.close(place, len, tag);
        Ok(())
    }

    /// Shows the consumer what was staged, all at once; nothing if nothing was.
    #[inline]
    pub fn publish(&mut self) {
        if self.open == self.end {
            return;
        }
        // Counted first, so that nobody ever sees more received than sent.
        self.mine.store(MESSAGES, self.messages);
        self.mine.store(BYTES, self.bytes);
        // ORDERING: release, pairs with the fence of the consumer's look at a header: who sees this
        // word sees the payload, the other staged records and the zero behind the last of them.
        self.mine.publish(self.layout.index(self.open), self.withheld);
        self.open = self.end;
        // ORDERING: release, so that it stays behind the header: after a crash the tail may be
        // short of the end, from where `resume` finds it, but never beyond.
        self.mine.publish(CURSOR, self.end);
        self.waiting.owe();
        self.fetch_ahead();
    }

    /// Lends room for a payload of `len` bytes, to be written in place and then
    /// [committed](Reserved::commit). Dropped instead, it is not sent.
    ///
    /// # Errors
    ///
    /// As [`Producer::stage`].
    ///
    /// # Safety
    ///
    /// While the loan lives, nobody else writes to the free space of this ring: no second producer,
    /// no other process. Nobody reads it either, which a consumer that keeps the protocol never
    /// does; another process that does hurts only itself.
    #[cfg(not(loom))]
    pub unsafe fn reserve(&mut self, len: usize) -> Result<Reserved<'_, M>, SendError> {
        let place = self.place(len)?;
        Ok(Reserved { producer: self, place, len })
    }

    /// Whether a payload of `len` bytes can be sent now. This is what to look at between
    /// [`Producer::announce`] and sleep.
    ///
    /// # Errors
    ///
    /// As [`Producer::try_send`], but never [`SendError::Full`].
    pub fn has_room(&mut self, len: usize) -> Result<bool, SendError> {
        let (_, needed) = self.plan(len)?;
        Ok(self.fits(needed)?)
    }

    /// Says that this side is about to sleep until the consumer makes room: it must look
    /// ([`Producer::has_room`]) after this and before it sleeps. Returns the value that the word at
    /// [`Producer::sleep_word`] has until the consumer rings.
    pub fn announce(&mut self) -> u32 {
        self.waiting.announce(&self.mine, &self.theirs)
    }

    /// Says that this side is up again, woken or not.
    pub fn awake(&mut self) {
        self.waiting.awake(&self.mine);
    }

    /// Whether the consumer sleeps and must be woken; asked after sending, answered `true` once a
    /// sleep. The word at [`Producer::wake_word`] has then been changed.
    #[inline]
    #[must_use]
    pub fn must_wake(&mut self) -> bool {
        self.waiting.must_wake(&self.mine, &self.theirs)
    }

    /// The futex word to sleep on; the consumer writes it.
    #[cfg(not(loom))]
    pub fn sleep_word(&self) -> *const u32 {
        Waiting::futex(&self.theirs)
    }

    /// The futex word that the consumer sleeps on; this side writes it.
    #[cfg(not(loom))]
    pub fn wake_word(&self) -> *const u32 {
        Waiting::futex(&self.mine)
    }

    /// Where the last record that was sent or staged ends, in bytes since the ring was new. Noted
    /// after each record, it tells later what became of that record: see [`Producer::released`].
    pub fn position(&self) -> u64 {
        self.end
    }

    /// Up to where the consumer has given space back: it has taken every record that ends at this
    /// position or before, and one with [`publish_every(0)`] has taken no other.
    ///
    /// This is what tells the requests that a dead server had taken, whose outcome nobody knows,
    /// from those that its successor will find in the ring. What ends behind the position that the
    /// [resumed](Producer::resume) producer begins at had only been staged, and is gone: send it
    /// again. Call [`Producer::publish`] before, to have none of that kind.
    ///
    /// Ask when the consumer is known to be dead; one that lives takes more. And believe the answer
    /// only if some record ends there (or none was ever taken): to the producer each multiple of 8
    /// among its records is as good as another, so a consumer that lies may name a place inside
    /// one.
    ///
    /// ```
    /// use chaski_ring::region::{Consumer, Fence, Heap, Layout, Producer};
    ///
    /// let layout = Layout::new(4096)?;
    /// let memory = Heap::new(layout);
    /// let mut client = Producer::attach(memory.clone(), layout, Fence::Both)?;
    /// let mut server = Consumer::attach(memory, layout, Fence::Both)?.publish_every(0);
    ///
    /// client.try_send(b"first")?;
    /// let first = client.position();
    /// client.try_send(b"second")?;
    /// let second = client.position();
    /// server.skip()?;
    /// drop(server); // dies
    ///
    /// let released = client.released()?;
    /// assert!(first <= released); // was taken: in doubt
    /// assert!(second > released); // was not: its successor finds it, at this head
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// [`publish_every(0)`]: super::Consumer::publish_every
    ///
    /// # Errors
    ///
    /// The consumer's head can be none, or was found so earlier.
    pub fn released(&mut self) -> Result<u64, Corrupt> {
        match self.corrupt {
            Some(corrupt) => Err(corrupt),
            None => self.refresh_head(),
        }
    }

    /// The sizes of this ring.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Finds room for a payload.
    #[inline]
    fn place(&mut self, len: usize) -> Result<Place, SendError> {
        let (pad, needed) = self.plan(len)?;
        if !self.fits(needed)? {
            return Err(self.full());
        }
        self.stalled = false;
        Ok(Place { pad, start: self.end + pad as u64 })
    }

    /// The pad in front of a payload, and the free bytes it takes to send it: pad, record, and the
    /// zero behind it.
    #[inline]
    fn plan(&self, len: usize) -> Result<(usize, u64), SendError> {
        if let Some(corrupt) = self.corrupt {
            return Err(corrupt.into());
        }
        let max = self.layout.payload_max();
        if len > max {
            return Err(SendError::TooLarge { len, max });
        }
        let (size, left) = (size_of_record(len), self.layout.bytes_left(self.end));
        let pad = if size > left { left } else { 0 };
        Ok((pad, (pad + size + WORD) as u64))
    }

    #[inline]
    fn fits(&mut self, needed: u64) -> Result<bool, Corrupt> {
        let (end, capacity) = (self.end + needed, self.layout.capacity() as u64);
        Ok(end <= self.head + capacity || end <= self.refresh_head()? + capacity)
    }

    /// Reads the consumer's head, once, and believes it if it is between the last one and the end
    /// of what was published.
    #[cold]
    fn refresh_head(&mut self) -> Result<u64, Corrupt> {
        let head = self.theirs.load(CURSOR);
        // ORDERING: pairs with the release of the head: the consumer's reads of what it gave back
        // are done before it is written over.
        self.theirs.acquired();
        if head < self.head || head > self.open || !head.is_multiple_of(WORD as u64) {
            let corrupt = Corrupt::Head { head, from: self.head, to: self.open };
            self.corrupt = Some(corrupt);
            return Err(corrupt);
        }
        self.head = head;
        Ok(head)
    }

    /// Asks for the lines that the next record will be written to, which the consumer has had since
    /// their last lap, while there is nothing to wait for. Not for the line that the next header is
    /// in: the consumer looks at that one now. Without this a round trip of 64 bytes cost 1.7 times
    /// that of a bare line, with it 1.4.
    #[inline]
    fn fetch_ahead(&self) {
        for line in 1..=LINES_AHEAD {
            self.mine.fetch(self.layout.index(self.end + line * LINE_BYTES));
        }
    }

    #[cold]
    fn full(&mut self) -> SendError {
        self.publish();
        if !self.stalled {
            self.stalled = true;
            self.stalls = self.stalls.wrapping_add(1);
            self.mine.store(STALLS, self.stalls);
        }
        SendError::Full
    }

    /// Stages the record at `place`, whose payload has been written.
    #[inline]
    fn close(&mut self, place: Place, len: usize, tag: u16) {
        let header = Header::record(len, tag);
        let end = place.start + header.size() as u64;
        self.mine.store(self.layout.index(end), 0);
        if place.pad > 0 {
            self.put(self.end, Header::pad(place.pad));
        }
        self.put(place.start, header);
        self.end = end;
        self.messages = self.messages.wrapping_add(1);
        self.bytes = self.bytes.wrapping_add(len as u64);
    }

    /// Writes a header, unless it is the first since the last publication: that one is withheld.
    #[inline]
    fn put(&mut self, position: u64, header: Header) {
        if position == self.open {
            self.withheld = header.encode();
        } else {
            self.mine.store(self.layout.index(position), header.encode());
        }
    }
}

impl<M> fmt::Debug for Producer<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer")
            .field("capacity", &self.layout.capacity())
            .field("end", &self.end)
            .field("head", &self.head)
            .field("corrupt", &self.corrupt)
            .finish_non_exhaustive()
    }
}

/// Room in the ring for a payload, lent by [`Producer::reserve`].
///
/// It holds what was there before, bytes of earlier payloads among it.
#[cfg(not(loom))]
#[derive(Debug)]
pub struct Reserved<'a, M> {
    producer: &'a mut Producer<M>,
    place: Place,
    len: usize,
}

#[cfg(not(loom))]
impl<M: Memory> Reserved<'_, M> {
    /// Sends the first `len` bytes, and what was staged before.
    ///
    /// # Panics
    ///
    /// If `len` is more than was reserved.
    pub fn commit(self, tag: u16, len: usize) {
        assert!(len <= self.len, "{len} bytes committed of {}", self.len);
        self.producer.close(self.place, len, tag);
        self.producer.publish();
    }
}

#[cfg(not(loom))]
impl<M> Reserved<'_, M> {
    fn base(&self) -> *mut u8 {
        let at = self.producer.layout.index(self.place.start);
        self.producer.mine.address(at).wrapping_add(WORD)
    }
}

#[cfg(not(loom))]
impl<M> Deref for Reserved<'_, M> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `place` found `len` bytes behind the header to be in the ring and free, and they
        // are initialised, as all of the memory is. That nobody else writes them was promised to
        // `reserve`, and this loan borrows the producer.
        unsafe { std::slice::from_raw_parts(self.base(), self.len) }
    }
}

#[cfg(not(loom))]
impl<M> DerefMut for Reserved<'_, M> {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`; nor does anybody read them.
        unsafe { std::slice::from_raw_parts_mut(self.base(), self.len) }
    }
}

/// Walks from the tail to the end of what was published: no further than what was published at
/// once by whoever died before it could move the tail.
fn walk(layout: &Layout, mine: &Words) -> Result<u64, Corrupt> {
    let tail = layout.cursor(mine.load(CURSOR))?;
    let mut end = tail;
    loop {
        let word = mine.load(layout.index(end));
        if word == 0 {
            return Ok(end);
        }
        let position = end;
        end += layout.header(word, position)?.size() as u64;
        if end - tail > layout.in_use_max() {
            return Err(Corrupt::Overrun { position });
        }
    }
}
