//! Tests that look inside.

// Thousands of rings: too many for miri, and they do nothing unsafe that the others do not.
#[cfg(not(miri))]
mod crash;
#[cfg(not(miri))]
mod model;
#[cfg(not(miri))]
mod reconnect;
mod stream;

use super::layout::{CURSOR, STALLS};
use super::memory::Words;
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
    let step = if cfg!(miri) { 5 } else { 1 };
    let seams = (0..=30).step_by(step).flat_map(|a| (a..=30).step_by(step).map(move |b| (a, b)));
    for (first, second) in seams {
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
    for _ in 0..if cfg!(miri) { 8 } else { 64 } {
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
    for lap in 0..if cfg!(miri) { 6 } else { 40_u8 } {
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

#[test]
fn stalls_are_counted_once() {
    let ((mut producer, _consumer), heap, layout) = ring(64);
    while producer.try_send(&[1; 8]).is_ok() {}
    for _ in 0..5 {
        assert_eq!(producer.try_send(&[1; 8]), Err(SendError::Full));
    }
    assert_eq!(words(&heap, layout).0.load(STALLS), 1);
}
