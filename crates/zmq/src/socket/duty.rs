//! What the driver does for a socket that nobody else does, and what the user says beside messages.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chaski_zmtp::Command;
use chaski_zmtp::pattern::{Errand, Outgoing, Peer, Said};

use super::rules::{Chores, Rules};
use super::shared::Shared;
use super::waiting::Attempt;
use crate::driver::Closing;
use crate::error::{RecvError, SendError, SendFailure};
use chaski_zmtp::Message;

impl Shared {
    /// The driver's turn: called when stuck output can be written, when the peer hung up, when
    /// input came that nobody reads, and now and then for a connection at rest. Reads as much as
    /// there is room for, so that PINGs are answered and the end of the connection is met. Whether
    /// it is to be called again soon, as there is more than is looked at in one turn.
    pub(crate) fn service(self: &Arc<Self>, peer: Peer, _now: Instant) -> bool {
        let Some(link) = self.link(peer) else { return false };
        self.flushed(&link, link.outbox.flush_stuck());
        self.read_in_background(peer)
    }

    /// Says a command to a peer that is connected by wire.
    pub(crate) fn say(self: &Arc<Self>, peer: Peer, command: Command) {
        let mut chores = Chores::new();
        let mut rules = self.rules();
        rules.errands.push(Errand { to: peer, what: Said::Command(command) });
        rules.run_errands(&mut chores);
        drop(rules);
        self.run_chores(chores);
    }

    /// Asks a peer whether it lives. `ttl_tenths` is how long it may believe that we do.
    pub(crate) fn ping(self: &Arc<Self>, peer: Peer, ttl_tenths: u16) {
        self.say(peer, Command::Ping { ttl_tenths, context: Bytes::new() });
    }

    /// How often something was read from a peer: it lives as long as this grows.
    pub(crate) fn reads(&self, peer: Peer) -> u64 {
        self.receiving().reads(peer)
    }

    /// Begins or ceases to want a topic or a group.
    pub(super) fn wish(self: &Arc<Self>, topic: &[u8], wants: bool) -> Result<(), SendError> {
        let refuse = |why: SendFailure| Err(SendError::new(why, Outgoing::from("")));
        if let Err(forked) = self.check_origin() {
            return refuse(forked.into());
        }
        let mut chores = Chores::new();
        let mut rules = self.rules();
        if rules.closed {
            return refuse(SendFailure::Closed);
        }
        let Rules { pattern, errands, .. } = &mut *rules;
        let done = match wants {
            true => pattern.subscribe(topic, errands),
            false => pattern.unsubscribe(topic, errands),
        };
        rules.run_errands(&mut chores);
        drop(rules);
        self.run_chores(chores);
        done.or_else(|misuse| refuse(misuse.into()))
    }

    /// Ends all calls, now and to come, and lets the driver send what waits. `None` if it was
    /// closed before.
    pub(super) fn close(self: &Arc<Self>, linger: Option<Duration>) -> Option<Closing> {
        if self.check_origin().is_err() || std::mem::replace(&mut self.rules().closed, true) {
            return None;
        }
        self.answer(self.turn.wake_all());
        self.flush_armed();
        Some(self.driver().close(Arc::clone(self), linger))
    }

    /// One attempt to receive, for a caller that waits.
    pub(super) fn attempt(self: &Arc<Self>) -> Attempt<Result<Message, RecvError>> {
        match self.take() {
            Ok(None) => None,
            Ok(Some(taken)) => Some((Ok(taken.message), taken.more)),
            // Another receiver would be refused as well.
            Err(error) => Some((Err(error), false)),
        }
    }
}
