//! Many senders, one receiver, in one order.
//!
//! ```
//! use chaski_ring::mpsc;
//! use std::thread;
//!
//! let (tx, mut rx) = mpsc::channel(64);
//! for n in 0..3 {
//!     let tx = tx.clone();
//!     thread::spawn(move || tx.send(n).unwrap());
//! }
//! drop(tx);
//! let mut got: Vec<i32> = rx.iter().collect();
//! got.sort_unstable();
//! assert_eq!(got, [0, 1, 2]);
//! ```
//!
//! For a few busy senders whose order among each other does not matter, [`crate::fan_in`] is
//! quicker: it has a lane for each. This one costs nothing per sender, and its senders can be
//! shared.

use crate::front::{end_methods, receiver_methods, sender_methods};
use crate::shared::{ReceiverPort, SenderPort, Shared};
use crate::sync::Arc;
use crate::wait::Wait;

/// A channel of any number of senders and one receiver with room for `capacity` messages.
///
/// # Panics
/// If `capacity` is 0 or more than memory can hold.
pub fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared::new(capacity));
    let sender = Sender { shared: Arc::clone(&shared), wait: Wait::default() };
    (sender, Receiver { shared, wait: Wait::default() })
}

/// A sending end of [`channel`]. Clone it for another thread, or share it.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
    wait: Wait,
}

/// The receiving end of [`channel`]. Dropped, it drops what was sent, and senders learn of it.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    wait: Wait,
}

impl<T> Sender<T> {
    sender_methods!(self, &);
    end_methods!(self);

    fn port(&self) -> SenderPort<'_, T> {
        SenderPort { array: &self.shared.array, wait: self.wait }
    }

    fn measured(&self) -> &Shared<T> {
        &self.shared
    }

    fn wait_mut(&mut self) -> &mut Wait {
        &mut self.wait
    }
}

impl<T> Receiver<T> {
    receiver_methods!(self, &mut);
    end_methods!(self);

    /// Refuses what is sent from now on. What was sent before can still be received.
    pub fn close(&mut self) {
        self.shared.array.close();
    }

    fn port(&mut self) -> ReceiverPort<'_, T, true> {
        ReceiverPort { array: &self.shared.array, wait: self.wait }
    }

    fn measured(&self) -> &Shared<T> {
        &self.shared
    }

    fn wait_mut(&mut self) -> &mut Wait {
        &mut self.wait
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.shared.add_sender();
        Sender { shared: Arc::clone(&self.shared), wait: self.wait }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.shared.remove_sender();
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.remove_receiver();
    }
}

crate::front::debug_ends!("mpsc");
