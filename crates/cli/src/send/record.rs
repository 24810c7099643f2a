//! A line of input as a record.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use thiserror::Error;

use crate::args::Send;
use crate::json_bytes::{self, BytesError};
use crate::lines::split;

/// Names and values, in order; a name may come twice.
pub(super) type Headers = Vec<(String, Option<Vec<u8>>)>;

/// A record to be sent.
#[derive(Debug, PartialEq, Eq, Default)]
pub(super) struct Outgoing<'a> {
    pub(super) key: Option<Cow<'a, [u8]>>,
    /// None is a tombstone.
    pub(super) value: Option<Cow<'a, [u8]>>,
    pub(super) headers: Headers,
    /// Milliseconds since the epoch; None: now.
    pub(super) timestamp: Option<i64>,
    pub(super) partition: Option<i32>,
}

/// Why a line is no record.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(super) enum LineError {
    #[error("`{0}` is not in it")]
    NoSeparator(String),
    #[error("it is not the JSON expected")]
    Json(#[from] serde_json::Error),
    #[error("the {what} cannot be read")]
    Bytes { what: &'static str, source: BytesError },
}

impl LineError {
    pub(super) fn hint(&self) -> &'static str {
        match self {
            LineError::NoSeparator(_) => {
                "with --key-separator, every line is key, separator, value"
            }
            _ => "`chaski send --help` describes the objects that --json expects",
        }
    }
}

/// Turns lines into records, as the arguments have it.
#[derive(Debug)]
pub(super) struct Parser<'a> {
    json: bool,
    key: Option<&'a [u8]>,
    separator: Option<&'a str>,
    null: Option<&'a [u8]>,
}

/// A record as `--json` takes it, and as `recv -o json` prints it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonLine<'a> {
    #[serde(borrow)]
    value: &'a RawValue,
    #[serde(borrow)]
    key: Option<&'a RawValue>,
    #[serde(borrow)]
    headers: Option<&'a RawValue>,
    timestamp: Option<i64>,
    partition: Option<i32>,
    #[serde(rename = "topic")]
    _topic: Option<IgnoredAny>,
    #[serde(rename = "offset")]
    _offset: Option<IgnoredAny>,
    #[serde(rename = "service")]
    _service: Option<IgnoredAny>,
    #[serde(rename = "pid")]
    _pid: Option<IgnoredAny>,
    #[serde(rename = "rings")]
    _rings: Option<IgnoredAny>,
    #[serde(rename = "sequence")]
    _sequence: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonHeader<'a> {
    key: String,
    #[serde(borrow)]
    value: &'a RawValue,
}

impl<'a> Parser<'a> {
    pub(super) fn new(args: &'a Send) -> Parser<'a> {
        Parser {
            json: args.json,
            key: args.key.as_deref().map(str::as_bytes),
            separator: args.key_separator.as_deref(),
            null: args.null_value.as_deref().map(str::as_bytes),
        }
    }

    pub(super) fn parse<'l>(&self, line: &'l [u8]) -> Result<Outgoing<'l>, LineError>
    where
        'a: 'l,
    {
        if self.json {
            return parse_json(line);
        }
        let (key, value) = match self.separator {
            None => (self.key, line),
            Some(separator) => {
                let (key, value) = split(line, separator.as_bytes())
                    .ok_or_else(|| LineError::NoSeparator(separator.to_owned()))?;
                (Some(key), value)
            }
        };
        let value = (self.null != Some(value)).then_some(Cow::Borrowed(value));
        Ok(Outgoing { key: key.map(Cow::Borrowed), value, ..Default::default() })
    }
}

fn parse_json(line: &[u8]) -> Result<Outgoing<'_>, LineError> {
    let line: JsonLine<'_> = serde_json::from_slice(line)?;
    let owned = |bytes: Option<Vec<u8>>| bytes.map(Cow::Owned);
    Ok(Outgoing {
        key: owned(line.key.map(|key| read(key, "key")).transpose()?.flatten()),
        value: owned(read(line.value, "value")?),
        headers: line.headers.map(parse_headers).transpose()?.unwrap_or_default(),
        timestamp: line.timestamp.filter(|&timestamp| timestamp >= 0),
        partition: line.partition,
    })
}

