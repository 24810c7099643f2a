//! The socket patterns as state machines: which peer gets a message, which messages a user sees,
//! and what is said to a peer when it comes.
//!
//! A [`Pattern`] knows peers by number. It holds no peer's message for later: queues, their limits
//! and their waiting belong to who drives it. That one asks [`Pattern::route`] where a message
//! goes, and passes what arrives through [`Pattern::deliver`]. Only what the pattern itself has to
//! say to the user (a subscription came, a connection went) waits in it, for [`Pattern::notice`].
//!
//! | file | kinds | source |
//! |---|---|---|
//! | `push`, `pull` | PUSH, SCATTER; PULL, GATHER | RFC 30, RFC 49 |
//! | `pair` | PAIR, CHANNEL | RFC 31, RFC 52 |
//! | `dealer`, `router`, `req`, `rep` | DEALER, CLIENT; ROUTER; REQ; REP | RFC 28, RFC 41 |
//! | `xpub`, `xsub` | PUB, XPUB; SUB, XSUB | RFC 29, RFC 37 |
//! | `server` | SERVER, PEER | RFC 41, RFC 51 |
//! | `radio`, `dish` | RADIO; DISH | RFC 48, RFC 37 |
//! | `stream` | STREAM | libzmq |
//! | `queues`, `balance` | which peers have a queue; round robin over them | |
//! | `trie` | who wants which topics | |
//! | `identities` | by which a ROUTER or a STREAM knows its peers | |
//! | `notices`, `arrivals` | what an XPUB, what a STREAM has for its user | |
//! | `peers`, `drops` | tables by peer number; counters of lost copies | |
//! | [`limits`] | what is kept for a peer at most | |
//!
//! ```
//! use chaski_zmtp::pattern::{self, Attach, Outgoing, Peer, PeerInfo, Room, Verdict};
//! use chaski_zmtp::{Frame, Kind};
//!
//! /// Queues without a limit.
//! struct Endless;
//!
//! impl Room for Endless {
//!     fn has_room(&self, _: Peer) -> bool {
//!         true
//!     }
//! }
//!
//! let mut push = pattern::new(Kind::Push, 0);
//! let (mut to, mut errands) = (Vec::new(), Vec::new());
//! let mut message = Outgoing::from("work");
//!
//! // Without a peer the sender waits; the first connection takes the message.
//! let verdict = push.route(&mut message, &Endless, &mut to, &mut errands)?;
//! assert_eq!(verdict, Verdict::Wait);
//!
//! push.attach(Peer(0), Attach::Accepted).unwrap();
//! let info = PeerInfo { kind: Kind::Pull, identity: Frame::empty(), subscribes_by_command: true };
//! push.greet(Peer(0), &info, &mut errands).unwrap();
//! let verdict = push.route(&mut message, &Endless, &mut to, &mut errands)?;
//! assert_eq!((verdict, to), (Verdict::Send, vec![Peer(0)]));
//! # Ok::<(), pattern::Misuse>(())
//! ```

mod arrivals;
mod balance;
mod dealer;
mod dish;
mod drops;
mod identities;
pub mod limits;
mod notices;
mod pair;
mod peers;
mod pull;
mod push;
mod queues;
mod radio;
mod rep;
mod req;
mod router;
mod server;
mod stream;
mod trie;
mod xpub;
mod xsub;

#[cfg(test)]
mod exercise;

use crate::command::Command;
use crate::kind::Kind;
use crate::message::{Frame, Message};

