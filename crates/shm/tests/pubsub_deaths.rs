//! Publish and subscribe between processes that are killed: at random times, and at each named step
//! of the sources if those are compiled in (`--features kill-points`).
//!
//! The victims are children, this program in another role; the others live in this process. A
//! message tells its number and is checked to the last byte.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use chaski_shm::{
    Error, Leave, Policy, Publisher, PublisherBuilder, Subscriber, SubscriberBuilder, Wait,
};

/// Longer than anything takes that works.
const LONG: Duration = Duration::from_secs(60);

/// Tell a child its role, the directory, and the step at which to die.
const ROLE: &str = "CHASKI_PUBSUB_ROLE";
const PLACE: &str = "CHASKI_PUBSUB_PLACE";
const KILL_AT: &str = "CHASKI_KILL_AT";

const ALL: [Policy; 3] = [Policy::DropOldest, Policy::Disconnect, Policy::Block];

fn publisher(place: &Path) -> PublisherBuilder {
    Publisher::builder().directory(place).policies(ALL).ring_bytes(8192).history(64)
}

fn subscriber(place: &Path, policy: Policy) -> SubscriberBuilder {
    let builder = Subscriber::builder().directory(place).policy(policy);
    builder.connect_within(LONG).reconnect_within(LONG)
}

fn join(place: &Path, policy: Policy) -> Subscriber {
    subscriber(place, policy).history(10).connect("news").unwrap()
}

/// A message that tells its number, of a length that varies with it.
fn message(number: u64) -> Vec<u8> {
    let len = 8 + (number * 7 % 60) as usize;
    number.to_le_bytes().iter().copied().cycle().take(len).collect()
}

/// The number of a message, if all of it is as it was made.
fn number(payload: &[u8]) -> u64 {
    let number = u64::from_le_bytes(payload[..8].try_into().unwrap());
    assert_eq!(payload, message(number));
    number
}

/// Waits until something is so.
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < LONG, "{what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// A child: this program again, with one test, which becomes the role.
struct Actor {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Actor {
    /// Starts a child that dies at a step, if one is given.
    fn start(role: &str, place: &Path, fatal: &str) -> Actor {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "a_child_plays_its_role", "--nocapture"]);
        command.env(ROLE, role).env(PLACE, place).env(KILL_AT, fatal);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("this program");
        let output = BufReader::new(child.stdout.take().unwrap());
        Actor { child, output }
    }

    /// Starts a child and waits until it is there.
    fn start_well(role: &str, place: &Path) -> Actor {
        let mut actor = Actor::start(role, place, "");
        let mut line = String::new();
        // Where tests run one by one the name of the test is before it, on the same line.
        while !line.trim_end().ends_with("ready") {
            line.clear();
            assert!(actor.output.read_line(&mut line).unwrap() > 0, "it ended: {role}");
        }
        actor
    }

    /// Whether it has been killed. It ends in no other way.
    #[cfg(feature = "kill-points")]
    fn is_dead(&mut self) -> bool {
        use std::os::unix::process::ExitStatusExt;

        match self.child.try_wait().unwrap() {
            None => false,
            Some(status) => {
                assert_eq!(status.signal(), Some(9), "{status}");
                true
            }
        }
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Not a test in itself: what a child does.
#[test]
fn a_child_plays_its_role() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let place = PathBuf::from(std::env::var(PLACE).unwrap());
    // A child ends with its parent, whose pipe this is.
    thread::spawn(|| {
        let _ = std::io::stdin().read_line(&mut String::new());
        std::process::exit(0);
    });
    match role.as_str() {
        "publish" => publish(&place),
        "publish with rests" => publish_with_rests(&place),
        "stall" => stall(&place),
        "read" => read(&place),
        other => panic!("no role {other}"),
    }
}

/// Tells the parent.
fn ready() {
    println!("ready");
    std::io::stdout().flush().unwrap();
}

/// Publishes as quickly as it can, round and round a small ring.
fn publish(place: &Path) {
    let mut publisher = publisher(place).bind("news").unwrap();
    ready();
    for n in 0.. {
        publisher.publish(&message(n)).unwrap();
    }
}

