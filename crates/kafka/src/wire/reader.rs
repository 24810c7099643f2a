//! Reading: every length and count is checked against the bytes left before it is used.

use uuid::Uuid;

use super::{DecodeError, MEMORY_BYTES_MAX, STRING_BYTES_MAX};

/// A cursor over the bytes of one message.
///
/// What it hands out borrows from those bytes. Two bounds keep a hostile message from taking more
/// memory than it is worth: an array's count times the least size of an element must fit in the
/// bytes left, and all arrays together stay under a fixed number of bytes.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    /// Ends early while a tagged field is read, never starts late.
    buf: &'a [u8],
    /// Never past the end of `buf`.
    position: usize,
    memory_left: usize,
    memory_max: usize,
}

impl<'a> Reader<'a> {
    /// Reads `buf` from its start, with room for [`MEMORY_BYTES_MAX`] of arrays.
    pub fn new(buf: &'a [u8]) -> Reader<'a> {
        Reader::with_memory_max(buf, MEMORY_BYTES_MAX)
    }

    /// Reads `buf` from its start, with room for `memory_max` bytes of arrays.
    pub fn with_memory_max(buf: &'a [u8], memory_max: usize) -> Reader<'a> {
        Reader { buf, position: 0, memory_left: memory_max, memory_max }
    }

    /// Bytes read so far.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Bytes left.
    pub fn remaining(&self) -> usize {
        self.buf.len() - self.position
    }

    /// Succeeds if nothing is left.
    pub fn finish(&self) -> Result<(), DecodeError> {
        match self.remaining() {
            0 => Ok(()),
            left => Err(DecodeError::Trailing(left)),
        }
    }

    /// The next `len` bytes.
    #[inline]
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let left = &self.buf[self.position..];
        let taken = left.get(..len).ok_or(DecodeError::Short { need: len, have: left.len() })?;
        self.position += len;
        Ok(taken)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let left = &self.buf[self.position..];
        let array = *left.first_chunk().ok_or(DecodeError::Short { need: N, have: left.len() })?;
        self.position += N;
        Ok(array)
    }

    /// A boolean: any byte but zero is true.
    #[inline]
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        Ok(self.i8()? != 0)
    }

    /// An 8-bit integer.
    #[inline]
    pub fn i8(&mut self) -> Result<i8, DecodeError> {
        self.array().map(i8::from_be_bytes)
    }

    /// A 16-bit integer.
    #[inline]
    pub fn i16(&mut self) -> Result<i16, DecodeError> {
        self.array().map(i16::from_be_bytes)
    }

    /// A 32-bit integer.
    #[inline]
    pub fn i32(&mut self) -> Result<i32, DecodeError> {
        self.array().map(i32::from_be_bytes)
    }

