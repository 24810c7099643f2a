//! Gateways are added, removed, kept over restarts, refused, and mended when they fail.

use chaski_broker::gateway::{From, GatewayError, GatewayKind, GatewaySource, GatewayState};
use chaski_zmq::Kind;

use super::*;

#[test]
fn what_is_added_is_there_after_a_restart_and_what_is_removed_is_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let start = || Builder::new().data_dir(dir.path()).start().expect("started");
    let server = start();
    let mut spec = bound(GatewayKind::Pull, "t");
    add(&server.client(), spec.clone());
    spec.name = "other".to_owned();
    add(&server.client(), spec);
    server.client().gateways().remove("other").expect("removed");
    server.stop().expect("stopped");
    let server = start();
    let client = server.client();
    let list = client.gateways().list();
    assert_eq!(list.len(), 1);
    assert_eq!((list[0].name.as_str(), list[0].source), ("g", GatewaySource::Runtime));
    let push = socket(Kind::Push, &list[0].endpoints[0]);
    push.send("hello").expect("sent");
    records(&client, "t", 1);
    let error = client.gateways().remove("h").expect_err("unknown");
    assert!(matches!(error, GatewayError::Unknown { nearest: Some(_), .. }), "{error:?}");
}

#[test]
fn a_work_queue_goes_on_where_it_was() {
    let dir = tempfile::tempdir().expect("a directory");
    let start = || Builder::new().data_dir(dir.path()).start().expect("started");
    let server = start();
    let client = server.client();
    let mut spec = bound(GatewayKind::Push, "work");
    spec.group = Some("workers".to_owned());
    spec.from = From::Earliest;
    spec.settle_ms = 0;
    let worker = socket(Kind::Pull, &add(&client, spec));
    produce(&client, "work", "k", numbers(0..10));
    (0..10).for_each(|_| drop(worker.recv().expect("work")));
    let committed = |client: &Client| client.committed("workers", "work").expect("told")[0].1;
    eventually("it is committed", || committed(&client) == Some(10));
    drop(worker);
    server.stop().expect("stopped");
    let server = start();
    let client = server.client();
    produce(&client, "work", "k", numbers(10..12));
    let worker = socket(Kind::Pull, &status(&client).endpoints[0]);
    assert_eq!(frames(&worker.recv().expect("work")), ["10"]);
}

#[test]
fn one_of_the_configuration_is_not_removed_and_not_kept() {
    let server = Builder::new().in_memory().gateway(bound(GatewayKind::Pull, "t")).start();
    let server = server.expect("started");
    let client = server.client();
    assert_eq!(status(&client).source, GatewaySource::Config);
    let error = client.gateways().remove("g").expect_err("refused");
    assert_eq!(error, GatewayError::Configured("g".to_owned()));
    let again = client.gateways().add(bound(GatewayKind::Pull, "t"));
    assert_eq!(again.expect_err("refused"), GatewayError::Exists("g".to_owned()));
}

#[test]
fn a_loop_is_refused_with_an_explanation_also_at_a_port_the_system_chose() {
    let (_server, client) = in_memory();
    let endpoint = add(&client, bound(GatewayKind::Pub, "a"));
    let back = GatewaySpec::new("back", GatewayKind::Sub, "a").connect(&endpoint);
    let error = client.gateways().add(back.clone()).expect_err("refused").to_string();
    assert!(error.contains("sub `back` -> topic `a` -> pub `g` -> sub `back`"), "{error}");
    let mut on = back;
    on.topic = Some("b".to_owned());
    client.gateways().add(on).expect("it leads elsewhere");
    assert_eq!(client.gateways().list().len(), 2);
}

#[test]
fn a_gateway_that_cannot_be_opened_is_refused_or_shown_and_tried_again() {
    let occupant = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let endpoint = format!("tcp://{}", occupant.local_addr().expect("told"));
    let spec = GatewaySpec::new("g", GatewayKind::Pull, "t").bind(&endpoint);
    let (_server, client) = in_memory();
    let error = client.gateways().add(spec.clone()).expect_err("refused");
    assert!(matches!(error, GatewayError::Open { .. }), "{error:?}");
    assert!(client.gateways().list().is_empty());
    let server = Builder::new().in_memory().gateway(spec).start().expect("it starts all the same");
    let client = server.client();
    eventually("it is shown", || status(&client).state == GatewayState::Failed);
    assert!(status(&client).last_error.expect("a reason").contains("in use"));
    drop(occupant);
    eventually("it is mended", || status(&client).state == GatewayState::Running);
    server.stop().expect("stopped");
}

#[test]
fn two_of_one_group_and_topic_are_refused() {
    let (_server, client) = in_memory();
    let mut spec = bound(GatewayKind::Push, "work");
    spec.group = Some("workers".to_owned());
    add(&client, spec.clone());
    spec.name = "second".to_owned();
    let error = client.gateways().add(spec).expect_err("refused").to_string();
    assert!(error.contains("has its group and topic already"), "{error}");
}

#[test]
fn what_has_come_is_stored_when_the_broker_stops_and_none_is_added_after() {
    let dir = tempfile::tempdir().expect("a directory");
    let start = || Builder::new().data_dir(dir.path()).start().expect("started");
    let server = start();
    let client = server.client();
    let push = socket(Kind::Push, &add(&client, bound(GatewayKind::Pull, "t")));
    for n in numbers(0..2000) {
        push.send(n).expect("sent");
    }
    push.close(PATIENCE);
    eventually("they have come", || status(&client).peers.first().is_none_or(|p| !p.connected));
    server.stop().expect("stopped");
    assert!(client.gateways().add(bound(GatewayKind::Pull, "t")).is_err());
    let server = start();
    assert_eq!(records(&server.client(), "t", 2000).len(), 2000);
}
