//! Producers: records gathered into batches, batches handed to the store.
//!
//! A producer belongs to one thread, and a push is a copy into a buffer: no lock, no look at
//! anything shared. A flush takes all batches to the store in one call, which makes one write a
//! partition of them, under that partition's lock.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher as _;
use std::sync::Arc;
use std::time::Duration;

use chaski_batch::{Builder, Codec, HEADER_LEN, Header};
use chaski_log::store::{Append, AppendSink, Durability, PartitionId};

use super::flight::{Airspace, Done, Flight, Load, Slot};
use super::partitioner::Chooser;
use super::{Client, ClientError, Flushed, Partitioner, ProduceError};
use crate::Broker;
use crate::admission::{self, Fit};
use crate::cluster::Topic;
use crate::shard::now_ms;

/// A batch is closed before it grows past this, if the topic's limit does not close it earlier; a
/// record that is larger is a batch of its own.
const BATCH_BYTES_MAX: usize = 1 << 20;

/// How a producer works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProducerOptions {
    /// When a flush is acknowledged: once the page cache has it (it survives the end of the
    /// process), or the disk (it survives that of the machine). The default is the disk.
    pub durability: Durability,
    /// How batches are compressed. The default is not at all.
    pub codec: Codec,
    /// How records find their partition.
    pub partitioner: Partitioner,
    /// Bytes of records that may wait for a flush. The default is 32 MiB.
    pub buffer_bytes_max: usize,
    /// Longest a [`Producer::flush`] waits. The default is 30 seconds.
    pub timeout: Duration,
}

impl Default for ProducerOptions {
    fn default() -> Self {
        ProducerOptions {
            durability: Durability::Disk,
            codec: Codec::None,
            partitioner: Partitioner::Kafka,
            buffer_bytes_max: 32 << 20,
            timeout: Duration::from_secs(30),
        }
    }
}

impl ProducerOptions {
    /// The defaults.
    pub fn new() -> ProducerOptions {
        ProducerOptions::default()
    }

    /// When a flush is acknowledged.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> ProducerOptions {
        self.durability = durability;
        self
    }

    /// How batches are compressed.
    #[must_use]
    pub fn codec(mut self, codec: Codec) -> ProducerOptions {
        self.codec = codec;
        self
    }

    /// How records find their partition.
    #[must_use]
    pub fn partitioner(mut self, partitioner: Partitioner) -> ProducerOptions {
        self.partitioner = partitioner;
        self
    }
}

/// A record on its way into a topic.
#[derive(Debug, Clone, Copy, Default)]
pub struct Record<'a> {
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The value; None is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Names and values that go along.
    pub headers: &'a [(&'a str, Option<&'a [u8]>)],
    /// Milliseconds since the epoch; None: now.
    pub timestamp: Option<i64>,
    /// Where it goes; None: where the partitioner says.
    pub partition: Option<i32>,
}

impl<'a> Record<'a> {
    /// One with this value, and nothing else.
    pub fn of(value: &'a [u8]) -> Record<'a> {
        Record { value: Some(value), ..Record::default() }
    }

    /// Bytes it takes in a batch at most.
    fn bytes_max(&self) -> usize {
        /// Lengths, deltas and counts take ten bytes each at most.
        const NUMBERS: usize = 7 * 10;
        let len = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
        let headers = self.headers.iter().map(|(name, value)| 20 + name.len() + len(*value));
        NUMBERS + len(self.key) + len(self.value) + headers.sum::<usize>()
    }
}

/// Where a record has been put, good until the next flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// The partition.
    pub partition: i32,
    /// The batch, counted since the last flush.
    batch: usize,
    /// Its place in the batch.
    index: usize,
}

impl Placed {
    /// The offset it got by the flush that followed.
    ///
    /// # Errors
    /// Why its batch is not in the log.
    pub fn offset_in(&self, flushed: &Flushed) -> Result<i64, ProduceError> {
        let base_offset = match flushed {
            Ok(acked) => acked.get(self.batch).map(|acked| Ok(acked.base_offset)),
            Err(error) => error.batches.get(self.batch).map(|batch| match batch {
                Ok(acked) => Ok(acked.base_offset),
                Err(failed) => Err(failed.error.clone()),
            }),
        };
        // A flush of another time: nobody can say.
        let base_offset = base_offset.unwrap_or(Err(ProduceError::Stopped))?;
        Ok(base_offset + self.index as i64)
    }
}

