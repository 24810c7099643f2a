//! Pipelines between the threads of one process, through the same door as between processes. For
//! deaths see `pipeline_deaths.rs`.

use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use chaski_shm::{Batch, ConnectError, Error, Leave, Pull, PullBuilder, Push, PushBuilder, Wait};

/// More than anything here takes.
const LONG: Duration = Duration::from_secs(60);

/// A directory for sockets.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("shm")
    }

    fn push(&self) -> PushBuilder {
        let builder = Push::builder().directory(self.path()).connect_within(LONG);
        builder.reconnect_within(Duration::from_millis(200))
    }

    fn pull(&self) -> PullBuilder {
        let builder = Pull::builder().directory(self.path()).connect_within(LONG);
        builder.reconnect_within(Duration::from_millis(200))
    }
}

fn number(payload: &[u8]) -> u64 {
    u64::from_le_bytes(payload[..8].try_into().unwrap())
}

/// A payload of this length that begins with a number.
fn numbered(number: u64, len: usize) -> Vec<u8> {
    let mut payload = number.to_le_bytes().to_vec();
    payload.resize(len.max(8), number as u8);
    payload
}

/// Receives until there is no sender any more.
fn all(mut pull: Pull) -> Vec<u64> {
    let mut numbers = Vec::new();
    loop {
        match pull.recv_timeout(LONG) {
            Ok(message) => {
                let number = number(&message);
                assert!(message[8..].iter().all(|byte| *byte == number as u8));
                numbers.push(number);
            }
            Err(Error::Closed) => return numbers,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn each_message_goes_to_one_worker() {
    const MESSAGES: u64 = 20_000;
    let place = Place::new();
    let mut push = place.push().bind("jobs").unwrap();
    let pulls: Vec<_> = (0..3).map(|_| place.pull().connect("jobs").unwrap()).collect();
    let working: Vec<_> = pulls.into_iter().map(|pull| thread::spawn(|| all(pull))).collect();
    for n in 0..MESSAGES {
        let len = if n % 1000 == 500 { 200_000 } else { n as usize % 300 };
        push.send(&numbered(n, len)).unwrap();
    }
    assert_eq!(push.receivers(), 3);
    assert_eq!(push.close(LONG).unwrap(), 0);
    let mut numbers = Vec::new();
    for working in working {
        let taken = working.join().unwrap();
        assert!(taken.is_sorted(), "what one worker gets, it gets in order");
        numbers.extend(taken);
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (0..MESSAGES).collect::<Vec<_>>());
}

#[test]
fn batches_arrive_whole_and_in_order() {
    const MESSAGES: u64 = 50_000;
    let place = Place::new();
    let mut push = place.push().bind("jobs").unwrap();
    let mut pull = place.pull().connect("jobs").unwrap();
    let working = thread::spawn(move || {
        let (mut batch, mut next) = (Batch::new(), 0);
        while next < MESSAGES {
            let taken = pull.recv_many_timeout(&mut batch, 100, LONG).unwrap();
            assert!((1..=100).contains(&taken) && taken == batch.len());
            for payload in &batch {
                assert_eq!(*payload, numbered(next, payload.len()));
                next += 1;
            }
        }
        assert_eq!(pull.try_recv_many(&mut batch, 1).unwrap(), 0);
        assert!(batch.is_empty());
        pull
    });
    let mut n = 0;
    while n < MESSAGES {
        // One in a while is too long for the ring.
        let len = |n: u64| if n % 3000 == 7 { 100_000 } else { 8 + n as usize % 100 };
        push.send_all((n..n + 250).map(|n| numbered(n, len(n)))).unwrap();
        n += 250;
    }
    assert_eq!(push.flush(LONG).unwrap(), 0);
    assert_eq!(push.untaken(), 0);
    drop(working.join().unwrap());
}

#[test]
fn what_is_staged_is_seen_when_it_is_published() {
    let place = Place::new();
    let mut push = place.push().bind("jobs").unwrap();
    let mut pull = place.pull().connect("jobs").unwrap();
    push.stage(b"one").unwrap();
    push.stage(b"two").unwrap();
    assert!(pull.try_recv().unwrap().is_none());
    assert_eq!(push.untaken(), 2);
    push.publish();
    assert_eq!(pull.recv().unwrap()[..], *b"one");
    let mut payload = Vec::new();
    pull.recv_into(&mut payload).unwrap();
    assert_eq!((&payload[..], push.untaken()), (&b"two"[..], 0));
    push.send(b"three").unwrap();
    let mut message = pull.recv().unwrap();
    assert_eq!(message.peer().unwrap().pid, std::process::id());
    assert_eq!(message.into_vec(), b"three");
}

#[test]
fn work_goes_to_the_worker_that_waits_for_it() {
    let place = Place::new();
    let mut push = place.push().bind("jobs").unwrap();
    let mut busy = place.pull().connect("jobs").unwrap();
    push.send(b"the work of a day").unwrap();
    assert_eq!(busy.recv().unwrap().len(), 17);

    let mut free = place.pull().connect("jobs").unwrap();
    for n in 0..1000_u64 {
        push.send(&numbered(n, 8)).unwrap();
        assert_eq!(number(&free.recv_timeout(LONG).unwrap()), n);
        // It says that it wants more.
        assert!(free.try_recv().unwrap().is_none());
    }
    assert!(busy.try_recv().unwrap().is_none());
}

#[test]
fn a_worker_that_is_at_work_gets_no_more_than_others_have_unread() {
    let place = Place::new();
    let mut push = place.push().bind("jobs").unwrap();
    let mut pulls: Vec<_> = (0..3).map(|_| place.pull().connect("jobs").unwrap()).collect();
    for n in 0..300 {
        push.send(&numbered(n, 8)).unwrap();
    }
    let unread: Vec<_> = pulls
        .iter_mut()
        .map(|pull| {
            let mut batch = Batch::new();
            while pull.try_recv_many(&mut batch, 1000).unwrap() == 0 {}
            batch.len()
        })
        .collect();
    assert_eq!(unread.iter().sum::<usize>(), 300);
    // Half as many more before the others are looked at, and half of that at the end.
    assert!(unread.iter().all(|count| (50..=150).contains(count)), "{unread:?}");
}

#[test]
fn without_a_worker_nothing_is_sent() {
    let place = Place::new();
    let mut push = place.push().bind("jobs").unwrap();
    assert!(matches!(push.try_send(b"no"), Err(Error::Full)));
    let late = push.send_timeout(b"no", Duration::from_millis(5)).unwrap_err();
    assert!(matches!(late, Error::TimedOut), "{late}");
    assert_eq!((push.untaken(), push.receivers()), (0, 0));

    let path = place.path();
    let working = thread::spawn(move || {
        let builder = Pull::builder().directory(path).connect_within(LONG);
        let mut pull = builder.connect("jobs").unwrap();
        pull.recv_timeout(LONG).unwrap().into_vec()
    });
    push.send(b"yes").unwrap();
    assert_eq!(working.join().unwrap(), b"yes");
}

#[test]
fn a_full_ring_is_waited_for_asleep() {
    let place = Place::new();
    let mut push = place.push().wait(Wait::Block).bind("jobs").unwrap();
    let builder = place.pull().wait(Wait::Block).ring_bytes(4096);
    let mut pull = builder.connect("jobs").unwrap();
    let working = thread::spawn(move || {
        for n in 0..2000 {
            if n % 200 == 0 {
                thread::sleep(Duration::from_millis(2));
            }
            assert_eq!(number(&pull.recv_timeout(LONG).unwrap()), n);
        }
        pull
    });
    for n in 0..2000 {
        if n % 300 == 0 {
            thread::sleep(Duration::from_millis(3));
        }
        // Up to a quarter of the ring.
        push.send(&numbered(n, 8 + n as usize % 1000)).unwrap();
    }
    assert_eq!(push.flush(LONG).unwrap(), 0);
    drop(working.join().unwrap());
}

#[test]
fn large_payloads_are_waited_for_and_have_a_limit() {
    const LIMIT: usize = 1 << 20;
    let place = Place::new();
    let mut push = place.push().large_bytes(LIMIT).bind("jobs").unwrap();
    let mut pull = place.pull().large_bytes(LIMIT).wait(Wait::Block).connect("jobs").unwrap();
    let working = thread::spawn(move || {
        for n in 0..100 {
            let message = pull.recv_timeout(LONG).unwrap();
            assert_eq!(*message, numbered(n, 300_000));
        }
        pull
    });
    for n in 0..100 {
        push.send(&numbered(n, 300_000)).unwrap();
    }
    let error = push.send(&vec![0; LIMIT + 1]).unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    assert_eq!(push.close(LONG).unwrap(), 0);
    drop(working.join().unwrap());
}

#[test]
fn what_a_worker_leaves_goes_to_others() {
    let place = Place::new();
    let mut push = place.push().bind("jobs").unwrap();
    let mut leaving = place.pull().connect("jobs").unwrap();
    // Short ones, some that are too long for the ring, and one that is only staged.
    let len = |n: u64| if n % 10 == 9 { 100_000 } else { 50 };
    for n in 0..50 {
        push.send(&numbered(n, len(n))).unwrap();
    }
    push.stage(&numbered(50, len(50))).unwrap();
    for n in 0..15 {
        assert_eq!(number(&leaving.recv().unwrap()), n);
    }
    drop(leaving);

    let mut others = [place.pull().connect("jobs").unwrap(), place.pull().connect("jobs").unwrap()];
    let mut numbers = Vec::new();
    while numbers.len() < 36 {
        push.publish();
        push.untaken();
        let _ = push.try_send(&numbered(u64::MAX, 8));
        for pull in &mut others {
            while let Some(message) = pull.try_recv().unwrap() {
                let n = number(&message);
                if n != u64::MAX {
                    assert_eq!(*message, numbered(n, len(n)));
                    numbers.push(n);
                }
            }
        }
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (15..51).collect::<Vec<_>>());
    let losses: Vec<_> = push.departures().collect();
    let [loss] = &losses[..] else { panic!("{losses:?}") };
    assert_eq!((loss.why, loss.taken, loss.returned), (Leave::Gone, 15, 36));
    assert_eq!(push.departures().count(), 0, "told once");
}

#[test]
fn what_came_back_waits_for_the_next_worker() {
    let place = Place::new();
    let mut push = place.push().bind("jobs").unwrap();
    let pull = place.pull().connect("jobs").unwrap();
    for n in 0..100 {
        push.send(&numbered(n, 8)).unwrap();
    }
    drop(pull);
    while push.receivers() > 0 {
        thread::yield_now();
    }
    assert_eq!(push.untaken(), 100);
    assert_eq!(push.flush(Duration::from_millis(5)).unwrap(), 100);
    assert!(matches!(push.try_send(b"later ones wait too"), Err(Error::Full)));
    let next = place.pull().connect("jobs").unwrap();
    let working = thread::spawn(|| all(next));
    assert_eq!(push.close(LONG).unwrap(), 0);
    assert_eq!(working.join().unwrap(), (0..100).collect::<Vec<_>>());
}

#[test]
fn a_worker_outlives_its_sender_and_works_for_the_next() {
    let place = Place::new();
    let mut first = place.push().bind("jobs").unwrap();
    let mut pull = place.pull().reconnect_within(LONG).connect("jobs").unwrap();
    first.send(&numbered(1, 8)).unwrap();
    first.send(&numbered(2, 100_000)).unwrap();
    drop(first);
    assert_eq!(number(&pull.recv_timeout(LONG).unwrap()), 1);
    assert_eq!(pull.recv_timeout(LONG).unwrap().len(), 100_000);
    // Of the hang-up it learns from another thread.
    let deadline = Instant::now() + LONG;
    while pull.senders() > 0 {
        assert!(Instant::now() < deadline, "it still has a sender");
        thread::yield_now();
    }
    let late = pull.recv_timeout(Duration::from_millis(5)).unwrap_err();
    assert!(matches!(late, Error::TimedOut), "{late}");
    assert_eq!((pull.departures().count(), pull.senders()), (1, 0));

    let mut second = place.push().bind("jobs").unwrap();
    let sending = thread::spawn(move || {
        second.send(&numbered(3, 8)).unwrap();
        second
    });
    assert_eq!(number(&pull.recv_timeout(LONG).unwrap()), 3);
    drop(sending.join().unwrap());
}

#[test]
fn a_worker_without_a_next_sender_is_closed() {
    let place = Place::new();
    let push = place.push().bind("jobs").unwrap();
    let pull = place.pull().reconnect_within(Duration::from_millis(10)).connect("jobs").unwrap();
    drop(push);
    assert_eq!(all(pull), []);
}

#[test]
fn one_collects_what_many_send() {
    const SENDERS: u64 = 8;
    const MESSAGES: u64 = 3000;
    let place = Place::new();
    let mut pull = place.pull().bind("results").unwrap();
    let pushes: Vec<_> = (0..SENDERS).map(|_| place.push().connect("results").unwrap()).collect();
    let sending = thread::spawn(move || {
        let mut pushes = pushes;
        for n in 0..MESSAGES {
            for (sender, push) in (0..).zip(&mut pushes) {
                push.send(&numbered(sender << 32 | n, 8 + n as usize % 200)).unwrap();
            }
        }
        // What was sent arrives, although they leave.
        drop(pushes);
    });
    let (mut next, mut batch, mut count) = ([0; SENDERS as usize], Batch::new(), 0);
    while count < SENDERS * MESSAGES {
        // Both ways to receive, mixed.
        let mut one = |payload: &[u8]| {
            let (sender, n) = ((number(payload) >> 32) as usize, number(payload) & 0xffff_ffff);
            assert_eq!(n, next[sender], "in the order of sender {sender}");
            next[sender] += 1;
            count += 1;
        };
        one(&pull.recv_timeout(LONG).unwrap());
        pull.try_recv_many(&mut batch, 50).unwrap();
        batch.iter().for_each(one);
    }
    sending.join().unwrap();
    let mut left = 0;
    while left < SENDERS {
        assert!(pull.try_recv().unwrap().is_none());
        for departure in pull.departures() {
            assert_eq!(departure.why, Leave::Gone);
            left += 1;
        }
    }
    assert_eq!(pull.senders(), 0);
}

#[test]
fn the_next_collector_gets_what_the_last_had_not_taken() {
    let place = Place::new();
    let mut first = place.pull().bind("results").unwrap();
    let mut push = place.push().reconnect_within(LONG).connect("results").unwrap();
    let len = |n: u64| if n % 10 == 9 { 100_000 } else { 50 };
    for n in 0..30 {
        push.send(&numbered(n, len(n))).unwrap();
    }
    push.stage(&numbered(30, len(30))).unwrap();
    for n in 0..12 {
        assert_eq!(number(&first.recv_timeout(LONG).unwrap()), n);
    }
    drop(first);
    while push.receivers() > 0 {
        thread::yield_now();
    }
    assert!(matches!(push.try_send(b"while nobody is there"), Err(Error::Full)));
    assert_eq!(push.flush(Duration::from_millis(5)).unwrap(), 19);
    let losses: Vec<_> = push.departures().collect();
    let [loss] = &losses[..] else { panic!("{losses:?}") };
    assert_eq!((loss.why, loss.taken, loss.returned), (Leave::Gone, 12, 19));

    let mut second = place.pull().bind("results").unwrap();
    let collecting = thread::spawn(move || {
        for n in 12..40 {
            assert_eq!(*second.recv_timeout(LONG).unwrap(), numbered(n, len(n)));
        }
        second
    });
    for n in 31..40 {
        push.send(&numbered(n, len(n))).unwrap();
    }
    assert_eq!(push.flush(LONG).unwrap(), 0);
    drop(collecting.join().unwrap());
}

#[test]
fn without_a_next_collector_it_is_over() {
    let place = Place::new();
    let mut first = place.pull().bind("results").unwrap();
    let push = place.push().reconnect_within(Duration::from_millis(20));
    let mut push = push.connect("results").unwrap();
    for n in 0..5 {
        push.send(&numbered(n, 8)).unwrap();
    }
    assert_eq!(number(&first.recv_timeout(LONG).unwrap()), 0);
    drop(first);
    // Not for as long as it may, but until there is nobody to wait for.
    assert_eq!(push.flush(LONG).unwrap(), 4);
    assert!(matches!(push.send(b"no"), Err(Error::Closed)));
    assert_eq!(push.close(LONG).unwrap(), 4);
}

#[test]
fn a_collector_is_waited_for_asleep() {
    let place = Place::new();
    let mut pull = place.pull().wait(Wait::Block).bind("results").unwrap();
    let builder = place.push().wait(Wait::Block).ring_bytes(4096);
    let mut push = builder.connect("results").unwrap();
    let (done, wait_for_done) = mpsc::channel();
    let sending = thread::spawn(move || {
        for n in 0..2000 {
            if n % 300 == 0 {
                thread::sleep(Duration::from_millis(3));
            }
            push.send(&numbered(n, 8 + n as usize % 1000)).unwrap();
        }
        assert_eq!(push.flush(LONG).unwrap(), 0);
        done.send(()).unwrap();
    });
    for n in 0..2000 {
        if n % 200 == 0 {
            thread::sleep(Duration::from_millis(2));
        }
        assert_eq!(number(&pull.recv_timeout(LONG).unwrap()), n);
    }
    wait_for_done.recv_timeout(LONG).unwrap();
    sending.join().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_send_and_receive() {
    const MESSAGES: u64 = 3000;
    let place = Place::new();
    let mut jobs = place.push().bind("jobs").unwrap();
    let mut pull = place.pull().ring_bytes(4096).connect("jobs").unwrap();
    let mut results = place.pull().bind("results").unwrap();
    let mut push = place.push().ring_bytes(4096).connect("results").unwrap();
    let working = tokio::spawn(async move {
        for _ in 0..MESSAGES {
            let job = pull.recv_async().await.unwrap().into_vec();
            push.send_async(&job).await.unwrap();
        }
        assert_eq!(push.flush_async().await.unwrap(), 0);
        pull
    });
    let collecting = tokio::spawn(async move {
        let (mut batch, mut next) = (Batch::new(), 0);
        while next < MESSAGES {
            results.recv_many_async(&mut batch, 10).await.unwrap();
            for payload in &batch {
                assert_eq!(number(payload), next);
                next += 1;
            }
        }
    });
    for n in 0..MESSAGES {
        if n % 500 == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        jobs.send_async(&numbered(n, 8 + n as usize % 500)).await.unwrap();
    }
    assert_eq!(jobs.flush_async().await.unwrap(), 0);
    drop(working.await.unwrap());
    collecting.await.unwrap();
    while jobs.receivers() > 0 {
        tokio::task::yield_now().await;
    }
    // One that is given up has sent nothing.
    let none = tokio::time::timeout(Duration::from_millis(2), jobs.send_async(b"nobody")).await;
    assert!(none.is_err() && jobs.untaken() == 0);
}

#[test]
fn two_of_a_side_do_not_connect() {
    let place = Place::new();
    let _push = place.push().bind("jobs").unwrap();
    let refused = place.push().connect("jobs").unwrap_err();
    assert!(matches!(refused, ConnectError::Refused { .. }), "{refused}");
}

/// It waited in front of all others, for ever.
#[test]
fn what_came_back_and_is_too_long_for_all_lets_others_pass() {
    let place = Place::new();
    let mut push = place.push().bind("jobs").unwrap();
    let generous = place.pull().connect("jobs").unwrap();
    push.send(&numbered(1, 1 << 20)).unwrap();
    drop(generous);
    let mut modest = place.pull().large_bytes(64 * 1024).connect("jobs").unwrap();
    push.send_timeout(&numbered(2, 8), LONG).unwrap();
    assert_eq!(number(&modest.recv_timeout(LONG).unwrap()), 2);
    assert_eq!(push.untaken(), 1);
    let mut generous = place.pull().connect("jobs").unwrap();
    while push.receivers() < 2 {
        thread::yield_now();
    }
    push.send(&numbered(3, 8)).unwrap();
    assert_eq!(number(&generous.recv_timeout(LONG).unwrap()), 1);
}

/// It looked for ever at a knock that nobody took.
#[test]
fn a_worker_sleeps_after_a_large_payload() {
    let place = Place::new();
    let mut push = place.push().bind("jobs").unwrap();
    let mut pull = place.pull().wait(Wait::Block).connect("jobs").unwrap();
    push.send(&numbered(1, 1 << 20)).unwrap();
    assert_eq!(number(&pull.recv_timeout(LONG).unwrap()), 1);
    let spent = || {
        let mut spent = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: it writes there.
        unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut spent) };
        Duration::new(spent.tv_sec as u64, spent.tv_nsec as u32)
    };
    let before = spent();
    assert!(matches!(pull.recv_timeout(Duration::from_secs(1)), Err(Error::TimedOut)));
    assert!(spent() - before < Duration::from_millis(500), "it was busy all the time");
}
