//! `send` and `recv` with ZeroMQ sockets, and `chaski keygen`.
#![cfg(target_os = "linux")]

mod common;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::time::Duration;

use chaski_zmq::auth::Passwords;
use chaski_zmq::{Context, Pull, Rep};
use common::{LONG, Outcome, Process, chaski, command, feed, finish, signal};
use rustix::process::Signal;
use serde_json::json;
use tempfile::TempDir;

/// Looks at what never comes to pass.
const LOOKS_MAX: usize = 3_000;

/// Addresses of a test's own: files, at which the sides meet in any order.
struct Place(TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    fn url(&self, name: &str, query: &str) -> String {
        format!("zmq+ipc://{}?{query}", self.path(name))
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    /// A pair of keys: its file, and the public one.
    fn keys(&self, name: &str) -> (String, String) {
        let file = self.path(name);
        chaski(&["keygen", "curve", &file]).ok();
        let public = chaski(&["keygen", "public", &file]).ok().stdout.trim_end().to_owned();
        (file, public)
    }

    /// Waits until somebody has bound it.
    fn until_bound(&self, name: &str) {
        let path = self.0.path().join(name);
        until(&format!("{} is bound", path.display()), || path.exists());
    }
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..LOOKS_MAX {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("it never came to pass: {what}");
}

/// Waits until a process has taken over SIGTERM, the last of the signals that it hears.
fn until_it_hears_signals(process: &Process) {
    let status = format!("/proc/{}/status", process.id());
    until("signals are heard", || {
        let status = std::fs::read_to_string(&status).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        let caught = u64::from_str_radix(caught.trim(), 16).unwrap();
        caught >> (Signal::TERM.as_raw() - 1) & 1 == 1
    });
}

fn spawn(args: &[&str]) -> Process {
    Process::start(&mut command(args))
}

fn send(args: &[&str], stdin: &[u8]) -> Outcome {
    feed(spawn(&[&["send"], args].concat()), stdin)
}

fn recv(args: &[&str]) -> Process {
    spawn(&[&["recv"], args].concat())
}

/// What a process that left its port to the system is bound to.
fn bound(process: &mut Process) -> String {
    let mut line = String::new();
    BufReader::new(process.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
    let endpoint = line.trim_end().strip_prefix("bound to ").expect("an address").to_owned();
    format!("zmq+{endpoint}")
}

fn lines(range: std::ops::Range<u32>) -> String {
    range.map(|number| format!("{number}\n")).collect()
}

#[test]
fn what_is_pushed_is_collected_in_order() {
    let place = Place::new();
    let url = place.url("x", "");
    let collector = recv(&[&place.url("x", "bind"), "--count", "20003"]);
    let sent = send(&[&url], b"one\n\n\xff two").ok();
    let name = url.trim_end_matches('?');
    assert_eq!(sent.stdout, "");
    // How long it took is said as well if that was long.
    assert!(sent.stderr.starts_with(&format!("sent to {name}: 3 messages, 8 B")), "{sent:?}");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), lines(0..20_000)).unwrap();
    let sending = spawn(&["send", &url, "-q", file.path().to_str().unwrap()]);
    let received = finish(collector).ok();
    assert_eq!(received.stdout, format!("one\n\n\u{fffd} two\n{}", lines(0..20_000)));
    assert_eq!(finish(sending).ok().stderr, "");
}

#[test]
fn a_port_may_be_left_to_the_system() {
    let mut collector = recv(&["zmq+tcp://127.0.0.1:*", "--count", "2"]);
    let url = bound(&mut collector);
    send(&[&url], b"hello\nworld\n").ok();
    assert_eq!(finish(collector).ok().stdout, "hello\nworld\n");
}

#[test]
fn who_connected_ends_with_the_other_side() {
    let place = Place::new();
    // It waits for the one who binds.
    let worker = recv(&[&place.url("jobs", "")]);
    let file = place.path("lines");
    std::fs::write(&file, lines(0..50_000)).unwrap();
    let pushing = spawn(&["send", &place.url("jobs", "bind"), &file]);
    // More than a pipe holds: it is taken while it is read.
    assert_eq!(finish(worker).ok().stdout, lines(0..50_000));
    finish(pushing).ok();
}

#[test]
fn who_follows_waits_for_the_next() {
    let place = Place::new();
    let following = recv(&[&place.url("x", ""), "--follow", "--count", "2"]);
    send(&[&place.url("x", "bind")], b"first\n").ok();
    send(&[&place.url("x", "bind")], b"second\n").ok();
    assert_eq!(finish(following).ok().stdout, "first\nsecond\n");
}

#[test]
fn subscribers_get_their_topics_from_the_first_line_on() {
    let place = Place::new();
    let all = recv(&[&place.url("news", "type=sub")]);
    let some = recv(&[&place.url("news", "type=sub&topic=b"), "--key-separator", " "]);
    let publish = place.url("news", "type=pub&bind&wait=2");
    send(&[&publish, "--key-separator", ":"], b"a:one\nb:two\nbc:three:four\n").ok();
    assert_eq!(finish(all).ok().stdout, "a\tone\nb\ttwo\nbc\tthree:four\n");
    assert_eq!(finish(some).ok().stdout, "b two\nbc three:four\n");
}

#[test]
fn a_topic_goes_before_every_line_and_nobody_misses_any() {
    let place = Place::new();
    let subscriber = recv(&[&place.url("log", "type=sub&topic=app&rcvhwm=5"), "-o", "json"]);
    let publish = place.url("log", "type=pub&bind&topic=app&sndhwm=5");
    // More than all queues and buffers hold: the publisher waits.
    let file = place.path("lines");
    std::fs::write(&file, lines(0..30_000)).unwrap();
    let publishing = spawn(&["send", &publish, &file]);
    let received = finish(subscriber).ok().jsonl();
    finish(publishing).ok();
    assert_eq!(received.len(), 30_000);
    let line = |number: usize| json!({"frames": ["app", number.to_string()]});
    assert!(received.iter().enumerate().all(|(number, message)| *message == line(number)));
}

#[test]
fn answers_come_in_the_order_of_the_requests() {
    let place = Place::new();
    let mut server = recv(&[&place.url("echo", "type=rep&bind"), "-o", "json"]);
    let asked = send(&[&place.url("echo", "type=req")], lines(0..500).as_bytes()).ok();
    assert_eq!(asked.stdout, lines(0..500));
    let mut seen = String::new();
    BufReader::new(server.stdout.as_mut().unwrap()).read_line(&mut seen).unwrap();
    assert_eq!(seen, "{\"value\":\"0\"}\n");
    server.kill();
}

#[test]
fn an_answer_is_shown_before_the_next_question() {
    let place = Place::new();
    let server = recv(&[&place.url("echo", "type=rep&bind")]);
    let mut asking = spawn(&["send", &place.url("echo", "type=req"), "-q", "--json"]);
    let (mut questions, answers) = (asking.stdin.take().unwrap(), asking.stdout.take().unwrap());
    let mut answers = BufReader::new(answers).lines();
    for (question, answer) in
        [("{\"value\":\"one\"}", "one"), ("{\"frames\":[\"a\",\"b\"]}", "a\tb")]
    {
        writeln!(questions, "{question}").unwrap();
        assert_eq!(answers.next().unwrap().unwrap(), answer);
    }
    drop(questions);
    finish(asking).ok();
    server.kill();
}

#[test]
fn a_request_whose_server_dies_is_not_answered() {
    let place = Place::new();
    let server = Rep::new();
    server.bind(&*format!("ipc://{}", place.path("echo"))).unwrap();
    let mut asking = spawn(&["send", &place.url("echo", "type=req")]);
    let mut questions = asking.stdin.take().unwrap();
    writeln!(questions, "one").unwrap();
    server.send(server.recv_timeout(LONG).unwrap()).unwrap();
    asking.stdout.as_mut().unwrap().read_exact(&mut [0; 4]).unwrap();
    writeln!(questions, "two").unwrap();
    // A request that had not left would wait for the next server.
    assert_eq!(&server.recv_timeout(LONG).unwrap()[0], "two");
    drop(server);
    finish(asking).fails(3, &["line 2 was not answered", "may have been worked on"]);
}

#[test]
fn frames_go_both_ways_as_json() {
    let place = Place::new();
    let router = recv(&[&place.url("a", "type=router&bind"), "-o", "json", "--count", "3"]);
    let dealer = place.url("a", "type=dealer&routing_id=me");
    let sent = b"{\"frames\":[\"\",\"x\"]}\n{\"value\":{\"base64\":\"/w==\"}}\n{\"value\":null}\n";
    send(&[&dealer, "--json"], sent).ok();
    let received = finish(router).ok();
    let expected = [
        json!({"frames": ["me", "", "x"]}),
        json!({"frames": ["me", {"base64": "/w=="}]}),
        json!({"frames": ["me", ""]}),
    ];
    assert_eq!(received.jsonl(), expected);

    // What came from one peer goes to the one of that name, who has not come yet.
    let mut routing = spawn(&["send", &place.url("b", "type=router&bind"), "--json"]);
    routing.stdin.take().unwrap().write_all(received.stdout.as_bytes()).unwrap();
    place.until_bound("b");
    let dealer = recv(&[&place.url("b", "type=dealer&routing_id=me"), "-o", "json"]);
    finish(routing).ok();
    assert_eq!(finish(dealer).ok().jsonl()[0], json!({"frames": ["", "x"]}));
}

#[test]
fn only_those_enter_whom_the_server_knows() {
    let place = Place::new();
    let (server_file, server) = place.keys("server.key");
    let (client_file, client) = place.keys("client.key");
    let (stranger_file, stranger) = place.keys("stranger.key");
    let bind = ["zmq+tcp://127.0.0.1:*", "--curve-key", &server_file, "--curve-allow", &client];
    let mut collector = recv(&[&bind[..], &["--count", "1"]].concat());
    let url = bound(&mut collector);
    let to_server = [&url, "--curve-server-key", server.as_str()];
    send(&[&to_server[..], &["--curve-key", &stranger_file]].concat(), b"stranger\n")
        .fails(3, &["cannot connect", "authentication failed with 400", "--curve-allow"]);
    send(&to_server, b"nobody\n").fails(3, &["authentication failed with 400"]);
    send(&[&url, "--curve-server-key", &stranger], b"lost\n")
        .fails(3, &["cannot connect", "a wrong --curve-server-key looks like this"]);
    send(&[&url], b"open\n").fails(3, &["\"CURVE\"", "the same kind of security"]);
    send(&[&to_server[..], &["--curve-key", &client_file]].concat(), b"friend\n").ok();
    let received = finish(collector).ok();
    assert_eq!(received.stdout, "friend\n");
    assert!(received.stderr.contains("127.0.0.1 was turned away"), "{received:?}");
}

#[test]
fn everybody_enters_who_knows_the_server() {
    let place = Place::new();
    let (file, public) = place.keys("server.key");
    let collector = recv(&[&place.url("x", "bind"), "--curve-key", &file, "--count", "1"]);
    send(&[&place.url("x", ""), "--curve-server-key", &public], b"hello\n").ok();
    assert_eq!(finish(collector).ok().stdout, "hello\n");
}

#[test]
fn a_password_comes_from_a_file() {
    let place = Place::new();
    let context = Context::new();
    context.authenticator(Passwords::new().with("admin", "secret"));
    let server = Pull::builder().context(&context).plain_server(true).build().unwrap();
    let url = format!("zmq+{}", server.bind("tcp://127.0.0.1:*").unwrap());
    let file = place.path("password");
    let args = [&url, "--plain-user", "admin", "--plain-password-file", &file];
    std::fs::write(&file, "secret\n").unwrap();
    send(&args, b"hello\n").ok();
    assert_eq!(&server.recv().unwrap()[0], "hello");
    std::fs::write(&file, "guess\n").unwrap();
    send(&args, b"hello\n").fails(3, &["cannot connect"]);
    send(&[&url, "--plain-user", "admin"], b"").fails(2, &["--plain-password-file"]);
}

#[test]
fn keys_are_made_and_never_replaced() {
    let place = Place::new();
    let file = place.path("a.key");
    let made = chaski(&["keygen", "curve", &file, "-o", "json"]).ok().json();
    let public = made["public_key"].as_str().unwrap();
    assert_eq!((public.len(), &made["file"]), (40, &file.as_str().into()));
    assert!(made.get("secret_key").is_none(), "it is in the file alone");
    chaski(&["keygen", "curve", &file]).fails(1, &["cannot write", "never replaced"]);
    assert_eq!(chaski(&["keygen", "public", &file]).ok().stdout.trim_end(), public);

    let made = chaski(&["keygen", "curve", "-o", "json"]).ok().json();
    assert_eq!(made["secret_key"].as_str().map(str::len), Some(40));
    // What is printed is what a file holds.
    std::fs::write(&file, chaski(&["keygen", "curve"]).ok().stdout).unwrap();
    assert_eq!(chaski(&["keygen", "public", &file]).ok().stdout.trim_end().len(), 40);

    let missing = place.path("b.key");
    chaski(&["keygen", "public", &missing]).fails(1, &["cannot read", "chaski keygen curve"]);
    std::fs::write(&missing, "secret-key = \"abc\"\n").unwrap();
    chaski(&["keygen", "public", &missing]).fails(1, &["its secret-key is none", "not 3"]);
}

#[test]
fn failures_say_why_and_what_to_do() {
    let place = Place::new();
    let fails = |args: &[&str], code, said: &[&str]| chaski(args).fails(code, said);
    let send_to = |query: &str, said: &[&str]| {
        chaski(&["send", &format!("zmq+tcp://127.0.0.1:1?{query}")]).fails(2, said)
    };
    send_to("sndhwn=1", &["`sndhwn` is neither", "did you mean `sndhwm`?"]);
    send_to("sndhwm=many", &["sndhwm", "a number"]);
    send_to("router_mandatory=1", &["has no option router_mandatory", "`?type=` says"]);
    send_to("curve_secretkey=x", &["is not for URLs", "--curve-key"]);
    send_to("type=pull", &["`type=pull` receives", "`type=push` sends"]);
    send_to("type=call", &["`call` is no type: push, pull"]);
    fails(&["send", "zmq+inproc://x"], 2, &["one process", "zmq+ipc://@NAME"]);
    fails(&["send", "zmq+tcp://localhost"], 2, &["a TCP address ends with"]);
    fails(&["recv", "zmq+tcp://h:1?type=req"], 2, &["`type=req` sends", "`type=rep` receives"]);
    fails(&["recv", "zmq+tcp://h:1", "--from", "latest"], 2, &["--from is for kafka://"]);
    fails(&["send", "zmq+tcp://h:1", "--codec", "zstd"], 2, &["--codec is for kafka://"]);
    fails(&["send", "shm://x", "--curve-server-key", "k"], 2, &["is for zmq+tcp://"]);
    fails(&["send", "zmq+tcp://h:1", "--curve-server-key", "k"], 2, &["is no key", "not 1"]);
    let port = place.url("x", "bind");
    let mut collector = recv(&["zmq+tcp://127.0.0.1:*"]);
    let taken = bound(&mut collector) + "?bind";
    fails(&["recv", &taken], 1, &["cannot bind", "is in use"]);
    collector.kill();
    let separator = ["send", &port, "--key-separator", ":"];
    feed(spawn(&separator), b"none\n").fails(1, &["line 1 is no message", "it has no `:`"]);
    feed(spawn(&["send", &port, "--json"]), b"{}\n").fails(1, &["`value` or `frames`"]);
}

#[test]
fn lingering_has_an_end() {
    let place = Place::new();
    send(&[&place.url("x", "linger=100")], b"a\nb\n")
        .fails(3, &["cannot connect", "2 messages not sent when `linger` was over"]);
}

#[test]
fn an_interrupt_ends_everything_that_waits() {
    let place = Place::new();
    let collector = recv(&[&place.url("x", "bind")]);
    place.until_bound("x");
    let connecting = recv(&[&place.url("nobody", "")]);
    let mut sending = spawn(&["send", &place.url("y", "bind")]);
    sending.stdin.as_mut().unwrap().write_all(b"nobody takes this\n").unwrap();
    place.until_bound("y");
    for waiting in [&collector, &connecting, &sending] {
        until_it_hears_signals(waiting);
        signal(waiting, Signal::INT);
    }
    finish(collector).ok();
    finish(connecting).ok();
    finish(sending).fails(1, &["interrupted: not all was sent and taken"]);

    // That it has taken the line is not to be seen: one that was told too early is told again.
    let early = (0..20).find_map(|_| {
        let mut early = spawn(&["send", &place.url("z", "")]);
        let mut line = early.stdin.take().unwrap();
        line.write_all(b"nobody gets this\n").unwrap();
        until_it_hears_signals(&early);
        until("the line is read", || rustix::io::ioctl_fionread(&line).unwrap() == 0);
        drop(line);
        std::thread::sleep(Duration::from_millis(300));
        signal(&early, Signal::INT);
        let outcome = finish(early).fails(1, &["interrupted"]);
        outcome.stderr.contains("1 message taken, which nobody got").then_some(outcome)
    });
    assert!(early.is_some(), "nothing is said of the line that was taken");
}
