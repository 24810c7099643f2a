//! The side that asks.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};

use super::outstanding::{Outstanding, RequestId};
use super::untold::{Outcome, Told, Untold};
use super::{DROPPED, MORE, OUTSTANDING_MAX, PLACE};
use crate::door::ConnectError;
use crate::error::{Corrupt, Error};
use crate::link::{Lending, Link, Taken};
use crate::name::Name;
use crate::options::{Options, common_options, connecting_options};
use crate::reach::{Reach, Reached};
use crate::task;
use crate::wait::{Sleeper, Waiter, after};
use crate::wire::Kind;

/// Asks a [`Server`](super::Server) of this machine.
///
/// ```no_run
/// use chaski_shm::Client;
///
/// let mut client = Client::connect("greeter")?;
/// assert_eq!(client.call(b"world")?, b"hello, world");
///
/// // Many at once; responses come in the order in which the server gives them.
/// let one = client.send(b"one")?;
/// let two = client.send(b"two")?;
/// for _ in 0..2 {
///     let response = client.recv()?;
///     assert!(response.id() == one || response.id() == two);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # When the server dies
///
/// Responses that it had published still come. Requests that it had taken and not answered are
/// reported, each by one [`Error::InDoubt`] from a receive. Then the client waits for another
/// server of the name, as long as [`ClientBuilder::reconnect_within`] says; that one finds the
/// requests which the first had not taken, and answers them as if nothing had happened. If none
/// comes, each of those is reported by an [`Error::NotTaken`], and from then on everything is
/// [`Error::Closed`].
pub struct Client {
    reach: Reach,
    state: State,
    reconnect_within: Duration,
    outstanding: Outstanding,
    untold: Untold,
    /// The tag of a record just taken that is no response in one piece.
    odd: Option<u16>,
    waiter: Waiter,
    payload: Vec<u8>,
}

#[allow(clippy::large_enum_variant, reason = "a client has one, and goes through it at each call")]
enum State {
    Up(Link),
    /// The server is gone; another is looked for.
    Searching,
    Closed,
}

/// What a look brought. Small, to be returned in registers.
enum Polled {
    Nothing,
    /// All of the response to a request.
    Whole(RequestId),
    /// Something less common, see `poll_other`.
    Other,
}

/// Choices for a [`Client`].
#[derive(Debug, Clone)]
pub struct ClientBuilder {
    options: Options,
    connect_within: Duration,
    reconnect_within: Duration,
    outstanding_max: usize,
}

impl ClientBuilder {
    common_options!();
    connecting_options!();

    /// How long to wait for a server of the name when connecting: 2 s by default.
    #[must_use]
    pub fn connect_within(mut self, limit: Duration) -> Self {
        self.connect_within = limit;
        self
    }

    /// How long to wait for another server when the one connected to is gone: 5 s by default.
    #[must_use]
    pub fn reconnect_within(mut self, limit: Duration) -> Self {
        self.reconnect_within = limit;
        self
    }

    /// The most requests that await their responses at once: 256 by default, 4,096 at most.
    #[must_use]
    pub fn outstanding_max(mut self, requests: usize) -> Self {
        self.outstanding_max = requests.clamp(1, OUTSTANDING_MAX);
        self
    }

    /// Connects to the server of this name.
    ///
    /// # Errors
    ///
    /// See [`ConnectError`].
    pub fn connect(self, name: &str) -> Result<Client, ConnectError> {
        let wait = self.options.wait;
        let mut reach = Reach::new(Name::new(name)?, self.options, Kind::Call)?;
        let link = reach.connect(after(self.connect_within))?;
        Ok(Client {
            reach,
            state: State::Up(link),
            reconnect_within: self.reconnect_within,
            outstanding: Outstanding::new(self.outstanding_max),
            untold: Untold::default(),
            odd: None,
            waiter: Waiter::new(wait),
            payload: Vec::new(),
        })
    }
}

impl Client {
    /// Connects to the server of that name, with everything else as it is by default.
    ///
    /// # Errors
    ///
    /// See [`ConnectError`]: among others nobody of that name came within 2 s.
    pub fn connect(name: &str) -> Result<Client, ConnectError> {
        Client::builder().connect(name)
    }

    /// For a client that differs.
    pub fn builder() -> ClientBuilder {
        ClientBuilder {
            options: Options::default(),
            connect_within: Duration::from_secs(2),
            reconnect_within: Duration::from_secs(5),
            outstanding_max: 256,
        }
    }

