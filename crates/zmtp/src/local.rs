//! This side of a connection, and what it demands of the other.

use crate::error::HandshakeError;
use crate::greeting::Version;
use crate::kind::Kind;
use crate::limits::IDENTITY_BYTES_MAX;
use crate::mechanism::Mechanism;
use crate::message::Frame;
use crate::metadata::{self, Metadata};
use crate::pattern::PeerInfo;
use crate::zap;

/// This side of a connection: what it is and what it demands.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Local {
    /// The kind of socket.
    pub kind: Kind,
    /// What a ROUTER is to know this socket by; empty for no name, at most 255 bytes. Told only by
    /// kinds that may meet one.
    pub identity: Vec<u8>,
    /// How the two prove who they are.
    pub mechanism: Mechanism,
    /// More properties for the peer: those of an application begin with `X-`.
    pub metadata: Metadata,
    /// If the authenticator is to be asked, what the request says of this connection. A PLAIN
    /// server always asks; NULL asks only if this is set, which only the side that accepted the
    /// connection should do.
    pub zap: Option<zap::Origin>,
}

impl Local {
    /// A socket without a name that demands nothing.
    pub fn new(kind: Kind) -> Self {
        Local {
            kind,
            identity: Vec::new(),
            mechanism: Mechanism::Null,
            metadata: Metadata::new(),
            zap: None,
        }
    }

    /// Appends what the peer is told.
    pub(crate) fn encode_metadata(&self, out: &mut Vec<u8>) {
        let mut metadata = Metadata::new();
        let mut push = |name, value: &[u8]| {
            // These names and lengths are within what ZMTP can write.
            let _ = metadata.push(name, value.to_vec());
        };
        push(metadata::SOCKET_TYPE, self.kind.name().as_bytes());
        if self.kind.sends_identity() {
            push(metadata::IDENTITY, self.told_identity());
        }
        metadata.encode(out);
        self.metadata.encode(out);
    }

    /// The identity as far as ZMTP can tell it.
    pub(crate) fn told_identity(&self) -> &[u8] {
        &self.identity[..self.identity.len().min(IDENTITY_BYTES_MAX)]
    }

    /// Reads the peer's metadata, out of the data of the command called `name`, and checks it.
    pub(crate) fn accept(
        &self,
        data: &[u8],
        name: &'static str,
    ) -> Result<Metadata, HandshakeError> {
        let metadata = Metadata::decode(data).map_err(|_| HandshakeError::Malformed(name))?;
        self.check(&metadata)?;
        Ok(metadata)
    }

    /// Whether a peer that says this about itself may talk to this socket (RFC 37, "The
    /// Socket-Type Property", "The Identity Property"), and what it is then.
    pub(crate) fn check(&self, metadata: &Metadata) -> Result<Peer, HandshakeError> {
        let kind = metadata.get(metadata::SOCKET_TYPE).ok_or(HandshakeError::NoSocketType)?;
        let kind = Kind::from_name(kind).ok_or_else(|| {
            let name = kind[..kind.len().min(32)].escape_ascii().to_string();
            HandshakeError::UnknownSocketType(name)
        })?;
        self.check_kind(kind)?;
        Peer::new(kind, metadata.get(metadata::IDENTITY).unwrap_or_default())
    }

    pub(crate) fn check_kind(&self, theirs: Kind) -> Result<(), HandshakeError> {
        let ours = self.kind;
        if ours.compatible(theirs) {
            return Ok(());
        }
        Err(HandshakeError::SocketType { theirs, ours })
    }
}

/// A peer that has passed [`Local::check`].
pub(crate) struct Peer {
    pub(crate) kind: Kind,
    pub(crate) identity: Frame,
}

impl Peer {
    /// Of the identity of a kind that has none to tell nothing is seen, nor that it is too long
    /// (RFC 37: it "shall be ignored").
    pub(crate) fn new(kind: Kind, identity: &[u8]) -> Result<Self, HandshakeError> {
        let identity = if kind.sends_identity() { identity } else { &[] };
        if identity.len() > IDENTITY_BYTES_MAX {
            return Err(HandshakeError::IdentityTooLong(identity.len()));
        }
        // Those that begin with zero are for a ROUTER to give to peers that have none.
        if identity.first() == Some(&0) {
            return Err(HandshakeError::IdentityReserved);
        }
        Ok(Peer { kind, identity: Frame::copy_from_slice(identity) })
    }

    pub(crate) fn info(self, version: Version) -> PeerInfo {
        let subscribes_by_command = version.has_commands();
        PeerInfo { kind: self.kind, identity: self.identity, subscribes_by_command }
    }
}
