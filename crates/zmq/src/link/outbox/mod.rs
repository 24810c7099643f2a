//! The messages on their way to one peer by wire, and when they are written: *adaptive flush*.
//!
//! ```text
//!            gather                      flight
//!  send --> [ m5 m6 m7 ]  --swapped-->  [ m2 m3 m4 ]  --writev-->  kernel
//!            appended to, always         the writer's alone
//! ```
//!
//! # The protocol
//!
//! `gather` is locked for nanoseconds, never in a system call. Whoever wants to write sets
//! [`Phase::Writing`] under that lock and then locks `flight`, until it finds `gather` empty and,
//! under its lock, sets [`Phase::Idle`]. Locks are taken in the order `flight`, `gather`. A send
//!
//! 1. finds something before it (being written, stuck, or gathered): it only appends, and writes
//!    when [`GATHER_BYTES`] have come together;
//! 2. finds nothing, but the user has received messages left to take, and will be back: appends;
//! 3. finds nothing, in a burst ([`super::pace`]): appends;
//! 4. else: writes at once. A large body goes to the kernel as it lies.
//!
//! What is only appended is *armed*: the socket flushes it before it reads from the kernel or
//! sleeps, and the driver's tick flushes it otherwise. Who turns a stuck outbox loose is whoever
//! takes the writable edge from the socket's poll, or the driver.
//!
//! # No byte is forgotten
//!
//! Each byte in `gather` is somebody's duty, by the state that the lock protects:
//!
//! | state | whose |
//! |---|---|
//! | no stream | who connects it: [`Outbox::connect`] asks for a flush |
//! | `Writing` | the writer: it looks at `gather` again before it stops being one |
//! | `Stuck` | who takes the next writable edge; of one that came a moment too early see below |
//! | `Idle`, armed | the socket's next wait or read, and the driver's next tick |
//! | `Broken` | who takes the connection away: [`Outbox::disconnect`] |
//!
//! An edge that comes between the write that was refused and `Stuck` finds `Writing`, and leaves
//! word in `writable`, which the writer looks at before it is stuck.
//!
//! `Idle`, with bytes and not armed, is never left behind: [`Outbox::push`] answers
//! [`After::Flush`] or arms.
//!
//! # How it can fail
//!
//! A write error ends the connection, once what the peer said before is read. What had not been
//! written whole, commands apart, is then offered to the next connection from its first byte; a
//! message of which the kernel had taken every byte counts as sent, though the peer may never have
//! read it (ZMTP has no receipts).

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use chaski_zmtp::pattern::{Body, Outgoing, Said};
use chaski_zmtp::{Command, Flags, Sealer, Version, encoder};

use super::flight::Flight;
use super::pace::Pace;
use super::queue::{Framing, Queue, SHARED_BYTES_MIN};
use super::stream::Stream;

/// How many gathered bytes are written without waiting for more: one system call then carries
/// enough that its own cost does not show.
pub(super) const GATHER_BYTES: usize = 64 * 1024;

/// How many ticks a gathered byte waits at most while more keep coming.
const TICKS_MAX: u8 = 4;

/// See the head of this module.
pub(crate) struct Outbox {
    gather: Mutex<Gather>,
    flight: Mutex<Flight>,
    /// Messages that the kernel has not taken whole: those in `gather`, those in `flight`, and one
    /// whose sender is about to write it through. They stay so when a connection is lost.
    queued: AtomicUsize,
    /// How many of them there may be.
    hwm: usize,
    framing: Framing,
    /// Something was read from the peer since the last send that looked.
    heard: AtomicBool,
}

struct Gather {
    queue: Queue,
    wire: Option<Wire>,
    phase: Phase,
    pace: Pace,
    /// The kernel said that it takes more while somebody was writing, who may have been told just
    /// before that it does not.
    writable: bool,
    /// Held by the driver for its tick.
    ticking: bool,
    /// Gathered bytes have been left by so many ticks.
    ticks: u8,
    /// What the queue held at the last tick.
    seen: usize,
}

#[derive(Clone)]
struct Wire {
    stream: Arc<Stream>,
    version: Version,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    Writing,
    /// The kernel takes no more; try again when so many bytes have gathered.
    Stuck {
        retry: usize,
    },
    /// Nothing more can be written. The connection is taken away once what came of it is read.
    Broken,
}

/// What a send leaves its caller to do, once no lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum After {
    /// Nothing: somebody else has the duty.
    Rest,
    /// The socket is to remember this outbox, and the driver too if it does not yet.
    Arm {
        /// Whether the driver is to be told.
        driver: bool,
    },
    /// To call [`Outbox::flush`].
    Flush,
    /// To call [`Outbox::flush`], and then to let the connection go.
    Close,
    /// To call [`Outbox::write_through`]: the message has its turn, but is not queued.
    Through,
}

