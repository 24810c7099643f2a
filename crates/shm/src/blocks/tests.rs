//! Two ends over real memory, with a line in place of a session and a queue in place of a ring.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use proptest::prelude::*;
use rustix::fs::MemfdFlags;
use rustix::io::Errno;

use super::borrower::{BorrowError, Borrowed};
use super::*;
use crate::memory::{self, Half, Ledger, Mapping, Pages, Unsound};
use crate::wire::Reason;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// What has been said and not yet heard.
#[derive(Default)]
struct Line {
    said: RefCell<VecDeque<(Control, Option<OwnedFd>)>>,
    /// All that was ever said.
    log: RefCell<Vec<Control>>,
    /// Inodes of the memory that was handed over.
    inodes: RefCell<Vec<u64>>,
    looked: Cell<usize>,
    cut: Cell<bool>,
}

impl Announce for Line {
    fn send(&self, control: &Control, fd: Option<BorrowedFd<'_>>) -> rustix::io::Result<()> {
        if self.cut.get() {
            return Err(Errno::PIPE);
        }
        let fd = fd.map(|fd| fd.try_clone_to_owned().unwrap());
        if let Some(fd) = &fd {
            self.inodes.borrow_mut().push(rustix::fs::fstat(fd).unwrap().st_ino);
        }
        self.log.borrow_mut().push(*control);
        self.said.borrow_mut().push_back((*control, fd));
        Ok(())
    }

    fn take(&self) -> Vec<(Control, Option<OwnedFd>)> {
        self.looked.set(self.looked.get() + 1);
        self.said.borrow_mut().drain(..).collect()
    }
}

impl Line {
    fn say(&self, control: Control, fd: Option<OwnedFd>) {
        self.said.borrow_mut().push_back((control, fd));
    }

    /// How many system calls the two ends have made over it.
    fn traffic(&self) -> usize {
        self.log.borrow().len() + self.looked.get()
    }
}

/// A ledger as its owner has it, and as the other side does.
fn ledger() -> (Ledger, Ledger) {
    let half = Half::new(4096).unwrap();
    let (mine, fd) = memory::create("chaski-test", half.len()).unwrap();
    let theirs = memory::open(fd.as_fd(), half.len()).unwrap();
    (Ledger::new(&Arc::new(mine), half), Ledger::new(&Arc::new(theirs), half))
}

/// Both ends, with the records that are under way.
struct Pair {
    lender: Lender,
    borrower: Borrower,
    line: Line,
    /// The borrower's, and how the lender sees it.
    ledger: (Ledger, Ledger),
    ring: VecDeque<[u8; 24]>,
    position: u64,
}

impl Pair {
    fn new(limit: usize) -> Pair {
        Pair {
            lender: Lender::new(limit),
            borrower: Borrower::new(limit),
            line: Line::default(),
            ledger: ledger(),
            ring: VecDeque::new(),
            position: 0,
        }
    }

    /// Sends a payload; false at the limit.
    fn send(&mut self, payload: &[u8]) -> bool {
        let lent = self.lender.lend(payload.len(), &self.line, &self.ledger.1).unwrap();
        let Some(mut block) = lent else { return false };
        block.copy_in(&[payload]);
        let (number, reference) = (block.segment(), block.descriptor());
        self.ring.push_back(reference);
        self.position += 32;
        self.lender.lent(number, self.position);
        true
    }

    fn recv(&mut self) -> Result<Vec<u8>, BorrowError> {
        let reference = self.ring.pop_front().expect("something was sent");
        let mut payload = Vec::new();
        let Pair { borrower, line, ledger, .. } = self;
        borrower.append_to(&reference, line, &ledger.0, &mut payload, usize::MAX)?;
        Ok(payload)
    }

    fn borrow(&mut self) -> Borrowed {
        let reference = self.ring.pop_front().expect("something was sent");
        let Pair { borrower, line, ledger, .. } = self;
        // SAFETY: the lender of this process does not write to what is lent.
        unsafe { borrower.borrow(&reference, line, &ledger.0) }.unwrap()
    }

