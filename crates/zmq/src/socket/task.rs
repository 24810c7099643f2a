//! How a task waits until it can go on.
//!
//! Somebody must watch the poll's descriptor while only tasks wait. Inside a tokio runtime, with
//! the feature `tokio`, that is tokio's own driver, and the task that is woken takes the events
//! itself. With any other executor it is the context's driver, which takes them for it.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::shared::Shared;
use super::turn::{Seat, Want, Who};
use super::waiting::Attempt;
use crate::driver::Forked;

impl Shared {
    /// Waits until `attempt` gets what it wants.
    ///
    /// Dropped before it is ready, the future has attempted and got nothing, and passes on a
    /// wake-up that it did not use.
    pub(super) async fn wait_as_task<T>(
        self: &Arc<Self>,
        want: Want,
        mut attempt: impl FnMut() -> Attempt<T>,
    ) -> Result<T, Forked> {
        self.check_origin()?;
        let mut place = Place { socket: self, want, seat: None };
        let wanted = poll_fn(move |cx| place.poll(cx, &mut attempt)).await;
        Ok(wanted)
    }

    /// Whether the poll may have events to be taken, or the task will be woken when it does.
    fn poll_events(self: &Arc<Self>, cx: &mut Context<'_>, want: Want) -> Poll<()> {
        #[cfg(feature = "tokio")]
        if let Some(ready) = self.watcher.poll(self, cx, want) {
            return ready;
        }
        let _ = (cx, want);
        if self.turn.begins_watch() {
            self.driver().watch_poll(self);
        }
        Poll::Pending
    }
}

/// A task's place among those that wait.
struct Place<'a> {
    socket: &'a Arc<Shared>,
    want: Want,
    seat: Option<Seat>,
}

impl Place<'_> {
    fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        attempt: &mut impl FnMut() -> Attempt<T>,
    ) -> Poll<T> {
        loop {
            if let Some((wanted, more)) = attempt() {
                self.leave(Some(more));
                return Poll::Ready(wanted);
            }
            if self.enter(cx) {
                // Only now does who makes it come about see us: look again.
                continue;
            }
            self.socket.flush_armed();
            if self.socket.look_as_task(self.want) {
                continue;
            }
            if self.socket.poll_events(cx, self.want).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Sees to it that the task stands in the list; whether it did not before.
    fn enter(&mut self, cx: &mut Context<'_>) -> bool {
        let turn = &self.socket.turn;
        let task = || Who::Task(cx.waker().clone());
        match &self.seat {
            Some(seat) if turn.still(seat, Some(cx.waker())) => false,
            Some(_) => {
                self.seat = Some(turn.sit_again(self.want, task()));
                true
            }
            None => {
                self.seat = Some(turn.sit(self.want, task()));
                true
            }
        }
    }

    fn leave(&mut self, took: Option<bool>) {
        if let Some(seat) = self.seat.take() {
            self.socket.answer(self.socket.turn.leave(seat, self.want, took));
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.leave(None);
    }
}

#[cfg(feature = "tokio")]
pub(super) use watcher::Watcher;

#[cfg(feature = "tokio")]
mod watcher {
    use std::os::fd::{AsFd, OwnedFd};
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::{Arc, Mutex};
    use std::task::{Context, Poll};

    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;
    use tokio::runtime::{Handle, Id};

    use crate::socket::shared::Shared;
    use crate::socket::turn::Want;
    use crate::wake::{hold, wake};

    /// The poll's descriptor as one of tokio's.
    #[derive(Default)]
    pub(in crate::socket) struct Watcher(Mutex<Option<Watch>>);

    struct Watch {
        /// None: the runtime watches no descriptors.
        descriptor: Option<AsyncFd<OwnedFd>>,
        runtime: Id,
    }

    /// The socket's poll, watched by the runtime of this task: `None` if it cannot be now, and
    /// within that if it never can.
    fn descriptor(socket: &Arc<Shared>) -> Option<Option<AsyncFd<OwnedFd>>> {
        let descriptor = socket.as_fd().try_clone_to_owned().ok()?;
        // A runtime that was built without I/O says so by a panic, and only so.
        let watched = catch_unwind(AssertUnwindSafe(|| {
            #[expect(
                deprecated,
                reason = "its successor is unsafe; an OwnedFd keeps what that one asks for"
            )]
            AsyncFd::with_interest(descriptor, Interest::READABLE)
        }));
        match watched {
            Ok(watched) => watched.ok().map(Some),
            Err(_) => Some(None),
        }
    }

    impl Watcher {
        /// Takes events if there are any, or has the task woken when there are; `None` if this is
        /// no task of tokio's.
        pub(in crate::socket) fn poll(
            &self,
            socket: &Arc<Shared>,
            cx: &mut Context<'_>,
            want: Want,
        ) -> Option<Poll<()>> {
            let runtime = Handle::try_current().ok()?.id();
            let mut watch = hold(&self.0);
            if watch.as_ref().is_none_or(|watch| watch.runtime != runtime) {
                // The runtime of the last watch may have ended; its watchers wait in our list.
                *watch = None;
                *watch = Some(Watch { descriptor: descriptor(socket)?, runtime });
            }
            let descriptor = watch.as_ref()?.descriptor.as_ref()?;
            let mut guard = match descriptor.poll_read_ready(cx) {
                Poll::Pending => return Some(Poll::Pending),
                Poll::Ready(Err(_)) => return None,
                Poll::Ready(Ok(guard)) => guard,
            };
            // If a thread has the poll, it has the events, and wakes a task when it leaves.
            let harvested = socket.harvest(Some(want));
            if harvested {
                guard.clear_ready();
                return Some(Poll::Ready(()));
            }
            if !socket.turn.is_led() {
                // Somebody has it for a moment who waits for nothing, and wakes nobody.
                wake(cx.waker().clone());
            }
            Some(Poll::Pending)
        }
    }
}
