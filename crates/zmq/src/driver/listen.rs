//! Listeners: binding, accepting, and what bounds it.
//!
//! A listener accepts a number of connections, then others have their turn. When the process has no
//! descriptors left it rests, says so, and tries again; connections wait in the kernel meanwhile.
//! Above `handshakes_max` handshakes at once the oldest is dropped: a flood of connections that
//! never speak costs those that do nothing but a new attempt at worst.

use std::collections::BTreeMap;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Instant;

use chaski_zmtp::mechanism::curve::CookieKeys;
use mio::Interest;
use rustix::io::Errno;

use super::engine::{Due, Engine, Source};
use super::error::BindError;
use super::limits::{ACCEPT_PAUSE, ACCEPTS_PER_TURN, COOKIE_LIFE};
use super::meet::From;
use super::{SocketId, local};
use crate::endpoint::{Address, Endpoint};
use crate::link::Stream;
use crate::monitor::{HandshakeFailure, What};
use crate::options::Options;
use crate::socket::shared::Shared;
use crate::transport::{ipc, tcp};

/// A bound address, and how its connections are to be treated.
pub(super) struct Listener {
    acceptor: Acceptor,
    /// What was given to `bind`.
    given: Endpoint,
    /// What came of it.
    pub(super) bound: Endpoint,
    pub(super) socket: Option<Arc<Shared>>,
    pub(super) options: Arc<Options>,
    /// The secret of its CURVE cookies: one for all of its connections.
    pub(super) cookies: Option<CookieKeys>,
    /// Its handshakes, by their tokens and so the oldest first, and when each is to be done.
    pub(super) meetings: BTreeMap<usize, Option<Instant>>,
    /// A timer is set for the oldest.
    pub(super) timed: bool,
    /// It could not accept, and a timer is set for when it tries again. Each connection that comes
    /// meanwhile is an event, and none of them may cost a try, or a timer of its own.
    rests: bool,
}

enum Acceptor {
    Tcp(TcpListener),
    /// With the file that is removed when it is dropped.
    Unix {
        listener: UnixListener,
        _file: Option<ipc::File>,
    },
}

impl Listener {
    /// Binds. This may wait for a name to be looked up, so it is for the caller's thread.
    pub(super) fn bind(endpoint: &Endpoint, options: Arc<Options>) -> Result<Self, BindError> {
        let failed = |error| BindError::of_io(endpoint, error);
        let unsuitable = |why| BindError::Unsuitable { endpoint: endpoint.clone(), why };
        let (acceptor, bound) = match endpoint.address() {
            Address::Tcp(address) if address.from.is_some() => {
                return Err(unsuitable("a source is for connecting"));
            }
            Address::Tcp(address) => {
                let listener = tcp::bind(&address.to, &options).map_err(failed)?;
                let at = listener.local_addr().map_err(failed)?;
                (Acceptor::Tcp(listener), Endpoint::of_socket_addr(at))
            }
            Address::Ipc(address) => {
                let bound = ipc::bind(address, &options).map_err(failed)?;
                let at = match &bound.file {
                    Some(file) => Endpoint::of_path(file.path().to_owned()),
                    None => endpoint.clone(),
                };
                (Acceptor::Unix { listener: bound.listener, _file: bound.file }, at)
            }
            _ => return Err(unsuitable("this transport needs no driver")),
        };
        let cookies = local::cookies(&options).map_err(unsuitable)?;
        Ok(Listener {
            acceptor,
            given: endpoint.clone(),
            bound,
            socket: None,
            options,
            cookies,
            meetings: BTreeMap::new(),
            timed: false,
            rests: false,
        })
    }

    fn fd(&self) -> RawFd {
        match &self.acceptor {
            Acceptor::Tcp(listener) => listener.as_raw_fd(),
            Acceptor::Unix { listener, .. } => listener.as_raw_fd(),
        }
    }

    /// The next connection, and where it comes from.
    fn accept(&self) -> io::Result<(Stream, Option<std::net::SocketAddr>)> {
        match &self.acceptor {
            Acceptor::Tcp(listener) => {
                let (stream, from) = listener.accept()?;
                stream.set_nonblocking(true)?;
                // A connection that is over by now says so when it is read.
                let _ = tcp::tune_accepted(&stream, &self.options);
                Ok((Stream::Tcp(stream), Some(from)))
            }
            Acceptor::Unix { listener, .. } => {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true)?;
                let _ = ipc::tune(&stream, &self.options);
                Ok((Stream::Unix(stream), None))
            }
        }
    }
}

/// What an error of `accept` asks for.
enum Trouble {
    /// Nobody is there.
    Nobody,
    /// That one has gone; try the next.
    Gone,
    /// There are no descriptors, or there is no memory, or something is wrong that will be so at
    /// the next call: a rest.
    Exhausted,
}

