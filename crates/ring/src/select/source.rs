//! What can be selected from.

use std::task::Waker;

use crate::front::Watch;
use crate::shared::Shared;
use crate::sync::Ordering;
use crate::wait::{Place, Waiters};

/// A receiver that [select](mod@crate::select) can wait for: every receiver of this crate is one,
/// and nothing else can be.
pub trait Source: sealed::Waits + Sync {
    /// Whether `try_recv` would answer something other than `Empty`. By the time it is known
    /// another receiver may have taken the message.
    fn is_ready(&self) -> bool;
}

pub(crate) mod sealed {
    use std::task::Waker;

    /// Out of reach, so that only this crate implements [`super::Source`].
    pub trait Waits {
        /// Takes a place among those who wait, or keeps the one it has.
        fn register(&self, place: &mut Option<u64>, waker: &Waker);

        /// Gives the place up. If it had been woken, wakes another in its stead.
        fn leave(&self, place: &mut Option<u64>);
    }
}

/// Makes a receiver that was given the `receiver_methods` a source.
macro_rules! source {
    ($receiver:ty) => {
        impl<T: Send> Source for $receiver {
            fn is_ready(&self) -> bool {
                self.watched().is_ready()
            }
        }

        impl<T: Send> sealed::Waits for $receiver {
            fn register(&self, place: &mut Place, waker: &Waker) {
                self.watched().join(place, waker);
            }

            fn leave(&self, place: &mut Place) {
                self.watched().quit(place);
            }
        }
    };
}

source!(crate::spsc::Receiver<T>);
source!(crate::mpsc::Receiver<T>);
source!(crate::mpmc::Receiver<T>);
source!(crate::fan_in::Receiver<T>);
source!(crate::unbounded::Receiver<T>);
source!(crate::rendezvous::Receiver<T>);

/// It has one cell for a waker and no queue: a wait leaves its waker there, and two that wait at
/// once wake each other. Once ready it stays so for everyone, so no wake-up needs passing on.
impl<T: Send> Source for crate::oneshot::Receiver<T> {
    fn is_ready(&self) -> bool {
        self.is_closed()
    }
}

impl<T: Send> sealed::Waits for crate::oneshot::Receiver<T> {
    fn register(&self, _place: &mut Place, waker: &Waker) {
        crate::oneshot::Receiver::register(self, waker);
    }

    fn leave(&self, _place: &mut Place) {}
}

impl<T: Send + Sync> Source for crate::broadcast::Receiver<T> {
    fn is_ready(&self) -> bool {
        self.arrival().is_ready()
    }
}

impl<T: Send + Sync> sealed::Waits for crate::broadcast::Receiver<T> {
    fn register(&self, place: &mut Place, waker: &Waker) {
        // Another select of this very receiver has the one place: this one comes back at once.
        if place.is_none() && self.selecting().swap(true, Ordering::Acquire) {
            return waker.wake_by_ref();
        }
        self.arrival().join(place, waker);
    }

    fn leave(&self, place: &mut Place) {
        if place.is_some() {
            self.arrival().quit(place);
            self.selecting().store(false, Ordering::Release);
        }
    }
}

impl<T> Watch for Shared<T> {
    fn waiters(&self) -> &Waiters {
        &self.array.items
    }

    fn position(&self) -> usize {
        self.array.head()
    }

    fn is_ready(&self) -> bool {
        self.array.is_ready()
    }
}

impl<S: Source + ?Sized> Source for &S {
    fn is_ready(&self) -> bool {
        (**self).is_ready()
    }
}

impl<S: Source + ?Sized> Source for &mut S {
    fn is_ready(&self) -> bool {
        (**self).is_ready()
    }
}

impl<S: Source + ?Sized> sealed::Waits for &S {
    fn register(&self, place: &mut Place, waker: &Waker) {
        (**self).register(place, waker);
    }

    fn leave(&self, place: &mut Place) {
        (**self).leave(place);
    }
}

impl<S: Source + ?Sized> sealed::Waits for &mut S {
    fn register(&self, place: &mut Place, waker: &Waker) {
        (**self).register(place, waker);
    }

    fn leave(&self, place: &mut Place) {
        (**self).leave(place);
    }
}
