//! `chaski shm`, and `send` and `recv` between processes of one machine.
#![cfg(target_os = "linux")]

mod common;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::time::Duration;

use common::{Outcome, Process, command, feed, finish, signal};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

/// Looks at what never comes to pass.
const LOOKS_MAX: usize = 3_000;

/// Services of a test's own.
struct Services(TempDir);

impl Services {
    fn new() -> Services {
        Services(tempfile::tempdir().unwrap())
    }

    fn spawn(&self, args: &[&str]) -> Process {
        Process::start(command(args).env("CHASKI_SHM_DIR", self.0.path()))
    }

    fn run(&self, args: &[&str]) -> Outcome {
        self.feed(args, b"")
    }

    fn feed(&self, args: &[&str], stdin: &[u8]) -> Outcome {
        feed(self.spawn(args), stdin)
    }

    /// Starts a process that binds a name, and waits until it has it.
    fn bind(&self, name: &str, args: &[&str]) -> Process {
        let process = self.spawn(args);
        self.until(name, |_| true);
        process
    }

    fn list(&self) -> Vec<Value> {
        self.run(&["shm", "ls", "-o", "jsonl"]).ok().jsonl()
    }

    /// Waits until a service is there and as it should be.
    fn until(&self, name: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..LOOKS_MAX {
            let found = self.list().into_iter().find(|service| service["name"] == name);
            match found {
                Some(service) if is_so(&service) => return service,
                _ => std::thread::sleep(Duration::from_millis(10)),
            }
        }
        panic!("it never came to pass: {:?}", self.list());
    }

    /// Runs it until it succeeds: who is too late to answer one survey may answer the next.
    fn until_answered(&self, args: &[&str]) -> Outcome {
        let mut outcomes = (0..100).map(|_| self.run(args));
        outcomes.find(|outcome| outcome.code == 0).expect("an answer")
    }

    /// The same until it tells what it should.
    fn until_told(&self, args: &[&str], is_so: impl Fn(&Value) -> bool) -> Value {
        let mut told = (0..100).map(|_| self.until_answered(args).json());
        told.find(is_so).expect("it never came to pass")
    }
}

fn lines(range: std::ops::Range<u32>) -> String {
    range.map(|number| format!("{number}\n")).collect()
}

#[test]
fn what_is_sent_is_collected_in_order() {
    let services = Services::new();
    let collector = services.bind("x", &["recv", "shm://x", "--count", "20003"]);
    let sent = services.feed(&["send", "shm://x"], b"one\n\n\xff two").ok();
    // How long it took is said as well if that was long.
    assert!(sent.stderr.starts_with("sent to x: 3 messages, 8 B"), "{sent:?}");
    assert_eq!(sent.stdout, "");
    // More than a pipe holds: it is taken while it is read.
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), lines(0..20_000)).unwrap();
    let sending = services.spawn(&["send", "shm://x", "-q", file.path().to_str().unwrap()]);
    let received = finish(collector).ok();
    assert_eq!(received.stdout, format!("one\n\n\u{fffd} two\n{}", lines(0..20_000)));
    finish(sending).ok();
    assert!(services.list().is_empty(), "it took its name along");
}

#[test]
fn a_file_of_long_lines_is_sent() {
    let services = Services::new();
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = format!("{}\n{}\n", "a".repeat(1_000_000), "b".repeat(40_000));
    std::fs::write(file.path(), &text).unwrap();
    let collector = services.bind("x", &["recv", "shm://x", "--count", "2"]);
    // More than a pipe holds: it is taken while it is read.
    let sending = services.spawn(&["send", "shm://x", file.path().to_str().unwrap()]);
    assert_eq!(finish(collector).ok().stdout, text);
    finish(sending).ok();
}

#[test]
fn what_nobody_took_is_a_failure() {
    let services = Services::new();
    let collector = services.bind("x", &["recv", "shm://x", "--count", "1"]);
    // Whether the second was sent before the collector left, or waits for the next: nobody comes.
    let sent = services.feed(&["send", "shm://x"], b"a\nb\n");
    sent.fails(3, &["cannot send to shm://x", "the peer is gone", " had been sent, "]);
    assert_eq!(finish(collector).ok().stdout, "a\n");
}

