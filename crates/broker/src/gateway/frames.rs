//! How the frames of a message map to a record, both ways.
//!
//! ```text
//!   frames = "topic,key,value"
//!   +-------+-----+-------+------+-------+------+-------+
//!   | topic | key | value | name | value | name | value | ..     headers: pairs of frames
//!   +-------+-----+-------+------+-------+------+-------+
//!   frames = "json"
//!   +-------------------------------------------------------------+
//!   | {"key": .., "value": .., "headers": {name: value}}          |   one frame
//!   +-------------------------------------------------------------+
//! ```
//! ZeroMQ has no null: an empty key is none, and a null value leaves as an empty frame. Where the
//! difference counts, `json` tells them apart. In JSON a string stands for its bytes in UTF-8,
//! `{"base64": ".."}` for bytes that are no text; any other value that comes in stands for its
//! JSON text.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chaski_zmq::{Frame, Message};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::limits::HEADERS_MAX;
use super::spec::Direction;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Topic,
    Key,
    Value,
    /// `partition:offset`.
    Position,
    /// Milliseconds since the epoch.
    Timestamp,
}

const WORDS: &[(&str, Word)] = &[
    ("topic", Word::Topic),
    ("key", Word::Key),
    ("value", Word::Value),
    ("position", Word::Position),
    ("timestamp", Word::Timestamp),
];

impl Word {
    fn name(self) -> &'static str {
        WORDS.iter().find(|(_, word)| *word == self).map_or("", |(name, _)| name)
    }
}

/// The rule of a gateway: `value`, `key,value`, `topic,key,value`, `json`; out also `position` and
/// `timestamp`.
///
/// ```
/// use chaski_broker::gateway::Frames;
///
/// let rule: Frames = "key,value".parse()?;
/// assert_eq!(rule.to_string(), "key,value");
/// assert!("key,colour".parse::<Frames>().is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frames(Rule);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Rule {
    Words(Vec<Word>),
    Json,
}

impl FromStr for Frames {
    type Err = String;

    fn from_str(text: &str) -> Result<Frames, String> {
        if text.trim() == "json" {
            return Ok(Frames(Rule::Json));
        }
        let mut words = Vec::new();
        for name in text.split(',').map(str::trim) {
            let known = WORDS.iter().find(|(known, _)| *known == name);
            let &(_, word) = known.ok_or_else(|| {
                format!("`frames` has `{name}`; it is `json`, or of topic, key, value")
            })?;
            if words.contains(&word) {
                return Err(format!("`frames` has `{name}` twice"));
            }
            words.push(word);
        }
        Ok(Frames(Rule::Words(words)))
    }
}

impl fmt::Display for Frames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Rule::Json => f.write_str("json"),
            Rule::Words(words) => {
                let names: Vec<&str> = words.iter().map(|word| word.name()).collect();
                f.write_str(&names.join(","))
            }
        }
    }
}

impl Serialize for Frames {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Frames {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Frames, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The name and the value of a header.
pub(super) type Header<'a> = (Cow<'a, str>, Option<Cow<'a, [u8]>>);

/// A message that came, as a record.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parsed<'a> {
    pub(super) topic: Option<Cow<'a, str>>,
    pub(super) key: Option<Cow<'a, [u8]>>,
    pub(super) value: Option<Cow<'a, [u8]>>,
    pub(super) headers: Vec<Header<'a>>,
}

/// A record on its way out.
pub(super) struct Record<'a> {
    pub(super) topic: &'a str,
    pub(super) partition: i32,
    pub(super) record: &'a chaski_batch::Record<'a>,
}

impl Frames {
    pub(super) fn value() -> Frames {
        Frames(Rule::Words(vec![Word::Value]))
    }

    pub(super) fn key_value() -> Frames {
        Frames(Rule::Words(vec![Word::Key, Word::Value]))
    }

    pub(super) fn has_topic(&self) -> bool {
        matches!(&self.0, Rule::Words(words) if words.contains(&Word::Topic))
    }

