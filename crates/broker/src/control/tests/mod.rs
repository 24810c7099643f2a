//! The control thread without its thread: what it commits, and what it does when it cannot.

mod changes;
mod crash;

use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use chaski_kafka::{Message, Writer, create_topics, delete_topics, init_producer_id};
use chaski_log::MemoryMeta;
use chaski_log::store::{FaultKind, LogStore};
use chaski_reactor::{ConnId, Limits, Reactor};

use super::topics::{Changed, NewTopic};
use super::*;
use crate::limits::{
    CONTROL_QUEUED_BYTES_MAX, CONTROL_REQUEST_BYTES_MAX, PARTITIONS_PER_REQUEST_MAX,
};
use crate::settings::TOPIC;
use crate::shard::Ticket;

/// A MetaStore that others look into, and fill up.
#[derive(Clone, Default)]
struct Facts(Arc<Mutex<Inside>>);

#[derive(Default)]
struct Inside {
    meta: MemoryMeta,
    commits: Vec<Vec<Change>>,
    full: bool,
}

impl Facts {
    fn with<R>(&self, look: impl FnOnce(&mut Inside) -> R) -> R {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The commits since the last call.
    fn commits(&self) -> Vec<Vec<Change>> {
        self.with(|inside| std::mem::take(&mut inside.commits))
    }
}

impl MetaStore for Facts {
    fn scan(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        self.with(|inside| inside.meta.scan(prefix))
    }
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.with(|inside| inside.meta.get(key))
    }
    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        self.with(|inside| {
            if inside.full {
                let source = io::Error::from_raw_os_error(28);
                return Err(StoreError::Io { what: "commit".to_owned(), source });
            }
            inside.commits.push(changes.to_vec());
            inside.meta.commit(changes)
        })
    }
}

/// A control thread's state, that of the thread beside it, and a reactor that gets its answers but
/// never runs.
struct Scene {
    control: Control,
    files: Files,
    facts: Facts,
    /// Number of the last request.
    sequence: u64,
    _reactor: Reactor<ToShard>,
}

impl Scene {
    fn new() -> Scene {
        Scene::of(Broker::for_tests(), Facts::default())
    }

    /// One that keeps records in `store`, and begins with the topics that are in `facts`.
    fn on(store: impl LogStore, mut facts: Facts) -> Scene {
        let mut broker = Broker::for_tests();
        let cluster = load(&mut facts, &store, &broker.settings).expect("loaded");
        broker.cluster.store(Arc::new(cluster));
        broker.store = Arc::new(store);
        Scene::of(broker, facts)
    }

    fn of(broker: Broker, facts: Facts) -> Scene {
        let reactor = Reactor::new(Limits::default()).expect("a reactor");
        let shards = vec![reactor.handle()];
        let (control, files) =
            Control::new(Arc::new(broker), Box::new(facts.clone()), shards).expect("facts");
        Scene { control, files, facts, sequence: 0, _reactor: reactor }
    }

    /// A batch of one request, up to the point where the files thread has something to do. Returns
    /// the request's number.
    fn ask<'a>(&mut self, api: ApiKey, version: i16, request: &impl Message<'a>) -> u64 {
        let mut w = Writer::new();
        request.encode(&mut w, version);
        self.sequence += 1;
        let mut work = work(api, version, w.into_parts().0);
        if let Asker::Connection(ticket) = &mut work.asker {
            ticket.sequence = self.sequence;
        }
        let message = ToControl::Request(work);
        self.control.broker.queued_bytes.fetch_add(message.bytes(), Ordering::Relaxed);
        self.control.pay();
        self.control.take(message);
        self.control.begin_change();
        self.sequence
    }

    /// A batch of one request, and all that follows from it.
    fn take<'a>(&mut self, api: ApiKey, version: i16, request: &impl Message<'a>) {
        self.ask(api, version, request);
        while self.work() {}
    }

    /// Has the files thread do what it has to, and the change of it concluded. Returns false if
    /// there is nothing.
    fn work(&mut self) -> bool {
        let Some(settled) = self.files.work() else { return false };
        self.control.take(ToControl::Settled(settled));
        self.control.begin_change();
        true
    }

    fn make(&mut self, names: &[&str]) {
        let topics = names
            .iter()
            .map(|name| create_topics::RequestTopic {
                name,
                num_partitions: 2,
                replication_factor: 1,
                ..Default::default()
            })
            .collect();
        let request = create_topics::Request { topics, ..Default::default() };
        self.take(ApiKey::CreateTopics, 5, &request);
        self.control.settle();
    }

    fn commit_offset(&mut self, group: &str, topic: &str) {
        use chaski_kafka::offset_commit::{Request, RequestPartition, RequestTopic};
        let partition = RequestPartition { committed_offset: 5, ..Default::default() };
        let request = Request {
            group_id: group,
            generation_id_or_member_epoch: -1,
            topics: vec![RequestTopic { name: topic, partitions: vec![partition] }],
            ..Default::default()
        };
        self.take(ApiKey::OffsetCommit, 8, &request);
        self.control.settle();
    }
}

