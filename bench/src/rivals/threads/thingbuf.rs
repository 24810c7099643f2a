//! `thingbuf`: bounded MPSC whose slots are reused in place, blocking and async.

use thingbuf::mpsc::errors::TrySendError;
use thingbuf::mpsc::{self, blocking};

use super::{
    AsyncRecv, AsyncSend, BlockingRecv, BlockingSend, CAPACITY, Ends, Message, TryRecv, TrySend,
    copies_of_sender,
};

pub fn pair<T: Message>() -> (blocking::Sender<T>, blocking::Receiver<T>) {
    blocking::channel(CAPACITY)
}

pub fn many_to_one<T: Message>(
    senders: usize,
    _: usize,
) -> Ends<blocking::Sender<T>, blocking::Receiver<T>> {
    copies_of_sender(pair(), senders)
}

pub fn tasks<T: Message>(senders: usize) -> (Vec<mpsc::Sender<T>>, mpsc::Receiver<T>) {
    let (tx, rx) = mpsc::channel(CAPACITY);
    (vec![tx; senders], rx)
}

impl<T: Message> TrySend<T> for blocking::Sender<T> {
    fn offer(&mut self, message: T) -> Result<(), T> {
        match self.try_send(message) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(message)) => Err(message),
            Err(_) => panic!("closed"),
        }
    }
}

impl<T: Message> TryRecv<T> for blocking::Receiver<T> {
    fn poll(&mut self) -> Option<T> {
        self.try_recv().ok()
    }
}

impl<T: Message> BlockingSend<T> for blocking::Sender<T> {
    fn put(&mut self, message: T) {
        assert!(self.send(message).is_ok(), "closed");
    }
}

impl<T: Message> BlockingRecv<T> for blocking::Receiver<T> {
    fn take(&mut self) -> T {
        self.recv().expect("closed")
    }
}

impl<T: Message> AsyncSend<T> for mpsc::Sender<T> {
    async fn put_async(&mut self, message: T) {
        assert!(self.send(message).await.is_ok(), "closed");
    }
}

impl<T: Message> AsyncRecv<T> for mpsc::Receiver<T> {
    async fn take_async(&mut self) -> T {
        self.recv().await.expect("closed")
    }
}
