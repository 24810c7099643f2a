//! The record that stands in a ring for a payload that lies elsewhere.
//!
//! ```text
//!  0 number of the segment  4
//!  4 zero                   4
//!  8 bytes of payload       8
//! 16 number of the use      8
//! ```
//!
//! Little-endian, as all that leaves the process.

/// Bytes of a reference.
pub(super) const LEN: usize = 24;

/// Which payload is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) number: u32,
    pub(super) len: u64,
    /// What the ledger says when it has been given back; never 0.
    pub(super) usage: u64,
}

impl Reference {
    pub(super) fn encode(self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        bytes[..4].copy_from_slice(&self.number.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.len.to_le_bytes());
        bytes[16..].copy_from_slice(&self.usage.to_le_bytes());
        bytes
    }

    /// The reference that the bytes are, if they are one.
    pub(super) fn decode(bytes: &[u8]) -> Option<Reference> {
        let bytes: &[u8; LEN] = bytes.try_into().ok()?;
        let (words, _) = bytes.as_chunks::<8>();
        let [first, len, usage] = [0, 1, 2].map(|at| u64::from_le_bytes(words[at]));
        // Zero in the upper half of the first word.
        let number = u32::try_from(first).ok()?;
        (usage != 0).then_some(Reference { number, len, usage })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_laid_out_as_drawn_and_read_back() {
        let reference = Reference { number: 0x0403_0201, len: 5, usage: 6 };
        let bytes = reference.encode();
        let drawn = [1, 2, 3, 4, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(bytes, drawn);
        assert_eq!(Reference::decode(&bytes), Some(reference));
    }

    #[test]
    fn what_nobody_writes_is_none() {
        let sound = Reference { number: 1, len: 1, usage: 1 }.encode();
        let with = |at: usize, byte| {
            let mut bytes = sound;
            bytes[at] = byte;
            bytes
        };
        assert_eq!(Reference::decode(&sound[..23]), None);
        assert_eq!(Reference::decode(&[&sound[..], &[0]].concat()), None);
        assert_eq!(Reference::decode(&with(7, 1)), None, "not zero");
        assert_eq!(Reference::decode(&with(16, 0)), None, "no use");
        assert_eq!(Reference::decode(&[]), None);
    }
}