    /// A new server takes the place of the dead one, which had taken what ends at `released`.
    fn restart(&mut self, limit: usize, released: u64) {
        self.line = Line { inodes: self.line.inodes.take().into(), ..Line::default() };
        self.borrower = Borrower::new(limit);
        self.ledger = ledger();
        self.lender.reconnect(released, &self.line).unwrap();
    }
}

/// Some bytes, others for each seed.
fn payload(len: usize, seed: usize) -> Vec<u8> {
    // Of a length that is no power of two, so that no two pages are equal.
    let pattern: Vec<u8> = (0..251).map(|at| (at + seed * 31) as u8).collect();
    let mut payload = pattern.repeat(len / pattern.len() + 1);
    payload.truncate(len);
    payload
}

/// Descriptors and mappings of this process that have one of the inodes.
fn leftovers(inodes: &[u64]) -> usize {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let mapped = maps.lines().filter(|line| line.contains("chaski-block")).filter(|line| {
        let inode = line.split_whitespace().nth(4).and_then(|inode| inode.parse().ok());
        inode.is_some_and(|inode| inodes.contains(&inode))
    });
    let open = fs::read_dir("/proc/self/fd").unwrap().filter(|entry| {
        use std::os::unix::fs::MetadataExt;
        let path = entry.as_ref().unwrap().path();
        let is_block =
            fs::read_link(&path).is_ok_and(|to| to.to_string_lossy().contains("chaski-block"));
        is_block && fs::metadata(&path).is_ok_and(|meta| inodes.contains(&meta.ino()))
    });
    mapped.count() + open.count()
}

#[test]
fn a_payload_comes_out_as_it_went_in() {
    let mut pair = Pair::new(64 * MIB);
    for len in [0, 1, 63 * KIB + 1, 64 * KIB, 64 * KIB + 1, MIB + 7, 9 * MIB] {
        let sent = payload(len, len);
        assert!(pair.send(&sent));
        assert_eq!(pair.recv().unwrap(), sent);
    }
}

#[test]
fn a_payload_can_be_written_in_place() {
    let mut pair = Pair::new(MIB);
    let mut block = pair.lender.lend(8, &pair.line, &pair.ledger.1).unwrap().unwrap();
    assert_eq!(&block[..], [0; 8]);
    block[..5].copy_from_slice(b"begin");
    block[5..].copy_from_slice(b"end");
    let (number, reference) = (block.segment(), block.descriptor());
    pair.lender.lent(number, 32);
    pair.ring.push_back(reference);
    assert_eq!(pair.recv().unwrap(), b"beginend");
}

#[test]
#[should_panic(expected = "a payload of another length than its block")]
fn a_block_is_written_whole() {
    let mut pair = Pair::new(MIB);
    pair.lender.lend(3, &pair.line, &pair.ledger.1).unwrap().unwrap().copy_in(&[b"ab"]);
}

#[test]
fn in_the_steady_state_nothing_is_said() {
    let mut pair = Pair::new(64 * MIB);
    let sent = payload(64 * KIB, 1);
    assert!(pair.send(&sent));
    pair.recv().unwrap();
    let before = pair.line.traffic();
    for _ in 0..5000 {
        assert!(pair.send(&sent));
        pair.recv().unwrap();
    }
    assert_eq!(pair.line.traffic(), before);
    assert_eq!((pair.lender.held(), pair.borrower.held()), (64 * KIB, 64 * KIB));
}

#[test]
fn the_shortest_free_segment_that_fits_is_lent_again() {
    let mut pair = Pair::new(64 * MIB);
    for len in [MIB, 128 * KIB, 256 * KIB] {
        assert!(pair.send(&payload(len, 0)));
    }
    (0..3).for_each(|_| drop(pair.recv().unwrap()));
    let held = pair.lender.held();
    let mut lend =
        |len| pair.lender.lend(len, &pair.line, &pair.ledger.1).unwrap().unwrap().segment();
    assert_eq!(lend(100 * KIB), 1);
    assert_eq!(lend(129 * KIB), 2);
    assert_eq!(lend(300 * KIB), 0);
    assert_eq!(lend(10), 1);
    assert_eq!(pair.lender.held(), held);
}

