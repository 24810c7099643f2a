//! The sockets.
//!
//! | file | what |
//! |---|---|
//! | `mod` | [`Socket`], of any kind; `typed`: one type per kind |
//! | `shared` | what its handles, links and the driver share, and in what order locks are taken |
//! | `rules`, `sending` | the pattern and the peers it chooses among; sending |
//! | `receiving` | inboxes, fair queueing, reading |
//! | `turn`, `waiting`, `task` | who waits; how threads do; how tasks do |
//! | `poller` | the socket's own poll |
//! | `life` | a peer comes, is connected, is lost, and goes |
//! | `hearing`, `patience` | near peers: what they say unasked; a moment's look before sleep |
//! | `standby` | one who waits at several sockets at once |
//! | `duty` | what the driver does; subscriptions; closing |

mod duty;
mod hearing;
mod life;
mod near;
mod patience;
mod poller;
mod receiving;
mod rules;
mod sending;
pub(crate) mod shared;
pub(crate) mod standby;
mod stats;
mod task;
mod turn;
mod typed;
mod waiting;

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use chaski_zmtp::pattern::{Attach, Outgoing, Peer as Number};
use chaski_zmtp::{Kind, Message};

pub use typed::*;

use self::shared::Shared;
use self::turn::Want;
use self::waiting::Until;
use crate::context::Context;
use crate::driver::{BindError, ConnectError, Forked, UnbindError};
use crate::endpoint::{Endpoint, EndpointError};
use crate::error::{BuildError, RecvError, SendError, SendFailure};
use crate::link::Route;
use crate::monitor::Monitor;
use crate::options::{Builder, Idle, OptionError, Options, SocketOption, Transport};

/// A socket of any kind, chosen when the program runs.
///
/// Where the kind is known when the program is written, take the type of that name: it has the
/// methods that its pattern allows. This one has all of them, and says [`Misuse`] where the pattern
/// does not.
///
/// All methods take `&self`, and any number of threads and tasks may call them at once: share the
/// socket in an [`Arc`]. What blocks and what awaits may be mixed.
///
/// ```
/// use chaski_zmq::{Kind, Socket};
///
/// let rep = Socket::new(Kind::Rep);
/// let endpoint = rep.bind("tcp://127.0.0.1:*")?;
/// let req = Socket::new(Kind::Req);
/// req.connect(&endpoint)?;
///
/// req.send("hello")?;
/// assert_eq!(&rep.recv()?[0], "hello");
/// rep.send("world")?;
/// assert_eq!(&req.recv()?[0], "world");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [`Misuse`]: chaski_zmtp::pattern::Misuse
pub struct Socket {
    shared: Arc<Shared>,
}

const BYTES_ONLY: &str = "a STREAM socket has peers by tcp and ipc only";

/// What can be made into an endpoint: a text, or an [`Endpoint`].
pub trait IntoEndpoint {
    /// The endpoint.
    ///
    /// # Errors
    ///
    /// If the text is none.
    fn into_endpoint(self) -> Result<Endpoint, EndpointError>;
}

impl IntoEndpoint for &str {
    fn into_endpoint(self) -> Result<Endpoint, EndpointError> {
        self.parse()
    }
}

impl IntoEndpoint for &String {
    fn into_endpoint(self) -> Result<Endpoint, EndpointError> {
        self.parse()
    }
}

impl IntoEndpoint for String {
    fn into_endpoint(self) -> Result<Endpoint, EndpointError> {
        self.parse()
    }
}

impl IntoEndpoint for &Endpoint {
    fn into_endpoint(self) -> Result<Endpoint, EndpointError> {
        Ok(self.clone())
    }
}

impl IntoEndpoint for Endpoint {
    fn into_endpoint(self) -> Result<Endpoint, EndpointError> {
        Ok(self)
    }
}

/// Making it, binding and connecting.
impl Socket {
    /// A socket with default options, in the default context.
    ///
    /// # Panics
    ///
    /// If the system has no descriptor left; [`Builder::build`] gives an error instead.
    pub fn new(kind: Kind) -> Self {
        let made = Socket::open(kind, Context::default(), Options::default());
        made.expect("the system should have descriptors left for a socket")
    }

    /// Gathers options for a socket.
    pub fn builder(kind: Kind) -> Builder<Socket> {
        Builder::new(kind)
    }

    pub(crate) fn open(kind: Kind, context: Context, options: Options) -> std::io::Result<Self> {
        Ok(Socket { shared: Shared::new(kind, context, options)? })
    }

