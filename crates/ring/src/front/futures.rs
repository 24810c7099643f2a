//! The awaiting calls. They register only when about to be pending, and hold a message, never part
//! of one.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::{Pop, Push, Side};
use crate::error::{RecvError, SendError, TryRecvError, TrySendError};
use crate::wait::Place;

/// One end and, while its operation is pending, its place among those who wait.
pub(super) struct Pending<S: Side> {
    side: S,
    place: Place,
}

impl<S: Side> Pending<S> {
    fn new(side: S) -> Pending<S> {
        Pending { side, place: None }
    }

    /// Goes on with an operation that keeps its place itself between polls.
    #[cfg(feature = "futures")]
    pub(super) fn resume(side: S, place: &mut Place) -> Pending<S> {
        Pending { side, place: place.take() }
    }

    /// Leaves the place to the operation until it is polled again.
    #[cfg(feature = "futures")]
    pub(super) fn suspend(mut self) -> Place {
        self.place.take()
    }

    /// Ready with what `attempt` gives, or registered and pending.
    #[inline]
    pub(super) fn poll<R>(
        &mut self,
        context: &mut Context<'_>,
        mut attempt: impl FnMut(&mut S) -> Option<R>,
    ) -> Poll<R> {
        // The attempt answers a wake-up that came before it, and none that comes behind it.
        self.side.waiters().answer(&mut self.place);
        if let Some(result) = attempt(&mut self.side) {
            self.side.waiters().pass_on(&mut self.place);
            return Poll::Ready(result);
        }
        self.side.settle();
        let position = self.side.position();
        self.side.waiters().register(&mut self.place, context.waker(), position);
        match attempt(&mut self.side) {
            Some(result) => {
                self.side.waiters().pass_on(&mut self.place);
                Poll::Ready(result)
            }
            None => Poll::Pending,
        }
    }
}

impl<S: Side> Drop for Pending<S> {
    fn drop(&mut self) {
        self.side.waiters().pass_on(&mut self.place);
    }
}

/// Ready with what `attempt` gives.
pub(crate) struct UntilFuture<S: Side, F> {
    pending: Pending<S>,
    attempt: F,
}

impl<S: Side, F> UntilFuture<S, F> {
    pub(crate) fn new(side: S, attempt: F) -> UntilFuture<S, F> {
        UntilFuture { pending: Pending::new(side), attempt }
    }
}

impl<S: Side, F> Unpin for UntilFuture<S, F> {}

impl<S: Side, R, F: FnMut(&mut S) -> Option<R>> Future for UntilFuture<S, F> {
    type Output = R;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<R> {
        let UntilFuture { pending, attempt } = self.get_mut();
        pending.poll(context, attempt)
    }
}

pub(super) fn push_from<P: Push>(
    port: &mut P,
    slot: &mut Option<P::Item>,
) -> Option<Result<(), SendError<P::Item>>> {
    match port.try_push(slot.take()?) {
        Ok(()) => Some(Ok(())),
        Err(TrySendError::Closed(message)) => Some(Err(SendError(message))),
        Err(TrySendError::Full(message)) => {
            *slot = Some(message);
            None
        }
    }
}

/// Sends one message that it owns.
pub(crate) struct SendFuture<P: Push> {
    pending: Pending<P>,
    message: Option<P::Item>,
}

impl<P: Push> SendFuture<P> {
    pub(crate) fn new(port: P, message: P::Item) -> SendFuture<P> {
        SendFuture { pending: Pending::new(port), message: Some(message) }
    }
}

impl<P: Push> Unpin for SendFuture<P> {}

impl<P: Push> Future for SendFuture<P> {
    type Output = Result<(), SendError<P::Item>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let SendFuture { pending, message } = self.get_mut();
        assert!(message.is_some(), "polled after it was ready");
        pending.poll(context, |port| push_from(port, message))
    }
}

/// Sends one message that stays with the caller until it is sent.
pub(crate) struct SendFromFuture<'a, P: Push> {
    pending: Pending<P>,
    slot: &'a mut Option<P::Item>,
}

