//! A disk without room: who is told, of what kind it is, and that all goes on by itself.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use chaski_broker::client::{
    AppendError, Client, ClientError, ErrorCode, FaultKind, ProduceError, ProducerOptions, Record,
};
use chaski_broker::{Builder, Server};

use super::PATIENCE;
use super::small_disk::SmallDisk;

fn produce(client: &Client) -> Result<(), ProduceError> {
    let mut producer = client.producer("t", ProducerOptions::default()).expect("a topic");
    producer.push(Record::of(b"v")).expect("taken");
    match producer.flush() {
        Ok(_) => Ok(()),
        Err(error) => Err(error.failed().next().expect("one that failed").error.clone()),
    }
}

/// What the overview says, over HTTP.
fn overview(server: &Server) -> String {
    let address = server.http_addr().expect("it listens");
    let mut stream = TcpStream::connect(address).expect("connected");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let request =
        format!("GET /api/overview HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    answer
}

/// Asks until the overview says what it should.
fn until(server: &Server, is_wanted: impl Fn(&str) -> bool) -> String {
    let patience = Instant::now() + PATIENCE;
    loop {
        let told = overview(server);
        if is_wanted(&told) {
            return told;
        }
        assert!(Instant::now() < patience, "{told}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_full_disk_is_told_by_kind_and_found_until_there_is_room() {
    let dir = tempfile::tempdir().expect("a directory");
    let disk = SmallDisk::roomy();
    let builder = Builder::new().data_dir(dir.path()).disk(disk.clone()).http("127.0.0.1:0");
    let server = builder.start().expect("started");
    let client = server.client();
    client.create_topic("t", Some(1), &[]).expect("made");
    produce(&client).expect("there is room");
    let refused = "takes no records: no room is left on the disk";
    assert!(!overview(&server).contains(refused));

    disk.set_room(0);
    let error = produce(&client).expect_err("no room");
    assert_eq!(error, ProduceError::Append(AppendError::Full));
    assert_eq!(error.code(), ErrorCode::KAFKA_STORAGE_ERROR);
    assert_eq!(client.stats("t", 0).expect("open").failing, Some(FaultKind::Full));
    match client.create_topic("u", Some(1), &[]) {
        Err(ClientError::Refused { code, message }) => {
            assert_eq!(code, ErrorCode::KAFKA_STORAGE_ERROR);
            assert!(message.contains("os error 28"), "{message}");
        }
        other => panic!("{other:?}"),
    }
    assert!(client.topic("u").is_none(), "taken back");
    let told = until(&server, |told| told.contains(refused));
    assert!(told.contains("chaski topic alter TOPIC --set retention.ms"), "what to do: {told}");

    disk.set_room(1 << 30);
    produce(&client).expect("there is room again");
    until(&server, |told| !told.contains(refused));
}
