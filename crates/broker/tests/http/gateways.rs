//! Gateways and their sockets.

use serde_json::json;

use crate::browser::Broker;

#[test]
fn a_gateway_is_added_shown_and_removed() {
    let broker = Broker::start(&[]);
    assert_eq!(broker.get("/api/gateways"), json!({ "gateways": [] }));
    let spec = json!({ "name": "in", "kind": "pull", "bind": ["tcp://127.0.0.1:*"], "topic": "t" });
    let made = broker.change("POST", "/api/gateways", spec.clone()).expect(200);
    assert_eq!((&made["name"], &made["direction"]), (&"in".into(), &"in".into()));
    broker.change("POST", "/api/gateways", spec).refused(409, "already_exists");

    let told = broker.until("/api/gateways", |told| told["gateways"][0]["state"] == "running");
    let endpoint = told["gateways"][0]["endpoints"][0].as_str().expect("an endpoint");
    let push = chaski_zmq::Push::new();
    push.connect(endpoint).expect("a connection");
    push.send("an order").expect("sent");
    let told = broker.until("/api/gateways", |told| told["gateways"][0]["messages"] == 1);
    let told = &told["gateways"][0];
    assert_eq!((&told["state"], &told["source"]), (&"running".into(), &"runtime".into()));
    for field in ["bytes", "drops", "errors"] {
        assert!(told[field].is_number(), "{field}");
    }
    let socket = &broker.get("/api/sockets")["sockets"][0];
    assert_eq!((&socket["name"], &socket["kind"]), (&"in".into(), &"PULL".into()));
    assert_eq!((&socket["messages_in"], &socket["messages_out"]), (&1.into(), &json!(null)));
    assert_eq!(socket["peers"][0]["mechanism"], "NULL");
    let overview = broker.get("/api/overview");
    assert_eq!(overview["gateways"], 1);

    broker.change("DELETE", "/api/gateways/in", json!({})).expect(200);
    broker.change("DELETE", "/api/gateways/in", json!({})).refused(404, "not_found");
    assert_eq!(broker.get("/api/gateways"), json!({ "gateways": [] }));
}

#[test]
fn what_makes_no_gateway_is_refused_with_the_reason() {
    let broker = Broker::start(&[]);
    let add = |spec| broker.change("POST", "/api/gateways", spec);
    add(json!({ "name": "g" })).refused(400, "invalid");
    add(json!({ "name": "g", "kind": "pull", "topic": "t" })).refused(400, "invalid");
    let (message, _) = add(json!({
        "name": "g", "kind": "push", "bind": "tcp://127.0.0.1:*", "topic": "t",
    }))
    .refused(400, "invalid");
    assert!(message.contains("group"), "{message}");
}
