//! What ends the wait of a server that has more to wait for than requests.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{Server, Serving, Ticket};
use crate::error::Error;
use crate::porch::Porch;
use crate::wait::after;

/// Ends a [`Server::wait`] from any thread. From [`Server::alarm`].
///
/// ```no_run
/// use std::sync::mpsc;
/// use std::time::Duration;
///
/// let mut server = chaski_shm::Server::bind("slow")?;
/// let alarm = server.alarm();
/// let (done, results) = mpsc::channel();
/// let mut payload = Vec::new();
/// loop {
///     // Requests first, one's own news second, and nothing between that and the wait: what comes
///     // after the look rings, and the wait ends at once.
///     while let Some(ticket) = server.try_recv_into(&mut payload) {
///         let (done, alarm) = (done.clone(), alarm.clone());
///         std::thread::spawn(move || {
///             let _ = done.send(ticket);
///             alarm.ring();
///         });
///     }
///     for ticket in results.try_iter() {
///         server.reply(ticket, b"done")?;
///     }
///     server.wait(Duration::from_secs(1))?;
/// }
/// # #[allow(unreachable_code)]
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Alarm(Arc<Porch>);

impl Alarm {
    /// Ends the wait under way, or else the next one. Costs a system call only if the server
    /// sleeps.
    pub fn ring(&self) {
        self.0.knock();
    }
}

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alarm").finish_non_exhaustive()
    }
}

impl Server {
    /// What ends a [`Server::wait`]: for a server that answers when something else has happened.
    pub fn alarm(&self) -> Alarm {
        Alarm(self.porch.clone())
    }

    /// The next request, if there is one, into a buffer of the caller's, whose earlier contents are
    /// cleared. Waits for nothing.
    #[inline]
    pub fn try_recv_into(&mut self, payload: &mut Vec<u8>) -> Option<Ticket> {
        std::mem::swap(&mut self.payload, payload);
        let ticket = self.poll();
        std::mem::swap(&mut self.payload, payload);
        if let Some((_, lent)) = &self.lent {
            payload.extend_from_slice(lent);
        }
        ticket
    }

    /// Waits until there may be a request, until an [`Alarm`] rings, or for that long. May also end
    /// for neither of these; a ring that comes before it is kept until a receive, which takes it.
    ///
    /// # Errors
    ///
    /// [`Error::System`].
    pub fn wait(&mut self, limit: Duration) -> Result<(), Error> {
        let Server { hall, behind, waiter, porch, .. } = self;
        waiter.wait(porch, &mut Serving { hall, behind }, Some(after(limit))).map(drop)
    }
}
