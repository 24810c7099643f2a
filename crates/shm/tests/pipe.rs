//! Pipes between the threads of one process, and from a process that is killed.

#[path = "processes/started.rs"]
mod started;

use std::collections::VecDeque;
use std::fs;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use chaski_shm::pipe::{Bell, Listener, Pipe, PipeBuilder, PipeReceiver, PipeSender};
use chaski_shm::{ConnectError, Error, Pull, Refusal, Wait, survey};
use proptest::prelude::*;
use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};

use started::Started;

/// More than anything here takes.
const LONG: Duration = Duration::from_secs(60);

/// Tells a child where the others are.
const DIRECTORY: &str = "CHASKI_TEST_DIRECTORY";

fn listener(directory: &Path) -> Listener {
    Listener::builder().directory(directory.join("shm")).bind("pipe").unwrap()
}

fn builder(directory: &Path) -> PipeBuilder {
    Pipe::builder().directory(directory.join("shm")).connect_within(LONG)
}

/// Both ends of a pipe.
fn pair(builder: impl FnOnce(PipeBuilder) -> PipeBuilder) -> (Pipe, Pipe) {
    let directory = tempfile::tempdir().unwrap();
    let mut listener = listener(directory.path());
    let ours = builder(self::builder(directory.path())).connect("pipe").unwrap();
    (ours, listener.accept_timeout(LONG).unwrap())
}

/// Sleeps until the descriptor is readable.
fn wait(fd: BorrowedFd<'_>) {
    let limit = Timespec { tv_sec: LONG.as_secs() as i64, tv_nsec: 0 };
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
    assert_eq!(poll(&mut fds, Some(&limit)).unwrap(), 1, "nobody rang");
}

fn is_readable(fd: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
    poll(&mut fds, Some(&Timespec::default())).unwrap() == 1
}

#[test]
fn records_go_both_ways() {
    let (mut one, mut two) = pair(|builder| builder);
    assert_eq!((one.peer().pid, two.peer().pid), (std::process::id(), std::process::id()));
    one.send(&[b"hello, ", b"", b"world"]).unwrap();
    one.send(&[]).unwrap();
    assert_eq!(two.recv().unwrap(), b"hello, world");
    assert_eq!(two.recv().unwrap(), b"");
    assert_eq!(two.try_recv().unwrap(), None);
    two.send(&[b"back"]).unwrap();
    assert_eq!(one.recv_timeout(LONG).unwrap(), b"back");
    let late = one.recv_timeout(Duration::from_millis(5)).unwrap_err();
    assert!(matches!(late, Error::TimedOut), "{late}");
}

#[test]
fn records_may_be_longer_than_the_ring() {
    let (mut one, mut two) = pair(|builder| builder.ring_bytes(4096).large_bytes(8 << 20));
    let long: Vec<u8> = (0..3 << 20).map(|at: u32| (at % 251) as u8).collect();
    let sending = thread::spawn(move || {
        for split in [0, 1, 1000, 1 << 20] {
            let (head, tail) = long.split_at(split);
            one.send(&[head, b"-", tail]).unwrap();
        }
        let len = 8 << 20;
        let error = one.try_send(&[&vec![0; len], &[0]]).unwrap_err();
        assert!(matches!(error, Error::TooLarge { .. }), "{error}");
        assert_eq!(one.payload_max(), len);
        (one, long)
    });
    let records: Vec<_> = (0..4).map(|_| two.recv().unwrap()).collect();
    let (_one, long) = sending.join().unwrap();
    for (split, record) in [0, 1, 1000, 1 << 20].into_iter().zip(records) {
        assert!(record == [&long[..split], b"-", &long[split..]].concat(), "split at {split}");
    }
}

#[test]
fn tags_and_batches() {
    let (one, two) = pair(|builder| builder);
    let ((mut sender, _r), (_s, mut receiver)) = (one.split(), two.split());
    let long = vec![9; 100_000];
    sender.try_stage(7, &[b"one"]).unwrap();
    sender.try_stage(255, &[&long]).unwrap();
    let mut page = b"before".to_vec();
    assert_eq!(receiver.try_append(&mut page).unwrap(), None, "it was not published");
    sender.try_stage(0, &[b"th", b"ree"]).unwrap();
    sender.publish();
    let mut tags = Vec::new();
    while let Some(record) = receiver.try_append(&mut page).unwrap() {
        tags.push((record.tag, record.len));
    }
    receiver.release();
    assert_eq!(tags, [(7, 3), (255, 100_000), (0, 5)]);
    assert!(page == [b"beforeone", &long[..], b"three"].concat());
}

