//! PULL (RFC 30) and GATHER (RFC 49): messages come from any peer, and none is sent.
//!
//! | clause | where |
//! |---|---|
//! | SHALL only receive | `route` |
//! | deliver incoming messages, in a fair order | the order is that of who drives it |
//! | GATHER MUST discard any part of a multipart message | `deliver` |

use super::Verdict;
use super::{Attach, Delivery, Errand, Greeted, Misuse, Outgoing, Pattern, Peer, PeerInfo, Room};
use crate::kind::Kind;
use crate::message::Message;

pub(crate) struct Pull {
    kind: Kind,
}

impl Pull {
    pub(crate) fn new(kind: Kind) -> Self {
        Pull { kind }
    }
}

impl Pattern for Pull {
    fn kind(&self) -> Kind {
        self.kind
    }

    fn attach(&mut self, _: Peer, _: Attach) -> Result<(), &'static str> {
        Ok(())
    }

    fn greet(
        &mut self,
        _: Peer,
        _: &PeerInfo,
        _: &mut Vec<Errand>,
    ) -> Result<Greeted, &'static str> {
        Ok(Greeted::Welcome)
    }

    fn hang_up(&mut self, _: Peer, _: &mut Vec<Errand>) {}

    fn detach(&mut self, _: Peer, _: &mut Vec<Errand>) {}

    fn route(
        &mut self,
        _: &mut Outgoing<'_>,
        _: &dyn Room,
        _: &mut Vec<Peer>,
        _: &mut Vec<Errand>,
    ) -> Result<Verdict, Misuse> {
        Err(Misuse::NotSupported(self.kind, "send"))
    }

    fn may_recv(&self) -> Result<(), Misuse> {
        Ok(())
    }

    fn delivers_unchanged(&self) -> bool {
        self.kind == Kind::Pull
    }

    fn deliver(&mut self, _: Peer, message: Message, _: &mut Vec<Errand>) -> Delivery {
        Delivery::of_kind(self.kind, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::exercise::{Bench, frames};

    #[test]
    fn messages_arrive_as_they_are() {
        let mut pull = Bench::new(Kind::Pull);
        pull.accept(0, "").unwrap();
        assert_eq!(pull.deliver(0, &["a", "", "b"]), Some(frames(&["a", "", "b"])));
        assert!(pull.pattern.delivers_unchanged());
    }

    #[test]
    fn it_only_receives() {
        let mut pull = Bench::new(Kind::Pull);
        pull.accept(0, "").unwrap();
        assert_eq!(pull.send(&["a"]), Err(Misuse::NotSupported(Kind::Pull, "send")));
    }

    #[test]
    fn gather_discards_what_has_more_than_one_frame() {
        let mut gather = Bench::new(Kind::Gather);
        gather.accept(0, "").unwrap();
        assert_eq!(gather.deliver(0, &["a", "b"]), None);
        assert_eq!(gather.deliver(0, &["a"]), Some(frames(&["a"])));
        assert!(!gather.pattern.delivers_unchanged());
    }
}
