//! Many senders, many receivers: each message goes to one of them.
//!
//! ```
//! use chaski_ring::mpmc;
//! use std::thread;
//!
//! let (tx, rx) = mpmc::channel(64);
//! let workers: Vec<_> = (0..2)
//!     .map(|_| {
//!         let rx = rx.clone();
//!         thread::spawn(move || rx.iter().sum::<u64>())
//!     })
//!     .collect();
//! tx.send_all(1..=1000).unwrap();
//! drop(tx);
//! assert_eq!(workers.into_iter().map(|worker| worker.join().unwrap()).sum::<u64>(), 500_500);
//! ```

pub(crate) mod array;

use crate::front::{end_methods, receiver_methods, sender_methods};
use crate::shared::{ReceiverPort, SenderPort, Shared};
use crate::sync::Arc;
use crate::wait::Wait;

/// A channel of any number of senders and receivers with room for `capacity` messages.
///
/// Messages are received in the order in which they were sent, each by one receiver.
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

/// A receiving end of [`channel`]. Clone it for another thread, or share it.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    wait: Wait,
}

impl<T> Sender<T> {
    sender_methods!(self, &);
    end_methods!(self);

    /// Refuses what is sent from now on, by this and every other end. What was sent before can
    /// still be received.
    pub fn close(&self) {
        self.shared.array.close();
    }

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
    receiver_methods!(self, &);
    end_methods!(self);

    /// Refuses what is sent from now on. What was sent before can still be received, by this and
    /// every other end.
    pub fn close(&self) {
        self.shared.array.close();
    }

    fn port(&self) -> ReceiverPort<'_, T, false> {
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

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.shared.add_receiver();
        Receiver { shared: Arc::clone(&self.shared), wait: self.wait }
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

crate::front::debug_ends!("mpmc");
