//! A request in hand, and the ways to answer it.

use std::ops::{Deref, DerefMut};

use super::super::DROPPED;
use super::Server;
use crate::admit::Peer;
use crate::error::Error;
use crate::hall::Mail;
use crate::link::Lending;

/// Where a response goes. Owned, so that a request can be answered later, out of order. If it is
/// dropped, its client waits in vain until the connection ends.
#[derive(Debug)]
#[must_use = "its client waits for a reply"]
pub struct Ticket(pub(super) Mail);

/// Room for a response, from [`Server::loan`]. Dropped, it tells the client that there will be none
/// ([`Error::Unanswered`]).
#[derive(Debug)]
pub struct Reply<'a> {
    pub(super) room: Option<Lending<'a>>,
    pub(super) tag: u16,
}

impl Reply<'_> {
    /// Sends the response.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`]: the client does not keep the protocol, and is cut off.
    pub fn send(mut self) -> Result<(), Error> {
        let room = self.room.take().expect("there is room until it is sent");
        room.send(self.tag).map(|_| ())
    }
}

impl Drop for Reply<'_> {
    fn drop(&mut self) {
        if let Some(room) = self.room.take() {
            room.decline(self.tag | DROPPED);
        }
    }
}

impl Deref for Reply<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.room.as_ref().expect("there is room until it is sent")
    }
}

impl DerefMut for Reply<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.room.as_mut().expect("there is room until it is sent")
    }
}

/// A request in hand: its payload, and the duty to reply.
///
/// Dropped without a reply, it tells its client so ([`Error::Unanswered`]), that it wait no longer.
#[derive(Debug)]
pub struct Request<'a> {
    pub(super) server: &'a mut Server,
    pub(super) ticket: Option<Ticket>,
}

impl Request<'_> {
    /// Answers.
    ///
    /// # Errors
    ///
    /// As [`Server::reply`].
    #[inline]
    pub fn reply(mut self, payload: &[u8]) -> Result<(), Error> {
        let ticket = self.ticket.take().expect("there is one until the request ends");
        self.server.reply(ticket, payload)
    }

    /// Sends a part of the answer, waiting for room if there is none: more will follow, the last by
    /// [`Request::reply`].
    ///
    /// # Errors
    ///
    /// As [`Server::reply_part`].
    pub fn reply_part(&mut self, payload: &[u8]) -> Result<(), Error> {
        let ticket = self.ticket.as_ref().expect("there is one until the request ends");
        self.server.reply_part(ticket, payload)
    }

    /// Postpones the answer: the ticket is for [`Server::reply`], now or later, in any order.
    pub fn defer(mut self) -> Ticket {
        self.ticket.take().expect("there is one until the request ends")
    }

    /// Who asks.
    pub fn peer(&mut self) -> Option<&Peer> {
        let key = self.ticket.as_ref()?.0.key();
        Some(self.server.hall.get(key)?.0.session().peer())
    }
}

impl Deref for Request<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.server.lent {
            Some((_, lent)) => lent,
            None => &self.server.payload,
        }
    }
}

impl Drop for Request<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            // A client that is gone need not be told.
            let _ = self.server.respond(ticket.0, DROPPED, &[]);
        }
    }
}
