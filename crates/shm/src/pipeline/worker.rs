//! The receiver of one sender's work, and of its successors'.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::{DEPARTED_MAX, FREE};
use crate::admit::Peer;
use crate::call::Departure;
use crate::door::ConnectError;
use crate::error::{Corrupt, Error};
use crate::hall::Leave;
use crate::link::{Batch, Taken};
use crate::options::Options;
use crate::porch::Porch;
use crate::step::step;
use crate::task;
use crate::tie::{Patience, Tie};
use crate::wait::{Sleeper, Waiter};
use crate::wire::Kind;

/// The way from whoever gives work.
pub(super) struct Worker {
    line: Line,
    porch: Arc<Porch>,
    waiter: Waiter,
    departures: VecDeque<Departure>,
}

/// The connection, and what was said of it in the note.
struct Line {
    tie: Tie,
    /// Records taken from this connection.
    taken: u64,
    noted: u64,
}

impl Worker {
    pub(super) fn connect(
        name: &str,
        options: Options,
        patience: Patience,
    ) -> Result<Worker, ConnectError> {
        let waiter = Waiter::new(options.wait);
        let tie = Tie::connect(name, options, Kind::Pull, patience)?;
        let porch = tie.porch().clone();
        let line = Line { tie, taken: 0, noted: 0 };
        Ok(Worker { line, porch, waiter, departures: VecDeque::new() })
    }

    /// Takes the next message, if there is one; whether so.
    #[inline]
    pub(super) fn poll(&mut self, payload: &mut Vec<u8>) -> Result<bool, Error> {
        if let Some(link) = self.line.tie.link() {
            match link.recv(payload) {
                Taken::Record(0) => {
                    self.line.taken += 1;
                    return Ok(true);
                }
                Taken::Nothing => {}
                Taken::Record(tag) => {
                    let _ = link.spoilt(Corrupt::Tag(tag));
                    self.lose(Leave::Corrupt);
                }
                Taken::Spoilt => self.lose(Leave::Corrupt),
            }
        }
        self.found_nothing()?;
        Ok(false)
    }

    /// Takes messages, until the batch holds `max` or many bytes.
    #[inline]
    pub(super) fn poll_many(&mut self, max: usize, batch: &mut Batch) -> Result<(), Error> {
        let before = batch.len();
        if let Some(link) = self.line.tie.link() {
            let taken = link.recv_many(max, batch);
            self.line.taken += (batch.len() - before) as u64;
            if taken.is_err() {
                self.lose(Leave::Corrupt);
            }
        }
        if batch.len() == before { self.found_nothing() } else { Ok(()) }
    }

    /// Waits for a message until the deadline; whether there may be one.
    pub(super) fn wait(&mut self, deadline: Option<Instant>) -> Result<bool, Error> {
        self.waiter.wait(&self.porch, &mut self.line, deadline)
    }

    /// As [`Worker::wait`], as a task.
    pub(super) async fn wait_async(&mut self) -> Result<(), Error> {
        task::wait(&self.porch, &mut self.line).await
    }

    pub(super) fn peer(&mut self) -> Option<&Peer> {
        Some(self.line.tie.link()?.session().peer())
    }

    pub(super) fn is_connected(&mut self) -> bool {
        self.line.tie.link().is_some_and(|link| !link.session().is_closed())
    }

    pub(super) fn departures(&mut self) -> VecDeque<Departure> {
        std::mem::take(&mut self.departures)
    }

    /// Says that this worker is free, or finds out that it has nobody to work for.
    #[inline]
    fn found_nothing(&mut self) -> Result<(), Error> {
        let news = self.porch.has_news() && self.porch.take_news();
        if news && let Some(link) = self.line.tie.link() {
            link.tend();
        }
        match self.line.tie.link() {
            Some(link) if !link.session().is_closed() => self.line.note_free(false),
            Some(_) => self.sender_gone(),
            None => {
                if news && self.line.tie.advance() {
                    self.line.begin();
                }
                if self.line.tie.is_over() {
                    return Err(Error::Closed);
                }
            }
        }
        Ok(())
    }

    /// What it had published before it went may have come after the last look.
    #[cold]
    fn sender_gone(&mut self) {
        if self.line.tie.link().is_some_and(|link| !link.is_ready()) {
            self.lose(Leave::Gone);
        }
    }

    #[cold]
    fn lose(&mut self, why: Leave) {
        let Some(link) = self.line.tie.link() else { return };
        let peer = link.session().peer().clone();
        if self.departures.len() == DEPARTED_MAX {
            self.departures.pop_front();
        }
        self.departures.push_back(Departure { peer, why, unread: 0 });
        // This side has sent nothing. But one that may live reads in this half what was taken.
        let head = (!link.session().is_shut()).then_some(0);
        self.line.tie.lose(head);
    }
}

impl Line {
    /// A connection to the next sender, from which nothing was taken so far.
    fn begin(&mut self) {
        self.taken = 0;
        // Whatever was said to the last one.
        self.noted = u64::MAX;
        self.note_free(false);
    }

    /// Tells the sender that all was taken and more is wanted, and whether it must ring.
    #[inline]
    fn note_free(&mut self, asleep: bool) {
        let note = self.taken << 1 | u64::from(asleep);
        if self.noted != note
            && let Some(link) = self.tie.link()
        {
            self.noted = note;
            // ORDERING: none is needed: it says whom to prefer, and is not believed in.
            link.my_note(FREE).store(note, Ordering::Relaxed);
            step("worker.noted_free");
        }
    }
}

/// Waits for a record, or for news of the sender.
impl Sleeper for Line {
    #[inline]
    fn look(&mut self) -> bool {
        let found = match self.tie.link() {
            Some(link) => link.is_ready() || link.session().is_closed(),
            None => self.tie.is_over(),
        };
        found || self.tie.porch().has_news()
    }

    fn lie_down(&mut self) {
        if let Some(link) = self.tie.link() {
            link.doze();
        }
        self.note_free(true);
    }

    fn get_up(&mut self) {
        if let Some(link) = self.tie.link() {
            link.awake();
        }
        // What is not noted is that this one is up: if there is a record, it is not free.
    }
}
