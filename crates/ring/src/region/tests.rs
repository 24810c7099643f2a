//! Tests that look inside: both sides on one thread, and death between any two stores.

use std::collections::VecDeque;
use std::thread;

use proptest::prelude::*;

use super::layout::{CURSOR, STALLS};
use super::memory::{Words, trace};
use super::record::WORD;
use super::*;

type Ends = (Producer<Heap>, Consumer<Heap>);

fn ring(capacity: usize) -> (Ends, Heap, Layout) {
    let layout = Layout::new(capacity).unwrap();
    let heap = Heap::new(layout);
    let producer = Producer::attach(heap.clone(), layout, Fence::Both).unwrap();
    let consumer = Consumer::attach(heap.clone(), layout, Fence::Both).unwrap();
    ((producer, consumer), heap, layout)
}

fn words(heap: &Heap, layout: Layout) -> (Words, Words) {
    layout.open(heap).unwrap()
}

/// All that can be received now.
fn drain(consumer: &mut Consumer<Heap>) -> Vec<Vec<u8>> {
    let mut payload = Vec::new();
    std::iter::from_fn(|| consumer.try_recv(&mut payload).unwrap().map(|_| payload.clone()))
        .collect()
}

#[test]
fn what_is_sent_is_received() {
    let ((mut producer, mut consumer), ..) = ring(256);
    assert_eq!(drain(&mut consumer), [b""; 0]);
    producer.try_send(b"").unwrap();
    producer.try_send(b"12345678").unwrap();
    producer.try_send_parts(9, &[b"123", b"", b"4567890", b"1"]).unwrap();
    let mut payload = vec![1];
    let none = Record { len: 0, tag: 0 };
    assert_eq!(consumer.try_recv(&mut payload), Ok(Some(none)));
    assert!(payload.is_empty());
    let mut slice = [0; 9];
    assert_eq!(consumer.try_recv_slice(&mut slice), Ok(Some(Record { len: 8, tag: 0 })));
    assert_eq!(&slice, b"12345678\0");
    let mut all = b"0".to_vec();
    assert_eq!(consumer.try_append(&mut all), Ok(Some(Record { len: 11, tag: 9 })));
    assert_eq!(all, b"012345678901");
    assert_eq!(consumer.skip(), Ok(false));
}

#[test]
fn parts_join_at_every_seam() {
    let ((mut producer, mut consumer), ..) = ring(256);
    let bytes: Vec<u8> = (1..=30).collect();
    for (first, second) in (0..=30).flat_map(|a| (a..=30).map(move |b| (a, b))) {
        let parts = [&bytes[..first], &bytes[first..second], &bytes[second..]];
        producer.try_send_parts(0, &parts).unwrap();
        assert_eq!(drain(&mut consumer), [&bytes[..]]);
    }
}

#[test]
fn what_is_staged_is_seen_at_once() {
    let ((mut producer, mut consumer), ..) = ring(256);
    producer.stage(0, b"a").unwrap();
    producer.stage(0, b"b").unwrap();
    assert_eq!(consumer.is_ready(), Ok(false));
    producer.publish();
    assert_eq!(drain(&mut consumer), [b"a", b"b"]);
    producer.publish();
    assert_eq!(drain(&mut consumer), [b"a"; 0]);
}

/// A producer that stages until the ring is full, and then waits, would wait for ever if the
/// consumer could not see what fills it.
#[test]
fn a_full_ring_publishes_what_was_staged() {
    let ((mut producer, mut consumer), heap, _) = ring(64);
    let staged = (0..).take_while(|_| producer.stage(0, &[1; 8]).is_ok()).count();
    assert_eq!(staged, 3, "of 16 bytes each, in all but 8 of 64");
    assert_eq!(producer.stage(0, &[1; 8]), Err(SendError::Full));
    assert_eq!(drain(&mut consumer).len(), staged);
    assert_eq!(producer.try_send(&[1; 8]), Ok(()));
    let stats = Observer::attach(heap).unwrap().stats();
    assert_eq!((stats.full_stalls, stats.sent, stats.received, stats.depth), (1, 4, 3, 1));
    assert_eq!((stats.sent_bytes, stats.received_bytes), (32, 24));
    assert_eq!(stats.bytes_in_use, 16);
}

