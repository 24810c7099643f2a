//! A server that always has something to do. In a process of its own, whose descriptors it counts.

use std::thread;
use std::time::{Duration, Instant};

use chaski_shm::{Client, Server};

#[test]
fn clients_that_come_and_go_leave_nothing_with_a_server_that_is_never_idle() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shm");
    let mut server = Server::builder().directory(&path).bind("test").unwrap();
    let serving = thread::spawn(move || {
        let mut payload = vec![0];
        while !payload.is_empty() {
            let ticket = server.recv_into(&mut payload).unwrap();
            server.reply(ticket, &payload).unwrap();
        }
    });
    let builder = || Client::builder().directory(&path).connect_within(Duration::from_secs(60));
    let client = || builder().connect("test").unwrap();
    let mut busy = client();
    for _ in 0..16 {
        busy.send(&[1; 100]).unwrap();
    }
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let mut most = 0;
    for round in 0..120 {
        let mut guest = client();
        guest.send(b"hello").unwrap();
        while guest.try_recv().unwrap().is_none() {
            busy.recv().unwrap();
            busy.send(&[1; 100]).unwrap();
        }
        drop(guest);
        if round == 20 {
            most = descriptors() + 40;
        }
    }
    // Hang-ups may be some behind, and are noticed though it is never idle.
    let deadline = Instant::now() + Duration::from_secs(60);
    while descriptors() > most {
        let now = descriptors();
        assert!(Instant::now() < deadline, "{now} descriptors, {most} a hundred clients ago");
        busy.recv().unwrap();
        busy.send(&[1; 100]).unwrap();
    }
    while busy.outstanding() > 0 {
        busy.recv().unwrap();
    }
    busy.call(b"").unwrap();
    serving.join().unwrap();
}
