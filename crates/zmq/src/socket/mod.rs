//! The sockets.
//!
//! | file | what |
//! |---|---|
//! | `mod` | [`Socket`], of any kind: making, binding, connecting, closing it |
//! | `calls` | sending, receiving, subscribing, in every form |
//! | `typed` | one type per kind |
//! | `shared` | what its handles, links and the driver share, and in what order locks are taken |
//! | `rules`, `sending` | the pattern and the peers it chooses among; sending |
//! | `receiving` | inboxes, fair queueing, reading |
//! | `turn`, `waiting`, `task` | who waits; how threads do; how tasks do |
//! | `poller` | the socket's own poll |
//! | `life` | a peer comes, is connected, is lost, and goes |
//! | `hearing`, `patience` | near peers: what they say unasked; a moment's look before sleep |
//! | `standby` | one who waits at several sockets at once |
//! | `duty` | what the driver does; subscriptions; closing |

mod calls;
mod duty;
mod hearing;
mod life;
mod near;
mod patience;
pub(crate) mod poller;
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

use chaski_zmtp::Kind;
use chaski_zmtp::pattern::{Attach, Peer as Number};

pub use typed::*;

use self::shared::Shared;
use crate::context::Context;
use crate::driver::{BindError, ConnectError, UnbindError};
use crate::endpoint::{Endpoint, EndpointError};
use crate::error::BuildError;
use crate::link::Route;
use crate::monitor::{Announcer, Monitor};
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

    /// Connects, and says by which [`routing_id`](chaski_zmtp::Message::routing_id) the peer is
    /// known from now on (PEER, SERVER; RFC 51): who is to be sent to before it has sent anything.
    /// 0 for every other kind.
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

    /// What it is set to now; the defaults in a forked child, to which the socket is of no use.
    pub fn options(&self) -> Arc<Options> {
        self.shared.check_origin().map_or_else(|_| Arc::default(), |()| self.shared.options())
    }

    /// Sets an option.
    ///
    /// # Errors
    ///
    /// If this kind of socket does not have it, the value is none that it may have, or it can only
    /// be given to the builder.
    pub fn set(&self, option: SocketOption) -> Result<(), OptionError> {
        self.shared.check_origin()?;
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

    /// What happens to the socket from now on: connections that come and go, and why. In a forked
    /// child nothing does: it ends at once.
    pub fn monitor(&self) -> Monitor {
        match self.shared.check_origin() {
            Ok(()) => self.shared.announcer.monitor(),
            Err(_) => Announcer::default().monitor(),
        }
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
