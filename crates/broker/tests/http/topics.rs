//! Topics: made, listed, changed, deleted.

use chaski_kafka::create_topics;
use serde_json::{Value, json};

use crate::browser::Broker;

fn names(page: &Value) -> Vec<&str> {
    let topics = page["topics"].as_array().expect("a list");
    topics.iter().map(|topic| topic["name"].as_str().expect("a name")).collect()
}

#[test]
fn a_topic_lives_and_dies() {
    let broker = Broker::start(&[]);
    let wish = json!({
        "name": "orders", "partitions": 2,
        "settings": { "retention.ms": 1000, "cleanup.policy": "compact,delete" },
    });
    let made = broker.change("POST", "/api/topics", wish.clone()).expect(200);
    assert_eq!((&made["name"], &made["partitions"]), (&"orders".into(), &2.into()));
    broker.change("POST", "/api/topics", wish).refused(409, "already_exists");

    let told = broker.get("/api/topics/orders");
    assert_eq!((&told["name"], &told["id"]), (&"orders".into(), &made["id"]));
    assert_eq!(told["partitions"].as_array().map(Vec::len), Some(2));
    let setting = |told: &Value, name: &str| {
        let settings = told["settings"].as_array().expect("a list");
        let found = settings.iter().find(|one| one["name"] == name).expect("it is there");
        (found["value"].clone(), found["source"].clone())
    };
    assert_eq!(setting(&told, "retention.ms"), ("1000".into(), "topic".into()));

    let change = json!({ "partitions": 3, "settings": { "retention.ms": null } });
    let changed = broker.change("PATCH", "/api/topics/orders", change).expect(200);
    assert_eq!(changed["partitions"], 3);
    let told = broker.get("/api/topics/orders");
    assert_eq!(setting(&told, "retention.ms"), ("604800000".into(), "default".into()));

    broker.change("DELETE", "/api/topics/orders", json!({})).expect(200);
    broker.change("DELETE", "/api/topics/orders", json!({})).refused(404, "not_found");
    broker.send("GET", "/api/topics/orders", &[], "").refused(404, "not_found");
}

#[test]
fn what_makes_no_sense_is_refused_with_the_reason() {
    let broker = Broker::start(&[]);
    broker.client().create_topic("orders", Some(2), &[]).expect("made");
    let (message, hint) =
        broker.send("GET", "/api/topics/order", &[], "").refused(404, "not_found");
    assert_eq!(message, "no topic `order`");
    assert_eq!(hint.as_deref(), Some("did you mean `orders`?"));
    for (wish, told) in [
        (json!({ "name": "a/b" }), "a/b"),
        (json!({ "name": "t", "settings": { "retention.m": "1" } }), "retention.ms"),
        (json!({ "name": "t", "settings": { "retention.ms": "soon" } }), "whole number"),
        (json!({ "name": "t", "partitions": 0 }), "partition"),
    ] {
        let (message, _) = broker.change("POST", "/api/topics", wish).refused(400, "refused");
        assert!(message.to_lowercase().contains(told), "{message}");
    }
    for (wish, told) in [
        (json!({}), "name"),
        (json!({ "name": "t", "colour": "red" }), "colour"),
        (json!({ "name": "t", "settings": { "retention.ms": [1] } }), "retention.ms"),
        (json!(["t"]), "t"),
    ] {
        let (message, _) = broker.change("POST", "/api/topics", wish).refused(400, "invalid");
        assert!(message.contains(told), "{message}");
    }
    let fewer = broker.change("PATCH", "/api/topics/orders", json!({ "partitions": 1 }));
    fewer.refused(400, "refused");
    broker.send("GET", "/api/topics?sort=colour", &[], "").refused(400, "invalid");
}

