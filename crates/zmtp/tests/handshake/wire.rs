//! The wire, and who sits at its ends.

use chaski_zmtp::keys::{KeyPair, SecretKey};
use chaski_zmtp::mechanism::curve::CookieKeys;
use chaski_zmtp::{
    Flags, Handshake, HandshakeError, Kind, Local, Mechanism, Progress, encoder, zap,
};

/// A DEALER called "alice" with this mechanism.
pub(crate) fn dealer(mechanism: Mechanism) -> Local {
    let mut local = Local::new(Kind::Dealer);
    local.identity = b"alice".to_vec();
    local.mechanism = mechanism;
    local.metadata.push("X-Rack", "b7").unwrap();
    local
}

/// A ROUTER with this mechanism.
pub(crate) fn router(mechanism: Mechanism) -> Local {
    let mut local = Local::new(Kind::Router);
    local.mechanism = mechanism;
    local
}

/// The same, which asks its authenticator.
pub(crate) fn asking_router(mechanism: Mechanism) -> Local {
    let mut local = router(mechanism);
    local.zap = Some(zap::Origin { domain: "global".into(), address: "192.0.2.1".into() });
    local
}

pub(crate) fn plain_client() -> Mechanism {
    Mechanism::PlainClient { username: b"admin".to_vec(), password: b"secret".to_vec() }
}

pub(crate) fn curve() -> (Mechanism, Mechanism) {
    let pair = |seed| KeyPair::from_secret(SecretKey::from_bytes([seed; 32]));
    let client = Mechanism::CurveClient { server: pair(2).public(), keys: pair(1) };
    let cookies = CookieKeys::new().unwrap();
    (client, Mechanism::CurveServer { keys: pair(2), cookies })
}

/// Clients and the servers they mean, by mechanism.
pub(crate) fn pairs() -> Vec<(Local, Local)> {
    let (curve_client, curve_server) = curve();
    let pairs = [
        (Mechanism::Null, Mechanism::Null),
        (plain_client(), Mechanism::PlainServer),
        (curve_client, curve_server),
    ];
    let mut meetings = Vec::new();
    for (client, server) in pairs {
        meetings.push((dealer(client.clone()), router(server.clone())));
        meetings.push((dealer(client), asking_router(server)));
    }
    meetings
}

/// A frame with COMMAND.
pub(crate) fn command(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    encoder::encode_frame(Flags::COMMAND, body, &mut out);
    out
}

/// The greeting of a ZMTP 3 peer.
pub(crate) fn greeting(major: u8, minor: u8, mechanism: &str) -> Vec<u8> {
    let mut octets = vec![0; 64];
    // The padding means nothing: libzmq has a length there.
    octets[..10].copy_from_slice(b"\xff\0\0\0\0\0\0\0\x06\x7f");
    octets[10] = major;
    octets[11] = minor;
    octets[12..12 + mechanism.len()].copy_from_slice(mechanism.as_bytes());
    octets
}

pub(crate) fn ready(kind: &str) -> Vec<u8> {
    let len = u8::try_from(kind.len()).unwrap();
    let mut body = b"\x05READY\x0bSocket-Type\0\0\0".to_vec();
    body.push(len);
    body.extend_from_slice(kind.as_bytes());
    command(&body)
}

/// One side and what it has said that is not yet read.
pub(crate) struct End {
    pub(crate) handshake: Handshake,
    /// Everything it said.
    pub(crate) said: Vec<u8>,
    heard: usize,
    pub(crate) error: Option<HandshakeError>,
    /// What the authenticator was asked.
    pub(crate) asked: Vec<zap::Request>,
}

impl End {
    pub(crate) fn new(local: Local) -> Self {
        let handshake = Handshake::new(local);
        let mut end = End { handshake, said: vec![], heard: 0, error: None, asked: vec![] };
        end.speak();
        end
    }

    /// Takes the output, in two pieces.
    fn speak(&mut self) {
        let half = self.handshake.output().len() / 2;
        self.said.extend_from_slice(&self.handshake.output()[..half]);
        self.handshake.wrote(half);
        let rest = self.handshake.output().len();
        self.said.extend_from_slice(self.handshake.output());
        self.handshake.wrote(rest);
    }

    /// Hears at most `step` bytes of what `other` said; whether that changed anything.
    pub(crate) fn hear(&mut self, other: &End, step: usize) -> bool {
        let ahead = &other.said[self.heard..];
        let taken = self.listen(&ahead[..ahead.len().min(step)]);
        self.heard += taken;
        taken > 0
    }

    /// Hears these bytes and answers; how many it took.
    pub(crate) fn listen(&mut self, bytes: &[u8]) -> usize {
        let mut all = 0;
        loop {
            let taken = self.handshake.input(&bytes[all..]);
            self.speak();
            match taken {
                Ok(taken) => all += taken,
                Err(error) => {
                    self.error = Some(error);
                    return all;
                }
            }
            let Progress::Authenticate(request) = self.handshake.state() else { return all };
            let request = request.clone();
            let reply = zap::Reply::grant(&request, "somebody");
            self.asked.push(request);
            self.handshake.authenticated(reply).unwrap();
            self.speak();
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.handshake.state() == Progress::Done
    }
}

/// Lets the two talk, so many bytes at a time, until neither has more to hear.
pub(crate) fn talk(one: &mut End, two: &mut End, step: usize) {
    loop {
        let moved = one.hear(two, step);
        if !(two.hear(one, step) || moved) {
            return;
        }
    }
}
