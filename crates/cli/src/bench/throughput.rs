//! How many messages a channel moves: producers send without a pause, consumers take what comes.
//!
//! The clock runs from the first send to the last receive, as the threads themselves see it: on a
//! busy machine the thread that started them may learn of it late. Numbers are added up on both
//! sides: a message lost or doubled is a failure.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use super::extent::{Extent, Whistle};
use super::kinds::{Kind, Message, Rx, Shape, Tx};
use super::limits::Handoff;
use super::machine::Seats;
use crate::failure::Failure;
use crate::output::count;

/// Messages sent between two looks at the whistle, or one batch, if that is more.
const STRETCH: u64 = 256;

/// What one round of one channel came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Run {
    pub(super) messages: u64,
    pub(super) took: Duration,
}

impl Run {
    pub(super) fn ns_per_message(&self) -> f64 {
        self.took.as_nanos() as f64 / self.messages.max(1) as f64
    }
}

/// Messages counted, and their numbers added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Sum {
    messages: u64,
    numbers: u64,
}

impl Sum {
    /// Of the numbers from 0 on.
    fn of_first(messages: u64) -> Sum {
        let twice = u128::from(messages) * u128::from(messages.saturating_sub(1));
        Sum { messages, numbers: (twice / 2) as u64 }
    }

    fn add(self, more: Sum) -> Sum {
        let numbers = self.numbers.wrapping_add(more.numbers);
        Sum { messages: self.messages + more.messages, numbers }
    }

    fn take<const WORDS: usize>(&mut self, message: Message<WORDS>) {
        self.messages += 1;
        self.numbers = self.numbers.wrapping_add(message.read());
    }
}

/// One round of a channel.
pub(super) fn channel<K: Kind, const WORDS: usize>(
    shape: &Shape,
    extent: Extent,
) -> Result<Run, Failure> {
    let (senders, receivers) = K::ends::<Message<WORDS>>(shape);
    let (start, whistle, seats) = (Start::new(shape), Whistle::default(), shape.seats());
    let share = extent.share(shape.producers);
    thread::scope(|scope| {
        let mut threads = 0..;
        let mut seated = || threads.next().unwrap_or(0);
        let (start, whistle, seats) = (&start, &whistle, &seats);
        let sending: Vec<_> = senders
            .into_iter()
            .map(|mut tx| {
                let thread = seated();
                scope.spawn(move || {
                    let began = start.wait(seats, thread);
                    let leave = |sent, wanted| whistle.leave(share, sent, wanted);
                    (send(&mut tx.0, shape.batch, leave), began)
                })
            })
            .collect();
        let receiving: Vec<_> = receivers
            .into_iter()
            .map(|mut rx| {
                let thread = seated();
                scope.spawn(move || {
                    start.wait(seats, thread);
                    (receive(&mut rx.0, shape.batch), Instant::now())
                })
            })
            .collect();
        start.ready();
        whistle.after(share);
        let (mut sent, mut received) = (Sum::default(), Sum::default());
        let (mut begins, mut ends) = (Vec::new(), Vec::new());
        for (sum, began) in sending.into_iter().map(joined) {
            sent = sent.add(sum);
            begins.push(began);
        }
        for (sum, ended) in receiving.into_iter().map(joined) {
            received = received.add(sum);
            ends.push(ended);
        }
        account(K::NAME, sent, received)?;
        let began = begins.into_iter().min();
        let took = ends.into_iter().max().zip(began).map(|(ended, began)| ended - began);
        Ok(Run { messages: received.messages, took: took.unwrap_or_default() })
    })
}

/// One round of the limit, of which `shape` has two ends: the same messages from core to core
/// without a channel.
pub(super) fn handoff<const WORDS: usize>(shape: &Shape, extent: Extent) -> Result<Run, Failure> {
    let (start, whistle, seats) = (Start::new(shape), Whistle::default(), shape.seats());
    let handoff = Handoff::<WORDS>::new();
    let block = Handoff::<WORDS>::messages_a_block() as u64;
    thread::scope(|scope| {
        let (start, seats, handoff, whistle) = (&start, &seats, &handoff, &whistle);
        let filling = scope.spawn(move || {
            let began = start.wait(seats, 0);
            let mut turn = 0;
            while turn == 0 || whistle.leave(extent, turn * block, block) > 0 {
                handoff.fill(turn, turn * block);
                turn += 1;
            }
            handoff.end();
            began
        });
        let reading = scope.spawn(move || {
            start.wait(seats, 1);
            let (mut turns, mut numbers) = (0, 0_u64);
            while let Some(sum) = handoff.take(turns) {
                numbers = numbers.wrapping_add(sum);
                turns += 1;
            }
            (Sum { messages: turns * block, numbers }, Instant::now())
        });
        start.ready();
        whistle.after(extent);
        let (began, (received, ended)) = (joined(filling), joined(reading));
        account("the limit", Sum::of_first(received.messages), received)?;
        Ok(Run { messages: received.messages, took: ended - began })
    })
}

