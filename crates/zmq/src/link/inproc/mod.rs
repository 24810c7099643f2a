//! Sockets of one context that reach each other by a name: `inproc://name`.
//!
//! A connection is two pipes ([`pipe`]), one each way. Nothing is encoded: messages move as values,
//! through rings, but for short bodies that were lent, whose bytes do ([`lent`]). What two peers
//! would tell each other in a handshake, they are told by [`Names`], which knows both.
//!
//! ```text
//!   connect                         bind
//!     lay the near ends               claim the name
//!     bound? ------ no: wait -------> for each who waits
//!       |                               |
//!       '------ yes: meet <-------------'
//!                 attach, lay, up_near at the one who is bound; up_near at the one who connected
//! ```
//!
//! The order does not matter: who connects can send at once, up to its own SNDHWM, and its messages
//! wait in the pipe for whoever is bound to the name later. From then on a direction holds the
//! SNDHWM of its sender plus the RCVHWM of its receiver, to the message; 0 of either is no limit.
//!
//! A name is known in one context. Its lock is held while two sockets meet, so that none can go, or
//! give up its peer's number, in between: therefore nobody calls [`Names`] with the lock of a
//! socket in hand.

mod lent;
mod pipe;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Wake, Waker};

use chaski_zmtp::pattern::{Attach, Peer, PeerInfo};
use chaski_zmtp::{Frame, Kind};

use self::pipe::{Limit, Receiver, Sender, pipe};
use super::{NearReceiver, NearSender, Route};
use crate::endpoint::Endpoint;
use crate::monitor::{HandshakeFailure, What};
use crate::socket::shared::Shared;
use crate::wake::{Held, hold};

/// The inproc names of a context.
#[derive(Default)]
pub(crate) struct Names {
    names: Mutex<HashMap<String, Name>>,
}

/// The name of who authenticates peers (RFC 27).
pub(crate) const NAME_OF_ZAP: &str = "zeromq.zap.01";

/// How many requests wait in the pipe to that one.
const REQUESTS_MAX: u32 = 1024;

/// The two halves of a connection without a socket at this end.
pub(crate) type Ends = (Box<dyn NearSender>, Box<dyn NearReceiver>);

/// Somebody else is bound to the name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Taken;

/// Who is at a name: one who is bound, or any number who wait for one.
#[derive(Default)]
struct Name {
    bound: Option<Bound>,
    waiting: Vec<Caller>,
}

struct Bound {
    socket: Weak<Shared>,
    route: Arc<Route>,
}

/// One who connected, with the far ends of its pipes.
struct Caller {
    socket: Weak<Shared>,
    peer: Peer,
    party: Party,
    endpoint: Endpoint,
    sender: Sender,
    receiver: Receiver,
}

/// What a socket tells about itself.
struct Party {
    info: PeerInfo,
    sndhwm: u32,
    rcvhwm: u32,
    conflate: bool,
}

impl Names {
    /// Binds a socket to a name, and brings it together with all who wait there.
    pub(crate) fn bind(
        &self,
        name: &str,
        socket: &Arc<Shared>,
        endpoint: &Endpoint,
    ) -> Result<(), Taken> {
        let mut names = self.lock();
        let entry = names.entry(name.to_owned()).or_default();
        if entry.bound.as_ref().is_some_and(|bound| bound.socket.strong_count() > 0) {
            return Err(Taken);
        }
        let route = Arc::new(Route { endpoint: endpoint.clone(), dialled: false });
        entry.bound = Some(Bound { socket: Arc::downgrade(socket), route: Arc::clone(&route) });
        socket.announcer.tell(endpoint, None, || What::Listening);
        for caller in std::mem::take(&mut entry.waiting) {
            meet(caller, socket, &route);
        }
        Ok(())
    }

    /// Gives a name back; `false` if this socket is not bound to it. Connections made by it stay.
    pub(crate) fn unbind(&self, name: &str, socket: &Arc<Shared>) -> bool {
        let mut names = self.lock();
        let entry = names.get_mut(name);
        let taken = entry.and_then(|entry| entry.bound.take_if(|bound| is(&bound.socket, socket)));
        let Some(bound) = taken else { return false };
        tidy(&mut names, name);
        socket.announcer.tell(&bound.route.endpoint, None, || What::Closed);
        true
    }

