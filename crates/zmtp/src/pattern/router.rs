//! ROUTER (RFC 28): each message goes to the peer that its first frame names.
//!
//! ```text
//!   for the user   [identity] [frame ..]
//!   on the wire               [frame ..]
//! ```
//!
//! | clause | where |
//! |---|---|
//! | identify each double queue by a unique identity | `identities`, `claim` |
//! | allow the peer to specify its identity through the Identity property | `claim` |
//! | prefix each incoming message with the identity of its queue | `deliver` |
//! | remove the first frame of each outgoing message, route to that identity | `route` |
//! | drop silently or return an error if the queue does not exist, or is full | `route` |
//!
//! Where the RFC is silent, libzmq is followed. A generated identity is a zero byte and four bytes
//! of a counter. One that the user gave a connection (`connect_routing_id`) beats the peer's own.
//! A peer that we connect to keeps its identity over reconnections. With `router_mandatory` a
//! message to an unknown peer is an error, and one to a full peer waits. With `router_handover` a
//! newcomer takes an identity over; without, the newcomer is refused (libzmq leaves it connected
//! and deaf; here it is closed and may come again). With `router_raw` peers are plain connections,
//! told to the user and closed by it as by a STREAM.

use super::arrivals::Arrivals;
use super::drops::Drops;
use super::identities::Identities;
use super::queues::Queues;
use super::{Attach, Delivery, Errand, Greeted, Misuse, Outgoing, Pattern, Peer, PeerInfo, Room};
use super::{Body, Said, Setting, Verdict};
use crate::kind::Kind;
use crate::message::{Frame, Message};

const TAKEN: &str = "another peer has this identity";

pub(crate) struct Router {
    queues: Queues,
    drops: Drops,
    identities: Identities,
    mandatory: bool,
    handover: bool,
    probe: bool,
    /// Of a raw one, whose peers are plain TCP connections.
    raw: Option<Arrivals>,
}

impl Router {
    pub(crate) fn new(seed: u32) -> Self {
        Router {
            queues: Queues::default(),
            drops: Drops::default(),
            identities: Identities::new(seed),
            mandatory: false,
            handover: false,
            probe: false,
            raw: None,
        }
    }

    /// Gives `peer` the identity that it asks for; says from whom it was taken.
    fn claim(&mut self, peer: Peer, identity: &Frame) -> Result<Greeted, &'static str> {
        if identity.first() == Some(&0) {
            return Err("an identity that begins with a zero byte is reserved");
        }
        let holder = self.identities.holder(identity);
        let holder = holder.filter(|&other| other != peer && self.queues.has(other));
        if holder.is_some() && !self.handover {
            return Err(TAKEN);
        }
        self.identities.give(peer, identity.clone());
        Ok(holder.map_or(Greeted::Welcome, Greeted::Replaces))
    }
}

impl Pattern for Router {
    fn kind(&self) -> Kind {
        Kind::Router
    }