    /// Asks, and waits for the whole response. The parts of one in several are joined. What comes
    /// meanwhile for other requests is kept for [`Client::recv`].
    ///
    /// # Errors
    ///
    /// As [`Client::send`] and [`Client::recv`]; parts that had come before are then lost.
    /// [`Error::Full`]: 16 MiB have come for other requests, receive those first; the response to
    /// this one will be among them.
    pub fn call(&mut self, request: &[u8]) -> Result<&[u8], Error> {
        let id = self.send(request)?;
        let mut parts = Vec::new();
        loop {
            match self.poll_about(id)? {
                Some(Outcome::Last) => break,
                Some(Outcome::Part) => parts.append(&mut self.payload),
                Some(Outcome::Failed(error)) => return Err(error),
                None => {
                    self.wait(None)?;
                }
            }
        }
        if !parts.is_empty() {
            parts.append(&mut self.payload);
            self.payload = parts;
        }
        Ok(&self.payload)
    }

    /// Sends a request, waiting for room in the ring if there is none.
    ///
    /// # Errors
    ///
    /// [`Error::TooMany`]: receive a response first. [`Error::Full`]: receive, for there is no room
    /// in the ring, and 16 MiB of responses have come meanwhile and wait for that.
    /// [`Error::TooLarge`], [`Error::Closed`], [`Error::System`].
    pub fn send(&mut self, request: &[u8]) -> Result<RequestId, Error> {
        loop {
            match self.try_send(request) {
                Err(Error::Full) => self.wait_for_room(request.len())?,
                other => return other,
            }
        }
    }

    /// Sends a request if there is room for it now.
    ///
    /// # Errors
    ///
    /// [`Error::Full`]; others as [`Client::send`].
    #[inline]
    pub fn try_send(&mut self, request: &[u8]) -> Result<RequestId, Error> {
        let Some(place) = self.outstanding.free() else {
            return Err(Error::TooMany { max: self.outstanding.max() });
        };
        let State::Up(link) = &mut self.state else { return Err(self.not_taken(Error::Full)) };
        match link.send(place, request) {
            Ok(()) => Ok(self.outstanding.sent(link.position())),
            Err(error) => Err(self.not_taken(error)),
        }
    }

    /// Why nothing was sent. A server that is gone is noticed here, too, and looks like a full ring
    /// while another is looked for.
    #[cold]
    fn not_taken(&mut self, error: Error) -> Error {
        if !matches!(error, Error::Full | Error::Corrupt(_) | Error::Closed) {
            return error;
        }
        self.advance();
        match self.state {
            State::Closed => Error::Closed,
            _ => Error::Full,
        }
    }

