//! What can go wrong between this program and a broker.

use std::fmt;
use std::io;

use chaski_kafka::{ApiKey, DecodeError, ErrorCode};
use thiserror::Error;

use crate::address::Address;
use crate::failure::{Failure, PEER_LOST};

/// Why a question to the broker has no answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum ClientError {
    #[error("cannot find {address}")]
    Resolve { address: Address, source: io::Error },
    #[error("no broker answers at {address}")]
    Connect { address: Address, source: io::Error },
    #[error("the connection to {address} broke")]
    Broken { address: Address, source: io::Error },
    #[error("{address} closed the connection")]
    Closed { address: Address },
    #[error("{address} was silent for {seconds} s")]
    Silent { address: Address, seconds: u64 },
    #[error("an answer of {len} bytes was announced; at most {max} are accepted")]
    Frame { len: i32, max: usize },
    #[error("the answer to {api} cannot be read")]
    Unreadable { api: ApiKey, source: DecodeError },
    #[error("the answer to {api} came out of turn")]
    OutOfTurn { api: ApiKey },
    #[error("the broker does not serve {api}")]
    NotOffered { api: ApiKey },
    #[error(
        "the broker speaks {api} in versions {min} to {max}, this program in {} to {}",
        api.min_version(),
        api.max_version()
    )]
    NoCommonVersion { api: ApiKey, min: i16, max: i16 },
    #[error("there is no topic `{name}`")]
    UnknownTopic { name: String, nearest: Option<String> },
    #[error("there is no group `{name}`")]
    UnknownGroup { name: String, nearest: Option<String> },
    #[error("topic `{topic}` has no partition {partition}, only 0 to {last}")]
    UnknownPartition { topic: String, partition: i32, last: i32 },
    #[error("the broker refused")]
    Refused(#[from] Refusal),
    #[error("interrupted")]
    Interrupted,
}

/// An error that the broker answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: ErrorCode,
    message: Option<String>,
}

impl Refusal {
    pub(crate) fn new(code: ErrorCode, message: Option<&str>) -> Refusal {
        Refusal { code, message: message.map(str::to_owned) }
    }

    fn hint(&self) -> Option<&'static str> {
        match self.code {
            ErrorCode::NOT_LEADER_OR_FOLLOWER | ErrorCode::NOT_COORDINATOR => {
                Some("another broker of the cluster has it; name that one")
            }
            _ => None,
        }
    }

    /// `Err` unless the code says that all is well.
    pub(crate) fn check(code: ErrorCode, message: Option<&str>) -> Result<(), Refusal> {
        code.ok().map_err(|code| Refusal::new(code, message))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.message {
            Some(message) => write!(f, "{message} ({}: {})", self.code.0, self.code.name()),
            None => write!(f, "{}", self.code),
        }
    }
}

impl std::error::Error for Refusal {}

impl ClientError {
    /// What to do about it.
    fn hint(&self) -> Option<String> {
        match self {
            ClientError::Resolve { .. } => Some("is the host name right?".to_owned()),
            ClientError::Connect { source, .. } => Some(match source.kind() {
                io::ErrorKind::ConnectionRefused => {
                    "is `chaski serve` running, and is this its address?".to_owned()
                }
                _ => "is this the address of a broker, and can it be reached from here?".to_owned(),
            }),
            ClientError::Broken { .. }
            | ClientError::Closed { .. }
            | ClientError::Silent { .. } => Some("the log of the broker may say why".to_owned()),
            ClientError::Frame { .. }
            | ClientError::Unreadable { .. }
            | ClientError::OutOfTurn { .. } => {
                Some("is this the port for Kafka clients, and not another one?".to_owned())
            }
            ClientError::NotOffered { .. } | ClientError::NoCommonVersion { .. } => Some(
                "broker and `chaski` differ too much in age; take both from one release".into(),
            ),
            ClientError::UnknownTopic { nearest: None, .. } => {
                Some("`chaski topic list` shows those there are".to_owned())
            }
            ClientError::UnknownGroup { nearest: None, .. } => {
                Some("`chaski group list` shows those there are".to_owned())
            }
            ClientError::UnknownTopic { nearest: Some(name), .. }
            | ClientError::UnknownGroup { nearest: Some(name), .. } => {
                Some(format!("did you mean `{name}`?"))
            }
            ClientError::UnknownPartition { topic, .. } => {
                Some(format!("`chaski topic describe {topic}` lists its partitions"))
            }
            ClientError::Refused(refusal) => refusal.hint().map(str::to_owned),
            ClientError::Interrupted => None,
        }
    }

    fn lost_the_broker(&self) -> bool {
        matches!(
            self,
            ClientError::Resolve { .. }
                | ClientError::Connect { .. }
                | ClientError::Broken { .. }
                | ClientError::Closed { .. }
                | ClientError::Silent { .. }
        )
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Failure {
        let mut failure = Failure::because(error.to_string(), &error);
        if let Some(hint) = error.hint() {
            failure = failure.hint(hint);
        }
        if error.lost_the_broker() { failure.code(PEER_LOST) } else { failure }
    }
}