impl<'a, P: Push> SendFromFuture<'a, P> {
    pub(crate) fn new(port: P, slot: &'a mut Option<P::Item>) -> SendFromFuture<'a, P> {
        SendFromFuture { pending: Pending::new(port), slot }
    }
}

impl<P: Push> Unpin for SendFromFuture<'_, P> {}

impl<P: Push> Future for SendFromFuture<'_, P> {
    type Output = Result<(), SendError<()>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let SendFromFuture { pending, slot } = self.get_mut();
        if slot.is_none() {
            return Poll::Ready(Ok(()));
        }
        let sent = pending.poll(context, |port| push_from(port, slot));
        sent.map_err(|SendError(message)| {
            **slot = Some(message);
            SendError(())
        })
    }
}

/// Sends all of an iterator.
pub(crate) struct SendAllFuture<P: Push, I: Iterator<Item = P::Item>> {
    pending: Pending<P>,
    messages: I,
    /// Taken out of `messages`, and there was no room.
    next: Option<P::Item>,
    sent: usize,
}

impl<P: Push, I: Iterator<Item = P::Item>> SendAllFuture<P, I> {
    pub(crate) fn new(port: P, messages: I) -> SendAllFuture<P, I> {
        SendAllFuture { pending: Pending::new(port), messages, next: None, sent: 0 }
    }
}

impl<P: Push, I: Iterator<Item = P::Item>> Unpin for SendAllFuture<P, I> {}

impl<P: Push, I: Iterator<Item = P::Item>> Future for SendAllFuture<P, I> {
    type Output = Result<usize, SendError<P::Item>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let SendAllFuture { pending, messages, next, sent } = self.get_mut();
        loop {
            if next.is_none() {
                *sent += match pending.side.push_many(messages, next) {
                    Ok(count) => count,
                    Err(error) => return Poll::Ready(Err(error)),
                };
                if next.is_none() {
                    *next = messages.next();
                }
                if next.is_none() {
                    return Poll::Ready(Ok(*sent));
                }
            }
            match pending.poll(context, |port| push_from(port, next)) {
                Poll::Ready(Ok(())) => *sent += 1,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// Receives one message.
pub(crate) struct RecvFuture<P: Pop> {
    pending: Pending<P>,
}

impl<P: Pop> RecvFuture<P> {
    pub(crate) fn new(port: P) -> RecvFuture<P> {
        RecvFuture { pending: Pending::new(port) }
    }
}

impl<P: Pop> Unpin for RecvFuture<P> {}

impl<P: Pop> Future for RecvFuture<P> {
    type Output = Result<P::Item, RecvError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().pending.poll(context, |port| match port.try_pop() {
            Ok(message) => Some(Ok(message)),
            Err(TryRecvError::Closed) => Some(Err(RecvError)),
            Err(TryRecvError::Empty) => None,
        })
    }
}

/// Receives at least one message and at most `max`, into the caller's vector.
pub(crate) struct RecvManyFuture<'a, P: Pop> {
    pending: Pending<P>,
    into: &'a mut Vec<P::Item>,
    max: usize,
}

impl<'a, P: Pop> RecvManyFuture<'a, P> {
    pub(crate) fn new(port: P, into: &'a mut Vec<P::Item>, max: usize) -> RecvManyFuture<'a, P> {
        RecvManyFuture { pending: Pending::new(port), into, max }
    }
}

impl<P: Pop> Unpin for RecvManyFuture<'_, P> {}

impl<P: Pop> Future for RecvManyFuture<'_, P> {
    type Output = Result<usize, RecvError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let RecvManyFuture { pending, into, max } = self.get_mut();
        pending.poll(context, |port| match port.pop_many(into, *max) {
            Ok(count) => Some(Ok(count)),
            Err(TryRecvError::Closed) => Some(Err(RecvError)),
            Err(TryRecvError::Empty) => None,
        })
    }
}
