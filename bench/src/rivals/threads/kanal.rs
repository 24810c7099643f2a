//! `kanal`: bounded MPMC over a spin lock, with direct handover to a waiting receiver.

use kanal::{AsyncReceiver, AsyncSender, Receiver, Sender};

use super::{
    AsyncRecv, AsyncSend, BatchRecv, BlockingRecv, BlockingSend, CAPACITY, Ends, Message, TryRecv,
    TrySend, copies,
};

/// The receiver keeps the vector that the crate drains into.
#[derive(Debug)]
pub struct Draining<T> {
    receiver: Receiver<T>,
    drained: Vec<T>,
}

pub fn pair<T: Message>() -> (Sender<T>, Receiver<T>) {
    kanal::bounded(CAPACITY)
}

pub fn pair_with_drain<T: Message>() -> (Sender<T>, Draining<T>) {
    let (tx, receiver) = pair();
    (tx, Draining { receiver, drained: Vec::with_capacity(CAPACITY) })
}

pub fn many<T: Message>(senders: usize, receivers: usize) -> Ends<Sender<T>, Receiver<T>> {
    copies(pair(), senders, receivers)
}

pub fn tasks<T: Message>(senders: usize) -> (Vec<AsyncSender<T>>, AsyncReceiver<T>) {
    let (tx, rx) = kanal::bounded_async(CAPACITY);
    (vec![tx; senders], rx)
}

impl<T: Message> TrySend<T> for Sender<T> {
    fn offer(&mut self, message: T) -> Result<(), T> {
        if self.try_send(message).expect("closed") { Ok(()) } else { Err(message) }
    }
}

impl<T: Message> TryRecv<T> for Receiver<T> {
    fn poll(&mut self) -> Option<T> {
        self.try_recv().expect("closed")
    }
}

impl<T: Message> BlockingSend<T> for Sender<T> {
    fn put(&mut self, message: T) {
        self.send(message).expect("closed");
    }
}

impl<T: Message> BlockingRecv<T> for Receiver<T> {
    fn take(&mut self) -> T {
        self.recv().expect("closed")
    }
}

impl<T: Message> BatchRecv<T> for Draining<T> {
    fn drain(&mut self, show: impl FnMut(&T)) -> usize {
        // An error says that the sender is gone; what it has sent came with an earlier call.
        let count = self.receiver.drain_into(&mut self.drained).unwrap_or(0);
        self.drained.iter().for_each(show);
        self.drained.clear();
        count
    }
}

impl<T: Message> AsyncSend<T> for AsyncSender<T> {
    async fn put_async(&mut self, message: T) {
        self.send(message).await.expect("closed");
    }
}

impl<T: Message> AsyncRecv<T> for AsyncReceiver<T> {
    async fn take_async(&mut self) -> T {
        self.recv().await.expect("closed")
    }
}
