//! XPUB and PUB: who wants what, who is told, and who gets it.

use super::*;
use crate::pattern::exercise::{Bench, Full, Sent, frames, text};

/// With peers 0 to 2 accepted.
fn bench(kind: Kind, settings: impl IntoIterator<Item = Setting>) -> Bench {
    let mut bench = Bench::with(kind, settings);
    for peer in 0..3 {
        bench.accept(peer, "").unwrap();
    }
    bench.said();
    bench
}

fn xpub(settings: impl IntoIterator<Item = Setting>) -> Bench {
    bench(Kind::Xpub, settings)
}

impl Bench {
    fn says(&mut self, peer: u32, command: Command) {
        let delivery = self.pattern.command(Peer(peer), command, &mut self.errands);
        assert!(matches!(delivery, Delivery::Ignore), "{delivery:?}");
    }

    fn wants(&mut self, peer: u32, topic: &'static str) {
        self.says(peer, Command::Subscribe(Bytes::from(topic)));
    }

    fn cancels(&mut self, peer: u32, topic: &'static str) {
        self.says(peer, Command::Cancel(Bytes::from(topic)));
    }

    /// All that the user receives.
    fn notices(&mut self) -> Vec<String> {
        let mut notices = Vec::new();
        while let Some(notice) = self.pattern.notice() {
            notices.push(text(&notice).join(" "));
        }
        notices
    }

    fn dropped(&mut self) -> Vec<(Peer, u64)> {
        let mut dropped = Vec::new();
        self.pattern.take_dropped(&mut dropped);
        dropped
    }
}

#[test]
fn a_message_goes_to_all_that_want_a_prefix_of_its_first_frame_once() {
    let mut publisher = bench(Kind::Pub, []);
    assert_eq!(publisher.send(&["abc"]), Ok(Sent::Drop));
    publisher.wants(0, "a");
    publisher.wants(0, "ab");
    publisher.wants(1, "");
    publisher.wants(2, "b");
    assert_eq!(publisher.send(&["abc", "b"]), Ok(Sent::To(vec![1, 0], frames(&["abc", "b"]))));
    assert_eq!(publisher.sent_to(&["b", "a"]), [1, 2]);
    assert_eq!(publisher.sent_to(&[""]), [1]);
    assert_eq!(publisher.sent_to(&["ab"]), [1, 0]);
}

#[test]
fn a_cancellation_is_the_end_however_often_the_topic_was_asked_for() {
    let mut publisher = bench(Kind::Pub, []);
    publisher.wants(0, "a");
    publisher.wants(0, "a");
    publisher.cancels(0, "a");
    assert_eq!(publisher.send(&["a"]), Ok(Sent::Drop));
    publisher.cancels(0, "a");
    publisher.wants(0, "a");
    assert_eq!(publisher.sent_to(&["a"]), [0]);
}

#[test]
fn before_zmtp_3_1_subscriptions_are_messages() {
    let mut publisher = bench(Kind::Pub, []);
    assert_eq!(publisher.deliver(0, &["\x01a"]), None);
    assert_eq!(publisher.sent_to(&["ab"]), [0]);
    assert_eq!(publisher.deliver(0, &["\0a"]), None);
    assert_eq!(publisher.send(&["ab"]), Ok(Sent::Drop));
    assert_eq!(publisher.deliver(0, &["\x01"]), None);
    assert_eq!(publisher.sent_to(&["ab"]), [0]);
}

#[test]
fn pub_receives_nothing() {
    let mut publisher = bench(Kind::Pub, []);
    publisher.wants(0, "a");
    publisher.deliver(0, &["hello"]);
    assert!(publisher.notices().is_empty());
    assert_eq!(publisher.pattern.may_recv(), Err(Misuse::NotSupported(Kind::Pub, "receive")));
}

#[test]
fn a_full_peer_misses_what_others_get() {
    let mut publisher = bench(Kind::Pub, []);
    publisher.wants(0, "");
    publisher.wants(1, "");
    publisher.room = Full::of([0]);
    assert_eq!(publisher.sent_to(&["a"]), [1]);
    assert_eq!(publisher.sent_to(&["a"]), [1]);
    publisher.room = Full::of([0, 1]);
    assert_eq!(publisher.send(&["a"]), Ok(Sent::Drop));
    assert_eq!(publisher.dropped(), [(Peer(0), 3), (Peer(1), 1)]);
    assert_eq!(publisher.dropped(), []);
}

#[test]
fn with_nodrop_it_waits_for_all_that_want_it() {
    let mut publisher = bench(Kind::Pub, [Setting::XpubNodrop(true)]);
    publisher.wants(0, "");
    publisher.wants(1, "b");
    publisher.room = Full::of([1]);
    assert_eq!(publisher.sent_to(&["a"]), [0]);
    assert_eq!(publisher.send(&["b"]), Ok(Sent::Wait));
    publisher.room = Full::default();
    assert_eq!(publisher.sent_to(&["b"]), [0, 1]);
    assert_eq!(publisher.dropped(), []);
}

