//! What the broker tells of itself.

use std::time::Duration;

use chaski_kafka::{api_versions, frame_request};
use serde_json::{Value, json};

use crate::browser::Broker;

#[test]
fn every_endpoint_tells_of_itself() {
    let broker = Broker::start(&[]);
    let about = broker.get("/api");
    let endpoints = about["endpoints"].as_array().expect("a list");
    assert!(endpoints.len() > 20, "{}", endpoints.len());
    for endpoint in endpoints {
        let path = endpoint["path"].as_str().expect("a path");
        // Streams do not end, and what varies is somewhere else.
        if endpoint["method"] != "GET" || path.contains('{') || path == "/api/events" {
            continue;
        }
        assert!(broker.get(path).is_object(), "{path}");
    }
}

#[test]
fn what_is_not_there_is_an_error_in_json() {
    let broker = Broker::start(&[]);
    let (message, hint) = broker.send("GET", "/api/nothing", &[], "").refused(404, "not_found");
    assert_eq!(message, "no endpoint `/api/nothing`");
    assert!(hint.expect("a hint").contains("GET /api"));
    broker.send("GET", "/api/topics/t/more/than/this", &[], "").refused(404, "not_found");
    let answer = broker.change("PATCH", "/api/groups", Value::Null);
    answer.refused(405, "not_allowed");
    broker.send("GET", "/api/history?since_ms=soon", &[], "").refused(400, "invalid");
}

