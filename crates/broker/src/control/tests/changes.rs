//! Changes of topics: what is served between their halves, and in which order they come.

use chaski_kafka::{ErrorCode, Reader, alter_configs, heartbeat, metadata};

use super::*;
use crate::limits::CONTROL_CHANGES_BYTES_MAX;

fn creation<'a>(name: &'a str, partitions: i32) -> create_topics::Request<'a> {
    let topic = create_topics::RequestTopic {
        name,
        num_partitions: partitions,
        replication_factor: 1,
        ..Default::default()
    };
    create_topics::Request { topics: vec![topic], ..Default::default() }
}

fn deletion(name: &str) -> delete_topics::Request<'_> {
    delete_topics::Request { topic_names: vec![name], ..Default::default() }
}

fn metadata_of(name: &str) -> metadata::Request<'_> {
    let topic = metadata::RequestTopic { name: Some(name), ..Default::default() };
    metadata::Request {
        topics: Some(vec![topic]),
        allow_auto_topic_creation: true,
        ..Default::default()
    }
}

impl Scene {
    /// The numbers of the requests answered since the last call, in order.
    fn answered(&mut self) -> Vec<u64> {
        self.answers().into_iter().map(|(sequence, _)| sequence).collect()
    }

    fn answers(&mut self) -> Vec<(u64, Vec<u8>)> {
        let replies = self.control.effects.replies.clone();
        self.control.settle();
        let number = |asker| match asker {
            Asker::Connection(ticket) => ticket.sequence,
            Asker::Caller(number) => number,
        };
        replies.into_iter().map(|(asker, body)| (number(asker), body)).collect()
    }

    fn beat(&mut self) -> u64 {
        self.ask(ApiKey::Heartbeat, 3, &heartbeat::Request::default())
    }

    fn partitions(&self, name: &str) -> Option<usize> {
        Some(self.control.broker.cluster.load().by_name.get(name)?.partitions.len())
    }
}

#[test]
fn heartbeats_are_answered_while_a_topic_is_made_and_while_it_is_deleted() {
    let mut scene = Scene::new();
    let made = scene.ask(ApiKey::CreateTopics, 5, &creation("t", 10_000));
    let beats = [scene.beat(), scene.beat()];
    assert_eq!(scene.answered(), beats);
    assert_eq!(scene.partitions("t"), None, "it is not shown before it is whole");
    assert!(scene.work());
    assert_eq!(scene.answered(), [made]);
    assert_eq!(scene.partitions("t"), Some(10_000));

    let deleted = scene.ask(ApiKey::DeleteTopics, 5, &deletion("t"));
    assert_eq!(scene.partitions("t"), None, "it is hidden before its partitions go");
    let beat = scene.beat();
    assert_eq!(scene.answered(), [beat]);
    assert!(scene.work());
    assert_eq!(scene.answered(), [deleted]);
}

#[test]
fn changes_come_one_after_the_other_and_each_finds_what_the_one_before_has_left() {
    let mut scene = Scene::new();
    let asked = [
        scene.ask(ApiKey::CreateTopics, 5, &creation("t", 1)),
        scene.ask(ApiKey::CreateTopics, 5, &creation("t", 2)),
        scene.ask(ApiKey::DeleteTopics, 5, &deletion("t")),
        scene.ask(ApiKey::CreateTopics, 5, &creation("t", 3)),
    ];
    assert_eq!(scene.facts.commits().len(), 1, "the others are not even checked");
    let mut partitions = Vec::new();
    let mut answers = Vec::new();
    while scene.work() {
        answers.extend(scene.answers());
        partitions.push(scene.partitions("t"));
    }
    let order: Vec<u64> = answers.iter().map(|(sequence, _)| *sequence).collect();
    assert_eq!(order, asked);
    let code = |body: &[u8]| {
        let response = create_topics::Response::decode(&mut Reader::new(body), 5);
        response.expect("an answer").topics[0].error_code
    };
    assert_eq!(code(&answers[0].1), ErrorCode::NONE);
    assert_eq!(code(&answers[1].1), ErrorCode::TOPIC_ALREADY_EXISTS);
    assert_eq!(code(&answers[3].1), ErrorCode::NONE);
    // The deletion has begun by the time that the second creation is answered.
    assert_eq!(partitions, [Some(1), None, None, Some(3)]);
}

#[test]
fn who_asks_for_a_topic_that_is_being_made_is_told_of_it_and_of_others_at_once() {
    let mut scene = Scene::new();
    scene.make(&["known"]);
    let first = scene.ask(ApiKey::Metadata, 9, &metadata_of("t"));
    let second = scene.ask(ApiKey::Metadata, 9, &metadata_of("t"));
    let known = scene.ask(ApiKey::Metadata, 9, &metadata_of("known"));
    assert_eq!(scene.answered(), [known]);
    while scene.work() {}
    let answers = scene.answers();
    assert_eq!(answers.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [first, second]);
    for (_, body) in &answers {
        let response = metadata::Response::decode(&mut Reader::new(body), 9).expect("an answer");
        assert_eq!(response.topics[0].error_code, ErrorCode::NONE);
    }
    assert_eq!(answers[0].1, answers[1].1, "there is one such topic");
}

