//! Cookies: how a server remembers a half-open connection without remembering it.
//!
//! ```text
//! +-----------+------------------------------+
//! | nonce, 16 | box, 80: C' 32, s' 32        |   96 bytes
//! +-----------+------------------------------+
//! ```
//!
//! The server puts the transient keys of a connection into a cookie that only it can open, gives
//! that away in WELCOME and forgets them. INITIATE brings it back. So a HELLO costs a server some
//! arithmetic and no memory (RFC 26, "The WELCOME Command").

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::boxes::{BoxKey, Nonce};
use crate::keys::{PublicKey, SecretKey};
use crate::random::NoRandomness;

const COOKIE_NONCE: &[u8; 8] = b"COOKIE--";

/// A cookie.
pub(super) type Cookie = [u8; 96];

/// The random part of a cookie's nonce, by which the connection knows its own cookie again.
pub(super) type CookieName = [u8; 16];

/// The keys under which a listener's cookies are sealed: the one in use and the one before it.
///
/// All connections of a listener share them; a clone is the same keys. Whoever has a clock calls
/// [`CookieKeys::rotate`] once a minute, and a client then has one to two minutes for its INITIATE.
#[derive(Clone, Debug)]
pub struct CookieKeys(Arc<Mutex<Keys>>);

#[derive(Debug)]
struct Keys {
    current: BoxKey,
    previous: Option<BoxKey>,
}

impl CookieKeys {
    /// A first key.
    ///
    /// # Errors
    /// [`NoRandomness`] if the system has no random bytes.
    pub fn new() -> Result<Self, NoRandomness> {
        let keys = Keys { current: BoxKey::generate()?, previous: None };
        Ok(CookieKeys(Arc::new(Mutex::new(keys))))
    }

    /// Begins with a new key. Cookies of the last one still open, those of the one before no more.
    ///
    /// # Errors
    /// [`NoRandomness`] if the system has no random bytes: then the keys are as they were.
    pub fn rotate(&self) -> Result<(), NoRandomness> {
        let fresh = BoxKey::generate()?;
        let mut keys = self.lock();
        keys.previous = Some(std::mem::replace(&mut keys.current, fresh));
        Ok(())
    }

    /// The cookie of a connection's transient keys.
    pub(super) fn seal(&self, name: &CookieName, client: &PublicKey, secret: &SecretKey) -> Cookie {
        let mut cookie = [0; 96];
        cookie[..16].copy_from_slice(name);
        cookie[32..64].copy_from_slice(client.as_bytes());
        cookie[64..].copy_from_slice(secret.as_bytes());
        self.lock().current.seal(&Nonce::long(COOKIE_NONCE, name), &mut cookie[16..]);
        cookie
    }

    /// The transient keys in a cookie that was sealed with one of the two keys.
    pub(super) fn open(&self, cookie: &Cookie) -> Option<(PublicKey, SecretKey)> {
        let nonce = Nonce::long(COOKIE_NONCE, cookie.first_chunk()?);
        let keys = self.lock();
        let plaintext = [Some(&keys.current), keys.previous.as_ref()]
            .into_iter()
            .flatten()
            .find_map(|key| key.open_copy(&nonce, &cookie[16..]))?;
        let client = PublicKey::try_from(&plaintext[..32]).ok()?;
        let secret = SecretKey::try_from(&plaintext[32..]).ok()?;
        Some((client, secret))
    }

    /// A panic elsewhere leaves whole keys: they are replaced in one step.
    fn lock(&self) -> MutexGuard<'_, Keys> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::KeyPair;

    #[test]
    fn a_cookie_opens_until_the_second_rotation() {
        let keys = CookieKeys::new().unwrap();
        let pair = KeyPair::generate().unwrap();
        let cookie = keys.seal(&[7; 16], &pair.public(), pair.secret());
        for _ in 0..2 {
            let (client, secret) = keys.open(&cookie).unwrap();
            assert_eq!(client, pair.public());
            assert_eq!(secret.as_bytes(), pair.secret().as_bytes());
            keys.rotate().unwrap();
        }
        assert!(keys.open(&cookie).is_none());
    }

    #[test]
    fn every_changed_byte_shows() {
        let keys = CookieKeys::new().unwrap();
        let pair = KeyPair::generate().unwrap();
        let cookie = keys.seal(&[7; 16], &pair.public(), pair.secret());
        for at in 0..cookie.len() {
            let mut changed = cookie;
            changed[at] ^= 1;
            assert!(keys.open(&changed).is_none(), "byte {at}");
        }
    }

    #[test]
    fn a_cookie_shows_neither_key() {
        let keys = CookieKeys::new().unwrap();
        let pair = KeyPair::generate().unwrap();
        let cookie = keys.seal(&[7; 16], &pair.public(), pair.secret());
        let shows = |key: &[u8; 32]| cookie.windows(32).any(|window| window == key);
        assert!(!shows(pair.public().as_bytes()) && !shows(pair.secret().as_bytes()));
    }
}
