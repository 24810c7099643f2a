//! Every byte of a small log is flipped, and every file cut at every byte. Nothing panics, no bad
//! batch is ever served, and every batch that is not itself damaged still is.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chaski_batch::Header;
use chaski_log::conformance::{Probe, sequenced, spec};
use chaski_log::inspect::{self, Kind};
use chaski_log::store::Durability::PageCache;
use chaski_log::store::{LogConfig, LogStore as _, OffsetQuery, PartitionId, ReadError};
use support::{FaultyDisk, copy, files, local, on, scratch};
use tempfile::TempDir;

/// A log of three segments with two batches each, and the copy that is damaged.
struct Bench {
    good: TempDir,
    /// Base offset to header and bytes.
    batches: BTreeMap<i64, (Header, Vec<u8>)>,
    work: TempDir,
}

fn config() -> LogConfig {
    LogConfig { segment_bytes: 270, index_interval_bytes: 50, ..LogConfig::default() }
}

impl Bench {
    fn new() -> Bench {
        let good = scratch();
        let probe = local(good.path());
        let p = probe.store.open(&spec("t", 0, config())).unwrap();
        for i in 0..6 {
            probe.append(p, &sequenced(5, 0, i * 2, 2), PageCache).unwrap();
        }
        let all = probe.read_all(p, 0, 100);
        let batches = all.into_iter().map(|(h, bytes)| (h.base_offset, (h, bytes))).collect();
        probe.store.close().unwrap();
        drop(probe);
        assert_eq!(files(good.path(), "log").len(), 3);
        assert_eq!(files(good.path(), "index").len(), 3);
        Bench { good, batches, work: scratch() }
    }

    /// A copy with one file changed. Without a checkpoint, recovery has to read everything.
    fn damage(&self, file: &Path, checkpoint: bool, change: impl FnOnce(&mut Vec<u8>)) {
        let target = self.work.path().join("log");
        let _ = fs::remove_dir_all(&target);
        copy(&self.good.path().join("log"), &target);
        if !checkpoint {
            fs::remove_file(target.join("t-0/checkpoint")).unwrap();
        }
        let path = target.join(file.strip_prefix(self.good.path().join("log")).unwrap());
        let mut bytes = fs::read(&path).unwrap();
        change(&mut bytes);
        fs::write(&path, bytes).unwrap();
    }

    /// Opens the copy and reads all of it. Offsets in `lost` may be missing, no others.
    fn examine(&self, lost: &Range<i64>, what: &str) {
        let probe = local(self.work.path());
        let p = probe.store.open(&spec("t", 0, config())).unwrap();
        let offsets = probe.store.offsets(p).unwrap();
        assert!(offsets.log_end == 12 || lost.contains(&offsets.log_end), "{what}: {offsets:?}");
        for offset in 0..offsets.log_end {
            self.examine_read(&probe, p, offset, lost, what);
        }
        for timestamp in [0, 1, 2] {
            let found = probe.store.find(p, OffsetQuery::AtOrAfter(timestamp)).unwrap();
            assert!(found.is_none_or(|f| f.offset < offsets.log_end && f.timestamp >= timestamp));
        }
        probe.store.find(p, OffsetQuery::MaxTimestamp).unwrap();
        let next = probe.append(p, &sequenced(6, 0, 0, 1), PageCache).unwrap();
        assert_eq!(next.base_offset, offsets.log_end, "{what}: it goes on where it ends");
    }

    fn examine_read(
        &self,
        probe: &Probe,
        p: PartitionId,
        offset: i64,
        lost: &Range<i64>,
        what: &str,
    ) {
        for max_bytes in [1, 100_000] {
            match probe.read(p, offset, max_bytes) {
                Ok(bytes) => {
                    let mut rest = &bytes[..];
                    assert!(!rest.is_empty(), "{what}: nothing at {offset}");
                    while !rest.is_empty() {
                        let base = i64::from_be_bytes(rest[..8].try_into().unwrap());
                        let (header, good) = &self.batches[&base];
                        assert_eq!(&rest[..good.len()], good, "{what}: a bad batch at {base}");
                        rest = &rest[header.total_len()..];
                    }
                    let base = i64::from_be_bytes(bytes[..8].try_into().unwrap());
                    assert!((base..base + 2).contains(&offset), "{what}: {base} for {offset}");
                }
                Err(ReadError::Corrupt { resumes, .. }) if lost.contains(&offset) => {
                    let end = probe.store.offsets(p).unwrap().high_watermark;
                    let resumes = resumes.unwrap_or(end);
                    assert!(resumes > offset && resumes <= lost.end.max(end), "{what}: {resumes}");
                    let behind = resumes == end || probe.read(p, resumes, 1).is_ok();
                    assert!(behind, "{what}: {offset} is lost, and so is {resumes} behind it");
                }
                Err(other) => panic!("{what}: offset {offset}: {other}"),
            }
        }
    }

