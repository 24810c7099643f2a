//! The messages of the socket: bytes in, meaning out. No I/O.
//!
//! Each is one packet of a `SOCK_SEQPACKET` Unix socket. All numbers are little-endian, all sizes
//! are fixed but for the text of a refusal, and every packet begins alike, in every version:
//!
//! ```text
//!  0 "chsk"     4
//!  4 version    2
//!  6 type       2
//! ```
//!
//! | type | packet | from | descriptors that come along |
//! |---|---|---|---|
//! | 1 | [`Hello`] | who connects | half, bell |
//! | 2 | [`Welcome`] | who listens | half, bell, status, board |
//! | 3 | [`Refused`] | who listens | none |
//! | 4 | a survey, as [`Answer::Survey`] | who listens | the text of the survey |
//! | 16 | [`Control::Segment`] | both, after the welcome | the segment |
//! | 17 | [`Control::Forget`] | both, after the welcome | none |
//! | 18 | [`Control::Bye`] | both, after the welcome | none |
//!
//! A refusal has the same layout in every version, so that two processes of different versions can
//! tell each other, and their users, what is wrong. What comes from outside is read by
//! [`Hello::decode`], [`Answer::decode`] and [`Control::decode`]: they never panic, allocate no
//! more than a refusal's text, and accept exactly what their twins write.

mod answer;
mod control;
pub mod exercise;
mod fields;
mod hello;

pub use answer::{Answer, Refusal, Refused, Welcome};
pub use control::{Control, Reason};
pub use hello::{Flags, Hello, Kind, Resume};

/// The version of everything two processes share: these packets and the memory they hand over.
pub const VERSION: u16 = 1;

/// The longest packet, in bytes.
pub const PACKET_MAX: usize = 256;

/// The most descriptors that come with a packet.
pub const DESCRIPTORS_MAX: usize = 4;

/// "chsk" as a number.
const MAGIC: u32 = u32::from_le_bytes(*b"chsk");

/// A packet that says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unreadable {
    /// It is not as long as its type asks for.
    #[error("{len} bytes, {wanted} expected")]
    Length {
        /// Bytes there are.
        len: usize,
        /// Bytes there should be.
        wanted: usize,
    },
    /// It does not begin with "chsk".
    #[error("it begins with {0:#010x} and not with \"chsk\"")]
    Magic(u32),
    /// The other side is of another version.
    #[error("it is of version {theirs}, this side is of version {VERSION}")]
    Version {
        /// The version of the other side.
        theirs: u16,
    },
    /// Its type has no place here.
    #[error("a packet of type {0} has no place here")]
    Type(u16),
    /// A field has a value that it cannot have.
    #[error("{value} cannot be the {field}")]
    Field {
        /// Which field.
        field: &'static str,
        /// What is in it.
        value: u64,
    },
}

#[cfg(test)]
mod tests;
