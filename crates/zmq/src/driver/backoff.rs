//! How long to wait before connecting again, and when not to: the same for every transport.
//!
//! ```text
//!   wait before attempt n:  min(reconnect_ivl * 2^n, reconnect_ivl_max) + chance * reconnect_ivl
//! ```
//!
//! The wait is partly random so that clients of a server that was restarted do not all come at once
//! (RFC 37, "Error Handling"), and grows only if `reconnect_ivl_max` lets it.

use std::time::Duration;

use super::limits::RECONNECT_MIN;
use crate::options::Options;

/// The wait that the next failure asks for, before chance is added.
#[derive(Debug)]
pub(crate) struct Backoff(Duration);

/// Why another attempt is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Nobody listens there.
    Refused,
    /// The system could not connect for another reason.
    Unreachable,
    /// The handshake failed.
    Handshake,
    /// The connection was up.
    Lost,
}

impl Backoff {
    /// Before the first attempt, or after one that succeeded.
    pub(crate) fn new(options: &Options) -> Self {
        Backoff(options.reconnect_ivl.unwrap_or_default())
    }

    /// How long to wait now; `None` if there is to be no other attempt. `chance` is any number.
    pub(crate) fn next(
        &mut self,
        options: &Options,
        reason: Reason,
        chance: u64,
    ) -> Option<Duration> {
        let stop = options.reconnect_stop;
        let stops = match reason {
            Reason::Refused => stop.conn_refused,
            Reason::Unreachable => false,
            Reason::Handshake => stop.handshake_failed,
            Reason::Lost => stop.after_disconnect,
        };
        let ivl = options.reconnect_ivl.filter(|_| !stops)?;
        let after = self.0.saturating_add(jitter(ivl, chance)).max(RECONNECT_MIN);
        self.0 = self.0.saturating_mul(2).min(options.reconnect_ivl_max).max(ivl);
        Some(after)
    }
}

/// Up to one interval more, by chance.
fn jitter(ivl: Duration, chance: u64) -> Duration {
    ivl.mul_f64((chance % 1024) as f64 / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::ReconnectStop;

    const IVL: Duration = Duration::from_millis(100);

    #[test]
    fn chance_adds_less_than_an_interval() {
        assert_eq!(jitter(IVL, 0), Duration::ZERO);
        assert_eq!(jitter(IVL, 512), Duration::from_millis(50));
        assert!((0..5000).all(|chance| jitter(IVL, chance) < IVL));
    }

    #[test]
    fn the_wait_doubles_up_to_its_limit_and_stays_without_one() {
        let waits = |reconnect_ivl_max| {
            let options = Options { reconnect_ivl_max, ..Options::default() };
            let mut backoff = Backoff::new(&options);
            [(); 5].map(|()| backoff.next(&options, Reason::Refused, 0).unwrap().as_millis())
        };
        assert_eq!(waits(Duration::ZERO), [100; 5]);
        assert_eq!(waits(Duration::from_millis(500)), [100, 200, 400, 500, 500]);
    }

    #[test]
    fn what_is_to_be_the_end_is_the_end() {
        let stopped = |reconnect_stop, reason| {
            let options = Options { reconnect_stop, ..Options::default() };
            Backoff::new(&options).next(&options, reason, 0).is_none()
        };
        let none = ReconnectStop::default();
        let cases = [
            (ReconnectStop { conn_refused: true, ..none }, Reason::Refused),
            (ReconnectStop { handshake_failed: true, ..none }, Reason::Handshake),
            (ReconnectStop { after_disconnect: true, ..none }, Reason::Lost),
        ];
        for (stop, reason) in cases {
            assert!(stopped(stop, reason) && !stopped(none, reason));
            assert!(!stopped(stop, Reason::Unreachable));
        }
        let never = Options { reconnect_ivl: None, ..Options::default() };
        assert_eq!(Backoff::new(&never).next(&never, Reason::Lost, 0), None);
    }
}
