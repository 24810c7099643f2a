//! Death in a pipeline: processes that are killed in the middle, and an account of every message.
//!
//! Everyone appends to a journal of its own: a receiver what it was handed, a sender what it has
//! sent. A journal is written by system calls, so it survives its writer.
//!
//! With the feature `kill-points` workers also die at each step of the sources that they come to.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use chaski_shm::{Batch, Error, Loss, Pull, Push};

/// More than anything here takes.
const LONG: Duration = Duration::from_secs(60);

/// Messages of a test.
const MESSAGES: u64 = 12_000;

/// The most messages of a batch.
const BATCH: usize = 64;

// What a child is told.
const ROLE: &str = "CHASKI_TEST_ROLE";
const DIRECTORY: &str = "CHASKI_TEST_DIRECTORY";
const JOURNAL: &str = "CHASKI_TEST_JOURNAL";

/// Where a test happens.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    fn sockets(&self) -> PathBuf {
        self.0.path().join("shm")
    }

    fn path(&self, journal: &str) -> PathBuf {
        self.0.path().join(journal)
    }

    /// What was written to a journal.
    fn journal(&self, journal: &str) -> Vec<u64> {
        let bytes = fs::read(self.path(journal)).unwrap_or_default();
        bytes.chunks_exact(8).map(number).collect()
    }

    fn start(&self, role: &str, journal: &str, kill_at: &str) -> Actor {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["child", "--exact", "--ignored", "--nocapture"])
            .env(ROLE, role)
            .env(DIRECTORY, self.sockets())
            .env(JOURNAL, self.path(journal))
            .env("CHASKI_KILL_AT", kill_at)
            .stdout(Stdio::null())
            .spawn();
        Actor(child.unwrap())
    }
}

/// A child, killed with its test.
struct Actor(Child);

