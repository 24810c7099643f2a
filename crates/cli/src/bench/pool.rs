//! `chaski bench pool`.

mod idle;
mod scaling;

use std::time::Duration;

use chaski_pool::partition::{Consistent, Hash, LeastLoaded, Partitioner, RoundRobin};
use chaski_pool::{Builder, Pool, Report as Drained};
use serde::Serialize;

use super::channel::wait;
use super::extent::Extent;
use super::histogram::{Histogram, Percentiles};
use super::machine::{Facts, Pinning};
use super::{median, per_second, shown};
use crate::args::{BenchPool, PartitionerName};
use crate::failure::Failure;
use crate::output::{self, Described, Row};
use crate::progress::Step;
use crate::table::{Column, number, text};

/// Up to so many workers, every number of them is measured; above it, powers of two.
const EVERY_UP_TO: usize = 4;
/// Longer than any queue takes that is measured here.
const DRAIN_MAX: Duration = Duration::from_secs(600);

#[derive(Debug, Serialize)]
struct Report {
    machine: Facts,
    rounds: u16,
    partitioner: &'static str,
    wait: &'static str,
    work_ns: u32,
    queue: u32,
    throughput: Vec<Throughput>,
    idle_wake: Vec<IdleWake>,
}

#[derive(Debug, Serialize)]
struct Throughput {
    workers: usize,
    pinned: bool,
    /// The median of the rounds.
    ns_per_message: f64,
    messages_per_second: f64,
    /// Over one worker.
    speedup: f64,
    /// That of as many threads which share nothing, not even a queue.
    limit_speedup: f64,
    limit_ns_per_message: f64,
}

#[derive(Debug, Serialize)]
struct IdleWake {
    /// `pool` or `limit`.
    who: &'static str,
    pinned: bool,
    #[serde(flatten)]
    percentiles: Percentiles,
}

pub(super) fn run(args: &BenchPool) -> Result<(), Failure> {
    let machine = Facts::gather();
    let mut step = Step::new();
    let throughput = match args.idle {
        true => Vec::new(),
        false => throughput(args, &machine, &mut step)?,
    };
    let idle_wake = idle_wake(args, &machine, &mut step)?;
    step.clear();
    let report = Report {
        machine,
        rounds: args.extent.rounds,
        partitioner: partitioner(args.partitioner).1,
        wait: wait(args.wait.wait).1,
        work_ns: args.work_ns,
        queue: args.queue,
        throughput,
        idle_wake,
    };
    output::describe(args.output.output, &report)
}

fn throughput(
    args: &BenchPool,
    machine: &Facts,
    step: &mut Step,
) -> Result<Vec<Throughput>, Failure> {
    let (extent, rounds) = (Extent::of(&args.extent), args.extent.rounds);
    let work = scaling::Work::of(args.work_ns);
    let numbers = numbers(args.workers.map_or(machine.workers(), usize::from));
    let mut costs = vec![(Vec::new(), Vec::new()); numbers.len()];
    for round in 1..=rounds {
        for (workers, (ours, limits)) in numbers.iter().zip(&mut costs) {
            let pinning = pinning(args, machine, *workers);
            let name = output::count(*workers as u64, "worker");
            step.show(&format!("round {round} of {rounds}: {name}"));
            limits.push(scaling::independent(*workers, work, extent, pinning).ns_per_message());
            ours.push(
                scaling::pool(builder(args, *workers, pinning), work, extent)?.ns_per_message(),
            );
        }
    }
    let medians: Vec<_> =
        costs.into_iter().map(|(ours, limits)| (median(ours), median(limits))).collect();
    let one = medians.first().copied().unwrap_or((f64::NAN, f64::NAN));
    let row = |(workers, (ours, limit)): (&usize, &(f64, f64))| Throughput {
        workers: *workers,
        pinned: pinning(args, machine, *workers).is_on(),
        ns_per_message: *ours,
        messages_per_second: 1e9 / ours,
        speedup: one.0 / ours,
        limit_speedup: one.1 / limit,
        limit_ns_per_message: *limit,
    };
    Ok(numbers.iter().zip(&medians).map(row).collect())
}

fn idle_wake(args: &BenchPool, machine: &Facts, step: &mut Step) -> Result<Vec<IdleWake>, Failure> {
    let (extent, rounds) = (Extent::of(&args.extent).of_wakes(), args.extent.rounds);
    let pinning = pinning(args, machine, 1);
    let (mut ours, mut limits) = (Histogram::new(), Histogram::new());
    for round in 1..=rounds {
        step.show(&format!("round {round} of {rounds}: a worker that sleeps"));
        limits.merge(&idle::bell(extent, pinning));
        ours.merge(&idle::pool(builder(args, 1, pinning), extent, pinning)?);
    }
    let row = |who, histogram: &Histogram| IdleWake {
        who,
        pinned: pinning.is_on(),
        percentiles: histogram.percentiles(),
    };
    Ok(vec![row("limit", &limits), row("pool", &ours)])
}

