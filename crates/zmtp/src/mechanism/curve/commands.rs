//! The commands of the handshake as bytes: where each field lies, and nothing about keys.
//!
//! ```text
//! HELLO     5"HELLO"    version 2, zeros 72, C' 32, nonce 8, box 80               = 200
//! WELCOME   7"WELCOME"  nonce 16, box 144                                         = 168
//! INITIATE  8"INITIATE" cookie 96, nonce 8, box 144 or more                       >= 257
//!             box:      C 32, vouch nonce 16, vouch box 80, metadata
//! READY     5"READY"    nonce 8, box 16 or more                                   >= 30
//! ```
//!
//! What is read here is the data of a command, which follows its name.

use super::boxes::TAG_BYTES;
use super::cookie::Cookie;
use super::error::CurveError;
use crate::error::HandshakeError;

pub(super) const HELLO_NONCE: &[u8; 16] = b"CurveZMQHELLO---";
pub(super) const WELCOME_NONCE: &[u8; 8] = b"WELCOME-";
pub(super) const INITIATE_NONCE: &[u8; 16] = b"CurveZMQINITIATE";
pub(super) const VOUCH_NONCE: &[u8; 8] = b"VOUCH---";
pub(super) const READY_NONCE: &[u8; 16] = b"CurveZMQREADY---";

/// The version of CurveZMQ: major, minor.
pub(super) const VERSION: [u8; 2] = [1, 0];
/// The zeros that make HELLO longer than WELCOME, so that no server amplifies what it gets.
pub(super) const PADDING: [u8; 72] = [0; 72];
/// The zeros that HELLO seals, to show that its sender has the secret half of C'.
pub(super) const PROOF: [u8; 64] = [0; 64];

/// HELLO.
pub(super) struct Hello<'a> {
    pub(super) client: &'a [u8; 32],
    pub(super) nonce: u64,
    pub(super) boxed: &'a [u8; TAG_BYTES + PROOF.len()],
}

impl<'a> Hello<'a> {
    pub(super) fn read(data: &'a [u8]) -> Result<Self, HandshakeError> {
        let mut fields = Fields { rest: data, name: "HELLO" };
        let &[major, minor] = fields.take()?;
        if [major, minor] != VERSION {
            return Err(CurveError::Version(major, minor).into());
        }
        if *fields.take()? != PADDING {
            return Err(fields.malformed());
        }
        let (client, nonce, boxed) = (fields.take()?, fields.number()?, fields.take()?);
        fields.end(Hello { client, nonce, boxed })
    }
}

/// WELCOME.
pub(super) struct Welcome<'a> {
    pub(super) nonce: &'a [u8; 16],
    pub(super) boxed: &'a [u8; TAG_BYTES + 32 + size_of::<Cookie>()],
}

impl<'a> Welcome<'a> {
    pub(super) fn read(data: &'a [u8]) -> Result<Self, HandshakeError> {
        let mut fields = Fields { rest: data, name: "WELCOME" };
        let (nonce, boxed) = (fields.take()?, fields.take()?);
        fields.end(Welcome { nonce, boxed })
    }
}

/// INITIATE.
pub(super) struct Initiate<'a> {
    pub(super) cookie: &'a Cookie,
    pub(super) nonce: u64,
    pub(super) boxed: &'a [u8],
}

impl<'a> Initiate<'a> {
    pub(super) fn read(data: &'a [u8]) -> Result<Self, HandshakeError> {
        let mut fields = Fields { rest: data, name: "INITIATE" };
        let (cookie, nonce) = (fields.take()?, fields.number()?);
        Ok(Initiate { cookie, nonce, boxed: fields.rest })
    }
}

/// What the box of INITIATE holds.
pub(super) struct Vouched<'a> {
    pub(super) client: &'a [u8; 32],
    pub(super) nonce: &'a [u8; 16],
    pub(super) boxed: &'a [u8; TAG_BYTES + 64],
    pub(super) metadata: &'a [u8],
}

impl<'a> Vouched<'a> {
    pub(super) fn read(plaintext: &'a [u8]) -> Result<Self, HandshakeError> {
        let mut fields = Fields { rest: plaintext, name: "INITIATE" };
        let (client, nonce, boxed) = (fields.take()?, fields.take()?, fields.take()?);
        Ok(Vouched { client, nonce, boxed, metadata: fields.rest })
    }
}

/// READY.
pub(super) struct Ready<'a> {
    pub(super) nonce: u64,
    pub(super) boxed: &'a [u8],
}

impl<'a> Ready<'a> {
    pub(super) fn read(data: &'a [u8]) -> Result<Self, HandshakeError> {
        let mut fields = Fields { rest: data, name: "READY" };
        Ok(Ready { nonce: fields.number()?, boxed: fields.rest })
    }
}

/// The fields of a command that have not been read.
struct Fields<'a> {
    rest: &'a [u8],
    name: &'static str,
}

impl<'a> Fields<'a> {
    fn take<const N: usize>(&mut self) -> Result<&'a [u8; N], HandshakeError> {
        let (field, rest) = self.rest.split_first_chunk().ok_or(self.malformed())?;
        self.rest = rest;
        Ok(field)
    }

    fn number(&mut self) -> Result<u64, HandshakeError> {
        self.take().copied().map(u64::from_be_bytes)
    }

    fn end<T>(self, command: T) -> Result<T, HandshakeError> {
        if self.rest.is_empty() { Ok(command) } else { Err(self.malformed()) }
    }

    fn malformed(&self) -> HandshakeError {
        HandshakeError::Malformed(self.name)
    }
}
