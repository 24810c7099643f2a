//! PUB and XPUB (RFC 29): a message goes to every peer that wants a prefix of it.
//!
//! ```text
//!   peer   SUBSCRIBE "a"  (ZMTP 3.1)          user   [01 a]   of XPUB, by `notice`
//!          [01 a]         (before) ---------> trie
//!          CANCEL "a", [00 a]                        [00 a]
//!
//!   user   [a bcd] [frame ..] --- trie: who wants "", "a", "ab", ... ---> those with room
//! ```
//!
//! | clause | where |
//! |---|---|
//! | binary comparison of the subscription against the start of the first frame | `trie` |
//! | silently drop the message if a queue is full; not block | `route`: counted for each peer |
//! | PUB discards what subscribers send, XPUB delivers it | `deliver` |
//! | PUB does not deliver subscriptions, XPUB does, each new one and each last one | `changed` |
//! | unsubscribe for a subscriber that disconnects | `forget` |
//!
//! Everything else is libzmq's: `xpub_verbose` tells the user every subscription, `xpub_verboser`
//! every cancellation too; `xpub_manual` leaves it to the user what a peer is given;
//! `xpub_manual_last_value` sends the next message only to the peer whose notice came last;
//! `xpub_nodrop` waits instead of dropping; `xpub_welcome_msg` is said to each newcomer;
//! `invert_matching` sends to all but those that want it; `only_first_subscribe` takes no frame
//! but the first of a message for a subscription.
//!
//! One clause is not kept. A peer that subscribed to a topic twice would have to cancel it twice
//! (RFC 37, "The Publish-Subscribe Pattern"). libzmq's SUB and XSUB count for themselves: they say
//! every SUBSCRIBE, and one CANCEL when the last is taken back; so do those made after it. A
//! publisher that counted as well would serve such a peer for ever, and its user would never hear
//! the end. So here, as in libzmq, the first CANCEL is the end, however often a topic was asked
//! for. The price: of a peer that keeps to the clause and takes back one of two, both are gone.

use bytes::Bytes;
use smallvec::SmallVec;

use super::drops::Drops;
use super::notices::Notices;
use super::peers::Peers;
use super::queues::Queues;
use super::trie::{Inserted, Removed, Trie};
use super::{Attach, Delivery, Errand, Greeted, Misuse, Outgoing, Pattern, Peer, PeerInfo, Room};
use super::{Said, Setting, Verdict};
use crate::command::Command;
use crate::kind::Kind;
use crate::message::{Frame, Message};

const TOO_MUCH: &str = "more subscriptions than one peer or one socket may have";

pub(crate) struct Xpub {
    kind: Kind,
    queues: Queues,
    drops: Drops,
    /// What each peer is sent.
    topics: Trie,
    /// What each peer asked for, if the user decides.
    asked: Trie,
    notices: Notices,
    /// Whose notice the user received last, if the user decides.
    last: Option<Peer>,
    matched: Matched,
    rules: Rules,
}

#[derive(Default)]
struct Rules {
    verbose: bool,
    verboser: bool,
    manual: bool,
    last_value: bool,
    nodrop: bool,
    welcome: Option<Message>,
    only_first: bool,
    invert: bool,
}

/// Who has been chosen for the message at hand. A peer may want several of its prefixes.
#[derive(Default)]
struct Matched {
    /// The number of the last message that each peer was chosen for.
    marks: Peers<u32>,
    message: u32,
}

impl Matched {
    fn begin(&mut self) {
        self.message = self.message.wrapping_add(1);
    }

    /// Chooses a peer; says whether it was not chosen before.
    fn choose(&mut self, peer: Peer) -> bool {
        let message = self.message;
        self.marks.get_mut(peer).is_some_and(|mark| std::mem::replace(mark, message) != message)
    }

    fn is_chosen(&self, peer: Peer) -> bool {
        self.marks.get(peer) == Some(&self.message)
    }
}

impl Xpub {
    pub(crate) fn new(kind: Kind) -> Self {
        Xpub {
            kind,
            queues: Queues::default(),
            drops: Drops::default(),
            topics: Trie::default(),
            asked: Trie::default(),
            notices: Notices::default(),
            last: None,
            matched: Matched::default(),
            rules: Rules::default(),
        }
    }

    /// Adds those who want a message that begins with `first` to `to`, room or not.
    fn choose(&mut self, first: &[u8], to: &mut Vec<Peer>) {
        let mut prefixes: SmallVec<[&[Peer]; 8]> = SmallVec::new();
        self.topics.matches(first, |holders| prefixes.push(holders));
        match prefixes[..] {
            // Each peer comes once.
            [holders] if !self.rules.invert => to.extend_from_slice(holders),
            _ => {
                self.matched.begin();
                let peers = prefixes.into_iter().flatten().copied();
                let matched = &mut self.matched;
                let wanted = peers.filter(|&peer| matched.choose(peer));
                if self.rules.invert {
                    wanted.for_each(drop);
                    to.extend(self.queues.iter().filter(|&peer| !self.matched.is_chosen(peer)));
                } else {
                    to.extend(wanted);
                }
            }
        }
        if let Some(last) = self.last.filter(|_| self.rules.last_value) {
            to.retain(|&peer| peer == last);
        }
    }

