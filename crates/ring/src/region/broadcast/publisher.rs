//! The side that writes records.

use std::fmt;

use super::super::error::AttachError;
use super::super::extent::Extent;
use super::super::layout::{BELL, BYTES, DOZE, MESSAGES, STALLS};
use super::super::memory::Words;
use super::super::record::{Header, WORD};
use super::super::waiting::Fence;
#[cfg(not(loom))]
use super::super::waiting::Waiting;
use super::error::PublishError;
use super::layout::{CUT_OFF, Layout, OLDEST, OVERWRITTEN, POSITION, SUBSCRIBERS, record_size};
use super::members::{CutOff, Key, Members, Policy};
use super::observer::{self, Stats};
use super::starts::{History, Start, Starts};
use crate::sync::{Ordering, fence};

/// How far [`Publisher::publish`] fetches ahead.
const LINES_AHEAD: u64 = 2;

/// Bytes of a line, as the processor moves it.
const LINE_BYTES: u64 = 64;

/// By what parts of the ring the oldest position is moved: by the largest that nobody is in the way
/// of, so that it is seldom written, and subscribers seldom looked at.
const LUMPS: [u64; 4] = [8, 16, 32, 64];

/// The writing side of a broadcast.
///
/// Nothing here waits and nothing calls the system. Publishing costs the same whatever the number
/// of subscribers, but for a look at the cursors of those that may lose nothing, a few times a lap.
///
/// It never reads back what it wrote, and of the subscribers' pages it believes nothing that it
/// cannot check: whatever they hold, no call reads or writes outside its own area and the headers
/// of those pages, panics, or loops longer than once over the subscribers.
///
/// A publisher that is dropped, or that dies, leaves what it published.
pub struct Publisher<M> {
    layout: Layout,
    words: Words,
    /// Where the next record goes. The word there is zero.
    end: u64,
    /// Its number.
    sequence: u64,
    /// Where the staged records begin: their first header is withheld and the word there is zero.
    /// Equal to `end` if nothing is staged.
    open: u64,
    /// The withheld header.
    withheld: u64,
    /// What is before it may be written over.
    oldest: Start,
    starts: Starts,
    history: History,
    members: Members<M>,
    bytes: u64,
    stalls: u64,
    /// There was no room at the last try.
    stalled: bool,
    fence: Fence,
    /// Something was published since the last fence.
    owed: bool,
    /// What is in the doze word.
    doze: u64,
    /// What is in the bell word.
    bell: u64,
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

impl<M: Extent> Publisher<M> {
    /// The publisher of a new broadcast, in an area that may hold anything. Writes.
    ///
    /// It remembers where the last `history` records begin, for subscribers that come late: 8 bytes
    /// of private memory each, and no more than fit into the ring.
    ///
    /// # Errors
    ///
    /// [`AttachError::Misaligned`], [`AttachError::TooSmall`].
    pub fn new(
        memory: M,
        layout: Layout,
        history: usize,
        fence: Fence,
    ) -> Result<Self, AttachError> {
        Ok(Publisher {
            words: layout.format_publisher(&memory)?,
            layout,
            end: 0,
            sequence: 0,
            open: 0,
            withheld: 0,
            oldest: Start { position: 0, sequence: 0 },
            starts: Starts::new(&layout),
            history: History::new(history, &layout),
            members: Members::new(),
            bytes: 0,
            stalls: 0,
            stalled: false,
            fence,
            owed: false,
            doze: 0,
            bell: 0,
            _memory: memory,
        })
    }

    /// Publishes a payload, with a tag for the subscribers.
    ///
    /// Subscribers of the policy [`Policy::Disconnect`] that are in the way are cut off:
    /// [`Publisher::cut_off`] tells which.
    ///
    /// # Errors
    ///
    /// [`PublishError::Full`], [`PublishError::TooLarge`].
    #[inline]
    pub fn try_publish(&mut self, tag: u16, payload: &[u8]) -> Result<(), PublishError> {
        self.stage(tag, payload)?;
        self.publish();
        Ok(())
    }

    /// Publishes a payload of several parts, in one record.
    ///
    /// # Errors
    ///
    /// As [`Publisher::try_publish`].
    pub fn try_publish_parts(&mut self, tag: u16, parts: &[&[u8]]) -> Result<(), PublishError> {
        self.stage_parts(tag, parts)?;
        self.publish();
        Ok(())
    }

    /// Writes a record that is seen only after [`Publisher::publish`], together with all that were
    /// staged since the last.
    ///
    /// # Errors
    ///
    /// As [`Publisher::try_publish`]. What was staged before is published where the ring has no
    /// room for it and the next record together, and on [`PublishError::Full`].
    #[inline]
    pub fn stage(&mut self, tag: u16, payload: &[u8]) -> Result<(), PublishError> {
        let place = self.place(payload.len())?;
        self.words.copy_in(self.layout.index(place.start) + 2, payload);
        self.close(place, payload.len(), tag);
        Ok(())
    }

