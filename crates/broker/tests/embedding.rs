//! A broker inside the process, by the client: what it writes Kafka's clients read and the other
//! way round, in memory and on disk; what happens when topics go, and when the broker stops.

mod common;

use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use chaski_batch::Builder;
use chaski_broker::client::{
    BatchFailed, Client, ClientError, Codec, Durability, ErrorCode, OffsetQuery, Partitioner,
    Position, ProduceError, ProducerOptions, ReadError, Reader, Record, ResetTo,
};
use chaski_broker::{Builder as Embedded, Server};
use common::{Running, batch, batch_with, values};
use tempfile::TempDir;

/// Longest a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(30);

/// A broker of each kind; the directory is to be kept.
fn both() -> [(Server, Option<TempDir>); 2] {
    let dir = tempfile::tempdir().expect("a directory");
    let on_disk = Embedded::new().data_dir(dir.path()).start().expect("started");
    let in_memory = Embedded::new().in_memory().start().expect("started");
    [(in_memory, None), (on_disk, Some(dir))]
}

fn in_memory() -> (Server, Client) {
    let server = Embedded::new().in_memory().start().expect("started");
    let client = server.client();
    (server, client)
}

/// All values that a reader finds, with their offsets.
fn drain(reader: &mut Reader) -> Vec<(i64, String)> {
    let mut found = Vec::new();
    while let Some(records) = reader.next(1 << 20).expect("readable") {
        let value =
            |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.expect("one")).into_owned();
        records.for_each(|r| found.push((r.offset, value(r.value)))).expect("well formed");
    }
    found
}

fn produce(client: &Client, topic: &str, values: &[&str]) {
    let mut producer = client.producer(topic, ProducerOptions::default()).expect("a topic");
    for value in values {
        producer.push(Record::of(value.as_bytes())).expect("taken");
    }
    producer.flush().expect("acknowledged");
}

#[test]
fn what_is_flushed_is_read_in_every_codec() {
    for (server, _dir) in both() {
        let client = server.client();
        client.create_topic("t", Some(1), &[]).expect("made");
        let mut expected = Vec::new();
        for codec in [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
            let mut producer =
                client.producer("t", ProducerOptions::new().codec(codec)).expect("a topic");
            let mut placed = Vec::new();
            for i in 0..3 {
                let value = format!("{codec:?}-{i}");
                let headers = [("codec", Some(&b"x"[..])), ("none", None)];
                let record = Record { headers: &headers, ..Record::of(value.as_bytes()) };
                placed.push(producer.push(record).expect("taken"));
                expected.push((expected.len() as i64, value));
            }
            assert_eq!((producer.pending_records(), placed.len()), (3, 3));
            let flushed = producer.flush();
            let offsets: Vec<i64> =
                placed.iter().map(|p| p.offset_in(&flushed).expect("acknowledged")).collect();
            let first = expected.len() as i64 - 3;
            assert_eq!(offsets, [first, first + 1, first + 2]);
            assert_eq!(producer.pending_bytes(), 0);
        }
        let mut reader = client.reader("t", 0, Position::Earliest).expect("a partition");
        assert_eq!(drain(&mut reader), expected);
        assert_eq!((reader.position(), reader.lag()), (15, 0));
        reader.seek(Position::Offset(13)).expect("there");
        assert_eq!((reader.lag(), drain(&mut reader)), (2, expected[13..].to_vec()));
    }
}

#[test]
fn a_client_and_a_kafka_client_see_the_same_records() {
    let broker = Running::start(&[]);
    let client = broker.client();
    let mut kafka = broker.connect();
    assert_eq!(kafka.create("t", 1, &[]), ErrorCode::NONE);
    assert_eq!(kafka.produce("t", 0, -1, &batch(&["from", "afar"])), Ok(0));
    produce(&client, "t", &["from", "inside"]);
    let expected = ["from", "afar", "from", "inside"];
    let expected: Vec<(i64, String)> =
        expected.iter().enumerate().map(|(i, v)| (i as i64, (*v).to_owned())).collect();
    let mut reader = client.reader("t", 0, Position::Earliest).expect("a partition");
    assert_eq!(drain(&mut reader), expected);
    assert_eq!(values(&kafka.fetch("t", 0, 0, 1 << 20, 0).expect("no error")), expected);
    let metrics = client.metrics();
    assert_eq!((metrics.clients.produced_records, metrics.inside.produced_records), (2, 2));
    assert_eq!(metrics.latency.produce.count(), 1);
    assert_eq!(metrics.latency.fetch.count(), 1);
    assert!(metrics.latency.inside.percentile(0.99).is_some());
}

