//! `crossbeam-channel`: bounded MPMC that spins, yields, then parks. Also the pool that is usually
//! built from it: a channel and a thread for each worker.

use std::thread;

use crossbeam_channel::{Receiver, Sender, TrySendError};

use super::{
    BatchRecv, BlockingRecv, BlockingSend, CAPACITY, Ends, IdleWorker, Job, Message, TryRecv,
    TrySend, Workers, copies,
};

pub fn pair<T: Message>() -> (Sender<T>, Receiver<T>) {
    crossbeam_channel::bounded(CAPACITY)
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

/// A thread and a channel for each worker; messages go round.
#[derive(Debug)]
pub struct ChannelPerWorker {
    worker: Sender<u64>,
}

impl Workers for ChannelPerWorker {
    fn run(workers: usize, count: u64, job: Job) -> u64 {
        thread::scope(|scope| {
            let (channels, threads): (Vec<_>, Vec<_>) = (0..workers)
                .map(|_| {
                    let (tx, rx) = pair();
                    let handle = move || rx.iter().map(|message| job.work(message)).sum::<u64>();
                    (tx, scope.spawn(handle))
                })
                .unzip();
            for message in 0..count {
                let worker = &channels[message as usize % workers];
                worker.send(message).expect("a worker is gone");
            }
            drop(channels);
            threads.into_iter().map(|thread| thread.join().expect("a worker panicked")).sum()
        })
    }
}

impl IdleWorker for ChannelPerWorker {
    fn start(handle: impl Fn(u64) + Send + Sync + Clone + 'static) -> ChannelPerWorker {
        let (worker, messages) = pair();
        thread::spawn(move || messages.iter().for_each(handle));
        ChannelPerWorker { worker }
    }

    fn send(&mut self, message: u64) {
        self.worker.send(message).expect("the worker is gone");
    }
}