/// Of workers, and of the one who sends, who wants a CPU too.
fn pinning(args: &BenchPool, machine: &Facts, workers: usize) -> Pinning {
    machine.pinning(args.pin.wanted(), workers + 1)
}

/// 1, 2, 3, 4, 8, .. up to `most`, which is the last.
fn numbers(most: usize) -> Vec<usize> {
    let beyond = (1..).map(|power| EVERY_UP_TO << power).take_while(|number| *number < most);
    let mut numbers: Vec<usize> = (1..=EVERY_UP_TO.min(most)).chain(beyond).collect();
    if numbers.last().is_none_or(|last| *last < most) {
        numbers.push(most);
    }
    numbers
}

type AnyPartitioner = Box<dyn Partitioner<u64>>;

fn builder(args: &BenchPool, workers: usize, pinning: Pinning) -> Builder<AnyPartitioner> {
    Pool::builder()
        .workers(workers)
        .name("bench")
        .queue(args.queue as usize)
        .wait(wait(args.wait.wait).0)
        .placement(pinning.placement())
        .partitioner(partitioner(args.partitioner).0)
}

/// A partitioner, and how it is called.
fn partitioner(name: PartitionerName) -> (AnyPartitioner, &'static str) {
    match name {
        PartitionerName::Hash => (Box::new(Hash), "hash"),
        PartitionerName::Consistent => (Box::new(Consistent::new()), "consistent"),
        PartitionerName::RoundRobin => (Box::new(RoundRobin::new()), "round-robin"),
        PartitionerName::LeastLoaded => (Box::new(LeastLoaded::new()), "least-loaded"),
    }
}

fn start_failed(error: &chaski_pool::StartError) -> Failure {
    Failure::because("the pool could not be started", error)
}

/// Ends a pool; every message it took has to be handled.
fn drained<K: ?Sized + 'static>(pool: Pool<K, u64>) -> Result<(), Failure> {
    let Drained { left, stuck, .. } = pool.drain(DRAIN_MAX);
    match (left, stuck) {
        (0, 0) => Ok(()),
        _ => Err(Failure::new("the pool did not handle what was sent")
            .cause(format!("{left} messages left, {stuck} workers stuck"))),
    }
}

impl Described for Report {
    fn describe(&self) -> String {
        let Report { machine, rounds, partitioner, wait, work_ns, queue, throughput, idle_wake } =
            self;
        let rounds = output::count(*rounds, "round");
        let scaling = match throughput.is_empty() {
            true => String::new(),
            false => format!(
                "Throughput: one producer, {work_ns} ns of work for each message\n{}\n\
                 The limit is as many threads that do the same work and share nothing.\n\n",
                output::table(throughput)
            ),
        };
        format!(
            "{machine}{rounds}, {partitioner}, queues of {queue}, wait {wait}\n\n\
             {scaling}\
             From sending to the handler of a worker that sleeps\n{}\n\
             The limit is a thread that is unparked.\n",
            output::table(idle_wake),
        )
    }
}

impl Row for Throughput {
    const COLUMNS: &'static [Column] = &[
        number("WORKERS"),
        number("NS/MESSAGE"),
        number("MESSAGES/S"),
        number("SPEED-UP"),
        number("LIMIT NS/MESSAGE"),
        number("LIMIT SPEED-UP"),
        text("PINNED"),
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.workers.to_string(),
            shown(self.ns_per_message),
            per_second(self.messages_per_second),
            format!("{:.2}", self.speedup),
            shown(self.limit_ns_per_message),
            format!("{:.2}", self.limit_speedup),
            if self.pinned { "yes" } else { "no" }.to_owned(),
        ]
    }
}

impl Row for IdleWake {
    const COLUMNS: &'static [Column] = &[
        text("WHO"),
        number("P50 NS"),
        number("P99 NS"),
        number("P99.9 NS"),
        number("MAX NS"),
        number("SAMPLES"),
        text("PINNED"),
    ];

    fn cells(&self) -> Vec<String> {
        let mut cells = vec![self.who.to_owned()];
        cells.extend(self.percentiles.cells());
        cells.push(if self.pinned { "yes" } else { "no" }.to_owned());
        cells
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_workers_end_with_the_most() {
        assert_eq!(numbers(1), [1]);
        assert_eq!(numbers(2), [1, 2]);
        assert_eq!(numbers(4), [1, 2, 3, 4]);
        assert_eq!(numbers(8), [1, 2, 3, 4, 8]);
        assert_eq!(numbers(24), [1, 2, 3, 4, 8, 16, 24]);
    }
}
