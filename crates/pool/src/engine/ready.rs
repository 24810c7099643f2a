//! Which of a worker's tasks have been woken, and whether the worker sleeps.
//!
//! One bit a task. A wake, on whatever thread, sets the bit and ends the worker's sleep if it
//! sleeps; the worker takes the bits 64 at a time. Nothing is allocated and no lock is taken for a
//! wake of a worker that is awake.
//!
//! ```text
//!   wake                         worker
//!     set the bit                  say "I sleep"
//!     fence                        fence
//!     asleep? wake it              any bit, any order? then no sleep
//! ```

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

/// Bits of a word.
const BITS: usize = u64::BITS as usize;

#[derive(Debug)]
pub(super) struct Ready {
    words: Box<[AtomicU64]>,
    asleep: AtomicBool,
    sleeper: Mutex<Option<Waker>>,
}

impl Ready {
    /// For this many tasks, none of them woken.
    pub(super) fn new(tasks: usize) -> Ready {
        let words = (0..tasks.div_ceil(BITS)).map(|_| AtomicU64::new(0)).collect();
        Ready { words, asleep: AtomicBool::new(false), sleeper: Mutex::new(None) }
    }

    /// The waker of one task.
    pub(super) fn waker(self: &Arc<Ready>, task: usize) -> Waker {
        Waker::from(Arc::new(Task { ready: Arc::clone(self), task }))
    }

    /// Worker: about to sleep until `waker` is called. It must look for bits and orders after this.
    pub(super) fn sleep(&self, waker: &Waker) {
        let mut sleeper = self.sleeper.lock().unwrap_or_else(PoisonError::into_inner);
        if !sleeper.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *sleeper = Some(waker.clone());
        }
        drop(sleeper);
        self.asleep.store(true, Ordering::Relaxed);
        // ORDERING: pairs with the fence of `set`, and with that of whoever gives an order.
        fence(Ordering::SeqCst);
    }

    /// Worker: up again.
    pub(super) fn awake(&self) {
        self.asleep.store(false, Ordering::Relaxed);
    }

    /// Whether a task has been woken.
    pub(super) fn any(&self) -> bool {
        self.words.iter().any(|word| word.load(Ordering::Relaxed) != 0)
    }

    /// Takes the tasks that have been woken.
    pub(super) fn take(&self) -> impl Iterator<Item = usize> + '_ {
        let taken = self.words.iter().enumerate().map(|(index, word)| {
            // ORDERING: acquire, pairs with the release of `set`: the task sees what its waker did.
            let bits = match word.load(Ordering::Relaxed) {
                0 => 0,
                _ => word.swap(0, Ordering::Acquire),
            };
            (index * BITS, bits)
        });
        taken.flat_map(|(first, bits)| ones(bits).map(move |bit| first + bit))
    }

    fn set(&self, task: usize) {
        self.words[task / BITS].fetch_or(1 << (task % BITS), Ordering::Release);
        // ORDERING: pairs with the fence of `sleep`: either this sees that the worker sleeps, or
        // the worker sees the bit.
        fence(Ordering::SeqCst);
        self.end_sleep();
    }

    /// Wakes the worker if it sleeps. Whatever it is to see was published before a fence.
    fn end_sleep(&self) {
        if self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::AcqRel) {
            let sleeper = self.sleeper.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(waker) = sleeper {
                waker.wake();
            }
        }
    }
}

/// As a waker it stands for the worker itself and no task.
impl Wake for Ready {
    fn wake(self: Arc<Self>) {
        self.end_sleep();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.end_sleep();
    }
}

struct Task {
    ready: Arc<Ready>,
    task: usize,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.ready.set(self.task);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ready.set(self.task);
    }
}

/// The places of the bits that are set.
fn ones(mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lowest = (bits != 0).then(|| bits.trailing_zeros() as usize)?;
        bits &= bits - 1;
        Some(lowest)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn woken_tasks_are_taken_once() {
        let ready = Arc::new(Ready::new(130));
        for task in [129, 0, 64, 63, 0] {
            ready.waker(task).wake();
        }
        assert!(ready.any());
        assert_eq!(ready.take().collect::<Vec<_>>(), [0, 63, 64, 129]);
        assert!(!ready.any());
        assert_eq!(ready.take().count(), 0);
    }

    #[test]
    fn a_sleep_is_ended_once() {
        let ready = Arc::new(Ready::new(1));
        let count = Arc::new(Count::default());
        let sleeper = Waker::from(Arc::clone(&count));
        let woken = || count.0.load(Ordering::Relaxed);
        ready.waker(0).wake();
        assert_eq!(woken(), 0, "it was awake");
        ready.sleep(&sleeper);
        ready.waker(0).wake();
        ready.waker(0).wake();
        assert_eq!(woken(), 1);
        ready.sleep(&sleeper);
        Waker::from(Arc::clone(&ready)).wake();
        assert_eq!(woken(), 2);
        ready.sleep(&sleeper);
        ready.awake();
        ready.waker(0).wake();
        assert_eq!(woken(), 2);
    }
}
