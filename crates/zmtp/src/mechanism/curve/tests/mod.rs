//! Client and server over a wire that does not exist.

mod handshake;
mod hostile;
mod traffic;

use super::{CookieKeys, CurveClient, CurveServer};
use crate::command::split_name;
use crate::error::{CipherError, HandshakeError};
use crate::frame::Flags;
use crate::keys::{KeyPair, SecretKey};
use crate::kind::Kind;
use crate::local::Local;
use crate::mechanism::{Machine, Opener, Sealer, Secured, Step};

/// The pairs of Alice and Bob, on which the vectors of NaCl and libsodium rest.
pub(super) fn alice() -> KeyPair {
    pair_of("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
}

pub(super) fn bob() -> KeyPair {
    pair_of("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
}

fn pair_of(secret: &str) -> KeyPair {
    KeyPair::from_secret(SecretKey::try_from(&unhex(secret)[..]).unwrap())
}

/// Bytes from hexadecimal digits, with blanks between them where they please.
pub(super) fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// A DEALER as client and a ROUTER as server.
struct Peers {
    client: CurveClient,
    server: CurveServer,
    dealer: Local,
    router: Local,
}

impl Peers {
    /// Two that know what they must of each other.
    fn new() -> Self {
        Peers::with_cookies(CookieKeys::new().unwrap())
    }

    fn with_cookies(cookies: CookieKeys) -> Self {
        let mut dealer = Local::new(Kind::Dealer);
        dealer.identity = b"dealer".to_vec();
        Peers {
            client: CurveClient::new(bob().public(), alice()),
            server: CurveServer::new(bob(), cookies),
            dealer,
            router: Local::new(Kind::Router),
        }
    }

    fn hello(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        self.client.start(&self.dealer, &mut out).unwrap();
        body_of(&out)
    }

    /// Gives a command to the server.
    fn serve(&mut self, body: &[u8]) -> Result<(Step, Vec<u8>), HandshakeError> {
        give(&mut self.server, &self.router, body)
    }

    /// Gives a command to the client.
    fn reply(&mut self, body: &[u8]) -> Result<(Step, Vec<u8>), HandshakeError> {
        give(&mut self.client, &self.dealer, body)
    }

    /// The whole handshake; each command, by its place from 0 on, passes through `wire`.
    fn meet(
        mut self,
        mut wire: impl FnMut(usize, &mut Vec<u8>),
    ) -> Result<(Secured, Secured), HandshakeError> {
        let mut hello = self.hello();
        wire(0, &mut hello);
        let (_, mut welcome) = self.serve(&hello)?;
        wire(1, &mut welcome);
        let (_, mut initiate) = self.reply(&welcome)?;
        wire(2, &mut initiate);
        let (server, mut ready) = self.serve(&initiate)?;
        wire(3, &mut ready);
        let (client, _) = self.reply(&ready)?;
        match (client, server) {
            (Step::Done(client), Step::Done(server)) => Ok((client, server)),
            _ => panic!("four commands make a handshake"),
        }
    }
}

/// Gives a machine the body of a command frame; the body of what it answers, empty for nothing.
fn give(
    machine: &mut dyn Machine,
    local: &Local,
    body: &[u8],
) -> Result<(Step, Vec<u8>), HandshakeError> {
    let (name, at) = split_name(body).ok_or(HandshakeError::Malformed("nameless"))?;
    let mut out = Vec::new();
    let step = machine.command(local, name, &body[at..], &mut out)?;
    Ok((step, body_of(&out)))
}

/// The body of the only frame in `out`.
fn body_of(out: &[u8]) -> Vec<u8> {
    match out {
        [] => Vec::new(),
        [flags, ..] if flags & 2 == 0 => out[2..].to_vec(),
        _ => out[9..].to_vec(),
    }
}

/// What the opener makes of a frame's body.
fn opened(opener: &mut dyn Opener, sealed: &[u8]) -> Result<(Flags, Vec<u8>), CipherError> {
    let mut sealed = sealed.to_vec();
    let (flags, body) = opener.open(&mut sealed)?;
    Ok((flags, sealed[body].to_vec()))
}

fn sealer_of(secured: &mut Secured) -> Box<dyn Sealer> {
    secured.sealer.take().unwrap()
}

fn opener_of(secured: &mut Secured) -> Box<dyn Opener> {
    secured.opener.take().unwrap()
}
