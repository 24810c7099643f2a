//! The notices of a socket that talks to plain TCP peers: a connection came, a connection went.
//!
//! Each is the identity of the connection and an empty frame (libzmq: `ZMQ_STREAM_NOTIFY`). That
//! cannot be taken for data, since what a connection carries comes in pieces of a byte at least.

use std::collections::VecDeque;

use super::limits::UNREAD_ARRIVALS_MAX;
use crate::message::{Frame, Message};

#[derive(Debug)]
pub(super) struct Arrivals {
    unread: VecDeque<Message>,
    /// Whether the user wants them.
    on: bool,
}

impl Default for Arrivals {
    fn default() -> Self {
        Arrivals { unread: VecDeque::new(), on: true }
    }
}

impl Arrivals {
    pub(super) fn set(&mut self, on: bool) {
        self.on = on;
    }

    /// Whether one more may come.
    pub(super) fn check_room(&self) -> Result<(), &'static str> {
        if self.unread.len() < UNREAD_ARRIVALS_MAX {
            Ok(())
        } else {
            Err("the user has received none of many connections")
        }
    }

    /// The connection of that identity came, or went.
    pub(super) fn push(&mut self, identity: &Frame) {
        if self.on {
            self.unread.push_back(Message::from(identity.clone()).with(Frame::empty()));
        }
    }

    pub(super) fn pop(&mut self) -> Option<Message> {
        self.unread.pop_front()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.unread.is_empty()
    }
}
