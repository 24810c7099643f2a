//! What the protocol promises, byte by byte: order, errors that name the fault, connections that
//! live on after a refusal, and end after nonsense.

mod common;

use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use chaski_batch::{Builder, Codec};
use chaski_kafka::{ErrorCode, api_versions, fetch, list_offsets, metadata};
use common::{Running, batch, batch_with, bytes_of, fetch_request, produce_request, values};

#[test]
fn pipelined_requests_are_answered_in_order_across_waits() {
    let broker = Running::start(&[]);
    let mut client = broker.connect();
    assert_eq!(client.create("t", 1, &[]), ErrorCode::NONE);
    let records = batch(&["a"]);
    // A durable append, a long poll for what the append behind it brings, that append, and two
    // requests answered from memory complete at very different times.
    let sent = [
        client.send(9, &produce_request("t", 0, -1, &records)),
        client.send(11, &fetch_request("t", 0, 1, 1 << 20, 25_000)),
        client.send(9, &produce_request("t", 0, 1, &records)),
        client.send(9, &metadata::Request::default()),
        client.send(3, &api_versions::Request::default()),
    ];
    for expected in sent {
        let frame = client.frame().expect("an answer");
        assert_eq!(i32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]), expected);
    }
}

#[test]
fn a_long_poll_ends_when_records_come_on_another_connection() {
    let broker = Running::start(&[("shards", "2")]);
    let (mut reader, mut writer) = (broker.connect(), broker.connect());
    assert_eq!(writer.create("t", 1, &[]), ErrorCode::NONE);
    let waiting = std::thread::spawn(move || reader.fetch("t", 0, 0, 1 << 20, 25_000));
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(writer.produce("t", 0, 1, &batch(&["x"])), Ok(0));
    let bytes = waiting.join().expect("no panic").expect("no error");
    assert_eq!(values(&bytes), [(0, "x".to_owned())]);
}

#[test]
fn durable_records_are_seen_once_acknowledged() {
    let broker = Running::start(&[]);
    let mut client = broker.connect();
    assert_eq!(client.create("t", 1, &[]), ErrorCode::NONE);
    for i in 0..20 {
        assert_eq!(client.produce("t", 0, -1, &batch(&["d"])), Ok(i));
        let bytes = client.fetch("t", 0, i, 1 << 20, 0).expect("no error");
        assert_eq!(values(&bytes), [(i, "d".to_owned())]);
    }
}

#[test]
fn records_topics_and_producer_state_survive_a_restart() {
    let mut broker = Running::start(&[]);
    let mut client = broker.connect();
    assert_eq!(client.create("t", 2, &[("retention.ms", "1234567")]), ErrorCode::NONE);
    let idempotent =
        |seq| batch_with(Builder::new(Codec::Lz4).producer(7, 0, seq), &["a", "b", "c"]);
    assert_eq!(client.produce("t", 1, -1, &idempotent(0)), Ok(0));
    assert_eq!(client.produce("t", 1, -1, &idempotent(3)), Ok(3));
    broker.restart();
    let mut client = broker.connect();
    assert_eq!(client.produce("t", 1, -1, &idempotent(3)), Ok(3), "a duplicate");
    assert_eq!(client.produce("t", 1, -1, &idempotent(6)), Ok(6), "the next");
    let gap = client.produce("t", 1, -1, &idempotent(12));
    assert_eq!(gap, Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER));
    let bytes = client.fetch("t", 1, 0, 1 << 20, 0).expect("no error");
    assert_eq!(values(&bytes).len(), 9);
}

