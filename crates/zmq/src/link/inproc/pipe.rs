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
//! of messages that drifts from what is in the rings. The tests at the end look for both.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;

use chaski_ring::{Doze, Padded, TryRecvError, TrySendError, spsc};
use chaski_zmtp::{Command, Frame, Message};

use super::lent::{Borrower, Lender, Loan};
use crate::link::{Arrival, Gone, NearReceiver, NearSender};

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

/// The end that messages go into.
pub(super) struct Sender {
    pipe: Arc<Pipe>,
    /// None: closed.
    ring: Option<spsc::Sender<Piece>>,
    slots: usize,
    bodies: Lender,
    /// Messages pushed. Counts from 0 and wraps.
    pushed: usize,
    /// The newest `taken` that this end has seen.
    seen: Cell<usize>,
}

/// The end that they come out of.
pub(super) struct Receiver {
    pipe: Arc<Pipe>,
    ring: spsc::Receiver<Piece>,
    bodies: Option<Box<Borrower>>,
    /// The frames so far of a message whose last is not here yet.
    partial: Message,
    /// What `Pipe::taken` says.
    taken: usize,
    /// What it said when the sender was last asked whether it waits.
    told: usize,
    /// The last word to [`Pipe::idle`] was that nothing is here.
    dozing: bool,
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
    let sender = Sender {
        pipe: Arc::clone(&pipe),
        ring: Some(tx),
        slots: RING_SLOTS_MIN,
        bodies: Lender::default(),
        pushed: 0,
        seen: Cell::new(0),
    };
    let partial = Message::new();
    let receiver =
        Receiver { pipe, ring: rx, bodies: None, partial, taken: 0, told: 0, dozing: false };
    (sender, receiver)
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

impl Sender {
    /// Who is woken when there is room. It is told once.
    pub(super) fn set_waker(&self, waker: Waker) {
        let _ = self.pipe.sender.set(waker);
    }

    /// Sets another limit. Who waits for room under the old one is to be told to look again.
    pub(super) fn set_limit(&self, limit: Limit) {
        self.pipe.set_limit(limit);
    }

    /// Puts frames or a command behind what is there, whatever it takes. `Err`: nobody will read
    /// the piece given back, nor those behind it.
    fn put(&mut self, piece: Piece) -> Result<(), Piece> {
        let Some(ring) = &mut self.ring else { return Err(piece) };
        match ring.try_send(piece) {
            Ok(()) => Ok(()),
            Err(TrySendError::Closed(piece)) => Err(piece),
            Err(TrySendError::Full(piece)) => {
                self.extend();
                self.put(piece)
            }
        }
    }

    /// Goes on in a new ring.
    fn extend(&mut self) {
        self.slots = (self.slots * 2).min(RING_SLOTS_MAX);
        let (tx, rx) = spsc::channel(self.slots);
        // In this order: the receiver looks for the next ring when it finds this one closed.
        self.pipe.rings().push_back(rx);
        self.ring = Some(tx);
    }

    #[expect(clippy::result_large_err, reason = "it goes back to who has it")]
    fn put_message(&mut self, mut message: Message) -> Result<(), Message> {
        let last = message.pop().unwrap_or_default();
        if message.is_empty() {
            return self.put(Piece::Last(last)).map_err(Message::from);
        }
        for frame in message {
            // A receiver that goes now would have dropped the whole message a moment later.
            let _ = self.put(Piece::More(frame));
        }
        let _ = self.put(Piece::Last(last));
        Ok(())
    }

    fn put_lent(&mut self, body: &[u8]) -> Result<(), Piece> {
        match self.bodies.lend(body) {
            Loan::Made => {}
            Loan::MadeAnew(bodies) => self.put(Piece::Bodies(bodies))?,
            Loan::Refused => return self.put(Piece::Last(Frame::from(body))),
        }
        self.put(Piece::Lent(body.len()))
    }