#[test]
fn a_full_pipe_says_so_and_loses_nothing() {
    let (mut one, mut two) = pair(|builder| builder.ring_bytes(4096));
    let mut sent = 0_u64;
    let refused = loop {
        match one.try_send(&[&sent.to_le_bytes(), &[0; 100]]) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, Error::Full), "{refused}");
    let late = one.send_timeout(&[&[0; 500]], Duration::from_millis(5)).unwrap_err();
    assert!(matches!(late, Error::TimedOut), "{late}");
    for number in 0..sent {
        assert_eq!(two.recv().unwrap()[..8], number.to_le_bytes());
    }
    assert!(two.try_recv().unwrap().is_none());
    one.try_send(&[b"more"]).unwrap();
}

#[test]
fn what_was_sent_before_the_end_is_received() {
    let (mut one, mut two) = pair(|builder| builder);
    for n in 0..100_u64 {
        one.send(&[&n.to_le_bytes()]).unwrap();
    }
    drop(one);
    for n in 0..100_u64 {
        assert_eq!(two.recv_timeout(LONG).unwrap(), n.to_le_bytes());
    }
    for _ in 0..2 {
        let end = two.recv_timeout(LONG).unwrap_err();
        assert!(matches!(end, Error::Closed), "{end}");
    }
    assert!(two.is_closed());
    let end = two.send(&[b"?"]).unwrap_err();
    assert!(matches!(end, Error::Closed), "{end}");
}

#[test]
fn the_end_wakes_who_waits() {
    let (one, mut two) = pair(|builder| builder.wait(Wait::Block));
    let waiting = thread::spawn(move || two.recv().unwrap_err());
    // Perhaps asleep by then, perhaps not.
    thread::sleep(Duration::from_millis(2));
    drop(one);
    let end = waiting.join().unwrap();
    assert!(matches!(end, Error::Closed), "{end}");
}

#[test]
fn either_side_may_close_while_its_own_halves_are_in_use() {
    let (one, two) = pair(|builder| builder);
    let ((mut sender, mut receiver), (_s, mut far)) = (one.split(), two.split());
    let bell = sender.bell();
    assert!(receiver.arm());
    sender.try_send(&[b"last"]).unwrap();
    bell.close();
    wait(bell.as_fd());
    bell.clear();
    assert!(bell.is_closed() && !receiver.arm());
    let mut into = Vec::new();
    assert!(matches!(receiver.try_recv(&mut into), Err(Error::Closed)));
    assert!(matches!(sender.try_send(&[b"more"]), Err(Error::Closed)));
    while !far.bell().is_closed() {
        thread::yield_now();
    }
    assert!(far.try_recv(&mut into).unwrap().is_some() && into == b"last");
    assert!(matches!(far.try_recv(&mut into), Err(Error::Closed)));
}

#[test]
fn a_bell_rings_for_who_sleeps_and_for_nobody_else() {
    let (one, two) = pair(|builder| builder);
    let ((mut sender, _r), (_s, mut receiver)) = (one.split(), two.split());
    let (bell, mut into) = (receiver.bell(), Vec::new());
    sender.try_send(&[b"awake"]).unwrap();
    assert!(!is_readable(bell.as_fd()));
    assert!(!receiver.arm(), "there is something");
    receiver.try_recv(&mut into).unwrap().unwrap();

    assert!(receiver.arm());
    assert!(receiver.arm(), "again, for nothing");
    sender.try_send(&[b"one"]).unwrap();
    sender.try_send(&[b"two"]).unwrap();
    wait(bell.as_fd());
    bell.clear();
    assert!(!is_readable(bell.as_fd()));
    for text in [b"one", b"two"] {
        receiver.try_recv(&mut into).unwrap().unwrap();
        assert_eq!(into, text);
    }
    // Woken for nothing, it is rung for again.
    assert!(receiver.arm());
    bell.clear();
    assert!(receiver.arm());
    sender.try_send(&[b"three"]).unwrap();
    wait(bell.as_fd());
    bell.clear();
    receiver.disarm();
    sender.try_send(&[b"four"]).unwrap();
    assert!(!is_readable(bell.as_fd()));
}

