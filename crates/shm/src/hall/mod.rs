//! Many connections served by one thread, at a cost that grows with those that are busy.
//!
//! ```text
//!                look at each, every round
//!   arrivals --> [ active ] <--- marked on the board, or rang ----+
//!                    | idle for a while: told to ring              |
//!                    +--------------------------------------> [ dormant ]
//! ```
//!
//! A connection with traffic is *active*: its ring is looked at in each round, and its peer pays
//! for nothing but the message. One that has been idle becomes *dormant*: its ring says that nobody
//! looks, and a peer that sends sets its bit on the board, where one load per round finds it. Only
//! when the whole endpoint sleeps does a peer ring a doorbell, each its own.
//!
//! # What a hostile peer can do to others
//!
//! The board is writable by all peers. Who sets the bits of others costs this side a look each. Who
//! erases them delays others: so each 64th round looks at one dormant ring whatever the board says,
//! and before this side sleeps for longer than ten milliseconds it looks at all. Once it sleeps,
//! the doorbells count, which are not shared.

pub(crate) mod board;
mod desk;
mod outward;
pub(crate) mod register;
#[cfg(test)]
mod tests;

use std::num::NonZero;
use std::sync::Arc;

use board::FrontDoor;
use desk::Desk;
pub(crate) use desk::{Terms, large, meet};
use rustix::io::Errno;

use crate::admit::Peer;
use crate::door::{BindError, Bound};
use crate::link::{Link, Taken};
use crate::name::Name;
use crate::options::Options;
use crate::porch::Porch;
use crate::wait::Sleeper;

/// With so few active connections none is worth the trouble of becoming dormant.
const FEW: usize = 4;
/// Looks in vain, over all active connections, until an idle one becomes dormant.
const LOOKS_IDLE: usize = 8192;
/// Rounds from one unasked look at a dormant ring to the next.
const ROUNDS_PER_SWEEP: u32 = 64;

/// A connection in the hall. Its slot is used again after it, the turn tells the two apart.
///
/// ```text
/// 63              32 31    16 15     0
/// +-----------------+--------+--------+
/// | turn, not zero  |  slot  |   0    |
/// +-----------------+--------+--------+
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key(NonZero<u64>);

impl Key {
    fn new(slot: u32, turn: u32) -> Key {
        let word = u64::from(turn.max(1)) << 32 | u64::from(slot) << 16;
        Key(NonZero::new(word).expect("a turn is not zero"))
    }

    #[inline]
    fn slot(self) -> usize {
        usize::from((self.0.get() >> 16) as u16)
    }
}

/// A record of a connection: its key, and the record's tag in the bits that a key leaves free. One
/// word, so that it and the lack of it are returned in a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mail(NonZero<u64>);

impl Mail {
    fn new(key: Key, tag: u16) -> Mail {
        Mail(key.0 | u64::from(tag))
    }

    #[inline]
    pub(crate) fn key(self) -> Key {
        Key(NonZero::new(self.0.get() & !0xffff).expect("a turn is not zero"))
    }

    #[inline]
    pub(crate) fn tag(self) -> u16 {
        self.0.get() as u16
    }
}

/// A connection, where it stands, and what the pattern keeps with it.
#[derive(Debug)]
struct Seat<X> {
    link: Link,
    extra: X,
    key: Key,
    active: bool,
    /// The ring says that nobody looks at it.
    dozes: bool,
    /// Its records are left where they are until it has taken what it was sent.
    paused: bool,
    /// The peer has gone; what it had sent is still to be taken.
    closing: bool,
    /// Records that are still taken from a peer that has gone: as many as it can have published.
    /// One that hung up and lives could go on for ever.
    last_records: usize,
    /// Rounds since there was a message.
    idle: u32,
}

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Leave {
    /// The peer closed, or died.
    Gone,
    /// It wrote what nobody who keeps the protocol writes.
    Corrupt,
    /// It did not read what it was sent.
    Slow,
}

