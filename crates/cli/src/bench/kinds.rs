//! The channels, alike: what a measurement needs of each, written once.

use chaski_ring::{Padded, Wait, fan_in, mpmc, mpsc, spsc};

use super::machine::{Pinning, Seats};

/// A message of `WORDS` times 8 bytes, each of which is its number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message<const WORDS: usize>([u64; WORDS]);

impl<const WORDS: usize> Message<WORDS> {
    pub(super) fn new(number: u64) -> Message<WORDS> {
        Message([number; WORDS])
    }

    pub(super) fn number(&self) -> u64 {
        self.0[0]
    }

    /// Its number, after a look at every word.
    #[inline]
    pub(super) fn read(&self) -> u64 {
        self.0.iter().fold(0, |all, word| all | word)
    }
}

/// Who sends, who receives, and through what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) producers: usize,
    pub(super) consumers: usize,
    pub(super) capacity: usize,
    pub(super) batch: usize,
    pub(super) wait: Wait,
    pub(super) pinning: Pinning,
}

impl Shape {
    pub(super) fn threads(&self) -> usize {
        self.producers + self.consumers
    }

    /// A CPU for each thread, producers first.
    pub(super) fn seats(&self) -> Seats {
        self.pinning.seats(self.threads())
    }
}

/// An end that sends and blocks. An error means that nobody receives any more.
pub(super) trait Tx<M>: Send {
    fn send(&mut self, message: M) -> Result<(), Gone>;
    fn send_all(&mut self, messages: impl Iterator<Item = M>) -> Result<(), Gone>;
}

/// An end that receives and blocks.
pub(super) trait Rx<M>: Send {
    fn recv(&mut self) -> Result<M, Gone>;
    fn recv_many(&mut self, into: &mut Vec<M>, max: usize) -> Result<(), Gone>;
}

/// The other side has ended.
#[derive(Debug)]
pub(super) struct Gone;

/// The ends of one channel, each alone on its cache lines.
pub(super) type Ends<T, R> = (Vec<Padded<T>>, Vec<Padded<R>>);

/// A kind of channel.
pub(super) trait Kind {
    const NAME: &'static str;
    type Tx<M: Send>: Tx<M>;
    type Rx<M: Send>: Rx<M>;

    /// An end for each thread.
    fn ends<M: Send>(shape: &Shape) -> Ends<Self::Tx<M>, Self::Rx<M>>;
}

/// One of its kind, and copies of it.
fn clones<T: Clone>(first: T, count: usize) -> Vec<Padded<T>> {
    let mut ends: Vec<_> = (1..count).map(|_| Padded(first.clone())).collect();
    ends.push(Padded(first));
    ends
}

fn alone<T>(only: T, _: usize) -> Vec<Padded<T>> {
    vec![Padded(only)]
}

macro_rules! kind {
    ($kind:ident, $module:ident, $name:literal, $senders:ident, $receivers:ident) => {
        pub(super) struct $kind;

        impl Kind for $kind {
            const NAME: &'static str = $name;
            type Tx<M: Send> = $module::Sender<M>;
            type Rx<M: Send> = $module::Receiver<M>;

            fn ends<M: Send>(shape: &Shape) -> Ends<Self::Tx<M>, Self::Rx<M>> {
                let (tx, rx) = $module::channel(shape.capacity);
                (
                    $senders(tx.with_wait(shape.wait), shape.producers),
                    $receivers(rx.with_wait(shape.wait), shape.consumers),
                )
            }
        }

        impl<M: Send> Tx<M> for $module::Sender<M> {
            #[inline]
            fn send(&mut self, message: M) -> Result<(), Gone> {
                $module::Sender::send(self, message).map_err(|_| Gone)
            }

            #[inline]
            fn send_all(&mut self, messages: impl Iterator<Item = M>) -> Result<(), Gone> {
                $module::Sender::send_all(self, messages).map(drop).map_err(|_| Gone)
            }
        }

        impl<M: Send> Rx<M> for $module::Receiver<M> {
            #[inline]
            fn recv(&mut self) -> Result<M, Gone> {
                $module::Receiver::recv(self).map_err(|_| Gone)
            }

            #[inline]
            fn recv_many(&mut self, into: &mut Vec<M>, max: usize) -> Result<(), Gone> {
                $module::Receiver::recv_many(self, into, max).map(drop).map_err(|_| Gone)
            }
        }
    };
}

kind!(Spsc, spsc, "spsc", alone, alone);
kind!(Mpsc, mpsc, "mpsc", clones, alone);
kind!(FanIn, fan_in, "fan-in", clones, alone);
kind!(Mpmc, mpmc, "mpmc", clones, clones);
