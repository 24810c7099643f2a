//! Static members (KIP-345): absent for a while, the same when they come back.

use std::time::Duration;

use chaski_kafka::{ErrorCode, join_group};

use super::scene::{Client, REBALANCE, SESSION, Scene, client, static_client};
use crate::groups::State;

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// The same program started again: it knows its instance id only.
fn restarted(client: &Client) -> Client {
    Client { member_id: String::new(), generation: -1, ..client.clone() }
}

/// Two static members in a stable group, the leader first.
fn pair(scene: &mut Scene) -> (Client, Client) {
    let (mut a, mut b) = (static_client("a", "ia"), static_client("b", "ib"));
    let joined = scene.form(&mut [&mut a, &mut b]);
    if joined[0].leads() { (a, b) } else { (b, a) }
}

#[test]
fn a_static_member_needs_no_id_first() {
    let mut scene = Scene::new();
    let mut a = static_client("a", "ia");
    let joined = scene.form(&mut [&mut a]);
    assert!(joined[0].member_id.starts_with("ia-"), "{}", joined[0].member_id);
}

#[test]
fn a_restarted_follower_finds_its_assignment_and_nobody_else_notices() {
    let mut scene = Scene::new();
    let (leader, follower) = pair(&mut scene);
    let mut again = restarted(&follower);
    let ticket = scene.join(&again);
    let joined = scene.settle_in(&mut again, ticket);
    assert_eq!((joined.generation, joined.leader.as_str()), (1, leader.member_id.as_str()));
    assert_ne!(again.member_id, follower.member_id);
    assert!(joined.members.is_empty());
    let sync = scene.sync(&again, &[]);
    assert_eq!(scene.synced(sync), Ok(follower.member_id.clone()), "what it had before");
    assert_eq!(scene.state(), State::Stable);
    assert_eq!(scene.heartbeat(&leader), ErrorCode::NONE);

    assert_eq!(scene.heartbeat(&follower), ErrorCode::FENCED_INSTANCE_ID);
    let sync = scene.sync(&follower, &[]);
    assert_eq!(scene.synced(sync), Err(ErrorCode::FENCED_INSTANCE_ID));
    let commit = scene.commit(Some(&follower), ("t", 0), 1, "");
    assert_eq!(commit, ErrorCode::FENCED_INSTANCE_ID);
    let join = scene.join(&follower);
    assert_eq!(scene.joined(&follower, join).error, ErrorCode::FENCED_INSTANCE_ID);
    let leave = scene.leave(&[(&follower.member_id, follower.instance)]);
    assert_eq!(leave, [ErrorCode::FENCED_INSTANCE_ID]);
}

#[test]
fn a_restarted_leader_is_told_to_skip_the_assignment() {
    let mut scene = Scene::new();
    let (leader, follower) = pair(&mut scene);
    let mut again = restarted(&leader);
    let ticket = scene.join(&again);
    let joined = scene.settle_in(&mut again, ticket);
    assert!(joined.leads() && joined.skip_assignment);
    assert_eq!(joined.members.len(), 2, "it watches their topics");
    assert_eq!(scene.state(), State::Stable);
    let sync = scene.sync(&again, &[]);
    assert_eq!(scene.synced(sync), Ok(leader.member_id));
    assert_eq!(scene.heartbeat(&follower), ErrorCode::NONE);
}

#[test]
fn an_older_restarted_leader_believes_that_its_former_self_leads() {
    let mut scene = Scene::new();
    let (leader, _) = pair(&mut scene);
    let mut again = Client { version: 8, ..restarted(&leader) };
    let ticket = scene.join(&again);
    let joined = scene.settle_in(&mut again, ticket);
    assert_eq!(joined.leader, leader.member_id);
    assert!(!joined.leads() && joined.members.is_empty());
    // It leads all the same: when it joins again, everybody does.
    let anew = scene.join(&again);
    assert!(scene.is_waiting(anew));
}

#[test]
fn a_restarted_member_with_other_topics_rebalances() {
    let mut scene = Scene::new();
    let (_, follower) = pair(&mut scene);
    let again = Client { topics: vec!["t", "u"], ..restarted(&follower) };
    let ticket = scene.join(&again);
    assert!(scene.is_waiting(ticket));
    assert_eq!(scene.state(), State::PreparingRebalance);
}

#[test]
fn a_restarted_member_that_tips_the_vote_rebalances() {
    let mut scene = Scene::new();
    let both = vec!["range", "sticky"];
    let mut a = Client { protocols: both.clone(), ..static_client("a", "ia") };
    let joined = scene.form(&mut [&mut a]);
    assert_eq!(joined[0].protocol, "range");
    let again = Client { protocols: vec!["sticky", "range"], ..restarted(&a) };
    let mut again = again;
    let ticket = scene.join(&again);
    let joined = scene.settle_in(&mut again, ticket);
    assert_eq!((joined.generation, joined.protocol.as_str()), (2, "sticky"));
}

#[test]
fn a_restart_during_a_rebalance_answers_the_former_self() {
    let mut scene = Scene::new();
    let (leader, follower) = pair(&mut scene);
    let newcomer = scene.enter(&mut client("c"));
    let former = scene.join(&follower);
    let again = restarted(&follower);
    let ticket = scene.join(&again);
    let fenced = scene.joined(&follower, former);
    assert_eq!(fenced.error, ErrorCode::FENCED_INSTANCE_ID);
    let other = scene.join(&leader);
    for ticket in [ticket, other, newcomer] {
        assert_eq!(scene.joined(&leader, ticket).generation, 2);
    }
    assert_eq!(scene.member_count(), 3);
}

