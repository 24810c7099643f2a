//! `chaski group`.

mod common;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use chaski_kafka::consumer_protocol::{Assignment, Subscription, TopicPartitions};
use chaski_kafka::{
    ApiKey, ErrorCode, Reader, Request, ResponseHeader, frame_request, join_group, sync_group,
};
use common::Broker;

/// The one member of a group, all partitions assigned to it. It leaves by closing nothing: its
/// session lasts longer than any test.
struct Member(TcpStream);

impl Member {
    /// Joins `group` for partition 0 of `topic`.
    fn join(broker: &Broker, group: &str, topic: &str) -> Member {
        let mut member = Member(TcpStream::connect(&broker.address).unwrap());
        let metadata = Subscription { topics: vec![topic], ..Default::default() }.to_bytes(0);
        let protocol = join_group::Protocol { name: "range", metadata: &metadata };
        let mut request = join_group::Request {
            group_id: group,
            session_timeout_ms: 600_000,
            rebalance_timeout_ms: 60_000,
            protocol_type: "consumer",
            protocols: vec![protocol],
            ..Default::default()
        };
        let frame = member.call(5, &request);
        let joined: join_group::Response<'_> = decode(ApiKey::JoinGroup, 5, &frame);
        assert_eq!(joined.error_code, ErrorCode::MEMBER_ID_REQUIRED);
        request.member_id = joined.member_id;
        let frame = member.call(5, &request);
        let joined: join_group::Response<'_> = decode(ApiKey::JoinGroup, 5, &frame);
        assert_eq!(joined.error_code, ErrorCode::NONE);

        let partitions = TopicPartitions { topic, partitions: vec![0] };
        let assignment =
            Assignment { assigned_partitions: vec![partitions], ..Default::default() }.to_bytes(0);
        let assignment =
            sync_group::Assignment { member_id: joined.member_id, assignment: &assignment };
        let request = sync_group::Request {
            group_id: group,
            generation_id: joined.generation_id,
            member_id: joined.member_id,
            assignments: vec![assignment],
            ..Default::default()
        };
        let frame = member.call(3, &request);
        let synced: sync_group::Response<'_> = decode(ApiKey::SyncGroup, 3, &frame);
        assert_eq!(synced.error_code, ErrorCode::NONE);
        member
    }

    fn call<'q, R: Request<'q>>(&mut self, version: i16, request: &R) -> Vec<u8> {
        let frame = frame_request(version, 1, Some("tester"), request);
        self.0.write_all(&frame.into_bytes()).unwrap();
        let mut len = [0; 4];
        self.0.read_exact(&mut len).unwrap();
        let mut frame = vec![0; u32::from_be_bytes(len) as usize];
        self.0.read_exact(&mut frame).unwrap();
        frame
    }
}

fn decode<'a, M: chaski_kafka::Message<'a>>(api: ApiKey, version: i16, frame: &'a [u8]) -> M {
    let (_, len) = ResponseHeader::decode(frame, api, version).unwrap();
    M::decode(&mut Reader::new(&frame[len..]), version).unwrap()
}

/// A topic of two partitions with three records in each.
fn orders() -> Broker {
    let broker = Broker::start();
    broker.run(&["topic", "create", "orders", "--partitions", "2"]).ok();
    for partition in ["0", "1"] {
        let args = ["send", &broker.url("orders"), "--partition", partition];
        broker.feed(&args, b"a\nb\nc\n").ok();
    }
    broker
}

const RESET: &[&str] = &["group", "reset", "billing", "--topic", "orders", "--to"];

fn reset(broker: &Broker, more: &[&str]) -> common::Outcome {
    broker.run(&[RESET, more].concat())
}

fn committed(broker: &Broker) -> Vec<(i64, Option<i64>, Option<i64>)> {
    let described = broker.run(&["group", "describe", "billing", "-o", "json"]).ok().json();
    let offset = |o: &serde_json::Value| {
        (o["partition"].as_i64().unwrap(), o["committed"].as_i64(), o["lag"].as_i64())
    };
    described["offsets"].as_array().unwrap().iter().map(offset).collect()
}

