//! What becomes of messages, and what the pattern wants said besides.

use super::Peer;
use crate::command::Command;
use crate::kind::Kind;
use crate::message::{Frame, Message};

/// Whether a peer's queue has room for one more message.
pub trait Room {
    /// Whether `peer` can take a message now. A peer that is not connected yet may have room.
    fn has_room(&self, peer: Peer) -> bool;

    /// Whether `peer` has closed its end for good, and will never have room again, though what it
    /// sent before is still to be delivered. To wait for it would be to wait for ever.
    fn is_gone(&self, _peer: Peer) -> bool {
        false
    }
}

/// What becomes of an outgoing message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes to the peers named, and counts as sent.
    Send,
    /// Nobody can take it now: the sender waits and asks again. The message is as it was.
    Wait,
    /// It counts as sent, and nobody gets it.
    Drop,
}

/// What becomes of an incoming message or command.
#[derive(Debug)]
pub enum Delivery {
    /// The user receives this.
    Take(Message),
    /// The user sees nothing.
    Ignore,
    /// The peer broke the pattern's rules: its connection is closed.
    Close(&'static str),
}

impl From<Result<(), &'static str>> for Delivery {
    /// Of what concerns the pattern alone: ignored by the user, or a reason to close.
    fn from(dealt_with: Result<(), &'static str>) -> Self {
        match dealt_with {
            Ok(()) => Delivery::Ignore,
            Err(why) => Delivery::Close(why),
        }
    }
}

impl Delivery {
    /// Of a message that the user gets as it came, unless it has frames that its kind of socket
    /// must not have (RFC 37, "Thread Safe Sockets").
    pub(crate) fn of_kind(kind: Kind, mut message: Message) -> Self {
        if kind.multipart() {
            return Delivery::Take(message);
        }
        if message.len() != 1 {
            return Delivery::Ignore;
        }
        // It is the sender's number for us, where no wire was between.
        message.set_routing_id(0);
        Delivery::Take(message)
    }
}

/// A call that the pattern does not allow now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misuse {
    /// The socket's state machine forbids it now (libzmq: EFSM).
    #[error("{0}")]
    OutOfTurn(&'static str),
    /// This kind of socket never does that (ENOTSUP).
    #[error("a {0:?} socket cannot {1}")]
    NotSupported(Kind, &'static str),
    /// ROUTER with `router_mandatory`, SERVER, PEER: no such peer (EHOSTUNREACH).
    #[error("no peer is known by that identity")]
    Unroutable,
    /// The message has the wrong shape for this socket: too many frames, none, no identity, ...
    #[error("{0}")]
    Shape(&'static str),
}

/// Something a pattern wants said to a peer that nobody asked it to send.
#[derive(Debug)]
pub struct Errand {
    /// Who is told.
    pub to: Peer,
    /// What.
    pub what: Said,
}

impl Errand {
    /// The empty message that tells a ROUTER of us (`ZMQ_PROBE_ROUTER`).
    pub(crate) fn probe(to: Peer) -> Self {
        Errand { to, what: Said::Message(Message::from(Frame::empty())) }
    }
}

/// A message, or a command of the traffic phase.
#[derive(Clone, Debug)]
pub enum Said {
    /// A message like any other: a probe, a welcome, a subscription of ZMTP 3.0.
    Message(Message),
    /// A command.
    Command(Command),
    /// Nothing: its connection is closed once what was sent to it before is out, and is not made
    /// again (STREAM, and ROUTER when raw, sent it an empty body).
    Goodbye,
}
