//! The client's side of the handshake: it knows the server's key and shows its own.

use super::boxes::{BoxKey, Nonce};
use super::commands::{self, Ready, Welcome};
use super::error::CurveError;
use super::message;
use super::{Opener, Sealer};
use crate::error::HandshakeError;
use crate::keys::{KeyPair, PublicKey};
use crate::local::Local;
use crate::mechanism::{Machine, Secured, Step, encode_command, unexpected};
use crate::random;

/// The short nonces of the client's handshake; messages go on from there.
const HELLO_NUMBER: u64 = 1;
const INITIATE_NUMBER: u64 = 2;

/// A client.
pub(crate) struct CurveClient {
    /// S.
    server: PublicKey,
    /// C and c.
    keys: KeyPair,
    state: State,
}

enum State {
    Start,
    /// HELLO is sent.
    Welcome(Greeted),
    /// INITIATE is sent; the key is that of C' and S'.
    Ready(BoxKey),
    Done,
}

/// What the client keeps until WELCOME comes.
struct Greeted {
    /// C' and c'.
    transient: KeyPair,
    /// The key of C' and S, for HELLO and WELCOME.
    with_server: BoxKey,
}

impl CurveClient {
    pub(crate) fn new(server: PublicKey, keys: KeyPair) -> Self {
        CurveClient { server, keys, state: State::Start }
    }

    fn hello(&self, transient: KeyPair, out: &mut Vec<u8>) -> Result<State, CurveError> {
        let with_server = BoxKey::between(&self.server, transient.secret())?;
        let nonce = Nonce::short(commands::HELLO_NONCE, HELLO_NUMBER);
        encode_command("HELLO", out, |out| {
            out.extend_from_slice(&commands::VERSION);
            out.extend_from_slice(&commands::PADDING);
            out.extend_from_slice(transient.public().as_bytes());
            out.extend_from_slice(&HELLO_NUMBER.to_be_bytes());
            with_server.seal_onto(&nonce, &[&commands::PROOF], out);
        });
        Ok(State::Welcome(Greeted { transient, with_server }))
    }

    /// Opens WELCOME and answers with INITIATE.
    fn welcome(
        &self,
        greeted: &Greeted,
        local: &Local,
        data: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<State, HandshakeError> {
        let welcome = Welcome::read(data)?;
        let nonce = Nonce::long(commands::WELCOME_NONCE, welcome.nonce);
        let opened = greeted.with_server.open_copy(&nonce, welcome.boxed);
        let opened = opened.ok_or(CurveError::Welcome)?;
        let (server, cookie) = opened.split_first_chunk().ok_or(CurveError::Welcome)?;
        let server = PublicKey::from_bytes(*server);

        let session = BoxKey::between(&server, greeted.transient.secret())?;
        let vouch = self.vouch(&greeted.transient.public(), &server)?;
        let mut metadata = Vec::new();
        local.encode_metadata(&mut metadata);
        let nonce = Nonce::short(commands::INITIATE_NONCE, INITIATE_NUMBER);
        encode_command("INITIATE", out, |out| {
            out.extend_from_slice(cookie);
            out.extend_from_slice(&INITIATE_NUMBER.to_be_bytes());
            let client = self.keys.public();
            session.seal_onto(&nonce, &[client.as_bytes(), &vouch, &metadata], out);
        });
        Ok(State::Ready(session))
    }

    /// Nonce and box of the vouch: C shows that C' is its own and that S is whom it means.
    fn vouch(&self, ours: &PublicKey, theirs: &PublicKey) -> Result<Vec<u8>, CurveError> {
        let mut vouch = random::bytes::<16>()?.to_vec();
        let nonce = Nonce::long(commands::VOUCH_NONCE, vouch.first_chunk().expect("16 bytes"));
        let key = BoxKey::between(theirs, self.keys.secret())?;
        key.seal_onto(&nonce, &[ours.as_bytes(), self.server.as_bytes()], &mut vouch);
        Ok(vouch)
    }

    fn ready(
        &self,
        session: BoxKey,
        local: &Local,
        data: &[u8],
    ) -> Result<Secured, HandshakeError> {
        let ready = Ready::read(data)?;
        let nonce = Nonce::short(commands::READY_NONCE, ready.nonce);
        let metadata = session.open_copy(&nonce, ready.boxed).ok_or(CurveError::Ready)?;
        let metadata = local.accept(&metadata, "READY")?;
        let sealer = Sealer::new(session.clone(), message::FROM_CLIENT, INITIATE_NUMBER + 1);
        let opener = Opener::new(session, message::FROM_SERVER, ready.nonce);
        Ok(Secured { metadata, sealer: Some(Box::new(sealer)), opener: Some(Box::new(opener)) })
    }
}

impl Machine for CurveClient {
    fn start(&mut self, _: &Local, out: &mut Vec<u8>) -> Result<Step, HandshakeError> {
        let transient = KeyPair::generate().map_err(CurveError::from)?;
        self.state = self.hello(transient, out)?;
        Ok(Step::More)
    }

    fn command(
        &mut self,
        local: &Local,
        name: &[u8],
        data: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Step, HandshakeError> {
        match (std::mem::replace(&mut self.state, State::Done), name) {
            (State::Welcome(greeted), b"WELCOME") => {
                self.state = self.welcome(&greeted, local, data, out)?;
                Ok(Step::More)
            }
            (State::Ready(session), b"READY") => self.ready(session, local, data).map(Step::Done),
            _ => Err(unexpected(name)),
        }
    }

    /// The client never asks.
    fn authenticated(&mut self, _: &Local, _: &mut Vec<u8>) -> Result<Step, HandshakeError> {
        Ok(Step::More)
    }

    /// Only the server may (RFC 26, "Overall Operation of CurveZMQ").
    fn may_refuse(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{alice, bob, unhex};
    use super::*;

    #[test]
    fn hello_is_what_libsodium_makes_of_the_same_keys() {
        let client = CurveClient::new(bob().public(), KeyPair::generate().unwrap());
        let mut out = Vec::new();
        client.hello(alice(), &mut out).unwrap();
        let hello = "0548454c4c4f 0100 000000000000000000000000000000000000000000000000000000000000
            000000000000000000000000000000000000000000000000000000000000000000000000000000000000
            8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a 0000000000000001
            95046e38cc9d8b0364c90052be9e5daefeb4d0a8f658f4bf88eb41ee777328cd503ac4fde80525f5
            1a6fde46341041b47cbfb6a2df3a2c9f5d918057649fa8ea9be18348da5ecdf40d25417792058946";
        assert_eq!(out[..2], [4, 200]);
        assert_eq!(out[2..], unhex(hello));
    }
}
