//! A hall and those who come to it, by their links.

use std::time::{Duration, Instant};

use super::*;
use crate::link::{Batch, Taken};
use crate::reach::{Reach, Reached};
use crate::wire::{Control, Kind, Reason};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(60);

/// A hall in a directory of its own.
struct House {
    hall: Hall<()>,
    options: Options,
    _directory: tempfile::TempDir,
}

impl House {
    fn new() -> House {
        let directory = tempfile::tempdir().unwrap();
        let options =
            Options { directory: Some(directory.path().join("shm")), ..Options::default() };
        let terms = Terms { serves: Kind::Push, peers_max: 8 };
        let hall = Hall::bind(&name(), &options, terms).unwrap();
        House { hall, options, _directory: directory }
    }

    /// Somebody who has come and is seated.
    fn guest(&mut self) -> (Reach, Link) {
        let mut reach = Reach::new(name(), self.options.clone(), Kind::Push).unwrap();
        let link = reach.connect(Instant::now() + LONG).unwrap();
        self.seat();
        (reach, link)
    }

    /// Waits until one more is seated.
    fn seat(&mut self) {
        let deadline = Instant::now() + LONG;
        while self.hall.take_arrived().is_empty() {
            self.hall.attend();
            assert!(Instant::now() < deadline, "nobody came");
            std::thread::yield_now();
        }
    }
}

fn name() -> Name {
    Name::new("hall").unwrap()
}

/// A peer that made room before it saw the plate has marked the board, and does not ring.
#[test]
fn who_waits_for_room_sees_marks() {
    let mut house = House::new();
    let (_reach, mut link) = house.guest();
    assert!(!house.hall.room(|_, ()| false).look());
    link.nudge();
    assert!(house.hall.room(|_, ()| false).look());
    assert!(!house.hall.room(|_, ()| false).look(), "a mark is seen once");
}

/// Those who were not asked, because the batch was full, do not count as idle.
#[test]
fn a_full_batch_makes_nobody_dormant() {
    let mut house = House::new();
    let mut guests = [house.guest(), house.guest(), house.guest()];
    for (_, link) in &mut guests {
        (0..20).for_each(|_| link.send(0, &[7; 1000]).unwrap());
    }
    let (mut batch, mut taken) = (Batch::new(), 0);
    while taken < 60 {
        batch.clear();
        house.hall.recv_many(usize::MAX, &mut batch);
        taken += batch.len();
        let ready = house.hall.seats.iter_mut().flatten().filter_map(|seat| {
            let idle = seat.idle;
            seat.link.is_ready().then_some(idle)
        });
        assert_eq!(ready.max().unwrap_or(0), 0);
    }
}

/// Whom this side has left may live, and reads what is in the half.
#[test]
fn who_hung_up_leaves_its_half_to_the_other() {
    let mut house = House::new();
    let (mut reach, mut link) = house.guest();
    reach.note(3).store(17, std::sync::atomic::Ordering::Relaxed);
    link.send(0, b"for the first").unwrap();
    link.session().close();
    assert_eq!(link.stopped_at(), None);
    reach.search(link, None, Instant::now() + LONG);
    assert_eq!(reach.note(3).load(std::sync::atomic::Ordering::Relaxed), 17);
    let mut next = loop {
        match reach.poll() {
            Reached::Link(link) => break link,
            Reached::NotYet => std::thread::yield_now(),
            Reached::Nobody => panic!("there is somebody"),
        }
    };
    next.send(0, b"for the next").unwrap();
    // The hall has not looked since; it still finds what was sent to it first.
    let first = house.hall.seats[0].as_mut().unwrap();
    let mut payload = Vec::new();
    assert_eq!(first.link.recv(&mut payload), Taken::Record(0));
    assert_eq!(payload, b"for the first");
    assert_eq!(first.link.recv(&mut payload), Taken::Nothing);
    house.seat();
    let second = house.hall.seats[1].as_mut().unwrap();
    assert_eq!(second.link.recv(&mut payload), Taken::Record(0));
    assert_eq!(payload, b"for the next");
}

/// Memory that a peer takes back would else stay mapped as long as the peer is silent.
#[test]
fn what_a_peer_says_beside_its_ring_is_heard_though_nothing_is_received() {
    let mut house = House::new();
    let (_reach, link) = house.guest();
    link.session().send(&Control::Bye { reason: Reason::Slow }, None).unwrap();
    let deadline = Instant::now() + LONG;
    let has_mail = |hall: &Hall<()>| hall.seats[0].as_ref().unwrap().link.session().has_mail();
    while !has_mail(&house.hall) || !house.hall.porch().has_news() {
        assert!(Instant::now() < deadline, "no mail came");
        std::thread::yield_now();
    }
    house.hall.attend();
    assert!(!has_mail(&house.hall));
}
