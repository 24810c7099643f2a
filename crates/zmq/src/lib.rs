//! ZeroMQ sockets that talk to every libzmq program.
//!
//! A socket is not a connection: it has any number of peers, connects again when one is lost, and
//! a pattern says which of them gets a message. There is one type per pattern, and [`Socket`] where
//! the kind is chosen at run time.
//!
//! ```
//! use chaski_zmq::{Pull, Push};
//!
//! let pull = Pull::new();
//! let endpoint = pull.bind("tcp://127.0.0.1:*")?;
//!
//! let push = Push::builder().sndhwm(10_000).build()?;
//! push.connect(&endpoint)?;
//! push.send("some work")?;
//!
//! let message = pull.recv()?;
//! assert_eq!(&message[0], "some work");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | pattern | sockets | source |
//! |---|---|---|
//! | a request and its reply | [`Req`], [`Rep`], [`Dealer`], [`Router`] | RFC 28 |
//! | news for whoever subscribed | [`Pub`], [`Sub`], [`Xpub`], [`Xsub`] | RFC 29 |
//! | work for whoever is free | [`Push`], [`Pull`] | RFC 30 |
//! | two alone | [`Pair`] | RFC 31 |
//! | without multipart: requests | [`Client`], [`Server`], [`Peer`] | RFC 41, 51 |
//! | without multipart: groups | [`Radio`], [`Dish`] | RFC 48 |
//! | without multipart: one way, both ways | [`Scatter`], [`Gather`], [`Channel`] | RFC 49, 52 |
//! | bytes of other protocols | [`Stream`] | |
//!
//! # Send and receive
//!
//! Each is to be had in the forms of `chaski-ring`: `send` and `recv` wait, `try_send` and
//! `try_recv` do not, `send_timeout` and `recv_timeout` wait for so long, `send_async` and
//! `recv_async` wait as a task; `send_all` and `recv_many` move several at once. All take `&self`:
//! share a socket in an [`Arc`](std::sync::Arc) among any number of threads and tasks, and mix the
//! forms as you like. A receive future that is dropped has taken nothing, a send future that is
//! dropped before it is ready has queued nothing.
//!
//! Futures run on any executor. Inside tokio, the feature `tokio` lets its own driver wake them,
//! which saves a step through this crate's thread.
//!
//! # Who does the work
//!
//! There is no thread between a message and the wire. `recv` reads on the caller's thread and hands
//! out the messages of what it read; `send` writes on the caller's thread if nothing is before the
//! message and no burst is on, and else only appends, so that one system call carries many:
//! *adaptive flush*. Nobody has to call `flush`; it only makes sooner what comes anyway, when the
//! socket next waits or reads, or within about a millisecond.
//!
//! What nobody waits for is done in the background, by threads that a [`Context`] starts when it
//! first needs them:
//!
//! | thread | at most | does |
//! |---|---|---|
//! | `chaski-zmq` | 1 | accepts, dials, shakes hands, connects again, heartbeats, lingers |
//! | `chaski-zmq-tick` | 1 | flushes what senders left gathered; asleep while there is nothing |
//! | `chaski-zmq-dns` | 8 | each looks one host name up, and ends |
//! | `chaski-zmq-shm` | 1 | meets, watches and wakes peers of `shm://` |
//!
//! # Limits
//!
//! A peer's queue takes as many messages as the option `sndhwm` says, counted until the kernel has
//! them; then `send` waits, or a publisher drops that peer's copy and counts it ([`PeerStats`]).
//! Received bytes are read a page at a time and only when what was read before is taken: what is
//! not taken stays in the kernel, and holds the peer up.
//!
//! # When things go wrong
//!
//! Nothing aborts and nothing is ignored: misuse, a full queue, a closed socket, a fork are values
//! of [`SendError`] and [`RecvError`]; a peer that breaks the protocol is disconnected, which a
//! [`Monitor`] tells; an option that does not exist cannot be set. Dropping a socket sends what
//! waits in the background; [`Socket::close`] waits for that, as long as it is told to. A program
//! that is about to exit closes its sockets, or loses what they had not sent.

#![forbid(unsafe_code)]

pub mod auth;
mod context;
mod driver;
pub mod endpoint;
pub mod error;
mod link;
mod monitor;
mod options;
mod poll;
mod proxy;
mod socket;
mod stats;
mod transport;
mod wake;

pub use chaski_zmtp::pattern::{Misuse, Outgoing};
pub use chaski_zmtp::{CipherError, DecodeError, Frame, Kind, Message, keys};
pub use context::Context;
pub use driver::{Answer, Authenticator, BindError, ConnectError, Forked, UnbindError};
pub use endpoint::{Endpoint, EndpointError};
pub use error::{BuildError, RecvError, SendError, SendFailure};
pub use monitor::{Breach, Event, HandshakeFailure, Lost, Monitor, Refusal, What};
pub use options::{
    Builder, Elsewhere, OptionError, OptionInfo, Options, PageSize, Reach, ReconnectStop, Secret,
    SocketOption, Transport, When,
};
pub use poll::{PollError, PollItem, Readiness, poll, poll_async};
pub use proxy::{Proxy, ProxyError, ProxyStats, Side, SideStats, proxy, proxy_steerable};
pub use socket::*;
pub use stats::PeerStats;
