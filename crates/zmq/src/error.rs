//! Why a message was not sent, or none received.
//!
//! A send that fails gives the message back, unless it was only lent. None of these ends the
//! socket but [`Closed`](RecvError::Closed) and [`Forked`](RecvError::Forked), which come again at
//! every call.

use std::fmt;

use chaski_zmtp::Message;
use chaski_zmtp::pattern::{Body, Misuse, Outgoing};

use crate::driver::Forked;

/// Why a message was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendFailure {
    /// No peer could take it at once: none is there, or as many messages wait for each as may
    /// (`sndhwm`).
    #[error("no peer has room for the message now")]
    Full,
    /// The same, until the time was over.
    #[error("no peer had room for the message in time")]
    Timeout,
    /// The pattern does not allow it, now or at all.
    #[error(transparent)]
    Misuse(#[from] Misuse),
    /// The socket is closed.
    #[error("the socket is closed")]
    Closed,
    /// The socket belongs to the process that this one was forked from.
    #[error(transparent)]
    Forked(#[from] Forked),
}

/// A message was not sent; see [`SendError::failure`].
#[derive(Clone)]
pub struct SendError {
    failure: SendFailure,
    message: Option<Box<Message>>,
}

impl SendError {
    pub(crate) fn new(failure: impl Into<SendFailure>, message: Outgoing<'_>) -> Self {
        // What the user lent, it still has.
        let lent = matches!(message.body, Body::Slice(_));
        let message = (!lent).then(|| Box::new(message.into_message()));
        SendError { failure: failure.into(), message }
    }

    /// Why.
    pub fn failure(&self) -> &SendFailure {
        &self.failure
    }

    /// Whether it may go better later: there was no room.
    pub fn is_full(&self) -> bool {
        matches!(self.failure, SendFailure::Full | SendFailure::Timeout)
    }

    /// The message, if it was given to `send` and not lent as a slice.
    pub fn into_message(self) -> Option<Message> {
        self.message.map(|message| *message)
    }
}

impl fmt::Debug for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SendError").field(&self.failure).finish()
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.failure.fmt(f)
    }
}

impl std::error::Error for SendError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.failure)
    }
}

/// Why no message was received.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecvError {
    /// None is there now.
    #[error("no message is there now")]
    Empty,
    /// None came in time.
    #[error("no message came in time")]
    Timeout,
    /// The pattern does not allow it, now or at all.
    #[error(transparent)]
    Misuse(#[from] Misuse),
    /// The socket is closed.
    #[error("the socket is closed")]
    Closed,
    /// The socket belongs to the process that this one was forked from.
    #[error(transparent)]
    Forked(#[from] Forked),
}

impl RecvError {
    /// Whether it may go better later: there was no message.
    pub fn is_empty(&self) -> bool {
        matches!(self, RecvError::Empty | RecvError::Timeout)
    }
}

/// Why a socket was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The options do not go together, or do not suit the kind.
    #[error(transparent)]
    Option(#[from] crate::options::OptionError),
    /// The system refused: it has no descriptor left.
    #[error("the system gives no descriptor for a socket: {0}")]
    System(#[from] std::io::Error),
}
