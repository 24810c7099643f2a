//! What a receive from a broadcast may answer: as everywhere, and that messages were missed.

use std::fmt;

/// So many messages were overwritten before this receiver came to them: what a stream gives in
/// their place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lagged(pub u64);

/// Why no message was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecvError {
    /// So many messages were overwritten before this receiver came to them. The next receive gives
    /// the oldest that is left.
    Lagged(u64),
    /// Everything sent was received, and no more will come.
    Closed,
}

/// Why there is no message at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TryRecvError {
    /// Nothing is there now.
    Empty,
    /// As [`RecvError::Lagged`].
    Lagged(u64),
    /// Everything sent was received, and no more will come.
    Closed,
}

/// Why there was no message in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecvTimeoutError {
    /// Nothing came until the deadline.
    Timeout,
    /// As [`RecvError::Lagged`].
    Lagged(u64),
    /// Everything sent was received, and no more will come.
    Closed,
}

fn lagged(f: &mut fmt::Formatter<'_>, missed: u64) -> fmt::Result {
    write!(f, "missed {missed} messages")
}

const CLOSED: &str = "the channel is closed";

impl fmt::Display for Lagged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        lagged(f, self.0)
    }
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecvError::Lagged(missed) => lagged(f, *missed),
            RecvError::Closed => f.write_str(CLOSED),
        }
    }
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TryRecvError::Empty => f.write_str("the channel is empty"),
            TryRecvError::Lagged(missed) => lagged(f, *missed),
            TryRecvError::Closed => f.write_str(CLOSED),
        }
    }
}

impl fmt::Display for RecvTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecvTimeoutError::Timeout => f.write_str("timed out"),
            RecvTimeoutError::Lagged(missed) => lagged(f, *missed),
            RecvTimeoutError::Closed => f.write_str(CLOSED),
        }
    }
}

impl std::error::Error for Lagged {}
impl std::error::Error for RecvError {}
impl std::error::Error for TryRecvError {}
impl std::error::Error for RecvTimeoutError {}

impl From<RecvError> for TryRecvError {
    fn from(error: RecvError) -> TryRecvError {
        match error {
            RecvError::Lagged(missed) => TryRecvError::Lagged(missed),
            RecvError::Closed => TryRecvError::Closed,
        }
    }
}

impl From<RecvError> for RecvTimeoutError {
    fn from(error: RecvError) -> RecvTimeoutError {
        match error {
            RecvError::Lagged(missed) => RecvTimeoutError::Lagged(missed),
            RecvError::Closed => RecvTimeoutError::Closed,
        }
    }
}