#[test]
fn a_short_payload_does_not_occupy_a_long_segment() {
    let mut pair = Pair::new(MIB);
    assert!(pair.send(&payload(MIB, 0)));
    pair.recv().unwrap();
    for n in 0..16 {
        assert!(pair.send(&payload(10, n)), "{n}");
    }
    assert!(!pair.send(&payload(10, 16)), "the limit");
    assert_eq!(pair.lender.held(), MIB);
}

#[test]
fn at_the_limit_there_is_room_when_something_came_back() {
    let mut pair = Pair::new(576 * KIB);
    assert!(pair.send(&payload(512 * KIB, 0)));
    assert!(pair.send(&payload(64 * KIB, 1)));
    assert!(!pair.lender.could_lend(1, &pair.ledger.1));
    assert!(!pair.send(b"x"));
    pair.recv().unwrap();
    assert!(pair.lender.could_lend(512 * KIB, &pair.ledger.1));
    assert!(!pair.lender.could_lend(512 * KIB + 1, &pair.ledger.1));
    // Much shorter than the one that came back: it gives way, for eight.
    (0..8).for_each(|n| assert!(pair.send(&payload(10, n))));
    assert!(!pair.send(b"x"));
    assert_eq!(pair.recv().unwrap(), payload(64 * KIB, 1));
    (0..8).for_each(|n| assert_eq!(pair.recv().unwrap(), payload(10, n)));
    assert_eq!((pair.lender.held(), pair.borrower.held()), (576 * KIB, 576 * KIB));
}

#[test]
fn a_payload_beyond_the_limit_is_never_lent() {
    let mut pair = Pair::new(100 * KIB + 1);
    let too_long = pair.lender.lend(100 * KIB + 1, &pair.line, &pair.ledger.1);
    assert_eq!(too_long.unwrap_err(), LendError::TooLarge { len: 102_401, max: 102_400 });
    assert!(pair.lender.could_lend(usize::MAX, &pair.ledger.1), "so that it is tried");
    // Up to the limit it is, although no power of two fits.
    assert!(pair.send(&payload(100 * KIB, 0)));
    assert_eq!(pair.recv().unwrap(), payload(100 * KIB, 0));
    assert_eq!(pair.lender.held(), 100 * KIB);
}

#[test]
fn the_peer_may_lower_the_limit() {
    let mut pair = Pair::new(MIB);
    pair.lender.limit_to(2 * MIB);
    pair.lender.limit_to(64 * KIB);
    assert!(pair.send(&payload(64 * KIB, 0)));
    assert!(!pair.send(&payload(1, 0)));
    assert!(pair.lender.lend(64 * KIB + 1, &pair.line, &pair.ledger.1).is_err());
    // The next peer may take more again, but not more than this side lends.
    pair.lender.limit_to(usize::MAX);
    assert!(pair.send(&payload(MIB / 2, 0)));
    assert!(pair.lender.lend(MIB + 1, &pair.line, &pair.ledger.1).is_err());
}

#[test]
fn there_are_sixty_four_segments_and_no_more() {
    let mut pair = Pair::new(64 * MIB);
    for n in 0..SLOTS {
        assert!(pair.send(&payload(n, n)));
    }
    assert!(!pair.send(b"x"));
    for n in 0..SLOTS {
        assert_eq!(pair.recv().unwrap(), payload(n, n));
        assert!(pair.send(b"x"));
    }
}

#[test]
fn what_is_of_no_use_for_long_goes() {
    let mut pair = Pair::new(64 * MIB);
    (0..10).for_each(|n| assert!(pair.send(&payload(100 * KIB, n))));
    (0..10).for_each(|_| drop(pair.recv().unwrap()));
    assert_eq!(pair.lender.held(), 10 * 128 * KIB);
    for n in 0..3000 {
        assert!(pair.send(&payload(10, n)));
        pair.recv().unwrap();
    }
    assert_eq!(pair.lender.held(), 128 * KIB);
    // The borrower hears of it with the next announcement.
    assert!(pair.send(&payload(MIB, 0)));
    pair.recv().unwrap();
    assert_eq!(pair.borrower.held(), pair.lender.held());
}

