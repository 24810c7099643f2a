//! Events between the threads of one process, and from a process that is killed.

#[path = "processes/started.rs"]
mod started;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use chaski_shm::{ConnectError, Error, Listener, Notifier, Pull, Wait};

use started::Started;

/// More than anything here takes.
const LONG: Duration = Duration::from_secs(60);

/// Tells a child where the others are.
const DIRECTORY: &str = "CHASKI_TEST_DIRECTORY";

fn listener(directory: &Path) -> Listener {
    Listener::builder().directory(directory.join("shm")).bind("bell").unwrap()
}

fn notifier(directory: &Path) -> Notifier {
    let builder = Notifier::builder().directory(directory.join("shm"));
    builder.connect_within(LONG).connect("bell").unwrap()
}

/// Waits until so many notifiers are connected.
fn gather(listener: &mut Listener, notifiers: usize) {
    while listener.notifiers() != notifiers {
        thread::yield_now();
    }
}

#[test]
fn what_nobody_has_looked_at_is_one_event() {
    let directory = tempfile::tempdir().unwrap();
    let mut listener = listener(directory.path());
    let mut notifier = notifier(directory.path());
    assert!(listener.try_recv().unwrap().is_none());
    for value in [5, 6, 7] {
        notifier.notify(value).unwrap();
    }
    let event = listener.recv_timeout(LONG).unwrap();
    assert_eq!((event.value, event.rings, event.peer.pid), (7, 3, std::process::id()));
    assert!(listener.try_recv().unwrap().is_none());
    notifier.notify(7).unwrap();
    let event = listener.recv_timeout(LONG).unwrap();
    assert_eq!((event.value, event.rings), (7, 1), "the same value is an event again");
    let late = listener.recv_timeout(Duration::from_millis(5)).unwrap_err();
    assert!(matches!(late, Error::TimedOut), "{late}");
}

#[test]
fn each_ring_of_each_notifier_is_counted_once() {
    const NOTIFIERS: u64 = 20;
    const RINGS: u64 = 3000;
    let directory = tempfile::tempdir().unwrap();
    let mut listener = listener(directory.path());
    let mut notifiers: Vec<_> = (0..NOTIFIERS).map(|_| notifier(directory.path())).collect();
    let ringing = thread::spawn(move || {
        for ring in 1..=RINGS {
            for (n, notifier) in (0..).zip(&mut notifiers) {
                notifier.notify(n << 32 | ring).unwrap();
            }
        }
        notifiers
    });
    let mut heard = [0; NOTIFIERS as usize];
    while heard != [RINGS; NOTIFIERS as usize] {
        let event = listener.recv_timeout(LONG).unwrap();
        let (n, ring) = ((event.value >> 32) as usize, event.value & 0xffff_ffff);
        heard[n] += event.rings;
        assert!(heard[n] <= ring && ring <= RINGS, "{} heard, ring {ring}", heard[n]);
    }
    assert!(listener.try_recv().unwrap().is_none());
    drop(ringing.join().unwrap());
}

