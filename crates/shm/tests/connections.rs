//! A thousand clients come and go. Alone in its file: it counts what the process has open.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use chaski_shm::{Client, Server, survey};

/// Longer than anything takes that works.
const LONG: Duration = Duration::from_secs(60);

/// Descriptors and mappings of shared memory that this process has.
fn open() -> (usize, usize) {
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap().count();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    (descriptors, maps.lines().filter(|line| line.contains("memfd:")).count())
}

fn call_once(directory: &Path) {
    assert_eq!(connect(directory).call(b"hello").unwrap(), b"hello");
}

fn connect(directory: &Path) -> Client {
    let builder = Client::builder().directory(directory).connect_within(LONG);
    builder.connect("greeter").unwrap()
}

/// What is open once the doorman has put away what it needed to connect: five looks agree.
fn settled() -> (usize, usize) {
    let (mut seen, mut looks) = (open(), 1);
    while looks < 5 {
        thread::sleep(Duration::from_millis(50));
        let now = open();
        looks = if now == seen { looks + 1 } else { 1 };
        seen = now;
    }
    seen
}

/// Waits until the process has open what it had. Less will do: the doorman may have been so late
/// that not all was put away when it was counted.
#[track_caller]
fn back_to(before: (usize, usize)) {
    let deadline = Instant::now() + LONG;
    loop {
        let now = open();
        if now.0 <= before.0 && now.1 <= before.1 {
            return;
        }
        assert!(Instant::now() < deadline, "{now:?} after {before:?}");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_thousand_clients_leave_no_descriptor_and_no_mapping() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("shm");
    let mut server = Server::builder().directory(&directory).bind("greeter").unwrap();
    let serving = thread::spawn(move || {
        loop {
            let request = server.recv().unwrap();
            let payload = request.to_vec();
            request.reply(&payload).unwrap();
            if payload.is_empty() {
                return;
            }
        }
    });
    let mut last = connect(&directory);
    last.call(b"hello").unwrap();
    let before = settled();
    for _ in 0..1000 {
        call_once(&directory);
    }
    back_to(before);
    // Fifty at a time.
    for _ in 0..4 {
        thread::scope(|scope| {
            let calls: Vec<_> = (0..50).map(|_| scope.spawn(|| call_once(&directory))).collect();
            calls.into_iter().for_each(|call| call.join().unwrap());
        });
    }
    back_to(before);
    // Who is too late to answer one survey may answer the next.
    let services = (0..60)
        .map(|_| survey::list_in(&directory).unwrap())
        .find(|services| services[0].answered)
        .expect("an answer");
    assert_eq!(services[0].connections.len(), 1, "all slots but one are free");
    assert_eq!(services[0].departed, 1200);
    last.call(b"").unwrap();
    serving.join().unwrap();
}
