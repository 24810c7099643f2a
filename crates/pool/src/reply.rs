//! One answer to one question.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use chaski_ring::{RecvTimeoutError, oneshot};

use crate::error::AskError;

/// Where to send the answer to a question; it travels in the message.
///
/// Dropped without an answer, it tells who asked that there will be none: a handler that panics
/// leaves nobody waiting.
pub struct Reply<R> {
    sender: oneshot::Sender<R>,
}

/// Where the answer to a question arrives: block for it, or await it on any executor. Dropped, it
/// tells who is to answer that nobody waits.
pub struct Answer<R> {
    receiver: oneshot::Receiver<R>,
}

/// A question's two ends: the [`Reply`] goes into a message, the [`Answer`] stays.
///
/// [`Handle::ask`](crate::Handle::ask) does both. This is for other ways to ask, such as several
/// workers at once:
///
/// ```
/// use chaski_pool::{Pool, Reply, reply, worker};
///
/// let workers = worker(|seat| seat.worker, |id, reply: Reply<u32>, _| {
///     let _ = reply.send(id.number());
/// });
/// let pool = Pool::builder().workers(3).start(workers)?;
/// let handle: chaski_pool::Handle<str, _> = pool.handle();
/// let mut answers = Vec::new();
/// for worker in pool.workers() {
///     let (reply, answer) = reply();
///     handle.send_to(worker, reply)?;
///     answers.push(answer);
/// }
/// let numbers: Result<Vec<_>, _> = answers.into_iter().map(|answer| answer.wait()).collect();
/// assert_eq!(numbers?, [0, 1, 2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn reply<R>() -> (Reply<R>, Answer<R>) {
    let (sender, receiver) = oneshot::channel();
    (Reply { sender }, Answer { receiver })
}

impl<R> Reply<R> {
    /// Answers. Never blocks.
    ///
    /// # Errors
    /// The answer comes back if nobody waits for it any more.
    pub fn send(self, answer: R) -> Result<(), R> {
        self.sender.send(answer).map_err(|error| error.into_inner())
    }

    /// Whether nobody waits for the answer any more.
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}

impl<R> Answer<R> {
    /// Blocks until the answer is there.
    ///
    /// # Errors
    /// [`AskError::NoReply`].
    pub fn wait(self) -> Result<R, AskError> {
        self.receiver.recv().map_err(|_| AskError::NoReply)
    }

    /// Blocks until the answer is there, or the deadline.
    ///
    /// # Errors
    /// [`AskError::NoReply`] or [`AskError::Timeout`].
    pub fn wait_deadline(&mut self, deadline: Instant) -> Result<R, AskError> {
        self.receiver.recv_deadline(deadline).map_err(|error| match error {
            RecvTimeoutError::Timeout => AskError::Timeout,
            RecvTimeoutError::Closed => AskError::NoReply,
        })
    }
}

/// Awaits the answer; the error is [`AskError::NoReply`].
impl<R> Future for Answer<R> {
    type Output = Result<R, AskError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.receiver).poll(cx).map_err(|_| AskError::NoReply)
    }
}

impl<R> fmt::Debug for Reply<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("is_closed", &self.is_closed()).finish()
    }
}

impl<R> fmt::Debug for Answer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answer")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_arrives() {
        let (reply, answer) = reply();
        assert!(!reply.is_closed());
        reply.send(7).unwrap();
        assert_eq!(answer.wait(), Ok(7));
    }

    #[test]
    fn each_end_learns_that_the_other_is_gone() {
        let (unanswered, answer) = reply::<u32>();
        drop(unanswered);
        assert_eq!(answer.wait(), Err(AskError::NoReply));
        let (unheard, answer) = reply();
        drop(answer);
        assert!(unheard.is_closed());
        assert_eq!(unheard.send(7), Err(7));
    }

    #[test]
    fn a_deadline_passes() {
        let (_reply, mut answer) = reply::<u32>();
        assert_eq!(answer.wait_deadline(Instant::now()), Err(AskError::Timeout));
    }
}
