//! One direction of an inproc connection: messages and commands in one order, counted exactly.
//!
//! ```text
//!   sender   pushed --.    rings                        .-- taken   receiver
//!                     |    [ .. More Last Last ] -> [ Command Last .. ]
//!                     '------- pushed - taken < limit: there is room
//! ```
//!
//! A message lies in a ring as its frames, one a slot, each a [`Piece`]: three quarters of a cache
//! line, where a whole [`Message`], which has room for four frames, would be three lines. The first
//! ring is small. A sender that finds it full goes on in a new one, twice as large, and the
//! receiver follows: so memory grows with what waits and not with what may wait, and commands,
//! which no limit holds up, always find a place.
//!
//! The last frame of a message is often lent to `send`; then neither end allocates what the other
//! frees, see [`super::lent`].
//!
//! What is limited is messages. The receiver says how many it has taken with every message, so that
//! the limit is exact, but wakes a sender that waits for room only when an eighth of the limit is
//! free, or everything: else a sender of much would be woken for each message.
//!
//! Sleep is [`Doze`]'s handshake, once for each side: a receiver that finds nothing announces that
//! and looks again; a sender pushes and then asks. The other way round for room.
//!
//! How it can fail: a lost wake-up (a message, a sleeper, and nobody about to wake it), or a count
//! of messages that drifts from what is in the rings. The tests look for both.

mod receiver;
mod sender;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;

use chaski_ring::{Doze, Padded, spsc};
use chaski_zmtp::{Command, Frame, Message};

pub(super) use self::receiver::Receiver;
pub(super) use self::sender::Sender;
use super::lent::Borrower;

/// Slots of the first ring of a pipe.
const RING_SLOTS_MIN: usize = 64;
/// Slots of its largest.
const RING_SLOTS_MAX: usize = 8192;

/// How much a pipe holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    /// So many messages.
    Messages(usize),
    /// Any number.
    Unlimited,
    /// The newest, which takes the place of the one before (`ZMQ_CONFLATE`).
    Newest,
}

impl Limit {
    /// In messages.
    fn messages(self) -> usize {
        match self {
            Limit::Messages(count) => count,
            Limit::Unlimited | Limit::Newest => usize::MAX,
        }
    }
}

/// A frame or a command: what a slot holds.
enum Piece {
    /// A frame of a message that goes on.
    More(Frame),
    /// The last frame of a message.
    Last(Frame),
    /// The last frame of a message, whose bytes, so many, are copied by way of [`super::lent`].
    Lent(usize),
    /// Where the bytes of those behind it lie.
    Bodies(Box<Borrower>),
    /// A command.
    Command(Command),
}

/// What both ends share.
struct Pipe {
    /// How many messages may wait. It changes when the sockets at both ends are known.
    limit: AtomicUsize,
    /// [`Limit::Newest`]: messages do not queue, but lie in `newest`.
    conflates: AtomicBool,
    /// The receiver's end is gone.
    closed: AtomicBool,
    /// Wakes the receiver, once one is known.
    receiver: OnceLock<Waker>,
    /// Wakes the sender.
    sender: OnceLock<Waker>,
    /// Rings behind the one that the receiver reads.
    rings: Mutex<VecDeque<spsc::Receiver<Piece>>>,
    newest: Mutex<Option<Message>>,
    /// How many messages the receiver has taken. Counts from 0 and wraps.
    taken: Padded<AtomicUsize>,
    /// The receiver found nothing.
    idle: Doze,
    /// The sender found no room.
    starved: Doze,
}

/// A pipe with room for what `limit` says.
pub(super) fn pipe(limit: Limit) -> (Sender, Receiver) {
    let (tx, rx) = spsc::channel(RING_SLOTS_MIN);
    let pipe = Arc::new(Pipe {
        limit: AtomicUsize::new(limit.messages()),
        conflates: AtomicBool::new(limit == Limit::Newest),
        closed: AtomicBool::new(false),
        receiver: OnceLock::new(),
        sender: OnceLock::new(),
        rings: Mutex::new(VecDeque::new()),
        newest: Mutex::default(),
        taken: Padded(AtomicUsize::new(0)),
        idle: Doze::new(),
        starved: Doze::new(),
    });
    let sender = Sender::new(Arc::clone(&pipe), tx, RING_SLOTS_MIN);
    (sender, Receiver::new(pipe, rx))
}

impl Pipe {
    fn limit(&self) -> usize {
        // ORDERING: relaxed, here and where it is set: a number that stands for nothing else. Who
        // waits for room under the old one is woken by whoever set the new one.
        self.limit.load(Ordering::Relaxed)
    }

    fn set_limit(&self, limit: Limit) {
        self.limit.store(limit.messages(), Ordering::Relaxed);
        self.conflates.store(limit == Limit::Newest, Ordering::Relaxed);
    }

    fn conflates(&self) -> bool {
        // ORDERING: relaxed: it is set before the first message that it is about, and a receiver
        // that learns of that message by the handshake of `idle` sees this too.
        self.conflates.load(Ordering::Relaxed)
    }

    fn rings(&self) -> MutexGuard<'_, VecDeque<spsc::Receiver<Piece>>> {
        lock(&self.rings)
    }
}

/// Nothing is left half done under these locks, so one that a panic poisoned is as good as any.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wake(waker: &OnceLock<Waker>) {
    if let Some(waker) = waker.get() {
        waker.wake_by_ref();
    }
}

impl From<Piece> for Message {
    fn from(piece: Piece) -> Message {
        match piece {
            Piece::More(frame) | Piece::Last(frame) => Message::from(frame),
            Piece::Lent(_) | Piece::Bodies(_) | Piece::Command(_) => Message::new(),
        }
    }
}
