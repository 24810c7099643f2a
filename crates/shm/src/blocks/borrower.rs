//! The side that receives large payloads, from memory that is not its own.

use std::fmt;
use std::ops::Deref;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use super::reference::Reference;
use super::{Announce, PAGE, SLOTS, slot_of};
use crate::memory::{self, Ledger, Mapping, Unsound};
use crate::step::step;
use crate::wire::Control;

/// Segments of the peer that are mapped here.
#[derive(Debug)]
pub(crate) struct Borrower {
    /// The most bytes mapped of a peer's segments.
    limit: usize,
    /// By slot.
    segments: Box<[Option<Segment>; SLOTS]>,
    /// Bytes of all segments.
    held: usize,
}

#[derive(Debug)]
struct Segment {
    number: u32,
    memory: Arc<Mapping>,
}

impl Borrower {
    /// A borrower that maps at most `limit` bytes of a peer's segments.
    pub(crate) fn new(limit: usize) -> Borrower {
        let segments = Box::new([const { None }; SLOTS]);
        Borrower { limit, segments, held: 0 }
    }

    /// Appends to `into` the payload that the record refers to, gives its segment back, and returns
    /// its length. The record must have been taken from the ring, and its space given back, before.
    /// Afterwards the peer may have to be woken: it may have waited for the segment.
    ///
    /// `mine` is the ledger of this side.
    ///
    /// # Errors
    ///
    /// See [`BorrowError`]. `into` is then as it was.
    pub(crate) fn append_to(
        &mut self,
        reference: &[u8],
        session: &impl Announce,
        mine: &Ledger,
        into: &mut Vec<u8>,
        limit: usize,
    ) -> Result<usize, BorrowError> {
        let (memory, reference) = self.find(reference, session)?;
        // Within the segment, as just found, so it fits.
        let len = reference.len as usize;
        if len <= limit {
            memory.append_to(0, len, into);
            step("borrow.copied");
        }
        mine.give_back(slot_of(reference.number), reference.usage);
        step("borrow.gave_back");
        if len > limit { Err(BorrowError::TooLong { len, limit }) } else { Ok(len) }
    }

    /// As [`Borrower::append_to`], but the payload stays where it is until the loan is dropped.
    ///
    /// # Errors
    ///
    /// See [`BorrowError`].
    ///
    /// # Safety
    ///
    /// While the loan lives the peer does not write to the segment, which one that keeps the
    /// protocol never does.
    pub(crate) unsafe fn borrow(
        &mut self,
        reference: &[u8],
        session: &impl Announce,
        mine: &Ledger,
    ) -> Result<Borrowed, BorrowError> {
        let (memory, reference) = self.find(reference, session)?;
        let memory = Arc::clone(memory);
        Ok(Borrowed { memory, reference, mine: mine.clone() })
    }

    /// Sees to what the peer has announced so far. Happens by itself when a record refers to
    /// something unknown.
    ///
    /// # Errors
    ///
    /// See [`BorrowError`].
    pub(crate) fn tend(&mut self, session: &impl Announce) -> Result<(), BorrowError> {
        session.take().into_iter().try_for_each(|(control, fd)| self.hear(control, fd))
    }

    /// Bytes of the peer's memory that are mapped here for large payloads.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// The payload that is meant: all of it is inside the memory.
    fn find(
        &mut self,
        reference: &[u8],
        session: &impl Announce,
    ) -> Result<(&Arc<Mapping>, Reference), BorrowError> {
        let reference = Reference::decode(reference).ok_or(BorrowError::Malformed)?;
        let number = reference.number;
        if !self.knows(number) {
            self.tend(session)?;
        }
        let known = self.segments[slot_of(number)].as_ref().filter(|it| it.number == number);
        let memory = &known.ok_or(BorrowError::Unknown { number })?.memory;
        if reference.len > memory.len() as u64 {
            return Err(BorrowError::Outside { len: reference.len, segment: memory.len() });
        }
        Ok((memory, reference))
    }

    fn knows(&self, number: u32) -> bool {
        self.segments[slot_of(number)].as_ref().is_some_and(|segment| segment.number == number)
    }

