//! The receiver of many senders.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::DEPARTED_MAX;
use crate::admit::Peer;
use crate::call::Departure;
use crate::door::BindError;
use crate::error::{Corrupt, Error};
use crate::hall::{Hall, Key, Leave, Terms};
use crate::link::Batch;
use crate::name::Name;
use crate::options::Options;
use crate::porch::Porch;
use crate::task;
use crate::wait::Waiter;
use crate::wire::Kind;

/// Everyone who is connected to send.
pub(super) struct Collector {
    hall: Hall<()>,
    porch: Arc<Porch>,
    waiter: Waiter,
    departures: VecDeque<Departure>,
}

impl Collector {
    pub(super) fn bind(name: &str, options: &Options, peers: usize) -> Result<Self, BindError> {
        let terms = Terms { serves: Kind::Push, peers_max: peers };
        let hall = Hall::bind(&Name::new(name)?, options, terms)?;
        Ok(Collector {
            porch: hall.porch().clone(),
            hall,
            waiter: Waiter::new(options.wait),
            departures: VecDeque::new(),
        })
    }

    /// Takes the next message of whose turn it is, if there is one; who sent it.
    #[inline]
    pub(super) fn poll(&mut self, payload: &mut Vec<u8>) -> Option<Key> {
        loop {
            match self.hall.recv(payload) {
                Some(mail) if mail.tag() == 0 => return Some(mail.key()),
                Some(mail) => self.spoilt(mail.key(), mail.tag()),
                None => {
                    self.settle();
                    return None;
                }
            }
        }
    }

    /// Takes messages of all in turn, until the batch holds `max` or many bytes.
    #[inline]
    pub(super) fn poll_many(&mut self, max: usize, batch: &mut Batch) {
        self.hall.recv_many(max, batch);
        self.settle();
    }

    /// Waits for a message until the deadline; whether there may be one.
    pub(super) fn wait(&mut self, deadline: Option<Instant>) -> Result<bool, Error> {
        self.waiter.wait(&self.porch, &mut self.hall, deadline)
    }

    /// As [`Collector::wait`], as a task.
    pub(super) async fn wait_async(&mut self) -> Result<(), Error> {
        task::wait(&self.porch, &mut self.hall).await
    }

    pub(super) fn peer(&mut self, key: Key) -> Option<&Peer> {
        Some(self.hall.get(key)?.0.session().peer())
    }

    /// How many senders are connected.
    pub(super) fn senders(&mut self) -> usize {
        self.hall.all().count()
    }

    pub(super) fn departures(&mut self) -> VecDeque<Departure> {
        self.settle();
        std::mem::take(&mut self.departures)
    }

    #[cold]
    fn spoilt(&mut self, key: Key, tag: u16) {
        if let Some((link, ())) = self.hall.get(key) {
            let _ = link.spoilt(Corrupt::Tag(tag));
            self.hall.cut_off(key, Leave::Corrupt);
        }
    }

    /// Notes who has left.
    #[inline]
    fn settle(&mut self) {
        if !self.hall.has_left() {
            return;
        }
        self.hall.take_arrived();
        for left in self.hall.take_left() {
            if self.departures.len() == DEPARTED_MAX {
                self.departures.pop_front();
            }
            self.departures.push_back(Departure { peer: left.peer, why: left.why, unread: 0 });
        }
    }
}
