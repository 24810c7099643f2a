//! `chaski top`; what it draws is tested where it is drawn.

mod common;

use common::{Broker, Outcome, Process, command, finish};
use serde_json::Value;

/// Looks at what never is whole.
const LOOKS_MAX: usize = 50;

/// One look at this broker, and at services that nobody has.
fn once(http: &str, more: &[&str]) -> Outcome {
    let dir = tempfile::tempdir().unwrap();
    let args = ["top", "--once", "--interval", "0.1", "--http", http];
    let mut command = command(&[&args[..], more].concat());
    let mut process = Process::start(command.env("CHASKI_SHM_DIR", dir.path()));
    drop(process.stdin.take());
    finish(process)
}

#[test]
fn one_look_shows_every_part() {
    let broker = Broker::start();
    broker.send("orders", "a\nb\n");
    let look = until_whole(&broker.http);
    assert_eq!(look["broker"]["address"], broker.http);
    assert_eq!(look["topics"][0]["name"], "orders");
    assert_eq!(look["topics"][0]["records"], 2);
    for part in ["groups", "sockets", "rings", "shards"] {
        assert!(look[part].is_array(), "{part}: {look:#}");
    }
    let titles = ["TOPIC ", "GROUP ", "SOCKET ", "SERVICE ", "SHARD "];
    let mut texts = (0..LOOKS_MAX).map(|_| once(&broker.http, &[]).ok().stdout);
    let shows_all = |text: &String| titles.iter().all(|it| text.contains(&format!("\n{it}")));
    assert!(texts.any(|text| shows_all(&text)), "{}", once(&broker.http, &[]).ok().stdout);
}

/// The first look at which the broker, which has two seconds for each part, was in time with all.
fn until_whole(http: &str) -> Value {
    let mut looks = (0..LOOKS_MAX).map(|_| once(http, &["-o", "json"]).ok().json());
    looks.find(|look| look["missing"] == serde_json::json!({})).expect("a look that is whole")
}

#[test]
fn without_a_broker_there_are_rings_and_reasons() {
    let look = once("127.0.0.1:1", &["-o", "jsonl"]).ok().jsonl().remove(0);
    assert!(look["topics"].is_null() && look["rings"].is_array(), "{look:#}");
    for part in ["broker", "topics", "groups", "sockets", "shards"] {
        assert!(look["missing"][part].as_str().unwrap().contains("127.0.0.1:1"), "{look:#}");
    }
    let text = once("127.0.0.1:1", &[]).ok().stdout;
    assert!(text.contains("topics: nobody answers at http://127.0.0.1:1"), "{text}");
}

#[test]
fn a_live_screen_needs_a_terminal() {
    for args in [&["top"][..], &["top", "-o", "json"]] {
        let mut process = Process::start(&mut command(args));
        drop(process.stdin.take());
        finish(process).fails(2, &["needs a terminal", "chaski top --once"]);
    }
}
