//! REQ (RFC 28): one request, then one reply.
//!
//! ```text
//!   on the wire   [request id, if correlated] [empty] [body ..]
//!   for the user                                      [body ..]
//!
//!              route: request goes to a peer
//!        Idle -------------------------------> Awaiting(peer)  <-+
//!          ^                                       |    |        | route, if relaxed:
//!          +---------------------------------------+    +--------+ the reply is no longer awaited
//!              deliver: well-formed reply of that peer
//! ```
//!
//! | clause | where |
//! |---|---|
//! | send and then receive exactly one message at a time | `route`, `may_recv` |
//! | prefix the outgoing message with an empty delimiter frame | `route` |
//! | round robin; block without connected peers | `route` |
//! | accept a message only from the last peer asked; discard others silently | `deliver` |
//!
//! Where the RFC is silent, libzmq is followed: a reply without its delimiter is ignored and
//! awaited on; `req_correlate` adds a number of four bytes before the delimiter, which the reply
//! must bear; `req_relaxed` allows a new request before the reply to the last.
//!
//! A request whose peer is gone for good is awaited on, as in libzmq: time-outs are the user's.

use super::balance::Balance;
use super::{Attach, Delivery, Errand, Greeted, Misuse, Outgoing, Pattern, Peer, PeerInfo, Room};
use super::{Setting, Verdict};
use crate::kind::Kind;
use crate::message::{Frame, Message};

pub(crate) struct Req {
    balance: Balance,
    state: State,
    /// Of the last request, if it was correlated.
    request_id: u32,
    relaxed: bool,
    correlate: bool,
    probe: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    /// A reply is awaited from this peer; from nobody, if it is gone for good.
    Awaiting {
        peer: Option<Peer>,
        correlated: bool,
    },
}

impl Req {
    pub(crate) fn new(seed: u32) -> Self {
        Req {
            balance: Balance::default(),
            state: State::Idle,
            request_id: seed,
            relaxed: false,
            correlate: false,
            probe: false,
        }
    }

    /// The body of a reply to the last request; `None` if that is not what `reply` is.
    fn open(&self, mut reply: Message, correlated: bool) -> Option<Message> {
        if correlated {
            let id = reply.pop_front()?;
            if id != self.request_id.to_be_bytes() {
                return None;
            }
        }
        let delimiter = reply.pop_front()?;
        (delimiter.is_empty() && !reply.is_empty()).then_some(reply)
    }
}

impl Pattern for Req {
    fn kind(&self) -> Kind {
        Kind::Req
    }