impl Actor {
    fn lives(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    fn ends_well(mut self) {
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A number from 0 up to `end`, another one each time.
fn chance(end: u64) -> u64 {
    RandomState::new().build_hasher().finish() % end
}

fn number(payload: &[u8]) -> u64 {
    u64::from_le_bytes(payload[..8].try_into().unwrap())
}

/// The payload of a number: mostly short, some too long for the ring.
fn payload(number: u64) -> Vec<u8> {
    let len = if number % 100 == 30 { 100_000 } else { 8 + number as usize % 200 };
    let mut payload = number.to_le_bytes().to_vec();
    payload.resize(len, number as u8);
    payload
}

/// Every message once; and which are missing of those that were sent.
fn missing<'a>(sent: u64, received: impl IntoIterator<Item = &'a Vec<u64>>) -> BTreeSet<u64> {
    let mut missing: BTreeSet<u64> = (0..sent).collect();
    for journal in received {
        for number in journal {
            assert!(missing.remove(number), "{number} came twice, or was never sent");
        }
    }
    missing
}

/// Three workers, of which one dies; what it had taken is lost with it, and nothing else.
fn a_worker_dies(role: &str, kill_at: &str, in_hand_max: usize) {
    let place = Place::new();
    let mut push = Push::builder().directory(place.sockets()).bind("jobs").unwrap();
    let mut victim = place.start(role, "victim", kill_at);
    let others = ["one", "two"].map(|journal| place.start(role, journal, ""));
    // Who dies at a step may never have been seen.
    let begun = Instant::now();
    while push.receivers() < 2 || (kill_at.is_empty() && push.receivers() < 3) {
        assert!(begun.elapsed() < LONG, "{} workers", push.receivers());
        thread::yield_now();
    }
    let end = chance(MESSAGES);
    let mut sent = 0;
    // It may have been so late that the others had nearly all of them: then there are more, and
    // rests in between, until it has had enough to die of.
    while sent < MESSAGES || !kill_at.is_empty() && victim.lives() && begun.elapsed() < LONG {
        if kill_at.is_empty() && sent == end {
            victim.kill();
        }
        push.send(&payload(sent)).unwrap();
        sent += 1;
        if sent > MESSAGES && sent % 100 == 0 {
            assert_eq!(push.flush(LONG).unwrap(), 0);
        }
    }
    assert_eq!(push.flush(LONG).unwrap(), 0);
    let waited = Instant::now();
    let loss = loop {
        if let Some(loss) = push.departures().next() {
            break loss;
        }
        assert!(waited.elapsed() < LONG, "nobody died of {kill_at}");
    };
    assert_eq!(push.flush(LONG).unwrap(), 0, "what came back found somebody");
    drop(push);
    others.into_iter().for_each(Actor::ends_well);

    let journals = ["victim", "one", "two"].map(|journal| place.journal(journal));
    let missing = missing(sent, &journals);
    let in_hand = loss.taken - journals[0].len() as u64;
    assert_eq!(missing.len() as u64, in_hand, "{missing:?}, {loss:?}");
    assert!(missing.len() <= in_hand_max, "{missing:?}, {loss:?}");
}

#[test]
fn a_worker_may_die_at_any_time() {
    for _ in 0..6 {
        a_worker_dies("work", "", 1);
    }
}

#[test]
fn a_worker_with_batches_may_die_at_any_time() {
    for _ in 0..6 {
        a_worker_dies("work in batches", "", BATCH);
    }
}

#[cfg(feature = "kill-points")]
#[test]
fn a_worker_may_die_at_every_step() {
    let (one, many) = (("work", 1), ("work in batches", BATCH));
    for (step, (role, in_hand_max), times) in [
        ("link.taken", one, &[1, 2, 17][..]),
        ("link.large_taken", one, &[1, 2, 17]),
        ("worker.noted_free", one, &[1, 2]),
        ("link.taken_many", many, &[1, 2, 17]),
        ("link.many_published", many, &[1, 2, 17]),
        // Segments are used again, so the first may be the only one.
        ("borrow.mapped", one, &[1]),
        ("borrow.copied", one, &[1, 2, 17]),
        ("borrow.gave_back", many, &[1, 2, 17]),
    ] {
        for times in times {
            a_worker_dies(role, &format!("{step}:{times}"), in_hand_max);
        }
    }
}

#[test]
fn the_sender_of_workers_may_die_at_any_time() {
    for _ in 0..6 {
        let place = Place::new();
        let mut sender = place.start("give work", "sent", "");
        let working = [(); 2].map(|()| {
            let builder = Pull::builder().directory(place.sockets()).connect_within(LONG);
            let pull = builder.reconnect_within(Duration::from_millis(20)).connect("jobs");
            thread::spawn(|| drain(pull.unwrap()))
        });
        let begun = Instant::now();
        while place.journal("sent").is_empty() {
            assert!(begun.elapsed() < LONG, "it sends nothing");
            thread::yield_now();
        }
        thread::sleep(Duration::from_micros(chance(30_000)));
        sender.kill();
        let received = working.map(|working| working.join().unwrap());
        let said = place.journal("sent").len() as u64;
        // One may have been published that it did not come to say.
        let count = received.iter().map(Vec::len).sum::<usize>() as u64;
        assert!(count == said || count == said + 1, "{count} received, {said} sent");
        assert!(missing(count, &received).is_empty());
    }
}

/// Receives until there is no sender.
fn drain(mut pull: Pull) -> Vec<u64> {
    let mut numbers = Vec::new();
    loop {
        match pull.recv_timeout(LONG) {
            Ok(message) => {
                assert_eq!(*message, payload(number(&message)));
                numbers.push(number(&message));
            }
            Err(Error::Closed) => return numbers,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn one_of_many_senders_may_die_at_any_time() {
    for _ in 0..6 {
        let place = Place::new();
        let mut pull = Pull::builder().directory(place.sockets()).bind("results").unwrap();
        let mut sender = place.start("send", "sent", "");
        let end = 1 + chance(5000) as usize;
        let (mut received, mut killed) = (Vec::new(), false);
        let begun = Instant::now();
        while pull.departures().count() == 0 {
            assert!(begun.elapsed() < LONG, "{} received, killed: {killed}", received.len());
            if let Some(message) = pull.try_recv().unwrap() {
                assert_eq!(*message, payload(number(&message)));
                received.push(number(&message));
            }
            if received.len() >= end && !killed {
                sender.kill();
                killed = true;
            }
        }
        let said = place.journal("sent").len();
        let count = received.len();
        assert!(count == said || count == said + 1, "{count} received, {said} sent");
        assert!(received.is_sorted() && missing(count as u64, [&received]).is_empty());
    }
}

#[test]
fn collectors_may_die_at_any_time() {
    let place = Place::new();
    let mut collector = place.start("collect", "0", "");
    let builder = Push::builder().directory(place.sockets()).connect_within(LONG);
    let mut push = builder.reconnect_within(LONG).connect("results").unwrap();
    let (mut dead, mut sent) = (Vec::new(), 0);
    while dead.len() < 8 {
        for _ in 0..1 + chance(3000) {
            push.send(&payload(sent)).unwrap();
            sent += 1;
        }
        collector.kill();
        dead.push(collector.0.id());
        collector = place.start("collect", &dead.len().to_string(), "");
    }
    assert_eq!(push.flush(LONG).unwrap(), 0);

    // Some died before anybody had connected to them. The last one has taken everything, and comes
    // to say so.
    let losses: Vec<Loss> = push.departures().collect();
    let mut lost = 0;
    for (n, id) in dead.iter().enumerate() {
        let received = place.journal(&n.to_string()).len() as u64;
        let loss = losses.iter().find(|loss| loss.peer.pid == *id);
        let taken = loss.map_or(0, |loss| loss.taken);
        assert!(taken == received || taken == received + 1, "{received} of {loss:?}");
        lost += taken - received;
    }
    let waited = Instant::now();
    loop {
        let journals: Vec<_> = (0..=dead.len()).map(|n| place.journal(&n.to_string())).collect();
        let missing = missing(sent, &journals);
        if missing.len() as u64 == lost {
            return;
        }
        assert!(waited.elapsed() < LONG, "{missing:?} are missing, {losses:?}");
    }
}

/// What a child does, until it is killed or there is nobody to do it for.
#[test]
#[ignore = "a part of other tests"]
fn child() {
    let told = |name| std::env::var(name).expect("started by another test");
    let (role, directory) = (told(ROLE), told(DIRECTORY));
    let journal = File::options().create(true).append(true).open(told(JOURNAL)).unwrap();
    match &role[..] {
        "work" => work(Path::new(&directory), journal),
        "work in batches" => work_in_batches(Path::new(&directory), journal),
        "collect" => {
            let pull = Pull::builder().directory(directory).bind("results").unwrap();
            receive(pull, journal);
        }
        "give work" => {
            let mut push = Push::builder().directory(directory).bind("jobs").unwrap();
            while push.receivers() < 2 {
                thread::yield_now();
            }
            send(push, journal);
        }
        "send" => {
            let builder = Push::builder().directory(directory).connect_within(LONG);
            send(builder.connect("results").unwrap(), journal);
        }
        other => panic!("no role {other}"),
    }
}

fn worker(directory: &Path) -> Pull {
    let builder = Pull::builder().directory(directory).connect_within(LONG);
    builder.reconnect_within(Duration::from_millis(20)).connect("jobs").unwrap()
}

fn work(directory: &Path, journal: File) {
    receive(worker(directory), journal);
}

fn receive(mut pull: Pull, mut journal: File) {
    loop {
        match pull.recv() {
            Ok(message) => {
                journal.write_all(&message[..8]).unwrap();
                assert_eq!(*message, payload(number(&message)));
            }
            Err(error) => return assert!(matches!(error, Error::Closed), "{error}"),
        }
    }
}

fn work_in_batches(directory: &Path, mut journal: File) {
    let (mut pull, mut batch) = (worker(directory), Batch::new());
    loop {
        match pull.recv_many(&mut batch, BATCH) {
            Ok(_) => {
                for message in &batch {
                    journal.write_all(&message[..8]).unwrap();
                    assert_eq!(message, payload(number(message)));
                }
            }
            Err(error) => return assert!(matches!(error, Error::Closed), "{error}"),
        }
    }
}

fn send(mut push: Push, mut journal: File) {
    for n in 0.. {
        push.send(&payload(n)).unwrap();
        journal.write_all(&n.to_le_bytes()).unwrap();
    }
}
