//! The head of a frame (RFC 37, "Framing").
//!
//! ```text
//!  short                     long
//! +-------+-----+------...  +-------+-----------------------+------...
//! | flags | len | body      | flags | len, 8 octets, network| body
//! +-------+-----+------...  +-------+-----------------------+------...
//!     0      1    2             0        1 ..= 8              9
//!
//! flags   bit 0  MORE      another frame of the message follows; never on a command
//!         bit 1  LONG      the length has eight octets
//!         bit 2  COMMAND   a command, not a message; reserved in ZMTP 2.0 (RFC 15)
//!         bits 3 to 7      zero
//! ```
//!
//! The length counts the body alone, and is at most 2^63 - 1.

use crate::error::DecodeError;
use crate::greeting::Version;

/// The longest head of a frame, in bytes.
pub const HEADER_BYTES_MAX: usize = 9;

/// The longest body that has a short head, in bytes.
pub const SHORT_BYTES_MAX: usize = u8::MAX as usize;

/// What the first octet of a frame says, without LONG, which is a matter of the length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(u8);

impl Flags {
    /// The only or the last frame of a message.
    pub const LAST: Flags = Flags(0);
    /// A frame of a message that another one follows.
    pub const MORE: Flags = Flags(0b001);
    /// A command.
    pub const COMMAND: Flags = Flags(0b100);

    pub(crate) const LONG: u8 = 0b010;
    const RESERVED: u8 = 0b1111_1000;

    /// Those of a frame of a message.
    pub const fn message(more: bool) -> Flags {
        if more { Flags::MORE } else { Flags::LAST }
    }

    /// Whether another frame of the same message follows.
    pub const fn more(self) -> bool {
        self.0 & Flags::MORE.0 != 0
    }

    /// Whether the frame is a command.
    pub const fn command(self) -> bool {
        self.0 & Flags::COMMAND.0 != 0
    }
}

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) flags: Flags,
    /// How many bytes the head itself has: 2 or 9.
    pub(crate) head: usize,
    /// How many the body will have.
    pub(crate) body: u64,
}

impl Header {
    /// Reads the head at the start of `bytes`; `None` as long as it is not all there.
    ///
    /// A flaw shows as soon as its octet is there, however little follows.
    #[inline]
    pub(crate) fn read(bytes: &[u8], version: Version) -> Result<Option<Header>, DecodeError> {
        let Some((&octet, rest)) = bytes.split_first() else { return Ok(None) };
        let flags = check(octet, version)?;
        if octet & Flags::LONG == 0 {
            let header = |&len| Header { flags, head: 2, body: u64::from(len) };
            return Ok(rest.first().map(header));
        }
        let Some(len) = rest.first_chunk() else { return Ok(None) };
        let body = u64::from_be_bytes(*len);
        if body > i64::MAX as u64 {
            return Err(DecodeError::Length(body));
        }
        Ok(Some(Header { flags, head: HEADER_BYTES_MAX, body }))
    }

    /// The head of a frame with a body of `len` bytes, and how many of the octets are it.
    #[inline]
    pub(crate) fn write(flags: Flags, len: usize) -> ([u8; HEADER_BYTES_MAX], usize) {
        let mut head = [0; HEADER_BYTES_MAX];
        match u8::try_from(len) {
            Ok(short) => {
                head[0] = flags.0;
                head[1] = short;
                (head, 2)
            }
            Err(_) => {
                head[0] = flags.0 | Flags::LONG;
                head[1..].copy_from_slice(&(len as u64).to_be_bytes());
                (head, HEADER_BYTES_MAX)
            }
        }
    }
}

/// Refuses reserved bits (RFC 37: "MUST be zero") and MORE on a command ("SHALL be zero").
#[inline]
fn check(octet: u8, version: Version) -> Result<Flags, DecodeError> {
    let flags = Flags(octet & !Flags::LONG);
    let commands = version > Version::V2_0;
    if octet & Flags::RESERVED != 0 || flags.command() && (flags.more() || !commands) {
        return Err(DecodeError::Flags(octet));
    }
    Ok(flags)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Option<Header>, DecodeError> {
        Header::read(bytes, Version::V3_1)
    }

    #[test]
    fn heads_come_back_as_they_were_written() {
        for len in [0, 1, 255, 256, 65_536, usize::MAX >> 1] {
            for flags in [Flags::LAST, Flags::MORE, Flags::COMMAND] {
                let (octets, head) = Header::write(flags, len);
                assert_eq!(head, if len <= SHORT_BYTES_MAX { 2 } else { 9 });
                for cut in 0..head {
                    assert_eq!(read(&octets[..cut]), Ok(None));
                }
                let header = Header { flags, head, body: len as u64 };
                assert_eq!(read(&octets[..head]), Ok(Some(header)));
            }
        }
    }

    #[test]
    fn only_the_sound_flag_octets_are_taken() {
        let sound = |octet: &u8| read(&[*octet]).is_ok();
        let taken: Vec<u8> = (0..=255).filter(sound).collect();
        assert_eq!(taken, [0, 1, 2, 3, 4, 6]);
        let old = |octet: &u8| Header::read(&[*octet], Version::V2_0).is_ok();
        let taken: Vec<u8> = (0..=255).filter(old).collect();
        assert_eq!(taken, [0, 1, 2, 3]);
    }

    #[test]
    fn a_long_head_may_hold_a_short_length_and_none_over_63_bits() {
        let short = [2, 0, 0, 0, 0, 0, 0, 0, 5];
        assert_eq!(read(&short), Ok(Some(Header { flags: Flags::LAST, head: 9, body: 5 })));
        let over = [2, 0x80, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(read(&over), Err(DecodeError::Length(1 << 63)));
    }
}
