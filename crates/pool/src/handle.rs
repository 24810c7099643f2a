//! How producers send: straight into a worker's queue, on their own thread.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chaski_ring::{SendError as QueueClosed, SendTimeoutError, TrySendError};

use crate::core::{Core, To, View};
use crate::error::{AskError, Refusal, SendError};
use crate::partition::{Turn, WorkerId};
use crate::policy::Policy;
use crate::reply::{Reply, reply};
use crate::shard::{Shard, Status};
use crate::stats::PoolStats;

/// A producer's end of a pool: it picks a worker by a key of type `K` and pushes a message of type
/// `M` into its queue.
///
/// Clone it for each producer, or share one: all methods take `&self`, and none takes a lock. A
/// clone is a producer of its own to [`RoundRobin`](crate::partition::RoundRobin) and
/// [`LeastLoaded`](crate::partition::LeastLoaded). A handle does not keep its pool alive.
///
/// **When a worker is gone.** A message that was on its way to a worker that is being removed goes
/// to the one that now has its key. A worker that died keeps its slot: who picks it is asked to
/// pick again, so `RoundRobin` and `LeastLoaded` go on with the others, [`Consistent`] gives its
/// keys to the others, and with [`Hash`] its keys answer [`Refusal::Dead`], until
/// [`Pool::remove_worker`](crate::Pool::remove_worker) takes it out and all keys are dealt anew.
///
/// **Cost.** One load, the pick, and the push. A handle that was made before a worker joined or
/// left also loads the newest list of workers for each send, some tens of nanoseconds;
/// [`refresh`](Self::refresh) or a clone ends that.
///
/// [`Consistent`]: crate::partition::Consistent
/// [`Hash`]: struct@crate::partition::Hash
pub struct Handle<K: ?Sized, M> {
    core: Arc<Core<K, M>>,
    view: Arc<View<M>>,
    turn: Turn,
}

/// A view: the handle's own, or a newer one.
enum Seen<'a, M> {
    Own(&'a View<M>),
    Newer(Arc<View<M>>),
}

impl<M> Deref for Seen<'_, M> {
    type Target = View<M>;

    fn deref(&self) -> &View<M> {
        match self {
            Seen::Own(view) => view,
            Seen::Newer(view) => view,
        }
    }
}

/// Why a queue did not take a message.
enum Rejected<M> {
    Closed(M),
    Full(M),
    Timeout(M),
}

/// How long a send may wait for room.
#[derive(Clone, Copy)]
enum Patience {
    None,
    Until(Instant),
    Forever,
}

/// What became of a broadcast.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use = "some workers may have refused it"]
#[non_exhaustive]
pub struct Broadcast {
    /// How many workers got the message.
    pub sent: usize,
    /// The others, and why they did not.
    pub refused: Vec<(WorkerId, Refusal)>,
}

impl<K: ?Sized, M> Handle<K, M> {
    pub(crate) fn new(core: Arc<Core<K, M>>) -> Handle<K, M> {
        let view = core.view();
        Handle { core, view, turn: Turn::new() }
    }

    /// Sends to the worker that the key belongs to. If its queue is full, the pool's
    /// [`Policy`] decides; under `Block` this waits.
    ///
    /// A handler that sends into its own pool should not wait for room that only it can make:
    /// there, prefer [`try_send`](Self::try_send).
    ///
    /// # Errors
    ///
    /// The message comes back with the [`Refusal`].
    #[inline]
    pub fn send(&self, key: &K, message: M) -> Result<(), SendError<M>> {
        self.deliver(&To::Key(key), message, Patience::Forever)
    }

    /// Sends as [`send`](Self::send) does, and never waits.
    ///
    /// # Errors
    ///
    /// The message comes back with the [`Refusal`], `Full` if it would have waited.
    #[inline]
    pub fn try_send(&self, key: &K, message: M) -> Result<(), SendError<M>> {
        self.deliver(&To::Key(key), message, Patience::None)
    }

    /// Sends as [`send`](Self::send) does, and waits for room for at most `timeout`.
    ///
    /// # Errors
    ///
    /// The message comes back with the [`Refusal`].
    pub fn send_timeout(&self, key: &K, message: M, timeout: Duration) -> Result<(), SendError<M>> {
        self.deliver(&To::Key(key), message, Patience::of(timeout))
    }

