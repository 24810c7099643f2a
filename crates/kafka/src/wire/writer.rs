//! Writing: the mirror of the reader, with places left for bytes that come from elsewhere.

use uuid::Uuid;

use super::STRING_BYTES_MAX;

/// Collects the bytes of one message.
///
/// Records that will be sent straight from a file are not copied in: [`Writer::splice`] notes how
/// many bytes come at the current position, and the sender puts them there.
#[derive(Debug, Clone, Default)]
pub struct Writer {
    buf: Vec<u8>,
    cuts: Vec<(usize, usize)>,
    spliced: usize,
}

impl Writer {
    /// An empty writer.
    pub fn new() -> Writer {
        Writer::default()
    }

    /// An empty writer with room for `bytes`.
    pub fn with_capacity(bytes: usize) -> Writer {
        Writer { buf: Vec::with_capacity(bytes), ..Writer::default() }
    }

    /// Bytes written, spliced ones included.
    pub fn len(&self) -> usize {
        self.buf.len() + self.spliced
    }

    /// Nothing written yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes written, and where others go between them: `(position in the bytes, length)`, by
    /// rising position.
    pub fn into_parts(self) -> (Vec<u8>, Vec<(usize, usize)>) {
        (self.buf, self.cuts)
    }

    /// Notes that `len` bytes from elsewhere come here. None are noted if `len` is 0.
    pub fn splice(&mut self, len: usize) {
        if len > 0 {
            self.cuts.push((self.buf.len(), len));
            self.spliced += len;
        }
    }

    /// Bytes as they are, without a length.
    #[inline]
    pub fn raw(&mut self, bytes: &[u8]) {
        self.buf.extend_from_slice(bytes);
    }

    /// A boolean.
    #[inline]
    pub fn bool(&mut self, value: bool) {
        self.buf.push(value.into());
    }

    /// An 8-bit integer.
    #[inline]
    pub fn i8(&mut self, value: i8) {
        self.raw(&value.to_be_bytes());
    }

    /// A 16-bit integer.
    #[inline]
    pub fn i16(&mut self, value: i16) {
        self.raw(&value.to_be_bytes());
    }

    /// A 32-bit integer.
    #[inline]
    pub fn i32(&mut self, value: i32) {
        self.raw(&value.to_be_bytes());
    }

    /// A 64-bit integer.
    #[inline]
    pub fn i64(&mut self, value: i64) {
        self.raw(&value.to_be_bytes());
    }

    /// A UUID.
    pub fn uuid(&mut self, value: Uuid) {
        self.raw(value.as_bytes());
    }

