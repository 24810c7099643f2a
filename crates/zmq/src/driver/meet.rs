//! Connections that are being made: by the system, through a proxy, and by the handshake.
//!
//! ```text
//!   Connecting --> Proxy --> Shaking --> the socket's
//!      dialled     if there   both
//!                  is one
//! ```
//!
//! Until the handshake is done a connection is the driver's alone. It holds what the handshake
//! holds, and what was read and not taken while the authenticator is asked: at most one page.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::mem;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use chaski_zmtp::pattern::{Attach, Peer};
use chaski_zmtp::{Handshake, HandshakeError, Kind, Local, Progress, zap};
use mio::Interest;

use super::auth::Answer;
use super::engine::{At, Due, Engine, Source, Tie};
use super::limits::READ_BYTES;
use super::{PeerKey, SocketId, local};
use crate::endpoint::Endpoint;
use crate::link::{Read, Route, Stream};
use crate::monitor::{HandshakeFailure, What};
use crate::options::Options;
use crate::socket::shared::Shared;
use crate::transport::socks::Socks;

/// A connection that is being made.
pub(super) struct Meeting {
    socket: Arc<Shared>,
    pub(super) from: From,
    endpoint: Endpoint,
    /// The other side's address.
    address: Option<String>,
    options: Arc<Options>,
    stream: Stream,
    stage: Stage,
    local: Option<Local>,
    /// What was read and the handshake has not taken.
    held: Vec<u8>,
    /// The authenticator has been asked.
    asked: bool,
}

/// Who began a connection.
#[derive(Clone, Debug)]
pub(super) enum From {
    /// We did, for this peer; and these addresses are left to try.
    Dialled { peer: Peer, others: VecDeque<SocketAddr> },
    /// They did, at this listener.
    Accepted { listener: usize },
}

enum Stage {
    /// The system connects; then comes the proxy, if there is one.
    Connecting(Option<Socks>),
    Proxy(Socks),
    Shaking(Box<Handshake>),
    /// STREAM shakes no hands.
    Raw,
}

impl Stage {
    /// The stage in which the two sides talk to each other.
    fn of(local: Local) -> Self {
        if local.kind == Kind::Stream {
            return Stage::Raw;
        }
        Stage::Shaking(Box::new(Handshake::new(local)))
    }
}

/// How far a meeting came.
enum Step {
    /// No further for now.
    Wait,
    /// To its end.
    Done,
    /// The connection could not be made at all.
    Unreachable(io::Error),
    Failed(HandshakeFailure),
}

impl Meeting {
    /// A connection that the system is making.
    pub(super) fn connecting(
        socket: Arc<Shared>,
        from: From,
        endpoint: Endpoint,
        options: Arc<Options>,
        stream: Stream,
        proxy: Option<Socks>,
        local: Local,
    ) -> Self {
        Meeting {
            socket,
            from,
            endpoint,
            address: None,
            options,
            stream,
            stage: Stage::Connecting(proxy),
            local: Some(local),
            held: Vec::new(),
            asked: false,
        }
    }

    fn tell(&self, what: impl FnOnce() -> What) {
        self.socket.announcer.tell(&self.endpoint, self.address.as_deref(), what);
    }

