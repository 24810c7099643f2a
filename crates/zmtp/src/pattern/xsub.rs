//! SUB and XSUB (RFC 29): says what it wants to every peer, and gets that from any.
//!
//! | clause | where |
//! |---|---|
//! | send subscribe and unsubscribe requests to publishers | `subscribe`, `route` of XSUB |
//! | filter messages by a prefix match: SUB, also what a publisher sent unasked | `deliver` |
//! | XSUB sends its messages to all publishers, drops for the full, never blocks | `route` |
//!
//! A peer hears of all subscriptions each time a connection to it is up, so that they outlive
//! reconnections and come in any order with `connect`.
//!
//! The user's subscriptions are counted here, not by the peers: two of a topic take two
//! cancellations. As libzmq we tell every subscription, since a verbose XPUB wants to see them, and
//! one CANCEL when the last was taken back: to libzmq's XPUB that ends all of them, and one too
//! many would be told to its user as if the topic of others had ended. `xpub` says what RFC 37 has
//! instead. With `xsub_verbose_unsubscribe` an XSUB tells every cancellation.

use std::collections::HashMap;

use bytes::Bytes;

use super::drops::Drops;
use super::peers::Peers;
use super::queues::Queues;
use super::trie::{Inserted, Removed, Trie};
use super::xpub::change;
use super::{Attach, Delivery, Errand, Greeted, Misuse, Outgoing, Pattern, Peer, PeerInfo, Room};
use super::{Body, Setting, Verdict};
use crate::kind::Kind;
use crate::message::{Frame, Message};

/// Who holds the topics in the trie: this socket.
const US: Peer = Peer(0);

pub(crate) struct Xsub {
    kind: Kind,
    queues: Queues,
    drops: Drops,
    topics: Trie,
    /// Of topics that the user subscribed to more than once: how many times more.
    again: HashMap<Box<[u8]>, u32>,
    /// Of peers that are connected: whether they are told by command.
    by_command: Peers<bool>,
    invert: bool,
    only_first: bool,
    verbose_unsubscribe: bool,
}

impl Xsub {
    pub(crate) fn new(kind: Kind) -> Self {
        Xsub {
            kind,
            queues: Queues::default(),
            drops: Drops::default(),
            topics: Trie::default(),
            again: HashMap::new(),
            by_command: Peers::default(),
            invert: false,
            only_first: false,
            verbose_unsubscribe: false,
        }
    }

    /// Tells every peer that is connected.
    fn tell(&self, topic: &Bytes, wanted: bool, errands: &mut Vec<Errand>) {
        let peers = self.by_command.iter();
        errands.extend(peers.map(|(peer, &by_command)| change(peer, topic, wanted, by_command)));
    }

    /// Counts a subscription. The peers are to hear of it.
    fn add(&mut self, topic: &[u8]) -> Result<(), Misuse> {
        const TOO_MUCH: Misuse = Misuse::Shape("more subscriptions than are allowed");
        if self.topics.insert(topic, US).map_err(|_| TOO_MUCH)? == Inserted::Again {
            let again = self.again.entry(topic.into()).or_default();
            *again = again.checked_add(1).ok_or(TOO_MUCH)?;
        }
        Ok(())
    }

    /// Takes a subscription off the count; says whether the peers are to hear of it.
    fn take_back(&mut self, topic: &[u8]) -> Result<bool, Misuse> {
        if let Some(again) = self.again.get_mut(topic) {
            *again -= 1;
            if *again == 0 {
                self.again.remove(topic);
            }
            return Ok(self.verbose_unsubscribe);
        }
        match self.topics.remove(topic, US) {
            Removed::Nothing if !self.verbose_unsubscribe => {
                Err(Misuse::Shape("there is no such subscription"))
            }
            _ => Ok(true),
        }
    }

    /// A frame that the user of an XSUB sends, if it is a subscription: whether it wants the topic.
    fn as_change(frame: &[u8]) -> Option<(bool, &[u8])> {
        match frame {
            [1, topic @ ..] => Some((true, topic)),
            [0, topic @ ..] => Some((false, topic)),
            _ => None,
        }
    }

    /// Of a message with several frames every one may be a subscription, or with
    /// `only_first_subscribe` only the first; then the others are if the first was. The message
    /// goes to the peers as it is, and they see the same.
    fn note_changes(&mut self, frames: &[Frame]) -> Result<(), Misuse> {
        let mut look = true;
        for (at, frame) in frames.iter().enumerate() {
            let change = Xsub::as_change(frame).filter(|_| look);
            if at == 0 {
                look = !self.only_first || change.is_some();
            }
            match change {
                Some((true, topic)) => self.add(topic)?,
                // One that there is not is not worth an error here.
                Some((false, topic)) => drop(self.take_back(topic)),
                None => {}
            }
        }
        Ok(())
    }

