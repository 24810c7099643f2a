//! What is received: MESSAGE commands become frames.

use std::mem;

use super::boxes::{BoxKey, Nonce};
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

    /// The nonce of a MESSAGE and its box.
    fn split<'a>(&self, sealed: &'a [u8]) -> Result<(u64, &'a [u8]), CipherError> {
        let rest = sealed.strip_prefix(message::NAME).ok_or(CipherError::Clear)?;
        if sealed.len() < OVERHEAD_BYTES {
            return Err(CipherError::Short(sealed.len()));
        }
        let (number, boxed) = rest.split_first_chunk().ok_or(CipherError::Short(sealed.len()))?;
        let number = u64::from_be_bytes(*number);
        if number <= self.last {
            return Err(CipherError::Replay);
        }
        Ok((number, boxed))
    }
}

impl mechanism::Opener for Opener {
    fn open(&mut self, sealed: &[u8], out: &mut Vec<u8>) -> Result<Flags, CipherError> {
        let (number, boxed) = self.split(sealed)?;
        let nonce = Nonce::short(self.prefix, number);
        let octet = open_onto(&self.key, &nonce, boxed, out).ok_or(CipherError::Forged)?;
        self.last = number;
        message::flags(octet).ok_or(CipherError::Flags(octet))
    }

    fn overhead(&self) -> usize {
        OVERHEAD_BYTES
    }
}

/// Opens a box onto the end of `out`, less its first byte, the flags, which is the answer.
///
/// Flags and body are encrypted as one. So that the body need not be moved afterwards, the byte
/// before it in `out` is lent to the flags meanwhile, if there is one.
fn open_onto(key: &BoxKey, nonce: &Nonce, boxed: &[u8], out: &mut Vec<u8>) -> Option<u8> {
    let (tag, text) = boxed.split_first_chunk()?;
    let (&sealed_flags, body) = text.split_first()?;
    let Some(before) = out.len().checked_sub(1) else {
        out.extend_from_slice(text);
        key.open(nonce, tag, out)?;
        return Some(out.remove(0));
    };
    out.extend_from_slice(body);
    let lent = mem::replace(&mut out[before], sealed_flags);
    let opened = key.open(nonce, tag, &mut out[before..]);
    let flags = mem::replace(&mut out[before], lent);
    opened.map(|()| flags)
}