    /// Whether the system is done connecting.
    fn connected(&self) -> io::Result<bool> {
        let Stream::Tcp(stream) = &self.stream else { return Ok(true) };
        if let Some(error) = stream.take_error()? {
            return Err(error);
        }
        match stream.peer_addr() {
            // A port that the system chose can be the one that is connected to: then the
            // connection is one with itself, and keeps who is meant from binding there.
            Ok(theirs) if stream.local_addr().is_ok_and(|ours| ours == theirs) => {
                Err(io::ErrorKind::ConnectionRefused.into())
            }
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Writes what there is to write. Whether all of it is written.
    fn write(&mut self) -> io::Result<bool> {
        loop {
            let out = match &self.stage {
                Stage::Connecting(_) | Stage::Raw => return Ok(true),
                Stage::Proxy(socks) => socks.output(),
                Stage::Shaking(handshake) => handshake.output(),
            };
            if out.is_empty() {
                return Ok(true);
            }
            let count = self.stream.write(&[IoSlice::new(out)])?;
            if count == 0 {
                return Ok(false);
            }
            match &mut self.stage {
                Stage::Connecting(_) | Stage::Raw => {}
                Stage::Proxy(socks) => socks.wrote(count),
                Stage::Shaking(handshake) => handshake.wrote(count),
            }
        }
    }

    /// Gives what is held to whoever reads now.
    fn feed(&mut self) -> Result<(), HandshakeFailure> {
        let taken = match &mut self.stage {
            Stage::Connecting(_) | Stage::Raw => 0,
            Stage::Proxy(socks) => {
                let taken = socks.input(&self.held);
                taken.map_err(|error| HandshakeFailure::NoDetail(error.to_string()))?
            }
            Stage::Shaking(handshake) => handshake.input(&self.held).map_err(failure)?,
        };
        self.held.drain(..taken);
        Ok(())
    }

    /// Goes as far as it goes now.
    fn advance(&mut self, page: &mut Vec<u8>) -> Step {
        if let Stage::Connecting(_) = self.stage {
            match self.connected() {
                Ok(false) => return Step::Wait,
                Ok(true) => self.proceed(),
                Err(error) => return Step::Unreachable(error),
            }
        }
        match self.converse(page) {
            Ok(step) => step,
            Err(failed) => {
                // The peer is told why, as far as that goes at once.
                let _ = self.write();
                Step::Failed(failed)
            }
        }
    }

    /// The system is done: the proxy is next, or the handshake.
    fn proceed(&mut self) {
        if let Stream::Tcp(stream) = &self.stream {
            self.address = stream.peer_addr().ok().map(|address| address.to_string());
        }
        self.tell(|| What::Connected);
        if let Stage::Connecting(proxy) = &mut self.stage
            && let Some(proxy) = proxy.take()
        {
            self.stage = Stage::Proxy(proxy);
        } else {
            self.shake();
        }
    }

    fn shake(&mut self) {
        if let Some(local) = self.local.take() {
            self.stage = Stage::of(local);
        }
    }

    fn converse(&mut self, page: &mut Vec<u8>) -> Result<Step, HandshakeFailure> {
        let mut drained = false;
        loop {
            self.feed()?;
            if matches!(&self.stage, Stage::Proxy(socks) if socks.is_done()) {
                self.shake();
                continue;
            }
            let written = self.write().map_err(|error| no_detail(&error))?;
            if let Stage::Shaking(handshake) = &self.stage {
                match handshake.state() {
                    Progress::Done if written => return Ok(Step::Done),
                    Progress::Done | Progress::Authenticate(_) => return Ok(Step::Wait),
                    _ => {}
                }
            }
            if let Stage::Raw = self.stage {
                return Ok(Step::Done);
            }
            if drained {
                return Ok(Step::Wait);
            }
            drained = self.read(page)?;
        }
    }

    /// Reads a page. Whether that was all there is.
    fn read(&mut self, page: &mut Vec<u8>) -> Result<bool, HandshakeFailure> {
        page.clear();
        page.reserve(READ_BYTES);
        let read = self.stream.read(page).map_err(|error| no_detail(&error))?;
        self.held.extend_from_slice(page);
        match read {
            Read::More(_) => Ok(false),
            Read::Drained(_) => Ok(true),
            Read::End => {
                let why = "the peer closed the connection during the handshake";
                Err(HandshakeFailure::NoDetail(why.into()))
            }
        }
    }
}

/// What a monitor is told about an error of a handshake.
fn failure(error: HandshakeError) -> HandshakeFailure {
    match &error {
        HandshakeError::Denied { status, .. } => HandshakeFailure::Auth(status.code()),
        // libzmq gives the status as the reason of an ERROR command.
        HandshakeError::Refused(reason) => match reason.as_str() {
            "300" => HandshakeFailure::Auth(300),
            "400" => HandshakeFailure::Auth(400),
            "500" => HandshakeFailure::Auth(500),
            _ => HandshakeFailure::Refused(reason.clone()),
        },
        _ => HandshakeFailure::Protocol(error.to_string()),
    }
}

fn no_detail(error: &io::Error) -> HandshakeFailure {
    HandshakeFailure::NoDetail(error.to_string())
}

impl Engine {
    /// A connection was accepted: the handshake begins.
    #[expect(clippy::too_many_arguments, reason = "they are the parts of one meeting")]
    pub(super) fn begin(
        &mut self,
        socket: Arc<Shared>,
        from: From,
        endpoint: Endpoint,
        address: Option<String>,
        options: Arc<Options>,
        stream: Stream,
        local: Result<Local, &'static str>,
    ) {
        let local = match local {
            Ok(local) => local,
            Err(why) => {
                let failed = || What::HandshakeFailed(HandshakeFailure::Protocol(why.into()));
                return socket.announcer.tell(&endpoint, address.as_deref(), failed);
            }
        };
        let meeting = Meeting {
            socket,
            from,
            endpoint,
            address,
            options,
            stream,
            stage: Stage::of(local),
            local: None,
            held: Vec::new(),
            asked: false,
        };
        if let Some(token) = self.enter(meeting) {
            self.meet(token);
        }
    }

    /// Registers a meeting.
    pub(super) fn enter(&mut self, meeting: Meeting) -> Option<usize> {
        let fd = meeting.stream.as_raw_fd();
        let interest = Interest::READABLE | Interest::WRITABLE;
        // One that we make is tried again by who makes it.
        let From::Accepted { listener } = meeting.from else {
            return self.register(fd, interest, |_| Source::Meeting(Box::new(meeting))).ok();
        };
        let (socket, endpoint) = (Arc::clone(&meeting.socket), meeting.endpoint.clone());
        let address = meeting.address.clone();
        match self.register(fd, interest, |_| Source::Meeting(Box::new(meeting))) {
            Ok(token) => {
                self.enlist(listener, token);
                Some(token)
            }
            Err(error) => {
                let failed = || What::HandshakeFailed(no_detail(&error));
                socket.announcer.tell(&endpoint, address.as_deref(), failed);
                None
            }
        }
    }

    /// Notes a handshake at its listener. All of them may take the same time, so that the oldest is
    /// due first, and one timer does for all.
    fn enlist(&mut self, at: usize, token: usize) {
        let now = self.now;
        let Some(Source::Listener(listener)) = self.sources.get_mut(&at) else { return };
        let ivl = listener.options.handshake_ivl;
        let deadline = if ivl.is_zero() { None } else { now.checked_add(ivl) };
        listener.meetings.insert(token, deadline);
        if let Some(deadline) = deadline
            && !mem::replace(&mut listener.timed, true)
        {
            self.timers.set(deadline, Due::Handshakes(at));
        }
    }

    /// Gives up the handshakes of a listener that take too long.
    pub(super) fn handshake_timeouts(&mut self, at: usize) {
        while let Some(Source::Listener(listener)) = self.sources.get_mut(&at) {
            let Some((&token, &Some(deadline))) = listener.meetings.first_key_value() else {
                listener.timed = false;
                return;
            };
            if deadline > self.now {
                return self.timers.set(deadline, Due::Handshakes(at));
            }
            listener.meetings.remove(&token);
            self.handshake_timeout(token);
        }
    }

    /// The handshake of a connection that we began may take so long.
    fn set_handshake_timer(&mut self, token: usize) {
        let Some(Source::Meeting(meeting)) = self.sources.get(&token) else { return };
        let ivl = meeting.options.handshake_ivl;
        if !ivl.is_zero() {
            self.after(ivl, Due::Handshake(token));
        }
    }

    /// Something happened to a connection that is being made.
    pub(super) fn meet(&mut self, token: usize) {
        let Some(Source::Meeting(meeting)) = self.sources.get_mut(&token) else { return };
        let was_connecting = matches!(meeting.stage, Stage::Connecting(_));
        let step = meeting.advance(&mut self.page);
        if was_connecting && !matches!(meeting.stage, Stage::Connecting(_)) {
            self.set_handshake_timer(token);
        }
        match step {
            Step::Wait => self.ask(token),
            Step::Done => self.settle(token),
            Step::Unreachable(error) => self.unreachable(token, &error),
            Step::Failed(failure) => self.fail(token, failure),
        }
    }

    /// Asks the authenticator, if the handshake waits for that.
    fn ask(&mut self, token: usize) {
        let Some(Source::Meeting(meeting)) = self.sources.get_mut(&token) else { return };
        let Stage::Shaking(handshake) = &meeting.stage else { return };
        let Progress::Authenticate(request) = handshake.state() else { return };
        if mem::replace(&mut meeting.asked, true) {
            return;
        }
        let answer = Answer::new(&self.common, token, request);
        if let Some(answer) = self.common.authenticate(request, answer) {
            answer.refuse(zap::Status::Failed, "nobody is there to authenticate peers");
        }
    }

    /// The authenticator has decided.
    pub(super) fn answered(&mut self, token: usize, reply: zap::Reply) {
        let Some(Source::Meeting(meeting)) = self.sources.get_mut(&token) else { return };
        let Stage::Shaking(handshake) = &mut meeting.stage else { return };
        meeting.asked = false;
        match handshake.authenticated(reply) {
            Ok(()) => self.meet(token),
            Err(error) => {
                let _ = meeting.write();
                self.fail(token, failure(error));
            }
        }
    }

    /// Takes a meeting off the books.
    pub(super) fn leave(&mut self, token: usize) -> Option<Box<Meeting>> {
        let Some(Source::Meeting(meeting)) = self.sources.remove(&token) else { return None };
        self.deregister(meeting.stream.as_raw_fd());
        if let From::Accepted { listener } = meeting.from
            && let Some(Source::Listener(listener)) = self.sources.get_mut(&listener)
        {
            listener.meetings.remove(&token);
        }
        Some(meeting)
    }

    /// The handshake is done: the connection becomes the socket's.
    fn settle(&mut self, token: usize) {
        let Some(meeting) = self.leave(token) else { return };
        let Meeting { socket, from, endpoint, address, options, stream, stage, held, .. } =
            *meeting;
        let established = match stage {
            Stage::Shaking(handshake) => handshake.finish(),
            _ => local::raw(),
        };
        let Some(established) = established else { return };
        let fd = stream.as_raw_fd();
        let peer = match self.known(&socket, &from, &endpoint) {
            Ok(peer) => peer,
            Err(why) => {
                let failed = || What::HandshakeFailed(HandshakeFailure::Protocol(why.into()));
                return socket.announcer.tell(&endpoint, address.as_deref(), failed);
            }
        };
        let key = PeerKey { socket: SocketId::of(&socket), peer };
        match socket.up(peer, established, stream, &held) {
            Ok(()) => {
                let happened = || What::HandshakeSucceeded;
                socket.announcer.tell(&endpoint, address.as_deref(), happened);
                self.begin_tending(key, fd, address, &options);
            }
            Err(why) => {
                let failed = HandshakeFailure::Protocol(why.into());
                let happened = || What::HandshakeFailed(failed.clone());
                socket.announcer.tell(&endpoint, address.as_deref(), happened);
                self.came_to_nothing(key, &failed);
            }
        }
    }

    /// The number of the peer: one who connected to us gets it now.
    fn known(
        &mut self,
        socket: &Arc<Shared>,
        from: &From,
        endpoint: &Endpoint,
    ) -> Result<Peer, &'static str> {
        if let From::Dialled { peer, .. } = from {
            return Ok(*peer);
        }
        if self.is_closing(SocketId::of(socket)) {
            return Err("the socket is closed");
        }
        let route = Arc::new(Route { endpoint: endpoint.clone(), dialled: false });
        let peer = socket.attach(Attach::Accepted, Arc::clone(&route))?;
        let key = PeerKey { socket: SocketId::of(socket), peer };
        let socket = Arc::clone(socket);
        let tie =
            Tie { socket, route, dial: None, at: At::Nothing, leaving: None, leaving_timed: false };
        self.tie(key, tie);
        Ok(peer)
    }

    /// A handshake failed.
    pub(super) fn fail(&mut self, token: usize, failure: HandshakeFailure) {
        let Some(meeting) = self.leave(token) else { return };
        meeting.tell(|| What::HandshakeFailed(failure.clone()));
        if let From::Dialled { peer, .. } = meeting.from {
            let key = PeerKey { socket: SocketId::of(&meeting.socket), peer };
            self.came_to_nothing(key, &failure);
        }
    }

    /// The system could not connect: the next address is tried, if there is one.
    fn unreachable(&mut self, token: usize, error: &io::Error) {
        let Some(meeting) = self.leave(token) else { return };
        if let From::Dialled { peer, others } = meeting.from {
            let key = PeerKey { socket: SocketId::of(&meeting.socket), peer };
            self.try_next(key, others, error);
        }
    }

    /// A connection takes too long to be made.
    pub(super) fn connect_timeout(&mut self, token: usize) {
        if let Some(Source::Meeting(meeting)) = self.sources.get(&token)
            && matches!(meeting.stage, Stage::Connecting(_))
        {
            self.unreachable(token, &io::ErrorKind::TimedOut.into());
        }
    }

    /// A handshake takes too long.
    pub(super) fn handshake_timeout(&mut self, token: usize) {
        let why = "the handshake took longer than handshake_ivl";
        self.fail(token, HandshakeFailure::NoDetail(why.into()));
    }

    /// Stops making a connection.
    pub(super) fn abandon(&mut self, token: usize) {
        if let Some(meeting) = self.leave(token) {
            meeting.tell(|| What::Closed);
        }
    }
}
