//! `chaski dev`.

mod common;

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::path::PathBuf;

use common::{Outcome, Process, chaski, command, finish, signal};
use rustix::process::Signal;
use tempfile::TempDir;

/// A running `chaski dev`, and what it said.
struct Dev {
    process: Process,
    said: String,
    /// Where its directory is made.
    temporary: TempDir,
}

impl Dev {
    fn start(args: &[&str]) -> Dev {
        let temporary = tempfile::tempdir().unwrap();
        let mut command = command(&[&["dev"], args].concat());
        let mut process = Process::start(command.env("TMPDIR", temporary.path()));
        let mut said = String::new();
        let mut out = BufReader::new(process.stdout.as_mut().unwrap());
        while !said.contains("Ctrl-C ends it.") {
            assert_ne!(out.read_line(&mut said).unwrap(), 0, "{said}");
        }
        Dev { process, said, temporary }
    }

    /// What stands behind a title.
    fn place(&self, title: &str) -> String {
        let line = self.said.lines().find_map(|line| line.strip_prefix(&format!("  {title} ")));
        line.unwrap_or_else(|| panic!("{}", self.said)).trim().to_owned()
    }

    fn directories(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.temporary.path()).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// Ends it by Ctrl-C.
    fn interrupt(mut self) -> (Outcome, TempDir) {
        signal(&self.process, Signal::INT);
        let mut rest = String::new();
        self.process.stdout.take().unwrap().read_to_string(&mut rest).unwrap();
        (finish(self.process), self.temporary)
    }
}

#[test]
fn it_serves_its_topics_and_leaves_nothing_behind() {
    let args = ["--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0", "--topics", "orders,payments"];
    let dev = Dev::start(&args);
    let kafka = dev.place("kafka");
    assert_eq!(dev.place("topics"), "orders, payments");
    assert!(dev.place("console").starts_with("http://127.0.0.1:"), "{}", dev.said);
    assert!(dev.said.contains("chaski dev --snippets"), "{}", dev.said);
    assert_eq!(dev.directories().len(), 1);
    let listed = chaski(&["topic", "list", "--broker", &kafka, "-o", "json"]).ok().json();
    assert_eq!(listed.as_array().unwrap().len(), 2);
    let (outcome, temporary) = dev.interrupt();
    outcome.ok();
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_terminal_that_is_closed_ends_it_as_well() {
    // A process inherits that it is to outlive its terminal, as under nohup.
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    if u64::from_str_radix(ignored.trim(), 16).unwrap() & 1 == 1 {
        return;
    }
    let dev = Dev::start(&["--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
    signal(&dev.process, Signal::HUP);
    let Dev { process, temporary, .. } = dev;
    finish(process).ok();
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0);
}

#[cfg(target_os = "linux")]
#[test]
fn what_is_sent_to_its_intake_is_in_the_topic() {
    let dev = Dev::start(&["--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
    let intake = dev.place("intake");
    let (endpoint, _) = intake.split_once(',').unwrap();
    let sending = Process::start(&mut command(&["send", &format!("zmq+{endpoint}"), "-q"]));
    common::feed(sending, b"hello\n").ok();
    let url = format!("kafka://{}/greetings", dev.place("kafka"));
    let received = chaski(&["recv", &url, "--from", "earliest", "--count", "1"]).ok();
    assert_eq!(received.stdout, "hello\n");
    dev.interrupt().0.ok();
}

#[test]
fn a_directory_that_is_kept_can_be_served_again() {
    let dev = Dev::start(&["--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0", "--keep"]);
    let dir = dev.directories().remove(0);
    let (outcome, _temporary) = dev.interrupt();
    let said = outcome.ok().stderr;
    assert!(said.contains(&format!("chaski serve --data {}", dir.display())), "{said}");
    assert!(dir.join("meta.redb").exists());
}

#[test]
fn a_port_that_is_taken_is_avoided_unless_it_was_asked_for() {
    // Where somebody else has them there is nothing to be said: he may let go of them.
    let held = ["127.0.0.1:9092", "127.0.0.1:8080"].map(TcpListener::bind);
    let taken = held.each_ref().map(Result::is_ok);
    let dev = Dev::start(&[]);
    let places = [dev.place("kafka"), dev.place("console")];
    assert!(!taken[0] || !places[0].ends_with(":9092"), "{places:?}");
    assert!(!taken[1] || !places[1].ends_with(":8080/"), "{places:?}");
    dev.interrupt().0.ok();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    chaski(&["dev", "--kafka", &address]).fails(1, &["the broker did not start", &address]);
}

#[test]
fn programs_have_the_addresses_of_the_broker() {
    let args = ["--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0", "--topics", "t9"];
    let dev = Dev::start(&[&args[..], &["--snippets", "all"]].concat());
    let kafka = dev.place("kafka");
    for library in ["confluent-kafka", "kafka-clients", "rdkafka", "franz-go", "librdkafka"] {
        assert!(dev.said.contains(&format!("---- {library} ----")), "{}", dev.said);
    }
    assert!(dev.said.matches(&format!("\"{kafka}\"")).count() >= 5, "{}", dev.said);
    assert!(dev.said.contains("\"t9\""), "{}", dev.said);
    dev.interrupt().0.ok();
}

#[test]
fn a_name_that_is_no_topic_leaves_nothing_behind() {
    let temporary = tempfile::tempdir().unwrap();
    let args = ["dev", "--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0", "--topics", "a/b"];
    let mut process = Process::start(command(&args).env("TMPDIR", temporary.path()));
    drop(process.stdin.take());
    finish(process).fails(2, &["topic `a/b` was not created"]);
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0);
}