    fn attach(&mut self, peer: Peer, how: Attach) -> Result<(), &'static str> {
        if let Attach::Connecting { identity, .. } = &how
            && !identity.is_empty()
        {
            if self.identities.holder(identity).is_some() {
                return Err(TAKEN);
            }
            self.identities.give(peer, identity.clone());
        }
        if let Some(arrivals) = &mut self.raw {
            arrivals.attach(peer, &how);
        }
        self.queues.attach(peer, &how);
        Ok(())
    }

    fn greet(
        &mut self,
        peer: Peer,
        info: &PeerInfo,
        errands: &mut Vec<Errand>,
    ) -> Result<Greeted, &'static str> {
        let mut greeted = Greeted::Welcome;
        if !self.identities.is_known(peer) {
            if info.identity.is_empty() || self.raw.is_some() {
                self.identities.generate(peer);
            } else {
                greeted = self.claim(peer, &info.identity)?;
            }
        }
        if let (Some(arrivals), Some(identity)) = (&mut self.raw, self.identities.name(peer)) {
            arrivals.greet(peer, identity)?;
        }
        self.queues.greet(peer);
        errands.extend(self.probe.then(|| Errand::probe(peer)));
        Ok(greeted)
    }

    fn hang_up(&mut self, peer: Peer, _: &mut Vec<Errand>) {
        if let (Some(arrivals), Some(identity)) = (&mut self.raw, self.identities.name(peer)) {
            arrivals.hang_up(peer, identity);
        }
        self.queues.hang_up(peer);
    }

    fn detach(&mut self, peer: Peer, _: &mut Vec<Errand>) {
        if let (Some(arrivals), Some(identity)) = (&mut self.raw, self.identities.name(peer)) {
            arrivals.detach(peer, identity);
        }
        self.queues.detach(peer);
        self.drops.forget(peer);
        self.identities.withdraw(peer);
    }

    fn route(
        &mut self,
        message: &mut Outgoing<'_>,
        room: &dyn Room,
        to: &mut Vec<Peer>,
        errands: &mut Vec<Errand>,
    ) -> Result<Verdict, Misuse> {
        let Body::Message(body) = &mut message.body else { return Err(NO_IDENTITY) };
        let [identity, next, ..] = body.as_slice() else { return Err(NO_IDENTITY) };
        let peer = self.identities.holder(identity);
        let Some(peer) = peer.filter(|&peer| self.queues.has(peer)) else {
            return if self.mandatory { Err(Misuse::Unroutable) } else { Ok(Verdict::Drop) };
        };
        if self.raw.is_some() && next.is_empty() {
            errands.push(Errand { to: peer, what: Said::Goodbye });
            // Nothing more is sent to it; what was sent before goes out first.
            self.queues.detach(peer);
            return Ok(Verdict::Drop);
        }
        if !room.has_room(peer) {
            if self.mandatory {
                return if room.is_gone(peer) {
                    Err(Misuse::Unroutable)
                } else {
                    Ok(Verdict::Wait)
                };
            }
            self.drops.count(peer);
            return Ok(Verdict::Drop);
        }
        body.pop_front();
        to.push(peer);
        Ok(Verdict::Send)
    }

    fn take_dropped(&mut self, dropped: &mut Vec<(Peer, u64)>) {
        self.drops.take(dropped);
    }

    fn may_recv(&self) -> Result<(), Misuse> {
        Ok(())
    }

    fn notice(&mut self) -> Option<Message> {
        self.raw.as_mut()?.pop()
    }

    fn prefix(&self, peer: Peer) -> Option<&Frame> {
        self.identities.name(peer).filter(|_| self.raw.is_none())
    }

    fn deliver(&mut self, from: Peer, mut message: Message, _: &mut Vec<Errand>) -> Delivery {
        let Some(identity) = self.identities.name(from) else { return Delivery::Ignore };
        message.push_front(identity.clone());
        Delivery::Take(message)
    }

    fn set(&mut self, setting: Setting) -> Result<(), Misuse> {
        match setting {
            Setting::RouterMandatory(on) => self.mandatory = on,
            Setting::RouterHandover(on) => self.handover = on,
            Setting::ProbeRouter(on) => self.probe = on,
            Setting::RouterRaw(on) => self.raw = on.then(Arrivals::default),
            _ => return Err(Misuse::NotSupported(Kind::Router, "have that setting")),
        }
        Ok(())
    }
}

