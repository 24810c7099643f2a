//! Records: produced, and read in every way.

use chaski_broker::client::{ProducerOptions, Record};
use serde_json::{Value, json};

use crate::browser::Broker;

fn broker(partitions: u32) -> Broker {
    let broker = Broker::start(&[]);
    broker.client().create_topic("t", Some(partitions), &[]).expect("made");
    broker
}

fn read(broker: &Broker, query: &str) -> Value {
    broker.get(&format!("/api/topics/t/messages?{query}"))
}

/// Partition and offset of each.
fn places(answer: &Value) -> Vec<(i64, i64)> {
    let messages = answer["messages"].as_array().expect("a list");
    let number = |value: &Value| value.as_i64().expect("a number");
    messages.iter().map(|one| (number(&one["partition"]), number(&one["offset"]))).collect()
}

#[test]
fn what_is_produced_is_read() {
    let broker = broker(3);
    let send = |body| broker.change("POST", "/api/topics/t/messages", body);
    let placed = send(json!({
        "key": "k", "value": "{\"a\": 1}", "partition": 2, "timestamp_ms": 1_700_000_000_000_i64,
        "headers": [{ "name": "h", "value": "v" }, { "name": "none", "value": null }],
    }))
    .expect(200);
    assert_eq!(placed, json!({ "partition": 2, "offset": 0 }));
    send(json!({ "key": "6b", "value": "00ff", "encoding": "hex", "partition": 2 })).expect(200);
    send(json!({ "value": "aGk=", "encoding": "base64", "partition": 2 })).expect(200);
    send(json!({ "key": "k", "value": null, "partition": 2 })).expect(200);
    let answer = read(&broker, "from=earliest");
    let messages = answer["messages"].as_array().expect("a list");
    assert_eq!(
        messages[0],
        json!({
            "partition": 2, "offset": 0, "timestamp_ms": 1_700_000_000_000_i64,
            "key": { "text": "k" }, "value": { "json": "{\"a\": 1}" },
            "headers": [
                { "name": "h", "value": { "text": "v" } },
                { "name": "none", "value": null },
            ],
            "size": 15,
        })
    );
    assert_eq!(messages[1]["key"], json!({ "text": "k" }));
    assert_eq!(messages[1]["value"], json!({ "hex": "00ff" }));
    assert_eq!(
        (&messages[2]["key"], &messages[2]["value"]),
        (&Value::Null, &json!({"text": "hi"}))
    );
    assert_eq!(messages[3]["value"], Value::Null);
    assert_eq!((&answer["scanned"], &answer["reached_end"]), (&4.into(), &true.into()));
    assert_eq!(answer["next"], json!({ "0": 0, "1": 0, "2": 4 }));
}

#[test]
fn what_cannot_be_produced_is_refused() {
    let broker = broker(1);
    let send = |body| broker.change("POST", "/api/topics/t/messages", body);
    send(json!({ "key": "k" })).refused(400, "invalid");
    send(json!({ "value": { "a": 1 } })).refused(400, "invalid");
    send(json!({ "value": "xyz", "encoding": "hex" })).refused(400, "invalid");
    send(json!({ "value": "!", "encoding": "base64" })).refused(400, "invalid");
    send(json!({ "value": "v", "partition": 9 })).refused(404, "not_found");
    send(json!({ "value": "v".repeat(2 << 20) })).refused(413, "too_large");
    let (_, hint) = broker
        .change("POST", "/api/topics/tt/messages", json!({ "value": "v" }))
        .refused(404, "not_found");
    assert_eq!(hint.as_deref(), Some("did you mean `t`?"));
    assert_eq!(read(&broker, "from=earliest")["messages"], json!([]));
}