/// A connection that ended.
#[derive(Debug)]
pub(crate) struct Left<X> {
    pub(crate) peer: Peer,
    pub(crate) why: Leave,
    pub(crate) link: Link,
    pub(crate) extra: X,
}

/// The connections of an endpoint that was bound.
pub(crate) struct Hall<X> {
    desk: Arc<Desk>,
    door: FrontDoor,
    _bound: Bound,
    seats: Vec<Option<Seat<X>>>,
    active: Vec<u32>,
    /// Whose turn it is, an index of `active`.
    at: usize,
    rounds: u32,
    swept: usize,
    turns: u32,
    arrived: Vec<Key>,
    left: Vec<Left<X>>,
    /// A doorbell rang: perhaps for room, which no look at a ring would find.
    rang: bool,
    /// Slots just taken from the board, kept for its memory.
    marked: Vec<usize>,
}

impl<X: Default> Hall<X> {
    pub(crate) fn bind(name: &Name, options: &Options, terms: Terms) -> Result<Hall<X>, BindError> {
        let porch = Porch::new().map_err(system)?;
        let (desk, door) = Desk::new(options, terms, porch.clone())?;
        let directory = options.directory.clone();
        let bound = Bound::bind(name, directory, options.admit.clone(), porch, desk.clone())?;
        Ok(Hall {
            desk,
            door,
            _bound: bound,
            seats: Vec::new(),
            active: Vec::new(),
            at: 0,
            rounds: 0,
            swept: 0,
            turns: 0,
            arrived: Vec::new(),
            left: Vec::new(),
            rang: false,
            marked: Vec::new(),
        })
    }

    /// The next record of any connection, in turn: its payload into `into`; whose it is, and its
    /// tag. `None` after a round in which there was nothing.
    #[inline]
    pub(crate) fn recv(&mut self, into: &mut Vec<u8>) -> Option<Mail> {
        for _ in 0..=self.active.len() {
            if self.at >= self.active.len() {
                self.at = 0;
                self.round();
            }
            let Some(&slot) = self.active.get(self.at) else { continue };
            let seat = self.seats[slot as usize].as_mut().expect("who is active has a seat");
            match seat.link.recv(into) {
                Taken::Record(tag) => {
                    seat.idle = 0;
                    self.at += 1;
                    let mail = Mail::new(seat.key, tag);
                    if seat.closing {
                        seat.last_records = seat.last_records.saturating_sub(1);
                        if seat.last_records == 0 {
                            self.remove(slot, Leave::Gone);
                            return Some(mail);
                        }
                    }
                    if seat.dozes {
                        self.wake(slot);
                    }
                    return Some(mail);
                }
                Taken::Nothing => self.idle(slot),
                Taken::Spoilt => self.remove(slot, Leave::Corrupt),
            }
        }
        None
    }

    pub(crate) fn porch(&self) -> &Arc<Porch> {
        self.desk.porch()
    }

    /// The connection, if it is still up.
    #[inline]
    pub(crate) fn get(&mut self, key: Key) -> Option<(&mut Link, &mut X)> {
        let seat = self.seats.get_mut(key.slot())?.as_mut()?;
        (seat.key == key).then_some((&mut seat.link, &mut seat.extra))
    }

    /// All connections.
    pub(crate) fn all(&mut self) -> impl Iterator<Item = (Key, &mut Link, &mut X)> {
        let seats = self.seats.iter_mut().flatten();
        seats.map(|seat| (seat.key, &mut seat.link, &mut seat.extra))
    }

    /// Leaves the records of a connection where they are, until [`Hall::resume`] or its end.
    pub(crate) fn pause(&mut self, key: Key) {
        let Some(seat) = self.seats.get_mut(key.slot()).and_then(Option::as_mut) else {
            return;
        };
        if seat.key == key && !seat.closing {
            seat.paused = true;
            seat.active = false;
            self.active.retain(|slot| *slot as usize != key.slot());
        }
    }