#[test]
fn bad_batches_are_refused_with_the_code_that_names_the_fault() {
    let broker = Running::start(&[]);
    let mut client = broker.connect();
    assert_eq!(client.create("t", 1, &[("max.message.bytes", "2000")]), ErrorCode::NONE);
    assert_eq!(client.create("k", 1, &[("cleanup.policy", "compact")]), ErrorCode::NONE);
    let good = batch(&["a"]);
    let mut flipped = good.clone();
    *flipped.last_mut().expect("bytes") ^= 1;
    let mut old_format = good.clone();
    old_format[16] = 1;
    let two = [good.clone(), good.clone()].concat();
    let large = batch(&[&"x".repeat(3000)]);
    let mut future = Builder::new(Codec::None);
    future.push(i64::MAX / 2, None, Some(b"f"), &[]);
    let future = future.build().expect("a batch");
    let cases: &[(&str, &[u8], ErrorCode)] = &[
        ("t", &flipped, ErrorCode::CORRUPT_MESSAGE),
        ("t", &old_format, ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT),
        ("t", &two, ErrorCode::INVALID_RECORD),
        ("t", &large, ErrorCode::MESSAGE_TOO_LARGE),
        ("t", &future, ErrorCode::INVALID_TIMESTAMP),
        ("t", &good[..40], ErrorCode::CORRUPT_MESSAGE),
        ("t", &[], ErrorCode::INVALID_RECORD),
        ("k", &good, ErrorCode::INVALID_RECORD),
        ("nowhere", &good, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
    ];
    for (topic, records, code) in cases {
        assert_eq!(client.produce(topic, 0, 1, records), Err(*code), "{topic} {code:?}");
    }
    assert_eq!(client.produce("t", 9, 1, &good), Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
    assert_eq!(client.produce("t", 0, 5, &good), Err(ErrorCode::INVALID_REQUIRED_ACKS));
    assert_eq!(client.produce("t", 0, 1, &good), Ok(0), "nothing of the others was kept");
}

#[test]
fn log_append_time_is_the_brokers() {
    let broker = Running::start(&[]);
    let mut client = broker.connect();
    let config = [("message.timestamp.type", "LogAppendTime")];
    assert_eq!(client.create("t", 1, &config), ErrorCode::NONE);
    let mut ancient = Builder::new(Codec::None);
    ancient.push(5, None, Some(b"old"), &[]);
    let ancient = ancient.build().expect("a batch");
    let stamped = client.ask(9, &produce_request("t", 0, 1, &ancient), |response| {
        response.responses[0].partition_responses[0].log_append_time_ms
    });
    assert!(stamped > 1_600_000_000_000);
    let bytes = client.fetch("t", 0, 0, 1 << 20, 0).expect("no error");
    assert_eq!(chaski_batch::check(&bytes).expect("a good batch").max_timestamp, stamped);
}

#[test]
fn a_fetch_returns_whole_batches_and_at_least_one() {
    let broker = Running::start(&[]);
    let mut client = broker.connect();
    assert_eq!(client.create("t", 1, &[]), ErrorCode::NONE);
    for _ in 0..10 {
        client.produce("t", 0, 1, &batch(&["one", "two", "three"])).expect("appended");
    }
    let one = client.fetch("t", 0, 4, 1, 0).expect("no error");
    assert_eq!(values(&one).len(), 3, "the whole batch that holds offset 4");
    let some = client.fetch("t", 0, 0, one.len() as i32 * 2 + 7, 0).expect("no error");
    assert_eq!(values(&some).len(), 6, "no half batch at the end");
    assert_eq!(client.fetch("t", 0, 31, 1 << 20, 0), Err(ErrorCode::OFFSET_OUT_OF_RANGE));
    assert_eq!(client.fetch("t", 0, 30, 1 << 20, 0), Ok(Vec::new()));
}

#[test]
fn a_fetch_session_tells_only_what_is_new() {
    let broker = Running::start(&[]);
    let mut client = broker.connect();
    assert_eq!(client.create("t", 2, &[]), ErrorCode::NONE);
    client.produce("t", 0, 1, &batch(&["a"])).expect("appended");
    let part = |partition, fetch_offset| fetch::RequestPartition {
        partition,
        fetch_offset,
        partition_max_bytes: 1 << 20,
        ..Default::default()
    };
    let request = |id, epoch, partitions| fetch::Request {
        max_bytes: 1 << 20,
        session_id: id,
        session_epoch: epoch,
        topics: vec![fetch::RequestTopic { topic: "t", partitions }],
        ..Default::default()
    };
    let told = |response: &fetch::Response<'_>| -> Vec<(i32, usize)> {
        let partitions = response.responses.iter().flat_map(|t| &t.partitions);
        partitions.map(|p| (p.partition_index, bytes_of(&p.records).len())).collect()
    };
    let first = request(0, 0, vec![part(0, 0), part(1, 0)]);
    let (id, all) = client.ask(11, &first, |r| (r.session_id, told(&r)));
    assert_ne!(id, 0);
    assert_eq!(all.len(), 2);
    let quiet = client.ask(11, &request(id, 1, vec![part(0, 1)]), |r| told(&r));
    // The position of partition 0 was changed, so it is told again; partition 1 is no news.
    assert!(quiet.iter().all(|(index, bytes)| *index == 0 && *bytes == 0), "{quiet:?}");
    client.produce("t", 1, 1, &batch(&["b"])).expect("appended");
    let news = client.ask(11, &request(id, 2, vec![]), |r| told(&r));
    assert!(matches!(news[..], [(1, bytes)] if bytes > 0), "{news:?}");
    let stale = client.ask(11, &request(id, 2, vec![]), |r| r.error_code);
    assert_eq!(stale, ErrorCode::INVALID_FETCH_SESSION_EPOCH);
    let unknown = client.ask(11, &request(id + 1, 3, vec![]), |r| r.error_code);
    assert_eq!(unknown, ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
}

#[test]
fn offsets_are_found_by_time() {
    let broker = Running::start(&[]);
    let mut client = broker.connect();
    assert_eq!(client.create("t", 1, &[]), ErrorCode::NONE);
    let base = 1_700_000_000_000;
    for i in 0..5 {
        let mut builder = Builder::new(Codec::Gzip);
        for j in 0..10 {
            builder.push(base + i * 1000 + j * 10, None, Some(b"v"), &[]);
        }
        client.produce("t", 0, 1, &builder.build().expect("a batch")).expect("appended");
    }
    let mut at = |timestamp| {
        let partition = list_offsets::RequestPartition { timestamp, ..Default::default() };
        let topic = list_offsets::RequestTopic { name: "t", partitions: vec![partition] };
        let request = list_offsets::Request { topics: vec![topic], ..Default::default() };
        client.ask(7, &request, |r| r.topics[0].partitions[0].offset)
    };
    assert_eq!(at(list_offsets::EARLIEST), 0);
    assert_eq!(at(list_offsets::LATEST), 50);
    assert_eq!(at(0), 0);
    assert_eq!(at(base + 2000), 20);
    assert_eq!(at(base + 2045), 25);
    assert_eq!(at(base + 2999), 30);
    assert_eq!(at(base + 4090), 49);
    assert_eq!(at(base + 4091), -1);
    assert_eq!(at(list_offsets::MAX_TIMESTAMP), 49);
}

#[test]
fn what_is_not_served_is_refused_and_the_connection_lives() {
    let broker = Running::start(&[]);
    let mut client = broker.connect();
    let raw = |key: i16, version: i16, body: &[u8]| {
        let mut frame = Vec::new();
        frame.extend((10 + body.len() as i32).to_be_bytes());
        frame.extend(key.to_be_bytes());
        frame.extend(version.to_be_bytes());
        frame.extend(99_i32.to_be_bytes());
        frame.extend((-1_i16).to_be_bytes());
        frame.extend(body);
        frame
    };
    // ApiVersions of the future: version 0 of the answer, error 35, with the range (KIP-511).
    let no_tags = [0];
    client.stream.write_all(&raw(18, 99, &no_tags)).expect("sent");
    assert_eq!(client.frame().expect("an answer")[4..6], [0, 35]);
    // Transactions are not served.
    client.stream.write_all(&raw(24, 0, &[])).expect("sent");
    assert_eq!(client.frame().expect("an answer")[4..6], [0, 35]);
    // Produce 2 is advertised for the sake of librdkafka, and refused in its own form.
    let old = [1_i16.to_be_bytes().as_slice(), &[0; 4], &[0; 4]].concat();
    client.stream.write_all(&raw(0, 2, &old)).expect("sent");
    assert!(client.frame().is_some());
    assert_eq!(client.create("alive", 1, &[]), ErrorCode::NONE);
}

#[test]
fn nonsense_ends_the_connection_and_no_other() {
    let broker = Running::start(&[]);
    let mut bystander = broker.connect();
    let giant = i32::MAX.to_be_bytes();
    let negative = (-5_i32).to_be_bytes();
    let short = [0, 0, 0, 3, 1, 2, 3];
    let metadata_with_too_many_topics =
        [0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 1, 255, 255, 127, 255, 255, 255];
    let cases: [&[u8]; 4] = [&giant, &negative, &short, &metadata_with_too_many_topics];
    for nonsense in cases {
        let mut client = broker.connect();
        client.stream.write_all(nonsense).expect("sent");
        assert_eq!(client.frame(), None, "{nonsense:?}");
    }
    assert_eq!(bystander.create("t", 1, &[]), ErrorCode::NONE);
}

#[test]
fn acks_0_is_not_answered_but_a_fault_hangs_up() {
    let broker = Running::start(&[]);
    let mut client = broker.connect();
    assert_eq!(client.create("t", 1, &[]), ErrorCode::NONE);
    let records = batch(&["a"]);
    client.send(9, &produce_request("t", 0, 0, &records));
    let bytes = client.fetch("t", 0, 0, 1 << 20, 5000).expect("the next answer is the fetch's");
    assert_eq!(values(&bytes).len(), 1);
    client.send(9, &produce_request("nowhere", 0, 0, &records));
    assert_eq!(client.frame(), None);
}

#[test]
fn readers_on_different_shards_are_all_woken() {
    let broker = Running::start(&[("shards", "2")]);
    let mut writer = broker.connect();
    assert_eq!(writer.create("t", 1, &[]), ErrorCode::NONE);
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let mut reader = broker.connect();
            std::thread::spawn(move || {
                let bytes = reader.fetch("t", 0, 0, 1 << 20, 60_000).expect("no error");
                values(&bytes).len()
            })
        })
        .collect();
    std::thread::sleep(Duration::from_millis(100));
    writer.produce("t", 0, 1, &batch(&["x"])).expect("appended");
    // A reader that nobody wakes would wait past the client's own patience and panic.
    for reader in readers {
        assert_eq!(reader.join().expect("woken"), 1);
    }
}