#[test]
fn workers_share_what_is_pushed_and_end_with_it() {
    let services = Services::new();
    // They wait for the one who binds the name.
    let workers = [(); 2].map(|()| services.spawn(&["recv", "shm://jobs?type=pull&connect"]));
    let mut pushing = services.spawn(&["send", "shm://jobs?bind"]);
    services.until("jobs", |jobs| jobs["peers"] == 2);
    pushing.stdin.take().unwrap().write_all(lines(0..5_000).as_bytes()).unwrap();
    finish(pushing).ok();
    let parts = workers.map(|worker| finish(worker).ok().stdout);
    let mut all: Vec<u32> =
        parts.iter().flat_map(|part| part.lines()).map(|line| line.parse().unwrap()).collect();
    all.sort_unstable();
    assert_eq!(all, (0..5_000).collect::<Vec<_>>());
}

#[test]
fn everybody_who_subscribes_gets_what_is_published() {
    let services = Services::new();
    // They wait for the one who binds the name, who waits for them.
    let subscribe = ["recv", "shm://news?type=sub&policy=block", "-o", "json"];
    let subscribers = [(); 2].map(|()| services.spawn(&subscribe));
    let mut publishing = services.spawn(&["send", "shm://news?type=pub&wait=2&history=10"]);
    publishing.stdin.as_mut().unwrap().write_all(lines(0..1_000).as_bytes()).unwrap();
    let listed = services.until("news", |news| news["messages"] == 1_000);
    assert_eq!((&listed["pattern"], &listed["peers"]), (&"publisher".into(), &2.into()));
    let late = services.spawn(&["recv", "shm://news?type=sub&history=3"]);
    services.until("news", |news| news["peers"] == 3);
    finish(publishing).ok();
    for subscriber in subscribers {
        let all = finish(subscriber).ok().jsonl();
        let sequence: Vec<_> = all.iter().map(|line| line["sequence"].as_u64().unwrap()).collect();
        assert_eq!(sequence, (0..1_000).collect::<Vec<_>>());
        let value = |line: &Value| line["value"].as_str().unwrap().parse().unwrap();
        assert_eq!(all.iter().map(value).collect::<Vec<u64>>(), sequence);
    }
    assert_eq!(finish(late).ok().stdout, lines(997..1_000));
}

#[test]
fn answers_come_in_the_order_of_the_requests() {
    let services = Services::new();
    let mut server = services.bind("echo", &["recv", "shm://echo?type=serve", "-o", "json"]);
    let asked = services.feed(&["send", "shm://echo?type=call"], lines(0..1_000).as_bytes()).ok();
    assert_eq!(asked.stdout, lines(0..1_000));
    let mut seen = String::new();
    BufReader::new(server.stdout.as_mut().unwrap()).read_line(&mut seen).unwrap();
    let seen: Value = serde_json::from_str(&seen).unwrap();
    assert_eq!((&seen["service"], &seen["value"]), (&"echo".into(), &"0".into()));
    assert!(seen["pid"].as_u64().unwrap() > 0);
    server.kill();
}

#[test]
fn an_answer_is_shown_before_the_next_question() {
    let services = Services::new();
    let server = services.bind("echo", &["recv", "shm://echo?type=serve"]);
    let mut asking = services.spawn(&["send", "shm://echo?type=call", "-q"]);
    let (mut questions, answers) = (asking.stdin.take().unwrap(), asking.stdout.take().unwrap());
    let mut answers = BufReader::new(answers).lines();
    for question in ["one", "two"] {
        writeln!(questions, "{question}").unwrap();
        assert_eq!(answers.next().unwrap().unwrap(), question);
    }
    drop(questions);
    finish(asking).ok();
    server.kill();
}

#[test]
fn requests_that_a_killed_server_had_not_taken_are_answered_by_the_next() {
    // The next has seconds to come; a machine that stands still may take them.
    let answered = (0..10).find_map(|_| {
        let services = Services::new();
        let first = services.bind("echo", &["recv", "shm://echo?type=serve"]);
        let mut asking = services.spawn(&["send", "shm://echo?type=call"]);
        services.until("echo", |echo| echo["peers"] == 1);
        signal(&first, Signal::STOP);
        asking.stdin.take().unwrap().write_all(lines(0..10).as_bytes()).unwrap();
        first.kill();
        let _second = services.bind("echo", &["recv", "shm://echo?type=serve"]);
        let outcome = finish(asking);
        (outcome.code == 0).then_some(outcome.stdout)
    });
    assert_eq!(answered, Some(lines(0..10)));
}

