//! RADIO (RFC 48): a message goes to every DISH that joined its group.
//!
//! A message is two frames, on the wire (RFC 37, "The Radio-Dish Pattern") and for the user: the
//! group, then the body.
//!
//! | clause | where |
//! |---|---|
//! | group membership by exact match | `route` |
//! | silently drop the message if a queue is full; not block | `route`: counted for each peer |
//! | receive join and leave, not tell the user | `command` |
//! | discard messages that dishes send | `deliver` |
//! | a group has 0 to 255 bytes, none of them zero | [`check_group`] |
//!
//! With `xpub_nodrop` (libzmq) it waits for all that joined the group instead of dropping.

use super::drops::Drops;
use super::limits::GROUP_BYTES_MAX;
use super::queues::Queues;
use super::trie::Trie;
use super::{Attach, Delivery, Errand, Greeted, Misuse, Outgoing, Pattern, Peer, PeerInfo, Room};
use super::{Body, Setting, Verdict};
use crate::command::Command;
use crate::kind::Kind;
use crate::message::Message;

/// Whether that can be the name of a group.
pub(super) fn check_group(group: &[u8]) -> Result<(), &'static str> {
    if group.len() > GROUP_BYTES_MAX {
        return Err("a group has 255 bytes at most");
    }
    if group.contains(&0) {
        return Err("a group has no zero byte");
    }
    Ok(())
}

pub(crate) struct Radio {
    queues: Queues,
    drops: Drops,
    /// Held exactly, not as prefixes.
    groups: Trie,
    nodrop: bool,
}

impl Radio {
    pub(crate) fn new() -> Self {
        Radio {
            queues: Queues::default(),
            drops: Drops::default(),
            groups: Trie::default(),
            nodrop: false,
        }
    }

    fn join(&mut self, peer: Peer, group: &[u8]) -> Result<(), &'static str> {
        check_group(group)?;
        let joined = self.groups.insert(group, peer);
        joined.map(|_| ()).map_err(|_| "more groups than one peer or one socket may have")
    }
}

impl Pattern for Radio {
    fn kind(&self) -> Kind {
        Kind::Radio
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
        // One that we connect to kept its groups while it was away; it joins them anew.
        self.groups.remove_peer(peer, |_, _| ());
        self.queues.greet(peer);
        Ok(Greeted::Welcome)
    }

    fn hang_up(&mut self, peer: Peer, _: &mut Vec<Errand>) {
        if self.queues.hang_up(peer) {
            self.groups.remove_peer(peer, |_, _| ());
        }
    }

    fn detach(&mut self, peer: Peer, _: &mut Vec<Errand>) {
        self.groups.remove_peer(peer, |_, _| ());
        self.queues.detach(peer);
        self.drops.forget(peer);
    }

    fn route(
        &mut self,
        message: &mut Outgoing<'_>,
        room: &dyn Room,
        to: &mut Vec<Peer>,
        _: &mut Vec<Errand>,
    ) -> Result<Verdict, Misuse> {
        let Body::Message(body) = &message.body else { return Err(NOT_A_PAIR) };
        let [group, _] = body.as_slice() else { return Err(NOT_A_PAIR) };
        check_group(group).map_err(Misuse::Shape)?;
        let members = self.groups.holders(group).iter().copied();
        if self.nodrop && !members.clone().all(|peer| room.has_room(peer)) {
            return Ok(Verdict::Wait);
        }
        for peer in members {
            if room.has_room(peer) {
                to.push(peer);
            } else {
                self.drops.count(peer);
            }
        }
        Ok(if to.is_empty() { Verdict::Drop } else { Verdict::Send })
    }

    fn take_dropped(&mut self, dropped: &mut Vec<(Peer, u64)>) {
        self.drops.take(dropped);
    }

    fn may_recv(&self) -> Result<(), Misuse> {
        Err(Misuse::NotSupported(Kind::Radio, "receive"))
    }

    fn deliver(&mut self, _: Peer, _: Message, _: &mut Vec<Errand>) -> Delivery {
        Delivery::Ignore
    }

