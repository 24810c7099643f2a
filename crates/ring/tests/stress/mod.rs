//! What the stress tests share: chance by a seed, and a watch over progress.
#![allow(dead_code, reason = "not every test needs all of it")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// No progress for so long is a lost wake-up, on a machine that has other things to do as well.
const STUCK: Duration = Duration::from_secs(120);

/// G. Marsaglia, "Xorshift RNGs", Journal of Statistical Software 8(14), 2003.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Chance {
        Chance(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }
}

/// `CHASKI_SEED`, or another one each time.
pub(crate) fn seed() -> u64 {
    let given = std::env::var("CHASKI_SEED").ok().and_then(|seed| seed.parse().ok());
    given.unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::from(now.subsec_nanos()) ^ now.as_secs()
    })
}

/// Runs `program` on a thread of its own; fails with the seed if it does, or if what it counts does
/// not move for [`STUCK`].
pub(crate) fn watched(seed: u64, program: impl FnOnce(u64, &Arc<AtomicU64>) + Send + 'static) {
    let progress = Arc::new(AtomicU64::new(0));
    let (done, ended) = channel();
    let counted = Arc::clone(&progress);
    let thread = thread::spawn(move || {
        let _done = done;
        program(seed, &counted);
    });
    let mut last = 0;
    while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(STUCK) as Result<(), _> {
        let now = progress.load(Ordering::Relaxed);
        assert_ne!(now, last, "stuck; again: CHASKI_SEED={seed}");
        last = now;
    }
    assert!(thread.join().is_ok(), "failed; again: CHASKI_SEED={seed}");
}
