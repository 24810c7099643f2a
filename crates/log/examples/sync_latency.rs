//! What a durable append costs, with and without zeros written ahead of the tail.
//!
//! `cargo run --release -p chaski-log --example sync_latency [DIR]`
//!
//! A segment too small for a zone gets none, which is how the two are told apart. Rounds alternate,
//! so that a disk that changes its mind does so for both.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use chaski_batch::{Builder, Codec};
use chaski_log::LocalLog;
use chaski_log::store::{
    Append, AppendOutcome, AppendSink, Durability, LogConfig, LogStore, PartitionSpec,
};

const ROUNDS: i32 = 5;
const APPENDS: usize = 1000;

struct Sink(Sender<AppendOutcome>);

impl AppendSink for Sink {
    fn appended(&self, _: u64, outcome: AppendOutcome) {
        self.0.send(outcome).expect("somebody waits");
    }
}

fn main() {
    let dir = std::env::args_os().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = tempfile::tempdir_in(dir).expect("a directory to write in");
    let log = LocalLog::open(dir.path(), 1).expect("a log");
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        without.extend(measure(&log, "without", round, 400_000));
        with.extend(measure(&log, "with", round, 256 << 20));
    }
    report("growing the file", without);
    report("zeros ahead", with);
}

fn measure(log: &LocalLog, topic: &str, index: i32, segment_bytes: u64) -> Vec<Duration> {
    let config = LogConfig { segment_bytes, ..LogConfig::default() };
    let topic = topic.to_owned();
    let spec = PartitionSpec { topic, topic_id: uuid::Uuid::nil(), index, config };
    let partition = log.open(&spec).expect("a partition");
    let mut builder = Builder::new(Codec::None);
    builder.push(0, None, Some(&[7; 100]), &[]);
    let mut batch = builder.build().expect("a batch");
    let header = chaski_batch::check(&batch).expect("a good batch");
    let (sender, outcomes) = channel();
    let sink: Arc<dyn AppendSink> = Arc::new(Sink(sender));
    let mut took = Vec::with_capacity(APPENDS);
    for _ in 0..APPENDS {
        let begun = Instant::now();
        let batch = &mut batch[..];
        let append = Append { partition, batch, header, durability: Durability::Disk, token: 0 };
        log.append(&mut [append], &mut Vec::new(), &sink);
        outcomes.recv().expect("an outcome").expect("appended");
        took.push(begun.elapsed());
    }
    // The first few go before the zone is there.
    took.split_off(APPENDS / 10)
}

fn report(what: &str, mut took: Vec<Duration>) {
    took.sort_unstable();
    let at = |q: f64| took[((took.len() - 1) as f64 * q) as usize].as_micros();
    let [low, middle, high, top] = [0.1, 0.5, 0.9, 0.99].map(at);
    println!("{what:17} us: p10 {low:5}   p50 {middle:5}   p90 {high:5}   p99 {top:5}");
}
