//! The way out of a connection: the ring that this side fills, and the memory that it lends.

use chaski_ring::region::{AttachError, Fence, Producer, SendError};
use rustix::io::Errno;

use super::{Doorbell, Ends, LARGE, REFERENCE, share};
use crate::blocks::{LendError, Lender};
use crate::door::Session;
use crate::error::{Corrupt, Error};
use crate::memory::{Ledger, RingMemory};
use crate::step::step;

/// The sending half of a connection. Who rings for it is the caller's to say: a connection has one
/// doorbell for both ways.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(super) tx: Producer<RingMemory>,
    pub(super) lender: Lender,
    pub(super) their_ledger: Ledger,
    /// The longest payload that goes through the ring.
    pub(super) share: usize,
    pub(super) payload_max: usize,
    // Last, as in `Link`.
    pub(super) session: Session,
}

impl Outgoing {
    pub(super) fn new(
        ends: &Ends,
        fence: Fence,
        mut lender: Lender,
        session: Session,
    ) -> Result<Outgoing, AttachError> {
        lender.limit_to(ends.payload_max);
        Ok(Outgoing {
            tx: Producer::resume(ends.outgoing(), ends.half.layout(), fence)?,
            lender,
            their_ledger: Ledger::new(&ends.theirs, ends.half),
            share: share(ends.half).min(ends.payload_max),
            payload_max: ends.payload_max,
            session,
        })
    }

    /// Writes a record that the peer sees with the next [`Outgoing::flush`].
    #[inline]
    pub(crate) fn stage(&mut self, tag: u16, payload: &[u8]) -> Result<(), Error> {
        if payload.len() > self.share {
            return self.stage_large(tag, &[payload], payload.len());
        }
        self.tx.stage(tag, payload).map_err(|error| self.refused(error))?;
        step("link.staged");
        Ok(())
    }

    /// As [`Outgoing::stage`], with a payload of several parts.
    #[inline]
    pub(crate) fn stage_parts(&mut self, tag: u16, parts: &[&[u8]]) -> Result<(), Error> {
        let len = parts.iter().map(|part| part.len()).fold(0, usize::saturating_add);
        if len > self.share {
            return self.stage_large(tag, parts, len);
        }
        self.tx.stage_parts(tag, parts).map_err(|error| self.refused(error))?;
        step("link.parts_staged");
        Ok(())
    }

    /// Shows the peer what was staged, and wakes it if it sleeps.
    #[inline]
    pub(crate) fn flush(&mut self, doorbell: &mut Doorbell) {
        self.tx.publish();
        step("link.published");
        if self.tx.must_wake() {
            step("link.before_ring");
            doorbell.ring();
        }
    }

    #[cold]
    fn stage_large(&mut self, tag: u16, parts: &[&[u8]], len: usize) -> Result<(), Error> {
        if len > self.payload_max {
            return Err(Error::TooLarge { len, max: self.payload_max });
        }
        // Before megabytes are copied for nothing.
        if !self.tx.has_room(REFERENCE).map_err(|error| self.refused(error))? {
            return Err(Error::Full);
        }
        let lent = self.lender.lend(len, &self.session, &self.their_ledger);
        let Some(mut block) = lent.map_err(lend_error)? else { return Err(Error::Full) };
        block.copy_in(parts);
        step("link.large_written");
        let (segment, reference) = (block.segment(), block.descriptor());
        self.tx.stage(tag | LARGE, &reference).map_err(|error| self.refused(error))?;
        self.lender.lent(segment, self.tx.position());
        step("link.large_staged");
        Ok(())
    }

    /// Whether a payload of this length could be sent now, or never.
    pub(crate) fn has_room(&mut self, len: usize) -> bool {
        if len <= self.share {
            return self.tx.has_room(len).unwrap_or(true);
        }
        self.tx.has_room(REFERENCE).unwrap_or(true)
            && self.lender.could_lend(len, &self.their_ledger)
    }

    /// Says that this side waits for room: who gives some back must ring.
    pub(crate) fn doze(&mut self) {
        self.tx.announce();
    }

    /// It does not wait any more.
    pub(crate) fn awake(&mut self) {
        self.tx.awake();
    }

    /// The longest payload that may be sent.
    pub(crate) fn payload_max(&self) -> usize {
        self.payload_max
    }

    pub(super) fn refused(&self, error: SendError) -> Error {
        refusal(error, &self.session, self.payload_max)
    }
}

/// Why a ring took nothing; one that is spoilt ends the connection.
pub(super) fn refusal(error: SendError, session: &Session, max: usize) -> Error {
    let corrupt = match error {
        SendError::Full => return Error::Full,
        SendError::TooLarge { len, .. } => return Error::TooLarge { len, max },
        SendError::Corrupt(corrupt) => corrupt.into(),
        _ => Corrupt::Reference,
    };
    session.close();
    Error::Corrupt(corrupt)
}

pub(super) fn lend_error(error: LendError) -> Error {
    match error {
        LendError::TooLarge { len, max } => Error::TooLarge { len, max },
        // The peer has died, and nobody has been told yet.
        LendError::System(Errno::PIPE | Errno::CONNRESET) => Error::Closed,
        LendError::System(errno) => Error::System { what: "memory for a large payload", errno },
    }
}
