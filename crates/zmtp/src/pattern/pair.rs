//! PAIR (RFC 31) and CHANNEL (RFC 52): two sockets, and nobody else.
//!
//! | clause | where |
//! |---|---|
//! | connected to at most one peer | `attach` |
//! | block on sending when it has no available peer | `route` |
//! | CHANNEL MUST NOT send and MUST discard multipart messages | `check_shape`, `deliver` |

use super::Verdict;
use super::balance::Balance;
use super::{Attach, Delivery, Errand, Greeted, Misuse, Outgoing, Pattern, Peer, PeerInfo, Room};
use crate::kind::Kind;
use crate::message::Message;

pub(crate) struct Pair {
    kind: Kind,
    partner: Option<Peer>,
    /// Of one.
    balance: Balance,
}

impl Pair {
    pub(crate) fn new(kind: Kind) -> Self {
        Pair { kind, partner: None, balance: Balance::default() }
    }
}

impl Pattern for Pair {
    fn kind(&self) -> Kind {
        self.kind
    }

    fn attach(&mut self, peer: Peer, how: Attach) -> Result<(), &'static str> {
        if self.partner.is_some() {
            return Err("this kind of socket has one peer, and it is there");
        }
        self.partner = Some(peer);
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
        if self.partner == Some(peer) {
            self.partner = None;
        }
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
        self.kind == Kind::Pair
    }

    fn deliver(&mut self, _: Peer, message: Message, _: &mut Vec<Errand>) -> Delivery {
        Delivery::of_kind(self.kind, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::exercise::{Bench, Full, Sent, frames};

    #[test]
    fn a_second_peer_is_refused_until_the_first_is_gone() {
        for kind in [Kind::Pair, Kind::Channel] {
            let mut pair = Bench::new(kind);
            pair.accept(0, "").unwrap();
            assert!(pair.accept(1, "").is_err());
            assert_eq!(pair.sent_to(&["a"]), [0]);
            pair.leave(0);
            assert_eq!(pair.send(&["a"]), Ok(Sent::Wait));
            pair.accept(1, "").unwrap();
            assert_eq!(pair.sent_to(&["a"]), [1]);
        }
    }

    #[test]
    fn one_that_we_connect_to_holds_the_place_while_it_is_away() {
        let mut pair = Bench::new(Kind::Pair);
        pair.connect(0);
        assert_eq!(pair.sent_to(&["a"]), [0]);
        pair.greet(0, "").unwrap();
        pair.hang_up(0);
        assert!(pair.accept(1, "").is_err());
        assert_eq!(pair.sent_to(&["a"]), [0]);
        pair.room = Full::of([0]);
        assert_eq!(pair.send(&["a"]), Ok(Sent::Wait));
    }

    #[test]
    fn pair_has_messages_of_many_frames_and_channel_has_not() {
        let mut pair = Bench::new(Kind::Pair);
        pair.accept(0, "").unwrap();
        assert_eq!(pair.sent_to(&["a", "b"]), [0]);
        assert_eq!(pair.deliver(0, &["a", "b"]), Some(frames(&["a", "b"])));

        let mut channel = Bench::new(Kind::Channel);
        channel.accept(0, "").unwrap();
        assert!(matches!(channel.send(&["a", "b"]), Err(Misuse::Shape(_))));
        assert_eq!(channel.deliver(0, &["a", "b"]), None);
        assert_eq!(channel.deliver(0, &["a"]), Some(frames(&["a"])));
    }
}