#[test]
fn the_longest_payload_fits_wherever_the_cursors_stand() {
    let ((mut producer, mut consumer), _, layout) = ring(256);
    let (longest, max) = (vec![5; layout.payload_max()], layout.payload_max());
    let too_long = vec![5; max + 1];
    assert_eq!(producer.try_send(&too_long), Err(SendError::TooLarge { len: max + 1, max }));
    for _ in 0..64 {
        producer.try_send(&longest).unwrap();
        assert_eq!(drain(&mut consumer), [&longest[..]]);
        producer.try_send(b"").unwrap();
        assert_eq!(drain(&mut consumer), [b""]);
    }
}

#[test]
fn space_comes_back_by_eighths_and_when_nothing_is_left() {
    let ((mut producer, mut consumer), heap, layout) = ring(256);
    let in_use = || Observer::attach(heap.clone()).unwrap().stats().bytes_in_use;
    (0..5).for_each(|_| producer.try_send(b"12345678").unwrap());
    assert_eq!(in_use(), 80);
    assert_eq!(consumer.skip(), Ok(true));
    assert_eq!(in_use(), 80, "an eighth is 32 bytes");
    assert_eq!(consumer.skip(), Ok(true));
    assert_eq!(in_use(), 48);
    assert_eq!(consumer.skip(), Ok(true));
    consumer.publish();
    assert_eq!(in_use(), 32);
    assert_eq!(drain(&mut consumer).len(), 2);
    assert_eq!(in_use(), 0);
    drop(consumer);
    let mut eager = Consumer::resume(heap.clone(), layout, Fence::Both).unwrap().publish_every(0);
    producer.try_send(b"12345678").unwrap();
    producer.try_send(b"12345678").unwrap();
    assert_eq!(eager.skip(), Ok(true));
    assert_eq!(in_use(), 16);
}

#[test]
fn a_record_over_the_limit_stays_until_it_is_skipped() {
    let ((mut producer, consumer), ..) = ring(256);
    let mut consumer = consumer.limit(10);
    producer.try_send(&[1; 11]).unwrap();
    producer.try_send(&[2; 10]).unwrap();
    let mut payload = Vec::new();
    let too_long = Err(RecvError::TooLong { len: 11, limit: 10 });
    assert_eq!(consumer.try_recv(&mut payload), too_long);
    assert_eq!(consumer.try_recv(&mut payload), too_long);
    let too_long = Err(RecvError::TooLong { len: 11, limit: 3 });
    assert_eq!(consumer.try_recv_slice(&mut [0; 3]), too_long);
    assert_eq!(consumer.try_recv_many(9, &mut payload, |_, _| {}), {
        Err(RecvError::TooLong { len: 11, limit: 10 })
    });
    assert_eq!(consumer.skip(), Ok(true));
    assert_eq!(drain(&mut consumer), [[2; 10]]);
}

#[test]
fn receives_many() {
    let ((mut producer, mut consumer), ..) = ring(256);
    (0..5).for_each(|n| producer.stage(n, &[n as u8]).unwrap());
    producer.publish();
    let (mut buffer, mut got) = (Vec::new(), Vec::new());
    let mut each = |record: Record, payload: &[u8]| got.push((record.tag, payload.to_vec()));
    assert_eq!(consumer.try_recv_many(2, &mut buffer, &mut each), Ok(2));
    assert_eq!(consumer.try_recv_many(9, &mut buffer, &mut each), Ok(3));
    assert_eq!(consumer.try_recv_many(9, &mut buffer, &mut each), Ok(0));
    assert_eq!(got, (0..5).map(|n| (n, vec![n as u8])).collect::<Vec<_>>());
}

