//! Either side stops, or is killed, at whatever moment: the other says so, and goes on.
//!
//! The process that is killed is this program again, in a role that the environment gives it: the
//! tests below that are ignored.

use std::env;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use chaski_broker::client::Position;
use chaski_local::{ConsumeError, LocalConsumer};

use super::{Home, NAME, PATIENCE, produce, raise_descriptor_limit, read_to, start};

/// Where a child has its home; without it the roles do nothing.
const HOME: &str = "CHASKI_TEST_HOME";

/// From which number on a child that is a broker produces.
const FROM: &str = "CHASKI_TEST_FROM";

/// Records that such a child produces before it says that it is ready.
const COUNT: i64 = 2000;

/// What a child says when it is ready.
const READY: &str = "ready";

/// A child, killed when this is dropped if it was not before.
struct Killed(Child);

impl Killed {
    /// Starts one in a role, and waits until it is ready.
    fn start(role: &str, home: &Home, from: i64) -> Killed {
        let mut command = Command::new(env::current_exe().expect("this program"));
        command.args(["--exact", &format!("death::{role}"), "--ignored", "--nocapture"]);
        command.env(HOME, home.0.path()).env(FROM, from.to_string());
        let mut child = command.stdout(Stdio::piped()).spawn().expect("started");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        let killed = Killed(child);
        // On a thread, which the end of the child ends: a read waits for ever.
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            let ready = out.lines().any(|line| line.is_ok_and(|line| line.ends_with(READY)));
            let _ = tell.send(ready);
        });
        assert_eq!(told.recv_timeout(PATIENCE), Ok(true), "the child is not ready, or has ended");
        killed
    }

    fn kill(&mut self) {
        // SIGKILL.
        self.0.kill().expect("it lives");
        self.0.wait().expect("it has died");
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Stays until it is killed, but not for ever, should nobody do so.
fn stay() {
    println!("{READY}");
    std::thread::sleep(4 * PATIENCE);
}

#[test]
#[ignore = "a role: a broker that produces and is killed"]
fn broker() {
    let Some(home) = env::var_os(HOME) else { return };
    let from: i64 = env::var(FROM).expect("a number").parse().expect("a number");
    let server = start(Path::new(&home)).expect("started");
    let client = server.client();
    if client.topic("t").is_none() {
        client.create_topic("t", Some(1), &[("segment.bytes", "65536")]).expect("made");
    }
    produce(&client, "t", from..from + COUNT);
    stay();
}

#[test]
#[ignore = "a role: a consumer that reads and is killed"]
fn consumer() {
    let Some(home) = env::var_os(HOME) else { return };
    let builder = LocalConsumer::builder().directory(Path::new(&home).join("sockets"));
    let mut consumer = builder.patience(PATIENCE).connect(NAME).expect("connected");
    consumer.assign("t", 0, Position::Earliest).expect("assigned");
    println!("{READY}");
    let end = Instant::now() + 4 * PATIENCE;
    while Instant::now() < end {
        let Ok(found) = consumer.next(PATIENCE) else { return };
        if found.is_some_and(|records| records.next_offset() >= COUNT) {
            consumer.seek("t", 0, Position::Earliest).expect("moved");
        }
    }
}

/// Waits until the consumer has noticed.
fn until_disconnected(consumer: &mut LocalConsumer) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match consumer.next(PATIENCE) {
            Err(ConsumeError::Disconnected { .. }) => return,
            other => assert!(other.expect("readable").is_none(), "nobody produces any more"),
        }
        assert!(Instant::now() < deadline, "it has not noticed");
    }
}

#[test]
fn a_broker_that_is_killed_ends_the_wait_and_the_next_is_read_on() {
    let home = Home::new();
    let mut broker = Killed::start("broker", &home, 0);
    let mut consumer = home.reading("t");
    read_to(&mut consumer, "t", COUNT);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| until_disconnected(&mut consumer));
        // It sleeps by now, or soon.
        std::thread::sleep(Duration::from_millis(50));
        broker.kill();
        waiting.join().expect("it has noticed");
    });
    assert_eq!(consumer.position("t", 0), Some(COUNT));
    let nobody = consumer.next(Duration::ZERO).expect_err("nobody is there");
    assert!(matches!(nobody, ConsumeError::Disconnected { .. }), "{nobody}");

    let _broker = Killed::start("broker", &home, COUNT);
    read_to(&mut consumer, "t", 2 * COUNT);
}

#[test]
fn a_broker_that_is_killed_while_it_is_read_loses_nothing() {
    let home = Home::new();
    let mut broker = Killed::start("broker", &home, 0);
    let small = LocalConsumer::builder().directory(home.sockets()).buffer_bytes(4096);
    let mut consumer = small.patience(PATIENCE).connect(NAME).expect("connected");
    consumer.assign("t", 0, Position::Earliest).expect("assigned");
    read_to(&mut consumer, "t", COUNT / 4);
    broker.kill();
    // The segment at hand is read to its end without anybody; then it takes a broker.
    let restarted = std::thread::scope(|scope| {
        let restarting = scope.spawn(|| Killed::start("broker", &home, COUNT));
        let deadline = Instant::now() + PATIENCE;
        let mut expected = consumer.position("t", 0).expect("assigned");
        while expected < 2 * COUNT {
            assert!(Instant::now() < deadline, "only {expected} came");
            match consumer.next(PATIENCE) {
                Ok(Some(records)) => {
                    assert_eq!(records.first_offset(), expected);
                    expected = records.next_offset();
                }
                Ok(None) | Err(ConsumeError::Disconnected { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        restarting.join().expect("started")
    });
    drop(restarted);
}

#[test]
fn a_broker_that_stops_says_so_and_the_next_is_read_on() {
    let home = Home::new();
    let (server, client) = home.serving("t");
    produce(&client, "t", 0..10);
    let mut consumer = home.reading("t");
    read_to(&mut consumer, "t", 10);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| until_disconnected(&mut consumer));
        server.stop().expect("stopped");
        waiting.join().expect("it has noticed");
    });
    assert!(std::fs::read_dir(home.sockets()).expect("a directory").next().is_none());
    let server = home.start();
    let client = server.client();
    produce(&client, "t", 10..20);
    read_to(&mut consumer, "t", 20);
    consumer.commit("g").expect("committed");
}

#[test]
fn consumers_that_are_killed_leave_nothing_with_the_broker() {
    raise_descriptor_limit();
    let home = Home::new();
    let server = home.start();
    let client = server.client();
    client.create_topic("t", Some(1), &[("segment.bytes", "65536")]).expect("made");
    produce(&client, "t", 0..COUNT);
    for round in 0..5 {
        let mut consumer = Killed::start("consumer", &home, 0);
        std::thread::sleep(Duration::from_millis(3 * round));
        consumer.kill();
    }
    // As many as there may be come in, once the broker has seen who has gone.
    let deadline = Instant::now() + PATIENCE;
    let mut held: Vec<LocalConsumer> = Vec::new();
    while held.len() < 256 {
        held.extend(home.try_connect());
        assert!(Instant::now() < deadline, "only {} came in", held.len());
    }
    held.truncate(1);
    held[0].assign("t", 0, Position::Earliest).expect("assigned");
    read_to(&mut held[0], "t", COUNT);
}
