//! NULL: both sides tell their metadata (RFC 37, "The NULL Security Mechanism").
//!
//! ```text
//! C: READY metadata        S: READY metadata        | ERROR
//! ```
//!
//! The RFC lets the server wait for the client's READY. libzmq does not wait, and neither does
//! this, unless an authenticator is to be asked: the request carries the peer's identity, which is
//! in its READY.

use super::{Machine, Secured, Step, encode_command, unexpected};
use crate::error::HandshakeError;
use crate::local::Local;
use crate::message::Frame;
use crate::metadata::Metadata;

#[derive(Default)]
pub(crate) struct Null {
    theirs: Option<Metadata>,
}

fn ready(local: &Local, out: &mut Vec<u8>) {
    encode_command("READY", out, |out| local.encode_metadata(out));
}

impl Machine for Null {
    fn start(&mut self, local: &Local, out: &mut Vec<u8>) -> Result<Step, HandshakeError> {
        if local.zap.is_none() {
            ready(local, out);
        }
        Ok(Step::More)
    }

    fn command(
        &mut self,
        local: &Local,
        name: &[u8],
        data: &[u8],
        _: &mut Vec<u8>,
    ) -> Result<Step, HandshakeError> {
        if name != b"READY" || self.theirs.is_some() {
            return Err(unexpected(name));
        }
        let metadata = Metadata::decode(data).map_err(|_| HandshakeError::Malformed("READY"))?;
        let peer = local.check(&metadata)?;
        if let Some(zap) = &local.zap {
            self.theirs = Some(metadata);
            let request = zap.clone().request("NULL", &peer.identity, Vec::<Frame>::new());
            return Ok(Step::Authenticate(request));
        }
        Ok(Step::Done(Secured { metadata, ..Secured::default() }))
    }

    fn authenticated(&mut self, local: &Local, out: &mut Vec<u8>) -> Result<Step, HandshakeError> {
        ready(local, out);
        let metadata = self.theirs.take().unwrap_or_default();
        Ok(Step::Done(Secured { metadata, ..Secured::default() }))
    }

    fn may_refuse(&self) -> bool {
        true
    }
}
