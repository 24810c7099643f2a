//! A connection that is up: a ring in each direction, the doorbells, and the way for payloads that
//! are too long for a ring.
//!
//! A record goes out by being staged in the ring and published; the peer is rung for only if it
//! has said that it sleeps. A record comes in by being copied out, and its space is given back
//! before it is handed over: so it is taken at most once, whenever this process dies.

mod back;
mod batch;
mod loan;
mod notes;

use std::sync::Arc;

use chaski_ring::region::{AttachError, Consumer, Fence, Observer, Producer, RecvError, SendError};
use rustix::io::Errno;

use crate::blocks::{Borrowed, Borrower, LendError, Lender};
use crate::door::Session;
use crate::error::{Corrupt, Error};
use crate::hall::board::Knocker;
use crate::memory::{Half, Ledger, Mapping, RingMemory};
use crate::porch::Button;
use crate::step::step;
use crate::wait;

pub use batch::Batch;
pub(crate) use loan::Lending;
pub(crate) use notes::{NOTES, note};

/// A record's tag: its payload is a reference to a large one.
pub(crate) const LARGE: u16 = 0x8000;

/// A reference to a large payload, in bytes.
const REFERENCE: usize = 24;

/// How to wake the peer.
#[derive(Debug)]
pub(crate) enum Doorbell {
    /// It waits for this one.
    Bell(Button),
    /// It has many clients: a mark on its board, and a ring only if it sleeps.
    Board(Knocker, Button),
}

impl Doorbell {
    #[cold]
    fn ring(&mut self) {
        match self {
            Doorbell::Bell(bell) => bell.ring(),
            Doorbell::Board(knocker, bell) => {
                if knocker.mark() {
                    bell.ring();
                }
            }
        }
    }
}

/// Memory and limits of a connection, from which a [`Link`] is made.
#[derive(Debug, Clone)]
pub(crate) struct Ends {
    pub(crate) mine: Arc<Mapping>,
    pub(crate) theirs: Arc<Mapping>,
    /// How both are laid out.
    pub(crate) half: Half,
    /// Both processes have registered for the heavy fence.
    pub(crate) fences: bool,
    /// The longest payload that the peer takes.
    pub(crate) payload_max: usize,
}

impl Ends {
    /// Formats what this side writes of both rings. The incoming one begins at `head`.
    pub(crate) fn format(&self, head: u64) -> Result<(), AttachError> {
        self.half.layout().format_producer(&self.outgoing())?;
        self.format_incoming(head)
    }

    /// Formats what this side writes of the incoming ring, which begins at `head`.
    pub(crate) fn format_incoming(&self, head: u64) -> Result<(), AttachError> {
        self.half.layout().format_consumer(&self.incoming(), head)
    }

    /// For those who look on: the outgoing ring and the incoming one.
    pub(crate) fn observe(
        &self,
    ) -> Result<(Observer<RingMemory>, Observer<RingMemory>), AttachError> {
        Ok((Observer::attach(self.outgoing())?, Observer::attach(self.incoming())?))
    }

    pub(crate) fn outgoing(&self) -> RingMemory {
        RingMemory::outgoing(&self.mine, self.half, &self.theirs, self.half)
    }

    fn incoming(&self) -> RingMemory {
        RingMemory::incoming(&self.mine, self.half, &self.theirs, self.half)
    }
}

/// A connection that is up.
#[derive(Debug)]
pub(crate) struct Link {
    tx: Producer<RingMemory>,
    rx: Consumer<RingMemory>,
    doorbell: Doorbell,
    lender: Lender,
    borrower: Borrower,
    my_ledger: Ledger,
    their_ledger: Ledger,
    ends: Ends,
    /// The longest payload that goes through the ring.
    share: usize,
    payload_max: usize,
    /// Large payloads are borrowed, not copied: the last one is in `lent`.
    in_place: bool,
    lent: Option<Borrowed>,
    // Last, so that the peer learns of the end when this side has stopped to read its memory.
    session: Session,
}

/// What came of a receive. Small, to be returned in a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    Nothing,
    /// A record of this tag.
    Record(u16),
    /// The peer does not keep the protocol; the connection has been closed.
    Spoilt,
}

/// What one record may take of a ring.
pub(crate) fn share(half: Half) -> usize {
    half.layout().capacity() / 4 - 8
}