    /// A 64-bit integer.
    #[inline]
    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        self.array().map(i64::from_be_bytes)
    }

    /// A UUID.
    pub fn uuid(&mut self) -> Result<Uuid, DecodeError> {
        self.array().map(Uuid::from_bytes)
    }

    /// An unsigned variable-length integer of at most 32 bits.
    #[inline]
    pub fn uvarint(&mut self) -> Result<u32, DecodeError> {
        let mut value = 0;
        for shift in (0..35).step_by(7) {
            let [byte] = self.array()?;
            if shift == 28 && byte > 0x0f {
                return Err(DecodeError::Varint);
            }
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        Ok(value)
    }

    /// A string that may be null.
    #[inline]
    pub fn nullable_string(&mut self, flexible: bool) -> Result<Option<&'a str>, DecodeError> {
        let len = if flexible { self.compact_len()? } else { plain_len(self.i16()?.into())? };
        let Some(len) = len else { return Ok(None) };
        if len > STRING_BYTES_MAX {
            return Err(DecodeError::StringTooLong { len, max: STRING_BYTES_MAX });
        }
        let bytes = self.take(len)?;
        str::from_utf8(bytes).map(Some).map_err(|_| DecodeError::Utf8)
    }

    /// A string.
    #[inline]
    pub fn string(&mut self, flexible: bool) -> Result<&'a str, DecodeError> {
        self.nullable_string(flexible)?.ok_or(DecodeError::Null)
    }

    /// Bytes that may be null.
    #[inline]
    pub fn nullable_bytes(&mut self, flexible: bool) -> Result<Option<&'a [u8]>, DecodeError> {
        match self.long_len(flexible)? {
            Some(len) => self.take(len).map(Some),
            None => Ok(None),
        }
    }

    /// Bytes.
    #[inline]
    pub fn bytes(&mut self, flexible: bool) -> Result<&'a [u8], DecodeError> {
        self.nullable_bytes(flexible)?.ok_or(DecodeError::Null)
    }

    /// The count of an array that may be null, to be read into a `Vec<T>`.
    ///
    /// `element_len_min` is the least an element takes on the wire. Once this has returned a
    /// count, a vector of so many elements may be allocated.
    #[inline]
    pub fn nullable_count<T>(
        &mut self,
        flexible: bool,
        element_len_min: usize,
    ) -> Result<Option<usize>, DecodeError> {
        let Some(count) = self.long_len(flexible)? else { return Ok(None) };
        let have = self.remaining();
        if count > have / element_len_min.max(1) {
            return Err(DecodeError::Count { count, have });
        }
        self.memory_left = count
            .checked_mul(size_of::<T>())
            .and_then(|bytes| self.memory_left.checked_sub(bytes))
            .ok_or(DecodeError::Memory { max: self.memory_max })?;
        Ok(Some(count))
    }

    /// The count of an array; see [`Reader::nullable_count`].
    #[inline]
    pub fn count<T>(
        &mut self,
        flexible: bool,
        element_len_min: usize,
    ) -> Result<usize, DecodeError> {
        self.nullable_count::<T>(flexible, element_len_min)?.ok_or(DecodeError::Null)
    }

    /// The tagged fields that end a struct. `known` is given each tag, reads the body of those it
    /// knows and says whether it did; the others are passed over.
    pub(crate) fn tags(
        &mut self,
        mut known: impl FnMut(&mut Self, u32) -> Result<bool, DecodeError>,
    ) -> Result<(), DecodeError> {
        // Each turn takes at least two bytes, so that the count needs no bound of its own.
        for _ in 0..self.uvarint()? {
            let tag = self.uvarint()?;
            let size = self.uvarint()? as usize;
            let start = self.position;
            self.take(size)?;
            let end = self.position;

            let whole = self.buf;
            self.buf = &whole[..end];
            self.position = start;
            if known(self, tag)? {
                self.finish()?;
            }
            self.buf = whole;
            self.position = end;
        }
        Ok(())
    }

    /// Passes over the tagged fields that end a struct.
    pub fn skip_tags(&mut self) -> Result<(), DecodeError> {
        self.tags(|_, _| Ok(false))
    }

    /// Bytes of memory that arrays were allowed so far.
    #[cfg(test)]
    pub(crate) fn memory_used(&self) -> usize {
        self.memory_max - self.memory_left
    }

    #[inline]
    fn long_len(&mut self, flexible: bool) -> Result<Option<usize>, DecodeError> {
        if flexible { self.compact_len() } else { plain_len(self.i32()?) }
    }

    #[inline]
    fn compact_len(&mut self) -> Result<Option<usize>, DecodeError> {
        match self.uvarint()? {
            0 => Ok(None),
            n if n > i32::MAX as u32 => Err(DecodeError::Length(i64::from(n) - 1)),
            n => Ok(Some(n as usize - 1)),
        }
    }
}

