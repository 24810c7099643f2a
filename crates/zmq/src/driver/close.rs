//! Closing a socket, which may take as long as it lingers.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Poll, Waker};

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
