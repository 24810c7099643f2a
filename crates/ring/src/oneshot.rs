//! One message, once: the answer to a request.
//!
//! ```
//! use chaski_ring::oneshot;
//! use std::thread;
//!
//! let (reply, answer) = oneshot::channel();
//! thread::spawn(move || reply.send(6 * 7).unwrap());
//! assert_eq!(answer.recv(), Ok(42));
//! ```
//!
//! The receiver is a future, and the sender can learn that nobody wants the answer any more:
//!
//! ```
//! use chaski_ring::oneshot;
//!
//! let (reply, answer) = oneshot::channel::<u64>();
//! drop(answer);
//! assert!(reply.is_closed());
//! assert_eq!(reply.send(1).map_err(|error| error.into_inner()), Err(1));
//! ```
//!
//! # How it works
//!
//! One allocation: a word of state, the message, and a waker for each side. There is no reference
//! count: each side has a last word, and whoever says the second of the two frees the memory.
//!
//! ```text
//!   state bits             set by      once set
//!     SENT                 sender      the message is in its room, the receiver's alone
//!     UNSENT               sender      there will be none
//!     CLOSED               receiver    a message not yet SENT never will be
//!     SENDER_GONE          sender      its last word: it touches nothing any more
//!     RECEIVER_GONE        receiver    its last word, likewise
//!     RECEIVER_WAITS       receiver    its waker is in its cell; taking the bit takes the cell
//!     SENDER_WAITS         sender      likewise: it awaits CLOSED
//!     REGISTERING          receiver    a lock: the receiver's cell is being written
//! ```
//!
//! A send to a receiver that does not wait is one compare-and-swap, which is also the last word; a
//! receive of a message that is there is one load. If a waker has to be called, the sender says
//! SENT and takes the waker, and only then says its last word. Wakers that a wait left behind stay
//! in their cells until they are replaced or the channel ends: a wake in vain does no harm.
//!
//! How it can fail: a cell or the message touched by both (loom's cells see it), memory freed twice
//! or never (drops are counted, miri looks), a wake that goes to a waker that was replaced: one
//! that is replaced while SENT is said finds SENT when it hands its cell over.

use std::fmt;
use std::future::{Future, poll_fn};
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::error::{RecvError, RecvTimeoutError, SendError, TryRecvError};
use crate::front::{Spun, spin};
use crate::sync::{self, AtomicU32, Ordering, Room};
use crate::wait::{Wait, with_parker};

const SENT: u32 = 1;
const UNSENT: u32 = 2;
const CLOSED: u32 = 4;
const SENDER_GONE: u32 = 8;
const RECEIVER_GONE: u32 = 16;
const RECEIVER_WAITS: u32 = 32;
const SENDER_WAITS: u32 = 64;
const REGISTERING: u32 = 128;

/// The receiver has nothing more to wait for.
const DECIDED: u32 = SENT | UNSENT | CLOSED;

/// A channel for one message.
#[inline]
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let shared = Box::new(Shared {
        state: AtomicU32::new(0),
        message: Room::empty(),
        receiver: Room::empty(),
        sender: Room::empty(),
    });
    let shared = NonNull::from(Box::leak(shared));
    let receiver = Receiver { shared: Some(shared), wait: Wait::default() };
    (Sender { shared }, receiver)
}

/// The sending end of [`channel`]. Dropped without a send, it lets the receiver learn that no
/// message will come.
pub struct Sender<T> {
    /// Valid until this end has said SENDER_GONE, which it does once, at its end.
    shared: NonNull<Shared<T>>,
}

/// The receiving end of [`channel`]. Await it for the message; or call [`Receiver::recv`].
///
/// As a future it is cancel-safe: drop a `&mut` borrow of it that was pending, and the message is
/// still to come. Dropped itself, it drops a message that was sent, and the sender learns of it.
pub struct Receiver<T> {
    /// Valid until this end has said its last word; `None` from then on.
    shared: Option<NonNull<Shared<T>>>,
    wait: Wait,
}

struct Shared<T> {
    state: AtomicU32,
    message: Room<T>,
    /// The receiver's waker.
    receiver: Room<Waker>,
    /// The sender's waker.
    sender: Room<Waker>,
}

