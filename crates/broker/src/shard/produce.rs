//! Produce: batches from the socket's buffer to the log, without a copy and without a look at a
//! record.
//!
//! All Produce requests that one read brought are gathered first: each batch is checked where it
//! lies (header, CRC32C), then everything is appended by one call to the store, which makes one
//! write a partition of it. Outcomes that are known at once answer at once; the others come back
//! by token.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use chaski_batch::{Codec, Header};
use chaski_kafka::{ApiKey, ErrorCode, frame_response, produce};
use chaski_log::store::{Append, AppendOutcome, Durability, PartitionId};
use chaski_reactor::{ConnId, Io};
use slab::Slab;

use super::connection::Answer;
use super::{Shard, Taken};
use crate::admission::{self, Fit, Refusal};
use crate::cluster::{Topic, TopicConfig};

/// First version of Produce that may carry zstd.
const ZSTD_FROM: i16 = 7;

/// A produce request whose appends are under way.
#[derive(Debug)]
pub(crate) struct ProduceWait {
    conn: ConnId,
    sequence: u64,
    version: i16,
    correlation_id: i32,
    acks: i16,
    began: Instant,
    /// Appends without an outcome.
    outstanding: usize,
    parts: Vec<Part>,
}

/// The answer for one partition, as it will stand in the response.
#[derive(Debug)]
struct Part {
    topic: Arc<str>,
    /// This part begins another topic of the request.
    begins_topic: bool,
    index: i32,
    error: ErrorCode,
    message: Option<String>,
    base_offset: i64,
    append_time_ms: i64,
    log_start: i64,
}

/// Appends on their way to the store.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// Requests with nothing left to wait for once the appends are made.
    requests: Vec<usize>,
    appends: Vec<Pending>,
}

#[derive(Debug)]
struct Pending {
    /// Where the batch lies in the input.
    batch: Range<usize>,
    partition: PartitionId,
    header: Header,
    durability: Durability,
    token: u64,
}

impl Gathered {
    /// Drops what was gathered: its connection is being closed.
    pub(crate) fn forget(&mut self, waits: &mut Slab<ProduceWait>) {
        self.appends.clear();
        for key in self.requests.drain(..) {
            waits.try_remove(key);
        }
    }
}

impl Shard {
    /// Takes one Produce request whose body lies at `body` in `input`.
    pub(super) fn take_produce(
        &mut self,
        io: &Io<'_>,
        id: ConnId,
        input: &mut [u8],
        body: Range<usize>,
        version: i16,
        correlation_id: i32,
    ) -> Taken {
        let Ok(request) = produce::decode_ranges(&input[body.clone()], version) else {
            return Taken::Hopeless("malformed produce request");
        };
        let Some(connection) = self.connections.get_mut(&id) else { return Taken::Done };
        let key = self.produces.insert(ProduceWait {
            conn: id,
            sequence: connection.begin(),
            version,
            correlation_id,
            acks: request.acks,
            began: io.now(),
            outstanding: 0,
            parts: Vec::new(),
        });
        self.gathered.requests.push(key);
        let cluster = self.broker.cluster.load();
        let transactional = request.transactional_id.is_some();
        for topic in request.topics {
            let name = range_in(&body, topic.name);
            let known = str::from_utf8(&input[name.clone()])
                .ok()
                .and_then(|name| cluster.by_name.get(name))
                .cloned();
            let name = match &known {
                Some(topic) => topic.name.clone(),
                None => String::from_utf8_lossy(&input[name]).into(),
            };
            for (i, partition) in topic.partitions.into_iter().enumerate() {
                let records = partition.records.map(|records| range_in(&body, records));
                let part = Part {
                    topic: name.clone(),
                    begins_topic: i == 0,
                    index: partition.index,
                    error: ErrorCode::NONE,
                    message: None,
                    base_offset: -1,
                    append_time_ms: -1,
                    log_start: -1,
                };
                let admitted = self.admit(
                    known.as_deref(),
                    partition.index,
                    records,
                    input,
                    Terms { acks: request.acks, version, transactional },
                );
                self.gather(key, part, admitted);
            }
        }
        Taken::Done
    }