#[test]
fn a_listener_gets_the_latest_number() {
    let services = Services::new();
    let args = ["recv", "shm://bell?type=listen", "--count", "1", "-o", "json"];
    let listening = services.bind("bell", &args);
    services.feed(&["send", "shm://bell?type=notify"], b"17\n").ok();
    let heard = finish(listening).ok().json();
    assert_eq!((&heard["value"], &heard["rings"]), (&"17".into(), &1.into()));

    let listening = services.bind("bell", &["recv", "shm://bell?type=listen"]);
    let args = ["send", "shm://bell?type=notify"];
    services.feed(&args, b"1\nx\n").fails(1, &["line 2 is no number", "hint: a notification"]);
    listening.kill();
}

#[test]
fn what_was_received_as_json_is_sent_again() {
    let services = Services::new();
    let first = services.bind("a", &["recv", "shm://a", "-o", "json", "--count", "2"]);
    services.feed(&["send", "shm://a"], b"x\n\xff\n").ok();
    let json = finish(first).ok().stdout;
    let second = services.bind("b", &["recv", "shm://b", "-o", "json", "--count", "2"]);
    services.feed(&["send", "shm://b", "--json"], json.as_bytes()).ok();
    let values = |lines: &str| -> Vec<Value> {
        let value = |line| serde_json::from_str::<Value>(line).unwrap()["value"].clone();
        lines.lines().map(value).collect()
    };
    assert_eq!(values(&finish(second).ok().stdout), values(&json));
    let collector = services.bind("c", &["recv", "shm://c", "--count", "1"]);
    let sent = services.feed(&["send", "shm://c", "--json"], b"{\"value\":1}\nno\n");
    sent.fails(1, &["line 2 is no message"]);
    assert_eq!(finish(collector).ok().stdout, "1\n");
}

#[test]
fn a_service_is_listed_and_inspected() {
    let services = Services::new();
    let collector = services.bind("x", &["recv", "shm://x"]);
    let mut sending = services.spawn(&["send", "shm://x"]);
    sending.stdin.as_mut().unwrap().write_all(b"hello\nworld\n").unwrap();
    let listed = services.until("x", |x| x["messages"] == 2);
    assert_eq!((&listed["pattern"], &listed["state"]), (&"pull".into(), &"ok".into()));
    assert_eq!((&listed["pid"], &listed["peers"]), (&collector.id().into(), &1.into()));
    assert_eq!((&listed["bytes"], &listed["program"]), (&10.into(), &"chaski".into()));

    let inspect = ["shm", "inspect", "x", "-o", "json"];
    let inspected = services.until_told(&inspect, |x| x["connections"].is_array());
    let [peer] = &inspected["connections"].as_array().unwrap()[..] else { panic!("one") };
    assert_eq!(peer["pid"], sending.id());
    let [way] = &peer["ways"].as_array().unwrap()[..] else { panic!("one way: {peer}") };
    assert_eq!(
        (&way["way"], &way["sent"], &way["sent_bytes"]),
        (&"in".into(), &2.into(), &10.into())
    );

    let table = services.until_answered(&["shm", "inspect", "x"]).stdout;
    for part in ["pattern  pull", "peers    1 of at most 1024", "STALLS  WAKES  ASLEEP"] {
        assert!(table.contains(part), "{table}");
    }
    let table = services.run(&["shm", "ls"]).ok().stdout;
    assert!(table.starts_with("SERVICE  PATTERN"), "{table}");

    collector.kill();
    assert!(services.list().is_empty(), "of a killed process nothing is left");
    sending.kill();
    assert!(!services.0.path().join("x").exists());
}

#[test]
fn rates_are_of_what_moved() {
    let services = Services::new();
    let collector = services.bind("x", &["recv", "shm://x"]);
    let mut sending = services.spawn(&["send", "shm://x"]);
    sending.stdin.as_mut().unwrap().write_all(lines(0..1_000).as_bytes()).unwrap();
    let top = ["shm", "top", "--interval", "0.3", "--count", "2", "-o", "jsonl"];
    let looks = (0..100).map(|_| services.run(&top).ok().jsonl()).find(|rows| {
        assert_eq!(rows.len(), 2, "a row a look: {rows:?}");
        rows.iter().all(|row| row["messages_per_second"].is_f64())
    });
    // Who is too late to answer one look has no rate.
    looks.expect("rates");

    services.until("x", |x| x["peers"] == 1);
    let args = ["shm", "top", "x", "--interval", "0.05", "--count", "1", "-o", "json"];
    let rows = services.until_told(&args, |rows| !rows[0]["pid"].is_null());
    assert_eq!((&rows[0]["way"], &rows[0]["pid"]), (&"in".into(), &sending.id().into()));
    let table = services.run(&["shm", "top", "--interval", "0.05", "-n", "2"]).ok().stdout;
    assert_eq!(table.matches("SERVICE  PATTERN").count(), 2, "{table}");
    assert!(!table.contains('\x1b'), "nothing is drawn without a terminal: {table}");
    for process in [sending, collector] {
        process.kill();
    }
}

