//! Why a CURVE handshake fails, beyond what can go wrong with every mechanism.

use crate::random::NoRandomness;

/// Why a CURVE handshake fails. The connection is closed; none of these can be gone on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CurveError {
    /// The client speaks another CurveZMQ than 1.0.
    #[error("peer speaks CurveZMQ {0}.{1}, only 1.0 is known")]
    Version(u8, u8),
    /// HELLO does not open.
    #[error(
        "HELLO does not open: the client was given another key for this server, or it is forged"
    )]
    Hello,
    /// WELCOME does not open.
    #[error("WELCOME does not open: the server has another key than the one given for it")]
    Welcome,
    /// The cookie was not given on this connection, or too long ago.
    #[error("cookie in INITIATE was not given on this connection, or has expired")]
    Cookie,
    /// INITIATE does not open.
    #[error("INITIATE does not open: it was not sealed by who sent HELLO")]
    Initiate,
    /// The client does not have the secret key of the public key it shows, or means another server.
    #[error("vouch in INITIATE does not prove the client's public key")]
    Vouch,
    /// READY does not open.
    #[error("READY does not open: it was not sealed by who sent WELCOME")]
    Ready,
    /// A short nonce that is not above the one before.
    #[error("{0} has a nonce that was used before: a replay")]
    Replay(&'static str),
    /// A public key of low order, which shares the same secret with everyone.
    #[error("peer shows a public key of low order")]
    WeakKey,
    /// No random bytes for a key or a nonce.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}
