//! DISH (RFC 48): gets the messages of the groups that it joined.
//!
//! A message is two frames, on the wire (RFC 37, "The Radio-Dish Pattern") and for the user: the
//! group, then the body.
//!
//! | clause | where |
//! |---|---|
//! | send join and leave to radios | `subscribe`, `unsubscribe`, and `greet` for a newcomer |
//! | filter by exact match | `deliver` |
//! | a group has 0 to 255 bytes, none of them zero | `check_group` of `radio` |
//!
//! As in libzmq a group is joined once, and the connection of a radio that sends anything but a
//! group and a body is closed.

use std::collections::HashSet;

use bytes::Bytes;

use super::limits::GROUP_BYTES_MAX;
use super::peers::Peers;
use super::radio::check_group;
use super::{Attach, Delivery, Errand, Greeted, Misuse, Outgoing, Pattern, Peer, PeerInfo, Room};
use super::{Said, Verdict};
use crate::command::Command;
use crate::kind::Kind;
use crate::message::Message;

pub(crate) struct Dish {
    groups: HashSet<Bytes>,
    /// Those that are connected.
    radios: Peers<()>,
}

impl Dish {
    pub(crate) fn new() -> Self {
        Dish { groups: HashSet::new(), radios: Peers::default() }
    }

    fn tell(&self, command: &Command, errands: &mut Vec<Errand>) {
        let radios = self.radios.iter();
        errands.extend(
            radios.map(|(to, ())| Errand { to, what: Said::Command(Command::clone(command)) }),
        );
    }
}

impl Pattern for Dish {
    fn kind(&self) -> Kind {
        Kind::Dish
    }

    fn attach(&mut self, _: Peer, _: Attach) -> Result<(), &'static str> {
        Ok(())
    }

    fn greet(
        &mut self,
        peer: Peer,
        _: &PeerInfo,
        errands: &mut Vec<Errand>,
    ) -> Result<Greeted, &'static str> {
        self.radios.insert(peer, ());
        let joins = self.groups.iter().map(|group| Said::Command(Command::Join(group.clone())));
        errands.extend(joins.map(|what| Errand { to: peer, what }));
        Ok(Greeted::Welcome)
    }

    fn hang_up(&mut self, peer: Peer, _: &mut Vec<Errand>) {
        self.radios.remove(peer);
    }

    fn detach(&mut self, peer: Peer, _: &mut Vec<Errand>) {
        self.radios.remove(peer);
    }

    fn route(
        &mut self,
        _: &mut Outgoing<'_>,
        _: &dyn Room,
        _: &mut Vec<Peer>,
        _: &mut Vec<Errand>,
    ) -> Result<Verdict, Misuse> {
        Err(Misuse::NotSupported(Kind::Dish, "send"))
    }

    fn may_recv(&self) -> Result<(), Misuse> {
        Ok(())
    }

    fn deliver(&mut self, _: Peer, message: Message, _: &mut Vec<Errand>) -> Delivery {
        let [group, _] = message.as_slice() else {
            return Delivery::Close("a message of a RADIO is a group and one more frame");
        };
        if group.len() > GROUP_BYTES_MAX {
            return Delivery::Close("a group has 255 bytes at most");
        }
        if !self.groups.contains(group.as_slice()) {
            return Delivery::Ignore;
        }
        Delivery::Take(message)
    }

    fn subscribe(&mut self, group: &[u8], errands: &mut Vec<Errand>) -> Result<(), Misuse> {
        check_group(group).map_err(Misuse::Shape)?;
        let group = Bytes::copy_from_slice(group);
        if !self.groups.insert(group.clone()) {
            return Err(Misuse::Shape("this group is joined already"));
        }
        self.tell(&Command::Join(group), errands);
        Ok(())
    }

    fn unsubscribe(&mut self, group: &[u8], errands: &mut Vec<Errand>) -> Result<(), Misuse> {
        let group = self.groups.take(group);
        let group = group.ok_or(Misuse::Shape("this group was not joined"))?;
        self.tell(&Command::Leave(group), errands);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::exercise::{Bench, frames};

    fn dish() -> Bench {
        let mut dish = Bench::new(Kind::Dish);
        dish.accept(0, "").unwrap();
        dish
    }

    fn join(dish: &mut Bench, group: &str) -> Result<(), Misuse> {
        dish.pattern.subscribe(group.as_bytes(), &mut dish.errands)
    }

    fn leave(dish: &mut Bench, group: &str) -> Result<(), Misuse> {
        dish.pattern.unsubscribe(group.as_bytes(), &mut dish.errands)
    }

    #[test]
    fn it_gets_exactly_the_groups_that_it_joined() {
        let mut dish = dish();
        assert_eq!(dish.deliver(0, &["news", "x"]), None);
        join(&mut dish, "news").unwrap();
        assert_eq!(dish.deliver(0, &["news", "x"]), Some(frames(&["news", "x"])));
        assert_eq!(dish.deliver(0, &["newspaper", "x"]), None);
        leave(&mut dish, "news").unwrap();
        assert_eq!(dish.deliver(0, &["news", "x"]), None);
        assert!(dish.send(&["news", "x"]).is_err());
    }

    #[test]
    fn radios_hear_of_its_groups_now_and_at_each_meeting() {
        let mut dish = dish();
        join(&mut dish, "news").unwrap();
        let news = Bytes::from("news");
        let said = dish.said();
        assert!(matches!(&said[..], [(0, Said::Command(Command::Join(it)))] if *it == news));
        dish.accept(1, "").unwrap();
        let said = dish.said();
        assert!(matches!(&said[..], [(1, Said::Command(Command::Join(it)))] if *it == news));
        dish.hang_up(0);
        leave(&mut dish, "news").unwrap();
        let said = dish.said();
        assert!(matches!(&said[..], [(1, Said::Command(Command::Leave(it)))] if *it == news));
        dish.greet(0, "").unwrap();
        assert!(dish.said().is_empty());
    }

    #[test]
    fn a_group_is_joined_once_and_left_once() {
        let mut dish = dish();
        join(&mut dish, "news").unwrap();
        assert!(matches!(join(&mut dish, "news"), Err(Misuse::Shape(_))));
        leave(&mut dish, "news").unwrap();
        assert!(matches!(leave(&mut dish, "news"), Err(Misuse::Shape(_))));
        assert!(matches!(join(&mut dish, "a\0"), Err(Misuse::Shape(_))));
        assert!(matches!(join(&mut dish, &"x".repeat(256)), Err(Misuse::Shape(_))));
        join(&mut dish, &"x".repeat(255)).unwrap();
    }

    #[test]
    fn a_radio_that_sends_anything_else_is_closed() {
        let mut dish = dish();
        assert!(dish.closes(0, &["x"]));
        assert!(dish.closes(0, &["news", "x", "y"]));
        assert!(dish.closes(0, &[&"x".repeat(256), "y"]));
    }
}