#[test]
fn loans_are_sent_and_read_in_place() {
    let ((mut producer, mut consumer), ..) = ring(128);
    for lap in 0..40_u8 {
        // SAFETY: both sides keep the protocol, on this thread.
        let mut room = unsafe { producer.reserve(40) }.unwrap();
        room[..3].copy_from_slice(&[lap; 3]);
        room.commit(5, 3);
        // SAFETY: as above.
        let _unsent = unsafe { producer.reserve(20) }.unwrap();
        for _ in 0..2 {
            // SAFETY: as above.
            let record = unsafe { consumer.peek() }.unwrap().unwrap();
            assert_eq!((&record[..], record.tag()), (&[lap; 3][..], 5));
        }
        // SAFETY: as above.
        unsafe { consumer.peek() }.unwrap().unwrap().release();
        // SAFETY: as above.
        assert!(unsafe { consumer.peek() }.unwrap().is_none());
    }
    // SAFETY: as above.
    let none = unsafe { producer.reserve(0) }.unwrap();
    assert!(none.is_empty());
    none.commit(0, 0);
    assert_eq!(drain(&mut consumer), [b""]);
}

#[test]
#[should_panic(expected = "4 bytes committed of 3")]
fn no_more_is_committed_than_was_reserved() {
    let ((mut producer, _consumer), ..) = ring(64);
    // SAFETY: there is no other user.
    unsafe { producer.reserve(3) }.unwrap().commit(0, 4);
}

#[test]
fn what_is_no_ring_is_told_apart() {
    let (_, heap, layout) = ring(64);
    let attach = |layout| Producer::attach(heap.clone(), layout, Fence::Both).err();
    let other = Layout::new(128).unwrap();
    assert_eq!(attach(other), Some(AttachError::BadCapacity { found: 64 }));
    let large = Layout::new(1 << 20).unwrap();
    let (required, found) = (large.producer_len(), 8192);
    assert_eq!(attach(large), Some(AttachError::TooSmall { required, found }));

    struct Moved(Heap, usize, bool);
    // SAFETY: a part of the heap's areas, or those in the wrong order.
    unsafe impl Memory for Moved {
        fn areas(&self) -> Areas {
            let Areas { producer, consumer } = self.0.areas();
            let part = |area: Area| Area {
                base: area.base.map_addr(|addr| addr.saturating_add(self.1)),
                len: area.len - self.1,
            };
            let (producer, consumer) = (part(producer), part(consumer));
            if self.2 {
                return Areas { producer: consumer, consumer: producer };
            }
            Areas { producer, consumer }
        }
    }
    let moved = Consumer::attach(Moved(heap.clone(), 8, false), layout, Fence::Both);
    assert_eq!(moved.err(), Some(AttachError::Misaligned { align: 4096 }));
    let large = Heap::new(layout);
    let swapped = Observer::attach(Moved(large, 0, true)).err();
    assert!(matches!(swapped, Some(AttachError::TooSmall { .. } | AttachError::BadMagic)));

    let (mine, _) = words(&heap, layout);
    mine.store(1, VERSION + 1);
    assert_eq!(attach(layout), Some(AttachError::BadVersion { found: VERSION + 1 }));
    mine.store(0, 1);
    assert_eq!(attach(layout), Some(AttachError::BadMagic));
    for capacity in [0, 32, 65, 96, Layout::CAPACITY_MAX * 2] {
        let found = capacity as u64;
        assert_eq!(Layout::new(capacity), Err(AttachError::BadCapacity { found }));
    }
}

