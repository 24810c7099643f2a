//! A store as the cases use it: every append waits for its outcome, every read is bytes.

use std::collections::HashMap;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use chaski_batch::{Builder, Codec, Header};
use uuid::Uuid;

use crate::store::{
    Append, AppendOutcome, AppendSink, Durability, LogConfig, LogStore, PartitionId, PartitionSpec,
    Read, ReadError, ReadOk, Slice,
};

/// How long an outcome may take before the case gives up: a dead store, not a slow disk.
const PATIENCE: Duration = Duration::from_secs(60);

/// A store and whoever collects its outcomes.
pub struct Probe {
    /// The store.
    pub store: Box<dyn LogStore>,
    outcomes: Arc<Outcomes>,
    sink: Arc<dyn AppendSink>,
    next_token: AtomicU64,
}

#[derive(Default)]
struct Outcomes {
    by_token: Mutex<HashMap<u64, AppendOutcome>>,
    arrived: Condvar,
}

impl AppendSink for Outcomes {
    fn appended(&self, token: u64, outcome: AppendOutcome) {
        let before = self.by_token.lock().unwrap().insert(token, outcome);
        assert!(before.is_none(), "token {token} was answered twice");
    }

    fn flush(&self) {
        self.arrived.notify_all();
    }
}

impl Probe {
    /// Wraps a store.
    pub fn new(store: Box<dyn LogStore>) -> Probe {
        let outcomes = Arc::new(Outcomes::default());
        Probe { store, sink: outcomes.clone(), outcomes, next_token: AtomicU64::new(0) }
    }

    /// Opens partition `index` of topic `topic` with default settings.
    pub fn open(&self, topic: &str, index: i32) -> PartitionId {
        self.store.open(&spec(topic, index, LogConfig::default())).unwrap()
    }

    /// Appends one batch and waits for the outcome.
    pub fn append(
        &self,
        partition: PartitionId,
        batch: &[u8],
        durability: Durability,
    ) -> AppendOutcome {
        let all = self.append_all(&[(partition, batch.to_vec(), durability)]);
        all.into_iter().next().unwrap()
    }

    /// Appends batches in one call and waits for the outcomes, which come in the same order.
    pub fn append_all(&self, batches: &[(PartitionId, Vec<u8>, Durability)]) -> Vec<AppendOutcome> {
        let tokens = self.send(batches);
        tokens.into_iter().map(|token| self.wait(token)).collect()
    }

    /// Appends batches in one call and waits for nothing.
    pub fn send(&self, batches: &[(PartitionId, Vec<u8>, Durability)]) -> Vec<u64> {
        let mut bytes: Vec<Vec<u8>> = batches.iter().map(|(_, batch, _)| batch.clone()).collect();
        let first = self.next_token.fetch_add(batches.len() as u64, Ordering::Relaxed);
        let tokens: Vec<u64> = (first..first + batches.len() as u64).collect();
        let mut appends: Vec<Append<'_>> = Vec::new();
        for ((batch, (partition, _, durability)), token) in
            bytes.iter_mut().zip(batches).zip(&tokens)
        {
            let header = chaski_batch::check(batch).unwrap();
            let (partition, durability, token) = (*partition, *durability, *token);
            appends.push(Append { partition, batch, header, durability, token });
        }
        let mut now = Vec::new();
        self.store.append(&mut appends, &mut now, &self.sink);
        for (token, outcome) in now {
            self.outcomes.appended(token, outcome);
        }
        self.outcomes.flush();
        tokens
    }

    /// The outcome of a batch that was sent.
    pub fn wait(&self, token: u64) -> AppendOutcome {
        let by_token = self.outcomes.by_token.lock().unwrap();
        let (mut by_token, waited) = self
            .outcomes
            .arrived
            .wait_timeout_while(by_token, PATIENCE, |outcomes| !outcomes.contains_key(&token))
            .unwrap();
        assert!(!waited.timed_out(), "no outcome for token {token}");
        by_token.remove(&token).unwrap()
    }