fn work(api: ApiKey, version: i16, body: Vec<u8>) -> Work {
    let ticket = Ticket { shard: 0, conn: ConnId(0), sequence: 0, api, version, correlation_id: 0 };
    let asker = Asker::Connection(ticket);
    Work { asker, api, version, client_id: String::new(), client_host: String::new(), body }
}

fn deletes(commit: &[Change]) -> Vec<&str> {
    commit
        .iter()
        .filter_map(|change| match change {
            Change::Delete { key } => Some(key.as_str()),
            Change::Put { .. } => None,
        })
        .collect()
}

#[test]
fn a_request_is_one_commit() {
    let mut scene = Scene::new();
    scene.make(&["a", "b", "c"]);
    assert_eq!(scene.facts.commits().len(), 1);
    assert_eq!(scene.control.broker.cluster.load().by_name.len(), 3);
    let request = delete_topics::Request { topic_names: vec!["a", "c"], ..Default::default() };
    scene.take(ApiKey::DeleteTopics, 5, &request);
    scene.control.settle();
    assert_eq!(scene.facts.commits().len(), 1);
    assert_eq!(scene.control.broker.cluster.load().by_name.len(), 1);
}

#[test]
fn a_topic_and_its_committed_offsets_go_in_one_commit() {
    let mut scene = Scene::new();
    scene.make(&["t"]);
    scene.commit_offset("g", "t");
    scene.facts.commits();
    let request = delete_topics::Request { topic_names: vec!["t"], ..Default::default() };
    scene.take(ApiKey::DeleteTopics, 5, &request);
    scene.control.settle();
    let commits = scene.facts.commits();
    assert_eq!(deletes(&commits[0]), ["group/g/t/0", "topic/t"]);
}

#[test]
fn a_topic_whose_deletion_cannot_be_committed_keeps_its_offsets() {
    let mut scene = Scene::new();
    scene.make(&["t"]);
    scene.commit_offset("g", "t");
    scene.facts.with(|inside| inside.full = true);
    let request = delete_topics::Request { topic_names: vec!["t"], ..Default::default() };
    scene.take(ApiKey::DeleteTopics, 5, &request);
    assert!(!scene.control.journal.owes(), "nothing has been acted on");
    scene.facts.with(|inside| inside.full = false);
    scene.control.settle();
    assert!(scene.control.topic("t").is_ok());
    assert_eq!(deletes(&scene.facts.commits().concat()), [""; 0]);
    assert_eq!(scene.control.coordinator.counts().offsets, 1);
}

#[test]
fn a_request_makes_so_many_partitions_and_no_more() {
    let scene = Scene::new();
    let mut room = scene.control.room();
    assert!(room.add_topic(PARTITIONS_PER_REQUEST_MAX).is_ok());
    let (code, why) = room.add_topic(1).expect_err("one too many");
    assert_eq!(code, chaski_kafka::ErrorCode::POLICY_VIOLATION, "{why}");
    assert!(scene.control.room().add_topic(1).is_ok(), "another request may");
}

#[test]
fn settings_that_a_partition_does_not_take_are_those_on_disk_all_the_same() {
    let mut scene = Scene::new();
    scene.make(&["t"]);
    let topic = scene.control.topic("t").expect("made");
    scene.control.broker.store.delete(topic.partitions[0]).expect("deleted");
    let mut given = Given::new();
    given.set(TOPIC, "retention.ms", "77").expect("valid");
    let (tell, told) = mpsc::channel();
    let changed = vec![Ok(Changed { topic, given: given.clone() })];
    scene.control.configure(changed, move |_, done| tell.send(done).expect("somebody listens"));
    assert!(scene.work());
    assert!(told.try_recv().expect("done")[0].is_err(), "somebody should hear of it");
    assert_eq!(scene.control.topic("t").expect("there").given, given);
    let stored = scene.facts.get("topic/t").expect("readable").expect("there");
    assert!(String::from_utf8_lossy(&stored).contains("\"retention.ms\":\"77\""));
}