#[test]
fn more_requests_than_may_be_unanswered_are_all_answered() {
    let broker = Running::start(&[("max.in.flight.requests.per.connection", "10")]);
    let mut client = broker.connect();
    assert_eq!(client.create("t", 1, &[]), ErrorCode::NONE);
    let records = batch(&["a"]);
    for acks in [1, -1] {
        let sent: Vec<i32> =
            (0..200).map(|_| client.send(9, &produce_request("t", 0, acks, &records))).collect();
        for expected in sent {
            let frame = client.frame().expect("an answer");
            assert_eq!(i32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]), expected);
        }
    }
}

#[test]
fn answers_larger_than_may_be_held_are_all_sent() {
    let broker = Running::start(&[]);
    let mut client = broker.connect();
    assert_eq!(client.create("wide", 300, &[]), ErrorCode::NONE);
    // About 80 KB an answer, 16 MB in all, asked for before any is read.
    let sent: Vec<i32> = (0..200).map(|_| client.send(9, &metadata::Request::default())).collect();
    for expected in sent {
        let frame = client.frame().expect("an answer");
        assert_eq!(i32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]), expected);
    }
}

#[test]
fn a_batch_that_claims_more_records_than_fit_is_refused() {
    let broker = Running::start(&[]);
    let mut client = broker.connect();
    assert_eq!(client.create("t", 1, &[]), ErrorCode::NONE);
    let good = batch(&["a"]);
    let mut header = chaski_batch::Header::parse(&good).expect("a header");
    header.record_count = 1000;
    header.last_offset_delta = 999;
    let mut lying = good.clone();
    lying[..chaski_batch::HEADER_LEN].copy_from_slice(&header.encode());
    let crc = crc32c(&lying[21..]);
    lying[17..21].copy_from_slice(&crc.to_be_bytes());
    assert_eq!(client.produce("t", 0, 1, &lying), Err(ErrorCode::INVALID_RECORD));
}

