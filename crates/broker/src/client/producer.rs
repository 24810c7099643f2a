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

use chaski_batch::Codec;
use chaski_local::Chooser;
use chaski_log::store::{Append, AppendSink, Durability};

use super::batches::{Batches, Open, Ready};
use super::flight::{Airspace, Done, Flight, Load, Slot};
use super::{Client, ClientError, Flushed, Partitioner, Placed, ProduceError, Record};
use crate::Broker;
use crate::admission;
use crate::cluster::Topic;
use crate::shard::now_ms;

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
    batches: Batches,
    /// Batches that were flushed: those that wait count on.
    flushed: u64,
    /// The time when the first record was pushed that waits for a flush.
    began_ms: i64,
    airspace: Arc<Airspace>,
}

impl Producer {
    /// Puts a record into the batch of its partition.
    ///
    /// # Errors
    /// What the topic's settings forbid ([`ProduceError::Refused`]),
    /// [`ProduceError::UnknownPartition`], [`ProduceError::Full`]: the record is not taken, all
    /// others are as they were. [`ProduceError::Deleted`] and [`ProduceError::Stopped`] are final.
    pub fn push(&mut self, record: Record<'_>) -> Result<Placed, ProduceError> {
        self.make_room(record.bytes_max())?;
        let partition = match record.partition {
            Some(partition) => partition,
            None => self.chooser.choose(record.key, self.topic.partitions.len()),
        };
        let place = self.place(partition)?;
        let timestamp = self.admit(&record)?;
        let (codec, config) = (self.options.codec, &self.topic.config);
        let (batch, index) = self.batches.add(place, &record, timestamp, codec, config)?;
        Ok(Placed { partition, batch: self.flushed + batch as u64, index })
    }

    /// Takes a whole batch that somebody else has made, for a partition. Its base offset is
    /// replaced, and with it those of its records; it keeps its compression and its producer id, so
    /// that a batch sent twice is stored once (KIP-98).
    ///
    /// # Errors
    /// As [`Producer::push`]; [`ProduceError::Refused`] also for bytes that are no batch.
    pub fn push_batch(&mut self, partition: i32, batch: &[u8]) -> Result<Placed, ProduceError> {
        self.make_room(batch.len())?;
        let place = self.place(partition)?;
        let header = admission::check(batch, &self.topic.config)?;
        let batch = self.batches.add_whole(place, batch, header);
        Ok(Placed { partition, batch: self.flushed + batch as u64, index: 0 })
    }

    /// Hands all batches to the store and waits until they are as durable as the options say.
    ///
    /// Batches of one partition get their offsets in the order they were begun.
    ///
    /// # Errors
    /// If a batch failed. The error says which, and which did not.
    pub fn flush(&mut self) -> Flushed {
        if self.batches.is_empty() {
            return Ok(Vec::new());
        }
        self.send(None, None).wait(self.options.timeout)
    }

    /// The same, but calls `done` with the outcome when it is known: now, or later on a thread of
    /// the store, which it must not hold up.
    ///
    /// Waits only if 1024 flushes are under way already, for one of them, so it must not be called
    /// from within `done`. If none ends within the timeout of the options, nothing is handed to the
    /// store, and all batches fail with [`ProduceError::Busy`].
    pub fn flush_with(&mut self, done: impl FnOnce(Flushed) + Send + 'static) {
        if self.batches.is_empty() {
            return done(Ok(Vec::new()));
        }
        let timeout = self.options.timeout;
        match self.airspace.take(timeout) {
            Some(slot) => drop(self.send(Some(Box::new(done)), Some(slot))),
            None => self.fail(Box::new(done), &ProduceError::Busy(timeout)),
        }
    }

    /// Flushes of [`Producer::flush_with`] whose outcome is not known yet.
    pub fn in_flight(&self) -> usize {
        self.airspace.taken()
    }

    /// Records that wait for a flush.
    pub fn pending_records(&self) -> usize {
        self.batches.record_count()
    }

    /// Bytes that wait for a flush, before compression.
    pub fn pending_bytes(&self) -> usize {
        self.batches.bytes()
    }

    /// Makes sure that so many bytes more may wait, and that the topic is as it was of late.
    fn make_room(&mut self, bytes: usize) -> Result<(), ProduceError> {
        let (held, max) = (self.batches.bytes(), self.options.buffer_bytes_max);
        if self.batches.is_empty() {
            self.began_ms = now_ms();
            return self.look();
        }
        if held + bytes > max {
            return Err(ProduceError::Full { held, max });
        }
        Ok(())
    }