    /// Takes the records of a connection again.
    pub(crate) fn resume(&mut self, key: Key) {
        if self.get(key).is_some() {
            self.seats[key.slot()].as_mut().expect("it is there").paused = false;
            self.activate(key.slot() as u32);
        }
    }

    /// Who has come since the last call.
    pub(crate) fn take_arrived(&mut self) -> Vec<Key> {
        std::mem::take(&mut self.arrived)
    }

    /// Whether anybody has come or left since the last calls.
    #[inline]
    pub(crate) fn has_moved(&self) -> bool {
        !self.arrived.is_empty() || !self.left.is_empty()
    }

    /// Whether somebody has left.
    #[inline]
    pub(crate) fn has_left(&self) -> bool {
        !self.left.is_empty()
    }

    /// Who has left since the last call. Who hung up has left when all it sent was taken.
    pub(crate) fn take_left(&mut self) -> Vec<Left<X>> {
        std::mem::take(&mut self.left)
    }

    /// Ends a connection.
    pub(crate) fn cut_off(&mut self, key: Key, why: Leave) {
        if self.get(key).is_some() {
            self.remove(key.slot() as u32, why);
        }
    }

    /// What is looked at once a round: the board, news in private memory, and one dormant ring.
    fn round(&mut self) {
        self.take_board();
        self.rounds = self.rounds.wrapping_add(1);
        if self.desk.porch().has_news() {
            self.take_news();
        }
        if self.rounds.is_multiple_of(ROUNDS_PER_SWEEP) {
            self.sweep_one();
        }
    }

    #[inline]
    fn take_board(&mut self) {
        if !self.door.board.is_empty() {
            self.take_marks();
        }
    }

    #[cold]
    fn take_marks(&mut self) {
        let mut marked = std::mem::take(&mut self.marked);
        self.door.board.take(|slot| marked.push(slot));
        for slot in marked.drain(..) {
            if self.seats.get(slot).is_some_and(Option::is_some) {
                self.rung(slot as u32);
            }
        }
        self.marked = marked;
    }

    /// Seats who has come, and looks for who has gone.
    #[cold]
    fn take_news(&mut self) {
        self.desk.porch().take_news();
        for arrival in self.desk.arrivals() {
            let slot = arrival.slot as usize;
            if self.seats.len() <= slot {
                self.seats.resize_with(slot + 1, || None);
            }
            if self.desk.porch().watch(arrival.bell, arrival.slot).is_err() {
                arrival.link.session().close();
            }
            self.turns = self.turns.wrapping_add(1);
            let key = Key::new(arrival.slot, self.turns);
            self.arrived.push(key);
            self.seats[slot] = Some(Seat {
                link: arrival.link,
                extra: X::default(),
                key,
                active: false,
                dozes: false,
                paused: false,
                closing: false,
                last_records: 0,
                idle: 0,
            });
            self.activate(arrival.slot);
        }
        for slot in 0..self.seats.len() {
            let Some(seat) = &mut self.seats[slot] else { continue };
            seat.link.tend();
            if seat.link.session().is_closed() && !seat.closing {
                // It leaves once its ring is found empty.
                seat.last_records = seat.link.records_max();
                seat.closing = true;
                seat.paused = false;
                self.activate(slot as u32);
            }
        }
    }

    fn sweep_one(&mut self) {
        if self.seats.is_empty() {
            return;
        }
        self.swept = (self.swept + 1) % self.seats.len();
        self.look_at_dormant(self.swept);
    }

    /// Makes a dormant connection active if there is something in its ring; whether there was.
    fn look_at_dormant(&mut self, slot: usize) -> bool {
        let Some(seat) = &mut self.seats[slot] else { return false };
        let found = !seat.active && !seat.paused && seat.link.is_ready();
        if found {
            self.activate(slot as u32);
        }
        found
    }

