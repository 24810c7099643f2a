//! PUSH (RFC 30) and SCATTER (RFC 49): messages go round the peers, and none comes back.
//!
//! | clause | where |
//! |---|---|
//! | SHALL only send | `may_recv`, `deliver` |
//! | route outgoing messages to available peers round robin; block when there is none | `route` |
//! | SCATTER MUST NOT send multi-part messages | `check_shape` |

use super::Verdict;
use super::balance::Balance;
use super::{Attach, Delivery, Errand, Greeted, Misuse, Outgoing, Pattern, Peer, PeerInfo, Room};
use crate::kind::Kind;
use crate::message::Message;

pub(crate) struct Push {
    kind: Kind,
    balance: Balance,
}

impl Push {
    pub(crate) fn new(kind: Kind) -> Self {
        Push { kind, balance: Balance::default() }
    }
}

impl Pattern for Push {
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
        _: &mut Vec<Errand>,
    ) -> Result<Greeted, &'static str> {
        self.balance.greet(peer);
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
        Err(Misuse::NotSupported(self.kind, "receive"))
    }

    fn deliver(&mut self, _: Peer, _: Message, _: &mut Vec<Errand>) -> Delivery {
        Delivery::Ignore
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::exercise::{Bench, Full, Sent, frames};

    #[test]
    fn messages_go_round_the_available_peers_as_they_are() {
        let mut push = Bench::new(Kind::Push);
        push.accept(0, "").unwrap();
        push.accept(1, "").unwrap();
        let turns: Vec<_> = (0..4).map(|_| push.send(&["a", "b"]).unwrap()).collect();
        for (at, turn) in turns.iter().enumerate() {
            assert_eq!(*turn, Sent::To(vec![at as u32 % 2], frames(&["a", "b"])));
        }
    }

    #[test]
    fn without_an_available_peer_the_sender_waits() {
        let mut push = Bench::new(Kind::Push);
        assert_eq!(push.send(&["a"]), Ok(Sent::Wait));
        push.connect(0);
        assert_eq!(push.sent_to(&["a"]), [0]);
        push.room = Full::of([0]);
        assert_eq!(push.send(&["a"]), Ok(Sent::Wait));
    }

    #[test]
    fn it_only_sends() {
        let mut push = Bench::new(Kind::Push);
        push.accept(0, "").unwrap();
        assert_eq!(push.pattern.may_recv(), Err(Misuse::NotSupported(Kind::Push, "receive")));
        assert_eq!(push.deliver(0, &["a"]), None);
    }

    #[test]
    fn a_message_has_frames_and_that_of_scatter_has_one() {
        let mut scatter = Bench::new(Kind::Scatter);
        scatter.accept(0, "").unwrap();
        assert!(matches!(scatter.send(&["a", "b"]), Err(Misuse::Shape(_))));
        assert!(matches!(scatter.send::<&str>(&[]), Err(Misuse::Shape(_))));
        assert_eq!(scatter.sent_to(&["a"]), [0]);
    }
}
