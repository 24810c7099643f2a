//! `chaski send`.

mod common;

use std::io::{BufRead as _, BufReader, Write as _};

use common::{Broker, finish, signal};
use rustix::process::Signal;

#[test]
fn a_line_is_a_record() {
    let broker = Broker::start();
    let sent = broker.feed(&["send", &broker.url("t")], b"one\n\n\xff two \nlast").ok();
    assert_eq!(sent.stdout, "");
    // How long it took is said as well if that was long.
    assert!(sent.stderr.starts_with("sent to t: 4 records, 13 B"), "{sent:?}");
    let records = broker.run(&["recv", &broker.url("t"), "-o", "json"]).ok().jsonl();
    let values: Vec<_> = records.iter().map(|record| record["value"].clone()).collect();
    let bytes = serde_json::json!({"base64": "/yB0d28g"});
    assert_eq!(values, ["one".into(), "".into(), bytes, "last".into()]);
    assert!(records.iter().all(|record| record["key"].is_null()));
}

#[test]
fn every_codec_and_acknowledgement_brings_every_record_in_order() {
    let broker = Broker::start();
    let lines: String = (0..5_000).map(|i| format!("line {i}\n")).collect();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        for acks in ["all", "1", "0"] {
            let topic = format!("{codec}-{acks}");
            let url = broker.url(&topic);
            // Many small batches, so that several are under way.
            let flags = ["--codec", codec, "--acks", acks, "--batch-bytes", "4096"];
            let args = [&["send", &url][..], &flags].concat();
            broker.feed(&args, lines.as_bytes()).ok();
            assert!(broker.read(&topic) == lines, "{topic}");
        }
    }
}

#[test]
fn a_file_is_sent_like_standard_input() {
    let broker = Broker::start();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "a\nb\n").unwrap();
    broker.run(&["send", &broker.url("t"), file.path().to_str().unwrap()]).ok();
    assert_eq!(broker.read("t"), "a\nb\n");
    broker.run(&["send", &broker.url("t"), "/no/such/file"]).fails(1, &["/no/such/file"]);
}

#[test]
fn keys_decide_the_partition_as_in_java_clients() {
    let broker = Broker::start();
    broker.run(&["topic", "create", "t", "--partitions", "7"]).ok();
    let args = ["send", &broker.url("t"), "--key-separator", ":"];
    broker.feed(&args, b"foobar:1\n21:2\nfoobar:3\n").ok();
    let records = broker.run(&["recv", &broker.url("t"), "-o", "json"]).ok().jsonl();
    let partition = |key: &str| -> Vec<i64> {
        let of_key = records.iter().filter(|record| record["key"] == key);
        of_key.map(|record| record["partition"].as_i64().unwrap()).collect()
    };
    // murmur2("foobar") = -790332482, murmur2("21") = -973932308, both without their sign bit.
    assert_eq!(partition("foobar"), [(-790_332_482i64 & 0x7fff_ffff) % 7; 2]);
    assert_eq!(partition("21"), [(-973_932_308i64 & 0x7fff_ffff) % 7]);
}