#[test]
fn a_block_that_was_not_sent_is_free_again() {
    let mut pair = Pair::new(64 * KIB);
    for _ in 0..3 {
        let block = pair.lender.lend(10, &pair.line, &pair.ledger.1).unwrap().unwrap();
        assert_eq!(block.segment(), 0);
    }
    assert!(pair.send(b"sent"));
    assert_eq!(pair.recv().unwrap(), b"sent");
}

#[test]
fn a_loan_in_place_is_given_back_when_it_is_dropped() {
    let mut pair = Pair::new(64 * KIB);
    assert!(pair.send(b"in place"));
    let borrowed = pair.borrow();
    assert_eq!(&borrowed[..], b"in place");
    assert!(!pair.send(b"another"));
    drop(borrowed);
    assert!(pair.send(b"another"));
}

#[test]
fn a_loan_in_place_outlives_both_ends() {
    let mut pair = Pair::new(MIB);
    assert!(pair.send(b"still here"));
    let borrowed = pair.borrow();
    let inodes = pair.line.inodes.take();
    drop(pair);
    assert_eq!(&borrowed[..], b"still here");
    assert_eq!(leftovers(&inodes), 1, "what it is read from");
    drop(borrowed);
    assert_eq!(leftovers(&inodes), 0);
}

#[test]
fn the_lender_may_be_dead_when_its_payload_is_read() {
    let mut pair = Pair::new(MIB);
    assert!(pair.send(b"last words"));
    pair.lender = Lender::new(MIB);
    assert_eq!(pair.recv().unwrap(), b"last words");
}

#[test]
fn a_successor_gets_what_was_not_taken_and_nothing_else() {
    let mut pair = Pair::new(MIB);
    for n in 0..4 {
        assert!(pair.send(&payload(100 * KIB, n)));
    }
    // Taken, and given back; taken, and not given back.
    pair.recv().unwrap();
    let taken = pair.ring.pop_front();
    let first_life = pair.line.inodes.borrow().clone();
    pair.restart(MIB, 64);
    assert!(taken.is_some());
    assert_eq!(pair.lender.held(), 2 * 128 * KIB);
    assert_eq!(leftovers(&first_life[..2]), 0, "what was taken is nobody's any more");
    assert_eq!(pair.recv().unwrap(), payload(100 * KIB, 2));
    assert!(pair.send(&payload(10, 9)));
    assert_eq!(pair.recv().unwrap(), payload(100 * KIB, 3));
    assert_eq!(pair.recv().unwrap(), payload(10, 9));
}

#[test]
fn what_the_dead_had_not_taken_can_be_taken_back() {
    let mut pair = Pair::new(MIB);
    for n in 0..2 {
        assert!(pair.send(&payload(100 * KIB, n)));
    }
    let mut out = b"before".to_vec();
    assert!(pair.lender.take_back(&pair.ring[1], &mut out));
    assert_eq!(out.strip_prefix(b"before"), Some(&payload(100 * KIB, 1)[..]));
    // Given back and lent again: it is gone.
    let first = pair.ring[0];
    pair.recv().unwrap();
    assert!(pair.send(&payload(100 * KIB, 2)));
    out.clear();
    assert!(!pair.lender.take_back(&first, &mut out));
    assert!(!pair.lender.take_back(b"nonsense", &mut out));
    assert!(out.is_empty());
}

#[test]
fn a_reconnect_that_failed_can_be_tried_again() {
    let mut pair = Pair::new(MIB);
    assert!(pair.send(b"patient"));
    let dead = Line::default();
    dead.cut.set(true);
    assert!(pair.lender.reconnect(0, &dead).is_err());
    pair.restart(MIB, 0);
    pair.restart(MIB, 0);
    assert_eq!(pair.recv().unwrap(), b"patient");
}

#[test]
fn an_old_ledger_says_nothing_to_a_new_lender() {
    let mut pair = Pair::new(MIB);
    for n in 0..100 {
        assert!(pair.send(&payload(n, n)));
        pair.recv().unwrap();
    }
    assert!(pair.send(b"of the old server"));
    let late = pair.borrow();
    // The client keeps its half, and one of its readers is slow.
    pair.lender = Lender::new(64 * KIB);
    pair.borrower = Borrower::new(MIB);
    assert!(pair.send(b"of the new server"));
    drop(late);
    assert!(!pair.send(b"would be written over it"));
    assert_eq!(pair.recv().unwrap(), b"of the new server");
}

