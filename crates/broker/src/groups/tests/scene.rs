//! A coordinator with a clock that only moves when told, a store that outlives it, and clients.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use chaski_kafka::{
    ApiKey, ErrorCode, Message, Reader, Writer, heartbeat, join_group, leave_group, offset_commit,
    offset_fetch, sync_group,
};
use chaski_log::store::Change;
use uuid::Uuid;

use crate::groups::{
    Caller, Coordinator, Effects, KEY_PREFIX, Limits, State, Topics, subscription,
};

pub(super) const GROUP: &str = "g";
pub(super) const SESSION: Duration = Duration::from_secs(10);
pub(super) const REBALANCE: Duration = Duration::from_secs(60);
/// The default wait of an empty group, and a little more.
pub(super) const OPENING: Duration = Duration::from_millis(101);
/// Wall-clock time at the start of a scene.
pub(super) const START_MS: i64 = 1_700_000_000_000;

pub(super) type Ticket = u64;

pub(super) struct Scene {
    pub(super) coordinator: Coordinator<Ticket>,
    pub(super) limits: Limits,
    pub(super) now: Instant,
    started: Instant,
    pub(super) store: BTreeMap<String, Vec<u8>>,
    pub(super) topics: Partitions,
    replies: BTreeMap<Ticket, Vec<u8>>,
    tickets: Ticket,
    ids: u128,
}

pub(super) struct Partitions(pub(super) BTreeSet<(String, i32)>);

impl Topics for Partitions {
    fn has(&self, topic: &str, partition: i32) -> bool {
        self.0.contains(&(topic.to_owned(), partition))
    }
}

/// A consumer, as it knows itself.
#[derive(Debug, Clone)]
pub(super) struct Client {
    pub(super) name: &'static str,
    pub(super) instance: Option<&'static str>,
    pub(super) member_id: String,
    pub(super) generation: i32,
    pub(super) protocols: Vec<&'static str>,
    pub(super) topics: Vec<&'static str>,
    pub(super) session: Duration,
    pub(super) rebalance: Duration,
    /// Of JoinGroup.
    pub(super) version: i16,
}

/// A JoinGroup response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Joined {
    pub(super) error: ErrorCode,
    pub(super) generation: i32,
    pub(super) protocol: String,
    pub(super) leader: String,
    pub(super) skip_assignment: bool,
    pub(super) member_id: String,
    pub(super) members: Vec<String>,
}

impl Joined {
    pub(super) fn leads(&self) -> bool {
        self.leader == self.member_id
    }
}

pub(super) fn client(name: &'static str) -> Client {
    Client {
        name,
        instance: None,
        member_id: String::new(),
        generation: -1,
        protocols: vec!["range"],
        topics: vec!["t"],
        session: SESSION,
        rebalance: REBALANCE,
        version: 9,
    }
}

pub(super) fn static_client(name: &'static str, instance: &'static str) -> Client {
    Client { instance: Some(instance), ..client(name) }
}

impl Scene {
    pub(super) fn new() -> Self {
        Scene::with_limits(Limits::default())
    }

    pub(super) fn with_limits(limits: Limits) -> Self {
        let now = Instant::now();
        let mut scene = Scene {
            coordinator: Coordinator::restore(limits.clone(), Vec::new()),
            limits,
            now,
            started: now,
            store: BTreeMap::new(),
            topics: Partitions((0..4).map(|p| ("t".to_owned(), p)).collect()),
            replies: BTreeMap::new(),
            tickets: 0,
            ids: 0,
        };
        scene.restart();
        scene
    }

    /// The broker dies and comes back with what it has stored. Waiting requests are lost.
    pub(super) fn restart(&mut self) {
        let pairs = self.store.range(KEY_PREFIX.to_owned()..);
        let pairs = pairs.map(|(k, v)| (k.clone(), v.clone())).collect();
        self.coordinator = Coordinator::restore(self.limits.clone(), pairs);
        self.ids += 1 << 32;
        let mut next = self.ids;
        self.coordinator.new_uuid = Box::new(move || {
            next += 1;
            Uuid::from_u128(next)
        });
        self.tick();
    }

    pub(super) fn now_ms(&self) -> i64 {
        START_MS + self.now.duration_since(self.started).as_millis() as i64
    }

    pub(super) fn tick(&mut self) {
        let mut fx = Effects::default();
        self.coordinator.tick(self.now, self.now_ms(), &mut fx);
        self.absorb(fx);
    }

