//! What is produced is read, in order and once, wherever it lies by then.

use std::time::Duration;

use chaski_broker::Builder;
use chaski_broker::client::{ProducerOptions, Record};
use chaski_local::{ConsumeError, LocalConsumer, Position};

use super::{Home, NAME, PATIENCE, produce, read_to, segments, value};

#[test]
fn records_are_read_while_they_are_produced() {
    let home = Home::new();
    let server = home.start();
    let client = server.client();
    // Some tens of segments.
    client.create_topic("t", Some(1), &[("segment.bytes", "65536")]).expect("made");
    let mut consumer = home.reading("t");
    std::thread::scope(|scope| {
        scope.spawn(|| produce(&client, "t", 0..20_000));
        read_to(&mut consumer, "t", 20_000);
    });
    assert!(segments(&home, "t").len() > 10);
    assert_eq!(consumer.lag("t", 0), Some(0));
    // Once more, from what has been sealed and closed meanwhile, in reads of one batch or a few.
    let small = LocalConsumer::builder().directory(home.sockets()).buffer_bytes(4096);
    let mut again = small.patience(PATIENCE).connect(NAME).expect("connected");
    again.assign("t", 0, Position::Earliest).expect("assigned");
    assert_eq!(again.lag("t", 0), Some(20_000));
    read_to(&mut again, "t", 20_000);
    assert!(again.next(Duration::from_millis(1)).expect("nothing").is_none());
}

#[test]
fn several_partitions_are_read_in_turn_and_each_in_order() {
    let home = Home::new();
    let server = home.start();
    let client = server.client();
    client.create_topic("t", Some(3), &[]).expect("made");
    let mut consumer = home.connect();
    for partition in 0..3 {
        assert_eq!(consumer.assign("t", partition, Position::Latest).expect("assigned"), 0);
    }
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut producer = client.producer("t", ProducerOptions::default()).expect("a topic");
            for number in 0..3000_i64 {
                let (value, partition) = (value(number / 3), Some((number % 3) as i32));
                let record = Record { partition, ..Record::of(value.as_bytes()) };
                producer.push(record).expect("taken");
                if number % 50 == 0 {
                    producer.flush().expect("acknowledged");
                }
            }
            producer.flush().expect("acknowledged");
        });
        let mut next = [0_i64; 3];
        while next != [1000; 3] {
            let records = consumer.next(PATIENCE).expect("readable").expect("in time");
            let next = &mut next[records.partition() as usize];
            assert_eq!(records.first_offset(), *next);
            for batch in records.batches() {
                for record in &batch.expect("sound") {
                    let record = record.expect("sound");
                    assert_eq!(record.value, Some(value(*next).as_bytes()));
                    *next += 1;
                }
            }
        }
    });
    let positions: Vec<_> = consumer.positions().collect();
    assert_eq!(positions, [("t", 0, 1000), ("t", 1, 1000), ("t", 2, 1000)]);
    consumer.unassign("t", 1);
    assert_eq!((consumer.position("t", 1), consumer.position("t", 2)), (None, Some(1000)));
}

#[test]
fn it_begins_and_moves_where_it_is_told() {
    let home = Home::new();
    let (_server, client) = home.serving("t");
    produce(&client, "t", 0..100);
    let mut consumer = home.connect();
    assert_eq!(consumer.assign("t", 0, Position::Latest).expect("assigned"), 100);
    assert!(consumer.next(Duration::ZERO).expect("nothing").is_none());
    assert_eq!(consumer.seek("t", 0, Position::Offset(42)).expect("moved"), 42);
    read_to(&mut consumer, "t", 100);
    assert_eq!(consumer.seek("t", 0, Position::Earliest).expect("moved"), 0);
    read_to(&mut consumer, "t", 100);
    assert_eq!(consumer.seek("t", 0, Position::Time(0)).expect("moved"), 0);
    assert_eq!(consumer.seek("t", 0, Position::Time(i64::MAX)).expect("moved"), 100);
    consumer.seek("t", 0, Position::Offset(101)).expect("moved");
    let outside = consumer.next(Duration::ZERO).expect_err("outside");
    assert!(matches!(outside, ConsumeError::OutOfRange { offset: 101, start: 0, end: 100, .. }));
    let unknown = consumer.assign("t", 1, Position::Earliest).expect_err("one partition");
    assert!(matches!(unknown, ConsumeError::Unknown(_)), "{unknown}");
    let unknown = consumer.assign("T", 0, Position::Earliest).expect_err("another topic");
    assert!(unknown.to_string().contains("no topic `T`"), "{unknown}");
    let unassigned = consumer.seek("t", 7, Position::Earliest).expect_err("not assigned");
    assert!(matches!(unassigned, ConsumeError::Unassigned { partition: 7, .. }));
}

