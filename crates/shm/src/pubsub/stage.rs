//! What a publisher and the doorman share: the ring, and who reads it.
//!
//! The publisher's thread owns it and publishes; the doorman's visits it, to seat a subscriber
//! ([`turns`](super::turns)).

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{Ordering, compiler_fence, fence};

use chaski_ring::region::board::Board;
use chaski_ring::region::broadcast::{self, CutOff, Key, PublishError, Start, SubscriberObserver};

use super::Policy;
use super::register::{Register, Row};
use crate::call::Departure;
use crate::door::Session;
use crate::hall::Leave;
use crate::hall::board::Page;
use crate::porch::{Bell, Button, Porch};
use crate::step::step;
use crate::wire::{Control, Reason, Refusal, Refused};

/// Publications from one look at a subscriber that has not marked the board to the next.
const PUBLICATIONS_PER_LOOK: u32 = 8;

/// The last so many that left are kept to be told of.
const DEPARTED_MAX: usize = 1024;

/// The ring and its subscribers.
pub(super) struct Stage {
    ring: broadcast::Publisher<Page>,
    /// Marked by those who sleep.
    board: Board<Page>,
    /// By slot, as on the board.
    seats: Vec<Option<Seat>>,
    register: Arc<Register>,
    porch: Arc<Porch>,
    /// Subscribers that cannot have a fence run in this process.
    unfenced: usize,
    publications: u32,
    /// The slot that was looked at last without being asked.
    looked_at: usize,
    departures: VecDeque<Departure>,
}

/// A subscriber that is connected.
struct Seat {
    key: Key,
    /// What it waits for.
    bell: Button,
    session: Session,
    fences: bool,
    row: Arc<Row>,
}

/// A subscriber that asks for a seat.
pub(super) struct Newcomer {
    pub(super) page: Page,
    pub(super) policy: Policy,
    pub(super) history: usize,
    /// Its process and this one can have fences run in each other.
    pub(super) fences: bool,
    pub(super) bell: Button,
    /// What it rings when it has made room, if the publisher waits for it.
    pub(super) room: Option<Bell>,
    pub(super) session: Session,
}

/// A seat that was given.
pub(super) struct Seated {
    pub(super) slot: u32,
    pub(super) start: Start,
    /// To be told when the welcome has been sent.
    pub(super) row: Arc<Row>,
}

impl Stage {
    pub(super) fn new(
        ring: broadcast::Publisher<Page>,
        board: Board<Page>,
        register: Arc<Register>,
        porch: Arc<Porch>,
    ) -> Stage {
        Stage {
            ring,
            board,
            seats: Vec::new(),
            register,
            porch,
            unfenced: 0,
            publications: 0,
            looked_at: 0,
            departures: VecDeque::new(),
        }
    }

    /// Publishes a message, with all that were staged.
    #[inline]
    pub(super) fn publish(&mut self, payload: &[u8]) -> Result<(), PublishError> {
        let staged = self.stage(payload);
        self.flush();
        staged
    }

    /// Writes a message that is seen with the next flush. What was staged before is published if
    /// there is no room.
    #[inline]
    pub(super) fn stage(&mut self, payload: &[u8]) -> Result<(), PublishError> {
        if self.porch.has_news() {
            self.settle();
        }
        let staged = self.ring.stage(0, payload);
        step("publish.staged");
        if let Some(cut) = self.ring.cut_off() {
            self.expel(cut);
        }
        staged
    }

    /// Shows what was staged, and wakes who sleeps.
    #[inline]
    pub(super) fn flush(&mut self) {
        self.ring.publish();
        step("publish.published");
        if self.unfenced > 0 {
            // ORDERING: pairs with the fence of a subscriber between its mark and its last look:
            // either that look sees the message, or the load below sees the mark.
            fence(Ordering::SeqCst);
        } else {
            // ORDERING: the processor's part is the fence that a subscriber has run here before it
            // sleeps for good, see `wait`.
            compiler_fence(Ordering::SeqCst);
        }
        if !self.board.is_empty() {
            self.wake_marked();
        }
        self.publications = self.publications.wrapping_add(1);
        if self.publications.is_multiple_of(PUBLICATIONS_PER_LOOK) {
            self.look_at_one();
        }
    }

    /// Whether a payload of this length can be published now, or never.
    pub(super) fn has_room(&mut self, len: usize) -> bool {
        self.ring.has_room(len).unwrap_or(true)
    }

    /// Says that the publisher is about to sleep until there is room.
    pub(super) fn lie_down(&mut self) {
        self.ring.announce();
        step("publish.lay_down");
    }

    /// Says that it is up again.
    pub(super) fn get_up(&mut self) {
        self.ring.awake();
    }

