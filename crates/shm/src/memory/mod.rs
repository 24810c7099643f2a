//! Memory that processes share: made, sealed, handed over, mapped, let go.
//!
//! It has no name and lies in no directory. A descriptor is all there is of it, and when the last
//! descriptor and the last mapping are gone, however their owners went, so is the memory.
//!
//! # What the seals are for
//!
//! A page beyond the end of a file that was shortened is a SIGBUS to whoever touches it. So nothing
//! is mapped here that somebody could still shorten: what comes from a peer is looked at first
//! ([`open`]), and what we make ([`create`]) is sealed, so that the peer can satisfy itself in the
//! same way. A second seal, `F_SEAL_FUTURE_WRITE`, takes from every descriptor the right to write,
//! now and after it is opened again through `/proc`; only the mapping made before keeps it. That is
//! how one side owns bytes that the other can read, and neither has to trust the other with it.
//!
//! | seal | without it a peer could |
//! |---|---|
//! | `SHRINK` | kill us with SIGBUS |
//! | `GROW` | have us charged for memory nobody agreed on |
//! | `FUTURE_WRITE` | forge what we say, to ourselves and to others |
//! | `SEAL` | add `WRITE`, so that nobody else's mapping succeeds |
//! | `EXEC` (`MFD_NOEXEC_SEAL`, since Linux 6.3) | run what we wrote as a program |
//!
//! What is left to a hostile owner is to write anything at any time, which is why all access to
//! memory of others is atomic or as good as that (`chaski_ring::region`), and to leave holes, whose
//! pages are charged to the first who reads them: no more of them than was agreed to map.

mod half;
mod ledger;
mod mapping;
mod pages;
mod sealed;
#[cfg(test)]
mod tests;

pub(crate) use half::{CAPACITY_MIN, Half, RingMemory};
pub(crate) use ledger::{Ledger, SLOTS};
pub(crate) use mapping::Mapping;
pub use pages::Pages;
pub(crate) use sealed::{Unsound, create, create_open_to_all, create_with, open, open_writable};
