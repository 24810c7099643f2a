//! REQ, REP and ROUTER against plain models of what RFC 28 says of them: any order of peers that
//! come and go, calls of the user, and messages good and bad.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use chaski_zmtp::pattern::{
    self, Attach, Body, Delivery, Greeted, Misuse, Outgoing, Pattern, Peer, PeerInfo, Room,
    Setting, Verdict,
};
use chaski_zmtp::{Frame, Kind, Message};
use proptest::prelude::*;

/// The peers whose queues are full.
#[derive(Default)]
struct Full(BTreeSet<u32>);

impl Room for Full {
    fn has_room(&self, peer: Peer) -> bool {
        !self.0.contains(&peer.0)
    }
}

fn message(frames: &[&[u8]]) -> Message {
    frames.iter().copied().collect()
}

/// A pattern, and the peers that are attached to it.
struct Socket {
    pattern: Box<dyn Pattern>,
    full: Full,
    attached: BTreeSet<u32>,
}

impl Socket {
    fn new(kind: Kind, settings: &[Setting]) -> Self {
        let mut pattern = pattern::new(kind, 77);
        for setting in settings {
            pattern.set(setting.clone()).unwrap();
        }
        Socket { pattern, full: Full::default(), attached: BTreeSet::new() }
    }

    fn come(&mut self, peer: u32, identity: &str) -> Result<Greeted, &'static str> {
        let info = PeerInfo {
            kind: Kind::Router,
            identity: Frame::from(identity),
            subscribes_by_command: true,
        };
        self.pattern.attach(Peer(peer), Attach::Accepted).unwrap();
        self.attached.insert(peer);
        let greeted = self.pattern.greet(Peer(peer), &info, &mut Vec::new());
        if greeted.is_err() {
            self.go(peer);
        }
        greeted
    }

    fn go(&mut self, peer: u32) {
        self.pattern.hang_up(Peer(peer), &mut Vec::new());
        self.pattern.detach(Peer(peer), &mut Vec::new());
        self.attached.remove(&peer);
    }

    /// To whom a message went, and what.
    fn send(&mut self, body: Message) -> Result<Option<(u32, Message)>, Wrong> {
        let mut outgoing = Outgoing::new(Body::Message(body));
        let mut to = Vec::new();
        let routed = self.pattern.route(&mut outgoing, &self.full, &mut to, &mut Vec::new());
        match routed.map_err(Wrong::Misuse)? {
            Verdict::Wait => Err(Wrong::Wait),
            Verdict::Drop => Ok(None),
            Verdict::Send => {
                assert_eq!(to.len(), 1);
                Ok(Some((to[0].0, outgoing.into_message())))
            }
        }
    }

    fn deliver(&mut self, from: u32, message: Message) -> Option<Message> {
        match self.pattern.deliver(Peer(from), message, &mut Vec::new()) {
            Delivery::Take(message) => Some(message),
            Delivery::Ignore => None,
            Delivery::Close(why) => panic!("closed: {why}"),
        }
    }
}

/// Why a message was not sent.
#[derive(Debug, PartialEq)]
enum Wrong {
    Wait,
    Misuse(Misuse),
}

impl Wrong {
    fn is_out_of_turn(&self) -> bool {
        matches!(self, Wrong::Misuse(Misuse::OutOfTurn(_)))
    }
}

#[derive(Clone, Debug)]
enum Step {
    Come(u32),
    Go(u32),
    Fill(u32),
    Empty(u32),
    Send,
    /// A message of that peer, whose frames are picked from a few that matter.
    Deliver(u32, Vec<u8>),
}

fn step() -> impl Strategy<Value = Step> {
    let frames = proptest::collection::vec(0..4_u8, 0..4);
    prop_oneof![
        2 => (0..3_u32).prop_map(Step::Come),
        1 => (0..3_u32).prop_map(Step::Go),
        1 => (0..3_u32).prop_map(Step::Fill),
        1 => (0..3_u32).prop_map(Step::Empty),
        4 => Just(Step::Send),
        6 => (0..3_u32, frames).prop_map(|(peer, frames)| Step::Deliver(peer, frames)),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(step(), 0..80)
}

/// Does what concerns peers only; gives any other step back.
fn about_peers(socket: &mut Socket, step: Step) -> Option<Step> {
    match step {
        Step::Come(peer) if !socket.attached.contains(&peer) => {
            socket.come(peer, "").unwrap();
        }
        Step::Go(peer) if socket.attached.contains(&peer) => socket.go(peer),
        Step::Come(_) | Step::Go(_) => {}
        Step::Fill(peer) => _ = socket.full.0.insert(peer),
        Step::Empty(peer) => _ = socket.full.0.remove(&peer),
        step => return Some(step),
    }
    None
}

/// The frames that a step picked of `choices`.
fn picked<'a>(picks: &[u8], choices: [&'a [u8]; 4]) -> Vec<&'a [u8]> {
    picks.iter().map(|&pick| choices[usize::from(pick)]).collect()
}

