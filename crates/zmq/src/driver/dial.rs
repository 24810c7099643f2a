//! Connecting, and connecting again.
//!
//! An attempt goes through: the look-up of a name, if there is one; the addresses found, one after
//! the other; the system, the proxy and the handshake ([`super::meet`]). What fails is tried again
//! after a wait ([`super::backoff`]).

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use chaski_zmtp::pattern::Peer;

use super::backoff::{Backoff, Reason};
use super::engine::{At, Due, Engine, Tie};
use super::limits::LOOKUP_PAUSE;
use super::meet::{From, Meeting};
use super::{PeerKey, SocketId, local, resolve};
use crate::endpoint::{Address, Endpoint, Host, HostPort, Ipc, parse_host_port};
use crate::link::{Route, Stream};
use crate::monitor::{HandshakeFailure, What};
use crate::options::Options;
use crate::socket::shared::Shared;
use crate::transport::socks::{Socks, Target};
use crate::transport::{ipc, tcp};

/// How to connect to a peer.
pub(super) struct Dial {
    pub(super) endpoint: Endpoint,
    /// As they were at `connect`.
    pub(super) options: Arc<Options>,
    backoff: Backoff,
    /// Which attempt this is: what belongs to an older one is passed over.
    attempt: u64,
}

impl Engine {
    /// Begins to connect for a peer.
    pub(super) fn dial(&mut self, socket: Arc<Shared>, peer: Peer, endpoint: Endpoint) {
        let options = socket.options();
        let key = PeerKey { socket: SocketId::of(&socket), peer };
        let route = Arc::new(Route { endpoint: endpoint.clone(), dialled: true });
        let backoff = Backoff::new(&options);
        // What an earlier dial of the same number left behind is not taken for this one's.
        self.dials += 1 << 32;
        let attempt = self.dials;
        let dial = Some(Box::new(Dial { endpoint, options, backoff, attempt }));
        self.tie(
            key,
            Tie { socket, route, dial, at: At::Nothing, leaving: None, leaving_timed: false },
        );
        self.attempt(key, attempt);
    }

    /// An attempt is due.
    pub(super) fn attempt(&mut self, key: PeerKey, attempt: u64) {
        let Some(tie) = self.peers.get_mut(&key) else { return };
        let Some(dial) = &mut tie.dial else { return };
        if dial.attempt != attempt || tie.at != At::Nothing {
            return;
        }
        dial.attempt += 1;
        let (endpoint, options) = (dial.endpoint.clone(), Arc::clone(&dial.options));
        match endpoint.address() {
            Address::Tcp(address) => match next_hop(&address.to, &options) {
                Ok(hop) => self.find(key, attempt + 1, hop, &options),
                Err(error) => self.again(key, Reason::Unreachable, &error),
            },
            Address::Ipc(address) => match ipc::connect(address, &options) {
                Ok(stream) => self.connecting(key, Stream::Unix(stream), VecDeque::new()),
                Err(error) => self.again(key, reason(&error), &error),
            },
            _ => {}
        }
    }

    /// Finds the addresses of a host: now if it is a number, later if it is a name.
    fn find(&mut self, key: PeerKey, attempt: u64, hop: HostPort, options: &Options) {
        let HostPort { host, port } = hop;
        if let Host::Name(name) = host {
            if !resolve::look_up(&self.common, key, attempt, name, port, options.ipv6) {
                self.after(LOOKUP_PAUSE, Due::Dial(key, attempt));
            }
            return;
        }
        // A client that names all addresses means this machine.
        let host = if host == Host::Any { Host::V4([127, 0, 0, 1].into()) } else { host };
        match tcp::numeric(&host, port, options) {
            Ok(addr) => self.connect_to(key, VecDeque::from([addr])),
            Err(error) => self.again(key, Reason::Unreachable, &error),
        }
    }

    /// A name was looked up.
    pub(super) fn resolved(
        &mut self,
        key: PeerKey,
        attempt: u64,
        found: io::Result<Vec<SocketAddr>>,
    ) {
        let Some(tie) = self.peers.get(&key) else { return };
        if tie.at != At::Nothing || tie.dial.as_ref().is_none_or(|dial| dial.attempt != attempt) {
            return;
        }
        match found {
            Ok(addrs) => self.connect_to(key, addrs.into()),
            Err(error) => self.again(key, Reason::Unreachable, &error),
        }
    }

    /// Connects to the first address that the system does not refuse on the spot.
    fn connect_to(&mut self, key: PeerKey, mut addrs: VecDeque<SocketAddr>) {
        let Some(dial) = self.peers.get(&key).and_then(|tie| tie.dial.as_deref()) else { return };
        let Address::Tcp(address) = dial.endpoint.address() else { return };
        let mut refused = io::Error::from(io::ErrorKind::AddrNotAvailable);
        while let Some(addr) = addrs.pop_front() {
            match tcp::connect(addr, address.from.as_ref(), &dial.options) {
                Ok(stream) => return self.connecting(key, Stream::Tcp(stream), addrs),
                Err(error) => refused = error,
            }
        }
        self.again(key, reason(&refused), &refused);
    }

