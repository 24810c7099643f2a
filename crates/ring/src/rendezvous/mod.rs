//! A channel without room: a send returns when a receiver has taken the message.
//!
//! ```
//! use chaski_ring::rendezvous;
//! use std::thread;
//!
//! let (tx, rx) = rendezvous::channel();
//! let sender = thread::spawn(move || {
//!     tx.send("in your hands").unwrap();
//!     // From here on the other side has it.
//! });
//! assert_eq!(rx.recv(), Ok("in your hands"));
//! sender.join().unwrap();
//! ```
//!
//! Any number of senders and receivers; each message goes to one. The meeting takes place under a
//! lock, in one of two ways:
//!
//! - A receiver is blocked in `recv`: the message is *handed* to it, and the send is over at once.
//!   A blocked thread cannot turn away, so what was handed was received.
//! - None is: the sender *offers* the message and waits. Whoever receives takes the oldest offer
//!   and wakes its sender. A sender that gives up, because of a deadline or a dropped future, takes
//!   its offer back; if it is gone, it was received. It is one or the other, since the lock has one
//!   holder.
//!
//! A receiver that awaits can still be dropped, and one in [select](mod@crate::select) can choose
//! another channel. Neither is handed anything: they are woken by an offer and come to take it.
//! That is why no message is ever lost in a cancelled receive, and why `try_send`, which cannot
//! wait for them to come, succeeds only if a thread is blocked in `recv`.

mod meeting;
mod offering;

use std::fmt;
use std::future::Future;
#[cfg(feature = "futures")]
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::error::{
    RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError,
};
use crate::front::{Measure, Pop, RecvFuture, RecvManyFuture, Side, end_methods, watched_method};
use crate::stats::Stats;
use crate::sync::{Arc, AtomicUsize, Ordering};
use crate::wait::{Wait, Waiters};
use meeting::Meeting;
#[cfg(feature = "futures")]
use offering::Offering;
use offering::{SendFromFuture, SendFuture};

/// A channel of any number of senders and receivers that meet for every message.
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared {
        meeting: Meeting::new(),
        senders: AtomicUsize::new(1),
        receivers: AtomicUsize::new(1),
    });
    let sender = Sender { shared: Arc::clone(&shared), wait: Wait::default() };
    (sender, Receiver { shared, wait: Wait::default() })
}

/// A sending end of [`channel`]. Clone it for another thread, or share it.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
    wait: Wait,
}

/// A receiving end of [`channel`]. Clone it for another thread, or share it.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    wait: Wait,
}

struct Shared<T> {
    meeting: Meeting<T>,
    senders: AtomicUsize,
    receivers: AtomicUsize,
}

impl<T> Sender<T> {
    end_methods!(self);