#[test]
fn room_wakes_who_waits_for_it() {
    let (one, two) = pair(|builder| builder.ring_bytes(4096));
    let ((mut sender, _r), (_s, mut receiver)) = (one.split(), two.split());
    let (bell, mut into) = (sender.bell(), Vec::new());
    assert!(!sender.arm(100), "there is room");
    assert!(!sender.arm(usize::MAX), "there never will be");
    while sender.try_send(&[&[1; 500]]).is_ok() {}
    assert!(sender.arm(500));
    while receiver.try_append(&mut into).unwrap().is_some() {}
    wait(bell.as_fd());
    bell.clear();
    assert!(!sender.arm(500));
    sender.try_send(&[&[1; 500]]).unwrap();
}

#[test]
fn a_sender_may_wait_for_the_peer_to_take_something() {
    let (one, two) = pair(|builder| builder.light_sleep(true));
    let ((mut sender, _r), (_s, mut receiver)) = (one.split(), two.split());
    let (bell, mut into) = (sender.bell(), Vec::new());
    for _ in 0..3 {
        sender.try_send(&[b"record"]).unwrap();
    }
    assert_eq!(sender.taken(), 0);
    assert!(sender.arm_until(|sender| sender.taken() > 0));
    receiver.try_recv(&mut into).unwrap().unwrap();
    wait(bell.as_fd());
    bell.clear();
    assert!(!sender.arm_until(|sender| sender.taken() > 0));
    assert_eq!(sender.taken(), 1);
    assert!(receiver.comes_soon());
    while receiver.try_recv(&mut into).unwrap().is_some() {}
    assert!(!receiver.comes_soon());
    bell.close();
    // The thread in the background tells the peer.
    while !receiver.is_ready() {
        thread::sleep(Duration::from_millis(1));
    }
    assert!(!sender.arm_until(|_| false));
}

#[test]
fn the_lifeline_tells_of_the_end_and_of_nothing_else() {
    let (mut one, two) = pair(|builder| builder);
    let (_s, receiver) = two.split();
    let bell = receiver.bell();
    let ended = |limit: &Timespec| {
        let mut fds = [PollFd::from_borrowed_fd(bell.lifeline(), PollFlags::RDHUP)];
        poll(&mut fds, Some(limit)).unwrap() == 1
    };
    one.send(&[b"record"]).unwrap();
    one.send(&[&[1; 100_000]]).unwrap();
    assert!(!ended(&Timespec::default()));
    drop(one);
    assert!(ended(&Timespec { tv_sec: LONG.as_secs() as i64, tv_nsec: 0 }));
}

/// Sends numbers as fast as there is room, asleep on the descriptor when there is none.
fn send_all(mut sender: PipeSender, bell: &Bell, records: u64) -> PipeSender {
    for n in 0..records {
        let payload = vec![n as u8; (n % 700) as usize];
        let parts = [&n.to_le_bytes()[..], &payload];
        while let Err(error) = sender.try_send(&parts) {
            assert!(matches!(error, Error::Full), "{error}");
            if sender.arm(8 + payload.len()) {
                wait(bell.as_fd());
                bell.clear();
            }
        }
        if n % 97 == 0 {
            thread::sleep(Duration::from_micros(n % 200));
        }
    }
    sender
}

fn recv_all(mut receiver: PipeReceiver, bell: &Bell, records: u64) -> PipeReceiver {
    let mut into = Vec::new();
    for n in 0..records {
        while receiver.try_recv(&mut into).unwrap().is_none() {
            if receiver.arm() {
                wait(bell.as_fd());
                bell.clear();
            }
        }
        assert_eq!(into[..8], n.to_le_bytes());
        assert_eq!(into.len() as u64, 8 + n % 700);
    }
    receiver
}