#[test]
fn a_line_that_is_cut_leaves_nothing_lent_and_nothing_behind() {
    let mut pair = Pair::new(MIB);
    pair.line.cut.set(true);
    let lent = pair.lender.lend(10, &pair.line, &pair.ledger.1);
    assert_eq!(lent.unwrap_err(), LendError::System(Errno::PIPE));
    assert_eq!(pair.lender.held(), 0);
    pair.line.cut.set(false);
    assert!(pair.send(b"again"));
    assert_eq!(pair.recv().unwrap(), b"again");
}

#[test]
fn segments_have_the_pages_asked_for() {
    let mut pair = Pair::new(MIB);
    pair.lender = Lender::new(MIB).pages(Pages::Huge);
    assert!(pair.send(&payload(1, 0)), "too small for huge ones");
    let blocks = {
        let said = pair.line.said.borrow();
        rustix::fs::fstat(said[0].1.as_ref().unwrap()).unwrap().st_blocks
    };
    assert_eq!(blocks as usize * 512, 64 * KIB);
}

#[test]
fn a_farewell_is_no_harm() {
    let mut pair = Pair::new(MIB);
    pair.line.say(Control::Bye { reason: Reason::Slow }, None);
    assert!(pair.send(b"before"));
    assert_eq!(pair.recv().unwrap(), b"before");
}

mod hostile {
    use super::*;

    /// Memory as a lender makes it.
    fn sound(len: usize) -> OwnedFd {
        memory::create("chaski-block", len).unwrap().1
    }

    fn reference(number: u32, len: u64, usage: u64) -> [u8; 24] {
        reference::Reference { number, len, usage }.encode()
    }

    /// What a borrower says to a lender that announces this and then sends that.
    fn meets(said: Vec<(Control, Option<OwnedFd>)>, record: &[u8]) -> BorrowError {
        let mut pair = Pair::new(MIB);
        let inodes = said.iter().filter_map(|(_, fd)| fd.as_ref());
        let inodes: Vec<_> = inodes.map(|fd| rustix::fs::fstat(fd).unwrap().st_ino).collect();
        said.into_iter().for_each(|(control, fd)| pair.line.say(control, fd));
        let mut into = b"untouched".to_vec();
        let (line, ledger) = (&pair.line, &pair.ledger.0);
        let error = pair.borrower.append_to(record, line, ledger, &mut into, MIB).unwrap_err();
        assert_eq!(into, b"untouched");
        drop(pair);
        assert_eq!(leftovers(&inodes), 0);
        error
    }

    fn segment(number: u32, len: u64, fd: OwnedFd) -> (Control, Option<OwnedFd>) {
        (Control::Segment { number, len }, Some(fd))
    }

    const LEN: u64 = 65536;

    #[test]
    fn a_record_that_is_no_reference() {
        for record in [&b""[..], &[0; 23], &[0; 24], &[255; 24], &[1; 25]] {
            assert_eq!(meets(vec![], record), BorrowError::Malformed);
        }
    }

    #[test]
    fn a_segment_nobody_announced() {
        for number in [0, 63, 64, u32::MAX] {
            let error = meets(vec![], &reference(number, 1, 1));
            assert_eq!(error, BorrowError::Unknown { number });
        }
        // Another one in the same slot.
        let said = vec![segment(1, LEN, sound(65536))];
        assert_eq!(meets(said, &reference(65, 1, 1)), BorrowError::Unknown { number: 65 });
    }

    #[test]
    fn a_segment_that_was_taken_back() {
        let said = vec![segment(1, LEN, sound(65536)), (Control::Forget { number: 1 }, None)];
        assert_eq!(meets(said, &reference(1, 1, 1)), BorrowError::Unknown { number: 1 });
        let said = vec![(Control::Forget { number: 7 }, None)];
        assert_eq!(meets(said, &reference(1, 1, 1)), BorrowError::Unknown { number: 7 });
    }

