//! The transports whose bytes go through the kernel: how to bind and to connect them.

mod interface;
pub(crate) mod ipc;
pub(crate) mod socks;
pub(crate) mod tcp;