    /// Lets peers connect at this endpoint. Says which that is, if it was left open: `tcp://*:*`,
    /// `ipc://*`.
    ///
    /// # Errors
    ///
    /// If the endpoint is not to be had; the socket is as it was.
    pub fn bind(&self, endpoint: impl IntoEndpoint) -> Result<Endpoint, BindError> {
        self.shared.check_origin()?;
        let endpoint = endpoint.into_endpoint()?;
        if self.shared.is_closed() {
            let error = std::io::Error::other("the socket is closed; make a new one");
            return Err(BindError::Io { endpoint, error });
        }
        let transport = Transport::of(endpoint.address());
        if !transport.carries(self.kind()) {
            return Err(BindError::Unsuitable { endpoint, why: BYTES_ONLY });
        }
        if let Err(Idle { option, why }) = self.shared.options().check_reach(transport) {
            return Err(BindError::Option { endpoint, option, why });
        }
        self.shared.driver().listen(&self.shared, &endpoint)
    }

    /// Connects to this endpoint, in the background, and again whenever that is lost. Messages may
    /// be sent at once; they wait for the connection.
    ///
    /// # Errors
    ///
    /// If connecting cannot begin. That nobody is there yet is no error.
    pub fn connect(&self, endpoint: impl IntoEndpoint) -> Result<(), ConnectError> {
        self.dial(endpoint.into_endpoint()?).map(drop)
    }