    /// Checks one partition's records; they may go to the store if this is well.
    fn admit(
        &self,
        topic: Option<&Topic>,
        index: i32,
        records: Option<Range<usize>>,
        input: &mut [u8],
        terms: Terms,
    ) -> Result<Admitted, Refusal> {
        let durability = self.durability(terms.acks)?;
        if terms.transactional {
            return Err(Refusal(
                ErrorCode::UNSUPPORTED_VERSION,
                Some("transactions are not supported yet".to_owned()),
            ));
        }
        let topic = topic.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        let partition = topic.partition(index).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        let range = records.filter(|r| !r.is_empty()).ok_or(ErrorCode::INVALID_RECORD)?;
        let batch = &mut input[range.clone()];
        let Fit { header, append_time_ms } = admit_batch(batch, &topic.config, terms.version)?;
        Ok(Admitted { range, partition, header, durability, append_time_ms })
    }

    fn durability(&self, acks: i16) -> Result<Durability, Refusal> {
        match acks {
            0 => Ok(Durability::PageCache),
            1 => Ok(self.broker.acks_one),
            -1 => Ok(self.broker.acks_all),
            _ => Err(ErrorCode::INVALID_REQUIRED_ACKS.into()),
        }
    }

    fn gather(&mut self, key: usize, mut part: Part, admitted: Result<Admitted, Refusal>) {
        let wait = &mut self.produces[key];
        match admitted {
            Ok(admitted) => {
                self.stats.produced_records.add(admitted.header.record_count as u64);
                self.stats.produced_bytes.add(admitted.range.len() as u64);
                self.stats.produced_batches.add(1);
                part.append_time_ms = admitted.append_time_ms;
                wait.outstanding += 1;
                self.gathered.appends.push(Pending {
                    batch: admitted.range,
                    partition: admitted.partition,
                    header: admitted.header,
                    durability: admitted.durability,
                    token: (key as u64) << 32 | wait.parts.len() as u64,
                });
            }
            Err(Refusal(code, message)) => {
                self.stats.produce_errors.add(1);
                part.error = code;
                part.message = message;
            }
        }
        wait.parts.push(part);
    }

    /// Appends all that was gathered from `input` and answers what can be answered.
    pub(super) fn flush_appends(&mut self, io: &mut Io<'_>, input: &mut [u8]) {
        if self.gathered.requests.is_empty() {
            return;
        }
        let mut appends = cut_out(&self.gathered.appends, input);
        let mut outcomes = std::mem::take(&mut self.outcomes);
        self.broker.store.append(&mut appends, &mut outcomes, &self.append_sink);
        drop(appends);
        self.gathered.appends.clear();
        for (token, outcome) in outcomes.drain(..) {
            self.note_outcome(token, outcome);
        }
        self.outcomes = outcomes;
        // One look at the clock for all of them: some 25 ns beside a write of some microseconds.
        let now = Instant::now();
        let mut requests = std::mem::take(&mut self.gathered.requests);
        for key in requests.drain(..) {
            self.answer_produce_if_done(io, key, now);
        }
        self.gathered.requests = requests;
    }

    /// A durable append has its outcome.
    pub(super) fn append_done(&mut self, io: &mut Io<'_>, token: u64, outcome: AppendOutcome) {
        self.note_outcome(token, outcome);
        self.answer_produce_if_done(io, (token >> 32) as usize, Instant::now());
    }

