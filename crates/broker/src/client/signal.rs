//! How a reader sleeps: until the store has more for it, the broker stops, or somebody interrupts.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Waker;
use std::time::Instant;

use chaski_log::store::Watcher;

/// Raised by whoever has news; stays so until somebody, a thread or a task, has waited for it.
#[derive(Default)]
pub(crate) struct Signal {
    state: Mutex<State>,
    raised: Condvar,
}

#[derive(Default)]
struct State {
    raised: bool,
    waker: Option<Waker>,
}

impl Signal {
    /// Wakes who waits, now or later.
    pub(crate) fn raise(&self) {
        let waker = {
            let mut state = self.lock();
            state.raised = true;
            state.waker.take()
        };
        self.raised.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Sleeps until it is raised; false: the deadline came first. None: no deadline.
    pub(crate) fn wait(&self, deadline: Option<Instant>) -> bool {
        let mut state = self.lock();
        while !state.raised {
            let Some(deadline) = deadline else {
                state = self.raised.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.raised.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.raised = false;
        true
    }

    /// Has the task woken when it is raised; true: it is.
    pub(crate) fn poll(&self, waker: &Waker) -> bool {
        let mut state = self.lock();
        if std::mem::take(&mut state.raised) {
            return true;
        }
        match &mut state.waker {
            Some(kept) => kept.clone_from(waker),
            None => state.waker = Some(waker.clone()),
        }
        false
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watcher for Signal {
    fn advanced(&self, _key: u64) {
        self.raise();
    }
}

/// Whether the broker stops, and who is to be told.
#[derive(Default)]
pub(crate) struct Stopping {
    begun: AtomicBool,
    signals: Mutex<Vec<Weak<Signal>>>,
}

impl Stopping {
    /// From now on clients are told that the broker has stopped; those that sleep are woken.
    pub(crate) fn begin(&self) {
        let signals = {
            let mut signals = self.lock();
            // ORDERING: pairs with the load in `has_begun`. The signals are raised after it, so a
            // reader that has not seen it is woken.
            self.begun.store(true, Ordering::Release);
            std::mem::take(&mut *signals)
        };
        signals.iter().filter_map(Weak::upgrade).for_each(|signal| signal.raise());
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Acquire)
    }

    /// A signal that is raised when the broker stops.
    pub(crate) fn signal(&self) -> Arc<Signal> {
        let signal = Arc::new(Signal::default());
        let mut signals = self.lock();
        if self.has_begun() {
            signal.raise();
            return signal;
        }
        // Those that are gone are swept out when the list would grow otherwise.
        if signals.len() == signals.capacity() {
            signals.retain(|signal| signal.strong_count() > 0);
        }
        signals.push(Arc::downgrade(&signal));
        signal
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Signal>>> {
        self.signals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_come_late_are_told_as_well() {
        let stopping = Stopping::default();
        let early = stopping.signal();
        assert!(!stopping.has_begun());
        stopping.begin();
        assert!(early.wait(None) && stopping.signal().wait(None));
    }

    #[test]
    fn signals_that_are_gone_do_not_pile_up() {
        let stopping = Stopping::default();
        for _ in 0..10_000 {
            drop(stopping.signal());
        }
        assert!(stopping.lock().len() < 100);
    }

    #[test]
    fn a_task_is_woken_once_and_a_raised_signal_needs_no_waker() {
        struct Count(std::sync::atomic::AtomicUsize);
        impl std::task::Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let count = Arc::new(Count(Default::default()));
        let waker = Waker::from(count.clone());
        let signal = Signal::default();
        assert!(!signal.poll(&waker) && !signal.poll(&waker));
        signal.raise();
        signal.raise();
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert!(signal.poll(&waker));
        assert!(!signal.poll(&waker), "once");
    }
}