#[test]
fn a_sleeper_is_woken_by_a_record() {
    let home = Home::new();
    let (_server, client) = home.serving("t");
    let sleepy = LocalConsumer::builder().directory(home.sockets()).spin(Duration::ZERO);
    let mut consumer = sleepy.patience(PATIENCE).connect(NAME).expect("connected");
    consumer.assign("t", 0, Position::Latest).expect("assigned");
    // A sleep that ended by itself leaves nothing behind that the next would take for its own.
    assert!(consumer.next(Duration::from_millis(5)).expect("nothing").is_none());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..20 {
                std::thread::sleep(Duration::from_millis(2));
                produce(&client, "t", number..number + 1);
            }
        });
        read_to(&mut consumer, "t", 20);
    });
}

#[test]
fn a_segment_that_retention_removes_is_read_to_its_end() {
    let home = Home::new();
    let server = home.start();
    let client = server.client();
    client.create_topic("t", Some(1), &[("segment.bytes", "65536")]).expect("made");
    produce(&client, "t", 0..5000);
    let small = LocalConsumer::builder().directory(home.sockets()).buffer_bytes(4096);
    let mut consumer = small.patience(PATIENCE).connect(NAME).expect("connected");
    consumer.assign("t", 0, Position::Earliest).expect("assigned");
    let first = consumer.next(PATIENCE).expect("readable").expect("there").next_offset();
    assert!(first < 200, "{first}: not a whole segment");
    let before = segments(&home, "t");
    assert!(before.len() > 3);
    client.delete_records("t", 0, 4900).expect("deleted");
    assert!(segments(&home, "t").len() < before.len(), "the files are gone");

    let mut expected = first;
    let error = loop {
        match consumer.next(PATIENCE) {
            Ok(records) => {
                let records = records.expect("in time");
                let each = records.for_each(|record| {
                    assert_eq!(record.value, Some(value(record.offset).as_bytes()));
                    assert_eq!(record.offset, expected);
                    expected += 1;
                });
                each.expect("well formed");
            }
            Err(error) => break error,
        }
    };
    // To the end of the segment, or to the word that it is too late: never anything else.
    let ConsumeError::OutOfRange { offset, start, end, .. } = error else { panic!("{error}") };
    assert_eq!((offset, start, end), (expected, 4900, 5000));
    assert!(expected > first);
    let again = consumer.next(PATIENCE).expect_err("it is where it was");
    assert!(matches!(again, ConsumeError::OutOfRange { .. }));
    consumer.seek("t", 0, Position::Earliest).expect("moved");
    read_to(&mut consumer, "t", 5000);
}

#[test]
fn a_topic_that_is_deleted_wakes_and_one_made_anew_is_another() {
    let home = Home::new();
    let (_server, client) = home.serving("t");
    produce(&client, "t", 0..10);
    let mut consumer = home.reading("t");
    read_to(&mut consumer, "t", 10);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(20));
            client.delete_topic("t").expect("deleted");
            client.create_topic("t", Some(1), &[]).expect("made");
            produce(&client, "t", 0..50);
        });
        let error = loop {
            match consumer.next(PATIENCE) {
                Ok(None) => {}
                Ok(Some(records)) => panic!("of another topic: {records:?}"),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, ConsumeError::Deleted { .. }), "{error}");
    });
    assert!(matches!(consumer.next(PATIENCE), Err(ConsumeError::Deleted { .. })));
    // Groups know topics by name: what was read of one is no offset of the other.
    assert!(matches!(consumer.commit("g"), Err(ConsumeError::Deleted { .. })));
    assert!(matches!(consumer.committed("g", "t", 0), Err(ConsumeError::Deleted { .. })));
    consumer.assign("t", 0, Position::Earliest).expect("assigned");
    read_to(&mut consumer, "t", 50);
    assert_eq!(consumer.committed("g", "t", 0).expect("answered"), None);
}

#[test]
fn a_group_remembers_where_it_was() {
    let home = Home::new();
    let (_server, client) = home.serving("t");
    produce(&client, "t", 0..10);
    let mut consumer = home.reading("t");
    assert_eq!(consumer.committed("g", "t", 0).expect("answered"), None);
    read_to(&mut consumer, "t", 10);
    consumer.commit("g").expect("committed");
    assert_eq!(consumer.committed("g", "t", 0).expect("answered"), Some(10));
    assert_eq!(client.committed("g", "t").expect("answered"), [(0, Some(10))]);
}

#[test]
fn what_is_in_memory_cannot_be_read_from_outside() {
    let home = Home::new();
    let sockets = home.sockets();
    let builder = Builder::new().in_memory().set("shm.listen", NAME);
    let server = builder.set("shm.directory", sockets.to_str().expect("text")).start();
    let server = server.expect("started");
    let error = home.try_connect().expect_err("refused");
    assert!(error.to_string().contains("data directory"), "{error}");
    server.stop().expect("stopped");
}
