//! Producers in shared memory: what they write is read by everybody else, in memory and on disk;
//! what no producer should write is told, and harms nobody; brokers that stop and come back.

mod deaths;
mod disk;

use std::path::Path;
use std::time::Duration;

use chaski_batch::{Builder, Codec};
use chaski_broker::client::{Client, Position, Reader};
use chaski_broker::{Builder as Embedded, Server};
use chaski_local::producer::wire::{Append, Reason, Refused, Request, Response};
use chaski_local::producer::{Durability, LocalProducerBuilder, ProduceError};
use chaski_local::{LocalProducer, OpenError, Partitioner, Record};
use tempfile::TempDir;

/// Longest a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(180);

const NAME: &str = "test";

/// A broker that is reached in this directory.
fn broker(builder: Embedded, dir: &Path) -> Server {
    let shm = dir.join("shm");
    let builder = builder.set("shm.listen", NAME).set("shm.directory", shm.to_str().expect("text"));
    builder.start().expect("started")
}

fn in_memory(topic: &str, partitions: u32) -> (Server, TempDir) {
    let dir = tempfile::tempdir().expect("a directory");
    let server = broker(Embedded::new().in_memory(), dir.path());
    server.client().create_topic(topic, Some(partitions), &[]).expect("created");
    (server, dir)
}

fn choices(dir: &Path) -> LocalProducerBuilder {
    LocalProducer::builder().directory(dir.join("shm")).timeout(PATIENCE)
}

fn producer(dir: &Path, topic: &str) -> LocalProducer {
    choices(dir).connect(NAME, topic).expect("connected")
}

/// All values of a partition, with their offsets.
fn stored(client: &Client, topic: &str, partition: i32) -> Vec<(i64, String)> {
    let mut reader: Reader =
        client.reader(topic, partition, Position::Earliest).expect("a partition");
    let mut found = Vec::new();
    while let Some(records) = reader.next(1 << 20).expect("readable") {
        let text = |value: Option<&[u8]>| String::from_utf8_lossy(value.expect("one")).into_owned();
        records.for_each(|r| found.push((r.offset, text(r.value)))).expect("well formed");
    }
    found
}

#[test]
fn what_is_pushed_is_in_the_log_where_it_was_said() {
    let dirs = [tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("another")];
    let builders =
        [Embedded::new().in_memory(), Embedded::new().data_dir(dirs[1].path().join("data"))];
    for (builder, dir) in builders.into_iter().zip(&dirs) {
        let server = broker(builder, dir.path());
        let client = server.client();
        client.create_topic("orders", Some(3), &[]).expect("created");
        for (round, durability) in [Durability::PageCache, Durability::Disk].into_iter().enumerate()
        {
            let choices = choices(dir.path()).durability(durability);
            let mut orders = choices.connect(NAME, "orders").expect("connected");
            let mut placed = Vec::new();
            for i in 0..100 {
                let (key, value) = (format!("key-{}", i % 7), format!("{round}-{i}"));
                let record = Record { key: Some(key.as_bytes()), ..Record::of(value.as_bytes()) };
                placed.push((orders.push(record).expect("taken"), value.clone()));
            }
            assert_eq!(orders.pending_records(), 100);
            let flushed = orders.flush();
            for (placed, value) in placed {
                let offset = placed.offset_in(&flushed).expect("stored");
                let stored = stored(&client, "orders", placed.partition);
                assert!(stored.contains(&(offset, value)));
            }
            assert_eq!((orders.in_flight(), orders.pending_bytes()), (0, 0));
        }
        let metrics = client.metrics();
        assert_eq!((metrics.local.produced_records, metrics.local.produce_errors), (200, 0));
        assert!(metrics.latency.local.count() >= 2);
        server.stop().expect("stopped");
    }
}

#[test]
fn a_stream_is_acknowledged_in_order_and_nothing_is_missing() {
    let (server, dir) = in_memory("readings", 2);
    let choices = choices(dir.path()).durability(Durability::PageCache).batch_bytes(4 << 10);
    let mut readings = choices.connect(NAME, "readings").expect("connected");
    let (mut acked, mut batches) = (0, 0);
    let mut take = |outcome: Result<chaski_local::producer::Acked, _>| {
        let got = outcome.expect("acknowledged");
        assert_eq!(got.batch, batches, "in order");
        batches += 1;
        acked += got.count;
    };
    const COUNT: usize = 50_000;
    for i in 0..COUNT {
        readings.push(Record::of(format!("{i:08}").as_bytes())).expect("taken");
        while let Some(outcome) = readings.next_ack() {
            take(outcome);
        }
    }
    readings.send();
    while let Some(outcome) = readings.wait_ack(PATIENCE) {
        take(outcome);
    }
    assert_eq!(acked, COUNT);
    let client = server.client();
    let parts = [stored(&client, "readings", 0), stored(&client, "readings", 1)];
    assert!(parts.iter().all(|part| !part.is_empty()), "batches take turns");
    let mut all: Vec<String> = Vec::new();
    for part in parts {
        assert!(part.windows(2).all(|two| two[0].0 + 1 == two[1].0 && two[0].1 < two[1].1));
        all.extend(part.into_iter().map(|(_, value)| value));
    }
    all.sort_unstable();
    assert!(all.iter().enumerate().all(|(i, value)| *value == format!("{i:08}")));
    assert_eq!(all.len(), COUNT);
}

