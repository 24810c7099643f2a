//! The driver's thread: a poll, what is registered with it, and what is due.
//!
//! What is registered is a [`Source`], known by a token that is never used again, so that an event
//! or a timer that comes late finds nobody instead of a stranger. What it does is told by the
//! files beside this one, each of which adds its part to [`Engine`].

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chaski_zmtp::pattern::Peer;
use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use super::close::Done;
use super::dial::Dial;
use super::guard::Culprit;
use super::inbox::{Command, Common};
use super::linger::Parting;
use super::listen::Listener;
use super::meet::Meeting;
use super::tend::Tended;
use super::timers::Timers;
use super::{PeerKey, SocketId};
use crate::endpoint::Endpoint;
use crate::link::Route;
use crate::monitor::Lost;
use crate::socket::shared::Shared;

/// The token of the waker.
pub(super) const WAKE: Token = Token(0);

/// How many events are taken from the poll at a time.
const EVENTS_PER_TURN: usize = 256;

/// How long the thread rests if its poll fails, which no descriptor of its own can make it do.
const POLL_FAILED_PAUSE: Duration = Duration::from_millis(10);

/// The driver's thread.
pub(super) struct Engine {
    pub(super) poll: Poll,
    pub(super) common: Arc<Common>,
    /// When this turn began.
    pub(super) now: Instant,
    pub(super) sources: HashMap<usize, Source>,
    next_token: usize,
    pub(super) peers: HashMap<PeerKey, Tie>,
    pub(super) stations: HashMap<SocketId, Station>,
    pub(super) timers: Timers<Due>,
    /// Listeners that may have more to accept.
    pub(super) eager: Vec<usize>,
    /// What handshakes read into.
    pub(super) page: Vec<u8>,
    /// No handle of the driver is left.
    quits: bool,
    /// Stirs the waits between attempts to connect.
    pub(super) serial: u64,
    /// Numbers the dials, and leaves room for the attempts of each.
    pub(super) dials: u64,
}

/// What is registered with the poll.
pub(super) enum Source {
    /// Accepts connections.
    Listener(Box<Listener>),
    /// A connection that is being made: by the system, a proxy, a handshake.
    Meeting(Box<Meeting>),
    /// A connection in traffic, whose descriptor is the socket's.
    Tended(Tended),
    /// A connection that is closed here, and not yet at the other end.
    Parting(Parting),
    /// The poll of a socket that tasks wait for.
    Watch(Arc<Shared>),
}

/// A socket that the driver has something to do for.
pub(super) struct Station {
    pub(super) socket: Arc<Shared>,
    /// How many peers of it the driver has.
    pub(super) ties: usize,
    /// The token of its watched poll.
    pub(super) watch: Option<usize>,
    /// It has something in shared memory, to be waited for at its end.
    pub(super) shares: bool,
    /// It is closed by its user; whom to tell when it is.
    pub(super) closing: Option<Arc<Done>>,
}

/// A peer of a socket.
pub(super) struct Tie {
    pub(super) socket: Arc<Shared>,
    pub(super) route: Arc<Route>,
    /// How to connect to it; `None` if it connected to us.
    pub(super) dial: Option<Box<Dial>>,
    pub(super) at: At,
    /// It goes when what waits for it is sent, and at this time if there is one.
    pub(super) leaving: Option<Option<Instant>>,
    /// A timer looks at it while it is leaving.
    pub(super) leaving_timed: bool,
}

/// How far a connection to a peer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    /// There is none: a timer or a look-up is under way.
    Nothing,
    /// It is being made, by the source of this token.
    Meeting(usize),
    /// It is up, and tended by the source of this token.
    Up(usize),
}

/// What a timer is for. The source or peer may be gone when it is due.
pub(super) enum Due {
    /// The next attempt to connect, if it is still this one.
    Dial(PeerKey, u64),
    /// A connection takes too long to be made.
    Connect(usize),
    /// A handshake that we began takes too long.
    Handshake(usize),
    /// The oldest handshakes of a listener may take too long.
    Handshakes(usize),
    /// Input may wait that nobody reads.
    Look(usize),
    /// Input was left that had been read.
    More(usize),
    /// A heartbeat.
    Beat(usize),
    /// Something must have been read since so many reads.
    Alive(usize, u64),
    /// The same, by what the peer said of itself.
    Ttl(usize, u64),
    /// A listener that rests may go on.
    Resume(usize),
    /// The cookies of a CURVE listener get a new key.
    Cookies(usize),
    /// A peer that lingers.
    Leaving(PeerKey),
    /// A connection that parts takes too long.
    Part(usize),
    /// A socket that is being closed.
    Closed(SocketId),
    /// A near peer is to be connected again.
    Near(Arc<Shared>, Peer, Endpoint),
}

