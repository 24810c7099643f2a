//! NaCl boxes: X25519, XSalsa20 and Poly1305, with the key of each pair of peers made once.
//!
//! A box is a tag of 16 bytes and as many bytes as the plaintext has. It is sealed and opened in
//! the buffer in which it lies.

use std::fmt;

use dryoc::classic::crypto_box::{
    crypto_box_beforenm, crypto_box_detached_afternm_inplace,
    crypto_box_open_detached_afternm_inplace,
};
use zeroize::Zeroizing;

use super::error::CurveError;
use crate::keys::{PublicKey, SecretKey};
use crate::random::{self, NoRandomness};

/// How many bytes a box has more than its plaintext.
pub(super) const TAG_BYTES: usize = 16;

/// What shows that a box was sealed by who has its key.
pub(super) type Tag = [u8; TAG_BYTES];

/// A number used once with a key: 24 bytes.
#[derive(Clone, Copy)]
pub(super) struct Nonce([u8; 24]);

impl Nonce {
    /// That of a transient key: what the command is, and a number that grows.
    #[inline]
    pub(super) fn short(prefix: &[u8; 16], number: u64) -> Self {
        let mut bytes = [0; 24];
        bytes[..16].copy_from_slice(prefix);
        bytes[16..].copy_from_slice(&number.to_be_bytes());
        Nonce(bytes)
    }

    /// That of a long-term key: what the command is, and 16 random bytes.
    pub(super) fn long(prefix: &[u8; 8], tail: &[u8; 16]) -> Self {
        let mut bytes = [0; 24];
        bytes[..8].copy_from_slice(prefix);
        bytes[8..].copy_from_slice(tail);
        Nonce(bytes)
    }
}

/// The key under which boxes are sealed and opened. Wiped on drop.
#[derive(Clone)]
pub(super) struct BoxKey(Zeroizing<[u8; 32]>);

impl BoxKey {
    /// The key that two pairs share: from the public half of one and the secret half of the other.
    pub(super) fn between(public: &PublicKey, secret: &SecretKey) -> Result<Self, CurveError> {
        crypto_box_beforenm(public.as_bytes(), secret.as_bytes())
            .map(|key| BoxKey(Zeroizing::new(key)))
            .map_err(|_| CurveError::WeakKey)
    }

    /// A key of random bytes that is shared with nobody.
    pub(super) fn generate() -> Result<Self, NoRandomness> {
        let mut key = Zeroizing::new([0; 32]);
        random::fill(&mut *key)?;
        Ok(BoxKey(key))
    }

    /// Makes a box of `space`: 16 bytes for the tag, then the plaintext.
    ///
    /// # Panics
    /// If `space` is shorter than a tag.
    #[inline]
    pub(super) fn seal(&self, nonce: &Nonce, space: &mut [u8]) {
        let (tag, text) = space.split_first_chunk_mut().expect("space begins with room for a tag");
        crypto_box_detached_afternm_inplace(text, tag, &nonce.0, &self.0);
    }

    /// Opens a box in its place; `None` if it was not sealed with this key and nonce. Then `text` is
    /// as it was.
    #[inline]
    pub(super) fn open(&self, nonce: &Nonce, tag: &Tag, text: &mut [u8]) -> Option<()> {
        crypto_box_open_detached_afternm_inplace(text, tag, &nonce.0, &self.0).ok()
    }

    /// Appends the box of the parts, one after the other, to `out`.
    pub(super) fn seal_onto(&self, nonce: &Nonce, parts: &[&[u8]], out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0; TAG_BYTES]);
        for part in parts {
            out.extend_from_slice(part);
        }
        self.seal(nonce, &mut out[start..]);
    }

    /// The plaintext of a box, in a copy that is wiped on drop.
    pub(super) fn open_copy(&self, nonce: &Nonce, boxed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (tag, text) = boxed.split_first_chunk()?;
        let mut copy = Zeroizing::new(text.to_vec());
        self.open(nonce, tag, &mut copy)?;
        Some(copy)
    }
}

impl fmt::Debug for BoxKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BoxKey(..)")
    }
}
