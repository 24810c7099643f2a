//! One sender, one receiver: the fastest way from one thread to another.
//!
//! Two channels with the same methods. [`channel`] is for messages; [`slices`] lays them side by
//! side, so that parts of the ring can be written and read in place.
//!
//! ```
//! use chaski_ring::spsc;
//! use std::thread;
//!
//! let (mut tx, mut rx) = spsc::channel(1024);
//! let producer = thread::spawn(move || {
//!     for n in 0..10_000u64 {
//!         tx.send(n).unwrap();
//!     }
//! });
//! // Ends when the sender is gone and everything it sent has been received.
//! assert_eq!(rx.iter().sum::<u64>(), 49_995_000);
//! producer.join().unwrap();
//! ```

mod publication;
pub(crate) mod ring;
mod rx;
pub mod slices;
mod tx;

pub(crate) use publication::{Cursor, Stamped};
pub(crate) use rx::Rx;
pub(crate) use tx::Tx;

use crate::front::{Measure, end_methods, receiver_methods, sender_methods, sole_sender_methods};
use crate::stats::Stats;
use crate::sync::Arc;
use crate::wait::{Wait, Waiters};
use publication::Publication;

/// A channel of one sender and one receiver with room for `capacity` messages.
///
/// # Panics
/// If `capacity` is 0 or more than memory can hold.
pub fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let (tx, rx) = ring::ring(capacity, Arc::new(Waiters::new()));
    (Sender { tx }, Receiver { rx })
}

/// The sending end of [`channel`]. Dropped, it lets the receiver drain what was sent.
pub struct Sender<T> {
    tx: Tx<T, Stamped>,
}

/// The receiving end of [`channel`]. Dropped, it drops what was sent, and the sender learns of it.
pub struct Receiver<T> {
    rx: Rx<T, Stamped>,
}

impl<T> Sender<T> {
    sender_methods!(self, &mut);
    sole_sender_methods!(self);
    end_methods!(self);

    fn port(&mut self) -> &mut Tx<T, Stamped> {
        &mut self.tx
    }

    fn measured(&self) -> &Tx<T, Stamped> {
        &self.tx
    }

    fn wait_mut(&mut self) -> &mut Wait {
        &mut self.tx.wait
    }
}

impl<T> Receiver<T> {
    receiver_methods!(self, &mut);
    end_methods!(self);

    /// Refuses what is sent from now on. What was sent before can still be received.
    pub fn close(&mut self) {
        self.rx.close();
    }

    fn port(&mut self) -> &mut Rx<T, Stamped> {
        &mut self.rx
    }

    fn measured(&self) -> &Rx<T, Stamped> {
        &self.rx
    }

    fn wait_mut(&mut self) -> &mut Wait {
        &mut self.rx.wait
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.tx.close();
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.rx.close();
        self.rx.drain();
    }
}

crate::front::debug_ends!("spsc");

impl<T, P: Publication<T>> Measure for &Tx<T, P> {
    fn len(&self) -> usize {
        self.ring().len()
    }

    fn capacity(&self) -> Option<usize> {
        Some(self.ring().capacity)
    }

    fn is_closed(&self) -> bool {
        self.items().is_closed()
    }

    fn stats(&self) -> Stats {
        stats(self.ring(), self.items())
    }
}

impl<T, P: Publication<T>> Measure for &Rx<T, P> {
    fn len(&self) -> usize {
        self.ring().len()
    }

    fn capacity(&self) -> Option<usize> {
        Some(self.ring().capacity)
    }

    fn is_closed(&self) -> bool {
        self.items().is_closed() || self.ring().space.is_closed()
    }

    fn stats(&self) -> Stats {
        stats(self.ring(), self.items())
    }
}

fn stats<T, P: Publication<T>>(ring: &ring::Ring<T, P>, items: &Waiters) -> Stats {
    let mut stats = Stats { receiver_wakes: items.wakes(), ..Stats::default() };
    ring.count(&mut stats);
    stats
}
