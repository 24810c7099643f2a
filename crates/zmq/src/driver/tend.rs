//! Connections in traffic: what the socket's own callers do not see to.
//!
//! The descriptor and all its bytes are the socket's; the driver watches it by number.
//!
//! # Input that nobody reads
//!
//! A user who does not receive leaves PINGs unanswered and hang-ups unnoticed, so the driver looks.
//! It must not be woken for each segment of a busy connection, though. So it watches a connection
//! until something comes, then stops watching, and after a while ([`LOOK_MIN`]) calls `service`,
//! which reads what is there within the bounds of RCVHWM, and watches again. While there is always
//! something, the while grows to [`LOOK_MAX`]. If the user has read it in the meantime it is left
//! to him: the driver would take the locks of who receives, and fill his memory with what he is
//! about to read. Sockets that only write (PUB, PUSH) have nobody else to read them: they are
//! served at once.
//!
//! # Heartbeats
//!
//! Any traffic is a sign of life (RFC 37, "Connection Heartbeating"). Each `heartbeat_ivl` a PING
//! goes out if nothing was read since the last time, or if we promised a sign of our own
//! (`heartbeat_ttl`); and what was not answered by any read in `heartbeat_timeout` is lost.

use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use chaski_zmtp::pattern::Peer;
use chaski_zmtp::{Command, Kind};
use mio::Interest;
use mio::event::Event;

use super::engine::{At, Due, Engine, Source};
use super::limits::{LOOK_AGAIN, LOOK_MAX, LOOK_MIN, LOOK_OVER_MAX};
use super::{PeerKey, stream, unsent};
use crate::link::Link;
use crate::monitor::{Lost, What};
use crate::options::Options;
use crate::socket::shared::Shared;

/// A connection in traffic.
pub(super) struct Tended {
    pub(super) key: PeerKey,
    socket: Arc<Shared>,
    pub(super) fd: RawFd,
    address: Option<String>,
    /// Whether input is watched for; else a timer is set.
    looking: bool,
    /// When it was last looked at, and how long after an event it is.
    looked: Instant,
    pace: Duration,
    /// The link's progress by then.
    progress: u64,
    link: Option<Arc<Link>>,
    /// Output waits for the kernel to take more.
    stuck: bool,
    heart: Option<Heart>,
    /// How long the peer says that it is to be believed alive; a timer is set.
    ttl: Option<Duration>,
    /// The socket was given its share of what was read and has more to look at; a timer is set.
    more: bool,
}

/// The options of heartbeats, and how many reads there were at the last one.
struct Heart {
    ivl: Duration,
    timeout: Duration,
    /// In tenths of a second.
    ttl: u16,
    reads: u64,
    /// A timer is set by which something must have been read.
    asked: bool,
}

impl Heart {
    fn new(options: &Options) -> Option<Self> {
        let ivl = options.heartbeat_ivl;
        let tenths = options.heartbeat_ttl.as_millis() / 100;
        (!ivl.is_zero()).then(|| Heart {
            ivl,
            timeout: options.heartbeat_timeout.unwrap_or(ivl),
            ttl: u16::try_from(tenths).unwrap_or(u16::MAX),
            reads: 0,
            asked: false,
        })
    }
}

/// Whether the kernel holds input of this peer.
fn has_unread(socket: &Arc<Shared>, peer: Peer) -> bool {
    stream(socket, peer)
        .is_some_and(|stream| rustix::io::ioctl_fionread(&*stream).is_ok_and(|bytes| bytes > 0))
}

impl Tended {
    /// Whether somebody received from it since this was last asked.
    fn was_read(&mut self) -> bool {
        // ORDERING: what is seen late is seen the next time.
        let progress = self.link.as_ref().map_or(0, |link| link.progress.load(Ordering::Relaxed));
        std::mem::replace(&mut self.progress, progress) != progress
    }

    fn interest(&self) -> Interest {
        // Errors and hang-ups of both sides are told in any case.
        let input = if self.looking { Interest::READABLE } else { Interest::PRIORITY };
        if self.stuck { input | Interest::WRITABLE } else { input }
    }
}

impl Shared {
    /// Looks at a command for what concerns the driver: a PING may say how long the peer is to be
    /// believed alive.
    pub(crate) fn heed(self: &Arc<Self>, peer: Peer, command: &Command) {
        if let Command::Ping { ttl_tenths: tenths @ 1.., .. } = command {
            let ttl = Duration::from_millis(100) * u32::from(*tenths);
            self.driver().lives(self, peer, ttl);
        }
    }
}

