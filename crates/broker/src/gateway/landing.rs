//! A flush under way: the store tells of it when it is as durable as was asked for, one topic at a
//! time, on threads of its own.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::client::Flushed;

/// What becomes of the batches that were handed over together.
#[derive(Default)]
pub(super) struct Landing {
    state: Mutex<State>,
    landed: Condvar,
}

#[derive(Default)]
struct State {
    /// By lane; None: not known yet.
    lanes: Vec<Option<Flushed>>,
    missing: usize,
    waker: Option<Waker>,
}

impl Landing {
    /// One of so many lanes, of which nothing is known.
    pub(super) fn new(lanes: usize) -> Arc<Landing> {
        let state = State { lanes: vec![None; lanes], missing: lanes, waker: None };
        Arc::new(Landing { state: Mutex::new(state), landed: Condvar::new() })
    }

    /// Tells what became of a lane.
    pub(super) fn tell(&self, lane: usize, flushed: Flushed) {
        let waker = {
            let mut state = self.lock();
            let Some(known) = state.lanes.get_mut(lane) else { return };
            if known.replace(flushed).is_some() {
                return;
            }
            state.missing -= 1;
            if state.missing > 0 {
                return;
            }
            state.waker.take()
        };
        self.landed.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether all is known.
    pub(super) fn is_over(&self) -> bool {
        self.lock().missing == 0
    }

    /// The same; has the task woken when it is.
    pub(super) fn poll(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.missing == 0 {
            return Poll::Ready(());
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    }

    /// Waits until all is known; false: the time is over first.
    pub(super) fn wait(&self, at_most: Duration) -> bool {
        let waited = self.landed.wait_timeout_while(self.lock(), at_most, |s| s.missing > 0);
        waited.unwrap_or_else(PoisonError::into_inner).0.missing == 0
    }

    /// What is known, by lane. One of which nothing is known is empty: a message that was put there
    /// finds that nobody can say.
    pub(super) fn take(&self) -> Vec<Flushed> {
        let lanes = std::mem::take(&mut self.lock().lanes);
        lanes.into_iter().map(|lane| lane.unwrap_or(Ok(Vec::new()))).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::client::Acked;

    #[test]
    fn it_is_over_when_every_lane_has_been_told_once() {
        let landing = Landing::new(2);
        landing.tell(1, Ok(Vec::new()));
        landing.tell(1, Ok(vec![Acked { batch: 0, partition: 0, base_offset: 0, count: 1 }]));
        landing.tell(7, Ok(Vec::new()));
        assert!(!landing.is_over() && !landing.wait(Duration::ZERO));
        assert!(landing.poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let other = landing.clone();
        let telling = thread::spawn(move || other.tell(0, Ok(Vec::new())));
        assert!(landing.wait(Duration::from_secs(30)));
        telling.join().expect("told");
        assert_eq!(landing.take().len(), 2);
        assert!(Landing::new(0).is_over());
    }
}