    /// The outcome of a batch that was sent, if it has come.
    pub fn poll(&self, token: u64) -> Option<AppendOutcome> {
        self.outcomes.by_token.lock().unwrap().remove(&token)
    }

    /// One read, as the store answers it.
    pub fn read_ok(
        &self,
        partition: PartitionId,
        offset: i64,
        max_bytes: usize,
        at_least_one: bool,
    ) -> Result<ReadOk, ReadError> {
        let mut results = Vec::new();
        self.store.read(&[Read { partition, offset, max_bytes, at_least_one }], &mut results);
        assert_eq!(results.len(), 1, "one result a read");
        results.pop().unwrap()
    }

    /// The bytes of one read, none if there are no records.
    pub fn read(
        &self,
        partition: PartitionId,
        offset: i64,
        max_bytes: usize,
    ) -> Result<Vec<u8>, ReadError> {
        let found = self.read_ok(partition, offset, max_bytes, true)?;
        Ok(found.records.map_or_else(Vec::new, |slice| bytes(&slice)))
    }

    /// All batches from `offset` to the high watermark, in reads of `max_bytes`.
    pub fn read_all(
        &self,
        partition: PartitionId,
        mut offset: i64,
        max_bytes: usize,
    ) -> Vec<(Header, Vec<u8>)> {
        let mut all = Vec::new();
        while offset < self.store.offsets(partition).unwrap().high_watermark {
            let found = split(&self.read(partition, offset, max_bytes).unwrap());
            offset = found.last().expect("records below the high watermark").0.next_offset();
            all.extend(found);
        }
        all
    }
}

/// The bytes a slice stands for.
pub(super) fn bytes(slice: &Slice) -> Vec<u8> {
    match slice {
        Slice::Bytes(bytes) => bytes.to_vec(),
        Slice::File { file, position, len } => {
            let mut bytes = vec![0; *len];
            file.read_exact_at(&mut bytes, *position).unwrap();
            bytes
        }
    }
}

/// Cuts what a read returned into its batches, each of which must be whole and right.
pub(super) fn split(mut bytes: &[u8]) -> Vec<(Header, Vec<u8>)> {
    let mut batches = Vec::new();
    while !bytes.is_empty() {
        let header = chaski_batch::check(bytes).expect("a read returns whole good batches");
        let (batch, rest) = bytes.split_at(header.total_len());
        batches.push((header, batch.to_vec()));
        bytes = rest;
    }
    batches
}

/// What names a partition: the topic's id follows from its name.
pub fn spec(topic: &str, index: i32, config: LogConfig) -> PartitionSpec {
    let mut id = [0; 16];
    id.iter_mut().zip(topic.bytes()).for_each(|(to, from)| *to = from);
    PartitionSpec { topic: topic.to_owned(), topic_id: Uuid::from_bytes(id), index, config }
}

/// A batch of so many records with consecutive timestamps.
pub fn batch(first_timestamp: i64, records: usize) -> Vec<u8> {
    batch_of(Codec::None, first_timestamp, records, 20)
}

/// A batch of so many records of so many bytes with consecutive timestamps.
pub fn batch_of(codec: Codec, first_timestamp: i64, records: usize, bytes: usize) -> Vec<u8> {
    fill(Builder::new(codec), first_timestamp, records, bytes)
}

/// A batch of an idempotent producer.
pub fn sequenced(id: i64, epoch: i16, sequence: i32, records: usize) -> Vec<u8> {
    fill(Builder::new(Codec::None).producer(id, epoch, sequence), 0, records, 20)
}

fn fill(mut builder: Builder, first_timestamp: i64, records: usize, bytes: usize) -> Vec<u8> {
    for i in 0..records {
        let value = vec![i as u8; bytes];
        builder.push(first_timestamp + i as i64, Some(b"key"), Some(&value), &[]);
    }
    builder.build().unwrap()
}
