//! Why a call failed.

use std::time::Duration;

use chaski_batch::{BatchError, Malformed};
use chaski_kafka::{ApiKey, ErrorCode};
use chaski_local::producer::{self, OtherFlush};
use chaski_log::store::{AppendError, Fault, StoreError};
use thiserror::Error;

use crate::admission::{self, Refusal};

/// Why the broker did not do, or tell, what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The broker has stopped, or is about to.
    #[error("the broker has stopped")]
    Stopped,
    /// No answer came in time; what was asked may be done all the same.
    #[error("no answer within {0:?}; it may be done all the same")]
    TimedOut(Duration),
    /// Too many requests wait already.
    #[error("too many requests wait for the broker; try again")]
    Busy,
    /// There is no such topic.
    #[error("no topic `{topic}`")]
    UnknownTopic {
        /// What was asked for.
        topic: String,
        /// The name most like it, if one is.
        nearest: Option<String>,
    },
    /// The topic has fewer partitions.
    #[error("no partition {partition} in topic `{topic}`, which has {partitions}")]
    UnknownPartition {
        /// The topic.
        topic: String,
        /// What was asked for.
        partition: i32,
        /// How many it has; they count from 0.
        partitions: usize,
    },
    /// There is no such group.
    #[error("no group `{0}`")]
    UnknownGroup(String),
    /// The broker does not want to, for a reason that the protocol has a code for.
    #[error("{message}")]
    Refused {
        /// The reason.
        code: ErrorCode,
        /// The reason in words.
        message: String,
    },
    /// A request that [`Client::ask`](super::Client::ask) does not serve.
    #[error("{api} version {version} is not served here")]
    Unserved {
        /// The API.
        api: ApiKey,
        /// Its version.
        version: i16,
    },
    /// The request made no sense, or what it wants cannot be stored at present.
    #[error("no answer to {0}: the request makes no sense, or what it wants cannot be stored")]
    Unanswered(ApiKey),
    /// The store failed; [`Fault::kind`] says how.
    #[error("storage failed: {0}")]
    Storage(Fault),
}

impl ClientError {
    /// What an error code of a response stands for.
    pub(super) fn refused(code: ErrorCode, message: Option<&str>) -> ClientError {
        let message = message.filter(|m| !m.is_empty()).unwrap_or(code.message()).to_owned();
        ClientError::Refused { code, message }
    }
}

/// Why a record, or a batch of them, is not in the log.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProduceError {
    /// The broker has stopped, or is about to.
    #[error("the broker has stopped")]
    Stopped,
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
        code: ErrorCode,
        /// The reason in words.
        message: String,
    },
    /// The producer holds all it may: flush first.
    #[error("{held} bytes wait for a flush, {max} may")]
    Full {
        /// Bytes that wait.
        held: usize,
        /// Bytes that may.
        max: usize,
    },
    /// The store did not take it. Nothing of it was kept, but for [`AppendError::InDoubt`]: what
    /// is in doubt and sent again may be there twice.
    #[error(transparent)]
    Append(AppendError),
    /// As many flushes were under way as may be, and none of them ended within that time. Nothing
    /// of it was kept.
    #[error("as many flushes are under way as may be, and none ended within {0:?}")]
    Busy(Duration),
    /// The outcome did not come in time, and is not known.
    #[error("not acknowledged within {0:?}; it may be in the log all the same")]
    TimedOut(Duration),
    /// A flush was asked for a record that is not of it: nothing was learned of the record.
    #[error(transparent)]
    OtherFlush(#[from] OtherFlush),
}

/// A batch that the log does not hold, as far as is known. The error says where that is not sure.
pub type BatchFailed = producer::BatchFailed<ProduceError>;

/// What became of a flush of which not all went well. The others are in the log.
pub type FlushError = producer::FlushError<ProduceError>;

/// What became of all that was pushed since the flush before: the batches in the log, in the order
/// they were begun.
pub type Flushed = producer::Flushed<ProduceError>;

impl ProduceError {
    /// The same as an error code of the protocol.
    pub fn code(&self) -> ErrorCode {
        match self {
            ProduceError::Stopped => ErrorCode::BROKER_NOT_AVAILABLE,
            ProduceError::Deleted(_) | ProduceError::UnknownPartition { .. } => {
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
            }
            ProduceError::Refused { code, .. } => *code,
            ProduceError::Full { .. } | ProduceError::Busy(_) => {
                ErrorCode::THROTTLING_QUOTA_EXCEEDED
            }
            ProduceError::Append(error) => admission::code_of(error),
            // Of neither is known whether it is stored.
            ProduceError::TimedOut(_) | ProduceError::OtherFlush(_) => ErrorCode::REQUEST_TIMED_OUT,
        }
    }
}

impl From<Refusal> for ProduceError {
    fn from(Refusal(code, message): Refusal) -> ProduceError {
        let message = message.unwrap_or_else(|| code.message().to_owned());
        ProduceError::Refused { code, message }
    }
}

/// Why there is nothing to read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The broker has stopped, or is about to.
    #[error("the broker has stopped")]
    Stopped,
    /// The topic has been deleted.
    #[error("topic `{0}` has been deleted")]
    Deleted(String),
    /// The position is outside what the partition holds: retention has passed it, say.
    #[error("offset {offset} is outside {start}..={end}")]
    OutOfRange {
        /// The position.
        offset: i64,
        /// Oldest offset kept.
        start: i64,
        /// Offset the next record will get.
        end: i64,
    },
    /// The bytes at the position are damaged. To read on behind them, seek to `resumes`.
    #[error("damaged from offset {offset} up to {resumes}: {reason}")]
    Damaged {
        /// First offset of the damaged stretch.
        offset: i64,
        /// First offset that may be good again; past the position.
        resumes: i64,
        /// What is wrong there.
        reason: String,
    },
    /// A batch that arrived whole cannot be read: its producer has written nonsense.
    #[error("the batch at offset {offset} makes no sense: {error}")]
    Malformed {
        /// Offset of the batch.
        offset: i64,
        /// What is wrong with it.
        error: BatchError,
    },
    /// The store failed; [`Fault::kind`] says how.
    #[error("storage failed: {0}")]
    Storage(Fault),
}

impl From<Malformed> for ReadError {
    fn from(Malformed { offset, error, .. }: Malformed) -> ReadError {
        ReadError::Malformed { offset, error }
    }
}

impl ReadError {
    pub(super) fn of_lookup(error: &StoreError, topic: &str) -> ReadError {
        match error {
            StoreError::NotFound => ReadError::Deleted(topic.to_owned()),
            other => ReadError::Storage(other.into()),
        }
    }
}