    /// Seats a subscriber. From here on it is waited for, if it may lose nothing.
    pub(super) fn seat(&mut self, newcomer: Newcomer, max: usize) -> Result<Seated, Refused> {
        // Those that have left take no seat from others, though the publisher's thread may not have
        // looked for a long time.
        self.sweep();
        let free = self.seats.iter().position(Option::is_none);
        let slot = free.unwrap_or(self.seats.len());
        if slot >= max {
            let full = format!("{max} subscribers are connected already");
            return Err(Refused::new(Refusal::Busy, full));
        }
        let Newcomer { page, policy, history, fences, bell, room, session } = newcomer;
        let observer = SubscriberObserver::attach(page.clone()).map_err(Refused::ours)?;
        if let Some(room) = room {
            self.porch.watch(room, slot as u32).map_err(Refused::ours)?;
        }
        let seated = self.ring.subscribe(page, policy.into(), history);
        let (key, start) = seated.map_err(|why| {
            self.porch.unwatch(slot as u32);
            Refused::ours(why)
        })?;
        let before = self.ring.stats().bytes;
        let row = Arc::new(Row::new(&session, policy, observer, start.sequence, before));
        self.register.set(slot, Some(row.clone()));
        self.unfenced += usize::from(!fences);
        if free.is_none() {
            self.seats.push(None);
        }
        self.seats[slot] = Some(Seat { key, bell, session, fences, row: row.clone() });
        step("publish.seated");
        Ok(Seated { slot: slot as u32, start, row })
    }

    /// Lets go who has left.
    #[cold]
    pub(super) fn settle(&mut self) {
        if self.porch.take_news() {
            self.sweep();
        }
    }

    /// How many are connected.
    pub(super) fn subscribers(&self) -> usize {
        self.seats.iter().flatten().count()
    }

    pub(super) fn departures(&mut self) -> VecDeque<Departure> {
        std::mem::take(&mut self.departures)
    }

    pub(super) fn stats(&self) -> broadcast::Stats {
        self.ring.stats()
    }

    /// Hangs up on everybody, when all that was staged has been published.
    pub(super) fn close(&mut self) {
        self.flush();
        for slot in 0..self.seats.len() {
            self.remove(slot, Leave::Gone);
        }
    }

    fn sweep(&mut self) {
        for slot in 0..self.seats.len() {
            if self.seats[slot].as_ref().is_some_and(|seat| seat.session.is_closed()) {
                self.remove(slot, Leave::Gone);
            }
        }
    }

    /// Ends the connections of those whom the ring has cut off already.
    #[cold]
    fn expel(&mut self, first: (Key, CutOff)) {
        let mut next = Some(first);
        while let Some((key, why)) = next {
            let (reason, leave) = match why {
                CutOff::Slow => (Reason::Slow, Leave::Slow),
                _ => (Reason::Corrupt, Leave::Corrupt),
            };
            let has_key = |seat: &Option<Seat>| seat.as_ref().is_some_and(|seat| seat.key == key);
            if let Some(slot) = self.seats.iter().position(has_key) {
                if let Some(seat) = &self.seats[slot]
                    && seat.row.is_welcome()
                {
                    // One that does not hear it still sees the hang-up.
                    let _ = seat.session.send(&Control::Bye { reason }, None);
                }
                self.remove(slot, leave);
            }
            next = self.ring.cut_off();
        }
    }

    #[cold]
    fn remove(&mut self, slot: usize, why: Leave) {
        let Some(seat) = self.seats[slot].take() else { return };
        self.ring.unsubscribe(seat.key);
        self.register.set(slot, None);
        self.unfenced -= usize::from(!seat.fences);
        self.porch.unwatch(slot as u32);
        seat.session.close();
        step("publish.let_go");
        if self.departures.len() == DEPARTED_MAX {
            self.departures.pop_front();
        }
        let peer = seat.session.peer().clone();
        let unread = seat.row.behind(&self.ring.stats()).untaken;
        self.departures.push_back(Departure { peer, why, unread });
    }

    /// Wakes those who marked the board.
    #[cold]
    fn wake_marked(&mut self) {
        let Stage { board, ring, seats, .. } = self;
        board.take(|slot| {
            step("publish.mark_taken");
            if let Some(Some(seat)) = seats.get(slot) {
                seat.wake(ring);
            }
        });
    }

    /// Looks whether one sleeps whose mark may have been erased.
    #[inline]
    fn look_at_one(&mut self) {
        self.looked_at += 1;
        if self.looked_at >= self.seats.len() {
            self.looked_at = 0;
        }
        if let Some(Some(seat)) = self.seats.get(self.looked_at) {
            seat.wake(&mut self.ring);
        }
    }
}

impl Seat {
    /// Rings, if it sleeps and was not rung for.
    #[inline]
    fn wake(&self, ring: &mut broadcast::Publisher<Page>) {
        if ring.must_wake(self.key) {
            step("publish.before_ring");
            self.bell.ring();
            self.row.woken();
        }
    }
}
