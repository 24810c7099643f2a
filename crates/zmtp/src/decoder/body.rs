//! A frame that is read into a buffer of its own, because it is long against a page.

use crate::frame::Flags;
use crate::limits::AHEAD_BYTES_MAX;

/// The flags, the bytes that are here, and how many there will be.
pub(super) struct Body {
    flags: Flags,
    bytes: Vec<u8>,
    whole: usize,
}

impl Body {
    /// A frame of `whole` bytes that begins with `start`.
    pub(super) fn new(flags: Flags, whole: usize, start: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(whole.min(AHEAD_BYTES_MAX.max(start.len())));
        bytes.extend_from_slice(start);
        Body { flags, bytes, whole }
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn is_whole(&self) -> bool {
        self.bytes.len() >= self.whole
    }

    /// The buffer, with spare capacity, and none beyond the end of the frame if the allocator gives
    /// what it is asked for.
    pub(super) fn room(&mut self) -> &mut Vec<u8> {
        let len = self.bytes.len();
        if self.bytes.capacity() == len {
            let ahead = len.max(AHEAD_BYTES_MAX).min(self.whole - len);
            self.bytes.reserve_exact(ahead);
        }
        &mut self.bytes
    }

    /// The frame, and what was read beyond it.
    pub(super) fn finish(mut self) -> (Flags, Vec<u8>, Vec<u8>) {
        let rest = self.bytes.split_off(self.whole);
        (self.flags, self.bytes, rest)
    }
}
