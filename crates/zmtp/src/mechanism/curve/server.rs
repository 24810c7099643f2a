//! The server's side of the handshake: it shows that it has the key the client was told, and
//! learns the client's.

use super::boxes::{BoxKey, Nonce};
use super::commands::{self, Hello, Initiate, Vouched};
use super::cookie::{CookieKeys, CookieName};
use super::error::CurveError;
use super::message;
use super::{Opener, Sealer};
use crate::error::HandshakeError;
use crate::keys::{KeyPair, PublicKey, SecretKey};
use crate::local::Local;
use crate::mechanism::{Machine, Secured, Step, encode_command, unexpected};
use crate::metadata::{self, Metadata};
use crate::random;

/// The short nonce of READY; messages go on from there.
const READY_NUMBER: u64 = 1;

/// A server.
pub(crate) struct CurveServer {
    /// S and s.
    keys: KeyPair,
    cookies: CookieKeys,
    state: State,
}

enum State {
    Hello,
    /// WELCOME is sent, and its keys are forgotten.
    Initiate(Welcomed),
    /// The authenticator is asked.
    Authenticating(Box<Met>),
    Done,
}

/// What the server keeps of a half-open connection.
struct Welcomed {
    /// Which cookie it was given: none but this is taken back.
    cookie: CookieName,
    /// The short nonce of HELLO.
    last: u64,
}

/// A client that has shown its key.
struct Met {
    /// The key of C' and S'.
    session: BoxKey,
    /// C.
    client: PublicKey,
    metadata: Metadata,
    /// The short nonce of INITIATE.
    last: u64,
}

impl CurveServer {
    pub(crate) fn new(keys: KeyPair, cookies: CookieKeys) -> Self {
        CurveServer { keys, cookies, state: State::Hello }
    }

    /// Opens HELLO and answers with WELCOME.
    fn hello(&self, data: &[u8], out: &mut Vec<u8>) -> Result<State, HandshakeError> {
        let hello = Hello::read(data)?;
        let client = PublicKey::from_bytes(*hello.client);
        let with_client = BoxKey::between(&client, self.keys.secret())?;
        let nonce = Nonce::short(commands::HELLO_NONCE, hello.nonce);
        let proof = with_client.open_copy(&nonce, hello.boxed).ok_or(CurveError::Hello)?;
        if **proof != commands::PROOF {
            return Err(HandshakeError::Malformed("HELLO"));
        }
        let cookie = self.welcome(&client, &with_client, out)?;
        Ok(State::Initiate(Welcomed { cookie, last: hello.nonce }))
    }

    fn welcome(
        &self,
        client: &PublicKey,
        with_client: &BoxKey,
        out: &mut Vec<u8>,
    ) -> Result<CookieName, CurveError> {
        let transient = KeyPair::generate()?;
        let name = random::bytes()?;
        let cookie = self.cookies.seal(&name, client, transient.secret());
        let tail = random::bytes()?;
        let nonce = Nonce::long(commands::WELCOME_NONCE, &tail);
        encode_command("WELCOME", out, |out| {
            out.extend_from_slice(&tail);
            with_client.seal_onto(&nonce, &[transient.public().as_bytes(), &cookie], out);
        });
        Ok(name)
    }

    /// Opens INITIATE: the cookie gives the keys of the connection back, the vouch shows C.
    fn initiate(
        &self,
        welcomed: &Welcomed,
        local: &Local,
        data: &[u8],
    ) -> Result<Met, HandshakeError> {
        let initiate = Initiate::read(data)?;
        if initiate.nonce <= welcomed.last {
            return Err(CurveError::Replay("INITIATE").into());
        }
        if !initiate.cookie.starts_with(&welcomed.cookie) {
            return Err(CurveError::Cookie.into());
        }
        let (client, secret) = self.cookies.open(initiate.cookie).ok_or(CurveError::Cookie)?;
        let session = BoxKey::between(&client, &secret)?;
        let nonce = Nonce::short(commands::INITIATE_NONCE, initiate.nonce);
        let opened = session.open_copy(&nonce, initiate.boxed).ok_or(CurveError::Initiate)?;
        let vouched = Vouched::read(&opened)?;
        self.check_vouch(&vouched, &client, &secret)?;
        Ok(Met {
            session,
            client: PublicKey::from_bytes(*vouched.client),
            metadata: local.accept(vouched.metadata, "INITIATE")?,
            last: initiate.nonce,
        })
    }

