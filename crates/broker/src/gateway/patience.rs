//! How long a PUB waits for subscribers that have no room.
//!
//! What it publishes is in the log: a subscriber that is held up for a moment need not lose
//! anything. So the gateway waits for it, and falls behind the topic, but not by more than
//! `patience_ms`:
//!
//! ```text
//!   waits --- a backlog was not sent within `patience_ms` ---> drops
//!     ^                                                          |
//!     +--- a backlog is sent, and every subscriber has room -----+
//! ```
//! While it drops nobody is waited for, as ZeroMQ has it. Who does not read at all costs the others
//! `patience_ms` once.

use std::time::{Duration, Instant};

use chaski_zmq::{Outgoing, SendError, Socket, SocketOption};

use super::gate::Gate;
use super::limits::NAP;
use super::outlet::byte_len;

/// The patience of one publisher.
pub(super) struct Patience {
    limit: Duration,
    /// When the present backlog was all there was.
    since: Instant,
    /// Records of it that are not sent yet.
    backlog: u64,
    lost: bool,
}

impl Patience {
    pub(super) fn new(gate: &Gate<'_>) -> Patience {
        Patience {
            limit: Duration::from_millis(gate.spec.patience_ms),
            since: Instant::now(),
            backlog: 0,
            lost: false,
        }
    }

    /// So many records are about to be sent, and so many more are there. A full queue refuses a
    /// message from now on, if there is patience, until [`Patience::rest`].
    pub(super) fn begin(&mut self, gate: &Gate<'_>, records: u64, more: u64) -> Result<(), String> {
        self.backlog = self.backlog.saturating_sub(records);
        if self.backlog == 0 {
            (self.since, self.backlog) = (Instant::now(), more);
            self.lost = self.lost && !all_have_room(gate);
        }
        refuse_to_drop(gate.socket, !self.is_lost())
    }

    /// A full queue loses messages again.
    pub(super) fn rest(&self, gate: &Gate<'_>) -> Result<(), String> {
        refuse_to_drop(gate.socket, false)
    }

    /// Sends what `message` makes to all who want it, and waits for those who have no room as long
    /// as there is patience. How many bytes it has.
    pub(super) fn send<'m>(
        &mut self,
        gate: &Gate<'_>,
        message: impl Fn() -> Outgoing<'m>,
    ) -> Result<u64, SendError> {
        let first = message();
        let bytes = byte_len(&first);
        match gate.socket.try_send(first) {
            Err(error) if error.is_full() => self.send_patiently(gate, message)?,
            sent => sent?,
        }
        Ok(bytes)
    }

    #[cold]
    fn send_patiently<'m>(
        &mut self,
        gate: &Gate<'_>,
        message: impl Fn() -> Outgoing<'m>,
    ) -> Result<(), SendError> {
        loop {
            let left = self.limit.saturating_sub(self.since.elapsed());
            if left.is_zero() || gate.halted() {
                self.lost = true;
                // It can be set: it was before.
                let _ = refuse_to_drop(gate.socket, false);
                return gate.socket.send(message());
            }
            match gate.socket.send_timeout(message(), left.min(NAP)) {
                Err(error) if error.is_full() => {}
                sent => return sent,
            }
        }
    }

    fn is_lost(&self) -> bool {
        self.lost || self.limit.is_zero()
    }
}

fn all_have_room(gate: &Gate<'_>) -> bool {
    let hwm = u64::from(gate.spec.hwm);
    gate.socket.peers().iter().all(|peer| 2 * peer.queued <= hwm)
}

/// Whether a full queue refuses a message, or loses it.
pub(super) fn refuse_to_drop(socket: &Socket, refuse: bool) -> Result<(), String> {
    socket.set(SocketOption::XpubNodrop(refuse)).map_err(|error| error.to_string())
}