    /// As [`Publisher::stage`], with a payload of several parts.
    ///
    /// # Errors
    ///
    /// As [`Publisher::stage`].
    pub fn stage_parts(&mut self, tag: u16, parts: &[&[u8]]) -> Result<(), PublishError> {
        let len = parts.iter().map(|part| part.len()).fold(0, usize::saturating_add);
        let place = self.place(len)?;
        self.words.copy_in_parts(self.layout.index(place.start) + 2, parts);
        self.close(place, len, tag);
        Ok(())
    }

    /// Shows the subscribers what was staged, all at once; nothing if nothing was.
    #[inline]
    pub fn publish(&mut self) {
        if self.open == self.end {
            return;
        }
        self.words.store(MESSAGES, self.sequence);
        self.words.store(BYTES, self.bytes);
        // ORDERING: release, pairs with the fence of the subscriber's look at a header: who sees
        // this word sees the payload, the number, the other staged records and the zero behind the
        // last of them.
        self.words.publish(self.layout.index(self.open), self.withheld);
        self.open = self.end;
        self.words.publish(POSITION, self.end);
        self.owed = true;
        self.fetch_ahead();
    }

    /// Whether a payload of `len` bytes can be published now, perhaps at the cost of subscribers
    /// that may be cut off. This is what to look at between [`Publisher::announce`] and sleep.
    ///
    /// # Errors
    ///
    /// [`PublishError::TooLarge`].
    pub fn has_room(&mut self, len: usize) -> Result<bool, PublishError> {
        let (_, until) = self.plan(len)?;
        if self.is_free(until) {
            return Ok(true);
        }
        let first = self.first_kept(until);
        let room = self.members.lets_pass(first.position, self.open);
        self.count_members();
        Ok(room)
    }

    /// Takes a subscriber in, whose page was [formatted](Layout::format_subscriber) by it and is
    /// only read here. It is to begin at the answered position, up to `history` records back: less
    /// if less are [remembered](Publisher::new) or still there, and with 0 at the next one.
    ///
    /// # Errors
    ///
    /// Where the page is none of a subscriber of this layout, see [`AttachError`].
    pub fn subscribe(
        &mut self,
        page: M,
        policy: Policy,
        history: usize,
    ) -> Result<(Key, Start), AttachError> {
        let words = self.layout.open_subscriber(&page)?;
        self.publish();
        let start = self.history.back(history, self.oldest.position, self.next());
        let key = self.members.add(words, page, policy, start);
        self.count_members();
        Ok((key, start))
    }

    /// Forgets a subscriber, and lets go of its page; whether it was there.
    pub fn unsubscribe(&mut self, key: Key) -> bool {
        let was_there = self.members.remove(key);
        self.count_members();
        was_there
    }

    /// A subscriber that was cut off since the last question. It is forgotten already; what it sees
    /// of that is [`RecvError::Lagged`](super::RecvError::Lagged), in time.
    pub fn cut_off(&mut self) -> Option<(Key, CutOff)> {
        self.members.next_cut()
    }

    /// Whether the subscriber sleeps and must be woken; asked after publishing, answered `true`
    /// once a sleep. The word at [`Publisher::wake_word`] has then been changed. `false` for one
    /// that is none any more.
    #[inline]
    #[must_use]
    pub fn must_wake(&mut self, key: Key) -> bool {
        if self.owed {
            self.owed = false;
            self.fence.of_waker();
        }
        let sleeps = self.members.must_wake(key);
        if sleeps {
            self.ring();
        }
        sleeps
    }

    /// Says that the publisher is about to sleep until a subscriber makes room: it must look
    /// ([`Publisher::has_room`]) after this and before it sleeps. Any subscriber may wake it, so
    /// that it needs something to sleep on that all of them can reach, such as an eventfd.
    pub fn announce(&mut self) {
        self.doze = self.doze.wrapping_add(1) | 1;
        self.words.store(DOZE, self.doze);
        self.fence.of_sleeper();
    }

    /// Says that the publisher is up again, woken or not.
    pub fn awake(&mut self) {
        self.doze = (self.doze | 1).wrapping_add(1);
        self.words.store(DOZE, self.doze);
    }

    /// The futex word that subscribers sleep on, all of them on the same.
    #[cfg(not(loom))]
    pub fn wake_word(&self) -> *const u32 {
        Waiting::futex(&self.words)
    }

    /// The number of the next record: as many were published or staged before.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The sizes of this ring.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// What the publisher counted.
    pub fn stats(&self) -> Stats {
        observer::stats(&self.words)
    }

    /// Where the next record will begin.
    fn next(&self) -> Start {
        Start { position: self.end, sequence: self.sequence }
    }