/// An object, or a list where order matters or a key comes twice.
fn parse_headers(json: &RawValue) -> Result<Headers, LineError> {
    let headers: Vec<JsonHeader<'_>> = if json.get().starts_with('{') {
        let object: BTreeMap<String, &RawValue> = serde_json::from_str(json.get())?;
        object.into_iter().map(|(key, value)| JsonHeader { key, value }).collect()
    } else {
        serde_json::from_str(json.get())?
    };
    headers.into_iter().map(|header| Ok((header.key, read(header.value, "header")?))).collect()
}

fn read(json: &RawValue, what: &'static str) -> Result<Option<Vec<u8>>, LineError> {
    json_bytes::read(json).map_err(|source| LineError::Bytes { what, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Parser<'static> = Parser { json: false, key: None, separator: None, null: None };

    fn key_value<'a>(record: &'a Outgoing<'_>) -> (Option<&'a [u8]>, Option<&'a [u8]>) {
        (record.key.as_deref(), record.value.as_deref())
    }

    #[test]
    fn a_line_is_a_value() {
        let record = PLAIN.parse(b"\xffa:b").unwrap();
        assert_eq!(key_value(&record), (None, Some(&b"\xffa:b"[..])));
        let parser = Parser { key: Some(b"k"), null: Some(b"NULL"), ..PLAIN };
        assert_eq!(key_value(&parser.parse(b"v").unwrap()), (Some(&b"k"[..]), Some(&b"v"[..])));
        assert_eq!(key_value(&parser.parse(b"NULL").unwrap()), (Some(&b"k"[..]), None));
    }

    #[test]
    fn a_separator_splits_key_and_value_once() {
        let parser = Parser { separator: Some("::"), ..PLAIN };
        let record = parser.parse(b"k::v::w").unwrap();
        assert_eq!(key_value(&record), (Some(&b"k"[..]), Some(&b"v::w"[..])));
        let record = parser.parse(b"::").unwrap();
        assert_eq!(key_value(&record), (Some(&b""[..]), Some(&b""[..])));
        assert!(matches!(parser.parse(b"k:v"), Err(LineError::NoSeparator(_))));
    }

    #[test]
    fn json_says_everything() {
        let line = br#"{"key":"k","value":{"n":1},"headers":{"b":null,"a":"x"},
            "timestamp":5,"partition":3,"topic":"t","offset":9}"#;
        let record = parse_json(line).unwrap();
        assert_eq!(key_value(&record), (Some(&b"k"[..]), Some(&br#"{"n":1}"#[..])));
        let headers = [("a".to_owned(), Some(b"x".to_vec())), ("b".to_owned(), None)];
        assert_eq!(record.headers, headers);
        assert_eq!((record.timestamp, record.partition), (Some(5), Some(3)));
    }

    #[test]
    fn what_a_service_sent_is_a_record() {
        let line = br#"{"service":"s","pid":7,"rings":2,"sequence":3,"value":"17"}"#;
        assert_eq!(key_value(&parse_json(line).unwrap()), (None, Some(&b"17"[..])));
    }

    #[test]
    fn json_headers_may_be_a_list() {
        let line = br#"{"value":"v","headers":[{"key":"z","value":"1"},{"key":"z","value":"2"}]}"#;
        let record = parse_json(line).unwrap();
        let values: Vec<_> = record.headers.iter().map(|(_, value)| value.as_deref()).collect();
        assert_eq!(values, [Some(&b"1"[..]), Some(&b"2"[..])]);
    }

    #[test]
    fn json_null_is_a_tombstone_and_a_missing_value_a_mistake() {
        let record = parse_json(br#"{"key":null,"value":null,"timestamp":-1}"#).unwrap();
        assert_eq!(record, Outgoing::default());
        for line in [&b"{}"[..], b"", b"7", br#"{"vlaue":1}"#, br#"{"value":1}x"#] {
            assert!(matches!(parse_json(line), Err(LineError::Json(_))), "{line:?}");
        }
        let line = br#"{"value":{"base64":"!"}}"#;
        assert!(matches!(parse_json(line), Err(LineError::Bytes { what: "value", .. })));
    }
}