/// Gathers records into batches. From [`Client::producer`].
///
/// What is pushed and not flushed when it is dropped is dropped with it.
///
/// ```
/// use chaski_broker::Builder;
/// use chaski_broker::client::{Codec, ProducerOptions, Record};
///
/// let server = Builder::new().in_memory().start()?;
/// let client = server.client();
/// client.create_topic("readings", Some(4), &[])?;
///
/// let mut producer = client.producer("readings", ProducerOptions::new().codec(Codec::Lz4))?;
/// for i in 0..1000_u32 {
///     let (key, value) = ((i % 10).to_string(), i.to_string());
///     producer.push(Record { key: Some(key.as_bytes()), ..Record::of(value.as_bytes()) })?;
/// }
/// let acked = producer.flush()?;
/// assert_eq!(acked.iter().map(|batch| batch.count).sum::<usize>(), 1000);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Producer {
    broker: Arc<Broker>,
    topic: Arc<Topic>,
    options: ProducerOptions,
    chooser: Chooser,
    /// Batches in the order they were begun.
    open: Vec<Open>,
    /// Where in `open` a partition's last batch is, plus one; 0: it has none.
    last: Vec<usize>,
    /// Bytes in `open`.
    held: usize,
    airspace: Arc<Airspace>,
}

/// A batch in the making.
struct Open {
    partition: i32,
    builder: Builder,
    has_null_key: bool,
}

impl Producer {
    /// Puts a record into the batch of its partition.
    ///
    /// # Errors
    /// What the topic's settings forbid ([`ProduceError::Refused`]),
    /// [`ProduceError::UnknownPartition`], [`ProduceError::Full`]: the record is not taken, all
    /// others are as they were. [`ProduceError::Deleted`] and [`ProduceError::Stopped`] are final.
    pub fn push(&mut self, record: Record<'_>) -> Result<Placed, ProduceError> {
        if self.open.is_empty() {
            self.look()?;
        }
        let bytes_max = record.bytes_max();
        if self.held > 0 && self.held + bytes_max > self.options.buffer_bytes_max {
            return Err(ProduceError::Full { held: self.held, max: self.options.buffer_bytes_max });
        }
        let partitions = self.topic.partitions.len();
        let partition = match record.partition {
            Some(partition) => partition,
            None => self.chooser.choose(record.key, partitions),
        };
        let place = usize::try_from(partition).ok().filter(|place| *place < partitions);
        let place = place.ok_or(ProduceError::UnknownPartition { partition, partitions })?;
        let timestamp = self.admit(&record)?;
        let batch = self.batch_for(place, bytes_max);
        let open = &mut self.open[batch];
        let (index, before) = (open.builder.record_count(), open.builder.bytes());
        open.builder.push(timestamp, record.key, record.value, record.headers);
        open.has_null_key |= record.key.is_none();
        let after = open.builder.bytes();
        if index == 0 {
            // It is alone in its batch: now its size is known.
            if let Err(refused) = admission::check_size(after, &self.topic.config) {
                self.open.pop();
                self.last[place] = 0;
                return Err(refused.into());
            }
            self.held += HEADER_LEN;
        }
        self.held += after - before;
        Ok(Placed { partition, batch, index })
    }

    /// Hands all batches to the store and waits until they are as durable as the options say.
    ///
    /// Batches of one partition get their offsets in the order they were begun.
    ///
    /// # Errors
    /// If a batch failed. The error says which, and which did not.
    pub fn flush(&mut self) -> Flushed {
        if self.open.is_empty() {
            return Ok(Vec::new());
        }
        self.send(None, None).wait(self.options.timeout)
    }

    /// The same, but calls `done` with the outcome when it is known: now, or later on a thread of
    /// the store, which it must not hold up.
    ///
    /// Waits only if 1024 flushes are under way already, for one of them. So it must not be called
    /// from within `done`.
    pub fn flush_with(&mut self, done: impl FnOnce(Flushed) + Send + 'static) {
        if self.open.is_empty() {
            return done(Ok(Vec::new()));
        }
        let slot = self.airspace.take();
        self.send(Some(Box::new(done)), Some(slot));
    }

    /// Flushes of [`Producer::flush_with`] whose outcome is not known yet.
    pub fn in_flight(&self) -> usize {
        self.airspace.taken()
    }

    /// Records that wait for a flush.
    pub fn pending_records(&self) -> usize {
        self.open.iter().map(|open| open.builder.record_count()).sum()
    }

    /// Bytes that wait for a flush, before compression.
    pub fn pending_bytes(&self) -> usize {
        self.held
    }

    /// Looks at the topic as it is now.
    fn look(&mut self) -> Result<(), ProduceError> {
        if self.broker.stopping.has_begun() {
            return Err(ProduceError::Stopped);
        }
        let cluster = self.broker.cluster.load();
        let Some(topic) = cluster.by_id.get(&self.topic.id) else {
            return Err(ProduceError::Deleted(self.topic.name.to_string()));
        };
        if !Arc::ptr_eq(topic, &self.topic) {
            self.topic = topic.clone();
        }
        self.last.resize(self.topic.partitions.len(), 0);
        Ok(())
    }

