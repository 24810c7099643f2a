//! One sender, one receiver: the fastest way from one thread to another.
//!
//! ```
//! use chaski_ring::spsc;
//! use std::thread;
//!
//! let (mut tx, mut rx) = spsc::channel(1024);
//! let producer = thread::spawn(move || {
//!     for n in 0..10_000u64 {
//!         tx.send(n).unwrap();
//!     }
//! });
//! // Ends when the sender is gone and everything it sent has been received.
//! assert_eq!(rx.iter().sum::<u64>(), 49_995_000);
//! producer.join().unwrap();
//! ```
//!
//! # Slices
//!
//! Messages lie side by side, so parts of the ring can be written and read in place: the sender
//! can [`Sender::reserve`] room, fill it and commit it at once, and the receiver can
//! [`Receiver::peek`] at what is there and release it, at the speed at which memory moves between
//! two cores.
//!
//! ```
//! use chaski_ring::spsc;
//! use std::thread;
//!
//! let (mut tx, mut rx) = spsc::channel(1024);
//! thread::spawn(move || {
//!     let samples: Vec<u64> = (0..10_000).collect();
//!     let mut rest = &samples[..];
//!     while !rest.is_empty() {
//!         let Ok(mut room) = tx.reserve(256) else { return };
//!         let copied = room.copy_from_slice(rest);
//!         rest = &rest[copied..];
//!         if room.commit().is_err() {
//!             return;
//!         }
//!     }
//! });
//! let mut sum = 0;
//! while let Ok(unread) = rx.peek() {
//!     let (first, second) = unread.as_slices();
//!     sum += first.iter().chain(second).sum::<u64>();
//!     unread.release_all();
//! }
//! assert_eq!(sum, 49_995_000);
//! ```

mod peek;
mod reserve;
pub(crate) mod ring;
mod rx;
mod slip;
mod tx;

use std::time::{Duration, Instant};

use crate::error::{
    RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError,
};
use crate::front::{
    Measure, UntilFuture, end_methods, receiver_methods, sender_methods, sole_sender_methods, until,
};
use crate::sync::Arc;
use crate::wait::{Wait, Waiters};
pub use peek::{Peek, Taken};
pub use reserve::Reserve;
pub(crate) use rx::Rx;
pub(crate) use tx::Tx;

/// A channel of one sender and one receiver with room for `capacity` messages, side by side.
///
/// # Panics
/// If `capacity` is 0 or more than memory can hold.
pub fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let (tx, rx) = ring::ring(capacity, Arc::new(Waiters::new()), true);
    (Sender { tx }, Receiver { rx })
}

/// The sending end of [`channel`]. Dropped, it lets the receiver drain what was sent.
pub struct Sender<T> {
    tx: Tx<T>,
}

/// The receiving end of [`channel`]. Dropped, it drops what was sent, and the sender learns of it.
pub struct Receiver<T> {
    rx: Rx<T>,
}

impl<T> Sender<T> {
    sender_methods!(self, &mut);
    sole_sender_methods!(self);
    end_methods!(self);

    /// Room for at least one and at most `max` messages, to be filled in place.
    ///
    /// # Errors
    /// `Full` if there is no room now, `Closed` if nobody will receive what is sent.
    ///
    /// # Panics
    /// If `max` is 0.
    #[inline]
    pub fn try_reserve(&mut self, max: usize) -> Result<Reserve<'_, T>, TrySendError<()>> {
        let room = room_for(&mut self.tx, 1, max).unwrap_or(Err(TrySendError::Full(())))?;
        Ok(Reserve::new(&mut self.tx, room))
    }

    /// Room for at least one and at most `max` messages; blocks while there is none.
    ///
    /// # Errors
    /// If nobody will receive what is sent.
    ///
    /// # Panics
    /// If `max` is 0.
    #[inline]
    pub fn reserve(&mut self, max: usize) -> Result<Reserve<'_, T>, SendError<()>> {
        self.wait_for_room(1, max, None).map_err(|_| SendError(()))
    }

    /// Room for at least one and at most `max` messages; blocks while there is none, for at most
    /// `timeout`.
    ///
    /// # Errors
    /// `Timeout`, or `Closed` if nobody will receive what is sent.
    ///
    /// # Panics
    /// If `max` is 0.
    pub fn reserve_timeout(
        &mut self,
        max: usize,
        timeout: Duration,
    ) -> Result<Reserve<'_, T>, SendTimeoutError<()>> {
        // A time too far off to be told is for ever.
        self.wait_for_room(1, max, Instant::now().checked_add(timeout))
    }

    /// Room for at least one and at most `max` messages; waits while there is none, on any
    /// executor. Cancel-safe: it takes nothing that could be lost.
    ///
    /// # Errors
    /// If nobody will receive what is sent.
    ///
    /// # Panics
    /// If `max` is 0.
    pub async fn reserve_async(&mut self, max: usize) -> Result<Reserve<'_, T>, SendError<()>> {
        let room = UntilFuture::new(&mut self.tx, |tx: &mut &mut Tx<T>| room_for(tx, 1, max)).await;
        let room = room.map_err(|_| SendError(()))?;
        Ok(Reserve::new(&mut self.tx, room))
    }

    /// Room for `count` messages.
    ///
    /// # Errors
    /// `Full` if there is not so much now, `Closed` if nobody will receive what is sent.
    ///
    /// # Panics
    /// If `count` is 0 or more than the capacity.
    pub fn try_reserve_exact(&mut self, count: usize) -> Result<Reserve<'_, T>, TrySendError<()>> {
        self.assert_fits(count);
        let room = room_for(&mut self.tx, count, count).unwrap_or(Err(TrySendError::Full(())))?;
        Ok(Reserve::new(&mut self.tx, room))
    }

    /// Room for `count` messages; blocks while there is less.
    ///
    /// # Errors
    /// If nobody will receive what is sent.
    ///
    /// # Panics
    /// If `count` is 0 or more than the capacity.
    pub fn reserve_exact(&mut self, count: usize) -> Result<Reserve<'_, T>, SendError<()>> {
        self.assert_fits(count);
        self.wait_for_room(count, count, None).map_err(|_| SendError(()))
    }

    fn assert_fits(&self, count: usize) {
        let capacity = (&self.tx).capacity();
        assert!(capacity.is_some_and(|capacity| count <= capacity), "more than the capacity");
    }

    #[inline]
    fn wait_for_room(
        &mut self,
        min: usize,
        max: usize,
        deadline: Option<Instant>,
    ) -> Result<Reserve<'_, T>, SendTimeoutError<()>> {
        match until(&mut &mut self.tx, deadline, |tx| room_for(tx, min, max)) {
            Some(Ok(room)) => Ok(Reserve::new(&mut self.tx, room)),
            Some(Err(_)) => Err(SendTimeoutError::Closed(())),
            None => Err(SendTimeoutError::Timeout(())),
        }
    }

    fn port(&mut self) -> &mut Tx<T> {
        &mut self.tx
    }

    fn measured(&self) -> &Tx<T> {
        &self.tx
    }

    fn wait_mut(&mut self) -> &mut Wait {
        &mut self.tx.wait
    }
}

