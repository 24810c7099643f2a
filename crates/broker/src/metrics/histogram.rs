//! How long things take, in buckets whose width grows with what they hold.
//!
//! ```text
//! value    0 1 .. 15 | 16 17 .. 31 | 32 34 .. 62 | 64 68 .. 124 | ..     nanoseconds
//! bucket   0 1 .. 15 | 16 17 .. 31 | 32 33 .. 47 | 48 49 ..  63 | ..
//! ```
//! Sixteen buckets to each power of two: what is read off is at most a sixteenth too large. A
//! value costs two additions and no look at a clock.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Buckets to a power of two, as a power of two.
const FINE_BITS: u32 = 4;
const FINE: usize = 1 << FINE_BITS;

/// The last power of two that is told apart: about 18 minutes. What is longer counts as that.
const EXPONENT_MAX: u32 = 40;

const LONGEST_NS: u64 = (2 << EXPONENT_MAX) - 1;

const BUCKETS: usize = (EXPONENT_MAX - FINE_BITS + 2) as usize * FINE;

/// Counts of durations, as they are counted.
pub(crate) struct Histogram {
    buckets: Box<[AtomicU64]>,
    sum_ns: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        let buckets = (0..BUCKETS).map(|_| AtomicU64::new(0)).collect();
        Histogram { buckets, sum_ns: AtomicU64::new(0) }
    }
}

impl Histogram {
    /// Counts one; only the owner may call this.
    pub(crate) fn record(&self, took: Duration) {
        let ns = nanoseconds(took);
        add(&self.buckets[bucket(ns)], 1);
        add(&self.sum_ns, ns);
    }

    /// Counts one; anybody may call this, if nobody calls the other.
    pub(crate) fn record_shared(&self, took: Duration) {
        let ns = nanoseconds(took);
        // ORDERING: counts; nothing is published through them.
        self.buckets[bucket(ns)].fetch_add(1, Ordering::Relaxed);
        self.sum_ns.fetch_add(ns, Ordering::Relaxed);
    }

    /// What has been counted up to about now.
    pub(crate) fn read(&self) -> Latency {
        Latency {
            counts: self.buckets.iter().map(|count| count.load(Ordering::Relaxed)).collect(),
            sum_ns: self.sum_ns.load(Ordering::Relaxed),
        }
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.read().fmt(f)
    }
}

/// Adds to a count with one writer.
fn add(count: &AtomicU64, n: u64) {
    // ORDERING: as `Count::add`.
    count.store(count.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
}

fn nanoseconds(took: Duration) -> u64 {
    u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).min(LONGEST_NS)
}

fn bucket(ns: u64) -> usize {
    if ns < FINE as u64 {
        return ns as usize;
    }
    let exponent = ns.ilog2();
    let octave = (exponent - FINE_BITS + 1) as usize;
    octave * FINE + ((ns >> (exponent - FINE_BITS)) as usize & (FINE - 1))
}

/// The largest value that belongs into a bucket.
fn largest(bucket: usize) -> u64 {
    let (octave, fine) = (bucket / FINE, (bucket % FINE) as u64);
    if octave == 0 {
        return fine;
    }
    let shift = octave as u32 - 1;
    ((FINE as u64 + fine + 1) << shift) - 1
}

/// How long things took: a count, an average, percentiles.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Latency {
    /// Empty, or [`BUCKETS`] of them.
    counts: Vec<u64>,
    sum_ns: u64,
}

impl Latency {
    /// How many.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How long all together.
    pub fn sum(&self) -> Duration {
        Duration::from_nanos(self.sum_ns)
    }

    /// What the given share of them took at most, to a sixteenth: `0.5` is the median. None: there
    /// were none.
    pub fn percentile(&self, share: f64) -> Option<Duration> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let wanted = ((share.clamp(0.0, 1.0) * count as f64).ceil() as u64).clamp(1, count);
        let mut seen = 0;
        let at = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        })?;
        Some(Duration::from_nanos(largest(at)))
    }

    /// How many took no longer than this, to a sixteenth.
    pub(crate) fn at_most(&self, limit: Duration) -> u64 {
        let last = bucket(nanoseconds(limit));
        self.counts.iter().take(last + 1).sum()
    }

    /// What has been added since an earlier reading of the same.
    #[must_use]
    pub fn since(&self, earlier: &Latency) -> Latency {
        let before = earlier.counts.iter().copied().chain(std::iter::repeat(0));
        let counts = self.counts.iter().zip(before).map(|(now, then)| now.saturating_sub(then));
        Latency { counts: counts.collect(), sum_ns: self.sum_ns.saturating_sub(earlier.sum_ns) }
    }

    /// Adds another to this.
    pub fn merge(&mut self, other: &Latency) {
        self.counts.resize(self.counts.len().max(other.counts.len()), 0);
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.sum_ns = self.sum_ns.saturating_add(other.sum_ns);
    }
}

impl fmt::Debug for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Latency")
            .field("count", &self.count())
            .field("p50", &self.percentile(0.5))
            .field("p99", &self.percentile(0.99))
            .field("p999", &self.percentile(0.999))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_in_the_bucket_that_says_so() {
        assert_eq!(bucket(nanoseconds(Duration::MAX)), BUCKETS - 1);
        for shift in 0..=EXPONENT_MAX {
            for ns in [(1_u64 << shift) - 1, 1 << shift, (1 << shift) + (1 << shift) / 3] {
                let at = bucket(ns);
                assert!(largest(at) >= ns && (at == 0 || largest(at - 1) < ns), "{ns}");
                assert!(largest(at) - ns <= ns / FINE as u64, "{ns}: at most a sixteenth more");
            }
        }
    }

    #[test]
    fn percentiles_are_of_what_was_counted() {
        let histogram = Histogram::default();
        assert_eq!(histogram.read().percentile(0.5), None);
        for us in 1..=1000 {
            histogram.record(Duration::from_micros(us));
        }
        let early = histogram.read();
        assert_eq!((early.count(), early.sum()), (1000, Duration::from_micros(500_500)));
        for (share, us) in [(0.0, 1), (0.5, 500), (0.99, 990), (1.0, 1000)] {
            let told = early.percentile(share).expect("some").as_nanos() as u64;
            assert!((us * 1000..=us * 1000 * 17 / 16).contains(&told), "{share}: {told} ns");
        }
        histogram.record(Duration::MAX);
        let late = histogram.read().since(&early);
        assert_eq!(late.count(), 1);
        let mut all = early.clone();
        all.merge(&late);
        assert_eq!(all, histogram.read());
        assert_eq!(early.at_most(Duration::from_micros(1)), 1);
    }
}
