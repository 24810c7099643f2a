//! CURVE: encryption and authentication by keys (RFC 25, RFC 26).
//!
//! Both peers have a long-term pair of keys, C and S, and make a transient pair for the
//! connection, C' and S'; the small letter is the secret half. The client knows S beforehand; the
//! server learns C in the handshake and may ask whether it may enter. `Box[x](A -> B)` is NaCl's
//! `crypto_box`: X25519 between the two, XSalsa20 and Poly1305.
//!
//! ```text
//!  client                                                                     server
//!    | HELLO     200  C', Box[64 zeros](C' -> S)                                 |
//!    |------------------------------------------------------------------------->|
//!    | WELCOME   168  Box[S', cookie](S -> C')                                   |
//!    |<-------------------------------------------------------------------------|
//!    | INITIATE 257+  cookie, Box[C, vouch, metadata](C' -> S')                  |
//!    |------------------------------------------------------------------------->|
//!    | READY     30+  Box[metadata](S' -> C')      after asking about C, RFC 27  |
//!    |<-------------------------------------------------------------------------|
//!    | MESSAGE   33+  Box[flags, frame](C' <-> S')                               |
//!    |<------------------------------------------------------------------------>|
//!
//!  cookie  Box[C', s'](K)        K: the listener's cookie key, see `CookieKeys`
//!  vouch   Box[C', S](C -> S')
//! ```
//!
//! A socket takes its side by its [`Mechanism`](super::Mechanism):
//!
//! ```
//! use chaski_zmtp::keys::KeyPair;
//! use chaski_zmtp::mechanism::curve::CookieKeys;
//! use chaski_zmtp::{Handshake, Kind, Local, Mechanism, Progress};
//!
//! let (ours, theirs) = (KeyPair::generate()?, KeyPair::generate()?);
//! let mut push = Local::new(Kind::Push);
//! push.mechanism = Mechanism::CurveClient { server: theirs.public(), keys: ours };
//! let mut pull = Local::new(Kind::Pull);
//! pull.mechanism = Mechanism::CurveServer { keys: theirs, cookies: CookieKeys::new()? };
//!
//! let pass = |from: &mut Handshake, to: &mut Handshake| {
//!     let sent = from.output().to_vec();
//!     from.wrote(sent.len());
//!     to.input(&sent).map(drop)
//! };
//! let (mut push, mut pull) = (Handshake::new(push), Handshake::new(pull));
//! while push.state() != Progress::Done || pull.state() != Progress::Done {
//!     pass(&mut push, &mut pull)?;
//!     pass(&mut pull, &mut push)?;
//! }
//! assert!(pull.finish().unwrap().opener.is_some());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is kept, and how it fails
//! - Between WELCOME and INITIATE the server holds no key of the connection, only the name of the
//!   cookie it gave (16 bytes) and the client's last nonce. A cookie that was given on another
//!   connection, which is what a replayed INITIATE brings, is refused.
//! - Short nonces grow over the whole connection, handshake included. One that does not is a
//!   replay, and ends the connection.
//! - Every byte of a command is authenticated, or compared with the only value it may have. ERROR
//!   is the exception, in the clear: it can end a connection, no more.
//! - Every failure is an error value and final: a machine takes no command after one.

mod boxes;
mod client;
mod commands;
mod cookie;
mod error;
#[doc(hidden)]
pub mod exercise;
mod opener;
mod sealer;
mod server;
#[cfg(test)]
mod tests;

pub(crate) use client::CurveClient;
pub use cookie::CookieKeys;
pub use error::CurveError;
use opener::Opener;
use sealer::Sealer;
pub(crate) use server::CurveServer;

/// How many bytes a sealed frame is longer than what it carries; see [`message`].
const OVERHEAD_BYTES: usize = 33;

/// The layout of MESSAGE, shared by its two directions.
///
/// ```text
/// +---+---------+----------+---------+-------+------- ... -+
/// | 7 | MESSAGE | nonce, 8 | tag, 16 | flags | frame       |
/// +---+---------+----------+---------+-------+------- ... -+
///   0   1         8          16        32      33
///                                    |<---- encrypted --->|
/// ```
///
/// RFC 26 knows one flag, MORE. All implementations follow libzmq, which marks commands (PING,
/// SUBSCRIBE) as well. The ZMTP frame around it is an ordinary one with no flags.
mod message {
    use crate::frame::Flags;

    /// The name, with its length before it.
    pub(super) const NAME: &[u8; 8] = b"\x07MESSAGE";

    /// What the nonces of each side begin with.
    pub(super) const FROM_CLIENT: &[u8; 16] = b"CurveZMQMESSAGEC";
    pub(super) const FROM_SERVER: &[u8; 16] = b"CurveZMQMESSAGES";

    const MORE: u8 = 0b01;
    const COMMAND: u8 = 0b10;

    /// The octet of these flags.
    pub(super) fn octet(flags: Flags) -> u8 {
        if flags.command() { COMMAND } else { u8::from(flags.more()) }
    }

    /// The flags of this octet; a command is never followed by more.
    pub(super) fn flags(octet: u8) -> Option<Flags> {
        match octet {
            0 => Some(Flags::LAST),
            MORE => Some(Flags::MORE),
            COMMAND => Some(Flags::COMMAND),
            _ => None,
        }
    }
}