#[test]
fn a_used_ring_is_not_taken_for_a_new_one() {
    let ((mut producer, mut consumer), heap, layout) = ring(64);
    producer.try_send(b"one").unwrap();
    drop(producer);
    let again = Producer::attach(heap.clone(), layout, Fence::Both);
    assert_eq!(again.err(), Some(AttachError::InUse));
    drop(Consumer::attach(heap.clone(), layout, Fence::Both).expect("nothing received so far"));
    drain(&mut consumer);
    let again = Consumer::attach(heap, layout, Fence::Both);
    assert_eq!(again.err(), Some(AttachError::InUse));
}

#[test]
fn a_lie_about_the_head_is_found_out_for_good() {
    // Back, off the grid, ahead of what was sent.
    for head in [40, 60, 1 << 20, u64::MAX - 7] {
        let ((mut producer, mut consumer), heap, layout) = ring(64);
        (0..3).for_each(|_| producer.try_send(&[1; 8]).unwrap());
        drain(&mut consumer);
        producer.try_send(&[1; 8]).unwrap();
        let (_, heads) = words(&heap, layout);
        heads.store(CURSOR, head);
        // Until it has to look, the producer does not learn of it.
        let lied = (0..9).find_map(|_| producer.try_send(&[1; 8]).err()).unwrap();
        assert!(matches!(lied, SendError::Corrupt(Corrupt::Head { .. })), "{head}: {lied:?}");
        heads.store(CURSOR, 48);
        assert_eq!(producer.try_send(b""), Err(lied));
        assert_eq!(producer.has_room(1), Err(lied));
    }
}

#[test]
fn a_header_that_cannot_be_there_is_found_out_for_good() {
    let record = |len| record::Header::record(len, 0).encode();
    let pad = |size| record::Header::pad(size).encode();
    for word in [1, u64::MAX, record(25), record(200), record(u32::MAX as usize), pad(8), pad(64)] {
        let (_, heap, layout) = ring(64);
        let (records, _) = words(&heap, layout);
        let mut consumer = Consumer::resume(heap, layout, Fence::Both).unwrap();
        records.store(layout.index(0), word);
        let lied = consumer.skip().unwrap_err();
        assert_eq!(lied, RecvError::Corrupt(Corrupt::Header { position: 0, word }));
        records.store(layout.index(0), 0);
        assert_eq!(consumer.is_ready(), Err(lied));
        assert_eq!(consumer.try_recv(&mut Vec::new()), Err(lied));
    }
}

/// Nothing behind a pad, a second pad, and a record over what was not given back.
#[test]
fn a_pad_is_published_with_its_record() {
    for behind in [0, record::Header::pad(8).encode()] {
        let ((mut producer, mut consumer), heap, layout) = ring(64);
        producer.try_send(&[1; 24]).unwrap();
        producer.try_send(&[1; 16]).unwrap();
        assert_eq!(drain(&mut consumer).len(), 2);
        let (records, _) = words(&heap, layout);
        records.store(layout.index(0), behind);
        records.store(layout.index(56), record::Header::pad(8).encode());
        let lied = RecvError::Corrupt(Corrupt::Header { position: 64, word: behind });
        assert_eq!(consumer.skip(), Err(lied));
    }
}

#[test]
fn a_record_over_unread_ones_is_found_out() {
    let (_, heap, layout) = ring(64);
    let (records, _) = words(&heap, layout);
    let consumer = Consumer::resume(heap, layout, Fence::Both).unwrap();
    let mut consumer = consumer.publish_every(usize::MAX);
    for position in [0, 32] {
        records.store(layout.index(position), record::Header::record(24, 0).encode());
    }
    assert_eq!(consumer.skip(), Ok(true));
    let overrun = RecvError::Corrupt(Corrupt::Overrun { position: 32 });
    assert_eq!(consumer.skip(), Err(overrun));
}

