//! `chaski bench shm`: two processes of this machine, this one and a child of the same program.
//!
//! The child binds a server that answers each request with itself, and a pull. A request of one
//! byte is for the child itself: see [`echo`].

mod echo;
mod report;

use std::env;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use chaski_shm::{Client, Push, Wait};

use super::extent::Extent;
use super::histogram::Histogram;
use super::kinds::Shape;
use super::machine::{Facts, Pinning};
use super::numbered::{LAST, Sum, number_it};
use super::throughput::Run;
use super::{round_trip, throughput};
use crate::args::{BenchShm, ShmWaitName};
use crate::failure::Failure;
use crate::output;
use crate::progress::Step;
use report::Report;

/// How long the child has to be there.
const STARTS_WITHIN: Duration = Duration::from_secs(10);
/// How long it has to end.
const ENDS_WITHIN: Duration = Duration::from_secs(1);
/// Messages sent between two looks at the clock, or one batch, if that is more.
const STRETCH: usize = 256;
/// Bytes of the messages from which the limit of a stream is taken.
const LIMIT_BYTES: usize = 8 * LIMIT_WORDS;
const LIMIT_WORDS: usize = 8;

pub(super) fn run(args: &BenchShm) -> Result<(), Failure> {
    let machine = Facts::gather();
    let pinning = machine.pinning(args.pin.wanted(), 2);
    if let Some(name) = &args.echo {
        return echo::run(name, args, pinning);
    }
    let name = format!("bench-{}", std::process::id());
    let child = Echo::start(&name, args, pinning)?;
    let report = thread::scope(|scope| {
        // The child would inherit a CPU that this thread is bound to.
        let measuring = scope.spawn(|| measure(&name, args, machine, pinning));
        measuring.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    child.finish();
    output::describe(args.output.output, &report)
}

fn measure(
    name: &str,
    args: &BenchShm,
    machine: Facts,
    pinning: Pinning,
) -> Result<Report, Failure> {
    let mut pair = Pair::connect(name, args)?;
    let (extent, clock_ns) = (Extent::of(&args.extent), machine.clock_ns());
    pinning.seats(2).take(0);
    let mut measured = Measured::default();
    let (mut step, rounds) = (Step::new(), args.extent.rounds);
    for round in 1..=rounds {
        step.show(&format!("round {round} of {rounds}: shm"));
        measured.laps.merge(&pair.laps(extent, clock_ns)?);
        measured.streams.push(pair.stream(extent)?);
        if machine.has_two_cpus() {
            step.show(&format!("round {round} of {rounds}: limit"));
            let shape = limit(pinning);
            measured.limit_laps.merge(&round_trip::cache_line(&shape, extent, clock_ns));
            measured.limit_streams.push(throughput::handoff::<LIMIT_WORDS>(&shape, extent)?);
        }
    }
    step.clear();
    pair.end();
    Ok(Report::new(args, machine, pinning, &measured))
}

/// What all rounds came to.
#[derive(Default)]
struct Measured {
    laps: Histogram,
    streams: Vec<Run>,
    limit_laps: Histogram,
    /// Of messages of [`LIMIT_BYTES`].
    limit_streams: Vec<Run>,
}

/// Two threads, for the limits.
fn limit(pinning: Pinning) -> Shape {
    let wait = chaski_ring::Wait::Spin;
    Shape { producers: 1, consumers: 1, capacity: 1, batch: 1, wait, pinning }
}

/// The other process. Ended when dropped.
struct Echo(Child);

impl Echo {
    fn start(name: &str, args: &BenchShm, pinning: Pinning) -> Result<Echo, Failure> {
        let failed = |error: &std::io::Error| Failure::because("cannot start a process", error);
        let program = env::current_exe().map_err(|e| failed(&e))?;
        let pin = if pinning.is_on() { "--pin" } else { "--no-pin" };
        let batch = args.batch.to_string();
        let child = Command::new(program)
            .args(["bench", "shm", "--echo", name, "--wait", wait_name(args.wait), pin])
            .args(["--batch", &batch])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn();
        child.map(Echo).map_err(|e| failed(&e))
    }
}

impl Echo {
    /// It was told to end, and takes its names along if it is given the time.
    fn finish(mut self) {
        let until = Instant::now() + ENDS_WITHIN;
        while Instant::now() < until && matches!(self.0.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// This end of both connections to the child.
struct Pair {
    client: Client,
    push: Push,
    batch: usize,
    message: Vec<u8>,
}

impl Pair {
    fn connect(name: &str, args: &BenchShm) -> Result<Pair, Failure> {
        let failed = |error| Failure::because("the other process is not there", &error);
        let (wait, ring) = (wait(args.wait), args.ring as usize);
        let client = Client::builder().wait(wait).ring_bytes(ring);
        let push = Push::builder().wait(wait).ring_bytes(ring);
        Ok(Pair {
            client: client.connect_within(STARTS_WITHIN).connect(name).map_err(failed)?,
            push: push
                .connect_within(STARTS_WITHIN)
                .connect(&echo::stream(name))
                .map_err(failed)?,
            batch: args.batch as usize,
            message: vec![0; args.size as usize],
        })
    }

    /// Round trips.
    fn laps(&mut self, extent: Extent, clock_ns: u64) -> Result<Histogram, Failure> {
        let Pair { client, message, .. } = self;
        let laps = round_trip::laps(extent, clock_ns, |number| {
            if number == round_trip::STOP {
                return true;
            }
            number_it(message, number);
            client.call(message).is_ok_and(|answer| answer == message.as_slice())
        });
        laps.ok_or_else(|| Failure::new("the other process brought back another message"))
    }

    /// Messages one way, as fast as the other takes them. The clock stops when the other has said
    /// what it received.
    fn stream(&mut self, extent: Extent) -> Result<Run, Failure> {
        let failed = |error| Failure::because("the stream broke", &error);
        self.client.send(echo::COUNT).map_err(failed)?;
        let (began, stretch) = (Instant::now(), STRETCH.max(self.batch));
        let mut sent = Sum::default();
        while extent.goes_on(sent.messages, began, Instant::now()) {
            let numbers = sent.messages..sent.messages + stretch as u64;
            self.send(numbers, &mut sent).map_err(failed)?;
        }
        number_it(&mut self.message, LAST);
        self.push.send(&self.message).map_err(failed)?;
        let received = self.client.recv().map_err(failed)?;
        let took = began.elapsed();
        if Sum::read(&received) != Some(sent) {
            return Err(Failure::new("the other process did not receive what was sent"));
        }
        Ok(Run { messages: sent.messages, took })
    }

    fn send(
        &mut self,
        numbers: std::ops::Range<u64>,
        sent: &mut Sum,
    ) -> Result<(), chaski_shm::Error> {
        let mut staged = 0;
        for number in numbers {
            number_it(&mut self.message, number);
            if self.batch == 1 {
                self.push.send(&self.message)?;
            } else {
                self.push.stage(&self.message)?;
                staged += 1;
                if staged % self.batch == 0 {
                    self.push.publish();
                }
            }
            sent.add(number);
        }
        self.push.publish();
        Ok(())
    }

    /// Tells the child that this was all.
    fn end(mut self) {
        // If it is gone already, so much the better.
        let _ = self.client.send(echo::END).and_then(|_| self.client.recv().map(drop));
    }
}

/// A way to wait.
fn wait(name: ShmWaitName) -> Wait {
    match name {
        ShmWaitName::Spin => Wait::Spin,
        ShmWaitName::Adaptive => Wait::default(),
        ShmWaitName::Block => Wait::Block,
    }
}

fn wait_name(name: ShmWaitName) -> &'static str {
    match name {
        ShmWaitName::Spin => "spin",
        ShmWaitName::Adaptive => "adaptive",
        ShmWaitName::Block => "block",
    }
}