    /// Connects a peer that the socket has attached: to who is bound to the name, or to who will
    /// be. It may be called again for the same peer when the connection was lost.
    pub(crate) fn connect(
        &self,
        name: &str,
        socket: &Arc<Shared>,
        peer: Peer,
        endpoint: &Endpoint,
    ) {
        let party = Party::of(socket);
        let (sender, far_receiver) = pipe(party.alone(party.sndhwm));
        let (far_sender, receiver) = pipe(party.alone(party.rcvhwm));
        sender.set_waker(waker(socket, News::Room));
        receiver.set_waker(waker(socket, News::Arrival(peer)));
        let caller = Caller {
            socket: Arc::downgrade(socket),
            peer,
            party,
            endpoint: endpoint.clone(),
            sender: far_sender,
            receiver: far_receiver,
        };
        // Declared before the lock, so dropped after it.
        let bound;
        let mut names = self.lock();
        socket.has_near_peers();
        socket.lay(peer, Box::new(sender), Box::new(receiver));
        let entry = names.entry(name.to_owned()).or_default();
        let there = |bound: &Bound| Some((bound.socket.upgrade()?, Arc::clone(&bound.route)));
        bound = entry.bound.as_ref().and_then(there);
        match &bound {
            Some((socket, route)) => meet(caller, socket, route),
            None => {
                socket.announcer.tell(endpoint, None, || What::ConnectDelayed);
                entry.waiting.push(caller);
            }
        }
    }

    /// Whether a socket is bound to a name now.
    pub(crate) fn is_bound(&self, name: &str) -> bool {
        let bound = |entry: &Name| entry.bound.as_ref().map(|bound| bound.socket.strong_count());
        self.lock().get(name).and_then(bound).is_some_and(|count| count > 0)
    }

    /// Connects to who is bound to a name now, as a REQ would that has no socket: `waker` tells of
    /// what comes, under locks of the socket that sends it, so it must take none that is held when
    /// this is called.
    pub(crate) fn call(&self, name: &str, waker: Waker) -> Option<Ends> {
        let kind = Kind::Req;
        let identity = Frame::empty();
        let info = PeerInfo { kind, identity, subscribes_by_command: true };
        let party = Party { info, sndhwm: REQUESTS_MAX, rcvhwm: 0, conflate: false };
        let (sender, far_receiver) = pipe(Limit::Messages(REQUESTS_MAX as usize));
        let (far_sender, receiver) = pipe(Limit::Unlimited);
        receiver.set_waker(waker);
        // Declared before the lock, so dropped after it.
        let socket;
        let names = self.lock();
        let bound = names.get(name)?.bound.as_ref()?;
        socket = bound.socket.upgrade()?;
        let caller = Caller {
            socket: Weak::new(),
            peer: Peer(0),
            party,
            endpoint: bound.route.endpoint.clone(),
            sender: far_sender,
            receiver: far_receiver,
        };
        meet(caller, &socket, &bound.route);
        Some((Box::new(sender), Box::new(receiver)))
    }

    /// Waits no longer at a name for this peer. Comes before [`Shared::gone`] of a peer that was
    /// connected.
    pub(crate) fn disconnect(&self, name: &str, socket: &Arc<Shared>, peer: Peer) {
        let mut names = self.lock();
        let Some(entry) = names.get_mut(name) else { return };
        entry.waiting.retain(|caller| caller.peer != peer || !is(&caller.socket, socket));
        tidy(&mut names, name);
    }

    /// Gives all names of a socket back, and what waits of it at others.
    pub(crate) fn leave(&self, socket: &Arc<Shared>) {
        self.lock().retain(|_, entry| {
            entry.bound.take_if(|bound| is(&bound.socket, socket));
            entry.waiting.retain(|caller| !is(&caller.socket, socket));
            !entry.is_empty()
        });
    }

    fn lock(&self) -> Held<'_, HashMap<String, Name>> {
        hold(&self.names)
    }
}

impl Name {
    fn is_empty(&self) -> bool {
        self.bound.is_none() && self.waiting.is_empty()
    }
}