    /// Sends as [`send`](Self::send) does, and waits for room on any executor. A future that is
    /// dropped before it is ready drops the message with it.
    ///
    /// # Errors
    ///
    /// The message comes back with the [`Refusal`].
    pub async fn send_async(&self, key: &K, message: M) -> Result<(), SendError<M>> {
        self.deliver_async(&To::Key(key), message).await
    }

    /// Sends to this worker, whatever the partitioner would say.
    ///
    /// # Errors
    ///
    /// The message comes back with the [`Refusal`].
    pub fn send_to(&self, worker: WorkerId, message: M) -> Result<(), SendError<M>> {
        self.deliver(&To::Worker(worker), message, Patience::Forever)
    }

    /// Sends to this worker, and never waits.
    ///
    /// # Errors
    ///
    /// The message comes back with the [`Refusal`].
    pub fn try_send_to(&self, worker: WorkerId, message: M) -> Result<(), SendError<M>> {
        self.deliver(&To::Worker(worker), message, Patience::None)
    }

    /// Sends to this worker, and waits for room on any executor, as
    /// [`send_async`](Self::send_async) does.
    ///
    /// # Errors
    ///
    /// The message comes back with the [`Refusal`].
    pub async fn send_to_async(&self, worker: WorkerId, message: M) -> Result<(), SendError<M>> {
        self.deliver_async(&To::Worker(worker), message).await
    }

    /// Sends a copy to every worker, one after the other, as [`send_to`](Self::send_to) does.
    pub fn broadcast(&self, message: M) -> Broadcast
    where
        M: Clone,
    {
        self.broadcast_with(message, |worker, copy| self.send_to(worker, copy))
    }

    /// Sends ahead of everything that is queued: the worker handles it as soon as the message in
    /// its hands is done. For what controls a worker, not for data: a worker has room for
    /// [`URGENT_CAPACITY`](crate::URGENT_CAPACITY) of them, and they are refused beyond that
    /// whatever the policy.
    ///
    /// # Errors
    ///
    /// The message comes back with the [`Refusal`].
    pub fn send_urgent(&self, worker: WorkerId, message: M) -> Result<(), SendError<M>> {
        self.deliver_with(&To::Worker(worker), message, |shard, message| {
            shard.send_urgent(message).map_err(|error| match error {
                TrySendError::Full(message) => Rejected::Full(message),
                TrySendError::Closed(message) => Rejected::Closed(message),
            })
        })
    }

    /// Sends a copy to every worker, as [`send_urgent`](Self::send_urgent) does.
    pub fn broadcast_urgent(&self, message: M) -> Broadcast
    where
        M: Clone,
    {
        self.broadcast_with(message, |worker, copy| self.send_urgent(worker, copy))
    }

    /// Sends a question and blocks for the answer, however long it takes.
    ///
    /// A handler that asks its own worker waits for itself, for ever; so do two workers that ask
    /// each other. There, send the question and let the answer come as a message.
    ///
    /// `question` makes the message; the worker answers through the [`Reply`] in it.
    ///
    /// ```
    /// use chaski_pool::{Pool, Reply, worker};
    ///
    /// enum Request { Add(u64), Sum(Reply<u64>) }
    ///
    /// let adder = worker(|_| 0_u64, |sum, request, _| match request {
    ///     Request::Add(number) => *sum += number,
    ///     Request::Sum(reply) => drop(reply.send(*sum)),
    /// });
    /// let pool = Pool::builder().workers(2).start(adder)?;
    /// let handle = pool.handle();
    /// handle.send("customer-17", Request::Add(3))?;
    /// handle.send("customer-17", Request::Add(4))?;
    /// assert_eq!(handle.ask("customer-17", Request::Sum)?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// See [`AskError`]. A worker that panics over a question or dies answers
    /// [`NoReply`](AskError::NoReply).
    pub fn ask<R>(&self, key: &K, question: impl FnOnce(Reply<R>) -> M) -> Result<R, AskError> {
        self.ask_one(&To::Key(key), question)
    }

