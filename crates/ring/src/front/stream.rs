//! Channels as the `futures` crates see them: [`Stream`] and [`Sink`].
//!
//! Both keep their place among those who wait from one poll to the next, and give it up when they
//! are dropped, so a stream or sink in a `select!` that loses loses no message. While it is kept
//! and not polled it may hold a wake-up that another receiver (or sender) of the same channel could
//! use: in a `select!` beside others, take `recv_async`, or drop the stream.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::{FusedFuture, FusedStream, Stream};
use futures_sink::Sink;

use super::futures::{Pending, push_from};
use super::{Pop, Push, Side};
use crate::error::{SendError, TryRecvError};
use crate::wait::Place;

/// A receiver as a [`Stream`]: what it would receive, until the channel is closed and drained.
///
/// ```
/// use chaski_ring::mpsc;
/// use futures_util::StreamExt;
///
/// # futures_util::future::FutureExt::now_or_never(async {
/// let (tx, rx) = mpsc::channel(4);
/// tx.send_all([1, 2, 3]).unwrap();
/// drop(tx);
/// let doubled: Vec<i32> = rx.into_stream().map(|n| n * 2).collect().await;
/// assert_eq!(doubled, [2, 4, 6]);
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct RecvStream<R: Receives> {
    receiver: Option<R>,
    place: Place,
    ended: bool,
}

/// A sender as a [`Sink`]: flushed when the channel has all messages, closed when the sender is
/// gone.
///
/// ```
/// use chaski_ring::spsc;
/// use futures_util::{SinkExt, StreamExt, stream};
///
/// # futures_util::future::FutureExt::now_or_never(async {
/// let (tx, mut rx) = spsc::channel(4);
/// let mut sink = tx.into_sink();
/// sink.send_all(&mut stream::iter([Ok(1), Ok(2)])).await.unwrap();
/// sink.close().await.unwrap();
/// assert!(rx.iter().eq([1, 2]));
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct SendSink<S: Sends> {
    sender: Option<S>,
    place: Place,
    /// Accepted, and not in the channel yet.
    slot: Option<S::Item>,
}

pub(crate) use sealed::{Receives, Sends};

mod sealed {
    use std::task::{Context, Poll};

    use crate::error::SendError;

    /// A receiver that can be polled.
    pub trait Receives: Unpin {
        type Item;

        /// Receives, or is registered at `place` and pending.
        fn poll(
            &mut self,
            place: &mut Option<u64>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Self::Item>>;

        fn leave(&mut self, place: &mut Option<u64>);
    }

    /// A sender that can be polled.
    pub trait Sends: Unpin {
        type Item;

        /// Sends what is in `slot`, or is registered at `place` and pending.
        fn poll(
            &mut self,
            place: &mut Option<u64>,
            slot: &mut Option<Self::Item>,
            context: &mut Context<'_>,
        ) -> Poll<Result<(), SendError<Self::Item>>>;

        /// Gives up the place. What was on its way and not received is in `slot` again.
        fn leave(&mut self, place: &mut Option<u64>, slot: &mut Option<Self::Item>);
    }
}

/// Makes a receiver that has `poll_recv` and `leave_recv` a stream.
macro_rules! stream {
    ($receiver:ty, $item:ty $(, $bound:ident)?) => {
        impl<T $(: $bound)?> Receives for $receiver {
            type Item = $item;

            fn poll(
                &mut self,
                place: &mut Place,
                context: &mut Context<'_>,
            ) -> Poll<Option<Self::Item>> {
                self.poll_recv(place, context)
            }

            fn leave(&mut self, place: &mut Place) {
                self.leave_recv(place);
            }
        }

        impl<T $(: $bound)?> $receiver {
            /// This receiver as a stream. Cancel-safe: a stream that is not polled to the end has
            /// taken only what it gave.
            pub fn into_stream(self) -> RecvStream<Self> {
                RecvStream { receiver: Some(self), place: None, ended: false }
            }
        }
    };
}

/// Makes a sender that has `poll_send` and `leave_send` a sink.
macro_rules! sink {
    ($sender:ty) => {
        impl<T> Sends for $sender {
            type Item = T;

            fn poll(
                &mut self,
                place: &mut Place,
                slot: &mut Option<T>,
                context: &mut Context<'_>,
            ) -> Poll<Result<(), SendError<T>>> {
                self.poll_send(place, slot, context)
            }

            fn leave(&mut self, place: &mut Place, slot: &mut Option<T>) {
                self.leave_send(place, slot);
            }
        }

        impl<T> $sender {
            /// This sender as a sink. It holds at most one message that is not in the channel yet;
            /// dropped before it is flushed, it drops that one.
            pub fn into_sink(self) -> SendSink<Self> {
                SendSink { sender: Some(self), place: None, slot: None }
            }
        }
    };
}

stream!(crate::spsc::Receiver<T>, T);
stream!(crate::fan_in::Receiver<T>, T);
stream!(crate::mpsc::Receiver<T>, T);
stream!(crate::mpmc::Receiver<T>, T);
stream!(crate::unbounded::Receiver<T>, T);
stream!(crate::rendezvous::Receiver<T>, T);
stream!(crate::broadcast::Receiver<T>, Result<T, crate::broadcast::Lagged>, Clone);

sink!(crate::spsc::Sender<T>);
sink!(crate::fan_in::Sender<T>);
sink!(crate::mpsc::Sender<T>);
sink!(crate::mpmc::Sender<T>);
sink!(crate::unbounded::Sender<T>);
sink!(crate::rendezvous::Sender<T>);
sink!(crate::broadcast::Sender<T>);

impl<T> crate::unbounded::Sender<T> {
    fn poll_send(
        &mut self,
        _place: &mut Place,
        slot: &mut Option<T>,
        _context: &mut Context<'_>,
    ) -> Poll<Result<(), SendError<T>>> {
        Poll::Ready(slot.take().map_or(Ok(()), |message| self.send(message)))
    }

