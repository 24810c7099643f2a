//! From the first byte of a connection to its first message (RFC 37, "Overall Behavior").
//!
//! ```text
//!   both     octets 0 to 10 of the greeting                  at once
//!            the rest, or what a ZMTP 2.0 peer reads         when the peer's version is known
//!            the commands of the mechanism                   when its greeting is there
//!            traffic                                         when the mechanism is done
//! ```
//!
//! A [`Handshake`] is given what was read and says what to write. It reads no further than the
//! handshake goes: bytes of the traffic stay with the caller.

use std::fmt;

use crate::command::{self, encode_reason};
use crate::encoder::encode_frame;
use crate::error::{DecodeError, HandshakeError};
use crate::frame::{Flags, Header};
use crate::greeting::{self, GREETING_BYTES, Generation, VERSION_BYTES, Version};
use crate::kind::Kind;
use crate::limits::{HANDSHAKE_COMMAND_BYTES_MAX, IDENTITY_BYTES_MAX};
use crate::local::{Local, Peer};
use crate::mechanism::{Machine, Mechanism, Opener, Sealer, Secured, Step, encode_command};
use crate::metadata::Metadata;
use crate::pattern::PeerInfo;
use crate::zap;

/// How the PLAIN server of libzmq up to 4.3.5 spells the name of ERROR and its size: in C the
/// literal "\x5ERROR" begins with the character 5E.
const MISSPELT_ERROR: &[u8] = b"^RROR";

/// Where a handshake stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// It goes on when the peer says more.
    More,
    /// It goes on when [`Handshake::authenticated`] is told the answer to this.
    Authenticate(&'a zap::Request),
    /// The peers have come together: when [`Handshake::output`] is written, there is traffic.
    Done,
}

/// The handshake of one connection.
///
/// ```
/// use chaski_zmtp::{Handshake, Kind, Local, Progress};
///
/// let mut req = Handshake::new(Local::new(Kind::Req));
/// let mut rep = Handshake::new(Local::new(Kind::Rep));
/// while req.state() != Progress::Done || rep.state() != Progress::Done {
///     let sent = req.output().to_vec();
///     req.wrote(sent.len());
///     assert_eq!(rep.input(&sent).unwrap(), sent.len());
///     let sent = rep.output().to_vec();
///     rep.wrote(sent.len());
///     assert_eq!(req.input(&sent).unwrap(), sent.len());
/// }
/// assert_eq!(req.finish().unwrap().info.kind, Kind::Rep);
/// ```
pub struct Handshake {
    local: Local,
    stage: Stage,
    version: Version,
    /// What came and does not yet make a whole greeting or frame.
    pending: Vec<u8>,
    out: Vec<u8>,
    written: usize,
    /// What the authenticator is asked now.
    asked: Option<zap::Request>,
    // What it said of the peer.
    user_id: String,
    zap_metadata: Metadata,
}

enum Stage {
    /// Octets 0 to 10 of the greeting, which tell the peer's version.
    Version,
    /// The rest of a ZMTP 3 greeting.
    Greeting,
    /// The commands of the mechanism.
    Mechanism(Box<dyn Machine>),
    /// The socket type of a ZMTP 2.0 peer.
    Kind,
    /// The identity of a ZMTP 2.0 peer of this kind.
    Identity(Kind),
    Done(PeerInfo, Secured),
    Failed(HandshakeError),
}

impl Handshake {
    /// A handshake at its start: there is something to write at once.
    pub fn new(local: Local) -> Self {
        let mut handshake = Handshake {
            local,
            stage: Stage::Version,
            version: Version::V3_1,
            pending: Vec::new(),
            out: Vec::new(),
            written: 0,
            asked: None,
            user_id: String::new(),
            zap_metadata: Metadata::new(),
        };
        let greeting = handshake.greeting();
        // Only NULL may end up with a 2.0 peer, which must not see more than its version.
        let first = if handshake.may_downgrade() { VERSION_BYTES } else { GREETING_BYTES };
        handshake.out.extend_from_slice(&greeting[..first]);
        handshake
    }

