//! Cases about appending.

use chaski_batch::Codec;

use super::probe::split;
use super::{Fixture, Probe, batch, batch_of, sequenced, spec};
use crate::store::Durability::{Disk, PageCache};
use crate::store::{AppendError, Appended, LogConfig, Offsets, PartitionId, ReadError, StoreError};

fn appended(base_offset: i64, duplicate: bool) -> Result<Appended, AppendError> {
    Ok(Appended { base_offset, log_start: 0, duplicate })
}

pub(super) fn offsets_are_assigned_in_order(fixture: &mut dyn Fixture) {
    let probe = Probe::new(fixture.fresh());
    let p = probe.open("orders", 0);
    assert_eq!(probe.store.offsets(p).unwrap(), Offsets::default());
    assert_eq!(probe.append(p, &batch(0, 3), PageCache), appended(0, false));
    assert_eq!(probe.append(p, &batch(0, 2), Disk), appended(3, false));
    assert_eq!(probe.append(p, &batch(0, 1), PageCache), appended(5, false));
    let offsets = Offsets { log_start: 0, high_watermark: 6, log_end: 6 };
    assert_eq!(probe.store.offsets(p).unwrap(), offsets);
    assert_eq!(probe.store.stats(p).unwrap().offsets, offsets);
    assert_eq!(probe.open("orders", 0), p, "opened twice");
}

pub(super) fn a_call_may_serve_several_partitions(fixture: &mut dyn Fixture) {
    let probe = Probe::new(fixture.fresh());
    let (p, q) = (probe.open("orders", 0), probe.open("orders", 1));
    let gone = PartitionId(77);
    let outcomes = probe.append_all(&[
        (p, batch(0, 1), PageCache),
        (p, batch(0, 2), Disk),
        (q, batch(0, 4), Disk),
        (gone, batch(0, 4), Disk),
        (p, batch(0, 1), PageCache),
        (q, batch(0, 1), PageCache),
    ]);
    let expected = [
        appended(0, false),
        appended(1, false),
        appended(0, false),
        Err(AppendError::NotFound),
        appended(3, false),
        appended(4, false),
    ];
    assert_eq!(outcomes, expected);
    assert_eq!(probe.read_all(p, 0, 1 << 20).len(), 3);
    assert_eq!(probe.read_all(q, 0, 1 << 20).len(), 2);
}

pub(super) fn batches_come_back_as_they_went(fixture: &mut dyn Fixture) {
    let probe = Probe::new(fixture.fresh());
    let p = probe.open("orders", 0);
    let codecs = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];
    let sent: Vec<Vec<u8>> = codecs.iter().map(|codec| batch_of(*codec, 5, 10, 100)).collect();
    for batch in &sent {
        probe.append(p, batch, PageCache).unwrap();
    }
    for (i, (header, got)) in probe.read_all(p, 0, 1 << 20).into_iter().enumerate() {
        assert_eq!((header.base_offset, header.leader_epoch), (i as i64 * 10, 0));
        // Base offset and leader epoch are the store's, everything else is the producer's.
        assert_eq!((&got[8..12], &got[16..]), (&sent[i][8..12], &sent[i][16..]));
    }
}

pub(super) fn idempotent_producers(fixture: &mut dyn Fixture) {
    let probe = Probe::new(fixture.fresh());
    let p = probe.open("orders", 0);
    let append = |id, epoch, first, n| probe.append(p, &sequenced(id, epoch, first, n), PageCache);
    assert_eq!(append(9, 0, 0, 3), appended(0, false));
    assert_eq!(append(9, 0, 3, 2), appended(3, false));
    assert_eq!(append(9, 0, 0, 3), appended(0, true));
    assert_eq!(append(9, 0, 3, 2), appended(3, true));
    let expected = AppendError::OutOfOrderSequence { producer_id: 9, got: 7, expected: 5 };
    assert_eq!(append(9, 0, 7, 1), Err(expected));
    assert_eq!(append(9, 1, 0, 1), appended(5, false));
    let fenced = AppendError::FencedEpoch { producer_id: 9, got: 0, current: 1 };
    assert_eq!(append(9, 0, 5, 1), Err(fenced));
    assert_eq!(append(10, 0, 44, 1), appended(6, false), "an unknown producer begins anywhere");

    // In one call, a batch and its repetition, and another that does not follow.
    let outcomes = probe.append_all(&[
        (p, sequenced(9, 1, 1, 1), PageCache),
        (p, sequenced(9, 1, 1, 1), PageCache),
        (p, sequenced(9, 1, 9, 1), PageCache),
        (p, sequenced(9, 1, 2, 1), PageCache),
    ]);
    let gap = AppendError::OutOfOrderSequence { producer_id: 9, got: 9, expected: 2 };
    assert_eq!(outcomes, [appended(7, false), appended(7, true), Err(gap), appended(8, false)]);
    assert_eq!(probe.store.offsets(p).unwrap().log_end, 9);
}

pub(super) fn a_durable_duplicate_is_answered(fixture: &mut dyn Fixture) {
    let probe = Probe::new(fixture.fresh());
    let p = probe.open("orders", 0);
    let outcomes = probe.append_all(&[
        (p, sequenced(9, 0, 0, 2), PageCache),
        (p, sequenced(9, 0, 0, 2), Disk),
        (p, sequenced(9, 0, 2, 2), Disk),
        (p, sequenced(9, 0, 2, 2), Disk),
    ]);
    assert_eq!(
        outcomes,
        [appended(0, false), appended(0, true), appended(2, false), appended(2, true)]
    );
    assert_eq!(probe.append(p, &sequenced(9, 0, 2, 2), Disk), appended(2, true));
    assert_eq!(probe.store.offsets(p).unwrap().high_watermark, 4);
}

