//! Every form of use, written once: blocking, with a deadline, awaiting, in batches.
//!
//! A channel says how it moves a message without waiting ([`Push`], [`Pop`]) and who waits for it
//! ([`Side`]); this module makes the rest of it, and the macros in [`methods`] give each channel's
//! ends the same methods with the same names.
//!
//! Cancellation is one rule: an operation that ends without success gives up its place among the
//! waiters, and if it had been woken, it wakes another in its stead. Messages are moved only by the
//! attempt that also ends the operation, so an operation dropped in between has moved nothing.

mod futures;
mod methods;
mod spin;
#[cfg(feature = "futures")]
pub(crate) mod stream;
mod waiting;

pub(crate) use futures::{
    RecvFuture, RecvManyFuture, SendAllFuture, SendFromFuture, SendFuture, UntilFuture,
};
pub(crate) use methods::{
    debug_ends, end_methods, receiver_methods, sender_methods, sole_sender_methods, watched_method,
};
pub(crate) use spin::{Spun, spin};
pub(crate) use waiting::{recv, recv_many, send, send_all, until};

use std::task::Waker;

use crate::error::{SendError, TryRecvError, TrySendError};
use crate::stats::Stats;
use crate::wait::{Place, Wait, Waiters};

/// One end of a channel, as far as waiting goes.
pub(crate) trait Side {
    /// Those who wait for what this end waits for.
    fn waiters(&self) -> &Waiters;

    /// How far this end has come, in messages; a rough measure of traffic between two sleeps.
    fn position(&self) -> usize;

    /// How this end blocks.
    fn wait(&self) -> Wait;

    /// How much there is of what this end waits for, or 0 if that is not easily told.
    fn backlog(&self) -> usize {
        0
    }

    /// About to sleep: show the other end what was withheld from it so far.
    fn settle(&mut self) {}
}

/// How messages go in.
pub(crate) trait Push: Side {
    /// What goes in.
    type Item;

    /// Moves a message in and wakes a receiver if one sleeps.
    fn try_push(&mut self, message: Self::Item) -> Result<(), TrySendError<Self::Item>>;

    /// Moves as many in as there is room for, and wakes as many receivers. A message that was taken
    /// out of `messages` and found no room, which can be on channels with several senders, is left
    /// in `held`, which is empty at first.
    fn push_many<I: Iterator<Item = Self::Item>>(
        &mut self,
        messages: &mut I,
        held: &mut Option<Self::Item>,
    ) -> Result<usize, SendError<Self::Item>>;
}

/// How messages come out.
pub(crate) trait Pop: Side {
    /// What comes out.
    type Item;

    /// Moves the next message out and wakes a sender if room was what it waited for.
    fn try_pop(&mut self) -> Result<Self::Item, TryRecvError>;

    /// Moves up to `max` messages to the end of `into`. Ok is at least 1, unless `max` is 0.
    fn pop_many(&mut self, into: &mut Vec<Self::Item>, max: usize) -> Result<usize, TryRecvError>;

    /// Whether [`Pop::try_pop`] would answer something other than empty.
    fn is_ready(&self) -> bool;
}

/// What a receiver waits for, looked at through a shared reference: for
/// [select](mod@crate::select), which waits for several and takes from none.
///
/// Every [`Pop`] is one. A receiver whose `port` takes `&mut self` is watched through what its
/// `measured` refers to, so that must be a [`Pop`] or implement this.
pub(crate) trait Watch {
    /// As [`Side::waiters`].
    fn waiters(&self) -> &Waiters;

    /// As [`Side::position`].
    fn position(&self) -> usize;

    /// As [`Pop::is_ready`].
    fn is_ready(&self) -> bool;

    /// Takes a place among those who wait, or keeps the one it has.
    fn join(&self, place: &mut Place, waker: &Waker) {
        self.waiters().register(place, waker, self.position());
    }

    /// Gives the place up. If it had been woken, wakes another in its stead.
    fn quit(&self, place: &mut Place) {
        self.waiters().pass_on(place);
    }
}

impl<P: Pop> Watch for P {
    fn waiters(&self) -> &Waiters {
        Side::waiters(self)
    }

    fn position(&self) -> usize {
        Side::position(self)
    }

    fn is_ready(&self) -> bool {
        Pop::is_ready(self)
    }
}

impl<S: Side> Side for &mut S {
    #[inline(always)]
    fn waiters(&self) -> &Waiters {
        (**self).waiters()
    }

    fn position(&self) -> usize {
        (**self).position()
    }

    fn wait(&self) -> Wait {
        (**self).wait()
    }

    fn backlog(&self) -> usize {
        (**self).backlog()
    }

    fn settle(&mut self) {
        (**self).settle();
    }
}

impl<P: Push> Push for &mut P {
    type Item = P::Item;

    #[inline(always)]
    fn try_push(&mut self, message: P::Item) -> Result<(), TrySendError<P::Item>> {
        (**self).try_push(message)
    }

    #[inline(always)]
    fn push_many<I: Iterator<Item = P::Item>>(
        &mut self,
        messages: &mut I,
        held: &mut Option<P::Item>,
    ) -> Result<usize, SendError<P::Item>> {
        (**self).push_many(messages, held)
    }
}

impl<P: Pop> Pop for &mut P {
    type Item = P::Item;

    #[inline(always)]
    fn try_pop(&mut self) -> Result<P::Item, TryRecvError> {
        (**self).try_pop()
    }

    #[inline(always)]
    fn pop_many(&mut self, into: &mut Vec<P::Item>, max: usize) -> Result<usize, TryRecvError> {
        (**self).pop_many(into, max)
    }

    fn is_ready(&self) -> bool {
        (**self).is_ready()
    }
}

/// What can be told of a channel without taking part.
pub(crate) trait Measure {
    /// Messages sent and not received.
    fn len(&self) -> usize;

    /// How many fit at least.
    fn capacity(&self) -> Option<usize>;

    /// Whether sending is in vain.
    fn is_closed(&self) -> bool;

    /// Everything counted.
    fn stats(&self) -> Stats;
}
