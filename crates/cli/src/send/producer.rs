//! Batches on their way to the broker.
//!
//! Each partition has one batch that fills. A batch that is full goes at once; all go when the
//! input pauses, or when together they reach [`OPEN_BYTES_MAX`]. Up to [`IN_FLIGHT_MAX`] requests
//! are unanswered. Nothing is sent twice: after a failure it is not known what the broker has of
//! the unanswered ones, and the user is told so.

use std::collections::{BTreeMap, VecDeque};

use chaski_batch::{Builder, Codec};
use chaski_kafka::{ErrorCode, metadata, produce};

use super::partitioner::Partitioner;
use super::record::Outgoing;
use crate::args::{Acks, CodecName, Send};
use crate::client::{Client, ClientError, REQUEST_MS, Refusal, Ticket, TopicInfo};
use crate::failure::Failure;
use crate::output::count;
use crate::progress::Tally;

const IN_FLIGHT_MAX: usize = 5;
/// Bytes of records, not compressed, in all batches that fill.
const OPEN_BYTES_MAX: usize = 16 << 20;
/// What a record takes besides its key, value and headers, at most.
const RECORD_OVERHEAD: usize = 40;
/// The same for a header.
const HEADER_OVERHEAD: usize = 10;

/// Sends records to one topic.
#[derive(Debug)]
pub(super) struct Producer<'a> {
    client: Client,
    topic: &'a str,
    partitions: Vec<i32>,
    args: &'a Send,
    headers: Vec<(&'a str, Option<&'a [u8]>)>,
    partitioner: Partitioner,
    /// The batches that fill, by partition.
    open: BTreeMap<i32, Open>,
    /// Bytes in all of them.
    open_bytes: usize,
    in_flight: VecDeque<InFlight>,
    acknowledged: Tally,
    buf: Vec<u8>,
}

/// A batch that fills.
#[derive(Debug)]
struct Open {
    builder: Builder,
    sent: Sent,
}

/// What a batch holds.
#[derive(Debug, Clone, Copy)]
struct Sent {
    partition: i32,
    /// Line of the input with its first record.
    line: u64,
    tally: Tally,
}

/// A request without an answer so far.
#[derive(Debug)]
struct InFlight {
    ticket: Ticket,
    batches: Vec<Sent>,
}