    /// What is to be written. After an error: what the peer is to be told before the connection is
    /// closed, perhaps nothing.
    pub fn output(&self) -> &[u8] {
        &self.out[self.written..]
    }

    /// The first `count` bytes of the output have been written.
    ///
    /// # Panics
    ///
    /// If there were fewer.
    pub fn wrote(&mut self, count: usize) {
        assert!(count <= self.output().len(), "more was written than there is");
        self.written += count;
        if self.written == self.out.len() {
            self.out.clear();
            self.written = 0;
        }
    }

    /// Takes bytes from the peer and tells how many.
    ///
    /// Fewer than given are taken when the handshake is done, the rest being traffic, or when it
    /// waits for the authenticator: then the rest is to be given again.
    ///
    /// # Errors
    ///
    /// If the peers do not come together; from then on at every call. The connection is to be
    /// closed, after [`Handshake::output`] is written as far as that goes at once.
    pub fn input(&mut self, bytes: &[u8]) -> Result<usize, HandshakeError> {
        let mut taken = 0;
        loop {
            match self.step(&bytes[taken..]) {
                Ok(0) => return Ok(taken),
                Ok(fed) => taken += fed,
                Err(error) => return Err(self.fail(error)),
            }
        }
    }

    /// Where it stands.
    pub fn state(&self) -> Progress<'_> {
        match (&self.stage, &self.asked) {
            (Stage::Done(..), _) => Progress::Done,
            (_, Some(request)) => Progress::Authenticate(request),
            _ => Progress::More,
        }
    }

    /// The version that the two speak; the newest until the peer's is known.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The authenticator's answer to the request that [`Handshake::state`] shows; passed over if
    /// it shows none.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::Denied`] if it is a no; the rest as of [`Handshake::input`].
    pub fn authenticated(&mut self, reply: zap::Reply) -> Result<(), HandshakeError> {
        if self.asked.take().is_none() {
            return Ok(());
        }
        self.answered(reply).map_err(|error| self.fail(error))
    }

    /// What came of it; `None` unless it is done.
    pub fn finish(self) -> Option<Established> {
        let Stage::Done(info, secured) = self.stage else { return None };
        Some(Established {
            version: self.version,
            mechanism: self.local.mechanism.name(),
            info,
            metadata: secured.metadata,
            user_id: self.user_id,
            zap_metadata: self.zap_metadata,
            sealer: secured.sealer,
            opener: secured.opener,
        })
    }

    /// How many bytes of the peer's it holds.
    pub(crate) fn held(&self) -> usize {
        self.pending.len()
    }

    fn greeting(&self) -> [u8; GREETING_BYTES] {
        greeting::ours(self.local.mechanism.name(), self.local.mechanism.is_server())
    }

    /// Whether a ZMTP 2.0 peer would do: it cannot prove anything.
    fn may_downgrade(&self) -> bool {
        matches!(self.local.mechanism, Mechanism::Null) && self.local.zap.is_none()
    }

    /// Takes some of `bytes`; 0 if it goes no further.
    fn step(&mut self, bytes: &[u8]) -> Result<usize, HandshakeError> {
        if self.asked.is_some() {
            return Ok(0);
        }
        match &self.stage {
            Stage::Version => self.learn_version(bytes),
            Stage::Greeting => self.greet(bytes),
            Stage::Mechanism(_) => self.converse(bytes),
            Stage::Kind => self.learn_kind(bytes),
            Stage::Identity(_) => self.identify(bytes),
            Stage::Done(..) => Ok(0),
            Stage::Failed(error) => Err(error.clone()),
        }
    }

    fn learn_version(&mut self, bytes: &[u8]) -> Result<usize, HandshakeError> {
        let taken = self.collect(bytes, VERSION_BYTES);
        match greeting::generation(&self.pending)? {
            None => {}
            Some(Generation::Two) => self.downgrade()?,
            Some(Generation::Three) => {
                if self.may_downgrade() {
                    let greeting = self.greeting();
                    self.out.extend_from_slice(&greeting[VERSION_BYTES..]);
                }
                self.stage = Stage::Greeting;
            }
        }
        Ok(taken)
    }

    fn greet(&mut self, bytes: &[u8]) -> Result<usize, HandshakeError> {
        let taken = self.collect(bytes, GREETING_BYTES);
        let Some(octets) = self.pending.first_chunk() else { return Ok(taken) };
        let theirs = greeting::read(octets);
        self.pending.clear();
        self.version = theirs.version;
        let ours = &self.local.mechanism;
        if !theirs.uses(ours.name()) {
            let theirs = theirs.mechanism_name();
            return Err(HandshakeError::Mechanism { theirs, ours: ours.name() });
        }
        // Two clients cannot be told apart from a client and libzmq's server, which leaves the
        // octet zero.
        if theirs.as_server && ours.is_server() {
            return Err(HandshakeError::Role(ours.name()));
        }
        let mut machine = ours.machine();
        let step = machine.start(&self.local, &mut self.out);
        self.stage = Stage::Mechanism(machine);
        self.advance(step?)?;
        Ok(taken)
    }

    /// One command of the mechanism.
    fn converse(&mut self, bytes: &[u8]) -> Result<usize, HandshakeError> {
        let (taken, header) = self.gather(bytes, HANDSHAKE_COMMAND_BYTES_MAX)?;
        let Some(header) = header else { return Ok(taken) };
        if !header.flags.command() {
            return Err(HandshakeError::EarlyMessage);
        }
        let frame = std::mem::take(&mut self.pending);
        let body = &frame[header.head..];
        if let Some(data) = body.strip_prefix(MISSPELT_ERROR) {
            return Err(refused(data));
        }
        let (name, at) = command::split_name(body).ok_or(HandshakeError::Malformed("nameless"))?;
        let data = &body[at..];
        if name == b"ERROR" {
            return Err(refused(data));
        }
        let Stage::Mechanism(machine) = &mut self.stage else { return Ok(taken) };
        let step = machine.command(&self.local, name, data, &mut self.out)?;
        self.advance(step)?;
        Ok(taken)
    }

    fn answered(&mut self, reply: zap::Reply) -> Result<(), HandshakeError> {
        let zap::Reply { status, text, .. } = reply;
        if !status.is_granted() {
            return Err(HandshakeError::Denied { status, text });
        }
        self.user_id = reply.user_id;
        self.zap_metadata = reply.metadata;
        let Stage::Mechanism(machine) = &mut self.stage else { return Ok(()) };
        let step = machine.authenticated(&self.local, &mut self.out)?;
        self.advance(step)
    }

    fn advance(&mut self, step: Step) -> Result<(), HandshakeError> {
        match step {
            Step::More => {}
            Step::Authenticate(request) => self.asked = Some(request),
            Step::Done(secured) => {
                let peer = self.local.check(&secured.metadata)?;
                self.stage = Stage::Done(peer.info(self.version), secured);
            }
        }
        Ok(())
    }

    /// Says what a ZMTP 2.0 peer reads after the revision: the socket type and the identity.
    fn downgrade(&mut self) -> Result<(), HandshakeError> {
        if !self.may_downgrade() {
            let name = self.local.mechanism.name();
            return Err(HandshakeError::Downgrade(name));
        }
        let kind = self.local.kind;
        self.out.push(kind.zmtp2_code().ok_or(HandshakeError::TooOld(kind))?);
        encode_frame(Flags::LAST, self.local.told_identity(), &mut self.out);
        self.version = Version::V2_0;
        self.pending.clear();
        self.stage = Stage::Kind;
        Ok(())
    }

    fn learn_kind(&mut self, bytes: &[u8]) -> Result<usize, HandshakeError> {
        let Some(&code) = bytes.first() else { return Ok(0) };
        let kind = Kind::from_zmtp2_code(code)
            .ok_or_else(|| HandshakeError::UnknownSocketType(code.to_string()))?;
        self.local.check_kind(kind)?;
        self.stage = Stage::Identity(kind);
        Ok(1)
    }

    fn identify(&mut self, bytes: &[u8]) -> Result<usize, HandshakeError> {
        let (taken, header) = self.gather(bytes, IDENTITY_BYTES_MAX as u64)?;
        let (Some(header), Stage::Identity(kind)) = (header, &self.stage) else {
            return Ok(taken);
        };
        if header.flags != Flags::LAST {
            return Err(HandshakeError::Malformed("identity"));
        }
        let peer = Peer::new(*kind, &self.pending[header.head..])?;
        self.pending = Vec::new();
        self.stage = Stage::Done(peer.info(self.version), Secured::default());
        Ok(taken)
    }

    /// Takes bytes until `whole` are pending.
    fn collect(&mut self, bytes: &[u8], whole: usize) -> usize {
        let taken = bytes.len().min(whole.saturating_sub(self.pending.len()));
        self.pending.extend_from_slice(&bytes[..taken]);
        taken
    }

    /// Takes bytes until a whole frame is pending, and tells its head then.
    fn gather(
        &mut self,
        bytes: &[u8],
        limit: u64,
    ) -> Result<(usize, Option<Header>), HandshakeError> {
        let mut taken = 0;
        loop {
            let header = Header::read(&self.pending, self.version)?;
            let whole = match header {
                None => self.pending.len() + 1,
                Some(Header { head, body, .. }) if body <= limit => head + body as usize,
                Some(Header { body: bytes, .. }) => {
                    return Err(DecodeError::FrameTooLong { bytes, limit }.into());
                }
            };
            if self.pending.len() == whole {
                return Ok((taken, header));
            }
            match self.collect(&bytes[taken..], whole) {
                0 => return Ok((taken, None)),
                fed => taken += fed,
            }
        }
    }

    /// Ends it, and tells the peer why if it may be told (RFC 37, "Error Handling").
    fn fail(&mut self, error: HandshakeError) -> HandshakeError {
        if let Stage::Mechanism(machine) = &self.stage
            && let Some(reason) = error.reason()
            && machine.may_refuse()
        {
            encode_command("ERROR", &mut self.out, |out| encode_reason(reason, out));
        }
        self.pending = Vec::new();
        self.asked = None;
        self.stage = Stage::Failed(error.clone());
        error
    }
}

