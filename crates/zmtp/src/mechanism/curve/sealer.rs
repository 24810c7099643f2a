//! What is sent: frames become MESSAGE commands.

use super::boxes::{BoxKey, Nonce, TAG_BYTES};
use super::{OVERHEAD_BYTES, message};
use crate::encoder::encode_head;
use crate::frame::{Flags, HEADER_BYTES_MAX};
use crate::mechanism;

/// Seals the frames of one direction of a connection, each with the next nonce.
#[derive(Debug)]
pub(super) struct Sealer {
    key: BoxKey,
    prefix: &'static [u8; 16],
    next: u64,
}

impl Sealer {
    /// One whose first nonce is `next`.
    pub(super) fn new(key: BoxKey, prefix: &'static [u8; 16], next: u64) -> Self {
        Sealer { key, prefix, next }
    }
}

impl mechanism::Sealer for Sealer {
    /// The body is copied once, to where it is encrypted.
    ///
    /// # Panics
    /// After 2^64 frames, which at ten million a second takes 58,000 years: no nonce is used twice.
    fn seal(&mut self, flags: Flags, body: &[&[u8]], out: &mut Vec<u8>) {
        let len = OVERHEAD_BYTES + body.iter().map(|part| part.len()).sum::<usize>();
        out.reserve(HEADER_BYTES_MAX + len);
        // The frame itself has no flags, and is no command: libzmq would take it for its own.
        encode_head(Flags::LAST, len, out);
        out.extend_from_slice(message::NAME);
        out.extend_from_slice(&self.next.to_be_bytes());
        let start = out.len();
        out.extend_from_slice(&[0; TAG_BYTES]);
        out.push(message::octet(flags));
        for part in body {
            out.extend_from_slice(part);
        }
        self.key.seal(&Nonce::short(self.prefix, self.next), &mut out[start..]);
        self.next = self.next.checked_add(1).expect("fewer than 2^64 frames");
    }
}