    /// The system is connecting.
    fn connecting(&mut self, key: PeerKey, stream: Stream, others: VecDeque<SocketAddr>) {
        let Some(tie) = self.peers.get(&key) else { return };
        let Some(dial) = tie.dial.as_deref() else { return };
        let (socket, options) = (Arc::clone(&tie.socket), Arc::clone(&dial.options));
        let endpoint = dial.endpoint.clone();
        let timeout = options.connect_timeout;
        let made = local::cookies(&options)
            .and_then(|cookies| local::dialling(socket.kind, &options, cookies));
        let local = match made {
            Ok(local) => local,
            Err(why) => return self.again(key, Reason::Handshake, &io::Error::other(why)),
        };
        let proxy = match &stream {
            Stream::Tcp(_) => proxy(&endpoint, &options),
            Stream::Unix(_) => None,
        };
        if let Stream::Tcp(_) = stream {
            socket.announcer.tell(&endpoint, None, || What::ConnectDelayed);
        }
        let from = From::Dialled { peer: key.peer, others };
        let meeting = Meeting::connecting(socket, from, endpoint, options, stream, proxy, local);
        let Some(token) = self.enter(meeting) else {
            let error = io::Error::other("the connection cannot be watched");
            return self.again(key, Reason::Unreachable, &error);
        };
        if let Some(tie) = self.peers.get_mut(&key) {
            tie.at = At::Meeting(token);
        }
        if !timeout.is_zero() {
            self.after(timeout, Due::Connect(token));
        }
        self.meet(token);
    }

    /// The system could not connect to an address: the next one's turn.
    pub(super) fn try_next(
        &mut self,
        key: PeerKey,
        others: VecDeque<SocketAddr>,
        error: &io::Error,
    ) {
        let Some(tie) = self.peers.get_mut(&key) else { return };
        tie.at = At::Nothing;
        if others.is_empty() {
            self.again(key, reason(error), error);
        } else {
            self.connect_to(key, others);
        }
    }

    /// A handshake with a peer failed: it is tried again, unless that is of no use.
    pub(super) fn came_to_nothing(&mut self, key: PeerKey, failure: &HandshakeFailure) {
        let Some(tie) = self.peers.get_mut(&key) else { return };
        tie.at = At::Nothing;
        if tie.dial.is_none() {
            return self.release(key);
        }
        // A peer that refuses with an ERROR will do so again (RFC 37, "Error Handling"); one that
        // merely says "not now" may let us in later (RFC 27, status 300).
        if matches!(failure, HandshakeFailure::Auth(400 | 500) | HandshakeFailure::Refused(_)) {
            return self.give_up(key, &failure.to_string());
        }
        self.again(key, Reason::Handshake, &io::Error::other(failure.to_string()));
    }

    /// A connection that was up is lost.
    pub(super) fn reconnect(&mut self, key: PeerKey, why: impl std::fmt::Display) {
        self.again(key, Reason::Lost, &io::Error::other(why.to_string()));
    }

    /// Sets the time of the next attempt, if there is to be one.
    fn again(&mut self, key: PeerKey, reason: Reason, error: &io::Error) {
        let chance = self.stir();
        let Some(tie) = self.peers.get_mut(&key) else { return };
        tie.at = At::Nothing;
        let Some(dial) = tie.dial.as_deref_mut() else { return };
        let Some(after) = dial.backoff.next(&dial.options, reason, chance) else {
            return self.give_up(key, &error.to_string());
        };
        let attempt = dial.attempt;
        let retried = || What::ConnectRetried { after, why: error.to_string() };
        tie.socket.announcer.tell(&dial.endpoint, None, retried);
        self.after(after, Due::Dial(key, attempt));
    }

    /// A handshake is done: the next failure is the first again.
    pub(super) fn begin_anew(&mut self, key: PeerKey) {
        if let Some(dial) = self.peers.get_mut(&key).and_then(|tie| tie.dial.as_deref_mut()) {
            dial.backoff = Backoff::new(&dial.options);
        }
    }

    /// No more attempts are made.
    pub(super) fn give_up(&mut self, key: PeerKey, why: &str) {
        if let Some(tie) = self.peers.get(&key) {
            let stopped = || What::ConnectStopped(why.to_owned());
            tie.socket.announcer.tell(&tie.route.endpoint, None, stopped);
        }
        self.release(key);
    }
}

fn reason(error: &io::Error) -> Reason {
    match error.kind() {
        // A Unix socket without a listener may have lost its file too.
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => Reason::Refused,
        _ => Reason::Unreachable,
    }
}

/// Whether an address is one to connect to.
pub(super) fn check(endpoint: &Endpoint) -> Result<(), &'static str> {
    match endpoint.address() {
        Address::Tcp(address) if address.to.port == 0 => Err("its port is none to connect to"),
        Address::Ipc(Ipc::Any) => Err("its path is none to connect to"),
        _ => Ok(()),
    }
}

/// Where a TCP connection really goes: to the target, or to the proxy.
fn next_hop(to: &HostPort, options: &Options) -> io::Result<HostPort> {
    if options.socks_proxy.is_empty() {
        return Ok(to.clone());
    }
    parse_host_port(&options.socks_proxy)
        .map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why))
}

/// What the proxy is told, if there is one.
fn proxy(endpoint: &Endpoint, options: &Options) -> Option<Socks> {
    let Address::Tcp(address) = endpoint.address() else { return None };
    if options.socks_proxy.is_empty() {
        return None;
    }
    Some(Socks::new(Target {
        host: address.to.host.clone(),
        port: address.to.port,
        username: options.socks_username.clone(),
        password: options.socks_password.reveal().clone(),
    }))
}
