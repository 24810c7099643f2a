//! `tachyonix`: bounded MPSC for tasks.

use tachyonix::{Receiver, Sender};

use super::{AsyncRecv, AsyncSend, CAPACITY, Message};

pub fn tasks<T: Message>(senders: usize) -> (Vec<Sender<T>>, Receiver<T>) {
    let (tx, rx) = tachyonix::channel(CAPACITY);
    (vec![tx; senders], rx)
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