    fn command(&mut self, from: Peer, command: Command, _: &mut Vec<Errand>) -> Delivery {
        match command {
            Command::Join(group) => self.join(from, &group).into(),
            Command::Leave(group) => {
                self.groups.remove(&group, from);
                Delivery::Ignore
            }
            _ => Delivery::Ignore,
        }
    }

    fn set(&mut self, setting: Setting) -> Result<(), Misuse> {
        match setting {
            Setting::XpubNodrop(on) => self.nodrop = on,
            _ => return Err(Misuse::NotSupported(Kind::Radio, "have that setting")),
        }
        Ok(())
    }
}

const NOT_A_PAIR: Misuse = Misuse::Shape("a message of a RADIO is a group and one more frame");

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::pattern::exercise::{Bench, Full, Sent, frames};

    fn radio() -> Bench {
        let mut radio = Bench::new(Kind::Radio);
        radio.accept(0, "").unwrap();
        radio.accept(1, "").unwrap();
        radio
    }

    fn says(radio: &mut Bench, peer: u32, command: Command) -> Delivery {
        radio.pattern.command(Peer(peer), command, &mut radio.errands)
    }

    fn join(radio: &mut Bench, peer: u32, group: &'static str) {
        let delivery = says(radio, peer, Command::Join(Bytes::from(group)));
        assert!(matches!(delivery, Delivery::Ignore));
    }

    #[test]
    fn a_message_goes_to_those_that_joined_exactly_its_group() {
        let mut radio = radio();
        join(&mut radio, 0, "news");
        join(&mut radio, 1, "new");
        join(&mut radio, 1, "");
        assert_eq!(radio.send(&["news", "x"]), Ok(Sent::To(vec![0], frames(&["news", "x"]))));
        assert_eq!(radio.sent_to(&["new", "x"]), [1]);
        assert_eq!(radio.sent_to(&["", "x"]), [1]);
        assert_eq!(radio.send(&["n", "x"]), Ok(Sent::Drop));
        says(&mut radio, 0, Command::Leave(Bytes::from("news")));
        assert_eq!(radio.send(&["news", "x"]), Ok(Sent::Drop));
    }

    #[test]
    fn a_member_that_goes_is_no_member() {
        let mut radio = radio();
        join(&mut radio, 0, "news");
        radio.leave(0);
        radio.accept(0, "").unwrap();
        assert_eq!(radio.send(&["news", "x"]), Ok(Sent::Drop));
    }

    #[test]
    fn a_full_member_misses_the_message_or_all_wait_for_it() {
        let mut radio = radio();
        join(&mut radio, 0, "news");
        join(&mut radio, 1, "news");
        radio.room = Full::of([0]);
        assert_eq!(radio.sent_to(&["news", "x"]), [1]);
        let mut dropped = Vec::new();
        radio.pattern.take_dropped(&mut dropped);
        assert_eq!(dropped, [(Peer(0), 1)]);
        radio.pattern.set(Setting::XpubNodrop(true)).unwrap();
        assert_eq!(radio.send(&["news", "x"]), Ok(Sent::Wait));
    }

    #[test]
    fn what_is_no_group_is_an_error_of_the_user_and_closes_a_peer() {
        let mut radio = radio();
        let long = "x".repeat(256);
        assert!(matches!(radio.send(&[&long, "x"]), Err(Misuse::Shape(_))));
        assert!(matches!(radio.send(&["a\0b", "x"]), Err(Misuse::Shape(_))));
        assert_eq!(radio.send(&["group without body"]), Err(NOT_A_PAIR));
        assert_eq!(radio.send(&["group", "a", "b"]), Err(NOT_A_PAIR));
        let close = says(&mut radio, 0, Command::Join(Bytes::from(long)));
        assert!(matches!(close, Delivery::Close(_)));
        join(&mut radio, 0, "news");
    }

    #[test]
    fn it_only_sends() {
        let mut radio = radio();
        assert!(radio.pattern.may_recv().is_err());
        assert_eq!(radio.deliver(0, &["news", "x"]), None);
    }
}
