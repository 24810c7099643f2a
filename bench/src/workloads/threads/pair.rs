//! Two threads, a core each, that start together.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::Setup;
use crate::machine::Pinned;

/// Runs `produce` on the first core and `consume` on the last; how long it took from the common
/// start until the consumer was done.
///
/// The sides are called through pointers, once each: the loops in them are compiled for every
/// contestant, and what starts the threads is compiled once.
pub fn together(
    setup: Setup,
    produce: &mut (dyn FnMut() + Send),
    consume: &mut (dyn FnMut() + Send),
) -> Duration {
    let gate = Gate::default();
    thread::scope(|scope| {
        scope.spawn(|| {
            let _pinned = Pinned::to(setup.cores.map(|cores| cores.client));
            gate.pass(2);
            produce();
        });
        let consumer = scope.spawn(|| {
            let _pinned = Pinned::to(setup.cores.map(|cores| cores.server));
            gate.pass(2);
            let start = Instant::now();
            consume();
            start.elapsed()
        });
        consumer.join().expect("the consumer panicked")
    })
}

/// Threads spin here until all are there: one that is woken would start late.
#[derive(Debug, Default)]
struct Gate(AtomicU32);

impl Gate {
    fn pass(&self, threads: u32) {
        // ORDERING: only the count matters; what the threads share was shared by their start.
        self.0.fetch_add(1, Ordering::Relaxed);
        while self.0.load(Ordering::Relaxed) < threads {
            // Without pinning both may be on one core.
            thread::yield_now();
        }
    }
}
