//! How a consumer that sleeps is told that there is more: by whoever appended it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chaski_local::consumer::wire::Answer;
use chaski_log::store::Watcher;
use chaski_shm::packets::Connection;

/// Sends one packet for each sleep, however many partitions were slept for.
pub(super) struct Waker {
    connection: Arc<Connection>,
    /// Number of the request to sleep that waits, plus one; 0: the consumer is awake.
    asleep: AtomicU64,
    /// What all wakers count.
    wakes: Arc<AtomicU64>,
}

impl Waker {
    pub(super) fn new(connection: Arc<Connection>, wakes: Arc<AtomicU64>) -> Waker {
        Waker { connection, asleep: AtomicU64::new(0), wakes }
    }

    /// From now on the consumer waits for the answer to this request.
    pub(super) fn fall_asleep(&self, number: u32) {
        // ORDERING: relaxed; a watch is left, under its lock, after this, and called after that.
        self.asleep.store(u64::from(number) + 1, Ordering::Relaxed);
    }

    /// Wakes the consumer, if it sleeps.
    pub(super) fn wake(&self) {
        // ORDERING: relaxed, see above. Of all who come at once, one finds it asleep.
        let Some(number) = self.asleep.swap(0, Ordering::Relaxed).checked_sub(1) else { return };
        // ORDERING: a count; nothing is published through it.
        self.wakes.fetch_add(1, Ordering::Relaxed);
        // One that does not take its answers will not take this one either.
        if self.connection.send(&Answer::Awake.encode(number as u32), &[]).is_err() {
            self.connection.hang_up();
        }
    }
}

impl Watcher for Waker {
    fn advanced(&self, _key: u64) {
        self.wake();
    }
}
