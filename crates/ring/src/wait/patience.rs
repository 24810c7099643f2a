//! When to let the other side get ahead.
//!
//! Two ends that are close to each other fight for the lines they share, message by message; one
//! that waits a moment has many messages, or much room, for one look afterwards. Whether it pays is
//! tried: if a moment brought next to nothing, the next try comes later, each time for longer, so
//! that a conversation, where each side waits for one message, is hardly ever kept waiting.

use super::Waiters;
use crate::sync::{self, Ordering};

/// The moment, in pauses of the processor: 0.8 us where a pause takes 25 ns (measured on an AMD
/// EPYC), 0.2 us where it takes 5.
pub(crate) const MOMENT: u32 = 32;
/// A moment that brings less than this was in vain.
const WORTH: usize = 4;
/// The longest time without a try, in occasions.
const LONGEST: u32 = 1023;

/// Whether it is time for a moment's patience.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Patience {
    /// Occasions until the next try.
    skip: u32,
    /// How many it will be if that is in vain, too.
    longer: u32,
}

impl Patience {
    /// An occasion. True: wait a moment.
    #[inline]
    pub(crate) fn is_due(&mut self) -> bool {
        let due = self.skip == 0;
        self.skip = self.skip.saturating_sub(1);
        due
    }

    /// The moment brought so much.
    #[inline]
    pub(crate) fn gave(&mut self, more: usize) {
        self.longer = if more < WORTH { (2 * self.longer + 1).min(LONGEST) } else { 0 };
        self.skip = self.longer;
    }

    fn packed(self) -> u32 {
        self.longer << 16 | self.skip
    }

    fn unpacked(word: u32) -> Patience {
        Patience { skip: word & 0xffff, longer: word >> 16 }
    }
}

/// Someone found nothing and is going to wait: perhaps for a moment first, until there is more than
/// one. `backlog` says how much there is.
pub(crate) fn wait_a_moment(waiters: &Waiters, backlog: impl Fn() -> usize) {
    let mut patience = Patience::unpacked(waiters.patience().load(Ordering::Relaxed));
    if patience.is_due() {
        sync::pause_for(MOMENT);
        patience.gave(backlog());
    }
    // Several may do so at once, and one's word is lost: it is an estimate.
    waiters.patience().store(patience.packed(), Ordering::Relaxed);
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn it_is_tried_rarely_where_it_is_in_vain_and_always_where_it_pays() {
        let mut patience = Patience::default();
        let mut tries = |brings| {
            let tried = (0..10_000).filter(|_| {
                patience = Patience::unpacked(patience.packed());
                let due = patience.is_due();
                if due {
                    patience.gave(brings);
                }
                due
            });
            tried.count()
        };
        assert!(tries(1) < 25);
        assert!(tries(100) > 8_900);
    }
}
