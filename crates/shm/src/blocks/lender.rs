//! The side that sends large payloads, and owns the memory they lie in.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::ops::{Deref, DerefMut};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::io::Errno;

use super::reference::{self, Reference};
use super::{Announce, PAGE, SLOTS, slot_of};
use crate::memory::{self, Ledger, Mapping, Pages};
use crate::step::step;
use crate::wire::Control;

/// The least bytes of a segment, where the limit allows.
const SEGMENT_MIN: usize = 64 * 1024;

/// A payload does not get a segment more than this many times longer than one made for it: a few
/// short payloads would else keep all the memory there may be.
const OVERSIZE_MAX: usize = 4;

/// How many payloads a free segment is kept for without being of use.
const IDLE_LENDS: u32 = 1024;

/// Segments of this side, free ones and lent ones.
#[derive(Debug)]
pub(crate) struct Lender {
    /// The most bytes of segments, in whole pages.
    limit: usize,
    /// What the limit is for a peer that takes as much.
    limit_max: usize,
    pages: Pages,
    segments: Vec<Segment>,
    /// For each slot, the number that the next segment in it will have.
    numbers: Box<[u32; SLOTS]>,
    /// Bytes of all segments.
    held: usize,
    gauge: Arc<AtomicUsize>,
    /// The last use of any segment.
    usage: u64,
    /// Payloads until the segments are looked through for idle ones.
    until_trim: u32,
}

struct Segment {
    number: u32,
    memory: Mapping,
    fd: OwnedFd,
    /// The latest use.
    usage: u64,
    state: State,
    /// Not lent since the segments were last looked through.
    idle: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Ours: no record refers to it.
    Free,
    /// The peer's, until its ledger says that the latest use has ended.
    Lent {
        /// Where the record that refers to it ends in the ring.
        end: u64,
    },
}

impl Lender {
    /// A lender of at most `limit` bytes, the sum of all segments, and so of payloads of at most as
    /// many.
    pub(crate) fn new(limit: usize) -> Lender {
        Lender {
            limit: whole_pages(limit),
            limit_max: whole_pages(limit),
            pages: Pages::OnTouch,
            segments: Vec::new(),
            numbers: Box::new(std::array::from_fn(|slot| slot as u32)),
            held: 0,
            gauge: Arc::default(),
            usage: first_usage(),
            until_trim: IDLE_LENDS,
        }
    }

    /// How segments get their pages: huge ones only where a segment is long enough.
    #[must_use]
    pub(crate) fn pages(mut self, pages: Pages) -> Lender {
        self.pages = pages;
        self
    }

    /// Keeps to what the peer takes, if that is less than the limit of this side. To be called
    /// before the first payload is lent to it. Of what is still lent nothing is taken back: a
    /// successor that takes less than that refuses it.
    pub(crate) fn limit_to(&mut self, limit: usize) {
        self.limit = self.limit_max.min(whole_pages(limit));
    }