// SAFETY: the sender moves a message to wherever the receiver is; wakers may be sent.
unsafe impl<T: Send> Send for Sender<T> {}
// SAFETY: a shared sender lets one look at the state only.
unsafe impl<T: Send> Sync for Sender<T> {}
// SAFETY: as for the sender.
unsafe impl<T: Send> Send for Receiver<T> {}
// SAFETY: a shared receiver lets one look at the state and register wakers, which takes a lock.
unsafe impl<T: Send> Sync for Receiver<T> {}

impl<T> Sender<T> {
    /// Sends the message. Never blocks: there is room for it.
    ///
    /// # Errors
    /// The message comes back if the receiver is gone or was closed.
    #[inline]
    pub fn send(self, message: T) -> Result<(), SendError<T>> {
        let this = ManuallyDrop::new(self);
        // SAFETY: valid until this end's last word, below; only the sender touches the message
        // until it is SENT.
        unsafe { this.shared.as_ref().message.put(message) };
        // SAFETY: this end has not said its last word, and does not after this.
        match unsafe { last_word(this.shared, SENT) } {
            Ok(()) => Ok(()),
            Err(Refused) => {
                // SAFETY: refused, so the message was not shown to the receiver, and the last word
                // is still to come.
                let message = unsafe { this.shared.as_ref().message.take() };
                // SAFETY: as above; UNSENT is not refused.
                let _ = unsafe { last_word(this.shared, UNSENT) };
                Err(SendError(message))
            }
        }
    }

    /// Whether sending is in vain: the receiver is gone or was closed.
    pub fn is_closed(&self) -> bool {
        // ORDERING: acquire, pairs with `close`: who learns of it sees what was done before it.
        self.shared().state.load(Ordering::Acquire) & CLOSED != 0
    }

    /// Waits until sending is in vain: for work that may stop when nobody wants its result.
    /// Cancel-safe.
    pub fn closed(&mut self) -> impl Future<Output = ()> {
        poll_fn(|context| self.poll_closed(context))
    }

    fn poll_closed(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let waker = context.waker().clone();
        let shared = self.shared();
        let before = shared.state.fetch_and(!SENDER_WAITS, Ordering::Acquire);
        // SAFETY: the bit was set, so the waker is there, and whoever takes the bit has the cell.
        let old = (before & SENDER_WAITS != 0).then(|| unsafe { shared.sender.take() });
        if before & CLOSED != 0 {
            return Poll::Ready(());
        }
        // SAFETY: the bit is clear, so the receiver keeps away from the cell; `&mut self` keeps
        // other calls of this away.
        unsafe { shared.sender.put(waker) };
        // ORDERING: release, pairs with the acquire of `close`, which takes the waker.
        let before = shared.state.fetch_or(SENDER_WAITS, Ordering::AcqRel);
        drop(old);
        if before & CLOSED == 0 {
            return Poll::Pending;
        }
        // Closed in between. Nobody takes the bit after that but this end's last word.
        Poll::Ready(())
    }

    fn shared(&self) -> &Shared<T> {
        // SAFETY: valid until this end's last word, which takes `self`.
        unsafe { self.shared.as_ref() }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        // SAFETY: the one last word of this end: `send` does not drop. UNSENT is not refused.
        let _ = unsafe { last_word(self.shared, UNSENT) };
    }
}

/// The receiver closed before the message was sent.
struct Refused;