/// What became of a flush.
#[derive(Debug, Default)]
pub(crate) struct Flushed {
    /// How many messages went out whole: there is room for as many.
    pub(crate) messages: usize,
    /// Why it ended, if not because all is written or another thread is writing.
    pub(crate) end: End,
}

/// Why a flush ended.
#[derive(Debug, Default)]
pub(crate) enum End {
    /// All is written, or somebody else is about to.
    #[default]
    Done,
    /// The kernel takes no more for now.
    Stuck,
    /// The connection is broken.
    Broken(io::Error),
}

/// What the driver's tick found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tick {
    /// Bytes that nobody would have written.
    Flushed,
    /// Bytes that are still being added to; or none.
    Left,
    /// Nothing to tick for: the driver may forget this link until it is armed again.
    Retired,
    /// The kernel takes no more: the driver may forget this link, and watch for it to be writable.
    Stuck,
}

impl Outbox {
    pub(super) fn new(hwm: u32, framing: Framing) -> Self {
        Outbox {
            gather: Mutex::new(Gather {
                queue: Queue::default(),
                wire: None,
                phase: Phase::Idle,
                pace: Pace::default(),
                writable: false,
                ticking: false,
                ticks: 0,
                seen: 0,
            }),
            flight: Mutex::default(),
            queued: AtomicUsize::new(0),
            hwm: if hwm == 0 { usize::MAX } else { hwm as usize },
            framing,
            heard: AtomicBool::new(false),
        }
    }