/// How much room there is, at most `max`. None: less than `min`.
#[inline(always)]
fn room_for<T>(tx: &mut Tx<T>, min: usize, max: usize) -> Option<Result<usize, TrySendError<()>>> {
    assert!(max > 0, "room for at least one message");
    if tx.is_closed() {
        return Some(Err(TrySendError::Closed(())));
    }
    let room = tx.room(max);
    (room >= min).then_some(Ok(room.min(max)))
}

impl<T> Receiver<T> {
    receiver_methods!(self, &mut);
    end_methods!(self);

    /// The messages that are there now, at least one, to be read in place.
    ///
    /// The sender's end is looked at only when everything that was there at the last look has been
    /// received; so there may be more, which a later peek shows.
    ///
    /// # Errors
    /// `Empty` if there is none now, `Closed` if there will never be one again.
    #[inline]
    pub fn try_peek(&mut self) -> Result<Peek<'_, T>, TryRecvError> {
        let unread = self.rx.look()?;
        Ok(Peek::new(&mut self.rx, unread))
    }

    /// The messages that are there, at least one; blocks while there is none.
    ///
    /// # Errors
    /// If everything sent was received and no more will come.
    #[inline]
    pub fn peek(&mut self) -> Result<Peek<'_, T>, RecvError> {
        self.wait_for_messages(None).map_err(|_| RecvError)
    }

    /// The messages that are there, at least one; blocks while there is none, for at most
    /// `timeout`.
    ///
    /// # Errors
    /// `Timeout`, or `Closed` if there will never be a message again.
    pub fn peek_timeout(&mut self, timeout: Duration) -> Result<Peek<'_, T>, RecvTimeoutError> {
        // A time too far off to be told is for ever.
        self.wait_for_messages(Instant::now().checked_add(timeout))
    }

    /// The messages that are there, at least one; waits while there is none, on any executor.
    /// Cancel-safe: it takes nothing.
    ///
    /// # Errors
    /// If everything sent was received and no more will come.
    pub async fn peek_async(&mut self) -> Result<Peek<'_, T>, RecvError> {
        let unread = UntilFuture::new(&mut self.rx, unread).await.map_err(|_| RecvError)?;
        Ok(Peek::new(&mut self.rx, unread))
    }

    /// Refuses what is sent from now on. What was sent before can still be received.
    pub fn close(&mut self) {
        self.rx.close();
    }

    #[inline]
    fn wait_for_messages(
        &mut self,
        deadline: Option<Instant>,
    ) -> Result<Peek<'_, T>, RecvTimeoutError> {
        match until(&mut &mut self.rx, deadline, unread) {
            Some(Ok(count)) => Ok(Peek::new(&mut self.rx, count)),
            Some(Err(_)) => Err(RecvTimeoutError::Closed),
            None => Err(RecvTimeoutError::Timeout),
        }
    }

    fn port(&mut self) -> &mut Rx<T> {
        &mut self.rx
    }

    fn measured(&self) -> &Rx<T> {
        &self.rx
    }

    fn wait_mut(&mut self) -> &mut Wait {
        &mut self.rx.wait
    }
}

/// How many messages there are. None: none yet.
#[inline(always)]
fn unread<T>(rx: &mut &mut Rx<T>) -> Option<Result<usize, TryRecvError>> {
    match rx.look() {
        Err(TryRecvError::Empty) => None,
        known => Some(known),
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.tx.close();
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.rx.close();
        self.rx.drain();
    }
}

crate::front::debug_ends!("spsc");