    /// Sends if a thread is blocked in `recv` now.
    ///
    /// # Errors
    /// The message comes back: `Full` if none is, `Closed` if nobody will receive it.
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        self.meeting().try_hand(message)
    }

    /// Sends, and blocks until a receiver has taken the message.
    ///
    /// # Errors
    /// The message comes back if nobody will receive it.
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        offering::send(self.meeting(), message, self.wait, None)
            .map_err(|error| SendError(error.into_inner()))
    }

    /// Sends, and blocks until a receiver has taken the message, for at most `timeout`.
    ///
    /// # Errors
    /// The message comes back, with the reason.
    pub fn send_timeout(&self, message: T, timeout: Duration) -> Result<(), SendTimeoutError<T>> {
        // A time too far off to be told is for ever.
        let deadline = Instant::now().checked_add(timeout);
        offering::send(self.meeting(), message, self.wait, deadline)
    }

    /// Sends, and blocks until a receiver has taken the message or `deadline` passes.
    ///
    /// # Errors
    /// The message comes back, with the reason.
    pub fn send_deadline(&self, message: T, deadline: Instant) -> Result<(), SendTimeoutError<T>> {
        offering::send(self.meeting(), message, self.wait, Some(deadline))
    }

    /// Sends all of `messages`, one after another. Returns how many were sent.
    ///
    /// # Errors
    /// The first message that nobody will receive comes back. Those behind it are still in the
    /// iterator, if it was passed by reference.
    pub fn send_all<I: IntoIterator<Item = T>>(&self, messages: I) -> Result<usize, SendError<T>> {
        let mut sent = 0;
        for message in messages {
            self.send(message)?;
            sent += 1;
        }
        Ok(sent)
    }

    /// Sends, and waits until a receiver has taken the message, on any executor.
    ///
    /// Cancel-safe in that the message is received or not: dropped before it was, the future drops
    /// the message with itself. Where that would lose it, see [`Sender::send_from_async`].
    ///
    /// # Errors
    /// The message comes back if nobody will receive it.
    pub fn send_async(&self, message: T) -> impl Future<Output = Result<(), SendError<T>>> {
        SendFuture::new(self.meeting(), message)
    }

    /// Sends the message in `slot`, and waits until a receiver has taken it, on any executor. A
    /// future that is dropped puts the message back into the slot, unless it was received.
    ///
    /// # Errors
    /// If nobody will receive the message. It is in the slot.
    pub fn send_from_async(
        &self,
        slot: &mut Option<T>,
    ) -> impl Future<Output = Result<(), SendError<()>>> {
        SendFromFuture::new(self.meeting(), slot)
    }

    /// Sends all of `messages`, one after another, on any executor. Returns how many were sent.
    /// Dropped early, the future drops with itself the one message it holds.
    ///
    /// # Errors
    /// As [`Sender::send_all`].
    pub async fn send_all_async<I: IntoIterator<Item = T>>(
        &self,
        messages: I,
    ) -> Result<usize, SendError<T>> {
        let mut sent = 0;
        for message in messages {
            self.send_async(message).await?;
            sent += 1;
        }
        Ok(sent)
    }

    /// For a sink: the place is the offer's ticket.
    #[cfg(feature = "futures")]
    pub(crate) fn poll_send(
        &mut self,
        place: &mut Option<u64>,
        slot: &mut Option<T>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), SendError<T>>> {
        let mut offering = Offering::resume(self.meeting(), place);
        let polled = offering.poll(slot, context.waker());
        *place = offering.suspend();
        polled.map_err(|SendError(())| {
            SendError(slot.take().expect("what is refused is in the slot again"))
        })
    }

    /// The sink takes its offer back.
    #[cfg(feature = "futures")]
    pub(crate) fn leave_send(&mut self, place: &mut Option<u64>, slot: &mut Option<T>) {
        if let Some(message) = Offering::resume(self.meeting(), place).withdraw() {
            *slot = Some(message);
        }
    }

    /// Refuses what is offered and not yet taken, by this and every other sender. It comes back.
    pub fn close(&self) {
        self.meeting().close();
    }

    fn meeting(&self) -> &Meeting<T> {
        &self.shared.meeting
    }

    fn measured(&self) -> &Meeting<T> {
        self.meeting()
    }

    fn wait_mut(&mut self) -> &mut Wait {
        &mut self.wait
    }
}

impl<T> Receiver<T> {
    end_methods!(self);

