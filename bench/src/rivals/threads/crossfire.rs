//! `crossfire`: SPSC, MPSC and MPMC flavours of one lock-free array queue, blocking and async.

use crossfire::flavor::Flavor;
use crossfire::{AsyncRx, AsyncTx, MAsyncTx, MRx, MTx, Rx, TrySendError, Tx, mpmc, mpsc, spsc};

use super::{
    AsyncRecv, AsyncSend, BlockingRecv, BlockingSend, CAPACITY, Ends, Message, TryRecv, TrySend,
    copies, copies_of_sender,
};

pub fn pair<T: Message>() -> (Tx<spsc::Array<T>>, Rx<spsc::Array<T>>) {
    spsc::bounded_blocking(CAPACITY)
}

/// The MPSC flavour with one sender, which has been the quicker of the two.
pub fn pair_of_mpsc<T: Message>() -> (MTx<mpsc::Array<T>>, Rx<mpsc::Array<T>>) {
    mpsc::bounded_blocking(CAPACITY)
}

pub fn many_to_one<T: Message>(
    senders: usize,
    _: usize,
) -> Ends<MTx<mpsc::Array<T>>, Rx<mpsc::Array<T>>> {
    copies_of_sender(pair_of_mpsc(), senders)
}

pub fn many<T: Message>(
    senders: usize,
    receivers: usize,
) -> Ends<MTx<mpmc::Array<T>>, MRx<mpmc::Array<T>>> {
    copies(mpmc::bounded_blocking(CAPACITY), senders, receivers)
}

pub fn pair_of_tasks<T: Message>() -> (AsyncTx<spsc::Array<T>>, AsyncRx<spsc::Array<T>>) {
    spsc::bounded_async(CAPACITY)
}

pub fn tasks<T: Message>(
    senders: usize,
) -> (Vec<MAsyncTx<mpsc::Array<T>>>, AsyncRx<mpsc::Array<T>>) {
    let (tx, rx) = mpsc::bounded_async(CAPACITY);
    (vec![tx; senders], rx)
}

/// The same for every kind of end; the crate has no trait that spans them and is as direct.
macro_rules! sends {
    ($end:ident) => {
        impl<F: Flavor<Item: Message>> TrySend<F::Item> for $end<F> {
            fn offer(&mut self, message: F::Item) -> Result<(), F::Item> {
                self.try_send(message).map_err(TrySendError::into_inner)
            }
        }

        impl<F: Flavor<Item: Message>> BlockingSend<F::Item> for $end<F> {
            fn put(&mut self, message: F::Item) {
                assert!(self.send(message).is_ok(), "closed");
            }
        }
    };
}

macro_rules! receives {
    ($end:ident) => {
        impl<F: Flavor<Item: Message>> TryRecv<F::Item> for $end<F> {
            fn poll(&mut self) -> Option<F::Item> {
                self.try_recv().ok()
            }
        }

        impl<F: Flavor<Item: Message>> BlockingRecv<F::Item> for $end<F> {
            fn take(&mut self) -> F::Item {
                self.recv().expect("closed")
            }
        }
    };
}

macro_rules! sends_as_a_task {
    ($end:ident) => {
        impl<F: Flavor<Item: Message>> AsyncSend<F::Item> for $end<F> {
            async fn put_async(&mut self, message: F::Item) {
                assert!(self.send(message).await.is_ok(), "closed");
            }
        }
    };
}

impl<F: Flavor<Item: Message>> AsyncRecv<F::Item> for AsyncRx<F> {
    async fn take_async(&mut self) -> F::Item {
        self.recv().await.expect("closed")
    }
}

sends_as_a_task!(AsyncTx);
sends_as_a_task!(MAsyncTx);
sends!(Tx);
sends!(MTx);
receives!(Rx);
receives!(MRx);
