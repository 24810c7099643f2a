//! How a line is a message of frames, and how that is printed: each is what the other takes.
//!
//! | | a line | a message |
//! |---|---|---|
//! | plain | `one` | a frame |
//! | with a separator `:` | `topic:one` | two frames |
//! | JSON | `{"value":"one"}` | a frame |
//! | JSON | `{"frames":["topic","one"]}` | as many frames |

use std::borrow::Cow;
use std::io::{self, Write};

use chaski_zmq::{Frame, Message};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;

use crate::args::RecvFormat;
use crate::failure::Failure;
use crate::json_bytes::{self, BytesError, Written};
use crate::lines::split;
use crate::send::pump::Form;

/// How lines are read.
pub(super) struct Lines {
    pub(super) json: bool,
    /// What stands between the first frame and the second.
    pub(super) separator: Option<String>,
    /// A frame that goes before all.
    pub(super) topic: Option<String>,
}

/// Why a line is no message.
#[derive(Debug, Error)]
enum LineError {
    #[error("it has no `{0}`")]
    NoSeparator(String),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Bytes(#[from] BytesError),
    #[error("it has neither `value` nor `frames`, or both")]
    Neither,
}

/// What `--json` takes. The rest of an object is passed over.
#[derive(Deserialize)]
struct JsonLine<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    value: Option<&'a RawValue>,
    #[serde(borrow, default)]
    frames: Option<Vec<&'a RawValue>>,
}

/// A value that is null is there, too.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

impl Lines {
    fn message(&self, line: &[u8]) -> Result<Message, LineError> {
        let mut message = match &self.topic {
            Some(topic) => Message::from(topic.as_str()),
            None => Message::new(),
        };
        match &self.separator {
            _ if self.json => message.extend(frames(line)?),
            None => message.push(line),
            Some(separator) => {
                let (first, rest) = split(line, separator.as_bytes())
                    .ok_or_else(|| LineError::NoSeparator(separator.clone()))?;
                message.extend([first, rest]);
            }
        }
        Ok(message)
    }
}

fn frames(line: &[u8]) -> Result<Vec<Frame>, LineError> {
    let frame = |json: &RawValue| Ok(Frame::from(json_bytes::read(json)?.unwrap_or_default()));
    match serde_json::from_slice(line)? {
        JsonLine { value: Some(value), frames: None } => Ok(vec![frame(value)?]),
        JsonLine { value: None, frames: Some(frames) } if !frames.is_empty() => {
            frames.into_iter().map(frame).collect()
        }
        _ => Err(LineError::Neither),
    }
}

impl Form for Lines {
    type Message = Message;

    fn read<'l>(&self, line: &'l [u8], number: u64) -> Result<Cow<'l, Message>, Failure> {
        self.message(line).map(Cow::Owned).map_err(|error| {
            let failure = Failure::because(format!("line {number} is no message"), &error);
            match self.json {
                true => failure.hint("with --json, a line is an object with `value` or `frames`"),
                false => failure,
            }
        })
    }

    fn bytes(message: &Message) -> usize {
        message.byte_len()
    }
}

/// How messages are printed.
pub(super) struct Printer {
    pub(super) form: RecvFormat,
    /// What stands between frames, as text.
    pub(super) separator: String,
}

/// What `send --json` takes.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum JsonMessage<'a> {
    Value(Written<'a>),
    Frames(Vec<Written<'a>>),
}

impl Printer {
    pub(super) fn print(&self, out: &mut dyn Write, message: &Message) -> io::Result<()> {
        match self.form {
            RecvFormat::Raw => {
                return message.iter().try_for_each(|frame| out.write_all(frame));
            }
            RecvFormat::Text => join(out, message, &self.separator)?,
            RecvFormat::Json => serde_json::to_writer(&mut *out, &json(message))?,
        }
        out.write_all(b"\n")
    }
}

/// All frames, with a separator between them.
pub(super) fn join(out: &mut dyn Write, message: &Message, separator: &str) -> io::Result<()> {
    for (at, frame) in message.iter().enumerate() {
        if at > 0 {
            out.write_all(separator.as_bytes())?;
        }
        out.write_all(frame)?;
    }
    Ok(())
}

fn json(message: &Message) -> JsonMessage<'_> {
    match message.as_slice() {
        [value] => JsonMessage::Value(json_bytes::write(value)),
        frames => JsonMessage::Frames(frames.iter().map(|f| json_bytes::write(f)).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(form: RecvFormat, message: &Message) -> String {
        let mut out = Vec::new();
        let printer = Printer { form, separator: ":".to_owned() };
        printer.print(&mut out, message).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn read(json: bool, separator: Option<&str>, line: &str) -> Option<Message> {
        let lines = Lines { json, separator: separator.map(str::to_owned), topic: None };
        lines.message(line.as_bytes()).ok()
    }

    fn message<const N: usize>(frames: [&str; N]) -> Message {
        frames.into_iter().collect()
    }

    #[test]
    fn what_is_printed_can_be_sent_again() {
        let binary = message(["a", ""]).with(&b"\xff"[..]);
        for sent in [message(["one"]), message([""]), message(["a", "b"]), binary] {
            let line = printed(RecvFormat::Json, &sent);
            assert_eq!(read(true, None, &line), Some(sent), "{line}");
        }
        let pair = message(["topic", "one:two"]);
        let line = printed(RecvFormat::Text, &pair);
        assert_eq!(line, "topic:one:two\n");
        assert_eq!(read(false, Some(":"), line.trim_end()), Some(pair));
    }

    #[test]
    fn a_message_is_printed_in_each_form() {
        let pair = message(["a", "b"]);
        assert_eq!(printed(RecvFormat::Raw, &pair), "ab");
        assert_eq!(printed(RecvFormat::Json, &pair), "{\"frames\":[\"a\",\"b\"]}\n");
        assert_eq!(printed(RecvFormat::Json, &message(["a"])), "{\"value\":\"a\"}\n");
    }

    #[test]
    fn what_is_no_message_is_refused() {
        assert_eq!(read(false, Some(":"), "no separator"), None);
        for line in ["{}", "[]", "x", "{\"frames\":[]}", "{\"frames\":1}"] {
            assert_eq!(read(true, None, line), None, "{line}");
        }
        assert_eq!(read(true, None, "{\"value\":1,\"frames\":[\"a\"]}"), None);
        assert_eq!(read(true, None, "{\"value\":1,\"x\":2}"), Some(message(["1"])));
        assert_eq!(read(true, None, "{\"value\":null}"), Some(message([""])));
    }

    #[test]
    fn a_topic_goes_before_all() {
        let lines =
            Lines { json: false, separator: Some(" ".into()), topic: Some("news".to_owned()) };
        assert_eq!(lines.message(b"a b").unwrap(), message(["news", "a", "b"]));
    }
}
