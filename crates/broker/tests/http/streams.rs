//! Server-sent events.

use serde_json::json;

use crate::browser::{Broker, Events};

fn broker(partitions: u32) -> Broker {
    let broker = Broker::start(&[]);
    broker.client().create_topic("t", Some(partitions), &[]).expect("made");
    broker
}

/// A tail that has begun.
fn tail(broker: &Broker, query: &str) -> Events {
    let mut events = broker.listen(&format!("/api/topics/t/tail?{query}"));
    assert_eq!(events.next().expect("an event").0, "ping");
    events
}

#[test]
fn a_tail_shows_what_comes_and_nothing_from_before() {
    let broker = broker(2);
    broker.produce("t", 0, &["before"]);
    let mut events = tail(&broker, "");
    broker.produce("t", 1, &["{\"a\":1}"]);
    let told = events.expect("message");
    assert_eq!((&told["partition"], &told["offset"]), (&1.into(), &0.into()));
    assert_eq!(told["value"], json!({ "json": "{\"a\":1}" }));
    broker.produce("t", 0, &["after"]);
    let told = events.expect("message");
    assert_eq!((&told["partition"], &told["offset"]), (&0.into(), &1.into()));
}

#[test]
fn a_tail_shows_what_was_asked_for() {
    let broker = broker(2);
    let mut one = tail(&broker, "partition=1");
    let mut some = tail(&broker, "filter=b&decode=hex");
    broker.produce("t", 0, &["a", "b"]);
    broker.produce("t", 1, &["c"]);
    assert_eq!(one.expect("message")["value"], json!({ "text": "c" }));
    assert_eq!(some.expect("message")["value"], json!({ "hex": "62" }));
}

#[test]
fn a_partition_that_comes_later_is_followed() {
    let broker = broker(1);
    let mut events = tail(&broker, "");
    broker.client().grow_topic("t", 2).expect("grown");
    broker.produce("t", 1, &["x"]);
    assert_eq!(events.expect("message")["partition"], 1);
}

/// Reads until this many were shown or dropped; how many were dropped, and unseen.
fn account(events: &mut Events, total: u64) -> (u64, u64) {
    let (mut shown, mut dropped, mut unseen) = (0, 0, 0);
    while shown + dropped < total {
        let (name, data) = events.next().expect("not the end");
        match name.as_str() {
            "message" => shown += 1,
            "dropped" => {
                dropped += data["count"].as_u64().expect("a count");
                unseen += data["unseen"].as_u64().expect("a count");
            }
            _ => {}
        }
    }
    assert_eq!(shown + dropped, total, "nothing is counted twice");
    (dropped, unseen)
}

#[test]
fn every_record_is_shown_or_counted() {
    let broker = broker(3);
    let mut all = tail(&broker, "");
    let mut some = tail(&broker, "filter=wanted");
    for partition in 0..3 {
        let values: Vec<String> = (0..2000)
            .map(|n| if n % 2 == 0 { format!("wanted {n}") } else { format!("other {n}") })
            .collect();
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        broker.produce("t", partition, &values);
    }
    // Of 6000 at once a viewer is shown a few hundred.
    let (dropped, _) = account(&mut all, 6000);
    assert!(dropped > 1000, "{dropped}");
    let (dropped, unseen) = account(&mut some, 3000);
    assert!(dropped > 500, "{dropped}");
    assert_eq!(unseen, 0, "all were looked at");
    // And what comes then is shown.
    broker.produce("t", 0, &["wanted last"]);
    for events in [&mut all, &mut some] {
        while events.expect("message")["value"] != json!({ "text": "wanted last" }) {}
    }
}

#[test]
fn a_tail_ends_with_its_topic() {
    let broker = broker(1);
    let mut events = tail(&broker, "");
    broker.client().delete_topic("t").expect("deleted");
    events.end();
    broker.send("GET", "/api/topics/t/tail", &[], "").refused(404, "not_found");
}

#[test]
fn a_stream_ends_with_its_login_and_with_no_other() {
    const TOKEN: &str = "the-token-for-everything";
    let broker = Broker::start(&[("http.token", TOKEN)]);
    broker.client().create_topic("t", Some(1), &[]).expect("made");
    let log_in = || {
        let answer = broker.change("POST", "/api/session", json!({ "token": TOKEN }));
        let set = answer.header("set-cookie").expect("a cookie").to_owned();
        set.split(';').next().expect("a pair").to_owned()
    };
    let (mine, other, bearer) = (log_in(), log_in(), format!("Bearer {TOKEN}"));
    let streams = |who: &[(&str, &str)]| {
        ["/api/events", "/api/topics/t/tail"].map(|path| {
            let mut events = broker.listen_as(path, who);
            assert!(events.next().is_some(), "it has begun");
            events
        })
    };
    let mut ending = streams(&[("Cookie", &mine)]);
    // A token beside a cookie is what counts.
    let both = [("Cookie", mine.as_str()), ("Authorization", bearer.as_str())];
    let going_on = [streams(&[("Cookie", &other)]), streams(&both)];

    let change = [("Cookie", mine.as_str()), ("Content-Type", "application/json")];
    let change = [&change[..], &[("X-Chaski", "1")]].concat();
    broker.send("DELETE", "/api/session", &change, "{}").expect(200);
    ending.iter_mut().for_each(|events| events.end());
    broker.produce("t", 0, &["x"]);
    for [mut events, mut tail] in going_on {
        assert_eq!(tail.expect("message")["value"], json!({ "text": "x" }));
        events.expect("overview");
    }
    broker.send("GET", "/api/events", &change[..1], "").refused(401, "unauthorized");
}

#[test]
fn the_overview_comes_at_once_and_changes_are_told() {
    let broker = Broker::start(&[]);
    let mut events = broker.listen("/api/events");
    let (name, told) = events.next().expect("an event");
    assert_eq!((name.as_str(), &told["topics"]), ("overview", &0.into()));
    events.expect("overview");
    broker.client().create_topic("t", None, &[]).expect("made");
    events.expect("topology");
    broker.client().commit("g", &[("t", 0, 0)]).expect("committed");
    events.expect("topology");
    while events.expect("overview")["groups"] != 1 {}
}

#[test]
fn streams_end_when_the_broker_stops() {
    let broker = broker(1);
    let mut events = [tail(&broker, ""), broker.listen("/api/events")];
    broker.stop();
    for events in &mut events {
        while events.next().is_some() {}
    }
}

#[test]
fn there_are_only_so_many_streams() {
    let broker = broker(1);
    let mut open = Vec::new();
    let refused = loop {
        let mut answer = broker.status_of_stream("/api/events");
        if answer.0 != 200 {
            break answer.0;
        }
        open.push(answer.1.take());
        assert!(open.len() < 1000, "it goes on");
    };
    assert_eq!((refused, open.len()), (503, 128));
    broker.get("/api/topics");
}
