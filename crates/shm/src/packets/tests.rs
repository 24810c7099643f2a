//! Both ends in one process: names, packets, descriptors, and what bounds them.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::time::Duration;

use super::{Connection, Listener, Received};
use crate::{Admit, BindError, ConnectError};

const LONG: Duration = Duration::from_secs(30);

struct Place {
    _dir: tempfile::TempDir,
    path: PathBuf,
}

fn place() -> Place {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("names");
    Place { _dir: dir, path }
}

impl Place {
    fn bind(&self, name: &str) -> Result<Listener, BindError> {
        Listener::bind(name, Some(&self.path), Admit::same_user())
    }

    fn connect(&self, name: &str, patience: Duration) -> Result<Connection, ConnectError> {
        Connection::connect(name, Some(&self.path), &Admit::same_user(), patience)
    }

    fn pair(&self) -> (Connection, Connection) {
        let listener = self.bind("pair").unwrap();
        let connected = self.connect("pair", LONG).unwrap();
        let accepted = listener.accept().unwrap().unwrap();
        (accepted, connected)
    }
}

#[test]
fn a_name_is_taken_once_and_free_when_it_is_dropped() {
    let place = place();
    let listener = place.bind("one").unwrap();
    assert!(listener.accept().unwrap().is_none());
    assert!(matches!(place.bind("one"), Err(BindError::InUse { .. })));
    drop(listener);
    let missing = place.connect("one", Duration::ZERO);
    assert!(matches!(missing, Err(ConnectError::NotFound { .. })));
    assert!(place.bind("one").is_ok());
}

#[test]
fn who_connects_before_the_name_is_taken_waits_for_it() {
    let place = place();
    std::thread::scope(|scope| {
        let connecting = scope.spawn(|| place.connect("late", LONG).map(|it| it.peer().pid));
        std::thread::sleep(Duration::from_millis(20));
        let listener = place.bind("late").unwrap();
        assert_eq!(connecting.join().unwrap().unwrap(), std::process::id());
        assert_eq!(listener.accept().unwrap().unwrap().peer().pid, std::process::id());
    });
}

#[test]
fn packets_are_whole_and_a_long_one_is_told() {
    let (a, b) = place().pair();
    a.send(b"one", &[]).unwrap();
    a.send(&[7; 100], &[]).unwrap();
    a.send(b"three", &[]).unwrap();
    let mut buffer = [0; 16];
    assert!(b.wait(LONG).unwrap());
    assert!(matches!(b.receive(&mut buffer), Received::Packet(b"one", _)));
    assert!(matches!(b.receive(&mut buffer), Received::Oversized));
    assert!(matches!(b.receive(&mut buffer), Received::Packet(b"three", _)));
    assert!(matches!(b.receive(&mut buffer), Received::Nothing));
    drop(a);
    assert!(b.wait(LONG).unwrap(), "a hang-up is something to receive");
    assert!(matches!(b.receive(&mut buffer), Received::Gone));
}

#[test]
fn five_descriptors_are_not_sent_and_four_arrive() {
    let (a, b) = place().pair();
    let file = File::open("/dev/null").unwrap();
    let fd = file.as_fd();
    assert!(a.send(b"x", &[fd; 5]).is_err());
    a.send(b"x", &[fd; 4]).unwrap();
    let mut buffer = [0; 16];
    assert!(matches!(b.receive(&mut buffer), Received::Packet(b"x", fds) if fds.len() == 4));
}

#[test]
fn what_the_peer_does_not_take_is_bounded() {
    let (a, _b) = place().pair();
    a.bound_unreceived(8 << 10).unwrap();
    let null = File::open("/dev/null").unwrap();
    let fds: [BorrowedFd<'_>; 1] = [null.as_fd()];
    let sent = (0..1000).take_while(|_| a.send(b"take this", &fds).is_ok()).count();
    assert!((1..64).contains(&sent), "{sent}");
    let refused = a.send(b"take this", &fds).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn a_descriptor_that_was_opened_for_reading_cannot_be_written_by_the_peer() {
    let (a, b) = place().pair();
    let file = tempfile::NamedTempFile::new().unwrap();
    a.send(b"read", &[File::open(file.path()).unwrap().as_fd()]).unwrap();
    let mut buffer = [0; 16];
    let Received::Packet(_, mut fds) = b.receive(&mut buffer) else { panic!("it was sent") };
    assert!(File::from(fds.remove(0)).write_all(b"x").is_err());
}

#[test]
fn a_survey_finds_out_that_somebody_is_there() {
    let place = place();
    let listener = place.bind("there").unwrap();
    std::thread::scope(|scope| {
        // Who is too late for one survey may answer the next.
        let answered = |listed: &Vec<crate::survey::Service>| listed.iter().all(|it| it.answered);
        let list = || crate::survey::list_in(&place.path).unwrap();
        let listing = scope.spawn(move || (0..60).map(|_| list()).find(answered));
        while !listing.is_finished() {
            let Some(surveyor) = listener.accept().unwrap() else {
                std::thread::yield_now();
                continue;
            };
            assert!(surveyor.wait(LONG).unwrap());
            let mut buffer = [0; 1024];
            let received = surveyor.receive(&mut buffer);
            let Received::Packet(packet, _) = received else { panic!("a hello") };
            assert!(!surveyor.answer_survey(b"something else"));
            assert!(surveyor.answer_survey(packet));
        }
        let listed = listing.join().unwrap().expect("an answer");
        assert_eq!(listed.len(), 1);
        assert_eq!((listed[0].name.as_str(), listed[0].answered), ("there", true));
        assert_eq!(listed[0].pid, std::process::id());
    });
}
