//! `chaski bench channel`.

use chaski_ring::Wait;
use serde::Serialize;

use super::extent::Extent;
use super::histogram::{Histogram, Percentiles};
use super::kinds::{FanIn, Kind, Mpmc, Mpsc, Shape, Spsc};
use super::machine::Facts;
use super::throughput::Run;
use super::{median, per_second, round_trip, shown, throughput};
use crate::args::{BenchChannel, KindName, Size, WaitName};
use crate::failure::{CALLED_WRONGLY, Failure};
use crate::output::{self, Described, Row};
use crate::progress::Step;
use crate::table::{Column, number, text};

/// Threads on a side that may have several, unless told otherwise.
const SEVERAL: u16 = 2;

#[derive(Debug, Serialize)]
struct Report {
    machine: Facts,
    rounds: u16,
    wait: &'static str,
    throughput: Vec<Throughput>,
    round_trip: Vec<RoundTrip>,
}

#[derive(Debug, Serialize)]
struct Throughput {
    /// A kind of channel, or `limit`.
    who: &'static str,
    producers: usize,
    consumers: usize,
    size_bytes: usize,
    batch: usize,
    capacity: usize,
    pinned: bool,
    /// The median of the rounds.
    ns_per_message: f64,
    messages_per_second: f64,
    bytes_per_second: f64,
    /// The slowest round over the quickest, less 1.
    spread: f64,
}

#[derive(Debug, Serialize)]
struct RoundTrip {
    /// A kind of channel, or `limit`.
    who: &'static str,
    size_bytes: usize,
    pinned: bool,
    #[serde(flatten)]
    percentiles: Percentiles,
}

pub(super) fn run(args: &BenchChannel) -> Result<(), Failure> {
    let report = match args.size {
        Size::B8 => measure::<1>(args),
        Size::B64 => measure::<8>(args),
        Size::B256 => measure::<32>(args),
        Size::B1024 => measure::<128>(args),
    }?;
    output::describe(args.output.output, &report)
}

fn measure<const WORDS: usize>(args: &BenchChannel) -> Result<Report, Failure> {
    let machine = Facts::gather();
    let mut contestants = contestants::<WORDS>(args, &machine)?;
    if machine.has_two_cpus() {
        contestants.insert(0, Contestant::limit::<WORDS>(args, &machine));
    }
    let (extent, clock_ns) = (Extent::of(&args.extent), machine.clock_ns());
    let mut step = Step::new();
    for round in 1..=args.extent.rounds {
        for contestant in &mut contestants {
            let (who, of) = (contestant.who, args.extent.rounds);
            step.show(&format!("round {round} of {of}: {who}"));
            contestant.take_turn(extent, clock_ns)?;
        }
    }
    step.clear();
    Ok(Report {
        machine,
        rounds: args.extent.rounds,
        wait: wait(args.wait.wait).1,
        throughput: contestants.iter().map(Contestant::throughput).collect(),
        round_trip: contestants.iter().map(Contestant::round_trip).collect(),
    })
}

/// Who takes part in every round, and what it came to so far.
struct Contestant {
    who: &'static str,
    shape: Shape,
    /// The same between two threads, for round trips.
    pair: Shape,
    size_bytes: usize,
    throughput: fn(&Shape, Extent) -> Result<Run, Failure>,
    round_trip: fn(&Shape, Extent, u64) -> Result<Histogram, Failure>,
    runs: Vec<Run>,
    laps: Histogram,
}

impl Contestant {
    fn new<K: Kind, const WORDS: usize>(
        args: &BenchChannel,
        machine: &Facts,
        (producers, consumers): (usize, usize),
    ) -> Contestant {
        Contestant {
            who: K::NAME,
            shape: shape(args, machine, producers, consumers),
            pair: shape(args, machine, 1, 1),
            size_bytes: 8 * WORDS,
            throughput: throughput::channel::<K, WORDS>,
            round_trip: round_trip::channel::<K, WORDS>,
            runs: Vec::new(),
            laps: Histogram::new(),
        }
    }

    fn limit<const WORDS: usize>(args: &BenchChannel, machine: &Facts) -> Contestant {
        Contestant {
            who: "limit",
            throughput: throughput::handoff::<WORDS>,
            round_trip: |shape, extent, clock_ns| {
                Ok(round_trip::cache_line(shape, extent, clock_ns))
            },
            ..Contestant::new::<Spsc, WORDS>(args, machine, (1, 1))
        }
    }

    fn take_turn(&mut self, extent: Extent, clock_ns: u64) -> Result<(), Failure> {
        self.runs.push((self.throughput)(&self.shape, extent)?);
        self.laps.merge(&(self.round_trip)(&self.pair, extent, clock_ns)?);
        Ok(())
    }

    fn throughput(&self) -> Throughput {
        let Shape { producers, consumers, batch, capacity, pinning, .. } = self.shape;
        let costs: Vec<f64> = self.runs.iter().map(Run::ns_per_message).collect();
        let least = costs.iter().copied().fold(f64::INFINITY, f64::min);
        let most = costs.iter().copied().fold(0.0, f64::max);
        let ns_per_message = median(costs);
        let messages_per_second = 1e9 / ns_per_message;
        Throughput {
            who: self.who,
            producers,
            consumers,
            size_bytes: self.size_bytes,
            batch,
            capacity,
            pinned: pinning.is_on(),
            ns_per_message,
            messages_per_second,
            bytes_per_second: messages_per_second * self.size_bytes as f64,
            spread: most / least - 1.0,
        }
    }