    /// An unsigned variable-length integer.
    #[inline]
    pub fn uvarint(&mut self, mut value: u32) {
        while value > 0x7f {
            self.buf.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.buf.push(value as u8);
    }

    /// A string that may be null. One longer than [`STRING_BYTES_MAX`], which no peer would take,
    /// is cut there.
    #[inline]
    pub fn nullable_string(&mut self, value: Option<&str>, flexible: bool) {
        let value = value.map(within_limit);
        match (value, flexible) {
            (Some(s), true) => self.uvarint(s.len() as u32 + 1),
            (Some(s), false) => self.i16(s.len() as i16),
            (None, true) => self.uvarint(0),
            (None, false) => self.i16(-1),
        }
        self.raw(value.unwrap_or_default().as_bytes());
    }

    /// A string.
    #[inline]
    pub fn string(&mut self, value: &str, flexible: bool) {
        self.nullable_string(Some(value), flexible);
    }

    /// Bytes that may be null.
    #[inline]
    pub fn nullable_bytes(&mut self, value: Option<&[u8]>, flexible: bool) {
        self.nullable_count(value.map(<[u8]>::len), flexible);
        self.raw(value.unwrap_or_default());
    }

    /// Bytes.
    #[inline]
    pub fn bytes(&mut self, value: &[u8], flexible: bool) {
        self.nullable_bytes(Some(value), flexible);
    }

    /// Bytes of which only the length is known here; see [`Writer::splice`].
    pub fn spliced_bytes(&mut self, len: usize, flexible: bool) {
        self.nullable_count(Some(len), flexible);
        self.splice(len);
    }

    /// The count of an array that may be null. The elements follow.
    #[inline]
    pub fn nullable_count(&mut self, count: Option<usize>, flexible: bool) {
        match (count, flexible) {
            (Some(n), true) => self.uvarint(saturated(n) as u32 + 1),
            (Some(n), false) => self.i32(saturated(n)),
            (None, true) => self.uvarint(0),
            (None, false) => self.i32(-1),
        }
    }

    /// Overwrites the 32-bit integer at `position`.
    pub(crate) fn patch_i32(&mut self, position: usize, value: i32) {
        self.buf[position..position + 4].copy_from_slice(&value.to_be_bytes());
    }
}

/// As much of `string` as a peer takes.
#[inline]
fn within_limit(string: &str) -> &str {
    let mut end = string.len().min(STRING_BYTES_MAX);
    while !string.is_char_boundary(end) {
        end -= 1;
    }
    &string[..end]
}

/// No frame holds more than this, so that a larger length is refused by the peer whatever it says.
pub(crate) fn saturated(len: usize) -> i32 {
    i32::try_from(len).unwrap_or(i32::MAX)
}

/// Gathers the tagged fields that end a struct, since their number goes first.
#[derive(Default)]
pub(crate) struct Tags {
    count: u32,
    body: Writer,
    scratch: Writer,
}

impl Tags {
    /// Adds a field; tags must rise.
    pub(crate) fn add(&mut self, tag: u32, write: impl FnOnce(&mut Writer)) {
        self.scratch.buf.clear();
        write(&mut self.scratch);
        debug_assert!(self.scratch.cuts.is_empty(), "nothing is spliced into a tagged field");
        self.count += 1;
        self.body.uvarint(tag);
        self.body.uvarint(self.scratch.buf.len() as u32);
        self.body.raw(&self.scratch.buf);
    }

    /// Writes them all.
    #[inline]
    pub(crate) fn finish(self, w: &mut Writer) {
        w.uvarint(self.count);
        w.raw(&self.body.buf);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Reader;

    #[test]
    fn lengths_in_both_forms() {
        let mut w = Writer::new();
        w.string("hi", false);
        w.string("hi", true);
        w.nullable_string(None, false);
        w.nullable_string(None, true);
        w.bytes(b"x", false);
        w.bytes(b"x", true);
        w.nullable_count(None, false);
        w.nullable_count(Some(200), true);
        let (bytes, cuts) = w.into_parts();
        assert_eq!(bytes, b"\0\x02hi\x03hi\xff\xff\0\0\0\0\x01x\x02x\xff\xff\xff\xff\xc9\x01");
        assert!(cuts.is_empty());
    }

    #[test]
    fn varints_read_back() {
        for value in [0, 1, 0x7f, 0x80, 0x3fff, 0x4000, i32::MAX as u32, u32::MAX] {
            let mut w = Writer::new();
            w.uvarint(value);
            let mut r = Reader::new(&w.buf);
            assert_eq!(r.uvarint(), Ok(value));
            assert_eq!(r.finish(), Ok(()));
        }
    }

    #[test]
    fn a_string_too_long_is_cut_between_characters() {
        let long = "\u{e9}".repeat(STRING_BYTES_MAX);
        let mut w = Writer::new();
        w.string(&long, false);
        let read = Reader::new(&w.buf).string(false).map(str::len);
        assert_eq!(read, Ok(STRING_BYTES_MAX - 1));
    }

    #[test]
    fn spliced_bytes_count_but_are_not_there() {
        let mut w = Writer::new();
        w.i8(1);
        w.spliced_bytes(1000, false);
        w.spliced_bytes(0, true);
        w.i8(2);
        assert_eq!(w.len(), 1 + 4 + 1000 + 1 + 1);
        let (bytes, cuts) = w.into_parts();
        assert_eq!(bytes, [1, 0, 0, 3, 0xe8, 1, 2]);
        assert_eq!(cuts, [(5, 1000)]);
    }
}
