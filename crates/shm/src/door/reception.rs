//! The listening side of the handshake: who connects, is it admitted, what does it want.
//!
//! A client sends its hello right behind its connect, so it is nearly always there when the
//! connection is accepted, and answered then and there. Only who is late sits down and waits, with
//! a deadline, among few.

use std::collections::{BTreeMap, HashMap};
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::epoll::EventFlags;
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};

use super::connected::Connected;
use super::doorman::Doorman;
use super::packet::{self, Received};
use super::session::Session;
use super::{Greeting, HALF_OPEN_MAX, HANDSHAKE, Host, credentials};
use crate::admit::{Admit, Peer};
use crate::porch::Porch;
use crate::step::step;
use crate::survey;
use crate::wire::{Answer, Hello, Kind, PACKET_MAX, Refusal, Refused, Unreadable, VERSION};

/// Connections accepted of one listener before others have their turn.
const ACCEPTS_A_ROUND: usize = 32;

/// How long a listener is left alone after an accept failed for want of something.
const PAUSE: Duration = Duration::from_millis(50);

/// Packets thrown away in front of a refusal: closing a socket with packets unread would reach the
/// peer before the refusal does.
const DISCARDED_MAX: usize = 4;

/// An endpoint others connect to.
pub(super) struct Listener {
    pub(super) socket: Arc<OwnedFd>,
    pub(super) admit: Admit,
    pub(super) porch: Arc<Porch>,
    pub(super) host: Arc<dyn Host>,
    /// Until when nothing is accepted.
    pub(super) paused: Option<Instant>,
}

/// Somebody who connected and was admitted, and has not said what it wants.
struct Guest {
    socket: Connected,
    peer: Peer,
    listener: u64,
    deadline: Instant,
}

/// All listeners of the process and those who came to them.
pub(super) struct Reception {
    listeners: HashMap<u64, Listener>,
    /// By number, and so by age and by deadline.
    guests: BTreeMap<u64, Guest>,
    /// Given up to turn somebody away when no descriptor is left.
    spare: Option<OwnedFd>,
}

impl Reception {
    pub(super) fn new() -> Reception {
        Reception { listeners: HashMap::new(), guests: BTreeMap::new(), spare: spare() }
    }

    /// Begins to accept; the socket is watched by whoever ordered this.
    pub(super) fn open(&mut self, token: u64, listener: Listener) {
        self.listeners.insert(token, listener);
    }

    /// Ends a listener and lets go of those who wait for it.
    pub(super) fn close(&mut self, token: u64) {
        self.listeners.remove(&token);
        self.guests.retain(|_, guest| guest.listener != token);
    }

    /// Handles what happened at one of ours; false if it is none.
    pub(super) fn on_event(&mut self, doorman: &Arc<Doorman>, token: u64) -> bool {
        if self.listeners.contains_key(&token) {
            self.accept(doorman, token);
        } else if let Some(guest) = self.guests.remove(&token) {
            self.hear(doorman, token, guest);
        } else {
            return false;
        }
        true
    }

    /// When there will be something to do without an event.
    pub(super) fn next(&self) -> Option<Instant> {
        let first = self.guests.first_key_value().map(|(_, guest)| guest.deadline);
        self.listeners.values().filter_map(|listener| listener.paused).chain(first).min()
    }

    pub(super) fn tick(&mut self, doorman: &Doorman, now: Instant) {
        while let Some(guest) =
            self.guests.first_entry().filter(|guest| guest.get().deadline <= now)
        {
            let late = format!("no hello within {HANDSHAKE:?}");
            refuse(guest.remove().socket, &Refused::new(Refusal::Busy, late));
        }
        for (token, listener) in &mut self.listeners {
            if listener.paused.is_some_and(|until| until <= now) {
                listener.paused = None;
                let _ = doorman.watch_differently(&*listener.socket, *token, EventFlags::IN);
            }
        }
    }

