//! Every interleaving of a publisher and a subscriber that it laps, or waits for.
//!
//! A payload that is not ordered by its header, or that was written over while it was copied, shows
//! as a wrong one: loom gives a relaxed load any value that the orderings allow. A lost wake-up
//! shows as a deadlock.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p chaski-ring --release --test region_broadcast_loom
//! --target-dir target/loom`
#![cfg(loom)]

use std::time::Duration;

use chaski_ring::region::broadcast::{
    Key, Layout, Policy, PublishError, Publisher, RecvError, Subscriber,
};
use chaski_ring::region::{Fence, HeapExtent};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

/// What a side sleeps on: a permit that stays until it is taken, as an eventfd does.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rung.lock().unwrap() = true;
        self.changed.notify_one();
    }

    fn wait(&self) {
        let mut rung = self.rung.lock().unwrap();
        while !*rung {
            rung = self.changed.wait(rung).unwrap();
        }
        *rung = false;
    }
}

#[derive(Default)]
struct Bells {
    publisher: Bell,
    subscriber: Bell,
}

/// How long a model may take in an everyday run. Those of a subscriber that is lapped have more
/// interleavings than that, for each word that it reads may be of many moments; they were run to
/// their ends with `LOOM_MAX_DURATION=3600`, which takes precedence.
const PATIENCE: Duration = Duration::from_secs(10);

fn model(preemptions: usize, program: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    // See `region_loom.rs`.
    builder.preemption_bound.get_or_insert(preemptions);
    builder.max_duration.get_or_insert(PATIENCE);
    // How often loom looks at the clock, in interleavings.
    builder.checkpoint_interval = 500;
    builder.check(program);
}

type Out = Publisher<HeapExtent>;
type In = Subscriber<HeapExtent>;

/// The smallest ring, in which `before` records of 16 bytes have been published; each takes half.
fn broadcast(before: u64, policy: Policy) -> (Out, Key, In) {
    let layout = Layout::new(64).unwrap();
    let area = HeapExtent::new(layout.publisher_len());
    let mut publisher = Publisher::new(area.clone(), layout, 1, Fence::Both).unwrap();
    (0..before).for_each(|n| publisher.try_publish(0, &payload(n)).unwrap());
    let page = HeapExtent::new(layout.subscriber_len());
    layout.format_subscriber(&page).unwrap();
    let (key, start) = publisher.subscribe(page.clone(), policy, 1).unwrap();
    let subscriber = Subscriber::attach(area, page, layout, start, Fence::Both).unwrap();
    (publisher, key, subscriber)
}

/// Two words that both tell the number.
fn payload(n: u64) -> [u8; 16] {
    [n as u8 + 1; 16]
}

/// Receives what can be received now; whether there was something.
fn recv(subscriber: &mut In) -> bool {
    let mut into = [0; 16];
    match subscriber.try_recv_slice(&mut into) {
        Ok(None) => false,
        Ok(Some(record)) => {
            assert_eq!(into, payload(record.sequence), "torn, or not the one it is said to be");
            assert_eq!(record.sequence + 1, subscriber.sequence());
            true
        }
        Err(RecvError::Lagged { lost }) => {
            assert!(lost > 0);
            true
        }
        Err(error) => panic!("{error}"),
    }
}

/// A subscriber at each point of a record while that is written over, or is published.
fn lapped(before: u64, count: u64, preemptions: usize) {
    model(preemptions, move || {
        let (mut publisher, _, mut subscriber) = broadcast(before, Policy::DropOldest);
        let sender = thread::spawn(move || {
            let all = before + count;
            (before..all).for_each(|n| publisher.try_publish(0, &payload(n)).unwrap());
        });
        for _ in 0..3 {
            recv(&mut subscriber);
        }
        sender.join().unwrap();
        while recv(&mut subscriber) {}
        assert_eq!(subscriber.sequence(), before + count, "to the last record");
        // The last record at least was there to be had.
        assert!(subscriber.lost() < before + count);
    });
}

#[test]
fn a_record_is_whole_or_lost() {
    lapped(1, 2, 4);
}

#[test]
fn an_earlier_lap_is_not_seen() {
    lapped(3, 2, 4);
}

#[test]
fn who_is_lapped_twice_is_told_each_time() {
    lapped(1, 3, 2);
}

/// Short records between long ones: bytes of payloads where headers were, and the other way round.
#[test]
fn bytes_of_a_payload_are_not_taken_for_a_header() {
    model(3, || {
        let (mut publisher, _, mut subscriber) = broadcast(1, Policy::DropOldest);
        let sender = thread::spawn(move || {
            publisher.try_publish(0, &[]).unwrap();
            publisher.try_publish(0, &[2; 8]).unwrap();
            publisher.try_publish(0, &[3; 16]).unwrap();
        });
        let mut into = [0; 16];
        let mut look = |subscriber: &mut In| match subscriber.try_recv_slice(&mut into) {
            Ok(Some(record)) => {
                let expected = [(16, 1), (0, 0), (8, 2), (16, 3)][record.sequence as usize];
                assert_eq!(record.len, expected.0);
                assert_eq!(into[..record.len], [expected.1; 16][..record.len]);
                true
            }
            Ok(None) => false,
            Err(RecvError::Lagged { .. }) => true,
            Err(error) => panic!("{error}"),
        };
        for _ in 0..3 {
            look(&mut subscriber);
        }
        sender.join().unwrap();
        while look(&mut subscriber) {}
        assert_eq!(subscriber.sequence(), 4);
    });
}

/// Publishes, and sleeps while a subscriber has to be waited for.
fn publish(publisher: &mut Out, key: Key, bells: &Bells, n: u64) {
    while let Err(error) = publisher.try_publish(0, &payload(n)) {
        assert_eq!(error, PublishError::Full);
        publisher.announce();
        if !publisher.has_room(16).unwrap() {
            bells.publisher.wait();
        }
        publisher.awake();
    }
    if publisher.must_wake(key) {
        bells.subscriber.ring();
    }
}

/// Receives up to number `until`, and sleeps while there is nothing.
fn read_until(subscriber: &mut In, bells: &Bells, until: u64) {
    while subscriber.sequence() < until {
        let received = recv(subscriber);
        if subscriber.must_wake() {
            bells.publisher.ring();
        }
        if received {
            continue;
        }
        let _ = subscriber.announce();
        let ready = subscriber.is_ready().unwrap();
        if subscriber.must_wake() {
            bells.publisher.ring();
        }
        if !ready {
            bells.subscriber.wait();
        }
        subscriber.awake();
    }
}

fn stream(policy: Policy, before: u64, count: u64, preemptions: usize) {
    model(preemptions, move || {
        let (mut publisher, key, mut subscriber) = broadcast(before, policy);
        let bells = Arc::new(Bells::default());
        let sender = {
            let bells = Arc::clone(&bells);
            thread::spawn(move || {
                (before..before + count).for_each(|n| publish(&mut publisher, key, &bells, n));
            })
        };
        read_until(&mut subscriber, &bells, before + count);
        assert!(policy == Policy::DropOldest || subscriber.lost() == 0);
        sender.join().unwrap();
    });
}

#[test]
fn a_sleeping_subscriber_is_woken() {
    stream(Policy::DropOldest, 0, 2, 3);
}

#[test]
fn a_subscriber_that_is_waited_for_gets_all_and_wakes_the_publisher() {
    stream(Policy::Block, 0, 3, 3);
}

#[test]
fn what_was_shown_as_read_was_read() {
    stream(Policy::Block, 1, 2, 3);
}
