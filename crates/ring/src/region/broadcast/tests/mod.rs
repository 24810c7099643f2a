//! Tests that look inside.

// Thousands of rings: too many for miri, and they do nothing unsafe that the others do not.
#[cfg(not(miri))]
mod crash;
#[cfg(not(miri))]
mod model;
mod torture;

use super::super::memory::Words;
use super::super::record::Header;
use super::super::{AttachError, Corrupt, Fence, HeapExtent};
use super::layout::{OLDEST, OVERWRITTEN, POSITION};
use super::*;

type Out = Publisher<HeapExtent>;
type In = Subscriber<HeapExtent>;

/// A publisher and its area.
fn publisher(capacity: usize, history: usize) -> (Out, HeapExtent) {
    let layout = Layout::new(capacity).unwrap();
    let area = HeapExtent::new(layout.publisher_len());
    (Publisher::new(area.clone(), layout, history, Fence::Both).unwrap(), area)
}

/// A page and its words.
fn page(layout: Layout) -> (HeapExtent, Words) {
    let page = HeapExtent::new(layout.subscriber_len());
    layout.format_subscriber(&page).unwrap();
    let words = layout.open_subscriber(&page).unwrap();
    (page, words)
}

fn subscribe(out: &mut Out, area: &HeapExtent, policy: Policy, history: usize) -> (Key, In) {
    let layout = out.layout();
    let (page, _) = page(layout);
    let (key, start) = out.subscribe(page.clone(), policy, history).unwrap();
    (key, Subscriber::attach(area.clone(), page, layout, start, Fence::Both).unwrap())
}

/// All that can be received now; a loss as the number of records lost.
fn drain(subscriber: &mut In) -> Vec<Result<Vec<u8>, u64>> {
    let mut payload = Vec::new();
    std::iter::from_fn(|| match subscriber.try_recv(&mut payload) {
        Ok(record) => record.map(|_| Ok(payload.clone())),
        Err(RecvError::Lagged { lost }) => Some(Err(lost)),
        Err(error) => panic!("{error}"),
    })
    .collect()
}

/// What `drain` says of records that hold these.
fn records<const N: usize>(payloads: [&[u8]; N]) -> Vec<Result<Vec<u8>, u64>> {
    payloads.map(|payload| Ok(payload.to_vec())).into()
}

#[test]
fn all_subscribers_get_all() {
    let (mut out, area) = publisher(1024, 0);
    let policies = [Policy::Block, Policy::DropOldest, Policy::Disconnect];
    let mut subscribers = policies.map(|policy| subscribe(&mut out, &area, policy, 0).1);
    out.try_publish(1, b"").unwrap();
    out.try_publish_parts(2, &[b"123", b"", b"4567890", b"1"]).unwrap();
    for subscriber in &mut subscribers {
        let mut payload = vec![1];
        let first = Record { len: 0, tag: 1, sequence: 0 };
        assert_eq!(subscriber.try_recv(&mut payload), Ok(Some(first)));
        assert!(payload.is_empty());
        let second = Record { len: 11, tag: 2, sequence: 1 };
        payload.push(b'0');
        assert_eq!(subscriber.try_append(&mut payload), Ok(Some(second)));
        assert_eq!(payload, b"012345678901");
        assert_eq!(subscriber.try_recv_slice(&mut [0; 4]), Ok(None));
    }
    out.try_publish(3, b"abc").unwrap();
    let mut slice = [0; 4];
    let third = Record { len: 3, tag: 3, sequence: 2 };
    assert_eq!(subscribers[0].try_recv_slice(&mut slice), Ok(Some(third)));
    assert_eq!(&slice, b"abc\0");
    assert_eq!(subscribers[1].skip(), Ok(true));
    assert_eq!(subscribers[1].skip(), Ok(false));
}

#[test]
fn what_is_staged_is_seen_at_once() {
    let (mut out, area) = publisher(1024, 0);
    let (_, mut subscriber) = subscribe(&mut out, &area, Policy::Block, 0);
    out.stage(0, b"a").unwrap();
    out.stage_parts(0, &[b"b"]).unwrap();
    assert_eq!(subscriber.is_ready(), Ok(false));
    out.publish();
    assert_eq!(drain(&mut subscriber), records([b"a", b"b"]));
    out.stage(0, b"c").unwrap();
    // Who comes now begins behind it.
    let (_, mut late) = subscribe(&mut out, &area, Policy::Block, 0);
    assert_eq!(drain(&mut subscriber), records([b"c"]));
    assert_eq!(drain(&mut late), []);
}

