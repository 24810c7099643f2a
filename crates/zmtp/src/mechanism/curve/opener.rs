//! What is received: MESSAGE commands become frames.

use std::ops::Range;

use super::boxes::{BoxKey, Nonce, Tag};
use super::{OVERHEAD_BYTES, message};
use crate::error::CipherError;
use crate::frame::Flags;
use crate::mechanism;

/// Opens the frames of one direction of a connection, each of which has a higher nonce than the one
/// before.
#[derive(Debug)]
pub(super) struct Opener {
    key: BoxKey,
    prefix: &'static [u8; 16],
    last: u64,
}

impl Opener {
    /// One that takes nonces above `last`.
    pub(super) fn new(key: BoxKey, prefix: &'static [u8; 16], last: u64) -> Self {
        Opener { key, prefix, last }
    }

    /// The nonce of a MESSAGE, the tag of its box, and what is encrypted.
    fn split<'a>(
        &self,
        sealed: &'a mut [u8],
    ) -> Result<(u64, &'a mut Tag, &'a mut [u8]), CipherError> {
        let len = sealed.len();
        if !sealed.starts_with(message::NAME) {
            return Err(CipherError::Clear);
        }
        if len < OVERHEAD_BYTES {
            return Err(CipherError::Short(len));
        }
        let fields = sealed[message::NAME.len()..].split_first_chunk_mut();
        let (number, boxed) = fields.ok_or(CipherError::Short(len))?;
        let (tag, text) = boxed.split_first_chunk_mut().ok_or(CipherError::Short(len))?;
        let number = u64::from_be_bytes(*number);
        if number <= self.last {
            return Err(CipherError::Replay);
        }
        Ok((number, tag, text))
    }
}

impl mechanism::Opener for Opener {
    fn open(&mut self, sealed: &mut [u8]) -> Result<(Flags, Range<usize>), CipherError> {
        let body = OVERHEAD_BYTES..sealed.len();
        let (number, tag, text) = self.split(sealed)?;
        let nonce = Nonce::short(self.prefix, number);
        self.key.open(&nonce, tag, text).ok_or(CipherError::Forged)?;
        self.last = number;
        let octet = text[0];
        let flags = message::flags(octet).ok_or(CipherError::Flags(octet))?;
        Ok((flags, body))
    }

    fn overhead(&self) -> usize {
        OVERHEAD_BYTES
    }
}