    fn note_outcome(&mut self, token: u64, outcome: AppendOutcome) {
        let Some(wait) = self.produces.get_mut((token >> 32) as usize) else { return };
        wait.outstanding -= 1;
        let part = &mut wait.parts[(token & u64::from(u32::MAX)) as usize];
        match outcome {
            Ok(appended) => {
                part.base_offset = appended.base_offset;
                part.log_start = appended.log_start;
            }
            Err(error) => {
                self.stats.produce_errors.add(1);
                part.error = admission::code_of(&error);
                part.message = Some(error.to_string());
            }
        }
    }

    fn answer_produce_if_done(&mut self, io: &mut Io<'_>, key: usize, now: Instant) {
        if self.produces.get(key).is_none_or(|wait| wait.outstanding > 0) {
            return;
        }
        let wait = self.produces.remove(key);
        self.stats.produce_latency.record(now.saturating_duration_since(wait.began));
        if wait.acks != 0 {
            let answer = Answer::Frame(wait.frame());
            self.answer(io, wait.conn, wait.sequence, answer);
        } else {
            self.answer(io, wait.conn, wait.sequence, Answer::None);
            // With acks=0 a hang-up is the only way to tell the client that something is wrong.
            if wait.parts.iter().any(|part| part.error != ErrorCode::NONE) {
                io.close(wait.conn);
            }
        }
    }
}

/// What a request says about all of its partitions.
#[derive(Clone, Copy)]
struct Terms {
    acks: i16,
    version: i16,
    transactional: bool,
}

/// A batch that may be appended.
struct Admitted {
    range: Range<usize>,
    partition: PartitionId,
    header: Header,
    durability: Durability,
    append_time_ms: i64,
}

impl ProduceWait {
    fn frame(&self) -> Vec<u8> {
        let mut responses: Vec<produce::Topic<'_>> = Vec::new();
        for part in &self.parts {
            if part.begins_topic {
                responses.push(produce::Topic { name: &part.topic, ..Default::default() });
            }
            if let Some(topic) = responses.last_mut() {
                topic.partition_responses.push(produce::Partition {
                    index: part.index,
                    error_code: part.error,
                    base_offset: part.base_offset,
                    log_append_time_ms: part.append_time_ms,
                    log_start_offset: part.log_start,
                    error_message: part.message.as_deref(),
                    ..Default::default()
                });
            }
        }
        let response = produce::Response { responses, ..Default::default() };
        frame_response(ApiKey::Produce, self.version, self.correlation_id, &response).into_bytes()
    }
}

/// `inner`, which is relative to the start of `outer`, as a range of what `outer` is a range of.
fn range_in(outer: &Range<usize>, inner: Range<usize>) -> Range<usize> {
    outer.start + inner.start..outer.start + inner.end
}

/// The gathered batches as disjoint mutable slices of `input`; they were gathered in input order.
fn cut_out<'a>(pending: &[Pending], input: &'a mut [u8]) -> Vec<Append<'a>> {
    let mut appends = Vec::with_capacity(pending.len());
    let mut rest = input;
    let mut passed = 0;
    for one in pending {
        let (_, from_start) = std::mem::take(&mut rest).split_at_mut(one.batch.start - passed);
        let (batch, after) = from_start.split_at_mut(one.batch.len());
        passed = one.batch.end;
        rest = after;
        appends.push(Append {
            partition: one.partition,
            batch,
            header: one.header,
            durability: one.durability,
            token: one.token,
        });
    }
    appends
}

/// Checks a batch against the protocol and the topic's settings; stamps it if the topic's clock
/// is the broker's.
fn admit_batch(batch: &mut [u8], topic: &TopicConfig, version: i16) -> Result<Fit, Refusal> {
    let header = admission::check(batch, topic)?;
    if version < ZSTD_FROM && header.codec()? == Codec::Zstd {
        return Err(ErrorCode::UNSUPPORTED_COMPRESSION_TYPE.into());
    }
    admission::fit(batch, header, topic, chaski_batch::has_null_key)
}

/// Wall-clock time in milliseconds since the epoch.
pub(crate) fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64)
}