    /// Adds every peer that has a queue with room to `to`.
    fn choose(&mut self, room: &dyn Room, to: &mut Vec<Peer>) -> Verdict {
        for peer in self.queues.iter() {
            if room.has_room(peer) {
                to.push(peer);
            } else {
                self.drops.count(peer);
            }
        }
        if to.is_empty() { Verdict::Drop } else { Verdict::Send }
    }
}

impl Pattern for Xsub {
    fn kind(&self) -> Kind {
        self.kind
    }

    fn attach(&mut self, peer: Peer, how: Attach) -> Result<(), &'static str> {
        self.queues.attach(peer, &how);
        Ok(())
    }

    fn greet(
        &mut self,
        peer: Peer,
        info: &PeerInfo,
        errands: &mut Vec<Errand>,
    ) -> Result<Greeted, &'static str> {
        self.queues.greet(peer);
        let by_command = info.subscribes_by_command;
        self.by_command.insert(peer, by_command);
        self.topics.for_each(|topic| {
            errands.push(change(peer, &Bytes::copy_from_slice(topic), true, by_command));
        });
        Ok(Greeted::Welcome)
    }

    fn hang_up(&mut self, peer: Peer, _: &mut Vec<Errand>) {
        self.queues.hang_up(peer);
        self.by_command.remove(peer);
    }

    fn detach(&mut self, peer: Peer, _: &mut Vec<Errand>) {
        self.queues.detach(peer);
        self.by_command.remove(peer);
        self.drops.forget(peer);
    }

    fn route(
        &mut self,
        message: &mut Outgoing<'_>,
        room: &dyn Room,
        to: &mut Vec<Peer>,
        errands: &mut Vec<Errand>,
    ) -> Result<Verdict, Misuse> {
        if self.kind == Kind::Sub {
            return Err(Misuse::NotSupported(Kind::Sub, "send"));
        }
        message.check_shape(Kind::Xsub)?;
        match (&message.body, message.first().and_then(Xsub::as_change)) {
            (Body::Message(body), _) if body.len() > 1 => self.note_changes(body.as_slice())?,
            (_, Some((true, topic))) => {
                self.subscribe(topic, errands)?;
                return Ok(Verdict::Drop);
            }
            (_, Some((false, topic))) => {
                // As libzmq, which says nothing of a cancellation too many.
                drop(self.unsubscribe(topic, errands));
                return Ok(Verdict::Drop);
            }
            _ => {}
        }
        Ok(self.choose(room, to))
    }

    fn take_dropped(&mut self, dropped: &mut Vec<(Peer, u64)>) {
        self.drops.take(dropped);
    }

    fn may_recv(&self) -> Result<(), Misuse> {
        Ok(())
    }

    fn delivers_unchanged(&self) -> bool {
        self.kind == Kind::Xsub
    }

    fn delivers_wanted(&self) -> bool {
        self.kind == Kind::Sub
    }

    fn wants(&self, first: &[u8]) -> bool {
        self.kind == Kind::Xsub || self.topics.has_prefix_of(first) != self.invert
    }

    fn topics_count(&self) -> usize {
        self.topics.len()
    }

    fn deliver(&mut self, _: Peer, message: Message, _: &mut Vec<Errand>) -> Delivery {
        match self.wants(message.first().map_or(&[], Frame::as_slice)) {
            true => Delivery::Take(message),
            false => Delivery::Ignore,
        }
    }

    fn subscribe(&mut self, topic: &[u8], errands: &mut Vec<Errand>) -> Result<(), Misuse> {
        self.add(topic)?;
        self.tell(&Bytes::copy_from_slice(topic), true, errands);
        Ok(())
    }

    fn unsubscribe(&mut self, topic: &[u8], errands: &mut Vec<Errand>) -> Result<(), Misuse> {
        if self.take_back(topic)? {
            self.tell(&Bytes::copy_from_slice(topic), false, errands);
        }
        Ok(())
    }

    fn set(&mut self, setting: Setting) -> Result<(), Misuse> {
        match (self.kind, setting) {
            (Kind::Sub, Setting::InvertMatching(on)) => self.invert = on,
            (Kind::Xsub, Setting::OnlyFirstSubscribe(on)) => self.only_first = on,
            (Kind::Xsub, Setting::XsubVerboseUnsubscribe(on)) => self.verbose_unsubscribe = on,
            (kind, _) => return Err(Misuse::NotSupported(kind, "have that setting")),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Command;
    use crate::pattern::exercise::{Bench, Full, Sent, frames};
    use crate::pattern::{PeerInfo, Said};

    fn bench(kind: Kind) -> Bench {
        let mut bench = Bench::new(kind);
        bench.accept(0, "").unwrap();
        bench
    }

    impl Bench {
        fn subscribe(&mut self, topic: &str) {
            self.pattern.subscribe(topic.as_bytes(), &mut self.errands).unwrap();
        }

        fn unsubscribe(&mut self, topic: &str) -> Result<(), Misuse> {
            self.pattern.unsubscribe(topic.as_bytes(), &mut self.errands)
        }

        /// `+topic` for a subscription said, `-topic` for a cancellation, with the peer before.
        fn changes(&mut self) -> Vec<String> {
            let change = |(peer, said)| match said {
                Said::Command(Command::Subscribe(topic)) => {
                    format!("{peer}+{}", topic.escape_ascii())
                }
                Said::Command(Command::Cancel(topic)) => format!("{peer}-{}", topic.escape_ascii()),
                other => panic!("{other:?}"),
            };
            let mut changes: Vec<_> = self.said().into_iter().map(change).collect();
            changes.sort();
            changes
        }
    }

    #[test]
    fn sub_gets_only_what_it_wants() {
        let mut sub = bench(Kind::Sub);
        assert_eq!(sub.deliver(0, &["abc"]), None);
        sub.subscribe("ab");
        assert_eq!(sub.deliver(0, &["abc", "x"]), Some(frames(&["abc", "x"])));
        assert_eq!(sub.deliver(0, &["b", "abc"]), None);
        sub.unsubscribe("ab").unwrap();
        assert_eq!(sub.deliver(0, &["abc"]), None);
        assert_eq!(sub.send(&["x"]), Err(Misuse::NotSupported(Kind::Sub, "send")));
    }

    #[test]
    fn every_subscription_is_told_and_the_last_cancellation() {
        let mut sub = bench(Kind::Sub);
        sub.subscribe("a");
        sub.subscribe("a");
        assert_eq!(sub.changes(), ["0+a", "0+a"]);
        sub.unsubscribe("a").unwrap();
        assert_eq!(sub.deliver(0, &["a"]), Some(frames(&["a"])));
        assert_eq!(sub.changes(), [""; 0]);
        sub.unsubscribe("a").unwrap();
        assert_eq!(sub.changes(), ["0-a"]);
        assert!(matches!(sub.unsubscribe("a"), Err(Misuse::Shape(_))));
        assert_eq!(sub.changes(), [""; 0]);
    }

    #[test]
    fn a_peer_hears_all_topics_at_each_meeting() {
        let mut sub = Bench::new(Kind::Sub);
        sub.subscribe("a");
        sub.subscribe("b");
        sub.subscribe("a");
        sub.connect(0);
        assert_eq!(sub.changes(), [""; 0]);
        for _ in 0..2 {
            sub.greet(0, "").unwrap();
            assert_eq!(sub.changes(), ["0+a", "0+b"]);
            sub.hang_up(0);
        }
        sub.subscribe("c");
        sub.unsubscribe("b").unwrap();
        assert_eq!(sub.changes(), [""; 0]);
        sub.greet(0, "").unwrap();
        assert_eq!(sub.changes(), ["0+a", "0+c"]);
    }

    #[test]
    fn peers_before_zmtp_3_1_are_told_by_message() {
        let mut sub = Bench::new(Kind::Sub);
        sub.pattern.attach(Peer(0), Attach::Accepted).unwrap();
        let info =
            PeerInfo { kind: Kind::Pub, identity: Frame::empty(), subscribes_by_command: false };
        sub.subscribe("a");
        sub.pattern.greet(Peer(0), &info, &mut sub.errands).unwrap();
        sub.unsubscribe("a").unwrap();
        let said = sub.said();
        let [(0, Said::Message(first)), (0, Said::Message(second))] = &said[..] else {
            panic!("{said:?}")
        };
        assert_eq!((first, second), (&frames(&["\x01a"]), &frames(&["\0a"])));
    }

    #[test]
    fn inverted_it_gets_what_it_does_not_want() {
        let mut sub = bench(Kind::Sub);
        sub.pattern.set(Setting::InvertMatching(true)).unwrap();
        sub.subscribe("a");
        assert_eq!(sub.deliver(0, &["a"]), None);
        assert_eq!(sub.deliver(0, &["b"]), Some(frames(&["b"])));
    }

    #[test]
    fn xsub_gets_all_that_comes() {
        let mut xsub = bench(Kind::Xsub);
        assert_eq!(xsub.deliver(0, &["a", "b"]), Some(frames(&["a", "b"])));
        assert!(xsub.pattern.delivers_unchanged());
    }

    #[test]
    fn xsub_passes_the_subscriptions_that_its_user_sends() {
        let mut xsub = bench(Kind::Xsub);
        xsub.accept(1, "").unwrap();
        assert_eq!(xsub.send(&["\x01a"]), Ok(Sent::Drop));
        assert_eq!(xsub.changes(), ["0+a", "1+a"]);
        let routed = |bench: &mut Bench, message: &[u8]| {
            let mut message = Outgoing::from(message);
            bench.pattern.route(&mut message, &bench.room, &mut vec![], &mut bench.errands)
        };
        assert_eq!(routed(&mut xsub, b"\x01b"), Ok(Verdict::Drop));
        assert_eq!(xsub.changes(), ["0+b", "1+b"]);
        xsub.accept(2, "").unwrap();
        assert_eq!(xsub.changes(), ["2+a", "2+b"]);
        assert_eq!(xsub.send(&["\0a"]), Ok(Sent::Drop));
        assert_eq!(xsub.changes(), ["0-a", "1-a", "2-a"]);
        assert_eq!(xsub.send(&["\0a"]), Ok(Sent::Drop));
        assert_eq!(xsub.changes(), [""; 0]);
    }

    #[test]
    fn xsub_passes_every_subscription_and_the_last_cancellation() {
        let mut xsub = bench(Kind::Xsub);
        xsub.sent_to(&["\x01a"]);
        xsub.sent_to(&["\x01a"]);
        assert_eq!(xsub.changes(), ["0+a", "0+a"]);
        xsub.sent_to(&["\0a"]);
        assert_eq!(xsub.changes(), [""; 0]);
        xsub.sent_to(&["\0a"]);
        assert_eq!(xsub.changes(), ["0-a"]);
    }

    #[test]
    fn with_verbose_unsubscribe_it_passes_every_cancellation() {
        let mut xsub = bench(Kind::Xsub);
        xsub.pattern.set(Setting::XsubVerboseUnsubscribe(true)).unwrap();
        xsub.sent_to(&["\x01a"]);
        xsub.sent_to(&["\x01a"]);
        xsub.changes();
        for left in [1, 0, 0] {
            xsub.sent_to(&["\0a"]);
            assert_eq!(xsub.changes(), ["0-a"]);
            assert_eq!(xsub.pattern.topics_count(), left);
        }
    }

    #[test]
    fn other_messages_of_xsub_go_to_all_publishers_with_room() {
        let mut xsub = bench(Kind::Xsub);
        xsub.accept(1, "").unwrap();
        xsub.connect(2);
        assert_eq!(xsub.sent_to(&["hello"]), [0, 1, 2]);
        assert_eq!(xsub.sent_to(&[""]), [0, 1, 2]);
        xsub.room = Full::of([0]);
        assert_eq!(xsub.sent_to(&["hello", "x"]), [1, 2]);
        let mut dropped = Vec::new();
        xsub.pattern.take_dropped(&mut dropped);
        assert_eq!(dropped, [(Peer(0), 1)]);
        xsub.room = Full::of([0, 1, 2]);
        assert_eq!(xsub.send(&["hello"]), Ok(Sent::Drop));
    }

    #[test]
    fn subscriptions_among_the_frames_of_a_message_are_noted_and_it_goes_as_it_is() {
        let mut xsub = bench(Kind::Xsub);
        assert_eq!(xsub.sent_to(&["hello", "\x01a"]), [0]);
        xsub.accept(1, "").unwrap();
        assert_eq!(xsub.changes(), ["1+a"]);

        let mut first = bench(Kind::Xsub);
        first.pattern.set(Setting::OnlyFirstSubscribe(true)).unwrap();
        assert_eq!(first.sent_to(&["hello", "\x01a"]), [0]);
        assert_eq!(first.sent_to(&["\x01b", "\x01c"]), [0]);
        first.accept(1, "").unwrap();
        assert_eq!(first.changes(), ["1+b", "1+c"]);
    }
}
