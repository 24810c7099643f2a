//! PULL, ROUTER and SUB: from ZeroMQ into a topic.

use chaski_broker::gateway::{Acks, GatewayKind, GatewayState};
use chaski_zmq::{Kind, Message};

use super::*;

#[test]
fn what_is_pushed_is_stored_in_order_and_counted() {
    let (_server, client) = in_memory();
    let mut spec = bound(GatewayKind::Pull, "orders");
    spec.frames = "key,value".parse().ok();
    let push = socket(Kind::Push, &add(&client, spec));
    for n in 0..5000 {
        push.send(Message::from_iter(["k".to_owned(), n.to_string()])).expect("sent");
    }
    push.flush();
    let found = records(&client, "orders", 5000);
    for (n, (offset, key, value)) in found.iter().enumerate() {
        assert_eq!((*offset, key.as_str(), value.as_str()), (n as i64, "k", &*n.to_string()));
    }
    eventually("all are counted", || status(&client).messages == 5000);
    let status = status(&client);
    assert_eq!((status.drops, status.errors, status.lag), (0, 0, Some(0)));
    assert_eq!((status.state, status.peers.len()), (GatewayState::Running, 1));
    assert!(status.bytes > 5000 && status.peers[0].received == 5000);
}

/// Messages, drops and malformed ones, which are not counted at one moment.
fn counts(client: &Client) -> (u64, u64, u64) {
    let now = status(client);
    (now.messages, now.drops, now.malformed)
}

#[test]
fn what_makes_no_sense_is_dropped_and_counted_and_the_rest_goes_on() {
    let (_server, client) = in_memory();
    client.create_topic("small", Some(1), &[("max.message.bytes", "1000")]).expect("made");
    let push = socket(Kind::Push, &add(&client, bound(GatewayKind::Pull, "small")));
    push.send(Message::from_iter(["value", "a header without a value"])).expect("sent");
    push.send(vec![0; 5000]).expect("sent");
    push.send("good").expect("sent");
    assert_eq!(records(&client, "small", 1), [(0, "(null)".to_owned(), "good".to_owned())]);
    eventually("all are counted", || counts(&client) == (1, 2, 1));
    assert!(status(&client).last_error.is_some());
}

#[test]
fn each_message_may_name_its_topic() {
    let (_server, client) = in_memory();
    client.create_topic("a", Some(1), &[]).expect("made");
    client.create_topic("b", Some(1), &[]).expect("made");
    let mut spec = bound(GatewayKind::Pull, "a");
    spec.frames = "topic,value".parse().ok();
    let push = socket(Kind::Push, &add(&client, spec));
    for (topic, value) in [("a", "1"), ("b", "2"), ("nowhere", "3"), ("", "4")] {
        push.send(Message::from_iter([topic, value])).expect("sent");
    }
    assert_eq!(records(&client, "a", 2)[1].2, "4", "without a name: the gateway's own topic");
    assert_eq!(records(&client, "b", 1)[0].2, "2");
    eventually("all are counted", || status(&client).drops == 1);
    assert!(client.topic("nowhere").is_none(), "peers make no topics");
}

#[test]
fn a_dealer_gets_its_correlation_back_with_the_offset() {
    let (_server, client) = in_memory();
    let mut spec = bound(GatewayKind::Router, "orders");
    spec.acks = Acks::All;
    let dealer = socket(Kind::Dealer, &add(&client, spec));
    for n in 0..1000 {
        dealer.send(Message::from_iter([&*n.to_string(), "x", "", "value"])).expect("sent");
    }
    for n in 0..1000 {
        let answer = frames(&dealer.recv().expect("answered"));
        assert_eq!(answer, [&*n.to_string(), "x", "", "ok", "0", &*n.to_string()]);
    }
    assert_eq!(records(&client, "orders", 1000).len(), 1000);
    eventually("all are counted", || status(&client).messages == 1000);
}

#[test]
fn an_error_is_answered_with_a_code_and_a_text() {
    let (_server, client) = in_memory();
    client.create_topic("small", Some(1), &[("max.message.bytes", "1000")]).expect("made");
    let endpoint = add(&client, bound(GatewayKind::Router, "small"));
    let dealer = socket(Kind::Dealer, &endpoint);
    dealer.send(Message::from_iter(["7", ""]).with(vec![0; 5000])).expect("sent");
    let answer = frames(&dealer.recv().expect("answered"));
    assert_eq!(answer[..4], ["7", "", "error", "MESSAGE_TOO_LARGE"]);
    dealer.send("no envelope").expect("sent");
    let answer = frames(&dealer.recv().expect("answered"));
    assert_eq!(answer[..3], ["", "error", "INVALID_RECORD"]);
    let req = socket(Kind::Req, &endpoint);
    req.send("good").expect("sent");
    assert_eq!(frames(&req.recv().expect("answered")), ["ok", "0", "0"]);
    eventually("all are counted", || counts(&client) == (1, 2, 1));
}

#[test]
fn what_a_remote_publisher_publishes_is_taken_with_its_topic_as_key() {
    let (_server, client) = in_memory();
    let publisher = Socket::new(Kind::Pub);
    let endpoint = publisher.bind(ANYWHERE).expect("bound");
    let mut spec = GatewaySpec::new("g", GatewayKind::Sub, "prices").connect(endpoint.as_str());
    spec.subscribe = vec!["eur".to_owned(), "usd".to_owned()];
    client.gateways().add(spec).expect("added");
    eventually("it has subscribed", || publisher.topics_count() == 2);
    for (topic, value) in [("eur", "1"), ("gbp", "2"), ("usd", "3")] {
        publisher.send(Message::from_iter([topic, value])).expect("sent");
    }
    let found = records(&client, "prices", 2);
    assert_eq!((&*found[0].1, &*found[0].2), ("eur", "1"));
    assert_eq!((&*found[1].1, &*found[1].2), ("usd", "3"));
}

#[test]
fn a_topic_that_is_deleted_and_made_anew_is_fed_again() {
    let (_server, client) = in_memory();
    let push = socket(Kind::Push, &add(&client, bound(GatewayKind::Pull, "t")));
    push.send("before").expect("sent");
    records(&client, "t", 1);
    client.delete_topic("t").expect("deleted");
    push.send("meanwhile").expect("sent");
    eventually("it is told", || status(&client).errors > 0);
    client.create_topic("t", Some(1), &[]).expect("made");
    assert_eq!(records(&client, "t", 1)[0].2, "meanwhile");
    assert_eq!(status(&client).drops, 0);
}