#[test]
fn a_stopped_process_is_silent() {
    let services = Services::new();
    let collector = services.bind("x", &["recv", "shm://x"]);
    signal(&collector, Signal::STOP);
    let listed = services.until("x", |x| x["state"] == "silent");
    assert_eq!((&listed["pid"], &listed["peers"]), (&collector.id().into(), &Value::Null));
    services.run(&["shm", "inspect", "x"]).fails(1, &["`x` did not answer", "was stopped"]);
    services.run(&["send", "shm://x"]).fails(3, &["did not answer", "was stopped"]);
    collector.kill();
}

#[test]
fn failures_say_why_and_what_to_do() {
    let services = Services::new();
    let fails = |args: &[&str], code, said: &[&str]| services.run(args).fails(code, said);
    fails(&["send", "shm://x"], 3, &["no service is bound to \"x\"", "chaski recv 'shm://x'"]);
    fails(&["send", "shm://x?type=call"], 3, &["chaski recv 'shm://x?type=serve'"]);
    fails(&["send", "shm://a b"], 2, &["not a name", "hint: a name is 1 to 64"]);
    fails(&["send", "shm://x?type=pull"], 2, &["`type=pull` receives", "`type=push` sends"]);
    fails(&["recv", "shm://x?type=push"], 2, &["`type=push` sends", "`type=pull` receives"]);
    fails(&["recv", "shm://x?type=dealer"], 2, &["`dealer` is no type: push, pull"]);
    fails(&["send", "shm://x", "--codec", "zstd"], 2, &["--codec is for kafka://"]);
    fails(&["recv", "shm://x", "--from", "latest"], 2, &["--from is for kafka://"]);
    fails(&["shm", "inspect", "x"], 1, &["no process is bound to `x`"]);
    fails(&["shm", "top", "x"], 1, &["no process is bound to `x`"]);
    fails(&["shm", "ls", "--dir", "/proc/1/root"], 1, &["cannot list the services", "hint:"]);

    let collector = services.bind("x", &["recv", "shm://x"]);
    fails(&["recv", "shm://x"], 1, &["bound by a living process", "chaski shm inspect x"]);
    fails(&["send", "shm://x?type=call"], 1, &["chaski shm ls"]);
    collector.kill();
}

#[test]
fn the_directory_may_be_in_the_url() {
    let services = Services::new();
    let other = tempfile::tempdir().unwrap();
    let dir = other.path().to_str().unwrap();
    let url = format!("shm://x?dir={dir}");
    let collector = services.spawn(&["recv", &url, "--count", "1"]);
    let list = ["shm", "ls", "--dir", dir, "-o", "jsonl"];
    let is_there = (0..LOOKS_MAX).any(|_| !services.run(&list).ok().stdout.is_empty());
    assert!(is_there, "it never was bound");
    services.feed(&["send", &url], b"hello\n").ok();
    assert_eq!(finish(collector).ok().stdout, "hello\n");
}

#[test]
fn an_interrupt_ends_everything_that_waits() {
    let services = Services::new();
    let waiting = services.bind("x", &["recv", "shm://x"]);
    signal(&waiting, Signal::INT);
    finish(waiting).ok();
    // One that has printed something has heard of signals, too.
    let mut top = services.spawn(&["shm", "top", "--interval", "0.05"]);
    top.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    signal(&top, Signal::INT);
    finish(top).ok();
    let mut sending = services.bind("y", &["send", "shm://y?bind"]);
    sending.stdin.as_mut().unwrap().write_all(b"nobody takes this\n").unwrap();
    signal(&sending, Signal::INT);
    let outcome = finish(sending).fails(1, &["interrupted: not all was sent and taken"]);
    assert_eq!(outcome.stdout, "");
}