    /// Connects, and says by which [`Message::routing_id`] the peer is known from now on (PEER,
    /// SERVER; RFC 51): who is to be sent to before it has sent anything. 0 for every other kind.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub fn connect_peer(&self, endpoint: impl IntoEndpoint) -> Result<u32, ConnectError> {
        let peer = self.dial(endpoint.into_endpoint()?)?;
        Ok(self.shared.rules().pattern.routing_id(peer))
    }

    fn dial(&self, endpoint: Endpoint) -> Result<Number, ConnectError> {
        self.shared.check_origin()?;
        let options = self.shared.options();
        let transport = Transport::of(endpoint.address());
        if !transport.carries(self.kind()) {
            return Err(ConnectError::Unsuitable { endpoint, why: BYTES_ONLY });
        }
        if let Err(Idle { option, why }) = options.check_reach(transport) {
            return Err(ConnectError::Option { endpoint, option, why });
        }
        let how = Attach::Connecting {
            early: !options.immediate,
            identity: self.shared.take_connect_routing_id(),
        };
        let route = Arc::new(Route { endpoint: endpoint.clone(), dialled: true });
        let peer = self
            .shared
            .attach(how, route)
            .map_err(|why| ConnectError::Refused { endpoint: endpoint.clone(), why })?;
        match self.shared.driver().dial(&self.shared, peer, &endpoint) {
            Ok(()) => Ok(peer),
            Err(error) => {
                self.shared.gone(peer);
                Err(ConnectError::Io { endpoint, error })
            }
        }
    }

    /// Lets no more peers connect at this endpoint; those that have stay.
    ///
    /// # Errors
    ///
    /// If the socket is not bound to it. It must be named as [`bind`](Self::bind) returned it.
    pub fn unbind(&self, endpoint: impl IntoEndpoint) -> Result<(), UnbindError> {
        self.shared.check_origin()?;
        self.shared.driver().unlisten(&self.shared, &endpoint.into_endpoint()?)
    }

    /// Takes back every [`connect`](Self::connect) to this endpoint, as libzmq does, once what
    /// waits for the peer is sent or the `linger` time is over.
    ///
    /// # Errors
    ///
    /// If the socket is not connected to it.
    pub fn disconnect(&self, endpoint: impl IntoEndpoint) -> Result<(), UnbindError> {
        self.shared.check_origin()?;
        self.shared.driver().undial(&self.shared, &endpoint.into_endpoint()?)
    }

    /// Which kind it is.
    pub fn kind(&self) -> Kind {
        self.shared.kind
    }

    /// What it is set to now.
    pub fn options(&self) -> Arc<Options> {
        self.shared.options()
    }

    /// Sets an option.
    ///
    /// # Errors
    ///
    /// If this kind of socket does not have it, the value is none that it may have, or it can only
    /// be given to the builder.
    pub fn set(&self, option: SocketOption) -> Result<(), OptionError> {
        self.shared.set(option)
    }

    /// Sets an option by its name, from a text.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set), and if there is no such option.
    pub fn set_by_name(&self, name: &str, value: &str) -> Result<(), OptionError> {
        self.set(SocketOption::parse(name, value)?)
    }

    /// What happens to the socket from now on: connections that come and go, and why.
    pub fn monitor(&self) -> Monitor {
        self.shared.announcer.monitor()
    }

    /// Closes it: sends what waits for at most `linger` (`None`: for as long as it takes), and
    /// returns when that is done or over. Calls of other threads and tasks end with an error.
    ///
    /// Dropping the socket does the same in the background, with the option `linger`.
    pub fn close(&self, linger: impl Into<Option<Duration>>) {
        if let Some(closing) = self.shared.close(linger.into()) {
            closing.wait();
        }
    }

    /// The same for a task. Dropped before it is ready, the future leaves the socket to linger in
    /// the background.
    pub async fn close_async(&self, linger: impl Into<Option<Duration>>) {
        if let Some(closing) = self.shared.close(linger.into()) {
            closing.wait_async().await;
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

/// Sending. A message is anything that can be made into an [`Outgoing`]: `&str`, `&[u8]`, `String`,
/// `Vec<u8>`, `Bytes`, [`Frame`](chaski_zmtp::Frame), [`Message`].
///
/// Sent means queued for a peer, or, for publishers, that all who want it and have room were given
/// it. When it is written is the socket's concern: at once, or with others that follow closely.
impl Socket {
    /// Sends, having waited for room if need be.
    ///
    /// # Errors
    ///
    /// If the pattern does not allow it, the socket is closed, or there was no room for as long as
    /// the option `sndtimeo`.
    #[inline]
    pub fn send<'a>(&self, message: impl Into<Outgoing<'a>>) -> Result<(), SendError> {
        match self.shared.post(message.into()) {
            Ok(()) => Ok(()),
            Err(refused) => self.wait_to_send(refused.message, refused.why, None),
        }
    }

    /// Sends if there is room now.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and if there is no room.
    #[inline]
    pub fn try_send<'a>(&self, message: impl Into<Outgoing<'a>>) -> Result<(), SendError> {
        let message = match self.shared.post(message.into()) {
            Ok(()) => return Ok(()),
            Err(sending::Refused { why: Some(why), message }) => {
                return Err(SendError::new(why, message));
            }
            Err(refused) => refused.message,
        };
        // What has become writable since shows only in the poll.
        if let Err(forked) = self.shared.check_origin() {
            return Err(SendError::new(forked, message));
        }
        self.shared.harvest(None);
        self.shared.post(message).map_err(|refused| {
            SendError::new(refused.why.unwrap_or(SendFailure::Full), refused.message)
        })
    }

    /// Sends, waiting for room at most this long.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_timeout<'a>(
        &self,
        message: impl Into<Outgoing<'a>>,
        timeout: Duration,
    ) -> Result<(), SendError> {
        match self.shared.post(message.into()) {
            Ok(()) => Ok(()),
            Err(refused) => self.wait_to_send(refused.message, refused.why, Some(timeout)),
        }
    }

    /// Sends as a task, waiting for room if need be. `sndtimeo` does not apply: whoever awaits may
    /// stop.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, the future has queued nothing; once the message is queued, whole
    /// and for all its peers, it is ready. A message that was given to it is dropped with it.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn send_async<'a>(&self, message: impl Into<Outgoing<'a>>) -> Result<(), SendError> {
        let mut waiting = match self.shared.post(message.into()) {
            Ok(()) => return Ok(()),
            Err(sending::Refused { why: Some(why), message }) => {
                return Err(SendError::new(why, message));
            }
            Err(refused) => Some(refused.message),
        };
        let sent = self.shared.wait_as_task(Want::Send, || self.attempt(&mut waiting)).await;
        match (sent, waiting) {
            (Ok(sent), _) => sent,
            (Err(forked), Some(message)) => Err(SendError::new(forked, message)),
            (Err(forked), None) => Err(SendError::new(forked, Outgoing::from(""))),
        }
    }

    /// Sends all of these, in order, and then writes what is gathered.
    ///
    /// # Errors
    ///
    /// Stops at the first message that cannot be sent. Those behind it are still in the iterator,
    /// if that was lent.
    pub fn send_all<'a, M: Into<Outgoing<'a>>>(
        &self,
        messages: impl IntoIterator<Item = M>,
    ) -> Result<(), SendError> {
        let sent = messages.into_iter().try_for_each(|message| self.send(message));
        self.flush();
        sent
    }

    /// Writes what was gathered for later, as far as the kernel takes it; does not wait. Nothing
    /// depends on it but how soon: what is not flushed leaves when the socket next waits or reads,
    /// and otherwise within about a millisecond.
    pub fn flush(&self) {
        if self.shared.check_origin().is_ok() {
            self.shared.flush_armed();
        }
    }

    #[cold]
    fn wait_to_send(
        &self,
        message: Outgoing<'_>,
        why: Option<SendFailure>,
        timeout: Option<Duration>,
    ) -> Result<(), SendError> {
        if let Some(why) = why {
            return Err(SendError::new(why, message));
        }
        let until = Until::after(timeout.or_else(|| self.shared.sndtimeo()));
        let mut waiting = Some(message);
        let sent = self.shared.wait(Want::Send, until, || self.attempt(&mut waiting));
        let message = waiting.unwrap_or_else(|| Outgoing::from(""));
        match sent {
            Ok(Some(sent)) => sent,
            Ok(None) => Err(SendError::new(SendFailure::Timeout, message)),
            Err(forked) => Err(SendError::new(forked, message)),
        }
    }

    /// Sends the message that waits, if there is room.
    fn attempt(
        &self,
        waiting: &mut Option<Outgoing<'_>>,
    ) -> waiting::Attempt<Result<(), SendError>> {
        match self.shared.post(waiting.take()?) {
            Ok(()) => Some((Ok(()), false)),
            Err(sending::Refused { message, why: None }) => {
                *waiting = Some(message);
                None
            }
            Err(sending::Refused { message, why: Some(why) }) => {
                Some((Err(SendError::new(why, message)), false))
            }
        }
    }
}

