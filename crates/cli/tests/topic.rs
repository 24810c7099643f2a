//! `chaski topic`.

mod common;

use common::{Broker, chaski};

#[test]
fn a_topic_is_created_listed_described_and_deleted() {
    let broker = Broker::start();
    let created = broker.run(&["topic", "create", "orders", "--partitions", "3"]).ok();
    assert_eq!(created.stdout, "created topic `orders` with 3 partitions\n");
    broker.send("orders", "a\nb\n");

    let listed = broker.run(&["topic", "list", "-o", "json"]).ok().json();
    assert_eq!(listed[0]["name"], "orders");
    assert_eq!((&listed[0]["partitions"], &listed[0]["records"]), (&3.into(), &2.into()));
    let lines = broker.run(&["topic", "list", "-o", "jsonl"]).ok().jsonl();
    assert_eq!(lines[0], listed[0]);
    let table = broker.run(&["topic", "list"]).ok().stdout;
    assert!(table.starts_with("TOPIC   PARTITIONS  RECORDS  ID\norders           3        2  "));

    let described = broker.run(&["topic", "describe", "orders", "-o", "json"]).ok().json();
    assert_eq!((&described["name"], &described["records"]), (&"orders".into(), &2.into()));
    assert_eq!(described["partitions"].as_array().unwrap().len(), 3);
    assert!(described["settings"].as_array().unwrap().is_empty());

    let deleted = broker.run(&["topic", "delete", "orders", "--yes"]).ok();
    assert_eq!(deleted.stdout, "deleted topic `orders`\n");
    assert_eq!(broker.run(&["topic", "list", "-o", "json"]).ok().stdout, "[]\n");
}

#[test]
fn a_topic_that_exists_is_an_error_unless_that_is_fine() {
    let broker = Broker::start();
    broker.run(&["topic", "create", "orders"]).ok();
    let again = ["topic", "create", "orders"];
    broker.run(&again).fails(1, &["was not created", "exists", "--if-not-exists"]);
    broker.run(&["topic", "create", "orders", "--if-not-exists", "--partitions", "9"]).ok();
    let described = broker.run(&["topic", "describe", "orders", "-o", "json"]).ok().json();
    assert_eq!(described["partitions"].as_array().unwrap().len(), 1);
}

#[test]
fn settings_are_set_shown_with_their_source_and_unset() {
    let broker = Broker::start();
    broker.run(&["topic", "create", "orders", "--config", "retention.ms=3600000"]).ok();
    let settings = |more: &[&str]| {
        let args = [&["topic", "describe", "orders", "-o", "json"], more].concat();
        broker.run(&args).ok().json()["settings"].clone()
    };
    let set = settings(&[]);
    assert_eq!(set.as_array().unwrap().len(), 1);
    assert_eq!((&set[0]["name"], &set[0]["value"]), (&"retention.ms".into(), &"3600000".into()));
    assert_eq!(set[0]["source"], "topic");

    let all = settings(&["--all"]);
    assert!(all.as_array().unwrap().len() > 10);
    let documented = |s: &serde_json::Value| s["doc"].as_str().is_some_and(|doc| !doc.is_empty());
    assert!(all.as_array().unwrap().iter().all(documented));

    let changes = ["--set", "segment.bytes=1MiB", "--unset", "retention.ms", "--partitions", "4"];
    broker.run(&[&["topic", "alter", "orders"][..], &changes].concat()).ok();
    let set = settings(&[]);
    assert_eq!(set.as_array().unwrap().len(), 1);
    assert_eq!((&set[0]["name"], &set[0]["value"]), (&"segment.bytes".into(), &"1048576".into()));
    let described = broker.run(&["topic", "describe", "orders"]).ok().stdout;
    assert!(described.contains("\nsegment.bytes  1048576  topic\n"), "{described}");
    assert!(described.contains("\n        3         0       0        0\n"), "{described}");
}

#[test]
fn what_the_broker_refuses_changes_nothing_and_is_explained() {
    let broker = Broker::start();
    broker
        .run(&["topic", "create", "x", "--config", "retention.mss=1"])
        .fails(1, &["retention.ms`?", "INVALID_CONFIG"]);
    broker.run(&["topic", "create", "a/b"]).fails(1, &["a/b", "letters, digits"]);
    broker.run(&["topic", "create", "orders", "--partitions", "2"]).ok();
    // The wrong setting is found before the partitions are added.
    let alter = ["topic", "alter", "orders", "--partitions", "5", "--set", "segment.bytes=x"];
    broker.run(&alter).fails(1, &["segment.bytes"]);
    let described = broker.run(&["topic", "describe", "orders", "-o", "json"]).ok().json();
    assert_eq!(described["partitions"].as_array().unwrap().len(), 2);
    let fewer = ["topic", "alter", "orders", "--partitions", "1"];
    broker.run(&fewer).fails(1, &["can only be added"]);
    broker.run(&["topic", "alter", "orders"]).fails(2, &["--partitions", "--set"]);
}

#[test]
fn a_slip_in_a_name_is_met_with_the_name_meant() {
    let broker = Broker::start();
    broker.run(&["topic", "create", "orders"]).ok();
    for verb in [&["topic", "describe"][..], &["topic", "delete"], &["topic", "alter"]] {
        let change: &[&str] = if verb[1] == "alter" { &["--partitions", "2"] } else { &[] };
        let args = [verb, &["order"], change].concat();
        broker.run(&args).fails(1, &["no topic `order`", "did you mean `orders`?"]);
    }
    broker.run(&["topic", "describe", "zzz"]).fails(1, &["chaski topic list"]);
    // One wrong name among them, and none is deleted.
    broker.run(&["topic", "delete", "orders", "order", "--yes"]).fails(1, &["order"]);
    broker.run(&["topic", "describe", "orders"]).ok();
}

#[test]
fn a_broker_that_is_not_there_has_an_exit_code_of_its_own() {
    let said = ["no broker answers at 127.0.0.1:1", "refused", "chaski serve"];
    chaski(&["topic", "list", "--broker", "127.0.0.1:1"]).fails(3, &said);
    chaski(&["topic", "list", "--broker", "127.0.0.1:x"]).fails(2, &["`x` is no port"]);
}
