//! Coming to the table, waiting there, and leaving it: blocking and awaiting.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use super::meeting::{Brought, Closed, Meeting, Refused};
use crate::error::{RecvTimeoutError, SendError, SendTimeoutError};
use crate::front::{Spun, spin};
use crate::wait::{Wait, with_parker};

/// Sends, waiting until the deadline.
pub(super) fn send<T>(
    meeting: &Meeting<T>,
    message: T,
    wait: Wait,
    deadline: Option<Instant>,
) -> Result<(), SendTimeoutError<T>> {
    let closed = |Refused(message)| SendTimeoutError::Closed(message);
    with_parker(|parker, waker| {
        let ticket = match meeting.bring(message, waker).map_err(closed)? {
            Brought::Handed => return Ok(()),
            Brought::Offered(ticket) => ticket,
        };
        let mut look = || match meeting.is_taken(ticket, waker) {
            Ok(Poll::Pending) => None,
            Ok(Poll::Ready(())) => Some(Ok(())),
            Err(refused) => Some(Err(closed(refused))),
        };
        match until(meeting, wait, deadline, &mut look, |deadline| parker.park(deadline)) {
            Some(result) => result,
            None => match meeting.withdraw(ticket) {
                Some(message) => Err(SendTimeoutError::Timeout(message)),
                None => Ok(()),
            },
        }
    })
}

/// Receives, waiting until the deadline.
pub(super) fn recv<T>(
    meeting: &Meeting<T>,
    wait: Wait,
    deadline: Option<Instant>,
) -> Result<T, RecvTimeoutError> {
    let closed = |Closed| RecvTimeoutError::Closed;
    with_parker(|parker, waker| {
        let ticket = match meeting.sit_down(waker) {
            Ok(ticket) => ticket,
            Err(result) => return result.map_err(closed),
        };
        let mut look = || match meeting.is_served(ticket) {
            Poll::Pending => None,
            Poll::Ready(result) => Some(result.map_err(closed)),
        };
        match until(meeting, wait, deadline, &mut look, |deadline| parker.park(deadline)) {
            Some(result) => result,
            None => meeting.get_up(ticket).ok_or(RecvTimeoutError::Timeout),
        }
    })
}

/// Looks, spins and sleeps until `look` gives something or the deadline passes. Whoever changes
/// something at the table for this one wakes it, so it may sleep without another look.
fn until<T, R>(
    meeting: &Meeting<T>,
    wait: Wait,
    deadline: Option<Instant>,
    look: &mut impl FnMut() -> Option<R>,
    park: impl Fn(Option<Instant>),
) -> Option<R> {
    let mut seen = meeting.moves();
    let mut found = look();
    if found.is_none() {
        let spun = spin(wait, deadline, || {
            let moves = meeting.moves();
            if moves == seen {
                return None;
            }
            seen = moves;
            look()
        });
        match spun {
            Spun::Found(result) => found = Some(result),
            Spun::Passed => return None,
            Spun::Sleep => {}
        }
    }
    while found.is_none() {
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return None;
        }
        park(deadline);
        found = look();
    }
    found
}

/// A message on its way: with the future, offered, or received.
pub(super) struct Offering<'a, T> {
    meeting: &'a Meeting<T>,
    ticket: Option<u64>,
}

impl<'a, T> Offering<'a, T> {
    fn new(meeting: &'a Meeting<T>) -> Offering<'a, T> {
        Offering { meeting, ticket: None }
    }

    /// Goes on with an offer whose ticket was kept between polls.
    #[cfg(feature = "futures")]
    pub(super) fn resume(meeting: &'a Meeting<T>, ticket: &mut Option<u64>) -> Offering<'a, T> {
        Offering { meeting, ticket: ticket.take() }
    }

    /// The ticket, if the message is offered.
    #[cfg(feature = "futures")]
    pub(super) fn suspend(self) -> Option<u64> {
        self.ticket
    }

    /// Brings the message in `slot`, or asks what became of it. Refused, it is in the slot again.
    pub(super) fn poll(
        &mut self,
        slot: &mut Option<T>,
        waker: &Waker,
    ) -> Poll<Result<(), SendError<()>>> {
        let polled = match (self.ticket, slot.take()) {
            (Some(ticket), _) => self.meeting.is_taken(ticket, waker),
            (None, None) => return Poll::Ready(Ok(())),
            (None, Some(message)) => self.meeting.bring(message, waker).map(|brought| {
                let Brought::Offered(ticket) = brought else { return Poll::Ready(()) };
                self.ticket = Some(ticket);
                Poll::Pending
            }),
        };
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(())) => {
                self.ticket = None;
                Poll::Ready(Ok(()))
            }
            Err(Refused(message)) => {
                self.ticket = None;
                *slot = Some(message);
                Poll::Ready(Err(SendError(())))
            }
        }
    }

    /// The message, if it was offered and not taken.
    pub(super) fn withdraw(&mut self) -> Option<T> {
        self.meeting.withdraw(self.ticket.take()?)
    }
}

/// Sends one message that it owns.
pub(super) struct SendFuture<'a, T> {
    offering: Offering<'a, T>,
    message: Option<T>,
}

impl<'a, T> SendFuture<'a, T> {
    pub(super) fn new(meeting: &'a Meeting<T>, message: T) -> SendFuture<'a, T> {
        SendFuture { offering: Offering::new(meeting), message: Some(message) }
    }
}

impl<T> Unpin for SendFuture<'_, T> {}

impl<T> Future for SendFuture<'_, T> {
    type Output = Result<(), SendError<T>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let SendFuture { offering, message } = self.get_mut();
        offering.poll(message, context.waker()).map_err(|SendError(())| {
            SendError(message.take().expect("what is refused is in the slot again"))
        })
    }
}

impl<T> Drop for SendFuture<'_, T> {
    fn drop(&mut self) {
        drop(self.offering.withdraw());
    }
}

/// Sends one message that stays with the caller unless it is received.
pub(super) struct SendFromFuture<'a, 's, T> {
    offering: Offering<'a, T>,
    slot: &'s mut Option<T>,
}

impl<'a, 's, T> SendFromFuture<'a, 's, T> {
    pub(super) fn new(meeting: &'a Meeting<T>, slot: &'s mut Option<T>) -> Self {
        SendFromFuture { offering: Offering::new(meeting), slot }
    }
}

impl<T> Future for SendFromFuture<'_, '_, T> {
    type Output = Result<(), SendError<()>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let SendFromFuture { offering, slot } = self.get_mut();
        offering.poll(slot, context.waker())
    }
}

impl<T> Drop for SendFromFuture<'_, '_, T> {
    fn drop(&mut self) {
        if let Some(message) = self.offering.withdraw() {
            *self.slot = Some(message);
        }
    }
}
