//! One connection as the desk has it: being made, up, lost, made again.
//!
//! ```text
//!   dialled:    Resting --> Dialing --> Greeting --> Up --> (lost) Resting ...
//!   accepted:                           Greeting --> Up --> (lost) Over
//! ```

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use chaski_shm::pipe::{Bell, Dial, Listener, Pipe, PipeReceiver, PipeSender};
use chaski_shm::{BindError, ConnectError};
use chaski_zmtp::pattern::{Attach, Peer, PeerInfo};
use rustix::event::epoll::{self, EventData, EventFlags};

use super::desk::{About, Desk, SocketId};
use super::record::{self, HELLO};
use super::{LARGE_BYTES, Line, RING_BYTES, Receiver, Sender, limits};
use crate::driver::{Backoff, Reason, seed};
use crate::endpoint::{Address, Endpoint};
use crate::link::Route;
use crate::monitor::{HandshakeFailure, Lost, What};
use crate::options::Options;
use crate::socket::poller::bell_number;
use crate::socket::shared::Shared;

/// How long one dialling looks for a listener before it rests.
const DIAL_WITHIN: Duration = Duration::from_secs(1);

/// Pipes of one listener at once: more than a process commonly has descriptors for.
const PIPES_MAX: usize = 65_536;

/// A listener under a name.
pub(super) fn bind(name: &str) -> Result<Listener, BindError> {
    let builder = Listener::builder().light_sleep(true).large_bytes(LARGE_BYTES);
    builder.pipes_max(PIPES_MAX).bind(name)
}

/// A connection of a socket, or the way to one.
pub(super) struct Tie {
    socket: Weak<Shared>,
    pub(super) of: SocketId,
    id: u64,
    route: Arc<Route>,
    /// From the beginning if it was dialled, else once it is known who it is.
    line: Option<Arc<Line>>,
    pub(super) at: At,
    /// As they were at `connect`, or when the other side came.
    options: Arc<Options>,
    backoff: Backoff,
    /// It is let go when nothing waits to be sent, or at this time.
    leaving: Option<Option<Instant>>,
    /// The socket, which lives for as long as this one leaves.
    kept: Option<Arc<Shared>>,
}

/// How far it is.
#[expect(clippy::large_enum_variant, reason = "there is one for each connection, and few are made")]
pub(super) enum At {
    Resting { until: Option<Instant> },
    Dialing(Dial),
    Greeting { sender: PipeSender, receiver: PipeReceiver, until: Option<Instant> },
    Up { bell: Bell },
    Over,
}

impl Tie {
    pub(super) fn dialled(socket: &Arc<Shared>, route: Arc<Route>, line: Arc<Line>) -> Tie {
        let now = At::Resting { until: Some(Instant::now()) };
        Tie { line: Some(line), ..Tie::new(socket, route, 0, now) }.numbered()
    }

    pub(super) fn accepted(socket: &Arc<Shared>, route: Arc<Route>, id: u64) -> Tie {
        Tie::new(socket, route, id, At::Over)
    }

    fn new(socket: &Arc<Shared>, route: Arc<Route>, id: u64, at: At) -> Tie {
        let of = SocketId::of(socket);
        let options = socket.options();
        let backoff = Backoff::new(&options);
        let socket = Arc::downgrade(socket);
        let (line, leaving, kept) = (None, None, None);
        Tie { socket, of, id, route, line, at, options, backoff, leaving, kept }
    }

    /// By the number of its line.
    fn numbered(mut self) -> Tie {
        self.id = self.line.as_ref().map_or(self.id, |line| line.id);
        self
    }

    /// Whether it belongs to this socket, and was dialled at this endpoint if one is given.
    pub(super) fn is_of(&self, socket: SocketId, dialled: Option<&Endpoint>) -> bool {
        self.of == socket
            && !matches!(self.at, At::Over)
            && dialled.is_none_or(|endpoint| {
                self.route.dialled && self.leaving.is_none() && self.route.endpoint == *endpoint
            })
    }

