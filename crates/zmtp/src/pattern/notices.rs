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
    /// Notices are numbered in the order in which they came.
    number: u64,
    /// Whose it is; nobody's, if it is nobody's now.
    from: Option<Peer>,
    message: Message,
}

/// What is kept of one peer.
#[derive(Debug)]
struct Unread {
    /// Its first notice. One of a lower number is of a peer that had its number before.
    since: u64,
    /// What its messages cost.
    messages_cost: usize,
}

/// Changes and messages lie apart, so that the oldest change is found at once however many messages
/// are before it; their numbers say what comes first.
#[derive(Debug, Default)]
pub(super) struct Notices {
    /// Subscriptions, and the ends of some.
    changes: VecDeque<Notice>,
    messages: VecDeque<Notice>,
    /// What the changes in the queue cost.
    changes_cost: usize,
    unread: Peers<Unread>,
    next: u64,
}

impl Notices {
    /// A peer wants a topic, or does not want it any more.
    pub(super) fn push_change(&mut self, from: Option<Peer>, topic: &[u8], wanted: bool) {
        let message = Message::from(change_frame(topic, wanted));
        self.changes_cost += cost(&message);
        let notice = self.notice(from, message);
        self.changes.push_back(notice);
        while self.changes_cost > UNREAD_NOTICE_BYTES_MAX && self.take_change().is_some() {}
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
        let cost = cost(&message);
        let notice = self.notice(Some(from), message);
        if let Some(unread) = self.unread.get_mut(from) {
            unread.messages_cost += cost;
        }
        self.messages.push_back(notice);
        Ok(())
    }

    /// Whether one more message of `peer` can be kept.
    pub(super) fn has_room(&self, peer: Peer) -> bool {
        let unread = self.unread.get(peer);
        unread.is_none_or(|unread| unread.messages_cost < UNREAD_MESSAGE_BYTES_PER_PEER_MAX)
    }

    /// The next for the user; if it is a change, with who wanted that.
    pub(super) fn pop(&mut self) -> Option<(Option<Option<Peer>>, Message)> {
        let number = |notice: Option<&Notice>| notice.map_or(u64::MAX, |notice| notice.number);
        if number(self.changes.front()) < number(self.messages.front()) {
            let change = self.take_change()?;
            let from = change.from.filter(|&from| self.is_of(&change, from));
            return Some((Some(from), change.message));
        }
        let notice = self.messages.pop_front()?;
        if let Some(from) = notice.from.filter(|&from| self.is_of(&notice, from))
            && let Some(unread) = self.unread.get_mut(from)
        {
            unread.messages_cost -= cost(&notice.message);
        }
        Some((None, notice.message))
    }

    /// A peer is no longer there, and its number may be another's.
    pub(super) fn forget(&mut self, peer: Peer) {
        self.unread.remove(peer);
    }

    /// The newest notice.
    fn notice(&mut self, from: Option<Peer>, message: Message) -> Notice {
        let number = self.next;
        self.next += 1;
        if let Some(from) = from
            && self.unread.get(from).is_none()
        {
            self.unread.insert(from, Unread { since: number, messages_cost: 0 });
        }
        Notice { number, from, message }
    }

    /// Whether a notice is of who has this number now.
    fn is_of(&self, notice: &Notice, peer: Peer) -> bool {
        self.unread.get(peer).is_some_and(|unread| unread.since <= notice.number)
    }

    /// Takes the oldest change.
    fn take_change(&mut self) -> Option<Notice> {
        let change = self.changes.pop_front()?;
        self.changes_cost -= cost(&change.message);
        Some(change)
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
        assert_eq!(notices.unread.get(Peer(0)).unwrap().messages_cost, cost(&Message::from("n")));
        notices.pop();
        assert_eq!(notices.unread.get(Peer(0)).unwrap().messages_cost, 0);
        assert!(notices.pop().is_none());
    }

    #[test]
    fn the_oldest_change_goes_though_many_messages_are_before_it() {
        let mut notices = Notices::default();
        // To look through them for each change that is dropped would take this test an hour.
        for peer in 0..200_000 {
            notices.push_message(Peer(peer), Message::from("m")).unwrap();
        }
        let changes = UNREAD_NOTICE_BYTES_MAX / UNREAD_COST;
        for n in 0..2 * changes {
            notices.push_change(Some(Peer(0)), &n.to_be_bytes(), true);
        }
        assert!((0..200_000).all(|_| notices.pop().is_some_and(|(change, _)| change.is_none())));
        assert!(notices.pop().is_some_and(|(change, _)| change == Some(Some(Peer(0)))));
    }
}
