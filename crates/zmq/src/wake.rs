//! Wakers are called when no lock is held.
//!
//! A waker is the program's, and may do what it likes: an executor of one's own may poll the task
//! on the spot, and that one call the socket that wakes it. Much is found out under a lock, though:
//! a message put into a pipe is put there under the rules of the socket that sends it, and wakes
//! who receives from another.
//!
//! So a thread counts the locks that it holds, of those under which anybody can be woken
//! ([`hold`]). While it holds any, wakers are put by ([`wake`]), and called when it gives the last
//! one back. A thread that is to be woken by unparking it needs none of this.

use std::cell::{Cell, RefCell};
use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};
use std::thread;

/// In the count of locks: wakers have been put by.
const PUT_BY: u32 = 1 << 31;

thread_local! {
    /// How many locks this thread holds, and [`PUT_BY`].
    static HELD: Cell<u32> = const { Cell::new(0) };
    static WAKERS: RefCell<Vec<Waker>> = const { RefCell::new(Vec::new()) };
}

/// A lock under which somebody may be woken.
pub(crate) struct Held<'a, T> {
    // In this order: the lock is given back first.
    guard: MutexGuard<'a, T>,
    _counted: Counted,
}

struct Counted;

/// Takes a lock under which somebody may be woken. Nothing is left half done under such locks, so
/// one that a panic poisoned is as good as any.
#[inline]
pub(crate) fn hold<T>(mutex: &Mutex<T>) -> Held<'_, T> {
    let guard = mutex.lock().unwrap_or_else(PoisonError::into_inner);
    HELD.set(HELD.get() + 1);
    Held { guard, _counted: Counted }
}

/// Calls a waker: now, or when this thread holds no lock any more.
pub(crate) fn wake(waker: Waker) {
    if HELD.get() == 0 {
        return waker.wake();
    }
    WAKERS.with_borrow_mut(|wakers| wakers.push(waker));
    HELD.set(HELD.get() | PUT_BY);
}

/// A waker that can be called under any lock.
pub(crate) fn patient(waker: &Waker) -> Waker {
    struct Patient(Waker);

    impl Wake for Patient {
        fn wake(self: Arc<Self>) {
            wake(self.0.clone());
        }
    }

    Waker::from(Arc::new(Patient(waker.clone())))
}

impl Drop for Counted {
    #[inline]
    fn drop(&mut self) {
        let left = HELD.get() - 1;
        HELD.set(left);
        if left == PUT_BY {
            wake_those_put_by();
        }
    }
}

/// Calls them all, though one may panic.
#[cold]
fn wake_those_put_by() {
    HELD.set(0);
    let mut panicked = None;
    for waker in WAKERS.take() {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| waker.wake())) {
            panicked = Some(panic);
        }
    }
    if let Some(panic) = panicked.filter(|_| !thread::panicking()) {
        resume_unwind(panic);
    }
}

impl<T> Deref for Held<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for Held<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Takes both locks when it is woken.
    struct Caller([Arc<Mutex<()>>; 2], AtomicUsize);

    impl Wake for Caller {
        fn wake(self: Arc<Self>) {
            let _both = self.0.each_ref().map(|lock| hold(lock));
            self.1.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn who_is_woken_may_take_the_locks_it_was_woken_under() {
        let locks = [Arc::default(), Arc::default()];
        let caller = Arc::new(Caller(locks.clone(), AtomicUsize::new(0)));
        let woken = || caller.1.load(Ordering::Relaxed);
        let outer = hold(&locks[0]);
        let inner = hold(&locks[1]);
        wake(Waker::from(Arc::clone(&caller)));
        patient(&Waker::from(Arc::clone(&caller))).wake();
        drop(inner);
        assert_eq!(woken(), 0);
        drop(outer);
        assert_eq!(woken(), 2);
        wake(Waker::from(Arc::clone(&caller)));
        assert_eq!(woken(), 3);
    }

    #[test]
    fn one_who_panics_keeps_no_other_asleep() {
        struct Panics;

        impl Wake for Panics {
            fn wake(self: Arc<Self>) {
                panic!("as it is meant to");
            }
        }

        let lock = Mutex::new(());
        let caller = Arc::new(Caller([Arc::default(), Arc::default()], AtomicUsize::new(0)));
        let held = hold(&lock);
        wake(Waker::from(Arc::new(Panics)));
        wake(Waker::from(Arc::clone(&caller)));
        assert!(catch_unwind(AssertUnwindSafe(|| drop(held))).is_err());
        assert_eq!(caller.1.load(Ordering::Relaxed), 1);
        drop(hold(&lock));
    }
}
