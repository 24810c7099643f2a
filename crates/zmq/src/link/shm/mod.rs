//! `shm://`: a peer on this machine, reached through shared memory.
//!
//! ```text
//!   socket           link                    pipe (crate chaski-shm)              other process
//!   send  --rules--> Sender --> Outgoing --> ring ------------------------------> Incoming
//!   recv  <--inbox-- Receiver <- Incoming <- ring <------------------------------ Outgoing
//!                        \___ Line ___/          bell: one descriptor in the socket's own poll
//! ```
//!
//! There is no ZMTP here: both ends are sockets of this crate. In the first record each says what
//! kind of socket it is and by what identity it goes ([`record`]); from then on records are
//! messages and commands. Who may connect is decided by credentials, see `chaski_shm::Admit`: the
//! same user and root. Mechanisms are not asked for.
//!
//! # Who is woken
//!
//! A pipe's descriptor is watched by the socket's own poll, so whoever sleeps there is woken by the
//! peer's ring directly. It is one descriptor for both ways, and forgets all its rings at once. So
//! whoever clears it looks after both halves:
//!
//! | cleared by | sees to |
//! |---|---|
//! | a receive that finds nothing | its own half; then the sending half, if that waits for room |
//! | a send that waits for room | its own half; then lists the peer, or tells the desk |
//! | the desk, for a queue that nobody else empties | the same |
//!
//! Whoever takes the event, and does not look after the sending half, wakes the senders that wait:
//! what the bell rang for does not show.
//!
//! The [`desk`], a thread in the background, listens, dials, greets and notices hang-ups for the
//! sockets of the process, empties queues when no caller is there, and reads what sockets like PUB
//! never receive. It is started at first need.

mod desk;
mod receiver;
mod record;
mod sender;
mod tie;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use chaski_zmtp::pattern::Peer;
use chaski_zmtp::{Command, Limits, Message};

use super::{Arrival, Gone, NearReceiver, NearSender};
use crate::socket::shared::Shared;
use crate::wake::{Held, hold};

use desk::{Desk, Order};
pub(crate) use desk::{close, dial, lingers, listen, lost, undial, unlisten};
use receiver::{Found, Incoming};
use sender::Outgoing;

/// Bytes of each ring.
const RING_BYTES: usize = 256 * 1024;

/// Bytes of long messages under way at once, in each direction.
const LARGE_BYTES: usize = 64 * 1024 * 1024;

/// A message that takes more goes in parts of this length.
const PART_BYTES: usize = 4 * 1024 * 1024;

/// The limits of a connection that follow from options.
fn limits(socket: &Shared) -> Limits {
    let mut limits = Limits::default();
    limits.frame_bytes_max = socket.options().maxmsgsize;
    limits
}

/// The way to a peer in shared memory, across any number of connections.
struct Line {
    /// By which the desk knows it.
    id: u64,
    desk: Arc<Desk>,
    socket: Weak<Shared>,
    peer: Peer,
    outgoing: Mutex<Outgoing>,
    incoming: Mutex<Incoming>,
    /// What comes is for the desk to read: the user need not receive (PUB, XPUB, RADIO).
    in_background: bool,
    /// Senders wait for room, and do not drop what there is no room for.
    waits: bool,
    /// The desk has been asked to empty the queue.
    watched: AtomicBool,
    /// The socket has no other peer in shared memory: its answer is worth a moment of looking.
    alone: AtomicBool,
}

impl Line {
    fn new(
        id: u64,
        desk: Arc<Desk>,
        socket: &Arc<Shared>,
        peer: Peer,
        limits: Limits,
    ) -> Arc<Line> {
        let options = socket.options();
        Arc::new(Line {
            id,
            desk,
            socket: Arc::downgrade(socket),
            peer,
            outgoing: Mutex::new(Outgoing::new(options.sndhwm, options.conflate)),
            incoming: Mutex::new(Incoming::new(limits)),
            in_background: socket.kind.publishes(),
            waits: !socket.kind.publishes() || options.xpub_nodrop,
            watched: AtomicBool::new(false),
            alone: AtomicBool::new(false),
        })
    }

