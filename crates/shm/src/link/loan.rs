//! Room to write a payload where the peer will read it, without a copy.
//!
//! It is memory that this side alone may write, by its seal, and that no record refers to before
//! the loan is sent: so the peer does not look at it, and one that does harms itself. Dropped,
//! nothing was sent.

use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::slice;

use super::outgoing::{lend_error, refusal};
use super::{LARGE, Link, Outgoing, REFERENCE};
use crate::error::Error;

/// Where a loan lies.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// In the ring, where the next record goes.
    Ring,
    /// In a segment of its own.
    Segment { number: u32, reference: [u8; REFERENCE] },
}

/// Room for one payload.
#[derive(Debug)]
pub(crate) struct Lending<'a> {
    link: &'a mut Link,
    place: Place,
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: the memory belongs to the link, which is borrowed exclusively and may itself be sent.
unsafe impl Send for Lending<'_> {}

impl Link {
    /// Room for a payload of `len` bytes, whose earlier contents are anything this side once wrote.
    pub(crate) fn lend(&mut self, len: usize) -> Result<Lending<'_>, Error> {
        let (place, base) = self.outgoing.lend(len)?;
        Ok(Lending { link: self, place, base, len })
    }
}

impl Outgoing {
    /// Room for a payload, and where it lies.
    fn lend(&mut self, len: usize) -> Result<(Place, NonNull<u8>), Error> {
        if len > self.payload_max {
            return Err(Error::TooLarge { len, max: self.payload_max });
        }
        if len <= self.share {
            // SAFETY: this is the ring's only producer, and the half it lies in was sealed against
            // any other writer.
            let reserved = unsafe { self.tx.reserve(len) };
            let (session, max) = (&self.session, self.payload_max);
            let mut reserved = reserved.map_err(|error| refusal(error, session, max))?;
            return Ok((Place::Ring, NonNull::from(&mut *reserved).cast()));
        }
        if !self.tx.has_room(REFERENCE).map_err(|error| self.refused(error))? {
            return Err(Error::Full);
        }
        let lent = self.lender.lend(len, &self.session, &self.their_ledger);
        let Some(mut block) = lent.map_err(lend_error)? else { return Err(Error::Full) };
        let (number, reference) = (block.segment(), block.descriptor());
        Ok((Place::Segment { number, reference }, NonNull::from(&mut *block).cast()))
    }
}

impl Lending<'_> {
    /// Sends the first `len` bytes, and returns where the record ends in the ring.
    pub(crate) fn send(self, tag: u16) -> Result<u64, Error> {
        let Lending { link, place, len, .. } = self;
        let out = &mut link.outgoing;
        match place {
            Place::Ring => {
                // SAFETY: as in `lend`. Nothing was staged since, so it is the same place.
                let reserved = unsafe { out.tx.reserve(len) };
                let (session, max) = (&out.session, out.payload_max);
                reserved.map_err(|error| refusal(error, session, max))?.commit(tag, len);
            }
            Place::Segment { number, reference } => {
                let staged = out.tx.stage(tag | LARGE, &reference);
                staged.map_err(|error| out.refused(error))?;
                out.lender.lent(number, out.tx.position());
            }
        }
        link.flush();
        Ok(link.position())
    }
}

impl Lending<'_> {
    /// Sends an empty record in its place, if there is room for that.
    pub(crate) fn decline(self, tag: u16) {
        // A peer that is gone or does not keep the protocol need not be told.
        let _ = self.link.send(tag, &[]);
    }
}

impl Deref for Lending<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `len` bytes from there are the loan's, in memory of the link, which outlives it;
        // they were initialised when the memory was made; nobody else in this process has them, and
        // no other process can write there.
        unsafe { slice::from_raw_parts(self.base.as_ptr(), self.len) }
    }
}

impl DerefMut for Lending<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and the loan is borrowed exclusively.
        unsafe { slice::from_raw_parts_mut(self.base.as_ptr(), self.len) }
    }
}
