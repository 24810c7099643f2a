//! `std::sync::mpsc`: the bounded channel of the standard library.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use super::{
    BatchRecv, BlockingRecv, BlockingSend, CAPACITY, Ends, Message, TryRecv, TrySend,
    copies_of_sender,
};

pub fn pair<T: Message>() -> (SyncSender<T>, Receiver<T>) {
    sync_channel(CAPACITY)
}

pub fn many_to_one<T: Message>(senders: usize, _: usize) -> Ends<SyncSender<T>, Receiver<T>> {
    copies_of_sender(pair(), senders)
}

impl<T: Message> TrySend<T> for SyncSender<T> {
    fn offer(&mut self, message: T) -> Result<(), T> {
        match self.try_send(message) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(message)) => Err(message),
            Err(TrySendError::Disconnected(_)) => panic!("closed"),
        }
    }
}

impl<T: Message> TryRecv<T> for Receiver<T> {
    fn poll(&mut self) -> Option<T> {
        self.try_recv().ok()
    }
}

impl<T: Message> BlockingSend<T> for SyncSender<T> {
    fn put(&mut self, message: T) {
        assert!(self.send(message).is_ok(), "closed");
    }
}

impl<T: Message> BlockingRecv<T> for Receiver<T> {
    fn take(&mut self) -> T {
        self.recv().expect("closed")
    }
}

impl<T: Message> BatchRecv<T> for Receiver<T> {
    fn drain(&mut self, mut show: impl FnMut(&T)) -> usize {
        self.try_iter().map(|message| show(&message)).count()
    }
}
