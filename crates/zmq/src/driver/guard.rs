//! Panics on the driver's thread: whoever one is about is cut off, and all others are served.
//!
//! Code of the user's runs on this thread, authenticators and wakers, and ours may have mistakes.
//! All sockets of the context depend on the thread; so each thing that it does is done for somebody
//! ([`Culprit`]), who alone loses a connection if that panics. A monitor tells it by
//! [`Lost::Panicked`] or by a handshake that failed.
//!
//! What was half done is left behind consistent enough: a source without a peer hears of nothing, a
//! peer without a source is released here. No lock stays poisoned: all are taken as they are found.

use std::panic::{AssertUnwindSafe, catch_unwind};

use mio::Interest;

use super::engine::{At, Due, Engine, Source};
use super::inbox::Command;
use super::{PeerKey, SocketId};
use crate::monitor::{HandshakeFailure, Lost};

const PANICKED: &str = "something panicked while it was served; see what the program wrote";

/// For whom something is done.
#[derive(Clone, Copy, Debug)]
pub(super) enum Culprit {
    Source(usize),
    Peer(PeerKey),
    Socket(SocketId),
    Nobody,
}

impl Culprit {
    pub(super) fn of_command(command: &Command) -> Self {
        match command {
            Command::Dial { socket, peer, .. } | Command::Lost { socket, peer, .. } => {
                Culprit::Peer(PeerKey::of(socket, *peer))
            }
            Command::Part { peer }
            | Command::Stuck { peer }
            | Command::Lives { peer, .. }
            | Command::Resolved { peer, .. } => Culprit::Peer(*peer),
            Command::Answered { token, .. } => Culprit::Source(*token),
            Command::Close { socket, .. } => Culprit::Socket(SocketId::of(socket)),
            Command::Listen { .. }
            | Command::Unlisten { .. }
            | Command::Undial { .. }
            | Command::Watch { .. }
            | Command::Quit => Culprit::Nobody,
        }
    }

    pub(super) fn of_due(due: &Due) -> Self {
        match due {
            Due::Dial(peer, _) | Due::Leaving(peer) => Culprit::Peer(*peer),
            Due::Connect(token)
            | Due::Handshake(token)
            | Due::Handshakes(token)
            | Due::Look(token)
            | Due::More(token)
            | Due::Beat(token)
            | Due::Alive(token, _)
            | Due::Ttl(token, _)
            | Due::Resume(token)
            | Due::Cookies(token)
            | Due::Part(token) => Culprit::Source(*token),
            Due::Closed(socket) => Culprit::Socket(*socket),
            Due::Near(..) => Culprit::Nobody,
        }
    }
}

impl Engine {
    /// Does something for somebody. If it panics, they are cut off.
    pub(super) fn guard(&mut self, culprit: Culprit, act: impl FnOnce(&mut Self)) {
        if catch_unwind(AssertUnwindSafe(|| act(self))).is_ok() {
            return;
        }
        if catch_unwind(AssertUnwindSafe(|| self.cut_off(culprit))).is_err() {
            // It does so again when it is told to end: it is forgotten as it is.
            self.forget(culprit);
        }
    }

    fn cut_off(&mut self, culprit: Culprit) {
        match culprit {
            Culprit::Source(token) => self.cut_off_source(token),
            Culprit::Peer(key) => self.cut_off_peer(key),
            Culprit::Socket(id) => {
                self.unlisten(id, None);
                for key in self.peers_of(id) {
                    self.release(key);
                }
                self.check_closed(id);
            }
            Culprit::Nobody => {}
        }
    }

    fn cut_off_source(&mut self, token: usize) {
        use std::os::fd::{AsFd, AsRawFd};
        match self.sources.get(&token) {
            Some(Source::Meeting(_)) => {
                self.fail(token, HandshakeFailure::NoDetail(PANICKED.into()));
            }
            Some(Source::Tended(tended)) => {
                let key = tended.key;
                self.lose(key, Lost::Panicked);
            }
            Some(Source::Parting(_)) => self.parted(token),
            // It is asked again when the next event comes.
            Some(Source::Watch(socket)) => {
                self.reregister(socket.as_fd().as_raw_fd(), token, Interest::READABLE);
            }
            Some(Source::Listener(_)) => {}
            // It was just taken off the books.
            None => {
                for key in self.peers_at(token) {
                    self.end(key, None, Lost::Panicked);
                }
            }
        }
    }

    fn cut_off_peer(&mut self, key: PeerKey) {
        match self.peers.get(&key).map(|tie| tie.at) {
            Some(At::Up(_)) => self.lose(key, Lost::Panicked),
            Some(At::Meeting(token)) => self.cut_off_source(token),
            Some(At::Nothing) => self.give_up(key, PANICKED),
            None => {}
        }
    }

    /// Takes somebody off the books, and calls nobody.
    fn forget(&mut self, culprit: Culprit) {
        let (peers, socket) = match culprit {
            Culprit::Source(token) => (self.peers_at(token), None),
            Culprit::Peer(key) => (vec![key], None),
            Culprit::Socket(id) => (self.peers_of(id), Some(id)),
            Culprit::Nobody => return,
        };
        if let Culprit::Source(token) = culprit {
            self.sources.remove(&token);
        }
        for key in peers {
            let Some(tie) = self.peers.remove(&key) else { continue };
            if let At::Meeting(token) | At::Up(token) = tie.at {
                self.sources.remove(&token);
            }
            if let Some(station) = self.stations.get_mut(&key.socket) {
                station.ties -= 1;
            }
        }
        if let Some(done) =
            socket.and_then(|id| self.stations.remove(&id)).and_then(|station| station.closing)
        {
            // Whoever waits for it to be closed waits no longer.
            done.set();
            self.common.closing.end();
        }
    }

    fn peers_of(&self, id: SocketId) -> Vec<PeerKey> {
        self.peers.keys().filter(|key| key.socket == id).copied().collect()
    }

    fn peers_at(&self, token: usize) -> Vec<PeerKey> {
        let at = |at: At| matches!(at, At::Meeting(here) | At::Up(here) if here == token);
        self.peers.iter().filter(|(_, tie)| at(tie.at)).map(|(key, _)| *key).collect()
    }
}
