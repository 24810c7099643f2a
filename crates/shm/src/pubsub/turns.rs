//! A value with an owner, who comes all the time, and visitors, who come seldom.
//!
//! A mutex costs its owner two locked instructions for each message, as much as the message. Here
//! the owner stores one word, loads another, and stores the first again:
//!
//! ```text
//! owner                                   visitor
//!   busy = true                             take the mutex
//!   (compiler fence)                        wanted = true
//!   wanted? step aside:                     membarrier: a fence in the owner's thread
//!     busy = false, wait at the mutex       wait until busy = false, but not for long
//!   ... the value ...                       ... the value ...
//!   busy = false                            wanted = false, leave the mutex
//! ```
//!
//! Whichever way the fence falls, the owner sees `wanted` or the visitor sees `busy`: Dekker's
//! handshake, with all of its cost on the side that is seldom there. Where the system has no such
//! fence the owner runs one itself.

use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering, compiler_fence, fence};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::thread::{MembarrierCommand, membarrier};

/// Looks of a visitor before it sleeps between them.
const LOOKS: u32 = 1000;
/// How long it then sleeps.
const REST: Duration = Duration::from_micros(50);

/// What owner and visitors share.
struct Shared<T> {
    /// The owner is at the value.
    busy: AtomicBool,
    /// A visitor is, or wants to be.
    wanted: AtomicBool,
    /// Held by a visitor all the time that `wanted` is set.
    door: Mutex<()>,
    value: UnsafeCell<T>,
}

// SAFETY: one thread at a time is at the value, see `Owner::enter` and `Visitor::visit`; so it
// needs to be fit to go from one to the other, and no more.
unsafe impl<T: Send> Sync for Shared<T> {}

/// The one who comes all the time.
pub(super) struct Owner<T> {
    shared: Arc<Shared<T>>,
    /// Visitors bring the fence.
    fenced: bool,
}

/// One who comes seldom.
pub(super) struct Visitor<T>(Arc<Shared<T>>);

impl<T> Owner<T> {
    pub(super) fn new(value: T) -> Owner<T> {
        let (busy, wanted) = (AtomicBool::new(false), AtomicBool::new(false));
        let shared = Shared { busy, wanted, door: Mutex::new(()), value: UnsafeCell::new(value) };
        Owner { shared: Arc::new(shared), fenced: can_fence_others() }
    }

    pub(super) fn visitor(&self) -> Visitor<T> {
        Visitor(self.shared.clone())
    }

    /// Takes the value, after a visitor that is there. (Forgotten, what is returned keeps visitors
    /// out.)
    #[inline]
    pub(super) fn enter(&mut self) -> Inside<'_, T> {
        let shared = &*self.shared;
        shared.busy.store(true, Ordering::Relaxed);
        if self.fenced {
            // ORDERING: pairs with the membarrier of `visit`, which is the processor's part.
            compiler_fence(Ordering::SeqCst);
        } else {
            // ORDERING: pairs with the fence of `visit`.
            fence(Ordering::SeqCst);
        }
        // ORDERING: acquire, pairs with the release of `wanted` by the last visitor: what it did to
        // the value is there.
        if shared.wanted.load(Ordering::Acquire) {
            shared.step_aside();
        }
        Inside { shared }
    }
}

impl<T> Shared<T> {
    /// Lets the visitor go first. Who comes after it finds the owner there.
    #[cold]
    fn step_aside(&self) {
        // ORDERING: release, for a visitor that sees this store and not the one at the end of an
        // earlier turn; the mutex orders what the visitor does.
        self.busy.store(false, Ordering::Release);
        let _door = self.door.lock().unwrap_or_else(PoisonError::into_inner);
        // ORDERING: whoever has the mutex next sees it.
        self.busy.store(true, Ordering::Relaxed);
    }
}

