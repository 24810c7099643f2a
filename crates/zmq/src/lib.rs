//! ZeroMQ sockets that talk to every libzmq program.

#![forbid(unsafe_code)]

pub mod auth;
mod context;
mod driver;
mod endpoint;
pub mod error;
mod link;
mod monitor;
mod options;
mod poll;
mod proxy;
mod socket;
mod stats;
mod transport;

pub use chaski_zmtp::pattern::{Misuse, Outgoing};
pub use chaski_zmtp::{Frame, Kind, Message};
pub use context::Context;
pub use driver::{Answer, Authenticator, BindError, ConnectError, Forked, UnbindError};
pub use endpoint::{Endpoint, EndpointError};
pub use error::{BuildError, RecvError, SendError, SendFailure};
pub use monitor::{Event, HandshakeFailure, Lost, Monitor, What};
pub use options::{
    Builder, Key, OptionError, OptionInfo, Options, PageSize, ReconnectStop, Secret, SocketOption,
    When,
};
pub use poll::{PollError, PollItem, Readiness, poll, poll_async};
pub use proxy::{Proxy, ProxyError, ProxyStats, Side, SideStats, proxy, proxy_steerable};
pub use socket::*;
pub use stats::PeerStats;
