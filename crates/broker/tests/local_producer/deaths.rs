//! `kill -9` of either side: what was acknowledged is in the log, and the other goes on.
//!
//! A child is this program in another role, which [`role`] plays.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};

use chaski_local::producer::{Acked, BatchFailed};

use super::*;

const ROLE: &str = "CHASKI_TEST_ROLE";
const DIR: &str = "CHASKI_TEST_DIR";

/// Not a test: what a child does. It ends when its standard input does, so it does not outlive a
/// test that fails.
#[test]
fn role() {
    let (Ok(role), Ok(dir)) = (std::env::var(ROLE), std::env::var(DIR)) else { return };
    let dir = Path::new(&dir);
    std::thread::spawn(|| {
        let _ = std::io::stdin().lock().read_line(&mut String::new());
        std::process::exit(0);
    });
    match &*role {
        "produce" => produce_without_end(dir),
        "serve" => {
            let server = broker(Embedded::new().data_dir(dir.join("data")), dir);
            let _there = server.client().create_topic("t", Some(1), &[]);
            say("ready");
            std::thread::sleep(PATIENCE);
        }
        other => panic!("no role {other}"),
    }
}

fn say(what: &str) {
    // Not `println`, which the test harness keeps for itself.
    let mut out = std::io::stdout().lock();
    out.write_all(format!("\n>{what}\n").as_bytes()).and_then(|()| out.flush()).expect("heard");
}

/// Numbers, from 0, in one partition; says how many are acknowledged.
fn produce_without_end(dir: &Path) {
    let choices = choices(dir).durability(Durability::PageCache).batch_bytes(1 << 10);
    let mut t = choices.connect(NAME, "t").expect("connected");
    let mut acked = 0;
    for i in 0_u64.. {
        t.push(Record::of(i.to_string().as_bytes())).expect("taken");
        let before = acked;
        while let Some(outcome) = t.next_ack() {
            acked += outcome.expect("stored").count;
        }
        if acked / 1000 > before / 1000 {
            say(&acked.to_string());
        }
    }
}

/// A child in a role; killed when dropped.
struct Actor {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Actor {
    fn start(role: &str, dir: &Path) -> Actor {
        let program = std::env::current_exe().expect("this program");
        let mut child = Command::new(program)
            .args(["--exact", "deaths::role", "--nocapture"])
            .env(ROLE, role)
            .env(DIR, dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let said = BufReader::new(child.stdout.take().expect("piped"));
        Actor { child, said }
    }

    /// The next thing it says.
    fn hear(&mut self) -> String {
        for line in (&mut self.said).lines() {
            if let Some(said) = line.expect("text").strip_prefix('>') {
                return said.to_owned();
            }
        }
        panic!("it said nothing more");
    }

    fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("gone");
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn what_a_killed_producer_was_told_is_in_the_log_and_others_go_on() {
    let (server, dir) = in_memory("t", 1);
    let mut actor = Actor::start("produce", dir.path());
    let mut acked = 0;
    while acked < 20_000 {
        acked = actor.hear().parse().expect("a number");
    }
    actor.kill();
    let mut other = producer(dir.path(), "t");
    other.push(Record::of(b"other")).expect("taken");
    other.flush().expect("the broker serves on");
    let mut values = stored(&server.client(), "t", 0);
    let last = values.iter().position(|(_, value)| value == "other").expect("stored");
    values.remove(last);
    assert!(values.len() >= acked, "{} of {acked} records", values.len());
    for (i, (_, value)) in values.iter().enumerate() {
        assert_eq!(*value, i.to_string(), "each once, in order, up to what was sent whole");
    }
}

#[test]
fn what_a_killed_broker_has_acknowledged_is_there_when_it_comes_back() {
    for resend in [false, true] {
        let dir = tempfile::tempdir().expect("a directory");
        let mut actor = Actor::start("serve", dir.path());
        assert_eq!(actor.hear(), "ready");
        let choices = choices(dir.path()).durability(Durability::PageCache).batch_bytes(1 << 10);
        let mut t = choices.resend(resend).connect(NAME, "t").expect("connected");
        // What was pushed into each batch, and what became of it.
        let mut pushed: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        let mut outcomes: Vec<Result<Acked, BatchFailed>> = Vec::new();
        for i in 0..60_000 {
            if i == 20_000 || i == 40_000 {
                actor.kill();
                actor = Actor::start("serve", dir.path());
            }
            let value = i.to_string();
            let placed = t.push(Record::of(value.as_bytes())).expect("taken");
            pushed.entry(placed.batch).or_default().push(value);
            outcomes.extend(std::iter::from_fn(|| t.next_ack()));
        }
        match t.flush() {
            Ok(acked) => outcomes.extend(acked.into_iter().map(Ok)),
            Err(error) => outcomes.extend(error.batches),
        }
        actor.kill();
        check(dir.path(), &pushed, &outcomes, resend);
    }
}

/// Looks at what the killed brokers have left.
fn check(
    dir: &Path,
    pushed: &BTreeMap<u64, Vec<String>>,
    outcomes: &[Result<Acked, BatchFailed>],
    resend: bool,
) {
    assert_eq!(outcomes.len(), pushed.len(), "each batch has one outcome");
    let server = Embedded::new().data_dir(dir.join("data")).start().expect("recovered");
    let values = stored(&server.client(), "t", 0);
    for (outcome, (number, wanted)) in outcomes.iter().zip(pushed) {
        match outcome {
            Ok(acked) => {
                assert_eq!((acked.batch, acked.count), (*number, wanted.len()));
                let begin = acked.base_offset as usize;
                let found = values[begin..begin + acked.count].iter();
                assert!(found.map(|(_, value)| value).eq(wanted), "batch {number} at {begin}");
            }
            Err(failed) => {
                assert!(!resend, "at least once: {failed}");
                assert_eq!((failed.batch, &failed.error), (*number, &ProduceError::InDoubt));
            }
        }
    }
    server.stop().expect("stopped");
}
