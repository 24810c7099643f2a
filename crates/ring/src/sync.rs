//! Atomics, cells and locks: the machine's, or those of the model checker.
//!
//! Everything in this crate that threads share is made of these, so that loom sees it.

#[cfg(loom)]
pub(crate) use loom::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence},
};
#[cfg(not(loom))]
pub(crate) use std::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence},
};

use std::mem::MaybeUninit;
#[cfg(not(loom))]
use std::sync::PoisonError;

/// Locks, whether or not a panic once passed through: no invariant of this crate spans one.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    #[cfg(not(loom))]
    return mutex.lock().unwrap_or_else(PoisonError::into_inner);
    #[cfg(loom)]
    return mutex.lock().unwrap();
}

/// Passes a few nanoseconds.
pub(crate) fn pause() {
    #[cfg(not(loom))]
    std::hint::spin_loop();
    #[cfg(loom)]
    loom::thread::yield_now();
}

/// Passes so many times what [`pause`] does; none in a model, where time is nothing.
pub(crate) fn pause_for(_pauses: u32) {
    #[cfg(not(loom))]
    for _ in 0.._pauses {
        std::hint::spin_loop();
    }
}

/// Gives the rest of the time slice away.
pub(crate) fn yield_now() {
    #[cfg(not(loom))]
    std::thread::yield_now();
    #[cfg(loom)]
    loom::thread::yield_now();
}

/// Room for one message that one thread at a time writes, moves out or looks at.
#[derive(Debug)]
pub(crate) struct Room<T>(
    #[cfg(not(loom))] std::cell::UnsafeCell<MaybeUninit<T>>,
    #[cfg(loom)] loom::cell::UnsafeCell<MaybeUninit<T>>,
);

impl<T> Room<T> {
    /// Room without a message.
    pub(crate) fn empty() -> Room<T> {
        #[cfg(not(loom))]
        return Room(std::cell::UnsafeCell::new(MaybeUninit::uninit()));
        #[cfg(loom)]
        return Room(loom::cell::UnsafeCell::new(MaybeUninit::uninit()));
    }

    /// Moves a message in. One that was there is forgotten.
    ///
    /// # Safety
    /// The caller has this room alone for the time of the call.
    #[inline(always)]
    pub(crate) unsafe fn put(&self, message: T) {
        // SAFETY: exclusive by the caller's word; writing an uninitialised value is always fine.
        #[cfg(not(loom))]
        unsafe {
            (*self.0.get()).write(message);
        }
        // SAFETY: as above; loom checks the exclusiveness.
        #[cfg(loom)]
        self.0.with_mut(|room| unsafe {
            (*room).write(message);
        });
    }

    /// Moves the message out.
    ///
    /// # Safety
    /// The caller has this room alone, a message is in it, and nobody takes that one again.
    #[inline(always)]
    pub(crate) unsafe fn take(&self) -> T {
        // SAFETY: initialised and not taken before, by the caller's word.
        #[cfg(not(loom))]
        return unsafe { (*self.0.get()).assume_init_read() };
        // SAFETY: as above; loom checks the exclusiveness.
        #[cfg(loom)]
        return self.0.with_mut(|room| unsafe { (*room).assume_init_read() });
    }
}
