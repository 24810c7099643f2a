//! Members that follow the protocol, members that dawdle, members that die, connections that
//! break, brokers that restart: at random, under a clock that only moves when told.
//!
//! Checked after every step: the fields of the group agree with each other, the generation never
//! goes back, no generation has two leaders, no request is answered twice, and a member that does
//! what it should when it should is never thrown out. Checked once things calm down: every request
//! has been answered or given up, exactly the running members are in the group, in one stable
//! generation, each with the assignment made for it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use chaski_kafka::ErrorCode;
use proptest::prelude::*;

use super::scene::{Client, Scene, Ticket, client, static_client};
use crate::groups::State;

const BEAT: Duration = Duration::from_secs(3);

#[derive(Debug, Clone)]
enum Op {
    Pass {
        ms: u64,
    },
    Start(usize),
    Step(usize),
    Beat(usize),
    Commit(usize),
    /// Another subscription.
    Turn(usize),
    /// The connection breaks.
    Cut(usize),
    Leave(usize),
    Crash(usize),
    RestartBroker,
}

/// What a peer does next.
#[derive(Debug, Clone)]
enum Doing {
    Join,
    AwaitJoin(Ticket),
    Sync(Vec<String>),
    AwaitSync(Ticket),
    Consume,
}

struct Peer {
    client: Client,
    /// Takes each step as soon as it can. The others take one when told.
    diligent: bool,
    running: bool,
    doing: Doing,
    beat_at: Instant,
    /// It may find itself unknown: the broker has forgotten everybody.
    excused: bool,
}

struct Simulation {
    scene: Scene,
    peers: Vec<Peer>,
    given_up: BTreeSet<Ticket>,
    leaders: BTreeMap<i32, String>,
    generation: i32,
}