/// Staged records are published where they and the next one do not fit into the ring together.
#[test]
fn a_batch_longer_than_the_ring_is_published_in_parts() {
    let (mut out, area) = publisher(256, 0);
    let (_, mut subscriber) = subscribe(&mut out, &area, Policy::DropOldest, 0);
    for n in 0..20 {
        out.stage(0, &[n; 40]).unwrap();
    }
    out.publish();
    let got = drain(&mut subscriber);
    let lost = *got[0].as_ref().unwrap_err();
    assert_eq!(lost + got.len() as u64 - 1, 20);
    assert_eq!(got.last(), Some(&Ok(vec![19; 40])));
}

#[test]
fn the_longest_payload_fits_wherever_the_last_record_ended() {
    let (mut out, area) = publisher(256, 0);
    let (_, mut subscriber) = subscribe(&mut out, &area, Policy::Block, 0);
    let max = out.layout().payload_max();
    let too_large = PublishError::TooLarge { len: max + 1, max };
    assert_eq!(out.try_publish(0, &vec![5; max + 1]), Err(too_large));
    assert_eq!(out.has_room(max + 1), Err(too_large));
    for n in 0..if cfg!(miri) { 4 } else { 64 } {
        let longest = vec![n; max];
        out.try_publish(0, &longest).unwrap();
        assert_eq!(drain(&mut subscriber), records([&longest]));
        out.try_publish(0, b"").unwrap();
        assert_eq!(drain(&mut subscriber), records([b""]));
    }
}

/// Publishes records of 64 bytes, in all, until there is no room; how many.
fn fill(out: &mut Out) -> usize {
    (0..100).take_while(|n| out.try_publish(0, &[*n; 48]).is_ok()).count()
}

#[test]
fn one_that_may_lose_nothing_holds_the_publisher_up() {
    let (mut out, area) = publisher(1024, 0);
    let (key, mut subscriber) = subscribe(&mut out, &area, Policy::Block, 0);
    assert_eq!(fill(&mut out), 15, "of 16, less a word");
    assert_eq!(out.has_room(48), Ok(false));
    assert_eq!(out.try_publish(0, &[1; 48]), Err(PublishError::Full));
    let stats = out.stats();
    assert_eq!((stats.full_stalls, stats.records, stats.bytes), (1, 15, 15 * 48));
    assert_eq!((stats.subscribers, stats.bytes_kept, stats.tail), (1, 960, 960));
    assert_eq!(drain(&mut subscriber).len(), 15);
    assert_eq!(out.has_room(48), Ok(true));
    assert_eq!(fill(&mut out), 15);
    assert!(out.unsubscribe(key));
    assert_eq!(fill(&mut out), 100);
    assert_eq!(out.stats().full_stalls, 2);
}

#[test]
fn one_that_may_be_cut_off_is_where_it_is_in_the_way() {
    let (mut out, area) = publisher(1024, 0);
    let (slow, mut subscriber) = subscribe(&mut out, &area, Policy::Disconnect, 0);
    let (_, mut other) = subscribe(&mut out, &area, Policy::Disconnect, 0);
    for n in 0..15 {
        out.try_publish(0, &[n; 48]).unwrap();
        assert_eq!(other.skip(), Ok(true));
    }
    other.publish();
    assert_eq!(out.cut_off(), None);
    assert_eq!(out.has_room(48), Ok(true), "that may cost a subscriber");
    assert_eq!(out.cut_off(), None, "but nobody has been cut off by the question");
    out.try_publish(0, &[15; 48]).unwrap();
    assert_eq!(out.cut_off(), Some((slow, CutOff::Slow)));
    assert_eq!(out.cut_off(), None);
    assert!(!out.unsubscribe(slow) && !out.must_wake(slow));
    let stats = out.stats();
    assert_eq!((stats.cut_off, stats.subscribers), (1, 1));
    // It learns that it has not got all.
    assert!(matches!(subscriber.skip(), Err(RecvError::Lagged { lost: 1.. })));
    assert_eq!(drain(&mut other), records([&[15; 48]]));
}

/// One that must be waited for saves another from being cut off.
#[test]
fn nobody_is_cut_off_for_a_record_that_is_not_published() {
    let (mut out, area) = publisher(1024, 0);
    let (_, mut blocking) = subscribe(&mut out, &area, Policy::Block, 0);
    let (_, mut slow) = subscribe(&mut out, &area, Policy::Disconnect, 0);
    assert_eq!(fill(&mut out), 15);
    assert_eq!(out.cut_off(), None);
    assert_eq!(drain(&mut slow).len(), 15);
    assert_eq!(drain(&mut blocking).len(), 15);
    assert_eq!(fill(&mut out), 15);
    assert_eq!(out.cut_off(), None);
}

