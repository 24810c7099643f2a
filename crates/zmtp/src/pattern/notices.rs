//! What an XPUB has for its user: subscriptions that came and went, and messages of XSUB peers.
//!
//! An XPUB is read whether its user receives or not, or else nobody could subscribe. So what the
//! user does not take has to wait, within limits: the oldest subscriptions are forgotten, and a
//! peer that sends messages is read no further.

use std::collections::VecDeque;

use super::Peer;
use super::limits::{UNREAD_COST, UNREAD_MESSAGE_BYTES_PER_PEER_MAX, UNREAD_NOTICE_BYTES_MAX};
use super::peers::Peers;
use super::xpub::change_frame;
use crate::message::Message;

#[derive(Debug)]
struct Notice {
    kind: What,
    /// Whose it is; nobody's, if that peer is gone.
    from: Option<Peer>,
    message: Message,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// A subscription, or the end of one.
    Change,
    Message,
}

/// What the queue has of one peer.
#[derive(Debug, Default)]
struct Unread {
    notices: usize,
    /// What its messages cost.
    messages_cost: usize,
}

#[derive(Debug, Default)]
pub(super) struct Notices {
    queue: VecDeque<Notice>,
    /// What the changes in the queue cost.
    changes_cost: usize,
    unread: Peers<Unread>,
}

impl Notices {
    /// A peer wants a topic, or does not want it any more.
    pub(super) fn push_change(&mut self, from: Option<Peer>, topic: &[u8], wanted: bool) {
        let message = Message::from(change_frame(topic, wanted));
        self.changes_cost += cost(&message);
        self.push(Notice { kind: What::Change, from, message });
        while self.changes_cost > UNREAD_NOTICE_BYTES_MAX && self.drop_oldest_change() {}
    }

    /// A message came. It fails if the peer was read although [`Notices::has_room`] denied it.
    pub(super) fn push_message(
        &mut self,
        from: Peer,
        message: Message,
    ) -> Result<(), &'static str> {
        if !self.has_room(from) {
            return Err("more messages than its peer has received");
        }
        self.push(Notice { kind: What::Message, from: Some(from), message });
        Ok(())
    }

    /// Whether one more message of `peer` can be kept.
    pub(super) fn has_room(&self, peer: Peer) -> bool {
        let unread = self.unread.get(peer);
        unread.is_none_or(|unread| unread.messages_cost < UNREAD_MESSAGE_BYTES_PER_PEER_MAX)
    }

    /// The next for the user; if it is a change, with who wanted that.
    pub(super) fn pop(&mut self) -> Option<(Option<Option<Peer>>, Message)> {
        let notice = self.queue.pop_front()?;
        self.taken_off(&notice);
        Some(((notice.kind == What::Change).then_some(notice.from), notice.message))
    }

    /// A peer is no longer there, and its number may be another's.
    pub(super) fn forget(&mut self, peer: Peer) {
        let Some(Unread { notices: 1.., .. }) = self.unread.remove(peer) else { return };
        for notice in &mut self.queue {
            notice.from = notice.from.filter(|&from| from != peer);
        }
    }

    fn push(&mut self, notice: Notice) {
        if let Some(from) = notice.from {
            let unread = self.unread.get_or_default(from);
            unread.notices += 1;
            if notice.kind == What::Message {
                unread.messages_cost += cost(&notice.message);
            }
        }
        self.queue.push_back(notice);
    }

    fn drop_oldest_change(&mut self) -> bool {
        let oldest = self.queue.iter().position(|notice| notice.kind == What::Change);
        let Some(notice) = oldest.and_then(|at| self.queue.remove(at)) else { return false };
        self.taken_off(&notice);
        true
    }

    /// A notice is in the queue no longer.
    fn taken_off(&mut self, notice: &Notice) {
        let cost = cost(&notice.message);
        if notice.kind == What::Change {
            self.changes_cost -= cost;
        }
        if let Some(unread) = notice.from.and_then(|from| self.unread.get_mut(from)) {
            unread.notices -= 1;
            if notice.kind == What::Message {
                unread.messages_cost -= cost;
            }
        }
    }
}

fn cost(message: &Message) -> usize {
    message.byte_len() + UNREAD_COST
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(notices: &mut Notices) -> Option<Peer> {
        notices.pop().unwrap().0.unwrap()
    }

    #[test]
    fn who_does_not_look_forgets_the_oldest() {
        let mut notices = Notices::default();
        notices.push_message(Peer(0), Message::from("kept")).unwrap();
        let topic = vec![b'x'; 1 << 20];
        for peer in 0..100 {
            notices.push_change(Some(Peer(peer)), &topic, true);
        }
        assert!(notices.changes_cost <= UNREAD_NOTICE_BYTES_MAX);
        assert_eq!(notices.pop().unwrap(), (None, Message::from("kept")));
        assert!((36..50).contains(&change(&mut notices).unwrap().0));
        while notices.pop().is_some() {}
        assert_eq!(notices.changes_cost, 0);
    }

    #[test]
    fn a_peer_that_sends_too_much_is_read_no_further() {
        let mut notices = Notices::default();
        let message = Message::from(vec![b'x'; UNREAD_MESSAGE_BYTES_PER_PEER_MAX]);
        notices.push_message(Peer(0), message.clone()).unwrap();
        assert!(!notices.has_room(Peer(0)));
        assert!(notices.push_message(Peer(0), message).is_err());
        notices.push_message(Peer(1), Message::from("other")).unwrap();
        notices.pop();
        assert!(notices.has_room(Peer(0)));
    }

    #[test]
    fn a_number_that_is_used_again_is_not_taken_for_who_had_it() {
        let mut notices = Notices::default();
        notices.push_change(Some(Peer(0)), b"a", true);
        notices.push_message(Peer(0), Message::from("m")).unwrap();
        notices.forget(Peer(0));
        notices.push_message(Peer(0), Message::from("n")).unwrap();
        assert_eq!(change(&mut notices), None);
        notices.pop();
        notices.pop();
        let unread = notices.unread.get(Peer(0)).unwrap();
        assert_eq!((unread.notices, unread.messages_cost), (0, 0));
        assert!(notices.queue.is_empty());
    }
}
