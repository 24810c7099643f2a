//! Peers and sockets that go: first what waits for them is sent, for as long as they linger.
//!
//! A connection is not closed right behind its last byte. If the peer sent something that we have
//! not read, closing makes the system reset the connection, and a reset destroys what the peer has
//! received and not yet read. So the connection *parts*: it says that nothing more comes, takes and
//! forgets what the peer still sends, and is closed when the peer closes, or after a while.

use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::Interest;

use super::close::Done;
use super::engine::{At, Due, Engine, Source, Station};
use super::limits::{LINGER_LOOK, PART_MAX, PART_READS_PER_TURN, READ_BYTES};
use super::{PeerKey, SocketId, is_broken, stream, unsent};
use crate::endpoint::Endpoint;
use crate::link::{Read, Stream, shm};
use crate::monitor::{Lost, What};
use crate::socket::shared::Shared;

/// A connection that parts.
pub(super) struct Parting {
    stream: Arc<Stream>,
}

impl Engine {
    /// Lets the peers go that were dialled at this endpoint. Whether there was any.
    pub(super) fn undial(&mut self, socket: SocketId, endpoint: &Endpoint) -> bool {
        let keys: Vec<PeerKey> = self
            .peers
            .iter()
            .filter(|(key, tie)| {
                let dial = tie.dial.as_ref();
                key.socket == socket
                    && tie.leaving.is_none()
                    && dial.is_some_and(|dial| dial.endpoint == *endpoint)
            })
            .map(|(key, _)| *key)
            .collect();
        for key in &keys {
            let linger = self.peers.get(key).and_then(|tie| tie.socket.options().linger);
            self.let_go(*key, linger);
        }
        !keys.is_empty()
    }

    /// The user is done with a peer.
    pub(super) fn let_one_go(&mut self, key: PeerKey) {
        if let Some(tie) = self.peers.get(&key)
            && tie.leaving.is_none()
        {
            let linger = tie.socket.options().linger;
            self.let_go(key, linger);
        }
    }

    /// A socket is closed by its user.
    pub(super) fn close(
        &mut self,
        socket: &Arc<Shared>,
        linger: Option<Duration>,
        shares: bool,
        done: Arc<Done>,
    ) {
        let id = SocketId::of(socket);
        let station = self.station(socket);
        station.closing = Some(done);
        station.shares = shares;
        self.unwatch(socket);
        self.unlisten(id, None);
        let keys: Vec<PeerKey> =
            self.peers.keys().filter(|key| key.socket == id).copied().collect();
        for key in keys {
            self.let_go(key, linger);
        }
        self.check_closed(id);
    }

    /// A peer goes, when what waits for it is sent or this time is over.
    fn let_go(&mut self, key: PeerKey, linger: Option<Duration>) {
        let Some(tie) = self.peers.get_mut(&key) else { return };
        tie.leaving = Some(linger.and_then(|linger| self.now.checked_add(linger)));
        if let At::Up(_) = tie.at {
            let (socket, now) = (Arc::clone(&tie.socket), self.now);
            socket.service(key.peer, now);
        }
        self.check_leaving(key);
    }

    /// Whether a peer that goes is gone by now. Called at each event that may make it so, and by a
    /// timer for what is no event of the driver's.
    pub(super) fn check_leaving(&mut self, key: PeerKey) {
        let Some(tie) = self.peers.get(&key) else { return };
        let Some(deadline) = tie.leaving else { return };
        // The user need not read any more what the peer said before it went.
        if matches!(tie.at, At::Up(_)) && is_broken(&tie.socket, key.peer) {
            self.lose(key, Lost::Hangup);
        }
        let Some(tie) = self.peers.get(&key) else { return };
        let over = deadline.is_some_and(|deadline| deadline <= self.now);
        if over || unsent(&tie.socket, key.peer) == 0 {
            return self.release(key);
        }
        let Some(tie) = self.peers.get_mut(&key) else { return };
        if !std::mem::replace(&mut tie.leaving_timed, true) {
            let next = self.now + LINGER_LOOK;
            let next = deadline.map_or(next, |deadline: Instant| deadline.min(next));
            self.timers.set(next, Due::Leaving(key));
        }
    }

    /// The timer of a peer that goes.
    pub(super) fn leaving_due(&mut self, key: PeerKey) {
        if let Some(tie) = self.peers.get_mut(&key) {
            tie.leaving_timed = false;
            self.check_leaving(key);
        }
    }

    /// A peer is gone for good.
    pub(super) fn release(&mut self, key: PeerKey) {
        let Some(tie) = self.peers.remove(&key) else { return };
        self.station(&tie.socket).ties -= 1;
        let stream = match tie.at {
            At::Nothing => None,
            At::Meeting(token) => {
                self.abandon(token);
                None
            }
            At::Up(token) => {
                self.sources.remove(&token);
                stream(&tie.socket, key.peer)
            }
        };
        if let Some(stream) = &stream {
            self.deregister(stream.as_raw_fd());
        }
        tie.socket.gone(key.peer);
        if let Some(stream) = stream {
            let happened = || What::Disconnected(Lost::Closed);
            tie.socket.announcer.tell(&tie.route.endpoint, None, happened);
            self.begin_parting(stream);
        }
        self.check_closed(key.socket);
    }

    /// Whether a socket that is being closed has let go of everything.
    pub(super) fn check_closed(&mut self, id: SocketId) {
        let open = |station: &Station| station.closing.is_none() || station.ties > 0;
        if self.stations.get(&id).is_none_or(open) {
            return;
        }
        let sharing = |station: &Station| station.shares && shm::lingers(&station.socket);
        if self.stations.get(&id).is_some_and(sharing) {
            return self.after(LINGER_LOOK, Due::Closed(id));
        }
        let Some(station) = self.stations.remove(&id) else { return };
        station.socket.announcer.close();
        if let Some(done) = station.closing {
            done.set();
            self.common.closing.end();
        }
    }

    fn begin_parting(&mut self, stream: Arc<Stream>) {
        let ended = match &*stream {
            Stream::Tcp(tcp) => tcp.shutdown(Shutdown::Write),
            Stream::Unix(unix) => unix.shutdown(Shutdown::Write),
        };
        if ended.is_err() {
            return;
        }
        let fd = stream.as_raw_fd();
        let parting = Parting { stream };
        if let Ok(token) = self.register(fd, Interest::READABLE, |_| Source::Parting(parting)) {
            self.after(PART_MAX, Due::Part(token));
        }
    }

    /// Takes and forgets what a peer sends to a connection that parts.
    pub(super) fn part(&mut self, token: usize) {
        for _ in 0..PART_READS_PER_TURN {
            let Some(Source::Parting(parting)) = self.sources.get(&token) else { return };
            self.page.clear();
            self.page.reserve(READ_BYTES);
            match parting.stream.read(&mut self.page) {
                Ok(Read::More(_)) => {}
                Ok(Read::Drained(_)) => return,
                Ok(Read::End) | Err(_) => return self.parted(token),
            }
        }
        // A peer that sends on and on is not waited for.
        self.parted(token);
    }

    /// It has parted.
    pub(super) fn parted(&mut self, token: usize) {
        if let Some(Source::Parting(parting)) = self.sources.remove(&token) {
            self.deregister(parting.stream.as_raw_fd());
        }
    }
}