#[test]
fn what_was_flushed_to_disk_is_there_after_a_restart_though_a_client_lives_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let start = || Embedded::new().data_dir(dir.path()).start().expect("started");
    let server = start();
    let old = server.client();
    old.create_topic("t", Some(2), &[("retention.ms", "77777")]).expect("made");
    produce(&old, "t", &["kept"]);
    old.commit("g", &[("t", 0, 1), ("t", 1, 0)]).expect("committed");
    server.stop().expect("stopped");
    assert!(old.has_stopped());

    let server = start();
    let client = server.client();
    let topic = client.topic("t").expect("there");
    assert_eq!(topic.partitions(), 2);
    assert_eq!(topic.settings().collect::<Vec<_>>(), [("retention.ms", "77777")]);
    let found: Vec<_> = (0..2)
        .flat_map(|p| drain(&mut client.reader("t", p, Position::Earliest).expect("there")))
        .collect();
    assert_eq!(found, [(0, "kept".to_owned())]);
    assert_eq!(client.committed("g", "t"), Ok(vec![(0, Some(1)), (1, Some(0))]));
}

#[test]
fn damage_is_told_and_what_is_behind_it_can_be_read() {
    let dir = tempfile::tempdir().expect("a directory");
    let start = || Embedded::new().data_dir(dir.path()).start().expect("started");
    let server = start();
    server.client().create_topic("t", Some(1), &[]).expect("made");
    for value in ["good", "damaged", "good again"] {
        produce(&server.client(), "t", &[value]);
    }
    server.stop().expect("stopped");
    let entries = std::fs::read_dir(dir.path().join("log/t-0")).expect("listed");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let segment = { paths }.find(|p| p.extension().is_some_and(|e| e == "log")).expect("one");
    let mut bytes = std::fs::read(&segment).expect("readable");
    let at = bytes.windows(7).position(|w| w == b"damaged").expect("it is stored as it came");
    bytes[at] ^= 1;
    std::fs::write(&segment, bytes).expect("written");

    let server = start();
    let mut reader = server.client().reader("t", 0, Position::Earliest).expect("a partition");
    let records = reader.next(1 << 20).expect("readable").expect("some");
    assert_eq!((records.first_offset(), records.next_offset()), (0, 1));
    let Err(ReadError::Damaged { offset: 1, resumes: 2, .. }) = reader.next(1 << 20) else {
        panic!("damage is not hidden")
    };
    assert_eq!(reader.position(), 1);
    reader.seek(Position::Offset(2)).expect("there");
    assert_eq!(drain(&mut reader), [(2, "good again".to_owned())]);
}

#[test]
fn a_reader_sleeps_until_records_come() {
    for (server, _dir) in both() {
        let client = server.client();
        client.create_topic("t", Some(1), &[]).expect("made");
        let mut reader = client.reader("t", 0, Position::Latest).expect("a partition");
        assert!(!reader.wait(Duration::ZERO), "nothing there");
        let (ready, is_ready) = mpsc::channel();
        let reading = std::thread::spawn(move || {
            ready.send(()).expect("somebody listens");
            let mut found = Vec::new();
            while found.is_empty() && reader.wait(PATIENCE) {
                found = drain(&mut reader);
            }
            found
        });
        is_ready.recv().expect("it reads");
        produce(&client, "t", &["wake"]);
        assert_eq!(reading.join().expect("no panic"), [(0, "wake".to_owned())]);
    }
}

#[test]
fn a_task_is_woken_when_records_come() {
    struct Tell(mpsc::Sender<()>);
    impl std::task::Wake for Tell {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.send(()).expect("somebody listens");
        }
    }
    let (_server, client) = in_memory();
    client.create_topic("t", Some(3), &[]).expect("made");
    let mut reader = client.topic_reader("t", Position::Latest).expect("a topic");
    let (tell, told) = mpsc::channel();
    let waker = Waker::from(std::sync::Arc::new(Tell(tell)));
    let mut context = Context::from_waker(&waker);
    assert_eq!(reader.poll_wait(&mut context), Poll::Pending);
    assert!(told.try_recv().is_err());
    produce(&client, "t", &["wake"]);
    told.recv_timeout(PATIENCE).expect("woken");
    assert_eq!(reader.poll_wait(&mut context), Poll::Ready(()));
    assert!(reader.next(1 << 20).expect("readable").is_some());
}

