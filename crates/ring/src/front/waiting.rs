//! The blocking calls: look, wait a little, register, look again, sleep.

use std::time::Instant;

use super::{Pop, Push, Side};
use crate::error::{
    RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError,
};
use crate::wait::{Backoff, Next, Place, Wait, wait_a_moment, with_parker};

/// Tries until `attempt` gives something or the deadline passes. `attempt` runs no code of the
/// program's, so it does not panic and leaves no waiter behind.
#[inline]
pub(crate) fn until<S: Side, R>(
    side: &mut S,
    deadline: Option<Instant>,
    mut attempt: impl FnMut(&mut S) -> Option<R>,
) -> Option<R> {
    match attempt(side) {
        Some(result) => Some(result),
        None => wait_until(side, deadline, attempt),
    }
}

/// The first attempt was in vain. Apart from it, so that a call that need not wait carries nothing
/// of the waiting with it: that made it twice as long.
#[inline(never)]
fn wait_until<S: Side, R>(
    side: &mut S,
    deadline: Option<Instant>,
    mut attempt: impl FnMut(&mut S) -> Option<R>,
) -> Option<R> {
    let mut backoff = Backoff::new(side.wait());
    if side.wait() != Wait::Park {
        wait_a_moment(side.waiters(), || side.backlog());
        if let Some(result) = attempt(side) {
            return Some(result);
        }
    }
    loop {
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return None;
        }
        if backoff.next(side.waiters()) == Next::Sleep {
            break;
        }
        if let Some(result) = attempt(side) {
            backoff.paid(side.waiters());
            return Some(result);
        }
    }
    sleep_until(side, deadline, attempt)
}

#[cold]
fn sleep_until<S: Side, R>(
    side: &mut S,
    deadline: Option<Instant>,
    mut attempt: impl FnMut(&mut S) -> Option<R>,
) -> Option<R> {
    with_parker(|parker, waker| {
        let mut place: Place = None;
        loop {
            side.settle();
            side.waiters().register(&mut place, waker, side.position());
            if let Some(result) = attempt(side) {
                // A wake-up since was not for what this attempt took.
                side.waiters().pass_on(&mut place);
                return Some(result);
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                side.waiters().pass_on(&mut place);
                return None;
            }
            parker.park(deadline);
            // Before the attempt, which answers this wake-up and could not answer a later one.
            side.waiters().leave(&mut place);
            if let Some(result) = attempt(side) {
                return Some(result);
            }
        }
    })
}

/// Sends, waiting for room until the deadline.
#[inline]
pub(crate) fn send<P: Push>(
    port: &mut P,
    message: P::Item,
    deadline: Option<Instant>,
) -> Result<(), SendTimeoutError<P::Item>> {
    match port.try_push(message) {
        Ok(()) => Ok(()),
        Err(TrySendError::Closed(message)) => Err(SendTimeoutError::Closed(message)),
        Err(TrySendError::Full(message)) => send_when_there_is_room(port, message, deadline),
    }
}

fn send_when_there_is_room<P: Push>(
    port: &mut P,
    message: P::Item,
    deadline: Option<Instant>,
) -> Result<(), SendTimeoutError<P::Item>> {
    let mut unsent = Some(message);
    let sent = until(port, deadline, |port| match port.try_push(unsent.take()?) {
        Ok(()) => Some(Ok(())),
        Err(TrySendError::Closed(message)) => Some(Err(SendTimeoutError::Closed(message))),
        Err(TrySendError::Full(message)) => {
            unsent = Some(message);
            None
        }
    });
    match (sent, unsent) {
        (Some(result), _) => result,
        (None, Some(message)) => Err(SendTimeoutError::Timeout(message)),
        (None, None) => unreachable!("a message is sent, given back, or still here"),
    }
}

/// Sends everything, waiting for room whenever there is none.
pub(crate) fn send_all<P: Push, I: Iterator<Item = P::Item>>(
    port: &mut P,
    messages: &mut I,
) -> Result<usize, SendError<P::Item>> {
    let mut sent = 0;
    loop {
        // The program's iterator runs where nothing is registered: it may panic.
        let mut held = None;
        sent += port.push_many(messages, &mut held)?;
        let Some(message) = held.or_else(|| messages.next()) else { return Ok(sent) };
        send(port, message, None).map_err(|error| SendError(error.into_inner()))?;
        sent += 1;
    }
}

/// Receives, waiting until the deadline.
#[inline]
pub(crate) fn recv<P: Pop>(
    port: &mut P,
    deadline: Option<Instant>,
) -> Result<P::Item, RecvTimeoutError> {
    let received = until(port, deadline, |port| match port.try_pop() {
        Ok(message) => Some(Ok(message)),
        Err(TryRecvError::Closed) => Some(Err(RecvTimeoutError::Closed)),
        Err(TryRecvError::Empty) => None,
    });
    received.unwrap_or(Err(RecvTimeoutError::Timeout))
}

/// Receives at least one message and at most `max`.
#[inline]
pub(crate) fn recv_many<P: Pop>(
    port: &mut P,
    into: &mut Vec<P::Item>,
    max: usize,
) -> Result<usize, RecvError> {
    match port.pop_many(into, max) {
        Ok(count) => return Ok(count),
        Err(TryRecvError::Closed) => return Err(RecvError),
        Err(TryRecvError::Empty) => {}
    }
    let first = recv(port, None).map_err(|_| RecvError)?;
    into.push(first);
    Ok(1 + port.pop_many(into, max - 1).unwrap_or(0))
}
