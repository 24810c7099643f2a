//! MessagePack as JSON text, for people to read.
//!
//! JSON lacks some of it: a key that is no string becomes the string of its JSON, binary data
//! `{"bin": HEX}`, an extension `{"ext": TYPE, "hex": HEX}`, a number that is none a string. Whole
//! numbers keep all their digits.
//!
//! Specification: <https://github.com/msgpack/msgpack/blob/master/spec.md>.

use std::fmt::Write as _;

use super::decode::push_hex;

/// Deepest nesting.
const DEPTH_MAX: usize = 64;

/// The JSON of one value that takes all of `bytes`; None: it is no such thing. No byte becomes
/// more than a few characters, so the text is bounded by the bytes.
pub(super) fn to_json(bytes: &[u8]) -> Option<String> {
    let mut reader = Reader { rest: bytes, out: String::with_capacity(bytes.len() * 2) };
    reader.value(0)?;
    reader.rest.is_empty().then_some(reader.out)
}

/// Whether it begins as a map or an array does: anything else is too likely to be chance.
pub(super) fn is_likely(bytes: &[u8]) -> bool {
    matches!(bytes.first(), Some(0x80..=0x9f | 0xdc..=0xdf))
}

struct Reader<'a> {
    rest: &'a [u8],
    out: String,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Option<()> {
        let tag = self.unsigned(1)? as u8;
        match tag {
            0x00..=0x7f => self.write(tag),
            0x80..=0x8f => self.map(usize::from(tag & 0x0f), depth),
            0x90..=0x9f => self.array(usize::from(tag & 0x0f), depth),
            0xa0..=0xbf => self.string(usize::from(tag & 0x1f)),
            0xc0 => self.write("null"),
            0xc1 => None,
            0xc2 => self.write(false),
            0xc3 => self.write(true),
            0xc4..=0xc6 => {
                let len = self.length(1 << (tag - 0xc4))?;
                self.binary(len)
            }
            0xc7..=0xc9 => {
                let len = self.length(1 << (tag - 0xc7))?;
                self.extension(len)
            }
            0xca => {
                let bits = self.unsigned(4)? as u32;
                self.float(f64::from(f32::from_bits(bits)), f32::from_bits(bits))
            }
            0xcb => {
                let number = f64::from_bits(self.unsigned(8)?);
                self.float(number, number)
            }
            0xcc..=0xcf => {
                let number = self.unsigned(1 << (tag - 0xcc))?;
                self.write(number)
            }
            0xd0..=0xd3 => {
                let bytes = 1 << (tag - 0xd0);
                let shift = 64 - 8 * bytes as u32;
                let number = (self.unsigned(bytes)? << shift) as i64 >> shift;
                self.write(number)
            }
            0xd4..=0xd8 => self.extension(1 << (tag - 0xd4)),
            0xd9..=0xdb => {
                let len = self.length(1 << (tag - 0xd9))?;
                self.string(len)
            }
            0xdc | 0xdd => {
                let count = self.length(2 << (tag - 0xdc))?;
                self.array(count, depth)
            }
            0xde | 0xdf => {
                let count = self.length(2 << (tag - 0xde))?;
                self.map(count, depth)
            }
            0xe0..=0xff => self.write(tag as i8),
        }
    }

    fn array(&mut self, count: usize, depth: usize) -> Option<()> {
        self.deeper(count, depth)?;
        self.out.push('[');
        for n in 0..count {
            self.comma(n);
            self.value(depth + 1)?;
        }
        self.out.push(']');
        Some(())
    }

    fn map(&mut self, count: usize, depth: usize) -> Option<()> {
        self.deeper(count, depth)?;
        self.out.push('{');
        for n in 0..count {
            self.comma(n);
            self.key(depth + 1)?;
            self.out.push(':');
            self.value(depth + 1)?;
        }
        self.out.push('}');
        Some(())
    }

    /// An element takes a byte at least: a count that promises more than there is is a lie.
    fn deeper(&self, count: usize, depth: usize) -> Option<()> {
        (depth < DEPTH_MAX && count <= self.rest.len()).then_some(())
    }

    fn comma(&mut self, n: usize) {
        if n > 0 {
            self.out.push(',');
        }
    }

    fn key(&mut self, depth: usize) -> Option<()> {
        let start = self.out.len();
        self.value(depth)?;
        if !self.out[start..].starts_with('"') {
            let key = self.out.split_off(start);
            // A key within a key would be quoted again and again, and double each time.
            if key.contains('"') {
                return None;
            }
            self.quoted(&key)?;
        }
        Some(())
    }

    fn string(&mut self, len: usize) -> Option<()> {
        let text = str::from_utf8(self.take(len)?).ok()?;
        self.quoted(text)
    }

    fn quoted(&mut self, text: &str) -> Option<()> {
        self.out.push_str(&serde_json::to_string(text).ok()?);
        Some(())
    }

    fn binary(&mut self, len: usize) -> Option<()> {
        let bytes = self.take(len)?;
        self.out.push_str("{\"bin\":\"");
        push_hex(&mut self.out, bytes);
        self.write("\"}")
    }

    fn extension(&mut self, len: usize) -> Option<()> {
        let kind = self.unsigned(1)? as i8;
        let bytes = self.take(len)?;
        write!(self.out, "{{\"ext\":{kind},\"hex\":\"").ok()?;
        push_hex(&mut self.out, bytes);
        self.write("\"}")
    }

    /// `shown` is the number with the digits it has.
    fn float(&mut self, number: f64, shown: impl std::fmt::Debug) -> Option<()> {
        match number.is_finite() {
            true => write!(self.out, "{shown:?}").ok(),
            false => write!(self.out, "\"{shown:?}\"").ok(),
        }
    }

    fn write(&mut self, text: impl std::fmt::Display) -> Option<()> {
        write!(self.out, "{text}").ok()
    }

    fn length(&mut self, bytes: usize) -> Option<usize> {
        usize::try_from(self.unsigned(bytes)?).ok()
    }

    /// A big-endian number of so many bytes.
    fn unsigned(&mut self, bytes: usize) -> Option<u64> {
        let taken = self.take(bytes)?;
        Some(taken.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_example_of_the_site() {
        let bytes = b"\x82\xa7compact\xc3\xa6schema\x00";
        assert_eq!(to_json(bytes).as_deref(), Some(r#"{"compact":true,"schema":0}"#));
        assert!(is_likely(bytes) && !is_likely(b"text") && !is_likely(b""));
    }

    #[test]
    fn every_kind_of_value() {
        for (bytes, json) in [
            (&b"\xc0"[..], "null"),
            (b"\xe0", "-32"),
            (b"\xcc\xff", "255"),
            (b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", "18446744073709551615"),
            (b"\xd0\x80", "-128"),
            (b"\xd1\xff\x00", "-256"),
            (b"\xd3\x80\0\0\0\0\0\0\0", "-9223372036854775808"),
            (b"\xca\x3f\xc0\0\0", "1.5"),
            (b"\xcb\x7f\xf0\0\0\0\0\0\0", "\"inf\""),
            (b"\xd9\x02a\"", r#""a\"""#),
            (b"\xc4\x02\x00\xff", r#"{"bin":"00ff"}"#),
            (b"\xd4\xff\x07", r#"{"ext":-1,"hex":"07"}"#),
            (b"\xc7\x01\x05\xaa", r#"{"ext":5,"hex":"aa"}"#),
            (b"\xdc\x00\x02\x01\x02", "[1,2]"),
            (b"\xde\x00\x01\x01\xc0", r#"{"1":null}"#),
            (b"\xdf\0\0\0\0", "{}"),
        ] {
            assert_eq!(to_json(bytes).as_deref(), Some(json), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_not_whole_is_nothing() {
        for bytes in [
            &b""[..],
            b"\xc1",
            b"\x92\x01",
            b"\x01\x02",
            b"\xdd\xff\xff\xff\xff\x01",
            b"\xdb\xff\xff\xff\xffa",
            b"\xa1\xff",
        ] {
            assert_eq!(to_json(bytes), None, "{bytes:?}");
        }
        assert_eq!(to_json(&[0x91; 10_000]), None, "too deep");
    }

    proptest! {
        #[test]
        fn whatever_it_is_the_text_is_json_and_bounded(bytes: Vec<u8>) {
            if let Some(text) = to_json(&bytes) {
                prop_assert!(text.len() <= bytes.len() * 32);
                prop_assert!(serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok());
            }
        }
    }
}
