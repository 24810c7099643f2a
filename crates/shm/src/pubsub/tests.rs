//! Those who do not keep the rules: subscribers that write what they should not, and publishers
//! that hand out what is none.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use chaski_ring::region::HeapExtent;
use chaski_ring::region::board::Board;
use chaski_ring::region::broadcast::{self, Layout};
use chaski_ring::region::{Extent, Fence};
use rustix::io::fcntl_dupfd_cloexec;

use super::page::NewPage;
use super::*;
use crate::admit::{Admit, Peer};
use crate::door::{Bound, ConnectError, Dialed, Dialing, Greeting, Host, Session};
use crate::error::Error;
use crate::hall::Leave;
use crate::hall::board::Page;
use crate::memory;
use crate::name::Name;
use crate::porch::{Bell, Porch};
use crate::survey;
use crate::wait::Wait;
use crate::wire::{Flags, Hello, Kind, Refused, Welcome};

const LONG: Duration = Duration::from_secs(60);

fn place() -> (tempfile::TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shm");
    (directory, path)
}

fn soon(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < LONG, "{what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Subscribes by hand: what was given, to do with it what one likes.
fn intrude(path: &std::path::Path, policy: Policy) -> Dialed {
    let porch = Porch::new().unwrap();
    let hello = Hello { policy: policy.code(), ..Hello::new(Kind::Subscribe) };
    let (name, admit) = (Name::new("news").unwrap(), Admit::default());
    let fds = vec![Bell::new().unwrap().1];
    let deadline = Instant::now() + LONG;
    let mut dialing =
        Dialing::begin(&name, Some(path.to_owned()), admit, hello, fds, deadline, porch);
    let mut dialed = None;
    soon("an answer", || {
        dialed = dialing.poll();
        dialed.is_some()
    });
    dialed.unwrap().unwrap()
}

#[test]
fn who_erases_the_marks_of_others_delays_them_and_no_more() {
    let (_directory, path) = place();
    let mut publisher = Publisher::builder().directory(&path).bind("news").unwrap();
    let builder = Subscriber::builder().directory(&path).connect_within(LONG).wait(Wait::Block);
    let mut honest = builder.connect("news").unwrap();
    let intruder = intrude(&path, Policy::DropOldest);
    let board = memory::open_writable(intruder.fds[1].as_fd(), Board::LEN).unwrap();
    let mut board = Board::attach(Page(Arc::new(board)), Board::SLOTS_MAX).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let erasing = thread::spawn(move || {
        while !stopped.load(Ordering::Relaxed) {
            board.take(|_| {});
            // And now and then it sets them all.
            (0..64).for_each(|slot| board.set(slot));
        }
    });
    let listening = thread::spawn(move || {
        (0..20).for_each(|n| assert_eq!(honest.recv().unwrap().sequence(), n));
    });
    for n in 0..20_u64 {
        publisher.publish(&n.to_le_bytes()).unwrap();
        thread::sleep(Duration::from_millis(3));
    }
    listening.join().unwrap();
    stop.store(true, Ordering::Relaxed);
    erasing.join().unwrap();
}

#[test]
fn who_moves_its_cursor_to_nowhere_is_cut_off_alone() {
    let (_directory, path) = place();
    let builder = Publisher::builder().directory(&path).ring_bytes(4096);
    let mut publisher = builder.policies([Policy::Block]).bind("news").unwrap();
    let builder = Subscriber::builder().directory(&path).connect_within(LONG);
    let builder = builder.policy(Policy::Block);
    let mut honest = builder.connect("news").unwrap();
    let intruder = intrude(&path, Policy::Block);
    let page = memory::open_writable(intruder.fds[2].as_fd(), 4096).unwrap();
    // The cursor, and all else that a subscriber writes.
    (128..4096).step_by(8).for_each(|at| page.word(at).store(u64::MAX, Ordering::Relaxed));
    for n in 0..1000 {
        publisher.publish(&[7; 100]).unwrap();
        assert_eq!(honest.recv().unwrap().sequence(), n);
    }
    let left: Vec<_> = publisher.departures().collect();
    assert_eq!((left.len(), left[0].why), (1, Leave::Corrupt));
    assert!(intruder.session.is_closed() || !intruder.session.take().is_empty());
}

#[test]
fn neither_ring_nor_memory_of_others_can_be_written() {
    let (_directory, path) = place();
    let _publisher = Publisher::builder().directory(&path).bind("news").unwrap();
    let intruder = intrude(&path, Policy::DropOldest);
    let layout = Layout::new(intruder.welcome.capacity as usize).unwrap();
    assert!(memory::open(intruder.fds[0].as_fd(), layout.publisher_len()).is_ok());
    assert!(memory::open_writable(intruder.fds[0].as_fd(), layout.publisher_len()).is_err());
    assert_eq!(intruder.fds.len(), 3, "nobody waits for this one, so it rings nobody");
}

/// A publisher that hands out one unfit thing after the other, and at last what is fit.
struct Swindler {
    layout: Layout,
    ring: OwnedFd,
    board: OwnedFd,
}

/// How many ways there are.
const SWINDLES: u32 = 10;

impl Host for Swindler {
    fn greet(
        &self,
        _: &Peer,
        hello: &Hello,
        _: Vec<OwnedFd>,
        _: &Session,
    ) -> Result<Greeting, Refused> {
        let copy = |fd: &OwnedFd| fcntl_dupfd_cloexec(fd, 0).unwrap();
        let page = NewPage::new(self.layout).unwrap();
        let mut fds = vec![copy(&self.ring), copy(&self.board), page.fd];
        let mut welcome = Welcome {
            generation: 1,
            flags: Flags::FENCES,
            capacity: self.layout.capacity() as u32,
            slot: 0,
            start: 0,
            payload_max: 0,
        };
        match hello.history {
            0 => drop(fds.pop()),
            1 => fds.swap(0, 2),
            2 => fds.swap(1, 2),
            3 => fds[0] = copy(&self.board),
            4 => fds[1] = Bell::new().unwrap().1,
            5 => welcome.capacity = 0,
            6 => welcome.capacity *= 2,
            7 => welcome.slot = u32::MAX,
            8 => welcome.start = 3,
            9 => fds[2] = copy(&self.ring),
            // In the middle of a payload.
            10 => welcome.start = 16,
            _ => {}
        }
        Ok(Greeting { welcome, fds, seat: Box::new(|_| {}) })
    }

    fn survey(&self) -> survey::Service {
        survey::Service::default()
    }
}

#[test]
fn a_publisher_that_hands_out_nonsense_is_found_out() {
    let (_directory, path) = place();
    let layout = Layout::new(4096).unwrap();
    let (ring, ring_fd) = memory::create("chaski-broadcast", layout.publisher_len()).unwrap();
    let ring = Page(Arc::new(ring));
    let mut writing = broadcast::Publisher::new(ring, layout, 0, Fence::Both).unwrap();
    (0..9).for_each(|_| writing.try_publish(0, &[0xff; 40]).unwrap());
    let (board, board_fd) = memory::create_open_to_all("chaski-board", Board::LEN).unwrap();
    Board::format(&Page(Arc::new(board))).unwrap();
    let host = Swindler { layout, ring: ring_fd, board: board_fd };
    let (name, porch) = (Name::new("news").unwrap(), Porch::new().unwrap());
    let _bound =
        Bound::bind(&name, Some(path.clone()), Admit::default(), porch, Arc::new(host)).unwrap();
    let connect = |swindle| {
        let builder = Subscriber::builder().directory(&path).connect_within(LONG);
        builder.reconnect_within(Duration::ZERO).history(swindle as usize).connect("news")
    };
    for swindle in 0..SWINDLES {
        let error = connect(swindle).unwrap_err();
        assert!(matches!(error, ConnectError::Malformed { .. }), "{swindle}: {error}");
    }
    let error = connect(10).unwrap().recv().unwrap_err();
    assert!(matches!(error, Error::Corrupt(_)), "{error}");
    let mut subscriber = connect(11).unwrap();
    assert_eq!(subscriber.recv().unwrap()[..], [0xff; 40]);
}

#[test]
fn what_a_page_says_of_the_first_message_is_what_was_written() {
    let layout = Layout::new(4096).unwrap();
    let page = NewPage::new(layout).unwrap();
    page.begin_at(77);
    let (opened, first) = page::open(&page.fd, layout).unwrap();
    assert_eq!(first, 77);
    assert_eq!(opened.area().len, HeapExtent::new(layout.subscriber_len()).area().len);
}
