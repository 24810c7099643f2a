//! ZeroMQ sockets: `send` and `recv` with `zmq+tcp://`, `zmq+ipc://` and `zmq+shm://`, and
//! `chaski keygen`.
//!
//! - `url`: what can be said of a socket, its options included;
//! - `security`: keys and passwords out of files, `keys` the form of those, `keygen` the command;
//! - `meeting`: a socket that is bound or connected, and what becomes of its connections;
//! - `send` and `recv`: lines into an `outlet`, messages out of an inlet;
//! - `frames`: how a line is a message of frames, and how that is printed.

mod frames;
pub(crate) mod keygen;
mod keys;
mod meeting;
mod outlet;
pub(crate) mod recv;
mod security;
pub(crate) mod send;
pub(crate) mod url;
