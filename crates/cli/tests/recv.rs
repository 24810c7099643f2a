//! `chaski recv`.

mod common;

use std::io::{BufRead as _, BufReader, Read as _};

use common::{Broker, chaski, finish, signal};
use rustix::process::Signal;

/// A topic of one partition with the lines 0 to `count`.
fn filled(broker: &Broker, topic: &str, count: usize) -> String {
    let lines: String = (0..count).map(|i| format!("{i}\n")).collect();
    broker.send(topic, &lines);
    lines
}

#[test]
fn without_a_terminal_it_prints_everything_and_ends() {
    let broker = Broker::start();
    let lines = filled(&broker, "t", 10);
    assert_eq!(broker.run(&["recv", &broker.url("t")]).ok().stdout, lines);
    broker.run(&["topic", "create", "empty", "--partitions", "3"]).ok();
    assert_eq!(broker.run(&["recv", &broker.url("empty")]).ok().stdout, "");
}

#[test]
fn it_starts_where_it_is_told_to() {
    let broker = Broker::start();
    let lines = br#"{"value":"old","timestamp":1000000000000}
{"value":"newer","timestamp":1500000000000}
{"value":"new"}
"#;
    broker.feed(&["send", &broker.url("t"), "--json"], lines).ok();
    let from = |position: &str| {
        broker.run(&["recv", &broker.url("t"), "--exit-at-end", "--from", position]).ok()
    };
    assert_eq!(from("earliest").stdout, "old\nnewer\nnew\n");
    assert_eq!(from("latest").stdout, "");
    assert_eq!(from("1").stdout, "newer\nnew\n");
    assert_eq!(from("2010-01-01T00:00:00Z").stdout, "newer\nnew\n");
    assert_eq!(from("-1h").stdout, "new\n");
    let beyond = from("7");
    assert_eq!(beyond.stdout, "");
    assert!(beyond.stderr.contains("7 is not there yet"), "{beyond:?}");
    let args = ["recv", &broker.url("t"), "--from", "yesterday"];
    broker.run(&args).fails(2, &["earliest, latest, an offset"]);
}

#[test]
fn a_count_ends_it_within_a_batch_and_is_waited_for() {
    let broker = Broker::start();
    filled(&broker, "t", 10);
    let args = ["recv", &broker.url("t"), "--from", "3", "--count", "4"];
    assert_eq!(broker.run(&args).ok().stdout, "3\n4\n5\n6\n");
    let args = ["recv", &broker.url("t"), "--from", "earliest", "--count", "12"];
    let waiting = broker.spawn(&args);
    broker.send("t", "10\n11\n12\n");
    assert_eq!(finish(waiting).ok().stdout.lines().count(), 12);
}

#[test]
fn partitions_are_read_all_or_those_chosen() {
    let broker = Broker::start();
    broker.run(&["topic", "create", "t", "--partitions", "3"]).ok();
    for partition in ["0", "1", "2"] {
        let line = format!("in {partition}\n");
        broker.feed(&["send", &broker.url("t"), "--partition", partition], line.as_bytes()).ok();
    }
    let mut all: Vec<String> = broker.read("t").lines().map(str::to_owned).collect();
    all.sort();
    assert_eq!(all, ["in 0", "in 1", "in 2"]);
    let args = ["recv", &broker.url("t"), "--partition", "1"];
    assert_eq!(broker.run(&args).ok().stdout, "in 1\n");
    let args = ["recv", &broker.url("t"), "--partition", "3"];
    broker.run(&args).fails(1, &["no partition 3, only 0 to 2"]);
}

#[test]
fn the_forms_are_text_raw_and_json() {
    let broker = Broker::start();
    let args = ["send", &broker.url("t"), "--key-separator", ":", "--null-value", "NULL"];
    broker.feed(&args, b"k:v\nl:NULL\n").ok();
    let printed =
        |args: &[&str]| broker.run(&[&["recv", &broker.url("t")], args].concat()).ok().stdout;
    assert_eq!(printed(&[]), "v\n\n");
    assert_eq!(printed(&["--key"]), "k\tv\nl\t\n");
    assert_eq!(printed(&["--key", "--key-separator", "=", "--null-value", "-"]), "k=v\nl=-\n");
    assert_eq!(printed(&["-o", "raw"]), "v");
    let json = broker.run(&["recv", &broker.url("t"), "-o", "json"]).ok().jsonl();
    assert_eq!((&json[1]["topic"], &json[1]["offset"]), (&"t".into(), &1.into()));
    assert!(json[1]["value"].is_null() && json[1]["timestamp"].as_i64() > Some(0));
    assert_eq!(json[0]["headers"], serde_json::json!([]));
}

#[test]
fn much_is_read_whole_and_in_order() {
    let broker = Broker::start();
    let lines = filled(&broker, "t", 200_000);
    assert!(broker.read("t") == lines);
}

#[test]
fn ctrl_c_ends_it_well_and_between_lines() {
    let broker = Broker::start();
    filled(&broker, "t", 3);
    let args = ["recv", &broker.url("t"), "--from", "earliest", "--follow"];
    let mut following = broker.spawn(&args);
    let mut out = BufReader::new(following.stdout.take().unwrap());
    let mut text = String::new();
    for _ in 0..3 {
        out.read_line(&mut text).unwrap();
    }
    broker.send("t", "3\n");
    out.read_line(&mut text).unwrap();
    assert_eq!(text, "0\n1\n2\n3\n");
    signal(&following, Signal::INT);
    out.read_to_string(&mut text).unwrap();
    assert_eq!(text, "0\n1\n2\n3\n");
    let outcome = finish(following).ok();
    assert_eq!(outcome.stderr, "");
}

#[test]
fn a_closed_pipe_ends_it_well() {
    let broker = Broker::start();
    filled(&broker, "t", 100_000);
    let mut receiving = broker.spawn(&["recv", &broker.url("t")]);
    let mut out = BufReader::new(receiving.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    drop(out);
    assert_eq!(finish(receiving).ok().stderr, "");
}

#[test]
fn a_topic_that_is_not_there_is_not_created() {
    let broker = Broker::start();
    filled(&broker, "greetings", 1);
    let args = ["recv", &broker.url("greeting")];
    broker.run(&args).fails(1, &["no topic `greeting`", "did you mean `greetings`?"]);
    assert_eq!(broker.run(&["topic", "list", "-o", "jsonl"]).ok().jsonl().len(), 1);
}

#[test]
fn a_broker_that_goes_away_ends_it() {
    let mut broker = Broker::start();
    filled(&broker, "t", 1);
    let args = ["recv", &broker.url("t"), "--from", "earliest", "--follow"];
    let mut following = broker.spawn(&args);
    let mut out = BufReader::new(following.stdout.take().unwrap());
    out.read_line(&mut String::new()).unwrap();
    broker.kill();
    finish(following).fails(3, &[&broker.address]);
    let gone = ["recv", &broker.url("t")];
    chaski(&gone).fails(3, &["no broker answers", "chaski serve"]);
}

#[test]
fn a_url_that_is_none_is_explained() {
    for (url, said) in [
        ("orders", "kafka://HOST:PORT/TOPIC"),
        ("kafka://127.0.0.1:9092", "the topic is missing"),
        ("zmq+tcp://127.0.0.1:5555/x", "a port is a number or"),
        ("zmq+udp://127.0.0.1:5555", "udp"),
    ] {
        chaski(&["recv", url]).fails(2, &[said]);
    }
}
