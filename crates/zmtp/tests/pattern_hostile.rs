//! Every kind of socket against peers that say anything at any time, and users that do: nothing
//! panics, no message goes to a peer that is not there or has no room, and none goes twice.

use std::collections::BTreeSet;

use bytes::Bytes;
use chaski_zmtp::pattern::{
    self, Attach, Body, Errand, Outgoing, Peer, PeerInfo, Room, Setting, Verdict,
};
use chaski_zmtp::{Command, Frame, Kind, Message};
use proptest::prelude::*;

/// Peers with an odd number are full.
struct Odd;

impl Room for Odd {
    fn has_room(&self, peer: Peer) -> bool {
        peer.0.is_multiple_of(2)
    }
}

#[derive(Clone, Debug)]
enum Step {
    Attach(u32, Attach),
    Greet(u32, Vec<u8>, bool),
    HangUp(u32),
    Detach(u32),
    Deliver(u32, Vec<Vec<u8>>),
    Command(u32, Command),
    Send(Vec<Vec<u8>>, u32),
    Receive,
    Subscribe(Vec<u8>),
    Unsubscribe(Vec<u8>),
    Set(Setting),
}

fn peer() -> impl Strategy<Value = u32> {
    0..4_u32
}

/// Short, of the few bytes that mean something.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(prop_oneof![Just(0), Just(1), Just(b'a'), any::<u8>()], 0..6)
}

fn frames() -> impl Strategy<Value = Vec<Vec<u8>>> {
    proptest::collection::vec(bytes(), 0..4)
}

fn attach() -> impl Strategy<Value = Attach> {
    prop_oneof![
        Just(Attach::Accepted),
        (any::<bool>(), bytes()).prop_map(|(early, identity)| Attach::Connecting {
            early,
            identity: Frame::from(identity),
        }),
    ]
}

fn command() -> impl Strategy<Value = Command> {
    bytes().prop_flat_map(|bytes| {
        let bytes = Bytes::from(bytes);
        prop_oneof![
            3 => Just(Command::Subscribe(bytes.clone())),
            2 => Just(Command::Cancel(bytes.clone())),
            2 => Just(Command::Join(bytes.clone())),
            1 => Just(Command::Leave(bytes.clone())),
            1 => Just(Command::Unknown(bytes.clone())),
            1 => Just(Command::Error(bytes)),
        ]
    })
}

fn setting() -> impl Strategy<Value = Setting> {
    any::<bool>().prop_flat_map(|on| {
        prop_oneof![
            Just(Setting::ReqRelaxed(on)),
            Just(Setting::ReqCorrelate(on)),
            Just(Setting::RouterMandatory(on)),
            Just(Setting::RouterHandover(on)),
            Just(Setting::RouterRaw(on)),
            Just(Setting::ProbeRouter(on)),
            Just(Setting::XpubVerboser(on)),
            Just(Setting::XpubManual(on)),
            Just(Setting::XpubManualLastValue(on)),
            Just(Setting::XpubNodrop(on)),
            Just(Setting::XsubVerboseUnsubscribe(on)),
            Just(Setting::OnlyFirstSubscribe(on)),
            Just(Setting::InvertMatching(on)),
            Just(Setting::StreamNotify(on)),
        ]
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (peer(), attach()).prop_map(|(peer, how)| Step::Attach(peer, how)),
        4 => (peer(), bytes(), any::<bool>()).prop_map(|(peer, id, on)| Step::Greet(peer, id, on)),
        2 => peer().prop_map(Step::HangUp),
        2 => peer().prop_map(Step::Detach),
        6 => (peer(), frames()).prop_map(|(peer, frames)| Step::Deliver(peer, frames)),
        6 => (peer(), command()).prop_map(|(peer, command)| Step::Command(peer, command)),
        6 => (frames(), 0..9_u32).prop_map(|(frames, id)| Step::Send(frames, id)),
        2 => Just(Step::Receive),
        3 => bytes().prop_map(Step::Subscribe),
        2 => bytes().prop_map(Step::Unsubscribe),
        2 => setting().prop_map(Step::Set),
    ]
}

fn kind() -> impl Strategy<Value = Kind> {
    (0..Kind::ALL.len()).prop_map(|at| Kind::ALL[at])
}

fn message(frames: Vec<Vec<u8>>) -> Message {
    frames.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn nothing_that_is_said_does_harm(
        kind in kind(),
        steps in proptest::collection::vec(step(), 0..60),
    ) {
        let mut pattern = pattern::new(kind, 0);
        let mut attached = BTreeSet::new();
        let mut errands: Vec<Errand> = Vec::new();
        for step in steps {
            match step {
                Step::Attach(peer, how) if !attached.contains(&peer) => {
                    attached.extend(pattern.attach(Peer(peer), how).is_ok().then_some(peer));
                }
                Step::Greet(peer, identity, subscribes_by_command) if attached.contains(&peer) => {
                    let identity = Frame::from(identity);
                    let info = PeerInfo { kind: Kind::Pair, identity, subscribes_by_command };
                    // Who is refused hears no more.
                    if pattern.greet(Peer(peer), &info, &mut errands).is_err() {
                        pattern.hang_up(Peer(peer), &mut errands);
                    }
                }
                Step::HangUp(peer) if attached.contains(&peer) => {
                    pattern.hang_up(Peer(peer), &mut errands);
                }
                Step::Detach(peer) if attached.contains(&peer) => {
                    pattern.detach(Peer(peer), &mut errands);
                    attached.remove(&peer);
                }
                Step::Deliver(peer, frames) if attached.contains(&peer) => {
                    pattern.deliver(Peer(peer), message(frames), &mut errands);
                }
                Step::Command(peer, command) if attached.contains(&peer) => {
                    pattern.command(Peer(peer), command, &mut errands);
                }
                Step::Send(frames, routing_id) => {
                    let mut body = message(frames);
                    body.set_routing_id(routing_id);
                    let mut outgoing = Outgoing::new(Body::Message(body.clone()));
                    let mut to = Vec::new();
                    let routed = pattern.route(&mut outgoing, &Odd, &mut to, &mut errands);
                    let chosen: BTreeSet<u32> = to.iter().map(|peer| peer.0).collect();
                    prop_assert_eq!(chosen.len(), to.len(), "none goes twice");
                    prop_assert!(chosen.is_subset(&attached));
                    prop_assert!(to.iter().all(|&peer| Odd.has_room(peer)));
                    let is_sent = routed == Ok(Verdict::Send);
                    prop_assert_eq!(is_sent, !to.is_empty());
                    if !is_sent {
                        prop_assert_eq!(outgoing.into_message(), body);
                    }
                    prop_assert!(kind.sends() || routed.is_err());
                }
                Step::Receive => {
                    let notice = pattern.notice();
                    prop_assert!(notice.is_none() || pattern.may_recv().is_ok());
                    prop_assert!(kind.receives() || pattern.may_recv().is_err());
                }
                Step::Subscribe(topic) => {
                    let done = pattern.subscribe(&topic, &mut errands);
                    prop_assert!(done.is_err() || kind.subscribes() || kind == Kind::Xpub);
                }
                Step::Unsubscribe(topic) => drop(pattern.unsubscribe(&topic, &mut errands)),
                Step::Set(setting) => drop(pattern.set(setting)),
                _ => {}
            }
            let told: BTreeSet<u32> = errands.drain(..).map(|errand| errand.to.0).collect();
            prop_assert!(told.is_subset(&attached));
        }
    }
}