#[test]
fn the_overview_is_of_now() {
    let broker = Broker::start(&[("kafka.listen", "127.0.0.1:0"), ("shards", "1")]);
    broker.client().create_topic("t", Some(3), &[]).expect("made");
    broker.produce("t", 0, &["a", "b"]);
    let told = broker.get("/api/overview");
    assert_eq!(told["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(told["cluster_id"], broker.client().cluster_id());
    let kafka = broker.server().kafka_addr().expect("it listens").to_string();
    assert_eq!(told["kafka"], kafka);
    assert_eq!(told["http"], broker.address().to_string());
    assert_eq!(told["data_dir"], Value::Null, "it is in memory");
    assert_eq!((&told["groups"], &told["gateways"]), (&0.into(), &0.into()));
    for rate in ["in_records_s", "in_bytes_s", "out_bytes_s", "requests_s"] {
        assert!(told["rates"][rate].is_number(), "{rate}");
    }
    assert!(told["disk"]["used_bytes"].as_u64() > Some(0));
    assert_eq!(told["disk"]["free_bytes"], Value::Null);
    let findings = told["findings"].as_array().expect("a list");
    assert!(findings.iter().any(|one| one["what"] == "Records are kept in memory"), "{findings:?}");
    for finding in findings {
        for field in ["severity", "what", "effect", "command"] {
            assert!(finding[field].as_str().is_some_and(|text| !text.is_empty()), "{finding}");
        }
    }
    // Counts are those of the last second.
    let mut events = broker.listen("/api/events");
    while events.expect("overview")["partitions"] != 3 {}
    let told = events.expect("overview");
    assert_eq!(told["topics"], 1);
    let inside = &told["latency"][0];
    assert_eq!((&inside["path"], &inside["count"]), (&"inside".into(), &1.into()));
    assert!(inside["p50_us"].as_f64() > Some(0.0) && inside["p999_us"].is_number());
}

#[test]
fn the_history_grows_and_can_be_asked_for_from_a_time_on() {
    let broker = Broker::start(&[("kafka.listen", "127.0.0.1:0"), ("shards", "2")]);
    let mut events = broker.listen("/api/events");
    let told = loop {
        let told = broker.get("/api/history");
        if told["series"]["connections"].as_array().is_some_and(|points| !points.is_empty()) {
            break told;
        }
        events.expect("overview");
    };
    assert_eq!(told["step_ms"], 5000);
    let from = told["from_ms"].as_i64().expect("a time");
    assert_eq!(from % 5000, 0);
    let series = told["series"].as_object().expect("series");
    let len = series["connections"].as_array().expect("points").len();
    for name in ["in_records_s", "in_bytes_s", "out_bytes_s", "connections", "lag"] {
        assert_eq!(series[name].as_array().expect("points").len(), len, "{name}");
    }
    let busy = series["busy"].as_array().expect("shards");
    assert_eq!((busy.len(), busy[0].as_array().expect("points").len()), (2, len));
    let later = from + 3_600_000;
    let told = broker.get(&format!("/api/history?since_ms={later}"));
    assert_eq!(told["series"]["connections"], Value::Array(Vec::new()));
}

#[test]
fn shards_and_settings_are_told() {
    let broker = Broker::start(&[
        ("kafka.listen", "127.0.0.1:0"),
        ("shards", "2"),
        ("num.partitions", "7"),
        ("http.token", "a-token-of-some-length"),
    ]);
    let ask = |path: &str| {
        let token = [("Authorization", "Bearer a-token-of-some-length")];
        broker.send("GET", path, &token, "").expect(200)
    };
    let shards = ask("/api/shards");
    let shards = shards["shards"].as_array().expect("a list");
    assert_eq!(shards.len(), 2);
    for (at, shard) in shards.iter().enumerate() {
        assert_eq!(shard["shard"], at);
        for field in ["connections", "busy", "turns_s", "bytes_in_s", "bytes_out_s", "depth"] {
            assert!(shard[field].is_number(), "{field}");
        }
    }
    let config = ask("/api/config");
    let settings = config["settings"].as_array().expect("a list");
    let find = |name: &str| settings.iter().find(|one| one["name"] == name).expect("it is there");
    let partitions = find("num.partitions");
    assert_eq!((&partitions["value"], &partitions["default"]), (&"7".into(), &"1".into()));
    assert_eq!(partitions["source"], "broker");
    assert_eq!(find("node.id")["source"], "default");
    assert_eq!(find("http.token")["value"], "(hidden)");
    assert!(!config.to_string().contains("a-token"), "never");
}

#[test]
fn connections_are_told_with_who_is_there() {
    use std::io::{Read, Write};
    let broker = Broker::start(&[("kafka.listen", "127.0.0.1:0"), ("shards", "2")]);
    assert_eq!(broker.get("/api/connections")["connections"], Value::Array(Vec::new()));
    let address = broker.server().kafka_addr().expect("it listens");
    let mut stream = std::net::TcpStream::connect(address).expect("connected");
    let request =
        api_versions::Request { client_software_name: "tool", client_software_version: "7" };
    let frame = frame_request(3, 1, Some("someone"), &request).into_bytes();
    stream.write_all(&frame).expect("sent");
    let mut length = [0; 4];
    stream.read_exact(&mut length).expect("an answer");
    // The answer is on its way before it is counted.
    let answered = 4 + i32::from_be_bytes(length);
    let is_counted = |told: &Value| told["connections"][0]["bytes_out"] == answered;
    let told = broker.until("/api/connections", is_counted)["connections"].clone();
    assert_eq!(told.as_array().map(Vec::len), Some(1));
    let one = &told[0];
    assert_eq!(one["address"], stream.local_addr().expect("an address").to_string());
    assert_eq!((&one["client_id"], &one["software"]), (&"someone".into(), &"tool 7".into()));
    assert_eq!((&one["requests"], &one["unanswered"]), (&1.into(), &0.into()));
    assert_eq!(one["bytes_in"], frame.len());
}

#[test]
fn services_in_shared_memory_are_told_with_who_is_there() {
    // It is named for this process: others of this user may be there as well.
    let name = format!("broker-test-{}", std::process::id());
    let mut server = chaski_shm::Server::bind(name.as_str()).expect("a name");
    let broker = Broker::start(&[]);
    let find = |told: &Value| {
        let rings = told["rings"].as_array().expect("a list");
        rings.iter().find(|ring| ring["name"] == name.as_str()).cloned()
    };
    let builder = chaski_shm::Client::builder().connect_within(Duration::from_secs(60));
    let mut client = builder.connect(&name).expect("connected");
    let ticket = std::thread::spawn(move || {
        let answer = client.call(b"hello").expect("an answer").to_vec();
        (client, answer)
    });
    let request = server.recv().expect("a request");
    request.reply(b"well").expect("answered");
    let (client, answer) = ticket.join().expect("no panic");
    assert_eq!(answer, b"well");
    let is_there = |told: &Value| find(told).is_some_and(|ring| ring["clients"][0]["in"] == 1);
    let told = broker.until("/api/rings", is_there);
    let ring = find(&told).expect("it is there");
    assert_eq!(
        (&ring["kind"], &ring["own"], &ring["answered"]),
        (&json!("server"), &json!(true), &json!(true))
    );
    assert_eq!((&ring["pid"], &ring["peers"]), (&json!(std::process::id()), &json!(1)));
    let one = &ring["clients"][0];
    assert_eq!(
        (&one["alive"], &one["out"], &one["in_bytes"]),
        (&json!(true), &json!(1), &json!(5))
    );
    assert!(one["capacity"].as_u64() > Some(0) && one["fill"].is_number(), "{one}");
    drop(client);
    drop(server);
    broker.until("/api/rings", |told| find(told).is_none());
}