proptest! {
    /// The model of REQ: whom it asked last and with which number, if it awaits a reply.
    #[test]
    fn req(steps in steps(), relaxed: bool, correlate: bool) {
        let settings = [Setting::ReqRelaxed(relaxed), Setting::ReqCorrelate(correlate)];
        let mut req = Socket::new(Kind::Req, &settings);
        let mut asked: Option<(Option<u32>, Vec<u8>)> = None;
        let mut given_up: Option<Vec<u8>> = None;
        for step in steps {
            if let (Some((peer, _)), Step::Go(gone)) = (&mut asked, &step) {
                *peer = peer.filter(|peer| peer != gone);
            }
            match about_peers(&mut req, step) {
                Some(Step::Send) => {
                    let available = req.attached.difference(&req.full.0).count();
                    match req.send(message(&[b"a", b"b"])) {
                        Err(wrong) if asked.is_some() && !relaxed => {
                            prop_assert!(wrong.is_out_of_turn());
                        }
                        Err(wrong) => prop_assert_eq!((wrong, available), (Wrong::Wait, 0)),
                        Ok(None) => prop_assert!(false, "a request is never dropped"),
                        Ok(Some((to, request))) => {
                            prop_assert!(req.attached.contains(&to) && !req.full.0.contains(&to));
                            let (id, rest) = request.as_slice().split_at(usize::from(correlate));
                            let expected = message(&[b"", b"a", b"b"]);
                            prop_assert_eq!(rest, expected.as_slice());
                            let id = id.first().map_or(Vec::new(), |id| id.to_vec());
                            prop_assert_eq!(id.len(), if correlate { 4 } else { 0 });
                            given_up = asked.replace((Some(to), id)).map(|(_, id)| id);
                        }
                    }
                }
                Some(Step::Deliver(from, picks)) if req.attached.contains(&from) => {
                    let id = asked.as_ref().map_or(&b""[..], |(_, id)| id);
                    let old = given_up.as_deref().unwrap_or(b"none");
                    let frames = picked(&picks, [b"", id, old, b"body"]);
                    let body = match (&asked, &frames[..]) {
                        (Some((peer, _)), _) if *peer != Some(from) => None,
                        (Some((_, id)), [first, b"", body @ ..]) if correlate && first == id => {
                            Some(body)
                        }
                        (Some(_), [b"", body @ ..]) if !correlate => Some(body),
                        _ => None,
                    };
                    let expected = body.filter(|body| !body.is_empty()).map(message);
                    let is_reply = expected.is_some();
                    prop_assert_eq!(req.deliver(from, message(&frames)), expected);
                    if is_reply {
                        asked = None;
                    }
                }
                _ => {}
            }
            prop_assert_eq!(req.pattern.may_recv().is_ok(), asked.is_some());
        }
    }

    /// The model of REP: whose request it answers and its envelope, if it has one.
    #[test]
    fn rep(steps in steps()) {
        let mut rep = Socket::new(Kind::Rep, &[]);
        let mut serves: Option<(Option<u32>, Message)> = None;
        for step in steps {
            if let (Some((peer, _)), Step::Go(gone)) = (&mut serves, &step) {
                *peer = peer.filter(|peer| peer != gone);
            }
            match about_peers(&mut rep, step) {
                Some(Step::Send) => {
                    let sent = rep.send(message(&[b"a", b""]));
                    let Some((peer, mut reply)) = serves.take() else {
                        prop_assert!(sent.unwrap_err().is_out_of_turn());
                        continue;
                    };
                    reply.extend(message(&[b"a", b""]));
                    let peer = peer.filter(|peer| !rep.full.0.contains(peer));
                    prop_assert_eq!(sent, Ok(peer.map(|peer| (peer, reply))));
                }
                Some(Step::Deliver(from, picks))
                    if rep.attached.contains(&from) && serves.is_none() =>
                {
                    let frames = picked(&picks, [b"", b"id", b"", b"body"]);
                    let delimiter = frames.iter().position(|frame| frame.is_empty());
                    let cut = delimiter.map(|at| frames.split_at(at + 1));
                    let cut = cut.filter(|(_, body)| !body.is_empty());
                    let expected = cut.map(|(_, body)| message(body));
                    prop_assert_eq!(rep.deliver(from, message(&frames)), expected);
                    serves = cut.map(|(envelope, _)| (Some(from), message(envelope)));
                }
                _ => {}
            }
            prop_assert_eq!(rep.pattern.may_recv().is_ok(), serves.is_none());
        }
    }
}

#[derive(Clone, Debug)]
enum RouterStep {
    Come(u32, usize),
    Go(u32),
    Fill(u32),
    Empty(u32),
    Send(usize),
    Deliver(u32),
}

fn router_step() -> impl Strategy<Value = RouterStep> {
    prop_oneof![
        3 => (0..4_u32, 0..3_usize).prop_map(|(peer, name)| RouterStep::Come(peer, name)),
        1 => (0..4_u32).prop_map(RouterStep::Go),
        1 => (0..4_u32).prop_map(RouterStep::Fill),
        1 => (0..4_u32).prop_map(RouterStep::Empty),
        4 => (0..4_usize).prop_map(RouterStep::Send),
        2 => (0..4_u32).prop_map(RouterStep::Deliver),
    ]
}

