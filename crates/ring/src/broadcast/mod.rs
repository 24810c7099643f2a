//! Every receiver gets every message.
//!
//! ```
//! use chaski_ring::broadcast::{self, RecvError};
//!
//! let (tx, mut first) = broadcast::channel(2);
//! tx.send("a").unwrap();
//! let mut second = tx.subscribe(); // from now on
//! tx.send("b").unwrap();
//! assert_eq!(first.recv(), Ok("a"));
//! assert_eq!(second.recv(), Ok("b"));
//! tx.send("c").unwrap();
//! tx.send("d").unwrap();
//! // Room for two, three unread: the oldest is gone.
//! assert_eq!(first.recv(), Err(RecvError::Lagged(1)));
//! assert_eq!(first.recv(), Ok("c"));
//! assert_eq!(second.recv(), Ok("c"));
//! ```
//!
//! What happens when a receiver does not keep up is for [`Lag`] to say: [`channel`] overwrites,
//! [`channel_with`] takes either policy. A receiver joins at the newest message with
//! [`Sender::subscribe`]; a clone of a receiver starts where the original stands.
//!
//! Several senders may publish; they take turns under a lock, which costs one that is alone some
//! ten nanoseconds a message. A publish costs the same for any number of receivers, but for waking
//! those who sleep. Receivers clone the message in place: wrap in an `Arc` what is dear to clone.
//! Several do so at once, so a channel goes to other threads only if `T: Send + Sync`.
//!
//! A message stays in the ring until it is overwritten or the last receiver goes, even if all have
//! received it.

mod error;
mod ring;
mod rx;
mod slot;

use std::future::Future;
#[cfg(feature = "futures")]
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::error::{SendError, TrySendError};
use crate::front::{Measure, Push, RecvFuture, Side, debug_ends, end_methods, sender_methods};
use crate::stats::Stats;
use crate::sync::{Arc, AtomicBool, Ordering};
use crate::wait::{Wait, Waiters};
pub use error::{Lagged, RecvError, RecvTimeoutError, TryRecvError};
use ring::Ring;
use rx::{Arrival, Rx, answered};

/// What becomes of messages that a slow receiver has not received when their room is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Lag {
    /// They are overwritten. The receiver learns how many it missed and goes on with the oldest
    /// that is left; the sender never waits for it.
    #[default]
    Overwrite,
    /// The sender waits for the slowest receiver.
    Block,
}

/// A channel that keeps the newest `capacity` messages, with one receiver to begin with. Slow
/// receivers miss messages: [`Lag::Overwrite`].
///
/// # Panics
/// If `capacity` is 0 or more than memory can hold.
pub fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    channel_with(capacity, Lag::Overwrite)
}

/// A channel with room for `capacity` messages, with one receiver to begin with.
///
/// # Panics
/// If `capacity` is 0 or more than memory can hold.
pub fn channel_with<T>(capacity: usize, lag: Lag) -> (Sender<T>, Receiver<T>) {
    let ring = Arc::new(Ring::new(capacity, lag));
    let receiver = Receiver::new(Rx::join(Arc::clone(&ring)));
    (Sender { ring, wait: Wait::default() }, receiver)
}

/// A sending end of [`channel`]. Clone it for another thread, or share it.
///
/// To send while there is no receiver is refused: the message comes back. It is not final, as one
/// may [`subscribe`](Sender::subscribe) later.
pub struct Sender<T> {
    ring: Arc<Ring<T>>,
    wait: Wait,
}

/// A receiving end of [`channel`]. A clone starts at the message this one receives next.
pub struct Receiver<T> {
    rx: Rx<T>,
    /// A select has a place among those who wait, see the `Source` below.
    selecting: AtomicBool,
}

impl<T> Sender<T> {
    sender_methods!(self, &);
    end_methods!(self);

    /// A receiver of what is sent from now on.
    pub fn subscribe(&self) -> Receiver<T> {
        Receiver::new(Rx::join(Arc::clone(&self.ring)))
    }

    /// How many receivers there are.
    pub fn receivers(&self) -> usize {
        self.ring.receivers()
    }

    /// Refuses what is sent from now on, by this and every other end. What was sent before can
    /// still be received.
    pub fn close(&self) {
        self.ring.close();
    }