    /// Asks as [`ask`](Self::ask) does, and waits for at most `timeout`, sending included.
    ///
    /// # Errors
    ///
    /// See [`AskError`].
    pub fn ask_timeout<R>(
        &self,
        key: &K,
        timeout: Duration,
        question: impl FnOnce(Reply<R>) -> M,
    ) -> Result<R, AskError> {
        let patience = Patience::of(timeout);
        let (reply, mut answer) = reply();
        let sent = self.deliver(&To::Key(key), question(reply), patience);
        match (sent, patience) {
            (Err(error), _) => Err(error.reason.into()),
            (Ok(()), Patience::Until(deadline)) => answer.wait_deadline(deadline),
            (Ok(()), _) => answer.wait(),
        }
    }

    /// Asks as [`ask`](Self::ask) does, and waits on any executor.
    ///
    /// # Errors
    ///
    /// See [`AskError`].
    pub async fn ask_async<R>(
        &self,
        key: &K,
        question: impl FnOnce(Reply<R>) -> M,
    ) -> Result<R, AskError> {
        let (reply, answer) = reply();
        let sent = self.deliver_async(&To::Key(key), question(reply)).await;
        sent.map_err(|error| error.reason)?;
        answer.await
    }

    /// Asks this worker, whatever the partitioner would say; see [`ask`](Self::ask) for who must
    /// not.
    ///
    /// # Errors
    ///
    /// See [`AskError`].
    pub fn ask_worker<R>(
        &self,
        worker: WorkerId,
        question: impl FnOnce(Reply<R>) -> M,
    ) -> Result<R, AskError> {
        self.ask_one(&To::Worker(worker), question)
    }

    /// The workers there are, ascending; the dead included, as long as they are not removed.
    pub fn workers(&self) -> Vec<WorkerId> {
        self.seen().ids().to_vec()
    }

    /// What the workers counted.
    pub fn stats(&self) -> PoolStats {
        PoolStats::of(self.seen().shards.iter().map(Deref::deref))
    }

    /// Whether the pool takes no more messages.
    pub fn is_closed(&self) -> bool {
        !self.seen().is_open()
    }

    /// Takes note of the workers that have joined and left. No need to, but it makes sends cheaper
    /// after a change.
    pub fn refresh(&mut self) {
        self.view = self.core.view();
    }

    #[inline(always)]
    fn seen(&self) -> Seen<'_, M> {
        if self.core.is_newest(&self.view) {
            Seen::Own(&self.view)
        } else {
            Seen::Newer(self.core.view())
        }
    }

    #[inline(always)]
    fn deliver(&self, to: &To<'_, K>, message: M, patience: Patience) -> Result<(), SendError<M>> {
        let policy = self.core.policy;
        self.deliver_with(to, message, |shard, message| push(shard, message, policy, patience))
    }

    #[inline(always)]
    fn deliver_with(
        &self,
        to: &To<'_, K>,
        mut message: M,
        push: impl Fn(&Shard<M>, M) -> Result<(), Rejected<M>>,
    ) -> Result<(), SendError<M>> {
        let mut seen = self.seen();
        let mut dead = 0;
        loop {
            let shard = match self.core.route(&seen, to, &self.turn, dead) {
                Ok(shard) => shard,
                Err(reason) => return Err(SendError::new(message, reason)),
            };
            let reason = match push(shard, message) {
                Ok(()) => return Ok(()),
                Err(Rejected::Full(back)) => {
                    message = back;
                    Refusal::Full(shard.id)
                }
                Err(Rejected::Timeout(back)) => {
                    message = back;
                    Refusal::Timeout(shard.id)
                }
                Err(Rejected::Closed(back)) => {
                    message = back;
                    if again(&seen, to, shard, &mut dead) {
                        seen = Seen::Newer(self.core.view());
                        continue;
                    }
                    Refusal::Dead(shard.id)
                }
            };
            return Err(SendError::new(message, reason));
        }
    }

    async fn deliver_async(&self, to: &To<'_, K>, mut message: M) -> Result<(), SendError<M>> {
        let policy = self.core.policy;
        let mut seen = self.seen();
        let mut dead = 0;
        loop {
            let shard = match self.core.route(&seen, to, &self.turn, dead) {
                Ok(shard) => shard,
                Err(reason) => return Err(SendError::new(message, reason)),
            };
            let sent = match policy {
                Policy::Block => queue_closed(shard.data.send_async(Some(message)).await),
                Policy::Fail | Policy::DropOldest => push(shard, message, policy, Patience::None),
            };
            let reason = match sent {
                Ok(()) => return Ok(()),
                Err(Rejected::Full(back) | Rejected::Timeout(back)) => {
                    message = back;
                    Refusal::Full(shard.id)
                }
                Err(Rejected::Closed(back)) => {
                    message = back;
                    if again(&seen, to, shard, &mut dead) {
                        seen = Seen::Newer(self.core.view());
                        continue;
                    }
                    Refusal::Dead(shard.id)
                }
            };
            return Err(SendError::new(message, reason));
        }
    }

    fn broadcast_with(
        &self,
        message: M,
        send: impl Fn(WorkerId, M) -> Result<(), SendError<M>>,
    ) -> Broadcast
    where
        M: Clone,
    {
        let mut result = Broadcast::default();
        for worker in self.seen().ids() {
            match send(*worker, message.clone()) {
                Ok(()) => result.sent += 1,
                Err(error) => result.refused.push((*worker, error.reason)),
            }
        }
        result
    }

    fn ask_one<R>(
        &self,
        to: &To<'_, K>,
        question: impl FnOnce(Reply<R>) -> M,
    ) -> Result<R, AskError> {
        let (reply, answer) = reply();
        let sent = self.deliver(to, question(reply), Patience::Forever);
        sent.map_err(|error| error.reason)?;
        answer.wait()
    }
}