impl Link {
    /// A connection over two halves in which both rings have been formatted. The rings are taken up
    /// where they are: an earlier peer may have had them.
    pub(crate) fn new(
        ends: Ends,
        doorbell: Doorbell,
        mut lender: Lender,
        borrower: Borrower,
        session: Session,
    ) -> Result<Link, AttachError> {
        lender.limit_to(ends.payload_max);
        let layout = ends.half.layout();
        let fence = if ends.fences { Fence::Sleeper(wait::light_fence) } else { Fence::Both };
        Ok(Link {
            tx: Producer::resume(ends.outgoing(), layout, fence)?,
            rx: Consumer::resume(ends.incoming(), layout, fence)?,
            doorbell,
            lender,
            borrower,
            my_ledger: Ledger::new(&ends.mine, ends.half),
            their_ledger: Ledger::new(&ends.theirs, ends.half),
            share: share(ends.half).min(ends.payload_max),
            payload_max: ends.payload_max,
            ends,
            in_place: false,
            lent: None,
            session,
        })
    }

    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// Sends one record.
    #[inline]
    pub(crate) fn send(&mut self, tag: u16, payload: &[u8]) -> Result<(), Error> {
        self.stage(tag, payload)?;
        self.flush();
        Ok(())
    }

    /// Writes a record that the peer sees with the next [`Link::flush`].
    #[inline]
    pub(crate) fn stage(&mut self, tag: u16, payload: &[u8]) -> Result<(), Error> {
        if payload.len() > self.share {
            return self.stage_large(tag, payload);
        }
        self.tx.stage(tag, payload).map_err(|error| self.refused(error))?;
        step("link.staged");
        Ok(())
    }

    /// Shows the peer what was staged, and wakes it if it sleeps.
    #[inline]
    pub(crate) fn flush(&mut self) {
        self.tx.publish();
        step("link.published");
        if self.tx.must_wake() {
            step("link.before_ring");
            self.doorbell.ring();
        }
    }

    #[cold]
    fn stage_large(&mut self, tag: u16, payload: &[u8]) -> Result<(), Error> {
        let len = payload.len();
        if len > self.payload_max {
            return Err(Error::TooLarge { len, max: self.payload_max });
        }
        // Before megabytes are copied for nothing.
        if !self.tx.has_room(REFERENCE).map_err(|error| self.refused(error))? {
            return Err(Error::Full);
        }
        let lent = self.lender.lend(len, &self.session, &self.their_ledger);
        let Some(mut block) = lent.map_err(lend_error)? else { return Err(Error::Full) };
        block.copy_in(payload);
        step("link.large_written");
        let (segment, reference) = (block.segment(), block.descriptor());
        self.tx.stage(tag | LARGE, &reference).map_err(|error| self.refused(error))?;
        self.lender.lent(segment, self.tx.position());
        step("link.large_staged");
        Ok(())
    }

    /// Takes the next record: its payload goes into `into`.
    #[inline]
    pub(crate) fn recv(&mut self, into: &mut Vec<u8>) -> Taken {
        match self.rx.try_recv(into) {
            Ok(None) => Taken::Nothing,
            Ok(Some(record)) => {
                self.rx.publish();
                step("link.taken");
                let mut taken = Taken::Record(record.tag);
                if record.tag & LARGE != 0 {
                    taken = self.recv_large(record.tag & !LARGE, into);
                }
                // Behind all that the peer may have waited for.
                if self.rx.must_wake() {
                    self.doorbell.ring();
                }
                taken
            }
            Err(error) => {
                self.unfit(error);
                Taken::Spoilt
            }
        }
    }

    /// The payload that the reference in `into` leads to, in its stead.
    #[cold]
    fn recv_large(&mut self, tag: u16, into: &mut Vec<u8>) -> Taken {
        let reference: Result<[u8; REFERENCE], _> = into.as_slice().try_into();
        into.clear();
        let taken = reference.is_ok_and(|reference| match self.in_place {
            true => self.borrow(&reference),
            false => {
                let Link { borrower, session, my_ledger, payload_max, .. } = self;
                borrower.append_to(&reference, session, my_ledger, into, *payload_max).is_ok()
            }
        });
        step("link.large_taken");
        if taken {
            return Taken::Record(tag);
        }
        self.spoilt(Corrupt::Reference);
        Taken::Spoilt
    }

    fn borrow(&mut self, reference: &[u8; REFERENCE]) -> bool {
        // SAFETY: whoever set `in_place` has promised that the peer leaves alone what it has sent.
        let lent = unsafe { self.borrower.borrow(reference, &self.session, &self.my_ledger) };
        self.lent = lent.ok();
        self.lent.is_some()
    }

    /// From now on large payloads stay where they are, for [`Link::take_lent`].
    ///
    /// # Safety
    ///
    /// The peer writes to no segment that it has sent and that was not given back.
    pub(crate) unsafe fn read_in_place(&mut self) {
        self.in_place = true;
    }

