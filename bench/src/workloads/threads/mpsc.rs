//! Several threads to one, wherever the scheduler puts them: `mpsc-*`. Crates that wait use their
//! own waiting; the others yield now and then. The limit is a counter that two cores share: no ring
//! that all senders share can hand out its places quicker. A ring for each sender can.

use std::sync::Barrier;
use std::sync::atomic::AtomicU64;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::limits::claim;
use super::pair::together;
use super::{Setup, case, pace};
use crate::rivals::threads::{
    BlockingRecv, BlockingSend, Ends, Line, Message, array_queue, async_channel, chaski,
    crossbeam_channel, crossfire, disruptor, flume, gil, kanal, standard, thingbuf, tokio,
};
use crate::run::{Case, Entrant};
use crate::workloads::padded::Padded;

pub(super) fn cases(setup: Setup) -> Vec<Case> {
    vec![
        case("mpsc-2p", entrants::<u64>(setup, 2)),
        case("mpsc-4p", entrants::<u64>(setup, 4)),
        case("mpsc-2p-64B", entrants::<Line>(setup, 2)),
    ]
}

fn entrants<T: Message>(setup: Setup, senders: usize) -> Vec<Entrant> {
    let threads = Threads { senders, receivers: 1 };
    vec![
        counter(setup),
        entrant(setup, threads, "chaski", chaski::many_to_one::<T>),
        entrant(setup, threads, "chaski fan-in", chaski::lanes_to_one::<T>),
        entrant(setup, threads, "gil sharded", gil::sharded_to_one::<T>),
        entrant(setup, threads, "gil sharded parking", gil::sharded_parking_to_one::<T>),
        entrant(setup, threads, "gil", gil::many_to_one::<T>),
        entrant(setup, threads, "crossfire", crossfire::many_to_one::<T>),
        entrant(setup, threads, "crossbeam-queue", array_queue::many::<T>),
        entrant(setup, threads, "thingbuf", thingbuf::many_to_one::<T>),
        entrant(setup, threads, "std", standard::many_to_one::<T>),
        entrant(setup, threads, "crossbeam-channel", crossbeam_channel::many::<T>),
        entrant(setup, threads, "flume", flume::many::<T>),
        entrant(setup, threads, "async-channel", async_channel::many::<T>),
        entrant(setup, threads, "tokio", tokio::many_to_one::<T>),
        entrant(setup, threads, "disruptor", disruptor::many_to_one::<T>),
        entrant(setup, threads, "kanal", kanal::many::<T>),
    ]
}

/// How many threads there are on each side.
#[derive(Debug, Clone, Copy)]
pub(super) struct Threads {
    pub(super) senders: usize,
    pub(super) receivers: usize,
}

/// The limit: two cores claim places by one counter, half of them each.
pub(super) fn counter(setup: Setup) -> Entrant {
    let mut run = move |count: u64| -> Result<_> {
        let counter = Padded::<AtomicU64>::default();
        let half = || claim(&counter.0, count / 2);
        Ok(together(setup, &mut { half }, &mut { half }))
    };
    Entrant::new("limit", move || pace::ns_per_msg(setup, &mut run))
}

pub(super) fn entrant<T: Message, S: BlockingSend<T>, R: BlockingRecv<T>>(
    setup: Setup,
    threads: Threads,
    who: &str,
    channel: fn(usize, usize) -> Ends<S, R>,
) -> Entrant {
    let mut run = move |count: u64| -> Result<_> {
        let (txs, rxs) = channel(threads.senders, threads.receivers);
        let (sent, taken) = (count / threads.senders as u64, count / threads.receivers as u64);
        let senders = txs.into_iter().enumerate().map(|(at, mut tx)| -> Part {
            let first = at as u64 * sent;
            Box::new(move || {
                (first..first + sent).for_each(|number| tx.put(T::new(number)));
                0
            })
        });
        let receivers = rxs.into_iter().map(|mut rx| -> Part {
            Box::new(move || (0..taken).fold(0, |sum: u64, _| sum.wrapping_add(rx.take().value())))
        });
        let (took, sum) = at_once(senders.chain(receivers).collect());
        ensure!(sum == T::sum_of_first(count), "messages were lost, doubled or changed");
        Ok(took)
    };
    Entrant::new(who, move || pace::ns_per_msg(setup, &mut run))
}

/// What one thread does; the sum of what it received.
type Part = Box<dyn FnOnce() -> u64 + Send>;

/// Runs a thread for each part, all from the same moment; the time until the last is done, and the
/// sum of what they return.
fn at_once(parts: Vec<Part>) -> (Duration, u64) {
    let barrier = &Barrier::new(parts.len());
    let timed = |part: Part| {
        move || {
            barrier.wait();
            let start = Instant::now();
            let sum = part();
            (start, Instant::now(), sum)
        }
    };
    let done: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = parts.into_iter().map(|part| scope.spawn(timed(part))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a thread panicked")).collect()
    });
    let start = done.iter().map(|(start, ..)| *start).min().expect("there are threads");
    let end = done.iter().map(|(_, end, _)| *end).max().expect("there are threads");
    let sum = done.iter().fold(0, |sum: u64, (.., one)| sum.wrapping_add(*one));
    (end - start, sum)
}
