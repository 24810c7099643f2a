//! Committed offsets: who may commit, what comes back, when it goes.

use std::time::Duration;

use chaski_kafka::{ApiKey, ErrorCode, offset_commit, offset_delete, offset_fetch};

use super::scene::{Client, GROUP, OPENING, SESSION, Scene, client};
use crate::groups::{Effects, Limits, State};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn committed(partition: i32, offset: i64, metadata: &str) -> (String, i32, i64, i32, String) {
    ("t".to_owned(), partition, offset, 7, metadata.to_owned())
}

/// Keeps a client's session while time passes.
fn live(scene: &mut Scene, client: &Client, time: Duration) {
    let step = client.session / 2;
    let mut left = time;
    while !left.is_zero() {
        let now = step.min(left);
        scene.pass(now);
        assert_eq!(scene.heartbeat(client), ErrorCode::NONE);
        left -= now;
    }
}

#[test]
fn a_group_of_offsets_alone_is_empty_and_lasts() {
    let mut scene = Scene::new();
    assert_eq!(scene.commit(None, ("t", 1), 42, "half \u{fc} way"), ErrorCode::NONE);
    assert_eq!(scene.commit(None, ("t", 0), 1, ""), ErrorCode::NONE);
    assert_eq!(scene.commit(None, ("t", 0), 2, ""), ErrorCode::NONE);
    let all = [committed(0, 2, ""), committed(1, 42, "half \u{fc} way")];
    assert_eq!(scene.offsets(), all);
    assert_eq!(scene.state(), State::Empty);
    assert_eq!(scene.store.len(), 2, "one key an offset: {:?}", scene.store.keys());
    scene.restart();
    assert_eq!(scene.offsets(), all);
    assert_eq!(scene.coordinator.offsets_held, 2);
}

#[test]
fn the_empty_group_id_may_hold_offsets() {
    let mut scene = Scene::new();
    let partition = offset_commit::RequestPartition { committed_offset: 3, ..Default::default() };
    let topics = vec![offset_commit::RequestTopic { name: "t", partitions: vec![partition] }];
    let request = offset_commit::Request { group_id: "", topics, ..Default::default() };
    let ticket = scene.send(ApiKey::OffsetCommit, 2, "c", &request);
    let response: offset_commit::Response<'_> = scene.response(ticket, 2);
    assert_eq!(response.topics[0].partitions[0].error_code, ErrorCode::NONE);
    scene.restart();
    assert_eq!(scene.coordinator.summary()[0].offsets, 1);
}

#[test]
fn only_members_of_the_generation_commit_while_there_are_any() {
    let mut scene = Scene::new();
    let mut a = client("a");
    assert_eq!(
        scene.commit(Some(&Client { generation: 1, ..client("x") }), ("t", 0), 1, ""),
        ErrorCode::ILLEGAL_GENERATION
    );
    assert_eq!(scene.state(), State::Dead, "a refused commit makes no group");
    let ticket = scene.enter(&mut a);
    scene.pass(OPENING);
    scene.settle_in(&mut a, ticket);
    let commit = scene.commit(Some(&a), ("t", 0), 1, "");
    assert_eq!(commit, ErrorCode::REBALANCE_IN_PROGRESS, "not before its assignment");
    scene.sync(&a, &[]);
    assert_eq!(scene.commit(Some(&a), ("t", 0), 1, ""), ErrorCode::NONE);
    assert_eq!(scene.commit(None, ("t", 0), 2, ""), ErrorCode::UNKNOWN_MEMBER_ID);

    let mut b = client("b");
    scene.enter(&mut b);
    let commit = scene.commit(Some(&a), ("t", 0), 3, "");
    assert_eq!(commit, ErrorCode::NONE, "what it has read before it joins again");
    assert_eq!(scene.offsets(), [committed(0, 3, "")]);
}

