//! What administrators and libraries ask for: topics, settings, producer ids; answered for each
//! thing asked, at a cost in proportion to what there is.

mod common;

use chaski_kafka::{
    ErrorCode, create_topics, delete_topics, describe_configs, init_producer_id, metadata,
    offset_commit,
};
use common::{Client, Running, batch};

/// Asks for topics with one partition each; the outcome of each.
fn create_all(client: &mut Client, names: &[&str], validate_only: bool) -> Vec<ErrorCode> {
    let topics = names
        .iter()
        .map(|name| create_topics::RequestTopic {
            name,
            num_partitions: 1,
            replication_factor: 1,
            ..Default::default()
        })
        .collect();
    let request = create_topics::Request { topics, validate_only, ..Default::default() };
    client.ask(5, &request, |response| response.topics.iter().map(|t| t.error_code).collect())
}

/// Asks about topics by name; how many partitions each answer lists, and its error.
fn describe(client: &mut Client, names: &[&str]) -> Vec<(usize, ErrorCode)> {
    let topics = names
        .iter()
        .map(|name| metadata::RequestTopic { name: Some(name), ..Default::default() })
        .collect();
    let request = metadata::Request { topics: Some(topics), ..Default::default() };
    client.ask(9, &request, |response| {
        response.topics.iter().map(|t| (t.partitions.len(), t.error_code)).collect()
    })
}

#[test]
fn a_topic_named_many_times_is_answered_once() {
    let broker = Running::start(&[]);
    let mut client = broker.connect();
    assert_eq!(client.create("wide", 100, &[]), ErrorCode::NONE);
    let answers = describe(&mut client, &["wide"; 20_000]);
    assert_eq!(answers, [(100, ErrorCode::NONE)]);
    let resource = describe_configs::RequestResource {
        resource_type: describe_configs::TOPIC,
        resource_name: "wide",
        configuration_keys: None,
    };
    let request = describe_configs::Request {
        resources: (0..20_000).map(|_| resource.clone()).collect(),
        ..Default::default()
    };
    assert_eq!(client.ask(4, &request, |response| response.results.len()), 1);
}

#[test]
fn a_metadata_request_makes_a_bounded_number_of_topics() {
    let broker = Running::start(&[]);
    let mut client = broker.connect();
    let names: Vec<String> = (0..150).map(|i| format!("t{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut unknown = || {
        let answers = describe(&mut client, &names);
        answers.iter().filter(|a| a.1 == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION).count()
    };
    assert_eq!(unknown(), 50);
    assert_eq!(unknown(), 0, "the client asks again, and gets the rest");
}

#[test]
fn of_topics_named_twice_none_is_made() {
    let broker = Running::start(&[]);
    let mut client = broker.connect();
    let refused = ErrorCode::INVALID_REQUEST;
    let codes = create_all(&mut client, &["twice", "once", "twice"], false);
    assert_eq!(codes, [refused, ErrorCode::NONE, refused]);
    let name = |name| delete_topics::RequestTopic { name: Some(name), ..Default::default() };
    let request = delete_topics::Request {
        topics: vec![name("once"), name("twice"), name("once")],
        ..Default::default()
    };
    let codes = client.ask(6, &request, |response| {
        response.responses.iter().map(|t| t.error_code).collect::<Vec<_>>()
    });
    assert_eq!(codes, [refused, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, refused]);
}

#[test]
fn a_request_makes_a_bounded_number_of_topics() {
    let broker = Running::start(&[]);
    let names: Vec<String> = (0..1001).map(|i| format!("t{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let codes = create_all(&mut broker.connect(), &names, true);
    assert!(codes[..1000].iter().all(|code| *code == ErrorCode::NONE));
    assert_eq!(codes[1000], ErrorCode::POLICY_VIOLATION);
}

#[test]
fn who_makes_sure_of_a_topic_hears_that_it_is_there_whatever_else_is_asked() {
    let broker = Running::start(&[]);
    let mut client = broker.connect();
    assert_eq!(client.create("t", 1, &[]), ErrorCode::NONE);
    let topic = create_topics::RequestTopic {
        name: "t",
        num_partitions: -7,
        replication_factor: 3,
        configs: vec![create_topics::RequestConfig { name: "no.such", value: Some("1") }],
        ..Default::default()
    };
    let request = create_topics::Request { topics: vec![topic], ..Default::default() };
    let code = client.ask(5, &request, |response| response.topics[0].error_code);
    assert_eq!(code, ErrorCode::TOPIC_ALREADY_EXISTS);
}

#[test]
fn a_topic_of_which_one_partition_cannot_be_made_leaves_nothing_behind() {
    let broker = Running::start(&[]);
    let mut client = broker.connect();
    let in_the_way = broker.data_dir().join("log/t-2");
    std::fs::write(&in_the_way, "a file where a directory must be").expect("written");
    assert_eq!(client.create("t", 4, &[]), ErrorCode::KAFKA_STORAGE_ERROR);
    std::fs::remove_file(&in_the_way).expect("removed");
    assert_eq!(client.create("t", 4, &[]), ErrorCode::NONE);
    assert_eq!(client.produce("t", 3, -1, &batch(&["a"])), Ok(0));
}

#[test]
fn every_idempotent_producer_gets_an_id_of_its_own_and_no_transactional_one() {
    let broker = Running::start(&[]);
    let mut client = broker.connect();
    let mut ask = |request: &init_producer_id::Request<'_>| {
        client.ask(4, request, |r| (r.error_code, r.producer_id, r.producer_epoch))
    };
    let (code, first, epoch) = ask(&init_producer_id::Request::default());
    assert_eq!((code, epoch), (ErrorCode::NONE, 0));
    let again = init_producer_id::Request {
        producer_id: first,
        producer_epoch: epoch,
        ..Default::default()
    };
    let (code, second, epoch) = ask(&again);
    assert_eq!((code, epoch), (ErrorCode::NONE, 0));
    assert_ne!(first, second, "an id of which nobody knows who else has it cannot go on");
    let transactional =
        init_producer_id::Request { transactional_id: Some("t"), ..Default::default() };
    assert_eq!(ask(&transactional).0, ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
}

#[test]
fn groups_are_counted() {
    let mut broker = Running::start(&[]);
    let mut client = broker.connect();
    assert_eq!(client.create("t", 1, &[]), ErrorCode::NONE);
    let partition = offset_commit::RequestPartition { committed_offset: 5, ..Default::default() };
    let request = offset_commit::Request {
        group_id: "g",
        generation_id_or_member_epoch: -1,
        topics: vec![offset_commit::RequestTopic { name: "t", partitions: vec![partition] }],
        ..Default::default()
    };
    let code = client.ask(8, &request, |r| r.topics[0].partitions[0].error_code);
    assert_eq!(code, ErrorCode::NONE);
    let counted = |broker: &Running| {
        let page = broker.page("/metrics");
        page.contains("chaski_groups{state=\"Empty\"} 1\n")
            && page.contains("chaski_group_offsets 1\n")
    };
    // They are counted some time after something has happened, and at the start.
    let looked = (0..1000).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        counted(&broker)
    });
    assert!(looked, "{}", broker.page("/metrics"));
    broker.restart();
    assert!(counted(&broker));
}