#[test]
fn a_topic_reader_takes_its_turn_at_every_partition_and_follows_growth() {
    let (_server, client) = in_memory();
    client.create_topic("t", Some(2), &[]).expect("made");
    let by_partition = |partition| Record { partition: Some(partition), ..Record::of(b"x") };
    let mut producer = client.producer("t", ProducerOptions::default()).expect("a topic");
    let mut reader = client.topic_reader("t", Position::Earliest).expect("a topic");
    client.grow_topic("t", 3).expect("grown");
    for partition in [0, 0, 1, 2] {
        producer.push(by_partition(partition)).expect("taken");
        producer.flush().expect("acknowledged");
    }
    let mut seen = Vec::new();
    while let Some(records) = reader.next(1).expect("readable") {
        seen.push((records.partition(), records.first_offset()));
    }
    seen.sort_unstable();
    assert_eq!(seen, [(0, 0), (0, 1), (1, 0), (2, 0)]);
    assert_eq!(reader.positions().collect::<Vec<_>>(), [(0, 2), (1, 1), (2, 1)]);
    assert_eq!((reader.lag(), reader.wait(Duration::ZERO)), (0, false));
    reader.interrupter().interrupt();
    assert!(reader.wait(PATIENCE), "also if it was not waiting yet");
    assert!(!reader.wait(Duration::ZERO), "once");
}

#[test]
fn records_go_where_keys_say_and_batches_are_one_a_partition() {
    let (_server, client) = in_memory();
    client.create_topic("t", Some(4), &[]).expect("made");
    let mut producer = client.producer("t", ProducerOptions::default()).expect("a topic");
    for i in 0..100 {
        let key = format!("key-{}", i % 10);
        producer.push(Record { key: Some(key.as_bytes()), ..Record::of(b"v") }).expect("taken");
    }
    let keyed = producer.flush().expect("acknowledged");
    assert_eq!(keyed.iter().map(|acked| acked.count).sum::<usize>(), 100);
    let mut partitions: Vec<i32> = keyed.iter().map(|acked| acked.partition).collect();
    partitions.sort_unstable();
    partitions.dedup();
    assert_eq!(partitions.len(), keyed.len());
    for _ in 0..10 {
        producer.push(Record::of(b"no key")).expect("taken");
    }
    assert_eq!(producer.flush().expect("acknowledged").len(), 1, "they stay together");
    let fixed = ProducerOptions::new().partitioner(Partitioner::Fixed(9));
    let mut producer = client.producer("t", fixed).expect("a topic");
    let refused = ProduceError::UnknownPartition { partition: 9, partitions: 4 };
    assert_eq!(producer.push(Record::of(b"v")), Err(refused));
}

#[test]
fn the_topics_settings_hold_for_producers_inside_as_well() {
    let (_server, client) = in_memory();
    let settings = [("max.message.bytes", "1000"), ("cleanup.policy", "compact")];
    client.create_topic("t", Some(1), &settings).expect("made");
    let mut producer = client.producer("t", ProducerOptions::default()).expect("a topic");
    let code = |outcome: Result<_, ProduceError>| outcome.expect_err("refused").code();
    assert_eq!(code(producer.push(Record::of(b"no key"))), ErrorCode::INVALID_RECORD);
    let keyed = |value| Record { key: Some(b"k"), ..Record::of(value) };
    assert_eq!(code(producer.push(keyed(&[0; 1000]))), ErrorCode::MESSAGE_TOO_LARGE);
    let future = Record { timestamp: Some(i64::MAX), ..keyed(b"v") };
    assert_eq!(code(producer.push(future)), ErrorCode::INVALID_TIMESTAMP);
    // What was refused is nowhere; what fits is one batch after the other.
    for _ in 0..20 {
        producer.push(keyed(&[0; 300])).expect("taken");
    }
    let acked = producer.flush().expect("acknowledged");
    assert!(acked.len() > 6 && acked.iter().map(|acked| acked.count).sum::<usize>() == 20);
    assert!(acked.is_sorted_by_key(|acked| acked.base_offset));

    // Settings that change while records wait are those that hold when they are flushed.
    producer.push(keyed(&[0; 300])).expect("taken");
    client.alter_topic("t", &[("max.message.bytes", Some("100"))]).expect("changed");
    let error = producer.flush().expect_err("too large by now");
    let BatchFailed { count, error, .. } = error.failed().next().expect("one").clone();
    assert_eq!((count, error.code()), (1, ErrorCode::MESSAGE_TOO_LARGE));
    assert_eq!(client.offsets("t", 0).expect("there").log_end, 20);
}

