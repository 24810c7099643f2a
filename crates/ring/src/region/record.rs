//! The word in front of each payload.
//!
//! ```text
//!  63           48 47     40 39     32 31                             0
//! +---------------+---------+---------+--------------------------------+
//! |      tag      |    0    |  kind   |         payload bytes          |
//! +---------------+---------+---------+--------------------------------+
//! ```
//!
//! The kind is 1 for a record and 2 for a pad, so a header is never zero, and zero means that
//! nothing has been published here.

/// Bytes of a header, and what every record is aligned to.
pub(super) const WORD: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A payload follows.
    Record = 1,
    /// Nothing up to the end of the ring; the next record is at its begin.
    Pad = 2,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    /// The sender's own; the ring only carries it.
    pub(super) tag: u16,
    /// Bytes of payload.
    pub(super) len: u32,
}

impl Header {
    #[inline]
    pub(super) fn record(len: usize, tag: u16) -> Self {
        Header { kind: Kind::Record, tag, len: len as u32 }
    }

    /// A pad of `size` bytes, this word included.
    pub(super) fn pad(size: usize) -> Self {
        Header { kind: Kind::Pad, tag: 0, len: (size - WORD) as u32 }
    }

    /// Bytes of the whole record.
    #[inline]
    pub(super) fn size(self) -> usize {
        size_of_record(self.len as usize)
    }

    #[inline]
    pub(super) fn encode(self) -> u64 {
        u64::from(self.tag) << 48 | (self.kind as u64) << 32 | u64::from(self.len)
    }

    #[inline]
    pub(super) fn decode(word: u64) -> Option<Self> {
        let kind = match word >> 32 & 0xffff {
            1 => Kind::Record,
            2 => Kind::Pad,
            _ => return None,
        };
        Some(Header { kind, tag: (word >> 48) as u16, len: word as u32 })
    }
}

/// Bytes that a payload of `len` takes, its header included.
#[inline]
pub(super) fn size_of_record(len: usize) -> usize {
    WORD + len.next_multiple_of(WORD)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_header_survives_its_word() {
        for (len, tag) in [(0, 0), (1, 7), (u32::MAX as usize, u16::MAX)] {
            let header = Header::record(len, tag);
            assert_ne!(header.encode(), 0);
            assert_eq!(Header::decode(header.encode()), Some(header));
        }
        let pad = Header::pad(8);
        assert_eq!((pad.size(), Header::decode(pad.encode())), (8, Some(pad)));
    }

    #[test]
    fn what_is_no_header_is_refused() {
        let sound = Header::record(5, 0).encode();
        for word in [0, 5, 3 << 32, sound | 1 << 40, sound | 1 << 47, u64::MAX] {
            assert_eq!(Header::decode(word), None, "{word:#x}");
        }
    }
}
