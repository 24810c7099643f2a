//! What a user calls to move messages, in every form: waiting, not waiting, for so long, as a task,
//! many at once. What is common to the forms is in `sending` and `receiving`, how they wait in
//! `waiting` and `task`.

mod recv;
mod send;

use super::Socket;
use crate::error::SendError;

/// Saying what is wanted: topics (SUB, XSUB, a manual XPUB), groups (DISH).
impl Socket {
    /// Begins to want messages whose first frame begins with `topic`; every message, if it is
    /// empty. Subscriptions count: two of the same topic take two
    /// [`unsubscribe`](Self::unsubscribe).
    ///
    /// # Errors
    ///
    /// If this kind of socket does not subscribe, or it is closed.
    pub fn subscribe(&self, topic: impl AsRef<[u8]>) -> Result<(), SendError> {
        self.shared.wish(topic.as_ref(), true)
    }

    /// Takes one subscription back.
    ///
    /// # Errors
    ///
    /// If there is none, or as [`subscribe`](Self::subscribe).
    pub fn unsubscribe(&self, topic: impl AsRef<[u8]>) -> Result<(), SendError> {
        self.shared.wish(topic.as_ref(), false)
    }

    /// Joins a group, of at most 255 bytes.
    ///
    /// # Errors
    ///
    /// If this kind of socket has no groups, or it is closed.
    pub fn join(&self, group: impl AsRef<[u8]>) -> Result<(), SendError> {
        self.shared.wish(group.as_ref(), true)
    }

    /// Leaves a group.
    ///
    /// # Errors
    ///
    /// If it has not joined that, or as [`join`](Self::join).
    pub fn leave(&self, group: impl AsRef<[u8]>) -> Result<(), SendError> {
        self.shared.wish(group.as_ref(), false)
    }
}