#[test]
fn no_wake_is_lost_in_a_loop_of_ones_own() {
    const RECORDS: u64 = 20_000;
    let (one, two) = pair(|builder| builder.ring_bytes(8192));
    let ((sender, r), (s, receiver)) = (one.split(), two.split());
    let bells = (sender.bell(), receiver.bell());
    thread::scope(|scope| {
        scope.spawn(|| send_all(sender, &bells.0, RECORDS));
        scope.spawn(|| recv_all(receiver, &bells.1, RECORDS));
    });
    drop((r, s));
}

/// Both halves of both sides, each side in one thread with one epoll descriptor by edges, as an
/// event loop has it.
#[test]
fn one_loop_waits_for_records_and_room_by_edges() {
    const RECORDS: u64 = 20_000;
    let (one, two) = pair(|builder| builder.ring_bytes(4096));
    let side = |pipe: Pipe| {
        move || {
            let (mut sender, mut receiver) = pipe.split();
            let (bell, mut into) = (sender.bell(), Vec::new());
            let loop_fd = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
            let flags = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET;
            epoll::add(&loop_fd, &bell, epoll::EventData::new_u64(1), flags).unwrap();
            let (mut sent, mut received) = (0_u64, 0_u64);
            while sent < RECORDS || received < RECORDS {
                let payload = vec![sent as u8; (sent % 900) as usize];
                while sent < RECORDS && sender.try_send(&[&sent.to_le_bytes(), &payload]).is_ok() {
                    sent += 1;
                    if sent % 50 == 0 {
                        break;
                    }
                }
                let mut some = false;
                while receiver.try_recv(&mut into).unwrap().is_some() {
                    assert_eq!(into[..8], received.to_le_bytes());
                    (received, some) = (received + 1, true);
                }
                let full = sent == RECORDS || sender.arm(908);
                if some || !full || received == RECORDS || !receiver.arm() {
                    continue;
                }
                let mut events = Vec::with_capacity(4);
                let limit = Timespec { tv_sec: LONG.as_secs() as i64, tv_nsec: 0 };
                let events_in = rustix::buffer::spare_capacity(&mut events);
                assert!(epoll::wait(&loop_fd, events_in, Some(&limit)).unwrap() > 0, "lost");
                bell.clear();
            }
            // What is still in the ring is the other's.
            (sender, receiver)
        }
    };
    let (one, two) = (thread::spawn(side(one)), thread::spawn(side(two)));
    drop((one.join().unwrap(), two.join().unwrap()));
}

#[test]
fn a_dialling_has_a_descriptor_too() {
    let directory = tempfile::tempdir().unwrap();
    let mut dial = builder(directory.path()).dial("pipe").unwrap();
    assert!(dial.poll().is_none(), "nobody is there");
    let mut listener = listener(directory.path());
    let mut pipe = loop {
        wait(dial.as_fd());
        if let Some(pipe) = dial.poll() {
            break pipe.unwrap();
        }
    };
    assert!(dial.poll().is_none(), "it is told once");
    pipe.send(&[b"before it is accepted"]).unwrap();
    wait(listener.as_fd());
    let mut far = listener.try_accept().unwrap().unwrap();
    assert!(listener.try_accept().unwrap().is_none() && !is_readable(listener.as_fd()));
    assert_eq!(far.recv().unwrap(), b"before it is accepted");
    drop(listener);
    far.send(&[b"the listener is gone"]).unwrap();
    assert_eq!(pipe.recv().unwrap(), b"the listener is gone");
}

