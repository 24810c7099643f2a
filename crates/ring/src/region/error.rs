//! What can go wrong, by operation.

use std::fmt;

/// Why a region is no ring, or not the one meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AttachError {
    /// An area does not begin on a multiple of `align` bytes.
    Misaligned {
        /// In bytes.
        align: usize,
    },
    /// An area is shorter than its layout asks for.
    TooSmall {
        /// Bytes that the layout takes.
        required: usize,
        /// Bytes that are there.
        found: usize,
    },
    /// An area was never made into a ring, or is that of the other side.
    BadMagic,
    /// The ring is of a version that this code does not know.
    BadVersion {
        /// What the area says.
        found: u64,
    },
    /// A capacity that no ring can have, or another one than was agreed on.
    BadCapacity {
        /// What was asked for, or what the area says.
        found: u64,
    },
    /// The ring has been in use: take it up with `resume`, or make a new one.
    InUse,
    /// A cursor or a record found on the way is not sound.
    Corrupt(Corrupt),
}

/// Why a payload was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// No room now; the consumer makes some by reading.
    Full,
    /// No ring of this capacity takes a payload so long.
    TooLarge {
        /// Bytes of payload.
        len: usize,
        /// Bytes that a payload may have.
        max: usize,
    },
    /// The consumer broke the protocol, now or earlier.
    Corrupt(Corrupt),
}

/// Why a record was not received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecvError {
    /// The next record is longer than the receiver takes. It stays where it is.
    TooLong {
        /// Bytes of its payload.
        len: usize,
        /// Bytes that the receiver takes.
        limit: usize,
    },
    /// The producer broke the protocol, now or earlier.
    Corrupt(Corrupt),
}

/// The other side broke the protocol. There is no way back: whoever sees this once sees it at every
/// later call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Corrupt {
    /// A word that is no header of a record that could be there.
    Header {
        /// Where, in bytes since the ring was new.
        position: u64,
        /// What was found.
        word: u64,
    },
    /// A record over space that the consumer has not given back.
    Overrun {
        /// Where, in bytes since the ring was new.
        position: u64,
    },
    /// The consumer's head went backwards, ahead of the records, or off their grid.
    Head {
        /// What was found.
        head: u64,
        /// The least it could have been.
        from: u64,
        /// The most it could have been.
        to: u64,
    },
    /// A cursor, found on resuming or on being lapped, that no ring can have.
    Cursor {
        /// What was found.
        position: u64,
    },
    /// A record of a broadcast whose number does not follow that of the last.
    Sequence {
        /// Where, in bytes since the ring was new.
        position: u64,
        /// What was found.
        sequence: u64,
        /// The number, or where records were lost the least number, that it could have been.
        from: u64,
    },
}

impl fmt::Display for AttachError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AttachError::Misaligned { align } => write!(f, "area not aligned to {align} bytes"),
            AttachError::TooSmall { required, found } => {
                write!(f, "area of {found} bytes where {required} are required")
            }
            AttachError::BadMagic => write!(f, "not this side of a ring"),
            AttachError::BadVersion { found } => write!(f, "unknown version {found} of a ring"),
            AttachError::BadCapacity { found } => write!(f, "unexpected ring capacity {found}"),
            AttachError::InUse => write!(f, "the ring has been in use"),
            AttachError::Corrupt(corrupt) => corrupt.fmt(f),
        }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendError::Full => write!(f, "the ring is full"),
            SendError::TooLarge { len, max } => {
                write!(f, "payload of {len} bytes where {max} are allowed")
            }
            SendError::Corrupt(corrupt) => corrupt.fmt(f),
        }
    }
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecvError::TooLong { len, limit } => {
                write!(f, "record of {len} bytes where {limit} are accepted")
            }
            RecvError::Corrupt(corrupt) => corrupt.fmt(f),
        }
    }
}

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Corrupt::Header { position, word } => {
                write!(f, "corrupt ring: {word:#018x} is no header at {position}")
            }
            Corrupt::Overrun { position } => {
                write!(f, "corrupt ring: the record at {position} overruns the unread ones")
            }
            Corrupt::Head { head, from, to } => {
                write!(f, "corrupt ring: head at {head}, not in {from} to {to}")
            }
            Corrupt::Cursor { position } => {
                write!(f, "corrupt ring: no cursor can be at {position}")
            }
            Corrupt::Sequence { position, sequence, from } => {
                write!(f, "corrupt ring: record {sequence} at {position}, where {from} is due")
            }
        }
    }
}

impl std::error::Error for AttachError {}
impl std::error::Error for SendError {}
impl std::error::Error for RecvError {}
impl std::error::Error for Corrupt {}

impl From<Corrupt> for AttachError {
    fn from(corrupt: Corrupt) -> Self {
        AttachError::Corrupt(corrupt)
    }
}

impl From<Corrupt> for SendError {
    fn from(corrupt: Corrupt) -> Self {
        SendError::Corrupt(corrupt)
    }
}

impl From<Corrupt> for RecvError {
    fn from(corrupt: Corrupt) -> Self {
        RecvError::Corrupt(corrupt)
    }
}
