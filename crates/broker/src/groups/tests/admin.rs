//! Listing, describing and deleting groups.

use chaski_kafka::{ApiKey, ErrorCode, delete_groups, describe_groups, list_groups};

use super::scene::{GROUP, OPENING, Scene, client, static_client};
use crate::groups::{GroupSummary, State, subscription};

fn list(scene: &mut Scene, states: &[&str], types: &[&str]) -> Vec<(String, String, String)> {
    let request =
        list_groups::Request { states_filter: states.to_vec(), types_filter: types.to_vec() };
    let ticket = scene.send(ApiKey::ListGroups, 5, "admin", &request);
    let response: list_groups::Response<'_> = scene.response(ticket, 5);
    assert_eq!(response.error_code, ErrorCode::NONE);
    let row = |g: &list_groups::Group<'_>| {
        assert_eq!(g.group_type, "classic");
        (g.group_id.to_owned(), g.protocol_type.to_owned(), g.group_state.to_owned())
    };
    response.groups.iter().map(row).collect()
}

#[test]
fn groups_are_listed_by_state_and_type() {
    let mut scene = Scene::new();
    scene.form(&mut [&mut client("a")]);
    let b = client("b");
    scene.join_as(&b, "consumer", "waiting");
    let stable = (GROUP.to_owned(), "consumer".to_owned(), "Stable".to_owned());
    let empty = ("waiting".to_owned(), String::new(), "Empty".to_owned());
    assert_eq!(list(&mut scene, &[], &[]), [stable.clone(), empty.clone()]);
    assert_eq!(list(&mut scene, &["stable"], &["Classic"]), std::slice::from_ref(&stable));
    assert_eq!(list(&mut scene, &["Empty", "Dead"], &[]), std::slice::from_ref(&empty));
    assert_eq!(list(&mut scene, &["Nonsense"], &[]), []);
    assert_eq!(list(&mut scene, &[], &["consumer"]), []);
}

#[test]
fn a_description_shows_the_members_of_a_stable_group() {
    let mut scene = Scene::new();
    let mut a = static_client("a", "ia");
    let ticket = scene.join(&a);
    scene.pass(OPENING);
    scene.settle_in(&mut a, ticket);
    let describe = |scene: &mut Scene| {
        let request = describe_groups::Request {
            groups: vec![GROUP, "x", GROUP],
            include_authorized_operations: true,
        };
        scene.send(ApiKey::DescribeGroups, 5, "admin", &request)
    };

    let ticket = describe(&mut scene);
    let response: describe_groups::Response<'_> = scene.response(ticket, 5);
    assert_eq!(response.groups.len(), 2, "each group once");
    let group = &response.groups[0];
    assert_eq!((group.group_state, group.protocol_data), ("CompletingRebalance", ""));
    assert_eq!((group.members.len(), group.members[0].member_metadata), (1, &b""[..]));
    let none = &response.groups[1];
    assert_eq!((none.group_id, none.group_state, none.error_code), ("x", "Dead", ErrorCode::NONE));

    scene.sync(&a, std::slice::from_ref(&a.member_id));
    let ticket = describe(&mut scene);
    let response: describe_groups::Response<'_> = scene.response(ticket, 5);
    let group = &response.groups[0];
    assert_eq!((group.group_state, group.protocol_type), ("Stable", "consumer"));
    assert_eq!((group.protocol_data, group.authorized_operations), ("range", i32::MIN));
    let member = &group.members[0];
    assert_eq!(member.member_id, a.member_id);
    assert_eq!(member.group_instance_id, Some("ia"));
    assert_eq!((member.client_id, member.client_host), ("a", "/127.0.0.1"));
    assert_eq!(member.member_metadata, subscription::encode(&["t"]));
    assert_eq!(member.member_assignment, a.member_id.as_bytes());
}

#[test]
fn only_groups_without_members_are_deleted() {
    let mut scene = Scene::new();
    let delete = |scene: &mut Scene, ids: &[&str]| -> Vec<ErrorCode> {
        let request = delete_groups::Request { groups_names: ids.to_vec() };
        let ticket = scene.send(ApiKey::DeleteGroups, 2, "admin", &request);
        let response: delete_groups::Response<'_> = scene.response(ticket, 2);
        response.results.iter().map(|g| g.error_code).collect()
    };
    let mut a = client("a");
    scene.form(&mut [&mut a]);
    scene.commit(Some(&a), ("t", 0), 1, "");
    assert_eq!(delete(&mut scene, &[GROUP]), [ErrorCode::NON_EMPTY_GROUP]);
    scene.leave(&[(&a.member_id, None)]);
    let outcomes = delete(&mut scene, &[GROUP, GROUP, "x"]);
    let gone = ErrorCode::GROUP_ID_NOT_FOUND;
    assert_eq!(outcomes, [ErrorCode::NONE, gone, gone]);
    assert!(scene.store.is_empty(), "{:?}", scene.store.keys());
    assert_eq!((scene.state(), scene.coordinator.offsets_held), (State::Dead, 0));
}

#[test]
fn a_summary_counts() {
    let mut scene = Scene::new();
    let mut a = client("a");
    scene.form(&mut [&mut a, &mut client("b")]);
    scene.commit(Some(&a), ("t", 0), 1, "");
    let summary = GroupSummary {
        group_id: GROUP.to_owned(),
        state: State::Stable,
        protocol_type: "consumer".to_owned(),
        protocol: "range".to_owned(),
        generation: 1,
        members: 2,
        offsets: 1,
    };
    assert_eq!(scene.coordinator.summary(), [summary]);
    let counts = scene.coordinator.counts();
    assert_eq!((counts.groups[State::Stable as usize], counts.members, counts.offsets), (1, 2, 1));
    assert_eq!(counts.groups.iter().sum::<usize>(), 1);
}
