//! Records into topics of a broker on this machine.
//!
//! ```text
//!   push -> batch of its partition -> full, or flushed: written where the broker reads it
//!                                                    ==shm==> checked, appended
//!   Acked, in the order of batches <- offsets       <==shm==
//! ```
//! [`LocalProducer`] is the [producer that a broker's own process has][inside], from another
//! process: the same records, partitions and flushes. A record is copied twice on this side (into
//! its batch, and into shared memory) and once by the broker, before the log writes it.
//!
//! # What an acknowledgement means
//!
//! Under [`Durability::PageCache`] the broker's page cache has the batch: it survives the death of
//! any process. Under [`Durability::Disk`], the default, the disk has it, by a group commit of all
//! who wait. The broker's setting `acks.one` may make more of the first, never less of the second.
//!
//! # When the broker dies, or is started anew
//!
//! What it had acknowledged is in the log, and is told so. What it had not taken stays in this
//! process's memory, and the next broker finds it there: nobody notices but for the time. What it
//! had taken and not answered may or may not be in the log: such batches fail with
//! [`ProduceError::InDoubt`], or, if [`LocalProducerBuilder::resend`] says so, are sent to the next
//! broker as well, which makes it *at least once*: they may then be in the log twice, and behind
//! batches that were begun later. If no broker comes within [`LocalProducerBuilder::timeout`], all
//! that is open fails with [`ProduceError::Stopped`], and the producer is of no use any more.
//!
//! # When this process dies
//!
//! What it had sent whole is appended; what it was writing is not. The broker notices at once.
//!
//! [inside]: https://docs.rs/chaski-broker/latest/chaski_broker/client/struct.Producer.html

mod builder;
mod error;
mod gather;
mod ledger;
mod line;
mod outcome;
pub mod wire;

use std::fmt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub use chaski_batch::Codec;
pub use chaski_log::store::Durability;

pub use self::builder::LocalProducerBuilder;
pub use self::error::{OpenError, ProduceError, Reason};
pub use self::outcome::sum_up;
pub use self::outcome::{Acked, BatchFailed, FlushError, Flushed, OtherFlush, Outcome, Placed};

use self::gather::{Gathering, Open, request};
use self::ledger::{Ledger, OUTCOMES_MAX};
use self::line::{Answer, Line, Unsent};
use self::wire::{APPEND_LEN, Append};
use crate::{Chooser, Record};

/// No batch is left to grow once so many others have been begun after it: outcomes are told in
/// order, and it would hold all of theirs up.
const AHEAD_MAX: u64 = 128;

/// Puts records into a topic of a broker on this machine. From [`LocalProducer::connect`].
///
/// What is pushed and not sent when it is dropped is dropped with it.
///
/// ```no_run
/// use chaski_local::{LocalProducer, Record};
///
/// let mut orders = LocalProducer::connect("chaski", "orders")?;
/// let placed = orders.push(Record { key: Some(b"customer-17"), ..Record::of(b"3 apples") })?;
/// let flushed = orders.flush();
/// println!("at offset {} of partition {}", placed.offset_in(&flushed)?, placed.partition);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A stream need not be flushed: batches are sent as they fill, and acknowledgements come in the
/// order in which the batches were begun.
///
/// ```no_run
/// use chaski_local::producer::Durability;
/// use chaski_local::{LocalProducer, Record};
///
/// let mut readings = LocalProducer::builder()
///     .durability(Durability::PageCache)
///     .connect("chaski", "readings")?;
/// for i in 0..1_000_000_u32 {
///     readings.push(Record::of(&i.to_le_bytes()))?;
///     while let Some(outcome) = readings.next_ack() {
///         let acked = outcome?;
///         println!("{} records from offset {}", acked.count, acked.base_offset);
///     }
/// }
/// readings.flush()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct LocalProducer {
    line: Line,
    name: String,
    topic: wire::Topic,
    durability: Durability,
    codec: Codec,
    batch_bytes: usize,
    timeout: Duration,
    resend: bool,
    chooser: Chooser,
    gathering: Gathering,
    ledger: Ledger,
}

