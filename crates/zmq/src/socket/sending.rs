//! Sending: the pattern chooses the peers, the message is queued for each, and perhaps written.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use chaski_zmtp::Kind;
use chaski_zmtp::pattern::{Outgoing, Verdict};

use super::rules::{Chores, How, Rules};
use super::shared::Shared;
use crate::error::SendFailure;

/// A message that was not taken, and why; `None` if nobody has room.
pub(super) struct Refused<'a> {
    pub(super) message: Outgoing<'a>,
    pub(super) why: Option<SendFailure>,
}

impl Shared {
    /// Queues a message for whoever the pattern chooses, and writes it if that is best done now.
    #[inline]
    #[expect(clippy::result_large_err, reason = "a message is given back as it came")]
    pub(super) fn post<'a>(self: &Arc<Self>, mut message: Outgoing<'a>) -> Result<(), Refused<'a>> {
        // Before any lock, which another thread of the parent may have held for ever.
        if let Err(forked) = self.check_origin() {
            return Err(Refused { message, why: Some(forked.into()) });
        }
        if self.kind.reads_in_background() && self.doorbell.has_rung() {
            self.hear();
        }
        if self.kind == Kind::Req && self.rules().pattern.reads_before_sending() {
            self.discard();
        }
        let mut chores = Chores::new();
        let mut rules = self.rules();
        if rules.closed {
            return Err(Refused { message, why: Some(SendFailure::Closed) });
        }
        let Rules { pattern, seats, to, errands, .. } = &mut *rules;
        to.clear();
        match pattern.route(&mut message, seats, to, errands) {
            Ok(Verdict::Send) => {}
            Ok(Verdict::Wait) => return Err(Refused { message, why: None }),
            Ok(Verdict::Drop) => {
                rules.run_errands(&mut chores);
                drop(rules);
                self.run_chores(chores);
                return Ok(());
            }
            Err(misuse) => return Err(Refused { message, why: Some(misuse.into()) }),
        }
        let hold = self.backlog.load(Ordering::Relaxed);
        let through = rules.post(&mut message, How { hold, conflate: self.conflate }, &mut chores);
        rules.run_errands(&mut chores);
        drop(rules);
        if through.is_none() && chores.is_empty() {
            return Ok(());
        }
        if let Some(link) = through {
            self.flushed(&link, link.outbox.write_through(&message));
        }
        self.run_chores(chores);
        Ok(())
    }

    /// Whether a send would go without waiting, as far as can be told before the message is known:
    /// for the patterns that wait, whether it is their turn and some peer has room. Those that drop
    /// what cannot be sent are always ready.
    pub(crate) fn can_send(&self) -> bool {
        use chaski_zmtp::pattern::Room;
        // Before the rules: whoever sets an option takes them in this order.
        let relaxed = self.kind == Kind::Req && self.options().req_relaxed;
        let has_taken = self.receiving().has_taken();
        let rules = self.rules();
        if rules.closed {
            return true;
        }
        let has_room = || {
            let mut peers = rules.seats.0.iter().map(|(_, seat)| seat.link.peer);
            peers.any(|peer| rules.seats.has_room(peer))
        };
        // REQ and REP take turns: what may receive may not send, and what was delivered to a look
        // is still to be received.
        let must_recv = has_taken || rules.pattern.may_recv().is_ok();
        match self.kind {
            Kind::Rep => !must_recv,
            Kind::Req => (relaxed || !must_recv) && has_room(),
            Kind::Router | Kind::Stream | Kind::Server | Kind::Peer | Kind::Xsub => true,
            kind => kind.sends() && (kind.publishes() || has_room()),
        }
    }
}