    /// Whether one more message may be queued. The lock of the socket's rules makes it stay true
    /// until that lock's holder queues one.
    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        // ORDERING: a count that is out of date shows too little room, which the sender finds out
        // under its registration as a waiter; see `socket::turn`.
        self.queued.load(Ordering::Relaxed) < self.hwm
    }

    /// How many messages the kernel has not taken whole.
    pub(crate) fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    /// Something was read from the peer.
    #[inline]
    pub(crate) fn heard(&self) {
        if !self.heard.load(Ordering::Relaxed) {
            self.heard.store(true, Ordering::Relaxed);
        }
    }

    /// Queues a message. `hold` says that the user has received messages left to take.
    #[inline]
    pub(crate) fn push(&self, message: &Outgoing<'_>, hold: bool, now: &mut Clock) -> After {
        let mut gather = self.lock();
        // ORDERING: under the lock; whoever looks without it sees a count that was true.
        self.queued.fetch_add(1, Ordering::Relaxed);
        if gather.idle_and_empty() {
            return self.push_first(&mut gather, message, hold, now);
        }
        gather.queue.push(message, self.framing);
        gather.appended()
    }

    fn push_first(
        &self,
        gather: &mut Gather,
        message: &Outgoing<'_>,
        hold: bool,
        now: &mut Clock,
    ) -> After {
        if self.heard.swap(false, Ordering::Relaxed) {
            gather.pace.heard();
        }
        let burst = gather.pace.sends(now.get());
        let large = matches!(message.body, Body::Slice(slice) if slice.len() >= SHARED_BYTES_MIN);
        if large && self.framing == Framing::Zmtp && (!hold && !burst || is_long(message)) {
            // Only tried: who connects or disconnects holds it and waits for `gather`.
            if self.flight.try_lock().is_ok_and(|flight| flight.is_clear()) {
                gather.phase = Phase::Writing;
                return After::Through;
            }
        }
        gather.queue.push(message, self.framing);
        if hold || burst { gather.arm() } else { After::Flush }
    }

    /// Queues a command; it is dropped if there is no connection, or the peer does not know it.
    pub(crate) fn tell(&self, command: &Command, now: &mut Clock) -> After {
        let mut gather = self.lock();
        let Some(version) = gather.wire.as_ref().map(|wire| wire.version) else {
            return After::Rest;
        };
        let pong = matches!(command, Command::Pong { .. });
        if gather.phase == Phase::Broken || pong && gather.queue.len() >= GATHER_BYTES {
            // Whoever asks and does not read what is there is not told more; and the next
            // connection is not told what this one could not be.
            return After::Rest;
        }
        let first = gather.idle_and_empty();
        if !gather.queue.tell(command, version) {
            return After::Rest;
        }
        match first {
            true if gather.pace.sends(now.get()) => gather.arm(),
            true => After::Flush,
            false => gather.appended(),
        }
    }

    /// Writes what is queued, unless another thread is at it or the kernel takes no more.
    pub(crate) fn flush(&self) -> Flushed {
        let gather = self.lock();
        if matches!(gather.phase, Phase::Stuck { .. }) && !gather.due() {
            return Flushed::default();
        }
        self.write_gathered(gather)
    }

    /// The same when the kernel may take more again.
    pub(crate) fn flush_stuck(&self) -> Flushed {
        let mut gather = self.lock();
        gather.writable = gather.phase == Phase::Writing;
        self.write_gathered(gather)
    }

    fn write_gathered(&self, mut gather: MutexGuard<'_, Gather>) -> Flushed {
        let stuck = matches!(gather.phase, Phase::Stuck { .. });
        let at_rest = gather.phase == Phase::Idle && !gather.queue.is_empty();
        if !stuck && !at_rest {
            return Flushed::default();
        }
        let Some(wire) = gather.wire.clone() else { return Flushed::default() };
        gather.phase = Phase::Writing;
        drop(gather);
        self.write(&wire.stream, lock(&self.flight), 0)
    }

    /// Writes until nothing is gathered. The caller has set [`Phase::Writing`].
    fn write(
        &self,
        stream: &Arc<Stream>,
        mut flight: MutexGuard<'_, Flight>,
        mut messages: usize,
    ) -> Flushed {
        let end = loop {
            if flight.is_empty() {
                let mut gather = self.lock();
                if gather.queue.is_empty() || !gather.is_over(stream) {
                    gather.rest(Phase::Idle);
                    break End::Done;
                }
                std::mem::swap(&mut gather.queue, &mut flight.queue);
            }
            match flight.write(stream) {
                Ok(written) => {
                    self.queued.fetch_sub(written.messages, Ordering::Relaxed);
                    messages += written.messages;
                    if written.stuck && self.lock().stick() {
                        break End::Stuck;
                    }
                }
                Err(error) => {
                    self.lock().rest(Phase::Broken);
                    break End::Broken(error);
                }
            }
        };
        Flushed { messages, end }
    }

    /// Writes a message that [`Outbox::push`] gave its turn.
    pub(crate) fn write_through(&self, message: &Outgoing<'_>) -> Flushed {
        let mut flight = lock(&self.flight);
        let Some(wire) = self.lock().wire.clone() else {
            // The connection is lost since; the message waits for the next.
            let mut gather = self.lock();
            gather.queue.push(message, self.framing);
            gather.rest(Phase::Idle);
            return Flushed::default();
        };
        let Body::Slice(body) = message.body else { return Flushed::default() };
        let mut head = Vec::new();
        for frame in &message.envelope {
            encoder::encode_frame(Flags::MORE, frame, &mut head);
        }
        encoder::encode_head(Flags::LAST, body.len(), &mut head);
        let end = match flight.write_through(&wire.stream, message, &head, body) {
            Ok(written) => {
                self.queued.fetch_sub(written.messages, Ordering::Relaxed);
                if written.stuck && self.lock().stick() {
                    return Flushed { messages: written.messages, end: End::Stuck };
                }
                return self.write(&wire.stream, flight, written.messages);
            }
            Err(error) => End::Broken(error),
        };
        self.lock().rest(Phase::Broken);
        Flushed { messages: 0, end }
    }

    /// A connection is up. `greeting` is for this one alone, and goes before what waits.
    pub(crate) fn connect(
        &self,
        stream: Arc<Stream>,
        version: Version,
        sealer: Option<Box<dyn Sealer>>,
        greeting: impl IntoIterator<Item = Said>,
    ) {
        let mut flight = lock(&self.flight);
        flight.begin(sealer);
        let mut gather = self.lock();
        let mut queue = Queue::default();
        for said in greeting {
            queue.greet(said, version, self.framing);
        }
        gather.queue.move_messages(&mut queue);
        gather.queue = queue;
        gather.wire = Some(Wire { stream, version });
        gather.pace = Pace::default();
        gather.phase = Phase::Idle;
    }

    /// The connection is lost: messages not written whole wait for the next one.
    pub(crate) fn disconnect(&self) {
        // Whoever is writing finds the stream broken, and lets go of the flight.
        let mut flight = lock(&self.flight);
        let mut gather = self.lock();
        gather.wire = None;
        gather.phase = Phase::Idle;
        let mut unsent = Queue::default();
        flight.end(&mut unsent);
        gather.queue.move_messages(&mut unsent);
        gather.queue = unsent;
    }

    /// Drops what waits.
    pub(crate) fn clear(&self) {
        let mut flight = lock(&self.flight);
        let mut gather = self.lock();
        let dropped = flight.queue.messages() + gather.queue.messages();
        flight.queue.clear();
        gather.queue.clear();
        self.queued.fetch_sub(dropped, Ordering::Relaxed);
    }

    /// Forgets all messages but the newest (`ZMQ_CONFLATE`), before one is added.
    pub(crate) fn conflate(&self) {
        let mut gather = self.lock();
        let dropped = gather.queue.messages();
        gather.queue.clear();
        self.queued.fetch_sub(dropped, Ordering::Relaxed);
    }

    /// The driver's tick. `retire` asks to be forgotten if nothing is gathered; `led` says that a
    /// thread sleeps in the socket's poll and will see when a stuck stream is writable again.
    pub(crate) fn tick(&self, retire: bool, led: bool) -> (Tick, Flushed) {
        let mut gather = self.lock();
        let tick = gather.tick(retire, led);
        if tick != Tick::Flushed {
            return (tick, Flushed::default());
        }
        let flushed = self.write_gathered(gather);
        let mut gather = self.lock();
        if matches!(gather.phase, Phase::Stuck { .. }) {
            gather.ticking = false;
            return (if led { Tick::Retired } else { Tick::Stuck }, flushed);
        }
        (Tick::Flushed, flushed)
    }

    /// Whether the kernel takes no more for now.
    pub(crate) fn is_stuck(&self) -> bool {
        matches!(self.lock().phase, Phase::Stuck { .. })
    }

    /// Whether nothing more can be written, though the connection is not taken away yet.
    pub(crate) fn is_broken(&self) -> bool {
        self.lock().phase == Phase::Broken
    }

    /// The driver is to tick for this outbox; whether it does not yet.
    pub(crate) fn begins_ticking(&self) -> bool {
        !std::mem::replace(&mut self.lock().ticking, true)
    }

    /// The driver cannot tick for this outbox, or no longer does.
    pub(crate) fn ends_ticking(&self) {
        self.lock().ticking = false;
    }

    /// Messages and bytes given to the kernel, since the beginning.
    pub(crate) fn sent(&self) -> (u64, u64) {
        let flight = lock(&self.flight);
        (flight.messages, flight.bytes)
    }

    fn lock(&self) -> MutexGuard<'_, Gather> {
        lock(&self.gather)
    }
}

