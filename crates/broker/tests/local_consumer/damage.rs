//! Files that are not as the broker wrote them: an error, and a way on, and never a signal.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;

use chaski_broker::client::{ProducerOptions, Record};
use chaski_local::{ConsumeError, LocalConsumer, Position};

use super::{Home, NAME, PATIENCE, segments};

/// A topic of 100 batches with ten records each, of 1,000 bytes.
fn fill(home: &Home) -> chaski_broker::Server {
    let (server, client) = home.serving("t");
    let mut producer = client.producer("t", ProducerOptions::default()).expect("a topic");
    for _ in 0..100 {
        for _ in 0..10 {
            producer.push(Record::of(&[7; 1000])).expect("taken");
        }
        producer.flush().expect("acknowledged");
    }
    server
}

/// What comes until there is no more: how many records, and the errors, each of which is passed
/// over.
fn read_all(consumer: &mut LocalConsumer, end: i64) -> (i64, Vec<String>) {
    let (mut records, mut errors) = (0, Vec::new());
    while consumer.position("t", 0).expect("assigned") < end && errors.len() < 2000 {
        match consumer.next(PATIENCE) {
            Ok(found) => found.expect("in time").for_each(|_| records += 1).expect("well formed"),
            Err(ConsumeError::Damaged { resumes, reason, .. }) => {
                errors.push(reason);
                consumer.seek("t", 0, Position::Offset(resumes)).expect("moved");
            }
            Err(other) => panic!("{other}"),
        }
    }
    (records, errors)
}

#[test]
fn a_changed_byte_costs_one_batch() {
    let home = Home::new();
    let _server = fill(&home);
    let path = segments(&home, "t").remove(0);
    let file = OpenOptions::new().write(true).open(path).expect("a segment");
    file.write_all_at(b"x", 50_000).expect("written");
    let (records, errors) = read_all(&mut home.reading("t"), 1000);
    assert_eq!((records, errors.len()), (990, 1), "{errors:?}");
    // Who does not look does not see.
    let blind = LocalConsumer::builder().directory(home.sockets()).check_crcs(false);
    let mut blind = blind.patience(PATIENCE).connect(NAME).expect("connected");
    blind.assign("t", 0, Position::Earliest).expect("assigned");
    assert_eq!(read_all(&mut blind, 1000), (1000, Vec::new()));
}

#[test]
fn a_file_that_is_cut_is_an_error_and_no_signal() {
    let home = Home::new();
    let server = fill(&home);
    let mut consumer = home.reading("t");
    consumer.next(PATIENCE).expect("readable").expect("there");
    consumer.seek("t", 0, Position::Earliest).expect("moved");
    let path = segments(&home, "t").remove(0);
    let file = OpenOptions::new().write(true).open(path).expect("a segment");
    file.set_len(500_000).expect("cut");
    let mut read = 0;
    let error = loop {
        match consumer.next(PATIENCE) {
            Ok(found) => found.expect("in time").for_each(|_| read += 1).expect("well formed"),
            Err(error) => break error,
        }
    };
    assert!((1..1000).contains(&read), "{read}");
    let known = matches!(error, ConsumeError::Damaged { .. } | ConsumeError::Storage { .. });
    assert!(known, "{error}");
    // What comes from now on is still read.
    let client = server.client();
    let mut producer = client.producer("t", ProducerOptions::default()).expect("a topic");
    producer.push(Record::of(b"behind")).expect("taken");
    producer.flush().expect("acknowledged");
    consumer.seek("t", 0, Position::Offset(1000)).expect("moved");
    let records = consumer.next(PATIENCE).expect("readable").expect("there");
    assert_eq!((records.first_offset(), records.next_offset()), (1000, 1001));
}