impl Engine {
    /// A connection is up: the socket has its descriptor, and the driver an eye on it.
    pub(super) fn begin_tending(
        &mut self,
        key: PeerKey,
        fd: RawFd,
        address: Option<String>,
        options: &Options,
    ) {
        self.begin_anew(key);
        let Some(tie) = self.peers.get_mut(&key) else { return };
        let socket = Arc::clone(&tie.socket);
        let heart = Heart::new(options);
        let beat = heart.as_ref().map(|heart| heart.ivl);
        let link = socket.link(key.peer);
        let tended = Tended {
            key,
            socket,
            fd,
            address,
            looking: true,
            looked: self.now,
            pace: LOOK_MIN,
            progress: 0,
            link,
            stuck: false,
            heart,
            ttl: None,
            more: false,
        };
        let seen = tended.address.clone();
        match self.register(fd, Interest::READABLE, |_| Source::Tended(tended)) {
            Ok(token) => {
                if let Some(tie) = self.peers.get_mut(&key) {
                    tie.at = At::Up(token);
                }
                if let Some(ivl) = beat {
                    self.after(ivl, Due::Beat(token));
                }
            }
            // Nobody would notice its end.
            Err(error) => self.end(key, seen.as_deref(), Lost::Io(error.kind())),
        }
    }

    /// Something happened to a connection in traffic.
    pub(super) fn tend(&mut self, token: usize, event: &Event) {
        let Some(Source::Tended(tended)) = self.sources.get_mut(&token) else { return };
        let before = tended.interest();
        let over = event.is_read_closed() || event.is_write_closed() || event.is_error();
        let mut serve = over || event.is_readable() && !tended.socket.kind.receives();
        if event.is_writable() && tended.stuck {
            tended.stuck = false;
            serve = true;
        }
        if (event.is_readable() || over) && tended.looking && tended.socket.kind.receives() {
            tended.looking = false;
            let busy = self.now < tended.looked + tended.pace;
            // One that is over has no PING to be answered.
            let most = if over { LOOK_OVER_MAX } else { LOOK_MAX };
            tended.pace = if busy { (tended.pace * 2).min(most) } else { LOOK_MIN };
            let wait = tended.pace;
            self.timers.set(self.now + wait, Due::Look(token));
        }
        // Watching anew tells at once of what is still so. A connection that is over, but has input
        // that the socket has no room for, would keep the driver busy with nothing else.
        if tended.interest() != before {
            self.watch_on(token);
        }
        if serve {
            self.serve(token);
        }
    }

    /// Watches a connection for what it is to be watched for now.
    fn watch_on(&self, token: usize) {
        if let Some(Source::Tended(tended)) = self.sources.get(&token) {
            self.reregister(tended.fd, token, tended.interest());
        }
    }

    /// Lets the socket write what is stuck and read what nobody reads.
    fn serve(&mut self, token: usize) {
        let Some(Source::Tended(tended)) = self.sources.get(&token) else { return };
        let (socket, key) = (Arc::clone(&tended.socket), tended.key);
        let more = socket.service(key.peer, self.now);
        if let Some(Source::Tended(tended)) = self.sources.get_mut(&token) {
            // What the driver itself read does not count.
            let _ = tended.was_read();
            if more && !std::mem::replace(&mut tended.more, true) {
                // It lies in the socket already, and so raises no event.
                self.after(LOOK_AGAIN, Due::More(token));
            }
        }
        self.check_leaving(key);
    }

    /// The socket had more to look at than its share.
    pub(super) fn look_on(&mut self, token: usize) {
        if let Some(Source::Tended(tended)) = self.sources.get_mut(&token) {
            tended.more = false;
            if !tended.was_read() {
                self.serve(token);
            }
        }
    }

    /// Input came a while ago.
    pub(super) fn look(&mut self, token: usize) {
        let Some(Source::Tended(tended)) = self.sources.get_mut(&token) else { return };
        if tended.was_read() {
            tended.pace = (tended.pace * 2).min(LOOK_MAX);
            self.timers.set(self.now + tended.pace, Due::Look(token));
            return;
        }
        self.serve(token);
        let Some(Source::Tended(tended)) = self.sources.get_mut(&token) else { return };
        tended.looking = true;
        tended.looked = self.now;
        self.watch_on(token);
    }

    /// Output waits for the kernel to take more.
    pub(super) fn stuck(&mut self, key: PeerKey) {
        let Some(At::Up(token)) = self.peers.get(&key).map(|tie| tie.at) else { return };
        let Some(Source::Tended(tended)) = self.sources.get_mut(&token) else { return };
        tended.stuck = true;
        self.watch_on(token);
    }

