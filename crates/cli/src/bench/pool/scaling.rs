//! How much more workers do: a pool against threads that share nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use chaski_pool::{BoxError, Builder, Context, Handle, Pool, Seat, Worker};

use super::super::extent::Extent;
use super::super::machine::Pinning;
use super::super::throughput::Run;
use super::{AnyPartitioner, drained, start_failed};
use crate::failure::Failure;
use crate::output::count;

/// Messages between two looks at the clock.
const STRETCH: u64 = 64;
/// Rounds of work that are timed to find how many fill a time, and how often they are.
const CALIBRATION_ROUNDS: u32 = 100_000;
const CALIBRATIONS: u32 = 20;

/// Work that takes a time on a core of its own, whatever else runs: a number of steps, not a wait
/// for the clock, so that workers which share a core are not quicker than they are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Work {
    steps: u32,
}

impl Work {
    /// The shortest of a few timings counts: whatever disturbs makes them longer.
    pub(super) fn of(work_ns: u32) -> Work {
        let work = Work { steps: CALIBRATION_ROUNDS };
        let timed = |number| {
            let began = Instant::now();
            work.on(u64::from(number));
            began.elapsed()
        };
        let best = (0..CALIBRATIONS).map(timed).min().unwrap_or(Duration::MAX);
        let steps = f64::from(CALIBRATION_ROUNDS) * f64::from(work_ns);
        Work { steps: (steps / best.as_nanos().max(1) as f64) as u32 }
    }

    /// A chain of multiplications that each need the one before.
    fn on(self, message: u64) {
        let mut value = std::hint::black_box(message) | 1;
        for _ in 0..self.steps {
            value = value.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17);
        }
        std::hint::black_box(value);
    }
}

/// Works on each message; what it counted goes to the total when it leaves.
struct Counter {
    work: Work,
    total: Arc<AtomicU64>,
}

impl Worker for Counter {
    type State = u64;
    type Message = u64;

    fn build(&self, _: &Seat) -> Result<u64, BoxError> {
        Ok(0)
    }

    fn handle(&self, count: &mut u64, message: u64, _: &Context) {
        self.work.on(message);
        *count += 1;
    }

    fn stop(&self, count: u64, _: &Context) {
        // ORDERING: relaxed: the drain, which waits for the thread's end, orders it.
        self.total.fetch_add(count, Ordering::Relaxed);
    }
}

/// One round of a pool: from the first message to the end of the last one's work.
pub(super) fn pool(
    builder: Builder<AnyPartitioner>,
    work: Work,
    extent: Extent,
) -> Result<Run, Failure> {
    let total = Arc::new(AtomicU64::new(0));
    let counter = Counter { work, total: Arc::clone(&total) };
    let pool: Pool<u64, u64> = builder.start(counter).map_err(|e| start_failed(&e))?;
    let handle = pool.handle();
    let began = Instant::now();
    let sent = send(&handle, extent, began)?;
    drained(pool)?;
    let took = began.elapsed();
    let handled = total.load(Ordering::Relaxed);
    if handled != sent {
        let counts = format!("{} sent, {handled} handled", count(sent, "message"));
        return Err(Failure::new("the pool did not handle what was sent").cause(counts));
    }
    Ok(Run { messages: sent, took })
}

fn send(handle: &Handle<u64, u64>, extent: Extent, began: Instant) -> Result<u64, Failure> {
    let mut sent = 0;
    while extent.goes_on(sent, began, Instant::now()) {
        for message in sent..sent + STRETCH {
            let done = handle.send(&message, message);
            done.map_err(|error| Failure::because("the pool refused a message", &error))?;
        }
        sent += STRETCH;
    }
    Ok(sent)
}

/// One round of the limit: each thread makes up its own messages.
pub(super) fn independent(threads: usize, work: Work, extent: Extent, pinning: Pinning) -> Run {
    let (seats, share) = (pinning.seats(threads), extent.share(threads));
    let began = Instant::now();
    let messages = thread::scope(|scope| {
        let seats = &seats;
        let threads: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn(move || {
                    seats.take(thread);
                    let mut done = 0;
                    while share.goes_on(done, began, Instant::now()) {
                        (done..done + STRETCH).for_each(|message| work.on(message));
                        done += STRETCH;
                    }
                    done
                })
            })
            .collect();
        let join = |thread: thread::ScopedJoinHandle<'_, u64>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        threads.into_iter().map(join).sum()
    });
    Run { messages, took: began.elapsed() }
}

#[cfg(test)]
mod tests {
    use super::super::super::machine::Facts;
    use super::super::partitioner;
    use super::*;
    use crate::args::PartitionerName;

    #[test]
    fn every_partitioner_has_every_message_handled() {
        let names = [
            PartitionerName::Hash,
            PartitionerName::Consistent,
            PartitionerName::RoundRobin,
            PartitionerName::LeastLoaded,
        ];
        for name in names {
            let builder = Pool::builder().workers(2).queue(16).partitioner(partitioner(name).0);
            let run = pool(builder, Work { steps: 1 }, Extent::Messages(1000)).unwrap();
            assert_eq!(run.messages, 1024, "whole stretches");
        }
    }

    #[test]
    fn the_limit_does_its_share() {
        let pinning = Facts::gather().pinning(None, 2);
        let run = independent(2, Work { steps: 1 }, Extent::Messages(1000), pinning);
        assert_eq!(run.messages, 1024, "whole stretches of each thread");
    }

    #[test]
    fn more_time_is_more_steps() {
        assert_eq!(Work::of(0).steps, 0);
        assert!(Work::of(1_000_000).steps > Work::of(1000).steps);
    }
}