#[test]
fn the_user_of_xpub_hears_what_is_new_and_what_nobody_wants_any_more() {
    let mut xpub = xpub([]);
    xpub.wants(0, "a");
    xpub.wants(0, "a");
    xpub.wants(1, "a");
    xpub.cancels(0, "a");
    // It is another's that is left.
    xpub.cancels(0, "a");
    assert_eq!(xpub.notices(), ["\\x01a"]);
    xpub.cancels(1, "a");
    xpub.cancels(1, "a");
    xpub.cancels(2, "never wanted");
    xpub.wants(1, "a");
    assert_eq!(xpub.notices(), ["\\x00a", "\\x01a"]);
}

#[test]
fn verbose_tells_every_subscription_and_verboser_every_cancellation_too() {
    let story = |setting| {
        let mut xpub = xpub([setting]);
        xpub.wants(0, "a");
        xpub.wants(1, "a");
        xpub.cancels(0, "a");
        xpub.cancels(1, "a");
        xpub.notices()
    };
    assert_eq!(story(Setting::XpubVerbose(true)), ["\\x01a", "\\x01a", "\\x00a"]);
    assert_eq!(story(Setting::XpubVerboser(true)), ["\\x01a", "\\x01a", "\\x00a", "\\x00a"]);
}

#[test]
fn a_subscriber_that_goes_takes_its_topics_with_it() {
    let mut xpub = xpub([]);
    xpub.wants(0, "a");
    xpub.wants(0, "b");
    xpub.wants(1, "b");
    xpub.notices();
    assert_eq!(xpub.pattern.topics_count(), 2);
    xpub.leave(0);
    assert_eq!(xpub.notices(), ["\\x00a"]);
    assert_eq!(xpub.pattern.topics_count(), 1);
    assert_eq!(xpub.send(&["a"]), Ok(Sent::Drop));
    assert_eq!(xpub.sent_to(&["b"]), [1]);
    // The number is given to another, who has asked for nothing.
    xpub.accept(0, "").unwrap();
    assert_eq!(xpub.sent_to(&["b"]), [1]);
}

#[test]
fn one_that_we_connect_to_keeps_its_topics_while_it_is_away_and_says_them_anew() {
    let mut publisher = Bench::new(Kind::Pub);
    publisher.connect(0);
    publisher.greet(0, "").unwrap();
    publisher.wants(0, "a");
    publisher.hang_up(0);
    assert_eq!(publisher.sent_to(&["a"]), [0]);
    publisher.greet(0, "").unwrap();
    assert_eq!(publisher.send(&["a"]), Ok(Sent::Drop));
    publisher.wants(0, "a");
    publisher.cancels(0, "a");
    assert_eq!(publisher.send(&["a"]), Ok(Sent::Drop));
}

#[test]
fn messages_of_subscribers_reach_the_user_of_xpub_among_their_subscriptions() {
    let mut xpub = xpub([]);
    xpub.wants(0, "a");
    assert_eq!(xpub.deliver(1, &["hello", "x"]), None);
    assert_eq!(xpub.deliver(1, &[""]), None);
    xpub.wants(0, "b");
    assert_eq!(xpub.notices(), ["\\x01a", "hello x", "", "\\x01b"]);
}

#[test]
fn any_frame_may_be_a_subscription_or_only_the_first() {
    let mut any = xpub([]);
    any.deliver(0, &["hello", "\x01a", "x"]);
    assert_eq!(any.notices(), ["\\x01a", "hello x"]);
    assert_eq!(any.sent_to(&["a"]), [0]);

    let mut first = xpub([Setting::OnlyFirstSubscribe(true)]);
    first.deliver(0, &["hello", "\x01a", "x"]);
    assert_eq!(first.notices(), ["hello \\x01a x"]);
    first.deliver(0, &["\x01a", "\x01b", "x"]);
    assert_eq!(first.notices(), ["\\x01a", "\\x01b", "x"]);
}

#[test]
fn when_manual_a_peer_gets_what_the_user_gives_it() {
    let mut xpub = xpub([Setting::XpubManual(true)]);
    xpub.wants(0, "a");
    xpub.wants(1, "b");
    assert_eq!(xpub.send(&["a"]), Ok(Sent::Drop));
    assert_eq!(xpub.pattern.notice(), Some(frames(&["\x01a"])));
    xpub.pattern.subscribe(b"given to 0", &mut xpub.errands).unwrap();
    assert_eq!(xpub.pattern.notice(), Some(frames(&["\x01b"])));
    xpub.pattern.subscribe(b"given to 1", &mut xpub.errands).unwrap();
    assert_eq!(xpub.sent_to(&["given to 0"]), [0]);
    assert_eq!(xpub.sent_to(&["given to 1"]), [1]);
    xpub.cancels(1, "b");
    assert_eq!(xpub.notices(), ["\\x00b"]);
    xpub.pattern.unsubscribe(b"given to 1", &mut xpub.errands).unwrap();
    assert_eq!(xpub.send(&["given to 1"]), Ok(Sent::Drop));
}