fn trouble(error: &io::Error) -> Trouble {
    match Errno::from_io_error(error) {
        Some(Errno::AGAIN) => Trouble::Nobody,
        Some(
            Errno::INTR
            | Errno::CONNABORTED
            | Errno::PROTO
            | Errno::NETDOWN
            | Errno::NETUNREACH
            | Errno::HOSTUNREACH,
        ) => Trouble::Gone,
        // EMFILE, ENFILE, ENOBUFS, ENOMEM.
        _ => Trouble::Exhausted,
    }
}

impl Engine {
    pub(super) fn listen(&mut self, socket: &Arc<Shared>, mut listener: Box<Listener>) {
        self.station(socket);
        listener.socket = Some(Arc::clone(socket));
        let bound = listener.bound.clone();
        let cookies = listener.cookies.is_some();
        let fd = listener.fd();
        match self.register(fd, Interest::READABLE, |_| Source::Listener(listener)) {
            Ok(token) if cookies => self.after(COOKIE_LIFE, Due::Cookies(token)),
            Ok(_) => {}
            Err(error) => {
                socket.announcer.tell(&bound, None, || What::BindFailed(error.to_string()));
            }
        }
    }

    /// Stops the socket's listeners at this endpoint, or all of them. Whether there was any.
    pub(super) fn unlisten(&mut self, socket: SocketId, endpoint: Option<&Endpoint>) -> bool {
        let meant = |source: &Source| match source {
            Source::Listener(listener) => {
                listener.socket.as_ref().is_some_and(|owner| SocketId::of(owner) == socket)
                    && endpoint.is_none_or(|at| *at == listener.bound || *at == listener.given)
            }
            _ => false,
        };
        let tokens: Vec<usize> =
            self.sources.iter().filter(|(_, source)| meant(source)).map(|(at, _)| *at).collect();
        for token in &tokens {
            let Some(Source::Listener(listener)) = self.sources.remove(token) else { continue };
            self.deregister(listener.fd());
            for meeting in listener.meetings.keys() {
                drop(self.leave(*meeting));
            }
            if let Some(socket) = &listener.socket {
                socket.announcer.tell(&listener.bound, None, || What::Closed);
            }
        }
        !tokens.is_empty()
    }

    /// Accepts some of those who wait.
    pub(super) fn accept(&mut self, token: usize) {
        for _ in 0..ACCEPTS_PER_TURN {
            let Some(Source::Listener(listener)) = self.sources.get(&token) else { return };
            if listener.rests {
                return;
            }
            match listener.accept() {
                Ok((stream, from)) => self.accepted(token, stream, from),
                Err(error) => match trouble(&error) {
                    Trouble::Nobody => return,
                    Trouble::Gone => {}
                    Trouble::Exhausted => return self.pause(token, &error),
                },
            }
        }
        if !self.eager.contains(&token) {
            self.eager.push(token);
        }
    }

    /// A listener has rested.
    pub(super) fn resume(&mut self, token: usize) {
        if let Some(Source::Listener(listener)) = self.sources.get_mut(&token) {
            listener.rests = false;
            self.accept(token);
        }
    }

    fn accepted(&mut self, token: usize, stream: Stream, from: Option<std::net::SocketAddr>) {
        let Some(Source::Listener(listener)) = self.sources.get_mut(&token) else { return };
        let Some(socket) = listener.socket.clone() else { return };
        let oldest = if listener.meetings.len() >= listener.options.handshakes_max as usize {
            listener.meetings.pop_first().map(|(token, _)| token)
        } else {
            None
        };
        let options = Arc::clone(&listener.options);
        let cookies = listener.cookies.clone();
        let endpoint = listener.bound.clone();
        if let Some(oldest) = oldest {
            let why = "more handshakes than may be at once, and this was the oldest".into();
            self.fail(oldest, HandshakeFailure::NoDetail(why));
        }
        let address = from.map(|from| from.to_string());
        socket.announcer.tell(&endpoint, address.as_deref(), || What::Accepted);
        let ip = from.map(|from| from.ip().to_canonical().to_string()).unwrap_or_default();
        let local = local::accepting(socket.kind, &options, cookies, ip, &self.common);
        let from = From::Accepted { listener: token };
        self.begin(socket, from, endpoint, address, options, stream, local);
    }

    /// Lets a listener rest that cannot accept.
    fn pause(&mut self, token: usize, error: &io::Error) {
        let Some(Source::Listener(listener)) = self.sources.get_mut(&token) else { return };
        listener.rests = true;
        if let Some(socket) = &listener.socket {
            let failed = || What::AcceptFailed(error.to_string());
            socket.announcer.tell(&listener.bound, None, failed);
            socket.announcer.tell(&listener.bound, None, || What::AcceptPaused(ACCEPT_PAUSE));
        }
        self.after(ACCEPT_PAUSE, Due::Resume(token));
    }

    /// Gives the cookies of a CURVE listener a new key; those made with the last one still count.
    pub(super) fn renew_cookies(&mut self, token: usize) {
        let Some(Source::Listener(listener)) = self.sources.get(&token) else { return };
        if let Some(cookies) = &listener.cookies {
            // Without randomness the key stays, and is tried again.
            let _ = cookies.rotate();
        }
        self.after(COOKIE_LIFE, Due::Cookies(token));
    }
}