    /// Room for a payload of `len` bytes, in memory that the peer does not look at before a record
    /// refers to it. `None` at the limit: come again when the peer has given something back.
    ///
    /// The room holds what was there before: zeros, or payloads that this same peer was sent.
    ///
    /// Then publish the [reference](Block::descriptor) and say so by [`Lender::lent`]. If that is
    /// not done before the next call, nothing was lent. `theirs` is the peer's ledger.
    ///
    /// # Errors
    ///
    /// See [`LendError`]. Nothing is lent then.
    pub(crate) fn lend(
        &mut self,
        len: usize,
        session: &impl Announce,
        theirs: &Ledger,
    ) -> Result<Option<Block<'_>>, LendError> {
        if len > self.limit {
            return Err(LendError::TooLarge { len, max: self.limit });
        }
        self.collect(theirs);
        self.trim(session)?;
        let at = match self.best_fit(len) {
            Some(at) => at,
            None if !self.makes_room(len) => return Ok(None),
            None => self.make(len, session)?,
        };
        self.usage += 1;
        let segment = &mut self.segments[at];
        (segment.usage, segment.idle) = (self.usage, false);
        Ok(Some(Block { segment, len }))
    }

    /// The record that refers to a block of this segment is in the ring, where it ends at `end`.
    ///
    /// # Panics
    ///
    /// If there is no such segment.
    pub(crate) fn lent(&mut self, number: u32, end: u64) {
        let segment = self.segments.iter_mut().find(|segment| segment.number == number);
        segment.expect("the segment of the latest block").state = State::Lent { end };
    }

    /// Whether [`Lender::lend`] would now give room to a payload of this length, or never will.
    pub(crate) fn could_lend(&mut self, len: usize, theirs: &Ledger) -> bool {
        self.collect(theirs);
        len > self.limit || self.best_fit(len).is_some() || self.makes_room(len)
    }

    /// Turns to the successor of a peer that died. Segments whose record ends at or before
    /// `released` had been taken and are free; free ones go, so that the successor has nothing of
    /// what was between us and the dead. The others still have their payloads and are announced.
    ///
    /// If it fails, it can be called again with another session.
    ///
    /// # Errors
    ///
    /// The peer does not take its messages, or is gone too.
    pub(crate) fn reconnect(&mut self, released: u64, session: &impl Announce) -> io::Result<()> {
        self.segments
            .retain(|segment| matches!(segment.state, State::Lent { end } if end > released));
        self.holds(self.segments.iter().map(Segment::len).sum());
        for segment in &self.segments {
            segment.announce(session)?;
            step("reconnect.announced_segment");
        }
        Ok(())
    }

    /// Appends to `into` the payload that a record of this side refers to, and that the peer,
    /// now gone, had not taken. Whether it is there: a peer may have given back what it never took,
    /// and the segment may have been lent again.
    pub(crate) fn take_back(&self, reference: &[u8], into: &mut Vec<u8>) -> bool {
        let Some(Reference { number, len, usage }) = Reference::decode(reference) else {
            return false;
        };
        let meant = |it: &&Segment| it.number == number && it.usage == usage;
        let Some(segment) = self.segments.iter().find(meant) else { return false };
        // Our own words: no longer than the segment.
        segment.memory.append_to(0, len as usize, into);
        true
    }

    /// Bytes of all segments, for those who look on from another thread.
    pub(crate) fn gauge(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.gauge)
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.held
    }

    fn holds(&mut self, bytes: usize) {
        self.held = bytes;
        self.gauge.store(bytes, Ordering::Relaxed);
    }

    /// Takes back what the peer gave back.
    fn collect(&mut self, theirs: &Ledger) {
        for segment in &mut self.segments {
            if segment.is_free() {
                continue;
            }
            if theirs.last(slot_of(segment.number)) == segment.usage {
                segment.state = State::Free;
            }
        }
        // Before anything is written to what was given back.
        theirs.acquired();
    }

    /// The shortest free segment that is long enough and not much too long.
    fn best_fit(&self, len: usize) -> Option<usize> {
        let most = self.size_for(len).saturating_mul(OVERSIZE_MAX);
        let fits = |segment: &Segment| segment.is_free() && (len..=most).contains(&segment.len());
        let fitting = self.segments.iter().enumerate().filter(|(_, segment)| fits(segment));
        // Among equals the first, again and again: its lines are still in a cache.
        fitting.min_by_key(|(_, segment)| segment.len()).map(|(at, _)| at)
    }

    /// Whether there is room for a new segment, once all free ones are gone.
    fn makes_room(&self, len: usize) -> bool {
        let lent = || self.segments.iter().filter(|segment| !segment.is_free());
        let bytes: usize = lent().map(Segment::len).sum();
        lent().count() < SLOTS && bytes.saturating_add(self.size_for(len)) <= self.limit
    }

    /// Bytes of a segment made for a payload of `len` bytes, which is within the limit.
    fn size_for(&self, len: usize) -> usize {
        len.max(SEGMENT_MIN)
            .checked_next_power_of_two()
            .map_or(self.limit, |size| size.min(self.limit))
    }

    /// Makes a segment, for which [`Lender::makes_room`] said that there is room, and announces it.
    #[cold]
    fn make(&mut self, len: usize, session: &impl Announce) -> Result<usize, LendError> {
        let size = self.size_for(len);
        while self.segments.len() == SLOTS || self.held + size > self.limit {
            self.forget(self.least_wanted(), session)?;
        }
        let pages = self.pages.for_piece(size);
        let (memory, fd) = memory::create_with("chaski-block", size, pages)?;
        let slot = self.vacant_slot();
        let number = self.numbers[slot];
        let segment = Segment { number, memory, fd, usage: 0, state: State::Free, idle: false };
        segment.announce(session)?;
        step("lend.announced");
        self.numbers[slot] = number.wrapping_add(SLOTS as u32);
        self.holds(self.held + size);
        self.segments.push(segment);
        Ok(self.segments.len() - 1)
    }

    /// The free segment to go first: an idle one before others, a long one before shorter ones.
    fn least_wanted(&self) -> usize {
        let free = self.segments.iter().enumerate().filter(|(_, segment)| segment.is_free());
        let first = free.max_by_key(|(_, segment)| (segment.idle, segment.len()));
        first.expect("those that are lent leave room").0
    }

    /// A slot without a segment, of which there must be one.
    fn vacant_slot(&self) -> usize {
        let taken = self.segments.iter().fold(0_u64, |slots, it| slots | 1 << slot_of(it.number));
        taken.trailing_ones() as usize
    }

    /// Lets go of a free segment.
    fn forget(&mut self, at: usize, session: &impl Announce) -> Result<(), LendError> {
        let number = self.segments[at].number;
        session.send(&Control::Forget { number }, None)?;
        step("lend.forgot");
        let gone = self.segments.remove(at);
        self.holds(self.held - gone.len());
        Ok(())
    }

    /// Each [`IDLE_LENDS`] payloads, lets go of what was of no use to any of them.
    fn trim(&mut self, session: &impl Announce) -> Result<(), LendError> {
        self.until_trim -= 1;
        if self.until_trim > 0 {
            return Ok(());
        }
        self.until_trim = IDLE_LENDS;
        while let Some(at) = self.segments.iter().position(|it| it.idle && it.is_free()) {
            self.forget(at, session)?;
        }
        self.segments.iter_mut().for_each(|segment| segment.idle = true);
        Ok(())
    }
}

