//! What the tests of the patterns share: a socket without queues, and peers with and without room.

use std::collections::HashSet;

use super::{
    Attach, Body, Delivery, Errand, Greeted, Misuse, Outgoing, Pattern, Peer, PeerInfo, Room, Said,
    Setting, Verdict,
};
use crate::kind::Kind;
use crate::message::{Frame, Message};

/// Every peer has room.
pub(crate) struct Boundless;

impl Room for Boundless {
    fn has_room(&self, _: Peer) -> bool {
        true
    }
}

/// Every peer but these has room.
#[derive(Default)]
pub(crate) struct Full(HashSet<Peer>);

impl Full {
    pub(crate) fn of(peers: impl IntoIterator<Item = u32>) -> Self {
        Full(peers.into_iter().map(Peer).collect())
    }
}

impl Room for Full {
    fn has_room(&self, peer: Peer) -> bool {
        !self.0.contains(&peer)
    }
}

/// A peer that we connect to, whose messages may wait for the connection.
pub(crate) fn early() -> Attach {
    Attach::Connecting { early: true, identity: Frame::empty() }
}

pub(crate) fn frames<F: AsRef<[u8]>>(frames: &[F]) -> Message {
    frames.iter().map(|frame| Frame::copy_from_slice(frame.as_ref())).collect()
}

/// What became of a message that was sent.
#[derive(Debug, PartialEq)]
pub(crate) enum Sent {
    To(Vec<u32>, Message),
    Wait,
    Drop,
}

/// A pattern, with what its driver would keep.
pub(crate) struct Bench {
    pub(crate) pattern: Box<dyn Pattern>,
    pub(crate) room: Full,
    pub(crate) errands: Vec<Errand>,
}

impl Bench {
    pub(crate) const SEED: u32 = 0x0102_0304;

    pub(crate) fn new(kind: Kind) -> Self {
        let pattern = super::new(kind, Bench::SEED);
        assert_eq!(pattern.kind(), kind);
        Bench { pattern, room: Full::default(), errands: Vec::new() }
    }

    pub(crate) fn with(kind: Kind, settings: impl IntoIterator<Item = Setting>) -> Self {
        let mut bench = Bench::new(kind);
        for setting in settings {
            bench.pattern.set(setting).unwrap();
        }
        bench
    }

    /// The kind that peers of these tests have.
    fn partner(&self) -> Kind {
        let kind = self.pattern.kind();
        Kind::ALL.into_iter().find(|&other| kind.compatible(other)).unwrap_or(Kind::Stream)
    }

    pub(crate) fn greet(&mut self, peer: u32, identity: &str) -> Result<Greeted, &'static str> {
        let info = PeerInfo {
            kind: self.partner(),
            identity: Frame::from(identity),
            subscribes_by_command: true,
        };
        self.pattern.greet(Peer(peer), &info, &mut self.errands)
    }

    /// A peer connects to us.
    pub(crate) fn accept(&mut self, peer: u32, identity: &str) -> Result<Greeted, &'static str> {
        self.pattern.attach(Peer(peer), Attach::Accepted)?;
        self.greet(peer, identity)
    }

    /// We begin to connect to a peer.
    pub(crate) fn connect(&mut self, peer: u32) {
        self.pattern.attach(Peer(peer), early()).unwrap();
    }

    pub(crate) fn hang_up(&mut self, peer: u32) {
        self.pattern.hang_up(Peer(peer), &mut self.errands);
    }

    /// One that connected to us goes.
    pub(crate) fn leave(&mut self, peer: u32) {
        self.hang_up(peer);
        self.pattern.detach(Peer(peer), &mut self.errands);
    }

    pub(crate) fn send<F: AsRef<[u8]>>(&mut self, body: &[F]) -> Result<Sent, Misuse> {
        self.send_message(frames(body))
    }

    pub(crate) fn send_message(&mut self, body: Message) -> Result<Sent, Misuse> {
        let mut message = Outgoing::new(Body::Message(body.clone()));
        let mut to = Vec::new();
        let verdict = self.pattern.route(&mut message, &self.room, &mut to, &mut self.errands)?;
        if verdict != Verdict::Send {
            assert!(to.is_empty() && message.into_message() == body, "{verdict:?} changes nothing");
            return Ok(if verdict == Verdict::Wait { Sent::Wait } else { Sent::Drop });
        }
        Ok(Sent::To(to.into_iter().map(|peer| peer.0).collect(), message.into_message()))
    }

    /// To whom a message went.
    pub(crate) fn sent_to<F: AsRef<[u8]>>(&mut self, body: &[F]) -> Vec<u32> {
        match self.send(body).unwrap() {
            Sent::To(peers, _) => peers,
            Sent::Wait | Sent::Drop => Vec::new(),
        }
    }

    /// What the user gets of a message that came; `None` if nothing.
    pub(crate) fn deliver<F: AsRef<[u8]>>(&mut self, from: u32, message: &[F]) -> Option<Message> {
        match self.pattern.deliver(Peer(from), frames(message), &mut self.errands) {
            Delivery::Take(message) => Some(message),
            Delivery::Ignore => None,
            Delivery::Close(why) => panic!("closed: {why}"),
        }
    }

    /// Whether a message that came has the connection closed.
    pub(crate) fn closes<F: AsRef<[u8]>>(&mut self, from: u32, message: &[F]) -> bool {
        let delivery = self.pattern.deliver(Peer(from), frames(message), &mut self.errands);
        matches!(delivery, Delivery::Close(_))
    }

    /// What the pattern wants said, less what was asked before.
    pub(crate) fn said(&mut self) -> Vec<(u32, Said)> {
        self.errands.drain(..).map(|errand| (errand.to.0, errand.what)).collect()
    }
}

/// The frames of a message as text.
pub(crate) fn text(message: &Message) -> Vec<String> {
    message.iter().map(|frame| frame.as_slice().escape_ascii().to_string()).collect()
}