#[test]
fn every_codec_and_a_record_larger_than_a_ring_come_through() {
    let (server, dir) = in_memory("t", 1);
    let large = "x".repeat(900_000);
    for codec in [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let mut t = choices(dir.path()).codec(codec).connect(NAME, "t").expect("connected");
        for value in ["small", &large, "after"] {
            t.push(Record::of(value.as_bytes())).expect("taken");
        }
        t.flush().expect("stored");
    }
    let values: Vec<usize> =
        stored(&server.client(), "t", 0).into_iter().map(|(_, value)| value.len()).collect();
    assert_eq!(values, [5, 900_000, 5].repeat(5));
}

#[test]
fn what_a_topic_forbids_is_refused_before_it_is_sent_or_after() {
    let (server, dir) = in_memory("plain", 2);
    let client = server.client();
    let error = choices(dir.path()).connect(NAME, "plane").expect_err("unknown");
    assert_eq!(error.to_string(), "no topic `plane`; did you mean `plain`?");
    assert!(matches!(error, OpenError::UnknownTopic(_)));

    client.create_topic("compact", Some(1), &[("cleanup.policy", "compact")]).expect("created");
    let mut compact = producer(dir.path(), "compact");
    let refused = compact.push(Record::of(b"keyless")).expect_err("refused");
    assert!(matches!(refused, ProduceError::Refused { reason: Reason::Invalid, .. }), "{refused}");

    let mut plain = producer(dir.path(), "plain");
    let large = vec![0; 2 << 20];
    let refused = plain.push(Record::of(&large)).expect_err("too large");
    assert!(matches!(refused, ProduceError::Refused { reason: Reason::TooLarge, .. }), "{refused}");
    let partition = plain.push(Record { partition: Some(2), ..Record::of(b"x") });
    let unknown = ProduceError::UnknownPartition { partition: 2, partitions: 2 };
    assert_eq!(partition, Err(unknown));
    // The record before and the one after are as they were.
    let old =
        Record { timestamp: Some(1 << 60), partition: Some(0), ..Record::of(b"of the future") };
    plain.push(old).expect("the broker says so");
    plain.push(Record { partition: Some(1), ..Record::of(b"good") }).expect("taken");
    let error = plain.flush().expect_err("one of them");
    let failed: Vec<_> = error.failed().map(|failed| (failed.partition, &failed.error)).collect();
    let [(0, ProduceError::Refused { reason: Reason::Timestamp, .. })] = failed[..] else {
        panic!("{failed:?}");
    };
    assert_eq!(error.acked().count(), 1);

    client.delete_topic("plain").expect("deleted");
    plain.push(Record::of(b"late")).expect("taken");
    let error = plain.flush().expect_err("gone");
    let deleted = ProduceError::Deleted("plain".to_owned());
    assert_eq!(error.failed().next().expect("one").error, deleted);
}

#[test]
fn partitions_that_are_added_are_used_after_the_next_acknowledgement() {
    let (server, dir) = in_memory("grows", 1);
    let choices = choices(dir.path()).partitioner(Partitioner::RoundRobin);
    let mut grows = choices.connect(NAME, "grows").expect("connected");
    server.client().grow_topic("grows", 3).expect("grown");
    assert_eq!(grows.partitions(), 1);
    grows.push(Record::of(b"x")).expect("taken");
    grows.flush().expect("stored");
    assert_eq!(grows.partitions(), 3);
}