#[test]
fn one_wake_answers_one_sleep() {
    let ((mut producer, mut consumer), heap, _) = ring(64);
    while producer.must_wake() || consumer.must_wake() {}
    producer.try_send(b"1").unwrap();
    assert!(!producer.must_wake(), "nobody sleeps");
    drain(&mut consumer);
    let seen = consumer.announce();
    assert!(!producer.must_wake(), "nothing new");
    producer.try_send(b"2").unwrap();
    assert!(producer.must_wake());
    producer.try_send(b"3").unwrap();
    assert!(!producer.must_wake(), "once a sleep");
    let stats = Observer::attach(heap.clone()).unwrap().stats();
    assert_eq!((stats.consumer_wakes, stats.consumer_sleeps), (1, true));
    // SAFETY: the word lies in the heap, and nobody writes to it now.
    assert_eq!(unsafe { *consumer.sleep_word() }, seen + 1);
    assert_eq!(consumer.sleep_word(), producer.wake_word());
    consumer.awake();
    let seen = consumer.announce();
    producer.try_send(b"4").unwrap();
    assert!(producer.must_wake());
    assert_eq!(seen, 1);
    consumer.awake();

    let _ = producer.announce();
    assert_eq!(producer.has_room(24), Ok(false));
    assert_eq!(consumer.skip(), Ok(true));
    assert!(consumer.must_wake(), "16 bytes are an eighth of 64, and more");
    assert_eq!(drain(&mut consumer).len(), 2);
    assert!(!consumer.must_wake(), "once a sleep");
    assert_eq!(producer.has_room(24), Ok(true));
    producer.awake();
    let stats = Observer::attach(heap).unwrap().stats();
    assert_eq!((stats.producer_wakes, stats.producer_sleeps), (1, false));
}

/// A peer that died in its sleep must not be rung for, and its successor must.
#[test]
fn who_takes_a_side_up_is_awake() {
    let ((mut producer, mut consumer), heap, layout) = ring(64);
    let _ = consumer.announce();
    drop(consumer);
    let mut consumer = Consumer::resume(heap.clone(), layout, Fence::Both).unwrap();
    producer.try_send(b"1").unwrap();
    assert!(!producer.must_wake());
    drop(producer);
    let mut producer = Producer::resume(heap, layout, Fence::Both).unwrap();
    let _ = consumer.announce();
    assert!(producer.must_wake(), "its predecessor may have published and died");
}

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
const NUMBERED: usize = if cfg!(miri) { 4 } else { 24 };

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

#[test]
fn stalls_are_counted_once() {
    let ((mut producer, _consumer), heap, layout) = ring(64);
    while producer.try_send(&[1; 8]).is_ok() {}
    for _ in 0..5 {
        assert_eq!(producer.try_send(&[1; 8]), Err(SendError::Full));
    }
    assert_eq!(words(&heap, layout).0.load(STALLS), 1);
}

/// Small under miri, which runs a few thousand times slower.
const STREAM: u64 = if cfg!(miri) { 60 } else { 50_000 };

/// Records of all lengths, by all the ways to send and to receive, over many laps.
#[test]
fn a_stream_between_two_threads_is_whole_and_in_order() {
    let ((mut producer, mut consumer), ..) = ring(1024);
    let sender = thread::spawn(move || {
        for n in 0..STREAM {
            let payload = vec![n as u8; 8 + (n * n % 300) as usize];
            let number = n.to_ne_bytes();
            loop {
                let sent = match n % 3 {
                    0 => producer.try_send_parts(n as u16, &[&number, &payload[8..]]),
                    1 => producer.stage_parts(n as u16, &[&number, &payload[8..]]),
                    // SAFETY: the consumer below keeps the protocol.
                    _ => unsafe { producer.reserve(payload.len()) }.map(|mut room| {
                        room.copy_from_slice(&payload);
                        room[..8].copy_from_slice(&number);
                        room.commit(n as u16, payload.len());
                    }),
                };
                match sent {
                    Ok(()) => break,
                    Err(SendError::Full) => thread::yield_now(),
                    Err(error) => panic!("{error}"),
                }
            }
        }
        producer.publish();
    });
    let mut payload = Vec::new();
    for n in 0..STREAM {
        let tag = loop {
            let received = if n % 2 == 0 {
                consumer.try_recv(&mut payload).unwrap().map(|record| record.tag)
            } else {
                // SAFETY: the producer above keeps the protocol.
                unsafe { consumer.peek() }.unwrap().map(|record| {
                    payload.clear();
                    payload.extend_from_slice(&record);
                    let tag = record.tag();
                    record.release();
                    tag
                })
            };
            match received {
                Some(tag) => break tag,
                None => thread::yield_now(),
            }
        };
        assert_eq!((tag, &payload[..8]), (n as u16, &n.to_ne_bytes()[..]));
        assert_eq!(payload.len(), 8 + (n * n % 300) as usize);
        assert!(payload[8..].iter().all(|byte| *byte == n as u8));
    }
    sender.join().unwrap();
    assert_eq!(consumer.is_ready(), Ok(false));
}