impl Gather {
    #[inline]
    fn idle_and_empty(&self) -> bool {
        self.phase == Phase::Idle && self.queue.is_empty() && self.wire.is_some()
    }

    /// Whether enough is gathered to be written.
    #[inline]
    fn due(&self) -> bool {
        match self.phase {
            Phase::Idle => self.queue.len() >= GATHER_BYTES,
            Phase::Writing | Phase::Broken => false,
            Phase::Stuck { retry } => self.queue.len() >= retry,
        }
    }

    /// Something was added behind something else.
    #[inline]
    fn appended(&mut self) -> After {
        if self.wire.is_some() && self.due() { After::Flush } else { After::Rest }
    }

    fn arm(&mut self) -> After {
        (self.ticks, self.seen) = (0, 0);
        After::Arm { driver: !std::mem::replace(&mut self.ticking, true) }
    }

    /// The kernel takes no more: whether that still holds, and the writer stops being one.
    fn stick(&mut self) -> bool {
        let sticks = !std::mem::take(&mut self.writable);
        if sticks {
            self.rest(Phase::Stuck { retry: self.queue.len() + GATHER_BYTES });
        }
        sticks
    }

    /// The writer stops being one.
    fn rest(&mut self, phase: Phase) {
        self.phase = phase;
        self.pace.wrote(Instant::now());
    }

    /// Whether this is still the stream of the connection.
    fn is_over(&self, stream: &Arc<Stream>) -> bool {
        self.wire.as_ref().is_some_and(|wire| Arc::ptr_eq(&wire.stream, stream))
    }

    fn tick(&mut self, retire: bool, led: bool) -> Tick {
        let stuck = matches!(self.phase, Phase::Stuck { .. });
        let broken = self.wire.is_none() || self.phase == Phase::Broken;
        if broken || stuck && led || retire && self.queue.is_empty() && !stuck {
            self.ticking = false;
            return Tick::Retired;
        }
        if stuck {
            return Tick::Flushed;
        }
        if self.phase != Phase::Idle || self.queue.is_empty() {
            return Tick::Left;
        }
        let grows = self.queue.len() != self.seen;
        self.seen = self.queue.len();
        self.ticks += 1;
        if grows && self.ticks < TICKS_MAX { Tick::Left } else { Tick::Flushed }
    }
}

/// Whether a message is as long as what is otherwise gathered for one write.
fn is_long(message: &Outgoing<'_>) -> bool {
    matches!(message.body, Body::Slice(slice) if slice.len() >= GATHER_BYTES)
}

/// The time, looked up when it is first asked for.
#[derive(Debug, Default)]
pub(crate) struct Clock(Option<Instant>);

impl Clock {
    pub(crate) fn get(&mut self) -> Instant {
        *self.0.get_or_insert_with(Instant::now)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
