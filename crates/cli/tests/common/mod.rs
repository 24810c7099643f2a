//! A broker of one's own, and `chaski` run the way a user runs it.
// Each file of tests is a program of its own and uses a part of this.
#![allow(dead_code)]

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) const CHASKI: &str = env!("CARGO_BIN_EXE_chaski");

/// Longer than anything takes that works.
pub(crate) const LONG: Duration = Duration::from_secs(300);

/// A running process. Killed when dropped, so that a test that fails leaves nobody behind.
pub(crate) struct Process(Option<Child>);

/// A running `chaski serve` on ports of its own. Killed when dropped.
pub(crate) struct Broker {
    process: Child,
    /// Host and port for Kafka clients.
    pub(crate) address: String,
    /// Host and port of its metrics and API.
    pub(crate) http: String,
    dir: TempDir,
}

/// What a command left behind.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Broker {
    pub(crate) fn start() -> Broker {
        Broker::start_with(&[])
    }

    /// With more arguments for `serve`.
    pub(crate) fn start_with(more: &[&str]) -> Broker {
        let dir = tempfile::tempdir().unwrap();
        let log = File::create(dir.path().join("broker.log")).unwrap();
        let mut process = Command::new(CHASKI)
            .args(["serve", "--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data"])
            .arg(dir.path().join("data"))
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut said = BufReader::new(process.stdout.as_mut().unwrap()).lines().map(Result::unwrap);
        let address =
            said.find_map(|line| line.strip_prefix("  kafka ").map(|rest| rest.trim().to_owned()));
        let http = said.find_map(|line| {
            let (_, rest) = line.split_once("http://")?;
            Some(rest.split('/').next()?.trim().to_owned())
        });
        let (Some(address), Some(http)) = (address, http) else {
            process.wait().unwrap();
            let log = std::fs::read_to_string(dir.path().join("broker.log")).unwrap();
            panic!("the broker did not start:\n{log}");
        };
        Broker { process, address, http, dir }
    }

    pub(crate) fn url(&self, topic: &str) -> String {
        format!("kafka://{}/{topic}", self.address)
    }

    /// Directory of a partition.
    pub(crate) fn partition_dir(&self, partition: &str) -> PathBuf {
        self.dir.path().join("data/log").join(partition)
    }

    /// Runs `chaski` with these arguments against this broker.
    pub(crate) fn run(&self, args: &[&str]) -> Outcome {
        self.feed(args, b"")
    }

    /// The same with this standard input.
    pub(crate) fn feed(&self, args: &[&str], stdin: &[u8]) -> Outcome {
        feed(self.spawn(args), stdin)
    }

    /// Starts `chaski` with all three streams as pipes.
    pub(crate) fn spawn(&self, args: &[&str]) -> Process {
        let mut command = command(args);
        command.env("CHASKI_BROKER", &self.address).env("CHASKI_HTTP", &self.http);
        Process::start(&mut command)
    }

    /// Sends lines to a topic.
    pub(crate) fn send(&self, topic: &str, lines: &str) {
        self.feed(&["send", &self.url(topic), "--quiet"], lines.as_bytes()).ok();
    }

    /// All values of a topic, a line each.
    pub(crate) fn read(&self, topic: &str) -> String {
        self.run(&["recv", &self.url(topic), "--exit-at-end"]).ok().stdout
    }

    /// What it answers over HTTP.
    pub(crate) fn http_get(&self, path: &str) -> String {
        let mut stream = std::net::TcpStream::connect(&self.http).unwrap();
        let head =
            format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.http);
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        body.to_owned()
    }

    /// Ends it with SIGTERM. It must end well.
    pub(crate) fn stop(mut self) -> TempDir {
        signal(&self.process, Signal::TERM);
        let status = self.process.wait().unwrap();
        assert!(status.success(), "{status}");
        std::mem::replace(&mut self.dir, tempfile::tempdir().unwrap())
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Process {
        Process(Some(command.spawn().unwrap()))
    }

    pub(crate) fn kill(mut self) {
        self.0.as_mut().unwrap().kill().unwrap();
        self.0.as_mut().unwrap().wait().unwrap();
    }
}

impl Deref for Process {
    type Target = Child;

    fn deref(&self) -> &Child {
        self.0.as_ref().expect("taken only by who consumes it")
    }
}

impl DerefMut for Process {
    fn deref_mut(&mut self) -> &mut Child {
        self.0.as_mut().expect("taken only by who consumes it")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Outcome {
    /// It must have succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> Outcome {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    /// It must have failed with this exit code, and have said this.
    #[track_caller]
    pub(crate) fn fails(self, code: i32, said: &[&str]) -> Outcome {
        assert_eq!(self.code, code, "{self:?}");
        for said in said {
            assert!(self.stderr.contains(said), "`{said}` is missing: {self:?}");
        }
        assert!(!self.stderr.contains("panicked"), "{self:?}");
        self
    }

    /// Standard output as one JSON document.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// Standard output as one JSON object a line.
    #[track_caller]
    pub(crate) fn jsonl(&self) -> Vec<Value> {
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {self:?}"));
        self.stdout.lines().map(parse).collect()
    }
}

/// Runs `chaski` without a broker.
pub(crate) fn chaski(args: &[&str]) -> Outcome {
    let mut command = command(args);
    let mut process = Process::start(command.env_remove("CHASKI_BROKER").env_remove("CHASKI_HTTP"));
    drop(process.stdin.take());
    finish(process)
}

/// `chaski` with these arguments, all three streams as pipes.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(CHASKI);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Waits for the end of a process that reads this.
pub(crate) fn feed(mut process: Process, stdin: &[u8]) -> Outcome {
    let mut pipe = process.stdin.take().unwrap();
    let stdin = stdin.to_vec();
    // It may end before it has read everything.
    let writer = std::thread::spawn(move || drop(pipe.write_all(&stdin)));
    let outcome = finish(process);
    writer.join().unwrap();
    outcome
}

/// Waits for the end of a process. One that has none is killed, and fails the test.
pub(crate) fn finish(mut process: Process) -> Outcome {
    let child = process.0.take().unwrap();
    let pid = pid(&child);
    let (ended, end) = mpsc::channel();
    std::thread::spawn(move || ended.send(child.wait_with_output()));
    let Ok(output) = end.recv_timeout(LONG) else {
        let _ = kill_process(pid, Signal::KILL);
        panic!("a process did not end within {LONG:?}");
    };
    let output = output.unwrap();
    Outcome {
        code: output.status.code().expect("no signal ends it"),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

pub(crate) fn signal(process: &Child, signal: Signal) {
    kill_process(pid(process), signal).unwrap();
}

fn pid(process: &Child) -> Pid {
    Pid::from_raw(process.id().try_into().unwrap()).unwrap()
}