    /// Nothing was in the ring of an active connection: it leaves, dozes, or stays.
    #[inline]
    fn idle(&mut self, slot: u32) {
        let active = self.active.len();
        let seat = self.seats[slot as usize].as_mut().expect("who is active has a seat");
        seat.idle += 1;
        if seat.closing {
            self.remove_if_read(slot);
        } else if active > FEW && seat.idle as usize >= LOOKS_IDLE / active {
            self.make_dormant(slot);
        } else {
            self.at += 1;
        }
    }

    /// The peer is gone. What it published before may have come after the last look.
    #[cold]
    fn remove_if_read(&mut self, slot: u32) {
        let seat = self.seats[slot as usize].as_mut().expect("who is active has a seat");
        if !seat.link.is_ready() {
            self.remove(slot, Leave::Gone);
        }
    }

    /// First the ring says that nobody looks, then, after as long again, nobody does: what was on
    /// its way when it said so has come by then.
    #[cold]
    fn make_dormant(&mut self, slot: u32) {
        let seat = self.seats[slot as usize].as_mut().expect("who is active has a seat");
        seat.idle = 0;
        if !seat.dozes {
            seat.dozes = true;
            seat.link.doze();
            self.at += 1;
            return;
        }
        seat.active = false;
        self.active.swap_remove(self.at);
    }

    /// Looks at this connection from now on.
    fn activate(&mut self, slot: u32) {
        let Some(seat) = &mut self.seats[slot as usize] else { return };
        seat.idle = 0;
        if !seat.active && !seat.paused {
            seat.active = true;
            self.active.push(slot);
        }
        self.wake(slot);
    }

    /// Takes back that nobody looks.
    fn wake(&mut self, slot: u32) {
        if let Some(seat) = &mut self.seats[slot as usize]
            && std::mem::take(&mut seat.dozes)
        {
            seat.link.awake();
        }
    }

    #[cold]
    fn remove(&mut self, slot: u32, why: Leave) {
        let Some(seat) = self.seats[slot as usize].take() else { return };
        self.active.retain(|other| *other != slot);
        self.desk.porch().unwatch(slot);
        self.desk.free(slot);
        let peer = seat.link.session().peer().clone();
        seat.link.session().close();
        self.left.push(Left { peer, why, link: seat.link, extra: seat.extra });
    }
}

impl<X: Default> Sleeper for Hall<X> {
    fn look(&mut self) -> bool {
        let ready = |slot: &u32| {
            let seat = self.seats[*slot as usize].as_mut().expect("who is active has a seat");
            seat.link.is_ready() || seat.closing
        };
        if self.active.iter().any(ready) {
            return true;
        }
        self.take_board();
        std::mem::take(&mut self.rang) || self.desk.porch().has_news()
    }

    fn look_everywhere(&mut self) -> bool {
        let mut found = self.look();
        for slot in 0..self.seats.len() {
            found |= self.look_at_dormant(slot);
        }
        found
    }

    fn lie_down(&mut self) {
        for slot in &self.active {
            let seat = self.seats[*slot as usize].as_mut().expect("who is active has a seat");
            if !std::mem::replace(&mut seat.dozes, true) {
                seat.link.doze();
            }
        }
        self.door.sleeper.announce();
    }

    /// Connections that rang are active already; the others come back by the board.
    fn get_up(&mut self) {
        self.door.sleeper.awake();
    }

    fn rung(&mut self, key: u32) {
        self.rang = true;
        if self.seats.get(key as usize).is_some_and(Option::is_some) {
            self.activate(key);
        }
    }
}

/// What could not be made for a hall.
fn system(error: impl Into<std::io::Error>) -> BindError {
    let errno = Errno::from_io_error(&error.into()).unwrap_or(Errno::IO);
    BindError::System { what: "make memory and doorbells", errno }
}