    fn outgoing(&self) -> Held<'_, Outgoing> {
        hold(&self.outgoing)
    }

    fn incoming(&self) -> Held<'_, Incoming> {
        hold(&self.incoming)
    }

    /// Something was put into the queue behind the ring: if no caller empties it, the desk does.
    fn watch(&self) {
        if !self.watched.swap(true, Ordering::AcqRel) {
            self.desk.order(Order::Empty(self.id));
        }
    }

    /// Something was sent. That takes back what a sender of another thread said who waits for the
    /// peer to take something, so that one looks again; and so it does if there was no room.
    #[inline]
    fn pushed(&self, waited: bool, spilled: bool) {
        if waited {
            self.tell_of_room();
        }
        if spilled {
            self.watch();
        }
    }

    /// Senders that wait look again.
    #[cold]
    fn tell_of_room(&self) {
        if let Some(socket) = self.socket.upgrade() {
            socket.room();
        }
    }

    /// The receiving half has cleared the bell: sees to the sending half.
    fn cleared_by_receiver(&self) {
        let mut outgoing = self.outgoing();
        if !outgoing.was_waiting() {
            return;
        }
        if !outgoing.pump() {
            outgoing.wait();
        }
        drop(outgoing);
        self.tell_of_room();
    }

    /// The sending half has cleared the bell: sees to it that the receiving half is looked at.
    fn cleared_by_sender(&self) {
        if self.in_background {
            return self.desk.order(Order::Read(self.id));
        }
        if let Some(socket) = self.socket.upgrade() {
            socket.rouse(self.peer);
        }
    }
}

/// The end of a line that messages go into.
struct Sender(Arc<Line>);

impl NearSender for Sender {
    #[inline]
    fn has_room(&self) -> bool {
        let mut outgoing = self.0.outgoing();
        if outgoing.has_room() {
            return true;
        }
        if !self.0.waits {
            return outgoing.finds_room();
        }
        let cleared = outgoing.clear();
        let room = outgoing.finds_room_or_waits();
        drop(outgoing);
        if cleared {
            self.0.cleared_by_sender();
            if room {
                self.0.tell_of_room();
            }
        }
        room
    }

    #[inline]
    fn push(&mut self, message: Message) -> Result<(), Message> {
        let mut outgoing = self.0.outgoing();
        let waited = outgoing.was_waiting();
        let pushed = outgoing.push(message);
        let spilled = outgoing.spills();
        drop(outgoing);
        self.0.pushed(waited, spilled);
        pushed.map_or(Ok(()), Err)
    }

    fn tell(&mut self, command: Command) {
        let mut outgoing = self.0.outgoing();
        let waited = outgoing.was_waiting();
        outgoing.tell(command);
        let spilled = outgoing.spills();
        drop(outgoing);
        self.0.pushed(waited, spilled);
    }

    fn queued(&self) -> usize {
        self.0.outgoing().queued()
    }

    fn close(&mut self) {
        self.0.outgoing().close();
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.0.outgoing().close();
    }
}

/// The end of a line that messages come out of.
struct Receiver {
    line: Arc<Line>,
    /// A command was handed over since there was nothing.
    told: bool,
}

impl Receiver {
    fn new(line: &Arc<Line>) -> Box<Receiver> {
        Box::new(Receiver { line: Arc::clone(line), told: false })
    }

    /// What a command has done, the pattern may have something to say of: who waits looks again.
    #[cold]
    fn heed_commands(&mut self) {
        self.told = false;
        if let Some(socket) = self.line.socket.upgrade() {
            socket.rouse(self.line.peer);
        }
    }
}

impl NearReceiver for Receiver {
    /// It never says that the other end is gone: the desk does, by `down` or `gone`.
    #[inline]
    fn pop(&mut self) -> Result<Option<Arrival>, Gone> {
        let alone = self.line.alone.load(Ordering::Relaxed);
        let found = self.line.incoming().next(alone);
        match found {
            Found::Arrival(arrival) => {
                self.told |= matches!(arrival, Arrival::Command(_));
                Ok(Some(arrival))
            }
            Found::Nothing => {
                self.line.cleared_by_receiver();
                if self.told {
                    self.heed_commands();
                }
                Ok(None)
            }
            Found::End(why) => {
                self.line.desk.order(Order::Ended(self.line.id, why));
                Ok(None)
            }
        }
    }
}

/// Nothing is left half done under these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