    /// A partition as an index.
    fn place(&self, partition: i32) -> Result<usize, ProduceError> {
        let partitions = self.topic.partitions.len();
        let place = usize::try_from(partition).ok().filter(|place| *place < partitions);
        place.ok_or(ProduceError::UnknownPartition { partition, partitions })
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
        Ok(())
    }

    /// Checks what can be said of a record alone; returns its timestamp.
    fn admit(&self, record: &Record<'_>) -> Result<i64, ProduceError> {
        let config = &self.topic.config;
        if config.compacted && record.key.is_none() {
            return Err(admission::keyless().into());
        }
        let Some(time) = record.timestamp else { return Ok(now_ms()) };
        // The clock is looked at only where it matters: most times are right by an older one too.
        let check = |now_ms| admission::check_times(time, time, config, now_ms);
        if !config.log_append_time && check(self.began_ms).is_err() {
            check(now_ms())?;
        }
        Ok(time)
    }

    /// Takes all batches out, and begins their flight.
    fn depart(&mut self, done: Option<Done>, slot: Option<Slot>) -> (Vec<Open>, Arc<Flight>) {
        let open = self.batches.take();
        self.chooser.flushed();
        let first = self.flushed;
        self.flushed += open.len() as u64;
        let load = |o: &Open| Load { partition: o.partition(), count: o.record_count() };
        let loads = open.iter().map(load).collect();
        let (broker, name) = (self.broker.clone(), self.topic.name.clone());
        (open, Arc::new(Flight::new(broker, name, first, loads, done, slot)))
    }

    /// Has all batches fail without a word to the store.
    fn fail(&mut self, done: Done, error: &ProduceError) {
        let (open, flight) = self.depart(Some(done), None);
        (0..open.len()).for_each(|batch| flight.note(batch, Err(error.clone())));
    }

    fn send(&mut self, done: Option<Done>, slot: Option<Slot>) -> Arc<Flight> {
        let now = self.look();
        let (open, flight) = self.depart(done, slot);
        if let Err(error) = now {
            (0..open.len()).for_each(|batch| flight.note(batch, Err(error.clone())));
            return flight;
        }
        let mut ready = Vec::with_capacity(open.len());
        for (batch, open) in open.into_iter().enumerate() {
            match open.seal(batch, &self.topic) {
                Ok(sealed) => ready.push(sealed),
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

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer")
            .field("topic", &self.topic.name)
            .field("options", &self.options)
            .field("pending_bytes", &self.pending_bytes())
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
            topic,
            options,
            chooser: Chooser::new(options.partitioner, turn),
            batches: Batches::default(),
            flushed: 0,
            began_ms: now_ms(),
            airspace: Arc::default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::Builder;

    #[test]
    fn a_flush_that_is_not_let_in_fails_in_time_and_the_next_is_as_if_it_had_not_been() {
        let server = Builder::new().in_memory().start().expect("started");
        let client = server.client();
        client.create_topic("t", Some(1), &[]).expect("made");
        let options =
            ProducerOptions { timeout: Duration::from_millis(5), ..ProducerOptions::default() };
        let mut producer = client.producer("t", options).expect("a topic");
        let airspace = producer.airspace.clone();
        let slots: Vec<Slot> = std::iter::from_fn(|| airspace.take(Duration::ZERO)).collect();
        // On a thread of its own: a test that fails must end.
        let (tell, told) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let placed = producer.push(Record::of(b"x")).expect("taken");
            producer.flush_with(move |flushed| drop(tell.send(flushed)));
            (producer, placed)
        });
        let flushed = told.recv_timeout(Duration::from_secs(60)).expect("it ends");
        let (mut producer, first) = thread.join().expect("no panic");
        assert_eq!(first.offset_in(&flushed), Err(ProduceError::Busy(options.timeout)));
        assert_eq!((producer.pending_records(), producer.in_flight()), (0, slots.len()));

        drop(slots);
        producer.options.timeout = Duration::from_secs(60);
        let second = producer.push(Record::of(b"y")).expect("taken");
        let flushed = producer.flush();
        assert_eq!(second.offset_in(&flushed), Ok(0), "nothing of the first was kept");
        let other = ProduceError::OtherFlush(chaski_local::producer::OtherFlush);
        assert_eq!(first.offset_in(&flushed), Err(other));
    }
}