#[test]
fn a_sleeping_listener_is_woken() {
    let directory = tempfile::tempdir().unwrap();
    let builder = Listener::builder().wait(Wait::Block).directory(directory.path().join("shm"));
    let mut listener = builder.bind("bell").unwrap();
    let mut notifier = notifier(directory.path());
    let ringing = thread::spawn(move || {
        for value in 1..=100 {
            if value % 3 == 0 {
                thread::sleep(Duration::from_millis(2));
            }
            notifier.notify(value).unwrap();
        }
        notifier
    });
    let mut heard = 0;
    while heard < 100 {
        heard += listener.recv_timeout(LONG).unwrap().rings;
    }
    assert_eq!(heard, 100);
    drop(ringing.join().unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_is_notified() {
    let directory = tempfile::tempdir().unwrap();
    let mut listener = listener(directory.path());
    let mut notifier = notifier(directory.path());
    let listening = tokio::spawn(async move {
        let mut heard = 0;
        while heard < 100 {
            heard += listener.recv_async().await.unwrap().rings;
        }
        heard
    });
    for value in 1..=100 {
        if value % 10 == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        notifier.notify(value).unwrap();
    }
    assert_eq!(listening.await.unwrap(), 100);
}

#[test]
fn the_last_word_of_one_that_left_is_heard() {
    let directory = tempfile::tempdir().unwrap();
    let mut listener = listener(directory.path());
    let mut leaving = notifier(directory.path());
    leaving.notify(41).unwrap();
    leaving.notify(42).unwrap();
    drop(leaving);
    let event = listener.recv_timeout(LONG).unwrap();
    assert_eq!((event.value, event.rings), (42, 2));
    gather(&mut listener, 0);
    assert!(listener.try_recv().unwrap().is_none());
}

#[test]
fn the_next_listener_hears_what_the_last_had_not() {
    let directory = tempfile::tempdir().unwrap();
    let mut first = listener(directory.path());
    let mut notifier = notifier(directory.path());
    notifier.notify(1).unwrap();
    assert_eq!(first.recv_timeout(LONG).unwrap().rings, 1);
    notifier.notify(2).unwrap();
    notifier.notify(3).unwrap();
    drop(first);
    while notifier.is_connected() {
        thread::yield_now();
    }
    notifier.notify(4).unwrap();

    let mut second = listener(directory.path());
    let event = second.recv_timeout(LONG).unwrap();
    assert_eq!((event.value, event.rings), (4, 3), "2 and 3 were not looked at, and 4");
    // One that goes without having looked at anything leaves the count as it was.
    drop(second);
    while notifier.is_connected() {
        thread::yield_now();
    }
    let mut third = listener(directory.path());
    while !notifier.is_connected() {
        thread::yield_now();
    }
    assert!(third.try_recv().unwrap().is_none());
    notifier.notify(5).unwrap();
    let event = third.recv_timeout(LONG).unwrap();
    assert_eq!((event.value, event.rings), (5, 1));
    assert_eq!(notifier.rings(), 5);
}

#[test]
fn without_a_next_listener_it_is_over() {
    let directory = tempfile::tempdir().unwrap();
    let listener = listener(directory.path());
    let builder = Notifier::builder().connect_within(LONG);
    let builder = builder.reconnect_within(Duration::from_millis(20));
    let mut notifier = builder.directory(directory.path().join("shm")).connect("bell").unwrap();
    drop(listener);
    loop {
        match notifier.notify(1) {
            Ok(()) => thread::yield_now(),
            Err(error) => break assert!(matches!(error, Error::Closed), "{error}"),
        }
    }
}

#[test]
fn others_do_not_connect() {
    let directory = tempfile::tempdir().unwrap();
    let _listener = listener(directory.path());
    let builder = Pull::builder().directory(directory.path().join("shm"));
    let refused = builder.connect_within(LONG).connect("bell").unwrap_err();
    assert!(matches!(refused, ConnectError::Refused { .. }), "{refused}");
}

#[test]
fn a_notifier_that_is_killed_is_heard_to_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let mut listener = listener(directory.path());
    for _ in 0..10 {
        let Started(child) = &mut start("notifying_child", directory.path(), "");
        let mut heard = 0;
        while heard < 1000 {
            heard += listener.recv_timeout(LONG).unwrap().rings;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let mut value = 0;
        while listener.notifiers() > 0 {
            if let Some(event) = listener.try_recv().unwrap() {
                (heard, value) = (heard + event.rings, event.value);
            }
        }
        while let Some(event) = listener.try_recv().unwrap() {
            (heard, value) = (heard + event.rings, event.value);
        }
        // What it said it had notified was notified.
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        let said = said.map_while(Result::ok).filter_map(|line| line.parse::<u64>().ok()).max();
        assert!(said.is_some_and(|said| said <= heard), "{said:?} said, {heard} heard");
        assert!(value == 0 || value == heard || value == heard + 1, "{value}, {heard} heard");
    }
}

#[cfg(feature = "kill-points")]
#[test]
fn a_notifier_may_die_at_every_step() {
    let directory = tempfile::tempdir().unwrap();
    let mut listener = listener(directory.path());
    for step in ["notify.begun", "notify.value_written", "notify.done", "notify.marked"] {
        for rings in [1, 2, 17] {
            let Started(child) =
                &mut start("notifying_child", directory.path(), &format!("{step}:{rings}"));
            assert!(!child.wait().unwrap().success());
            // Until it is counted it has not rung.
            let done =
                if matches!(step, "notify.done" | "notify.marked") { rings } else { rings - 1 };
            let (mut heard, mut value) = (0, 0);
            loop {
                let gone = listener.notifiers() == 0;
                while let Some(event) = listener.try_recv().unwrap() {
                    (heard, value) = (heard + event.rings, event.value);
                }
                if gone && (heard == done) {
                    break;
                }
            }
            let newer = step == "notify.value_written" && value == rings;
            assert!(value == done || newer, "{step}:{rings}: {value} after {heard} rings");
        }
    }
}

#[cfg(feature = "kill-points")]
#[test]
fn what_a_dead_listener_has_looked_at_is_not_heard_again() {
    let directory = tempfile::tempdir().unwrap();
    let Started(child) = &mut start("listening_child", directory.path(), "listener.seen:3");
    let builder = Notifier::builder().connect_within(LONG).reconnect_within(LONG);
    let mut notifier = builder.directory(directory.path().join("shm")).connect("bell").unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    for ring in 1..=3 {
        notifier.notify(ring).unwrap();
        // The third one is looked at and not told of.
        let told = said.find(|line| line.ends_with(&format!("{ring} once")));
        assert_eq!(told.is_some(), ring < 3);
    }
    child.wait().unwrap();
    while notifier.is_connected() {
        thread::yield_now();
    }
    let mut listener = listener(directory.path());
    notifier.notify(4).unwrap();
    let event = listener.recv_timeout(LONG).unwrap();
    assert_eq!((event.value, event.rings), (4, 1));
}

/// Starts this program as a child that runs one of the tests below, and dies at a step.
fn start(test: &str, directory: &Path, kill_at: &str) -> Started {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([test, "--exact", "--ignored", "--nocapture"])
        .env(DIRECTORY, directory)
        .env("CHASKI_KILL_AT", kill_at)
        .stdout(Stdio::piped());
    Started(command.spawn().unwrap())
}

/// Notifies, with the number of the ring, and says so now and then.
#[test]
#[ignore = "a part of another test"]
fn notifying_child() {
    let directory = std::env::var(DIRECTORY).expect("started by another test");
    let mut notifier = notifier(Path::new(&directory));
    loop {
        notifier.notify(notifier.rings() + 1).unwrap();
        if notifier.rings().is_multiple_of(100) {
            println!("{}", notifier.rings());
        }
    }
}

/// Says what it hears.
#[test]
#[ignore = "a part of another test"]
fn listening_child() {
    let directory = std::env::var(DIRECTORY).expect("started by another test");
    let mut listener = listener(Path::new(&directory));
    loop {
        let event = listener.recv().unwrap();
        assert_eq!(event.rings, 1);
        println!("{} once", event.value);
    }
}