#[test]
fn who_cannot_be_served_is_told_why() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shm");
    let none = builder(directory.path()).connect_within(Duration::ZERO).connect("pipe");
    assert!(matches!(none.unwrap_err(), ConnectError::NotFound { .. }));
    let mut listener = Listener::builder().directory(&path).pipes_max(1).bind("pipe").unwrap();
    let other = Pull::builder().directory(&path).connect_within(LONG).connect("pipe").unwrap_err();
    assert!(matches!(other, ConnectError::Refused { code: Refusal::WrongPattern, .. }), "{other}");
    let first = builder(directory.path()).connect("pipe").unwrap();
    let short = || builder(directory.path()).connect_within(Duration::from_millis(500));
    // One whose last question was not answered in time has been told nothing: it asks again.
    let full = (0..100)
        .map(|_| short().connect("pipe").unwrap_err())
        .find(|error| !matches!(error, ConnectError::Silent { .. }))
        .expect("an answer");
    assert!(matches!(full, ConnectError::Refused { code: Refusal::Busy, .. }), "{full}");
    drop((first, listener.accept_timeout(LONG).unwrap()));
    let _next = builder(directory.path()).connect("pipe").unwrap();
    let odd = builder(directory.path()).ring_bytes(5000).connect("pipe").unwrap_err();
    assert!(matches!(odd, ConnectError::Ring(_)), "{odd}");
}

/// The services, once all have answered: who is too late for one survey may answer the next.
fn all_answered(path: &Path) -> Vec<survey::Service> {
    (0..60)
        .map(|_| survey::list_in(path).unwrap())
        .find(|services| services.iter().all(|service| service.answered))
        .expect("an answer")
}

#[test]
fn a_survey_shows_pipes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shm");
    let _listener = listener(directory.path());
    let mut pipe = builder(directory.path()).connect("pipe").unwrap();
    pipe.send(&[b"five"]).unwrap();
    let services = all_answered(&path);
    let service = services.iter().find(|service| service.name == "pipe").unwrap();
    assert_eq!(service.pattern.as_str(), "pipe");
    let incoming = service.connections[0].incoming;
    assert_eq!((incoming.sent, incoming.sent_bytes, incoming.depth), (1, 4, 1));
}

/// The length of a ring that no other test of this process has.
const RING: usize = 1 << 20;

/// How many mappings there are of the half of one who connected with such a ring.
fn rings() -> usize {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let len = |line: &str| {
        let (start, end) = line.split_once(' ')?.0.split_once('-')?;
        let [start, end] = [start, end].map(|hex| usize::from_str_radix(hex, 16));
        Some(end.ok()? - start.ok()?)
    };
    let ours = maps.lines().filter(|line| line.contains("/memfd:chaski-client"));
    ours.filter(|line| len(line).is_some_and(|len| len >= RING)).count()
}

