//! The side that rings.

use std::fmt;
use std::sync::atomic::{Ordering, fence};

use super::{BASE, BEGUN, DONE, RING_BYTES, SEEN, VALUE};
use crate::door::ConnectError;
use crate::error::Error;
use crate::options::{Options, common_options};
use crate::step::step;
use crate::tie::{Patience, Tie, patience_options};
use crate::wire::Kind;

/// Notifies a [`Listener`](super::Listener), with a value and without ever waiting.
///
/// ```no_run
/// let mut bell = chaski_shm::Notifier::connect("config-changed")?;
/// bell.notify(17)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The listener gets the latest value and the number of notifications since it last looked. It
/// costs a few stores and a mark on the listener's board, and a system call if the listener sleeps.
///
/// # When the listener dies
///
/// Notifications that it had not looked at, and those made meanwhile, are kept, conflated, for the
/// next listener of the name. It is looked for from the next call on, in the background, for as
/// long as [`NotifierBuilder::reconnect_within`] says.
pub struct Notifier {
    tie: Tie,
    /// How often it has rung.
    rings: u64,
}

/// Choices for a [`Notifier`].
#[derive(Debug, Clone)]
pub struct NotifierBuilder {
    options: Options,
    patience: Patience,
}

impl NotifierBuilder {
    common_options!();
    patience_options!();

    /// Connects to the listener of this name.
    ///
    /// # Errors
    ///
    /// See [`ConnectError`].
    pub fn connect(self, name: &str) -> Result<Notifier, ConnectError> {
        let options = Options { ring_bytes: RING_BYTES, ..self.options };
        let tie = Tie::connect(name, options, Kind::Notify, self.patience)?;
        Ok(Notifier { tie, rings: 0 })
    }
}

impl Notifier {
    /// Connects to the listener of that name, with everything else as it is by default.
    ///
    /// # Errors
    ///
    /// See [`ConnectError`]: among others nobody of that name came within 2 s.
    pub fn connect(name: &str) -> Result<Notifier, ConnectError> {
        Notifier::builder().connect(name)
    }

    /// For one that differs.
    pub fn builder() -> NotifierBuilder {
        NotifierBuilder { options: Options::default(), patience: Patience::default() }
    }

    /// Notifies the listener. Never waits; what the listener has not looked at yet is replaced, and
    /// counted.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`]: the listener is gone, and no other came in time.
    #[inline]
    pub fn notify(&mut self, value: u64) -> Result<(), Error> {
        if self.tie.porch().has_news() {
            self.advance();
        }
        if self.tie.is_over() {
            return Err(Error::Closed);
        }
        self.write(value);
        if self.tie.link().is_none() && self.tie.porch().has_news() {
            // The next listener may have looked before the write.
            self.advance();
        }
        if let Some(link) = self.tie.link() {
            link.nudge();
            step("notify.marked");
        }
        Ok(())
    }

    /// How many times it has notified.
    pub fn rings(&self) -> u64 {
        self.rings
    }

    /// Whether there is a listener now. Like any call it takes note of one that is gone, and of the
    /// next.
    pub fn is_connected(&mut self) -> bool {
        self.advance();
        self.tie.link().is_some()
    }

    fn write(&mut self, value: u64) {
        let reach = self.tie.reach();
        self.rings += 1;
        reach.note(BEGUN).store(self.rings, Ordering::Relaxed);
        step("notify.begun");
        // ORDERING: pairs with the second fence of the listener: who sees the value that follows
        // sees the count before it.
        fence(Ordering::Release);
        reach.note(VALUE).store(value, Ordering::Relaxed);
        step("notify.value_written");
        // ORDERING: release, pairs with the first fence of the listener: who sees this count sees
        // the value, or a newer one.
        reach.note(DONE).store(self.rings, Ordering::Release);
        step("notify.done");
    }

    /// Deals with a listener that is gone, and with one that was found.
    #[cold]
    fn advance(&mut self) {
        if !self.tie.porch().take_news() {
            return;
        }
        if let Some(link) = self.tie.link()
            && link.session().is_closed()
        {
            let seen = link.their_note(SEEN).load(Ordering::Relaxed);
            // One that may live keeps what it reads, as it is.
            let head = (!link.session().is_shut()).then_some(0);
            let base = self.tie.reach().note(BASE);
            // It may have left nonsense behind, or have gone before it looked. The next one, who
            // reads this, is looked for after it.
            base.fetch_max(seen.min(self.rings), Ordering::Relaxed);
            step("notify.based");
            self.tie.lose(head);
        }
        if self.tie.advance()
            && let Some(link) = self.tie.link()
        {
            // It was seated before: what was written since, it may not have seen.
            link.nudge();
        }
    }
}

impl fmt::Debug for Notifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notifier").field("rings", &self.rings).finish_non_exhaustive()
    }
}
