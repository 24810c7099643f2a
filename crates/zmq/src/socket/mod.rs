//! The sockets.

pub(crate) mod shared;