#[test]
fn when_manual_one_that_goes_cancels_what_it_asked_for() {
    let mut xpub = xpub([Setting::XpubManual(true)]);
    xpub.wants(0, "a");
    xpub.wants(1, "a");
    xpub.notices();
    xpub.wants(0, "b");
    xpub.leave(0);
    // Its notice is there still, but a topic is given to nobody now.
    assert_eq!(xpub.pattern.notice(), Some(frames(&["\x01b"])));
    xpub.pattern.subscribe(b"c", &mut xpub.errands).unwrap();
    xpub.accept(0, "").unwrap();
    assert_eq!(xpub.send(&["c"]), Ok(Sent::Drop));
    let mut rest = xpub.notices();
    rest.sort();
    assert_eq!(rest, ["\\x00a", "\\x00b"]);
}

#[test]
fn when_manual_a_topic_is_not_given_to_who_has_the_number_now() {
    let mut xpub = xpub([Setting::XpubManual(true)]);
    xpub.wants(0, "a");
    assert_eq!(xpub.notices(), ["\\x01a"]);
    xpub.leave(0);
    xpub.accept(0, "").unwrap();
    xpub.pattern.subscribe(b"a", &mut xpub.errands).unwrap();
    assert_eq!(xpub.send(&["a"]), Ok(Sent::Drop));
}

#[test]
fn the_last_value_goes_only_to_whom_the_user_heard_last() {
    let mut xpub = xpub([Setting::XpubManualLastValue(true)]);
    for peer in 0..2 {
        xpub.wants(peer, "a");
        assert_eq!(xpub.notices(), ["\\x01a"]);
        xpub.pattern.subscribe(b"a", &mut xpub.errands).unwrap();
        xpub.room = Full::of([0, 1]);
        xpub.pattern.set(Setting::XpubNodrop(true)).unwrap();
        assert_eq!(xpub.send(&["a"]), Ok(Sent::Wait));
        xpub.room = Full::default();
        assert_eq!(xpub.sent_to(&["a"]), [peer]);
    }
    assert_eq!(xpub.sent_to(&["a"]), [0, 1]);
}

#[test]
fn without_manual_the_user_gives_nothing() {
    for kind in [Kind::Pub, Kind::Xpub] {
        let mut bench = bench(kind, []);
        assert!(bench.pattern.subscribe(b"a", &mut bench.errands).is_err());
        assert!(bench.pattern.unsubscribe(b"a", &mut bench.errands).is_err());
    }
    let mut publisher = Bench::new(Kind::Pub);
    assert!(publisher.pattern.set(Setting::XpubManual(true)).is_err());
    assert!(publisher.pattern.set(Setting::XpubVerbose(true)).is_err());
}

#[test]
fn a_newcomer_is_welcomed() {
    let welcome = Setting::XpubWelcome(Some(frames(&["welcome"])));
    let mut xpub = xpub([welcome]);
    xpub.accept(3, "").unwrap();
    let said = xpub.said();
    assert!(matches!(&said[..], [(3, Said::Message(it))] if *it == frames(&["welcome"])));
    xpub.pattern.set(Setting::XpubWelcome(None)).unwrap();
    xpub.accept(4, "").unwrap();
    assert!(xpub.said().is_empty());
}

#[test]
fn inverted_it_sends_to_those_that_do_not_want_it() {
    let mut publisher = bench(Kind::Pub, [Setting::InvertMatching(true)]);
    publisher.wants(0, "a");
    publisher.wants(1, "b");
    assert_eq!(publisher.sent_to(&["a"]), [1, 2]);
    assert_eq!(publisher.sent_to(&["c"]), [0, 1, 2]);
    publisher.leave(1);
    assert_eq!(publisher.sent_to(&["a"]), [2]);
}

#[test]
fn a_peer_that_wants_too_much_is_closed() {
    let mut publisher = bench(Kind::Pub, []);
    let topic = |at: u32| Bytes::from([&at.to_be_bytes()[..], &[0; 1 << 20]].concat());
    let mut close = |peer, at| {
        let command = Command::Subscribe(topic(at));
        let delivery = publisher.pattern.command(Peer(peer), command, &mut publisher.errands);
        matches!(delivery, Delivery::Close(TOO_MUCH))
    };
    assert!((0..100).any(|at| close(0, at)));
    assert!(!close(1, 0));
}
