//! Counts a reactor keeps about itself.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts a reactor keeps, written by its own thread with plain stores, read by anyone.
///
/// They are brought up to date once per turn.
#[derive(Debug, Default)]
pub struct Stats {
    /// Turns of the loop.
    pub turns: AtomicU64,
    /// Connections open now.
    pub connections: AtomicU64,
    /// Connections taken on, those the service refused included.
    pub accepted: AtomicU64,
    /// Bytes received.
    pub bytes_in: AtomicU64,
    /// Bytes sent.
    pub bytes_out: AtomicU64,
    /// Nanoseconds not spent asleep.
    pub busy_ns: AtomicU64,
    /// Bytes of memory queued and not sent, now. File ranges do not count.
    pub unsent_bytes: AtomicU64,
    /// Bytes of memory that connections hold for input, now. The pool's own are not among them.
    pub input_bytes: AtomicU64,
}

/// The same counts where the reactor's thread adds them up.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) turns: u64,
    pub(crate) accepted: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) busy_ns: u64,
    pub(crate) unsent_bytes: usize,
}

impl Tally {
    /// Shows the counts to readers. ORDERING: relaxed: counts, nothing is concluded from them.
    pub(crate) fn publish(&self, stats: &Stats, connections: usize, input_bytes: usize) {
        stats.turns.store(self.turns, Ordering::Relaxed);
        stats.connections.store(connections as u64, Ordering::Relaxed);
        stats.accepted.store(self.accepted, Ordering::Relaxed);
        stats.bytes_in.store(self.bytes_in, Ordering::Relaxed);
        stats.bytes_out.store(self.bytes_out, Ordering::Relaxed);
        stats.busy_ns.store(self.busy_ns, Ordering::Relaxed);
        stats.unsent_bytes.store(self.unsent_bytes as u64, Ordering::Relaxed);
        stats.input_bytes.store(input_bytes as u64, Ordering::Relaxed);
    }
}
