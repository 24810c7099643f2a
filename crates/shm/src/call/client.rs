//! The side that asks.

use std::collections::VecDeque;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};

use super::outstanding::{Outstanding, RequestId};
use super::{DROPPED, MORE, OUTSTANDING_MAX, PLACE};
use crate::door::ConnectError;
use crate::error::{Corrupt, Error};
use crate::link::{Lending, Link, Room, Taken};
use crate::name::Name;
use crate::options::{Options, common_options, connecting_options};
use crate::reach::{Reach, Reached};
use crate::task;
use crate::wait::{Sleeper, Waiter};
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
    /// What is known and was not told yet, with its payload.
    untold: VecDeque<(Told, Vec<u8>)>,
    /// The tag of a record just taken that is no response in one piece.
    odd: Option<u16>,
    waiter: Waiter,
    payload: Vec<u8>,
}

enum State {
    Up(Link),
    /// The server is gone; another is looked for.
    Searching,
    Closed,
}

/// What became of a request, or of a part of its response.
#[derive(Debug)]
struct Told {
    id: RequestId,
    outcome: Outcome,
}

/// What a look brought. Small, to be returned in registers.
enum Polled {
    Nothing,
    /// All of the response to a request.
    Whole(RequestId),
    /// Something less common, see `poll_other`.
    Other,
}

