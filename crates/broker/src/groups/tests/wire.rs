//! Versions, and bytes that are no requests.

use std::time::Instant;

use chaski_kafka::{
    ApiKey, DecodeError, ErrorCode, Message, Writer, heartbeat, join_group, leave_group,
    list_groups, offset_fetch, sync_group,
};
use proptest::prelude::*;

use super::scene::{Client, GROUP, OPENING, Partitions, Scene, client};
use crate::groups::{Caller, Coordinator, Effects, Limits, State};

const APIS: [ApiKey; 10] = [
    ApiKey::JoinGroup,
    ApiKey::SyncGroup,
    ApiKey::Heartbeat,
    ApiKey::LeaveGroup,
    ApiKey::OffsetCommit,
    ApiKey::OffsetFetch,
    ApiKey::OffsetDelete,
    ApiKey::ListGroups,
    ApiKey::DescribeGroups,
    ApiKey::DeleteGroups,
];

#[test]
fn every_version_leads_from_join_to_leave() {
    for version in 0..=ApiKey::JoinGroup.max_version() {
        let mut scene = Scene::new();
        let mut a = Client { version, ..client("a") };
        let ticket = scene.enter(&mut a);
        scene.pass(OPENING);
        let joined = scene.settle_in(&mut a, ticket);
        assert_eq!((joined.protocol.as_str(), joined.members.len()), ("range", 1));
        let response: join_group::Response<'_> = scene.response(ticket, version);
        assert_eq!(response.protocol_type, (version >= 7).then_some("consumer"));

        let sync_version = version.min(ApiKey::SyncGroup.max_version());
        let assignment =
            sync_group::Assignment { member_id: &a.member_id, assignment: b"everything" };
        let request = sync_group::Request {
            group_id: GROUP,
            generation_id: a.generation,
            member_id: &a.member_id,
            assignments: vec![assignment],
            ..Default::default()
        };
        let ticket = scene.send(ApiKey::SyncGroup, sync_version, "a", &request);
        let response: sync_group::Response<'_> = scene.response(ticket, sync_version);
        assert_eq!(response.assignment, b"everything");

        let beat_version = version.min(ApiKey::Heartbeat.max_version());
        let request = heartbeat::Request {
            group_id: GROUP,
            generation_id: a.generation,
            member_id: &a.member_id,
            ..Default::default()
        };
        let ticket = scene.send(ApiKey::Heartbeat, beat_version, "a", &request);
        let response: heartbeat::Response = scene.response(ticket, beat_version);
        assert_eq!(response.error_code, ErrorCode::NONE);

        leave_in(&mut scene, &a, version.min(ApiKey::LeaveGroup.max_version()));
        assert_eq!(scene.state(), State::Empty);
    }
}

fn leave_in(scene: &mut Scene, client: &Client, version: i16) {
    let member = leave_group::RequestMember { member_id: &client.member_id, ..Default::default() };
    let request = match version {
        0..=2 => {
            leave_group::Request { group_id: GROUP, member_id: &client.member_id, members: vec![] }
        }
        _ => leave_group::Request { group_id: GROUP, member_id: "", members: vec![member] },
    };
    let ticket = scene.send(ApiKey::LeaveGroup, version, "a", &request);
    let response: leave_group::Response<'_> = scene.response(ticket, version);
    assert_eq!(response.error_code, ErrorCode::NONE);
    let again = scene.send(ApiKey::LeaveGroup, version, "a", &request);
    let response: leave_group::Response<'_> = scene.response(again, version);
    let error = match version {
        0..=2 => response.error_code,
        _ => response.members[0].error_code,
    };
    assert_eq!(error, ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn version_0_takes_the_session_for_the_rebalance_timeout() {
    let mut scene = Scene::new();
    let (mut a, mut b) = (client("a"), client("b"));
    (a.version, b.version) = (0, 0);
    let (first, second) = (scene.enter(&mut a), scene.enter(&mut b));
    scene.pass(OPENING * 2);
    scene.settle_in(&mut a, first);
    scene.settle_in(&mut b, second);
    scene.sync(&a, &[]);
    scene.sync(&b, &[]);
    let mut c = Client { version: 0, ..client("c") };
    let ticket = scene.enter(&mut c);
    scene.pass(a.session);
    assert_eq!(scene.settle_in(&mut c, ticket).generation, 2, "not a minute later");
}

#[test]
fn offsets_are_fetched_in_every_version() {
    let mut scene = Scene::new();
    scene.commit(None, ("t", 0), 42, "m");
    for version in 1..=ApiKey::OffsetFetch.max_version() {
        let topic = offset_fetch::RequestTopic { name: "t", partition_indexes: vec![0] };
        let request = offset_fetch::Request {
            group_id: GROUP,
            topics: Some(vec![topic.clone()]),
            groups: vec![offset_fetch::RequestGroup {
                group_id: GROUP,
                topics: Some(vec![topic]),
                ..Default::default()
            }],
            ..Default::default()
        };
        let ticket = scene.send(ApiKey::OffsetFetch, version, "c", &request);
        let response: offset_fetch::Response<'_> = scene.response(ticket, version);
        let topics = match version {
            8.. => &response.groups[0].topics,
            _ => &response.topics,
        };
        let partition = &topics[0].partitions[0];
        assert_eq!((partition.committed_offset, partition.metadata), (42, Some("m")));
        assert_eq!(partition.committed_leader_epoch, if version >= 5 { 7 } else { -1 });
    }
}

#[test]
fn a_long_client_id_is_cut_where_a_character_ends() {
    let mut scene = Scene::new();
    let name: &'static str = Box::leak("\u{e9}".repeat(2000).into_boxed_str());
    let a = client(name);
    let ticket = scene.join(&a);
    let joined = scene.joined(&a, ticket);
    assert!(joined.member_id.starts_with("\u{e9}") && joined.member_id.len() < 300);
}

#[test]
fn only_group_requests_belong_here() {
    for &api in ApiKey::ALL {
        assert_eq!(Coordinator::<u64>::handles(api), APIS.contains(&api), "{api}");
    }
}

fn serve(api: ApiKey, version: i16, body: &[u8]) -> Result<usize, DecodeError> {
    let mut coordinator = Coordinator::restore(Limits::default(), Vec::new());
    let mut fx = Effects::default();
    let caller = Caller { client_id: "c", client_host: "/::1" };
    let topics = Partitions([("t".to_owned(), 0)].into());
    let now = Instant::now();
    coordinator
        .request(now, 0, api, version, body, &caller, &topics, 1_u64, &mut fx)
        .map(|()| fx.replies.len())
}

#[test]
fn a_cut_request_is_no_request() {
    let request = list_groups::Request { states_filter: vec!["Stable"], types_filter: vec!["x"] };
    let mut w = Writer::new();
    request.encode(&mut w, 5);
    let (body, _) = w.into_parts();
    for end in 0..body.len() {
        assert!(serve(ApiKey::ListGroups, 5, &body[..end]).is_err(), "cut at {end}");
    }
    assert_eq!(serve(ApiKey::ListGroups, 5, &body), Ok(1));
    assert!(serve(ApiKey::Metadata, 1, &[]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever the bytes, the coordinator answers at most once and does not fall over.
    #[test]
    fn any_bytes_are_survived(
        api in prop::sample::select(APIS.to_vec()),
        version in 0_i16..10,
        body in prop::collection::vec(prop_oneof![3 => 0_u8..4, 1 => any::<u8>()], 0..80),
    ) {
        let version = version.clamp(api.min_version(), api.max_version());
        if let Ok(replies) = serve(api, version, &body) {
            prop_assert!(replies <= 1);
        }
    }
}