/// Sends one by one, or in batches, as long as `leave` gives leave; what was sent.
fn send<const WORDS: usize>(
    tx: &mut impl Tx<Message<WORDS>>,
    batch: usize,
    leave: impl Fn(u64, u64) -> u64,
) -> Sum {
    let stretch = STRETCH.max(batch as u64);
    let mut next = 0;
    loop {
        let end = next + leave(next, stretch);
        if next == end {
            break;
        }
        while next < end {
            let last = (next + batch as u64).min(end);
            let sent = match batch {
                1 => tx.send(Message::new(next)),
                _ => tx.send_all((next..last).map(Message::new)),
            };
            if sent.is_err() {
                return Sum::of_first(next);
            }
            next = last;
        }
    }
    Sum::of_first(next)
}

/// Receives one by one, or in batches, until all senders are gone.
fn receive<const WORDS: usize>(rx: &mut impl Rx<Message<WORDS>>, batch: usize) -> Sum {
    let mut sum = Sum::default();
    if batch == 1 {
        while let Ok(message) = rx.recv() {
            sum.take(message);
        }
        return sum;
    }
    let mut messages = Vec::with_capacity(batch);
    while rx.recv_many(&mut messages, batch).is_ok() {
        messages.drain(..).for_each(|message| sum.take(message));
    }
    sum
}

/// All threads of a round begin together.
struct Start(Barrier);

impl Start {
    fn new(shape: &Shape) -> Start {
        Start(Barrier::new(shape.threads() + 1))
    }

    /// Takes a seat, and waits for the others; the time when all were there.
    fn wait(&self, seats: &Seats, thread: usize) -> Instant {
        seats.take(thread);
        self.ready();
        Instant::now()
    }

    /// Waits until all are there.
    fn ready(&self) {
        self.0.wait();
    }
}

/// What was sent has to be what was received.
fn account(who: &str, sent: Sum, received: Sum) -> Result<(), Failure> {
    if sent == received {
        return Ok(());
    }
    let what = format!("{who} did not deliver what was sent");
    let counts =
        format!("{} sent, {} received", count(sent.messages, "message"), received.messages);
    Err(Failure::new(what).cause(counts))
}

/// What a thread of ours returned; it has no reason to panic but one of ours.
fn joined<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use chaski_ring::Wait;

    use super::super::kinds::{FanIn, Mpmc, Mpsc, Spsc};
    use super::super::machine::Facts;
    use super::*;

    fn shape(producers: usize, consumers: usize, batch: usize) -> Shape {
        let pinning = Facts::gather().pinning(Some(false), 2);
        Shape { producers, consumers, capacity: 16, batch, wait: Wait::Adaptive, pinning }
    }

    #[test]
    fn every_kind_counts_every_message() {
        let extent = Extent::Messages(1000);
        for batch in [1, 7] {
            let messages = |run: Result<Run, Failure>| run.unwrap().messages;
            assert_eq!(messages(channel::<Spsc, 1>(&shape(1, 1, batch), extent)), 1000);
            assert_eq!(messages(channel::<Mpsc, 8>(&shape(2, 1, batch), extent)), 1000);
            assert_eq!(messages(channel::<FanIn, 8>(&shape(3, 1, batch), extent)), 1002);
            assert_eq!(messages(channel::<Mpmc, 1>(&shape(2, 2, batch), extent)), 1000);
        }
    }

    #[test]
    fn a_time_is_an_end_too() {
        let extent = Extent::Time(Duration::from_millis(50));
        let some = |run: Result<Run, Failure>| run.unwrap().messages > 0;
        // The time may be over before the threads have begun.
        assert!((0..100).any(|_| some(channel::<Spsc, 1>(&shape(1, 1, 1), extent))));
        assert!((0..100).any(|_| some(handoff::<1>(&shape(1, 1, 1), extent))));
    }

    #[test]
    fn a_lost_message_is_a_failure() {
        let sent = Sum::of_first(10);
        assert!(account("it", sent, sent).is_ok());
        assert!(account("it", sent, Sum::of_first(9)).is_err());
        let doubled = Sum { messages: 10, numbers: sent.numbers + 1 };
        assert!(account("it", sent, doubled).is_err());
    }
}
