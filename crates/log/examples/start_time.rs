//! How long a log takes to open: after `kill -9` with much in one partition, and after a clean
//! stop with many partitions.
//!
//! `cargo run --release -p chaski-log --example start_time [DIR]`
//!
//! The crash is real: a child process writes and aborts.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use chaski_batch::{Builder, Codec};
use chaski_log::LocalLog;
use chaski_log::store::{
    Append, AppendOutcome, AppendSink, Durability, LogConfig, LogStore, PartitionId, PartitionSpec,
};

const CRASH_BYTES: usize = 1400 << 20;
const PARTITIONS: i32 = 1000;
const PARTITION_BYTES: usize = 1 << 20;

struct Nobody;

impl AppendSink for Nobody {
    fn appended(&self, _: u64, _: AppendOutcome) {}
}

fn main() {
    let mut args = std::env::args_os().skip(1);
    let dir = args.next().map_or_else(std::env::temp_dir, PathBuf::from);
    if args.next().is_some() {
        return crash(&dir);
    }
    let dir = tempfile::tempdir_in(dir).expect("a directory to write in");
    let program = std::env::current_exe().expect("this program");
    let child = Command::new(program).arg(dir.path()).arg("crash").status();
    assert!(!child.expect("a child").success(), "it was to abort");

    let begun = Instant::now();
    let log = LocalLog::open(dir.path(), 2).expect("a log");
    let partition = open(&log, 0);
    let report = log.recovered(partition).expect("a report");
    let took = begun.elapsed().as_millis();
    let gib = CRASH_BYTES as f64 / f64::from(1 << 30);
    println!("after a crash with {gib:.2} GiB in one partition: {took} ms, {report:?}");
    log.delete(partition).expect("deleted");

    for index in 1..=PARTITIONS {
        let partition = open(&log, index);
        fill(&log, partition, PARTITION_BYTES);
    }
    log.close().expect("closed");
    drop(log);
    let begun = Instant::now();
    let log = LocalLog::open(dir.path(), 2).expect("a log");
    for index in 1..=PARTITIONS {
        open(&log, index);
    }
    let took = begun.elapsed().as_millis();
    println!("after a clean stop with {PARTITIONS} partitions of 1 MiB: {took} ms");
}

fn crash(dir: &Path) {
    let log = LocalLog::open(dir, 2).expect("a log");
    let partition = open(&log, 0);
    let begun = Instant::now();
    let slowest = fill(&log, partition, CRASH_BYTES);
    let took = begun.elapsed().as_millis();
    println!("written in {took} ms, the slowest append took {slowest} us");
    std::process::abort();
}

fn open(log: &LocalLog, index: i32) -> PartitionId {
    let config = LogConfig::default();
    let topic = "t".to_owned();
    log.open(&PartitionSpec { topic, topic_id: uuid::Uuid::nil(), index, config }).expect("opened")
}

/// Appends batches of 64 KiB; returns how many microseconds the slowest took.
fn fill(log: &LocalLog, partition: PartitionId, bytes: usize) -> u128 {
    let sink: Arc<dyn AppendSink> = Arc::new(Nobody);
    let mut builder = Builder::new(Codec::None);
    while builder.bytes() < 64 << 10 {
        builder.push(0, None, Some(&[7; 100]), &[]);
    }
    let mut batch = builder.build().expect("a batch");
    let header = chaski_batch::check(&batch).expect("a good batch");
    let mut slowest = 0;
    for _ in 0..bytes / batch.len() {
        let begun = Instant::now();
        let (batch, mut now) = (&mut batch[..], Vec::new());
        let append =
            Append { partition, batch, header, durability: Durability::PageCache, token: 0 };
        log.append(&mut [append], &mut now, &sink);
        assert!(now[0].1.is_ok());
        slowest = slowest.max(begun.elapsed().as_micros());
    }
    slowest
}
