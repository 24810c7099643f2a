//! Dynamic members: coming, staying, going.

use std::time::Duration;

use chaski_kafka::ErrorCode;

use super::scene::{Client, GROUP, OPENING, REBALANCE, SESSION, Scene, client};
use crate::groups::{Limits, State};

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn one_member_gets_an_id_then_leads_alone() {
    let mut scene = Scene::new();
    let mut a = client("a");
    let first = scene.join(&a);
    let refused = scene.joined(&a, first);
    assert_eq!(refused.error, ErrorCode::MEMBER_ID_REQUIRED);
    assert_eq!(refused.generation, -1);
    assert!(refused.member_id.starts_with("a-"), "{}", refused.member_id);
    assert_eq!(scene.state(), State::Empty);

    a.member_id = refused.member_id;
    let second = scene.join(&a);
    assert!(scene.is_waiting(second), "an empty group waits for company");
    scene.pass(OPENING);
    let joined = scene.settle_in(&mut a, second);
    assert_eq!((joined.generation, joined.protocol.as_str()), (1, "range"));
    assert_eq!(joined.leader, a.member_id);
    assert_eq!(joined.members, [a.member_id.clone()]);
    assert!(!joined.skip_assignment);
    assert_eq!(scene.state(), State::CompletingRebalance);

    let sync = scene.sync(&a, &joined.members);
    assert_eq!(scene.synced(sync), Ok(a.member_id.clone()));
    assert_eq!(scene.state(), State::Stable);
    assert_eq!(scene.heartbeat(&a), ErrorCode::NONE);
}

#[test]
fn members_that_start_together_share_the_first_generation() {
    let mut scene = Scene::new();
    let (mut a, mut b, mut c) = (client("a"), client("b"), client("c"));
    let (first, second) = (scene.enter(&mut a), scene.enter(&mut b));
    scene.pass(Duration::from_millis(60));
    let third = scene.enter(&mut c);
    scene.pass(Duration::from_millis(60));
    assert!(scene.is_waiting(first), "company has made the wait longer");
    scene.pass(OPENING);
    let answers = [
        scene.settle_in(&mut a, first),
        scene.settle_in(&mut b, second),
        scene.settle_in(&mut c, third),
    ];
    assert!(answers.iter().all(|j| j.generation == 1 && j.leader == answers[0].leader));
    let leaders: Vec<_> = answers.iter().filter(|j| j.leads()).collect();
    assert_eq!(leaders.len(), 1);
    assert_eq!(leaders[0].members.len(), 3);
    assert!(answers.iter().filter(|j| !j.leads()).all(|j| j.members.is_empty()));
}

#[test]
fn company_cannot_delay_the_first_generation_past_the_rebalance_timeout() {
    let mut scene = Scene::new();
    let mut first = Client { rebalance: Duration::from_millis(450), ..client("first") };
    let ticket = scene.enter(&mut first);
    for _ in 0..9 {
        assert!(scene.is_waiting(ticket));
        scene.enter(&mut client("later"));
        scene.pass(Duration::from_millis(50));
    }
    assert!(!scene.is_waiting(ticket));
}

#[test]
fn a_zero_delay_answers_the_first_member_at_once() {
    let limits = Limits { initial_rebalance_delay: Duration::ZERO, ..Limits::default() };
    let mut scene = Scene::with_limits(limits);
    let mut a = client("a");
    let ticket = scene.enter(&mut a);
    assert_eq!(scene.settle_in(&mut a, ticket).generation, 1);
}

