//! `gil`: rings for every number of ends, shared or sharded (one SPSC ring for each sender). Most
//! only spin; those in `parking` modules sleep on a futex. No end notices that the other is gone.

use gil::{mpmc, mpsc, spsc};

use super::{
    AsyncRecv, AsyncSend, BatchRecv, BatchSend, BlockingRecv, BlockingSend, CAPACITY, Ends,
    Message, TryRecv, TrySend, Yielding, copies, copies_of_sender, nonzero,
};

pub fn pair<T: Message>() -> (spsc::Sender<T>, spsc::Receiver<T>) {
    spsc::channel(nonzero(CAPACITY))
}

pub fn pair_that_parks<T: Message>() -> (spsc::parking::Sender<T>, spsc::parking::Receiver<T>) {
    spsc::parking::channel(nonzero(CAPACITY))
}

type Spinning<S, R> = Ends<Yielding<S>, Yielding<R>>;

pub fn many_to_one<T: Message>(
    senders: usize,
    _: usize,
) -> Spinning<mpsc::Sender<T>, mpsc::Receiver<T>> {
    let (tx, rx) = mpsc::channel(nonzero(CAPACITY));
    copies_of_sender((Yielding(tx), Yielding(rx)), senders)
}

pub fn sharded_to_one<T: Message>(
    senders: usize,
    _: usize,
) -> Spinning<mpsc::sharded::Sender<T>, mpsc::sharded::Receiver<T>> {
    let (tx, rx) = mpsc::sharded::channel(nonzero(senders), nonzero(CAPACITY / senders));
    let copies = (1..senders).map(|_| tx.clone().expect("a shard for each")).collect::<Vec<_>>();
    let all = copies.into_iter().chain([tx]).map(Yielding).collect();
    (all, vec![Yielding(rx)])
}

/// Senders park; the receiver spins all the same.
pub fn sharded_parking_to_one<T: Message>(
    senders: usize,
    _: usize,
) -> Ends<mpsc::sharded_parking::Sender<T>, Yielding<mpsc::sharded_parking::Receiver<T>>> {
    let (tx, rx) = mpsc::sharded_parking::channel(nonzero(senders), nonzero(CAPACITY / senders));
    let copies = (1..senders).map(|_| tx.clone().expect("a shard for each")).collect::<Vec<_>>();
    (copies.into_iter().chain([tx]).collect(), vec![Yielding(rx)])
}

pub fn many<T: Message>(
    senders: usize,
    receivers: usize,
) -> Spinning<mpmc::Sender<T>, mpmc::Receiver<T>> {
    let (tx, rx) = mpmc::channel(nonzero(CAPACITY));
    copies((Yielding(tx), Yielding(rx)), senders, receivers)
}

pub fn sharded_to_many<T: Message>(
    senders: usize,
    receivers: usize,
) -> Spinning<mpmc::sharded::Sender<T>, mpmc::sharded::Receiver<T>> {
    let (tx, rx) = mpmc::sharded::channel(nonzero(senders), nonzero(CAPACITY / senders));
    let txs = (1..senders).map(|_| tx.try_clone().expect("a shard for each")).collect::<Vec<_>>();
    let rxs = (1..receivers).map(|_| rx.try_clone().expect("room for one")).collect::<Vec<_>>();
    (
        txs.into_iter().chain([tx]).map(Yielding).collect(),
        rxs.into_iter().chain([rx]).map(Yielding).collect(),
    )
}

/// The same for every kind of end; the crate has no trait that spans them.
macro_rules! sends {
    ($end:ty) => {
        impl<T: Message> TrySend<T> for $end {
            fn offer(&mut self, message: T) -> Result<(), T> {
                self.try_send(message)
            }
        }
    };
}

macro_rules! receives {
    ($end:ty) => {
        impl<T: Message> TryRecv<T> for $end {
            fn poll(&mut self) -> Option<T> {
                self.try_recv()
            }
        }
    };
}

sends!(spsc::Sender<T>);
sends!(mpsc::Sender<T>);
sends!(mpsc::sharded::Sender<T>);
sends!(mpmc::Sender<T>);
sends!(mpmc::sharded::Sender<T>);
receives!(spsc::Receiver<T>);
receives!(mpsc::Receiver<T>);
receives!(mpsc::sharded::Receiver<T>);
receives!(mpsc::sharded_parking::Receiver<T>);
receives!(mpmc::Receiver<T>);
receives!(mpmc::sharded::Receiver<T>);

impl<T: Message> BlockingSend<T> for spsc::parking::Sender<T> {
    fn put(&mut self, message: T) {
        self.send(message);
    }
}

impl<T: Message> BlockingSend<T> for mpsc::sharded_parking::Sender<T> {
    fn put(&mut self, message: T) {
        self.send(message);
    }
}

impl<T: Message> BlockingRecv<T> for spsc::parking::Receiver<T> {
    fn take(&mut self) -> T {
        self.recv()
    }
}

impl<T: Message> BatchSend<T> for spsc::Sender<T> {
    fn fill(&mut self, count: usize, message: impl Fn(usize) -> T) -> usize {
        let room = self.write_buffer();
        let count = count.min(room.len());
        for (at, slot) in room[..count].iter_mut().enumerate() {
            slot.write(message(at));
        }
        // SAFETY: the first `count` slots of the buffer were written just above.
        unsafe { self.commit(count) };
        count
    }
}

impl<T: Message> BatchRecv<T> for spsc::Receiver<T> {
    fn drain(&mut self, show: impl FnMut(&T)) -> usize {
        let mut guard = self.read_guard();
        let count = guard.len();
        guard.as_slice().iter().for_each(show);
        guard.advance(count);
        count
    }
}

impl<T: Message> AsyncSend<T> for spsc::Sender<T> {
    async fn put_async(&mut self, message: T) {
        self.send_async(message).await;
    }
}

impl<T: Message> AsyncRecv<T> for spsc::Receiver<T> {
    async fn take_async(&mut self) -> T {
        self.recv_async().await
    }
}