    /// The large payload of the record just received, if it was one and is read in place.
    pub(crate) fn take_lent(&mut self) -> Option<Borrowed> {
        self.lent.take()
    }

    /// Gives it back, and wakes the peer if it sleeps for want of it.
    pub(crate) fn give_back(&mut self, lent: Borrowed) {
        drop(lent);
        self.rx.gave_back();
        if self.rx.must_wake() {
            self.doorbell.ring();
        }
    }

    /// Whether a record is there, or will never be because the ring is spoilt.
    #[inline]
    pub(crate) fn is_ready(&mut self) -> bool {
        self.rx.is_ready().unwrap_or(true)
    }

    /// Whether a payload of this length could be sent now, or never.
    pub(crate) fn has_room(&mut self, len: usize) -> bool {
        if len <= self.share {
            return self.tx.has_room(len).unwrap_or(true);
        }
        self.tx.has_room(REFERENCE).unwrap_or(true)
            && self.lender.could_lend(len, &self.their_ledger)
    }

    /// Says that nobody looks for records here any more: who publishes must ring.
    pub(crate) fn doze(&mut self) {
        self.tend();
        // The look at an empty ring gives its space back; somebody may wait for that.
        let _ = self.rx.is_ready();
        if self.rx.must_wake() {
            self.doorbell.ring();
        }
        self.rx.announce();
    }

    /// Hears what the peer said beside the rings. Else that would be when a record refers to memory
    /// that is new, and memory which the peer takes back be kept by one that is idle.
    #[inline]
    pub(crate) fn tend(&mut self) {
        if self.session.has_mail() && self.borrower.tend(&self.session).is_err() {
            self.spoilt(Corrupt::Reference);
        }
    }

    /// Records are looked for again.
    pub(crate) fn awake(&mut self) {
        self.rx.awake();
    }

    /// As [`Link::doze`], waiting for room.
    pub(crate) fn doze_for_room(&mut self) {
        self.tx.announce();
    }

    /// As [`Link::awake`], after [`Link::doze_for_room`].
    pub(crate) fn awake_for_room(&mut self) {
        self.tx.awake();
    }

    /// The most records that the incoming ring can hold at once.
    pub(crate) fn records_max(&self) -> usize {
        self.rx.layout().capacity() / 8
    }

    /// Where the last record sent ends in the outgoing ring.
    #[inline]
    pub(crate) fn position(&self) -> u64 {
        self.tx.position()
    }

    /// Up to where the peer has taken records.
    pub(crate) fn released(&mut self) -> Result<u64, Error> {
        self.tx.released().map_err(Error::from)
    }

    /// Where a peer stopped that hung up. `None`: it left nonsense behind, or this side hung up, so
    /// that the peer may live and take more.
    pub(crate) fn stopped_at(&mut self) -> Option<u64> {
        if self.session.is_shut() { None } else { self.released().ok() }
    }

    /// Records that were sent and that the peer, now gone, had not taken.
    pub(crate) fn unread(&self) -> u64 {
        Observer::attach(self.ends.outgoing()).map_or(0, |ring| ring.stats().depth)
    }

    /// The way for large payloads, which outlives the connection.
    pub(crate) fn into_lender(self) -> Lender {
        self.lender
    }

    fn refused(&self, error: SendError) -> Error {
        refusal(error, &self.session, self.payload_max)
    }

    #[cold]
    fn unfit(&self, error: RecvError) -> Error {
        self.spoilt(match error {
            RecvError::Corrupt(corrupt) => corrupt.into(),
            // No limit was set below what a ring can hold.
            _ => Corrupt::Reference,
        })
    }

    /// The peer does not keep the protocol: the connection ends here.
    pub(crate) fn spoilt(&self, corrupt: Corrupt) -> Error {
        self.session.close();
        Error::Corrupt(corrupt)
    }
}

/// Why a ring took nothing; one that is spoilt ends the connection.
fn refusal(error: SendError, session: &Session, max: usize) -> Error {
    let corrupt = match error {
        SendError::Full => return Error::Full,
        SendError::TooLarge { len, .. } => return Error::TooLarge { len, max },
        SendError::Corrupt(corrupt) => corrupt.into(),
        _ => Corrupt::Reference,
    };
    session.close();
    Error::Corrupt(corrupt)
}

fn lend_error(error: LendError) -> Error {
    match error {
        LendError::TooLarge { len, max } => Error::TooLarge { len, max },
        // The peer has died, and nobody has been told yet.
        LendError::System(Errno::PIPE | Errno::CONNRESET) => Error::Closed,
        LendError::System(errno) => Error::System { what: "memory for a large payload", errno },
    }
}