#[derive(Debug, Clone)]
enum Step {
    Send(usize),
    Stage(usize),
    Parts(usize, usize),
    Loan(usize, usize),
    Publish,
    Receive,
    ReceiveSlice(usize),
    ReceiveMany(usize),
    Peek,
    Skip,
    GiveBack,
    ResumeProducer,
    ResumeConsumer,
}

fn step() -> impl Strategy<Value = Step> {
    let len = || 0..140_usize;
    prop_oneof![
        6 => len().prop_map(Step::Send),
        3 => len().prop_map(Step::Stage),
        3 => (len(), len()).prop_map(|(len, at)| Step::Parts(len, at)),
        3 => (len(), len()).prop_map(|(len, less)| Step::Loan(len, less)),
        2 => Just(Step::Publish),
        6 => Just(Step::Receive),
        2 => len().prop_map(Step::ReceiveSlice),
        2 => (0..4_usize).prop_map(Step::ReceiveMany),
        2 => Just(Step::Peek),
        1 => Just(Step::Skip),
        1 => Just(Step::GiveBack),
        1 => Just(Step::ResumeProducer),
        1 => Just(Step::ResumeConsumer),
    ]
}

/// A ring beside a plain queue that does the same.
struct Model {
    producer: Producer<Heap>,
    consumer: Consumer<Heap>,
    heap: Heap,
    layout: Layout,
    staged: VecDeque<Vec<u8>>,
    queue: VecDeque<Vec<u8>>,
    count: u8,
}

