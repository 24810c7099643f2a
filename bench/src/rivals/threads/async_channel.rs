//! `async-channel`: bounded MPMC over a concurrent queue and event listeners.

use async_channel::{Receiver, Sender, TrySendError};

use super::{
    AsyncRecv, AsyncSend, BlockingRecv, BlockingSend, CAPACITY, Ends, Message, TryRecv, TrySend,
    copies,
};

pub fn pair<T: Message>() -> (Sender<T>, Receiver<T>) {
    async_channel::bounded(CAPACITY)
}

pub fn many<T: Message>(senders: usize, receivers: usize) -> Ends<Sender<T>, Receiver<T>> {
    copies(pair(), senders, receivers)
}

impl<T: Message> TrySend<T> for Sender<T> {
    fn offer(&mut self, message: T) -> Result<(), T> {
        self.try_send(message).map_err(TrySendError::into_inner)
    }
}

impl<T: Message> TryRecv<T> for Receiver<T> {
    fn poll(&mut self) -> Option<T> {
        self.try_recv().ok()
    }
}

impl<T: Message> BlockingSend<T> for Sender<T> {
    fn put(&mut self, message: T) {
        assert!(self.send_blocking(message).is_ok(), "closed");
    }
}

impl<T: Message> BlockingRecv<T> for Receiver<T> {
    fn take(&mut self) -> T {
        self.recv_blocking().expect("closed")
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