    pub(super) fn check(&self, direction: Direction) -> Result<(), String> {
        let Rule::Words(words) = &self.0 else { return Ok(()) };
        if !words.contains(&Word::Value) {
            return Err("`frames` must have `value`".to_owned());
        }
        let out_only = words.iter().find(|w| matches!(w, Word::Position | Word::Timestamp));
        match out_only {
            Some(word) if direction == Direction::In => {
                Err(format!("`{}` is for gateways out", word.name()))
            }
            _ => Ok(()),
        }
    }

    /// Reads a message.
    ///
    /// # Errors
    /// What does not fit the rule.
    pub(super) fn parse<'a>(&self, frames: &'a [Frame]) -> Result<Parsed<'a>, &'static str> {
        match &self.0 {
            Rule::Words(words) => parse_words(words, frames),
            Rule::Json => match frames {
                [document] => parse_json(document.as_slice()),
                _ => Err("a JSON message is one frame"),
            },
        }
    }

    /// Adds a record's frames to a message.
    pub(super) fn write(&self, out: &Record<'_>, message: &mut Message) {
        match &self.0 {
            Rule::Words(words) => Frames::write_words(words, out, message),
            Rule::Json => return message.push(json_of(out).to_string()),
        }
        for (name, value) in out.record.headers.iter() {
            message.push(name);
            message.push(value.unwrap_or_default());
        }
    }

    /// Writes all frames but the last, if that is the value, which then need not be copied. False:
    /// it is not, and nothing was written.
    pub(super) fn write_before_value(&self, out: &Record<'_>, message: &mut Message) -> bool {
        match &self.0 {
            Rule::Words(words) if out.record.headers.is_empty() => match words.split_last() {
                Some((Word::Value, before)) => {
                    Frames::write_words(before, out, message);
                    true
                }
                _ => false,
            },
            _ => false,
        }
    }

    fn write_words(words: &[Word], out: &Record<'_>, message: &mut Message) {
        let record = out.record;
        for word in words {
            match word {
                Word::Topic => message.push(out.topic),
                Word::Key => message.push(record.key.unwrap_or_default()),
                Word::Value => message.push(record.value.unwrap_or_default()),
                Word::Position => message.push(format!("{}:{}", out.partition, record.offset)),
                Word::Timestamp => message.push(record.timestamp.to_string()),
            }
        }
    }
}

fn parse_words<'a>(words: &[Word], frames: &'a [Frame]) -> Result<Parsed<'a>, &'static str> {
    if frames.len() < words.len() {
        return Err("it has fewer frames than `frames` names");
    }
    let (named, rest) = frames.split_at(words.len());
    let mut parsed = Parsed::default();
    for (word, frame) in words.iter().zip(named) {
        let bytes = frame.as_slice();
        match word {
            Word::Topic => parsed.topic = Some(text(bytes, "the topic is no UTF-8")?.into()),
            Word::Key => parsed.key = (!bytes.is_empty()).then_some(bytes.into()),
            Word::Value => parsed.value = Some(bytes.into()),
            Word::Position | Word::Timestamp => {}
        }
    }
    if rest.len() % 2 != 0 {
        return Err("frames behind those that `frames` names are headers, and come in pairs");
    }
    if rest.len() / 2 > HEADERS_MAX {
        return Err("it has too many headers");
    }
    for pair in rest.chunks_exact(2) {
        let name = text(pair[0].as_slice(), "the name of a header is no UTF-8")?;
        parsed.headers.push((name.into(), Some(pair[1].as_slice().into())));
    }
    Ok(parsed)
}

fn text<'a>(bytes: &'a [u8], why: &'static str) -> Result<&'a str, &'static str> {
    std::str::from_utf8(bytes).map_err(|_| why)
}

fn parse_json(document: &[u8]) -> Result<Parsed<'static>, &'static str> {
    const NO_OBJECT: &str = "it is no JSON object with `value`";
    let document: Value = serde_json::from_slice(document).map_err(|_| NO_OBJECT)?;
    let Value::Object(mut fields) = document else { return Err(NO_OBJECT) };
    let value = fields.remove("value").ok_or(NO_OBJECT)?;
    let key = fields.remove("key").unwrap_or_default();
    let headers = match fields.remove("headers") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(headers)) if headers.len() <= HEADERS_MAX => headers,
        Some(_) => return Err("`headers` is no object of few fields"),
    };
    let headers = headers.into_iter().map(|(name, value)| Ok((name.into(), bytes_of(value)?)));
    Ok(Parsed {
        topic: None,
        key: bytes_of(key)?,
        value: bytes_of(value)?,
        headers: headers.collect::<Result<_, &'static str>>()?,
    })
}