/// CRC32C bit by bit: slow and plainly right.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = !0_u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
        }
    }
    !crc
}

#[test]
fn busy_partitions_of_a_session_do_not_starve_the_others() {
    let broker = Running::start(&[]);
    let mut client = broker.connect();
    assert_eq!(client.create("t", 3, &[]), ErrorCode::NONE);
    let large = batch(&[&"x".repeat(10_000)]);
    for index in 0..3 {
        for _ in 0..4 {
            client.produce("t", index, 1, &large).expect("appended");
        }
    }
    let part = |partition, fetch_offset| fetch::RequestPartition {
        partition,
        fetch_offset,
        partition_max_bytes: 100,
        ..Default::default()
    };
    let request = |id, epoch, partitions| fetch::Request {
        max_bytes: 100,
        session_id: id,
        session_epoch: epoch,
        topics: vec![fetch::RequestTopic { topic: "t", partitions }],
        ..Default::default()
    };
    let full = |response: &fetch::Response<'_>| -> Vec<i32> {
        let partitions = response.responses.iter().flat_map(|t| &t.partitions);
        partitions.filter(|p| !bytes_of(&p.records).is_empty()).map(|p| p.partition_index).collect()
    };
    let all = vec![part(0, 0), part(1, 0), part(2, 0)];
    let (id, mut seen) = client.ask(11, &request(0, 0, all), |r| (r.session_id, full(&r)));
    for epoch in 1..3 {
        // The client never moves on: the broker alone must see to it that all have their turn.
        seen.extend(client.ask(11, &request(id, epoch, vec![]), |r| full(&r)));
    }
    seen.sort_unstable();
    assert_eq!(seen, [0, 1, 2]);
}