    fn port(&self) -> Port<'_, T> {
        Port { ring: &self.ring, wait: self.wait }
    }

    fn measured(&self) -> &Ring<T> {
        &self.ring
    }

    fn wait_mut(&mut self) -> &mut Wait {
        &mut self.wait
    }
}

impl<T: Clone> Receiver<T> {
    /// Receives the next message if there is one now.
    ///
    /// # Errors
    /// `Empty` if there is none now, `Lagged` if messages were missed, `Closed` if there will never
    /// be one again.
    #[inline]
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        self.rx.try_recv()
    }

    /// Receives the next message, and blocks while there is none.
    ///
    /// # Errors
    /// `Lagged` if messages were missed, `Closed` if everything sent was received and no more will
    /// come.
    #[inline]
    pub fn recv(&mut self) -> Result<T, RecvError> {
        loop {
            if let Some(answer) = answered(self.try_recv()) {
                return answer;
            }
            let _ = crate::front::recv(&mut Arrival(&self.rx), None);
        }
    }

    /// Receives the next message, and blocks while there is none, for at most `timeout`.
    ///
    /// # Errors
    /// `Timeout`, or as [`Receiver::recv`].
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        match Instant::now().checked_add(timeout) {
            Some(deadline) => self.recv_deadline(deadline),
            // A time too far off to be told is for ever.
            None => self.recv().map_err(RecvTimeoutError::from),
        }
    }

    /// Receives the next message, and blocks while there is none, until `deadline`.
    ///
    /// # Errors
    /// `Timeout`, or as [`Receiver::recv`].
    pub fn recv_deadline(&mut self, deadline: Instant) -> Result<T, RecvTimeoutError> {
        loop {
            if let Some(answer) = answered(self.try_recv()) {
                return answer.map_err(RecvTimeoutError::from);
            }
            crate::front::recv(&mut Arrival(&self.rx), Some(deadline))
                .map_err(|_| RecvTimeoutError::Timeout)?;
        }
    }

    /// Receives up to `max` messages that are there now, to the end of `into`. Returns how many: at
    /// least one, if `max` is not 0.
    ///
    /// # Errors
    /// As [`Receiver::try_recv`], if that comes before the first message.
    pub fn try_recv_many(&mut self, into: &mut Vec<T>, max: usize) -> Result<usize, TryRecvError> {
        if max == 0 {
            return Ok(0);
        }
        into.push(self.try_recv()?);
        for count in 1..max {
            match self.rx.try_next() {
                Ok(message) => into.push(message),
                // Whatever it is, the next call tells.
                Err(_) => return Ok(count),
            }
        }
        Ok(max)
    }

    /// Receives up to `max` messages to the end of `into`, and blocks while there is none. Returns
    /// how many: at least one, if `max` is not 0.
    ///
    /// # Errors
    /// As [`Receiver::recv`].
    pub fn recv_many(&mut self, into: &mut Vec<T>, max: usize) -> Result<usize, RecvError> {
        loop {
            if let Some(answer) = answered(self.try_recv_many(into, max)) {
                return answer;
            }
            let _ = crate::front::recv(&mut Arrival(&self.rx), None);
        }
    }

    /// Receives the next message, and waits while there is none, on any executor.
    ///
    /// Cancel-safe: a future dropped before it is ready has taken no message.
    ///
    /// # Errors
    /// As [`Receiver::recv`].
    pub async fn recv_async(&mut self) -> Result<T, RecvError> {
        loop {
            if let Some(answer) = answered(self.try_recv()) {
                return answer;
            }
            let _ = RecvFuture::new(Arrival(&self.rx)).await;
        }
    }

    /// Receives up to `max` messages to the end of `into`, and waits while there is none, on any
    /// executor. Cancel-safe: a future dropped before it is ready has taken no message.
    ///
    /// # Errors
    /// As [`Receiver::recv`].
    pub async fn recv_many_async(
        &mut self,
        into: &mut Vec<T>,
        max: usize,
    ) -> Result<usize, RecvError> {
        loop {
            if let Some(answer) = answered(self.try_recv_many(into, max)) {
                return answer;
            }
            let _ = RecvFuture::new(Arrival(&self.rx)).await;
        }
    }

    /// For a stream.
    #[cfg(feature = "futures")]
    pub(crate) fn poll_recv(
        &mut self,
        place: &mut Option<u64>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<T, Lagged>>> {
        loop {
            match self.try_recv() {
                Ok(message) => return Poll::Ready(Some(Ok(message))),
                Err(TryRecvError::Lagged(missed)) => return Poll::Ready(Some(Err(Lagged(missed)))),
                Err(TryRecvError::Closed) => return Poll::Ready(None),
                Err(TryRecvError::Empty) => {}
            }
            let mut arrival = Arrival(&self.rx);
            if crate::front::stream::poll_pop(&mut arrival, place, context).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// The messages as they come, blocking while there is none, until the channel is closed and
    /// drained. Missed messages are passed over; see [`Receiver::recv`] for one who must know.
    pub fn iter(&mut self) -> impl Iterator<Item = T> {
        std::iter::from_fn(|| {
            loop {
                match self.recv() {
                    Ok(message) => return Some(message),
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return None,
                }
            }
        })
    }

    /// The messages that are there now. Missed messages are passed over.
    pub fn try_iter(&mut self) -> impl Iterator<Item = T> {
        std::iter::from_fn(|| {
            loop {
                match self.try_recv() {
                    Ok(message) => return Some(message),
                    Err(TryRecvError::Lagged(_)) => {}
                    Err(TryRecvError::Empty | TryRecvError::Closed) => return None,
                }
            }
        })
    }
}

impl<T> Receiver<T> {
    end_methods!(self);

    /// Refuses what is sent from now on, to this and every other receiver. What was sent before can
    /// still be received.
    pub fn close(&mut self) {
        self.rx.ring.close();
    }

    /// The stream gives up its place.
    #[cfg(feature = "futures")]
    pub(crate) fn leave_recv(&mut self, place: &mut Option<u64>) {
        crate::front::stream::leave(&mut Arrival(&self.rx), place);
    }

    fn new(rx: Rx<T>) -> Receiver<T> {
        Receiver { rx, selecting: AtomicBool::new(false) }
    }

    /// What select looks at. One select at a time has a place, because a publish wakes as many as
    /// there are receivers.
    pub(crate) fn arrival(&self) -> impl crate::front::Watch {
        Arrival(&self.rx)
    }

    pub(crate) fn selecting(&self) -> &AtomicBool {
        &self.selecting
    }

    fn measured(&self) -> &Rx<T> {
        &self.rx
    }

    fn wait_mut(&mut self) -> &mut Wait {
        &mut self.rx.wait
    }
}

/// A sender at work.
struct Port<'a, T> {
    ring: &'a Ring<T>,
    wait: Wait,
}

impl<T> Side for Port<'_, T> {
    fn waiters(&self) -> &Waiters {
        &self.ring.space
    }

    fn position(&self) -> usize {
        self.ring.tail()
    }

    fn wait(&self) -> Wait {
        self.wait
    }
}

