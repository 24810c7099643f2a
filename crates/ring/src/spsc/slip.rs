//! When a consumer lets its producer get ahead.
//!
//! A consumer that is close behind its producer takes the line with the tail away from it for every
//! message, and both are slow. If it waits a moment instead, it then has many messages for one look
//! (J. Giacomoni et al., "FastForward for efficient pipeline parallelism", PPoPP 2008, call it
//! slip). But a message that comes alone, in a conversation, must not be kept waiting. So a
//! consumer slips only after two looks in a row that found few messages but some, and if the moment
//! brought no more, it does not try again for a while, each time for longer.

use crate::wait::Patience;

/// A consumer that finds fewer messages than this is close behind its producer.
const MUCH: usize = 64;

/// Whether it is time to slip.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Slip {
    /// The last look found messages.
    steady: bool,
    patience: Patience,
}

impl Slip {
    /// A look found so many messages. True: wait a moment and look again.
    #[inline]
    pub(super) fn is_due(&mut self, found: usize) -> bool {
        let steady = std::mem::replace(&mut self.steady, found > 0);
        if !steady || found == 0 || found >= MUCH {
            return false;
        }
        self.patience.is_due()
    }

    /// The moment brought so many more.
    #[inline]
    pub(super) fn gave(&mut self, more: usize) {
        self.patience.gave(more);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_is_hardly_ever_kept_waiting() {
        let mut slip = Slip::default();
        let waits = (0..10_000).filter(|_| {
            let due = slip.is_due(1);
            if due {
                slip.gave(0);
            }
            due
        });
        assert!(waits.count() < 25);
    }

    #[test]
    fn a_stream_slips_whenever_it_is_close_behind() {
        let mut slip = Slip::default();
        assert!(!slip.is_due(1), "the first may be alone");
        for _ in 0..100 {
            assert!(slip.is_due(1));
            slip.gave(40);
        }
        assert!(!slip.is_due(MUCH) && !slip.is_due(0) && !slip.is_due(1));
    }
}
