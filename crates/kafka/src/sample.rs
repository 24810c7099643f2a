//! Values for messages under test.

/// Makes values: full ones, in which nothing is null or empty, or varied ones.
#[derive(Debug)]
pub(crate) struct Sampler {
    state: u64,
    full: bool,
}

const STRINGS: [&str; 6] = ["orders", "a", "", "consumer-1", "gr\u{fc}n", "x.y_z-0123456789"];

impl Sampler {
    /// Everything present, nothing empty.
    pub(crate) fn full() -> Sampler {
        Sampler { state: 1, full: true }
    }

    /// Some things null, some empty, as the seed has it.
    pub(crate) fn varied(seed: u64) -> Sampler {
        Sampler { state: seed, full: false }
    }

    /// The next 64 bits (splitmix64).
    pub(crate) fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Should a value that may be null be there?
    pub(crate) fn some(&mut self, null: bool) -> bool {
        self.full || !null || self.bits() & 1 == 0
    }

    /// Elements of an array.
    pub(crate) fn count(&mut self) -> usize {
        if self.full { 2 } else { (self.bits() % 4) as usize }
    }

    pub(crate) fn string(&mut self) -> &'static str {
        let string = STRINGS[self.bits() as usize % STRINGS.len()];
        if self.full && string.is_empty() { "full" } else { string }
    }

    pub(crate) fn bytes(&mut self) -> &'static [u8] {
        static BYTES: [u8; 300] = [0xa5; 300];
        let len = self.bits() as usize % BYTES.len();
        &BYTES[..len.max(self.full.into())]
    }
}