#[test]
fn key_headers_partition_and_tombstones_are_given_as_flags() {
    let broker = Broker::start();
    broker.run(&["topic", "create", "t", "--partitions", "3"]).ok();
    let flags = ["--key", "k", "--header", "a=1", "--header", "a=2", "--partition", "2"];
    let url = broker.url("t");
    let args = [&["send", &url][..], &flags, &["--null-value", "NULL"]].concat();
    broker.feed(&args, b"v\nNULL\n").ok();
    let records = broker.run(&["recv", &broker.url("t"), "-o", "json"]).ok().jsonl();
    assert_eq!((&records[0]["key"], &records[0]["value"]), (&"k".into(), &"v".into()));
    assert!(records[1]["value"].is_null());
    let headers = serde_json::json!([{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]);
    assert!(records.iter().all(|record| record["headers"] == headers));
    assert!(records.iter().all(|record| record["partition"] == 2));
    let args = ["send", &broker.url("t"), "--partition", "3"];
    broker.feed(&args, b"v\n").fails(1, &["no partition 3", "0 to 2"]);
}

#[test]
fn what_recv_prints_as_json_can_be_sent_again() {
    let broker = Broker::start();
    for topic in ["from", "to"] {
        broker.run(&["topic", "create", topic, "--partitions", "2"]).ok();
    }
    let lines =
        br#"{"key":"k","value":"v","headers":{"h":null},"timestamp":1700000000000,"partition":1}
{"key":{"base64":"/w=="},"value":{"n":[1, 2]},"headers":[{"key":"x","value":"1"}],"partition":0}
{"value":null,"partition":0}
"#;
    let flags = ["--set", "message.timestamp.before.max.ms=9223372036854775807"];
    broker.run(&[&["topic", "alter", "from"][..], &flags].concat()).ok();
    broker.feed(&["send", &broker.url("from"), "--json"], lines).ok();
    let printed = |topic: &str| {
        let mut lines = broker.run(&["recv", &broker.url(topic), "-o", "json"]).ok().jsonl();
        lines.sort_by_key(|l| (l["partition"].as_i64(), l["offset"].as_i64()));
        for line in &mut lines {
            line["topic"].take();
        }
        lines
    };
    let copy = broker.run(&["recv", &broker.url("from"), "-o", "json"]).ok().stdout;
    broker.feed(&["send", &broker.url("to"), "--json"], copy.as_bytes()).ok();
    let from = printed("from");
    assert_eq!(from, printed("to"));
    assert_eq!((&from[0]["value"], &from[1]["value"]), (&"{\"n\":[1, 2]}".into(), &().into()));
    assert_eq!(from[2]["timestamp"], 1_700_000_000_000i64);
}

#[test]
fn a_line_that_is_no_record_is_named_and_those_before_it_are_sent() {
    let broker = Broker::start();
    let json = ["send", &broker.url("t"), "--json"];
    let said = ["line 2 is no record", "vlaue", "1 record before it"];
    broker.feed(&json, b"{\"value\":\"good\"}\n{\"vlaue\":1}\n").fails(1, &said);
    assert_eq!(broker.read("t"), "good\n");
    let keyed = ["send", &broker.url("t"), "--key-separator", "::"];
    broker.feed(&keyed, b"k:v\n").fails(1, &["line 1", "`::`", "key, separator, value"]);
    let elsewhere = b"{\"value\":1,\"partition\":4}\n";
    broker.feed(&json, elsewhere).fails(1, &["partition 4", "0 to 0"]);
}

#[test]
fn records_that_the_topic_does_not_take_are_refused_with_a_hint() {
    let broker = Broker::start();
    broker.run(&["topic", "create", "t", "--config", "max.message.bytes=1000"]).ok();
    let long = "x".repeat(2_000) + "\n";
    let said = ["refused 1 record", "line 1", "MESSAGE_TOO_LARGE", "--batch-bytes"];
    broker.feed(&["send", &broker.url("t")], long.as_bytes()).fails(1, &said);
}

#[test]
fn a_line_that_comes_alone_is_sent_at_once() {
    let broker = Broker::start();
    let mut sending = broker.spawn(&["send", &broker.url("t")]);
    let mut stdin = sending.stdin.take().unwrap();
    writeln!(stdin, "one").unwrap();
    wait_for_record(&broker);
    writeln!(stdin, "two").unwrap();
    let both = ["recv", &broker.url("t"), "--from", "earliest", "--count", "2"];
    assert_eq!(broker.run(&both).ok().stdout, "one\ntwo\n");
    drop(stdin);
    finish(sending).ok();
}

#[test]
fn ctrl_c_sends_what_was_read_and_says_that_there_may_be_more() {
    let broker = Broker::start();
    let mut sending = broker.spawn(&["send", &broker.url("t")]);
    let mut stdin = sending.stdin.take().unwrap();
    writeln!(stdin, "one").unwrap();
    wait_for_record(&broker);
    signal(&sending, Signal::INT);
    let outcome = finish(sending);
    drop(stdin);
    outcome.fails(1, &["sent to t: 1 record", "interrupted"]);
}

#[test]
fn a_broker_that_goes_away_is_told_from_one_that_refuses() {
    let mut broker = Broker::start();
    let mut sending = broker.spawn(&["send", &broker.url("t")]);
    let mut stdin = sending.stdin.take().unwrap();
    writeln!(stdin, "one").unwrap();
    wait_for_record(&broker);
    broker.kill();
    // One line may still fit into the socket; the next finds it closed.
    while sending.try_wait().unwrap().is_none() && writeln!(stdin, "two").is_ok() {}
    let outcome = finish(sending);
    outcome.fails(3, &["1 record had been acknowledged"]);
}

/// Waits until the topic `t` has a record.
fn wait_for_record(broker: &Broker) {
    let mut topics = 0;
    while topics == 0 {
        topics = broker.run(&["topic", "list", "-o", "jsonl"]).ok().jsonl().len();
    }
    let args = ["recv", &broker.url("t"), "--from", "earliest", "--count", "1"];
    let mut receiving = broker.spawn(&args);
    let mut line = String::new();
    BufReader::new(receiving.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "one\n");
    finish(receiving).ok();
}