    fn accept(&mut self, doorman: &Arc<Doorman>, token: u64) {
        for _ in 0..ACCEPTS_A_ROUND {
            let Some(listener) = self.listeners.get(&token) else { return };
            match accept_with(&*listener.socket, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
                Ok(socket) => self.receive(doorman, token, socket),
                // Who connected has given up already.
                Err(Errno::INTR | Errno::CONNABORTED | Errno::PROTO) => {}
                Err(Errno::AGAIN) => return,
                Err(Errno::MFILE | Errno::NFILE) if self.spare.is_some() => {
                    let anybody = self.turn_one_away(doorman, token);
                    if self.spare.is_none() {
                        return self.pause(doorman, token);
                    }
                    if !anybody {
                        return;
                    }
                }
                Err(_) => return self.pause(doorman, token),
            }
        }
    }

    /// No descriptor is left: gives up one of ours to take the next caller in, tell it so, and let
    /// it go, because it would otherwise wait for as long as this lasts. False if there was nobody:
    /// the kernel looks for a descriptor before it looks for a caller.
    fn turn_one_away(&mut self, doorman: &Arc<Doorman>, token: u64) -> bool {
        self.spare = None;
        let Some(listener) = self.listeners.get(&token) else { return false };
        let accepted = accept_with(&*listener.socket, SocketFlags::CLOEXEC);
        let anybody = accepted.is_ok();
        if let Ok(socket) = accepted {
            let socket = Connected::new(doorman, socket);
            refuse(socket, &Refused::new(Refusal::Busy, "no file descriptor is left here"));
        }
        self.spare = spare();
        anybody
    }

    /// Leaves a listener alone for a while; who connects waits in its backlog.
    fn pause(&mut self, doorman: &Doorman, token: u64) {
        let Some(listener) = self.listeners.get_mut(&token) else { return };
        listener.paused = Some(Instant::now() + PAUSE);
        let _ = doorman.watch_differently(&*listener.socket, token, EventFlags::empty());
        self.spare = self.spare.take().or_else(spare);
    }

    /// Somebody new: is it admitted?
    fn receive(&mut self, doorman: &Arc<Doorman>, token: u64, socket: OwnedFd) {
        let Some(listener) = self.listeners.get(&token) else { return };
        let socket = Connected::new(doorman, socket);
        let Ok(peer) = credentials::peer(socket.as_fd()) else { return };
        step("greet.accepted");
        if !listener.admit.admits(&peer) {
            let text = format!("{peer} is not admitted");
            return refuse(socket, &Refused::new(Refusal::NotAdmitted, text));
        }
        let deadline = Instant::now() + HANDSHAKE;
        self.hear(doorman, doorman.token(), Guest { socket, peer, listener: token, deadline });
    }

    /// Hears a guest that may have said something, and otherwise lets it wait.
    fn hear(&mut self, doorman: &Arc<Doorman>, token: u64, guest: Guest) {
        let mut buffer = [0; PACKET_MAX];
        match packet::receive(&guest.socket, &mut buffer) {
            Received::Packet(bytes, fds) => self.answer(doorman, guest, bytes, fds),
            Received::Nothing => self.let_wait(token, guest),
            Received::Oversized => {
                let text = "a hello too long, or with more descriptors than can be taken";
                refuse(guest.socket, &Refused::new(Refusal::Malformed, text));
            }
            Received::Gone => {}
        }
    }

    fn let_wait(&mut self, token: u64, mut guest: Guest) {
        let listener = guest.listener;
        match guest.socket.watch(token) {
            Ok(()) => drop(self.guests.insert(token, guest)),
            Err(_) => {
                refuse(guest.socket, &Refused::new(Refusal::Busy, "no memory to wait in"));
            }
        }
        let mut waiting = self.guests.iter().filter(|(_, guest)| guest.listener == listener);
        let oldest = waiting.next().map(|(token, _)| *token);
        if waiting.count() < HALF_OPEN_MAX {
            return;
        }
        if let Some(guest) = oldest.and_then(|token| self.guests.remove(&token)) {
            let text = format!("{HALF_OPEN_MAX} others have not finished their handshakes");
            refuse(guest.socket, &Refused::new(Refusal::Busy, text));
        }
    }