    pub(super) fn is_for(&self, peer: Peer) -> bool {
        self.line.as_ref().is_some_and(|line| line.peer == peer)
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(self.at, At::Up { .. })
    }

    /// Whether the socket has no other peer this way.
    pub(super) fn note_alone(&self, alone: bool) {
        if let Some(line) = &self.line {
            line.alone.store(alone && !line.in_background, Ordering::Relaxed);
        }
    }

    /// When there is something to do without an event.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let own = match &self.at {
            At::Resting { until } | At::Greeting { until, .. } => *until,
            _ => None,
        };
        own.into_iter().chain(self.leaving.flatten()).min()
    }

    pub(super) fn tick(&mut self, desk: &Desk, now: Instant) {
        if self.socket.upgrade().is_none() {
            self.at = At::Over;
        }
        self.check_leaving(now);
        match &self.at {
            At::Resting { until: Some(until) } if *until <= now => self.dial(desk),
            At::Greeting { until: Some(until), .. } if *until <= now => {
                self.greeting_failed("no first record came in time");
            }
            _ => {}
        }
    }

    /// Something happened at the descriptor of what it is at.
    pub(super) fn attend(&mut self, desk: &Desk) {
        match &mut self.at {
            At::Dialing(dial) => match dial.poll() {
                None => {}
                Some(Ok(pipe)) => {
                    self.tell(|| What::Connected);
                    self.greet(desk, pipe);
                }
                Some(Err(error)) => self.rest(reason(&error), error.to_string()),
            },
            At::Greeting { .. } => self.hear(desk),
            At::Up { .. } => self.empty(desk),
            At::Resting { .. } | At::Over => {}
        }
    }

    fn dial(&mut self, desk: &Desk) {
        let Address::Shm(name) = self.route.endpoint.address() else { return };
        let builder = Pipe::builder().light_sleep(true).ring_bytes(RING_BYTES);
        let builder = builder.large_bytes(LARGE_BYTES).connect_within(DIAL_WITHIN);
        match builder.dial(name) {
            Ok(dial) => {
                let flags = EventFlags::IN | EventFlags::ET;
                let _ = desk.watch(&dial, self.id, About::Attention, flags);
                self.at = At::Dialing(dial);
                // Its first knock may be over.
                self.attend(desk);
            }
            Err(error) => self.rest(reason(&error), error.to_string()),
        }
    }

    /// Tries again later, or never.
    fn rest(&mut self, reason: Reason, why: String) {
        let Some(after) = self.backoff.next(&self.options, reason, seed()) else {
            self.tell(|| What::ConnectStopped(why));
            return self.end();
        };
        self.tell(|| What::ConnectRetried { after, why });
        self.at = At::Resting { until: Instant::now().checked_add(after) };
    }

    /// Lets go of the peer for good.
    fn end(&mut self) {
        if let Some(line) = self.line.take() {
            line.outgoing().close();
            if let Some(bell) = line.incoming().unplug() {
                bell.close();
            }
            if let Some(socket) = self.socket.upgrade() {
                socket.gone(line.peer);
            }
        }
        self.at = At::Over;
    }

    /// A pipe is there: says who this side is, and listens for who the other is.
    pub(super) fn greet(&mut self, desk: &Desk, pipe: Pipe) {
        let Some(socket) = self.socket.upgrade() else { return self.at = At::Over };
        let options = socket.options();
        let (mut sender, receiver) = pipe.split();
        let hello = record::hello(socket.kind, &options.routing_id);
        if sender.try_stage(HELLO, &[&hello]).is_err() {
            return self.greeting_failed("it ended at once");
        }
        sender.publish();
        let ivl = options.handshake_ivl;
        let until = if ivl.is_zero() { None } else { Instant::now().checked_add(ivl) };
        let flags = EventFlags::IN | EventFlags::ET;
        let _ = desk.watch(&receiver, self.id, About::Attention, flags);
        self.at = At::Greeting { sender, receiver, until };
        self.hear(desk);
    }

    /// Hears the first record of the other side, if it has come.
    fn hear(&mut self, desk: &Desk) {
        let At::Greeting { receiver, .. } = &mut self.at else { return };
        let bell = receiver.bell();
        let mut payload = Vec::new();
        let record = loop {
            bell.clear();
            match receiver.try_recv(&mut payload) {
                Ok(Some(record)) => break record,
                Ok(None) if receiver.arm() => return,
                Ok(None) => {}
                Err(_) => return self.greeting_failed("it ended in the handshake"),
            }
        };
        let Some(socket) = self.socket.upgrade() else { return self.at = At::Over };
        if record.tag != HELLO {
            return self.greeting_failed("its first record is another");
        }
        match record::read_hello(socket.kind, &payload) {
            Ok(info) => self.up(desk, &socket, info),
            Err(why) => self.greeting_failed(why),
        }
    }

    fn greeting_failed(&mut self, why: &'static str) {
        self.tell(|| What::HandshakeFailed(HandshakeFailure::Protocol(why.to_owned())));
        match self.route.dialled {
            true => self.rest(Reason::Handshake, why.to_owned()),
            false => self.at = At::Over,
        }
    }

    /// Both know each other: from here on messages flow.
    fn up(&mut self, desk: &Desk, socket: &Arc<Shared>, info: PeerInfo) {
        let At::Greeting { sender, receiver, .. } = std::mem::replace(&mut self.at, At::Over)
        else {
            return;
        };
        let bell = receiver.bell();
        let Some(line) = self.line.clone().or_else(|| self.attach(desk, socket)) else {
            return self.greeting_failed("the socket takes no more peers");
        };
        line.outgoing().plug(sender);
        if let Err(why) = socket.up_near(line.peer, info) {
            line.outgoing().unplug();
            if !self.route.dialled {
                socket.gone(line.peer);
            }
            return self.greeting_failed(why);
        }
        line.incoming().plug(receiver, bell.clone());
        let flags = EventFlags::RDHUP | EventFlags::ET;
        let watched = desk.watch(bell.lifeline(), self.id, About::Lifeline, flags);
        // The socket's poll is an epoll instance.
        let data = EventData::new_u64(bell_number(line.peer));
        let joined = epoll::add(socket.as_ref(), &bell, data, EventFlags::IN | EventFlags::ET);
        self.at = At::Up { bell };
        self.backoff = Backoff::new(&self.options);
        self.tell(|| What::HandshakeSucceeded);
        line.watched.store(false, Ordering::Release);
        if line.outgoing().spills() {
            line.watch();
        }
        if watched.is_err() || joined.is_err() {
            return self.over(desk, Lost::Io(std::io::ErrorKind::OutOfMemory));
        }
        socket.room();
        if line.in_background {
            self.read();
        } else {
            // The look arms it, and who sleeps already is in the poll.
            self.unwatch(desk);
            socket.rouse(line.peer);
        }
    }

    /// A peer for one who was accepted, and the line to it.
    fn attach(&mut self, desk: &Desk, socket: &Arc<Shared>) -> Option<Arc<Line>> {
        let peer = socket.attach(Attach::Accepted, Arc::clone(&self.route)).ok()?;
        let desk = desk.shared()?;
        let line = Line::new(self.id, desk, socket, peer, limits(socket));
        socket.lay(peer, Box::new(Sender(Arc::clone(&line))), Receiver::new(&line));
        self.line = Some(Arc::clone(&line));
        Some(line)
    }

    /// The bell concerns the socket alone, for now.
    fn unwatch(&self, desk: &Desk) {
        if let At::Up { bell } = &self.at {
            let _ = desk.watch(bell, self.id, About::Attention, EventFlags::empty());
        }
    }

    /// Watches the bell until it has rung, to empty the queue.
    pub(super) fn watch_bell(&mut self, desk: &Desk) {
        if let (At::Up { bell }, Some(line)) = (&self.at, &self.line) {
            let flags = EventFlags::IN | EventFlags::ET;
            let flags = if line.in_background { flags } else { flags | EventFlags::ONESHOT };
            let _ = desk.watch(bell, self.id, About::Attention, flags);
        }
        // What has rung before has been cleared by somebody, perhaps.
        self.empty(desk);
    }

    /// The bell rang, perhaps for room.
    fn empty(&mut self, desk: &Desk) {
        let (Some(line), Some(socket)) = (self.line.clone(), self.socket.upgrade()) else { return };
        let mut outgoing = line.outgoing();
        let cleared = outgoing.clear();
        let done = outgoing.pump();
        if !done {
            outgoing.wait();
        }
        let spills = outgoing.spills();
        drop(outgoing);
        line.watched.store(spills, Ordering::Release);
        socket.room();
        if line.in_background {
            self.read();
        } else if cleared {
            socket.rouse(line.peer);
        }
        if spills
            && !line.in_background
            && let At::Up { bell } = &self.at
        {
            let flags = EventFlags::IN | EventFlags::ET | EventFlags::ONESHOT;
            let _ = desk.watch(bell, self.id, About::Attention, flags);
        }
        self.check_leaving(Instant::now());
    }

    /// Reads what nobody receives.
    pub(super) fn read(&self) {
        if let (Some(line), Some(socket)) = (&self.line, self.socket.upgrade()) {
            socket.service(line.peer, Instant::now());
        }
    }

    /// The other end is gone. What it sent is received first, as far as there is room for it.
    pub(super) fn hung_up(&mut self) {
        if let (At::Up { bell }, Some(line)) = (&self.at, &self.line) {
            bell.close();
            match self.route.dialled {
                // What is sent from now on is for the next connection.
                true => line.outgoing().unplug(),
                false => line.outgoing().close(),
            }
            self.read();
            if let Some(socket) = self.socket.upgrade() {
                socket.rouse(line.peer);
            }
        }
    }

    /// The connection is over, and what it brought has been received.
    pub(super) fn over(&mut self, _desk: &Desk, why: Lost) {
        let At::Up { bell } = &self.at else { return };
        bell.close();
        let Some(line) = &self.line else { return };
        line.outgoing().unplug();
        line.incoming().unplug();
        line.watched.store(false, Ordering::Release);
        self.tell(|| What::Disconnected(why));
        let Some(socket) = self.socket.upgrade() else { return self.at = At::Over };
        if self.route.dialled && self.leaving.is_none() {
            socket.down(line.peer);
            self.rest(Reason::Lost, why.to_string());
        } else {
            socket.gone(line.peer);
            self.at = At::Over;
        }
    }

    /// Lets go of it when nothing waits to be sent, or at a time; by default the socket's linger
    /// time from now on.
    pub(super) fn let_go(&mut self, until: Option<Option<Instant>>) {
        let linger = || self.socket.upgrade().and_then(|socket| socket.options().linger);
        let until =
            until.unwrap_or_else(|| linger().and_then(|time| Instant::now().checked_add(time)));
        self.leaving = Some(until);
        self.kept = self.socket.upgrade();
        self.check_leaving(Instant::now());
    }

    fn check_leaving(&mut self, now: Instant) {
        let Some(until) = self.leaving else { return };
        if matches!(self.at, At::Over) {
            return;
        }
        let sent = self.line.as_ref().is_none_or(|line| line.outgoing().is_empty());
        if !sent && until.is_none_or(|until| now < until) {
            return;
        }
        self.end();
    }

    fn tell(&self, what: impl FnOnce() -> What) {
        if let Some(socket) = self.socket.upgrade() {
            socket.announcer.tell(&self.route.endpoint, None, what);
        }
    }
}

fn reason(error: &ConnectError) -> Reason {
    match error {
        ConnectError::NotFound { .. } => Reason::Refused,
        _ => Reason::Unreachable,
    }
}