/// The rules of a socket of that kind, as yet without peers and with every [`Setting`] as libzmq
/// has it when nothing is said.
///
/// `seed` is where generated identities and request ids begin. It should be random, so that a
/// socket that is born again does not answer to the names of its former life.
pub fn new(kind: Kind, seed: u32) -> Box<dyn Pattern> {
    match kind {
        Kind::Push | Kind::Scatter => Box::new(push::Push::new(kind)),
        Kind::Pull | Kind::Gather => Box::new(pull::Pull::new(kind)),
        Kind::Pair | Kind::Channel => Box::new(pair::Pair::new(kind)),
        Kind::Dealer | Kind::Client => Box::new(dealer::Dealer::new(kind)),
        Kind::Req => Box::new(req::Req::new(seed)),
        Kind::Rep => Box::new(rep::Rep::new()),
        Kind::Router => Box::new(router::Router::new(seed)),
        Kind::Pub | Kind::Xpub => Box::new(xpub::Xpub::new(kind)),
        Kind::Sub | Kind::Xsub => Box::new(xsub::Xsub::new(kind)),
        Kind::Server | Kind::Peer => Box::new(server::Server::new(kind, seed)),
        Kind::Radio => Box::new(radio::Radio::new()),
        Kind::Dish => Box::new(dish::Dish::new()),
        Kind::Stream => Box::new(stream::Stream::new(seed)),
    }
}

/// A peer, as numbered by who drives the pattern; a number is not given to another peer before
/// [`Pattern::detach`]. Numbers are places in tables: the smallest free one is given next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Peer(pub u32);

/// A message on its way out: an envelope that the pattern writes, then what the user gave.
///
/// What the user gave as a slice stays one until it is encoded, so that the common send neither
/// copies nor allocates.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// Frames that go before the body.
    pub envelope: Message,
    /// What the user gave, less what the pattern took off it.
    pub body: Body<'a>,
}

/// What the user gave to send.
#[derive(Debug)]
pub enum Body<'a> {
    /// A message of one frame, borrowed.
    Slice(&'a [u8]),
    /// A message that is ours.
    Message(Message),
}

impl Body<'_> {
    /// How many frames there are.
    pub(crate) fn len(&self) -> usize {
        match self {
            Body::Slice(_) => 1,
            Body::Message(message) => message.len(),
        }
    }
}

impl<'a> Outgoing<'a> {
    /// A message without an envelope.
    pub const fn new(body: Body<'a>) -> Self {
        Outgoing { envelope: Message::new(), body }
    }

    /// The frames in the order of the wire, each with whether another follows.
    pub fn frames(&self) -> impl Iterator<Item = (&[u8], bool)> {
        let (slice, rest): (Option<&[u8]>, &[Frame]) = match &self.body {
            Body::Slice(slice) => (Some(slice), &[]),
            Body::Message(message) => (None, message.as_slice()),
        };
        let count = self.envelope.len() + usize::from(slice.is_some()) + rest.len();
        let envelope = self.envelope.iter().map(Frame::as_slice);
        let body = slice.into_iter().chain(rest.iter().map(Frame::as_slice));
        envelope.chain(body).enumerate().map(move |(at, frame)| (frame, at + 1 < count))
    }

    /// The first frame of the body: a topic, an identity.
    pub fn first(&self) -> Option<&[u8]> {
        match &self.body {
            Body::Slice(slice) => Some(slice),
            Body::Message(message) => message.first().map(Frame::as_slice),
        }
    }

    /// What a message of that kind of socket must be: of one frame at least, and of one only if
    /// the kind is one of the thread-safe ones (RFC 37, "Thread Safe Sockets").
    pub(crate) fn check_shape(&self, kind: Kind) -> Result<(), Misuse> {
        match self.body.len() {
            0 => Err(Misuse::Shape("a message has at least one frame")),
            1 => Ok(()),
            _ if kind.multipart() => Ok(()),
            _ => Err(Misuse::Shape("this kind of socket sends messages of one frame only")),
        }
    }

    /// The whole as an owned message, envelope first.
    pub fn into_message(self) -> Message {
        let Outgoing { mut envelope, body } = self;
        match body {
            Body::Slice(slice) => envelope.push(slice),
            Body::Message(message) if envelope.is_empty() => return message,
            Body::Message(message) => {
                envelope.set_routing_id(message.routing_id());
                envelope.extend(message);
            }
        }
        envelope
    }
}