#[test]
fn the_brokers_clock_stamps_records_where_the_topic_says_so() {
    let (_server, client) = in_memory();
    client
        .create_topic("t", Some(1), &[("message.timestamp.type", "LogAppendTime")])
        .expect("made");
    let mut producer = client.producer("t", ProducerOptions::default()).expect("a topic");
    producer.push(Record { timestamp: Some(5), ..Record::of(b"v") }).expect("taken");
    producer.flush().expect("acknowledged");
    let mut reader = client.reader("t", 0, Position::Earliest).expect("a partition");
    let records = reader.next(1 << 20).expect("readable").expect("one");
    records.for_each(|record| assert!(record.timestamp > 1_600_000_000_000)).expect("well formed");
    let found = client.find_offset("t", 0, OffsetQuery::AtOrAfter(6)).expect("looked up");
    assert_eq!(found.expect("found").offset, 0);
}

#[test]
fn a_producer_holds_so_much_and_no_more() {
    let (_server, client) = in_memory();
    client.create_topic("t", Some(1), &[]).expect("made");
    let mut options = ProducerOptions::default();
    options.buffer_bytes_max = 10_000;
    let mut producer = client.producer("t", options).expect("a topic");
    let full = loop {
        if let Err(error) = producer.push(Record::of(&[7; 1000])) {
            break error;
        }
    };
    assert!(matches!(full, ProduceError::Full { max: 10_000, .. }), "{full}");
    let pending = producer.pending_records();
    assert_eq!(producer.flush().expect("acknowledged")[0].count, pending);
    producer.push(Record::of(&[7; 20_000])).expect("one alone is taken");
}

#[test]
fn whole_batches_are_checked_taken_and_stored_once() {
    let (_server, client) = in_memory();
    client.create_topic("t", Some(1), &[]).expect("made");
    let mut producer = client.producer("t", ProducerOptions::default()).expect("a topic");
    let idempotent = || batch_with(Builder::new(Codec::Zstd).producer(7, 0, 0), &["a", "b"]);
    producer.push(Record::of(b"before")).expect("taken");
    let whole = producer.push_batch(0, &idempotent()).expect("taken");
    let after = producer.push(Record::of(b"after")).expect("taken");
    let flushed = producer.flush();
    assert_eq!((whole.offset_in(&flushed), after.offset_in(&flushed)), (Ok(1), Ok(3)));
    let again = producer.push_batch(0, &idempotent()).expect("taken");
    assert_eq!(again.offset_in(&producer.flush()), Ok(1), "it is there already");
    let mut reader = client.reader("t", 0, Position::Earliest).expect("a partition");
    let values: Vec<String> = drain(&mut reader).into_iter().map(|(_, value)| value).collect();
    assert_eq!(values, ["before", "a", "b", "after"]);
    let mut torn = idempotent();
    torn[70] ^= 1;
    let error = producer.push_batch(0, &torn).expect_err("no batch");
    assert_eq!(error.code(), ErrorCode::CORRUPT_MESSAGE);
    assert!(producer.push_batch(0, b"nonsense").is_err());
    assert!(producer.push_batch(1, &idempotent()).is_err(), "no such partition");
}

#[test]
fn who_is_past_the_end_is_told_and_does_not_sleep() {
    let (_server, client) = in_memory();
    client.create_topic("t", None, &[]).unwrap();
    for offset in [5, i64::MAX] {
        let mut reader = client.reader("t", 0, Position::Offset(offset)).unwrap();
        assert!(reader.wait(Duration::MAX));
        assert!(matches!(reader.next(1), Err(ReadError::OutOfRange { end: 0, .. })));
    }
    assert_eq!(client.reader("t", 0, Position::Offset(i64::MIN)).unwrap().lag(), i64::MAX);
}

