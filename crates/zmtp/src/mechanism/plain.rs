//! PLAIN: a name and a password in the clear (RFC 24).
//!
//! ```text
//! C: HELLO username password         S: WELCOME | ERROR
//! C: INITIATE metadata               S: READY metadata | ERROR
//!
//! username, password = size, 1 octet; at most 255 bytes
//! ```
//!
//! The server lets nobody in by itself: it asks the authenticator when the HELLO is there. As the
//! identity is in the INITIATE, which comes later, the request has none (libzmq's has none either).

use super::{Machine, Secured, Step, encode_command, unexpected};
use crate::error::HandshakeError;
use crate::limits::CREDENTIAL_BYTES_MAX;
use crate::local::Local;

/// The side that has a password.
pub(crate) struct PlainClient {
    hello: Vec<u8>,
    welcomed: bool,
}

impl PlainClient {
    /// Longer names and passwords than 255 bytes are cut: the server cannot accept them.
    pub(crate) fn new(username: &[u8], password: &[u8]) -> Self {
        let mut hello = Vec::new();
        for text in [username, password] {
            let text = &text[..text.len().min(CREDENTIAL_BYTES_MAX)];
            hello.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
            hello.extend_from_slice(text);
        }
        PlainClient { hello, welcomed: false }
    }
}

impl Machine for PlainClient {
    fn start(&mut self, _: &Local, out: &mut Vec<u8>) -> Result<Step, HandshakeError> {
        encode_command("HELLO", out, |out| out.extend_from_slice(&self.hello));
        Ok(Step::More)
    }

    fn command(
        &mut self,
        local: &Local,
        name: &[u8],
        data: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Step, HandshakeError> {
        match name {
            b"WELCOME" if !self.welcomed => {
                if !data.is_empty() {
                    return Err(HandshakeError::Malformed("WELCOME"));
                }
                self.welcomed = true;
                encode_command("INITIATE", out, |out| local.encode_metadata(out));
                Ok(Step::More)
            }
            b"READY" if self.welcomed => {
                let metadata = local.accept(data, "READY")?;
                Ok(Step::Done(Secured { metadata, ..Secured::default() }))
            }
            _ => Err(unexpected(name)),
        }
    }

    /// The client never asks.
    fn authenticated(&mut self, _: &Local, _: &mut Vec<u8>) -> Result<Step, HandshakeError> {
        Ok(Step::More)
    }

    /// Only the server has an ERROR in the grammar of RFC 24.
    fn may_refuse(&self) -> bool {
        false
    }
}

/// The side that asks for a password.
#[derive(Default)]
pub(crate) struct PlainServer {
    state: State,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Hello,
    Authenticating,
    Initiate,
    Done,
}

impl Machine for PlainServer {
    fn start(&mut self, _: &Local, _: &mut Vec<u8>) -> Result<Step, HandshakeError> {
        Ok(Step::More)
    }

    fn command(
        &mut self,
        local: &Local,
        name: &[u8],
        data: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Step, HandshakeError> {
        match (self.state, name) {
            (State::Hello, b"HELLO") => {
                let credentials = credentials(data).ok_or(HandshakeError::Malformed("HELLO"))?;
                self.state = State::Authenticating;
                let zap = local.zap.clone().unwrap_or_default();
                Ok(Step::Authenticate(zap.request("PLAIN", &[], credentials)))
            }
            (State::Initiate, b"INITIATE") => {
                let metadata = local.accept(data, "INITIATE")?;
                encode_command("READY", out, |out| local.encode_metadata(out));
                self.state = State::Done;
                Ok(Step::Done(Secured { metadata, ..Secured::default() }))
            }
            _ => Err(unexpected(name)),
        }
    }

    fn authenticated(&mut self, _: &Local, out: &mut Vec<u8>) -> Result<Step, HandshakeError> {
        encode_command("WELCOME", out, |_| ());
        self.state = State::Initiate;
        Ok(Step::More)
    }

    fn may_refuse(&self) -> bool {
        self.state != State::Done
    }
}

/// The name and the password of a HELLO, which holds nothing else.
fn credentials(data: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (username, rest) = sized(data)?;
    let (password, rest) = sized(rest)?;
    rest.is_empty().then(|| vec![username.to_vec(), password.to_vec()])
}

fn sized(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&len, rest) = data.split_first()?;
    rest.split_at_checked(usize::from(len))
}