#[test]
fn nothing_is_left_of_pipes_that_came_and_went() {
    let directory = tempfile::tempdir().unwrap();
    let mut listener = listener(directory.path());
    let mut seen = Vec::new();
    for _ in 0..20 {
        let builder = builder(directory.path()).ring_bytes(RING);
        let mut one = builder.connect("pipe").unwrap();
        let mut two = listener.accept().unwrap();
        one.send(&[&vec![1; 1_000_000]]).unwrap();
        two.recv().unwrap();
        seen.push(rings());
        drop((one, two));
    }
    assert!(seen.iter().all(|rings| *rings > 0), "{seen:?}");
    let begun = Instant::now();
    while rings() > 0 {
        assert!(begun.elapsed() < LONG, "{} are left, after {seen:?}", rings());
        thread::sleep(Duration::from_millis(1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_wait_for_records_and_for_room() {
    let directory = tempfile::tempdir().unwrap();
    let mut listener = listener(directory.path());
    let builder = builder(directory.path()).ring_bytes(4096);
    let accepting = tokio::spawn(async move { listener.accept_async().await.unwrap() });
    let mut one = builder.connect_async("pipe").await.unwrap();
    let mut two = accepting.await.unwrap();
    let sending = tokio::spawn(async move {
        for n in 0..2000_u64 {
            one.send_async(&[&n.to_le_bytes(), &[0; 300]]).await.unwrap();
            if n % 100 == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        one
    });
    for n in 0..2000_u64 {
        assert_eq!(two.recv_async().await.unwrap()[..8], n.to_le_bytes());
    }
    drop(sending.await.unwrap());
    let end = two.recv_async().await.unwrap_err();
    assert!(matches!(end, Error::Closed), "{end}");
}

/// A process that is killed at any time: what it had sent is there, whole, and then its end.
#[test]
fn a_peer_that_is_killed_is_heard_to_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let mut listener = listener(directory.path());
    for round in 0..10 {
        let Started(child) = &mut start("sending_child", directory.path());
        let mut pipe = listener.accept_timeout(LONG).unwrap();
        let mut next = 0_u64;
        while next < 100 * round + 1 {
            assert_eq!(pipe.recv_timeout(LONG).unwrap()[..8], next.to_le_bytes());
            next += 1;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        loop {
            match pipe.recv_timeout(LONG) {
                Ok(record) => {
                    assert_eq!(record[..8], next.to_le_bytes());
                    assert!(record[8..].iter().all(|byte| *byte == next as u8));
                    next += 1;
                }
                Err(error) => break assert!(matches!(error, Error::Closed), "{error}"),
            }
        }
    }
}

fn start(test: &str, directory: &Path) -> Started {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([test, "--exact", "--ignored", "--nocapture"])
        .env(DIRECTORY, directory)
        .stdout(Stdio::null());
    Started(command.spawn().unwrap())
}

#[test]
#[ignore = "a part of another test"]
fn sending_child() {
    let directory = std::env::var(DIRECTORY).expect("started by another test");
    let mut pipe = builder(Path::new(&directory)).connect("pipe").unwrap();
    for n in 0_u64.. {
        let len = if n % 20 == 0 { 40_000 } else { 50 };
        pipe.send(&[&n.to_le_bytes(), &vec![n as u8; len]]).unwrap();
    }
}

/// What is done to a pipe.
#[derive(Debug, Clone)]
enum Deed {
    Stage(usize, usize),
    Publish,
    Recv,
    Append,
    Release,
    ArmForRoom(usize),
    Arm,
    Clear,
}

fn deed() -> impl Strategy<Value = Deed> {
    let len = prop_oneof![4 => 0..200_usize, 2 => 900..1100_usize, 1 => 0..20_000_usize];
    prop_oneof![
        6 => (len.clone(), 0..200_usize).prop_map(|(len, split)| Deed::Stage(len, split)),
        2 => Just(Deed::Publish),
        3 => Just(Deed::Recv),
        3 => Just(Deed::Append),
        1 => Just(Deed::Release),
        1 => len.prop_map(Deed::ArmForRoom),
        1 => Just(Deed::Arm),
        1 => Just(Deed::Clear),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// A pipe is a queue: what comes out is what was published, in order, and no more.
    #[test]
    fn a_pipe_is_a_queue(deeds in prop::collection::vec(deed(), 1..150)) {
        let (one, two) = pair(|builder| builder.ring_bytes(4096).large_bytes(256 << 10));
        let ((mut sender, _r), (_s, mut receiver)) = (one.split(), two.split());
        let (mut staged, mut published) = (VecDeque::new(), VecDeque::new());
        let mut n = 0_u8;
        let mut into = Vec::new();
        for deed in deeds {
            match deed {
                Deed::Stage(len, split) => {
                    n = n.wrapping_add(1);
                    let payload = vec![n; len];
                    let parts = payload.split_at(split.min(len));
                    match sender.try_stage(n, &[parts.0, parts.1]) {
                        Ok(()) => staged.push_back((n, len)),
                        // Which publishes.
                        Err(Error::Full) => published.append(&mut staged),
                        Err(error) => prop_assert!(false, "{error}"),
                    }
                }
                Deed::Publish => {
                    sender.publish();
                    published.append(&mut staged);
                }
                Deed::Recv | Deed::Append => {
                    into.clear();
                    let found = match deed {
                        Deed::Recv => receiver.try_recv(&mut into),
                        _ => receiver.try_append(&mut into),
                    };
                    let found = found.unwrap().map(|record| (record.tag, record.len));
                    prop_assert_eq!(found, published.pop_front());
                    if let Some((tag, len)) = found {
                        prop_assert!(into.len() == len && into.iter().all(|byte| *byte == tag));
                    }
                }
                Deed::Release => receiver.release(),
                Deed::ArmForRoom(len) => {
                    let sleeps = sender.arm(len);
                    published.append(&mut staged);
                    prop_assert_eq!(sleeps, !sender.has_room(len));
                }
                Deed::Arm => prop_assert_eq!(receiver.arm(), published.is_empty()),
                Deed::Clear => receiver.bell().clear(),
            }
        }
    }
}