impl<T> Visitor<T> {
    /// Takes the value for as long as `visit` runs; `None` if the owner did not leave it within
    /// `patience`, perhaps because its thread was stopped there. If `visit` panics the value stays
    /// as that left it.
    pub(super) fn visit<R>(
        &self,
        patience: Duration,
        visit: impl FnOnce(&mut T) -> R,
    ) -> Option<R> {
        let shared = &*self.0;
        let _door = shared.door.lock().unwrap_or_else(PoisonError::into_inner);
        shared.wanted.store(true, Ordering::Relaxed);
        let _wanted = Wanted(&shared.wanted);
        // ORDERING: pairs with the fence of `enter`, or is that fence: see the module.
        fence(Ordering::SeqCst);
        if can_fence_others() && membarrier(MembarrierCommand::PrivateExpedited).is_err() {
            // It could before. Without it nothing is known of the owner.
            return None;
        }
        let begun = Instant::now();
        let mut looks = 0;
        // ORDERING: acquire, pairs with the release of `Inside`: what the owner did is there.
        while shared.busy.load(Ordering::Acquire) {
            looks += 1;
            if looks < LOOKS {
                std::hint::spin_loop();
            } else if begun.elapsed() < patience {
                thread::sleep(REST);
            } else {
                return None;
            }
        }
        // SAFETY: visitors hold the mutex. The owner was not there, and will not be before `wanted`
        // is false again: it either saw that true behind its store of `busy`, and waits at the
        // mutex, or had stored `busy` before the fence, so that the loop waited for it.
        Some(visit(unsafe { &mut *shared.value.get() }))
    }
}

/// While it lives a visitor is wanted; dropped before the mutex.
struct Wanted<'a>(&'a AtomicBool);

impl Drop for Wanted<'_> {
    fn drop(&mut self) {
        // ORDERING: release, pairs with the load of `enter`.
        self.0.store(false, Ordering::Release);
    }
}

/// The owner at the value.
pub(super) struct Inside<'a, T> {
    shared: &'a Shared<T>,
}

impl<T> Drop for Inside<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // ORDERING: release, pairs with the look of `visit`.
        self.shared.busy.store(false, Ordering::Release);
    }
}

impl<T> Deref for Inside<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the owner is there, alone: this borrows it mutably, and no visitor is, see
        // `visit`.
        unsafe { &*self.shared.value.get() }
    }
}

impl<T> DerefMut for Inside<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`.
        unsafe { &mut *self.shared.value.get() }
    }
}

/// Whether this process can have a fence run in all of its threads: asked once.
fn can_fence_others() -> bool {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    *REGISTERED.get_or_init(|| {
        membarrier(MembarrierCommand::RegisterPrivateExpedited).is_ok()
            && membarrier(MembarrierCommand::PrivateExpedited).is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// Two numbers that are equal whenever nobody is at them.
    type Pair = (u64, u64);

    fn count(pair: &mut Pair) {
        assert_eq!(pair.0, pair.1);
        pair.0 += 1;
        std::hint::black_box(&mut *pair);
        pair.1 += 1;
    }

    fn contend(mut owner: Owner<Pair>) {
        const VISITS: u64 = 2000;
        let visitors = [owner.visitor(), owner.visitor()];
        let visiting = visitors.map(|visitor| {
            thread::spawn(move || {
                (0..VISITS).for_each(|_| visitor.visit(LONG, count).expect("the owner leaves"));
            })
        });
        let mut entered = 0;
        while visiting.iter().any(|thread| !thread.is_finished()) {
            (0..100).for_each(|_| count(&mut owner.enter()));
            entered += 100;
        }
        visiting.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(*owner.enter(), (entered + 2 * VISITS, entered + 2 * VISITS));
    }

    #[test]
    fn owner_and_visitors_are_never_there_together() {
        contend(Owner::new((0, 0)));
    }

    #[test]
    fn nor_are_they_with_fences_of_the_owner() {
        contend(Owner { fenced: false, ..Owner::new((0, 0)) });
    }

    #[test]
    fn a_visitor_does_not_wait_for_an_owner_that_stays() {
        let mut owner = Owner::new(7);
        let visitor = owner.visitor();
        let inside = owner.enter();
        assert_eq!(visitor.visit(Duration::from_millis(1), |value| *value), None);
        drop(inside);
        assert_eq!(visitor.visit(LONG, |value| std::mem::replace(value, 8)), Some(7));
        assert_eq!(*owner.enter(), 8);
    }

    #[test]
    fn a_visitor_that_panics_does_not_keep_the_owner_out() {
        let mut owner = Owner::new(7);
        let visitor = owner.visitor();
        let visiting = thread::spawn(move || visitor.visit(LONG, |_| panic!("on purpose")));
        assert!(visiting.join().is_err());
        assert_eq!(*owner.enter(), 7);
    }
}
