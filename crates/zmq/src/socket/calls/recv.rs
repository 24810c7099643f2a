//! The forms of receiving.

use std::time::Duration;

use chaski_zmtp::Message;

use crate::driver::Forked;
use crate::error::RecvError;
use crate::socket::turn::Want;
use crate::socket::waiting::Until;
use crate::socket::{Socket, receiving};

/// Receiving.
///
/// # Cancel safety
///
/// A receive future that is dropped before it is ready has taken nothing: a message is taken in the
/// same poll that returns it.
impl Socket {
    /// Receives the next message, having waited for it if need be.
    ///
    /// # Errors
    ///
    /// If the pattern does not allow it, the socket is closed, or none came for as long as the
    /// option `rcvtimeo`.
    #[inline]
    pub fn recv(&self) -> Result<Message, RecvError> {
        if let Some((single, more)) = self.shared.take_single() {
            self.pass_on(more);
            return Ok(single.into_message());
        }
        match self.shared.take() {
            Ok(Some(taken)) => Ok(self.take_one(taken)),
            Ok(None) => self.wait_to_recv(None),
            Err(error) => Err(error),
        }
    }

    /// Receives the next message if one is there.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv), and if none is there.
    #[inline]
    pub fn try_recv(&self) -> Result<Message, RecvError> {
        if let Some(taken) = self.shared.take()? {
            return Ok(self.take_one(taken));
        }
        self.look_around()?;
        match self.shared.take()? {
            Some(taken) => Ok(self.take_one(taken)),
            None => Err(RecvError::Empty),
        }
    }

    /// Receives the next message, waiting for it at most this long.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Message, RecvError> {
        match self.shared.take()? {
            Some(taken) => Ok(self.take_one(taken)),
            None => self.wait_to_recv(Some(timeout)),
        }
    }

    /// Receives the next message as a task of any executor. `rcvtimeo` does not apply: whoever
    /// awaits may stop.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub async fn recv_async(&self) -> Result<Message, RecvError> {
        if let Some((single, more)) = self.shared.take_single() {
            self.pass_on(more);
            return Ok(single.into_message());
        }
        if let Some(taken) = self.shared.take()? {
            return Ok(self.take_one(taken));
        }
        self.shared.wait_as_task(Want::Recv, || self.shared.attempt()).await?
    }

    /// Waits for a message, and receives as many as are there, at most `max`; how many that were.
    /// They are added to `messages`. Of long messages it takes fewer: about 256 KiB.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn recv_many(&self, messages: &mut Vec<Message>, max: usize) -> Result<usize, RecvError> {
        let before = messages.len();
        let more = self.shared.take_many(messages, max)?;
        if messages.len() > before || max == 0 {
            self.pass_on(more);
            return Ok(messages.len() - before);
        }
        messages.push(self.wait_to_recv(None)?);
        self.and_more(messages, before, max)
    }

    /// Receives as many messages as are there, at most `max`; how many that were, perhaps none.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn try_recv_many(
        &self,
        messages: &mut Vec<Message>,
        max: usize,
    ) -> Result<usize, RecvError> {
        let before = messages.len();
        self.and_more(messages, before, max)?;
        if messages.len() == before && max > 0 {
            self.look_around()?;
            self.and_more(messages, before, max)?;
        }
        Ok(messages.len() - before)
    }

    /// The same as [`recv_many`](Self::recv_many), as a task.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub async fn recv_many_async(
        &self,
        messages: &mut Vec<Message>,
        max: usize,
    ) -> Result<usize, RecvError> {
        let before = messages.len();
        let more = self.shared.take_many(messages, max)?;
        if messages.len() > before || max == 0 {
            self.pass_on(more);
            return Ok(messages.len() - before);
        }
        messages.push(self.recv_async().await?);
        self.and_more(messages, before, max)
    }

    /// Adds what else is there to messages received.
    fn and_more(
        &self,
        messages: &mut Vec<Message>,
        before: usize,
        max: usize,
    ) -> Result<usize, RecvError> {
        match self.shared.take_many(messages, max - (messages.len() - before)) {
            Ok(more) => self.pass_on(more),
            Err(error) if messages.len() == before => return Err(error),
            // The messages before it were allowed; the next call says what is wrong.
            Err(_) => {}
        }
        Ok(messages.len() - before)
    }

    #[inline]
    fn take_one(&self, taken: receiving::Taken) -> Message {
        self.pass_on(taken.more);
        taken.message
    }

    /// Lets another receiver have what is left.
    #[inline]
    fn pass_on(&self, more: bool) {
        if more {
            self.shared.answer(self.shared.turn.pass_on(Want::Recv));
        }
    }

    /// Takes events that are there: what has come since shows only in the poll.
    fn look_around(&self) -> Result<(), Forked> {
        self.shared.check_origin()?;
        self.shared.flush_armed();
        self.shared.harvest(Some(Want::Recv));
        Ok(())
    }

    #[cold]
    fn wait_to_recv(&self, timeout: Option<Duration>) -> Result<Message, RecvError> {
        let until = Until::after(timeout.or_else(|| self.shared.rcvtimeo()));
        let received = self.shared.wait(Want::Recv, until, || self.shared.attempt())?;
        received.unwrap_or(Err(RecvError::Timeout))
    }
}
