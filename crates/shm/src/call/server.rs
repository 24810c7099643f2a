//! The side that takes requests and answers them.

use std::collections::VecDeque;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{DROPPED, MORE, PLACE};
use crate::admit::Peer;
use crate::blocks::Borrowed;
use crate::door::BindError;
use crate::error::{Corrupt, Error};
use crate::hall::{Hall, Key, Leave, Mail, Terms};
use crate::link::{Lending, Link};
use crate::name::Name;
use crate::options::{Options, binding_options, common_options};
use crate::porch::Porch;
use crate::task;
use crate::wait::Waiter;
use crate::wire::Kind;

/// Response bytes kept for a client that does not read, before it is cut off.
const BACKLOG_BYTES: usize = 16 * 1024 * 1024;
/// How long a part of a response waits for a client that does not read, before it is cut off.
const PATIENCE: Duration = Duration::from_secs(1);
/// While responses are kept aside, room for them is looked for so often even if nobody rings.
const CATCH_UP: Duration = Duration::from_millis(1);

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
    departures: VecDeque<Departure>,
}

/// Responses that did not fit their client's ring, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    responses: VecDeque<(u16, Vec<u8>)>,
    bytes: usize,
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
        let ticket = self.take(Some(Instant::now() + limit))?.ok_or(Error::TimedOut)?;
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
            task::wait(&self.porch, &mut self.hall).await?;
        }
    }

    /// Answers a request.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`]: its client is gone. [`Error::TooLarge`]: the client takes no such
    /// payload.
    #[inline]
    pub fn reply(&mut self, ticket: Ticket, payload: &[u8]) -> Result<(), Error> {
        self.respond(&ticket, 0, payload)
    }

    /// Room for a response of `len` bytes, to be written in the memory that the client reads, and
    /// then [sent](Reply::send). Its bytes are anything at first; dropped, it is not sent.
    ///
    /// # Errors
    ///
    /// [`Error::Full`]: there is no room now, [`Server::reply`] would keep the response aside.
    /// Others as [`Server::reply`].
    pub fn loan(&mut self, ticket: &Ticket, len: usize) -> Result<Reply<'_>, Error> {
        let tag = ticket.0.tag();
        let Some((link, backlog)) = self.hall.get(ticket.0.key()) else {
            return Err(Error::Closed);
        };
        if !backlog.responses.is_empty() {
            return Err(Error::Full);
        }
        Ok(Reply { room: link.lend(len)?, tag })
    }

    /// Sends a part of a response, waiting for room if there is none; [`Server::reply`] sends the
    /// last one. A client that makes no room within a second is cut off.
    ///
    /// # Errors
    ///
    /// As [`Server::reply`].
    pub fn reply_part(&mut self, ticket: &Ticket, payload: &[u8]) -> Result<(), Error> {
        let limit = Instant::now() + PATIENCE;
        loop {
            match self.try_reply_part(ticket, payload) {
                Err(Error::Full) => {}
                other => return other,
            }
            if !self.wait_for_room(ticket.0.key(), payload.len(), limit)? {
                self.hall.cut_off(ticket.0.key(), Leave::Slow);
                return Err(Error::Closed);
            }
        }
    }

    /// As [`Server::reply_part`], but does not wait.
    ///
    /// # Errors
    ///
    /// [`Error::Full`]: there is no room now. Others as [`Server::reply`].
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
            None => self.wait(deadline),
            ticket => Ok(ticket),
        }
    }

    #[inline(never)]
    fn wait(&mut self, deadline: Option<Instant>) -> Result<Option<Ticket>, Error> {
        loop {
            let limit = match self.behind.is_empty() {
                true => deadline,
                false => Some(deadline_within(deadline, CATCH_UP)),
            };
            let found = self.waiter.wait(&self.porch, &mut self.hall, limit)?;
            let ticket = self.poll();
            if ticket.is_some() || !found && limit == deadline {
                return Ok(ticket);
            }
        }
    }

    /// Waits until a response of this length fits; whether it does, or nobody waits for it any more.
    fn wait_for_room(&mut self, key: Key, len: usize, limit: Instant) -> Result<bool, Error> {
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
            let Some(mail) = next else {
                self.settle();
                return None;
            };
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
    fn respond(&mut self, ticket: &Ticket, flags: u16, payload: &[u8]) -> Result<(), Error> {
        let Some((link, backlog)) = self.hall.get(ticket.0.key()) else {
            return Err(Error::Closed);
        };
        let tag = ticket.0.tag() | flags;
        if backlog.responses.is_empty() {
            match link.send(tag, payload) {
                Err(Error::Full) => {}
                Err(Error::Corrupt(_)) => {
                    self.hall.cut_off(ticket.0.key(), Leave::Corrupt);
                    return Err(Error::Closed);
                }
                other => return other,
            }
        }
        self.put_aside(ticket.0.key(), tag, payload)
    }

    /// Keeps a response until there is room, and takes no requests from its client until then.
    #[cold]
    fn put_aside(&mut self, key: Key, tag: u16, payload: &[u8]) -> Result<(), Error> {
        let Some((link, backlog)) = self.hall.get(key) else { return Err(Error::Closed) };
        if backlog.bytes + payload.len() > BACKLOG_BYTES && !backlog.responses.is_empty() {
            self.hall.cut_off(key, Leave::Slow);
            return Err(Error::Closed);
        }
        backlog.bytes += payload.len();
        backlog.responses.push_back((tag, payload.to_vec()));
        if backlog.responses.len() == 1 {
            link.doze_for_room();
            self.hall.pause(key);
            self.behind.push(key);
        }
        Ok(())
    }

    /// Sends what was kept aside, as far as there is room now.
    fn catch_up(&mut self) {
        let mut at = 0;
        while let Some(&key) = self.behind.get(at) {
            let done = self.hall.get(key).is_none_or(|(link, backlog)| backlog.send(link));
            if done {
                self.behind.swap_remove(at);
                self.hall.resume(key);
            } else {
                at += 1;
            }
        }
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
        for mut left in self.hall.take_left() {
            let unread = left.link.unread() + left.extra.responses.len() as u64;
            if self.departures.len() == KEPT {
                self.departures.pop_front();
            }
            self.departures.push_back(Departure { peer: left.peer, why: left.why, unread });
        }
    }
}