#[test]
fn a_newcomer_sends_everybody_back_to_join() {
    let mut scene = Scene::new();
    let (mut a, mut b, mut c) = (client("a"), client("b"), client("c"));
    let before = scene.form(&mut [&mut a, &mut b]);
    let newcomer = scene.enter(&mut c);
    assert!(scene.is_waiting(newcomer));
    assert_eq!(scene.state(), State::PreparingRebalance);
    assert_eq!(scene.heartbeat(&a), ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(scene.heartbeat(&b), ErrorCode::REBALANCE_IN_PROGRESS);
    let stale_sync = scene.sync(&a, &[]);
    assert_eq!(scene.synced(stale_sync), Err(ErrorCode::REBALANCE_IN_PROGRESS));

    let first = scene.join(&a);
    assert!(scene.is_waiting(first));
    let second = scene.join(&b);
    let joined = scene.settle_in(&mut a, first);
    assert_eq!(joined.generation, 2);
    assert_eq!(joined.leader, before[0].leader, "the leader stays");
    scene.settle_in(&mut b, second);
    scene.settle_in(&mut c, newcomer);
    assert_eq!(scene.member_count(), 3);
}

#[test]
fn followers_wait_for_the_leaders_assignments() {
    let mut scene = Scene::new();
    let (mut a, mut b) = (client("a"), client("b"));
    let (first, second) = (scene.enter(&mut a), scene.enter(&mut b));
    scene.pass(OPENING * 2);
    let joined = [scene.settle_in(&mut a, first), scene.settle_in(&mut b, second)];
    let (leader, follower, members) = match joined[0].leads() {
        true => (&a, &b, &joined[0].members),
        false => (&b, &a, &joined[1].members),
    };
    let waiting = scene.sync(follower, &["nobody".into()]);
    assert!(scene.is_waiting(waiting));
    assert_eq!(scene.heartbeat(follower), ErrorCode::NONE, "the leader is at work");
    let only_leader: Vec<_> =
        members.iter().filter(|id| **id == leader.member_id).cloned().collect();
    let sync = scene.sync(leader, &only_leader);
    assert_eq!(scene.synced(sync), Ok(leader.member_id.clone()));
    assert_eq!(scene.synced(waiting), Ok(String::new()), "left out by the leader");
}

#[test]
fn a_follower_that_leaves_starts_a_rebalance_that_the_leader_survives() {
    let mut scene = Scene::new();
    let (mut a, mut b) = (client("a"), client("b"));
    let joined = scene.form(&mut [&mut a, &mut b]);
    let (mut leader, follower) = if joined[0].leads() { (a, b) } else { (b, a) };
    assert_eq!(scene.leave(&[(&follower.member_id, None)]), [ErrorCode::NONE]);
    assert_eq!(scene.heartbeat(&follower), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(scene.heartbeat(&leader), ErrorCode::REBALANCE_IN_PROGRESS);
    let joined = scene.form(&mut [&mut leader]);
    assert_eq!((joined[0].generation, joined[0].leads()), (2, true));
}

#[test]
fn a_leader_that_dies_is_followed_by_another() {
    let mut scene = Scene::new();
    let (mut a, mut b) = (client("a"), client("b"));
    let joined = scene.form(&mut [&mut a, &mut b]);
    let (leader, mut follower) = if joined[0].leads() { (a, b) } else { (b, a) };
    scene.pass(SESSION - secs(1));
    assert_eq!(scene.heartbeat(&follower), ErrorCode::NONE);
    scene.pass(secs(2));
    assert_eq!(scene.heartbeat(&follower), ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(scene.heartbeat(&leader), ErrorCode::UNKNOWN_MEMBER_ID);
    let joined = scene.form(&mut [&mut follower]);
    assert!(joined[0].leads());
}

#[test]
fn heartbeats_keep_a_session_and_commits_do_too() {
    let mut scene = Scene::new();
    let mut a = client("a");
    scene.form(&mut [&mut a]);
    for _ in 0..5 {
        scene.pass(SESSION - secs(1));
        assert_eq!(scene.heartbeat(&a), ErrorCode::NONE);
        scene.pass(SESSION - secs(1));
        assert_eq!(scene.commit(Some(&a), ("t", 0), 1, ""), ErrorCode::NONE);
    }
    scene.pass(SESSION);
    assert_eq!(scene.state(), State::Empty);
    assert_eq!(scene.heartbeat(&a), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(scene.generation(), 2, "a generation without members");
}

#[test]
fn a_member_waiting_for_an_answer_does_not_expire() {
    let mut scene = Scene::new();
    let (mut a, mut b) = (client("a"), Client { session: secs(300), ..client("b") });
    scene.form(&mut [&mut a, &mut b]);
    let newcomer = scene.enter(&mut client("c"));
    let waiting = scene.join(&a);
    scene.pass(SESSION * 3);
    assert!(scene.is_waiting(waiting) && scene.is_waiting(newcomer));
    assert_eq!(scene.member_count(), 3);
}

#[test]
fn the_rebalance_timeout_removes_laggards() {
    let mut scene = Scene::new();
    let mut a = Client { session: secs(300), ..client("a") };
    let mut b = Client { session: secs(300), ..client("b") };
    scene.form(&mut [&mut a, &mut b]);
    let mut c = client("c");
    let newcomer = scene.enter(&mut c);
    let back = scene.join(&a);
    scene.pass(REBALANCE - secs(1));
    assert!(scene.is_waiting(back));
    scene.pass(secs(1));
    scene.settle_in(&mut a, back);
    scene.settle_in(&mut c, newcomer);
    assert_eq!(scene.member_count(), 2);
    let late = scene.join(&b);
    assert_eq!(scene.joined(&b, late).error, ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn members_that_never_sync_are_removed() {
    let mut scene = Scene::new();
    let (mut a, mut b) = (client("a"), client("b"));
    let (first, second) = (scene.enter(&mut a), scene.enter(&mut b));
    scene.pass(OPENING * 2);
    let joined = [scene.settle_in(&mut a, first), scene.settle_in(&mut b, second)];
    let (leader, mut follower) = if joined[0].leads() { (a, b) } else { (b, a) };
    let waiting = scene.sync(&follower, &[]);
    // The leader lives, but has forgotten its duty.
    for _ in 0..REBALANCE.as_secs() / 5 {
        assert_eq!(scene.heartbeat(&leader), ErrorCode::NONE);
        scene.pass(secs(5));
    }
    assert_eq!(scene.synced(waiting), Err(ErrorCode::REBALANCE_IN_PROGRESS));
    assert_eq!(scene.heartbeat(&leader), ErrorCode::UNKNOWN_MEMBER_ID);
    assert!(scene.form(&mut [&mut follower])[0].leads());
}

#[test]
fn a_follower_that_never_syncs_is_removed_from_a_stable_group() {
    let mut scene = Scene::new();
    let (mut a, mut b) = (client("a"), client("b"));
    let (first, second) = (scene.enter(&mut a), scene.enter(&mut b));
    scene.pass(OPENING * 2);
    let joined = [scene.settle_in(&mut a, first), scene.settle_in(&mut b, second)];
    let (leader, follower) = if joined[0].leads() { (a, b) } else { (b, a) };
    let sync = scene.sync(&leader, std::slice::from_ref(&leader.member_id));
    assert_eq!(scene.synced(sync), Ok(leader.member_id.clone()));
    assert_eq!(scene.state(), State::Stable);
    for _ in 0..REBALANCE.as_secs() / 5 {
        assert_eq!(scene.heartbeat(&leader), ErrorCode::NONE);
        assert_eq!(scene.heartbeat(&follower), ErrorCode::NONE);
        scene.pass(secs(5));
    }
    assert_eq!(scene.heartbeat(&follower), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(scene.heartbeat(&leader), ErrorCode::REBALANCE_IN_PROGRESS);
}

#[test]
fn a_join_repeated_after_its_answer_got_lost_finds_the_same_generation() {
    let mut scene = Scene::new();
    let mut a = client("a");
    let first = scene.enter(&mut a);
    scene.pass(OPENING);
    let lost = scene.joined(&a, first);
    let again = scene.join(&a);
    assert_eq!(scene.joined(&a, again), lost);
    assert_eq!(scene.generation(), 1);
}

#[test]
fn in_a_stable_group_a_follower_may_ask_again_but_the_leader_rebalances() {
    let mut scene = Scene::new();
    let (mut a, mut b) = (client("a"), client("b"));
    let joined = scene.form(&mut [&mut a, &mut b]);
    let (leader, mut follower) = if joined[0].leads() { (a, b) } else { (b, a) };
    let again = scene.join(&follower);
    assert_eq!(scene.settle_in(&mut follower, again).generation, 1);
    assert_eq!(scene.state(), State::Stable);
    let anew = scene.join(&leader);
    assert!(scene.is_waiting(anew));
    assert_eq!(scene.state(), State::PreparingRebalance);
}

#[test]
fn a_changed_subscription_rebalances() {
    let mut scene = Scene::new();
    let (mut a, mut b) = (client("a"), client("b"));
    let joined = scene.form(&mut [&mut a, &mut b]);
    let follower = if joined[0].leads() { &mut b } else { &mut a };
    follower.topics = vec!["t", "u"];
    let changed = scene.join(follower);
    assert!(scene.is_waiting(changed));
    assert_eq!(scene.state(), State::PreparingRebalance);
}

#[test]
fn a_second_join_of_a_member_takes_the_place_of_the_first() {
    let mut scene = Scene::new();
    let (mut a, mut b) = (client("a"), client("b"));
    scene.form(&mut [&mut a, &mut b]);
    let newcomer = scene.enter(&mut client("c"));
    let first = scene.join(&a);
    let second = scene.join(&a);
    assert_eq!(scene.joined(&a, first).error, ErrorCode::REBALANCE_IN_PROGRESS);
    let other = scene.join(&b);
    for ticket in [second, other, newcomer] {
        assert_eq!(scene.joined(&a, ticket).generation, 2);
    }
}

#[test]
fn another_generation_is_illegal() {
    let mut scene = Scene::new();
    let mut a = client("a");
    scene.form(&mut [&mut a]);
    for generation in [-1, 0, 2] {
        let stranger = Client { generation, ..a.clone() };
        assert_eq!(scene.heartbeat(&stranger), ErrorCode::ILLEGAL_GENERATION);
        let sync = scene.sync(&stranger, &[]);
        assert_eq!(scene.synced(sync), Err(ErrorCode::ILLEGAL_GENERATION));
        let commit = scene.commit(Some(&stranger), ("t", 0), 1, "");
        assert_eq!(commit, ErrorCode::ILLEGAL_GENERATION);
    }
    let stranger = Client { member_id: "x".into(), ..a };
    assert_eq!(scene.heartbeat(&stranger), ErrorCode::UNKNOWN_MEMBER_ID);
    let join = scene.join(&stranger);
    assert_eq!(scene.joined(&stranger, join).error, ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn members_vote_among_the_protocols_all_support() {
    let mut scene = Scene::new();
    let mut a = Client { protocols: vec!["sticky", "range"], ..client("a") };
    let mut b = Client { protocols: vec!["robin", "range", "sticky"], ..client("b") };
    let mut c = Client { protocols: vec!["sticky", "range"], ..client("c") };
    // "robin" is not common: b's vote falls to "range", two against one.
    let joined = scene.form(&mut [&mut a, &mut b, &mut c]);
    assert!(joined.iter().all(|j| j.protocol == "sticky"));

    let d = Client { protocols: vec!["robin"], ..client("d") };
    let refused = scene.join(&d);
    assert_eq!(scene.joined(&d, refused).error, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    let refused = scene.join_as(&client("e"), "connect", GROUP);
    assert_eq!(scene.joined(&d, refused).error, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    let none = Client { protocols: vec![], ..client("f") };
    let refused = scene.join_as(&none, "consumer", "new");
    assert_eq!(scene.joined(&none, refused).error, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    assert_eq!(scene.coordinator.summary().len(), 1, "a refused join makes no group");
}

#[test]
fn a_member_may_trade_all_its_protocols_when_the_others_follow() {
    let mut scene = Scene::new();
    let mut a = client("a");
    scene.form(&mut [&mut a]);
    a.protocols = vec!["sticky"];
    let joined = scene.form(&mut [&mut a]);
    assert_eq!((joined[0].generation, joined[0].protocol.as_str()), (2, "sticky"));
}

#[test]
fn sessions_have_bounds() {
    let mut scene = Scene::new();
    for session in [Duration::ZERO, Duration::from_millis(5999), secs(30 * 60 + 1)] {
        let a = Client { session, ..client("a") };
        let join = scene.join(&a);
        assert_eq!(scene.joined(&a, join).error, ErrorCode::INVALID_SESSION_TIMEOUT);
    }
    assert_eq!(scene.state(), State::Dead);
}

#[test]
fn group_ids_have_bounds() {
    let mut scene = Scene::new();
    let a = client("a");
    for id in ["", &"x".repeat(1025)] {
        let join = scene.join_as(&a, "consumer", id);
        assert_eq!(scene.joined(&a, join).error, ErrorCode::INVALID_GROUP_ID);
    }
}

#[test]
fn a_group_has_a_largest_size() {
    let mut scene = Scene::with_limits(Limits { members_max: 2, ..Limits::default() });
    let (mut a, mut b, c) = (client("a"), client("b"), client("c"));
    scene.form(&mut [&mut a, &mut b]);
    let refused = scene.join(&c);
    assert_eq!(scene.joined(&c, refused).error, ErrorCode::GROUP_MAX_SIZE_REACHED);
    assert_eq!(scene.state(), State::Stable, "those inside do not notice");
}

#[test]
fn ids_handed_out_are_bounded_and_expire() {
    let mut scene = Scene::with_limits(Limits { members_max: 2, ..Limits::default() });
    let a = client("a");
    let asked: Vec<_> = (0..3).map(|_| scene.join(&a)).collect();
    let errors: Vec<_> = asked.iter().map(|t| scene.joined(&a, *t).error).collect();
    let required = ErrorCode::MEMBER_ID_REQUIRED;
    assert_eq!(errors, [required, required, ErrorCode::GROUP_MAX_SIZE_REACHED]);
    scene.pass(SESSION);
    assert_eq!(scene.state(), State::Dead, "nobody came: the group is forgotten");
}

#[test]
fn an_id_handed_out_is_waited_for_until_its_session_ends() {
    let mut scene = Scene::new();
    let mut a = Client { session: secs(300), ..client("a") };
    scene.form(&mut [&mut a]);
    let mut b = client("b");
    let ask = scene.join(&b);
    b.member_id = scene.joined(&b, ask).member_id;
    let anew = scene.join(&a);
    assert!(scene.is_waiting(anew), "b is about to come");
    scene.pass(SESSION);
    assert_eq!(scene.settle_in(&mut a, anew).generation, 2);
    let late = scene.join(&b);
    assert_eq!(scene.joined(&b, late).error, ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn clients_from_before_kip_394_are_let_in_without_an_id() {
    let mut scene = Scene::new();
    let mut a = Client { version: 3, ..client("a") };
    let ticket = scene.join(&a);
    assert!(scene.is_waiting(ticket));
    scene.pass(OPENING);
    assert!(scene.settle_in(&mut a, ticket).leads());
}

#[test]
fn a_member_never_answered_is_bounded_too() {
    let limits = Limits { new_member_timeout: secs(20), ..Limits::default() };
    let mut scene = Scene::with_limits(limits);
    let mut a = Client { session: secs(300), ..client("a") };
    scene.form(&mut [&mut a]);
    let b = Client { version: 3, ..client("b") };
    let ticket = scene.join(&b);
    scene.pass(secs(20));
    assert_eq!(scene.joined(&b, ticket).error, ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(scene.member_count(), 1);
}

#[test]
fn an_abandoned_join_leaves_a_member_for_one_more_session() {
    let mut scene = Scene::new();
    let (mut a, mut b) = (client("a"), client("b"));
    scene.form(&mut [&mut a, &mut b]);
    scene.enter(&mut client("c"));
    let gone = scene.join(&a);
    scene.pass(SESSION - secs(1));
    assert_eq!(scene.heartbeat(&b), ErrorCode::REBALANCE_IN_PROGRESS);
    let now = scene.now;
    scene.coordinator.abandon(now, |ticket| *ticket == gone);
    scene.pass(SESSION - secs(1));
    assert_eq!(scene.member_count(), 3);
    assert_eq!(scene.heartbeat(&b), ErrorCode::REBALANCE_IN_PROGRESS);
    scene.pass(secs(1));
    assert_eq!(scene.member_count(), 2);
    assert!(scene.is_waiting(gone), "never answered");
}

#[test]
fn an_abandoned_join_may_be_repeated() {
    let mut scene = Scene::new();
    let (mut a, mut b) = (client("a"), client("b"));
    scene.form(&mut [&mut a, &mut b]);
    let mut c = client("c");
    let newcomer = scene.enter(&mut c);
    let gone = scene.join(&a);
    let now = scene.now;
    scene.coordinator.abandon(now, |ticket| *ticket == gone);
    let again = scene.join(&a);
    let other = scene.join(&b);
    for ticket in [again, other, newcomer] {
        assert_eq!(scene.joined(&a, ticket).generation, 2);
    }
    assert!(scene.is_waiting(gone));
}

#[test]
fn an_abandoned_sync_may_be_repeated() {
    let mut scene = Scene::new();
    let (mut a, mut b) = (client("a"), client("b"));
    let (first, second) = (scene.enter(&mut a), scene.enter(&mut b));
    scene.pass(OPENING * 2);
    let joined = [scene.settle_in(&mut a, first), scene.settle_in(&mut b, second)];
    let (leader, follower) = if joined[0].leads() { (a, b) } else { (b, a) };
    let gone = scene.sync(&follower, &[]);
    let now = scene.now;
    scene.coordinator.abandon(now, |ticket| *ticket == gone);
    let ids = [leader.member_id.clone(), follower.member_id.clone()];
    scene.sync(&leader, &ids);
    assert!(scene.is_waiting(gone));
    let again = scene.sync(&follower, &[]);
    assert_eq!(scene.synced(again), Ok(follower.member_id));
}

#[test]
fn members_that_leave_together_cause_one_rebalance() {
    let mut scene = Scene::new();
    let (mut a, mut b, mut c) = (client("a"), client("b"), client("c"));
    scene.form(&mut [&mut a, &mut b, &mut c]);
    let left = scene.leave(&[(&a.member_id, None), ("x", None), (&b.member_id, None)]);
    assert_eq!(left, [ErrorCode::NONE, ErrorCode::UNKNOWN_MEMBER_ID, ErrorCode::NONE]);
    assert_eq!(scene.form(&mut [&mut c])[0].generation, 2);
    assert_eq!(scene.leave(&[(&c.member_id, None)]), [ErrorCode::NONE]);
    assert_eq!((scene.state(), scene.generation()), (State::Empty, 3));
}

#[test]
fn a_member_that_leaves_while_its_join_waits_is_told() {
    let mut scene = Scene::new();
    let mut a = client("a");
    let ticket = scene.enter(&mut a);
    assert_eq!(scene.leave(&[(&a.member_id, None)]), [ErrorCode::NONE]);
    assert_eq!(scene.joined(&a, ticket).error, ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(scene.state(), State::Empty);
}

#[test]
fn metadata_and_names_are_bounded() {
    let limits = Limits {
        name_bytes_max: 8,
        protocols_max: 2,
        metadata_bytes_max: 64,
        group_metadata_bytes_max: 70,
        ..Limits::default()
    };
    let mut scene = Scene::with_limits(limits);
    let long = "0123456789012345678901234567890123456789012345678901234567890123";
    let wrong = [
        Client { protocols: vec!["range-and-more"], ..client("name") },
        Client { protocols: vec!["a", "b", "c"], ..client("many") },
        Client { topics: vec![long], ..client("metadata") },
        Client { instance: Some("instance-id"), ..client("instance") },
    ];
    for client in wrong {
        let refused = scene.join(&client);
        assert_eq!(scene.joined(&client, refused).error, ErrorCode::INVALID_REQUEST);
    }
    let (mut a, mut b) = (client("a"), client("b"));
    a.topics = vec!["0123456789012345678901234567890123456789"];
    let waiting = scene.enter(&mut a);
    b.topics = a.topics.clone();
    let refused = scene.join(&b);
    assert_eq!(scene.joined(&b, refused).error, ErrorCode::GROUP_MAX_SIZE_REACHED);
    assert!(scene.is_waiting(waiting));
}

#[test]
fn assignments_are_bounded() {
    let mut scene = Scene::with_limits(Limits { assignment_bytes_max: 8, ..Limits::default() });
    let mut a = client("a");
    let ticket = scene.enter(&mut a);
    scene.pass(OPENING);
    let joined = scene.settle_in(&mut a, ticket);
    let sync = scene.sync(&a, &joined.members);
    assert_eq!(scene.synced(sync), Err(ErrorCode::INVALID_REQUEST));
}

#[test]
fn groups_are_bounded() {
    let mut scene = Scene::with_limits(Limits { groups_max: 1, ..Limits::default() });
    let a = client("a");
    scene.join(&a);
    let refused = scene.join_as(&a, "consumer", "another");
    assert_eq!(scene.joined(&a, refused).error, ErrorCode::POLICY_VIOLATION);
}

#[test]
fn after_a_restart_members_join_anew_in_a_later_generation() {
    let mut scene = Scene::new();
    let (mut a, mut b) = (client("a"), client("b"));
    scene.form(&mut [&mut a, &mut b]);
    scene.restart();
    assert_eq!(scene.state(), State::Empty);
    assert_eq!(scene.heartbeat(&a), ErrorCode::UNKNOWN_MEMBER_ID);
    let commit = scene.commit(Some(&a), ("t", 0), 1, "");
    assert_eq!(commit, ErrorCode::UNKNOWN_MEMBER_ID);
    let stale = scene.join(&b);
    assert_eq!(scene.joined(&b, stale).error, ErrorCode::UNKNOWN_MEMBER_ID);
    a.member_id.clear();
    b.member_id.clear();
    assert_eq!(scene.form(&mut [&mut a, &mut b])[0].generation, 2);
}
