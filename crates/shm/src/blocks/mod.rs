//! Payloads that are too long for a ring: memory of their own, lent to the peer and given back.
//!
//! ```text
//!  lender                                          borrower
//!    segments, each a memfd of its own   - - - ->    the same, mapped read-only
//!    |                                               ^
//!    | 1 write the payload                           | 4 copy it out, or read it in place
//!    v                                               |
//!   ring   2 a record of 24 bytes: which segment, how long, which use of it   3 taken
//!
//!   ledger, in the borrower's half:     <----------  5 slot of the segment = number of the use
//! ```
//!
//! A payload of any length costs two copies and a small record, and no system call once there are
//! enough segments: those given back are lent again. A new one is made when none is free, and
//! announced over the socket before the first record that refers to it is published; so whoever
//! meets such a record finds the announcement in the socket, and looks there only when it does not
//! know the number.
//!
//! # Limits
//!
//! At most [`SLOTS`] segments in each direction of a connection, together of at most as many bytes
//! as the two sides agreed on. A segment has a power of two of bytes, at least 64 KiB, or all that
//! the limit leaves. Whoever sends more must wait until something is given back.
//!
//! # When memory is released
//!
//! The shortest free segment that fits is lent again, if it is at most four times as long as one
//! made for the payload would be. Free ones go, and their memory with them, when the limit is met
//! by a payload that none of them fits, when they were of no use for 1024 payloads on end, and when
//! the connection ends. So what is kept is what the traffic of late has had in flight at once.
//!
//! # Numbers
//!
//! The number of a segment is its slot plus a multiple of 64, another one each time the slot is
//! used anew. So a record can never be taken to mean a successor of the segment it was written for,
//! or the other way round. Uses are counted for all segments of a lender together, and from a
//! random number: a client keeps its half, and so its ledger, when it turns to a new server, and no
//! word that it wrote for the old one, or writes late, must say that a use of the new one's has
//! ended.
//!
//! # When either side dies
//!
//! | the lender dies | the borrower |
//! |---|---|
//! | before it announced a segment | never hears of it; its memory goes with it |
//! | before it published the record | has mapped memory at most, and drops it with the connection |
//! | after | finds announcement, memory and payload: what was published can be read to the end |
//!
//! | the borrower dies | the lender |
//! |---|---|
//! | before it took the record | still has the payload: for a successor, or to take it back |
//! | between taking it and giving back | learns by the ring's head that it was taken: free again |
//! | after | has it back already |
//!
//! The borrower takes the record from the ring, and says so, before it gives the segment back. In
//! the other order a payload could be written over whose record a successor still finds.
//!
//! # What a hostile side can do
//!
//! A borrower that gives back what it has not read sees the next payload meant for it too early,
//! and nobody else is harmed; one that gives nothing back makes its own lender run into the limit.
//! No word it may write is used but to be compared with the number of a use.
//!
//! A lender can announce what is no memory, or is too long, or too much of it, and refer to
//! segments it never announced, or beyond their end: each is a
//! [`BorrowError`](borrower::BorrowError) and the end of the connection, when all that was mapped
//! goes. If it changes a payload while it is read, the copy is garbage of the right length; whoever
//! reads in place has promised to trust it.

mod borrower;
mod lender;
mod reference;
#[cfg(test)]
mod tests;

use std::os::fd::{BorrowedFd, OwnedFd};

use crate::door::Session;
pub(crate) use crate::memory::SLOTS;
use crate::wire::Control;
pub(crate) use borrower::{Borrowed, Borrower};
pub(crate) use lender::{LendError, Lender};

/// Segments are made of whole pages.
const PAGE: usize = 4096;

/// The slot of a segment: its place in the ledger.
fn slot_of(number: u32) -> usize {
    number as usize % SLOTS
}

/// The way on which one side tells the other of its segments, in order: a session.
pub(crate) trait Announce {
    /// Sends a control message; never waits.
    fn send(&self, control: &Control, fd: Option<BorrowedFd<'_>>) -> rustix::io::Result<()>;

    /// What has come, oldest first.
    fn take(&self) -> Vec<(Control, Option<OwnedFd>)>;
}

impl Announce for Session {
    fn send(&self, control: &Control, fd: Option<BorrowedFd<'_>>) -> rustix::io::Result<()> {
        Session::send(self, control, fd)
    }

    fn take(&self) -> Vec<(Control, Option<OwnedFd>)> {
        Session::take(self)
    }
}