impl<'a> From<&'a [u8]> for Outgoing<'a> {
    fn from(slice: &'a [u8]) -> Self {
        Outgoing::new(Body::Slice(slice))
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Outgoing<'a> {
    fn from(slice: &'a [u8; N]) -> Self {
        Outgoing::new(Body::Slice(slice))
    }
}

impl<'a> From<&'a str> for Outgoing<'a> {
    fn from(text: &'a str) -> Self {
        Outgoing::new(Body::Slice(text.as_bytes()))
    }
}

impl From<Message> for Outgoing<'_> {
    fn from(message: Message) -> Self {
        Outgoing::new(Body::Message(message))
    }
}

impl From<Frame> for Outgoing<'_> {
    fn from(frame: Frame) -> Self {
        Outgoing::from(Message::from(frame))
    }
}

impl From<Vec<u8>> for Outgoing<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Outgoing::from(Message::from(bytes))
    }
}

impl From<bytes::Bytes> for Outgoing<'_> {
    fn from(bytes: bytes::Bytes) -> Self {
        Outgoing::from(Message::from(bytes))
    }
}

impl From<String> for Outgoing<'_> {
    fn from(text: String) -> Self {
        Outgoing::from(Message::from(text))
    }
}

/// What a peer said about itself in the handshake.
#[derive(Clone, Debug)]
pub struct PeerInfo {
    /// What kind of socket it is.
    pub kind: Kind,
    /// Its `Identity` property; empty if it gave none.
    pub identity: Frame,
    /// Whether it takes SUBSCRIBE and CANCEL as commands (ZMTP 3.1) rather than as messages.
    pub subscribes_by_command: bool,
}

/// Something a pattern wants said to a peer that nobody asked it to send.
#[derive(Debug)]
pub struct Errand {
    /// Who is told.
    pub to: Peer,
    /// What.
    pub what: Said,
}

impl Errand {
    /// The empty message that tells a ROUTER of us (`ZMQ_PROBE_ROUTER`).
    pub(crate) fn probe(to: Peer) -> Self {
        Errand { to, what: Said::Message(Message::from(Frame::empty())) }
    }
}

/// A message, or a command of the traffic phase.
#[derive(Clone, Debug)]
pub enum Said {
    /// A message like any other: a probe, a welcome, a subscription of ZMTP 3.0.
    Message(Message),
    /// A command.
    Command(Command),
    /// Nothing: its connection is closed (STREAM, and ROUTER when raw, sent it an empty body).
    Goodbye,
}

/// Whether a peer's queue has room for one more message.
pub trait Room {
    /// Whether `peer` can take a message now. A peer that is not connected yet may have room.
    fn has_room(&self, peer: Peer) -> bool;
}

/// What becomes of an outgoing message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes to the peers named, and counts as sent.
    Send,
    /// Nobody can take it now: the sender waits and asks again. The message is as it was.
    Wait,
    /// It counts as sent, and nobody gets it.
    Drop,
}

/// What becomes of an incoming message or command.
#[derive(Debug)]
pub enum Delivery {
    /// The user receives this.
    Take(Message),
    /// The user sees nothing.
    Ignore,
    /// The peer broke the pattern's rules: its connection is closed.
    Close(&'static str),
}

impl From<Result<(), &'static str>> for Delivery {
    /// Of what concerns the pattern alone: ignored by the user, or a reason to close.
    fn from(dealt_with: Result<(), &'static str>) -> Self {
        match dealt_with {
            Ok(()) => Delivery::Ignore,
            Err(why) => Delivery::Close(why),
        }
    }
}

impl Delivery {
    /// Of a message that the user gets as it came, unless it has frames that its kind of socket
    /// must not have (RFC 37, "Thread Safe Sockets").
    pub(crate) fn of_kind(kind: Kind, mut message: Message) -> Self {
        if kind.multipart() {
            return Delivery::Take(message);
        }
        if message.len() != 1 {
            return Delivery::Ignore;
        }
        // It is the sender's number for us, where no wire was between.
        message.set_routing_id(0);
        Delivery::Take(message)
    }
}

