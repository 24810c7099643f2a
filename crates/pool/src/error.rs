//! What a send, an ask or the start of a pool may answer instead of success.

use std::fmt;
use std::io;

use crate::partition::WorkerId;
use crate::topology::PlacementError;
use crate::worker::BoxError;

/// Why a message was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The worker's queue is full; for an urgent message, its urgent lane.
    #[error("the queue of {0} is full")]
    Full(WorkerId),
    /// The worker's queue stayed full until the deadline.
    #[error("the queue of {0} stayed full until the deadline")]
    Timeout(WorkerId),
    /// The worker died of its panics, and the partitioner insists on it.
    #[error("{0} is dead")]
    Dead(WorkerId),
    /// No worker of this id is in the pool.
    #[error("there is no {0}")]
    Unknown(WorkerId),
    /// The partitioner named a slot that there is not.
    #[error("the partitioner picked slot {slot} of {workers}")]
    NoSlot {
        /// The slot it named.
        slot: usize,
        /// How many there are.
        workers: usize,
    },
    /// All workers have been removed.
    #[error("the pool has no workers")]
    NoWorkers,
    /// The pool is draining, or gone.
    #[error("the pool takes no more messages")]
    Closed,
}

/// A message that was not sent, and why.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SendError<M> {
    /// The message.
    pub message: M,
    /// Why it was not sent.
    pub reason: Refusal,
}

impl<M> SendError<M> {
    pub(crate) fn new(message: M, reason: Refusal) -> SendError<M> {
        SendError { message, reason }
    }
}

impl<M> fmt::Debug for SendError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendError").field("reason", &self.reason).finish_non_exhaustive()
    }
}

impl<M> fmt::Display for SendError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl<M> std::error::Error for SendError<M> {}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// The question was not sent.
    #[error("the question was not sent: {0}")]
    NotSent(#[from] Refusal),
    /// The question was dropped without an answer: its handler panicked or forgot it, its worker
    /// died or was stopped, or newer messages pushed it out.
    #[error("the question was dropped without an answer")]
    NoReply,
    /// No answer came until the deadline. The question may still be handled.
    #[error("no answer until the deadline")]
    Timeout,
}

/// Why a pool or a worker did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A setting that must be at least 1, or a time that must be longer than none, is 0.
    #[error("{setting} must not be 0")]
    Zero {
        /// The method of [`Builder`](crate::Builder) that set it.
        setting: &'static str,
    },
    /// The machine has no such place.
    #[error(transparent)]
    Placement(#[from] PlacementError),
    /// The system gave no thread.
    #[error("no thread for {worker}")]
    Thread {
        /// The worker that was to run on it.
        worker: WorkerId,
        /// What the system said.
        source: io::Error,
    },
    /// The worker's `build` returned an error.
    #[error("{worker} could not build its state")]
    Build {
        /// Which worker.
        worker: WorkerId,
        /// What it returned.
        source: BoxError,
    },
    /// The worker's `build` panicked.
    #[error("{worker} panicked while building its state: {message}")]
    BuildPanicked {
        /// Which worker.
        worker: WorkerId,
        /// The text of the panic.
        message: String,
    },
}