/// Publishes once somebody is there, and lets those sleep now and then.
fn publish_with_rests(place: &Path) {
    let mut publisher = publisher(place).wait(Wait::Block).bind("news").unwrap();
    ready();
    wait_until("somebody comes", || publisher.subscribers() > 0);
    for n in 0.. {
        publisher.publish(&message(n)).unwrap();
        if n % 64 == 0 {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Subscribes, and reads nothing.
fn stall(place: &Path) {
    let _subscriber = join(place, Policy::Block);
    ready();
    loop {
        thread::park();
    }
}

/// Reads what comes, checks it, and rests now and then.
fn read(place: &Path) {
    let mut subscriber =
        subscriber(place, Policy::Block).wait(Wait::Block).connect("news").unwrap();
    ready();
    let mut expected = None;
    loop {
        let news = subscriber.recv().unwrap();
        let sequence = news.sequence();
        assert_eq!(number(&news), sequence);
        assert!(expected.is_none_or(|expected| sequence == expected), "{expected:?} {sequence}");
        expected = Some(sequence + 1);
        if sequence % 256 == 0 {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Reads until the publisher is gone, and all that it had published has been read; or until it has
/// cut this side off.
fn read_until_the_end(subscriber: &mut Subscriber, rest_every: u64) {
    let (mut expected, mut told) = (None, 0);
    loop {
        match subscriber.recv() {
            Ok(news) => {
                let sequence = news.sequence();
                assert_eq!(number(&news), sequence, "a message is whole");
                let due = expected.map_or(sequence, |expected: u64| expected + told);
                assert_eq!(sequence, due, "none is missing but those that were told of");
                (expected, told) = (Some(sequence + 1), 0);
                if sequence % rest_every == rest_every - 1 {
                    thread::sleep(Duration::from_millis(1));
                }
            }
            Err(Error::Lagged { lost }) => told += lost,
            Err(Error::Restarted { .. } | Error::CutOff | Error::Closed) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

/// A publisher is killed in the middle of a stream, again and again. Who was connected gets whole
/// messages, all of them from its start to the death, and then those of the next publisher.
#[test]
fn a_publisher_may_be_killed() {
    const LIVES: u64 = 12;
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    let mut actor = Actor::start_well("publish", place);
    let mut subscribers = ALL.map(|policy| join(place, policy));
    for life in 0..LIVES {
        thread::scope(|scope| {
            for subscriber in &mut subscribers {
                scope.spawn(|| read_until_the_end(subscriber, u64::MAX));
            }
            thread::sleep(Duration::from_micros(300 * life * life));
            actor.kill();
            actor = Actor::start_well("publish", place);
        });
        // Those that were cut off come again.
        for (subscriber, policy) in subscribers.iter_mut().zip(ALL) {
            if !subscriber.is_connected() {
                *subscriber = join(place, policy);
            }
        }
    }
}

/// A subscriber that the publisher waits for is killed, and the publisher goes on.
#[test]
fn a_subscriber_may_be_killed() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    let mut publisher = publisher(place).bind("news").unwrap();
    let mut witness = join(place, Policy::Block);
    let mut published = 0;
    for round in 0..12 {
        let role = if round % 2 == 0 { "stall" } else { "read" };
        let mut actor = Actor::start_well(role, place);
        let kill = thread::spawn(move || {
            thread::sleep(Duration::from_micros(400 * round));
            actor.kill();
        });
        // More than the ring holds, so that the victim is waited for.
        for _ in 0..1000 {
            publisher.publish(&message(published)).unwrap();
            assert_eq!(number(&witness.recv().unwrap()), published);
            published += 1;
        }
        kill.join().unwrap();
        wait_until("the dead one's seat is free", || publisher.subscribers() == 1);
    }
    let left: Vec<_> = publisher.departures().collect();
    assert_eq!(left.len(), 12);
    assert!(left.iter().all(|departure| departure.why == Leave::Gone));
    let processes: HashSet<_> = left.iter().map(|departure| departure.peer.pid).collect();
    assert_eq!(processes.len(), 12);
}

/// The steps that are named in the sources of this pattern and begin so.
#[cfg(feature = "kill-points")]
fn steps(begin: &str) -> Vec<String> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/pubsub");
    let mut steps = Vec::new();
    for entry in std::fs::read_dir(sources).unwrap() {
        let source = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let calls = source.split("step(\"").skip(1);
        steps.extend(calls.filter_map(|rest| Some(rest.split_once("\")")?.0.to_owned())));
    }
    steps.retain(|step| step.starts_with(begin));
    assert!(steps.len() > 3, "the sources are there");
    steps
}

#[cfg(feature = "kill-points")]
#[test]
fn a_publisher_may_die_at_every_step() {
    for step in steps("publish.") {
        for times in [1, 2, 30] {
            let directory = tempfile::tempdir().unwrap();
            let place = directory.path();
            let mut actor = Actor::start("publish with rests", place, &format!("{step}:{times}"));
            let builder = subscriber(place, Policy::Block).wait(Wait::Block);
            let builder = builder.reconnect_within(Duration::from_millis(1));
            thread::scope(|scope| {
                let connect = || {
                    let builder = builder.clone().connect_within(Duration::from_millis(500));
                    builder.connect("news")
                };
                // If the publisher dies seating it, there is nothing to read.
                let mut connecting = connect();
                while connecting.is_err() && !actor.is_dead() {
                    connecting = connect();
                }
                if let Ok(mut subscriber) = connecting {
                    scope.spawn(move || read_until_the_end(&mut subscriber, 200));
                }
                // Others come and go.
                wait_until(&step, || {
                    let passer_by = subscriber(place, Policy::DropOldest);
                    drop(passer_by.connect_within(Duration::from_millis(20)).connect("news"));
                    actor.is_dead()
                });
            });
            // Nothing is in the way of the next.
            publisher(place).bind("news").unwrap();
        }
    }
}

#[cfg(feature = "kill-points")]
#[test]
fn a_subscriber_may_die_at_every_step() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    let mut publisher = publisher(place).wait(Wait::Block).bind("news").unwrap();
    let mut witness = join(place, Policy::Block);
    let mut published = 0;
    for step in steps("subscribe.") {
        for times in [1, 2, 30] {
            if step == "subscribe.mapped" && times > 1 {
                continue;
            }
            let mut actor = Actor::start("read", place, &format!("{step}:{times}"));
            wait_until(&step, || {
                for _ in 0..600 {
                    publisher.publish(&message(published)).unwrap();
                    assert_eq!(number(&witness.recv().unwrap()), published);
                    published += 1;
                }
                actor.is_dead()
            });
            wait_until("the dead one's seat is free", || publisher.subscribers() == 1);
        }
    }
}
