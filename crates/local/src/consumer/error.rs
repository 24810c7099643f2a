//! Why there is nothing to read.

use thiserror::Error;

use super::wire::{Answer, Reason};

/// Why a consumer could not be made, or has nothing to read.
///
/// None of these ends the consumer. Those about a partition leave its position where it is, so that
/// the same comes again until the consumer is told to read on elsewhere
/// ([`LocalConsumer::seek`](super::LocalConsumer::seek)) or not at all
/// ([`LocalConsumer::unassign`](super::LocalConsumer::unassign)); other partitions are read on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConsumeError {
    /// No broker of the name is to be reached.
    #[error(transparent)]
    Connect(#[from] chaski_shm::ConnectError),
    /// The broker has stopped, or died. The next call looks for one of the same name and goes on
    /// where this consumer is.
    #[error("the broker `{name}` is gone: {why}")]
    Disconnected {
        /// Its name.
        name: String,
        /// How that was noticed.
        why: String,
    },
    /// The broker does not serve this consumer: the reason in words.
    #[error("the broker refuses: {0}")]
    Refused(String),
    /// There is no such topic, or it has fewer partitions.
    #[error("{0}")]
    Unknown(String),
    /// This consumer does not read that partition.
    #[error("{topic}/{partition} is not assigned")]
    Unassigned {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
    },
    /// The topic has been deleted. One made anew under its name is another topic: assign it anew.
    #[error("topic `{topic}` has been deleted")]
    Deleted {
        /// The topic.
        topic: String,
        /// The partition that was read.
        partition: i32,
    },
    /// The position is outside what the partition holds: retention has passed it, say.
    #[error("{topic}/{partition}: offset {offset} is outside {start}..={end}")]
    OutOfRange {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The position.
        offset: i64,
        /// Oldest offset kept.
        start: i64,
        /// Offset the next record will get.
        end: i64,
    },
    /// The bytes at the position are damaged. To read on behind them, seek to `resumes`.
    #[error("{topic}/{partition}: damaged from offset {offset} up to {resumes}: {reason}")]
    Damaged {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// First offset of the damaged stretch.
        offset: i64,
        /// First offset that may be good again; past the position.
        resumes: i64,
        /// What is wrong there.
        reason: String,
    },
    /// The records cannot be read: the file system failed, or the broker has them in memory, where
    /// nobody else can read them.
    #[error("{topic}/{partition}: {why}")]
    Storage {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// What went wrong.
        why: String,
    },
}

/// The connection to the broker is of no more use.
#[derive(Debug)]
pub(super) struct Lost(pub(super) String);

impl Lost {
    /// It said what makes no sense.
    pub(super) fn nonsense() -> Lost {
        Lost("its answer makes no sense".to_owned())
    }
}

/// What an answer that is not the one hoped for says of a partition.
pub(super) fn of_partition(
    answer: Answer,
    topic: &str,
    partition: i32,
) -> Result<ConsumeError, Lost> {
    let Answer::Failed { reason, offsets, why } = answer else { return Err(Lost::nonsense()) };
    let topic = topic.to_owned();
    let [offset, start, end] = offsets;
    Ok(match reason {
        Reason::Stopped => return Err(Lost(why)),
        Reason::Unknown => ConsumeError::Unknown(why),
        Reason::Busy | Reason::Refused => ConsumeError::Refused(why),
        Reason::Deleted => ConsumeError::Deleted { topic, partition },
        Reason::OutOfRange => ConsumeError::OutOfRange { topic, partition, offset, start, end },
        Reason::Damaged => {
            ConsumeError::Damaged { topic, partition, offset, resumes: start, reason: why }
        }
        Reason::Storage => ConsumeError::Storage { topic, partition, why },
    })
}