    /// Room for a request of `len` bytes, to be written in the memory that the server reads, and
    /// then [sent](Loan::send). Its bytes are anything at first; dropped, it is not sent.
    ///
    /// # Errors
    ///
    /// As [`Client::try_send`].
    pub fn loan(&mut self, len: usize) -> Result<Loan<'_>, Error> {
        let Some(place) = self.outstanding.free() else {
            return Err(Error::TooMany { max: self.outstanding.max() });
        };
        let could = match &mut self.state {
            State::Up(link) => link.lend(len).map(|_| ()),
            _ => Err(Error::Full),
        };
        could.map_err(|error| self.not_taken(error))?;
        // The same again: what was lent cannot be returned from under a `match` that also goes on.
        let State::Up(link) = &mut self.state else { return Err(Error::Full) };
        let room = link.lend(len)?;
        Ok(Loan { room, place, outstanding: &mut self.outstanding })
    }

    /// Waits for a response, or a part of one.
    ///
    /// # Errors
    ///
    /// For one request: [`Error::Unanswered`], [`Error::InDoubt`], [`Error::NotTaken`]. For all:
    /// [`Error::Closed`], [`Error::System`].
    pub fn recv(&mut self) -> Result<Response<'_>, Error> {
        let told = self.take(None)?.ok_or(Error::TimedOut)?;
        self.response(told)
    }

    /// As [`Client::recv`], but no longer than that.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`]; others as [`Client::recv`].
    pub fn recv_timeout(&mut self, limit: Duration) -> Result<Response<'_>, Error> {
        let told = self.take(Some(after(limit)))?.ok_or(Error::TimedOut)?;
        self.response(told)
    }

    /// A response, if there is one: waits for nothing.
    ///
    /// # Errors
    ///
    /// As [`Client::recv`].
    #[inline]
    pub fn try_recv(&mut self) -> Result<Option<Response<'_>>, Error> {
        match self.poll() {
            Polled::Nothing => Ok(None),
            Polled::Whole(id) => Ok(Some(Response { payload: &self.payload, id, last: true })),
            Polled::Other => match self.poll_other()? {
                Some(told) => self.response(told).map(Some),
                None => Ok(None),
            },
        }
    }

    /// As [`Client::recv`], as a task of any executor. Dropped before it is ready, it has taken
    /// nothing.
    ///
    /// # Errors
    ///
    /// As [`Client::recv`].
    pub async fn recv_async(&mut self) -> Result<Response<'_>, Error> {
        let told = loop {
            match self.poll() {
                Polled::Nothing => {}
                Polled::Whole(id) => break Told { id, outcome: Outcome::Last },
                Polled::Other => {
                    if let Some(told) = self.poll_other()? {
                        break told;
                    }
                }
            }
            let Client { state, reach, .. } = self;
            task::wait(reach.porch(), &mut Listening(state, reach)).await?;
        };
        self.response(told)
    }

    /// As [`Client::send`], as a task of any executor. Dropped before it is ready, it has sent
    /// nothing.
    ///
    /// # Errors
    ///
    /// As [`Client::send`].
    pub async fn send_async(&mut self, request: &[u8]) -> Result<RequestId, Error> {
        loop {
            match self.try_send(request) {
                Err(Error::Full) => {}
                other => return other,
            }
            if !self.make_way()? {
                let Client { state, reach, .. } = self;
                let mut sending = Sending::new(state, reach, request.len());
                task::wait(reach.porch(), &mut sending).await?;
            }
        }
    }

    /// As [`Client::call`], as a task of any executor. Dropped before it is ready, the request may
    /// have been sent; the rest of its response then comes with a later receive.
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub async fn call_async(&mut self, request: &[u8]) -> Result<Vec<u8>, Error> {
        let id = self.send_async(request).await?;
        let mut whole = Vec::new();
        loop {
            match self.poll_about(id)? {
                Some(Outcome::Failed(error)) => return Err(error),
                Some(outcome) => {
                    whole.append(&mut self.payload);
                    if let Outcome::Last = outcome {
                        return Ok(whole);
                    }
                }
                None => {
                    let Client { state, reach, .. } = self;
                    task::wait(reach.porch(), &mut Listening(state, reach)).await?;
                }
            }
        }
    }

    /// How many requests await their responses, or have them waiting to be received.
    pub fn outstanding(&self) -> usize {
        self.outstanding.len() + self.untold.requests()
    }

    /// As the caller gets it.
    #[inline]
    fn response(&self, told: Told) -> Result<Response<'_>, Error> {
        let last = match told.outcome {
            Outcome::Part => false,
            Outcome::Last => true,
            Outcome::Failed(error) => return Err(error),
        };
        Ok(Response { payload: &self.payload, id: told.id, last })
    }

    /// What is told next, if anything is before the deadline.
    fn take(&mut self, deadline: Option<Instant>) -> Result<Option<Told>, Error> {
        loop {
            match self.poll() {
                Polled::Nothing => {}
                Polled::Whole(id) => return Ok(Some(Told { id, outcome: Outcome::Last })),
                Polled::Other => match self.poll_other()? {
                    None => {}
                    told => return Ok(told),
                },
            }
            if !self.wait(deadline)? {
                return Ok(None);
            }
        }
    }

    /// Looks for what is told next.
    #[inline]
    fn poll(&mut self) -> Polled {
        if self.untold.is_empty() { self.poll_ring() } else { Polled::Other }
    }

    /// Looks into the ring, and takes what is there if it is a response in one piece.
    #[inline(never)]
    fn poll_ring(&mut self) -> Polled {
        let State::Up(link) = &mut self.state else { return Polled::Other };
        match link.recv(&mut self.payload) {
            Taken::Nothing if !self.reach.porch().has_news() => Polled::Nothing,
            // The connection has ended, or that is now to be found out.
            Taken::Nothing | Taken::Spoilt => Polled::Other,
            Taken::Record(tag) => {
                if tag <= PLACE
                    && let Some(id) = self.outstanding.answered(tag)
                {
                    return Polled::Whole(id);
                }
                self.odd = Some(tag);
                Polled::Other
            }
        }
    }

    /// What became of this request, or of a part of its response, if anything is known; the payload
    /// is then in `self.payload`. What comes for others is kept.
    #[inline]
    fn poll_about(&mut self, id: RequestId) -> Result<Option<Outcome>, Error> {
        match self.poll() {
            Polled::Nothing => Ok(None),
            Polled::Whole(answered) if answered == id => Ok(Some(Outcome::Last)),
            polled => self.poll_among_others(id, polled),
        }
    }

    #[cold]
    fn poll_among_others(
        &mut self,
        id: RequestId,
        mut polled: Polled,
    ) -> Result<Option<Outcome>, Error> {
        loop {
            match polled {
                Polled::Nothing => return Ok(None),
                Polled::Whole(other) if other == id => return Ok(Some(Outcome::Last)),
                Polled::Whole(other) => self.keep(Told { id: other, outcome: Outcome::Last })?,
                Polled::Other => match self.odd.take() {
                    Some(tag) => match self.answered(tag)? {
                        told if told.id == id => return Ok(Some(told.outcome)),
                        told => self.keep(told)?,
                    },
                    None => {
                        self.advance();
                        if let Some((outcome, payload)) = self.untold.pop_about(id) {
                            self.payload = payload;
                            return Ok(Some(outcome));
                        }
                        match self.state {
                            State::Up(_) => {}
                            State::Searching => return Ok(None),
                            State::Closed => return Err(Error::Closed),
                        }
                    }
                },
            }
            polled = self.poll_ring();
        }
    }

    /// Keeps what just came for a request that nobody waits for now.
    fn keep(&mut self, told: Told) -> Result<(), Error> {
        self.untold.push(told, std::mem::take(&mut self.payload));
        if self.untold.is_full() { Err(Error::Full) } else { Ok(()) }
    }

    /// What else is told next, if anything is. Its payload is then in `self.payload`.
    #[cold]
    fn poll_other(&mut self) -> Result<Option<Told>, Error> {
        if let Some(tag) = self.odd.take() {
            return self.answered(tag).map(Some);
        }
        self.advance();
        if let Some((told, payload)) = self.untold.pop() {
            self.payload = payload;
            return Ok(Some(told));
        }
        match self.state {
            State::Closed => Err(Error::Closed),
            _ => Ok(None),
        }
    }

    /// A record of the server.
    fn answered(&mut self, tag: u16) -> Result<Told, Error> {
        let place = tag & PLACE;
        let Some(id) = self.outstanding.at(place) else { return Err(self.spoilt(tag)) };
        if tag & MORE != 0 {
            return Ok(Told { id, outcome: Outcome::Part });
        }
        let _ = self.outstanding.answered(place);
        if tag & DROPPED != 0 {
            return Ok(Told { id, outcome: Outcome::Failed(Error::Unanswered { request: id }) });
        }
        Ok(Told { id, outcome: Outcome::Last })
    }

    #[cold]
    fn spoilt(&mut self, tag: u16) -> Error {
        let corrupt = Corrupt::Tag(tag);
        if let State::Up(link) = &self.state {
            link.spoilt(corrupt);
        }
        Error::Corrupt(corrupt)
    }

    /// Deals with a server that is gone, and with one that was found.
    fn advance(&mut self) {
        self.reach.porch().take_news();
        match &self.state {
            State::Up(link) if link.session().is_closed() => self.lose_server(),
            State::Up(_) | State::Closed => return,
            State::Searching => {}
        }
        match self.reach.poll() {
            Reached::NotYet => {}
            Reached::Link(link) => self.state = State::Up(*link),
            Reached::Nobody => self.give_up(),
        }
    }

    /// Keeps what the dead server had answered, sorts the other requests into those that it had
    /// taken and those that the next one will find, and looks for that.
    fn lose_server(&mut self) {
        let State::Up(mut link) = std::mem::replace(&mut self.state, State::Searching) else {
            return;
        };
        // As much as it can have published: a server that hung up and lives could go on for ever.
        for _ in 0..link.records_max() {
            let Taken::Record(tag) = link.recv(&mut self.payload) else { break };
            let Ok(told) = self.answered(tag) else { break };
            self.untold.push(told, std::mem::take(&mut self.payload));
        }
        let head = link.stopped_at().filter(|head| self.outstanding.could_stop_at(*head));
        let in_doubt = match head {
            Some(head) => self.outstanding.taken(head),
            // It wrote nonsense, or this side hung up and it may live: anything may happen to them,
            // and the ring begins anew.
            None => self.outstanding.restart(),
        };
        self.tell_all(in_doubt, |request| Error::InDoubt { request });
        self.reach.search(link, head, after(self.reconnect_within));
    }

    fn give_up(&mut self) {
        self.state = State::Closed;
        let left = self.outstanding.clear();
        self.tell_all(left, |request| Error::NotTaken { request });
    }

    fn tell_all(&mut self, requests: Vec<RequestId>, why: impl Fn(RequestId) -> Error) {
        for id in requests {
            self.untold.push(Told { id, outcome: Outcome::Failed(why(id)) }, Vec::new());
        }
    }

    /// Waits for a record or for news.
    fn wait(&mut self, deadline: Option<Instant>) -> Result<bool, Error> {
        let Client { waiter, state, reach, .. } = self;
        waiter.wait(reach.porch(), &mut Listening(state, reach), deadline)
    }

    /// Waits until a request may be sent, or until nobody will take it any more.
    #[cold]
    fn wait_for_room(&mut self, len: usize) -> Result<(), Error> {
        if self.make_way()? {
            return Ok(());
        }
        let Client { waiter, state, reach, .. } = self;
        waiter.wait(reach.porch(), &mut Sending::new(state, reach, len), None).map(|_| ())
    }

    /// Takes the responses that have come, and keeps them: a server whose responses nobody reads
    /// takes no requests. Whether there were any.
    fn make_way(&mut self) -> Result<bool, Error> {
        self.advance();
        if let State::Closed = self.state {
            return Err(Error::Closed);
        }
        let mut taken = false;
        while let State::Up(link) = &mut self.state
            && link.is_ready()
        {
            if self.untold.is_full() {
                return Err(Error::Full);
            }
            let Taken::Record(tag) = link.recv(&mut self.payload) else { break };
            let told = self.answered(tag)?;
            self.untold.push(told, std::mem::take(&mut self.payload));
            taken = true;
        }
        Ok(taken)
    }
}