#[test]
fn metadata_makes_no_topic_unless_both_the_request_and_the_broker_say_so() {
    let modest = metadata::Request { allow_auto_topic_creation: false, ..metadata_of("t") };
    let mut strict = Broker::for_tests();
    strict.auto_create = false;
    let cases = [(Scene::new(), modest), (Scene::of(strict, Facts::default()), metadata_of("t"))];
    for (mut scene, request) in cases {
        let asked = scene.ask(ApiKey::Metadata, 9, &request);
        let answers = scene.answers();
        assert_eq!(answers[0].0, asked, "it need not wait for anything");
        let response = metadata::Response::decode(&mut Reader::new(&answers[0].1), 9);
        let topic = &response.expect("an answer").topics[0];
        assert_eq!(topic.error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        assert!(!scene.work() && scene.facts.commits().is_empty());
    }
}

#[test]
fn settings_that_change_wait_for_their_turn() {
    let mut scene = Scene::new();
    let made = scene.ask(ApiKey::CreateTopics, 5, &creation("t", 1));
    let config = alter_configs::Config { name: "retention.ms", value: Some("77") };
    let resource = alter_configs::RequestResource {
        resource_type: chaski_kafka::describe_configs::TOPIC,
        resource_name: "t",
        configs: vec![config],
    };
    let request = alter_configs::Request { resources: vec![resource], validate_only: false };
    let altered = scene.ask(ApiKey::AlterConfigs, 1, &request);
    while scene.work() {}
    assert_eq!(scene.answered(), [made, altered]);
    assert_eq!(scene.control.topic("t").expect("made").given.get("retention.ms"), Some("77"));
}

#[test]
fn a_change_whose_asker_has_given_up_is_not_begun() {
    let mut scene = Scene::new();
    scene.ask(ApiKey::CreateTopics, 5, &creation("first", 1));
    for (caller, topic) in [(7, "given-up"), (8, "waited-for")] {
        let mut w = Writer::new();
        creation(topic, 1).encode(&mut w, 5);
        let mut asked = work(ApiKey::CreateTopics, 5, w.into_parts().0);
        asked.asker = Asker::Caller(caller);
        let message = ToControl::Request(asked);
        scene.control.broker.queued_bytes.fetch_add(message.bytes(), Ordering::Relaxed);
        scene.control.take(message);
    }
    scene.control.take(ToControl::GaveUp(7));
    while scene.work() {}
    scene.answers();
    let made = ["first", "given-up", "waited-for"].map(|topic| scene.partitions(topic));
    assert_eq!(made, [Some(1), None, Some(1)]);
    assert_eq!(scene.control.broker.queued_bytes.load(Ordering::Relaxed), 0);
}

#[test]
fn changes_that_wait_are_bounded_and_leave_room_for_others() {
    let mut scene = Scene::new();
    let broker = scene.control.broker.clone();
    scene.ask(ApiKey::CreateTopics, 5, &creation("t", 1));
    let large = || {
        let body = vec![0; CONTROL_REQUEST_BYTES_MAX];
        ToControl::Request(work(ApiKey::DeleteTopics, 5, body))
    };
    let mut refused = 0;
    for _ in 0..10 {
        broker.tell_control(large());
        scene.control.take(large());
        refused += std::mem::take(&mut scene.control.hopeless).len();
    }
    let fitting = CONTROL_CHANGES_BYTES_MAX / large().bytes();
    assert_eq!(refused, 10 - fitting, "those are told at once");
    assert!(broker.control_has_room(CONTROL_REQUEST_BYTES_MAX), "for heartbeats");
    while scene.work() {}
    assert!(!scene.control.changes.is_due());
    let queued = broker.queued_bytes.load(Ordering::Relaxed);
    assert_eq!(queued, 0, "what has had its turn waits no more");
}

#[test]
fn a_change_that_is_never_concluded_keeps_nobody_from_stopping() {
    let Scene { mut control, files, _reactor, .. } = {
        let mut scene = Scene::new();
        scene.ask(ApiKey::CreateTopics, 5, &creation("t", 1));
        scene
    };
    assert!(control.changes.under_way());
    // As if it had panicked: its last word is that it is gone.
    drop(files);
    assert!(control.take(ToControl::FilesEnded), "no broker without it");
    assert!(!control.changes.under_way() && control.changes.check().is_err());
}