#[test]
fn a_reset_is_shown_before_it_is_done() {
    let broker = orders();
    let shown = reset(&broker, &["earliest", "-o", "jsonl"]).ok();
    assert!(shown.stderr.contains("nothing was changed"), "{shown:?}");
    assert!(shown.jsonl()[0]["committed"].is_null());
    broker.run(&["group", "describe", "billing"]).fails(1, &["no group `billing`"]);

    let done = reset(&broker, &["1", "--execute"]).ok();
    assert!(done.stderr.contains("2 offsets of group `billing` set"), "{done:?}");
    assert_eq!(committed(&broker), [(0, Some(1), Some(2)), (1, Some(1), Some(2))]);

    let shown = reset(&broker, &["latest", "--dry-run", "-o", "jsonl"]).ok().jsonl();
    assert_eq!((&shown[1]["committed"], &shown[1]["new"]), (&1.into(), &3.into()));
    assert_eq!(shown[1]["change"], 2);
    assert_eq!(committed(&broker)[1], (1, Some(1), Some(2)));

    reset(&broker, &["latest", "--partition", "1", "--execute"]).ok();
    assert_eq!(committed(&broker), [(0, Some(1), Some(2)), (1, Some(3), Some(0))]);
    reset(&broker, &["-1h", "--execute"]).ok();
    assert_eq!(committed(&broker), [(0, Some(0), Some(3)), (1, Some(0), Some(3))]);
    let beyond = reset(&broker, &["99", "--execute"]).ok();
    assert!(beyond.stdout.contains("99 is not there yet"), "{beyond:?}");
    assert_eq!(committed(&broker)[0], (0, Some(3), Some(0)));
}

#[test]
fn groups_are_listed_and_deleted() {
    let broker = orders();
    assert_eq!(broker.run(&["group", "list", "-o", "json"]).ok().stdout, "[]\n");
    reset(&broker, &["earliest", "--execute"]).ok();
    let listed = broker.run(&["group", "list", "-o", "json"]).ok().json();
    assert_eq!((&listed[0]["group"], &listed[0]["state"]), (&"billing".into(), &"Empty".into()));
    broker.run(&["group", "describe", "biling"]).fails(1, &["did you mean `billing`?"]);
    broker.run(&["group", "delete", "billing", "biling", "--yes"]).fails(1, &["biling"]);
    let deleted = broker.run(&["group", "delete", "billing", "--yes"]).ok();
    assert_eq!(deleted.stdout, "deleted group `billing`\n");
    assert_eq!(broker.run(&["group", "list"]).ok().stdout.lines().count(), 1);
}

#[test]
fn a_group_with_members_is_described_and_left_alone() {
    let broker = orders();
    reset(&broker, &["1", "--partition", "1", "--execute"]).ok();
    let _member = Member::join(&broker, "billing", "orders");
    let described = broker.run(&["group", "describe", "billing", "-o", "json"]).ok().json();
    assert_eq!((&described["state"], &described["assignor"]), (&"Stable".into(), &"range".into()));
    assert_eq!(described["members"][0]["client"], "tester");
    assert_eq!(described["members"][0]["partitions"], 1);
    // Partition 0 is assigned, and nothing was committed for it: unknown, and not zero.
    assert_eq!(committed(&broker), [(0, None, None), (1, Some(1), Some(2))]);
    assert_eq!(described["offsets"][0]["member"], described["members"][0]["member"]);
    assert!(described["offsets"][1]["member"].is_null());
    let table = broker.run(&["group", "describe", "billing"]).ok().stdout;
    assert!(table.contains("orders          0          -    3    -  "), "{table}");

    let said = ["has 1 member", "stop its consumers"];
    reset(&broker, &["earliest", "--execute"]).fails(1, &said);
    let shown = reset(&broker, &["earliest"]).ok();
    assert!(shown.stderr.contains("nor can it be while the group has 1 member"), "{shown:?}");
    broker.run(&["group", "delete", "billing", "--yes"]).fails(1, &["stop its consumers"]);
}

#[test]
fn offsets_of_a_deleted_topic_are_gone_and_others_stay() {
    let broker = orders();
    broker.send("payments", "a\n");
    reset(&broker, &["earliest", "--execute"]).ok();
    let payments = ["--topic", "payments", "--to", "earliest", "--execute"];
    broker.run(&[&["group", "reset", "billing"][..], &payments].concat()).ok();
    broker.run(&["topic", "delete", "orders", "--yes"]).ok();
    let described = broker.run(&["group", "describe", "billing", "-o", "json"]).ok().json();
    assert_eq!(described["offsets"].as_array().unwrap().len(), 1);
    assert_eq!(described["offsets"][0]["topic"], "payments");
    reset(&broker, &["earliest"]).fails(1, &["no topic `orders`"]);
}