    /// Lets time pass, stopping wherever the coordinator wants to be woken.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        let mut idle_turns = 0;
        while let Some(next) = self.coordinator.next_deadline().filter(|at| *at <= end) {
            idle_turns = if next <= self.now { idle_turns + 1 } else { 0 };
            assert!(idle_turns < 10, "the coordinator wants to be woken for nothing");
            self.now = self.now.max(next);
            self.tick();
        }
        self.now = end;
        self.tick();
    }

    pub(super) fn send<'m>(
        &mut self,
        api: ApiKey,
        version: i16,
        from: &str,
        request: &impl Message<'m>,
    ) -> Ticket {
        let mut w = Writer::new();
        request.encode(&mut w, version);
        let (body, _) = w.into_parts();
        self.tickets += 1;
        let ticket = self.tickets;
        let caller = Caller { client_id: from, client_host: "/127.0.0.1" };
        let mut fx = Effects::default();
        let (now, ms) = (self.now, self.now_ms());
        self.coordinator
            .request(now, ms, api, version, &body, &caller, &self.topics, ticket, &mut fx)
            .expect("a request well formed");
        self.absorb(fx);
        ticket
    }

    /// Commits the changes and keeps the replies.
    pub(super) fn absorb(&mut self, fx: Effects<Ticket>) {
        for change in fx.changes {
            match change {
                Change::Put { key, value } => {
                    assert!(key.starts_with(KEY_PREFIX), "{key}");
                    self.store.insert(key, value);
                }
                Change::Delete { key } => {
                    assert!(self.store.remove(&key).is_some(), "{key} deleted, never stored");
                }
            }
        }
        for (ticket, body) in fx.replies {
            assert!(ticket <= self.tickets, "a ticket never given");
            assert!(self.replies.insert(ticket, body).is_none(), "{ticket} answered twice");
        }
    }

    /// All tickets given so far.
    pub(super) fn tickets(&self) -> impl Iterator<Item = Ticket> + use<> {
        1..=self.tickets
    }

    pub(super) fn is_waiting(&self, ticket: Ticket) -> bool {
        !self.replies.contains_key(&ticket)
    }

    pub(super) fn body(&self, ticket: Ticket) -> &[u8] {
        self.replies.get(&ticket).unwrap_or_else(|| panic!("request {ticket} still waits"))
    }

    pub(super) fn response<'a, M: Message<'a>>(&'a self, ticket: Ticket, version: i16) -> M {
        let mut r = Reader::new(self.body(ticket));
        let response = M::decode(&mut r, version).expect("a response well formed");
        r.finish().expect("a response and no more");
        response
    }

    pub(super) fn state(&self) -> State {
        let summary = self.coordinator.summary();
        summary.iter().find(|g| g.group_id == GROUP).map_or(State::Dead, |g| g.state)
    }

    pub(super) fn generation(&self) -> i32 {
        let summary = self.coordinator.summary();
        summary.iter().find(|g| g.group_id == GROUP).map_or(-1, |g| g.generation)
    }

    pub(super) fn member_count(&self) -> usize {
        let summary = self.coordinator.summary();
        summary.iter().find(|g| g.group_id == GROUP).map_or(0, |g| g.members)
    }

    /// Sends one JoinGroup.
    pub(super) fn join(&mut self, client: &Client) -> Ticket {
        self.join_as(client, "consumer", GROUP)
    }

    pub(super) fn join_as(&mut self, client: &Client, protocol_type: &str, group: &str) -> Ticket {
        let metadata = subscription::encode(&client.topics);
        let protocol = |name: &&'static str| join_group::Protocol { name, metadata: &metadata };
        let request = join_group::Request {
            group_id: group,
            session_timeout_ms: client.session.as_millis() as i32,
            rebalance_timeout_ms: client.rebalance.as_millis() as i32,
            member_id: &client.member_id,
            group_instance_id: client.instance,
            protocol_type,
            protocols: client.protocols.iter().map(protocol).collect(),
            reason: None,
        };
        self.send(ApiKey::JoinGroup, client.version, client.name, &request)
    }

    /// Asks for an id, then joins with it, as clients since KIP-394 do.
    pub(super) fn enter(&mut self, client: &mut Client) -> Ticket {
        let ticket = self.join(client);
        if self.is_waiting(ticket) || client.instance.is_some() {
            return ticket;
        }
        let refused = self.joined(client, ticket);
        assert_eq!(refused.error, ErrorCode::MEMBER_ID_REQUIRED);
        client.member_id = refused.member_id;
        self.join(client)
    }

    pub(super) fn joined(&self, client: &Client, ticket: Ticket) -> Joined {
        let response: join_group::Response<'_> = self.response(ticket, client.version);
        Joined {
            error: response.error_code,
            generation: response.generation_id,
            protocol: response.protocol_name.unwrap_or_default().to_owned(),
            leader: response.leader.to_owned(),
            skip_assignment: response.skip_assignment,
            member_id: response.member_id.to_owned(),
            members: response.members.iter().map(|m| m.member_id.to_owned()).collect(),
        }
    }

    /// Takes over what a join was answered; it must have succeeded.
    pub(super) fn settle_in(&self, client: &mut Client, ticket: Ticket) -> Joined {
        let joined = self.joined(client, ticket);
        assert_eq!(joined.error, ErrorCode::NONE, "{}", client.name);
        client.member_id.clone_from(&joined.member_id);
        client.generation = joined.generation;
        joined
    }

    /// Sends a SyncGroup; a leader's gives each member its own id as assignment.
    pub(super) fn sync(&mut self, client: &Client, assigned: &[String]) -> Ticket {
        let assignment =
            |id: &'_ String| -> (String, Vec<u8>) { (id.clone(), id.clone().into_bytes()) };
        let owned: Vec<_> = assigned.iter().map(assignment).collect();
        let assignments = owned.iter();
        let assignments = assignments
            .map(|(id, bytes)| sync_group::Assignment { member_id: id, assignment: bytes });
        let request = sync_group::Request {
            group_id: GROUP,
            generation_id: client.generation,
            member_id: &client.member_id,
            group_instance_id: client.instance,
            protocol_type: Some("consumer"),
            protocol_name: None,
            assignments: assignments.collect(),
        };
        self.send(ApiKey::SyncGroup, 5, client.name, &request)
    }

    pub(super) fn synced(&self, ticket: Ticket) -> Result<String, ErrorCode> {
        let response: sync_group::Response<'_> = self.response(ticket, 5);
        match response.error_code {
            ErrorCode::NONE => Ok(String::from_utf8(response.assignment.to_vec()).unwrap()),
            error => Err(error),
        }
    }

    pub(super) fn heartbeat(&mut self, client: &Client) -> ErrorCode {
        let request = heartbeat::Request {
            group_id: GROUP,
            generation_id: client.generation,
            member_id: &client.member_id,
            group_instance_id: client.instance,
        };
        let ticket = self.send(ApiKey::Heartbeat, 4, client.name, &request);
        self.response::<heartbeat::Response>(ticket, 4).error_code
    }

    /// Removes members by id and instance id, in one request.
    pub(super) fn leave(&mut self, who: &[(&str, Option<&str>)]) -> Vec<ErrorCode> {
        let member = |&(member_id, group_instance_id)| leave_group::RequestMember {
            member_id,
            group_instance_id,
            reason: Some("test"),
        };
        let members = who.iter().map(member).collect();
        let request = leave_group::Request { group_id: GROUP, member_id: "", members };
        let ticket = self.send(ApiKey::LeaveGroup, 5, "admin", &request);
        let response: leave_group::Response<'_> = self.response(ticket, 5);
        assert_eq!(response.error_code, ErrorCode::NONE);
        response.members.iter().map(|m| m.error_code).collect()
    }

    /// Commits one offset; by nobody in particular if `client` is None.
    pub(super) fn commit(
        &mut self,
        client: Option<&Client>,
        (topic, partition): (&str, i32),
        offset: i64,
        metadata: &str,
    ) -> ErrorCode {
        let partition = offset_commit::RequestPartition {
            partition_index: partition,
            committed_offset: offset,
            committed_leader_epoch: 7,
            committed_metadata: Some(metadata),
        };
        let request = offset_commit::Request {
            group_id: GROUP,
            generation_id_or_member_epoch: client.map_or(-1, |c| c.generation),
            member_id: client.map_or("", |c| &c.member_id),
            group_instance_id: client.and_then(|c| c.instance),
            topics: vec![offset_commit::RequestTopic { name: topic, partitions: vec![partition] }],
            ..Default::default()
        };
        let ticket = self.send(ApiKey::OffsetCommit, 9, "committer", &request);
        let response: offset_commit::Response<'_> = self.response(ticket, 9);
        response.topics[0].partitions[0].error_code
    }

    /// All committed offsets of the group: topic, partition, offset, leader epoch, metadata.
    pub(super) fn offsets(&mut self) -> Vec<(String, i32, i64, i32, String)> {
        let request = offset_fetch::Request { group_id: GROUP, topics: None, ..Default::default() };
        let ticket = self.send(ApiKey::OffsetFetch, 7, "fetcher", &request);
        let response: offset_fetch::Response<'_> = self.response(ticket, 7);
        assert_eq!(response.error_code, ErrorCode::NONE);
        let mut all = Vec::new();
        for topic in &response.topics {
            for p in &topic.partitions {
                let metadata = p.metadata.unwrap_or("null").to_owned();
                let epoch = p.committed_leader_epoch;
                let row =
                    (topic.name.to_owned(), p.partition_index, p.committed_offset, epoch, metadata);
                all.push(row);
            }
        }
        all
    }

    /// Brings clients that are not in the group, or have to join again, to a stable generation.
    /// The answers are in the order of the clients.
    pub(super) fn form(&mut self, clients: &mut [&mut Client]) -> Vec<Joined> {
        let opens = matches!(self.state(), State::Empty | State::Dead);
        let mut tickets = Vec::new();
        for client in clients.iter_mut() {
            let known = !client.member_id.is_empty();
            tickets.push(if known { self.join(client) } else { self.enter(client) });
        }
        if opens {
            // Company makes the coordinator wait once more.
            self.pass(OPENING * 2);
        }
        let mut answers = Vec::new();
        for (client, ticket) in clients.iter_mut().zip(tickets) {
            answers.push(self.settle_in(client, ticket));
        }
        let mut syncs = Vec::new();
        for (client, joined) in clients.iter().zip(&answers) {
            syncs.push(self.sync(client, &joined.members));
        }
        for (client, sync) in clients.iter().zip(syncs) {
            assert_eq!(self.synced(sync), Ok(client.member_id.clone()));
        }
        assert_eq!(self.state(), State::Stable);
        answers
    }
}
