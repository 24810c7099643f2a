//! REP (RFC 28): one request, then its reply.
//!
//! ```text
//!   on the wire   [identity ..] [empty] [body ..]
//!                 '---- envelope -----'
//!   for the user                        [body ..]
//!
//!              deliver: well-formed request
//!        Idle -----------------------------> Replying(peer, envelope)
//!          ^                                       |
//!          +---------------------------------------+
//!              route: reply goes to that peer, or is dropped
//! ```
//!
//! | clause | where |
//! |---|---|
//! | receive and then send exactly one message at a time | `may_recv`, `route` |
//! | remove and store the address envelope, including the delimiter | `deliver` |
//! | prepend it to the reply; deliver this to the originating peer | `route` |
//! | silently discard the reply if the originating peer is no longer connected | `route` |
//! | not block on sending | `route`: a reply to a full peer is dropped, and counted |
//!
//! A request without a delimiter, or with nothing after it, is dropped as by libzmq.

use std::mem;

use super::Verdict;
use super::drops::Drops;
use super::queues::Queues;
use super::{Attach, Delivery, Errand, Greeted, Misuse, Outgoing, Pattern, Peer, PeerInfo, Room};
use crate::kind::Kind;
use crate::message::Message;

pub(crate) struct Rep {
    queues: Queues,
    drops: Drops,
    state: State,
}

enum State {
    Idle,
    /// A request of this peer awaits its reply; of nobody, if the peer is gone for good.
    Replying {
        peer: Option<Peer>,
        envelope: Message,
    },
}

impl Rep {
    pub(crate) fn new() -> Self {
        Rep { queues: Queues::default(), drops: Drops::default(), state: State::Idle }
    }
}

impl Pattern for Rep {
    fn kind(&self) -> Kind {
        Kind::Rep
    }

    fn attach(&mut self, peer: Peer, how: Attach) -> Result<(), &'static str> {
        self.queues.attach(peer, &how);
        Ok(())
    }

    fn greet(
        &mut self,
        peer: Peer,
        _: &PeerInfo,
        _: &mut Vec<Errand>,
    ) -> Result<Greeted, &'static str> {
        self.queues.greet(peer);
        Ok(Greeted::Welcome)
    }

    fn hang_up(&mut self, peer: Peer, _: &mut Vec<Errand>) {
        self.queues.hang_up(peer);
    }

    fn detach(&mut self, gone: Peer, _: &mut Vec<Errand>) {
        self.queues.detach(gone);
        self.drops.forget(gone);
        if let State::Replying { peer, .. } = &mut self.state {
            // The number may be another peer's tomorrow.
            *peer = peer.filter(|&peer| peer != gone);
        }
    }

    fn route(
        &mut self,
        message: &mut Outgoing<'_>,
        room: &dyn Room,
        to: &mut Vec<Peer>,
        _: &mut Vec<Errand>,
    ) -> Result<Verdict, Misuse> {
        let State::Replying { peer, envelope } = &mut self.state else {
            return Err(Misuse::OutOfTurn("no request awaits a reply: receive one before sending"));
        };
        message.check_shape(Kind::Rep)?;
        let (peer, envelope) = (*peer, mem::take(envelope));
        self.state = State::Idle;
        let Some(peer) = peer.filter(|&peer| self.queues.has(peer)) else {
            return Ok(Verdict::Drop);
        };
        if !room.has_room(peer) {
            self.drops.count(peer);
            return Ok(Verdict::Drop);
        }
        message.envelope = envelope;
        to.push(peer);
        Ok(Verdict::Send)
    }

    fn take_dropped(&mut self, dropped: &mut Vec<(Peer, u64)>) {
        self.drops.take(dropped);
    }

    fn may_recv(&self) -> Result<(), Misuse> {
        match self.state {
            State::Idle => Ok(()),
            State::Replying { .. } => {
                Err(Misuse::OutOfTurn("a request awaits its reply: send it before receiving"))
            }
        }
    }

    fn deliver(&mut self, from: Peer, mut message: Message, _: &mut Vec<Errand>) -> Delivery {
        let State::Idle = self.state else { return Delivery::Ignore };
        let Some(delimiter) = message.iter().position(|frame| frame.is_empty()) else {
            return Delivery::Ignore;
        };
        let body = message.split_off(delimiter + 1);
        if body.is_empty() {
            return Delivery::Ignore;
        }
        self.state = State::Replying { peer: Some(from), envelope: message };
        Delivery::Take(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::exercise::{Bench, Full, Sent, frames};

    fn rep() -> Bench {
        let mut rep = Bench::new(Kind::Rep);
        rep.accept(0, "").unwrap();
        rep.accept(1, "").unwrap();
        rep
    }

    fn out_of_turn<T>(result: Result<T, Misuse>) -> bool {
        matches!(result, Err(Misuse::OutOfTurn(_)))
    }

    #[test]
    fn one_request_then_its_reply() {
        let mut rep = rep();
        assert!(out_of_turn(rep.send(&["x"])));
        assert_eq!(rep.deliver(1, &["", "a", "b"]), Some(frames(&["a", "b"])));
        assert!(out_of_turn(rep.pattern.may_recv()));
        assert_eq!(rep.send(&["x"]), Ok(Sent::To(vec![1], frames(&["", "x"]))));
        assert!(out_of_turn(rep.send(&["y"])));
        assert_eq!(rep.pattern.may_recv(), Ok(()));
    }

    #[test]
    fn the_envelope_goes_back_as_it_came() {
        let mut rep = rep();
        // Only the first empty frame is the delimiter; the body may have some of its own.
        assert_eq!(rep.deliver(0, &["far", "near", "", "", "a"]), Some(frames(&["", "a"])));
        let reply = frames(&["far", "near", "", "x", "y"]);
        assert_eq!(rep.send(&["x", "y"]), Ok(Sent::To(vec![0], reply)));
    }

    #[test]
    fn malformed_requests_are_dropped() {
        let mut rep = rep();
        for request in [&["a"][..], &["a", "b"], &[""], &["a", ""], &[]] {
            assert_eq!(rep.deliver(0, request), None, "{request:?}");
            assert_eq!(rep.pattern.may_recv(), Ok(()));
        }
    }

    #[test]
    fn a_reply_to_one_that_is_gone_is_discarded() {
        let mut rep = rep();
        rep.deliver(0, &["", "a"]).unwrap();
        rep.leave(0);
        rep.accept(0, "").unwrap();
        assert_eq!(rep.send(&["x"]), Ok(Sent::Drop));
        assert_eq!(rep.pattern.may_recv(), Ok(()));

        rep.deliver(1, &["", "a"]).unwrap();
        rep.hang_up(1);
        assert_eq!(rep.send(&["x"]), Ok(Sent::Drop));
    }

    #[test]
    fn a_reply_to_a_full_peer_is_dropped_and_counted() {
        let mut rep = rep();
        rep.deliver(0, &["", "a"]).unwrap();
        rep.room = Full::of([0]);
        assert_eq!(rep.send(&["x"]), Ok(Sent::Drop));
        let mut dropped = Vec::new();
        rep.pattern.take_dropped(&mut dropped);
        assert_eq!(dropped, [(Peer(0), 1)]);
    }

    #[test]
    fn a_probe_is_no_request() {
        assert_eq!(rep().deliver(0, &[""]), None);
    }
}
