//! The side that takes requests and answers them.

mod alarm;
mod backlog;
mod request;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{DROPPED, MORE, PLACE};
use crate::admit::Peer;
use crate::blocks::Borrowed;
use crate::door::BindError;
use crate::error::{Corrupt, Error};
use crate::hall::{Hall, Key, Leave, Mail, Terms};
use crate::name::Name;
use crate::options::{Options, binding_options, common_options};
use crate::porch::Porch;
use crate::task;
use crate::wait::{Waiter, after};
use crate::wire::Kind;

pub use alarm::Alarm;
use backlog::{Backlog, Serving};
pub use request::{Reply, Request, Ticket};

/// How long a part of a response waits for a client that does not read, before it is cut off.
const PATIENCE: Duration = Duration::from_secs(1);

/// Takes requests from any number of clients and answers them in any order.
///
/// ```no_run
/// let mut server = chaski_shm::Server::bind("sums")?;
/// loop {
///     let request = server.recv()?;
///     let sum: u64 = request.iter().map(|byte| u64::from(*byte)).sum();
///     request.reply(&sum.to_le_bytes())?;
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A response never waits: for a client whose ring is full it is kept aside, and no further
/// requests are taken from that client until it has read. One that lets 16 MiB pile up so, with
/// requests that it sent before, is cut off ([`Leave::Slow`]).
pub struct Server {
    hall: Hall<Backlog>,
    porch: Arc<Porch>,
    waiter: Waiter,
    /// The request in hand,
    payload: Vec<u8>,
    /// or where it lies, if it is a large one and read in place.
    lent: Option<(Key, Borrowed)>,
    in_place: bool,
    /// Clients with a backlog.
    behind: Vec<Key>,
    /// The longest payload that this side would send.
    payload_max: usize,
    departures: VecDeque<Departure>,
}

/// A client that is connected no more.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Departure {
    /// Who it was.
    pub peer: Peer,
    /// Why it left.
    pub why: Leave,
    /// Responses it had been sent and had not taken.
    pub unread: u64,
}

/// Choices for a [`Server`].
#[derive(Debug, Clone)]
pub struct ServerBuilder {
    options: Options,
    clients_max: usize,
    in_place: bool,
}

impl ServerBuilder {
    common_options!();
    binding_options!();

    /// The most clients at once: 1,024 by default, 4,096 at most. Each takes three descriptors and
    /// the memory of its two rings.
    #[must_use]
    pub fn clients_max(mut self, clients: usize) -> Self {
        self.clients_max = clients;
        self
    }

    /// Reads large payloads where they lie, without a copy.
    ///
    /// # Safety
    ///
    /// No client changes the bytes of a payload that it has sent, before it has been given back:
    /// all clients are trusted to keep the protocol. Those of this crate do.
    #[must_use]
    pub unsafe fn trust_clients(mut self) -> Self {
        self.in_place = true;
        self
    }

    /// Binds the server to a name.
    ///
    /// # Errors
    ///
    /// See [`BindError`].
    pub fn bind(self, name: &str) -> Result<Server, BindError> {
        let terms = Terms { serves: Kind::Call, peers_max: self.clients_max };
        let wait = self.options.wait;
        let hall = Hall::bind(&Name::new(name)?, &self.options, terms)?;
        Ok(Server {
            porch: hall.porch().clone(),
            hall,
            waiter: Waiter::new(wait),
            payload: Vec::new(),
            lent: None,
            in_place: self.in_place,
            behind: Vec::new(),
            payload_max: self.options.large_bytes,
            departures: VecDeque::new(),
        })
    }
}

impl Server {
    /// A server of that name, with everything else as it is by default.
    ///
    /// # Errors
    ///
    /// See [`BindError`]: among others the name is in use, or is none.
    pub fn bind(name: &str) -> Result<Server, BindError> {
        Server::builder().bind(name)
    }

    /// For a server that differs.
    pub fn builder() -> ServerBuilder {
        ServerBuilder { options: Options::default(), clients_max: 1024, in_place: false }
    }