#[test]
fn positions_lead_to_their_records() {
    let broker = broker(2);
    let mut producer = broker.client().producer("t", ProducerOptions::new()).expect("a topic");
    for n in 0..10_i64 {
        let (value, partition) = (n.to_string(), (n % 2) as i32);
        let timestamp = Some(1_700_000_000_000 + n);
        let record = Record::of(value.as_bytes());
        let record = Record { partition: Some(partition), timestamp, ..record };
        producer.push(record).expect("taken");
        producer.flush().expect("stored");
    }
    let places = |query: &str| places(&read(&broker, query));
    assert_eq!(places("from=3"), [(0, 3), (0, 4), (1, 3), (1, 4)]);
    assert_eq!(places("from=3&partition=1"), [(1, 3), (1, 4)]);
    assert_eq!(places("from=time:1700000000007"), [(0, 4), (1, 3), (1, 4)]);
    assert_eq!(places("from=99"), []);
    assert_eq!(places("from=-5&limit=2&partition=0"), [(0, 0), (0, 1)]);
    assert_eq!(places("from=1:4"), [(1, 4)], "those not named are not read");
    assert_eq!(places("from=latest&limit=3"), [(0, 4), (1, 3), (1, 4)], "the newest of all");
    assert_eq!(places("limit=1"), [(1, 4)], "the newest unless it is said otherwise");
    assert_eq!(places("from=latest&before=0:4,1:3&limit=2"), [(0, 3), (1, 2)]);
    assert_eq!(places("before=0:2&limit=3"), [(1, 2), (1, 3), (1, 4)], "the others are whole");
    assert_eq!(places("before=0:2&partition=0"), [(0, 0), (0, 1)]);
    let ask = |query: &str| broker.send("GET", &format!("/api/topics/t/messages?{query}"), &[], "");
    for wrong in ["from=now", "from=0:x", "before=3", "partition=x", "limit=-1", "decode=xml"] {
        ask(wrong).refused(400, "invalid");
    }
    ask("partition=2").refused(404, "not_found");
    broker.send("GET", "/api/topics/s/messages", &[], "").refused(404, "not_found");
}

#[test]
fn reading_on_gives_every_record_once() {
    let broker = broker(3);
    for partition in 0..3 {
        let values: Vec<String> = (0..=partition * 20).map(|n| format!("v{n}")).collect();
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        broker.produce("t", partition, &values);
    }
    let (mut seen, mut from, mut rounds) = (Vec::new(), "earliest".to_owned(), 0);
    loop {
        let answer = read(&broker, &format!("from={from}&limit=7"));
        assert!(places(&answer).len() <= 7);
        seen.extend(places(&answer));
        if answer["reached_end"] == true {
            break;
        }
        let next = answer["next"].as_object().expect("positions");
        let next: Vec<String> = next.iter().map(|(p, at)| format!("{p}:{at}")).collect();
        (from, rounds) = (next.join(","), rounds + 1);
        assert!(rounds < 100, "it goes on");
    }
    seen.sort_unstable();
    let all: Vec<(i64, i64)> = (0..3).flat_map(|p| (0..=p * 20).map(move |n| (p, n))).collect();
    assert_eq!(seen, all);
}

#[test]
fn going_back_gives_every_record_once() {
    let broker = broker(2);
    for n in 0..50 {
        broker.produce("t", i32::from(n % 3 == 0), &[&n.to_string()]);
    }
    let (mut seen, mut query) = (Vec::new(), "limit=8".to_owned());
    loop {
        let answer = read(&broker, &query);
        let page = places(&answer);
        if page.is_empty() {
            break;
        }
        let next = answer["next"].as_object().expect("positions").clone();
        seen.extend(page.clone());
        let before = next.keys().map(|name| {
            let partition: i64 = name.parse().expect("a number");
            let first = page.iter().find(|(p, _)| *p == partition).map(|(_, offset)| *offset);
            format!("{name}:{}", first.or(next[name].as_i64()).expect("an offset"))
        });
        query = format!("limit=8&before={}", before.collect::<Vec<_>>().join(","));
        assert!(seen.len() <= 50, "it goes on");
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 50);
}