/// Waits for room, for a record of the server, or for news of it.
struct Sending<'a> {
    state: &'a mut State,
    reach: &'a Reach,
    len: usize,
    rang: bool,
}

impl<'a> Sending<'a> {
    fn new(state: &'a mut State, reach: &'a Reach, len: usize) -> Sending<'a> {
        Sending { state, reach, len, rang: false }
    }
}

impl Sleeper for Sending<'_> {
    fn look(&mut self) -> bool {
        let ready = match self.state {
            State::Up(link) => link.is_ready() || link.has_room(self.len),
            State::Searching => false,
            State::Closed => true,
        };
        ready || self.rang || self.reach.porch().has_news()
    }

    fn lie_down(&mut self) {
        if let State::Up(link) = self.state {
            link.doze();
            link.doze_for_room();
        }
    }

    fn get_up(&mut self) {
        if let State::Up(link) = self.state {
            link.awake();
            link.awake_for_room();
        }
    }

    /// The server rings once a sleep, perhaps for less room than is wanted: lie down anew.
    fn rung(&mut self, _key: u32) {
        self.rang = true;
    }
}

/// Waits for a record of the server, or for news of it.
struct Listening<'a>(&'a mut State, &'a Reach);

impl Sleeper for Listening<'_> {
    #[inline]
    fn look(&mut self) -> bool {
        let ready = match self.0 {
            State::Up(link) => link.is_ready(),
            State::Searching => false,
            State::Closed => true,
        };
        ready || self.1.porch().has_news()
    }

    fn lie_down(&mut self) {
        if let State::Up(link) = self.0 {
            link.doze();
        }
    }

    fn get_up(&mut self) {
        if let State::Up(link) = self.0 {
            link.awake();
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("outstanding", &self.outstanding()).finish_non_exhaustive()
    }
}

/// Room for a request, from [`Client::loan`].
#[derive(Debug)]
pub struct Loan<'a> {
    room: Lending<'a>,
    place: u16,
    outstanding: &'a mut Outstanding,
}

impl Loan<'_> {
    /// Sends the request.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`], when the server does not keep the protocol: the next receive finds out
    /// what became of the other requests.
    pub fn send(self) -> Result<RequestId, Error> {
        let end = self.room.send(self.place)?;
        Ok(self.outstanding.sent(end))
    }
}

impl Deref for Loan<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.room
    }
}

impl DerefMut for Loan<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.room
    }
}

/// A response, or a part of one.
#[derive(Debug)]
pub struct Response<'a> {
    payload: &'a [u8],
    id: RequestId,
    last: bool,
}

impl Response<'_> {
    /// The request that it answers.
    pub fn id(&self) -> RequestId {
        self.id
    }

    /// Whether that was all of it.
    pub fn is_last(&self) -> bool {
        self.last
    }
}

impl Deref for Response<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.payload
    }
}
