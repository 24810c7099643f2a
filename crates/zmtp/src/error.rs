//! What can be wrong with the bytes of a peer.
//!
//! Every error ends the connection: a stream of frames has no place to go on from.

use crate::kind::Kind;
use crate::mechanism::curve::CurveError;
use crate::zap::Status;

/// The traffic of a peer breaks the rules or a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Reserved bits are set, or MORE on a command, or COMMAND in ZMTP 2.0.
    #[error("frame with flags {0:#04x}, which ZMTP does not allow")]
    Flags(u8),
    /// A length of more than 63 bits.
    #[error("frame of {0} bytes, more than ZMTP allows")]
    Length(u64),
    /// Longer than [`Limits::frame_bytes_max`](crate::Limits::frame_bytes_max).
    #[error("frame of {bytes} bytes, the limit is {limit}")]
    FrameTooLong {
        /// As announced by the peer.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// More than [`Limits::message_bytes_max`](crate::Limits::message_bytes_max).
    #[error("message of at least {bytes} bytes, the limit is {limit}")]
    MessageTooLong {
        /// Of the frames so far, with the one just announced.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// More than [`Limits::frames_max`](crate::Limits::frames_max).
    #[error("message of more than {0} frames, the limit")]
    TooManyFrames(usize),
    /// A command that does not have the shape its name demands.
    #[error("malformed {0} command")]
    Command(&'static str),
    /// A frame that the connection's cipher does not accept.
    #[error("{0}")]
    Cipher(#[from] CipherError),
}

/// An encrypted frame that is not what the peer's key makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum CipherError {
    /// Not a MESSAGE command: traffic in the clear on an encrypted connection.
    #[error("frame in the clear on an encrypted connection")]
    Clear,
    /// Shorter than any sealed frame.
    #[error("encrypted frame of {0} bytes, too short")]
    Short(usize),
    /// A nonce that does not grow: a replayed or reordered frame.
    #[error("encrypted frame is a replay")]
    Replay,
    /// The authenticator does not match: forged, damaged or under another key.
    #[error("encrypted frame is forged or damaged")]
    Forged,
    /// Flags inside the box that ZMTP does not allow.
    #[error("encrypted frame with flags {0:#04x}, which ZMTP does not allow")]
    Flags(u8),
}

/// The two peers do not come together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The first bytes are no greeting of ZMTP 2.0 or later: ZMTP 1.0, or another protocol.
    #[error("peer speaks ZMTP 1.0 or no ZMTP at all (its first octets are {0:02x?})")]
    NotZmtp(Vec<u8>),
    /// A ZMTP 2.0 peer, which knows no mechanism, where one is demanded (RFC 37, "Backwards
    /// Interoperability": it must be closed).
    #[error("peer speaks ZMTP 2.0, which has no {0}")]
    Downgrade(&'static str),
    /// The socket has no name in ZMTP 2.0.
    #[error("peer speaks ZMTP 2.0, which has no {0} sockets")]
    TooOld(Kind),
    /// The peers do not use the same mechanism.
    #[error("peer uses mechanism {theirs:?}, this socket {ours}")]
    Mechanism {
        /// The peer's, printable characters only.
        theirs: String,
        /// This socket's.
        ours: &'static str,
    },
    /// Both peers are servers of a mechanism that needs a client.
    #[error("both peers are {0} servers")]
    Role(&'static str),
    /// A frame that breaks the rules of framing, or is longer than a handshake needs.
    #[error(transparent)]
    Frame(#[from] DecodeError),
    /// A message before the handshake was done.
    #[error("message before the handshake is done")]
    EarlyMessage,
    /// A command that has no place here.
    #[error("command {0:?} is out of turn")]
    Unexpected(String),
    /// A command that does not have the shape its name demands.
    #[error("malformed {0} command")]
    Malformed(&'static str),
    /// The peer did not say what kind of socket it is.
    #[error("peer does not say its socket type")]
    NoSocketType,
    /// The peer named a kind of socket that does not exist.
    #[error("peer has unknown socket type {0:?}")]
    UnknownSocketType(String),
    /// These two kinds of sockets do not talk to each other.
    #[error("a {ours} socket does not talk to a {theirs} socket")]
    SocketType {
        /// The peer's.
        theirs: Kind,
        /// This socket's.
        ours: Kind,
    },
    /// An `Identity` that is too long.
    #[error("identity of {0} bytes, the limit is 255")]
    IdentityTooLong(usize),
    /// An `Identity` that begins with a zero octet (RFC 37, "The Identity Property").
    #[error("identity begins with a zero octet, which is reserved")]
    IdentityReserved,
    /// The peer refused, in an ERROR command: fatal, trying again will not help (RFC 37, "Error
    /// Handling"). libzmq gives the status code of the authenticator as the reason.
    #[error("peer refused: {0:?}")]
    Refused(String),
    /// The authenticator did not let this peer in.
    #[error("authenticator answered {status}: {text}")]
    Denied {
        /// Not granted.
        status: Status,
        /// Its explanation.
        text: String,
    },
    /// What can only go wrong with CURVE: keys, boxes, replays.
    #[error(transparent)]
    Curve(#[from] CurveError),
}

impl HandshakeError {
    /// What an ERROR command tells the peer, if it is told (RFC 37, "Error Handling": what is only
    /// temporary is not). Its grammar allows no space.
    pub(crate) fn reason(&self) -> Option<&str> {
        match self {
            HandshakeError::Denied { status: Status::Granted | Status::NotNow, .. } => None,
            HandshakeError::Denied { status, .. } => Some(status.digits()),
            HandshakeError::NoSocketType
            | HandshakeError::UnknownSocketType(_)
            | HandshakeError::SocketType { .. } => Some("Invalid-Socket-Type"),
            HandshakeError::IdentityTooLong(_) | HandshakeError::IdentityReserved => {
                Some("Invalid-Identity")
            }
            HandshakeError::Malformed(_) => Some("Malformed-Command"),
            _ => None,
        }
    }

    /// Whether trying again with the same settings cannot help.
    pub fn is_fatal(&self) -> bool {
        matches!(self, HandshakeError::Refused(_))
    }
}
