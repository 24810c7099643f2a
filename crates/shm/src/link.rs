//! A connection that is up: a ring in each direction, the doorbells, and the way for payloads that
//! are too long for a ring.
//!
//! A record goes out by being staged in the ring and published; the peer is rung for only if it
//! has said that it sleeps. A record comes in by being copied out, and its space is given back
//! before it is handed over: so it is taken at most once, whenever this process dies.
//!
//! The two ways have nothing in common but the doorbell and the session: [`Outgoing`] and
//! [`Incoming`]. A [`Link`] is both of them, for one thread.

mod back;
mod batch;
mod incoming;
mod loan;
mod notes;
mod outgoing;

use std::sync::Arc;

use chaski_ring::region::{AttachError, Fence, Observer};

use crate::blocks::{Borrowed, Borrower, Lender};
use crate::door::Session;
use crate::error::{Corrupt, Error};
use crate::hall::board::Knocker;
use crate::memory::{Half, Mapping, RingMemory};
use crate::porch::Button;
use crate::wait;

pub use batch::Batch;
pub(crate) use incoming::Incoming;
pub(crate) use loan::Lending;
pub(crate) use notes::{NOTES, note};
pub(crate) use outgoing::Outgoing;

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
    outgoing: Outgoing,
    incoming: Incoming,
    doorbell: Doorbell,
    ends: Ends,
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

/// The two ways of a connection over two halves in which both rings have been formatted. The rings
/// are taken up where they are: an earlier peer may have had them.
pub(crate) fn both_ways(
    ends: &Ends,
    lender: Lender,
    borrower: Borrower,
    session: &Session,
) -> Result<(Outgoing, Incoming), AttachError> {
    let fence = if ends.fences { Fence::Sleeper(wait::light_fence) } else { Fence::Both };
    let outgoing = Outgoing::new(ends, fence, lender, session.clone())?;
    let incoming = Incoming::new(ends, fence, borrower, session.clone())?;
    Ok((outgoing, incoming))
}

impl Link {
    /// A connection as of [`both_ways`], in one hand.
    pub(crate) fn new(
        ends: Ends,
        doorbell: Doorbell,
        lender: Lender,
        borrower: Borrower,
        session: Session,
    ) -> Result<Link, AttachError> {
        let (outgoing, incoming) = both_ways(&ends, lender, borrower, &session)?;
        Ok(Link { outgoing, incoming, doorbell, ends, session })
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
        self.outgoing.stage(tag, payload)
    }

    /// Shows the peer what was staged, and wakes it if it sleeps.
    #[inline]
    pub(crate) fn flush(&mut self) {
        self.outgoing.flush(&mut self.doorbell);
    }

    /// Takes the next record: its payload goes into `into`.
    #[inline]
    pub(crate) fn recv(&mut self, into: &mut Vec<u8>) -> Taken {
        self.incoming.recv(into, &mut self.doorbell)
    }

    /// From now on large payloads stay where they are, for [`Link::take_lent`].
    ///
    /// # Safety
    ///
    /// The peer writes to no segment that it has sent and that was not given back.
    pub(crate) unsafe fn read_in_place(&mut self) {
        // SAFETY: the caller's promise.
        unsafe { self.incoming.read_in_place() };
    }

    /// The large payload of the record just received, if it was one and is read in place.
    pub(crate) fn take_lent(&mut self) -> Option<Borrowed> {
        self.incoming.take_lent()
    }

    /// Gives it back, and wakes the peer if it sleeps for want of it.
    pub(crate) fn give_back(&mut self, lent: Borrowed) {
        drop(lent);
        self.incoming.rx.gave_back();
        self.incoming.ring_for_room(&mut self.doorbell);
    }

    /// Whether a record is there, or will never be because the ring is spoilt.
    #[inline]
    pub(crate) fn is_ready(&mut self) -> bool {
        self.incoming.is_ready()
    }

    /// Whether a payload of this length could be sent now, or never.
    pub(crate) fn has_room(&mut self, len: usize) -> bool {
        self.outgoing.has_room(len)
    }

    /// Says that nobody looks for records here any more: who publishes must ring.
    pub(crate) fn doze(&mut self) {
        self.incoming.doze(&mut self.doorbell);
    }

    /// Hears what the peer said beside the rings, see [`Incoming::tend`].
    #[inline]
    pub(crate) fn tend(&mut self) {
        self.incoming.tend();
    }

    /// Records are looked for again.
    pub(crate) fn awake(&mut self) {
        self.incoming.awake();
    }

    /// As [`Link::doze`], waiting for room.
    pub(crate) fn doze_for_room(&mut self) {
        self.outgoing.doze();
    }

    /// As [`Link::awake`], after [`Link::doze_for_room`].
    pub(crate) fn awake_for_room(&mut self) {
        self.outgoing.awake();
    }

    /// The most records that the incoming ring can hold at once.
    pub(crate) fn records_max(&self) -> usize {
        self.incoming.records_max()
    }

    /// Where the last record sent ends in the outgoing ring.
    #[inline]
    pub(crate) fn position(&self) -> u64 {
        self.outgoing.tx.position()
    }

    /// Up to where the peer has taken records.
    pub(crate) fn released(&mut self) -> Result<u64, Error> {
        self.outgoing.tx.released().map_err(Error::from)
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
        self.outgoing.lender
    }

    /// The peer does not keep the protocol: the connection ends here.
    pub(crate) fn spoilt(&self, corrupt: Corrupt) -> Error {
        self.session.close();
        Error::Corrupt(corrupt)
    }
}