    #[test]
    fn a_payload_beyond_its_segment() {
        for len in [LEN + 1, u64::MAX, 1 << 63] {
            let said = vec![segment(0, LEN, sound(65536))];
            let error = BorrowError::Outside { len, segment: 65536 };
            assert_eq!(meets(said, &reference(0, len, 1)), error);
        }
    }

    #[test]
    fn more_memory_than_may_be_mapped() {
        for len in [MIB as u64 + 4096, u64::MAX, 0] {
            let said = vec![segment(0, len, sound(65536))];
            let error = BorrowError::TooMuch { len, room: MIB };
            assert_eq!(meets(said, &reference(0, 1, 1)), error);
        }
        // Each within the limit, all together not.
        let half = MIB / 2;
        let said = (0..3).map(|number| segment(number, half as u64, sound(half))).collect();
        let error = BorrowError::TooMuch { len: half as u64, room: 0 };
        assert_eq!(meets(said, &reference(0, 1, 1)), error);
    }

    #[test]
    fn other_memory_under_a_known_number() {
        for number in [0, 64] {
            let said = vec![segment(0, LEN, sound(65536)), segment(number, LEN, sound(65536))];
            assert_eq!(meets(said, &reference(0, 1, 1)), BorrowError::Taken { number });
        }
    }

    #[test]
    fn memory_that_is_not_sound() {
        let loose = rustix::fs::memfd_create("chaski-block", MemfdFlags::ALLOW_SEALING).unwrap();
        rustix::fs::ftruncate(&loose, LEN).unwrap();
        let error = meets(vec![segment(0, LEN, loose)], &reference(0, 1, 1));
        assert_eq!(error, BorrowError::Memory(Unsound::Unsealed));

        let shorter = Unsound::Length { expected: 65536, found: 4096 };
        let error = meets(vec![segment(0, LEN, sound(4096))], &reference(0, 1, 1));
        assert_eq!(error, BorrowError::Memory(shorter));

        let device = fs::File::open("/dev/zero").unwrap().into();
        let error = meets(vec![segment(0, LEN, device)], &reference(0, 1, 1));
        assert_eq!(error, BorrowError::Memory(Unsound::NotMemory));

        let none = vec![(Control::Segment { number: 0, len: LEN }, None)];
        let error = meets(none, &reference(0, 1, 1));
        assert_eq!(error, BorrowError::Memory(Unsound::NotMemory));

        let ragged = meets(vec![segment(0, 5000, sound(5000))], &reference(0, 1, 1));
        assert_eq!(ragged, BorrowError::Ragged { len: 5000 });
    }

    #[test]
    fn a_payload_longer_than_the_receiver_takes_is_given_back() {
        let mut pair = Pair::new(64 * KIB);
        assert!(pair.send(b"ten bytes."));
        let reference = pair.ring.pop_front().unwrap();
        let mut into = Vec::new();
        let (line, mine) = (&pair.line, &pair.ledger.0);
        let error = pair.borrower.append_to(&reference, line, mine, &mut into, 9);
        assert_eq!(error, Err(BorrowError::TooLong { len: 10, limit: 9 }));
        assert!(into.is_empty());
        assert!(pair.send(b"the segment is free"));
    }

    /// The writer changes all of a payload while it is read, again and again.
    #[test]
    fn a_payload_that_changes_under_the_copy_is_garbage_of_its_length() {
        let mut pair = Pair::new(MIB);
        let (memory, fd) = memory::create("chaski-block", 65536).unwrap();
        pair.line.say(Control::Segment { number: 0, len: LEN }, Some(fd));
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| scribble(&memory, &done));
            let mut into = Vec::new();
            for usage in 1..=500 {
                into.clear();
                let (line, mine) = (&pair.line, &pair.ledger.0);
                let record = reference(0, LEN, usage);
                pair.borrower.append_to(&record, line, mine, &mut into, MIB).unwrap();
                assert_eq!(into.len(), 65536);
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    }

    fn scribble(memory: &Mapping, done: &std::sync::atomic::AtomicBool) {
        for byte in (0..=255_u8).cycle() {
            memory.copy_in(0, &[byte; 65536]);
            if done.load(std::sync::atomic::Ordering::Relaxed) {
                return;
            }
        }
    }