/// The peer's ERROR command.
fn refused(data: &[u8]) -> HandshakeError {
    match command::split_reason(data) {
        Some(reason) => HandshakeError::Refused(reason.escape_ascii().to_string()),
        None => HandshakeError::Malformed("ERROR"),
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match &self.stage {
            Stage::Version => "version",
            Stage::Greeting => "greeting",
            Stage::Mechanism(_) => "mechanism",
            Stage::Kind => "kind",
            Stage::Identity(_) => "identity",
            Stage::Done(..) => "done",
            Stage::Failed(_) => "failed",
        };
        f.debug_struct("Handshake").field("stage", &stage).finish_non_exhaustive()
    }
}

/// What a handshake leaves behind for the traffic.
#[non_exhaustive]
pub struct Established {
    /// The version that the two speak.
    pub version: Version,
    /// The name of the mechanism.
    pub mechanism: &'static str,
    /// What the pattern is told about the peer.
    pub info: PeerInfo,
    /// Everything the peer said about itself; empty from a ZMTP 2.0 peer.
    pub metadata: Metadata,
    /// Who the authenticator says the peer is; empty if it was not asked or did not say.
    pub user_id: String,
    /// What else the authenticator says about the peer.
    pub zap_metadata: Metadata,
    /// Encrypts what goes out; `None` if it goes in the clear.
    pub sealer: Option<Box<dyn Sealer>>,
    /// Decrypts what comes in, for the [`Decoder`](crate::Decoder).
    pub opener: Option<Box<dyn Opener>>,
}

impl fmt::Debug for Established {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Established")
            .field("version", &self.version)
            .field("mechanism", &self.mechanism)
            .field("info", &self.info)
            .field("metadata", &self.metadata)
            .field("user_id", &self.user_id)
            .finish_non_exhaustive()
    }
}