#[test]
fn outcomes_come_to_whoever_does_not_wait() {
    for (server, _dir) in both() {
        let client = server.client();
        client.create_topic("t", Some(3), &[]).expect("made");
        for durability in [Durability::PageCache, Durability::Disk] {
            let options = ProducerOptions::new().durability(durability);
            let mut producer = client.producer("t", options).expect("a topic");
            let (tell, told) = mpsc::channel();
            for partition in 0..3 {
                let record = Record { partition: Some(partition), ..Record::of(b"v") };
                producer.push(record).expect("taken");
                let tell = tell.clone();
                producer.flush_with(move |flushed| drop(tell.send(flushed)));
            }
            let mut partitions: Vec<i32> = (0..3)
                .map(|_| told.recv_timeout(PATIENCE).expect("told").expect("acknowledged"))
                .map(|acked| acked[0].partition)
                .collect();
            partitions.sort_unstable();
            assert_eq!(partitions, [0, 1, 2]);
        }
    }
}

#[test]
fn who_uses_a_topic_that_is_deleted_is_told() {
    for (server, _dir) in both() {
        let client = server.client();
        client.create_topic("t", Some(1), &[]).expect("made");
        produce(&client, "t", &["gone"]);
        let mut reader = client.reader("t", 0, Position::Latest).expect("a partition");
        let mut producer = client.producer("t", ProducerOptions::default()).expect("a topic");
        producer.push(Record::of(b"late")).expect("taken");
        let (ready, is_ready) = mpsc::channel();
        let reading = std::thread::spawn(move || {
            ready.send(()).expect("somebody listens");
            assert!(reader.wait(PATIENCE));
            reader.next(1).map(|_| ())
        });
        is_ready.recv().expect("it reads");
        client.delete_topic("t").expect("deleted");
        let gone = ReadError::Deleted("t".to_owned());
        assert_eq!(reading.join().expect("no panic"), Err(gone));
        // The name is free again, but a topic made anew is another one.
        client.create_topic("t", Some(1), &[]).expect("made anew");
        let error = producer.flush().expect_err("for the other topic");
        let deleted = ProduceError::Deleted("t".to_owned());
        assert_eq!(error.failed().next().expect("one").error, deleted);
        assert_eq!(producer.push(Record::of(b"later")), Err(deleted));
        assert_eq!(client.offsets("t", 0).expect("there").log_end, 0);
    }
}

#[test]
fn everybody_is_told_when_the_broker_stops() {
    for (server, _dir) in both() {
        let client = server.client();
        client.create_topic("t", Some(1), &[]).expect("made");
        let mut producer = client.producer("t", ProducerOptions::default()).expect("a topic");
        producer.push(Record::of(b"late")).expect("taken");
        let mut readers = [Position::Latest, Position::Earliest]
            .map(|from| client.reader("t", 0, from).expect("a partition"));
        let (ready, is_ready) = mpsc::channel();
        let [asleep, awake] = &mut readers;
        std::thread::scope(|scope| {
            let sleeping = scope.spawn(move || {
                ready.send(()).expect("somebody listens");
                assert!(asleep.wait(PATIENCE));
                asleep.next(1).map(|_| ())
            });
            is_ready.recv().expect("it reads");
            server.stop().expect("stopped");
            assert_eq!(sleeping.join().expect("no panic"), Err(ReadError::Stopped));
        });
        assert!(awake.wait(PATIENCE));
        assert_eq!(awake.next(1).map(|_| ()), Err(ReadError::Stopped));
        let error = producer.flush().expect_err("nobody takes it");
        assert_eq!(error.failed().next().expect("one").error, ProduceError::Stopped);
        assert_eq!(producer.push(Record::of(b"later")), Err(ProduceError::Stopped));
        assert_eq!(client.groups(), Err(ClientError::Stopped));
        assert!(client.producer("t", ProducerOptions::default()).is_err());
    }
}

