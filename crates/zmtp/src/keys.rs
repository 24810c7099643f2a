//! The long-term keys of CURVE: 32 bytes each, written as 40 characters of Z85 (RFC 32).
//!
//! A server has a pair and publishes the public half; a client knows that half beforehand and has
//! a pair of its own. Secret halves are wiped when they are dropped, and `Debug` does not show
//! them.
//!
//! ```
//! use chaski_zmtp::keys::{KeyPair, PublicKey};
//!
//! let server = KeyPair::generate()?;
//! let told: PublicKey = server.public().to_string().parse()?;
//! assert_eq!(told, server.public());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;
use std::str::FromStr;

use dryoc::classic::crypto_core::crypto_scalarmult_base;
use zeroize::Zeroizing;

use crate::random::{self, NoRandomness};
use crate::z85;

/// How many bytes a key has, public or secret.
pub const KEY_BYTES: usize = 32;

/// How many characters a key has in Z85.
pub const KEY_CHARS: usize = 40;

/// The half of a pair that others may know.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; KEY_BYTES]);

impl PublicKey {
    /// The key of these bytes.
    pub const fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        PublicKey(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

impl fmt::Display for PublicKey {
    /// Forty characters of Z85.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&z85_of(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    /// Reads forty characters of Z85.
    fn from_str(text: &str) -> Result<Self, KeyError> {
        Ok(PublicKey(*key_of(text)?))
    }
}

impl TryFrom<&[u8]> for PublicKey {
    type Error = KeyError;

    /// Takes 32 bytes.
    fn try_from(bytes: &[u8]) -> Result<Self, KeyError> {
        bytes.try_into().map(PublicKey).map_err(|_| KeyError::Length(bytes.len()))
    }
}

/// The half of a pair that its owner keeps. Wiped on drop; never shown by `Debug`.
#[derive(Clone)]
pub struct SecretKey(Zeroizing<[u8; KEY_BYTES]>);

impl SecretKey {
    /// The key of these bytes.
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        SecretKey(Zeroizing::new(bytes))
    }

    /// Its bytes, to be stored where only the owner reads.
    pub fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// Forty characters of Z85, wiped on drop as well.
    pub fn to_z85(&self) -> Zeroizing<String> {
        Zeroizing::new(z85_of(&self.0))
    }

    /// The public half that belongs to it.
    pub fn public(&self) -> PublicKey {
        let mut public = [0; KEY_BYTES];
        crypto_scalarmult_base(&mut public, &self.0);
        PublicKey(public)
    }
}

impl PartialEq for SecretKey {
    /// Takes as long for keys that differ early as for those that differ late.
    fn eq(&self, other: &Self) -> bool {
        let pairs = self.0.iter().zip(other.0.iter());
        pairs.fold(0, |differing, (one, other)| differing | (one ^ other)) == 0
    }
}

impl Eq for SecretKey {}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

impl FromStr for SecretKey {
    type Err = KeyError;

    /// Reads forty characters of Z85.
    fn from_str(text: &str) -> Result<Self, KeyError> {
        key_of(text).map(SecretKey)
    }
}

impl TryFrom<&[u8]> for SecretKey {
    type Error = KeyError;

    /// Takes 32 bytes.
    fn try_from(bytes: &[u8]) -> Result<Self, KeyError> {
        bytes.try_into().map(SecretKey::from_bytes).map_err(|_| KeyError::Length(bytes.len()))
    }
}

/// A public key and the secret key it belongs to.
#[derive(Clone, Debug)]
pub struct KeyPair {
    public: PublicKey,
    secret: SecretKey,
}

impl KeyPair {
    /// A new pair, from the system's random bytes.
    ///
    /// # Errors
    /// [`NoRandomness`] if the system has none.
    pub fn generate() -> Result<Self, NoRandomness> {
        let mut secret = Zeroizing::new([0; KEY_BYTES]);
        random::fill(&mut *secret)?;
        Ok(KeyPair::from_secret(SecretKey(secret)))
    }

    /// The pair of a secret key.
    pub fn from_secret(secret: SecretKey) -> Self {
        KeyPair { public: secret.public(), secret }
    }

    /// A pair of which both halves are given, as configurations of libzmq do.
    ///
    /// # Errors
    /// [`KeyError::Mismatch`] if they do not belong together.
    pub fn new(public: PublicKey, secret: SecretKey) -> Result<Self, KeyError> {
        let pair = KeyPair::from_secret(secret);
        if pair.public == public { Ok(pair) } else { Err(KeyError::Mismatch) }
    }