    /// A peer wants a topic, or takes that back.
    fn changed(&mut self, from: Peer, topic: &[u8], wanted: bool) -> Result<(), &'static str> {
        let trie = if self.rules.manual { &mut self.asked } else { &mut self.topics };
        let rules = &self.rules;
        let tell = if wanted {
            let inserted = trie.insert(topic, from).map_err(|_| TOO_MUCH)?;
            rules.manual || rules.verbose || inserted == Inserted::New
        } else {
            match trie.remove(topic, from) {
                // Nothing changed for anybody; the user hears of it only if it hears of all.
                Removed::Nothing | Removed::OthersRemain => rules.manual || rules.verboser,
                Removed::Last => true,
            }
        };
        if tell && self.kind == Kind::Xpub {
            self.notices.push_change(Some(from), topic, wanted);
        }
        Ok(())
    }

    /// A frame that came: takes it and says so, if it is a subscription.
    fn take_subscription(&mut self, from: Peer, frame: &[u8]) -> Result<bool, &'static str> {
        match frame {
            [1, topic @ ..] => self.changed(from, topic, true)?,
            [0, topic @ ..] => self.changed(from, topic, false)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The frames of a message that are no subscriptions. As in libzmq every frame may be one, or
    /// with `only_first_subscribe` only the first; then the others are if the first was.
    fn take_subscriptions(
        &mut self,
        from: Peer,
        message: Message,
    ) -> Result<Message, &'static str> {
        let mut rest = Message::new();
        let mut look = true;
        for (at, frame) in message.into_iter().enumerate() {
            let taken = look && self.take_subscription(from, &frame)?;
            if at == 0 {
                look = !self.rules.only_first || taken;
            }
            if !taken {
                rest.push(frame);
            }
        }
        Ok(rest)
    }

    /// A message that came: subscriptions, or one for the user of an XPUB, or both.
    fn take(&mut self, from: Peer, message: Message) -> Result<(), &'static str> {
        if let [only] = message.as_slice()
            && self.take_subscription(from, only)?
        {
            return Ok(());
        }
        let message = self.take_subscriptions(from, message)?;
        if self.kind == Kind::Pub || message.is_empty() {
            return Ok(());
        }
        self.notices.push_message(from, message)
    }

    /// A peer wants nothing any more, as it is no longer there.
    fn forget(&mut self, peer: Peer) {
        let Xpub { notices, rules, kind, .. } = self;
        notices.forget(peer);
        let is_told = *kind == Kind::Xpub;
        if rules.manual {
            self.asked.remove_peer(peer, |topic, _| {
                if is_told {
                    notices.push_change(None, topic, false);
                }
            });
            self.topics.remove_peer(peer, |_, _| ());
        } else {
            self.topics.remove_peer(peer, |topic, last| {
                if is_told && (last || rules.verboser) {
                    notices.push_change(None, topic, false);
                }
            });
            self.asked.remove_peer(peer, |_, _| ());
        }
        self.last = self.last.filter(|&last| last != peer);
    }

    /// `subscribe` and `unsubscribe` of the user are for a manual XPUB only.
    fn check_manual(&self, what: &'static str) -> Result<(), Misuse> {
        if self.rules.manual { Ok(()) } else { Err(Misuse::NotSupported(self.kind, what)) }
    }
}

impl Pattern for Xpub {
    fn kind(&self) -> Kind {
        self.kind
    }

