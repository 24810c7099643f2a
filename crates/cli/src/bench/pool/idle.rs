//! How soon a worker begins that has gone to sleep: from sending to its handler.
//!
//! The sender waits until a message was handled, and then spins much longer than any worker does
//! before it sleeps: no message finds another one before it, and the sender's own core stays awake,
//! so that what is measured is the worker's way up.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use chaski_pool::{Builder, Pool, worker};

use super::super::extent::Extent;
use super::super::histogram::Histogram;
use super::super::limits::Bell;
use super::super::machine::Pinning;
use super::{AnyPartitioner, drained, start_failed};
use crate::failure::Failure;

/// Time between messages.
const QUIET: Duration = Duration::from_micros(200);
/// What ends the sleeper of the limit; else a ring carries the time of sending.
const STOP: u64 = u64::MAX;

/// One round of a pool with one worker.
pub(super) fn pool(
    builder: Builder<AnyPartitioner>,
    extent: Extent,
    pinning: Pinning,
) -> Result<Histogram, Failure> {
    let epoch = Instant::now();
    let delays = Arc::new(Mutex::new(Histogram::new()));
    let heard = Arc::new(Heard::default());
    let record = {
        let (delays, heard) = (Arc::clone(&delays), Arc::clone(&heard));
        move |sent_ns| {
            let delay = now_ns(epoch).saturating_sub(sent_ns);
            delays.lock().unwrap_or_else(PoisonError::into_inner).record(delay);
            heard.one_more();
        }
    };
    let handler = worker(|_| (), move |(), sent_ns, _| record(sent_ns));
    let pool: Pool<u64, u64> = builder.start(handler).map_err(|e| start_failed(&e))?;
    let handle = pool.handle();
    let refused = thread::scope(|scope| {
        let sending = scope.spawn(|| {
            // The worker has the first seat.
            pinning.seats(2).take(1);
            now_and_then(extent, |number| {
                let refused = handle.send(&number, now_ns(epoch)).is_err();
                if !refused {
                    heard.wait_beyond(number);
                }
                refused
            })
        });
        sending.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    drained(pool)?;
    if refused {
        return Err(Failure::new("the pool refused a message"));
    }
    Ok(delays.lock().unwrap_or_else(PoisonError::into_inner).clone())
}

/// One round of the limit: a thread that is unparked.
pub(super) fn bell(extent: Extent, pinning: Pinning) -> Histogram {
    let (epoch, bell, seats) = (Instant::now(), Bell::default(), pinning.seats(2));
    let heard = Heard::default();
    thread::scope(|scope| {
        let sleeping = scope.spawn(|| {
            seats.take(0);
            let mut delays = Histogram::new();
            for rings in 0.. {
                let sent_ns = bell.wait(rings);
                if sent_ns == STOP {
                    break;
                }
                delays.record(now_ns(epoch).saturating_sub(sent_ns));
                heard.one_more();
            }
            delays
        });
        let sleeper = sleeping.thread().clone();
        let (bell, seats, heard) = (&bell, &seats, &heard);
        let sending = scope.spawn(move || {
            seats.take(1);
            now_and_then(extent, |number| {
                bell.ring(&sleeper, now_ns(epoch));
                heard.wait_beyond(number);
                false
            });
            bell.ring(&sleeper, STOP);
        });
        sending.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        sleeping.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// How many messages were handled.
#[derive(Debug, Default)]
struct Heard(AtomicU64);

impl Heard {
    fn one_more(&self) {
        // ORDERING: relaxed, here and below: a count that is waited for, nothing with it.
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Until more than `number` were handled. The core is not in anybody's way meanwhile.
    fn wait_beyond(&self, number: u64) {
        while self.0.load(Ordering::Relaxed) <= number {
            thread::yield_now();
        }
    }
}

/// Calls `send` after each quiet time, until it says that it is over; whether it did.
fn now_and_then(extent: Extent, mut send: impl FnMut(u64) -> bool) -> bool {
    let began = Instant::now();
    let (mut now, mut number) = (began, 0);
    while extent.goes_on(number, began, now) {
        let next = now + QUIET;
        while now < next {
            std::hint::spin_loop();
            now = Instant::now();
        }
        if send(number) {
            return true;
        }
        number += 1;
        now = Instant::now();
    }
    false
}

fn now_ns(epoch: Instant) -> u64 {
    u64::try_from(epoch.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::super::machine::Facts;
    use super::super::partitioner;
    use super::*;
    use crate::args::PartitionerName;

    #[test]
    fn every_message_is_timed() {
        let pinning = Facts::gather().pinning(Some(false), 2);
        let extent = Extent::Messages(20);
        assert_eq!(bell(extent, pinning).percentiles().samples, 20);
        let partitioner = partitioner(PartitionerName::Hash).0;
        let builder = Pool::builder().workers(1).partitioner(partitioner);
        let delays = pool(builder, extent, pinning).unwrap();
        assert_eq!(delays.percentiles().samples, 20);
    }
}
