//! Commands of the traffic phase (RFC 37, "Commands").

use bytes::Bytes;

/// A command that may come at any time once the handshake is done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// Wants topics with this prefix.
    Subscribe(Bytes),
    /// Takes one such wish back.
    Cancel(Bytes),
    /// Joins a group (RADIO and DISH).
    Join(Bytes),
    /// Leaves a group.
    Leave(Bytes),
    /// Are you there?
    Ping {
        /// How long the sender wants to be believed alive without another word, in tenths of a
        /// second; 0 says nothing.
        ttl_tenths: u16,
        /// At most 16 bytes, which come back in the answer.
        context: Bytes,
    },
    /// I am.
    Pong {
        /// The context of the question.
        context: Bytes,
    },
    /// The peer refuses and will close.
    Error(Bytes),
    /// One that this version does not know; to be ignored.
    Unknown(Bytes),
}
