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
enum Notice {
    /// Of this peer; of nobody, if it is gone.
    Change {
        from: Option<Peer>,
        message: Message,
    },
    Message {
        from: Option<Peer>,
        message: Message,
    },
}

#[derive(Debug, Default)]
pub(super) struct Notices {
    queue: VecDeque<Notice>,
    /// What the changes in the queue cost.
    changes_cost: usize,
    /// What the messages of each peer in the queue cost.
    messages_cost: Peers<usize>,
}

impl Notices {
    /// A peer wants a topic, or does not want it any more.
    pub(super) fn push_change(&mut self, from: Option<Peer>, topic: &[u8], wanted: bool) {
        let message = Message::from(change_frame(topic, wanted));
        self.changes_cost += cost(&message);
        self.queue.push_back(Notice::Change { from, message });
        while self.changes_cost > UNREAD_NOTICE_BYTES_MAX && self.drop_oldest_change() {}
    }

    fn drop_oldest_change(&mut self) -> bool {
        let is_change = |notice: &Notice| matches!(notice, Notice::Change { .. });
        let oldest = self.queue.iter().position(is_change).and_then(|at| self.queue.remove(at));
        let Some(Notice::Change { message, .. }) = oldest else { return false };
        self.changes_cost -= cost(&message);
        true
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
        let before = self.messages_cost.get(from).copied().unwrap_or(0);
        self.messages_cost.insert(from, before + cost(&message));
        self.queue.push_back(Notice::Message { from: Some(from), message });
        Ok(())
    }

    /// Whether one more message of `peer` can be kept.
    pub(super) fn has_room(&self, peer: Peer) -> bool {
        self.messages_cost.get(peer).is_none_or(|&cost| cost < UNREAD_MESSAGE_BYTES_PER_PEER_MAX)
    }

    /// The next for the user; if it is a change, with who wanted that.
    pub(super) fn pop(&mut self) -> Option<(Option<Option<Peer>>, Message)> {
        match self.queue.pop_front()? {
            Notice::Change { from, message } => {
                self.changes_cost -= cost(&message);
                Some((Some(from), message))
            }
            Notice::Message { from, message } => {
                if let Some(waiting) = from.and_then(|from| self.messages_cost.get_mut(from)) {
                    *waiting -= cost(&message);
                }
                Some((None, message))
            }
        }
    }

    /// A peer is no longer there, and its number may be another's.
    pub(super) fn forget(&mut self, peer: Peer) {
        self.messages_cost.remove(peer);
        for notice in &mut self.queue {
            let (Notice::Change { from, .. } | Notice::Message { from, .. }) = notice;
            *from = from.filter(|&from| from != peer);
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
        assert_eq!(notices.messages_cost.get(Peer(0)), Some(&0));
        assert!(notices.queue.is_empty());
    }
}
