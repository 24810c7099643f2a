//! What can go wrong, by operation.

use std::fmt;

use super::super::error::Corrupt;

/// Why a payload was not published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublishError {
    /// A subscriber of the policy [`Block`](super::Policy::Block) has yet to read what would be
    /// written over.
    Full,
    /// No ring of this capacity takes a payload so long.
    TooLarge {
        /// Bytes of payload.
        len: usize,
        /// Bytes that a payload may have.
        max: usize,
    },
}

/// Why a record was not received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecvError {
    /// Records were written over before this subscriber had read them. It goes on behind them: the
    /// next call may have a record.
    Lagged {
        /// How many, since the last record or the last of these errors: one at least.
        lost: u64,
    },
    /// The next record is longer than the subscriber takes. It stays where it is.
    TooLong {
        /// Bytes of its payload.
        len: usize,
        /// Bytes that the subscriber takes.
        limit: usize,
    },
    /// The publisher broke the protocol, now or earlier.
    Corrupt(Corrupt),
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PublishError::Full => write!(f, "a subscriber has yet to make room"),
            PublishError::TooLarge { len, max } => {
                write!(f, "payload of {len} bytes where {max} are allowed")
            }
        }
    }
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecvError::Lagged { lost } => write!(f, "{lost} records were written over unread"),
            RecvError::TooLong { len, limit } => {
                write!(f, "record of {len} bytes where {limit} are accepted")
            }
            RecvError::Corrupt(corrupt) => corrupt.fmt(f),
        }
    }
}

impl std::error::Error for PublishError {}
impl std::error::Error for RecvError {}

impl From<Corrupt> for RecvError {
    fn from(corrupt: Corrupt) -> Self {
        RecvError::Corrupt(corrupt)
    }
}