    fn answer(&mut self, doorman: &Arc<Doorman>, guest: Guest, bytes: &[u8], fds: Vec<OwnedFd>) {
        step("greet.hello_read");
        let Some(listener) = self.listeners.get(&guest.listener) else { return };
        match Hello::decode(bytes) {
            Ok(hello) if hello.kind == Kind::Survey => tell(&*listener.host, guest),
            Ok(hello) => greet(doorman, listener, guest, &hello, fds),
            Err(error) => refuse(guest.socket, &unreadable(error)),
        }
    }
}

fn unreadable(error: Unreadable) -> Refused {
    match error {
        Unreadable::Version { theirs } => {
            let text = format!("the server is of version {VERSION}, the client of {theirs}");
            Refused::new(Refusal::Version, text)
        }
        other => Refused::new(Refusal::Malformed, other.to_string()),
    }
}

/// Asks the host, and makes the guest a session if it is welcome.
fn greet(
    doorman: &Arc<Doorman>,
    listener: &Listener,
    guest: Guest,
    hello: &Hello,
    fds: Vec<OwnedFd>,
) {
    let Guest { socket, peer, .. } = guest;
    let porch = match listener.host.porch() {
        Ok(own) => own.unwrap_or_else(|| Arc::clone(&listener.porch)),
        Err(error) => {
            let text = format!("no descriptor is left here: {error}");
            return refuse(socket, &Refused::new(Refusal::Busy, text));
        }
    };
    let Ok(session) = Session::open(doorman, socket.into_socket(), peer, porch) else { return };
    let asked = || listener.host.greet(session.peer(), hello, fds, &session);
    let greeting = catch_unwind(AssertUnwindSafe(asked))
        .unwrap_or_else(|_| Err(Refused::new(Refusal::Failed, "the server panicked")));
    match greeting {
        Ok(greeting) => seat(listener, session, greeting),
        Err(refused) => {
            let _ = session.send_packet(&Answer::Refused(refused).encode(), &[]);
            session.close();
        }
    }
}

fn seat(listener: &Listener, session: Session, greeting: Greeting) {
    let fds: Vec<_> = greeting.fds.iter().map(AsFd::as_fd).collect();
    if session.send_packet(&Answer::Welcome(greeting.welcome).encode(), &fds).is_err() {
        return session.close();
    }
    drop(fds);
    drop(greeting.fds);
    step("greet.welcome_sent");
    let seat = greeting.seat;
    let taken = session.clone();
    if catch_unwind(AssertUnwindSafe(|| seat(taken))).is_err() {
        session.close();
    }
    step("greet.seated");
    listener.porch.knock();
}

/// Tells what there is to know of the endpoint, to the same user and root only: it speaks of other
/// clients.
fn tell(host: &dyn Host, guest: Guest) {
    if !guest.peer.is_same_user_or_root() {
        let text = "surveys are for the user of the server";
        return refuse(guest.socket, &Refused::new(Refusal::NotAdmitted, text));
    }
    let written = catch_unwind(AssertUnwindSafe(|| survey::write(&host.survey())));
    match written {
        Ok(Ok((len, fd))) => {
            let _ = packet::send(&guest.socket, &Answer::Survey { len }.encode(), &[fd.as_fd()]);
        }
        Ok(Err(errno)) => refuse(guest.socket, &Refused::new(Refusal::Failed, errno.to_string())),
        Err(_) => refuse(guest.socket, &Refused::new(Refusal::Failed, "the server panicked")),
    }
}

/// Says no and hangs up.
fn refuse(socket: Connected, refused: &Refused) {
    let mut buffer = [0; PACKET_MAX];
    for _ in 0..DISCARDED_MAX {
        if !matches!(packet::receive(&socket, &mut buffer), Received::Packet(..)) {
            break;
        }
    }
    let _ = packet::send(&socket, &Answer::Refused(refused.clone()).encode(), &[]);
}

/// A descriptor for nothing but to be given up.
fn spare() -> Option<OwnedFd> {
    eventfd(0, EventfdFlags::CLOEXEC).ok()
}
