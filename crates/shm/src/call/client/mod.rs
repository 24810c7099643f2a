//! The side that asks.

mod news;
mod payload;
mod waiting;

use std::fmt;
use std::time::{Duration, Instant};

use super::outstanding::{Outstanding, RequestId};
use super::untold::{Outcome, Told, Untold};
use super::{OUTSTANDING_MAX, PLACE};
use crate::door::ConnectError;
use crate::error::Error;
use crate::link::{Link, Taken};
use crate::name::Name;
use crate::options::{Options, common_options, connecting_options};
use crate::reach::Reach;
use crate::task;
use crate::wait::{Waiter, after};
use crate::wire::Kind;

pub use payload::{Loan, Response};
use waiting::{Listening, Sending};

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
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("outstanding", &self.outstanding()).finish_non_exhaustive()
    }
}
