//! ZeroMQ sockets that talk to every libzmq program.

#![forbid(unsafe_code)]

mod context;
mod driver;
mod endpoint;
mod link;
mod monitor;
mod options;
mod socket;
mod stats;

pub use context::Context;
pub use driver::{BindError, ConnectError, Forked, UnbindError};
pub use endpoint::{Endpoint, EndpointError};
pub use monitor::{Event, HandshakeFailure, Lost, Monitor, What};
pub use options::{
    Builder, Key, OptionError, OptionInfo, Options, PageSize, ReconnectStop, Secret, SocketOption,
    When,
};
pub use stats::PeerStats;