/// Sender: says `outcome`, wakes the receiver, and is gone; frees the memory if it is the last. If
/// it is refused, which SENT is after CLOSED, nothing was said.
///
/// # Safety
/// `shared` is valid, the sender has said neither outcome, and it uses `shared` no more after Ok.
#[inline]
unsafe fn last_word<T>(shared: NonNull<Shared<T>>, outcome: u32) -> Result<(), Refused> {
    // SAFETY: valid by the caller's word; the reference is not used after SENDER_GONE.
    let this = unsafe { shared.as_ref() };
    let mut state = this.state.load(Ordering::Relaxed);
    let waiting = loop {
        if outcome == SENT && state & CLOSED != 0 {
            return Err(Refused);
        }
        let waiting = state & (RECEIVER_WAITS | SENDER_WAITS);
        let gone = if waiting == 0 { SENDER_GONE } else { 0 };
        // ORDERING: release, pairs with the acquire of `Receiver::state`: the message is written,
        // and nothing is touched after SENDER_GONE. Acquire: the wakers were written, and the
        // receiver has done what it did before RECEIVER_GONE.
        match this.state.compare_exchange_weak(
            state,
            (state & !waiting) | outcome | gone,
            Ordering::AcqRel,
            Ordering::Acquire,
        ) {
            Ok(_) => break waiting,
            Err(now) => state = now,
        }
    };
    if waiting != 0 {
        // SAFETY: the exchange took these bits and did not say SENDER_GONE.
        unsafe { wake_and_go(shared, waiting) };
    } else if state & RECEIVER_GONE != 0 {
        // SAFETY: both have said their last words, this one second.
        unsafe { free(shared) };
    }
    Ok(())
}

/// Sender: takes the wakers out, is gone, and wakes the receiver.
///
/// # Safety
/// `shared` is valid, the sender took the bits in `waiting`, has said its outcome, and uses
/// `shared` no more.
unsafe fn wake_and_go<T>(shared: NonNull<Shared<T>>, waiting: u32) {
    // SAFETY: valid by the caller's word; the reference is not used after SENDER_GONE.
    let this = unsafe { shared.as_ref() };
    // SAFETY: who took the bit has the cell.
    let receiver = (waiting & RECEIVER_WAITS != 0).then(|| unsafe { this.receiver.take() });
    // SAFETY: likewise.
    let sender = (waiting & SENDER_WAITS != 0).then(|| unsafe { this.sender.take() });
    // ORDERING: as in `last_word`.
    let state = this.state.fetch_or(SENDER_GONE, Ordering::AcqRel);
    if state & RECEIVER_GONE != 0 {
        // SAFETY: both have said their last words, this one second.
        unsafe { free(shared) };
    }
    // The program's own code, so at the end.
    if let Some(receiver) = receiver {
        receiver.wake();
    }
    drop(sender);
}

/// # Safety
/// Both ends are gone, or one is and the other calls this in place of its last word. No waker and
/// no message is in it.
unsafe fn free<T>(shared: NonNull<Shared<T>>) {
    // SAFETY: it came from a box, and nobody else uses it, by the caller's word.
    drop(unsafe { Box::from_raw(shared.as_ptr()) });
}

