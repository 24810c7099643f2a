//! `chaski-ring`: the product's own channels, driven like everyone else's.

use chaski_ring::{TrySendError, fan_in, mpmc, mpsc, spsc};

use super::{
    AsyncRecv, AsyncSend, BatchRecv, BatchSend, BlockingRecv, BlockingSend, CAPACITY, Ends,
    Message, TryRecv, TrySend, copies, copies_of_sender,
};

/// A pair that moves batches by iterator and vector, where the plain one writes and reads in place.
#[derive(Debug)]
pub struct Sending<T>(spsc::Sender<T>);

/// The receiver keeps the vector that the channel receives into.
#[derive(Debug)]
pub struct Draining<T> {
    receiver: spsc::Receiver<T>,
    drained: Vec<T>,
}

pub fn pair<T: Message>() -> (spsc::Sender<T>, spsc::Receiver<T>) {
    spsc::channel(CAPACITY)
}

pub fn pair_with_drain<T: Message>() -> (Sending<T>, Draining<T>) {
    let (tx, receiver) = pair();
    (Sending(tx), Draining { receiver, drained: Vec::with_capacity(CAPACITY) })
}

pub fn many_to_one<T: Message>(
    senders: usize,
    _: usize,
) -> Ends<mpsc::Sender<T>, mpsc::Receiver<T>> {
    copies_of_sender(mpsc::channel(CAPACITY), senders)
}

/// A lane for each sender; together they hold as much as the channel of one lane.
pub fn lanes_to_one<T: Message>(
    senders: usize,
    _: usize,
) -> Ends<fan_in::Sender<T>, fan_in::Receiver<T>> {
    copies_of_sender(fan_in::channel(CAPACITY / senders), senders)
}

pub fn many<T: Message>(
    senders: usize,
    receivers: usize,
) -> Ends<mpmc::Sender<T>, mpmc::Receiver<T>> {
    copies(mpmc::channel(CAPACITY), senders, receivers)
}

pub fn tasks<T: Message>(senders: usize) -> (Vec<mpsc::Sender<T>>, mpsc::Receiver<T>) {
    let (tx, rx) = mpsc::channel(CAPACITY);
    (vec![tx; senders], rx)
}

pub fn tasks_in_lanes<T: Message>(senders: usize) -> (Vec<fan_in::Sender<T>>, fan_in::Receiver<T>) {
    let (tx, rx) = fan_in::channel(CAPACITY / senders);
    (vec![tx; senders], rx)
}

/// Every channel's ends have the same methods, and share no trait: the traits of this folder, for
/// one of them.
macro_rules! sends {
    ($end:ty) => {
        impl<T: Message> TrySend<T> for $end {
            fn offer(&mut self, message: T) -> Result<(), T> {
                self.try_send(message).map_err(TrySendError::into_inner)
            }
        }

        impl<T: Message> BlockingSend<T> for $end {
            fn put(&mut self, message: T) {
                assert!(self.send(message).is_ok(), "closed");
            }
        }

        impl<T: Message> AsyncSend<T> for $end {
            async fn put_async(&mut self, message: T) {
                assert!(self.send_async(message).await.is_ok(), "closed");
            }
        }
    };
}

macro_rules! receives {
    ($end:ty) => {
        impl<T: Message> TryRecv<T> for $end {
            fn poll(&mut self) -> Option<T> {
                self.try_recv().ok()
            }
        }

        impl<T: Message> BlockingRecv<T> for $end {
            fn take(&mut self) -> T {
                self.recv().expect("closed")
            }
        }

        impl<T: Message> AsyncRecv<T> for $end {
            async fn take_async(&mut self) -> T {
                self.recv_async().await.expect("closed")
            }
        }
    };
}

sends!(spsc::Sender<T>);
sends!(fan_in::Sender<T>);
sends!(mpsc::Sender<T>);
sends!(mpmc::Sender<T>);
receives!(spsc::Receiver<T>);
receives!(fan_in::Receiver<T>);
receives!(mpsc::Receiver<T>);
receives!(mpmc::Receiver<T>);

impl<T: Message> TrySend<T> for Sending<T> {
    fn offer(&mut self, message: T) -> Result<(), T> {
        self.0.try_send(message).map_err(TrySendError::into_inner)
    }
}

impl<T: Message> BatchSend<T> for Sending<T> {
    fn fill(&mut self, count: usize, message: impl Fn(usize) -> T) -> usize {
        let sent = self.0.try_send_all(&mut (0..count).map(message));
        sent.unwrap_or_else(|_| panic!("closed"))
    }
}

impl<T: Message> BatchRecv<T> for Draining<T> {
    fn drain(&mut self, show: impl FnMut(&T)) -> usize {
        let count = self.receiver.try_recv_many(&mut self.drained, CAPACITY).unwrap_or(0);
        self.drained.iter().for_each(show);
        self.drained.clear();
        count
    }
}

impl<T: Message> BatchSend<T> for spsc::Sender<T> {
    fn fill(&mut self, count: usize, message: impl Fn(usize) -> T) -> usize {
        let Ok(mut room) = self.try_reserve(count) else { return 0 };
        let filled = room.extend_from_iter((0..count).map(message));
        room.commit().expect("closed");
        filled
    }
}

impl<T: Message> BatchRecv<T> for spsc::Receiver<T> {
    fn drain(&mut self, mut show: impl FnMut(&T)) -> usize {
        let Ok(unread) = self.try_peek() else { return 0 };
        let (first, second) = unread.as_slices();
        first.iter().for_each(&mut show);
        second.iter().for_each(&mut show);
        let count = unread.len();
        unread.release_all();
        count
    }
}
