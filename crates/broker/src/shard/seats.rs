//! Places for client connections: so many in the whole server, whichever shards they come to.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The places there are.
#[derive(Debug)]
pub(crate) struct Seats {
    taken: AtomicUsize,
    max: usize,
}

/// A place that is taken, until it is dropped.
#[derive(Debug)]
pub(super) struct Seat(Arc<Seats>);

impl Seats {
    pub(crate) fn new(max: usize) -> Arc<Seats> {
        Arc::new(Seats { taken: AtomicUsize::new(0), max })
    }

    /// Takes a place; None: there is none.
    pub(super) fn take(self: &Arc<Seats>) -> Option<Seat> {
        let one_more = |taken| (taken < self.max).then_some(taken + 1);
        // ORDERING: a count; nothing else is published through it, and the exchange alone keeps it
        // below the bound.
        let taken = self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        taken.is_ok().then(|| Seat(self.clone()))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn there_are_never_more_than_there_may_be_and_none_is_lost() {
        let seats = Seats::new(3);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        let seat = seats.take();
                        assert!(seats.taken.load(Ordering::Relaxed) <= 3);
                        drop(seat);
                    }
                });
            }
        });
        let all: Vec<_> = (0..4).map_while(|_| seats.take()).collect();
        assert_eq!(all.len(), 3);
        drop(all);
        assert_eq!(seats.taken.load(Ordering::Relaxed), 0);
    }
}