#[test]
fn a_topic_that_cannot_be_committed_is_not_made() {
    let mut scene = Scene::new();
    scene.facts.with(|inside| inside.full = true);
    let new = NewTopic {
        name: "t".to_owned(),
        id: uuid::Uuid::nil(),
        partitions: 1,
        given: Given::new(),
    };
    let (tell, told) = mpsc::channel();
    scene.control.make(vec![Ok(new)], move |_, made| tell.send(made).expect("somebody listens"));
    assert!(scene.work());
    assert!(told.try_recv().expect("done")[0].is_err());
    assert!(scene.control.topic("t").is_err());
    assert!(!scene.control.journal.owes(), "nothing has been acted on");
}

#[test]
fn while_commits_fail_nobody_is_served_and_nothing_piles_up() {
    let mut scene = Scene::new();
    let ask = |scene: &mut Scene| {
        scene.take(ApiKey::InitProducerId, 4, &init_producer_id::Request::default());
        let (answered, refused) =
            (scene.control.effects.replies.len(), scene.control.hopeless.len());
        scene.control.settle();
        (answered, refused)
    };
    scene.facts.with(|inside| inside.full = true);
    assert_eq!(ask(&mut scene), (1, 0), "nobody knows yet; the answer is not sent");
    assert!(scene.control.journal.owes());
    for _ in 0..5000 {
        assert_eq!(ask(&mut scene), (0, 1));
    }
    assert!(scene.control.effects.changes.is_empty());
    scene.facts.with(|inside| inside.full = false);
    assert_eq!(ask(&mut scene), (1, 0), "what was owed is paid first");
    assert!(!scene.control.journal.owes());
}

#[test]
fn what_cannot_be_stored_ails_the_broker_until_it_can() {
    let mut scene = Scene::new();
    let ask = |scene: &mut Scene| {
        scene.take(ApiKey::InitProducerId, 4, &init_producer_id::Request::default());
        scene.control.settle();
    };
    scene.facts.with(|inside| inside.full = true);
    ask(&mut scene);
    let broker = scene.control.broker.clone();
    let fault = broker.ailment.get().expect("something is owed");
    assert_eq!((fault.kind(), fault.errno()), (FaultKind::Full, Some(28)));
    assert_eq!(scene.control.outcome(None), Err(ClientError::Storage(fault)));
    scene.facts.with(|inside| inside.full = false);
    ask(&mut scene);
    assert_eq!(broker.ailment.get(), None);
    assert_eq!(scene.control.outcome(None), Ok(None), "then the request made no sense");
}

#[test]
fn what_is_refused_for_want_of_room_ails_nobody_else() {
    let mut scene = Scene::new();
    scene.facts.with(|inside| inside.full = true);
    scene.make(&["t"]);
    assert!(scene.control.topic("t").is_err());
    assert_eq!(scene.control.broker.ailment.get(), None);
}

#[test]
fn the_queue_to_the_control_thread_is_bounded_in_bytes() {
    let mut scene = Scene::new();
    let broker = scene.control.broker.clone();
    assert!(broker.control_has_room(CONTROL_REQUEST_BYTES_MAX));
    assert!(!broker.control_has_room(CONTROL_REQUEST_BYTES_MAX + 1));
    let large = || {
        let body = vec![0; CONTROL_REQUEST_BYTES_MAX];
        ToControl::Request(work(ApiKey::InitProducerId, 4, body))
    };
    let fitting = CONTROL_QUEUED_BYTES_MAX / CONTROL_REQUEST_BYTES_MAX;
    (0..fitting).for_each(|_| broker.tell_control(large()));
    assert!(!broker.control_has_room(1));
    (0..fitting).for_each(|_| {
        scene.control.take(large());
    });
    assert!(broker.control_has_room(CONTROL_REQUEST_BYTES_MAX));
}

#[test]
fn a_caller_in_the_process_that_gives_up_leaves_nothing_waiting() {
    let mut scene = Scene::new();
    let protocol = chaski_kafka::join_group::Protocol { name: "p", metadata: &[] };
    let request = chaski_kafka::join_group::Request {
        group_id: "g",
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
        protocol_type: "consumer",
        protocols: vec![protocol],
        ..Default::default()
    };
    let mut w = Writer::new();
    request.encode(&mut w, 3);
    let mut message = work(ApiKey::JoinGroup, 3, w.into_parts().0);
    message.asker = Asker::Caller(5);
    scene.control.take(ToControl::Request(message));
    assert!(scene.control.effects.replies.is_empty(), "it waits for others to join");
    scene.control.take(ToControl::GaveUp(5));
    let late = Instant::now() + Duration::from_secs(5);
    scene.control.coordinator.tick(late, now_ms(), &mut scene.control.effects);
    assert!(scene.control.effects.replies.is_empty(), "nobody is there to be answered");
}
