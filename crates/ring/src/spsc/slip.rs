//! When a consumer lets its producer get ahead.
//!
//! A consumer that is close behind its producer takes the line with the tail away from it for every
//! message, and both are slow. If it waits a moment instead, it then has many messages for one look
//! (J. Giacomoni et al., "FastForward for efficient pipeline parallelism", PPoPP 2008, call it
//! slip). But a message that comes alone, in a conversation, must not be kept waiting. So a consumer
//! slips only after two looks in a row that found few messages but some, and if the moment brought
//! no more, it does not try again for a while, each time for longer.

/// A consumer that finds fewer messages than this is close behind its producer.
const MUCH: usize = 64;
/// A moment that brings fewer than this was in vain.
const WORTH: usize = 4;
/// The longest time without a try, in looks.
const LONGEST: u32 = 1023;
/// The moment, in pauses of the processor: a third to one microsecond.
pub(super) const SLIP: u32 = if cfg!(loom) { 0 } else { 32 };

/// Whether it is time to slip.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Slip {
    /// The last look found messages.
    steady: bool,
    /// Looks until the next try.
    skip: u32,
    /// How many looks it will be if that is in vain, too.
    longer: u32,
}

impl Slip {
    /// A look found so many messages. True: wait a moment and look again.
    #[inline]
    pub(super) fn is_due(&mut self, found: usize) -> bool {
        let steady = std::mem::replace(&mut self.steady, found > 0);
        if !steady || found == 0 || found >= MUCH {
            return false;
        }
        let due = self.skip == 0;
        self.skip = self.skip.saturating_sub(1);
        due
    }

    /// The moment brought so many more.
    #[inline]
    pub(super) fn gave(&mut self, more: usize) {
        self.longer = if more < WORTH { (2 * self.longer + 1).min(LONGEST) } else { 0 };
        self.skip = self.longer;
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