impl Model {
    fn new() -> Self {
        let ((producer, consumer), heap, layout) = ring(256);
        let (staged, queue) = (VecDeque::new(), VecDeque::new());
        Model { producer, consumer, heap, layout, staged, queue, count: 0 }
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Send(len) => {
                if self.send(len, |producer, payload| producer.try_send(payload)) {
                    self.published();
                }
            }
            Step::Stage(len) => {
                self.send(len, |producer, payload| producer.stage(0, payload));
            }
            Step::Parts(len, at) => {
                self.send(len, |producer, payload| {
                    let (head, tail) = payload.split_at(at.min(payload.len()));
                    producer.stage_parts(0, &[head, tail])
                });
            }
            Step::Loan(len, less) => self.loan(len, less),
            Step::Publish => {
                self.producer.publish();
                self.published();
            }
            Step::Receive => {
                let mut payload = Vec::new();
                let got = self.consumer.try_recv(&mut payload).unwrap().map(|_| payload);
                assert_eq!(got, self.queue.pop_front());
            }
            Step::ReceiveSlice(len) => {
                let mut slice = vec![0; len];
                match self.consumer.try_recv_slice(&mut slice) {
                    Ok(Some(record)) => {
                        assert_eq!(slice[..record.len], self.queue.pop_front().unwrap());
                    }
                    Ok(None) => assert!(self.queue.is_empty()),
                    Err(RecvError::TooLong { len, .. }) => assert_eq!(len, self.queue[0].len()),
                    Err(error) => panic!("{error}"),
                }
            }
            Step::ReceiveMany(max) => {
                let (queue, mut buffer) = (&mut self.queue, Vec::new());
                let there = queue.len().min(max);
                let got = self.consumer.try_recv_many(max, &mut buffer, |_, payload| {
                    assert_eq!(payload, queue.pop_front().unwrap());
                });
                assert_eq!(got, Ok(there));
            }
            Step::Peek => {
                // SAFETY: both sides keep the protocol, on this thread.
                match unsafe { self.consumer.peek() }.unwrap() {
                    Some(record) => {
                        assert_eq!(*record, self.queue.pop_front().unwrap()[..]);
                        record.release();
                    }
                    None => assert!(self.queue.is_empty()),
                }
            }
            Step::Skip => {
                assert_eq!(self.consumer.skip(), Ok(self.queue.pop_front().is_some()));
            }
            Step::GiveBack => self.consumer.publish(),
            Step::ResumeProducer => {
                self.staged.clear();
                let heap = self.heap.clone();
                self.producer = Producer::resume(heap, self.layout, Fence::Both).unwrap();
            }
            Step::ResumeConsumer => {
                self.consumer.publish();
                let heap = self.heap.clone();
                self.consumer = Consumer::resume(heap, self.layout, Fence::Both).unwrap();
            }
        }
    }

    fn published(&mut self) {
        self.queue.append(&mut self.staged);
    }

    /// Whether it was taken.
    fn send(
        &mut self,
        len: usize,
        send: impl FnOnce(&mut Producer<Heap>, &[u8]) -> Result<(), SendError>,
    ) -> bool {
        self.count = self.count.wrapping_add(1);
        let payload = vec![self.count; len];
        let sent = send(&mut self.producer, &payload);
        match sent {
            Ok(()) => self.staged.push_back(payload),
            Err(error) => self.refused(error, len),
        }
        sent.is_ok()
    }

    fn loan(&mut self, len: usize, less: usize) {
        self.count = self.count.wrapping_add(1);
        // SAFETY: both sides keep the protocol, on this thread.
        match unsafe { self.producer.reserve(len) } {
            Ok(mut room) => {
                room.fill(self.count);
                room.commit(0, len.min(less));
                self.staged.push_back(vec![self.count; len.min(less)]);
                self.published();
            }
            Err(error) => self.refused(error, len),
        }
    }

    /// A ring is full if what is not given back, the pad and the record do not fit.
    fn refused(&mut self, error: SendError, len: usize) {
        match error {
            SendError::TooLarge { max, .. } => assert!(len > max),
            SendError::Full => {
                self.published();
                let in_use = Observer::attach(self.heap.clone()).unwrap().stats().bytes_in_use;
                let size = 8 + len.next_multiple_of(8);
                assert!(in_use as usize + size + size - 8 + 8 > 256, "{in_use} in use, {len} more");
            }
            error => panic!("{error}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 500 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn does_what_a_queue_does(steps in proptest::collection::vec(step(), 1..200)) {
        let mut model = Model::new();
        for step in steps {
            model.run(step);
        }
        model.producer.publish();
        model.published();
        assert_eq!(VecDeque::from(drain(&mut model.consumer)), model.queue);
        let stats = Observer::attach(model.heap).unwrap().stats();
        assert_eq!(stats.bytes_in_use, 0);
    }

    /// What the fuzz target does, on sound rings with some bytes changed.
    #[test]
    fn bears_whatever_it_finds(
        seed in 0..4_usize,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..24),
        program in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut input = exercise::seeds().swap_remove(seed);
        for (at, value) in changes {
            let at = at.index(input.len());
            input[at] = value;
        }
        input.extend(program);
        exercise::region(&input);
    }
}
