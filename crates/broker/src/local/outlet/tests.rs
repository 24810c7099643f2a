//! Consumers of this machine while the control thread is busy.

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use chaski_local::consumer::wire::{Answer, PACKET_MAX, Reason, Request, VERSION};
use chaski_local::{LocalConsumer, Position};
use chaski_shm::Admit;
use chaski_shm::packets::{Connection, Received};

use crate::client::{ApiKey, Durability, ProducerOptions, Record};
use crate::{Builder, Client, Server};

/// Longest a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// Has the control thread wait until what it returns is dropped.
fn hold_control(client: &Client) -> mpsc::Sender<()> {
    let (held, hold) = mpsc::channel::<()>();
    let (tell, told) = mpsc::channel();
    let wait = move |_| {
        let _ = tell.send(());
        let _ = hold.recv();
    };
    let (api, topics) = (ApiKey::ListGroups, Vec::new());
    client.ask_later(api, 0, Vec::new(), topics, Box::new(wait)).expect("asked");
    told.recv_timeout(PATIENCE).expect("it is held");
    held
}

fn produce(client: &Client) {
    let options = ProducerOptions::new().durability(Durability::PageCache);
    let mut producer = client.producer("t", options).expect("a topic");
    producer.push(Record::of(b"x")).expect("taken");
    producer.flush().expect("acknowledged");
}

/// A broker with a topic of one partition, and the directory of its sockets.
fn serving(home: &Path) -> (Server, Client, PathBuf) {
    let sockets = home.join("sockets");
    let builder = Builder::new().data_dir(home.join("data")).set("shm.listen", "broker");
    let server = builder.set("shm.directory", sockets.to_str().expect("text")).start();
    let server = server.expect("started");
    let client = server.client();
    client.create_topic("t", Some(1), &[]).expect("made");
    (server, client, sockets)
}

#[test]
fn a_commit_that_takes_its_time_holds_up_nobody_else() {
    let home = tempfile::tempdir().expect("a directory");
    let (server, client, sockets) = serving(home.path());
    let connect = || {
        let builder = LocalConsumer::builder().directory(&sockets).patience(PATIENCE);
        builder.connect("broker").expect("connected")
    };
    let mut committing = connect();
    committing.assign("t", 0, Position::Earliest).expect("assigned");
    let held = hold_control(&client);
    thread::scope(|scope| {
        // Dropped, and control let go, before the scope waits for its thread.
        let held = held;
        let commit = scope.spawn(|| committing.commit("g"));
        let deadline = Instant::now() + PATIENCE;
        while client.callers_waiting() == 0 {
            assert!(Instant::now() < deadline, "control is not asked");
            thread::sleep(Duration::from_millis(1));
        }
        let mut reading = connect();
        reading.assign("t", 0, Position::Earliest).expect("assigned");
        produce(&client);
        let records = reading.next(PATIENCE).expect("readable").expect("one");
        assert_eq!(records.next_offset(), 1);
        assert!(!commit.is_finished(), "control is still held");
        drop(held);
        commit.join().expect("no panic").expect("committed");
    });
    assert_eq!(client.committed("g", "t").expect("answered"), [(0, Some(0))]);
    server.stop().expect("stopped");
}

#[test]
fn a_consumer_has_one_errand_at_a_time_and_none_when_it_has_gone() {
    let home = tempfile::tempdir().expect("a directory");
    let (server, client, sockets) = serving(home.path());
    let connection =
        Connection::connect("broker.log", Some(&sockets), &Admit::same_user(), PATIENCE);
    let connection = connection.expect("connected");
    let say = |number, request: Request<'_>| {
        connection.send(&request.encode(number), &[]).expect("sent");
    };
    let hear = || {
        let mut buffer = [0; PACKET_MAX];
        loop {
            match connection.receive(&mut buffer) {
                Received::Packet(bytes, _) => return Answer::decode(bytes).expect("an answer"),
                Received::Nothing => assert!(connection.wait(PATIENCE).expect("polled"), "none"),
                Received::Gone | Received::Oversized => panic!("it has hung up"),
            }
        }
    };
    say(0, Request::Hello { version: VERSION });
    assert!(matches!(hear(), (0, Answer::Welcome { .. })));
    let commit = || Request::Commit { group: "g", offsets: Vec::new() };
    let held = hold_control(&client);
    say(1, commit());
    say(2, commit());
    assert!(matches!(hear(), (2, Answer::Failed { reason: Reason::Busy, .. })));
    drop(held);
    assert_eq!(hear(), (1, Answer::Done));
    // Whoever has the answer may go on.
    say(3, commit());
    assert_eq!(hear(), (3, Answer::Done));

    let held = hold_control(&client);
    say(4, commit());
    say(5, commit());
    assert!(matches!(hear(), (5, Answer::Failed { reason: Reason::Busy, .. })));
    assert_eq!(client.callers_waiting(), 1);
    drop(connection);
    let deadline = Instant::now() + PATIENCE;
    while client.callers_waiting() > 0 {
        assert!(Instant::now() < deadline, "nobody has given up");
        thread::sleep(Duration::from_millis(1));
    }
    drop(held);
    server.stop().expect("stopped");
}