impl Simulation {
    fn new(versions: &[i16]) -> Self {
        let mut scene = Scene::new();
        // Holds the group in being when nobody is in it.
        scene.commit(None, ("t", 3), 1, "");
        let clients = [
            (client("a"), true),
            (client("b"), true),
            (static_client("c", "ic"), true),
            (client("d"), false),
            (static_client("e", "ie"), false),
        ];
        let beat_at = scene.now;
        let peer = |((client, diligent), version): ((Client, bool), &i16)| Peer {
            client: Client {
                // Static members exist since version 5.
                version: if client.instance.is_some() { (*version).max(5) } else { *version },
                ..client
            },
            diligent,
            running: false,
            doing: Doing::Join,
            beat_at,
            excused: false,
        };
        let peers = clients.into_iter().zip(versions).map(peer).collect();
        let (given_up, leaders) = (BTreeSet::new(), BTreeMap::new());
        Simulation { scene, peers, given_up, leaders, generation: 0 }
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Pass { ms } => self.pass(Duration::from_millis(ms), Duration::from_secs(1)),
            Op::Start(who) => self.peers[who].running = true,
            Op::Step(who) => self.step(who),
            Op::Beat(who) => self.beat(who),
            Op::Commit(who) => self.commit(who),
            Op::Turn(who) => {
                let peer = &mut self.peers[who];
                peer.client.topics.push("t");
                peer.client.topics.truncate(3);
                if matches!(peer.doing, Doing::Consume) {
                    peer.doing = Doing::Join;
                }
            }
            Op::Cut(who) => self.cut(who),
            Op::Leave(who) => self.leave(who),
            Op::Crash(who) => {
                self.cut(who);
                self.stop(who);
            }
            Op::RestartBroker => self.restart_broker(),
        }
        self.run_diligent();
        self.check();
    }

    fn check(&mut self) {
        for entry in self.scene.coordinator.groups.values() {
            entry.group.assert_consistent();
        }
        let generation = self.scene.generation();
        assert!(generation >= self.generation, "{generation} after {}", self.generation);
        self.generation = generation;
    }

    fn pass(&mut self, time: Duration, stride: Duration) {
        let mut left = time;
        while !left.is_zero() {
            let now = stride.min(left);
            left -= now;
            self.scene.pass(now);
            for who in 0..self.peers.len() {
                let peer = &self.peers[who];
                if peer.diligent && peer.running && self.scene.now >= peer.beat_at {
                    self.beat(who);
                }
            }
            self.run_diligent();
            self.check();
        }
    }

    /// Lets the diligent take all the steps they can, which one's may open to another.
    fn run_diligent(&mut self) {
        for _ in 0..20 {
            let before = self.progress();
            for who in 0..self.peers.len() {
                if self.peers[who].diligent {
                    self.step(who);
                }
            }
            if self.progress() == before {
                return;
            }
        }
        panic!("the diligent never come to rest");
    }

    fn progress(&self) -> String {
        let doings: Vec<_> = self.peers.iter().map(|p| (p.running, &p.doing)).collect();
        format!("{doings:?}")
    }

    /// The next step of the protocol, if it is this peer's turn.
    fn step(&mut self, who: usize) {
        let peer = &mut self.peers[who];
        if !peer.running {
            return;
        }
        match peer.doing.clone() {
            Doing::Join => peer.doing = Doing::AwaitJoin(self.scene.join(&peer.client)),
            Doing::AwaitJoin(ticket) if !self.scene.is_waiting(ticket) => self.joined(who, ticket),
            Doing::Sync(members) => {
                peer.doing = Doing::AwaitSync(self.scene.sync(&peer.client, &members));
            }
            Doing::AwaitSync(ticket) if !self.scene.is_waiting(ticket) => self.synced(who, ticket),
            _ => {}
        }
    }

    fn joined(&mut self, who: usize, ticket: Ticket) {
        let peer = &mut self.peers[who];
        let joined = self.scene.joined(&peer.client, ticket);
        match joined.error {
            ErrorCode::NONE => {
                if joined.leads() && !joined.skip_assignment {
                    let leader = self.leaders.entry(joined.generation);
                    let leader = leader.or_insert_with(|| joined.leader.clone());
                    assert_eq!(*leader, joined.member_id, "two lead {}", joined.generation);
                }
                peer.client.member_id = joined.member_id;
                peer.client.generation = joined.generation;
                peer.doing = Doing::Sync(joined.members);
            }
            ErrorCode::MEMBER_ID_REQUIRED => {
                peer.client.member_id = joined.member_id;
                peer.doing = Doing::Join;
            }
            error => self.refused(who, error),
        }
    }

    fn synced(&mut self, who: usize, ticket: Ticket) {
        match self.scene.synced(ticket) {
            Ok(assignment) => {
                let peer = &mut self.peers[who];
                // The leader may have known a static member by the id of a former self.
                let is_own = match peer.client.instance {
                    Some(instance) => assignment.starts_with(instance),
                    None => assignment == peer.client.member_id,
                };
                assert!(is_own, "{who} was assigned {assignment}");
                peer.doing = Doing::Consume;
            }
            Err(error) => self.refused(who, error),
        }
    }

    /// Does what the error asks for; a diligent member is only ever asked to join again.
    fn refused(&mut self, who: usize, error: ErrorCode) {
        let peer = &mut self.peers[who];
        let blameless = peer.diligent && !peer.excused;
        match error {
            ErrorCode::REBALANCE_IN_PROGRESS => {}
            ErrorCode::ILLEGAL_GENERATION => assert!(!blameless, "{who} was left behind"),
            ErrorCode::UNKNOWN_MEMBER_ID => {
                assert!(!blameless, "{who} was thrown out");
                peer.excused = false;
                peer.client.member_id.clear();
            }
            error => panic!("{who}: {error:?}"),
        }
        peer.doing = Doing::Join;
    }

    fn beat(&mut self, who: usize) {
        let peer = &mut self.peers[who];
        peer.beat_at = self.scene.now + BEAT;
        if !peer.running || !matches!(peer.doing, Doing::Consume) {
            return;
        }
        match self.scene.heartbeat(&peer.client) {
            ErrorCode::NONE => {}
            error => self.refused(who, error),
        }
    }

    fn commit(&mut self, who: usize) {
        let peer = &self.peers[who];
        if !peer.running || !matches!(peer.doing, Doing::Consume) {
            return;
        }
        match self.scene.commit(Some(&peer.client), ("t", 0), 1, "") {
            ErrorCode::NONE => {}
            error => self.refused(who, error),
        }
    }

    fn cut(&mut self, who: usize) {
        let peer = &mut self.peers[who];
        if let Doing::AwaitJoin(ticket) | Doing::AwaitSync(ticket) = peer.doing {
            if self.scene.is_waiting(ticket) {
                let now = self.scene.now;
                self.scene.coordinator.abandon(now, |t| *t == ticket);
                self.given_up.insert(ticket);
            }
            peer.doing = Doing::Join;
        }
    }

    fn leave(&mut self, who: usize) {
        let peer = &self.peers[who];
        if peer.running && !peer.client.member_id.is_empty() {
            let (id, instance) = (peer.client.member_id.clone(), peer.client.instance);
            let left = self.scene.leave(&[(&id, instance)]);
            assert!(left == [ErrorCode::NONE] || !peer.diligent || peer.excused);
        }
        self.cut(who);
        self.stop(who);
    }

    fn stop(&mut self, who: usize) {
        let peer = &mut self.peers[who];
        peer.running = false;
        peer.doing = Doing::Join;
        peer.excused = false;
        peer.client.member_id.clear();
        peer.client.generation = -1;
    }

    fn restart_broker(&mut self) {
        for who in 0..self.peers.len() {
            self.cut(who);
            let peer = &mut self.peers[who];
            peer.excused = !peer.client.member_id.is_empty();
        }
        self.scene.restart();
    }

    /// No more mishaps: all who run are diligent from now on.
    fn calm_down(&mut self) {
        for peer in &mut self.peers {
            peer.excused |= !peer.diligent;
            peer.diligent = true;
        }
        self.run_diligent();
        self.pass(Duration::from_secs(240), BEAT);

        let running: Vec<_> = self.peers.iter().filter(|p| p.running).collect();
        let state = if running.is_empty() { State::Empty } else { State::Stable };
        assert_eq!(self.scene.state(), state);
        assert_eq!(self.scene.member_count(), running.len());
        for peer in running {
            assert!(matches!(peer.doing, Doing::Consume), "{}: {:?}", peer.client.name, peer.doing);
            assert_eq!(peer.client.generation, self.generation);
        }
        let waiting = |ticket: &Ticket| self.scene.is_waiting(*ticket);
        let waiting: Vec<_> = self.scene.tickets().filter(waiting).collect();
        assert!(waiting.iter().all(|t| self.given_up.contains(t)), "{waiting:?}");
        assert!(self.given_up.iter().all(|t| self.scene.is_waiting(*t)), "answered all the same");
    }
}

fn op() -> impl Strategy<Value = Op> {
    let who = 0..5_usize;
    prop_oneof![
        6 => (0..5000_u64).prop_map(|ms| Op::Pass { ms }),
        1 => (10_000..70_000_u64).prop_map(|ms| Op::Pass { ms }),
        4 => who.clone().prop_map(Op::Start),
        6 => who.clone().prop_map(Op::Step),
        2 => who.clone().prop_map(Op::Beat),
        1 => who.clone().prop_map(Op::Commit),
        2 => who.clone().prop_map(Op::Turn),
        2 => who.clone().prop_map(Op::Cut),
        1 => who.clone().prop_map(Op::Leave),
        2 => who.prop_map(Op::Crash),
        1 => Just(Op::RestartBroker),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_group_comes_to_rest_whatever_has_happened(
        versions in prop::collection::vec(prop::sample::select(vec![3_i16, 5, 8, 9]), 5),
        ops in prop::collection::vec(op(), 1..80),
    ) {
        let mut simulation = Simulation::new(&versions);
        for op in &ops {
            simulation.apply(op);
        }
        simulation.calm_down();
    }
}