    /// Checks what can be said of a record alone; returns its timestamp.
    fn admit(&self, record: &Record<'_>) -> Result<i64, ProduceError> {
        let config = &self.topic.config;
        if config.compacted && record.key.is_none() {
            return Err(admission::keyless().into());
        }
        match record.timestamp {
            None => Ok(now_ms()),
            Some(time) if config.log_append_time => Ok(time),
            Some(time) => {
                admission::check_times(time, time, config, now_ms())?;
                Ok(time)
            }
        }
    }

    /// The batch that has room for a record of a partition, a new one if need be.
    fn batch_for(&mut self, place: usize, bytes_max: usize) -> usize {
        let max = self.topic.config.max_message_bytes.min(BATCH_BYTES_MAX);
        if let Some(at) = self.last[place].checked_sub(1)
            && self.open[at].builder.bytes() + bytes_max <= max
        {
            return at;
        }
        let builder = Builder::new(self.options.codec);
        self.open.push(Open { partition: place as i32, builder, has_null_key: false });
        self.last[place] = self.open.len();
        self.open.len() - 1
    }

    fn send(&mut self, done: Option<Done>, slot: Option<Slot>) -> Arc<Flight> {
        let now = self.look();
        let open = std::mem::take(&mut self.open);
        open.iter().for_each(|open| self.last[open.partition as usize] = 0);
        self.held = 0;
        self.chooser.flushed();
        let load = |o: &Open| Load { partition: o.partition, count: o.builder.record_count() };
        let loads = open.iter().map(load).collect();
        let (broker, name) = (self.broker.clone(), self.topic.name.clone());
        let flight = Arc::new(Flight::new(broker, name, loads, done, slot));
        if let Err(error) = now {
            (0..open.len()).for_each(|batch| flight.note(batch, Err(error.clone())));
            return flight;
        }
        let mut ready = Vec::with_capacity(open.len());
        for (batch, open) in open.into_iter().enumerate() {
            match seal(open, &self.topic) {
                Ok(sealed) => ready.push(Ready { batch, ..sealed }),
                Err(error) => flight.note(batch, Err(error)),
            }
        }
        self.append(ready, &flight);
        flight
    }

    fn append(&self, mut ready: Vec<Ready>, flight: &Arc<Flight>) {
        // The store makes one write of neighbours; the sort is stable, so their order stands.
        ready.sort_by_key(|ready| ready.partition);
        let stats = &self.broker.inside;
        stats.produced_batches.add(ready.len() as u64);
        stats.produced_records.add(ready.iter().map(|r| r.header.record_count as u64).sum());
        stats.produced_bytes.add(ready.iter().map(|r| r.bytes.len() as u64).sum());
        let mut appends: Vec<Append<'_>> = ready
            .iter_mut()
            .map(|ready| Append {
                partition: ready.partition,
                batch: &mut ready.bytes,
                header: ready.header,
                durability: self.options.durability,
                token: ready.batch as u64,
            })
            .collect();
        let later: Arc<dyn AppendSink> = flight.clone();
        let mut outcomes = Vec::with_capacity(appends.len());
        self.broker.store.append(&mut appends, &mut outcomes, &later);
        for (batch, outcome) in outcomes {
            flight.note_append(batch, outcome);
        }
    }
}

/// A batch that may go to the store.
struct Ready {
    batch: usize,
    partition: PartitionId,
    bytes: Vec<u8>,
    header: Header,
}

fn seal(open: Open, topic: &Topic) -> Result<Ready, ProduceError> {
    let Open { partition, builder, has_null_key } = open;
    let unknown =
        || ProduceError::UnknownPartition { partition, partitions: topic.partitions.len() };
    let partition = topic.partition(partition).ok_or_else(unknown)?;
    let mut bytes = builder.build().map_err(admission::Refusal::from)?;
    let header = Header::parse(&bytes).map_err(admission::Refusal::from)?;
    // The settings may have changed since the records were pushed.
    let Fit { header, .. } =
        admission::fit(&mut bytes, header, &topic.config, |_| Ok(has_null_key))?;
    Ok(Ready { batch: 0, partition, bytes, header })
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer")
            .field("topic", &self.topic.name)
            .field("options", &self.options)
            .field("pending_bytes", &self.held)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Produces into a topic.
    ///
    /// # Errors
    /// [`ClientError::UnknownTopic`], [`ClientError::Stopped`].
    pub fn producer(&self, topic: &str, options: ProducerOptions) -> Result<Producer, ClientError> {
        self.check_running()?;
        let topic = self.known(topic)?.into_inner();
        let turn = RandomState::new().hash_one(topic.id) as u32;
        Ok(Producer {
            broker: self.broker.clone(),
            last: vec![0; topic.partitions.len()],
            topic,
            options,
            chooser: Chooser::new(options.partitioner, turn),
            open: Vec::new(),
            held: 0,
            airspace: Arc::default(),
        })
    }
}