/// Receiving.
///
/// # Cancel safety
///
/// A receive future that is dropped before it is ready has taken nothing: a message is taken in the
/// same poll that returns it.
impl Socket {
    /// Receives the next message, having waited for it if need be.
    ///
    /// # Errors
    ///
    /// If the pattern does not allow it, the socket is closed, or none came for as long as the
    /// option `rcvtimeo`.
    #[inline]
    pub fn recv(&self) -> Result<Message, RecvError> {
        if let Some((single, more)) = self.shared.take_single() {
            self.pass_on(more);
            return Ok(single.into_message());
        }
        match self.shared.take() {
            Ok(Some(taken)) => Ok(self.take_one(taken)),
            Ok(None) => self.wait_to_recv(None),
            Err(error) => Err(error),
        }
    }

    /// Receives the next message if one is there.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv), and if none is there.
    #[inline]
    pub fn try_recv(&self) -> Result<Message, RecvError> {
        if let Some(taken) = self.shared.take()? {
            return Ok(self.take_one(taken));
        }
        self.look_around()?;
        match self.shared.take()? {
            Some(taken) => Ok(self.take_one(taken)),
            None => Err(RecvError::Empty),
        }
    }

    /// Receives the next message, waiting for it at most this long.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Message, RecvError> {
        match self.shared.take()? {
            Some(taken) => Ok(self.take_one(taken)),
            None => self.wait_to_recv(Some(timeout)),
        }
    }

    /// Receives the next message as a task of any executor. `rcvtimeo` does not apply: whoever
    /// awaits may stop.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub async fn recv_async(&self) -> Result<Message, RecvError> {
        if let Some((single, more)) = self.shared.take_single() {
            self.pass_on(more);
            return Ok(single.into_message());
        }
        if let Some(taken) = self.shared.take()? {
            return Ok(self.take_one(taken));
        }
        self.shared.wait_as_task(Want::Recv, || self.shared.attempt()).await?
    }

    /// Waits for a message, and receives as many as are there, at most `max`; how many that were.
    /// They are added to `messages`. Of long messages it takes fewer: about 256 KiB.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn recv_many(&self, messages: &mut Vec<Message>, max: usize) -> Result<usize, RecvError> {
        let before = messages.len();
        let more = self.shared.take_many(messages, max)?;
        if messages.len() > before || max == 0 {
            self.pass_on(more);
            return Ok(messages.len() - before);
        }
        messages.push(self.wait_to_recv(None)?);
        self.and_more(messages, before, max)
    }

    /// Receives as many messages as are there, at most `max`; how many that were, perhaps none.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn try_recv_many(
        &self,
        messages: &mut Vec<Message>,
        max: usize,
    ) -> Result<usize, RecvError> {
        let before = messages.len();
        self.and_more(messages, before, max)?;
        if messages.len() == before && max > 0 {
            self.look_around()?;
            self.and_more(messages, before, max)?;
        }
        Ok(messages.len() - before)
    }

    /// The same as [`recv_many`](Self::recv_many), as a task.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub async fn recv_many_async(
        &self,
        messages: &mut Vec<Message>,
        max: usize,
    ) -> Result<usize, RecvError> {
        let before = messages.len();
        let more = self.shared.take_many(messages, max)?;
        if messages.len() > before || max == 0 {
            self.pass_on(more);
            return Ok(messages.len() - before);
        }
        messages.push(self.recv_async().await?);
        self.and_more(messages, before, max)
    }

    /// Adds what else is there to messages received.
    fn and_more(
        &self,
        messages: &mut Vec<Message>,
        before: usize,
        max: usize,
    ) -> Result<usize, RecvError> {
        match self.shared.take_many(messages, max - (messages.len() - before)) {
            Ok(more) => self.pass_on(more),
            Err(error) if messages.len() == before => return Err(error),
            // The messages before it were allowed; the next call says what is wrong.
            Err(_) => {}
        }
        Ok(messages.len() - before)
    }

    #[inline]
    fn take_one(&self, taken: receiving::Taken) -> Message {
        self.pass_on(taken.more);
        taken.message
    }

    /// Lets another receiver have what is left.
    #[inline]
    fn pass_on(&self, more: bool) {
        if more {
            self.shared.answer(self.shared.turn.pass_on(Want::Recv));
        }
    }

    /// Takes events that are there: what has come since shows only in the poll.
    fn look_around(&self) -> Result<(), Forked> {
        self.shared.check_origin()?;
        self.shared.flush_armed();
        self.shared.harvest(Some(Want::Recv));
        Ok(())
    }

    #[cold]
    fn wait_to_recv(&self, timeout: Option<Duration>) -> Result<Message, RecvError> {
        let until = Until::after(timeout.or_else(|| self.shared.rcvtimeo()));
        let received = self.shared.wait(Want::Recv, until, || self.shared.attempt())?;
        received.unwrap_or(Err(RecvError::Timeout))
    }
}