    /// Waits for the next request.
    ///
    /// # Errors
    ///
    /// [`Error::System`]. What a client does wrong ends its connection and nothing else.
    #[inline]
    pub fn recv(&mut self) -> Result<Request<'_>, Error> {
        let ticket = self.take(None)?.ok_or(Error::TimedOut)?;
        Ok(Request { server: self, ticket: Some(ticket) })
    }

    /// Waits for the next request, but no longer than that.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`], [`Error::System`].
    pub fn recv_timeout(&mut self, limit: Duration) -> Result<Request<'_>, Error> {
        let ticket = self.take(Some(after(limit)))?.ok_or(Error::TimedOut)?;
        Ok(Request { server: self, ticket: Some(ticket) })
    }

    /// The next request, if there is one: waits for nothing.
    ///
    /// # Errors
    ///
    /// None at present.
    #[inline]
    pub fn try_recv(&mut self) -> Result<Option<Request<'_>>, Error> {
        let Some(ticket) = self.poll() else { return Ok(None) };
        Ok(Some(Request { server: self, ticket: Some(ticket) }))
    }

    /// As [`Server::recv`], into a buffer of the caller's, whose earlier contents are cleared. The
    /// ticket is for [`Server::reply`].
    ///
    /// # Errors
    ///
    /// As [`Server::recv`].
    #[inline]
    pub fn recv_into(&mut self, payload: &mut Vec<u8>) -> Result<Ticket, Error> {
        std::mem::swap(&mut self.payload, payload);
        let taken = self.take(None);
        std::mem::swap(&mut self.payload, payload);
        if let Some((_, lent)) = &self.lent {
            payload.extend_from_slice(lent);
        }
        taken?.ok_or(Error::TimedOut)
    }

    /// As [`Server::recv`], as a task of any executor. Dropped before it is ready, it has taken no
    /// request.
    ///
    /// # Errors
    ///
    /// As [`Server::recv`].
    pub async fn recv_async(&mut self) -> Result<Request<'_>, Error> {
        loop {
            if let Some(ticket) = self.poll() {
                return Ok(Request { server: self, ticket: Some(ticket) });
            }
            let Server { hall, behind, porch, .. } = self;
            task::wait(porch, &mut Serving { hall, behind }).await?;
        }
    }

    /// Answers a request. A client that is gone is no error: see [`Server::departures`].
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`], [`Error::System`]: the response was not sent, and the client is told
    /// that there will be none ([`Error::Unanswered`]).
    #[inline]
    pub fn reply(&mut self, ticket: Ticket, payload: &[u8]) -> Result<(), Error> {
        match self.respond(ticket.0, 0, payload) {
            Ok(()) => Ok(()),
            Err(error) => self.unsent(ticket.0, error),
        }
    }

    /// The response could not be sent: whose fault that was.
    #[cold]
    fn unsent(&mut self, mail: Mail, error: Error) -> Result<(), Error> {
        if let Error::Closed = error {
            return Ok(());
        }
        let _ = self.respond(mail, DROPPED, &[]);
        match error {
            // The client asked for something that it does not take itself.
            Error::TooLarge { len, .. } if len <= self.payload_max => Ok(()),
            error => Err(error),
        }
    }

    /// Room for a response of `len` bytes, to be written in the memory that the client reads, and
    /// then [sent](Reply::send). Its bytes are anything at first.
    ///
    /// # Errors
    ///
    /// With the ticket, which is still good. [`Error::Full`]: there is no room now,
    /// [`Server::reply`] would keep the response aside. [`Error::Closed`]: the client is gone.
    /// [`Error::TooLarge`], [`Error::System`].
    pub fn loan(&mut self, ticket: Ticket, len: usize) -> Result<Reply<'_>, (Ticket, Error)> {
        let tag = ticket.0.tag();
        let Some((link, backlog)) = self.hall.get(ticket.0.key()) else {
            return Err((ticket, Error::Closed));
        };
        if !backlog.responses.is_empty() {
            return Err((ticket, Error::Full));
        }
        match link.lend(len) {
            Ok(room) => Ok(Reply { room: Some(room), tag }),
            Err(error) => Err((ticket, error)),
        }
    }

    /// Sends a part of a response, waiting for room if there is none; [`Server::reply`] sends the
    /// last one. A client that makes no room within a second is cut off.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`]: the client is gone, or was cut off. [`Error::TooLarge`],
    /// [`Error::System`].
    pub fn reply_part(&mut self, ticket: &Ticket, payload: &[u8]) -> Result<(), Error> {
        let limit = Instant::now() + PATIENCE;
        loop {
            match self.try_reply_part(ticket, payload) {
                Err(Error::Full) => {}
                other => return other,
            }
            let key = ticket.0.key();
            let found = self.wait_for_room(key, payload.len(), limit)?;
            if !found || Instant::now() >= limit {
                self.hall.cut_off(key, Leave::Slow);
                return Err(Error::Closed);
            }
        }
    }

    /// As [`Server::reply_part`], but does not wait.
    ///
    /// # Errors
    ///
    /// [`Error::Full`]: there is no room now. Others as [`Server::reply_part`].
    pub fn try_reply_part(&mut self, ticket: &Ticket, payload: &[u8]) -> Result<(), Error> {
        self.catch_up();
        let Some((link, backlog)) = self.hall.get(ticket.0.key()) else {
            return Err(Error::Closed);
        };
        if !backlog.responses.is_empty() {
            return Err(Error::Full);
        }
        match link.send(ticket.0.tag() | MORE, payload) {
            Err(Error::Corrupt(_)) => {
                self.hall.cut_off(ticket.0.key(), Leave::Corrupt);
                Err(Error::Closed)
            }
            other => other,
        }
    }

    /// Clients that are connected no more, each told once; at most the last 1,024 are kept.
    pub fn departures(&mut self) -> impl Iterator<Item = Departure> {
        self.settle();
        std::mem::take(&mut self.departures).into_iter()
    }

    /// How many clients are connected.
    pub fn clients(&mut self) -> usize {
        self.hall.all().count()
    }

    /// Waits for a request until the deadline.
    #[inline]
    fn take(&mut self, deadline: Option<Instant>) -> Result<Option<Ticket>, Error> {
        match self.poll() {
            None => self.wait_for_request(deadline),
            ticket => Ok(ticket),
        }
    }

    #[inline(never)]
    fn wait_for_request(&mut self, deadline: Option<Instant>) -> Result<Option<Ticket>, Error> {
        loop {
            let Server { hall, behind, waiter, porch, .. } = self;
            waiter.wait(porch, &mut Serving { hall, behind }, deadline)?;
            let ticket = self.poll();
            // Asked of the clock: who marks the board for nothing would be found without end.
            if ticket.is_some() || deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(ticket);
            }
        }
    }

    /// Waits until a response of this length fits; whether it does, or nobody waits for it any
    /// more.
    fn wait_for_room(&mut self, key: Key, len: usize, limit: Instant) -> Result<bool, Error> {
        let Some((_, backlog)) = self.hall.get(key) else { return Ok(true) };
        // What was kept aside goes first.
        let len = backlog.responses.front().map_or(len, |(_, payload)| payload.len());
        let found = self.hall.wait_for_room(&mut self.waiter, key, len, limit);
        if let Some((link, _)) = self.hall.get(key)
            && link.session().is_closed()
        {
            self.hall.cut_off(key, Leave::Gone);
        }
        found
    }

    /// The next request of whose turn it is.
    #[inline(never)]
    fn poll(&mut self) -> Option<Ticket> {
        if self.in_place {
            self.give_back();
        }
        loop {
            let next = self.hall.recv(&mut self.payload);
            if !self.behind.is_empty() {
                self.catch_up();
            }
            if self.hall.has_moved() {
                self.settle();
            }
            let mail = next?;
            if mail.tag() & !PLACE == 0 {
                if self.in_place {
                    self.borrow(mail.key());
                }
                return Some(Ticket(mail));
            }
            self.spoilt(mail);
        }
    }

    /// The request in hand is at an end: its memory goes back to its client.
    fn give_back(&mut self) {
        let Some((key, lent)) = self.lent.take() else { return };
        if let Some((link, _)) = self.hall.get(key) {
            link.give_back(lent);
        }
    }

    fn borrow(&mut self, key: Key) {
        let Some((link, _)) = self.hall.get(key) else { return };
        self.lent = link.take_lent().map(|lent| (key, lent));
    }

    #[cold]
    fn spoilt(&mut self, mail: Mail) {
        let (key, tag) = (mail.key(), mail.tag());
        if let Some((link, _)) = self.hall.get(key) {
            let _ = link.spoilt(Corrupt::Tag(tag));
            self.hall.cut_off(key, Leave::Corrupt);
        }
    }

    #[inline]
    fn respond(&mut self, mail: Mail, flags: u16, payload: &[u8]) -> Result<(), Error> {
        let Some((link, backlog)) = self.hall.get(mail.key()) else { return Err(Error::Closed) };
        let tag = mail.tag() | flags;
        if backlog.responses.is_empty() {
            match link.send(tag, payload) {
                Err(Error::Full) => {}
                Err(Error::Corrupt(_)) => {
                    self.hall.cut_off(mail.key(), Leave::Corrupt);
                    return Err(Error::Closed);
                }
                other => return other,
            }
        }
        self.put_aside(mail.key(), tag, payload)
    }

    /// Sees to who has come, and notes who has left.
    #[inline]
    fn settle(&mut self) {
        const KEPT: usize = 1024;
        for key in self.hall.take_arrived() {
            if let Some((link, _)) = self.hall.get(key)
                && self.in_place
            {
                // SAFETY: whoever set `in_place` promised it for all clients.
                unsafe { link.read_in_place() };
            }
        }
        if !self.hall.has_left() {
            return;
        }
        for left in self.hall.take_left() {
            let unread = left.link.unread() + left.extra.responses.len() as u64;
            if self.departures.len() == KEPT {
                self.departures.pop_front();
            }
            self.departures.push_back(Departure { peer: left.peer, why: left.why, unread });
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}
