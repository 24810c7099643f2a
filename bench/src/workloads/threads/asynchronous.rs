//! Tasks on tokio: `async-1p`, `async-4p` (two worker threads), `async-1p-local` (all on one
//! thread), and `async-rtt`, `async-rtt-local`, there and back over two channels. The limit of the
//! round trip between threads is the cache line; tokio may well keep both tasks on one worker.

use std::pin::Pin;
use std::time::{Duration, Instant};

use ::tokio::runtime::{Builder, Runtime};
use anyhow::{Context, Result, ensure};

use super::round_trip::{STOP, line, quantiles};
use super::{Setup, case, pace};
use crate::rivals::threads::{
    AsyncRecv, AsyncSend, Message, async_channel, chaski, crossfire, flume, gil, kanal, tachyonix,
    thingbuf, tokio,
};
use crate::run::{Case, Entrant, Samples};
use crate::workloads::laps::Laps;

/// Where the tasks run.
#[derive(Debug, Clone, Copy)]
enum On {
    TwoWorkers,
    OneThread,
}

impl On {
    fn runtime(self) -> Result<Runtime> {
        Ok(match self {
            On::TwoWorkers => Builder::new_multi_thread().worker_threads(2).build()?,
            On::OneThread => Builder::new_current_thread().build()?,
        })
    }
}

pub(super) fn cases(setup: Setup) -> Vec<Case> {
    let mut between_threads = trips(setup, On::TwoWorkers);
    between_threads.push(line(setup));
    vec![
        case("async-1p", streams_of_one(setup, On::TwoWorkers)),
        case("async-4p", streams_of_many(setup)),
        case("async-1p-local", streams_of_one(setup, On::OneThread)),
        case("async-rtt", between_threads),
        case("async-rtt-local", trips(setup, On::OneThread)),
    ]
}

/// With one sender those take part as well that know of no more.
fn streams_of_one(setup: Setup, on: On) -> Vec<Entrant> {
    let mut entrants = vec![
        stream(setup, on, 1, "chaski", |_| one(chaski::pair())),
        stream(setup, on, 1, "crossfire spsc", |_| one(crossfire::pair_of_tasks())),
        stream(setup, on, 1, "gil", |_| one(gil::pair())),
    ];
    entrants.extend(streams(setup, on, 1));
    entrants
}

fn streams_of_many(setup: Setup) -> Vec<Entrant> {
    let (on, senders) = (On::TwoWorkers, 4);
    let mut entrants = vec![
        stream(setup, on, senders, "chaski", chaski::tasks),
        stream(setup, on, senders, "chaski fan-in", chaski::tasks_in_lanes),
    ];
    entrants.extend(streams(setup, on, senders));
    entrants
}

fn streams(setup: Setup, on: On, senders: usize) -> Vec<Entrant> {
    vec![
        stream(setup, on, senders, "crossfire", crossfire::tasks),
        stream(setup, on, senders, "tachyonix", tachyonix::tasks),
        stream(setup, on, senders, "thingbuf", thingbuf::tasks),
        stream(setup, on, senders, "async-channel", |txs| copies(async_channel::pair(), txs)),
        stream(setup, on, senders, "tokio", |txs| copies(tokio::pair(), txs)),
        stream(setup, on, senders, "flume", |txs| copies(flume::pair(), txs)),
        stream(setup, on, senders, "kanal", kanal::tasks),
    ]
}

fn trips(setup: Setup, on: On) -> Vec<Entrant> {
    vec![
        trip(setup, on, "chaski", |_| one(chaski::pair())),
        trip(setup, on, "crossfire spsc", |_| one(crossfire::pair_of_tasks())),
        trip(setup, on, "crossfire", crossfire::tasks),
        trip(setup, on, "gil", |_| one(gil::pair())),
        trip(setup, on, "tachyonix", tachyonix::tasks),
        trip(setup, on, "thingbuf", thingbuf::tasks),
        trip(setup, on, "async-channel", |txs| copies(async_channel::pair(), txs)),
        trip(setup, on, "tokio", |txs| copies(tokio::pair(), txs)),
        trip(setup, on, "flume", |txs| copies(flume::pair(), txs)),
        trip(setup, on, "kanal", kanal::tasks),
    ]
}

fn one<S, R>((tx, rx): (S, R)) -> (Vec<S>, R) {
    (vec![tx], rx)
}

fn copies<S: Clone, R>((tx, rx): (S, R), senders: usize) -> (Vec<S>, R) {
    (vec![tx; senders], rx)
}

fn stream<S: AsyncSend<u64>, R: AsyncRecv<u64>>(
    setup: Setup,
    on: On,
    senders: usize,
    who: &str,
    channel: fn(usize) -> (Vec<S>, R),
) -> Entrant {
    let mut run = move |count: u64| -> Result<Duration> {
        let share = count / senders as u64;
        let (txs, mut rx) = channel(senders);
        let send = |(at, mut tx): (usize, S)| -> Task<u64> {
            let first = at as u64 * share;
            Box::pin(async move {
                for number in first..first + share {
                    tx.put_async(number).await;
                }
                0
            })
        };
        let receive = async move {
            let mut sum: u64 = 0;
            for _ in 0..count {
                sum = sum.wrapping_add(rx.take_async().await);
            }
            sum
        };
        let senders = txs.into_iter().enumerate().map(send).collect();
        let (took, sum) = run_all(on, senders, Box::pin(receive))?;
        ensure!(sum == u64::sum_of_first(count), "messages were lost or doubled");
        Ok(took)
    };
    Entrant::new(who, move || pace::ns_per_msg(setup, &mut run))
}

fn trip<S: AsyncSend<u64>, R: AsyncRecv<u64>>(
    setup: Setup,
    on: On,
    who: &str,
    channel: fn(usize) -> (Vec<S>, R),
) -> Entrant {
    Entrant::new(who, move || -> Result<Samples> {
        let ((mut there, mut inbox), (mut back, mut answers)) = (channel(1), channel(1));
        let echo: Task<Option<Laps>> = Box::pin(async move {
            let mut number = 0;
            while number != STOP {
                number = inbox.take_async().await;
                back[0].put_async(number).await;
            }
            None
        });
        let ping: Task<Option<Laps>> = Box::pin(async move {
            let mut laps = Laps::new(setup);
            let (mut number, mut right) = (0, true);
            while laps.next() {
                number += 1;
                there[0].put_async(number).await;
                right &= answers.take_async().await == number;
            }
            there[0].put_async(STOP).await;
            right &= answers.take_async().await == STOP;
            right.then_some(laps)
        });
        let (_, laps) = run_all(on, vec![echo], ping)?;
        quantiles(laps.context("another message came back")?.times_ns())
    })
}

/// A boxed task: what spawns it is compiled once for all contestants.
type Task<R> = Pin<Box<dyn Future<Output = R> + Send>>;

/// Spawns all tasks; what `last` returns, and how long that took.
fn run_all<R: Send + 'static>(
    on: On,
    others: Vec<Task<R>>,
    last: Task<R>,
) -> Result<(Duration, R)> {
    on.runtime()?.block_on(async {
        let start = Instant::now();
        let last = ::tokio::spawn(last);
        for other in others {
            ::tokio::spawn(other);
        }
        let result = last.await?;
        Ok((start.elapsed(), result))
    })
}