impl Engine {
    pub(super) fn new(poll: Poll, common: Arc<Common>) -> Self {
        Engine {
            poll,
            common,
            now: Instant::now(),
            sources: HashMap::new(),
            next_token: WAKE.0 + 1,
            peers: HashMap::new(),
            stations: HashMap::new(),
            timers: Timers::new(),
            eager: Vec::new(),
            page: Vec::new(),
            quits: false,
            serial: super::seed(),
            dials: 0,
        }
    }

    /// Serves until no handle of the driver is left.
    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS_PER_TURN);
        loop {
            let wait = if self.eager.is_empty() {
                self.timers.wait(self.now)
            } else {
                Some(Duration::ZERO)
            };
            if let Err(error) = self.poll.poll(&mut events, wait)
                && error.kind() != io::ErrorKind::Interrupted
            {
                std::thread::sleep(POLL_FAILED_PAUSE);
            }
            self.now = Instant::now();
            for event in &events {
                let token = event.token().0;
                self.guard(Culprit::Source(token), |engine| engine.event(event));
            }
            for command in self.common.take() {
                self.guard(Culprit::of_command(&command), |engine| engine.command(command));
            }
            // Connections that part are given the time for it: there are none but those now.
            if self.quits && self.sources.is_empty() {
                return;
            }
            for token in std::mem::take(&mut self.eager) {
                self.guard(Culprit::Source(token), |engine| engine.accept(token));
            }
            while let Some(due) = self.timers.due(self.now) {
                self.guard(Culprit::of_due(&due), |engine| engine.due(due));
            }
            self.now = Instant::now();
        }
    }

    fn event(&mut self, event: &Event) {
        let token = event.token().0;
        match self.sources.get(&token) {
            Some(Source::Listener(_)) => self.accept(token),
            Some(Source::Meeting(_)) => self.meet(token),
            Some(Source::Tended(_)) => self.tend(token, event),
            Some(Source::Parting(_)) => self.part(token),
            Some(Source::Watch(_)) => self.watched(token),
            None => {}
        }
    }

    pub(super) fn command(&mut self, command: Command) {
        match command {
            Command::Listen { socket, listener } => self.listen(&socket, listener),
            Command::Dial { socket, peer, endpoint } => self.dial(socket, peer, endpoint),
            Command::Unlisten { socket, endpoint, found } => {
                // Who asked may have given up waiting.
                let _ = found.send(self.unlisten(socket, Some(&endpoint)));
            }
            Command::Undial { socket, endpoint, found } => {
                let _ = found.send(self.undial(socket, &endpoint));
            }
            Command::Lost { socket, peer, connection, why } => {
                self.lost(&socket, peer, connection, why);
            }
            Command::Part { peer } => self.let_one_go(peer),
            Command::Stuck { peer } => self.stuck(peer),
            Command::Lives { peer, ttl } => self.lives(peer, ttl),
            Command::Close { socket, linger, shares, done } => {
                self.close(&socket, linger, shares, done);
            }
            Command::Watch { socket } => self.watch(&socket),
            Command::Resolved { peer, attempt, found } => self.resolved(peer, attempt, found),
            Command::Answered { token, reply } => self.answered(token, reply),
            Command::Quit => self.quits = true,
        }
    }

    /// The data path met the end of a connection. By wire, there may be another since.
    fn lost(&mut self, socket: &Arc<Shared>, peer: Peer, connection: u64, why: Lost) {
        let key = PeerKey::of(socket, peer);
        if !self.peers.contains_key(&key) {
            self.lose_near(socket, peer, why);
        } else if socket.link(peer).is_some_and(|link| link.connection() == connection) {
            self.lose(key, why);
        }
    }

    fn due(&mut self, due: Due) {
        match due {
            Due::Dial(peer, attempt) => self.attempt(peer, attempt),
            Due::Connect(token) => self.connect_timeout(token),
            Due::Handshake(token) => self.handshake_timeout(token),
            Due::Handshakes(listener) => self.handshake_timeouts(listener),
            Due::Look(token) => self.look(token),
            Due::More(token) => self.look_on(token),
            Due::Beat(token) => self.beat(token),
            Due::Alive(token, reads) => self.answered_ping(token, reads),
            Due::Ttl(token, reads) => self.check_ttl(token, reads),
            Due::Resume(token) => self.resume(token),
            Due::Cookies(token) => self.renew_cookies(token),
            Due::Leaving(peer) => self.leaving_due(peer),
            Due::Part(token) => self.parted(token),
            Due::Closed(socket) => self.check_closed(socket),
            Due::Near(socket, peer, endpoint) => self.meet_again(&socket, peer, &endpoint),
        }
    }

    /// A timer from now. A wait beyond what a clock can show has no end, and needs no timer.
    pub(super) fn after(&mut self, wait: Duration, due: Due) {
        if let Some(at) = self.now.checked_add(wait) {
            self.timers.set(at, due);
        }
    }

    /// Registers a descriptor and gives its source a token.
    pub(super) fn register(
        &mut self,
        fd: RawFd,
        interest: Interest,
        source: impl FnOnce(usize) -> Source,
    ) -> io::Result<usize> {
        let token = self.next_token;
        self.next_token += 1;
        self.poll.registry().register(&mut SourceFd(&fd), Token(token), interest)?;
        self.sources.insert(token, source(token));
        Ok(token)
    }

    /// Changes what a descriptor is watched for. If that is there already, an event follows.
    pub(super) fn reregister(&self, fd: RawFd, token: usize, interest: Interest) {
        // The descriptor is registered, and so this can only fail for want of memory; then a timer
        // or the socket's own poll finds what this would have told of.
        let _ = self.poll.registry().reregister(&mut SourceFd(&fd), Token(token), interest);
    }

    /// Forgets a descriptor, before it is closed or becomes somebody else's.
    pub(super) fn deregister(&self, fd: RawFd) {
        let _ = self.poll.registry().deregister(&mut SourceFd(&fd));
    }

    /// The socket's station, made at first need.
    pub(super) fn station(&mut self, socket: &Arc<Shared>) -> &mut Station {
        match self.stations.entry(SocketId::of(socket)) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Station {
                socket: Arc::clone(socket),
                watch: None,
                shares: false,
                ties: 0,
                closing: None,
            }),
        }
    }

    /// Keeps a new peer of a socket.
    pub(super) fn tie(&mut self, key: PeerKey, tie: Tie) {
        self.station(&tie.socket).ties += 1;
        self.peers.insert(key, tie);
    }

    /// Whether the socket is being closed.
    pub(super) fn is_closing(&self, socket: SocketId) -> bool {
        self.stations.get(&socket).is_some_and(|station| station.closing.is_some())
    }

    /// The next number of a sequence without pattern (an LCG with Knuth's constants).
    pub(super) fn stir(&mut self) -> u64 {
        self.serial = self
            .serial
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.serial >> 33
    }

    fn watch(&mut self, socket: &Arc<Shared>) {
        use std::os::fd::{AsFd, AsRawFd};
        let fd = socket.as_fd().as_raw_fd();
        if let Some(token) = self.station(socket).watch {
            return self.reregister(fd, token, Interest::READABLE);
        }
        let watched = Arc::clone(socket);
        if let Ok(token) = self.register(fd, Interest::READABLE, |_| Source::Watch(watched)) {
            self.station(socket).watch = Some(token);
        } else {
            // It cannot be watched: whoever waits looks for itself.
            socket.readable();
        }
    }

    fn watched(&mut self, token: usize) {
        use std::os::fd::{AsFd, AsRawFd};
        let Some(Source::Watch(socket)) = self.sources.get(&token) else { return };
        let socket = Arc::clone(socket);
        let fd = socket.as_fd().as_raw_fd();
        if socket.readable() {
            return self.reregister(fd, token, Interest::READABLE);
        }
        self.unwatch(&socket);
    }

    /// Nobody waits for this socket's poll any more.
    pub(super) fn unwatch(&mut self, socket: &Arc<Shared>) {
        use std::os::fd::{AsFd, AsRawFd};
        if let Some(token) = self.station(socket).watch.take() {
            self.deregister(socket.as_fd().as_raw_fd());
            self.sources.remove(&token);
        }
    }
}
