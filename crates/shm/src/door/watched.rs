//! Waiting for a descriptor as a task, on any executor: the doorman looks and wakes.

use std::collections::HashMap;
use std::os::fd::BorrowedFd;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use rustix::event::epoll::EventFlags;
use rustix::io;

use super::doorman::{Doorman, lock};

/// Whom to wake for which number.
#[derive(Default)]
pub(super) struct Watches(Mutex<HashMap<u64, Watch>>);

/// A task that waits, or a descriptor that became readable meanwhile.
enum Watch {
    Waiting(Waker),
    Readable,
}

impl Watches {
    /// Wakes the task behind this number, if there is one.
    pub(super) fn on_event(&self, token: u64) -> bool {
        let mut watches = lock(&self.0);
        let Some(watch) = watches.get_mut(&token) else { return false };
        let watch = std::mem::replace(watch, Watch::Readable);
        // Wakers are other people's code: not under the lock.
        drop(watches);
        if let Watch::Waiting(waker) = watch {
            waker.wake();
        }
        true
    }
}

/// Ready once a descriptor is readable. Dropped earlier, nobody is woken.
pub(crate) struct Watched<'a> {
    fd: BorrowedFd<'a>,
    begun: Option<(Arc<Doorman>, u64)>,
}

impl<'a> Watched<'a> {
    pub(crate) fn new(fd: BorrowedFd<'a>) -> Watched<'a> {
        Watched { fd, begun: None }
    }

    fn begin(&mut self, waker: &Waker) -> io::Result<()> {
        let doorman = Doorman::of_this_process()?;
        let token = doorman.token();
        lock(&doorman.watches().0).insert(token, Watch::Waiting(waker.clone()));
        let watched = doorman.watch(self.fd, token, EventFlags::IN | EventFlags::ONESHOT);
        if watched.is_err() {
            lock(&doorman.watches().0).remove(&token);
        } else {
            self.begun = Some((doorman, token));
        }
        watched
    }
}

impl Future for Watched<'_> {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some((doorman, token)) = &self.begun else {
            return match self.begin(context.waker()) {
                Ok(()) => Poll::Pending,
                Err(errno) => Poll::Ready(Err(errno)),
            };
        };
        match lock(&doorman.watches().0).get_mut(token) {
            Some(Watch::Waiting(waker)) => {
                waker.clone_from(context.waker());
                Poll::Pending
            }
            Some(Watch::Readable) | None => Poll::Ready(Ok(())),
        }
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        if let Some((doorman, token)) = self.begun.take() {
            doorman.unwatch(self.fd);
            let watch = lock(&doorman.watches().0).remove(&token);
            drop(watch);
        }
    }
}
