//! The values of options as texts, for command lines and for agents that are told by others.

use std::fmt;
use std::time::Duration;

use chaski_zmtp::Message;
use chaski_zmtp::keys::{KEY_BYTES, KEY_CHARS, PublicKey, SecretKey};

use super::{PageSize, ReconnectStop};

/// How much of a value an error shows.
const SHOWN_CHARS_MAX: usize = 64;

/// A type whose values have a text.
pub(super) trait Text: Sized + fmt::Debug {
    /// What the text looks like.
    const SYNTAX: &'static str;

    /// Whether the text is not to be shown to anybody.
    const SECRET: bool = false;

    /// Reads it.
    fn read(text: &str) -> Result<Self, &'static str>;

    /// A text for an error.
    fn show(&self) -> String {
        format!("{self:?}")
    }
}

/// The beginning of a value, for an error.
pub(super) fn shown<T: Text>(value: &T) -> String {
    value.show().chars().take(SHOWN_CHARS_MAX).collect()
}

/// The beginning of a text that was to be a value, for an error.
pub(super) fn given<T: Text>(text: &str) -> String {
    if T::SECRET {
        return "..".to_owned();
    }
    format!("{:?}", text.chars().take(SHOWN_CHARS_MAX).collect::<String>())
}

/// A value that is not shown when it is printed for debugging.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Hides a value.
    pub const fn new(value: T) -> Self {
        Secret(value)
    }

    /// The value.
    pub const fn reveal(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}

impl From<&str> for Secret<String> {
    fn from(text: &str) -> Self {
        Secret(text.to_owned())
    }
}

impl From<String> for Secret<String> {
    fn from(text: String) -> Self {
        Secret(text)
    }
}

impl From<SecretKey> for Secret<Option<SecretKey>> {
    fn from(key: SecretKey) -> Self {
        Secret(Some(key))
    }
}

impl From<&SecretKey> for Secret<Option<SecretKey>> {
    fn from(key: &SecretKey) -> Self {
        Secret(Some(key.clone()))
    }
}

impl From<[u8; KEY_BYTES]> for Secret<Option<SecretKey>> {
    fn from(key: [u8; KEY_BYTES]) -> Self {
        Secret(Some(SecretKey::from_bytes(key)))
    }
}

impl From<Option<SecretKey>> for Secret<Option<SecretKey>> {
    fn from(key: Option<SecretKey>) -> Self {
        Secret(key)
    }
}

impl<T: Text> Text for Secret<T> {
    const SYNTAX: &'static str = T::SYNTAX;
    const SECRET: bool = true;

    fn read(text: &str) -> Result<Self, &'static str> {
        T::read(text).map(Secret)
    }
}

/// A type whose option may be left to its default.
pub(super) trait Bare {
    /// The syntax with that choice.
    const SYNTAX_OR_NONE: &'static str;
}

/// `None` is libzmq's -1.
impl<T: Text + Bare> Text for Option<T> {
    const SYNTAX: &'static str = T::SYNTAX_OR_NONE;

    fn read(text: &str) -> Result<Self, &'static str> {
        match text {
            "-1" | "none" => Ok(None),
            _ => T::read(text).map(Some),
        }
    }

    fn show(&self) -> String {
        self.as_ref().map_or_else(|| "none".to_owned(), T::show)
    }
}

impl Bare for u32 {
    const SYNTAX_OR_NONE: &'static str = "number | -1";
}

impl Bare for u64 {
    const SYNTAX_OR_NONE: &'static str = "number | -1";
}

impl Bare for bool {
    const SYNTAX_OR_NONE: &'static str = "0 | 1 | -1";
}

impl Bare for Duration {
    const SYNTAX_OR_NONE: &'static str = "time | -1";
}

impl Bare for PublicKey {
    const SYNTAX_OR_NONE: &'static str = "key | none";
}

impl Bare for SecretKey {
    const SYNTAX_OR_NONE: &'static str = "key | none";
}

impl Text for u32 {
    const SYNTAX: &'static str = "number";

    fn read(text: &str) -> Result<Self, &'static str> {
        text.parse().map_err(|_| "a number of 0 or more, below 2^32, is expected")
    }
}

impl Text for u64 {
    const SYNTAX: &'static str = "number";

    fn read(text: &str) -> Result<Self, &'static str> {
        text.parse().map_err(|_| "a number of 0 or more is expected")
    }
}

impl Text for bool {
    const SYNTAX: &'static str = "0 | 1";

    fn read(text: &str) -> Result<Self, &'static str> {
        match text {
            "1" | "true" | "on" | "yes" => Ok(true),
            "0" | "false" | "off" | "no" => Ok(false),
            _ => Err("0 or 1 is expected"),
        }
    }
}

impl Text for Duration {
    const SYNTAX: &'static str = "time";

