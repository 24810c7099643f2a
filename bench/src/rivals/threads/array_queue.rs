//! `crossbeam-queue`: `ArrayQueue`, Vyukov's bounded queue. It does not wait.

use std::sync::Arc;

use crossbeam_queue::ArrayQueue;

use super::{CAPACITY, Ends, Message, TryRecv, TrySend, Yielding, copies};

type End<T> = Arc<ArrayQueue<T>>;

pub fn pair<T: Message>() -> (End<T>, End<T>) {
    let queue = Arc::new(ArrayQueue::new(CAPACITY));
    (Arc::clone(&queue), queue)
}

pub fn many<T: Message>(
    senders: usize,
    receivers: usize,
) -> Ends<Yielding<End<T>>, Yielding<End<T>>> {
    let (tx, rx) = pair();
    copies((Yielding(tx), Yielding(rx)), senders, receivers)
}

impl<T: Message> TrySend<T> for End<T> {
    fn offer(&mut self, message: T) -> Result<(), T> {
        self.push(message)
    }
}

impl<T: Message> TryRecv<T> for End<T> {
    fn poll(&mut self) -> Option<T> {
        self.pop()
    }
}
