//! The bytes of a key, a value or a header, as people want to see them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::msgpack;

/// How bytes are to be shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Decode {
    /// As what they look like.
    #[default]
    Auto,
    Text,
    Json,
    Hex,
    Base64,
    #[serde(rename = "msgpack")]
    MessagePack,
}

/// Bytes as they are told.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Shown {
    #[serde(flatten)]
    form: Form,
    /// Bytes left out at the end.
    #[serde(skip_serializing_if = "is_zero")]
    cut: usize,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Form {
    Text(String),
    /// A document as text: numbers keep their digits, and keys their order.
    Json(String),
    Hex(String),
    Base64(String),
}

fn is_zero(n: &usize) -> bool {
    *n == 0
}

/// Shows `bytes`, and `max` of them at most.
pub(super) fn show(bytes: &[u8], decode: Decode, max: usize) -> Shown {
    let is_whole = bytes.len() <= max;
    let whole = |form: Option<Form>| form.filter(|_| is_whole).map(|form| Shown { form, cut: 0 });
    let shown = match decode {
        Decode::Auto => whole(document(bytes)).or_else(|| readable(bytes, max)),
        Decode::Json => whole(json(bytes)).or_else(|| readable(bytes, max)),
        Decode::MessagePack => whole(msgpack::to_json(bytes).map(Form::Json)),
        Decode::Text => Some(lossy(bytes, max)),
        Decode::Base64 => {
            let shown = &bytes[..bytes.len().min(max)];
            let form = Form::Base64(STANDARD.encode(shown));
            Some(Shown { form, cut: bytes.len() - shown.len() })
        }
        Decode::Hex => None,
    };
    shown.unwrap_or_else(|| hex(bytes, max))
}

/// JSON or MessagePack, if it is an object or a list: a number alone is text as well.
fn document(bytes: &[u8]) -> Option<Form> {
    match bytes.trim_ascii_start().first()? {
        b'{' | b'[' => json(bytes),
        _ if msgpack::is_likely(bytes) => msgpack::to_json(bytes).map(Form::Json),
        _ => None,
    }
}

fn json(bytes: &[u8]) -> Option<Form> {
    let text = str::from_utf8(bytes).ok()?;
    serde_json::from_str::<IgnoredAny>(text).ok()?;
    Some(Form::Json(text.to_owned()))
}

/// Text that is made to be read.
fn readable(bytes: &[u8], max: usize) -> Option<Shown> {
    let shown = &bytes[..bytes.len().min(max)];
    let text = match str::from_utf8(shown) {
        Ok(text) => text,
        // The cut may go through a character; else it is no text.
        Err(error) if error.error_len().is_none() && shown.len() < bytes.len() => {
            str::from_utf8(&shown[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    let is_odd = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r');
    let form = Form::Text(text.to_owned());
    (!text.contains(is_odd)).then(|| Shown { form, cut: bytes.len() - text.len() })
}

fn lossy(bytes: &[u8], max: usize) -> Shown {
    let mut end = bytes.len().min(max);
    // Not in the middle of a character: UTF-8 goes on with bytes like these, three at most.
    let goes_on = |at: usize| bytes.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
    let least = end.saturating_sub(3);
    while end > least && goes_on(end) {
        end -= 1;
    }
    let form = Form::Text(String::from_utf8_lossy(&bytes[..end]).into_owned());
    Shown { form, cut: bytes.len() - end }
}

fn hex(bytes: &[u8], max: usize) -> Shown {
    let shown = &bytes[..bytes.len().min(max)];
    let mut text = String::with_capacity(shown.len() * 2);
    push_hex(&mut text, shown);
    Shown { form: Form::Hex(text), cut: bytes.len() - shown.len() }
}

/// Appends two digits a byte.
pub(super) fn push_hex(text: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 0x0f)]));
    }
}

/// The bytes that hex digits stand for; None: they are none.
pub(super) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    let digit = |c: char| c.to_digit(16).map(|digit| digit as u8);
    let pairs = digits.chunks(2);
    pairs.map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?)).collect()
}

impl Shown {
    /// Bytes of text, about.
    pub(super) fn len(&self) -> usize {
        match &self.form {
            Form::Text(text) | Form::Json(text) | Form::Hex(text) | Form::Base64(text) => {
                text.len()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn told(bytes: &[u8], decode: Decode, max: usize) -> String {
        serde_json::to_string(&show(bytes, decode, max)).expect("JSON")
    }

    #[test]
    fn it_is_shown_as_what_it_looks_like() {
        let auto = |bytes| told(bytes, Decode::Auto, 100);
        assert_eq!(auto(b"hello\n"), r#"{"text":"hello\n"}"#);
        assert_eq!(auto(b""), r#"{"text":""}"#);
        assert_eq!(auto(b"123"), r#"{"text":"123"}"#);
        assert_eq!(
            auto(br#"{"a":12345678901234567890}"#),
            r#"{"json":"{\"a\":12345678901234567890}"}"#
        );
        assert_eq!(auto(b"{not so"), r#"{"text":"{not so"}"#);
        assert_eq!(auto(b"\x91\x01"), r#"{"json":"[1]"}"#);
        assert_eq!(auto(b"\x00\xff"), r#"{"hex":"00ff"}"#);
        assert_eq!(auto(b"bell\x07"), r#"{"hex":"62656c6c07"}"#);
    }

    #[test]
    fn it_is_shown_as_it_is_asked_for() {
        assert_eq!(told(b"1", Decode::Json, 9), r#"{"json":"1"}"#);
        assert_eq!(told(b"a", Decode::Hex, 9), r#"{"hex":"61"}"#);
        assert_eq!(told(b"a", Decode::Base64, 9), r#"{"base64":"YQ=="}"#);
        assert_eq!(told(b"\x01", Decode::MessagePack, 9), r#"{"json":"1"}"#);
        assert_eq!(told(b"\xc1", Decode::MessagePack, 9), r#"{"hex":"c1"}"#);
        assert_eq!(told(b"a\xff", Decode::Text, 9), "{\"text\":\"a\u{fffd}\"}");
    }

    #[test]
    fn what_is_too_long_is_cut_and_says_so() {
        assert_eq!(told(b"abcdef", Decode::Auto, 4), r#"{"text":"abcd","cut":2}"#);
        assert_eq!(told(b"[1,2,3]", Decode::Auto, 4), r#"{"text":"[1,2","cut":3}"#);
        assert_eq!(told("aaa\u{20ac}".as_bytes(), Decode::Auto, 4), r#"{"text":"aaa","cut":3}"#);
        assert_eq!(told("aaa\u{20ac}".as_bytes(), Decode::Text, 5), r#"{"text":"aaa","cut":3}"#);
        assert_eq!(told(b"\x00\x01\x02", Decode::Hex, 2), r#"{"hex":"0001","cut":1}"#);
    }

    #[test]
    fn hex_is_read_as_it_is_written() {
        assert_eq!(from_hex("00 fF"), Some(vec![0, 255]));
        assert_eq!(from_hex(""), Some(vec![]));
        assert_eq!(from_hex("0"), None);
        assert_eq!(from_hex("zz"), None);
    }

    proptest! {
        #[test]
        fn nothing_is_shown_beyond_the_limit(bytes: Vec<u8>, max in 0_usize..40) {
            for decode in [Decode::Auto, Decode::Text, Decode::Hex, Decode::Base64] {
                let shown = show(&bytes, decode, max);
                prop_assert!(shown.cut >= bytes.len().saturating_sub(max));
                prop_assert!(shown.cut <= bytes.len());
            }
        }
    }
}
