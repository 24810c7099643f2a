//! Waiting, apart from moving: fences, sleep, the queue of those who sleep, and what comes before.

mod backoff;
mod crowd;
mod fence;
mod park;
mod patience;
mod waiters;

pub use backoff::Wait;
pub(crate) use backoff::{Backoff, Next};
pub(crate) use park::with_parker;
pub(crate) use patience::{MOMENT, Patience, wait_a_moment};
pub(crate) use waiters::{Place, Waiters};
