//! Security mechanisms: what peers say to each other between greeting and traffic (RFC 37,
//! "Authentication and Confidentiality").
//!
//! | mechanism | the peer is | the traffic is | source |
//! |---|---|---|---|
//! | NULL | whoever it is | in the clear | RFC 37 |
//! | PLAIN | who knows a password | in the clear | RFC 24 |
//! | CURVE | who has a key | sealed | RFC 25, RFC 26 |
//!
//! Each is a machine that takes the peer's commands and appends its own. [`crate::handshake`]
//! frames them, asks the authenticator where a machine wants one, and passes on what it says.

pub mod curve;
mod null;
mod plain;

use std::fmt;
use std::ops::Range;

use crate::error::{CipherError, HandshakeError};
use crate::frame::Flags;
use crate::keys::{KeyPair, PublicKey};
use crate::local::Local;
use crate::metadata::Metadata;
use crate::zap;

use curve::{CookieKeys, CurveClient, CurveServer};
pub(crate) use null::Null;
pub(crate) use plain::{PlainClient, PlainServer};

/// How a socket proves who it is, and what it demands of its peers. All connections of a socket
/// use the same (RFC 37: security is "assertive").
///
/// `Debug` shows the name alone: there are passwords and keys in it.
#[derive(Clone)]
#[non_exhaustive]
pub enum Mechanism {
    /// No proof.
    Null,
    /// Gives a name and a password, in the clear.
    PlainClient {
        /// At most 255 bytes.
        username: Vec<u8>,
        /// At most 255 bytes.
        password: Vec<u8>,
    },
    /// Asks the authenticator about a name and a password.
    PlainServer,
    /// Talks only to the server that has this key, and shows it its own.
    CurveClient {
        /// The server's public key, known beforehand.
        server: PublicKey,
        /// This side's long-term pair.
        keys: KeyPair,
    },
    /// Shows that it has a key; asks the authenticator about those of clients if [`Local::zap`] is
    /// set, and else lets in who can encrypt.
    CurveServer {
        /// This side's long-term pair.
        keys: KeyPair,
        /// Those of the listener, the same for all of its connections.
        cookies: CookieKeys,
    },
}

impl Mechanism {
    /// The name in the greeting.
    pub const fn name(&self) -> &'static str {
        match self {
            Mechanism::Null => "NULL",
            Mechanism::PlainClient { .. } | Mechanism::PlainServer => "PLAIN",
            Mechanism::CurveClient { .. } | Mechanism::CurveServer { .. } => "CURVE",
        }
    }

    /// Whether this side is the server of the mechanism.
    pub const fn is_server(&self) -> bool {
        matches!(self, Mechanism::PlainServer | Mechanism::CurveServer { .. })
    }

    /// The machine that plays this part.
    pub(crate) fn machine(&self) -> Box<dyn Machine> {
        match self {
            Mechanism::Null => Box::new(Null::default()),
            Mechanism::PlainClient { username, password } => {
                Box::new(PlainClient::new(username, password))
            }
            Mechanism::PlainServer => Box::new(PlainServer::default()),
            Mechanism::CurveClient { server, keys } => {
                Box::new(CurveClient::new(*server, keys.clone()))
            }
            Mechanism::CurveServer { keys, cookies } => {
                Box::new(CurveServer::new(keys.clone(), cookies.clone()))
            }
        }
    }
}

impl fmt::Debug for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = if self.is_server() { " server" } else { "" };
        write!(f, "{}{role}", self.name())
    }
}

/// One side of a mechanism's handshake.
///
/// `out` takes frames, complete with their heads ([`encode_command`]). After an error nothing more
/// is asked of the machine but [`Machine::may_refuse`].
pub(crate) trait Machine: Send {
    /// The greetings have been exchanged.
    fn start(&mut self, local: &Local, out: &mut Vec<u8>) -> Result<Step, HandshakeError>;

    /// A command came: its name, and its data, which is what follows the name in the frame's body.
    /// ERROR does not come here.
    fn command(
        &mut self,
        local: &Local,
        name: &[u8],
        data: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Step, HandshakeError>;

    /// The authenticator said yes to the request of the last step.
    fn authenticated(&mut self, local: &Local, out: &mut Vec<u8>) -> Result<Step, HandshakeError>;

    /// Whether an ERROR command may be sent now.
    fn may_refuse(&self) -> bool;
}

/// Where a machine stands.
pub(crate) enum Step {
    /// It waits for the peer.
    More,
    /// It waits for the authenticator.
    Authenticate(zap::Request),
    /// It is done.
    Done(Secured),
}

/// What a mechanism leaves behind.
#[derive(Default)]
pub(crate) struct Secured {
    /// The peer's metadata, already accepted by [`Local::check`].
    pub(crate) metadata: Metadata,
    pub(crate) sealer: Option<Box<dyn Sealer>>,
    pub(crate) opener: Option<Box<dyn Opener>>,
}

/// Encrypts what goes out on one connection.
pub trait Sealer: Send {
    /// Appends the frame on the wire, head included, that carries a frame with these flags, whose
    /// body is the slices behind each other.
    fn seal(&mut self, flags: Flags, body: &[&[u8]], out: &mut Vec<u8>);
}

/// Decrypts what comes in on one connection.
pub trait Opener: Send {
    /// Opens the body of a frame from the wire in its place, and tells the flags of the frame it
    /// carries and where in `sealed` the body of that lies.
    ///
    /// # Errors
    ///
    /// If it was not sealed by the peer, or not in this place: the connection must be closed.
    fn open(&mut self, sealed: &mut [u8]) -> Result<(Flags, Range<usize>), CipherError>;

    /// How many bytes a sealed body is longer than what it carries.
    fn overhead(&self) -> usize;
}

/// Appends a command frame with this name, whose data `write` appends.
pub(crate) fn encode_command(name: &str, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let mut body = Vec::new();
    crate::command::encode_name(name, &mut body);
    write(&mut body);
    crate::encoder::encode_frame(Flags::COMMAND, &body, out);
}

/// The command is not one that may come now.
pub(crate) fn unexpected(name: &[u8]) -> HandshakeError {
    HandshakeError::Unexpected(name.escape_ascii().to_string())
}