    fn is_closed(&self) -> bool {
        // ORDERING: relaxed: nothing is read that the receiver wrote before it went.
        self.ring.is_none() || self.pipe.closed.load(Ordering::Relaxed)
    }

    /// How many messages wait, by the newest that is known of the receiver.
    fn waiting(&self) -> usize {
        // ORDERING: relaxed: what it limits is a number; the slots have their own handshake.
        self.seen.set(self.pipe.taken.load(Ordering::Relaxed));
        self.pushed.wrapping_sub(self.seen.get())
    }

    /// Wakes the receiver, if it sleeps.
    fn knock(&self) {
        if self.pipe.idle.must_wake() {
            wake(&self.pipe.receiver);
        }
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

impl NearSender for Sender {
    fn is_gone(&self) -> bool {
        self.is_closed()
    }

    fn has_room(&self) -> bool {
        if self.is_closed() {
            return false;
        }
        let limit = self.pipe.limit();
        if self.pushed.wrapping_sub(self.seen.get()) < limit || self.waiting() < limit {
            return true;
        }
        self.pipe.starved.announce();
        self.waiting() < limit
    }

    fn push(&mut self, message: Message) -> Result<(), Message> {
        if !self.has_room() {
            return Err(message);
        }
        if self.pipe.conflates() {
            let old = lock(&self.pipe.newest).replace(message);
            drop(old);
        } else {
            self.put_message(message)?;
            self.pushed = self.pushed.wrapping_add(1);
        }
        self.knock();
        Ok(())
    }

    #[inline]
    fn push_lent(&mut self, envelope: &Message, body: &[u8]) -> bool {
        if self.pipe.conflates() {
            return self.push(envelope.clone().with(body)).is_ok();
        }
        if !self.has_room() {
            return false;
        }
        for frame in envelope {
            let _ = self.put(Piece::More(frame.clone()));
        }
        if self.put_lent(body).is_err() {
            return false;
        }
        self.pushed = self.pushed.wrapping_add(1);
        self.knock();
        true
    }

    fn tell(&mut self, command: Command) {
        // To one that is gone there is nothing to say.
        if !self.is_closed() && self.put(Piece::Command(command)).is_ok() {
            self.knock();
        }
    }

    fn queued(&self) -> usize {
        let newest = self.pipe.conflates() && lock(&self.pipe.newest).is_some();
        self.waiting() + usize::from(newest)
    }

    fn close(&mut self) {
        if self.ring.take().is_some() {
            wake(&self.pipe.receiver);
        }
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.close();
    }
}

impl Receiver {
    /// As [`Sender::set_limit`].
    pub(super) fn set_limit(&self, limit: Limit) {
        self.pipe.set_limit(limit);
    }

    /// Who is woken when something comes. It is told once; what came before is to be looked for.
    pub(super) fn set_waker(&self, waker: Waker) {
        let _ = self.pipe.receiver.set(waker);
    }

    /// The next piece. `None`: there is none now.
    fn next(&mut self) -> Result<Option<Piece>, Gone> {
        loop {
            match self.ring.try_recv() {
                Ok(piece) => return Ok(Some(piece)),
                Err(TryRecvError::Empty) => return Ok(None),
                Err(TryRecvError::Closed) => {
                    let next = self.pipe.rings().pop_front();
                    self.ring = next.ok_or(Gone)?;
                }
            }
        }
    }

    /// What arrived, if its last piece is there.
    fn arrival(&mut self) -> Result<Option<Arrival>, Gone> {
        loop {
            match self.next() {
                Ok(Some(Piece::Last(frame))) => return Ok(Some(self.whole(frame))),
                Ok(Some(Piece::Lent(len))) => {
                    let frame = self.body(len);
                    return Ok(Some(self.whole(frame)));
                }
                Ok(Some(Piece::Bodies(bodies))) => self.bodies = Some(bodies),
                Ok(Some(Piece::More(frame))) => self.partial.push(frame),
                Ok(Some(Piece::Command(command))) => return Ok(Some(Arrival::Command(command))),
                Ok(None) => return Ok(self.newest()),
                Err(Gone) => return self.newest().map_or(Err(Gone), |newest| Ok(Some(newest))),
            }
        }
    }

    /// A message, of which this is the last frame.
    fn whole(&mut self, last: Frame) -> Arrival {
        let mut message = std::mem::take(&mut self.partial);
        message.push(last);
        self.count();
        Arrival::Message(message)
    }

    /// The next lent body.
    #[inline]
    fn body(&mut self, len: usize) -> Frame {
        // `Piece::Bodies` comes before the first of them.
        self.bodies.as_mut().map_or_else(Frame::empty, |bodies| bodies.take(len))
    }

    fn newest(&mut self) -> Option<Arrival> {
        if !self.pipe.conflates() {
            return None;
        }
        lock(&self.pipe.newest).take().map(Arrival::Message)
    }

    /// One more message was taken.
    fn count(&mut self) {
        self.taken = self.taken.wrapping_add(1);
        // ORDERING: relaxed, see `Sender::waiting`.
        self.pipe.taken.store(self.taken, Ordering::Relaxed);
        if self.taken.wrapping_sub(self.told) >= (self.pipe.limit() / 8).max(1) {
            self.tell_room();
        }
    }

    /// Something was there after all.
    fn wake_up(&mut self) {
        if std::mem::take(&mut self.dozing) {
            self.pipe.idle.awake();
        }
    }

    /// Wakes the sender, if it waits for room and there is some it has not been told of.
    fn tell_room(&mut self) {
        if self.told != self.taken {
            self.told = self.taken;
            if self.pipe.starved.must_wake() {
                wake(&self.pipe.sender);
            }
        }
    }
}

impl NearReceiver for Receiver {
    fn pop(&mut self) -> Result<Option<Arrival>, Gone> {
        let mut arrival = self.arrival()?;
        if arrival.is_none() {
            self.tell_room();
            // Each time anew: a wake that came late may have taken the last announcement away.
            self.pipe.idle.announce();
            self.dozing = true;
            arrival = self.arrival()?;
        }
        if arrival.is_some() {
            self.wake_up();
        }
        Ok(arrival)
    }

    fn pop_single(&mut self) -> Option<Frame> {
        if !self.partial.is_empty() {
            return None;
        }
        let (Piece::Last(_) | Piece::Lent(_)) = self.ring.try_peek().ok()?.as_slices().0.first()?
        else {
            return None;
        };
        let frame = match self.ring.try_recv() {
            Ok(Piece::Last(frame)) => frame,
            Ok(Piece::Lent(len)) => self.body(len),
            _ => return None,
        };
        self.count();
        self.wake_up();
        Some(frame)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // ORDERING: relaxed, see `Sender::is_closed`.
        self.pipe.closed.store(true, Ordering::Relaxed);
        let rings = std::mem::take(&mut *self.pipe.rings());
        drop(rings);
        wake(&self.pipe.sender);
    }
}

#[cfg(test)]
mod tests {
    use std::task::Wake;
    use std::thread::{self, Thread};

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Count {
        fn get(&self) -> usize {
            self.0.load(Ordering::Relaxed)
        }
    }

    /// Unparks a thread.
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    fn counted() -> (Arc<Count>, Waker) {
        let count = Arc::new(Count::default());
        (Arc::clone(&count), Waker::from(count))
    }

    fn message(rx: &mut Receiver) -> Option<Message> {
        match rx.pop() {
            Ok(Some(Arrival::Message(message))) => Some(message),
            Ok(None) | Err(Gone) => None,
            Ok(Some(Arrival::Command(command))) => panic!("{command:?}"),
        }
    }

    #[test]
    fn a_slot_is_less_than_a_line() {
        assert_eq!(size_of::<Piece>(), 48);
    }

    #[test]
    fn the_limit_is_exact_at_every_depth() {
        for limit in [1, 2, 3, 8, 63, 64, 65, 1000, 20_000] {
            let (mut tx, mut rx) = pipe(Limit::Messages(limit));
            for lap in 0..3 {
                for n in 0..limit {
                    assert!(tx.push(Message::from(n.to_string())).is_ok(), "{n} of {limit}");
                }
                assert!(!tx.has_room());
                assert_eq!(tx.queued(), limit);
                let back = tx.push(Message::from_iter(["not", "this"])).unwrap_err();
                assert_eq!(back, Message::from_iter(["not", "this"]));
                // Room for one is room for one, wherever in the queue that is.
                assert_eq!(message(&mut rx).unwrap(), Message::from("0"));
                assert!(tx.has_room());
                assert!(tx.push(Message::from("one more")).is_ok());
                assert!(!tx.has_room(), "lap {lap}");
                for n in 1..limit {
                    assert_eq!(message(&mut rx).unwrap(), Message::from(n.to_string()));
                }
                assert_eq!(message(&mut rx).unwrap(), Message::from("one more"));
                assert_eq!(message(&mut rx), None);
            }
        }
    }

    #[test]
    fn messages_of_many_frames_count_as_one() {
        let (mut tx, mut rx) = pipe(Limit::Messages(2));
        let long: Message = (0..200).map(|n| n.to_string()).collect();
        assert!(tx.push(long.clone()).is_ok() && tx.push(Message::from("b")).is_ok());
        assert!(!tx.has_room());
        assert_eq!(message(&mut rx).unwrap(), long);
        assert_eq!(message(&mut rx).unwrap(), Message::from("b"));
    }

    #[test]
    fn commands_keep_their_place_and_need_no_room() {
        let (mut tx, mut rx) = pipe(Limit::Messages(1));
        assert!(tx.push(Message::from("a")).is_ok());
        for n in 0..500u32 {
            tx.tell(Command::Subscribe(n.to_string().into()));
        }
        assert_eq!(message(&mut rx).unwrap(), Message::from("a"));
        assert!(tx.push(Message::from("b")).is_ok());
        for n in 0..500u32 {
            let Ok(Some(Arrival::Command(command))) = rx.pop() else { panic!("no command") };
            assert_eq!(command, Command::Subscribe(n.to_string().into()));
        }
        assert_eq!(message(&mut rx).unwrap(), Message::from("b"));
    }

    #[test]
    fn what_is_lent_keeps_its_place_and_counts() {
        let body = |n: usize| vec![n as u8; (n * 37) % 3000];
        let (mut tx, mut rx) = pipe(Limit::Messages(1000));
        for n in 0..1000 {
            match n % 3 {
                0 => assert!(tx.push(Message::from(body(n))).is_ok()),
                1 => assert!(tx.push_lent(&Message::new(), &body(n))),
                _ => assert!(tx.push_lent(&Message::from_iter(["before"]), &body(n))),
            }
            if n % 100 == 0 {
                tx.tell(Command::Subscribe("a".into()));
            }
        }
        assert!(!tx.push_lent(&Message::new(), b"no room"));
        for n in 0..1000 {
            let expected = Message::from(body(n));
            match n % 3 {
                2 => assert_eq!(message(&mut rx), Some(Message::from("before").with(body(n)))),
                _ => assert_eq!(message(&mut rx), Some(expected)),
            }
            if n % 100 == 0 {
                assert!(matches!(rx.pop(), Ok(Some(Arrival::Command(_)))));
            }
        }
        assert_eq!(message(&mut rx), None);
    }

    #[test]
    fn single_frames_are_taken_alone_and_the_rest_is_left() {
        let (mut tx, mut rx) = pipe(Limit::Messages(3));
        let long = [7; 100];
        assert!(rx.pop_single().is_none());
        assert!(tx.push(Message::from("a")).is_ok() && tx.push_lent(&Message::new(), &long));
        assert!(tx.push(Message::from_iter(["b", "c"])).is_ok() && !tx.has_room());
        assert_eq!(rx.pop_single().unwrap(), "a");
        assert!(tx.has_room());
        // Before the first body that was lent comes the word where it lies, which `pop` takes.
        assert!(rx.pop_single().is_none());
        assert_eq!(message(&mut rx).unwrap(), Message::from(&long));
        assert!(rx.pop_single().is_none(), "two frames");
        assert_eq!(message(&mut rx).unwrap(), Message::from_iter(["b", "c"]));
        assert!(tx.push_lent(&Message::new(), &long));
        tx.tell(Command::Cancel("a".into()));
        assert_eq!(rx.pop_single().unwrap(), long);
        assert!(rx.pop_single().is_none(), "a command");
        assert!(matches!(rx.pop(), Ok(Some(Arrival::Command(_)))));
    }

    #[test]
    fn without_a_limit_it_takes_what_comes() {
        let (mut tx, mut rx) = pipe(Limit::Unlimited);
        for n in 0..50_000u32 {
            assert!(tx.push(Message::from(n.to_be_bytes().to_vec())).is_ok());
        }
        for n in 0..50_000u32 {
            assert_eq!(message(&mut rx).unwrap(), Message::from(n.to_be_bytes().to_vec()));
        }
    }

    #[test]
    fn the_newest_takes_the_place_of_the_one_before() {
        let (mut tx, mut rx) = pipe(Limit::Newest);
        tx.tell(Command::Subscribe("a".into()));
        for n in 0..100 {
            assert!(tx.push(Message::from_iter(["n".to_owned(), n.to_string()])).is_ok());
            assert_eq!(tx.queued(), 1);
        }
        assert!(matches!(rx.pop(), Ok(Some(Arrival::Command(_)))));
        assert_eq!(message(&mut rx).unwrap(), Message::from_iter(["n", "99"]));
        assert_eq!(message(&mut rx), None);
        assert!(tx.push(Message::from("last")).is_ok());
        drop(tx);
        assert_eq!(message(&mut rx).unwrap(), Message::from("last"));
        assert!(rx.pop().is_err());
    }

    #[test]
    fn what_came_before_only_the_newest_was_to_be_kept_is_not_lost() {
        let (mut tx, mut rx) = pipe(Limit::Messages(1));
        assert!(tx.push(Message::from("early")).is_ok() && !tx.has_room());
        rx.set_limit(Limit::Newest);
        for n in 0..10 {
            assert!(tx.push(Message::from(n.to_string())).is_ok());
        }
        assert_eq!(message(&mut rx).unwrap(), Message::from("early"));
        assert_eq!(message(&mut rx).unwrap(), Message::from("9"));
        assert_eq!(message(&mut rx), None);
    }

    #[test]
    fn what_was_pushed_before_a_close_is_popped() {
        let (mut tx, mut rx) = pipe(Limit::Messages(200));
        let (woken, waker) = counted();
        rx.set_waker(waker);
        for n in 0..150 {
            assert!(tx.push(Message::from(n.to_string())).is_ok());
        }
        tx.close();
        assert_eq!(woken.get(), 1);
        assert_eq!(tx.push(Message::from("late")), Err(Message::from("late")));
        tx.tell(Command::Cancel("late".into()));
        for n in 0..150 {
            assert_eq!(message(&mut rx).unwrap(), Message::from(n.to_string()));
        }
        assert!(rx.pop().is_err());
        assert!(rx.pop().is_err());
    }

    #[test]
    fn a_sender_learns_that_the_receiver_is_gone() {
        let (mut tx, rx) = pipe(Limit::Messages(1));
        let (woken, waker) = counted();
        tx.set_waker(waker);
        assert!(tx.push(Message::from("a")).is_ok());
        drop(rx);
        assert_eq!(woken.get(), 1);
        assert!(!tx.has_room());
        let whole = Message::from_iter(["a", "b"]);
        assert_eq!(tx.push(whole.clone()), Err(whole));
    }

    #[test]
    fn only_a_receiver_that_found_nothing_is_woken_and_once() {
        let (mut tx, mut rx) = pipe(Limit::Unlimited);
        let (woken, waker) = counted();
        rx.set_waker(waker);
        assert!(tx.push(Message::from("a")).is_ok());
        assert_eq!(woken.get(), 0, "it has not looked");
        assert!(message(&mut rx).is_some() && message(&mut rx).is_none());
        assert!(tx.push(Message::from("b")).is_ok() && tx.push(Message::from("c")).is_ok());
        assert_eq!(woken.get(), 1);
        assert!(message(&mut rx).is_some());
        assert!(tx.push(Message::from("d")).is_ok());
        assert_eq!(woken.get(), 1, "it is awake");
    }

    #[test]
    fn only_a_sender_that_found_no_room_is_woken_and_for_much() {
        let (mut tx, mut rx) = pipe(Limit::Messages(80));
        let (woken, waker) = counted();
        tx.set_waker(waker);
        while tx.push(Message::from("x")).is_ok() {}
        for _ in 0..9 {
            assert!(message(&mut rx).is_some());
        }
        assert_eq!(woken.get(), 0, "less than an eighth is free");
        assert!(message(&mut rx).is_some());
        assert_eq!(woken.get(), 1);
        while message(&mut rx).is_some() {}
        assert_eq!(woken.get(), 1, "it was told");
        tx.set_limit(Limit::Messages(100));
        assert_eq!((0..101).filter(|_| tx.push(Message::from("x")).is_ok()).count(), 100);
        assert!(message(&mut rx).is_some());
        tx.close();
        while message(&mut rx).is_some() {}
        assert_eq!(woken.get(), 2, "everything is free");
    }

    /// A thread at each end, both of which sleep whenever the other lets them.
    #[test]
    fn no_wake_up_is_lost() {
        const MESSAGES: u32 = if cfg!(debug_assertions) { 20_000 } else { 500_000 };
        for limit in [Limit::Messages(1), Limit::Messages(7), Limit::Messages(300)] {
            let (mut tx, mut rx) = pipe(limit);
            rx.set_waker(Waker::from(Arc::new(Unpark(thread::current()))));
            let sender = thread::spawn(move || {
                tx.set_waker(Waker::from(Arc::new(Unpark(thread::current()))));
                for n in 0..MESSAGES {
                    let bytes = n.to_be_bytes();
                    match n % 2 {
                        0 => {
                            while !tx.push_lent(&Message::new(), &bytes.repeat(16)) {
                                thread::park();
                            }
                        }
                        _ => {
                            while tx.push(Message::from(&bytes)).is_err() {
                                thread::park();
                            }
                        }
                    }
                    assert!(limit == Limit::Unlimited || tx.queued() <= limit.messages());
                }
            });
            let mut expected = 0u32;
            loop {
                let arrival = match rx.pop_single() {
                    Some(frame) => Ok(Some(Arrival::Message(Message::from(frame)))),
                    None => rx.pop(),
                };
                match arrival {
                    Ok(Some(Arrival::Message(message))) => {
                        let times = if expected.is_multiple_of(2) { 16 } else { 1 };
                        assert_eq!(message[0], expected.to_be_bytes().repeat(times));
                        expected += 1;
                    }
                    Ok(Some(Arrival::Command(command))) => panic!("{command:?}"),
                    Ok(None) => thread::park(),
                    Err(Gone) => break,
                }
            }
            assert_eq!(expected, MESSAGES);
            sender.join().unwrap();
        }
    }
}