    /// A borrower that gives back before it reads sees later payloads of its own, and the lender
    /// goes on.
    #[test]
    fn giving_back_early_harms_nobody_else() {
        let mut pair = Pair::new(64 * KIB);
        for n in 0..100_usize {
            assert!(pair.send(&payload(100, n)));
            let reference = reference::Reference::decode(&pair.ring[n]).unwrap();
            pair.ledger.0.give_back(slot_of(reference.number), reference.usage);
        }
        for _ in 0..100 {
            assert_eq!(pair.recv().unwrap(), payload(100, 99));
        }
    }

    /// Words of a ledger that no borrower would write free nothing and break nothing.
    #[test]
    fn a_ledger_full_of_nonsense() {
        let mut pair = Pair::new(64 * KIB);
        assert!(pair.send(b"lent"));
        let usage = reference::Reference::decode(&pair.ring[0]).unwrap().usage;
        for word in [0, 1, usage - 1, usage + 1, u64::MAX] {
            (0..SLOTS).for_each(|slot| pair.ledger.0.give_back(slot, word));
            assert!(!pair.send(b"no"), "{word}");
        }
        assert_eq!(pair.recv().unwrap(), b"lent");
        assert!(pair.send(b"yes"));
    }
}

/// What happens next.
#[derive(Debug, Clone)]
enum Step {
    Send(usize),
    Abandon(usize),
    Recv,
    Borrow,
    Return,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let len = prop_oneof![0..2000_usize, 60 * KIB..70 * KIB, 0..600 * KIB];
    prop_oneof![
        8 => len.clone().prop_map(Step::Send),
        1 => len.prop_map(Step::Abandon),
        6 => Just(Step::Recv),
        2 => Just(Step::Borrow),
        3 => Just(Step::Return),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is sent, received, held and restarted: each payload arrives whole and once, no
    /// limit is passed, and in the end nothing is left.
    #[test]
    fn every_payload_and_every_segment_is_accounted_for(
        limit in 64 * KIB..2 * MIB,
        steps in prop::collection::vec(step(), 1..150),
    ) {
        let mut pair = Pair::new(limit);
        let mut under_way = VecDeque::new();
        let mut borrowed = VecDeque::new();
        let mut taken = 0;
        for (seed, step) in steps.into_iter().enumerate() {
            match step {
                Step::Send(len) | Step::Abandon(len) if len > limit / 4096 * 4096 => {
                    prop_assert!(pair.lender.lend(len, &pair.line, &pair.ledger.1).is_err());
                }
                Step::Send(len) => {
                    let could = pair.lender.could_lend(len, &pair.ledger.1);
                    prop_assert_eq!(pair.send(&payload(len, seed)), could);
                    under_way.extend(could.then_some((len, seed)));
                }
                Step::Abandon(len) => {
                    let _ = pair.lender.lend(len, &pair.line, &pair.ledger.1).unwrap();
                }
                Step::Recv => if let Some((len, seed)) = under_way.pop_front() {
                    prop_assert_eq!(pair.recv().unwrap(), payload(len, seed));
                    taken += 32;
                },
                Step::Borrow => if let Some((len, seed)) = under_way.pop_front() {
                    borrowed.push_back((pair.borrow(), payload(len, seed)));
                    taken += 32;
                },
                Step::Return => if let Some((loan, expected)) = borrowed.pop_front() {
                    prop_assert_eq!(&loan[..], expected);
                },
                Step::Restart => {
                    // A process takes its loans along when it dies.
                    borrowed.clear();
                    pair.restart(limit, taken);
                }
            }
            prop_assert!(pair.lender.held() <= limit);
            prop_assert!(pair.borrower.held() <= limit);
        }
        drop(borrowed);
        for (len, seed) in under_way {
            prop_assert_eq!(pair.recv().unwrap(), payload(len, seed));
        }
        pair.borrower.tend(&pair.line).unwrap();
        prop_assert_eq!(pair.lender.held(), pair.borrower.held());
        let all = limit / 4096 * 4096;
        prop_assert!(pair.lender.could_lend(all, &pair.ledger.1));
        let inodes = pair.line.inodes.take();
        drop(pair);
        prop_assert_eq!(leftovers(&inodes), 0);
    }
}
