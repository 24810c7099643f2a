//! Every interleaving of small programs over the ring in a region, by loom's model checker.
//!
//! A lost wake-up shows as a deadlock: loom fails a model in which no thread can go on. A payload
//! that is not ordered by its header shows as a wrong one: loom gives a relaxed load any value that
//! the orderings allow.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p chaski-ring --release --test region_loom --target-dir
//! target/loom`
#![cfg(loom)]

use chaski_ring::region::{Consumer, Fence, Heap, Layout, Producer, SendError};
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
    consumer: Bell,
    producer: Bell,
}

fn model(preemptions: usize, program: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    // All interleavings are too many; those with few involuntary switches are where bugs are found
    // (M. Musuvathi and S. Qadeer, PLDI 2007).
    builder.preemption_bound.get_or_insert(preemptions);
    builder.check(program);
}

/// The smallest ring, with its head at `laps` rounds, so that its words are not fresh.
fn ring(laps: usize) -> (Producer<Heap>, Consumer<Heap>) {
    let layout = Layout::new(64).unwrap();
    let heap = Heap::new(layout);
    let mut producer = Producer::attach(heap.clone(), layout, Fence::Both).unwrap();
    let mut consumer = Consumer::attach(heap, layout, Fence::Both).unwrap();
    for _ in 0..laps {
        // Two records of 24 bytes and one of 16; all bits set, so that each would be a bad header.
        for len in [16, 16, 8] {
            producer.try_send(&[0xFF; 16][..len]).unwrap();
            assert_eq!(consumer.skip(), Ok(true));
        }
        assert_eq!(consumer.is_ready(), Ok(false));
    }
    (producer, consumer)
}

/// Sends 8 bytes that tell `n`, and sleeps while there is no room.
fn send(producer: &mut Producer<Heap>, bells: &Bells, n: u8) {
    while let Err(error) = producer.try_send(&[n; 8]) {
        assert_eq!(error, SendError::Full);
        if producer.must_wake() {
            bells.consumer.ring();
        }
        let _ = producer.announce();
        if !producer.has_room(8).unwrap() {
            bells.producer.wait();
        }
        producer.awake();
    }
    if producer.must_wake() {
        bells.consumer.ring();
    }
}

/// Receives what must be 8 bytes of `n`, and sleeps while there is nothing.
fn recv(consumer: &mut Consumer<Heap>, bells: &Bells, n: u8) {
    let mut payload = [0; 8];
    loop {
        let received = consumer.try_recv_slice(&mut payload).unwrap();
        if consumer.must_wake() {
            bells.producer.ring();
        }
        if received.is_some() {
            assert_eq!(payload, [n; 8], "lost, torn or out of order");
            return;
        }
        let _ = consumer.announce();
        let ready = consumer.is_ready().unwrap();
        if consumer.must_wake() {
            bells.producer.ring();
        }
        if !ready {
            bells.consumer.wait();
        }
        consumer.awake();
    }
}

fn stream(laps: usize, count: u8, preemptions: usize) {
    model(preemptions, move || {
        let (mut producer, mut consumer) = ring(laps);
        let bells = Arc::new(Bells::default());
        let sender = {
            let bells = Arc::clone(&bells);
            thread::spawn(move || (0..count).for_each(|n| send(&mut producer, &bells, n)))
        };
        (0..count).for_each(|n| recv(&mut consumer, &bells, n));
        sender.join().unwrap();
    });
}

#[test]
fn a_sleeping_consumer_is_woken() {
    stream(0, 2, 4);
}

/// Over words of an earlier lap, none of which may be taken for a header.
#[test]
fn an_earlier_lap_is_not_seen() {
    stream(1, 2, 4);
}

/// More than fits: the producer sleeps too.
#[test]
fn a_sleeping_producer_is_woken() {
    stream(0, 5, 3);
}

#[test]
fn a_batch_is_seen_whole() {
    model(4, || {
        let (mut producer, mut consumer) = ring(1);
        let sender = thread::spawn(move || {
            producer.stage(0, &[1; 8]).unwrap();
            producer.stage(0, &[2; 8]).unwrap();
            producer.publish();
        });
        let mut payload = [0; 8];
        if consumer.try_recv_slice(&mut payload).unwrap().is_some() {
            assert_eq!(payload, [1; 8]);
            assert!(consumer.try_recv_slice(&mut payload).unwrap().is_some(), "all or nothing");
            assert_eq!(payload, [2; 8]);
        }
        sender.join().unwrap();
    });
}

/// What a consumer read is read before the producer writes over it. The record without a payload
/// just fits, and the zero behind it goes where the first payload was.
#[test]
fn space_given_back_was_read() {
    model(4, || {
        let (mut producer, mut consumer) = ring(0);
        producer.try_send(&[1; 8]).unwrap();
        producer.try_send(&[2; 16]).unwrap();
        let sender = thread::spawn(move || {
            let _full_or_not = producer.try_send(&[3; 16]);
            let _full_or_not = producer.try_send(&[]);
        });
        let mut payload = [0; 16];
        for (n, len) in [(1, 8), (2, 16)] {
            assert!(consumer.try_recv_slice(&mut payload).unwrap().is_some());
            assert_eq!(payload[..len], [n; 16][..len]);
        }
        sender.join().unwrap();
    });
}