impl<'a> Producer<'a> {
    pub(super) fn new(client: Client, topic: &'a TopicInfo, args: &'a Send) -> Producer<'a> {
        // Many short runs in a row are to reach all partitions.
        let start = jiff::Timestamp::now().subsec_nanosecond().unsigned_abs() / 1000;
        let count = u32::try_from(topic.partitions.len()).unwrap_or(u32::MAX).max(1);
        Producer {
            client,
            topic: &topic.name,
            partitions: topic.partitions.clone(),
            args,
            headers: args.headers.iter().map(|(k, v)| (k.as_str(), Some(v.as_bytes()))).collect(),
            partitioner: Partitioner::new(count, start),
            open: BTreeMap::new(),
            open_bytes: 0,
            in_flight: VecDeque::new(),
            acknowledged: Tally::default(),
            buf: Vec::new(),
        }
    }

    /// Adds a record to the batch of its partition, which goes once it is full.
    pub(super) fn push(
        &mut self,
        record: &Outgoing<'_>,
        now_ms: i64,
        line: u64,
    ) -> Result<(), Failure> {
        let partition = self.partition(record, line)?;
        let bytes_max = self.args.batch_bytes as usize;
        let need = self.need(record);
        if self.open.get(&partition).is_some_and(|open| open.builder.bytes() + need > bytes_max) {
            self.dispatch(&[partition])?;
        }
        let codec = codec(self.args.codec);
        let open = self.open.entry(partition).or_insert_with(|| Open {
            builder: Builder::new(codec),
            sent: Sent { partition, line, tally: Tally::default() },
        });
        let before = if open.builder.is_empty() { 0 } else { open.builder.bytes() };
        open.push(record, record.timestamp.unwrap_or(now_ms), &self.headers);
        self.open_bytes += open.builder.bytes() - before;
        if open.builder.bytes() >= bytes_max {
            self.dispatch(&[partition])
        } else if self.open_bytes >= OPEN_BYTES_MAX {
            self.dispatch_all()
        } else {
            Ok(())
        }
    }

    /// Sends all that was gathered and waits until the broker has it.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        self.dispatch_all()?;
        while !self.in_flight.is_empty() {
            self.settle()?;
        }
        Ok(())
    }

    /// Flushes, and tells what was sent. Without acknowledgements, makes sure that the broker has
    /// read it all: it answers in order.
    pub(super) fn finish(mut self) -> Result<Tally, Failure> {
        self.flush()?;
        if self.args.acks == Acks::Zero {
            let nothing = metadata::Request { topics: Some(Vec::new()), ..Default::default() };
            self.client.call(&nothing, &mut self.buf)?;
        }
        Ok(self.acknowledged)
    }

    /// Whether there is nothing to flush.
    pub(super) fn is_idle(&self) -> bool {
        self.open.is_empty() && self.in_flight.is_empty()
    }

    /// What the broker has, as far as it was asked to say.
    pub(super) fn acknowledged(&self) -> Tally {
        self.acknowledged
    }

    fn partition(&self, record: &Outgoing<'_>, line: u64) -> Result<i32, Failure> {
        let Some(partition) = record.partition.or(self.args.partition) else {
            let index = self.partitioner.choose(record.key.as_deref());
            return Ok(self.partitions[index as usize]);
        };
        if self.partitions.contains(&partition) {
            return Ok(partition);
        }
        let (topic, last) = (self.topic, self.partitions.last().copied().unwrap_or(-1));
        let what = format!("line {line} is for partition {partition}");
        Err(Failure::new(what).hint(format!("topic `{topic}` has partitions 0 to {last}")))
    }

    /// The most a record takes in a batch.
    fn need(&self, record: &Outgoing<'_>) -> usize {
        let given = self.headers.iter().map(|(k, v)| k.len() + v.map_or(0, <[u8]>::len));
        let own = record.headers.iter().map(|(k, v)| k.len() + v.as_ref().map_or(0, Vec::len));
        let headers = given.chain(own).map(|bytes| bytes + HEADER_OVERHEAD).sum::<usize>();
        RECORD_OVERHEAD + payload(record) + headers
    }

    fn dispatch_all(&mut self) -> Result<(), Failure> {
        let all: Vec<i32> = self.open.keys().copied().collect();
        if all.is_empty() { Ok(()) } else { self.dispatch(&all) }
    }

    /// Sends the open batches of these partitions in one request.
    fn dispatch(&mut self, partitions: &[i32]) -> Result<(), Failure> {
        let (batches, built) = self.close(partitions)?;
        let partition_data = batches
            .iter()
            .zip(&built)
            .map(|(sent, batch)| produce::RequestPartition {
                index: sent.partition,
                records: Some(batch),
            })
            .collect();
        let request = produce::Request {
            transactional_id: None,
            acks: acks(self.args.acks),
            timeout_ms: REQUEST_MS,
            topic_data: vec![produce::RequestTopic { name: self.topic, partition_data }],
        };
        let ticket = self.client.send(&request).map_err(|error| self.lost(error))?;
        if self.args.acks == Acks::Zero {
            batches.iter().for_each(|sent| self.acknowledged.add(sent.tally));
            return Ok(());
        }
        self.in_flight.push_back(InFlight { ticket, batches });
        if self.in_flight.len() > IN_FLIGHT_MAX { self.settle() } else { Ok(()) }
    }

    /// Builds the open batches of these partitions.
    fn close(&mut self, partitions: &[i32]) -> Result<(Vec<Sent>, Vec<Vec<u8>>), Failure> {
        let mut batches = Vec::with_capacity(partitions.len());
        let mut built = Vec::with_capacity(partitions.len());
        for partition in partitions {
            let Some(open) = self.open.remove(partition) else { continue };
            self.open_bytes -= open.builder.bytes();
            self.partitioner.batch_goes(partition.unsigned_abs());
            batches.push(open.sent);
            let batch = open.builder.build();
            built.push(batch.map_err(|e| Failure::because("the records fit no batch", &e))?);
        }
        Ok((batches, built))
    }

    /// Waits for the answer to the oldest request.
    fn settle(&mut self) -> Result<(), Failure> {
        let Some(InFlight { ticket, batches }) = self.in_flight.pop_front() else { return Ok(()) };
        let mut buf = std::mem::take(&mut self.buf);
        let response = self
            .client
            .receive::<produce::Request<'_>>(ticket, &mut buf)
            .map_err(|error| self.lost(error))?;
        for answer in response.responses.iter().flat_map(|topic| &topic.partition_responses) {
            let Some(sent) = batches.iter().find(|sent| sent.partition == answer.index) else {
                continue;
            };
            Refusal::check(answer.error_code, answer.error_message)
                .map_err(|refusal| self.refused(sent, &refusal))?;
            self.acknowledged.add(sent.tally);
        }
        self.buf = buf;
        Ok(())
    }

    /// The connection is gone, and with it the answers.
    fn lost(&self, error: ClientError) -> Failure {
        let acknowledged = count(self.acknowledged.records, "record");
        Failure::from(error).cause(format!("{acknowledged} had been acknowledged; of others, any"))
    }

    fn refused(&self, sent: &Sent, refusal: &Refusal) -> Failure {
        let Sent { partition, line, tally } = sent;
        let records = count(tally.records, "record");
        let what =
            format!("partition {partition} refused {records}, the first of them from line {line}");
        let acknowledged = count(self.acknowledged.records, "record");
        let failure = Failure::because(what, refusal)
            .cause(format!("{acknowledged} had been acknowledged before"));
        match refusal.code {
            ErrorCode::MESSAGE_TOO_LARGE | ErrorCode::RECORD_LIST_TOO_LARGE => failure.hint(
                "`--batch-bytes` makes batches smaller; max.message.bytes of the topic bounds them",
            ),
            ErrorCode::INVALID_TIMESTAMP => {
                failure.hint("message.timestamp.after.max.ms and .before.max.ms bound timestamps")
            }
            ErrorCode::INVALID_RECORD => {
                failure.hint("with cleanup.policy=compact, every record needs a key")
            }
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => failure.hint("was the topic deleted?"),
            ErrorCode::KAFKA_STORAGE_ERROR => {
                failure.hint("the log of the broker says why; is its disk full?")
            }
            _ => failure,
        }
    }
}

