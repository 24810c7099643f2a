//! Why records are not in the log, or not known to be.

use std::time::Duration;

use thiserror::Error;

use super::OtherFlush;
pub use super::wire::Reason;

/// Why a producer could not be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// No broker of the name is to be reached.
    #[error(transparent)]
    Connect(#[from] chaski_shm::ConnectError),
    /// There is no such topic.
    #[error("{0}")]
    UnknownTopic(String),
    /// What serves the name does not answer as a broker would.
    #[error("what serves `{name}` does not answer as a broker: {why}")]
    NoBroker {
        /// The name.
        name: String,
        /// What it did.
        why: String,
    },
}

/// Why a record, or a batch of them, is not in the log; or why nobody can say.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProduceError {
    /// The broker has stopped, and no other came in time. Nothing of it was kept.
    #[error("the broker has stopped, and no other came in time")]
    Stopped,
    /// The broker took it, and is gone without an answer or could not make sure of the disk: it may
    /// be in the log.
    #[error(
        "the broker took it and did not say that it is stored; it may be in the log all the same"
    )]
    InDoubt,
    /// The topic has been deleted. One made anew under its name is another topic: it needs another
    /// producer.
    #[error("topic `{0}` has been deleted")]
    Deleted(String),
    /// The topic has fewer partitions.
    #[error("no partition {partition}, the topic has {partitions}")]
    UnknownPartition {
        /// What the record or the partitioner asked for.
        partition: i32,
        /// How many there are; they count from 0.
        partitions: usize,
    },
    /// The topic's settings forbid it: a record too large, without a key, too old.
    #[error("{message}")]
    Refused {
        /// The reason.
        reason: Reason,
        /// The reason in words.
        message: String,
    },
    /// So many outcomes wait to be taken: flush first.
    #[error("the outcomes of {0} batches wait to be taken; flush first")]
    Full(usize),
    /// The store did not take it; nothing of it was kept.
    #[error("storage failed: {0}")]
    Storage(String),
    /// The broker took nothing within that time. Nothing of it was kept.
    #[error("the broker took nothing within {0:?}")]
    Busy(Duration),
    /// The outcome did not come in time, and is not known.
    #[error("not acknowledged within {0:?}; it may be in the log all the same")]
    TimedOut(Duration),
    /// What the broker wrote makes no sense, so that the outcome is not known.
    #[error("the broker's answer makes no sense: {0}")]
    Unreadable(String),
    /// This machine refused what sending takes.
    #[error("cannot be sent: {0}")]
    Unsent(String),
    /// A flush was asked for a record that is not of it: nothing was learned of the record.
    #[error(transparent)]
    OtherFlush(#[from] OtherFlush),
}

impl ProduceError {
    /// Whether it may be in the log all the same: producing it again may then store it twice.
    pub fn may_be_stored(&self) -> bool {
        use ProduceError::{InDoubt, OtherFlush, TimedOut, Unreadable};
        matches!(self, InDoubt | TimedOut(_) | Unreadable(_) | OtherFlush(_))
    }
}