    /// A heartbeat is due.
    pub(super) fn beat(&mut self, token: usize) {
        let Some(Source::Tended(tended)) = self.sources.get(&token) else { return };
        let (socket, peer) = (Arc::clone(&tended.socket), tended.key.peer);
        // What came and was not read counts too.
        socket.service(peer, self.now);
        let reads = socket.reads(peer);
        let Some(Source::Tended(tended)) = self.sources.get_mut(&token) else { return };
        let Some(heart) = &mut tended.heart else { return };
        let idle = reads == std::mem::replace(&mut heart.reads, reads);
        let (ivl, timeout, ttl) = (heart.ivl, heart.timeout, heart.ttl);
        let asks = (idle || ttl > 0) && !std::mem::replace(&mut heart.asked, true);
        if idle || ttl > 0 {
            socket.ping(peer, ttl);
        }
        if asks {
            self.after(timeout, Due::Alive(token, reads));
        }
        self.after(ivl, Due::Beat(token));
    }

    /// Something must have been read since a PING.
    pub(super) fn answered_ping(&mut self, token: usize, reads: u64) {
        if let Some(Source::Tended(Tended { heart: Some(heart), .. })) =
            self.sources.get_mut(&token)
        {
            heart.asked = false;
        }
        self.check_alive(token, reads);
    }

    /// Something must have been read since there were so many reads.
    fn check_alive(&mut self, token: usize, reads: u64) {
        let Some(Source::Tended(tended)) = self.sources.get(&token) else { return };
        let (socket, key) = (Arc::clone(&tended.socket), tended.key);
        socket.service(key.peer, self.now);
        // What the socket has no room for stays with the kernel, and is a sign of life as well.
        if socket.reads(key.peer) == reads && !has_unread(&socket, key.peer) {
            self.lose(key, Lost::Silent);
        }
    }

    /// The peer says how long it is to be believed alive without another word.
    pub(super) fn lives(&mut self, key: PeerKey, ttl: Duration) {
        let Some(At::Up(token)) = self.peers.get(&key).map(|tie| tie.at) else { return };
        let Some(Source::Tended(tended)) = self.sources.get_mut(&token) else { return };
        // One timer at a time, however many PINGs come.
        if tended.ttl.replace(ttl).is_none() {
            let reads = tended.socket.reads(key.peer);
            self.after(ttl, Due::Ttl(token, reads));
        }
    }

    /// The time is over for which the peer was to be believed alive.
    pub(super) fn check_ttl(&mut self, token: usize, reads: u64) {
        self.check_alive(token, reads);
        let Some(Source::Tended(tended)) = self.sources.get(&token) else { return };
        let Some(ttl) = tended.ttl else { return };
        let reads = tended.socket.reads(tended.key.peer);
        self.after(ttl, Due::Ttl(token, reads));
    }

    /// A connection is over, as the socket found or the driver decided.
    pub(super) fn lose(&mut self, key: PeerKey, why: Lost) {
        let Some(tie) = self.peers.get(&key) else { return };
        let At::Up(token) = tie.at else { return };
        let mut address = None;
        if let Some(Source::Tended(tended)) = self.sources.remove(&token) {
            self.deregister(tended.fd);
            address = tended.address;
        }
        self.end(key, address.as_deref(), why);
    }

    /// A connection that nobody tends has ended: the peer is released, or connected to again.
    pub(super) fn end(&mut self, key: PeerKey, address: Option<&str>, why: Lost) {
        let Some(tie) = self.peers.get_mut(&key) else { return };
        tie.at = At::Nothing;
        let socket = Arc::clone(&tie.socket);
        let (dialled, leaving) = (tie.dial.is_some(), tie.leaving.is_some());
        let endpoint = tie.route.endpoint.clone();
        // Told when it is so: what is sent from then on is not sent to the connection that is lost.
        socket.down(key.peer);
        socket.announcer.tell(&endpoint, address, || What::Disconnected(why));
        // Bytes without messages cannot go on in the middle of another connection.
        let done = leaving && (socket.kind == Kind::Stream || unsent(&socket, key.peer) == 0);
        if !dialled || done {
            return self.release(key);
        }
        if let Lost::Refused(_) = why {
            // As in the handshake: it will do so again (RFC 37, "Error Handling").
            return self.give_up(key, &why.to_string());
        }
        self.reconnect(key, why);
    }
}