#[test]
fn a_request_too_large_for_the_control_thread_hangs_up() {
    let broker = Running::start(&[]);
    let mut client = broker.connect();
    let name = "x".repeat(30_000);
    let topics =
        vec![chaski_kafka::create_topics::RequestTopic { name: &name, ..Default::default() }; 600];
    let request = chaski_kafka::create_topics::Request { topics, ..Default::default() };
    client.send(5, &request);
    assert_eq!(client.frame(), None, "18 MB of topics");
    assert_eq!(broker.connect().create("t", 1, &[]), ErrorCode::NONE);
}

#[test]
fn so_many_connections_may_be_open_whichever_shards_they_come_to() {
    let broker = Running::start(&[("shards", "2"), ("max.connections", "3")]);
    let is_served = |client: &mut common::Client| {
        client.ask(3, &api_versions::Request::default(), |response| response.error_code)
    };
    let mut inside: Vec<_> = (0..3).map(|_| broker.connect()).collect();
    for client in &mut inside {
        assert_eq!(is_served(client), ErrorCode::NONE);
    }
    let hung_up = |client: &mut common::Client| match client.stream.read(&mut [0]) {
        Ok(read) => read == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    };
    assert!(hung_up(&mut broker.connect()), "a place less than that of two shards' shares");
    drop(inside.pop());
    // Its place is free once the broker has noticed; until then others are sent away.
    let patience = Instant::now() + Duration::from_secs(120);
    loop {
        let mut client = broker.connect();
        let frame = chaski_kafka::frame_request(3, 1, None, &api_versions::Request::default());
        let sent = client.stream.write_all(&frame.into_bytes());
        if sent.is_ok() && client.frame().is_some() {
            break;
        }
        assert!(Instant::now() < patience, "the place stays taken");
    }
}
