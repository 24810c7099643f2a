//! The forms of sending.

use std::time::Duration;

use chaski_zmtp::pattern::Outgoing;

use crate::error::{SendError, SendFailure};
use crate::socket::turn::Want;
use crate::socket::waiting::{Attempt, Until};
use crate::socket::{Socket, sending};

/// Sending. A message is anything that can be made into an [`Outgoing`]: `&str`, `&[u8]`, `String`,
/// `Vec<u8>`, `Bytes`, [`Frame`](chaski_zmtp::Frame), [`Message`](chaski_zmtp::Message).
///
/// Sent means queued for a peer, or, for publishers, that all who want it and have room were given
/// it. When it is written is the socket's concern: at once, or with others that follow closely.
impl Socket {
    /// Sends, having waited for room if need be.
    ///
    /// # Errors
    ///
    /// If the pattern does not allow it, the socket is closed, or there was no room for as long as
    /// the option `sndtimeo`.
    #[inline]
    pub fn send<'a>(&self, message: impl Into<Outgoing<'a>>) -> Result<(), SendError> {
        match self.shared.post(message.into()) {
            Ok(()) => Ok(()),
            Err(refused) => self.wait_to_send(refused.message, refused.why, None),
        }
    }

    /// Sends if there is room now.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and if there is no room.
    #[inline]
    pub fn try_send<'a>(&self, message: impl Into<Outgoing<'a>>) -> Result<(), SendError> {
        let message = match self.shared.post(message.into()) {
            Ok(()) => return Ok(()),
            Err(sending::Refused { why: Some(why), message }) => {
                return Err(SendError::new(why, message));
            }
            Err(refused) => refused.message,
        };
        // What has become writable since shows only in the poll.
        if let Err(forked) = self.shared.check_origin() {
            return Err(SendError::new(forked, message));
        }
        self.shared.harvest(None);
        self.shared.post(message).map_err(|refused| {
            SendError::new(refused.why.unwrap_or(SendFailure::Full), refused.message)
        })
    }

    /// Sends, waiting for room at most this long.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_timeout<'a>(
        &self,
        message: impl Into<Outgoing<'a>>,
        timeout: Duration,
    ) -> Result<(), SendError> {
        match self.shared.post(message.into()) {
            Ok(()) => Ok(()),
            Err(refused) => self.wait_to_send(refused.message, refused.why, Some(timeout)),
        }
    }

    /// Sends as a task, waiting for room if need be. `sndtimeo` does not apply: whoever awaits may
    /// stop.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, the future has queued nothing; once the message is queued, whole
    /// and for all its peers, it is ready. A message that was given to it is dropped with it.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn send_async<'a>(&self, message: impl Into<Outgoing<'a>>) -> Result<(), SendError> {
        let mut waiting = match self.shared.post(message.into()) {
            Ok(()) => return Ok(()),
            Err(sending::Refused { why: Some(why), message }) => {
                return Err(SendError::new(why, message));
            }
            Err(refused) => Some(refused.message),
        };
        let sent = self.shared.wait_as_task(Want::Send, || self.attempt(&mut waiting)).await;
        match (sent, waiting) {
            (Ok(sent), _) => sent,
            (Err(forked), Some(message)) => Err(SendError::new(forked, message)),
            (Err(forked), None) => Err(SendError::new(forked, Outgoing::from(""))),
        }
    }

    /// Sends all of these, in order, and then writes what is gathered.
    ///
    /// # Errors
    ///
    /// Stops at the first message that cannot be sent. Those behind it are still in the iterator,
    /// if that was lent.
    pub fn send_all<'a, M: Into<Outgoing<'a>>>(
        &self,
        messages: impl IntoIterator<Item = M>,
    ) -> Result<(), SendError> {
        let sent = messages.into_iter().try_for_each(|message| self.send(message));
        self.flush();
        sent
    }

    /// Writes what was gathered for later, as far as the kernel takes it; does not wait. Nothing
    /// depends on it but how soon: what is not flushed leaves when the socket next waits or reads,
    /// and otherwise within about a millisecond.
    pub fn flush(&self) {
        if self.shared.check_origin().is_ok() {
            self.shared.flush_armed();
        }
    }

    #[cold]
    fn wait_to_send(
        &self,
        message: Outgoing<'_>,
        why: Option<SendFailure>,
        timeout: Option<Duration>,
    ) -> Result<(), SendError> {
        if let Some(why) = why {
            return Err(SendError::new(why, message));
        }
        let until = Until::after(timeout.or_else(|| self.shared.sndtimeo()));
        let mut waiting = Some(message);
        let sent = self.shared.wait(Want::Send, until, || self.attempt(&mut waiting));
        let message = waiting.unwrap_or_else(|| Outgoing::from(""));
        match sent {
            Ok(Some(sent)) => sent,
            Ok(None) => Err(SendError::new(SendFailure::Timeout, message)),
            Err(forked) => Err(SendError::new(forked, message)),
        }
    }

    /// Sends the message that waits, if there is room.
    fn attempt(&self, waiting: &mut Option<Outgoing<'_>>) -> Attempt<Result<(), SendError>> {
        match self.shared.post(waiting.take()?) {
            Ok(()) => Some((Ok(()), false)),
            Err(sending::Refused { message, why: None }) => {
                *waiting = Some(message);
                None
            }
            Err(sending::Refused { message, why: Some(why) }) => {
                Some((Err(SendError::new(why, message)), false))
            }
        }
    }
}
