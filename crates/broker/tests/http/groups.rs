//! Consumer groups.

use chaski_kafka::{ErrorCode, join_group};
use serde_json::{Value, json};

use crate::browser::Broker;

/// A topic of two partitions with ten records each, and a group that has read three of one.
fn broker() -> Broker {
    let broker = Broker::start(&[]);
    broker.client().create_topic("t", Some(2), &[]).expect("made");
    for partition in 0..2 {
        broker.produce("t", partition, &["v"; 10]);
    }
    broker.client().commit("readers", &[("t", 0, 3)]).expect("committed");
    broker
}

#[test]
fn groups_are_told_with_their_lag() {
    let broker = broker();
    broker.client().commit("idle", &[("t", 1, 10)]).expect("committed");
    let told = broker.until("/api/groups", |told| told["total"] == 2);
    let groups = told["groups"].as_array().expect("a list");
    let lags: Vec<_> = groups.iter().map(|group| (&group["group"], &group["lag"])).collect();
    assert_eq!(lags, [(&"idle".into(), &0.into()), (&"readers".into(), &7.into())]);
    for field in ["state", "protocol", "members", "topics", "problems"] {
        assert!(!groups[0][field].is_null(), "{field}");
    }
    let told = broker.get("/api/groups/readers");
    assert_eq!((&told["group"], &told["state"]), (&"readers".into(), &"Empty".into()));
    assert_eq!(told["members"], json!([]));
    assert_eq!(
        told["offsets"],
        json!([{
            "topic": "t", "partition": 0, "committed": 3, "high_watermark": 10, "lag": 7,
            "member": null,
        }])
    );
    let overview = broker.get("/api/overview");
    assert_eq!(
        overview["slow"],
        json!([
            { "group": "readers", "topic": "t", "partition": 0, "lag": 7 }
        ])
    );
}

#[test]
fn a_reset_is_looked_at_before_it_is_done() {
    let broker = broker();
    let reset = |body: Value| broker.change("POST", "/api/groups/readers/reset", body).expect(200);
    let change = |partition: i32, from: Value, to: i64| {
        let place = json!({ "topic": "t", "partition": partition });
        let mut change = place.as_object().expect("an object").clone();
        change.extend([("from".to_owned(), from), ("to".to_owned(), to.into())]);
        Value::Object(change)
    };
    let told = reset(json!({ "topic": "t", "to": "latest" }));
    assert_eq!(told["changes"], json!([change(0, 3.into(), 10), change(1, Value::Null, 10)]));
    assert_eq!(told["applied"], false, "unless it is said otherwise");
    for (to, changes) in [
        (json!("earliest"), json!([change(0, 3.into(), 0), change(1, Value::Null, 0)])),
        (json!({ "offset": 4 }), json!([change(0, 3.into(), 4), change(1, Value::Null, 4)])),
        (json!({ "offset": 99 }), json!([change(0, 3.into(), 10), change(1, Value::Null, 10)])),
        (json!({ "by": -2 }), json!([change(0, 3.into(), 1)])),
        (json!({ "time_ms": 0 }), json!([change(0, 3.into(), 0), change(1, Value::Null, 0)])),
    ] {
        assert_eq!(reset(json!({ "topic": "t", "to": to }))["changes"], changes);
    }
    let committed = || broker.get("/api/groups/readers")["offsets"][0]["committed"].clone();
    assert_eq!(committed(), 3, "nothing was done");
    let wish = json!({ "topic": "t", "partitions": [0], "to": { "offset": 5 }, "dry_run": false });
    let told = reset(wish);
    assert_eq!(
        (&told["applied"], &told["changes"]),
        (&true.into(), &json!([change(0, 3.into(), 5)]))
    );
    assert_eq!(committed(), 5);
    broker.until("/api/groups", |told| told["groups"][0]["lag"] == 5);
}

#[test]
fn what_cannot_be_done_is_told() {
    let broker = broker();
    broker.until("/api/groups", |told| told["total"] == 1);
    let (message, hint) =
        broker.send("GET", "/api/groups/reader", &[], "").refused(404, "not_found");
    assert_eq!(message, "no group `reader`");
    assert_eq!(hint.as_deref(), Some("did you mean `readers`?"));
    broker.change("DELETE", "/api/groups/nobody", json!({})).refused(404, "not_found");
    let reset = |body| broker.change("POST", "/api/groups/readers/reset", body);
    reset(json!({ "topic": "s", "to": "latest" })).refused(404, "not_found");
    reset(json!({ "topic": "t", "partitions": [9], "to": "latest" })).refused(404, "not_found");
    reset(json!({ "topic": "t", "to": "somewhere" })).refused(400, "invalid");
    reset(json!({ "topic": "t" })).refused(400, "invalid");
    broker.change("DELETE", "/api/groups/readers", json!({})).expect(200);
    broker.send("GET", "/api/groups/readers", &[], "").refused(404, "not_found");
    broker.until("/api/groups", |told| told["groups"] == json!([]));
}

#[test]
fn a_group_with_members_keeps_its_offsets() {
    let broker = broker();
    let request = join_group::Request {
        group_id: "readers",
        session_timeout_ms: 30_000,
        rebalance_timeout_ms: 30_000,
        protocol_type: "consumer",
        protocols: vec![join_group::Protocol { name: "range", metadata: b"" }],
        ..Default::default()
    };
    // Version 3 makes a member at once; those from 4 on have to ask twice.
    let code = broker.ask(3, &request, |response| response.error_code);
    assert_eq!(code, ErrorCode::NONE);
    let told = broker.get("/api/groups/readers");
    assert_eq!(told["members"].as_array().map(Vec::len), Some(1));
    let wish = json!({ "topic": "t", "to": "latest", "dry_run": false });
    let answer = broker.change("POST", "/api/groups/readers/reset", wish);
    let (_, hint) = answer.refused(409, "not_empty");
    assert!(hint.expect("a hint").contains("stop the consumers"));
    broker.change("DELETE", "/api/groups/readers", json!({})).refused(409, "not_empty");
}