pub(super) fn unknown_partitions(fixture: &mut dyn Fixture) {
    let probe = Probe::new(fixture.fresh());
    let p = PartitionId(3);
    assert_eq!(probe.append(p, &batch(0, 1), Disk), Err(AppendError::NotFound));
    assert_eq!(probe.read(p, 0, 1), Err(ReadError::NotFound));
    assert!(matches!(probe.store.offsets(p), Err(StoreError::NotFound)));
    assert!(matches!(probe.store.trim(p, 0), Err(StoreError::NotFound)));
    assert!(matches!(probe.store.delete(p), Err(StoreError::NotFound)));
    assert!(matches!(probe.store.stats(p), Err(StoreError::NotFound)));
    probe.store.unwatch(p, 1);
}

pub(super) fn a_closed_store_refuses(fixture: &mut dyn Fixture) {
    let probe = Probe::new(fixture.fresh());
    let p = probe.open("orders", 0);
    probe.append(p, &batch(0, 2), PageCache).unwrap();
    probe.store.close().unwrap();
    let refused = probe.append(p, &batch(0, 1), PageCache);
    assert_eq!(refused, Err(AppendError::Closed));
    assert_eq!(split(&probe.read(p, 0, 1000).unwrap()).len(), 1, "reads go on");
}

pub(super) fn a_topic_created_anew_is_empty(fixture: &mut dyn Fixture) {
    let probe = Probe::new(fixture.fresh());
    let p = probe.open("orders", 0);
    probe.append(p, &batch(0, 2), Disk).unwrap();
    probe.store.delete(p).unwrap();
    assert_eq!(probe.append(p, &batch(0, 1), Disk), Err(AppendError::NotFound));
    assert_eq!(probe.read(p, 0, 1), Err(ReadError::NotFound));

    let mut anew = spec("orders", 0, LogConfig::default());
    anew.topic_id = uuid::Uuid::from_u128(42);
    let q = probe.store.open(&anew).unwrap();
    assert_ne!(p, q, "an id is not used twice");
    assert_eq!(probe.store.offsets(q).unwrap(), Offsets::default());
    assert_eq!(probe.append(q, &batch(0, 1), PageCache), appended(0, false));
}

/// Several threads append to two partitions while others read them.
pub(super) fn many_threads(fixture: &mut dyn Fixture) {
    const BATCHES: usize = 100;
    let probe = Probe::new(fixture.fresh());
    let partitions = [probe.open("orders", 0), probe.open("orders", 1)];
    std::thread::scope(|scope| {
        for writer in 0..3_i64 {
            let probe = &probe;
            scope.spawn(move || {
                for i in 0..BATCHES {
                    let durability = if i % 10 == 9 { Disk } else { PageCache };
                    let one = sequenced(writer, 0, i as i32 * 2, 2);
                    let both = partitions.map(|p| (p, one.clone(), durability));
                    for outcome in probe.append_all(&both) {
                        assert!(!outcome.unwrap().duplicate);
                    }
                }
            });
        }
        for p in partitions {
            let probe = &probe;
            scope.spawn(move || {
                let (mut offset, end) = (0, 3 * BATCHES as i64 * 2);
                while offset < end {
                    for (header, _) in split(&probe.read(p, offset, 500).unwrap()) {
                        assert_eq!(header.base_offset, offset);
                        offset = header.next_offset();
                    }
                    std::thread::yield_now();
                }
            });
        }
    });
    for p in partitions {
        let mut sequences = [0; 3];
        for (header, _) in probe.read_all(p, 0, 1 << 20) {
            let sequence = &mut sequences[header.producer_id as usize];
            assert_eq!(header.base_sequence, *sequence, "a producer's batches keep their order");
            *sequence += 2;
        }
        assert_eq!(sequences, [BATCHES as i32 * 2; 3]);
    }
}

/// After a clean stop, and after one that was not, everything is as it was.
pub(super) fn a_store_remembers(fixture: &mut dyn Fixture) {
    let mut probe = Probe::new(fixture.fresh());
    let config = LogConfig { segment_bytes: 2000, ..LogConfig::default() };
    let of = |index| spec("orders", index, config.clone());
    let (p, q) = (probe.store.open(&of(0)).unwrap(), probe.store.open(&of(1)).unwrap());
    for i in 0..50 {
        probe.append(p, &sequenced(9, 0, i * 3, 3), PageCache).unwrap();
        probe.append(q, &batch(i.into(), 1), PageCache).unwrap();
    }
    probe.store.trim(p, 31).unwrap();
    for clean in [true, false, false, true] {
        let (before_p, before_q) = (probe.read_all(p, 31, 700), probe.read_all(q, 0, 700));
        let next = probe.store.offsets(p).unwrap().log_end;
        if clean {
            probe.store.close().unwrap();
        }
        drop(probe);
        let Some(store) = fixture.reopen() else { return };
        probe = Probe::new(store);
        assert_eq!((probe.store.open(&of(0)).unwrap(), probe.store.open(&of(1)).unwrap()), (p, q));
        let offsets = Offsets { log_start: 31, high_watermark: next, log_end: next };
        assert_eq!(probe.store.offsets(p).unwrap(), offsets);
        assert_eq!(probe.read_all(p, 31, 700), before_p);
        assert_eq!(probe.read_all(q, 0, 700), before_q);
        let last = sequenced(9, 0, next as i32 - 3, 3);
        let repeated = Appended { base_offset: next - 3, log_start: 31, duplicate: true };
        assert_eq!(probe.append(p, &last, Disk), Ok(repeated));
        probe.append(p, &sequenced(9, 0, next as i32, 3), PageCache).unwrap();
    }
}
