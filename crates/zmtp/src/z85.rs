//! Z85: four bytes as five printable characters (RFC 32). Keys are written in it.
//!
//! ```
//! use chaski_zmtp::z85;
//!
//! let bytes = [0x86, 0x4F, 0xD2, 0x6F, 0xB5, 0x59, 0xF7, 0x5B];
//! assert_eq!(z85::encode(&bytes).unwrap(), "HelloWorld");
//! assert_eq!(z85::decode("HelloWorld").unwrap(), bytes);
//! ```

const LETTERS: &[u8; 85] =
    b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

/// What cannot be written in Z85 or read as such.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Z85Error {
    /// The bytes are no multiple of 4.
    #[error("{0} bytes, not a multiple of 4")]
    Bytes(usize),
    /// The characters are no multiple of 5.
    #[error("{0} characters, not a multiple of 5")]
    Characters(usize),
    /// A character that Z85 does not have, at this byte of the text.
    #[error("the character at {0} is none of Z85")]
    Character(usize),
    /// Five characters whose number is over 2^32 - 1, at this byte of the text.
    #[error("the five characters at {0} stand for no four bytes")]
    Overflow(usize),
}

/// Writes bytes, whose number is a multiple of 4.
///
/// # Errors
///
/// If it is not.
pub fn encode(bytes: &[u8]) -> Result<String, Z85Error> {
    let (groups, []) = bytes.as_chunks() else { return Err(Z85Error::Bytes(bytes.len())) };
    let mut text = String::with_capacity(groups.len() * 5);
    for group in groups {
        let number = u32::from_be_bytes(*group);
        for power in [85 * 85 * 85 * 85, 85 * 85 * 85, 85 * 85, 85, 1] {
            text.push(char::from(LETTERS[(number / power % 85) as usize]));
        }
    }
    Ok(text)
}

/// Reads text, whose length is a multiple of 5.
///
/// # Errors
///
/// If it is not, or something else was written than bytes.
pub fn decode(text: &str) -> Result<Vec<u8>, Z85Error> {
    let (groups, []) = text.as_bytes().as_chunks::<5>() else {
        return Err(Z85Error::Characters(text.len()));
    };
    let mut bytes = Vec::with_capacity(groups.len() * 4);
    for (at, group) in groups.iter().enumerate() {
        let mut number = 0;
        for (offset, letter) in group.iter().enumerate() {
            let digit = LETTERS.iter().position(|known| known == letter);
            number = number * 85 + digit.ok_or(Z85Error::Character(at * 5 + offset))? as u64;
        }
        let number = u32::try_from(number).map_err(|_| Z85Error::Overflow(at * 5))?;
        bytes.extend_from_slice(&number.to_be_bytes());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extremes_are_written_and_read() {
        let bytes = [0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF];
        let text = encode(&bytes).unwrap();
        assert_eq!(text, "00000%nSc0");
        assert_eq!(decode(&text).unwrap(), bytes);
        assert_eq!(decode("").unwrap(), b"");
    }

    #[test]
    fn what_is_no_z85_is_refused() {
        assert_eq!(encode(&[1, 2, 3]), Err(Z85Error::Bytes(3)));
        assert_eq!(decode("abcdef"), Err(Z85Error::Characters(6)));
        assert_eq!(decode("abcde01 34"), Err(Z85Error::Character(7)));
        assert_eq!(decode("abcde#####"), Err(Z85Error::Overflow(5)));
    }
}
