//! Puts a thread to sleep until a waker is called.
//!
//! Each thread has one [`Parker`] and one [`Waker`] to it, so a thread that blocks and a task that
//! awaits register with a channel in the same way. A futex rather than `std::thread::park`, whose
//! token belongs to the program: a channel that took it would lose the program's own wake-ups.

use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Instant;

#[cfg(all(target_os = "linux", not(loom), not(miri)))]
use futex::Word;
#[cfg(not(all(target_os = "linux", not(loom), not(miri))))]
use monitor::Word;

/// Sleeps until woken. A wake that comes before the sleep is kept, one of several.
#[derive(Debug, Default)]
pub(crate) struct Parker {
    word: Word,
}

impl Parker {
    /// Sleeps until a wake or the deadline; may return for no reason.
    pub(crate) fn park(&self, deadline: Option<Instant>) {
        super::crowd::join();
        self.word.sleep(deadline);
    }
}

impl Wake for Parker {
    fn wake(self: Arc<Self>) {
        self.word.wake();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.word.wake();
    }
}

/// Runs `with` on this thread's parker and the waker that ends its sleep.
pub(crate) fn with_parker<R>(with: impl FnOnce(&Parker, &Waker) -> R) -> R {
    #[cfg(not(loom))]
    {
        thread_local! {
            static OWN: (Arc<Parker>, Waker) = fresh();
        }
        let mut with = Some(with);
        let kept = OWN.try_with(|(parker, waker)| with.take().map(|with| with(parker, waker)));
        if let Ok(Some(result)) = kept {
            return result;
        }
        // The thread is ending and its own parker is gone: a fresh one will do.
        let (parker, waker) = fresh();
        with.take().map(|with| with(&parker, &waker)).expect("not called yet")
    }
    #[cfg(loom)]
    {
        let (parker, waker) = fresh();
        with(&parker, &waker)
    }
}

fn fresh() -> (Arc<Parker>, Waker) {
    let parker = Arc::new(Parker::default());
    let waker = Waker::from(Arc::clone(&parker));
    (parker, waker)
}

#[cfg(all(target_os = "linux", not(loom), not(miri)))]
mod futex {
    //! One word and the kernel's futex.

    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Instant;

    use super::super::crowd;
    use rustix::io::Errno;
    use rustix::thread::futex::Timespec;
    use rustix::thread::futex::{self, Flags};

    const IDLE: u32 = 0;
    const WOKEN: u32 = 1;
    const ASLEEP: u32 = 2;

    #[derive(Debug, Default)]
    pub(super) struct Word(AtomicU32);

    impl Word {
        pub(super) fn sleep(&self, deadline: Option<Instant>) {
            // ORDERING: acquire, here and below, pairs with the swap of `wake`: what the waker did
            // before is seen after the sleep.
            let fresh = self.0.compare_exchange(IDLE, ASLEEP, Ordering::Acquire, Ordering::Acquire);
            if fresh.is_ok() {
                crowd::fell_asleep();
                loop {
                    let ended = self.wait(deadline);
                    if self.0.load(Ordering::Relaxed) == WOKEN || ended {
                        break;
                    }
                }
            }
            // Whoever wakes another counts it as awake.
            if self.0.swap(IDLE, Ordering::Acquire) == ASLEEP {
                crowd::woke();
            }
        }

        /// True: the deadline passed.
        fn wait(&self, deadline: Option<Instant>) -> bool {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            // A time that does not fit is as good as for ever.
            let left = left.and_then(|left| Timespec::try_from(left).ok());
            let ended = futex::wait(&self.0, Flags::PRIVATE, ASLEEP, left.as_ref());
            ended == Err(Errno::TIMEDOUT)
        }

        pub(super) fn wake(&self) {
            // ORDERING: release, pairs with the acquire of `sleep`.
            if self.0.swap(WOKEN, Ordering::Release) == ASLEEP {
                crowd::woke();
                // Failure means that nobody waits there any more.
                let _ = futex::wake(&self.0, Flags::PRIVATE, 1);
            }
        }
    }
}

#[cfg(not(all(target_os = "linux", not(loom), not(miri))))]
mod monitor {
    //! A lock and a condition variable, for systems without futexes and for the model checker.

    #[cfg(loom)]
    use loom::sync::{Condvar, Mutex};
    #[cfg(not(loom))]
    use std::sync::{Condvar, Mutex};
    use std::time::Instant;

    #[derive(Debug)]
    pub(super) struct Word {
        woken: Mutex<bool>,
        changed: Condvar,
    }

    impl Default for Word {
        fn default() -> Word {
            Word { woken: Mutex::new(false), changed: Condvar::new() }
        }
    }

    impl Word {
        pub(super) fn sleep(&self, deadline: Option<Instant>) {
            let mut woken = self.woken.lock().unwrap();
            while !*woken {
                let Some(deadline) = deadline else {
                    woken = self.changed.wait(woken).unwrap();
                    continue;
                };
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                woken = self.changed.wait_timeout(woken, left).unwrap().0;
            }
            *woken = false;
        }

        pub(super) fn wake(&self) {
            *self.woken.lock().unwrap() = true;
            self.changed.notify_one();
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_wake_before_the_sleep_is_kept_and_only_one() {
        with_parker(|parker, waker| {
            waker.wake_by_ref();
            waker.wake_by_ref();
            parker.park(None);
            let deadline = Instant::now() + Duration::from_millis(1);
            parker.park(Some(deadline));
            assert!(Instant::now() >= deadline, "the second wake was not kept");
        });
    }

    #[test]
    fn a_wake_from_another_thread_ends_the_sleep() {
        let (parker, waker) = fresh();
        let other = std::thread::spawn(move || waker.wake());
        parker.park(None);
        other.join().unwrap();
    }
}