impl<T> Push for Port<'_, T> {
    type Item = T;

    #[inline]
    fn try_push(&mut self, message: T) -> Result<(), TrySendError<T>> {
        self.ring.publish(message)
    }

    fn push_many<I: Iterator<Item = T>>(
        &mut self,
        messages: &mut I,
        held: &mut Option<T>,
    ) -> Result<usize, SendError<T>> {
        let mut sent = 0;
        for message in messages {
            match self.ring.publish(message) {
                Ok(()) => sent += 1,
                Err(TrySendError::Closed(message)) => return Err(SendError(message)),
                Err(TrySendError::Full(message)) => {
                    *held = Some(message);
                    break;
                }
            }
        }
        Ok(sent)
    }
}

impl<T> Measure for &Ring<T> {
    fn len(&self) -> usize {
        self.depth()
    }

    fn capacity(&self) -> Option<usize> {
        Some(self.capacity)
    }

    fn is_closed(&self) -> bool {
        Ring::is_closed(self) || self.receivers() == 0
    }

    fn stats(&self) -> Stats {
        Ring::stats(self)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        // ORDERING: relaxed, as for any reference count: the caller holds one already.
        self.ring.senders.fetch_add(1, Ordering::Relaxed);
        Sender { ring: Arc::clone(&self.ring), wait: self.wait }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        // ORDERING: acquire and release: what the others sent comes before the close.
        if self.ring.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.ring.close();
        }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Receiver::new(self.rx.split())
    }
}

debug_ends!("broadcast");
