//! What the API says when it does not do what it was asked.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::client::{ClientError, ErrorCode, FaultKind, ProduceError, ReadError};
use crate::health::remedy;

/// A kind that programs tell apart, what went wrong, and what to do next.
#[derive(Debug, Clone)]
pub(super) struct ApiError {
    status: StatusCode,
    kind: &'static str,
    message: Cow<'static, str>,
    hint: Option<Cow<'static, str>>,
    /// Seconds after which it may be asked again.
    retry_after: Option<u64>,
}

/// The answer of a handler: JSON, or why not.
pub(super) type Answer<T> = Result<Json<T>, ApiError>;

impl ApiError {
    pub(super) fn new(
        status: StatusCode,
        kind: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> ApiError {
        ApiError { status, kind, message: message.into(), hint: None, retry_after: None }
    }

    /// The request makes no sense.
    pub(super) fn invalid(message: impl Into<Cow<'static, str>>) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, "invalid", message)
    }

    pub(super) fn not_found(message: impl Into<Cow<'static, str>>) -> ApiError {
        ApiError::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// Nobody is at hand to do it.
    pub(super) fn busy(message: impl Into<Cow<'static, str>>) -> ApiError {
        let error = ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message);
        error.hint("try again in a moment")
    }

    /// He has guessed too often.
    pub(super) fn slow_down(wait: Duration) -> ApiError {
        let message = "too many wrong tokens from this address";
        let error = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "slow_down", message);
        let seconds = wait.as_millis().div_ceil(1000).max(1) as u64;
        ApiError { retry_after: Some(seconds), ..error }
            .hint(format!("try again in {seconds} s, with the value of `http.token`"))
    }

    /// It is our fault.
    pub(super) fn internal(message: impl Into<Cow<'static, str>>) -> ApiError {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "failed", message)
    }

    pub(super) fn recovering() -> ApiError {
        let message = "the log is being recovered";
        let error = ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "recovering", message);
        error.hint("wait; /readyz says when it is done")
    }

    #[must_use]
    pub(super) fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> ApiError {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub(super) fn did_you_mean(self, nearest: Option<&str>) -> ApiError {
        match nearest {
            Some(name) => self.hint(format!("did you mean `{name}`?")),
            None => self,
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Told<'a> {
            kind: &'a str,
            message: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            hint: Option<&'a str>,
        }
        let ApiError { status, kind, message, hint, retry_after } = &self;
        let told = Told { kind, message, hint: hint.as_deref() };
        let body = Json(serde_json::json!({ "error": told }));
        match retry_after {
            Some(seconds) => {
                (*status, [(header::RETRY_AFTER, seconds.to_string())], body).into_response()
            }
            None => (*status, body).into_response(),
        }
    }
}

impl From<ClientError> for ApiError {
    fn from(error: ClientError) -> ApiError {
        let message = error.to_string();
        match &error {
            ClientError::UnknownTopic { nearest, .. } => {
                ApiError::not_found(message).did_you_mean(nearest.as_deref())
            }
            ClientError::UnknownPartition { .. } | ClientError::UnknownGroup(_) => {
                ApiError::not_found(message)
            }
            ClientError::Refused { code, .. } => refused(*code, message),
            ClientError::Storage(fault) => storage(fault.kind(), message),
            ClientError::Stopped => stopped(message),
            ClientError::Busy => ApiError::busy(message),
            ClientError::TimedOut(_) => {
                ApiError::new(StatusCode::GATEWAY_TIMEOUT, "timeout", message)
            }
            _ => ApiError::internal(message),
        }
    }
}

impl From<ProduceError> for ApiError {
    fn from(error: ProduceError) -> ApiError {
        let message = error.to_string();
        match &error {
            ProduceError::Stopped => stopped(message),
            ProduceError::Deleted(_) | ProduceError::UnknownPartition { .. } => {
                ApiError::not_found(message)
            }
            ProduceError::Refused { code, .. } => refused(*code, message),
            ProduceError::Append(error) => match error.fault_kind() {
                Some(kind) => storage(kind, message),
                None => ApiError::internal(message),
            },
            ProduceError::Full { .. } => too_large(message),
            ProduceError::TimedOut(_) => {
                ApiError::new(StatusCode::GATEWAY_TIMEOUT, "timeout", message)
            }
            _ => ApiError::internal(message),
        }
    }
}

impl From<ReadError> for ApiError {
    fn from(error: ReadError) -> ApiError {
        let message = error.to_string();
        match &error {
            ReadError::Stopped => stopped(message),
            ReadError::Deleted(_) => ApiError::not_found(message),
            ReadError::Storage(fault) => storage(fault.kind(), message),
            _ => ApiError::internal(message),
        }
    }
}

/// What Kafka's codes are as a status.
fn refused(code: ErrorCode, message: String) -> ApiError {
    match code {
        ErrorCode::TOPIC_ALREADY_EXISTS => {
            ApiError::new(StatusCode::CONFLICT, "already_exists", message)
        }
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::GROUP_ID_NOT_FOUND => {
            ApiError::not_found(message)
        }
        ErrorCode::NON_EMPTY_GROUP
        | ErrorCode::UNKNOWN_MEMBER_ID
        | ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC => {
            let error = ApiError::new(StatusCode::CONFLICT, "not_empty", message);
            error.hint("stop the consumers of the group first; it must have no members")
        }
        ErrorCode::MESSAGE_TOO_LARGE => {
            too_large(message).hint("raise `max.message.bytes` of the topic, or send less")
        }
        ErrorCode::UNKNOWN_SERVER_ERROR | ErrorCode::KAFKA_STORAGE_ERROR => {
            ApiError::internal(message)
        }
        _ => ApiError::new(StatusCode::BAD_REQUEST, "refused", message),
    }
}

/// The store failed. A full disk has a status of its own: it is the one that callers can wait for.
fn storage(kind: FaultKind, message: String) -> ApiError {
    let error = match kind {
        FaultKind::Full => ApiError::new(StatusCode::INSUFFICIENT_STORAGE, "full", message),
        _ => ApiError::internal(message),
    };
    error.hint(remedy(kind))
}

fn too_large(message: String) -> ApiError {
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
}

fn stopped(message: String) -> ApiError {
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "stopped", message)
}

#[cfg(test)]
mod tests {
    use chaski_log::store::Fault;

    use super::*;

    #[test]
    fn a_full_disk_is_told_from_a_broken_one_and_both_with_what_helps() {
        let told = |errno| {
            let fault = Fault::of("write", &std::io::Error::from_raw_os_error(errno));
            let error = ApiError::from(ClientError::Storage(fault));
            (error.status.as_u16(), error.kind, error.hint.expect("a hint"))
        };
        let (status, kind, hint) = told(28);
        assert_eq!((status, kind), (507, "full"));
        assert!(hint.contains("retention.bytes"), "{hint}");
        let (status, kind, hint) = told(5);
        assert_eq!((status, kind), (500, "failed"));
        assert!(hint.contains("dmesg"), "{hint}");
    }
}