/// Saying what is wanted: topics (SUB, XSUB, a manual XPUB), groups (DISH).
impl Socket {
    /// Begins to want messages whose first frame begins with `topic`; every message, if it is
    /// empty. Subscriptions count: two of the same topic take two
    /// [`unsubscribe`](Self::unsubscribe).
    ///
    /// # Errors
    ///
    /// If this kind of socket does not subscribe, or it is closed.
    pub fn subscribe(&self, topic: impl AsRef<[u8]>) -> Result<(), SendError> {
        self.shared.wish(topic.as_ref(), true)
    }

    /// Takes one subscription back.
    ///
    /// # Errors
    ///
    /// If there is none, or as [`subscribe`](Self::subscribe).
    pub fn unsubscribe(&self, topic: impl AsRef<[u8]>) -> Result<(), SendError> {
        self.shared.wish(topic.as_ref(), false)
    }

    /// Joins a group, of at most 255 bytes.
    ///
    /// # Errors
    ///
    /// If this kind of socket has no groups, or it is closed.
    pub fn join(&self, group: impl AsRef<[u8]>) -> Result<(), SendError> {
        self.shared.wish(group.as_ref(), true)
    }

    /// Leaves a group.
    ///
    /// # Errors
    ///
    /// If it has not joined that, or as [`join`](Self::join).
    pub fn leave(&self, group: impl AsRef<[u8]>) -> Result<(), SendError> {
        self.shared.wish(group.as_ref(), false)
    }
}

/// The socket's poll: readable when something happened to its peers. It says so once for each
/// event; so when it is readable, call `try_recv` until nothing is there.
impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.as_fd()
    }
}

impl AsRef<Socket> for Socket {
    fn as_ref(&self) -> &Socket {
        self
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // In a forked child a lock of the parent's may be held for ever.
        if self.shared.check_origin().is_err() {
            return;
        }
        // Goes on in the background.
        let linger = self.shared.options().linger;
        drop(self.shared.close(linger));
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").field("kind", &self.shared.kind).finish_non_exhaustive()
    }
}

impl Builder<Socket> {
    /// Makes the socket.
    ///
    /// # Errors
    ///
    /// If the options do not go together or do not suit the kind, or the system has no descriptor
    /// left.
    pub fn build(self) -> Result<Socket, BuildError> {
        build(self)
    }
}

/// Makes a socket with the options gathered.
fn build<S>(builder: Builder<S>) -> Result<Socket, BuildError> {
    builder.options.check(builder.kind)?;
    let context = builder.context.unwrap_or_default();
    Ok(Socket::open(builder.kind, context, builder.options)?)
}