    fn round_trip(&self) -> RoundTrip {
        RoundTrip {
            who: self.who,
            size_bytes: self.size_bytes,
            pinned: self.pair.pinning.is_on(),
            percentiles: self.laps.percentiles(),
        }
    }
}

/// The kinds that were asked for. A kind that cannot have so many producers or consumers is an
/// error if it was named, and has one of them among all.
fn contestants<const WORDS: usize>(
    args: &BenchChannel,
    machine: &Facts,
) -> Result<Vec<Contestant>, Failure> {
    let all = args.kind == KindName::All;
    let producers = usize::from(args.producers.unwrap_or(SEVERAL));
    let consumers = usize::from(args.consumers.unwrap_or(SEVERAL));
    let one = |asked: Option<u16>, what: &str| match asked {
        Some(2..) if !all => Err(only_one(args.kind, what)),
        _ => Ok(1),
    };
    let mut chosen = Vec::new();
    if all || args.kind == KindName::Spsc {
        let ends = (one(args.producers, "producer")?, one(args.consumers, "consumer")?);
        chosen.push(Contestant::new::<Spsc, WORDS>(args, machine, ends));
    }
    if all || args.kind == KindName::FanIn {
        let ends = (producers, one(args.consumers, "consumer")?);
        chosen.push(Contestant::new::<FanIn, WORDS>(args, machine, ends));
    }
    if all || args.kind == KindName::Mpsc {
        let ends = (producers, one(args.consumers, "consumer")?);
        chosen.push(Contestant::new::<Mpsc, WORDS>(args, machine, ends));
    }
    if all || args.kind == KindName::Mpmc {
        chosen.push(Contestant::new::<Mpmc, WORDS>(args, machine, (producers, consumers)));
    }
    Ok(chosen)
}

fn shape(args: &BenchChannel, machine: &Facts, producers: usize, consumers: usize) -> Shape {
    Shape {
        producers,
        consumers,
        capacity: args.capacity as usize,
        batch: args.batch as usize,
        wait: wait(args.wait.wait).0,
        pinning: machine.pinning(args.pin.wanted(), producers + consumers),
    }
}

fn only_one(kind: KindName, what: &str) -> Failure {
    let name = match kind {
        KindName::Spsc => Spsc::NAME,
        KindName::Mpsc => Mpsc::NAME,
        KindName::FanIn => FanIn::NAME,
        KindName::Mpmc | KindName::All => Mpmc::NAME,
    };
    Failure::new(format!("{name} has one {what}"))
        .hint("--kind mpmc has several of both, mpsc and fan-in several producers")
        .code(CALLED_WRONGLY)
}

/// A way to wait, and how it is called.
pub(super) fn wait(name: WaitName) -> (Wait, &'static str) {
    match name {
        WaitName::Spin => (Wait::Spin, "spin"),
        WaitName::Yield => (Wait::Yield, "yield"),
        WaitName::Adaptive => (Wait::Adaptive, "adaptive"),
        WaitName::Park => (Wait::Park, "park"),
    }
}

impl Described for Report {
    fn describe(&self) -> String {
        let Report { machine, rounds, wait, throughput, round_trip } = self;
        let size = throughput.first().map_or(0, |row| row.size_bytes);
        let rounds = output::count(*rounds, "round");
        let limits = if machine.has_two_cpus() {
            "The limit is memory that changes cores in blocks of 32 KiB, for a round trip a cache \
             line each way."
        } else {
            "With one CPU there is no limit to show: nothing moves between cores."
        };
        format!(
            "{machine}{rounds}, messages of {size} B, wait {wait}\n\n\
             Throughput: the median of the rounds\n{}\n\
             Round trip between two threads\n{}\n\
             {limits}\n",
            output::table(throughput),
            output::table(round_trip),
        )
    }
}

impl Row for Throughput {
    const COLUMNS: &'static [Column] = &[
        text("CHANNEL"),
        text("THREADS"),
        number("NS/MESSAGE"),
        number("MESSAGES/S"),
        number("BYTES/S"),
        number("SPREAD"),
        text("PINNED"),
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.who.to_owned(),
            format!("{} to {}", self.producers, self.consumers),
            shown(self.ns_per_message),
            per_second(self.messages_per_second),
            per_second(self.bytes_per_second),
            format!("{:.0} %", self.spread * 100.0),
            yes_or_no(self.pinned),
        ]
    }
}

impl Row for RoundTrip {
    const COLUMNS: &'static [Column] = &[
        text("CHANNEL"),
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
        cells.push(yes_or_no(self.pinned));
        cells
    }
}

impl Percentiles {
    /// A cell for each, as tables have them.
    pub(super) fn cells(&self) -> impl Iterator<Item = String> {
        let Percentiles { p50_ns, p99_ns, p99_9_ns, max_ns, samples } = *self;
        [p50_ns, p99_ns, p99_9_ns, max_ns, samples].into_iter().map(|value| value.to_string())
    }
}

fn yes_or_no(yes: bool) -> String {
    if yes { "yes" } else { "no" }.to_owned()
}