impl LocalProducer {
    /// A producer for this topic of the broker that is served under this name (`shm.listen`), with
    /// everything else as it is by default.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn connect(name: &str, topic: &str) -> Result<LocalProducer, OpenError> {
        LocalProducer::builder().connect(name, topic)
    }

    /// For a producer that differs.
    pub fn builder() -> LocalProducerBuilder {
        LocalProducerBuilder::default()
    }

    /// Puts a record into the batch of its partition. A batch that is full is sent for it, which
    /// waits only if as much is under way as may be.
    ///
    /// # Errors
    /// What the topic forbids ([`ProduceError::Refused`]), [`ProduceError::UnknownPartition`],
    /// [`ProduceError::Full`]: the record is not taken, all others are as they were. What became of
    /// batches is told by [`LocalProducer::flush`] and [`LocalProducer::next_ack`] alone.
    pub fn push(&mut self, record: Record<'_>) -> Result<Placed, ProduceError> {
        let partition = match record.partition {
            Some(partition) => partition,
            None => self.chooser.choose(record.key, self.partitions()),
        };
        let place = self.place(partition)?;
        if self.topic.keys_required && record.key.is_none() {
            let message = "a compacted topic takes no record without a key".to_owned();
            return Err(ProduceError::Refused { reason: Reason::Invalid, message });
        }
        let timestamp = record.timestamp.unwrap_or_else(now_ms);
        let bytes_max = record.bytes_max();
        self.make_room(place, bytes_max)?;
        let open = match self.gathering.get(place) {
            Some(open) => open,
            None => {
                let number = self.ledger.begin(partition);
                self.gathering.begin(place, number)
            }
        };
        let (batch, index) = (open.number, open.builder.record_count());
        open.builder.push(timestamp, record.key, record.value, record.headers);
        // Another like it would not fit.
        let is_full = open.builder.bytes() + bytes_max > self.batch_bytes;
        if index == 0 {
            // It is alone in its batch: now its size is known.
            self.check_size(place)?;
        }
        if is_full {
            self.send_batch(place);
            self.chooser.flushed();
        }
        Ok(Placed { partition, batch, index })
    }

    /// Sends all batches and waits until they are acknowledged.
    ///
    /// Batches of one partition get their offsets in the order they were begun.
    ///
    /// # Errors
    /// If a batch failed. The error says which, and which did not.
    pub fn flush(&mut self) -> Flushed {
        self.send();
        let deadline = Instant::now() + self.timeout;
        while self.ledger.unknown() > 0 {
            let Some((batch, answer)) = self.line.next(Some(deadline)) else {
                // Answers that come later are nobody's.
                self.line.forget();
                break;
            };
            self.note(batch, answer);
        }
        self.ledger.take(&ProduceError::TimedOut(self.timeout))
    }

    /// Sends all batches, and waits for no acknowledgement.
    pub fn send(&mut self) {
        for partition in self.gathering.in_order() {
            self.send_batch(partition);
        }
        self.chooser.flushed();
    }

    /// What became of the next batch, if that is known; in the order in which batches were begun.
    pub fn next_ack(&mut self) -> Option<Outcome> {
        self.hear();
        self.ledger.pop()
    }

    /// The same, but waits for it that long. None also if nothing is under way.
    pub fn wait_ack(&mut self, limit: Duration) -> Option<Outcome> {
        let deadline = Instant::now() + limit;
        while !self.ledger.is_front_known() && self.line.in_flight() > 0 {
            let (batch, answer) = self.line.next(Some(deadline))?;
            self.note(batch, answer);
        }
        self.next_ack()
    }

    /// Batches sent whose outcome is not known yet.
    pub fn in_flight(&self) -> usize {
        self.line.in_flight()
    }

    /// Records that wait for their batch to be sent.
    pub fn pending_records(&self) -> usize {
        self.gathering.records()
    }

    /// Bytes that wait for their batch to be sent, before compression.
    pub fn pending_bytes(&self) -> usize {
        self.gathering.bytes()
    }

    /// The topic.
    pub fn topic(&self) -> &str {
        &self.name
    }

    /// How many partitions the topic has, as of the last acknowledgement.
    pub fn partitions(&self) -> usize {
        self.topic.partitions as usize
    }

    /// A partition as an index.
    fn place(&self, partition: i32) -> Result<usize, ProduceError> {
        let partitions = self.partitions();
        let place = usize::try_from(partition).ok().filter(|place| *place < partitions);
        place.ok_or(ProduceError::UnknownPartition { partition, partitions })
    }

    /// Makes sure that a record of so many bytes may be put into the batch of a partition, or into
    /// a new one.
    fn make_room(&mut self, place: usize, bytes: usize) -> Result<(), ProduceError> {
        if let Some(open) = self.gathering.get(place) {
            if open.builder.bytes() + bytes <= self.batch_bytes {
                return Ok(());
            }
            self.send_batch(place);
        }
        if self.ledger.len() >= OUTCOMES_MAX {
            return Err(ProduceError::Full(OUTCOMES_MAX));
        }
        // A new batch is to be begun: the oldest open one may have waited long enough.
        if let Some(partition) = self.ledger.gathering(AHEAD_MAX) {
            self.send_batch(partition as usize);
        }
        Ok(())
    }

    /// Takes the only record of a batch back if the topic would refuse it.
    fn check_size(&mut self, place: usize) -> Result<(), ProduceError> {
        let len = self.gathering.get(place).map_or(0, |open| open.builder.bytes());
        let max = self.topic.batch_bytes_max;
        if len as u64 <= max {
            return Ok(());
        }
        if let Some(open) = self.gathering.take(place) {
            self.gathering.recycle(open.builder);
            self.ledger.take_back();
        }
        let message = format!("batch of {len} bytes, the topic's max.message.bytes is {max}");
        Err(ProduceError::Refused { reason: Reason::TooLarge, message })
    }

    /// Sends the batch of a partition, if it has one.
    fn send_batch(&mut self, partition: usize) {
        let Some(Open { number, builder }) = self.gathering.take(partition) else { return };
        self.ledger.closed(number, builder.record_count());
        let append = Append {
            durability: self.durability,
            partition: partition as i32,
            topic: self.topic.id,
        };
        let sent = if self.codec == Codec::None && !self.resend {
            let len = APPEND_LEN + builder.bytes();
            let sent = self.line.send(number, len, |room| {
                let (head, batch) = room.split_at_mut(APPEND_LEN);
                head.copy_from_slice(&append.encode());
                builder.write(batch).expect("it has records, and is no larger than a batch may be");
            });
            self.gathering.recycle(builder);
            sent
        } else {
            let bytes = request(&append, builder).expect("as above");
            match self.resend {
                true => self.line.send_kept(number, bytes),
                false => self.line.send(number, bytes.len(), |room| room.copy_from_slice(&bytes)),
            }
        };
        if let Err(unsent) = sent {
            let error = match unsent {
                Unsent::Busy => ProduceError::Busy(self.timeout),
                Unsent::Closed => ProduceError::Stopped,
                Unsent::TooLarge { len, max } => ProduceError::Refused {
                    reason: Reason::TooLarge,
                    message: format!("batch of {len} bytes, the broker takes {max}"),
                },
                Unsent::System(why) => ProduceError::Unsent(why),
            };
            self.ledger.note(number, Err(error));
        }
        self.hear();
    }

    /// Takes the answers that have come.
    fn hear(&mut self) {
        while self.line.in_flight() > 0
            && let Some((batch, answer)) = self.line.next(None)
        {
            self.note(batch, answer);
        }
    }

    fn note(&mut self, batch: u64, answer: Answer) {
        let outcome = match answer {
            Answer::Appended(appended) => {
                self.grown(appended.partitions);
                Ok(appended.base_offset)
            }
            Answer::Refused { reason, partitions, why } => {
                self.grown(partitions);
                Err(self.refused(batch, reason, why))
            }
            Answer::InDoubt => Err(ProduceError::InDoubt),
            Answer::NotTaken => Err(ProduceError::Stopped),
            Answer::Unreadable(why) => Err(ProduceError::Unreadable(why)),
        };
        self.ledger.note(batch, outcome);
    }

    /// The topic has so many partitions; they never become fewer.
    fn grown(&mut self, partitions: u32) {
        self.topic.partitions = self.topic.partitions.max(partitions.min(PARTITIONS_MAX));
    }

    fn refused(&self, batch: u64, reason: Reason, message: String) -> ProduceError {
        match reason {
            Reason::UnknownTopic => ProduceError::Deleted(self.name.clone()),
            Reason::UnknownPartition => ProduceError::UnknownPartition {
                partition: self.ledger.partition(batch).unwrap_or(-1),
                partitions: self.partitions(),
            },
            Reason::Storage => ProduceError::Storage(message),
            Reason::InDoubt => ProduceError::InDoubt,
            Reason::Stopping => ProduceError::Stopped,
            reason => ProduceError::Refused { reason, message },
        }
    }
}

/// Partitions that a topic may have: no broker has more, whatever one says.
const PARTITIONS_MAX: u32 = 1 << 20;

impl fmt::Debug for LocalProducer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalProducer")
            .field("topic", &self.name)
            .field("partitions", &self.topic.partitions)
            .field("in_flight", &self.in_flight())
            .finish_non_exhaustive()
    }
}

/// Wall-clock time in milliseconds since the epoch.
fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64)
}
