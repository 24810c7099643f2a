//! A flag by which producers learn whether the consumer sleeps.

use crate::padded::Padded;
use crate::sync::{AtomicBool, Ordering, fence};

/// Whether a consumer is asleep or about to be. Waking a thread costs microseconds, asking this
/// flag costs nanoseconds, and a consumer with work to do needs no waking.
///
/// The consumer announces, looks at its queue once more, and sleeps only if that is empty. A
/// producer pushes, then asks. With a fence between the two steps on each side, at least one side
/// sees what the other did (Dekker's handshake): a push is either found by the last look, or it
/// finds the announcement.
///
/// Each sleep is answered by one wake: the producer that [`Doze::must_wake`] tells `true` takes the
/// announcement away. A wake may come late, into the next sleep: sleepers must bear spurious ones.
#[derive(Debug)]
pub struct Doze {
    asleep: Padded<AtomicBool>,
}

impl Default for Doze {
    fn default() -> Self {
        Doze::new()
    }
}

impl Doze {
    /// A consumer that is awake.
    pub fn new() -> Self {
        Doze { asleep: Padded(AtomicBool::new(false)) }
    }

    /// Consumer: says that sleep is near. It must look at its queue after this and before sleeping.
    pub fn announce(&self) {
        self.asleep.store(true, Ordering::Relaxed);
        // ORDERING: pairs with the fence of `must_wake`: either the producer's load sees the store
        // above, or the consumer's look at its queue after this sees the producer's push.
        fence(Ordering::SeqCst);
    }

    /// Consumer: says that it is up again, woken or not.
    pub fn awake(&self) {
        // ORDERING: acquire and release, pairs with the exchange of `must_wake`. If that came
        // first, the next announcement is ordered behind it, and its producer cannot take its own
        // `false` for the newest word.
        self.asleep.swap(false, Ordering::AcqRel);
    }

    /// Producer, after a push: whether it is the one who must wake the consumer.
    #[must_use]
    pub fn must_wake(&self) -> bool {
        // ORDERING: pairs with the fence of `announce`, see there. The message itself is published
        // by the queue's own release and acquire; this flag only decides about a wake.
        fence(Ordering::SeqCst);
        // A load first: it leaves the line shared while the consumer is awake.
        // ORDERING: the exchange pairs with the swap of `awake`, see there.
        self.asleep.load(Ordering::Relaxed)
            && self
                .asleep
                .compare_exchange(true, false, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn one_wake_answers_one_sleep() {
        let doze = Doze::new();
        assert!(!doze.must_wake(), "nobody sleeps yet");
        doze.announce();
        assert!(doze.must_wake());
        assert!(!doze.must_wake(), "the first one wakes");
        doze.awake();
        doze.announce();
        doze.awake();
        assert!(!doze.must_wake(), "it did not sleep after all");
    }
}