#[test]
fn one_that_is_overwritten_learns_what_it_lost() {
    let (mut out, area) = publisher(1024, 0);
    let (_, mut subscriber) = subscribe(&mut out, &area, Policy::DropOldest, 0);
    (0..15).for_each(|n| out.try_publish(0, &[n; 48]).unwrap());
    assert_eq!(subscriber.skip(), Ok(true));
    (15..17).for_each(|n| out.try_publish(0, &[n; 48]).unwrap());
    // An eighth, two records, in addition to what was needed for the first of the two.
    assert_eq!(out.stats().overwritten, 3);
    assert_eq!(subscriber.is_ready(), Ok(true));
    assert_eq!(subscriber.skip(), Err(RecvError::Lagged { lost: 2 }));
    assert_eq!((subscriber.lost(), subscriber.sequence()), (2, 3));
    let got = drain(&mut subscriber);
    assert!(got.into_iter().eq((3..17).map(|n| Ok(vec![n; 48]))));
    (0..10_u8).for_each(|n| out.try_publish(0, &[n; 400]).unwrap());
    assert!(matches!(subscriber.skip(), Err(RecvError::Lagged { lost: 8 | 9 })));
    assert_eq!(drain(&mut subscriber).last(), Some(&Ok(vec![9; 400])));
    assert_eq!(subscriber.is_ready(), Ok(false));
}

/// The one that `docs/design/broadcast.md` draws.
#[test]
fn the_oldest_position_is_where_a_record_begins() {
    let (mut out, area) = publisher(512, 0);
    (0..5).for_each(|n| out.try_publish(0, &[n; 80]).unwrap());
    let stats = out.stats();
    assert_eq!((stats.tail, stats.bytes_kept, stats.overwritten), (480, 480, 0));
    out.try_publish(0, &[5; 80]).unwrap();
    let stats = out.stats();
    assert_eq!((stats.tail, stats.bytes_kept, stats.overwritten), (608, 608 - 192, 2));
    let words = out.layout().open_publisher(&area).unwrap();
    assert_eq!(words.load(OLDEST), 192);
}

#[test]
fn who_comes_late_gets_what_is_remembered_and_still_there() {
    let (mut out, area) = publisher(1024, 5);
    let late =
        |out: &mut Out, history| drain(&mut subscribe(out, &area, Policy::DropOldest, history).1);
    assert_eq!(late(&mut out, 3), []);
    out.try_publish(0, b"a").unwrap();
    out.try_publish(0, b"b").unwrap();
    assert_eq!(late(&mut out, 0), []);
    assert_eq!(late(&mut out, 1), records([b"b"]));
    assert_eq!(late(&mut out, 9), records([b"a", b"b"]));
    (0..7).for_each(|n| out.try_publish(0, &[n]).unwrap());
    assert_eq!(late(&mut out, 9).len(), 5, "as many as are remembered");
    let count = if cfg!(miri) { 5 } else { 40 };
    for n in 0..count {
        out.try_publish(0, &[n; 400]).unwrap();
        let got = late(&mut out, 9);
        assert!(got.len() <= if n < 3 { 5 } else { 2 }, "as many as are there");
        assert_eq!(got.last(), Some(&Ok(vec![n; 400])));
    }
    let (key, start) = {
        let (page, _) = page(out.layout());
        out.subscribe(page, Policy::Block, 0).unwrap()
    };
    assert_eq!(start.sequence, out.sequence());
    assert_eq!(out.sequence(), 9 + u64::from(count));
    assert!(out.unsubscribe(key));
}

#[test]
fn a_record_over_the_limit_stays_until_it_is_skipped() {
    let (mut out, area) = publisher(1024, 0);
    let (_, subscriber) = subscribe(&mut out, &area, Policy::Block, 0);
    let mut subscriber = subscriber.limit(10);
    out.try_publish(0, &[1; 11]).unwrap();
    out.try_publish(0, &[2; 10]).unwrap();
    let mut payload = b"kept".to_vec();
    let too_long = Err(RecvError::TooLong { len: 11, limit: 10 });
    assert_eq!(subscriber.try_append(&mut payload), too_long);
    assert_eq!(payload, b"kept");
    assert_eq!(subscriber.try_recv(&mut payload), too_long);
    let too_long = Err(RecvError::TooLong { len: 11, limit: 3 });
    assert_eq!(subscriber.try_recv_slice(&mut [0; 3]), too_long);
    assert_eq!(subscriber.skip(), Ok(true));
    assert_eq!(drain(&mut subscriber), records([&[2; 10]]));
}

