//! Who takes part in the distance "threads": channels of other crates behind the few calls that the
//! cases make, so that each contestant is a dozen lines and all are driven by the same loops.
//!
//! The traits are implemented for the crates' own sending and receiving ends. Their calls carry the
//! names of Java's `BlockingQueue`, because with the crates' own names (`send`, `try_recv`) a call
//! inside an adapter could find the adapter itself.

pub mod array_queue;
pub mod async_channel;
pub mod chaski;
pub mod chaski_pool;
pub mod crossbeam_channel;
pub mod crossfire;
pub mod disruptor;
pub mod flume;
pub mod gil;
pub mod kanal;
pub mod rayon;
pub mod ringbuf;
pub mod rtrb;
pub mod standard;
pub mod tachyonix;
pub mod thingbuf;
pub mod tokio;

use std::fmt::Debug;
use std::num::NonZeroUsize;
use std::thread;

/// Those who take part, by the names of their packages.
pub const PACKAGES: [&str; 16] = [
    "chaski-pool",
    "chaski-ring",
    "async-channel",
    "crossbeam-channel",
    "crossbeam-queue",
    "crossfire",
    "disruptor",
    "flume",
    "gil",
    "kanal",
    "rayon",
    "ringbuf",
    "rtrb",
    "tachyonix",
    "thingbuf",
    "tokio",
];

/// Messages a channel holds, everywhere.
pub const CAPACITY: usize = 1024;

/// Tries of a thread that shares its core with others, before it offers the core to them.
const TRIES_BEFORE_YIELD: u32 = 64;

/// What travels: every word of it is written by the sender and read by the receiver.
pub trait Message: Copy + Debug + Default + PartialEq + Send + Sync + Unpin + 'static {
    /// The message with this number.
    fn new(number: u64) -> Self;
    /// The sum of its words.
    fn value(&self) -> u64;
    /// What the values of the messages `0..count` add up to.
    fn sum_of_first(count: u64) -> u64;
}

impl Message for u64 {
    #[inline]
    fn new(number: u64) -> u64 {
        number
    }

    #[inline]
    fn value(&self) -> u64 {
        *self
    }

    fn sum_of_first(count: u64) -> u64 {
        count * (count - 1) / 2
    }
}

/// 64 bytes.
pub type Line = [u64; 8];

impl Message for Line {
    #[inline]
    fn new(number: u64) -> Line {
        [number; 8]
    }

    #[inline]
    fn value(&self) -> u64 {
        self.iter().sum()
    }

    fn sum_of_first(count: u64) -> u64 {
        8 * u64::sum_of_first(count)
    }
}

/// Sends if there is room.
pub trait TrySend<T>: Send + 'static {
    fn offer(&mut self, message: T) -> Result<(), T>;
}

/// Receives if there is something.
pub trait TryRecv<T>: Send + 'static {
    fn poll(&mut self) -> Option<T>;
}

/// Waits for room as the crate itself does.
pub trait BlockingSend<T>: Send + 'static {
    fn put(&mut self, message: T);
}

/// Waits for a message as the crate itself does.
pub trait BlockingRecv<T>: Send + 'static {
    fn take(&mut self) -> T;
}

/// Makes several messages visible at once.
pub trait BatchSend<T>: Send + 'static {
    /// Sends what there is room for of `count` messages; how many that were.
    fn fill(&mut self, count: usize, message: impl Fn(usize) -> T) -> usize;
}

/// Takes several messages and gives their room back at once.
pub trait BatchRecv<T>: Send + 'static {
    /// Shows every message that is there; how many that were.
    fn drain(&mut self, show: impl FnMut(&T)) -> usize;
}

/// Waits for room as a task.
pub trait AsyncSend<T>: Send + 'static {
    fn put_async(&mut self, message: T) -> impl Future<Output = ()> + Send;
}

/// Waits for a message as a task.
pub trait AsyncRecv<T>: Send + 'static {
    fn take_async(&mut self) -> impl Future<Output = T> + Send;
}

/// One end of a channel whose crate does not wait: tries again and again, and yields in between.
#[derive(Debug, Clone)]
pub struct Yielding<End>(pub End);

impl<T, S: TrySend<T>> BlockingSend<T> for Yielding<S> {
    fn put(&mut self, mut message: T) {
        let mut patience = Patience::default();
        while let Err(back) = self.0.offer(message) {
            message = back;
            patience.wait();
        }
    }
}

impl<T, R: TryRecv<T>> BlockingRecv<T> for Yielding<R> {
    fn take(&mut self) -> T {
        let mut patience = Patience::default();
        loop {
            if let Some(message) = self.0.poll() {
                return message;
            }
            patience.wait();
        }
    }
}

/// Spins a while, then yields once, and so on.
#[derive(Debug, Default)]
struct Patience {
    tries: u32,
}

impl Patience {
    fn wait(&mut self) {
        self.tries += 1;
        if self.tries.is_multiple_of(TRIES_BEFORE_YIELD) {
            thread::yield_now();
        } else {
            std::hint::spin_loop();
        }
    }
}

/// A job for a pool of workers: the message itself, and how long to work on it.
#[derive(Debug, Clone, Copy)]
pub struct Job {
    /// Rounds of [`Job::work`] for each message.
    pub rounds: u32,
}

impl Job {
    /// Keeps the core busy without touching memory: rounds of xorshift, each of which needs the one
    /// before it.
    #[inline]
    pub fn work(self, message: u64) -> u64 {
        let mut x = message | 1;
        for _ in 0..self.rounds {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
        }
        std::hint::black_box(x);
        message
    }
}

/// Hands messages to a number of workers.
pub trait Workers {
    /// Starts `workers`, sends the messages `0..count` to them in turn, and waits until all are
    /// handled and the workers are gone; the sum of the messages.
    fn run(workers: usize, count: u64, job: Job) -> u64;
}

/// A pool of one worker that sleeps between messages.
pub trait IdleWorker: Sized {
    /// Starts the worker, which calls `handle` with each message.
    fn start(handle: impl Fn(u64) + Send + Sync + Clone + 'static) -> Self;
    fn send(&mut self, message: u64);
}

/// The ends of one channel, one for each thread or task.
pub type Ends<S, R> = (Vec<S>, Vec<R>);

/// As many copies of both ends as there are threads for them.
fn copies<S: Clone, R: Clone>(ends: (S, R), senders: usize, receivers: usize) -> Ends<S, R> {
    (vec![ends.0; senders], vec![ends.1; receivers])
}

/// As [`copies`] where there is one receiver, which cannot be cloned.
fn copies_of_sender<S: Clone, R>(ends: (S, R), senders: usize) -> Ends<S, R> {
    (vec![ends.0; senders], vec![ends.1])
}

fn nonzero(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).expect("a channel has room and ends")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_add_up_to_the_sum() {
        let sum = |count| (0..count).map(|number| Line::new(number).value()).sum::<u64>();
        assert_eq!(sum(4096), Line::sum_of_first(4096));
        assert_eq!((0..4096).sum::<u64>(), u64::sum_of_first(4096));
    }
}
