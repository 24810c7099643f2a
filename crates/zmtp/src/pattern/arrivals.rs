//! The notices of a socket that talks to plain TCP peers: a connection came, a connection went.
//!
//! Each is the identity of the connection and an empty frame (libzmq: `ZMQ_STREAM_NOTIFY`). That
//! cannot be taken for data, since what a connection carries comes in pieces of a byte at least.
//!
//! That a connection went is told after all that it carried. One that we accepted is detached
//! when the user has received that, so it is told then. One that we make is only hung up, and
//! comes again; it is told at once.

use std::collections::VecDeque;

use super::limits::UNREAD_ARRIVALS_MAX;
use super::peers::Peers;
use super::{Attach, Peer};
use crate::message::{Frame, Message};

#[derive(Debug)]
pub(super) struct Arrivals {
    unread: VecDeque<Message>,
    visitors: Peers<Visitor>,
    /// Whether the user wants to be told.
    on: bool,
}

#[derive(Debug)]
struct Visitor {
    accepted: bool,
    /// It was told to have come, and not to have gone.
    here: bool,
}

impl Default for Arrivals {
    fn default() -> Self {
        Arrivals { unread: VecDeque::new(), visitors: Peers::default(), on: true }
    }
}

impl Arrivals {
    pub(super) fn set(&mut self, on: bool) {
        self.on = on;
    }

    pub(super) fn attach(&mut self, peer: Peer, how: &Attach) {
        let accepted = *how == Attach::Accepted;
        self.visitors.insert(peer, Visitor { accepted, here: false });
    }

    /// A connection came, if there is room for a notice of that.
    pub(super) fn greet(&mut self, peer: Peer, identity: &Frame) -> Result<(), &'static str> {
        if self.unread.len() >= UNREAD_ARRIVALS_MAX {
            return Err("the user has received none of many connections");
        }
        if let Some(visitor) = self.visitors.get_mut(peer) {
            visitor.here = true;
        }
        self.tell(identity);
        Ok(())
    }

    pub(super) fn hang_up(&mut self, peer: Peer, identity: &Frame) {
        if let Some(visitor) = self.visitors.get_mut(peer)
            && !visitor.accepted
            && std::mem::take(&mut visitor.here)
        {
            self.tell(identity);
        }
    }

    pub(super) fn detach(&mut self, peer: Peer, identity: &Frame) {
        if self.visitors.remove(peer).is_some_and(|visitor| visitor.here) {
            self.tell(identity);
        }
    }

    fn tell(&mut self, identity: &Frame) {
        if self.on {
            self.unread.push_back(Message::from(identity.clone()).with(Frame::empty()));
        }
    }

    pub(super) fn pop(&mut self) -> Option<Message> {
        self.unread.pop_front()
    }
}