    fn hear(&mut self, control: Control, fd: Option<OwnedFd>) -> Result<(), BorrowError> {
        match control {
            Control::Segment { number, len } => self.map(number, len, fd)?,
            Control::Forget { number } if self.knows(number) => {
                let forgotten = self.segments[slot_of(number)].take();
                self.held -= forgotten.map_or(0, |segment| segment.memory.len());
                step("borrow.unmapped");
            }
            Control::Forget { number } => return Err(BorrowError::Unknown { number }),
            // The hang-up follows.
            Control::Bye { .. } => {}
        }
        Ok(())
    }

    #[cold]
    fn map(&mut self, number: u32, len: u64, fd: Option<OwnedFd>) -> Result<(), BorrowError> {
        let slot = &mut self.segments[slot_of(number)];
        if slot.is_some() {
            return Err(BorrowError::Taken { number });
        }
        let room = self.limit - self.held;
        let bytes = usize::try_from(len).ok().filter(|bytes| (1..=room).contains(bytes));
        let bytes = bytes.ok_or(BorrowError::TooMuch { len, room })?;
        if !bytes.is_multiple_of(PAGE) {
            return Err(BorrowError::Ragged { len });
        }
        let fd = fd.ok_or(BorrowError::Memory(Unsound::NotMemory))?;
        let memory = memory::open(fd.as_fd(), bytes).map_err(BorrowError::Memory)?;
        *slot = Some(Segment { number, memory: Arc::new(memory) });
        self.held += bytes;
        step("borrow.mapped");
        Ok(())
    }
}

/// A payload where its sender left it, from [`Borrower::borrow`]; given back when dropped.
///
/// Keeps the memory it lies in, and so may outlive the connection.
#[derive(Debug)]
pub(crate) struct Borrowed {
    memory: Arc<Mapping>,
    reference: Reference,
    mine: Ledger,
}

impl Deref for Borrowed {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: this process has it mapped read-only, and that the peer does not write was
        // promised to `borrow`.
        unsafe { self.memory.bytes(0, self.reference.len as usize) }
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        self.mine.give_back(slot_of(self.reference.number), self.reference.usage);
        step("borrow.returned");
    }
}

/// Why there is no payload where a record says so. The connection is of no use any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum BorrowError {
    /// The record is no reference.
    Malformed,
    /// A segment that was not announced, or was taken back.
    Unknown {
        /// How it is called.
        number: u32,
    },
    /// A payload that ends behind its segment.
    Outside {
        /// Bytes of the payload, as the record says.
        len: u64,
        /// Bytes of the segment.
        segment: usize,
    },
    /// A payload longer than the receiver takes. It has been given back.
    TooLong {
        /// Bytes of it.
        len: usize,
        /// Bytes that the receiver takes.
        limit: usize,
    },
    /// A segment announced in the slot of another.
    Taken {
        /// How it is called.
        number: u32,
    },
    /// A segment that has no bytes, or more than may still be mapped.
    TooMuch {
        /// Bytes of it, as announced.
        len: u64,
        /// What may still be mapped.
        room: usize,
    },
    /// A segment that is not whole pages.
    Ragged {
        /// Bytes of it, as announced.
        len: u64,
    },
    /// The memory of a segment is not sound.
    Memory(Unsound),
}

impl fmt::Display for BorrowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BorrowError::Malformed => write!(f, "not a reference to a large payload"),
            BorrowError::Unknown { number } => write!(f, "unknown segment {number}"),
            BorrowError::Outside { len, segment } => {
                write!(f, "a payload of {len} bytes in a segment of {segment}")
            }
            BorrowError::TooLong { len, limit } => {
                write!(f, "a payload of {len} bytes where {limit} are accepted")
            }
            BorrowError::Taken { number } => write!(f, "segment {number} in a slot that is taken"),
            BorrowError::TooMuch { len, room } => {
                write!(f, "a segment of {len} bytes where {room} may be mapped")
            }
            BorrowError::Ragged { len } => write!(f, "a segment of {len} bytes, not whole pages"),
            BorrowError::Memory(unsound) => unsound.fmt(f),
        }
    }
}

impl std::error::Error for BorrowError {}