#[test]
fn each_partition_has_its_own_outcome() {
    let mut scene = Scene::new();
    assert_eq!(scene.commit(None, ("t", 9), 1, ""), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(scene.commit(None, ("x", 0), 1, ""), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    let large = "m".repeat(4097);
    assert_eq!(scene.commit(None, ("t", 0), 1, &large), ErrorCode::OFFSET_METADATA_TOO_LARGE);
    assert_eq!(scene.state(), State::Dead, "refused commits make no group");
    assert_eq!(scene.commit(None, ("t", 0), 1, &large[1..]), ErrorCode::NONE);
}

#[test]
fn offsets_are_bounded() {
    let mut scene = Scene::with_limits(Limits { offsets_max: 1, ..Limits::default() });
    assert_eq!(scene.commit(None, ("t", 0), 1, ""), ErrorCode::NONE);
    assert_eq!(scene.commit(None, ("t", 1), 1, ""), ErrorCode::POLICY_VIOLATION);
    assert_eq!(scene.commit(None, ("t", 0), 2, ""), ErrorCode::NONE);
}

#[test]
fn fetching_answers_what_was_asked() {
    let mut scene = Scene::new();
    scene.commit(None, ("t", 1), 42, "m");
    let topic = offset_fetch::RequestTopic { name: "t", partition_indexes: vec![0, 1, 1] };
    let group = offset_fetch::RequestGroup {
        group_id: GROUP,
        topics: Some(vec![topic]),
        ..Default::default()
    };
    let all = offset_fetch::RequestGroup { topics: None, ..group.clone() };
    let other = offset_fetch::RequestGroup { group_id: "other", ..group.clone() };
    let groups = vec![group, all, other];
    let request = offset_fetch::Request { groups, require_stable: true, ..Default::default() };
    let ticket = scene.send(ApiKey::OffsetFetch, 9, "c", &request);
    let response: offset_fetch::Response<'_> = scene.response(ticket, 9);
    let ids: Vec<_> = response.groups.iter().map(|g| g.group_id).collect();
    assert_eq!(ids, [GROUP, "other"], "each group once");
    let offsets = |group: usize| -> Vec<_> {
        let partitions = response.groups[group].topics[0].partitions.iter();
        partitions.map(|p| (p.partition_index, p.committed_offset, p.metadata)).collect()
    };
    assert_eq!(offsets(0), [(0, -1, Some("")), (1, 42, Some("m"))]);
    assert_eq!(offsets(1), [(0, -1, Some("")), (1, -1, Some("")), (1, -1, Some(""))]);
    assert!(response.groups.iter().all(|g| g.error_code == ErrorCode::NONE));
}

#[test]
fn a_retention_of_the_clients_own_counts() {
    let mut scene = Scene::new();
    let commit = |scene: &mut Scene, index, retention_time_ms| {
        let partition =
            offset_commit::RequestPartition { partition_index: index, ..Default::default() };
        let topics = vec![offset_commit::RequestTopic { name: "t", partitions: vec![partition] }];
        let request = offset_commit::Request {
            group_id: GROUP,
            retention_time_ms,
            topics,
            ..Default::default()
        };
        scene.send(ApiKey::OffsetCommit, 4, "c", &request);
    };
    commit(&mut scene, 0, DAY.as_millis() as i64);
    commit(&mut scene, 1, i64::MAX);
    commit(&mut scene, 2, -1);
    scene.pass(DAY * 2);
    assert_eq!(scene.offsets().len(), 2);
    scene.pass(DAY * 6);
    assert_eq!(scene.offsets().len(), 1);
}

#[test]
fn offsets_outlive_their_group_by_the_retention() {
    let mut scene = Scene::new();
    let mut a = Client { session: Duration::from_secs(1800), ..client("a") };
    scene.form(&mut [&mut a]);
    assert_eq!(scene.commit(Some(&a), ("t", 0), 5, ""), ErrorCode::NONE);
    live(&mut scene, &a, DAY * 8);
    assert_eq!(scene.offsets().len(), 1, "in use");
    scene.leave(&[(&a.member_id, None)]);
    scene.pass(DAY * 6);
    scene.restart();
    scene.pass(DAY / 2);
    assert_eq!(scene.offsets().len(), 1, "unused for less than seven days");
    scene.pass(DAY);
    assert_eq!(scene.offsets(), []);
    assert_eq!(scene.state(), State::Dead);
    assert!(scene.store.is_empty(), "{:?}", scene.store.keys());
    assert_eq!(scene.coordinator.offsets_held, 0);
}

#[test]
fn a_group_in_use_when_the_broker_stopped_is_unused_since_it_started() {
    let mut scene = Scene::new();
    let mut a = client("a");
    scene.form(&mut [&mut a]);
    scene.commit(Some(&a), ("t", 0), 5, "");
    scene.pass(SESSION / 2);
    scene.restart();
    scene.pass(DAY * 6);
    assert_eq!(scene.offsets().len(), 1);
    scene.restart();
    scene.pass(DAY + DAY / 2);
    assert_eq!(scene.offsets(), [], "the second restart does not begin the count anew");
}

#[test]
fn topics_a_stable_group_has_dropped_expire() {
    let mut scene = Scene::new();
    scene.topics.0.insert(("old".into(), 0));
    let mut a = Client { session: Duration::from_secs(1800), ..client("a") };
    scene.form(&mut [&mut a]);
    scene.commit(Some(&a), ("old", 0), 5, "");
    scene.commit(Some(&a), ("t", 0), 5, "");
    live(&mut scene, &a, DAY * 8);
    assert_eq!(scene.offsets(), [committed(0, 5, "")]);
}

#[test]
fn a_deleted_topic_takes_its_offsets_along() {
    let mut scene = Scene::new();
    scene.topics.0.insert(("u".into(), 0));
    scene.commit(None, ("t", 0), 5, "");
    scene.commit(None, ("u", 0), 5, "");
    for (topic, left) in [("t", 1), ("x", 1), ("u", 0)] {
        let changes = scene.coordinator.offset_deletes(topic);
        assert_eq!(scene.coordinator.offsets_held, scene.store.len(), "nothing is forgotten yet");
        scene.absorb(Effects { changes, ..Effects::default() });
        scene.coordinator.topic_deleted(topic);
        assert_eq!((scene.store.len(), scene.coordinator.offsets_held), (left, left));
    }
    assert_eq!(scene.state(), State::Dead);
}

fn delete(scene: &mut Scene, group_id: &str, topic: &str, index: i32) -> Result<(), ErrorCode> {
    let partition = offset_delete::RequestPartition { partition_index: index };
    let topics = vec![offset_delete::RequestTopic { name: topic, partitions: vec![partition] }];
    let request = offset_delete::Request { group_id, topics };
    let ticket = scene.send(ApiKey::OffsetDelete, 0, "admin", &request);
    let response: offset_delete::Response<'_> = scene.response(ticket, 0);
    let outcome = |code| if code == ErrorCode::NONE { Ok(()) } else { Err(code) };
    outcome(response.error_code)?;
    outcome(response.topics[0].partitions[0].error_code)
}

#[test]
fn offsets_of_topics_in_use_cannot_be_deleted() {
    let mut scene = Scene::new();
    scene.topics.0.insert(("old".into(), 0));
    scene.commit(None, ("t", 0), 5, "");
    scene.commit(None, ("old", 0), 5, "");
    let mut a = client("a");
    scene.form(&mut [&mut a]);
    assert_eq!(delete(&mut scene, GROUP, "t", 0), Err(ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC));
    assert_eq!(delete(&mut scene, GROUP, "old", 0), Ok(()));
    assert_eq!(delete(&mut scene, GROUP, "old", 0), Ok(()), "nothing left to delete");
    let unknown = Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(delete(&mut scene, GROUP, "old", 1), unknown);
    assert_eq!(delete(&mut scene, "x", "t", 0), Err(ErrorCode::GROUP_ID_NOT_FOUND));
    assert_eq!(delete(&mut scene, "", "t", 0), Err(ErrorCode::INVALID_GROUP_ID));
    scene.leave(&[(&a.member_id, None)]);
    assert_eq!(delete(&mut scene, GROUP, "t", 0), Ok(()));
    assert_eq!(scene.offsets(), []);
}

#[test]
fn of_members_that_are_no_consumers_no_offset_can_be_deleted() {
    let mut scene = Scene::new();
    scene.commit(None, ("t", 0), 5, "");
    let mut a = client("a");
    let ask = scene.join_as(&a, "connect", GROUP);
    a.member_id = scene.joined(&a, ask).member_id;
    scene.join_as(&a, "connect", GROUP);
    scene.pass(OPENING);
    assert_eq!(delete(&mut scene, GROUP, "t", 0), Err(ErrorCode::NON_EMPTY_GROUP));
}