/// Forgets a name where nobody is.
fn tidy(names: &mut HashMap<String, Name>, name: &str) {
    if names.get(name).is_some_and(Name::is_empty) {
        names.remove(name);
    }
}

fn is(one: &Weak<Shared>, other: &Arc<Shared>) -> bool {
    std::ptr::eq(one.as_ptr(), Arc::as_ptr(other))
}

/// Brings one who connected and one who is bound together. Where they do not suit each other, the
/// far ends are dropped, and the one who connected finds its connection lost.
fn meet(caller: Caller, socket: &Arc<Shared>, route: &Arc<Route>) {
    let Caller { socket: there, peer: far_peer, party, endpoint, sender, receiver } = caller;
    let there = there.upgrade();
    let ours = Party::of(socket);
    let refuse = |why: &str| {
        let failed = || What::HandshakeFailed(HandshakeFailure::Protocol(why.to_owned()));
        socket.announcer.tell(&route.endpoint, None, failed);
        if let Some(there) = &there {
            there.announcer.tell(&endpoint, None, failed);
        }
    };
    if !ours.info.kind.compatible(party.info.kind) {
        return refuse("the two kinds of sockets do not talk to each other");
    }
    socket.announcer.tell(&route.endpoint, None, || What::Accepted);
    let peer = match socket.attach(Attach::Accepted, Arc::clone(route)) {
        Ok(peer) => peer,
        Err(why) => return refuse(why),
    };
    sender.set_limit(Party::limit(&ours, &party));
    receiver.set_limit(Party::limit(&party, &ours));
    sender.set_waker(waker(socket, News::Room));
    receiver.set_waker(waker(socket, News::Arrival(peer)));
    socket.has_near_peers();
    socket.lay(peer, Box::new(sender), Box::new(receiver));
    let greeted = socket.up_near(peer, party.info).and_then(|()| match &there {
        // It has closed, and leaves behind what it sent.
        None => Ok(()),
        Some(there) => there.up_near(far_peer, ours.info),
    });
    if let Err(why) = greeted {
        socket.gone(peer);
        return refuse(why);
    }
    socket.announcer.tell(&route.endpoint, None, || What::HandshakeSucceeded);
    if let Some(there) = &there {
        there.announcer.tell(&endpoint, None, || What::Connected);
        there.announcer.tell(&endpoint, None, || What::HandshakeSucceeded);
    }
}

impl Party {
    fn of(socket: &Shared) -> Self {
        let options = socket.options();
        let kind = socket.kind;
        let identity = if kind.sends_identity() { options.routing_id.as_slice() } else { &[] };
        let info = PeerInfo {
            kind,
            identity: Frame::copy_from_slice(identity),
            subscribes_by_command: true,
        };
        Party { info, sndhwm: options.sndhwm, rcvhwm: options.rcvhwm, conflate: options.conflate }
    }

    /// What a direction holds while only one of its sockets is known.
    fn alone(&self, hwm: u32) -> Limit {
        match hwm {
            _ if self.conflate => Limit::Newest,
            0 => Limit::Unlimited,
            hwm => Limit::Messages(hwm as usize),
        }
    }

    /// What a direction holds.
    fn limit(from: &Party, to: &Party) -> Limit {
        match (from.sndhwm, to.rcvhwm) {
            _ if from.conflate || to.conflate => Limit::Newest,
            (0, _) | (_, 0) => Limit::Unlimited,
            (send, receive) => Limit::Messages(send as usize + receive as usize),
        }
    }
}

/// What a pipe tells a socket.
#[derive(Clone, Copy)]
enum News {
    /// Something came from this peer.
    Arrival(Peer),
    /// There is room.
    Room,
}

/// Tells a socket, as long as it lives.
struct Herald {
    socket: Weak<Shared>,
    news: News,
}

impl Wake for Herald {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let Some(socket) = self.socket.upgrade() else { return };
        match self.news {
            News::Arrival(peer) => socket.rouse(peer),
            News::Room => socket.room(),
        }
    }
}

fn waker(socket: &Arc<Shared>, news: News) -> Waker {
    Waker::from(Arc::new(Herald { socket: Arc::downgrade(socket), news }))
}