#[test]
fn a_cursor_that_can_be_none_costs_its_owner_the_place() {
    let wrong = [8, 20, 4096, u64::MAX - 7];
    for wrong in wrong.into_iter().take(if cfg!(miri) { 1 } else { 4 }) {
        let (mut out, area) = publisher(1024, 0);
        let (_, mut honest) = subscribe(&mut out, &area, Policy::Block, 0);
        (0..3).for_each(|_| out.try_publish(0, &[1; 48]).unwrap());
        assert_eq!(drain(&mut honest).len(), 3);
        let (page, words) = page(out.layout());
        let (liar, start) = out.subscribe(page, Policy::Block, 0).unwrap();
        assert_eq!(start.position, 3 * 64);
        words.store(POSITION, start.position);
        assert_eq!(fill(&mut out), 15);
        words.store(POSITION, wrong);
        assert_eq!(drain(&mut honest).len(), 15);
        assert_eq!(out.has_room(48), Ok(true));
        assert_eq!(out.cut_off(), Some((liar, CutOff::Corrupt)));
        assert_eq!(fill(&mut out), 15);
        assert_eq!(drain(&mut honest).len(), 15);
    }
}

#[test]
fn what_cannot_be_there_is_found_out_for_good() {
    let record = |len| Header::record(len, 0).encode();
    let pad = |size| Header::pad(size).encode();
    for word in [1, u64::MAX, record(497), record(u32::MAX as usize), pad(8), pad(1024)] {
        let (mut out, area) = publisher(1024, 0);
        let (_, mut subscriber) = subscribe(&mut out, &area, Policy::DropOldest, 0);
        let words = out.layout().open_publisher(&area).unwrap();
        words.store(out.layout().index(0), word);
        let lied = RecvError::Corrupt(Corrupt::Header { position: 0, word });
        assert_eq!(subscriber.skip(), Err(lied));
        words.store(out.layout().index(0), 0);
        assert_eq!(subscriber.try_recv(&mut Vec::new()), Err(lied));
        assert_eq!(subscriber.is_ready(), Err(lied));
    }
}

#[test]
fn numbers_and_positions_that_cannot_be_are_found_out() {
    let (mut out, area) = publisher(1024, 0);
    let words = out.layout().open_publisher(&area).unwrap();
    let (_, mut subscriber) = subscribe(&mut out, &area, Policy::DropOldest, 0);
    out.try_publish(0, b"1").unwrap();
    words.store(out.layout().index(0) + 1, 1);
    let wrong = Corrupt::Sequence { position: 0, sequence: 1, from: 0 };
    assert_eq!(subscriber.skip(), Err(RecvError::Corrupt(wrong)), "nothing was lost");

    for position in [4, u64::MAX - 7] {
        let (_, mut subscriber) = subscribe(&mut out, &area, Policy::DropOldest, 0);
        words.store(OLDEST, position);
        let wrong = if position < 8 {
            Ok(false)
        } else {
            Err(RecvError::Corrupt(Corrupt::Cursor { position }))
        };
        assert_eq!(subscriber.skip(), wrong);
    }
    // A loss that is not one: the record after it has a number of before.
    let (_, mut subscriber) = subscribe(&mut out, &area, Policy::DropOldest, 0);
    words.store(OLDEST, 512);
    words.store(OVERWRITTEN, 7);
    words.store(out.layout().index(512), Header::record(8, 0).encode());
    words.store(out.layout().index(512) + 1, 6);
    assert_eq!(subscriber.skip(), Err(RecvError::Lagged { lost: 6 }));
    let wrong = Corrupt::Sequence { position: 512, sequence: 6, from: 7 };
    assert_eq!(subscriber.skip(), Err(RecvError::Corrupt(wrong)));
}

