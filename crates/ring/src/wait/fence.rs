//! A store-load fence whose whole price is paid by the side that is about to sleep.
//!
//! A waiter and a notifier must not miss each other (Dekker): the waiter says "I sleep", then looks
//! at the queue once more; the notifier publishes, then looks whether someone sleeps. Each needs
//! its store to be seen before its load is made, and a processor does not order a store before a
//! later load by itself. The fence that does costs the notifier about ten times what the message
//! costs (it exposes the transfer of the line that the store buffer otherwise hides), for every
//! message.
//!
//! [`heavy`] moves that price to the sleeper: `membarrier(PRIVATE_EXPEDITED)` runs a full fence on
//! every core that runs a thread of this process (Linux 4.14; Desnoyers; the same means RCU and
//! hazard pointers use). Wherever a notifier is interrupted by it, between its store and its load
//! or on either side of them, one of the two sees the other:
//!
//! ```text
//!   notifier: publish ... look          the fence falls
//!      before the publish               the look sees "I sleep"
//!      between the two                  the waiter's second look sees the publish
//!      after the look                   the waiter's second look sees the publish
//! ```
//!
//! So the notifier needs only [`light`]: that the compiler keeps the two in their order. Where
//! `membarrier` is not to be had ([`asymmetric`] is false: other systems, old kernels, seccomp
//! filters, the model checker) both sides use an ordinary fence; see [`super::Waiters`].

use crate::sync::{Ordering, fence};

/// Whether [`heavy`] works for both sides. Asked once per process.
pub(crate) fn asymmetric() -> bool {
    #[cfg(all(target_os = "linux", not(loom), not(miri)))]
    {
        use std::sync::OnceLock;
        static REGISTERED: OnceLock<bool> = OnceLock::new();
        *REGISTERED.get_or_init(|| {
            use rustix::thread::{MembarrierCommand, membarrier};
            membarrier(MembarrierCommand::RegisterPrivateExpedited).is_ok()
                && membarrier(MembarrierCommand::PrivateExpedited).is_ok()
        })
    }
    #[cfg(not(all(target_os = "linux", not(loom), not(miri))))]
    false
}

/// Sleeper: a full fence here and, if [`asymmetric`], on every other core that runs this process.
/// 1 to 4 microseconds.
pub(crate) fn heavy() {
    fence(Ordering::SeqCst);
    #[cfg(all(target_os = "linux", not(loom), not(miri)))]
    if asymmetric() {
        use rustix::thread::{MembarrierCommand, membarrier};
        membarrier(MembarrierCommand::PrivateExpedited)
            .expect("membarrier worked when it was registered");
    }
}

/// Notifier: keeps the compiler from moving the look before the publish. Free.
#[inline(always)]
pub(crate) fn light() {
    std::sync::atomic::compiler_fence(Ordering::SeqCst);
}