    /// Receives the oldest message that is offered now.
    ///
    /// # Errors
    /// `Empty` if no sender waits, `Closed` if none will again.
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.shared.meeting.try_take()
    }

    /// Receives the next message, and blocks while none is offered.
    ///
    /// # Errors
    /// If no more will come.
    pub fn recv(&self) -> Result<T, RecvError> {
        offering::recv(&self.shared.meeting, self.wait, None).map_err(|_| RecvError)
    }

    /// Receives the next message, and blocks while none is offered, for at most `timeout`.
    ///
    /// # Errors
    /// `Timeout`, or `Closed` if there will never be a message again.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        // A time too far off to be told is for ever.
        let deadline = Instant::now().checked_add(timeout);
        offering::recv(&self.shared.meeting, self.wait, deadline)
    }

    /// Receives the next message, and blocks while none is offered, until `deadline`.
    ///
    /// # Errors
    /// `Timeout`, or `Closed` if there will never be a message again.
    pub fn recv_deadline(&self, deadline: Instant) -> Result<T, RecvTimeoutError> {
        offering::recv(&self.shared.meeting, self.wait, Some(deadline))
    }

    /// Receives up to `max` messages that are offered now, to the end of `into`. Returns how many:
    /// at least one, if `max` is not 0.
    ///
    /// # Errors
    /// As [`Receiver::try_recv`].
    pub fn try_recv_many(&self, into: &mut Vec<T>, max: usize) -> Result<usize, TryRecvError> {
        self.port().pop_many(into, max)
    }

    /// Receives up to `max` messages to the end of `into`, and blocks while none is offered.
    /// Returns how many: at least one, if `max` is not 0.
    ///
    /// # Errors
    /// As [`Receiver::recv`].
    pub fn recv_many(&self, into: &mut Vec<T>, max: usize) -> Result<usize, RecvError> {
        if max == 0 {
            return Ok(0);
        }
        into.push(self.recv()?);
        Ok(1 + self.port().pop_many(into, max - 1).unwrap_or(0))
    }

    /// Receives the next message, and waits while none is offered, on any executor.
    ///
    /// Cancel-safe: a future dropped before it is ready has taken no message.
    ///
    /// # Errors
    /// As [`Receiver::recv`].
    pub fn recv_async(&self) -> impl Future<Output = Result<T, RecvError>> {
        RecvFuture::new(self.port())
    }

    /// Receives up to `max` messages to the end of `into`, and waits while none is offered, on any
    /// executor. Cancel-safe: a future dropped before it is ready has taken no message.
    ///
    /// # Errors
    /// As [`Receiver::recv`].
    pub fn recv_many_async(
        &self,
        into: &mut Vec<T>,
        max: usize,
    ) -> impl Future<Output = Result<usize, RecvError>> {
        RecvManyFuture::new(self.port(), into, max)
    }

    /// The messages as they come, blocking while none is offered, until the channel is closed.
    pub fn iter(&self) -> impl Iterator<Item = T> {
        std::iter::from_fn(|| self.recv().ok())
    }

    /// The messages that are offered now.
    pub fn try_iter(&self) -> impl Iterator<Item = T> {
        std::iter::from_fn(|| self.try_recv().ok())
    }

    /// Refuses what is offered and not yet taken, to this and every other receiver. It goes back to
    /// its senders.
    pub fn close(&self) {
        self.shared.meeting.close();
    }

    watched_method!(self, &);

    /// For a stream.
    #[cfg(feature = "futures")]
    pub(crate) fn poll_recv(
        &mut self,
        place: &mut Option<u64>,
        context: &mut Context<'_>,
    ) -> Poll<Option<T>> {
        crate::front::stream::poll_pop(&mut self.port(), place, context)
    }

    /// The stream gives up its place.
    #[cfg(feature = "futures")]
    pub(crate) fn leave_recv(&mut self, place: &mut Option<u64>) {
        crate::front::stream::leave(&mut self.port(), place);
    }

    fn port(&self) -> Port<'_, T> {
        Port { meeting: &self.shared.meeting, wait: self.wait }
    }

    fn measured(&self) -> &Meeting<T> {
        &self.shared.meeting
    }

    fn wait_mut(&mut self) -> &mut Wait {
        &mut self.wait
    }
}

/// A receiver that comes when an offer wakes it.
struct Port<'a, T> {
    meeting: &'a Meeting<T>,
    wait: Wait,
}

impl<T> Side for Port<'_, T> {
    fn waiters(&self) -> &Waiters {
        self.meeting.visitors()
    }

    fn position(&self) -> usize {
        self.meeting.moves()
    }

    fn wait(&self) -> Wait {
        self.wait
    }
}

impl<T> Pop for Port<'_, T> {
    type Item = T;

    fn try_pop(&mut self) -> Result<T, TryRecvError> {
        self.meeting.try_take()
    }

    fn pop_many(&mut self, into: &mut Vec<T>, max: usize) -> Result<usize, TryRecvError> {
        for count in 0..max {
            match self.meeting.try_take() {
                Ok(message) => into.push(message),
                Err(error) if count == 0 => return Err(error),
                Err(_) => return Ok(count),
            }
        }
        Ok(max)
    }

    fn is_ready(&self) -> bool {
        self.meeting.is_ready()
    }
}

impl<T> Measure for &Meeting<T> {
    fn len(&self) -> usize {
        0
    }

    fn capacity(&self) -> Option<usize> {
        Some(0)
    }

    fn is_closed(&self) -> bool {
        Meeting::is_closed(self)
    }

    fn stats(&self) -> Stats {
        Meeting::stats(self)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        // ORDERING: relaxed, as for any reference count: the caller holds one already.
        self.shared.senders.fetch_add(1, Ordering::Relaxed);
        Sender { shared: Arc::clone(&self.shared), wait: self.wait }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        // ORDERING: as for a sender.
        self.shared.receivers.fetch_add(1, Ordering::Relaxed);
        Receiver { shared: Arc::clone(&self.shared), wait: self.wait }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        // ORDERING: acquire and release, so that what other senders did comes before the close.
        if self.shared.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.meeting.close();
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        // ORDERING: as for a sender.
        if self.shared.receivers.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.meeting.close();
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("rendezvous::Sender").field("closed", &self.is_closed()).finish()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("rendezvous::Receiver").field("closed", &self.is_closed()).finish()
    }
}
