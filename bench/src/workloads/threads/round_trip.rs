//! There and back over two channels: `spsc-rtt` (spinning) and `spsc-rtt-blocking` (with calls that
//! may sleep, but need not: the answer is on its way). The limit is a cache line each way.

use anyhow::{Context, Result, ensure};

use super::limits::PingPong;
use super::pair::together;
use super::{P50_NS, P99_NS, Setup, case};
use crate::rivals::threads::{
    BlockingRecv, BlockingSend, TryRecv, TrySend, array_queue, async_channel, chaski,
    crossbeam_channel, crossfire, disruptor, flume, gil, kanal, ringbuf, rtrb, standard, thingbuf,
    tokio,
};
use crate::run::{Case, Entrant, Samples, quantile};
use crate::workloads::laps::Laps;

/// The number that ends the echo. Others start at 1.
pub(super) const STOP: u64 = u64::MAX;

pub(super) fn cases(setup: Setup) -> Vec<Case> {
    vec![case("spsc-rtt", spinning(setup)), case("spsc-rtt-blocking", sleeping(setup))]
}

fn spinning(setup: Setup) -> Vec<Entrant> {
    vec![
        line(setup),
        spins(setup, "chaski", chaski::pair),
        spins(setup, "disruptor", disruptor::pair),
        spins(setup, "gil", gil::pair),
        spins(setup, "ringbuf", ringbuf::pair),
        spins(setup, "crossfire", crossfire::pair),
        spins(setup, "rtrb", rtrb::pair),
        spins(setup, "crossbeam-queue", array_queue::pair),
        spins(setup, "crossbeam-channel", crossbeam_channel::pair),
        spins(setup, "std", standard::pair),
        spins(setup, "thingbuf", thingbuf::pair),
        spins(setup, "async-channel", async_channel::pair),
        spins(setup, "tokio", tokio::pair),
        spins(setup, "flume", flume::pair),
        spins(setup, "kanal", kanal::pair),
    ]
}

fn sleeping(setup: Setup) -> Vec<Entrant> {
    vec![
        line(setup),
        blocks(setup, "chaski", chaski::pair),
        blocks(setup, "gil", gil::pair_that_parks),
        blocks(setup, "crossfire", crossfire::pair),
        blocks(setup, "crossfire mpsc", crossfire::pair_of_mpsc),
        blocks(setup, "crossbeam-channel", crossbeam_channel::pair),
        blocks(setup, "std", standard::pair),
        blocks(setup, "thingbuf", thingbuf::pair),
        blocks(setup, "kanal", kanal::pair),
        blocks(setup, "async-channel", async_channel::pair),
        blocks(setup, "tokio", tokio::pair),
        blocks(setup, "flume", flume::pair),
    ]
}

/// The limit: nothing but the two lines.
pub(super) fn line(setup: Setup) -> Entrant {
    Entrant::new("limit", move || {
        let lines = PingPong::default();
        let mut answered = 0;
        let ping = |number| {
            answered = lines.ping(number, answered);
            answered
        };
        let mut echoed = 0;
        let echo = || {
            echoed = lines.echo(echoed);
            echoed
        };
        round_trips(setup, ping, echo)
    })
}

fn spins<S: TrySend<u64>, R: TryRecv<u64>>(
    setup: Setup,
    who: &str,
    channel: fn() -> (S, R),
) -> Entrant {
    Entrant::new(who, move || {
        let ((mut there, mut inbox), (mut back, mut answers)) = (channel(), channel());
        let ping = |number| {
            offer_all(&mut there, number);
            poll_one(&mut answers)
        };
        let echo = || {
            let number = poll_one(&mut inbox);
            offer_all(&mut back, number);
            number
        };
        round_trips(setup, ping, echo)
    })
}

fn blocks<S: BlockingSend<u64>, R: BlockingRecv<u64>>(
    setup: Setup,
    who: &str,
    channel: fn() -> (S, R),
) -> Entrant {
    Entrant::new(who, move || {
        let ((mut there, mut inbox), (mut back, mut answers)) = (channel(), channel());
        let ping = |number| {
            there.put(number);
            answers.take()
        };
        let echo = || {
            let number = inbox.take();
            back.put(number);
            number
        };
        round_trips(setup, ping, echo)
    })
}

fn offer_all(tx: &mut impl TrySend<u64>, number: u64) {
    while tx.offer(number).is_err() {
        std::hint::spin_loop();
    }
}

fn poll_one(rx: &mut impl TryRecv<u64>) -> u64 {
    loop {
        match rx.poll() {
            Some(number) => return number,
            None => std::hint::spin_loop(),
        }
    }
}

/// Pings for the time of a turn; `echo` answers one ping and says which.
fn round_trips(
    setup: Setup,
    mut ping: impl FnMut(u64) -> u64 + Send,
    mut echo: impl FnMut() -> u64 + Send,
) -> Result<Samples> {
    let (mut laps, mut right) = (None, true);
    let mut echoes = || while echo() != STOP {};
    let mut pings = || {
        let laps = laps.insert(Laps::new(setup));
        let mut number = 0;
        while laps.next() {
            number += 1;
            right &= ping(number) == number;
        }
        right &= ping(STOP) == STOP;
    };
    together(setup, &mut echoes, &mut pings);
    ensure!(right, "another message came back");
    quantiles(laps.context("no lap")?.times_ns())
}

/// Median and 99th percentile.
pub(super) fn quantiles(mut times_ns: Vec<u64>) -> Result<Samples> {
    ensure!(!times_ns.is_empty(), "nothing was timed");
    times_ns.sort_unstable();
    let at = |q| quantile(&times_ns, q) as f64;
    Ok(vec![(P50_NS, at(0.5)), (P99_NS, at(0.99))])
}