impl Segment {
    fn len(&self) -> usize {
        self.memory.len()
    }

    fn is_free(&self) -> bool {
        self.state == State::Free
    }

    fn announce(&self, session: &impl Announce) -> rustix::io::Result<()> {
        let control = Control::Segment { number: self.number, len: self.len() as u64 };
        session.send(&control, Some(self.fd.as_fd()))
    }
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segment")
            .field("number", &self.number)
            .field("len", &self.len())
            .field("usage", &self.usage)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// Where a lender begins to count uses: anywhere in the lower half, since the borrower's ledger may
/// have been that of another lender's, with words of its uses, before the connection was made anew.
fn first_usage() -> u64 {
    // The keys of a hasher are the standard library's randomness.
    RandomState::new().build_hasher().finish() >> 1
}

/// Limits are counted in whole pages, as memory is.
fn whole_pages(bytes: usize) -> usize {
    bytes / PAGE * PAGE
}

/// Room for a payload, from [`Lender::lend`].
pub(crate) struct Block<'a> {
    segment: &'a mut Segment,
    len: usize,
}

impl Block<'_> {
    /// Writes the payload, which comes in parts.
    ///
    /// # Panics
    ///
    /// If they are not together as long as the block.
    pub(crate) fn copy_in(&mut self, parts: &[&[u8]]) {
        let len = parts.iter().map(|part| part.len()).sum::<usize>();
        assert_eq!(len, self.len, "a payload of another length than its block");
        if let [payload] = parts {
            return self.segment.memory.copy_in(0, payload);
        }
        let mut rest = &mut **self;
        for part in parts {
            let (room, behind) = rest.split_at_mut(part.len());
            room.copy_from_slice(part);
            rest = behind;
        }
    }

    /// The number of its segment.
    pub(crate) fn segment(&self) -> u32 {
        self.segment.number
    }

    /// The record that refers to it, to be published when it has been written.
    pub(crate) fn descriptor(&self) -> [u8; reference::LEN] {
        let Block { segment, len } = self;
        Reference { number: segment.number, len: *len as u64, usage: segment.usage }.encode()
    }
}

impl Deref for Block<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the memory is sealed so that this mapping is the only way to write it; it belongs
        // to the segment, which this block has borrowed for itself.
        unsafe { self.segment.memory.bytes(0, self.len) }
    }
}

impl DerefMut for Block<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`; nor does anybody read it through this mapping.
        unsafe { self.segment.memory.bytes_mut(0, self.len) }
    }
}

impl fmt::Debug for Block<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Block { segment, len } = self;
        f.debug_struct("Block").field("segment", segment).field("len", len).finish()
    }
}

/// Why no room was lent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum LendError {
    /// No payload may be so long.
    TooLarge {
        /// Bytes of the payload.
        len: usize,
        /// The most there may be.
        max: usize,
    },
    /// There was no memory, or it could not be announced: `AGAIN` if the peer does not take its
    /// messages.
    System(Errno),
}

impl fmt::Display for LendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LendError::TooLarge { len, max } => {
                write!(f, "a payload of {len} bytes where {max} are allowed")
            }
            LendError::System(errno) => write!(f, "memory for a large payload: {errno}"),
        }
    }
}

impl std::error::Error for LendError {}

impl From<Errno> for LendError {
    fn from(errno: Errno) -> Self {
        LendError::System(errno)
    }
}

impl From<io::Error> for LendError {
    fn from(error: io::Error) -> Self {
        // Only pages that cannot be had are told without a number.
        LendError::System(Errno::from_io_error(&error).unwrap_or(Errno::NOTSUP))
    }
}
