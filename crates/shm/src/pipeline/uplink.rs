//! The sender to one collector, and to its successors.

use std::sync::Arc;
use std::time::Instant;

use super::push::Losses;
use super::sent::Sent;
use super::{Loss, STAGED_MAX};
use crate::door::ConnectError;
use crate::error::Error;
use crate::hall::Leave;
use crate::link::Link;
use crate::options::Options;
use crate::porch::Porch;
use crate::task;
use crate::tie::{Patience, Tie};
use crate::wait::{Sleeper, Waiter};
use crate::wire::Kind;

/// The way to a collector.
pub(super) struct Uplink {
    tie: Tie,
    porch: Arc<Porch>,
    waiter: Waiter,
    sent: Sent,
    /// Bytes staged since the last publication.
    staged: usize,
    losses: Losses,
}

impl Uplink {
    pub(super) fn connect(
        name: &str,
        options: Options,
        patience: Patience,
    ) -> Result<Uplink, ConnectError> {
        let waiter = Waiter::new(options.wait);
        let tie = Tie::connect(name, options, Kind::Push, patience)?;
        let porch = tie.porch().clone();
        Ok(Uplink {
            tie,
            porch,
            waiter,
            sent: Sent::default(),
            staged: 0,
            losses: Losses::default(),
        })
    }

    /// Writes a message, which the collector sees with [`Uplink::publish`].
    #[inline]
    pub(super) fn try_stage(&mut self, payload: &[u8]) -> Result<(), Error> {
        if self.porch.has_news() {
            self.advance();
        }
        let Some(link) = self.tie.link() else {
            return Err(if self.tie.is_over() { Error::Closed } else { Error::Full });
        };
        match link.stage(0, payload) {
            Ok(()) => {
                self.sent.push(link);
                self.staged += payload.len();
                if self.staged >= STAGED_MAX {
                    self.publish();
                }
                Ok(())
            }
            // Closed: it died, which the next call finds out.
            Err(Error::Full | Error::Closed) => {
                link.flush();
                Err(Error::Full)
            }
            // The connection has ended, and the next will be tried.
            Err(Error::Corrupt(_)) => {
                self.lose(Leave::Corrupt);
                Err(Error::Full)
            }
            Err(error) => Err(error),
        }
    }

    /// Shows what was staged.
    #[inline]
    pub(super) fn publish(&mut self) {
        self.staged = 0;
        if let Some(link) = self.tie.link() {
            link.flush();
        }
    }

    /// Waits until a message of this length can perhaps be sent, or never, or for the deadline.
    #[cold]
    pub(super) fn wait_for_room(
        &mut self,
        len: usize,
        deadline: Option<Instant>,
    ) -> Result<(), Error> {
        self.advance();
        self.publish();
        let mut room = Room { tie: &mut self.tie, found: |link: &mut Link| link.has_room(len) };
        self.waiter.wait(&self.porch, &mut room, deadline).map(drop)
    }

    /// As [`Uplink::wait_for_room`], as a task.
    pub(super) async fn wait_for_room_async(&mut self, len: usize) -> Result<(), Error> {
        self.advance();
        self.publish();
        let mut room = Room { tie: &mut self.tie, found: |link: &mut Link| link.has_room(len) };
        task::wait(&self.porch, &mut room).await
    }

    /// Waits until everything is taken, or for the deadline; how many messages are not.
    pub(super) fn flush(&mut self, deadline: Instant) -> Result<u64, Error> {
        loop {
            let untaken = self.push_on();
            if untaken == 0 || self.tie.is_over() || Instant::now() >= deadline {
                return Ok(untaken);
            }
            let mut room = Room { tie: &mut self.tie, found: has_taken(&self.sent) };
            self.waiter.wait(&self.porch, &mut room, Some(deadline))?;
        }
    }

    /// As [`Uplink::flush`], as a task.
    pub(super) async fn flush_async(&mut self) -> Result<u64, Error> {
        loop {
            let untaken = self.push_on();
            if untaken == 0 || self.tie.is_over() {
                return Ok(untaken);
            }
            let mut room = Room { tie: &mut self.tie, found: has_taken(&self.sent) };
            task::wait(&self.porch, &mut room).await?;
        }
    }

    /// Turns to the next collector if there is one; how many messages are not taken.
    fn push_on(&mut self) -> u64 {
        self.advance();
        self.publish();
        self.untaken()
    }

    /// Messages that no collector has taken.
    pub(super) fn untaken(&mut self) -> u64 {
        if let Some(link) = self.tie.link()
            && !link.released().is_ok_and(|head| self.sent.settle(head).is_ok())
        {
            self.lose(Leave::Corrupt);
        }
        self.sent.untaken()
    }

    pub(super) fn is_connected(&mut self) -> bool {
        self.advance();
        self.tie.link().is_some()
    }

    pub(super) fn losses(&mut self) -> Losses {
        self.advance();
        std::mem::take(&mut self.losses)
    }

    /// Deals with a collector that is gone, and with one that was found.
    fn advance(&mut self) {
        let news = self.porch.take_news();
        if self.tie.link().is_some_and(|link| link.session().is_closed()) {
            self.lose(Leave::Gone);
        } else if news {
            self.tie.advance();
        }
    }

    /// What the collector had not taken is kept for the next.
    #[cold]
    fn lose(&mut self, why: Leave) {
        let Some(link) = self.tie.link() else { return };
        // Without its publication a staged record would be written over by the next.
        link.flush();
        let peer = link.session().peer().clone();
        let head = match why {
            Leave::Gone => link.stopped_at().filter(|head| self.sent.settle(*head).is_ok()),
            _ => None,
        };
        let taken = match head {
            Some(_) => self.sent.taken(),
            None => self.sent.restart(),
        };
        self.sent.succeed();
        self.losses.push(Loss { peer, why, taken, returned: self.sent.untaken() });
        self.tie.lose(head);
    }
}

/// Whether a collector has taken something since that was last asked.
fn has_taken(sent: &Sent) -> impl FnMut(&mut Link) -> bool + use<> {
    let taken_to = sent.taken_to();
    move |link| link.released().is_ok_and(|head| head != taken_to)
}

/// Waits for what the collector gives back, or for news of it.
struct Room<'a, F> {
    tie: &'a mut Tie,
    found: F,
}

impl<F: FnMut(&mut Link) -> bool> Sleeper for Room<'_, F> {
    fn look(&mut self) -> bool {
        let Room { tie, found } = self;
        let found = tie.link().is_some_and(|link| found(link) || link.session().is_closed());
        found || tie.is_over() || tie.porch().has_news()
    }

    fn lie_down(&mut self) {
        if let Some(link) = self.tie.link() {
            link.doze_for_room();
        }
    }

    fn get_up(&mut self) {
        if let Some(link) = self.tie.link() {
            link.awake_for_room();
        }
    }
}
