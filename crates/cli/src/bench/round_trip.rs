//! How long a message takes there and back: over two channels of a kind, over two cache lines, or
//! over whatever is passed to [`laps`].
//!
//! One reading of the clock ends a lap and begins the next; what it costs is taken off.

use std::thread;
use std::time::Instant;

use super::extent::Extent;
use super::histogram::Histogram;
use super::kinds::{Kind, Message, Rx, Shape, Tx};
use super::limits::PingPong;
use crate::failure::Failure;

/// The number that ends the echo; the others count from 1.
pub(super) const STOP: u64 = u64::MAX;
/// Laps before those that count.
const WARM_UP: u64 = 100;

/// One round of a kind of channel, of which `shape` has two ends.
pub(super) fn channel<K: Kind, const WORDS: usize>(
    shape: &Shape,
    extent: Extent,
    clock_ns: u64,
) -> Result<Histogram, Failure> {
    let (mut there, mut inbox) = one_of_each::<K, WORDS>(shape)?;
    let (mut back, mut answers) = one_of_each::<K, WORDS>(shape)?;
    let seats = shape.seats();
    thread::scope(|scope| {
        let seats = &seats;
        scope.spawn(move || {
            seats.take(1);
            while let Ok(message) = inbox.recv()
                && message.number() != STOP
                && back.send(message).is_ok()
            {}
        });
        let pinging = scope.spawn(move || {
            seats.take(0);
            laps(extent, clock_ns, |number| {
                there.send(Message::new(number)).is_ok()
                    && (number == STOP || answers.recv().is_ok_and(|m| m.number() == number))
            })
        });
        pinging.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
    .ok_or_else(|| Failure::new(format!("{} brought back another message", K::NAME)))
}

/// One round of the limit.
pub(super) fn cache_line(shape: &Shape, extent: Extent, clock_ns: u64) -> Histogram {
    let (lines, seats) = (PingPong::default(), shape.seats());
    thread::scope(|scope| {
        scope.spawn(|| {
            seats.take(1);
            let mut last = 0;
            while last != STOP {
                last = lines.echo(last);
            }
        });
        let pinging = scope.spawn(|| {
            seats.take(0);
            laps(extent, clock_ns, |number| {
                lines.ping(number);
                true
            })
        });
        pinging.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
    .unwrap_or_else(Histogram::new)
}

type Ends<K, const WORDS: usize> =
    (<K as Kind>::Tx<Message<WORDS>>, <K as Kind>::Rx<Message<WORDS>>);

fn one_of_each<K: Kind, const WORDS: usize>(shape: &Shape) -> Result<Ends<K, WORDS>, Failure> {
    let (mut senders, mut receivers) = K::ends(shape);
    let ends = senders.pop().zip(receivers.pop());
    let ends = ends.map(|(tx, rx)| (tx.0, rx.0));
    ends.ok_or_else(|| Failure::new(format!("{} has no ends", K::NAME)))
}

/// Pings, at first without counting, and at last with [`STOP`]. `None` if a ping went wrong.
pub(super) fn laps(
    extent: Extent,
    clock_ns: u64,
    mut ping: impl FnMut(u64) -> bool,
) -> Option<Histogram> {
    let mut histogram = Histogram::new();
    let mut right = (1..=WARM_UP).all(&mut ping);
    let (began, mut laps) = (Instant::now(), 0);
    let mut last = began;
    while right && extent.goes_on(laps, began, last) {
        laps += 1;
        right = ping(WARM_UP + laps);
        let now = Instant::now();
        let lap = now.duration_since(last).as_nanos() as u64;
        histogram.record(lap.saturating_sub(clock_ns));
        last = now;
    }
    (ping(STOP) && right).then_some(histogram)
}

#[cfg(test)]
mod tests {
    use chaski_ring::Wait;

    use super::super::kinds::{FanIn, Mpmc, Mpsc, Spsc};
    use super::super::machine::Facts;
    use super::*;

    #[test]
    fn every_lap_is_recorded() {
        let pinning = Facts::gather().pinning(Some(false), 2);
        let shape = Shape {
            producers: 1,
            consumers: 1,
            capacity: 8,
            batch: 1,
            wait: Wait::Adaptive,
            pinning,
        };
        let extent = Extent::Messages(200);
        let samples = |laps: Result<Histogram, Failure>| laps.unwrap().percentiles().samples;
        assert_eq!(samples(channel::<Spsc, 1>(&shape, extent, 0)), 200);
        assert_eq!(samples(channel::<Mpsc, 8>(&shape, extent, 0)), 200);
        assert_eq!(samples(channel::<FanIn, 1>(&shape, extent, 0)), 200);
        assert_eq!(samples(channel::<Mpmc, 1>(&shape, extent, 0)), 200);
        assert_eq!(samples(Ok(cache_line(&shape, extent, 0))), 200);
    }

    #[test]
    fn a_wrong_answer_is_noticed() {
        assert!(laps(Extent::Messages(10), 0, |number| number != WARM_UP + 5).is_none());
        assert!(laps(Extent::Messages(10), 0, |number| number != 1).is_none());
    }
}