    fn leave_send(&mut self, _place: &mut Place, _slot: &mut Option<T>) {}
}

/// Receives from `port`, or is registered at `place` and pending.
pub(crate) fn poll_pop<P: Pop>(
    port: &mut P,
    place: &mut Place,
    context: &mut Context<'_>,
) -> Poll<Option<P::Item>> {
    let mut pending = Pending::resume(port, place);
    let polled = pending.poll(context, |port| match port.try_pop() {
        Ok(message) => Some(Some(message)),
        Err(TryRecvError::Closed) => Some(None),
        Err(TryRecvError::Empty) => None,
    });
    *place = pending.suspend();
    polled
}

/// Sends what is in `slot` through `port`, or is registered at `place` and pending.
pub(crate) fn poll_push<P: Push>(
    port: &mut P,
    place: &mut Place,
    slot: &mut Option<P::Item>,
    context: &mut Context<'_>,
) -> Poll<Result<(), SendError<P::Item>>> {
    if slot.is_none() {
        return Poll::Ready(Ok(()));
    }
    let mut pending = Pending::resume(port, place);
    let polled = pending.poll(context, |port| push_from(port, slot));
    *place = pending.suspend();
    polled
}

/// Gives up `place`.
pub(crate) fn leave<S: Side>(side: &mut S, place: &mut Place) {
    drop(Pending::resume(side, place));
}

impl<R: Receives> RecvStream<R> {
    /// The receiver again. No message is lost.
    pub fn into_inner(mut self) -> R {
        self.leave();
        self.receiver.take().expect("it is there until the end")
    }

    fn leave(&mut self) {
        if let Some(receiver) = &mut self.receiver {
            receiver.leave(&mut self.place);
        }
    }
}

impl<R: Receives> Stream for RecvStream<R> {
    type Item = R::Item;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<R::Item>> {
        let stream = self.get_mut();
        let receiver = stream.receiver.as_mut().filter(|_| !stream.ended);
        let Some(receiver) = receiver else { return Poll::Ready(None) };
        let polled = receiver.poll(&mut stream.place, context);
        stream.ended = matches!(polled, Poll::Ready(None));
        polled
    }
}

impl<R: Receives> FusedStream for RecvStream<R> {
    fn is_terminated(&self) -> bool {
        self.ended
    }
}

impl<T> FusedFuture for crate::oneshot::Receiver<T> {
    fn is_terminated(&self) -> bool {
        self.has_ended()
    }
}

impl<R: Receives> Drop for RecvStream<R> {
    fn drop(&mut self) {
        self.leave();
    }
}

impl<S: Sends> Unpin for SendSink<S> {}

impl<S: Sends> SendSink<S> {
    /// The sender again, and the message that was accepted and is not in the channel, if any.
    /// `None` for the sender: the sink was closed.
    pub fn into_inner(mut self) -> (Option<S>, Option<S::Item>) {
        self.leave();
        (self.sender.take(), self.slot.take())
    }

    fn leave(&mut self) {
        if let Some(sender) = &mut self.sender {
            sender.leave(&mut self.place, &mut self.slot);
        }
    }

    /// Moves what was accepted into the channel.
    fn poll_empty(&mut self, context: &mut Context<'_>) -> Poll<Result<(), SendError<S::Item>>> {
        match &mut self.sender {
            Some(sender) => sender.poll(&mut self.place, &mut self.slot, context),
            None => Poll::Ready(Ok(())),
        }
    }
}

impl<S: Sends> Sink<S::Item> for SendSink<S> {
    type Error = SendError<S::Item>;

    fn poll_ready(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Self::Error>> {
        self.get_mut().poll_empty(context)
    }

    fn start_send(self: Pin<&mut Self>, message: S::Item) -> Result<(), Self::Error> {
        let sink = self.get_mut();
        debug_assert!(sink.slot.is_none(), "a sink is ready before it is sent to");
        if sink.sender.is_none() {
            return Err(SendError(message));
        }
        sink.slot = Some(message);
        Ok(())
    }

    fn poll_flush(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Self::Error>> {
        self.get_mut().poll_empty(context)
    }

    fn poll_close(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Self::Error>> {
        let sink = self.get_mut();
        let polled = sink.poll_empty(context);
        if polled.is_ready() {
            sink.leave();
            sink.sender = None;
        }
        polled
    }
}

impl<S: Sends> Drop for SendSink<S> {
    fn drop(&mut self) {
        self.leave();
    }
}
