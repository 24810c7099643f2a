//! The hall of an endpoint that does not look at its peers' rings: it sends to them, or they only
//! mark its board.

use std::time::Instant;

use super::{Hall, Key, Leave, ROUNDS_PER_SWEEP};
use crate::error::Error;
use crate::link::{Batch, Link};
use crate::wait::{Sleeper, Waiter};

impl<X: Default> Hall<X> {
    /// Seats who has come, and lets go who hung up; whether there was news. For an endpoint that
    /// does not take records: what a peer sent is left.
    #[inline]
    pub(crate) fn attend(&mut self) -> bool {
        let news = self.porch().has_news();
        if news {
            self.take_news();
            self.remove_closing();
        }
        news
    }

    #[cold]
    fn remove_closing(&mut self) {
        for slot in 0..self.seats.len() {
            if self.seats[slot].as_ref().is_some_and(|seat| seat.closing) {
                self.remove(slot as u32, Leave::Gone);
            }
        }
    }

    /// For waiting until `found` says so of a connection, or somebody comes or leaves. A peer that
    /// makes room in its ring ends the sleep.
    pub(crate) fn room<F>(&mut self, found: F) -> impl Sleeper
    where
        F: FnMut(&mut Link, &mut X) -> bool,
    {
        Room { hall: self, found }
    }

    /// For waiting until somebody marks the board, comes or leaves. `found` tells of a connection
    /// whether there is something without a mark, which others may have erased.
    pub(crate) fn marks<F>(&mut self, found: F) -> impl Sleeper
    where
        F: FnMut(&mut Link, &mut X) -> bool,
    {
        Marks { hall: self, found }
    }

    /// Waits until a payload of `len` bytes may fit the ring to this peer, it is gone, or the
    /// deadline; whether it is worth a try.
    pub(crate) fn wait_for_room(
        &mut self,
        waiter: &mut Waiter,
        key: Key,
        len: usize,
        deadline: Instant,
    ) -> Result<bool, Error> {
        if self.get(key).is_none() {
            return Ok(true);
        }
        let porch = self.porch().clone();
        let mut room = RoomForOne { hall: self, slot: key.slot(), len, rang: false };
        waiter.wait(&porch, &mut room, Some(deadline))
    }

    /// Calls `each` for the connections that marked the board or rang since the last call, and now
    /// and then for one that did not.
    pub(crate) fn take_marked(&mut self, mut each: impl FnMut(Key)) {
        let mut marked = std::mem::take(&mut self.marked);
        if !self.door.board.is_empty() {
            self.door.board.take(|slot| marked.push(slot));
        }
        self.rounds = self.rounds.wrapping_add(1);
        if self.rounds.is_multiple_of(ROUNDS_PER_SWEEP) && !self.seats.is_empty() {
            self.swept = (self.swept + 1) % self.seats.len();
            marked.push(self.swept);
        }
        for slot in marked.drain(..) {
            if let Some(Some(seat)) = self.seats.get(slot) {
                each(seat.key);
            }
        }
        self.marked = marked;
    }

    /// Takes what there is from the connections in turn, until the batch holds `max` records or
    /// many bytes, or a round is over.
    pub(crate) fn recv_many(&mut self, max: usize, batch: &mut Batch) {
        for _ in 0..=self.active.len() {
            // Of a batch that takes no more, the others would seem to have nothing.
            if batch.is_ample(max) {
                return;
            }
            if self.at >= self.active.len() {
                self.at = 0;
                self.round();
            }
            let Some(&slot) = self.active.get(self.at) else { continue };
            let seat = self.seats[slot as usize].as_mut().expect("who is active has a seat");
            let before = batch.len();
            match seat.link.recv_many(max, batch) {
                Ok(()) if batch.len() == before => self.idle(slot),
                Ok(()) => {
                    seat.idle = 0;
                    self.at += 1;
                    self.wake(slot);
                }
                Err(_) => self.remove(slot, Leave::Corrupt),
            }
        }
    }
}

/// Waits for what peers give back.
struct Room<'a, X, F> {
    hall: &'a mut Hall<X>,
    found: F,
}

impl<X: Default, F: FnMut(&mut Link, &mut X) -> bool> Sleeper for Room<'_, X, F> {
    fn look(&mut self) -> bool {
        let Room { hall, found } = self;
        // A mark may be the word of one that made room when it had not yet seen this side asleep.
        // It has given it, and does not ring any more.
        hall.take_board();
        let rang = std::mem::take(&mut hall.rang);
        let mut seats = hall.seats.iter_mut().flatten();
        rang || seats.any(|seat| found(&mut seat.link, &mut seat.extra))
            || hall.desk.porch().has_news()
    }

    fn lie_down(&mut self) {
        for seat in self.hall.seats.iter_mut().flatten() {
            seat.link.doze_for_room();
        }
        // A peer's word for room goes by the board, as all of its words.
        self.hall.door.sleeper.announce();
    }

    fn get_up(&mut self) {
        self.hall.door.sleeper.awake();
        for seat in self.hall.seats.iter_mut().flatten() {
            seat.link.awake_for_room();
        }
    }
}

/// Waits for what one peer gives back. The words of others are kept for later.
struct RoomForOne<'a, X> {
    hall: &'a mut Hall<X>,
    slot: usize,
    len: usize,
    rang: bool,
}

impl<X: Default> Sleeper for RoomForOne<'_, X> {
    fn look(&mut self) -> bool {
        // A mark may be its word, made when it had not yet seen this side asleep.
        self.hall.take_board();
        self.rang |= std::mem::take(&mut self.hall.rang);
        let Some(seat) = &mut self.hall.seats[self.slot] else { return true };
        self.rang || seat.link.has_room(self.len) || seat.link.session().is_closed()
    }

    fn lie_down(&mut self) {
        if let Some(seat) = &mut self.hall.seats[self.slot] {
            seat.link.doze_for_room();
        }
        self.hall.door.sleeper.announce();
    }

    fn get_up(&mut self) {
        self.hall.door.sleeper.awake();
        if let Some(seat) = &mut self.hall.seats[self.slot] {
            seat.link.awake_for_room();
        }
    }

    /// Each rings once a sleep, perhaps for less room than is wanted: the caller lies down anew.
    fn rung(&mut self, key: u32) {
        self.hall.rung(key);
    }
}

/// Waits for marks on the board.
struct Marks<'a, X, F> {
    hall: &'a mut Hall<X>,
    found: F,
}

impl<X: Default, F: FnMut(&mut Link, &mut X) -> bool> Sleeper for Marks<'_, X, F> {
    fn look(&mut self) -> bool {
        !self.hall.door.board.is_empty()
            || !self.hall.marked.is_empty()
            || self.hall.desk.porch().has_news()
    }

    fn look_everywhere(&mut self) -> bool {
        let Marks { hall, found } = self;
        for (slot, seat) in hall.seats.iter_mut().enumerate() {
            if let Some(seat) = seat
                && found(&mut seat.link, &mut seat.extra)
            {
                hall.marked.push(slot);
            }
        }
        self.look()
    }

    fn lie_down(&mut self) {
        self.hall.door.sleeper.announce();
    }

    fn get_up(&mut self) {
        self.hall.door.sleeper.awake();
    }

    fn rung(&mut self, key: u32) {
        self.hall.marked.push(key as usize);
    }
}
