//! Closing a socket, which may take as long as it lingers.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

/// Whether a socket is closed, for those who wait for that.
#[derive(Default)]
pub(super) struct Done {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    done: bool,
    waker: Option<Waker>,
}

impl Done {
    /// It is.
    pub(super) fn set(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.done = true;
        let waker = state.waker.take();
        drop(state);
        self.changed.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn wait(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while !state.done {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn poll(&self, waker: &Waker) -> Poll<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.done {
            return Poll::Ready(());
        }
        state.waker = Some(waker.clone());
        Poll::Pending
    }
}

/// How many sockets of a context are being closed, for who wants to see none of them lost.
#[derive(Default)]
pub(super) struct Count {
    sockets: Mutex<usize>,
    changed: Condvar,
}

impl Count {
    /// One more is being closed.
    pub(super) fn begin(&self) {
        *self.sockets.lock().unwrap_or_else(PoisonError::into_inner) += 1;
    }

    /// One of them is closed.
    pub(super) fn end(&self) {
        *self.sockets.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.changed.notify_all();
    }

    /// Waits until all are, but not for longer than this. Whether they are.
    pub(super) fn wait(&self, timeout: Option<Duration>) -> bool {
        let sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        let some = |sockets: &mut usize| *sockets > 0;
        let left = match timeout {
            None => self.changed.wait_while(sockets, some).unwrap_or_else(PoisonError::into_inner),
            Some(timeout) => {
                let waited = self.changed.wait_timeout_while(sockets, timeout, some);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        *left == 0
    }
}

/// A socket that is being closed. Dropped, it goes on in the background.
#[must_use = "the socket lingers in the background, unless somebody waits"]
pub(crate) struct Closing(pub(super) Arc<Done>);

impl Closing {
    /// Waits until all is sent or given up: no longer than the socket lingers.
    pub(crate) fn wait(self) {
        self.0.wait();
    }

    /// The same for a task.
    pub(crate) async fn wait_async(self) {
        std::future::poll_fn(|context| self.0.poll(context.waker())).await;
    }
}