#[inline]
fn plain_len(len: i32) -> Result<Option<usize>, DecodeError> {
    match len {
        -1 => Ok(None),
        len => usize::try_from(len).map(Some).map_err(|_| DecodeError::Length(len.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_big_endian() {
        let bytes = [0xff, 1, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 4, 1];
        let mut r = Reader::new(&bytes);
        assert_eq!(r.i8(), Ok(-1));
        assert_eq!(r.i16(), Ok(0x0102));
        assert_eq!(r.i32(), Ok(3));
        assert_eq!(r.i64(), Ok(4));
        assert_eq!(r.bool(), Ok(true));
        assert_eq!(r.finish(), Ok(()));
        assert_eq!(r.i16(), Err(DecodeError::Short { need: 2, have: 0 }));
    }

    #[test]
    fn a_varint_holds_32_bits_and_no_more() {
        let read = |bytes: &[u8]| Reader::new(bytes).uvarint();
        assert_eq!(read(&[0]), Ok(0));
        assert_eq!(read(&[0x80, 0x01]), Ok(128));
        assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0x0f]), Ok(u32::MAX));
        assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0x1f]), Err(DecodeError::Varint));
        assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0x8f, 0]), Err(DecodeError::Varint));
        assert_eq!(read(&[0x80]), Err(DecodeError::Short { need: 1, have: 0 }));
    }

    #[test]
    fn strings_in_both_forms() {
        assert_eq!(Reader::new(b"\x00\x02hi").string(false), Ok("hi"));
        assert_eq!(Reader::new(b"\x03hi").string(true), Ok("hi"));
        assert_eq!(Reader::new(b"\xff\xff").nullable_string(false), Ok(None));
        assert_eq!(Reader::new(b"\x00").nullable_string(true), Ok(None));
        assert_eq!(Reader::new(b"\x00").string(true), Err(DecodeError::Null));
        assert_eq!(Reader::new(b"\xff\xfe").string(false), Err(DecodeError::Length(-2)));
        assert_eq!(Reader::new(b"\x02\xff").string(true), Err(DecodeError::Utf8));
        let long = [0x81, 0x80, 0x02];
        let error = DecodeError::StringTooLong { len: 32768, max: 32767 };
        assert_eq!(Reader::new(&long).string(true), Err(error));
    }

    #[test]
    fn a_count_must_fit_what_is_left() {
        let mut bytes = vec![0, 0, 0, 3];
        bytes.extend([0; 11]);
        let error = DecodeError::Count { count: 3, have: 11 };
        assert_eq!(Reader::new(&bytes).count::<i32>(false, 4), Err(error));
        bytes.push(0);
        assert_eq!(Reader::new(&bytes).count::<i32>(false, 4), Ok(3));
        let error = DecodeError::Memory { max: 11 };
        assert_eq!(Reader::with_memory_max(&bytes, 11).count::<i32>(false, 4), Err(error));
        let huge = [0xff, 0xff, 0xff, 0xff, 0x0f];
        let error = DecodeError::Length(i64::from(u32::MAX) - 1);
        assert_eq!(Reader::new(&huge).count::<u8>(true, 0), Err(error));
    }

    #[test]
    fn unknown_tags_are_passed_over_and_known_ones_read_whole() {
        // Tags 1 (unknown, 2 bytes) and 5 (a 16-bit integer).
        let bytes = [2, 1, 2, 9, 9, 5, 2, 0, 7, 42];
        let mut r = Reader::new(&bytes);
        let mut seen = None;
        let read = r.tags(|r, tag| {
            if tag == 5 {
                seen = Some(r.i16()?);
            }
            Ok(tag == 5)
        });
        assert_eq!((read, seen), (Ok(()), Some(7)));
        assert_eq!(r.i8(), Ok(42));

        let mut r = Reader::new(&bytes);
        let partly = r.tags(|r, tag| Ok(tag == 5 && r.i8().is_ok()));
        assert_eq!(partly, Err(DecodeError::Trailing(1)));
        let mut r = Reader::new(&bytes);
        let beyond = r.tags(|r, tag| if tag == 5 { r.i32().map(|_| true) } else { Ok(false) });
        assert_eq!(beyond, Err(DecodeError::Short { need: 4, have: 2 }));
    }
}