#[test]
fn topics_are_made_changed_grown_and_deleted() {
    let (_server, client) = in_memory();
    let made = client.create_topic("orders", None, &[("retention.ms", "5")]).expect("made");
    assert_eq!((made.name(), made.partitions()), ("orders", 1));
    let code = |error| match error {
        ClientError::Refused { code, .. } => code,
        other => panic!("{other}"),
    };
    let twice = client.create_topic("orders", None, &[]).expect_err("there");
    assert_eq!(code(twice), ErrorCode::TOPIC_ALREADY_EXISTS);
    let named = client.create_topic("a/b", None, &[]).expect_err("no name");
    assert_eq!(code(named), ErrorCode::INVALID_TOPIC_EXCEPTION);
    let set = client.create_topic("t", None, &[("retention", "5")]).expect_err("no setting");
    assert!(set.to_string().contains("did you mean"), "{set}");
    client.alter_topic("orders", &[("retention.ms", None), ("segment.ms", Some("9"))]).expect("ok");
    let settings = client.topic_settings("orders").expect("there");
    let value = |name| settings.iter().find(|s| s.name == name).expect("listed").value.as_str();
    assert_eq!((value("retention.ms"), value("segment.ms")), ("604800000", "9"));
    assert_eq!(client.grow_topic("orders", 3).expect("grown").partitions(), 3);
    assert!(client.grow_topic("orders", 2).is_err());
    let unknown =
        ClientError::UnknownTopic { topic: "order".to_owned(), nearest: Some("orders".to_owned()) };
    assert_eq!(client.delete_topic("order"), Err(unknown));
    let unknown =
        ClientError::UnknownPartition { topic: "orders".to_owned(), partition: 3, partitions: 3 };
    assert_eq!(client.offsets("orders", 3).err(), Some(unknown));
    produce(&client, "orders", &["a", "b"]);
    let held = (0..3).find(|p| client.stats("orders", *p).expect("there").bytes > 0);
    assert_eq!(client.delete_records("orders", held.expect("somewhere"), 1), Ok(1));
    client.delete_topic("orders").expect("deleted");
    assert!(client.topics().is_empty());
    assert!(client.settings().iter().any(|setting| setting.name == "num.partitions"));
}

#[test]
fn a_group_without_members_is_committed_for_moved_and_deleted() {
    let (_server, client) = in_memory();
    client.create_topic("t", Some(2), &[]).expect("made");
    for partition in [0, 0, 0, 1] {
        let mut producer = client.producer("t", ProducerOptions::default()).expect("a topic");
        let time = Some(1_700_000_000_000);
        let record = Record { partition: Some(partition), timestamp: time, ..Record::of(b"v") };
        producer.push(record).expect("taken");
        producer.flush().expect("acknowledged");
    }
    assert_eq!(client.group("g"), Ok(None));
    client.commit("g", &[("t", 0, 1)]).expect("committed");
    let group = client.group("g").expect("asked").expect("there");
    let lags: Vec<_> = group.offsets.iter().map(|o| (o.partition, o.committed, o.lag)).collect();
    assert_eq!((group.state.as_str(), lags), ("Empty", vec![(0, Some(1), Some(2))]));
    let summaries = client.groups().expect("asked");
    assert_eq!((summaries[0].group.as_str(), summaries[0].lag), ("g", Some(2)));
    assert_eq!(summaries[0].topics, ["t"]);

    let plan = |to| client.plan_reset("g", "t", None, to).expect("planned");
    let to = |changes: &[_]| -> Vec<(i32, Option<i64>, i64)> {
        changes
            .iter()
            .map(|c: &chaski_broker::client::OffsetChange| (c.partition, c.from, c.to))
            .collect()
    };
    assert_eq!(to(&plan(ResetTo::Earliest)), [(0, Some(1), 0), (1, None, 0)]);
    assert_eq!(to(&plan(ResetTo::Offset(99))), [(0, Some(1), 3), (1, None, 1)]);
    assert_eq!(to(&plan(ResetTo::By(1))), [(0, Some(1), 2)]);
    assert_eq!(to(&plan(ResetTo::By(i64::MIN))), [(0, Some(1), 0)]);
    assert_eq!(to(&plan(ResetTo::Time(1))), [(0, Some(1), 0), (1, None, 0)]);
    assert_eq!(client.committed("g", "t"), Ok(vec![(0, Some(1)), (1, None)]), "a dry run");
    client.reset("g", &plan(ResetTo::Latest)).expect("moved");
    assert_eq!(client.committed("g", "t"), Ok(vec![(0, Some(3)), (1, Some(1))]));
    assert!(client.plan_reset("g", "t", Some(&[7]), ResetTo::Latest).is_err());

    client.forget_offsets("g", "t").expect("forgotten");
    assert_eq!(client.committed("g", "t"), Ok(vec![(0, None), (1, None)]));
    assert!(client.commit("g", &[("t", 9, 0)]).is_err(), "no such partition");
    client.commit("g", &[("t", 1, 1)]).expect("committed");
    client.delete_group("g").expect("deleted");
    assert_eq!(client.delete_group("g"), Err(ClientError::UnknownGroup("g".to_owned())));
}