    /// The batches of a segment: offsets and bytes.
    fn layout(&self, segment: &Path) -> Vec<(Range<i64>, Range<u64>)> {
        let stretches = inspect::batches(segment).unwrap().map(|s| s.unwrap());
        let batch = |s: inspect::Stretch| match s.kind {
            Kind::Batch(h) => (h.base_offset..h.next_offset(), s.position..s.position + s.len),
            other => panic!("{other:?} in a good segment"),
        };
        stretches.map(batch).collect()
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

#[test]
fn a_flip_at_every_byte_of_the_segments() {
    let bench = Bench::new();
    for file in files(bench.good.path(), "log") {
        for (offsets, bytes) in bench.layout(&file) {
            for at in bytes {
                for checkpoint in [true, false] {
                    let what = format!("byte {at} of {}, checkpoint {checkpoint}", name(&file));
                    bench.damage(&file, checkpoint, |b| b[at as usize] ^= 1 << (at % 8));
                    bench.examine(&offsets, &what);
                }
            }
        }
    }
}

#[test]
fn a_cut_at_every_byte_of_the_segments() {
    let bench = Bench::new();
    for file in files(bench.good.path(), "log") {
        let layout = bench.layout(&file);
        let end = layout.last().unwrap().0.end;
        for (offsets, bytes) in layout {
            for at in bytes {
                for checkpoint in [true, false] {
                    let what = format!("{} cut at {at}, checkpoint {checkpoint}", name(&file));
                    bench.damage(&file, checkpoint, |b| b.truncate(at as usize));
                    bench.examine(&(offsets.start..end), &what);
                }
            }
        }
    }
}

#[test]
fn zeros_from_every_byte_of_the_last_segment_are_a_torn_tail() {
    let bench = Bench::new();
    let file = files(bench.good.path(), "log").pop().unwrap();
    for (offsets, bytes) in bench.layout(&file) {
        for at in bytes {
            bench.damage(&file, false, |b| b[at as usize..].fill(0));
            bench.examine(&(offsets.start..12), &format!("zeros from {at}"));
        }
    }
}

#[test]
fn what_is_derived_is_never_evidence() {
    let bench = Bench::new();
    let mut derived: Vec<PathBuf> = files(bench.good.path(), "index");
    derived.extend(files(bench.good.path(), "timeindex"));
    derived.push(bench.good.path().join("log/t-0/checkpoint"));
    derived.push(bench.good.path().join("log/t-0/partition.json"));
    for file in derived {
        let len = fs::read(&file).unwrap().len();
        let identity = file.ends_with("partition.json");
        // A topic id that is damaged but readable is another topic's.
        for at in (0..len).filter(|_| !identity) {
            bench.damage(&file, true, |b| b[at] ^= 1 << (at % 8));
            bench.examine(&(0..0), &format!("byte {at} of {}", name(&file)));
        }
        for at in 0..len {
            bench.damage(&file, true, |b| b.truncate(at));
            bench.examine(&(0..0), &format!("{} cut at {at}", name(&file)));
        }
    }
}

/// An index whose checksum is right but which is another segment's, or an older self's.
#[test]
fn a_valid_index_that_lies_is_found_out() {
    let bench = Bench::new();
    let indexes = files(bench.good.path(), "index");
    let logs = files(bench.good.path(), "log");
    for (i, file) in indexes.iter().enumerate() {
        for (j, other) in indexes.iter().enumerate().filter(|(j, _)| *j != i) {
            bench.damage(file, true, |b| *b = fs::read(other).unwrap());
            bench.examine(&(0..0), &format!("index {j} for {i}"));
        }
    }
    // The first batch is gone from the segment, so that every entry of its index is off.
    let cut = bench.layout(&logs[0])[1].1.start as usize;
    bench.damage(&logs[0], true, |b| {
        b.drain(..cut);
        b.resize(b.len() + cut, 0);
    });
    bench.examine(&(0..4), "a segment shifted under its index");
}

#[test]
fn a_missing_segment_is_a_gap() {
    let bench = Bench::new();
    let logs = files(bench.good.path(), "log");
    for (i, file) in logs.iter().enumerate().take(2).skip(1) {
        let lost = bench.layout(file);
        let lost = lost[0].0.start..lost.last().unwrap().0.end;
        for checkpoint in [true, false] {
            bench.damage(&logs[0], checkpoint, |_| {});
            fs::remove_file(bench.work.path().join("log/t-0").join(name(file))).unwrap();
            bench.examine(&lost, &format!("segment {i} is missing"));
        }
    }
}

/// The power fails when the names of the segments behind the checkpoint are on disk in part.
#[test]
fn a_gap_right_behind_the_checkpoint_is_damage() {
    let bench = Bench::new();
    let early = scratch();
    let probe = local(early.path());
    let p = probe.store.open(&spec("t", 0, config())).unwrap();
    for i in 0..2 {
        probe.append(p, &sequenced(5, 0, i * 2, 2), PageCache).unwrap();
    }
    probe.store.close().unwrap();

    let logs = files(bench.good.path(), "log");
    bench.damage(&logs[0], false, |_| {});
    let log = bench.work.path().join("log");
    fs::copy(early.path().join("log/t-0/checkpoint"), log.join("t-0/checkpoint")).unwrap();
    fs::remove_file(log.join("t-0").join(name(&logs[1]))).unwrap();
    // While nothing is synced, the segment before the gap is served as recovery found it.
    let disk = Arc::new(FaultyDisk::default());
    let held = disk.hold();
    let probe = on(disk.clone(), bench.work.path());
    // Dropped before the store, whose end waits for it.
    let held = held;
    let p = probe.store.open(&spec("t", 0, config())).unwrap();
    let reads: Vec<_> = (4..8).map(|offset| probe.read(p, offset, 1)).collect();
    drop(held);
    for read in reads {
        assert!(matches!(read, Err(ReadError::Corrupt { resumes: Some(8), .. })), "{read:?}");
    }
    drop(probe);
    bench.examine(&(4..8), "the segment behind the checkpoint is missing");
}

#[test]
fn recovery_reports_what_it_cut_and_what_it_found() {
    let bench = Bench::new();
    let file = files(bench.good.path(), "log").pop().unwrap();
    let layout = bench.layout(&file);
    let open = || {
        let log = chaski_log::LocalLog::open(bench.work.path(), 1).unwrap();
        let p = log.open(&spec("t", 0, config())).unwrap();
        (log.recovered(p).unwrap(), log.stats(p).unwrap())
    };
    let last = layout.last().unwrap().clone();
    bench.damage(&file, false, |b| b.truncate(last.1.end as usize - 7));
    let (report, stats) = open();
    assert_eq!(report.truncated_at, Some(last.0.start));
    assert_eq!(report.truncated_bytes, last.1.end - last.1.start - 7);
    assert!(!report.checkpoint_used && report.damaged.is_empty() && stats.damaged.is_empty());

    bench.damage(&file, false, |b| b[70] ^= 1);
    let (report, stats) = open();
    assert_eq!((report.truncated_bytes, report.damaged.clone()), (0, vec![layout[0].0.start]));
    assert_eq!(stats.damaged, report.damaged);

    bench.damage(&file, true, |_| {});
    let (report, _) = open();
    assert!(report.checkpoint_used && report.scanned_bytes == 0);
}

#[test]
fn inspection_shows_damage_and_zeros() {
    let bench = Bench::new();
    let file = files(bench.good.path(), "log").remove(0);
    let batches = bench.layout(&file);
    let copy = bench.work.path().join(name(&file));
    let mut bytes = fs::read(&file).unwrap();
    bytes[batches[0].1.start as usize + 65] ^= 4;
    bytes.resize(bytes.len() + 5000, 0);
    fs::write(&copy, &bytes).unwrap();
    let kinds: Vec<Kind> = inspect::batches(&copy).unwrap().map(|s| s.unwrap().kind).collect();
    assert!(matches!(&kinds[0], Kind::Damage { header: Some(h), tail: false, .. }
        if h.base_offset == 0));
    assert!(matches!(kinds[1], Kind::Batch(h) if h.base_offset == 2));
    assert_eq!(kinds.last(), Some(&Kind::Zeros));

    let index = inspect::offset_index(&file.with_extension("index")).unwrap();
    assert_eq!((index.base_offset, index.covered_bytes), (0, batches.last().unwrap().1.end));
    assert!(index.entries.iter().any(|e| e.position == batches[1].1.start && e.offset == 2));
    assert!(inspect::time_index(&file.with_extension("timeindex")).is_ok());
    let checkpoint = inspect::checkpoint(&file.with_file_name("checkpoint")).unwrap();
    assert_eq!((checkpoint.next_offset, checkpoint.producers), (12, 1));
    assert!(inspect::offset_index(&file).is_err() && inspect::checkpoint(&file).is_err());
}
