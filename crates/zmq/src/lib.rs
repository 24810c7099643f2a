//! ZeroMQ sockets that talk to every libzmq program.

#![forbid(unsafe_code)]

mod endpoint;
mod link;
mod socket;

pub use endpoint::{Endpoint, EndpointError};