    /// The half that others may know.
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// The half to keep.
    pub fn secret(&self) -> &SecretKey {
        &self.secret
    }
}

/// What is wrong with a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not the bytes or characters that a key has.
    #[error("a key is {KEY_BYTES} bytes or {KEY_CHARS} characters of Z85, not {0}")]
    Length(usize),
    /// A character that Z85 does not have.
    #[error("a key is written in Z85: {0}")]
    Z85(#[from] z85::Z85Error),
    /// The two halves of different pairs.
    #[error("the public key does not belong to the secret key; the two come from one pair")]
    Mismatch,
}

fn z85_of(key: &[u8; KEY_BYTES]) -> String {
    z85::encode(key).expect("32 is a multiple of four")
}

fn key_of(text: &str) -> Result<Zeroizing<[u8; KEY_BYTES]>, KeyError> {
    if text.len() != KEY_CHARS {
        return Err(KeyError::Length(text.len()));
    }
    let bytes = Zeroizing::new(z85::decode(text)?);
    let key = bytes.as_slice().try_into().map_err(|_| KeyError::Length(bytes.len()))?;
    Ok(Zeroizing::new(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Two pairs that the NaCl paper "Cryptography in NaCl", section 2, prints (Alice and Bob).
    const ALICE_SECRET: [u8; 32] = [
        0x77, 0x07, 0x6d, 0x0a, 0x73, 0x18, 0xa5, 0x7d, 0x3c, 0x16, 0xc1, 0x72, 0x51, 0xb2, 0x66,
        0x45, 0xdf, 0x4c, 0x2f, 0x87, 0xeb, 0xc0, 0x99, 0x2a, 0xb1, 0x77, 0xfb, 0xa5, 0x1d, 0xb9,
        0x2c, 0x2a,
    ];
    const ALICE_PUBLIC: [u8; 32] = [
        0x85, 0x20, 0xf0, 0x09, 0x89, 0x30, 0xa7, 0x54, 0x74, 0x8b, 0x7d, 0xdc, 0xb4, 0x3e, 0xf7,
        0x5a, 0x0d, 0xbf, 0x3a, 0x0d, 0x26, 0x38, 0x1a, 0xf4, 0xeb, 0xa4, 0xa9, 0x8e, 0xaa, 0x9b,
        0x4e, 0x6a,
    ];

    #[test]
    fn the_public_half_follows_from_the_secret_one() {
        let pair = KeyPair::from_secret(SecretKey::from_bytes(ALICE_SECRET));
        assert_eq!(pair.public().as_bytes(), &ALICE_PUBLIC);
    }

    #[test]
    fn text_forms_come_back() {
        // The pair that the manual of libzmq's curve options prints.
        let public = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID";
        let secret = "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs";
        let pair = KeyPair::new(public.parse().unwrap(), secret.parse().unwrap()).unwrap();
        assert_eq!(pair.public().to_string(), public);
        assert_eq!(pair.secret().to_z85().as_str(), secret);
    }

    #[test]
    fn halves_of_different_pairs_are_refused() {
        let (one, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let mixed = KeyPair::new(one.public(), other.secret().clone());
        assert_eq!(mixed.unwrap_err(), KeyError::Mismatch);
    }

    #[test]
    fn secrets_are_equal_if_all_their_bytes_are() {
        let alice = SecretKey::from_bytes(ALICE_SECRET);
        assert_eq!(alice, alice.clone());
        for at in 0..KEY_BYTES {
            let mut other = ALICE_SECRET;
            other[at] ^= 0x80;
            assert_ne!(alice, SecretKey::from_bytes(other));
        }
    }

    #[test]
    fn bad_texts_are_errors() {
        assert_eq!("".parse::<PublicKey>(), Err(KeyError::Length(0)));
        assert_eq!("short".parse::<PublicKey>(), Err(KeyError::Length(5)));
        let spaces = " ".repeat(KEY_CHARS);
        assert!(matches!(spaces.parse::<PublicKey>(), Err(KeyError::Z85(_))));
        // 85^5 is more than 2^32: the largest groups of five stand for no four bytes.
        let hashes = "#".repeat(KEY_CHARS);
        assert!(matches!(hashes.parse::<SecretKey>(), Err(KeyError::Z85(_))));
        assert_eq!(PublicKey::try_from(&[0; 31][..]), Err(KeyError::Length(31)));
    }

    #[test]
    fn debug_hides_secrets() {
        let pair = KeyPair::generate().unwrap();
        let shown = format!("{pair:?}");
        assert!(shown.contains(&pair.public().to_string()));
        assert!(!shown.contains(pair.secret().to_z85().as_str()));
        assert!(shown.contains("SecretKey(..)"));
    }
}
