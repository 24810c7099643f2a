//! Variable-length integers, and the cursor that reads them. Source: Protocol Buffers, "Encoding".
//!
//! Seven bits a byte, lowest first, the top bit set on all bytes but the last. Signed values are
//! zigzag-coded (0, -1, 1, -2, ...), so a 32-bit value takes at most 5 bytes, a 64-bit one 10.

use crate::BatchError;

const VARINT_BYTES_MAX: usize = 5;
const VARLONG_BYTES_MAX: usize = 10;

/// Appends `value`; a 32-bit value gets the same bytes as a varint and as a varlong.
pub(crate) fn put(out: &mut Vec<u8>, value: i64) {
    let mut rest = zigzag(value);
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Bytes that [`put`] appends.
pub(crate) fn len(value: i64) -> usize {
    let bits = u64::BITS - zigzag(value).leading_zeros();
    bits.max(1).div_ceil(7) as usize
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// Why bytes are no record. What is read for each record says it in this, which fits in registers;
/// whoever hands it on makes a [`BatchError`] of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flaw(pub(crate) &'static str);

impl From<Flaw> for BatchError {
    fn from(Flaw(why): Flaw) -> BatchError {
        BatchError::Record(why)
    }
}

const NEGATIVE: Flaw = Flaw("a negative length");

/// Reads fields off the front of a slice and never past its end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a>(pub(crate) &'a [u8]);

impl<'a> Cursor<'a> {
    /// The next `len` bytes.
    #[inline]
    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], Flaw> {
        let (taken, rest) =
            self.0.split_at_checked(len).ok_or(Flaw("a field runs past the end of its record"))?;
        self.0 = rest;
        Ok(taken)
    }

    /// A 64-bit integer.
    #[inline]
    pub(crate) fn varlong(&mut self) -> Result<i64, Flaw> {
        let coded = match self.short() {
            Some(coded) => coded.into(),
            None => self.longer(VARLONG_BYTES_MAX)?,
        };
        Ok((coded >> 1) as i64 ^ -((coded & 1) as i64))
    }

    /// A 32-bit integer.
    #[inline]
    pub(crate) fn varint(&mut self) -> Result<i32, Flaw> {
        let coded = self.coded()?;
        Ok((coded >> 1) as i32 ^ -((coded & 1) as i32))
    }

    /// A length or a count, which is not negative.
    #[inline]
    pub(crate) fn length(&mut self) -> Result<usize, Flaw> {
        let coded = self.coded()?;
        if coded & 1 == 0 { Ok((coded >> 1) as usize) } else { Err(NEGATIVE) }
    }

    /// Bytes behind their length; -1 stands for null.
    #[inline]
    pub(crate) fn nullable(&mut self) -> Result<Option<&'a [u8]>, Flaw> {
        match self.coded()? {
            1 => Ok(None),
            coded if coded & 1 == 0 => self.take((coded >> 1) as usize).map(Some),
            _ => Err(NEGATIVE),
        }
    }

    /// A 32-bit integer, its sign still in the lowest bit.
    #[inline]
    fn coded(&mut self) -> Result<u32, Flaw> {
        match self.short() {
            Some(coded) => Ok(coded),
            None => {
                let coded = self.longer(VARINT_BYTES_MAX)?;
                u32::try_from(coded).map_err(|_| Flaw("an integer exceeds 32 bits"))
            }
        }
    }

    /// An integer of one byte or two, which nearly all have; None, and nothing read: it is longer,
    /// or not there.
    #[inline]
    fn short(&mut self) -> Option<u32> {
        match *self.0 {
            [last @ ..0x80, ref rest @ ..] => {
                self.0 = rest;
                Some(last.into())
            }
            [first, last @ ..0x80, ref rest @ ..] => {
                self.0 = rest;
                Some(u32::from(last) << 7 | u32::from(first & 0x7f))
            }
            _ => None,
        }
    }

    #[inline]
    fn longer(&mut self, bytes_max: usize) -> Result<u64, Flaw> {
        let (coded, rest) = long(self.0, bytes_max)?;
        self.0 = rest;
        Ok(coded)
    }
}

/// An integer of any length, and what is behind it. It is called by value: a cursor whose address
/// is taken lives in memory, and each field read would wait for the store of the one before.
#[inline(never)]
fn long(bytes: &[u8], bytes_max: usize) -> Result<(u64, &[u8]), Flaw> {
    let mut value = 0;
    for (i, &byte) in bytes.iter().take(bytes_max).enumerate() {
        if i == VARLONG_BYTES_MAX - 1 && byte > 1 {
            return Err(Flaw("an integer exceeds 64 bits"));
        }
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            return Ok((value, &bytes[i + 1..]));
        }
    }
    Err(Flaw("an integer has no end"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn coded(value: i64) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, value);
        out
    }

    #[test]
    fn zigzag_bytes_are_those_of_the_specification() {
        assert_eq!(coded(0), [0]);
        assert_eq!(coded(-1), [1]);
        assert_eq!(coded(1), [2]);
        assert_eq!(coded(-64), [0x7f]);
        assert_eq!(coded(64), [0x80, 0x01]);
        assert_eq!(coded(i64::from(i32::MAX)), [0xfe, 0xff, 0xff, 0xff, 0x0f]);
        assert_eq!(coded(i64::from(i32::MIN)), [0xff, 0xff, 0xff, 0xff, 0x0f]);
        assert_eq!(coded(i64::MIN).len(), VARLONG_BYTES_MAX);
    }

    #[test]
    fn integers_too_long_or_too_large_are_refused() {
        assert!(Cursor(&[]).varint().is_err());
        assert!(Cursor(&[0x80; 4]).varint().is_err());
        assert!(Cursor(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x00]).varint().is_err());
        assert!(Cursor(&[0xff, 0xff, 0xff, 0xff, 0x1f]).varint().is_err());
        let mut longest = [0xff; 10];
        longest[9] = 0x01;
        assert_eq!(Cursor(&longest).varlong(), Ok(i64::MIN));
        longest[9] = 0x02;
        assert!(Cursor(&longest).varlong().is_err());
        assert!(Cursor(&[0x80; 11]).varlong().is_err());
    }

    #[test]
    fn lengths_stay_inside_the_slice() {
        assert!(Cursor(&coded(-1)).length().is_err());
        assert_eq!(Cursor(&coded(-1)).nullable(), Ok(None));
        assert!(Cursor(&coded(-2)).nullable().is_err());
        assert!(Cursor(&coded(1)).nullable().is_err());
        let mut cursor = Cursor(b"\x04abc");
        assert_eq!(cursor.nullable(), Ok(Some(&b"ab"[..])));
        assert_eq!(cursor.0, b"c");
    }

    proptest! {
        #[test]
        fn what_is_put_is_read(value: i64, tail: Vec<u8>) {
            let mut bytes = coded(value);
            prop_assert_eq!(bytes.len(), len(value));
            bytes.extend_from_slice(&tail);
            let mut cursor = Cursor(&bytes);
            prop_assert_eq!(cursor.varlong(), Ok(value));
            prop_assert_eq!(cursor.0, &tail[..]);
        }

        #[test]
        fn thirty_two_bits_are_read_as_such(value: i64) {
            let expected = i32::try_from(value).ok();
            prop_assert_eq!(Cursor(&coded(value)).varint().ok(), expected);
            let narrow = value as i32;
            prop_assert_eq!(Cursor(&coded(narrow.into())).varint(), Ok(narrow));
        }
    }
}
