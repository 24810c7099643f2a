//! The sender of many workers: who gets the next message, and what becomes of what the dead leave.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::push::Losses;
use super::sent::Sent;
use super::{FREE, Loss, STAGED_MAX};
use crate::door::BindError;
use crate::error::Error;
use crate::hall::{Hall, Key, Leave, Left, Terms};
use crate::link::Link;
use crate::name::Name;
use crate::options::Options;
use crate::porch::Porch;
use crate::task;
use crate::wait::Waiter;
use crate::wire::Kind;

/// What a message costs of a worker's budget beside its payload.
const OVERHEAD: u64 = 8;

/// Everyone who is connected to take work.
pub(super) struct Crew {
    hall: Hall<Worker>,
    porch: Arc<Porch>,
    waiter: Waiter,
    /// In the order of their turns.
    workers: Vec<Key>,
    /// Whose turn it was last, an index of `workers`.
    turn: usize,
    /// Who gets the next message, and alone may have staged ones.
    current: Option<Key>,
    /// Bytes that it gets before the others are looked at.
    budget: u64,
    /// Bytes staged since the last publication.
    staged: usize,
    /// Taken back from the dead, to be given to others before anything else.
    returned: VecDeque<Vec<u8>>,
    /// Of those, what nobody takes who is here: too long for each. Waits for another worker, and
    /// lets the others pass.
    too_long: VecDeque<Vec<u8>>,
    losses: Losses,
}

/// What is kept with a worker's connection.
#[derive(Debug, Default)]
pub(super) struct Worker {
    sent: Sent,
}

/// How much a worker has to do; the less the better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// It looks for more.
    Waits,
    /// It waits for more, and must be rung for.
    Sleeps,
    /// It has not asked for more, and has so many bytes unread.
    Busy(u64),
}

impl Crew {
    pub(super) fn bind(name: &str, options: &Options, peers: usize) -> Result<Crew, BindError> {
        let terms = Terms { serves: Kind::Pull, peers_max: peers };
        let hall = Hall::bind(&Name::new(name)?, options, terms)?;
        Ok(Crew {
            porch: hall.porch().clone(),
            hall,
            waiter: Waiter::new(options.wait),
            workers: Vec::new(),
            turn: 0,
            current: None,
            budget: 0,
            staged: 0,
            returned: VecDeque::new(),
            too_long: VecDeque::new(),
            losses: Losses::default(),
        })
    }

    /// Writes a message into the ring of a worker, who sees it with [`Crew::publish`].
    #[inline]
    pub(super) fn try_stage(&mut self, payload: &[u8]) -> Result<(), Error> {
        if self.porch.has_news() || !self.returned.is_empty() {
            self.settle()?;
        }
        self.give(payload)
    }

    /// Shows what was staged.
    #[inline]
    pub(super) fn publish(&mut self) {
        self.staged = 0;
        if let Some(key) = self.current
            && let Some((link, _)) = self.hall.get(key)
        {
            link.flush();
        }
    }

    /// Waits until a message of this length can perhaps be given to somebody, or for the deadline.
    #[cold]
    pub(super) fn wait_for_room(
        &mut self,
        len: usize,
        deadline: Option<Instant>,
    ) -> Result<(), Error> {
        let found = self.found_room(len);
        self.waiter.wait(&self.porch, &mut self.hall.room(found), deadline).map(drop)
    }

    /// As [`Crew::wait_for_room`], as a task.
    pub(super) async fn wait_for_room_async(&mut self, len: usize) -> Result<(), Error> {
        let found = self.found_room(len);
        task::wait(&self.porch, &mut self.hall.room(found)).await
    }

    fn found_room(&mut self, len: usize) -> impl FnMut(&mut Link, &mut Worker) -> bool + use<> {
        self.publish();
        // What was returned goes first.
        let len = self.returned.front().map_or(len, Vec::len);
        move |link, _| {
            link.payload_max() >= len && !link.session().is_closed() && link.has_room(len)
        }
    }

    /// Waits until everything is taken, or for the deadline; how many messages are not.
    pub(super) fn flush(&mut self, deadline: Instant) -> Result<u64, Error> {
        loop {
            let untaken = self.push_on()?;
            if untaken == 0 || Instant::now() >= deadline {
                return Ok(untaken);
            }
            self.waiter.wait(&self.porch, &mut self.hall.room(has_taken), Some(deadline))?;
        }
    }

    /// As [`Crew::flush`], as a task.
    pub(super) async fn flush_async(&mut self) -> Result<u64, Error> {
        while self.push_on()? > 0 {
            task::wait(&self.porch, &mut self.hall.room(has_taken)).await?;
        }
        Ok(0)
    }

    /// Gives what came back to others, as far as there is room; how many messages are not taken.
    fn push_on(&mut self) -> Result<u64, Error> {
        match self.settle() {
            Ok(()) | Err(Error::Full) => self.publish(),
            Err(error) => return Err(error),
        }
        Ok(self.untaken())
    }

    /// Messages that nobody has taken.
    pub(super) fn untaken(&mut self) -> u64 {
        let mut untaken = 0;
        let mut liars = Vec::new();
        for (key, link, worker) in self.hall.all() {
            let head = link.released();
            if !head.is_ok_and(|head| worker.sent.settle(head).is_ok()) {
                liars.push(key);
            }
            untaken += worker.sent.untaken();
        }
        if !liars.is_empty() {
            liars.into_iter().for_each(|key| self.hall.cut_off(key, Leave::Corrupt));
            self.bury();
            return self.untaken();
        }
        untaken + (self.returned.len() + self.too_long.len()) as u64
    }