impl Backlog {
    /// Sends what there is room for; whether that was all.
    fn send(&mut self, link: &mut Link) -> bool {
        while let Some((tag, payload)) = self.responses.front() {
            match link.send(*tag, payload) {
                Err(Error::Full) => {
                    link.doze_for_room();
                    return false;
                }
                // There is nobody to tell: the connection ends, or this response cannot be sent.
                Ok(()) | Err(_) => self.bytes -= payload.len(),
            }
            self.responses.pop_front();
        }
        link.awake_for_room();
        true
    }
}

/// The deadline, or that long from now if that is sooner.
fn deadline_within(deadline: Option<Instant>, limit: Duration) -> Instant {
    let limit = Instant::now() + limit;
    deadline.map_or(limit, |deadline| deadline.min(limit))
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}

/// Where a response goes. Owned, so that a request can be answered later, out of order.
#[derive(Debug)]
#[must_use = "its client waits for a reply"]
pub struct Ticket(Mail);

/// Room for a response, from [`Server::loan`]. Its ticket is then of no more use.
#[derive(Debug)]
pub struct Reply<'a> {
    room: Lending<'a>,
    tag: u16,
}

impl Reply<'_> {
    /// Sends the response.
    ///
    /// # Errors
    ///
    /// As [`Server::reply`].
    pub fn send(self) -> Result<(), Error> {
        self.room.send(self.tag).map(|_| ())
    }
}

impl Deref for Reply<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.room
    }
}

impl DerefMut for Reply<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.room
    }
}

/// A request in hand: its payload, and the duty to reply.
///
/// Dropped without a reply, it tells its client so ([`Error::Unanswered`]), that it wait no longer.
#[derive(Debug)]
pub struct Request<'a> {
    server: &'a mut Server,
    ticket: Option<Ticket>,
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
            let _ = self.server.respond(&ticket, DROPPED, &[]);
        }
    }
}