    /// Whether C itself says that C' is its own, and that it means this server.
    fn check_vouch(
        &self,
        vouched: &Vouched<'_>,
        theirs: &PublicKey,
        ours: &SecretKey,
    ) -> Result<(), CurveError> {
        let key = BoxKey::between(&PublicKey::from_bytes(*vouched.client), ours)?;
        let nonce = Nonce::long(commands::VOUCH_NONCE, vouched.nonce);
        let vouch = key.open_copy(&nonce, vouched.boxed).ok_or(CurveError::Vouch)?;
        if vouch.starts_with(theirs.as_bytes()) && vouch.ends_with(self.keys.public().as_bytes()) {
            return Ok(());
        }
        Err(CurveError::Vouch)
    }
}

/// Answers with READY; then there is traffic.
fn ready(met: Met, local: &Local, out: &mut Vec<u8>) -> Secured {
    let mut metadata = Vec::new();
    local.encode_metadata(&mut metadata);
    let nonce = Nonce::short(commands::READY_NONCE, READY_NUMBER);
    encode_command("READY", out, |out| {
        out.extend_from_slice(&READY_NUMBER.to_be_bytes());
        met.session.seal_onto(&nonce, &[&metadata], out);
    });
    let sealer = Sealer::new(met.session.clone(), message::FROM_SERVER, READY_NUMBER + 1);
    let opener = Opener::new(met.session, message::FROM_CLIENT, met.last);
    Secured {
        metadata: met.metadata,
        sealer: Some(Box::new(sealer)),
        opener: Some(Box::new(opener)),
    }
}

impl Machine for CurveServer {
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
        match (std::mem::replace(&mut self.state, State::Done), name) {
            (State::Hello, b"HELLO") => {
                self.state = self.hello(data, out)?;
                Ok(Step::More)
            }
            (State::Initiate(welcomed), b"INITIATE") => {
                let met = self.initiate(&welcomed, local, data)?;
                let Some(origin) = local.zap.clone() else {
                    return Ok(Step::Done(ready(met, local, out)));
                };
                let identity = met.metadata.get(metadata::IDENTITY).unwrap_or_default();
                let request = origin.request("CURVE", identity, [&met.client.as_bytes()[..]]);
                self.state = State::Authenticating(Box::new(met));
                Ok(Step::Authenticate(request))
            }
            _ => Err(unexpected(name)),
        }
    }

    fn authenticated(&mut self, local: &Local, out: &mut Vec<u8>) -> Result<Step, HandshakeError> {
        match std::mem::replace(&mut self.state, State::Done) {
            State::Authenticating(met) => Ok(Step::Done(ready(*met, local, out))),
            _ => Err(unexpected(b"READY")),
        }
    }

    /// Until READY is sent; a bad MESSAGE is not answered (RFC 26, "The MESSAGE Command").
    fn may_refuse(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{alice, bob};
    use super::*;

    /// Whether Bob, in the connection of `transient` (C' and S'), believes that the client is
    /// Alice if this is in the box of a vouch that `author` sealed.
    fn believes(author: &KeyPair, inside: [&PublicKey; 2], transient: [&KeyPair; 2]) -> bool {
        let [ours, theirs] = transient;
        let nonce = Nonce::long(commands::VOUCH_NONCE, &[9; 16]);
        let mut boxed = Vec::new();
        let key = BoxKey::between(&ours.public(), author.secret()).unwrap();
        key.seal_onto(&nonce, &inside.map(|key| &key.as_bytes()[..]), &mut boxed);
        let client = alice().public();
        let vouched = Vouched {
            client: client.as_bytes(),
            nonce: &[9; 16],
            boxed: boxed.as_slice().try_into().unwrap(),
            metadata: &[],
        };
        let server = CurveServer::new(bob(), CookieKeys::new().unwrap());
        server.check_vouch(&vouched, &theirs.public(), ours.secret()).is_ok()
    }

    #[test]
    fn only_alice_vouches_for_alice_and_to_whom_she_means() {
        let [ours, theirs, other] = [(); 3].map(|()| KeyPair::generate().unwrap());
        let transient = [&ours, &theirs];
        let meant = [&theirs.public(), &bob().public()];
        assert!(believes(&alice(), meant, transient));
        assert!(!believes(&other, meant, transient));
        // A server that Alice meant cannot pass her vouch on to Bob.
        assert!(!believes(&alice(), [&theirs.public(), &other.public()], transient));
        // Nor can one connection's vouch serve another.
        assert!(!believes(&alice(), [&other.public(), &bob().public()], transient));
    }
}
