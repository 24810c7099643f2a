//! The socket patterns as state machines: which peer gets a message, which messages a user sees,
//! and what is said to a peer when it comes.
//!
//! A [`Pattern`] knows peers by number. It holds no peer's message for later: queues, their limits
//! and their waiting belong to who drives it. That one asks [`Pattern::route`] where a message
//! goes, and passes what arrives through [`Pattern::deliver`]. Only what the pattern itself has to
//! say to the user (a subscription came, a connection went) waits in it, for [`Pattern::notice`].
//!
//! | file | what it keeps | source |
//! |---|---|---|
//! | `attach`, `outgoing`, `outcome`, `setting` | the words in which a pattern is spoken to | |
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
mod attach;
mod balance;
mod dealer;
mod dish;
mod drops;
mod identities;
pub mod limits;
mod notices;
mod outcome;
mod outgoing;
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
mod setting;
mod stream;
mod trie;
mod xpub;
mod xsub;

#[cfg(test)]
mod exercise;

pub use self::attach::{Attach, Greeted, Peer, PeerInfo};
pub use self::outcome::{Delivery, Errand, Misuse, Room, Said, Verdict};
pub use self::outgoing::{Body, Outgoing};
pub use self::setting::Setting;

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

    /// Whether all that [`Pattern::deliver`] does with a message is to ignore it unless it is
    /// [wanted](Pattern::wants): it need not be asked then (SUB).
    fn delivers_wanted(&self) -> bool {
        false
    }

    /// Whether a message that begins with this frame is for the user, where that is all that
    /// decides ([`Pattern::delivers_wanted`]).
    fn wants(&self, first: &[u8]) -> bool {
        let _ = first;
        true
    }

    /// The next message that the pattern itself has for the user: a subscription (XPUB), a
    /// connection that came or went (STREAM). Every receive asks for it before it asks the peers.
    fn notice(&mut self) -> Option<Message> {
        None
    }

    /// Whether more may be read from `peer` now. XPUB says no while the user leaves too many
    /// messages of that peer unread; one that comes nevertheless ends in [`Delivery::Close`].
    fn may_read(&self, peer: Peer) -> bool {
        let _ = peer;
        true
    }

    /// The frame that goes before each message of `peer`, where that is all that
    /// [`Pattern::deliver`] does: it need not be asked then, as long as the connection is up and
    /// nobody [replaces](Greeted::Replaces) the peer (ROUTER).
    fn prefix(&self, peer: Peer) -> Option<&Frame> {
        let _ = peer;
        None
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

    /// A SUBSCRIBE, CANCEL, JOIN or LEAVE command came. [`Delivery::Close`] is for one that asks
    /// for more than the [`limits`] allow, or for what cannot be a group.
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