impl Open {
    fn push(&mut self, record: &Outgoing<'_>, timestamp: i64, given: &[(&str, Option<&[u8]>)]) {
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        if record.headers.is_empty() {
            self.builder.push(timestamp, key, value, given);
        } else {
            let own = record.headers.iter().map(|(k, v)| (k.as_str(), v.as_deref()));
            let headers: Vec<_> = given.iter().copied().chain(own).collect();
            self.builder.push(timestamp, key, value, &headers);
        }
        self.sent.tally.add(Tally { records: 1, bytes: payload(record) as u64 });
    }
}

/// Bytes of key and value.
fn payload(record: &Outgoing<'_>) -> usize {
    let len = |bytes: &Option<std::borrow::Cow<'_, [u8]>>| bytes.as_ref().map_or(0, |b| b.len());
    len(&record.key) + len(&record.value)
}

fn codec(name: CodecName) -> Codec {
    match name {
        CodecName::None => Codec::None,
        CodecName::Gzip => Codec::Gzip,
        CodecName::Snappy => Codec::Snappy,
        CodecName::Lz4 => Codec::Lz4,
        CodecName::Zstd => Codec::Zstd,
    }
}

/// The number on the wire.
fn acks(acks: Acks) -> i16 {
    match acks {
        Acks::All => -1,
        Acks::One => 1,
        Acks::Zero => 0,
    }
}
