//! Death between any two stores: a program is run once, its stores are noted, and replayed up to
//! each of them; from there, its successor must find sense.

use super::super::memory::trace;
use super::super::record::WORD;
use super::*;

/// Stores of one side replayed up to each point where it might have died.
struct Replay {
    stores: Vec<trace::Store>,
    capacity: usize,
    first: (usize, usize),
}

impl Replay {
    fn of(capacity: usize, work: impl FnOnce(Producer<Heap>, Consumer<Heap>)) -> Self {
        let ((producer, consumer), heap, layout) = ring(capacity);
        let Areas { producer: a, consumer: b } = heap.areas();
        let _ = layout;
        let stores = trace::of(|| work(producer, consumer));
        Replay { stores, capacity, first: (a.base.as_ptr().addr(), b.base.as_ptr().addr()) }
    }

    /// The memory as it is after the first `count` stores.
    fn up_to(&self, count: usize) -> (Heap, Layout) {
        let (_, heap, layout) = ring(self.capacity);
        let (records, heads) = words(&heap, layout);
        for &(base, at, value) in &self.stores[..count] {
            let words = if base == self.first.0 { &records } else { &heads };
            assert!(base == self.first.0 || base == self.first.1);
            words.store(at, value);
        }
        (heap, layout)
    }
}

/// Payloads of many lengths, each telling its number.
fn numbered(n: usize) -> Vec<u8> {
    let mut payload = vec![n as u8; n * 37 % 60];
    payload.insert(0, n as u8);
    payload
}

/// How many payloads the crash tests send: some laps.
const NUMBERED: usize = 24;

#[test]
fn a_producer_may_die_between_any_two_stores() {
    let replay = Replay::of(256, |mut producer, mut consumer| {
        let mut n = 0;
        while n < NUMBERED {
            // One by one, and in batches.
            for n in n..NUMBERED.min(n + 1 + n % 3) {
                producer.stage(0, &numbered(n)).unwrap();
            }
            n += 1 + n % 3;
            producer.publish();
            drain(&mut consumer);
        }
    });
    let mut before = 0;
    for count in 0..=replay.stores.len() {
        let (heap, layout) = replay.up_to(count);
        let mut consumer = Consumer::resume(heap.clone(), layout, Fence::Both).unwrap();
        let mut producer = Producer::resume(heap, layout, Fence::Both).unwrap();
        producer.try_send(b"I am back").unwrap();
        let mut got = drain(&mut consumer);
        assert_eq!(got.pop().unwrap(), b"I am back");
        // What is left is what came last, whole and in order.
        let last = got.last().map_or(before, |payload| usize::from(payload[0]) + 1);
        assert!(last >= before, "what was published is not lost");
        for (payload, n) in got.iter().rev().zip((0..last).rev()) {
            assert_eq!(*payload, numbered(n));
        }
        before = last;
    }
    assert_eq!(before, NUMBERED);
}

#[test]
fn a_consumer_may_die_between_any_two_stores() {
    for publish_every in [0, 100] {
        let replay = Replay::of(256, |mut producer, consumer| {
            let mut consumer = consumer.publish_every(publish_every);
            for n in 0..NUMBERED {
                producer.try_send(&numbered(n)).unwrap();
                assert_eq!(consumer.skip(), Ok(true));
                assert_eq!(consumer.is_ready(), Ok(false));
            }
        });
        let mut next = 0;
        for count in 0..=replay.stores.len() {
            let (heap, layout) = replay.up_to(count);
            let mut consumer = Consumer::resume(heap.clone(), layout, Fence::Both).unwrap();
            let got = drain(&mut consumer);
            // At most the one record that was published and not given back.
            assert!(got.len() <= 1);
            if let Some(payload) = got.first() {
                let n = usize::from(payload[0]);
                assert_eq!(*payload, numbered(n));
                assert!(n == next || n + 1 == next, "given back is given back");
                next = n + 1;
            }
        }
        assert_eq!(next, NUMBERED);
    }
}

/// The consumer may have given back what the producer published but died before it could count.
#[test]
fn a_producer_comes_back_although_the_head_is_beyond_its_tail() {
    let ((mut producer, mut consumer), heap, layout) = ring(64);
    producer.try_send(b"1").unwrap();
    producer.try_send(b"2").unwrap();
    drop(producer);
    let (mine, _) = words(&heap, layout);
    mine.store(CURSOR, 16);
    assert_eq!(drain(&mut consumer), [b"1", b"2"]);
    let mut producer = Producer::resume(heap, layout, Fence::Both).unwrap();
    producer.try_send(b"3").unwrap();
    assert_eq!(drain(&mut consumer), [b"3"]);
}

#[test]
fn unsound_cursors_are_not_resumed() {
    let corrupt = |error| matches!(error, Some(AttachError::Corrupt(_)));
    for tail in [4, u64::MAX - 7, 1 << 63] {
        let (_, heap, layout) = ring(64);
        let (mine, theirs) = words(&heap, layout);
        mine.store(CURSOR, tail);
        theirs.store(CURSOR, tail);
        assert!(corrupt(Producer::resume(heap.clone(), layout, Fence::Both).err()));
        assert!(corrupt(Consumer::resume(heap, layout, Fence::Both).err()));
    }
    // A ring of headers without an end.
    let (_, heap, layout) = ring(64);
    let (mine, _) = words(&heap, layout);
    for position in (0..64).step_by(WORD) {
        mine.store(layout.index(position), record::Header::record(0, 0).encode());
    }
    assert!(corrupt(Producer::resume(heap, layout, Fence::Both).err()));
}