#[test]
fn a_topic_tells_of_partitions_and_groups() {
    let broker = Broker::start(&[]);
    let client = broker.client();
    client.create_topic("t", Some(2), &[]).expect("made");
    broker.produce("t", 1, &["a", "b", "c"]);
    client.commit("readers", &[("t", 1, 1)]).expect("committed");
    let readers = json!([{ "group": "readers", "lag": 2 }]);
    let told = broker.until("/api/topics/t", |told| told["groups"] == readers);
    let partition = &told["partitions"][1];
    assert_eq!((&partition["log_start"], &partition["high_watermark"]), (&0.into(), &3.into()));
    assert_eq!((&partition["damaged"], &partition["failed"]), (&0.into(), &Value::Null));
    let row = &broker.until("/api/topics", |told| told["topics"][0]["lag"] == 2)["topics"][0];
    assert_eq!((&row["records"], &row["partitions"]), (&3.into(), &2.into()));
    assert_eq!((&row["cleanup_policy"], &row["problems"]), (&"delete".into(), &json!([])));
}

#[test]
fn a_topic_says_whether_somebody_reads_it() {
    let broker = Broker::start(&[]);
    for name in ["read", "unread"] {
        broker.client().create_topic(name, Some(1), &[]).expect("made");
        broker.produce(name, 0, &["a", "b"]);
    }
    broker.client().commit("g", &[("read", 0, 2)]).expect("committed");
    let told = broker.until("/api/topics", |told| told["topics"][0]["groups"] == 1);
    assert_eq!(told["topics"][0]["lag"], 0);
    assert_eq!(
        (&told["topics"][1]["groups"], &told["topics"][1]["lag"]),
        (&json!(0), &Value::Null)
    );
}

#[test]
fn topics_are_searched_sorted_and_paged() {
    let broker = Broker::start(&[]);
    for (name, values) in [("b", 3), ("A", 1), ("c", 0), ("ab", 2)] {
        broker.client().create_topic(name, Some(1), &[]).expect("made");
        broker.produce(name, 0, &vec!["some value"; values]);
    }
    broker.client().commit("g", &[("A", 0, 0), ("b", 0, 3)]).expect("committed");
    let ask = |query: &str| broker.get(&format!("/api/topics?{query}"));
    assert_eq!(names(&ask("")), ["A", "ab", "b", "c"]);
    assert_eq!(names(&ask("desc=1")), ["c", "b", "ab", "A"]);
    assert_eq!(names(&ask("sort=bytes&desc=1")), ["b", "ab", "A", "c"]);
    broker.until("/api/topics", |told| told["topics"][0]["lag"] == 1);
    assert_eq!(names(&ask("sort=lag&desc=1")), ["A", "b", "ab", "c"], "unknown is last");
    assert_eq!(names(&ask("sort=lag")), ["b", "A", "ab", "c"], "unknown is last");
    let page = ask("search=a&limit=1&offset=1");
    assert_eq!((names(&page), &page["total"]), (vec!["ab"], &2.into()));
    let page = ask("offset=99");
    assert_eq!((names(&page).len(), &page["total"]), (0, &4.into()));
    assert_eq!(names(&ask("sort=rate&desc=1")).len(), 4);
}

#[test]
fn ten_thousand_topics_are_a_page_like_any_other() {
    let broker = Broker::start(&[]);
    let names_of_all: Vec<String> = (0..10_000).map(|n| format!("topic-{n:05}")).collect();
    for some in names_of_all.chunks(1000) {
        let topics = some.iter().map(|name| create_topics::RequestTopic {
            name,
            num_partitions: 1,
            replication_factor: 1,
            ..Default::default()
        });
        let request = create_topics::Request { topics: topics.collect(), ..Default::default() };
        broker.ask(7, &request, |response| assert_eq!(response.topics.len(), some.len()));
    }
    broker.produce("topic-07777", 0, &["x"]);
    let page = broker.get("/api/topics?offset=9000&limit=5");
    assert_eq!(page["total"], 10_000);
    assert_eq!(names(&page)[0], "topic-09000");
    assert_eq!(names(&broker.get("/api/topics?limit=100000")).len(), 1000, "a page has its limit");
    assert_eq!(names(&broker.get("/api/topics?sort=bytes&desc=1&limit=2"))[0], "topic-07777");
    assert_eq!(
        names(&broker.get("/api/topics?search=0777&limit=3")),
        ["topic-00777", "topic-07770", "topic-07771"]
    );
}