    fn attach(&mut self, peer: Peer, how: Attach) -> Result<(), &'static str> {
        self.balance.attach(peer, &how);
        Ok(())
    }

    fn greet(
        &mut self,
        peer: Peer,
        _: &PeerInfo,
        errands: &mut Vec<Errand>,
    ) -> Result<Greeted, &'static str> {
        self.balance.greet(peer);
        errands.extend(self.probe.then(|| Errand::probe(peer)));
        Ok(Greeted::Welcome)
    }

    fn hang_up(&mut self, peer: Peer, _: &mut Vec<Errand>) {
        self.balance.hang_up(peer);
    }

    fn detach(&mut self, gone: Peer, _: &mut Vec<Errand>) {
        self.balance.detach(gone);
        if let State::Awaiting { peer, .. } = &mut self.state {
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
        if self.state != State::Idle && !self.relaxed {
            return Err(Misuse::OutOfTurn("a request is out: receive its reply before the next"));
        }
        message.check_shape(Kind::Req)?;
        let Some(peer) = self.balance.pick(room) else { return Ok(Verdict::Wait) };
        if self.correlate {
            self.request_id = self.request_id.wrapping_add(1);
            message.envelope.push(&self.request_id.to_be_bytes());
        }
        message.envelope.push(Frame::empty());
        self.state = State::Awaiting { peer: Some(peer), correlated: self.correlate };
        to.push(peer);
        Ok(Verdict::Send)
    }

    fn reads_before_sending(&self) -> bool {
        self.relaxed && !self.correlate
    }

    fn may_recv(&self) -> Result<(), Misuse> {
        match self.state {
            State::Idle => Err(Misuse::OutOfTurn("no request is out: send one before receiving")),
            State::Awaiting { .. } => Ok(()),
        }
    }

    fn deliver(&mut self, from: Peer, message: Message, _: &mut Vec<Errand>) -> Delivery {
        let State::Awaiting { peer, correlated } = self.state else { return Delivery::Ignore };
        if peer != Some(from) {
            return Delivery::Ignore;
        }
        match self.open(message, correlated) {
            Some(body) => {
                self.state = State::Idle;
                Delivery::Take(body)
            }
            None => Delivery::Ignore,
        }
    }

    fn set(&mut self, setting: Setting) -> Result<(), Misuse> {
        match setting {
            Setting::ReqRelaxed(on) => self.relaxed = on,
            Setting::ReqCorrelate(on) => self.correlate = on,
            Setting::ProbeRouter(on) => self.probe = on,
            _ => return Err(Misuse::NotSupported(Kind::Req, "have that setting")),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::exercise::{Bench, Full, Sent, frames};

    fn req(settings: impl IntoIterator<Item = Setting>) -> Bench {
        let mut req = Bench::with(Kind::Req, settings);
        req.accept(0, "").unwrap();
        req.accept(1, "").unwrap();
        req
    }

    fn out_of_turn<T>(result: Result<T, Misuse>) -> bool {
        matches!(result, Err(Misuse::OutOfTurn(_)))
    }

    #[test]
    fn one_request_then_one_reply() {
        let mut req = req([]);
        assert!(out_of_turn(req.pattern.may_recv()));
        assert_eq!(req.send(&["a", "b"]), Ok(Sent::To(vec![0], frames(&["", "a", "b"]))));
        assert!(out_of_turn(req.send(&["c"])));
        assert_eq!(req.pattern.may_recv(), Ok(()));
        assert_eq!(req.deliver(0, &["", "x", "y"]), Some(frames(&["x", "y"])));
        assert!(out_of_turn(req.pattern.may_recv()));
        assert_eq!(req.sent_to(&["c"]), [1]);
    }

    #[test]
    fn without_an_available_peer_the_request_waits_and_is_not_out() {
        let mut req = req([]);
        req.room = Full::of([0, 1]);
        assert_eq!(req.send(&["a"]), Ok(Sent::Wait));
        assert!(out_of_turn(req.pattern.may_recv()));
        req.room = Full::default();
        assert_eq!(req.sent_to(&["a"]), [0]);
    }

    #[test]
    fn replies_of_others_are_discarded() {
        let mut req = req([]);
        assert_eq!(req.deliver(0, &["", "before any request"]), None);
        assert_eq!(req.sent_to(&["a"]), [0]);
        assert_eq!(req.deliver(1, &["", "not asked"]), None);
        assert_eq!(req.deliver(0, &["", "x"]), Some(frames(&["x"])));
    }

    #[test]
    fn malformed_replies_are_ignored_and_awaited_on() {
        let mut req = req([]);
        req.send(&["a"]).unwrap();
        for reply in [&["x"][..], &["x", "y"], &[""], &["", ""][..1], &[]] {
            assert_eq!(req.deliver(0, reply), None, "{reply:?}");
        }
        assert_eq!(req.deliver(0, &["", ""]), Some(frames(&[""])));
    }

    #[test]
    fn a_relaxed_one_may_ask_again_and_hears_only_whom_it_asked_last() {
        let mut req = req([Setting::ReqRelaxed(true)]);
        assert_eq!(req.sent_to(&["a"]), [0]);
        assert_eq!(req.sent_to(&["b"]), [1]);
        assert_eq!(req.deliver(0, &["", "to a"]), None);
        assert_eq!(req.deliver(1, &["", "to b"]), Some(frames(&["to b"])));
        assert!(req.pattern.reads_before_sending());
    }

    #[test]
    fn a_correlated_one_knows_the_reply_by_its_number() {
        let mut req =
            Bench::with(Kind::Req, [Setting::ReqRelaxed(true), Setting::ReqCorrelate(true)]);
        req.accept(0, "").unwrap();
        let mut ids = Vec::new();
        for _ in 0..2 {
            let Ok(Sent::To(_, request)) = req.send(&["a"]) else { panic!("it goes out") };
            assert_eq!(request[0].len(), 4);
            assert_eq!(&request[1], "");
            ids.push(request[0].to_vec());
        }
        assert_ne!(ids[0], ids[1]);
        assert_eq!(req.deliver(0, &[&ids[0][..], b"", b"late"]), None);
        assert_eq!(req.deliver(0, &["", "no number"]), None);
        assert_eq!(req.deliver(0, &[&ids[1][..], b"", b"x"]), Some(frames(&["x"])));
        assert!(!req.pattern.reads_before_sending());
    }

    #[test]
    fn a_peer_that_is_gone_is_awaited_but_its_number_means_nothing() {
        let mut req = req([]);
        req.send(&["a"]).unwrap();
        req.leave(0);
        req.accept(0, "").unwrap();
        assert_eq!(req.deliver(0, &["", "never asked"]), None);
        assert_eq!(req.pattern.may_recv(), Ok(()));
        assert!(out_of_turn(req.send(&["b"])));
    }

    #[test]
    fn a_reply_that_had_come_before_the_line_was_lost_counts() {
        let mut req = req([]);
        req.send(&["a"]).unwrap();
        req.hang_up(0);
        assert_eq!(req.deliver(0, &["", "x"]), Some(frames(&["x"])));
    }
}
