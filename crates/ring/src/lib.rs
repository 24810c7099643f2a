//! Lock-free queues between threads, and how to wait on them.
//!
//! [`mailbox`] is the one the reactor's wake-ups need: many producers, one consumer, unbounded,
//! drained in batches, and a push tells whether the consumer must be woken.

pub mod mailbox;