/// A call that the pattern does not allow now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misuse {
    /// The socket's state machine forbids it now (libzmq: EFSM).
    #[error("{0}")]
    OutOfTurn(&'static str),
    /// This kind of socket never does that (ENOTSUP).
    #[error("a {0:?} socket cannot {1}")]
    NotSupported(Kind, &'static str),
    /// ROUTER with `router_mandatory`, SERVER, PEER: no such peer (EHOSTUNREACH).
    #[error("no peer is known by that identity")]
    Unroutable,
    /// The message has the wrong shape for this socket: too many frames, none, no identity, ...
    #[error("{0}")]
    Shape(&'static str),
}

/// The rules of one socket.
///
/// A peer's life: `attach` (it may get messages queued, if [`Attach::Connecting`]), `greet` each
/// time a connection to it is up, `hang_up` each time that is lost, `detach` for good. What had
/// come before a connection was lost may still be delivered after `hang_up`, not after `detach`.
pub trait Pattern: Send {
    /// Which rules.
    fn kind(&self) -> Kind;

    /// A peer exists. `Err` refuses it (PAIR, CHANNEL: there is one already).
    fn attach(&mut self, peer: Peer, how: Attach) -> Result<(), &'static str>;

    /// A connection to `peer` is up and its handshake is done. `Err` refuses it (ROUTER: another
    /// peer has that identity).
    fn greet(
        &mut self,
        peer: Peer,
        info: &PeerInfo,
        errands: &mut Vec<Errand>,
    ) -> Result<Greeted, &'static str>;

    /// The connection to `peer` is lost; it may come again.
    fn hang_up(&mut self, peer: Peer, errands: &mut Vec<Errand>);

    /// The peer is gone for good and its number will be used again. Nothing that it sent will be
    /// delivered any more: only now does a STREAM tell its user that an accepted connection went.
    fn detach(&mut self, peer: Peer, errands: &mut Vec<Errand>);

    /// Decides where `message` goes and writes its envelope. Peers to send to are added to `to`,
    /// which comes empty. If the answer is not [`Verdict::Send`], `to` and `message` are unchanged.
    /// `errands` is for a message that is a subscription (XSUB) or a goodbye (STREAM).
    fn route(
        &mut self,
        message: &mut Outgoing<'_>,
        room: &dyn Room,
        to: &mut Vec<Peer>,
        errands: &mut Vec<Errand>,
    ) -> Result<Verdict, Misuse>;

    /// How many copies of messages were not sent because a peer had no room, since last asked.
    fn take_dropped(&mut self, dropped: &mut Vec<(Peer, u64)>) {
        let _ = dropped;
    }

    /// Whether what came before a send is out of date once it is sent: then whoever drives the
    /// pattern passes all that has come through [`Pattern::deliver`], which ignores it, before
    /// [`Pattern::route`] (REQ when relaxed and not correlated).
    fn reads_before_sending(&self) -> bool {
        false
    }

    /// Whether a receive is allowed now.
    fn may_recv(&self) -> Result<(), Misuse>;

    /// Whether every message is delivered to the user as it came, whatever the state: then
    /// [`Pattern::deliver`] need not be asked (PULL, DEALER, PAIR).
    fn delivers_unchanged(&self) -> bool {
        false
    }

    /// The next message that the pattern itself has for the user: a subscription (XPUB), a
    /// connection that came or went (STREAM). Every receive asks for it before it asks the peers.
    fn notice(&mut self) -> Option<Message> {
        None
    }

    /// Whether [`Pattern::notice`] has one.
    fn has_notice(&self) -> bool {
        false
    }

    /// Whether more may be read from `peer` now. XPUB says no while the user leaves too many of
    /// its notices unread; what comes nevertheless ends in [`Delivery::Close`].
    fn may_read(&self, peer: Peer) -> bool {
        let _ = peer;
        true
    }

    /// The number by which the user of SERVER or PEER knows `peer` (RFC 41, RFC 51), from `attach`
    /// to `detach`; 0 for every other kind.
    fn routing_id(&self, peer: Peer) -> u32 {
        let _ = peer;
        0
    }

    /// How many topics anybody is subscribed to (PUB, XPUB), or the user is (SUB, XSUB):
    /// `ZMQ_TOPICS_COUNT`; 0 for every other kind.
    fn topics_count(&self) -> usize {
        0
    }

    /// A message came. It is asked under the same lock as [`Pattern::may_recv`], which allowed it,
    /// or by a send (see [`Pattern::reads_before_sending`]), or in the background.
    fn deliver(&mut self, from: Peer, message: Message, errands: &mut Vec<Errand>) -> Delivery;

    /// A SUBSCRIBE, CANCEL, JOIN or LEAVE command came.
    fn command(&mut self, from: Peer, command: Command, errands: &mut Vec<Errand>) -> Delivery {
        let _ = (from, command, errands);
        Delivery::Ignore
    }

    /// SUB, XSUB: begins to want topics with this prefix. DISH: joins this group. XPUB, when
    /// manual: gives the topic to the peer whose notice the user received last.
    fn subscribe(&mut self, topic: &[u8], errands: &mut Vec<Errand>) -> Result<(), Misuse> {
        let _ = (topic, errands);
        Err(Misuse::NotSupported(self.kind(), "subscribe"))
    }

    /// SUB, XSUB: takes one subscription back. DISH: leaves the group. `Err(Shape)` if there is
    /// none. XPUB, when manual: takes the topic from the peer whose notice was received last.
    fn unsubscribe(&mut self, topic: &[u8], errands: &mut Vec<Errand>) -> Result<(), Misuse> {
        let _ = (topic, errands);
        Err(Misuse::NotSupported(self.kind(), "unsubscribe"))
    }

    /// Sets a rule. It may change while the socket lives.
    fn set(&mut self, setting: Setting) -> Result<(), Misuse> {
        let _ = setting;
        Err(Misuse::NotSupported(self.kind(), "have that setting"))
    }
}

/// How a peer came to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attach {
    /// We connect to it: it can be given messages before it is there, if `early`.
    Connecting {
        /// Messages may be queued before the connection is up (libzmq: not `ZMQ_IMMEDIATE`).
        early: bool,
        /// The identity a ROUTER is to know it by (`ZMQ_CONNECT_ROUTING_ID`), or empty.
        identity: Frame,
    },
    /// It connected to us.
    Accepted,
}

impl Attach {
    /// Whether messages may be queued before the connection is up.
    pub(crate) fn is_early(&self) -> bool {
        matches!(self, Attach::Connecting { early: true, .. })
    }
}

/// What `greet` found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Greeted {
    /// It is one of our peers now.
    Welcome,
    /// The same, and it took the identity over from this one, whose connection is to be closed
    /// (`ZMQ_ROUTER_HANDOVER`).
    Replaces(Peer),
}

/// A rule of a pattern that the user may choose; the words are libzmq's.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each is a libzmq option of the same name")]
pub enum Setting {
    ReqRelaxed(bool),
    ReqCorrelate(bool),
    RouterMandatory(bool),
    RouterHandover(bool),
    RouterRaw(bool),
    ProbeRouter(bool),
    XpubVerbose(bool),
    XpubVerboser(bool),
    XpubManual(bool),
    XpubManualLastValue(bool),
    XpubNodrop(bool),
    XpubWelcome(Option<Message>),
    XsubVerboseUnsubscribe(bool),
    OnlyFirstSubscribe(bool),
    InvertMatching(bool),
    StreamNotify(bool),
}