    fn read(text: &str) -> Result<Self, &'static str> {
        const WHY: &str = "a time is expected: 250, 250ms, 2s, 1m";
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let number: u64 = digits.parse().map_err(|_| WHY)?;
        let unit_ms: u64 = match &text[digits.len()..] {
            "" | "ms" => 1,
            "us" => return Ok(Duration::from_micros(number)),
            "s" => 1000,
            "m" => 60_000,
            _ => return Err(WHY),
        };
        number.checked_mul(unit_ms).map(Duration::from_millis).ok_or(WHY)
    }
}

impl Text for String {
    const SYNTAX: &'static str = "text";

    fn read(text: &str) -> Result<Self, &'static str> {
        Ok(text.to_owned())
    }
}

impl Text for Vec<u8> {
    const SYNTAX: &'static str = "text";

    fn read(text: &str) -> Result<Self, &'static str> {
        Ok(text.as_bytes().to_vec())
    }

    fn show(&self) -> String {
        format!("\"{}\"", self.escape_ascii())
    }
}

impl Text for Message {
    const SYNTAX: &'static str = "text";

    fn read(text: &str) -> Result<Self, &'static str> {
        Ok(if text.is_empty() { Message::new() } else { Message::from(text) })
    }
}

impl Text for Vec<(String, Vec<u8>)> {
    const SYNTAX: &'static str = "name:value,...";

    fn read(text: &str) -> Result<Self, &'static str> {
        let pair = |part: &str| {
            let (name, value) = part.split_once(':').ok_or("a property is name:value")?;
            Ok((name.to_owned(), value.as_bytes().to_vec()))
        };
        text.split(',').filter(|part| !part.is_empty()).map(pair).collect()
    }
}

impl Text for PublicKey {
    const SYNTAX: &'static str = "key";

    fn read(text: &str) -> Result<Self, &'static str> {
        match text.len() {
            KEY_CHARS => text.parse().map_err(|_| NOT_Z85),
            HEX_CHARS => unhex(text).map(PublicKey::from_bytes).ok_or(NOT_HEX),
            _ => Err(NO_KEY),
        }
    }
}

impl Text for SecretKey {
    const SYNTAX: &'static str = "key";
    const SECRET: bool = true;

    fn read(text: &str) -> Result<Self, &'static str> {
        match text.len() {
            KEY_CHARS => text.parse().map_err(|_| NOT_Z85),
            HEX_CHARS => unhex(text).map(SecretKey::from_bytes).ok_or(NOT_HEX),
            _ => Err(NO_KEY),
        }
    }
}

/// The length of a key in hexadecimal.
const HEX_CHARS: usize = 2 * KEY_BYTES;

const NOT_Z85: &str = "a key of 40 characters is Z85";
const NOT_HEX: &str = "a key of 64 characters is hexadecimal";
const NO_KEY: &str = "a key is 40 characters of Z85 or 64 of hexadecimal";

fn unhex(text: &str) -> Option<[u8; KEY_BYTES]> {
    let mut key = [0; KEY_BYTES];
    for (byte, pair) in key.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        for digit in pair {
            *byte = *byte << 4 | char::from(*digit).to_digit(16)? as u8;
        }
    }
    Some(key)
}

impl Text for ReconnectStop {
    const SYNTAX: &'static str = "conn_refused,handshake_failed,after_disconnect";

    fn read(text: &str) -> Result<Self, &'static str> {
        let mut stop = ReconnectStop::default();
        for word in text.split(',').filter(|word| !word.is_empty() && *word != "none") {
            match word {
                "conn_refused" => stop.conn_refused = true,
                "handshake_failed" => stop.handshake_failed = true,
                "after_disconnect" => stop.after_disconnect = true,
                _ => return Err("conn_refused, handshake_failed or after_disconnect is expected"),
            }
        }
        Ok(stop)
    }
}

impl Text for PageSize {
    const SYNTAX: &'static str = "small | default | large | bytes";

    fn read(text: &str) -> Result<Self, &'static str> {
        match text {
            "small" => Ok(PageSize::Small),
            "default" | "learned" => Ok(PageSize::Default),
            "large" => Ok(PageSize::Large),
            _ => text
                .parse()
                .map(PageSize::Custom)
                .map_err(|_| "small, default, large or a number of bytes is expected"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(Duration::read("250"), Ok(Duration::from_millis(250)));
        assert_eq!(Duration::read("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(Duration::read("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(Duration::read("1m"), Ok(Duration::from_secs(60)));
        assert_eq!(<Option<Duration>>::read("-1"), Ok(None));
        for bad in ["", "s", "-2", "1h", "1.5s", "99999999999999999999", "18446744073709551615m"] {
            assert!(Duration::read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn keys_are_32_bytes() {
        assert_eq!(PublicKey::read(&"0f".repeat(32)), Ok(PublicKey::from_bytes([0x0f; 32])));
        for bad in ["0f", &"zz".repeat(32), &"+f".repeat(32), &"\u{e9}".repeat(32)] {
            assert!(PublicKey::read(bad).is_err() && SecretKey::read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        assert_eq!(format!("{:?}", Secret::from("hush")), "..");
    }
}
