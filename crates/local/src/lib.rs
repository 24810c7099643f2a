//! The log for the processes of its machine, through shared memory: no socket, no copy by the
//! kernel, no broker's thread between a message and its page.
//!
//! On Linux.
#![forbid(unsafe_code)]

pub mod producer;