#[test]
fn a_restart_while_the_leader_assigns_starts_over() {
    let mut scene = Scene::new();
    let (mut a, mut b) = (static_client("a", "ia"), static_client("b", "ib"));
    let (first, second) = (scene.join(&a), scene.join(&b));
    scene.pass(Duration::from_millis(250));
    let joined = [scene.settle_in(&mut a, first), scene.settle_in(&mut b, second)];
    let (leader, follower) = if joined[0].leads() { (a, b) } else { (b, a) };
    let waiting = scene.sync(&follower, &[]);
    let again = restarted(&follower);
    let ticket = scene.join(&again);
    assert_eq!(scene.synced(waiting), Err(ErrorCode::FENCED_INSTANCE_ID));
    assert!(scene.is_waiting(ticket));
    assert_eq!(scene.heartbeat(&leader), ErrorCode::REBALANCE_IN_PROGRESS);
}

#[test]
fn an_absent_static_member_keeps_its_place_through_a_rebalance_until_its_session_ends() {
    let mut scene = Scene::new();
    let mut a = static_client("a", "ia");
    let mut b = Client { session: REBALANCE * 3, ..static_client("b", "ib") };
    scene.form(&mut [&mut a, &mut b]);
    let mut c = client("c");
    let newcomer = scene.enter(&mut c);
    let back = scene.join(&a);
    scene.pass(REBALANCE);
    let joined = [scene.settle_in(&mut a, back), scene.settle_in(&mut c, newcomer)];
    let leads = if joined[0].leads() { &joined[0] } else { &joined[1] };
    assert_eq!(leads.members.len(), 3, "the absent one is given its share");
    let (leader, other) = if joined[0].leads() { (&a, &c) } else { (&c, &a) };
    scene.sync(leader, &leads.members);
    scene.sync(other, &[]);

    // Back within the session: the share is still there.
    let generation = scene.generation();
    let mut again = restarted(&b);
    let ticket = scene.join(&again);
    assert_eq!(scene.settle_in(&mut again, ticket).generation, generation);
    let sync = scene.sync(&again, &[]);
    assert_eq!(scene.synced(sync), Ok(b.member_id));

    // Away for longer than that: gone.
    for _ in 0..(REBALANCE * 3).as_secs() / 5 {
        scene.heartbeat(&a);
        scene.heartbeat(&c);
        scene.pass(secs(5));
    }
    assert_eq!(scene.heartbeat(&again), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn a_sync_owed_to_one_generation_is_not_owed_to_the_next() {
    let mut scene = Scene::new();
    let long = REBALANCE * 5;
    let mut a = Client { session: long, ..static_client("a", "ia") };
    let mut b = Client { session: long, ..static_client("b", "ib") };
    let mut c = Client { session: long, ..client("c") };
    let (first, second) = (scene.join(&a), scene.join(&b));
    scene.pass(Duration::from_millis(250));
    scene.settle_in(&mut a, first);
    scene.settle_in(&mut b, second);
    // b goes away before it has its assignment; the others go on without it.
    let newcomer = scene.enter(&mut c);
    let back = scene.join(&a);
    scene.pass(REBALANCE);
    let joined = [scene.settle_in(&mut a, back), scene.settle_in(&mut c, newcomer)];
    scene.sync(&a, &joined[0].members);
    scene.sync(&c, &joined[1].members);
    scene.pass(REBALANCE * 2);
    assert_eq!((scene.state(), scene.member_count()), (State::Stable, 3));
}

#[test]
fn with_all_static_members_away_the_rebalance_waits_for_one() {
    let mut scene = Scene::new();
    let mut a = Client { session: REBALANCE * 5, ..static_client("a", "ia") };
    let mut b = Client { session: REBALANCE * 5, ..static_client("b", "ib") };
    scene.form(&mut [&mut a, &mut b]);
    let mut c = client("c");
    scene.enter(&mut c);
    assert_eq!(scene.leave(&[(&c.member_id, None)]), [ErrorCode::NONE]);
    scene.pass(REBALANCE * 2);
    assert_eq!((scene.state(), scene.generation()), (State::PreparingRebalance, 1));
    let back = scene.join(&a);
    scene.pass(REBALANCE);
    assert_eq!(scene.settle_in(&mut a, back).generation, 2);
    assert_eq!(scene.member_count(), 2);
}

#[test]
fn an_administrator_removes_a_static_member_by_its_instance_id() {
    let mut scene = Scene::new();
    let (leader, follower) = pair(&mut scene);
    let unknown = ErrorCode::UNKNOWN_MEMBER_ID;
    assert_eq!(scene.leave(&[("", Some("nobody")), ("", None)]), [unknown, unknown]);
    assert_eq!(scene.leave(&[("", follower.instance)]), [ErrorCode::NONE]);
    assert_eq!(scene.heartbeat(&follower), unknown);
    assert_eq!(scene.heartbeat(&leader), ErrorCode::REBALANCE_IN_PROGRESS);
}

#[test]
fn the_leader_learns_instance_ids() {
    let mut scene = Scene::new();
    let a = static_client("a", "ia");
    let ticket = scene.join(&a);
    scene.pass(SESSION / 10);
    let response: join_group::Response<'_> = scene.response(ticket, 9);
    assert_eq!(response.members[0].group_instance_id, Some("ia"));
    assert_eq!(response.protocol_type, Some("consumer"));
}