/// What no [`LocalProducer`] would send, by the client it stands on.
#[test]
fn requests_of_a_peer_that_means_ill_are_refused_one_by_one() {
    let (server, dir) = in_memory("t", 1);
    let topic = server.client().topic("t").expect("there").id().into_bytes();
    let peer = chaski_shm::Client::builder().directory(dir.path().join("shm"));
    let mut peer = peer.connect_within(PATIENCE).connect(NAME).expect("in");
    let batch = |codec| {
        let mut builder = Builder::new(codec);
        builder.push(1, None, Some(b"value"), &[]);
        builder.build().expect("a batch")
    };
    let head = |partition, topic| {
        Append { durability: Durability::PageCache, partition, topic }.encode().to_vec()
    };
    let mut damaged = batch(Codec::None);
    *damaged.last_mut().expect("bytes") ^= 1;
    let mut claims = batch(Codec::None);
    claims[57..61].copy_from_slice(&i32::MAX.to_be_bytes());
    let mut control = Builder::new(Codec::None).control();
    control.push(1, None, Some(b"value"), &[]);
    let control = control.build().expect("a batch");
    let whole = batch(Codec::None);
    let two = [&whole[..], &whole[..]].concat();
    let cases: [(Vec<u8>, Reason); 10] = [
        (Vec::new(), Reason::Request),
        (b"\x07\x01\0\0t".to_vec(), Reason::Request),
        (head(0, topic)[..23].to_vec(), Reason::Request),
        (head(0, topic), Reason::Corrupt),
        ([head(0, topic), damaged].concat(), Reason::Corrupt),
        ([head(0, topic), whole[..whole.len() - 1].to_vec()].concat(), Reason::Corrupt),
        ([head(0, topic), two].concat(), Reason::Invalid),
        ([head(0, topic), control].concat(), Reason::Invalid),
        ([head(1, topic), whole.clone()].concat(), Reason::UnknownPartition),
        ([head(0, [9; 16]), whole.clone()].concat(), Reason::UnknownTopic),
    ];
    for (request, reason) in cases {
        let response = peer.call(&request).expect("answered").to_vec();
        let Ok(Response::Refused(Refused { reason: said, why, .. })) = Response::decode(&response)
        else {
            panic!("{reason:?}: {response:?}")
        };
        assert_eq!(said, reason, "{why}");
    }
    let response = peer.call(&[head(0, topic), claims].concat()).expect("answered").to_vec();
    assert!(matches!(Response::decode(&response), Ok(Response::Refused(_))));
    // Too large for any topic, and for the message a peer may send.
    let large = [head(0, topic), vec![0; 2 << 20]].concat();
    let response = peer.call(&large).expect("answered").to_vec();
    assert!(matches!(Response::decode(&response), Ok(Response::Refused(_))));

    let mut open = Vec::new();
    Request::encode_open("t", &mut open);
    let response = peer.call(&open).expect("answered").to_vec();
    assert!(matches!(Response::decode(&response), Ok(Response::Topic(_))), "it is served still");
    let response = peer.call(&[head(0, topic), whole].concat()).expect("answered").to_vec();
    let Ok(Response::Appended(appended)) = Response::decode(&response) else { panic!("stored") };
    assert_eq!(appended.base_offset, 0, "nothing of the others was kept");
    assert_eq!(server.client().metrics().local.produced_records, 1);
}

#[test]
fn what_a_stopped_broker_has_not_taken_the_next_one_finds() {
    let dir = tempfile::tempdir().expect("a directory");
    let start = || broker(Embedded::new().data_dir(dir.path().join("data")), dir.path());
    let server = start();
    server.client().create_topic("t", Some(1), &[]).expect("created");
    let mut t = producer(dir.path(), "t");
    t.push(Record::of(b"before")).expect("taken");
    t.flush().expect("stored");
    server.stop().expect("stopped");

    // There is nobody: it waits in this process's memory.
    t.push(Record::of(b"between")).expect("taken");
    let server = start();
    let flushed = t.flush().expect("the next broker takes it");
    assert_eq!(flushed.iter().map(|acked| acked.base_offset).collect::<Vec<_>>(), [1]);
    let values = stored(&server.client(), "t", 0);
    assert_eq!(values, [(0, "before".to_owned()), (1, "between".to_owned())]);
    server.stop().expect("stopped");
}

/// A producer of `t`. With little patience of its own it may have to try more than once.
fn connected(choices: impl Fn() -> LocalProducerBuilder) -> LocalProducer {
    let mut attempts = (0..30).map(|_| choices().connect(NAME, "t"));
    attempts.find_map(Result::ok).expect("connected")
}

#[test]
fn a_stream_hears_of_each_batch_though_no_broker_comes() {
    let (server, dir) = in_memory("t", 1);
    let choices = || choices(dir.path()).timeout(Duration::from_secs(2)).batch_bytes(4 << 10);
    let mut t = connected(choices);
    let mut begun = std::collections::BTreeSet::new();
    let mut push = |t: &mut LocalProducer| {
        // An error is about the record, which is in no batch then.
        begun.extend(t.push(Record::of(&[7; 100])).map(|placed| placed.batch));
    };
    (0..1000).for_each(|_| push(&mut t));
    drop(server);
    (0..10_000).for_each(|_| push(&mut t));
    t.send();
    let mut told = 0;
    while t.wait_ack(PATIENCE).is_some() {
        told += 1;
    }
    assert_eq!((told, t.in_flight()), (begun.len(), 0));
}

#[test]
fn without_a_broker_a_producer_fails_in_time_and_for_good() {
    let (server, dir) = in_memory("t", 1);
    let mut t = connected(|| choices(dir.path()).timeout(Duration::from_secs(1)));
    drop(server);
    t.push(Record::of(b"x")).expect("taken");
    let error = t.flush().expect_err("nobody is there");
    let failed = error.failed().next().expect("one").error.clone();
    use ProduceError::{Busy, InDoubt, Stopped, TimedOut};
    assert!(matches!(failed, Stopped | InDoubt | TimedOut(_) | Busy(_)), "{failed:?}");
    // Each further one is over within the timeout as well, or this test never ends.
    for _ in 0..3 {
        t.push(Record::of(b"x")).expect("taken");
        t.flush().expect_err("nobody is there");
    }
}