impl<T> Receiver<T> {
    /// Receives the message if it is there now.
    ///
    /// # Errors
    /// `Empty` if it has not been sent yet, `Closed` if it never will be or was received before.
    #[inline]
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        let Some(shared) = self.shared else { return Err(TryRecvError::Closed) };
        let state = self.state();
        if state & DECIDED == 0 {
            return Err(TryRecvError::Empty);
        }
        self.shared = None;
        // SAFETY: SENT, and taken once: the line above forgets the address.
        let message = (state & SENT != 0).then(|| unsafe { shared.as_ref().message.take() });
        // SAFETY: this end's last word; the message is out, or there is none and will be none.
        unsafe { let_go(shared) };
        message.ok_or(TryRecvError::Closed)
    }

    /// Receives the message, and blocks until it is there.
    ///
    /// # Errors
    /// If the sender went without sending, or this end was closed before it sent.
    pub fn recv(mut self) -> Result<T, RecvError> {
        self.recv_until(None).map_err(|_| RecvError)
    }

    /// Receives the message, and blocks until it is there, for at most `timeout`.
    ///
    /// # Errors
    /// `Timeout`, after which the message may still be received; `Closed` as for
    /// [`Receiver::recv`], and if it was received before.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        // A time too far off to be told is for ever.
        self.recv_until(Instant::now().checked_add(timeout))
    }

    /// Receives the message, and blocks until it is there or `deadline` passes.
    ///
    /// # Errors
    /// As [`Receiver::recv_timeout`].
    pub fn recv_deadline(&mut self, deadline: Instant) -> Result<T, RecvTimeoutError> {
        self.recv_until(Some(deadline))
    }

    /// Receives the message, and waits until it is there, on any executor. The same as awaiting
    /// `&mut self`: cancel-safe.
    ///
    /// # Errors
    /// As [`Receiver::recv`], and if it was received before.
    pub fn recv_async(&mut self) -> impl Future<Output = Result<T, RecvError>> {
        self
    }

    /// Refuses the message if it has not been sent yet; one that was can still be received.
    pub fn close(&mut self) {
        let Some(shared) = self.shared.filter(|_| self.state() & DECIDED == 0) else { return };
        // SAFETY: valid until this end's last word.
        let waker = unsafe { shared.as_ref().close() };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether nothing more will be sent: the message was, or the sender is gone, or this end was
    /// closed.
    pub fn is_closed(&self) -> bool {
        self.state() & DECIDED != 0
    }

    /// Sets how this end blocks.
    pub fn set_wait(&mut self, wait: Wait) {
        self.wait = wait;
    }

    /// This end, blocking as `wait` says.
    #[must_use]
    pub fn with_wait(mut self, wait: Wait) -> Self {
        self.wait = wait;
        self
    }

    /// Whether it has answered that the message was received or will not come.
    #[cfg(feature = "futures")]
    pub(crate) fn has_ended(&self) -> bool {
        self.shared.is_none()
    }

    /// As one that ended without a message, once that was told or the message was received.
    fn state(&self) -> u32 {
        let Some(shared) = self.shared else { return UNSENT };
        // ORDERING: acquire, pairs with the exchange of `last_word`: SENT comes with the message.
        // SAFETY: valid until this end's last word.
        unsafe { shared.as_ref() }.state.load(Ordering::Acquire)
    }

    fn attempt(&mut self) -> Option<Result<T, RecvTimeoutError>> {
        match self.try_recv() {
            Ok(message) => Some(Ok(message)),
            Err(TryRecvError::Closed) => Some(Err(RecvTimeoutError::Closed)),
            Err(TryRecvError::Empty) => None,
        }
    }

    fn recv_until(&mut self, deadline: Option<Instant>) -> Result<T, RecvTimeoutError> {
        match spin(self.wait, deadline, || self.attempt()) {
            Spun::Found(result) => result,
            Spun::Passed => Err(RecvTimeoutError::Timeout),
            Spun::Sleep => self.sleep_until(deadline),
        }
    }

    #[cold]
    fn sleep_until(&mut self, deadline: Option<Instant>) -> Result<T, RecvTimeoutError> {
        with_parker(|parker, waker| {
            self.register_alone(waker);
            loop {
                if let Some(result) = self.attempt() {
                    return result;
                }
                if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                    return Err(RecvTimeoutError::Timeout);
                }
                parker.park(deadline);
            }
        })
    }

    /// Leaves `waker` to be woken by the sender. The caller must look at the state once more.
    pub(crate) fn register(&self, waker: &Waker) {
        if let Some(shared) = self.shared {
            // SAFETY: valid until this end's last word; it need not be alone.
            unsafe { shared.as_ref().register(waker.clone(), false) };
        }
    }

    fn register_alone(&mut self, waker: &Waker) {
        if let Some(shared) = self.shared {
            // SAFETY: valid until this end's last word; alone, by `&mut`.
            unsafe { shared.as_ref().register(waker.clone(), true) };
        }
    }
}

impl<T> Shared<T> {
    /// Receiver: closes, and gives the sender's waker if it waits for that.
    fn close(&self) -> Option<Waker> {
        // ORDERING: release, pairs with `is_closed`; acquire: the waker was written.
        let before = self.state.fetch_or(CLOSED, Ordering::AcqRel);
        if before & (CLOSED | SENDER_WAITS) != SENDER_WAITS {
            return None;
        }
        let before = self.state.fetch_and(!SENDER_WAITS, Ordering::AcqRel);
        // SAFETY: this took the bit, and the cell with it. The sender is not done: its last word
        // would have taken the bit.
        (before & SENDER_WAITS != 0).then(|| unsafe { self.sender.take() })
    }

