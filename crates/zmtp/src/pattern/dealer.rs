//! DEALER (RFC 28) and CLIENT (RFC 41): messages go round the peers, and come from any.
//!
//! | clause | where |
//! |---|---|
//! | route outgoing messages to available peers round robin; block when there is none | `route` |
//! | deliver incoming messages, in a fair order | the order is that of who drives it |
//! | CLIENT MUST NOT send and MUST discard multipart messages | `check_shape`, `deliver` |
//!
//! With `probe_router` (libzmq) it says an empty message to each peer when it meets it, so that a
//! ROUTER learns of it before it speaks.

use super::balance::Balance;
use super::{Attach, Delivery, Errand, Greeted, Misuse, Outgoing, Pattern, Peer, PeerInfo, Room};
use super::{Setting, Verdict};
use crate::kind::Kind;
use crate::message::Message;

pub(crate) struct Dealer {
    kind: Kind,
    balance: Balance,
    probe: bool,
}

impl Dealer {
    pub(crate) fn new(kind: Kind) -> Self {
        Dealer { kind, balance: Balance::default(), probe: false }
    }
}

impl Pattern for Dealer {
    fn kind(&self) -> Kind {
        self.kind
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

    fn detach(&mut self, peer: Peer, _: &mut Vec<Errand>) {
        self.balance.detach(peer);
    }

    fn route(
        &mut self,
        message: &mut Outgoing<'_>,
        room: &dyn Room,
        to: &mut Vec<Peer>,
        _: &mut Vec<Errand>,
    ) -> Result<Verdict, Misuse> {
        message.check_shape(self.kind)?;
        Ok(self.balance.route(room, to))
    }

    fn may_recv(&self) -> Result<(), Misuse> {
        Ok(())
    }

    fn delivers_unchanged(&self) -> bool {
        self.kind == Kind::Dealer
    }

    fn deliver(&mut self, _: Peer, message: Message, _: &mut Vec<Errand>) -> Delivery {
        Delivery::of_kind(self.kind, message)
    }

    fn set(&mut self, setting: Setting) -> Result<(), Misuse> {
        match (self.kind, setting) {
            (Kind::Dealer, Setting::ProbeRouter(on)) => self.probe = on,
            (kind, _) => return Err(Misuse::NotSupported(kind, "have that setting")),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::Said;
    use crate::pattern::exercise::{Bench, Full, Sent, frames};

    #[test]
    fn messages_go_round_and_come_from_any() {
        let mut dealer = Bench::new(Kind::Dealer);
        dealer.accept(0, "").unwrap();
        dealer.accept(1, "").unwrap();
        assert_eq!(dealer.send(&["", "a"]), Ok(Sent::To(vec![0], frames(&["", "a"]))));
        assert_eq!(dealer.sent_to(&["", "b"]), [1]);
        assert_eq!(dealer.deliver(1, &["", "c"]), Some(frames(&["", "c"])));
        dealer.room = Full::of([0, 1]);
        assert_eq!(dealer.send(&["d"]), Ok(Sent::Wait));
    }

    #[test]
    fn a_probe_is_said_at_each_meeting() {
        let mut dealer = Bench::with(Kind::Dealer, [Setting::ProbeRouter(true)]);
        dealer.connect(0);
        assert!(dealer.said().is_empty());
        for _ in 0..2 {
            dealer.greet(0, "").unwrap();
            let said = dealer.said();
            assert!(matches!(&said[..], [(0, Said::Message(probe))] if *probe == frames(&[""])));
            dealer.hang_up(0);
        }
    }

    #[test]
    fn client_has_messages_of_one_frame() {
        let mut client = Bench::new(Kind::Client);
        client.accept(0, "").unwrap();
        assert!(matches!(client.send(&["a", "b"]), Err(Misuse::Shape(_))));
        assert_eq!(client.sent_to(&["a"]), [0]);
        assert_eq!(client.deliver(0, &["a", "b"]), None);
        assert_eq!(client.deliver(0, &["a"]), Some(frames(&["a"])));
        assert!(client.pattern.set(Setting::ProbeRouter(true)).is_err());
    }
}
