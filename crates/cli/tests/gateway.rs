//! `chaski gateway`.
#![cfg(target_os = "linux")]

mod common;

use common::{Broker, chaski};

/// Looks at what never comes to pass.
const LOOKS_MAX: usize = 3_000;

#[test]
fn a_gateway_is_added_used_listed_described_and_removed() {
    let broker = Broker::start();
    broker.run(&["topic", "create", "orders"]).ok();
    let add = ["gateway", "add", "intake", "--kind", "pull", "--bind", "tcp://127.0.0.1:*"];
    let added = broker.run(&[&add[..], &["--topic", "orders"]].concat()).ok();
    assert_eq!(added.stdout, "added gateway `intake`\n");

    let listed = broker.run(&["gateway", "list", "-o", "json"]).ok().json();
    assert_eq!((&listed[0]["name"], &listed[0]["kind"]), (&"intake".into(), &"pull".into()));
    let endpoint = listed[0]["endpoints"][0].as_str().unwrap().to_owned();
    broker.feed(&["send", &format!("zmq+{endpoint}"), "-q"], b"one\ntwo\n").ok();
    let taken = (0..LOOKS_MAX).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        let described = broker.run(&["gateway", "describe", "intake", "-o", "json"]).ok().json();
        described["messages"] == 2
    });
    assert!(taken, "it never took them");
    assert_eq!(broker.read("orders"), "one\ntwo\n");

    let table = broker.run(&["gateway", "list"]).ok().stdout;
    assert!(table.starts_with("GATEWAY  KIND  TOPIC "), "{table}");
    let lines = broker.run(&["gateway", "list", "-o", "jsonl"]).ok().jsonl();
    assert_eq!((lines.len(), &lines[0]["messages"]), (1, &2.into()));
    let described = broker.run(&["gateway", "describe", "intake"]).ok().stdout;
    assert!(described.starts_with("gateway     intake\nkind        pull, in\n"), "{described}");

    let removed = broker.run(&["gateway", "remove", "intake"]).ok();
    assert_eq!(removed.stdout, "removed gateway `intake`\n");
    assert_eq!(broker.run(&["gateway", "list", "-o", "json"]).ok().stdout, "[]\n");
}

#[test]
fn a_broker_that_asks_for_a_token_is_given_one() {
    let broker = Broker::start_with(&["--set", "http.token=0123456789abcdef"]);
    let list = ["gateway", "list", "-o", "json"];
    broker.run(&list).fails(1, &["error: ", "hint: "]);
    let with = [&list[..], &["--token", "0123456789abcdef"]].concat();
    assert_eq!(broker.run(&with).ok().stdout, "[]\n");
}

#[test]
fn what_is_wrong_is_told_in_the_words_of_the_broker() {
    let broker = Broker::start();
    let add = |name: &str, more: &[&str]| {
        broker.run(&[&["gateway", "add", name, "--topic", "t"], more].concat())
    };
    let endpoint = ["--bind", "tcp://127.0.0.1:*"];
    add("feed", &[&["--kind", "pub"], &endpoint[..]].concat()).ok();
    add("feed", &[&["--kind", "pub"], &endpoint[..]].concat()).fails(1, &["feed"]);
    add("x", &["--kind", "pull"]).fails(1, &["endpoints"]);
    add("x", &["--kind", "pul"]).fails(2, &["'pull'"]);
    add("x", &[]).fails(2, &["--kind"]);
    for verb in ["describe", "remove"] {
        let said = ["no gateway `fed`", "did you mean `feed`?"];
        broker.run(&["gateway", verb, "fed"]).fails(1, &said);
    }
    chaski(&["gateway", "list", "--http", "127.0.0.1:1"]).fails(3, &["chaski serve", "--http"]);
}