#[derive(Debug)]
enum Outcome {
    /// A payload, and more to come.
    Part,
    /// A payload, and that was all.
    Last,
    Failed(Error),
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
        let link = reach.connect(Instant::now() + self.connect_within)?;
        Ok(Client {
            reach,
            state: State::Up(link),
            reconnect_within: self.reconnect_within,
            outstanding: Outstanding::new(self.outstanding_max),
            untold: VecDeque::new(),
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
    /// As [`Client::send`] and [`Client::recv`].
    pub fn call(&mut self, request: &[u8]) -> Result<&[u8], Error> {
        let id = self.send(request)?;
        loop {
            match self.poll() {
                Polled::Nothing => {}
                Polled::Whole(answered) if answered == id => return Ok(&self.payload),
                Polled::Whole(other) => {
                    let told = Told { id: other, outcome: Outcome::Last };
                    return self.await_one(id, Some(told));
                }
                Polled::Other => return self.await_one(id, None),
            }
            self.wait(None)?;
        }
    }

    /// Waits for all of the response to one request, and keeps what comes for others, beginning
    /// with `told`, whose payload is at hand.
    #[cold]
    fn await_one(&mut self, id: RequestId, mut told: Option<Told>) -> Result<&[u8], Error> {
        let (mut parts, mut others) = (Vec::new(), VecDeque::new());
        let outcome = loop {
            let told = match told.take().map_or_else(|| self.next(), Ok) {
                Ok(told) => told,
                Err(error) => break Err(error),
            };
            if told.id != id {
                others.push_back((told, std::mem::take(&mut self.payload)));
                continue;
            }
            match told.outcome {
                Outcome::Part => parts.append(&mut self.payload),
                Outcome::Last => break Ok(()),
                Outcome::Failed(error) => break Err(error),
            }
        };
        if !others.is_empty() {
            others.append(&mut self.untold);
            self.untold = others;
        }
        outcome?;
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
    /// [`Error::TooMany`]: receive a response first. [`Error::TooLarge`], [`Error::Closed`],
    /// [`Error::System`].
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
        let link = match &mut self.state {
            State::Up(link) => link,
            State::Searching => return Err(Error::Full),
            State::Closed => return Err(Error::Closed),
        };
        match link.send(place, request) {
            Ok(()) => Ok(self.outstanding.sent(link.position())),
            // The connection has ended, and the next will be tried.
            Err(Error::Corrupt(_) | Error::Closed) => Err(Error::Full),
            Err(error) => Err(error),
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
        let link = match &mut self.state {
            State::Up(link) => link,
            State::Searching => return Err(Error::Full),
            State::Closed => return Err(Error::Closed),
        };
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
        let told = self.take(Some(Instant::now() + limit))?.ok_or(Error::TimedOut)?;
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
            self.advance();
            let Client { state, reach, .. } = self;
            match state {
                State::Up(link) => {
                    task::wait(reach.porch(), &mut Room::new(link, request.len())).await?;
                }
                State::Searching => task::wait(reach.porch(), &mut Listening(state, reach)).await?,
                State::Closed => return Err(Error::Closed),
            }
        }
    }

    /// As [`Client::call`], as a task of any executor. Dropped before it is ready, the request may
    /// have been sent; its response then comes with a later receive.
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub async fn call_async(&mut self, request: &[u8]) -> Result<Vec<u8>, Error> {
        let id = self.send_async(request).await?;
        let mut whole = Vec::new();
        let mut others = Others { client: self, untold: VecDeque::new() };
        loop {
            let response = others.client.recv_async().await;
            match response {
                Ok(response) if response.id == id => {
                    whole.extend_from_slice(response.payload);
                    if response.last {
                        return Ok(whole);
                    }
                }
                Ok(Response { payload, id, last }) => {
                    let outcome = if last { Outcome::Last } else { Outcome::Part };
                    others.untold.push_back((Told { id, outcome }, payload.to_vec()));
                }
                Err(error) => match error.request() {
                    Some(other) if other != id => {
                        let told = Told { id: other, outcome: Outcome::Failed(error) };
                        others.untold.push_back((told, Vec::new()));
                    }
                    _ => return Err(error),
                },
            }
        }
    }

    /// How many requests await their responses.
    pub fn outstanding(&self) -> usize {
        self.outstanding.len()
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

    /// What is told next.
    fn next(&mut self) -> Result<Told, Error> {
        Ok(self.take(None)?.expect("without a deadline there is no end to waiting"))
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

    /// Looks for a response, and takes it if it is one in one piece.
    #[inline(never)]
    fn poll(&mut self) -> Polled {
        let State::Up(link) = &mut self.state else { return Polled::Other };
        if !self.untold.is_empty() {
            return Polled::Other;
        }
        match link.recv(&mut self.payload) {
            Taken::Record(tag) if tag <= PLACE => {
                if let Some(id) = self.outstanding.answered(tag) {
                    return Polled::Whole(id);
                }
                self.odd = Some(tag);
                Polled::Other
            }
            Taken::Nothing if !self.reach.porch().has_news() => Polled::Nothing,
            Taken::Record(tag) => {
                self.odd = Some(tag);
                Polled::Other
            }
            // The connection has ended, or that is now to be found out.
            Taken::Nothing | Taken::Spoilt => Polled::Other,
        }
    }

    /// What else is told next, if anything is. Its payload is then in `self.payload`.
    #[cold]
    fn poll_other(&mut self) -> Result<Option<Told>, Error> {
        if let Some(tag) = self.odd.take() {
            return self.answered(tag).map(Some);
        }
        self.advance();
        if let Some((told, payload)) = self.untold.pop_front() {
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
        let mut payload = Vec::new();
        while let Taken::Record(tag) = link.recv(&mut payload)
            && let Ok(told) = self.answered(tag)
        {
            self.untold.push_back((told, std::mem::take(&mut payload)));
        }
        let head = link.released().ok().filter(|head| self.outstanding.could_stop_at(*head));
        let in_doubt = match head {
            Some(head) => self.outstanding.taken(head),
            // It wrote nonsense, so anything may have happened, and the ring begins anew.
            None => self.outstanding.restart(),
        };
        self.tell_all(in_doubt, |request| Error::InDoubt { request });
        self.reach.search(link, head, Instant::now() + self.reconnect_within);
    }

    fn give_up(&mut self) {
        self.state = State::Closed;
        let left = self.outstanding.clear();
        self.tell_all(left, |request| Error::NotTaken { request });
    }

    fn tell_all(&mut self, requests: Vec<RequestId>, why: impl Fn(RequestId) -> Error) {
        let told = |id| (Told { id, outcome: Outcome::Failed(why(id)) }, Vec::new());
        self.untold.extend(requests.into_iter().map(told));
    }

    /// Waits for a record or for news.
    fn wait(&mut self, deadline: Option<Instant>) -> Result<bool, Error> {
        let Client { waiter, state, reach, .. } = self;
        waiter.wait(reach.porch(), &mut Listening(state, reach), deadline)
    }

    /// Waits until a request may be sent, or until nobody will take it any more.
    #[cold]
    fn wait_for_room(&mut self, len: usize) -> Result<(), Error> {
        self.advance();
        match &mut self.state {
            State::Up(link) => {
                let mut room = Room::new(link, len);
                self.waiter.wait(self.reach.porch(), &mut room, None).map(|_| ())
            }
            State::Searching => self.wait(None).map(|_| ()),
            State::Closed => Err(Error::Closed),
        }
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
    /// As [`Client::try_send`].
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

/// What came for other requests while one was awaited: goes back when that is over, in whatever way.
struct Others<'a> {
    client: &'a mut Client,
    untold: VecDeque<(Told, Vec<u8>)>,
}

impl Drop for Others<'_> {
    fn drop(&mut self) {
        self.untold.append(&mut self.client.untold);
        self.client.untold = std::mem::take(&mut self.untold);
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