/// The bytes that a JSON value stands for.
fn bytes_of(value: Value) -> Result<Option<Cow<'static, [u8]>>, &'static str> {
    let bytes = match &value {
        Value::Null => return Ok(None),
        Value::String(text) => text.as_bytes().to_vec(),
        Value::Object(fields) if fields.len() == 1 && fields.contains_key("base64") => {
            let encoded = fields["base64"].as_str().ok_or("`base64` is no string")?;
            STANDARD.decode(encoded).map_err(|_| "`base64` is no base64")?
        }
        other => other.to_string().into_bytes(),
    };
    Ok(Some(bytes.into()))
}

fn json_of(out: &Record<'_>) -> Value {
    let shown = |bytes: Option<&[u8]>| match bytes.map(|bytes| (bytes, std::str::from_utf8(bytes)))
    {
        None => Value::Null,
        Some((_, Ok(text))) => Value::from(text),
        Some((bytes, Err(_))) => json!({ "base64": STANDARD.encode(bytes) }),
    };
    let record = out.record;
    let name = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    let headers: Map<String, Value> =
        record.headers.iter().map(|(n, value)| (name(n), shown(value))).collect();
    json!({
        "topic": out.topic,
        "partition": out.partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
        "key": shown(record.key),
        "value": shown(record.value),
        "headers": headers,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(parts: &[&[u8]]) -> Vec<Frame> {
        parts.iter().map(|part| Frame::from(*part)).collect()
    }

    fn rule(text: &str) -> Frames {
        text.parse().expect("a rule")
    }

    #[test]
    fn frames_are_what_the_rule_names_and_then_headers() {
        let message = frames(&[b"orders", b"k", b"v", b"trace", b"7"]);
        let parsed = rule("topic,key,value").parse(&message).expect("it fits");
        assert_eq!(parsed.topic.as_deref(), Some("orders"));
        assert_eq!(parsed.key.as_deref(), Some(&b"k"[..]));
        assert_eq!(parsed.value.as_deref(), Some(&b"v"[..]));
        assert_eq!(parsed.headers.len(), 1);
        let message = frames(&[b"", b""]);
        let parsed = rule("key,value").parse(&message).expect("it fits");
        assert_eq!((parsed.key, parsed.value.as_deref()), (None, Some(&b""[..])));
    }

    #[test]
    fn what_does_not_fit_is_told() {
        assert!(rule("key,value").parse(&frames(&[b"k"])).is_err());
        assert!(rule("value").parse(&frames(&[b"v", b"name"])).is_err());
        assert!(rule("value").parse(&frames(&[b"v", b"\xff", b"x"])).is_err());
        assert!(rule("topic,value").parse(&frames(&[b"\xff", b"x"])).is_err());
        let many = vec![Frame::from("x"); 2 * HEADERS_MAX + 3];
        assert!(rule("value").parse(&many).is_err());
        assert!(rule("json").parse(&frames(&[b"{}"])).is_err());
        assert!(rule("json").parse(&frames(&[b"{\"value\":{\"base64\":\"*\"}}"])).is_err());
        assert!("value,value".parse::<Frames>().is_err());
    }

    #[test]
    fn json_tells_null_from_empty_and_bytes_from_text() {
        let text = br#"{"key":null,"value":{"base64":"/w=="},"headers":{"a":"b","n":null}}"#;
        let message = frames(&[text]);
        let parsed = rule("json").parse(&message).expect("it fits");
        assert_eq!((parsed.key, parsed.value.as_deref()), (None, Some(&b"\xff"[..])));
        assert_eq!(parsed.headers.len(), 2);
        let message = frames(&[br#"{"value":{"n":1}}"#]);
        let parsed = rule("json").parse(&message).expect("it fits");
        assert_eq!(parsed.value.as_deref(), Some(&br#"{"n":1}"#[..]));
        let message = frames(&[br#"{"value":null}"#]);
        assert_eq!(rule("json").parse(&message).expect("it fits").value, None);
    }
}