    /// Finds room for a payload.
    #[inline]
    fn place(&mut self, len: usize) -> Result<Place, PublishError> {
        let (pad, until) = self.plan(len)?;
        if !self.is_free(until) && !self.make_room(until) {
            return Err(self.full());
        }
        self.stalled = false;
        Ok(Place { pad, start: self.end + pad as u64 })
    }

    /// The pad in front of a payload, and up to where it takes free bytes to publish it: pad,
    /// record, and the zero behind it.
    #[inline]
    fn plan(&self, len: usize) -> Result<(usize, u64), PublishError> {
        let max = self.layout.payload_max();
        if len > max {
            return Err(PublishError::TooLarge { len, max });
        }
        let (size, left) = (record_size(len), self.layout.bytes_left(self.end));
        let pad = if size > left { left } else { 0 };
        Ok((pad, self.end + (pad + size + WORD) as u64))
    }

    /// Whether everything up to a position can be written without touching a record that is kept.
    #[inline]
    fn is_free(&self, until: u64) -> bool {
        until <= self.oldest.position + self.layout.capacity() as u64
    }

    /// The first record that can be kept if everything up to `until` is written.
    fn first_kept(&self, until: u64) -> Start {
        self.starts.at_or_after(until - self.layout.capacity() as u64, self.next())
    }

    /// Gives up old records until everything up to `until` can be written; false if a subscriber
    /// has to be waited for.
    #[cold]
    fn make_room(&mut self, until: u64) -> bool {
        let first = self.first_kept(until);
        if first.position > self.open {
            // What is staged cannot be the oldest: nobody may look at it.
            self.publish();
        }
        let room = first.position <= self.members.floor()
            || self.members.raise_floor(first.position, self.open);
        self.count_members();
        if room {
            let bound = self.members.floor().min(self.open);
            let capacity = self.layout.capacity() as u64;
            let further = LUMPS
                .map(|part| self.first_kept(until + capacity / part))
                .into_iter()
                .find(|start| start.position <= bound);
            self.give_up(further.unwrap_or(first));
        }
        room
    }

    /// Announces that what is before `oldest` is about to be written over.
    fn give_up(&mut self, oldest: Start) {
        self.oldest = oldest;
        // ORDERING: release, pairs with the fence of `Subscriber::jump`: who sees this position
        // sees the number stored with the one before.
        self.words.publish(OLDEST, oldest.position);
        // ORDERING: pairs with the second fence of `Subscriber::look`: who has read any byte that
        // is written after this sees the position above. To release would do, were it not that the
        // C library copies long payloads past the order of stores of x86-64.
        fence(Ordering::SeqCst);
        self.words.store(OVERWRITTEN, oldest.sequence);
    }

    #[cold]
    fn full(&mut self) -> PublishError {
        self.publish();
        if !self.stalled {
            self.stalled = true;
            self.stalls = self.stalls.wrapping_add(1);
            self.words.store(STALLS, self.stalls);
        }
        PublishError::Full
    }

    /// Stages the record at `place`, whose payload has been written.
    #[inline]
    fn close(&mut self, place: Place, len: usize, tag: u16) {
        let end = place.start + record_size(len) as u64;
        self.words.store(self.layout.index(place.start) + 1, self.sequence);
        self.words.store(self.layout.index(end), 0);
        self.starts.note(self.next());
        self.history.note(self.end);
        if place.pad > 0 {
            self.put(self.end, Header::pad(place.pad));
        }
        self.put(place.start, Header::record(len, tag));
        self.end = end;
        self.sequence += 1;
        self.bytes = self.bytes.wrapping_add(len as u64);
    }

    /// Writes a header, unless it is the first since the last publication: that one is withheld.
    #[inline]
    fn put(&mut self, position: u64, header: Header) {
        if position == self.open {
            self.withheld = header.encode();
        } else {
            self.words.store(self.layout.index(position), header.encode());
        }
    }

    /// Asks for the lines that the next record will be written to, see the ring's producer.
    #[inline]
    fn fetch_ahead(&self) {
        for line in 1..=LINES_AHEAD {
            self.words.fetch(self.layout.index(self.end + line * LINE_BYTES));
        }
    }

    #[cold]
    fn ring(&mut self) {
        // ORDERING: pairs with the release of the subscriber's `announce`: this ring is not among
        // those that it had counted before.
        self.words.acquired();
        self.bell = self.bell.wrapping_add(1);
        self.words.store(BELL, self.bell);
    }

    fn count_members(&self) {
        self.words.store(SUBSCRIBERS, self.members.count());
        self.words.store(CUT_OFF, self.members.cut_count());
    }
}

impl<M> fmt::Debug for Publisher<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher")
            .field("capacity", &self.layout.capacity())
            .field("end", &self.end)
            .field("sequence", &self.sequence)
            .field("oldest", &self.oldest)
            .finish_non_exhaustive()
    }
}