impl Patience {
    fn of(timeout: Duration) -> Patience {
        // A time too far off to be told is for ever.
        Instant::now().checked_add(timeout).map_or(Patience::Forever, Patience::Until)
    }
}

/// Moves a message into a queue as the policy says.
#[inline(always)]
fn push<M>(
    shard: &Shard<M>,
    message: M,
    policy: Policy,
    patience: Patience,
) -> Result<(), Rejected<M>> {
    match (policy, patience) {
        (Policy::DropOldest, _) => shard.send_newest(message).map_err(Rejected::Closed),
        (Policy::Block, Patience::Forever) => queue_closed(shard.data.send(Some(message))),
        (Policy::Block, Patience::Until(deadline)) => {
            shard.data.send_deadline(Some(message), deadline).or_else(|error| match error {
                SendTimeoutError::Timeout(entry) => {
                    entry.map_or(Ok(()), |m| Err(Rejected::Timeout(m)))
                }
                SendTimeoutError::Closed(entry) => {
                    entry.map_or(Ok(()), |m| Err(Rejected::Closed(m)))
                }
            })
        }
        (Policy::Fail, _) | (Policy::Block, Patience::None) => {
            shard.data.try_send(Some(message)).or_else(|error| match error {
                TrySendError::Full(entry) => entry.map_or(Ok(()), |m| Err(Rejected::Full(m))),
                TrySendError::Closed(entry) => entry.map_or(Ok(()), |m| Err(Rejected::Closed(m))),
            })
        }
    }
}

fn queue_closed<M>(sent: Result<(), QueueClosed<Option<M>>>) -> Result<(), Rejected<M>> {
    // What comes back is what was sent, and that was a message.
    sent.or_else(|error| error.into_inner().map_or(Ok(()), |m| Err(Rejected::Closed(m))))
}

/// A queue was closed: whether to pick again. A worker that leaves is not in the newest view. One
/// that is dead stays in it, and each may be met once.
#[cold]
fn again<K: ?Sized, M>(view: &View<M>, to: &To<'_, K>, shard: &Shard<M>, dead: &mut usize) -> bool {
    if shard.status() != Status::Dead {
        std::thread::yield_now();
        return true;
    }
    *dead += 1;
    matches!(to, To::Key(_)) && *dead < view.ids().len()
}

/// A producer of its own.
impl<K: ?Sized, M> Clone for Handle<K, M> {
    fn clone(&self) -> Handle<K, M> {
        Handle::new(Arc::clone(&self.core))
    }
}

impl<K: ?Sized, M> fmt::Debug for Handle<K, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("workers", &self.workers()).finish_non_exhaustive()
    }
}
