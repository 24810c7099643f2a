//! Times by the billion in little memory: a histogram with a bounded relative error.
//!
//! The bucket of a value is its highest bits, as in HdrHistogram: up to [`SUB`] a bucket for each
//! value, above it [`SUB`] / 2 buckets for each power of two.
//!
//! ```text
//!   value    0 .. 255    256, 258, .. 510    512, 516, .. 1020    ..
//!   width    1           2                   4                    doubles
//! ```

use serde::Serialize;

/// Buckets of width 1; the error is 2 / SUB of a value at most, 0.8 %.
const SUB: u64 = 256;
const SUB_BITS: u32 = SUB.trailing_zeros();
/// For every value that 64 bits have.
const BUCKETS: usize = (SUB + (u64::BITS - SUB_BITS) as u64 * SUB / 2) as usize;

/// Counts of times in nanoseconds.
#[derive(Debug, Clone)]
pub(super) struct Histogram {
    counts: Vec<u64>,
    max: u64,
}

/// What is told of a histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Percentiles {
    pub(super) p50_ns: u64,
    pub(super) p99_ns: u64,
    pub(super) p99_9_ns: u64,
    pub(super) max_ns: u64,
    pub(super) samples: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram::new()
    }
}

impl Histogram {
    pub(super) fn new() -> Histogram {
        Histogram { counts: vec![0; BUCKETS], max: 0 }
    }

    pub(super) fn record(&mut self, value: u64) {
        self.counts[bucket(value)] += 1;
        self.max = self.max.max(value);
    }

    /// Takes in all of another one.
    pub(super) fn merge(&mut self, other: &Histogram) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.max = self.max.max(other.max);
    }

    pub(super) fn percentiles(&self) -> Percentiles {
        Percentiles {
            p50_ns: self.at(0.5),
            p99_ns: self.at(0.99),
            p99_9_ns: self.at(0.999),
            max_ns: self.max,
            samples: self.samples(),
        }
    }

    fn samples(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The least value that this share of all does not exceed, up to the width of its bucket.
    fn at(&self, share: f64) -> u64 {
        let rank = (self.samples() as f64 * share).ceil() as u64;
        let mut below = 0;
        let found = self.counts.iter().position(|count| {
            below += count;
            below >= rank.max(1)
        });
        found.map_or(0, |bucket| highest(bucket).min(self.max))
    }
}

fn bucket(value: u64) -> usize {
    let bits = (u64::BITS - value.leading_zeros()).max(SUB_BITS);
    let shift = bits - SUB_BITS;
    (u64::from(shift) * SUB / 2 + (value >> shift)) as usize
}

/// The greatest value of a bucket.
fn highest(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < SUB {
        return bucket;
    }
    let shift = (bucket - SUB / 2) / (SUB / 2);
    let head = bucket - shift * SUB / 2;
    (head << shift) + ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        let mut next = 0;
        for number in 0..BUCKETS {
            assert_eq!(bucket(next), number, "the lowest value of the bucket");
            assert_eq!(bucket(highest(number)), number, "the highest value of the bucket");
            next = highest(number).wrapping_add(1);
        }
        assert_eq!(next, 0, "the last bucket ends with the last value");
    }

    #[test]
    fn percentiles_are_exact_to_one_in_a_hundred() {
        let mut histogram = Histogram::new();
        (1..=100_000).for_each(|value| histogram.record(value));
        let found = histogram.percentiles();
        for (found, exact) in
            [(found.p50_ns, 50_000), (found.p99_ns, 99_000), (found.p99_9_ns, 99_900)]
        {
            assert!((exact..=exact + exact / 100).contains(&found), "{found} for {exact}");
        }
        assert_eq!((found.max_ns, found.samples), (100_000, 100_000));
    }

    #[test]
    fn few_and_none() {
        let none = Histogram::new().percentiles();
        assert_eq!((none.p50_ns, none.max_ns, none.samples), (0, 0, 0));
        let (mut one, mut other) = (Histogram::new(), Histogram::new());
        one.record(7);
        other.record(1_000_001);
        one.merge(&other);
        let both = one.percentiles();
        assert_eq!((both.p50_ns, both.p99_ns, both.max_ns), (7, 1_000_001, 1_000_001));
    }
}
