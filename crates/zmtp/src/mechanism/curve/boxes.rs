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

    /// Opens a box in its place; `None` if it was not sealed with this key and nonce. Then `text`
    /// is as it was.
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

#[cfg(test)]
mod tests {
    use super::super::tests::unhex;
    use super::*;

    const ALICE: &str = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a";
    const BOB: &str = "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f";
    const NONCE: &str = "69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37";
    const PLAINTEXT: &str = "be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffc
        e5ecbaaf33bd751a1ac728d45e6c61296cdc3c01233561f41db66cce314adb31
        0e3be8250c46f06dceea3a7fa1348057e2f6556ad6b1318a024a838f21af1fde
        048977eb48f59ffd4924ca1c60902e52f0a089bc76897040e082f93776384864
        5e0705";
    const BOXED: &str = "f3ffc7703f9400e52a7dfb4b3d3305d98e993b9f48681273c29650ba32fc76ce
        48332ea7164d96a4476fb8c531a1186ac0dfc17c98dce87b4da7f011ec48c972
        71d2c20f9b928fe2270d6fb863d51738b48eeee314a7cc8ab932164548e526ae
        90224368517acfeabd6bb3732bc0e9da99832b61ca01b6de56244a9e88d5f9b3
        7973f622a43d14a6599b1f654cb45a74e355a5";

    fn key() -> BoxKey {
        let bob = PublicKey::try_from(&unhex(BOB)[..]).unwrap();
        BoxKey::between(&bob, &SecretKey::try_from(&unhex(ALICE)[..]).unwrap()).unwrap()
    }

    fn nonce() -> Nonce {
        Nonce(unhex(NONCE).try_into().unwrap())
    }

    /// "Cryptography in NaCl", sections 5 to 10; libsodium's test `box` has the same numbers.
    #[test]
    fn the_vectors_of_nacl() {
        let first = unhex("1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389");
        assert_eq!(key().0[..], first);
        let mut boxed = Vec::new();
        key().seal_onto(&nonce(), &[&unhex(PLAINTEXT)], &mut boxed);
        assert_eq!(boxed, unhex(BOXED));
        assert_eq!(**key().open_copy(&nonce(), &boxed).unwrap(), unhex(PLAINTEXT));
    }

    #[test]
    fn every_changed_byte_shows_and_the_text_stays() {
        let boxed = unhex(BOXED);
        for at in 0..boxed.len() {
            let mut changed = boxed.clone();
            changed[at] ^= 0x80;
            let before = changed.clone();
            let (tag, text) = changed.split_first_chunk_mut().unwrap();
            assert!(key().open(&nonce(), tag, text).is_none(), "byte {at}");
            assert_eq!(changed, before);
        }
    }

    #[test]
    fn what_is_shorter_than_a_tag_is_no_box() {
        assert!(key().open_copy(&nonce(), &[0; TAG_BYTES - 1]).is_none());
        assert!(key().open_copy(&nonce(), &[]).is_none());
    }

    /// The point of order 8 that libsodium's test `box` refuses, and the two trivial ones.
    #[test]
    fn keys_of_low_order_share_no_secret() {
        let order8 = unhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800");
        let mut one = [0; 32];
        one[0] = 1;
        for point in [order8.try_into().unwrap(), [0; 32], one] {
            let secret = SecretKey::try_from(&unhex(ALICE)[..]).unwrap();
            let shared = BoxKey::between(&PublicKey::from_bytes(point), &secret);
            assert_eq!(shared.unwrap_err(), CurveError::WeakKey);
        }
    }
}