    /// Receiver, and through shared references several at once: puts `waker` into the cell, unless
    /// there is nothing to wait for any more.
    ///
    /// # Safety
    /// Nobody else registers meanwhile, if `alone`.
    unsafe fn register(&self, waker: Waker, alone: bool) {
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            if state & DECIDED != 0 {
                return;
            }
            if alone && state & RECEIVER_WAITS == 0 {
                // The cell is free and nobody else looks for it: it needs no lock.
                break;
            }
            if state & REGISTERING != 0 {
                sync::yield_now();
                state = self.state.load(Ordering::Relaxed);
                continue;
            }
            // ORDERING: acquire, pairs with the release below: another's registration is over.
            match self.state.compare_exchange_weak(
                state,
                (state & !RECEIVER_WAITS) | REGISTERING,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => break,
                Err(now) => state = now,
            }
        }
        // SAFETY: the exchange took the bit, and the cell with it.
        let old = (state & RECEIVER_WAITS != 0).then(|| unsafe { self.receiver.take() });
        let replaced = old.filter(|old| !old.will_wake(&waker));
        // SAFETY: alone or under the lock, and with the bit clear the sender keeps away.
        unsafe { self.receiver.put(waker) };
        self.hand_over((state & !RECEIVER_WAITS) | if alone { 0 } else { REGISTERING });
        // Two that wait at once through shared references take turns, so neither is forgotten.
        if let Some(replaced) = replaced {
            replaced.wake();
        }
    }

    /// Ends a registration: the cell goes to whoever takes RECEIVER_WAITS. `state` is the last that
    /// was seen.
    fn hand_over(&self, mut state: u32) {
        loop {
            let decided = state & DECIDED != 0;
            let waits = if decided { 0 } else { RECEIVER_WAITS };
            // A waker that nobody will call does not stay.
            // SAFETY: alone or under the lock, and RECEIVER_WAITS is not set yet.
            let unused = decided.then(|| unsafe { self.receiver.take() });
            // ORDERING: release, pairs with the acquire of `last_word`, which takes the waker.
            match self.state.compare_exchange(
                state,
                (state & !REGISTERING) | waits,
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return drop(unused),
                Err(now) => state = now,
            }
            if let Some(unused) = unused {
                // SAFETY: as above.
                unsafe { self.receiver.put(unused) };
            }
        }
    }
}

/// Receiver: its last word; frees the memory if it is the last.
///
/// # Safety
/// `shared` is valid and used no more by the receiver; a message that was SENT has been taken, and
/// if none was, UNSENT or CLOSED says that none will be.
#[inline]
unsafe fn let_go<T>(shared: NonNull<Shared<T>>) {
    // SAFETY: valid by the caller's word; the reference is not used after RECEIVER_GONE.
    let this = unsafe { shared.as_ref() };
    // ORDERING: acquire, pairs with the exchange of `last_word`: the sender is done with it all.
    let mut state = this.state.load(Ordering::Acquire);
    let mut own = None;
    if state & SENDER_GONE == 0 {
        if state & RECEIVER_WAITS != 0 {
            state = this.state.fetch_and(!RECEIVER_WAITS, Ordering::Acquire);
            // SAFETY: if this took the bit, it has the cell.
            own = (state & RECEIVER_WAITS != 0).then(|| unsafe { this.receiver.take() });
        }
        // ORDERING: acquire and release, pairs with `last_word`: whichever comes second frees what
        // the first is done with.
        state = this.state.fetch_or(RECEIVER_GONE, Ordering::AcqRel);
    }
    if state & SENDER_GONE != 0 {
        // SAFETY: the sender is gone, and this is the receiver's last word.
        unsafe { free(shared) };
    }
    drop(own);
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.close();
        // It is decided now: this takes what was sent, and lets go.
        let _ = self.try_recv();
    }
}

impl<T> Future for Receiver<T> {
    type Output = Result<T, RecvError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let receiver = self.get_mut();
        if receiver.state() & DECIDED == 0 {
            receiver.register_alone(context.waker());
        }
        match receiver.try_recv() {
            Ok(message) => Poll::Ready(Ok(message)),
            Err(TryRecvError::Closed) => Poll::Ready(Err(RecvError)),
            Err(TryRecvError::Empty) => Poll::Pending,
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("oneshot::Sender").field("closed", &self.is_closed()).finish()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        let mut debug = f.debug_struct("oneshot::Receiver");
        debug.field("sent", &(state & SENT != 0)).field("closed", &(state & DECIDED != 0)).finish()
    }
}
