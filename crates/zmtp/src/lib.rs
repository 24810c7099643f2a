//! ZMTP 3.1, the protocol between ZeroMQ sockets, and the socket patterns, as state machines.
//!
//! Bytes and events go in, bytes and messages come out. Nothing here opens a socket, reads a clock
//! or starts a thread, so every rule of the protocol can be tested over a wire that does not exist.
//!
//! | part | what it is | source |
//! |---|---|---|
//! | [`Message`], [`Frame`] | what is sent: frames, small ones without an allocation | |
//! | `greeting`, `frame`, `command`, `metadata` | the bytes on the wire | RFC 23, RFC 37 |
//! | `handshake`, `mechanism` | how two peers meet: NULL, PLAIN, CURVE | RFC 24, 25, 26 |
//! | `decoder`, `encoder` | frames of a connection that is up | RFC 37 |
//! | `zap` | asking whether a peer may enter | RFC 27 |
//! | [`pattern`] | REQ, REP, ...: who gets a message, what users see | RFC 28 to 31, 41, 47 to 52 |

#![forbid(unsafe_code)]

pub mod command;
pub mod decoder;
pub mod encoder;
pub mod error;
#[doc(hidden)]
pub mod exercise;
pub mod frame;
pub mod greeting;
pub mod handshake;
pub mod keys;
pub mod kind;
pub mod limits;
mod local;
pub mod mechanism;
pub mod message;
pub mod metadata;
pub mod pattern;
pub mod random;
pub mod z85;
pub mod zap;

pub use command::Command;
pub use decoder::{Decoder, Incoming};
pub use error::{CipherError, DecodeError, HandshakeError};
pub use frame::Flags;
pub use greeting::Version;
pub use handshake::{Established, Handshake, Progress};
pub use kind::Kind;
pub use limits::{Limits, PageSize};
pub use local::Local;
pub use mechanism::{Mechanism, Opener, Sealer};
pub use message::{Frame, Message};
pub use metadata::Metadata;