    /// How many workers are connected.
    pub(super) fn workers(&mut self) -> usize {
        self.attend();
        self.workers.len()
    }

    pub(super) fn losses(&mut self) -> Losses {
        self.attend();
        std::mem::take(&mut self.losses)
    }

    /// Gives a message to whose turn it is.
    #[inline]
    fn give(&mut self, payload: &[u8]) -> Result<(), Error> {
        // Each try that fails takes a worker out of the choice.
        for _ in 0..=self.workers.len() {
            let key = match self.current {
                Some(key) if self.budget >= payload.len() as u64 + OVERHEAD => key,
                _ => self.choose(payload.len())?,
            };
            let Some((link, worker)) = self.hall.get(key) else {
                self.current = None;
                continue;
            };
            match link.stage(0, payload) {
                Ok(()) => {
                    self.budget = self.budget.saturating_sub(payload.len() as u64 + OVERHEAD);
                    worker.sent.push(link);
                    self.staged += payload.len();
                    if self.staged >= STAGED_MAX {
                        self.publish();
                    }
                    return Ok(());
                }
                // Closed: it died, and is about to be buried.
                Err(Error::Full | Error::Closed) => {
                    link.flush();
                    self.current = None;
                }
                Err(Error::Corrupt(_)) => {
                    self.hall.cut_off(key, Leave::Corrupt);
                    self.bury();
                }
                Err(error) => return Err(error),
            }
        }
        Err(Error::Full)
    }

    /// Looks for the worker with the least to do that has room for so many bytes.
    fn choose(&mut self, len: usize) -> Result<Key, Error> {
        self.publish();
        self.current = None;
        let count = self.workers.len();
        let (mut best, mut longest) = (None, None);
        for step in 1..=count {
            let at = (self.turn + step) % count;
            let Some((link, worker)) = self.hall.get(self.workers[at]) else { continue };
            longest = longest.max(Some(link.payload_max()));
            if link.payload_max() < len || link.session().is_closed() || !link.has_room(len) {
                continue;
            }
            let standing = worker.standing(link);
            if best.is_none_or(|(least, _)| standing < least) {
                best = Some((standing, at));
            }
            if standing == Standing::Waits {
                break;
            }
        }
        let Some((standing, at)) = best else {
            let fits = longest.is_none_or(|max| len <= max);
            let max = longest.unwrap_or(0);
            return Err(if fits { Error::Full } else { Error::TooLarge { len, max } });
        };
        self.turn = at;
        self.current = Some(self.workers[at]);
        self.budget = match standing {
            _ if count == 1 => u64::MAX,
            Standing::Waits | Standing::Sleeps => 0,
            Standing::Busy(unread) => unread / 2,
        };
        Ok(self.workers[at])
    }

    /// Seats who has come, takes back what the dead leave, and gives it to others.
    #[cold]
    fn settle(&mut self) -> Result<(), Error> {
        self.attend();
        while let Some(payload) = self.returned.pop_front() {
            match self.give(&payload) {
                Ok(()) => {}
                // The one before took it.
                Err(Error::TooLarge { .. }) => self.too_long.push_back(payload),
                Err(error) => {
                    self.returned.push_front(payload);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn attend(&mut self) {
        if self.hall.attend() {
            self.workers.extend(self.hall.take_arrived());
            while let Some(payload) = self.too_long.pop_back() {
                self.returned.push_front(payload);
            }
            // One more to choose from.
            self.publish();
            self.current = None;
            self.bury();
        }
    }

    /// Takes back what those who left had not taken.
    #[cold]
    fn bury(&mut self) {
        for left in self.hall.take_left() {
            self.take_back(left);
        }
        self.workers.retain(|key| self.hall.get(*key).is_some());
        self.current = self.current.filter(|key| self.workers.contains(key));
    }

    fn take_back(&mut self, left: Left<Worker>) {
        let Left { peer, why, mut link, extra: Worker { mut sent } } = left;
        // Who was cut off may still be reading.
        let head = match why {
            Leave::Gone => link.released().ok().filter(|head| sent.settle(*head).is_ok()),
            _ => None,
        };
        let returned = head.and_then(|head| link.take_back(head).ok()).unwrap_or_default();
        let (all, returned_count) = (sent.count(), returned.len() as u64);
        self.returned.extend(returned);
        self.losses.push(Loss { peer, why, taken: all - returned_count, returned: returned_count });
    }
}

/// Whether a worker has taken something since it was last asked.
fn has_taken(link: &mut Link, worker: &mut Worker) -> bool {
    link.released().is_ok_and(|head| head != worker.sent.taken_to())
}

impl Worker {
    fn standing(&self, link: &mut Link) -> Standing {
        let note = link.their_note(FREE).load(Ordering::Relaxed);
        match (note >> 1 == self.sent.count(), note & 1) {
            (true, 0) => Standing::Waits,
            (true, _) => Standing::Sleeps,
            // A head that cannot be is found out by sending.
            (false, _) => {
                Standing::Busy(link.position() - link.released().unwrap_or(link.position()))
            }
        }
    }
}