    fn attach(&mut self, peer: Peer, how: Attach) -> Result<(), &'static str> {
        self.queues.attach(peer, &how);
        self.matched.marks.insert(peer, self.matched.message);
        Ok(())
    }

    fn greet(
        &mut self,
        peer: Peer,
        _: &PeerInfo,
        errands: &mut Vec<Errand>,
    ) -> Result<Greeted, &'static str> {
        // One that we connect to kept what it wanted while it was away, so that its queue could
        // fill; it says anew what it wants.
        self.forget(peer);
        self.queues.greet(peer);
        let welcome = self.rules.welcome.clone();
        errands.extend(welcome.map(|it| Errand { to: peer, what: Said::Message(it) }));
        Ok(Greeted::Welcome)
    }

    fn hang_up(&mut self, peer: Peer, _: &mut Vec<Errand>) {
        if self.queues.hang_up(peer) {
            self.forget(peer);
        }
    }

    fn detach(&mut self, peer: Peer, _: &mut Vec<Errand>) {
        self.forget(peer);
        self.queues.detach(peer);
        self.drops.forget(peer);
        self.matched.marks.remove(peer);
    }

    fn route(
        &mut self,
        message: &mut Outgoing<'_>,
        room: &dyn Room,
        to: &mut Vec<Peer>,
        _: &mut Vec<Errand>,
    ) -> Result<Verdict, Misuse> {
        message.check_shape(self.kind)?;
        self.choose(message.first().unwrap_or_default(), to);
        if self.rules.nodrop && !to.iter().all(|&peer| room.has_room(peer)) {
            to.clear();
            return Ok(Verdict::Wait);
        }
        to.retain(|&peer| {
            let has_room = room.has_room(peer);
            if !has_room {
                self.drops.count(peer);
            }
            has_room
        });
        if self.rules.last_value {
            self.last = None;
        }
        Ok(if to.is_empty() { Verdict::Drop } else { Verdict::Send })
    }

    fn take_dropped(&mut self, dropped: &mut Vec<(Peer, u64)>) {
        self.drops.take(dropped);
    }

    fn may_recv(&self) -> Result<(), Misuse> {
        match self.kind {
            Kind::Xpub => Ok(()),
            kind => Err(Misuse::NotSupported(kind, "receive")),
        }
    }

    fn notice(&mut self) -> Option<Message> {
        let (from, message) = self.notices.pop()?;
        if let Some(change_of) = from.filter(|_| self.rules.manual) {
            self.last = change_of;
        }
        Some(message)
    }

    fn may_read(&self, peer: Peer) -> bool {
        self.notices.has_room(peer)
    }

    fn topics_count(&self) -> usize {
        self.topics.len()
    }

    fn deliver(&mut self, from: Peer, message: Message, _: &mut Vec<Errand>) -> Delivery {
        self.take(from, message).into()
    }

    fn command(&mut self, from: Peer, command: Command, _: &mut Vec<Errand>) -> Delivery {
        match command {
            Command::Subscribe(topic) => self.changed(from, &topic, true).into(),
            Command::Cancel(topic) => self.changed(from, &topic, false).into(),
            _ => Delivery::Ignore,
        }
    }

    fn subscribe(&mut self, topic: &[u8], _: &mut Vec<Errand>) -> Result<(), Misuse> {
        self.check_manual("subscribe unless it is manual")?;
        let Some(last) = self.last else { return Ok(()) };
        self.topics.insert(topic, last).map(|_| ()).map_err(|_| Misuse::Shape(TOO_MUCH))
    }

    fn unsubscribe(&mut self, topic: &[u8], _: &mut Vec<Errand>) -> Result<(), Misuse> {
        self.check_manual("unsubscribe unless it is manual")?;
        if let Some(last) = self.last {
            self.topics.remove(topic, last);
        }
        Ok(())
    }

    fn set(&mut self, setting: Setting) -> Result<(), Misuse> {
        let rules = &mut self.rules;
        match (self.kind, setting) {
            (_, Setting::XpubNodrop(on)) => rules.nodrop = on,
            (_, Setting::XpubWelcome(message)) => rules.welcome = message,
            (_, Setting::InvertMatching(on)) => rules.invert = on,
            (_, Setting::OnlyFirstSubscribe(on)) => rules.only_first = on,
            (Kind::Xpub, Setting::XpubVerbose(on)) => (rules.verbose, rules.verboser) = (on, false),
            (Kind::Xpub, Setting::XpubVerboser(on)) => (rules.verbose, rules.verboser) = (on, on),
            (Kind::Xpub, Setting::XpubManual(on)) => rules.manual = on,
            (Kind::Xpub, Setting::XpubManualLastValue(on)) => {
                (rules.manual, rules.last_value) = (on, on);
            }
            (kind, _) => return Err(Misuse::NotSupported(kind, "have that setting")),
        }
        Ok(())
    }
}

/// What a subscription looks like as a message: to a peer before ZMTP 3.1, and to the user of an
/// XPUB.
pub(super) fn change_frame(topic: &[u8], wanted: bool) -> Frame {
    Frame::from([&[u8::from(wanted)], topic].concat())
}

/// A subscription as it is said to a peer.
pub(super) fn change(to: Peer, topic: &Bytes, wanted: bool, by_command: bool) -> Errand {
    let what = match (by_command, wanted) {
        (true, true) => Said::Command(Command::Subscribe(topic.clone())),
        (true, false) => Said::Command(Command::Cancel(topic.clone())),
        (false, _) => Said::Message(Message::from(change_frame(topic, wanted))),
    };
    Errand { to, what }
}

#[cfg(test)]
mod tests;
