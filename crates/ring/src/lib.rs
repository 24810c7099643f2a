//! Lock-free queues between threads, and how to wait on them.
//!
//! Moving a message and waiting for one are two things, kept apart:
//!
//! - [`mailbox`] moves: many producers, one consumer, unbounded, drained whole. It is what a
//!   reactor's inbox needs.
//! - [`doze`] waits: a flag by which a producer learns whether the consumer sleeps, so that a busy
//!   consumer costs its producers no system call.
//!
//! Together, with any primitive that wakes a thread (an eventfd, a condition variable):
//!
//! ```text
//! producer                          consumer
//!   mailbox.push(message)             loop:
//!   if doze.must_wake(): wake           mailbox.drain(..), work
//!                                       doze.announce()
//!                                       if mailbox.is_empty(): sleep until woken
//!                                       doze.awake()
//! ```
//!
//! The announcement comes before the last look and the push before the question, so one of the two
//! sides always sees the other. A consumer without a [`doze::Doze`] may instead sleep after any
//! drain that found nothing, if producers wake it whenever a push says the mailbox was empty.
//!
//! Every ordering is checked by loom: `RUSTFLAGS="--cfg loom" cargo test -p chaski-ring --release
//! --test loom --target-dir target/loom`.

pub mod doze;
pub mod mailbox;
mod padded;

pub use doze::Doze;
pub use mailbox::Mailbox;

/// The atomics in use: the machine's, or those of the model checker.
mod atomics {
    #[cfg(loom)]
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicPtr, Ordering, fence};
    #[cfg(not(loom))]
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering, fence};
}