#[test]
fn what_is_no_broadcast_is_told_apart() {
    let (mut out, area) = publisher(64, 0);
    let layout = out.layout();
    let (fine, words) = page(layout);
    let start = Start { position: 0, sequence: 0 };
    let attach = |area: &HeapExtent, page: &HeapExtent, layout, start| {
        Subscriber::attach(area.clone(), page.clone(), layout, start, Fence::Both).err()
    };
    assert_eq!(attach(&area, &fine, layout, start), None);
    assert_eq!(attach(&area, &area, layout, start), Some(AttachError::BadMagic));
    let other = Layout::new(128).unwrap();
    let wrong = AttachError::BadCapacity { found: 64 };
    assert_eq!(attach(&area, &fine, other, start), Some(wrong));
    let nowhere = Start { position: 4, sequence: 0 };
    let wrong = AttachError::Corrupt(Corrupt::Cursor { position: 4 });
    assert_eq!(attach(&area, &fine, layout, nowhere), Some(wrong));
    let (large, _) = page(other);
    let refused = out.subscribe(large.clone(), Policy::Block, 0).err();
    assert_eq!(refused, Some(AttachError::BadCapacity { found: 128 }));
    assert_eq!(attach(&area, &large, layout, start), Some(AttachError::BadCapacity { found: 128 }));
    words.store(1, 2);
    let refused = out.subscribe(fine, Policy::Block, 0).err();
    assert_eq!(refused, Some(AttachError::BadVersion { found: 2 }));
    let small = HeapExtent::new(1);
    let wrong = AttachError::TooSmall { required: 4096 + 64, found: 4096 };
    assert_eq!(Publisher::new(small, layout, 0, Fence::Both).err(), Some(wrong));
}

#[test]
fn one_wake_answers_one_sleep_of_each() {
    let (mut out, area) = publisher(1024, 0);
    let (first, mut subscriber) = subscribe(&mut out, &area, Policy::DropOldest, 0);
    let (second, mut other) = subscribe(&mut out, &area, Policy::DropOldest, 0);
    out.try_publish(0, b"1").unwrap();
    assert!(!out.must_wake(first) && !out.must_wake(second), "nobody sleeps");
    drain(&mut subscriber);
    let seen = subscriber.announce();
    out.try_publish(0, b"2").unwrap();
    assert!(out.must_wake(first) && !out.must_wake(second));
    // SAFETY: the word lies in the heap, and nobody writes to it now.
    assert_eq!(unsafe { *subscriber.sleep_word() }, seen + 1);
    assert_eq!(subscriber.sleep_word(), out.wake_word());
    out.try_publish(0, b"3").unwrap();
    assert!(!out.must_wake(first), "once a sleep");
    subscriber.awake();
    let _ = (subscriber.announce(), other.announce());
    assert!(out.must_wake(first) && out.must_wake(second));
    assert_eq!(out.stats().wakes, 3);
}

#[test]
fn a_publisher_that_waits_for_room_is_woken() {
    let (mut out, area) = publisher(1024, 0);
    let (_, mut subscriber) = subscribe(&mut out, &area, Policy::Block, 0);
    assert_eq!(fill(&mut out), 15);
    assert!(!subscriber.must_wake());
    out.announce();
    assert!(out.stats().sleeps);
    assert_eq!(out.has_room(48), Ok(false));
    assert_eq!(subscriber.skip(), Ok(true));
    assert!(!subscriber.must_wake(), "nothing was given back");
    assert_eq!(subscriber.skip(), Ok(true));
    assert!(subscriber.must_wake(), "an eighth was");
    assert_eq!(out.has_room(48), Ok(true));
    out.awake();
    assert!(!out.stats().sleeps);
}

#[test]
fn those_who_look_on_see_the_counters() {
    let (mut out, area) = publisher(1024, 0);
    let layout = out.layout();
    let (page, _) = page(layout);
    let (_, start) = out.subscribe(page.clone(), Policy::DropOldest, 0).unwrap();
    let subscriber = Subscriber::attach(area.clone(), page.clone(), layout, start, Fence::Both);
    let mut subscriber = subscriber.unwrap();
    (0..40).for_each(|n| out.try_publish(0, &[n; 48]).unwrap());
    let got = drain(&mut subscriber);
    let _ = subscriber.announce();
    let observer = Observer::attach(area.clone()).unwrap();
    let (stats, seen) =
        (observer.stats(), SubscriberObserver::attach(page.clone()).unwrap().stats());
    assert_eq!((observer.layout(), stats), (layout, out.stats()));
    assert_eq!(stats.overwritten, seen.lost);
    assert_eq!((stats.records, stats.tail, seen.cursor), (40, 40 * 64, 40 * 64));
    assert_eq!((seen.received, seen.bytes), (got.len() as u64 - 1, (got.len() as u64 - 1) * 48));
    assert_eq!(seen.received + seen.lost, 40);
    assert!(seen.sleeps);
    assert_eq!(Observer::attach(page).err(), Some(AttachError::BadMagic));
    assert_eq!(SubscriberObserver::attach(area).err(), Some(AttachError::BadMagic));
}
