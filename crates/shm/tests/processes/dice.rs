//! Chance that can be had again: the seed is printed, and `CHASKI_SEED` sets it.

use std::hash::{BuildHasher, Hasher, RandomState};

/// A generator of numbers (xorshift64*, Vigna 2016).
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    /// New ones, whose seed is printed under the name of the test.
    pub(crate) fn thrown_for(test: &str) -> Dice {
        let set = std::env::var("CHASKI_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = set.unwrap_or_else(|| RandomState::new().build_hasher().finish());
        println!("{test}: CHASKI_SEED={seed}");
        Dice::new(seed)
    }

    pub(crate) fn new(seed: u64) -> Dice {
        Dice(seed.max(1))
    }

    pub(crate) fn word(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.word() >> 16) as usize % end
    }

    /// Once in so many.
    pub(crate) fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }
}