/// The identities that peers of the model choose; none, and one that nobody chooses.
const NAMES: [&str; 4] = ["", "ann", "ben", "nobody"];

proptest! {
    /// The model of ROUTER: who has which identity, and what each is known by.
    #[test]
    fn router(
        steps in proptest::collection::vec(router_step(), 0..80),
        mandatory: bool,
        handover: bool,
    ) {
        let settings = [Setting::RouterMandatory(mandatory), Setting::RouterHandover(handover)];
        let mut router = Socket::new(Kind::Router, &settings);
        let mut holders: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
        let mut known_by: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
        let mut generated = BTreeSet::new();
        for step in steps {
            match step {
                RouterStep::Come(peer, name) if !router.attached.contains(&peer) => {
                    let holder = holders.get(NAMES[name].as_bytes()).copied();
                    match router.come(peer, NAMES[name]) {
                        Err(_) => {
                            prop_assert!(holder.is_some() && !handover);
                            continue;
                        }
                        Ok(Greeted::Replaces(other)) => {
                            prop_assert_eq!((holder, handover), (Some(other.0), true));
                        }
                        Ok(_) => prop_assert_eq!(holder, None),
                    }
                    let hello = router.deliver(peer, message(&[b"hello"])).unwrap();
                    let identity = hello[0].to_vec();
                    if NAMES[name].is_empty() {
                        prop_assert!(identity.len() == 5 && identity[0] == 0);
                        prop_assert!(generated.insert(identity.clone()), "a new one each time");
                    } else {
                        prop_assert_eq!(&identity, NAMES[name].as_bytes());
                    }
                    holders.insert(identity.clone(), peer);
                    known_by.insert(peer, identity);
                }
                RouterStep::Go(peer) if router.attached.contains(&peer) => {
                    router.go(peer);
                    known_by.remove(&peer);
                    holders.retain(|_, holder| *holder != peer);
                }
                RouterStep::Fill(peer) => _ = router.full.0.insert(peer),
                RouterStep::Empty(peer) => _ = router.full.0.remove(&peer),
                RouterStep::Send(name) => {
                    // By what a peer is known by, which may be generated; else by a name.
                    let identity = known_by.get(&(name as u32)).cloned();
                    let identity = identity.unwrap_or_else(|| NAMES[name].as_bytes().to_vec());
                    let expected = match holders.get(&identity) {
                        Some(holder) if !router.full.0.contains(holder) => {
                            Ok(Some((*holder, message(&[b"x"]))))
                        }
                        Some(_) if mandatory => Err(Wrong::Wait),
                        None if mandatory => Err(Wrong::Misuse(Misuse::Unroutable)),
                        _ => Ok(None),
                    };
                    prop_assert_eq!(router.send(message(&[&identity, b"x"])), expected);
                }
                RouterStep::Deliver(peer) if router.attached.contains(&peer) => {
                    let expected = message(&[&known_by[&peer], b"", b"x"]);
                    prop_assert_eq!(router.deliver(peer, message(&[b"", b"x"])), Some(expected));
                }
                _ => {}
            }
        }
    }
}

const CLIENTS: usize = 3;
const SERVERS: usize = 2;

/// A message on a line: of whom, to whom.
type Line = VecDeque<(usize, usize, Message)>;

proptest! {
    /// Three REQ and two REP over lines that deliver when the schedule says so: every client gets
    /// the replies to its own requests, in their order, and every request is answered once.
    #[test]
    fn requests_and_replies_find_each_other(
        schedule in proptest::collection::vec(0..CLIENTS + 2, 0..400),
    ) {
        let mut clients: Vec<_> = (0..CLIENTS).map(|_| Socket::new(Kind::Req, &[])).collect();
        let mut servers: Vec<_> = (0..SERVERS).map(|_| Socket::new(Kind::Rep, &[])).collect();
        for (client, server) in (0..CLIENTS).flat_map(|c| (0..SERVERS).map(move |s| (c, s))) {
            clients[client].come(server as u32, "").unwrap();
            servers[server].come(client as u32, "").unwrap();
        }
        let (mut requests, mut replies) = (Line::new(), Line::new());
        let mut answered = [0_u32; CLIENTS];
        for turn in schedule {
            if turn < CLIENTS {
                let client = &mut clients[turn];
                if client.pattern.may_recv().is_err() {
                    let number = answered[turn].to_be_bytes();
                    let sent = client.send(message(&[&[turn as u8], &number]));
                    let (server, request) = sent.unwrap().unwrap();
                    requests.push_back((turn, server as usize, request));
                }
            } else if turn == CLIENTS {
                let Some((client, at, request)) = requests.pop_front() else { continue };
                let body = servers[at].deliver(client as u32, request).unwrap();
                let (to, reply) = servers[at].send(body).unwrap().unwrap();
                replies.push_back((at, to as usize, reply));
            } else {
                let Some((server, to, reply)) = replies.pop_front() else { continue };
                let body = clients[to].deliver(server as u32, reply).unwrap();
                prop_assert_eq!(body, message(&[&[to as u8], &answered[to].to_be_bytes()]));
                answered[to] += 1;
            }
        }
    }
}
