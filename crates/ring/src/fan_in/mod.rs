//! Many senders, one receiver, a lane for each sender: the fastest way from a few busy threads to
//! one.
//!
//! ```
//! use chaski_ring::fan_in;
//! use std::thread;
//!
//! let (tx, mut rx) = fan_in::channel(256);
//! for producer in 0..3u64 {
//!     let mut tx = tx.clone();
//!     thread::spawn(move || {
//!         for n in 0..1000 {
//!             tx.send((producer, n)).unwrap();
//!         }
//!     });
//! }
//! drop(tx);
//! // Each sender's messages come in their order; between senders there is none.
//! let mut next = [0; 3];
//! for (producer, n) in rx.iter() {
//!     assert_eq!(n, next[producer as usize]);
//!     next[producer as usize] += 1;
//! }
//! assert_eq!(next, [1000; 3]);
//! ```
//!
//! Senders share nothing that they write, so they do not slow each other down. The receiver visits
//! the lanes in turn and takes a bounded burst from each, so that a busy sender does not starve the
//! others.
//!
//! What it asks for: memory for `capacity` messages a sender, and a look at every lane before the
//! receiver finds that there is nothing, a few nanoseconds each. That suits up to a few dozen
//! senders; for more, or for senders that come and go with every message, [`crate::mpsc`] costs
//! nothing per sender and keeps one order for all.

mod lanes;

use crate::front::{end_methods, receiver_methods, sender_methods, sole_sender_methods};
use crate::spsc::Tx;
use crate::sync::Arc;
use crate::wait::Wait;
use lanes::{Lanes, Registry};

/// A channel of any number of senders and one receiver, with room for `capacity` messages of each
/// sender.
///
/// The messages of one sender are received in the order in which it sent them. A clone is another
/// sender, with a lane of its own.
///
/// # Panics
/// If `capacity` is 0 or more than memory can hold.
pub fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let registry = Arc::new(Registry::new(capacity));
    let sender = Sender { tx: registry.add(), registry: Arc::clone(&registry) };
    (sender, Receiver { lanes: Lanes::new(registry) })
}

/// A sending end of [`channel`]: one lane. Clone it for another thread.
///
/// Length, capacity and statistics are those of its lane.
pub struct Sender<T> {
    tx: Tx<T>,
    registry: Arc<Registry<T>>,
}

/// The receiving end of [`channel`]: all lanes. Dropped, it drops what was sent, and senders learn
/// of it.
///
/// The capacity is that of a lane; length and statistics are those of all together.
pub struct Receiver<T> {
    lanes: Lanes<T>,
}

impl<T> Sender<T> {
    sender_methods!(self, &mut);
    sole_sender_methods!(self);
    end_methods!(self);

    fn port(&mut self) -> &mut Tx<T> {
        &mut self.tx
    }

    fn measured(&self) -> &Tx<T> {
        &self.tx
    }

    fn wait_mut(&mut self) -> &mut Wait {
        &mut self.tx.wait
    }
}

impl<T> Receiver<T> {
    receiver_methods!(self, &mut);
    end_methods!(self);

    /// Refuses what is sent from now on, by every sender. What was sent before can still be
    /// received.
    pub fn close(&mut self) {
        self.lanes.close();
    }

    fn port(&mut self) -> &mut Lanes<T> {
        &mut self.lanes
    }

    fn measured(&self) -> &Lanes<T> {
        &self.lanes
    }

    fn wait_mut(&mut self) -> &mut Wait {
        &mut self.lanes.wait
    }
}

/// Another sender, with a lane of its own. Allocates the lane and takes a lock; the receiver finds
/// it when it next changes lanes.
impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        let mut tx = self.registry.add();
        tx.wait = self.tx.wait;
        Sender { tx, registry: Arc::clone(&self.registry) }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.tx.close();
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.lanes.close();
        self.lanes.drain();
    }
}

crate::front::debug_ends!("fan_in");
