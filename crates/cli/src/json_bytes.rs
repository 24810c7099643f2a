//! Bytes in JSON, both ways.
//!
//! | bytes | JSON |
//! |---|---|
//! | none (null) | `null` |
//! | UTF-8 | a string |
//! | anything else | `{"base64": ".."}` |
//!
//! When read, any other JSON stands for its own text.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;

/// Bytes as they are written.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Written<'a> {
    Text(&'a str),
    Base64 { base64: String },
}

/// The object that stands for bytes that are no text.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Base64<'a> {
    #[serde(borrow)]
    base64: Cow<'a, str>,
}

/// Why JSON is no bytes.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum BytesError {
    #[error("it is not base64")]
    Base64(#[from] base64::DecodeError),
    #[error("it is not a string")]
    Text(#[from] serde_json::Error),
}

/// Bytes for JSON.
pub(crate) fn write(bytes: &[u8]) -> Written<'_> {
    match str::from_utf8(bytes) {
        Ok(text) => Written::Text(text),
        Err(_) => Written::Base64 { base64: STANDARD.encode(bytes) },
    }
}

/// The bytes that JSON stands for; None for null.
pub(crate) fn read(json: &RawValue) -> Result<Option<Vec<u8>>, BytesError> {
    let text = json.get();
    match text.as_bytes().first() {
        Some(b'n') => Ok(None),
        Some(b'"') => Ok(Some(serde_json::from_str::<String>(text)?.into_bytes())),
        Some(b'{') => match serde_json::from_str::<Base64<'_>>(text) {
            Ok(Base64 { base64 }) => Ok(Some(STANDARD.decode(base64.as_bytes())?)),
            Err(_) => Ok(Some(text.as_bytes().to_vec())),
        },
        _ => Ok(Some(text.as_bytes().to_vec())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(json: &str) -> Result<Option<Vec<u8>>, BytesError> {
        let raw: &RawValue = serde_json::from_str(json).unwrap();
        read(raw)
    }

    #[test]
    fn what_is_written_is_read() {
        for bytes in [&b""[..], b"plain", "gr\u{fc}n \"\n\0".as_bytes(), b"\xff\xfe\0", b"null"] {
            let json = serde_json::to_string(&write(bytes)).unwrap();
            assert_eq!(read_text(&json).unwrap().as_deref(), Some(bytes), "{json}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_base64() {
        let json = serde_json::to_string(&write(b"\xff\x00")).unwrap();
        assert_eq!(json, r#"{"base64":"/wA="}"#);
        assert!(matches!(read_text(r#"{"base64":"?"}"#), Err(BytesError::Base64(_))));
    }

    #[test]
    fn other_json_is_its_own_text() {
        assert_eq!(read_text("null").unwrap(), None);
        for json in ["12.50", "true", r#"{"b":1, "a":2}"#, "[1, 2]", r#"{"base64":"/wA=","x":1}"#] {
            assert_eq!(read_text(json).unwrap().as_deref(), Some(json.as_bytes()));
        }
    }
}
