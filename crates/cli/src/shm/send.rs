//! `chaski send shm://NAME`: lines are messages of bytes.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::outlet;
use crate::args::{Acks, CodecName, Send};
use crate::failure::{Failure, refuse_given};
use crate::json_bytes;
use crate::send::pump::{self, Form};
use crate::service::ServiceUrl;

pub(crate) fn run(url: &ServiceUrl, args: &Send) -> Result<(), Failure> {
    refuse_options_of_topics(args)?;
    pump::run(args, &url.name, Bytes { json: args.json }, || outlet::open(url))
}

/// A line as bytes.
struct Bytes {
    json: bool,
}

impl Form for Bytes {
    type Message = [u8];

    fn read<'l>(&self, line: &'l [u8], number: u64) -> Result<Cow<'l, [u8]>, Failure> {
        match self.json {
            true => value(line).map_err(|error| {
                Failure::because(format!("line {number} is no message"), &error)
                    .hint("with --json, a line is an object with `value`")
            }),
            false => Ok(Cow::Borrowed(line)),
        }
    }

    fn bytes(message: &[u8]) -> usize {
        message.len()
    }
}

/// What `--json` takes, and `recv -o json` prints. The rest of an object says where a message came
/// from, and is passed over.
#[derive(Deserialize)]
struct JsonLine<'a> {
    #[serde(borrow)]
    value: &'a RawValue,
}

/// The value of a JSON line; null is empty.
fn value(line: &[u8]) -> Result<Cow<'_, [u8]>, json_bytes::BytesError> {
    let JsonLine { value } = serde_json::from_slice(line)?;
    Ok(Cow::Owned(json_bytes::read(value)?.unwrap_or_default()))
}

/// What a topic has and a message has not.
fn refuse_options_of_topics(args: &Send) -> Result<(), Failure> {
    let given = [
        ("--key-separator", args.key_separator.is_some()),
        ("--key", args.key.is_some()),
        ("--header", !args.headers.is_empty()),
        ("--partition", args.partition.is_some()),
        ("--null-value", args.null_value.is_some()),
        ("--codec", args.codec != CodecName::None),
        ("--acks", args.acks != Acks::All),
    ];
    refuse_given(&given, NO_TOPIC)
}

/// Why they are refused.
pub(super) const NO_TOPIC: &str = "a message in shared memory is bytes and nothing else";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_of_an_object_is_the_message() {
        let of = |line: &str| value(line.as_bytes()).map(Cow::into_owned).ok();
        assert_eq!(of(r#"{"value":"a"}"#), Some(b"a".to_vec()));
        assert_eq!(of(r#"{"service":"s","pid":1,"value":{"n":1}}"#), Some(b"{\"n\":1}".to_vec()));
        assert_eq!(of(r#"{"value":{"base64":"/w=="}}"#), Some(vec![0xff]));
        assert_eq!(of(r#"{"value":null}"#), Some(Vec::new()));
        assert_eq!(of(r#"{"key":"a"}"#), None);
        assert_eq!(of("a"), None);
    }
}
