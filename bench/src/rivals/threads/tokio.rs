//! `tokio::sync::mpsc`: bounded, its receiver a task or a thread.

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::{
    AsyncRecv, AsyncSend, BatchRecv, BlockingRecv, BlockingSend, CAPACITY, Ends, Message, TryRecv,
    TrySend, copies_of_sender,
};

/// The receiver keeps the vector that the crate receives into.
#[derive(Debug)]
pub struct Draining<T> {
    receiver: Receiver<T>,
    drained: Vec<T>,
}

pub fn pair<T: Message>() -> (Sender<T>, Receiver<T>) {
    channel(CAPACITY)
}

pub fn pair_with_drain<T: Message>() -> (Sender<T>, Draining<T>) {
    let (tx, receiver) = pair();
    (tx, Draining { receiver, drained: Vec::with_capacity(CAPACITY) })
}

pub fn many_to_one<T: Message>(senders: usize, _: usize) -> Ends<Sender<T>, Receiver<T>> {
    copies_of_sender(pair(), senders)
}

impl<T: Message> TrySend<T> for Sender<T> {
    fn offer(&mut self, message: T) -> Result<(), T> {
        match self.try_send(message) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(message)) => Err(message),
            Err(TrySendError::Closed(_)) => panic!("closed"),
        }
    }
}

impl<T: Message> TryRecv<T> for Receiver<T> {
    fn poll(&mut self) -> Option<T> {
        self.try_recv().ok()
    }
}

impl<T: Message> BlockingSend<T> for Sender<T> {
    fn put(&mut self, message: T) {
        assert!(self.blocking_send(message).is_ok(), "closed");
    }
}

impl<T: Message> BlockingRecv<T> for Receiver<T> {
    fn take(&mut self) -> T {
        self.blocking_recv().expect("closed")
    }
}

/// There is no call that takes what is there and does not wait for the first.
impl<T: Message> BatchRecv<T> for Draining<T> {
    fn drain(&mut self, show: impl FnMut(&T)) -> usize {
        let count = self.receiver.blocking_recv_many(&mut self.drained, CAPACITY);
        self.drained.iter().for_each(show);
        self.drained.clear();
        count
    }
}

impl<T: Message> AsyncSend<T> for Sender<T> {
    async fn put_async(&mut self, message: T) {
        assert!(self.send(message).await.is_ok(), "closed");
    }
}

impl<T: Message> AsyncRecv<T> for Receiver<T> {
    async fn take_async(&mut self) -> T {
        self.recv().await.expect("closed")
    }
}
