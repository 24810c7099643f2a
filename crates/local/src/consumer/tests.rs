//! A consumer against a broker that says what the test has it say.

use std::io::ErrorKind;
use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use chaski_shm::Admit;
use chaski_shm::cells::Cells;
use chaski_shm::packets::{Connection, Listener, Received};

use super::wire::{Answer, PACKET_MAX, Place, Request, SUFFIX, VERSION};
use super::{LocalConsumer, Position};

/// Longest a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// Requests after which the broker hangs up, so that a test that fails ends.
const REQUESTS_MAX: usize = 2000;

/// A broker of one partition without records, whose cell shows `shown`. It wakes nobody. Its end,
/// when the consumer has gone, says how many requests to locate and to sleep it was sent.
fn broker(directory: &Path, shown: u64) -> JoinHandle<(usize, usize)> {
    let listener = bind(directory);
    thread::spawn(move || {
        let cells = Cells::new(1).unwrap();
        cells.set(0, shown);
        serve(&accept(&listener), &cells)
    })
}

fn bind(directory: &Path) -> Listener {
    Listener::bind(&format!("t{SUFFIX}"), Some(directory), Admit::same_user()).unwrap()
}

fn accept(listener: &Listener) -> Connection {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(connection) = listener.accept().unwrap() {
            return connection;
        }
        assert!(Instant::now() < deadline, "nobody connects");
        thread::sleep(Duration::from_millis(1));
    }
}

fn serve(connection: &Connection, cells: &Cells) -> (usize, usize) {
    use std::os::fd::AsFd as _;
    let place = Place { offset: 0, log_start: 0, high_watermark: 0 };
    let (mut locates, mut sleeps) = (0, 0);
    let mut buffer = [0; PACKET_MAX];
    while locates + sleeps < REQUESTS_MAX {
        let packet = match connection.receive(&mut buffer) {
            Received::Packet(packet, _) => packet,
            Received::Nothing if connection.wait(PATIENCE).unwrap() => continue,
            _ => break,
        };
        let (number, request) = Request::decode(packet).unwrap();
        let say = |answer: Answer| connection.send(&answer.encode(number), &[]).unwrap();
        match request {
            Request::Hello { .. } => {
                let welcome = Answer::Welcome { version: VERSION, cells: 1 }.encode(number);
                connection.send(&welcome, &[cells.as_fd()]).unwrap();
            }
            Request::Open { .. } => {
                say(Answer::Opened { handle: 0, cell: 0, topic_id: [1; 16], place });
            }
            Request::Locate { .. } => {
                locates += 1;
                say(Answer::Nothing(place));
            }
            Request::Sleep(_) => sleeps += 1,
            other => panic!("{other:?}"),
        }
    }
    (locates, sleeps)
}

fn reading(directory: &Path) -> LocalConsumer {
    let builder = LocalConsumer::builder().directory(directory).patience(PATIENCE);
    let mut consumer = builder.connect("t").unwrap();
    consumer.assign("t", 0, Position::Earliest).unwrap();
    consumer
}

#[test]
fn a_cell_that_promises_what_is_not_there_holds_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let broker = broker(directory.path(), 5);
    let mut consumer = reading(directory.path());
    for _ in 0..3 {
        assert!(consumer.next(Duration::from_millis(20)).unwrap().is_none());
    }
    drop(consumer);
    let (locates, sleeps) = broker.join().unwrap();
    assert!((1..=6).contains(&locates) && sleeps <= 1, "{locates} and {sleeps}");
}

#[test]
fn who_looks_in_often_sleeps_on() {
    let directory = tempfile::tempdir().unwrap();
    let broker = broker(directory.path(), 0);
    let mut consumer = reading(directory.path());
    for _ in 0..1000 {
        assert!(consumer.next(Duration::from_micros(100)).unwrap().is_none());
    }
    assert!(consumer.next(Duration::from_millis(50)).unwrap().is_none());
    drop(consumer);
    let (locates, sleeps) = broker.join().unwrap();
    assert!(locates <= 1 && sleeps <= 1, "{locates} and {sleeps}");
}

/// Answers that nobody asked for: more than a consumer passes over, and so few that a test that
/// fails ends.
const BABBLE: u32 = 20_000;

#[test]
fn a_broker_that_talks_of_other_things_is_not_listened_to_for_ever() {
    let directory = tempfile::tempdir().unwrap();
    let listener = bind(directory.path());
    let broker = thread::spawn(move || {
        let connection = accept(&listener);
        let deadline = Instant::now() + PATIENCE;
        for number in 0..BABBLE {
            let packet = Answer::Awake.encode(1 + number);
            // It waits for the consumer to have taken some; one that is gone takes none.
            while let Err(error) = connection.send(&packet, &[]) {
                if error.kind() != ErrorKind::WouldBlock || Instant::now() > deadline {
                    return number;
                }
                thread::sleep(Duration::from_millis(1));
            }
        }
        BABBLE
    });
    // The answer to its first request would have the number 0.
    let builder = LocalConsumer::builder().directory(directory.path()).patience(PATIENCE);
    let error = builder.connect("t").expect_err("it is told nothing").to_string();
    assert!(error.contains("makes no sense"), "{error}");
    assert!(broker.join().unwrap() < BABBLE, "it was heard to its end");
}
