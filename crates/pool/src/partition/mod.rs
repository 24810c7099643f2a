//! Who gets a message: partitioners, called by producers on their own threads.
//!
//! There is no dispatcher. A producer that has a message asks a [`Partitioner`] for a worker and
//! pushes to that worker's queue, all on its own thread:
//!
//! ```text
//! producer A --pick--+---> queue of worker 0
//!                     \
//! producer B --pick----+-> queue of worker 1
//! ```
//!
//! A pick takes no lock and writes to no memory that another producer reads, so producers do not
//! slow each other down. What a pick may depend on comes in as [`Workers`]: the workers there are,
//! how deep their queues are, and how often this producer has picked before.
//!
//! # Which one
//!
//! | partitioner | a key stays with its worker | for |
//! |---|---|---|
//! | [`Hash`](struct@Hash) | while the number of workers stays | state by key, a fixed pool |
//! | [`Consistent`] | till it leaves, or a new one takes the key | state by key, an elastic pool |
//! | [`Range`] | while the number of workers stays | keys whose neighbours belong together |
//! | [`RoundRobin`] | no | messages of equal cost |
//! | [`LeastLoaded`] | no | messages of unequal cost |
//! | [`Custom`] | as you write it | what none of these does |
//!
//! How many keys move when a worker joins or leaves is stated at each of them.
//!
//! The first two depend on nothing but the key's bytes and the workers: not on the process, the
//! version of this crate or of Rust, or the architecture. What was stored by partition is found
//! again. [`hash`] says how, so that programs in other languages can compute the same.
//!
//! A key that moves while messages are queued meets its new worker before its old one has finished
//! with it. Who needs the order of a key across such a move drains the old worker first.
//!
//! # One of your own
//!
//! ```
//! use chaski_pool::partition::{Hash, Partitioner, Turn, WorkerId, Workers};
//!
//! struct Order { customer: u64, express: bool }
//!
//! /// Express orders to the first worker, the others by customer.
//! struct ExpressApart;
//!
//! impl Partitioner<Order> for ExpressApart {
//!     fn pick(&self, order: &Order, workers: &Workers<'_>) -> usize {
//!         if order.express { 0 } else { Hash.pick(&order.customer, workers) }
//!     }
//! }
//!
//! let (ids, turn) = ([0, 1, 2].map(WorkerId::new), Turn::new());
//! let workers = Workers::new(&ids, &|_| 0, &turn).unwrap();
//! assert_eq!(ExpressApart.pick(&Order { customer: 17, express: true }, &workers), 0);
//! ```

mod consistent;
mod custom;
mod hash;
mod jump;
mod key;
mod least_loaded;
mod range;
mod round_robin;
mod workers;

use std::sync::Arc;

pub use consistent::{Consistent, VIRTUAL_NODES_DEFAULT};
pub use custom::Custom;
pub use hash::Hash;
pub use jump::jump;
pub use key::{Key, hash};
pub use least_loaded::{LeastLoaded, SCAN_MAX_DEFAULT};
pub use range::{Range, RangeError};
pub use round_robin::RoundRobin;
pub use workers::{Turn, WorkerId, Workers};

/// Says which worker gets a message.
///
/// Any number of producers call [`pick`](Self::pick) at once, each on its own thread; it is part of
/// every send and should cost nanoseconds. Workers may join and leave meanwhile: each producer
/// picks among those it knows of, and the pool tells the partitioner through
/// [`joined`](Self::joined) and [`left`](Self::left). Producers may learn of a change before the
/// partitioner does, or after it.
pub trait Partitioner<K: ?Sized>: Send + Sync {
    /// The slot in `workers` of the one that gets the message with this key, less than
    /// [`workers.count()`](Workers::count).
    fn pick(&self, key: &K, workers: &Workers<'_>) -> usize;

    /// Whether any worker will do for any message.
    ///
    /// A producer that was sent to a dead worker then goes on to the next one that is not dead. A
    /// partitioner that cares for keys is asked again instead, and has the last word.
    fn keyless(&self) -> bool {
        false
    }

    /// A worker has started and takes messages.
    ///
    /// Called when the pool starts, for each worker, and whenever one is added; never for a worker
    /// that was only restarted. Most partitioners have nothing to do.
    fn joined(&self, worker: WorkerId) {
        let _ = worker;
    }

    /// A worker gets no more messages.
    fn left(&self, worker: WorkerId) {
        let _ = worker;
    }
}

macro_rules! forward {
    ($($pointer:ident),*) => {$(
        impl<K: ?Sized, P: Partitioner<K> + ?Sized> Partitioner<K> for $pointer<P> {
            fn pick(&self, key: &K, workers: &Workers<'_>) -> usize {
                (**self).pick(key, workers)
            }

            fn keyless(&self) -> bool {
                (**self).keyless()
            }

            fn joined(&self, worker: WorkerId) {
                (**self).joined(worker);
            }

            fn left(&self, worker: WorkerId) {
                (**self).left(worker);
            }
        }
    )*};
}

forward!(Arc, Box);