const NO_IDENTITY: Misuse =
    Misuse::Shape("a message of a ROUTER begins with an identity, and more frames follow");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::exercise::{Bench, Full, Sent, early, frames, text};

    fn router(settings: impl IntoIterator<Item = Setting>) -> Bench {
        let mut router = Bench::with(Kind::Router, settings);
        router.accept(0, "ann").unwrap();
        router.accept(1, "ben").unwrap();
        router
    }

    #[test]
    fn messages_go_where_their_first_frame_says() {
        let mut router = router([]);
        assert_eq!(router.send(&["ben", "", "x"]), Ok(Sent::To(vec![1], frames(&["", "x"]))));
        assert_eq!(router.deliver(0, &["", "a"]), Some(frames(&["ann", "", "a"])));
    }

    #[test]
    fn a_peer_without_a_name_gets_one_of_five_bytes() {
        let mut router = Bench::new(Kind::Router);
        router.accept(0, "").unwrap();
        router.accept(1, "").unwrap();
        let first = router.deliver(0, &["a"]).unwrap();
        assert_eq!(&first[0], &[0, 1, 2, 3, 4]);
        let second = router.deliver(1, &["a"]).unwrap();
        assert_eq!(&second[0], &[0, 1, 2, 3, 5]);
        assert_eq!(router.sent_to(&[&second[0][..], b"x"]), [1]);
    }

    #[test]
    fn the_unroutable_is_dropped_or_an_error_when_mandatory() {
        let mut router = router([]);
        assert_eq!(router.send(&["eve", "x"]), Ok(Sent::Drop));
        router.pattern.set(Setting::RouterMandatory(true)).unwrap();
        assert_eq!(router.send(&["eve", "x"]), Err(Misuse::Unroutable));
        router.leave(0);
        assert_eq!(router.send(&["ann", "x"]), Err(Misuse::Unroutable));
    }

    #[test]
    fn for_a_full_peer_it_drops_or_waits_when_mandatory() {
        let mut router = router([]);
        router.room = Full::of([0]);
        assert_eq!(router.send(&["ann", "x"]), Ok(Sent::Drop));
        assert_eq!(router.sent_to(&["ben", "x"]), [1]);
        let mut dropped = Vec::new();
        router.pattern.take_dropped(&mut dropped);
        assert_eq!(dropped, [(Peer(0), 1)]);
        router.pattern.set(Setting::RouterMandatory(true)).unwrap();
        assert_eq!(router.send(&["ann", "x"]), Ok(Sent::Wait));
    }

    #[test]
    fn a_message_without_identity_or_body_is_an_error() {
        let mut router = router([]);
        assert_eq!(router.send(&["ann"]), Err(NO_IDENTITY));
        assert_eq!(router.send::<&str>(&[]), Err(NO_IDENTITY));
        let mut message = Outgoing::from("ann");
        let routed = router.pattern.route(&mut message, &router.room, &mut vec![], &mut vec![]);
        assert_eq!(routed, Err(NO_IDENTITY));
    }

    #[test]
    fn a_second_peer_of_a_name_is_refused() {
        let mut router = router([]);
        assert_eq!(router.accept(2, "ann"), Err(TAKEN));
        router.leave(2);
        assert_eq!(router.sent_to(&["ann", "x"]), [0]);
        // Once the first has hung up the name is free.
        router.hang_up(0);
        router.accept(2, "ann").unwrap();
        assert_eq!(router.deliver(0, &["late"]), Some(frames(&["ann", "late"])));
        router.leave(0);
        assert_eq!(router.sent_to(&["ann", "x"]), [2]);
    }

    #[test]
    fn nobody_chooses_a_name_like_those_that_are_generated() {
        let mut router = Bench::with(Kind::Router, [Setting::RouterHandover(true)]);
        router.accept(0, "").unwrap();
        assert!(router.accept(1, "\0\x01\x02\x03\x04").is_err());
        assert_eq!(router.sent_to(&["\0\x01\x02\x03\x04", "x"]), [0]);
    }

    #[test]
    fn with_handover_the_newcomer_takes_the_name() {
        let mut router = router([Setting::RouterHandover(true)]);
        assert_eq!(router.accept(2, "ann"), Ok(Greeted::Replaces(Peer(0))));
        assert_eq!(router.sent_to(&["ann", "x"]), [2]);
        assert_eq!(router.deliver(0, &["late"]), Some(frames(&["ann", "late"])));
        router.leave(0);
        assert_eq!(router.sent_to(&["ann", "x"]), [2]);
    }

    #[test]
    fn the_name_given_to_a_connection_beats_the_peers_own() {
        let mut router = router([]);
        let named = |name: &str| Attach::Connecting { early: true, identity: Frame::from(name) };
        router.pattern.attach(Peer(2), named("carl")).unwrap();
        assert_eq!(router.sent_to(&["carl", "x"]), [2]);
        router.greet(2, "charles").unwrap();
        assert_eq!(router.send(&["charles", "x"]), Ok(Sent::Drop));
        assert_eq!(router.deliver(2, &["a"]), Some(frames(&["carl", "a"])));
        assert_eq!(router.pattern.attach(Peer(3), named("ann")), Err(TAKEN));
    }

    #[test]
    fn a_peer_that_we_connect_to_keeps_its_name_over_reconnections() {
        let mut router = Bench::new(Kind::Router);
        router.pattern.attach(Peer(0), early()).unwrap();
        router.greet(0, "").unwrap();
        let before = text(&router.deliver(0, &["a"]).unwrap());
        router.hang_up(0);
        assert_eq!(router.sent_to(&[b"\0\x01\x02\x03\x04", &b"x"[..]]), [0]);
        router.greet(0, "").unwrap();
        assert_eq!(text(&router.deliver(0, &["a"]).unwrap()), before);
    }

    #[test]
    fn who_lost_its_name_while_away_must_ask_for_it_anew() {
        let mut router = Bench::with(Kind::Router, [Setting::RouterHandover(true)]);
        router.pattern.attach(Peer(0), early()).unwrap();
        router.greet(0, "ann").unwrap();
        router.hang_up(0);
        assert_eq!(router.accept(1, "ann"), Ok(Greeted::Replaces(Peer(0))));
        assert_eq!(router.greet(0, "ann"), Ok(Greeted::Replaces(Peer(1))));
        assert_eq!(router.sent_to(&["ann", "x"]), [0]);
    }

    #[test]
    fn a_raw_one_tells_of_connections_and_closes_them() {
        let mut router = Bench::with(Kind::Router, [Setting::RouterRaw(true)]);
        let identity = &[0, 1, 2, 3, 4][..];
        router.accept(0, "ignored").unwrap();
        assert_eq!(router.pattern.notice(), Some(frames(&[identity, b""])));
        assert_eq!(router.deliver(0, &["bytes"]), Some(frames(&[identity, b"bytes"])));
        assert_eq!(router.sent_to(&[identity, b"bytes"]), [0]);
        assert_eq!(router.send(&[identity, b""]), Ok(Sent::Drop));
        assert!(matches!(router.said()[..], [(0, Said::Goodbye)]));
        router.leave(0);
        assert_eq!(router.pattern.notice(), Some(frames(&[identity, b""])));
        assert_eq!(router.pattern.notice(), None);
    }

    #[test]
    fn a_probe_tells_the_user_of_a_peer() {
        assert_eq!(router([]).deliver(0, &[""]), Some(frames(&["ann", ""])));
        let mut probing = Bench::with(Kind::Router, [Setting::ProbeRouter(true)]);
        probing.accept(0, "").unwrap();
        assert_eq!(probing.said().len(), 1);
    }
}