#[test]
fn a_filter_is_applied_by_the_broker_and_says_what_it_looked_at() {
    let broker = broker(1);
    let mut producer = broker.client().producer("t", ProducerOptions::new()).expect("a topic");
    let marked: &[(&str, Option<&[u8]>)] = &[("mark", Some(b"a needle"))];
    for n in 0..1000 {
        let (key, value) = (format!("k{}", n % 10), format!("value {n}"));
        let headers = if n == 500 { marked } else { &[] };
        let record = Record { key: Some(key.as_bytes()), headers, ..Record::of(value.as_bytes()) };
        producer.push(record).expect("taken");
    }
    producer.flush().expect("stored");
    let offsets = |query: &str| {
        let answer = read(&broker, query);
        let offsets: Vec<i64> = places(&answer).iter().map(|(_, offset)| *offset).collect();
        (offsets, answer["scanned"].as_i64().expect("a count"), answer["reached_end"] == true)
    };
    assert_eq!(offsets("from=earliest&filter=value%20777"), (vec![777], 1000, true));
    assert_eq!(offsets("from=earliest&filter=needle"), (vec![500], 1000, true));
    assert_eq!(offsets("from=earliest&filter=Needle"), (vec![], 1000, true));
    assert_eq!(offsets("from=earliest&key=k3&limit=2"), (vec![3, 13], 14, false));
    assert_eq!(offsets("from=earliest&key=k"), (vec![], 1000, true), "the whole key");
    let (newest, scanned, _) = offsets("key=k3&limit=2");
    assert_eq!(newest, [983, 993]);
    assert!((20..1000).contains(&scanned), "from the end: {scanned}");
    assert_eq!(offsets("filter=value%207&key=k0&limit=3").0, [770, 780, 790]);
}

#[test]
fn bytes_are_shown_as_asked_and_cut_where_asked() {
    let broker = broker(1);
    let send = |hex: &str| {
        let body = json!({ "value": hex, "encoding": "hex" });
        broker.change("POST", "/api/topics/t/messages", body).expect(200);
    };
    send("82a161cb3ff8000000000000a16293010203");
    send("3c7363726970743e");
    let value = |query: &str, at: usize| {
        let answer = read(&broker, &format!("from=earliest&{query}"));
        answer["messages"][at]["value"].clone()
    };
    assert_eq!(value("", 0), json!({ "json": "{\"a\":1.5,\"b\":[1,2,3]}" }));
    assert_eq!(value("decode=msgpack", 0), json!({ "json": "{\"a\":1.5,\"b\":[1,2,3]}" }));
    assert_eq!(value("decode=hex", 1), json!({ "hex": "3c7363726970743e" }));
    assert_eq!(value("decode=base64", 1), json!({ "base64": "PHNjcmlwdD4=" }));
    assert_eq!(value("decode=json", 1), json!({ "text": "<script>" }));
    assert_eq!(value("decode=text&max_bytes=3", 1), json!({ "text": "<sc", "cut": 5 }));
}

#[test]
fn one_answer_has_its_bounds() {
    let broker = broker(1);
    let mut producer = broker.client().producer("t", ProducerOptions::new()).expect("a topic");
    let value = vec![b'x'; 500_000];
    for _ in 0..40 {
        producer.push(Record::of(&value)).expect("taken");
    }
    producer.flush().expect("stored");
    let answer = read(&broker, "from=earliest&limit=1000&max_bytes=1000000");
    let count = places(&answer).len();
    assert!((10..20).contains(&count), "8 MiB: {count}");
    assert_eq!(answer["next"], json!({ "0": count }));
    assert_eq!(answer["reached_end"], false);
    let answer = read(&broker, "from=earliest&limit=1000&max_bytes=10");
    assert_eq!(places(&answer).len(), 40);
}

#[test]
fn batches_are_opened_whatever_their_codec() {
    use chaski_broker::client::Codec;
    let broker = broker(1);
    for codec in [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let options = ProducerOptions::new().codec(codec);
        let mut producer = broker.client().producer("t", options).expect("a topic");
        for n in 0..10 {
            producer.push(Record::of(format!("{codec:?} {n}").as_bytes())).expect("taken");
        }
        producer.flush().expect("stored");
    }
    let answer = read(&broker, "from=25&limit=2");
    assert_eq!(places(&answer), [(0, 25), (0, 26)], "from within a batch");
    assert_eq!(answer["messages"][0]["value"], json!({ "text": "Snappy 5" }));
    assert_eq!(places(&read(&broker, "from=earliest&limit=99")).len(), 50);
}
