//! What can go wrong on the way to the broker's HTTP side, and what to do about it.

use std::io;

use thiserror::Error;

use crate::address::Address;
use crate::failure::{Failure, PEER_LOST};

#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum HttpError {
    #[error("nobody answers at http://{address}")]
    Unreachable { address: Address, source: io::Error },
    #[error("the broker at http://{address} went away")]
    Lost { address: Address, source: io::Error },
    #[error("what answers at http://{address} is no broker of this kind: {why}")]
    Strange { address: Address, why: String },
    #[error("{path} was answered with status {status}")]
    Status { path: String, status: u16 },
    /// In the broker's own words.
    #[error("{message}")]
    Refused { kind: String, message: String, hint: Option<String> },
}

impl From<HttpError> for Failure {
    fn from(error: HttpError) -> Failure {
        let failure = Failure::because(error.to_string(), &error);
        match error {
            HttpError::Unreachable { .. } => failure
                .hint("`chaski serve` starts a broker; `--http HOST:PORT` names another address")
                .code(PEER_LOST),
            HttpError::Lost { .. } => failure.code(PEER_LOST),
            HttpError::Strange { .. } => {
                failure.hint("`--http HOST:PORT` names the address that serves the console")
            }
            HttpError::Status { status: 404, .. } => {
                failure.hint("an older broker has no such part of the API")
            }
            HttpError::Status { .. } => failure,
            HttpError::Refused { kind, hint, .. } => match hint {
                Some(hint) => failure.hint(hint),
                None if kind == "unauthorized" => {
                    failure.hint("`--token TOKEN`, or CHASKI_HTTP_TOKEN, says who you are")
                }
                None => failure,
            },
        }
    }
}
