//! Readers: of one partition, or of all partitions of a topic.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use chaski_log::store::{Fault, FaultKind, Watcher};

use super::cursor::{Buffer, Cursor};
use super::signal::Signal;
use super::{Client, ClientError, Position, ReadError, Records};
use crate::Broker;

/// Keys of watches: those of shards count up from the index of a shard shifted by 48, and there
/// are 1024 shards at most.
static WATCH_KEY: AtomicU64 = AtomicU64::new(0xffff << 48);

/// A key that no other watch in this process has.
pub(crate) fn watch_key() -> u64 {
    // ORDERING: a number that nobody else has; nothing is published through it.
    WATCH_KEY.fetch_add(1, Ordering::Relaxed)
}

/// How one or more cursors wait for the store.
struct Sleeper {
    signal: Arc<Signal>,
    watcher: Arc<dyn Watcher>,
    key: u64,
}

impl Sleeper {
    fn new(broker: &Broker) -> Sleeper {
        let signal = broker.stopping.signal();
        Sleeper { watcher: signal.clone(), signal, key: watch_key() }
    }

    /// Leaves a watch at each cursor; false: there is something to be seen already.
    fn watch<'c>(&self, broker: &Broker, cursors: impl IntoIterator<Item = &'c Cursor>) -> bool {
        // Who is past the end, as after a time when the log was longer, is to hear of it.
        let is_within =
            |at: &Cursor| broker.store.offsets(at.id).is_ok_and(|o| at.offset <= o.log_end);
        let watch = |at: &Cursor| {
            broker.store.watch(at.id, at.offset, self.key, &self.watcher) && is_within(at)
        };
        // Whoever stops the broker raises the signal after it has said so.
        !broker.stopping.has_begun() && cursors.into_iter().all(watch)
    }

    /// A watch that is left behind when the time is over does no harm: the next wait is woken once
    /// for nothing, or puts another in its place.
    fn wait<'c>(
        &self,
        broker: &Broker,
        cursors: impl IntoIterator<Item = &'c Cursor>,
        timeout: Duration,
    ) -> bool {
        let deadline = Instant::now().checked_add(timeout);
        !self.watch(broker, cursors) || self.signal.wait(deadline)
    }

    fn poll<'c>(
        &self,
        broker: &Broker,
        cursors: impl IntoIterator<Item = &'c Cursor>,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        let asleep = self.watch(broker, cursors) && !self.signal.poll(context.waker());
        if asleep { Poll::Pending } else { Poll::Ready(()) }
    }

    fn unwatch<'c>(&self, broker: &Broker, cursors: impl IntoIterator<Item = &'c Cursor>) {
        for at in cursors {
            broker.store.unwatch(at.id, self.key);
        }
    }
}

/// Ends the sleep of a reader from another thread.
#[derive(Clone)]
pub struct Interrupter {
    signal: Arc<Signal>,
}

impl Interrupter {
    /// Has the reader's present or next wait end as if there were news.
    pub fn interrupt(&self) {
        self.signal.raise();
    }
}

impl fmt::Debug for Interrupter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interrupter").finish_non_exhaustive()
    }
}

/// Reads one partition, whole batches in order. From [`Client::reader`].
///
/// ```
/// use std::time::Duration;
///
/// use chaski_broker::Builder;
/// use chaski_broker::client::{Position, ProducerOptions, Record};
///
/// let server = Builder::new().in_memory().start()?;
/// let client = server.client();
/// client.create_topic("ticks", None, &[])?;
/// let mut reader = client.reader("ticks", 0, Position::Latest)?;
///
/// let ticking = std::thread::spawn(move || {
///     let mut producer = client.producer("ticks", ProducerOptions::default()).unwrap();
///     producer.push(Record::of(b"tick")).unwrap();
///     producer.flush().unwrap();
/// });
/// let mut ticks = 0;
/// while ticks == 0 {
///     reader.wait(Duration::from_secs(1));
///     while let Some(records) = reader.next(1 << 20)? {
///         records.for_each(|_| ticks += 1)?;
///     }
/// }
/// ticking.join().unwrap();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Reader {
    broker: Arc<Broker>,
    cursor: Cursor,
    buffer: Buffer,
    sleeper: Sleeper,
}

impl Reader {
    /// The next batches, `max_bytes` of them, or one if it is larger. None: nothing more yet.
    ///
    /// # Errors
    /// After [`ReadError::OutOfRange`] and [`ReadError::Damaged`] the reader is where it was, and
    /// reads on after a [`Reader::seek`]. [`ReadError::Deleted`] and [`ReadError::Stopped`] are
    /// final.
    pub fn next(&mut self, max_bytes: usize) -> Result<Option<Records<'_>>, ReadError> {
        let span = self.cursor.read(&self.broker, max_bytes, &mut self.buffer)?;
        let (topic, partition) = (&*self.cursor.topic.name, self.cursor.partition);
        Ok(span.map(|span| Records::new(topic, partition, span, self.buffer.bytes())))
    }

    /// Sleeps until there is something to be seen: records, an error, an interruption. False: the
    /// time is over first.
    pub fn wait(&mut self, timeout: Duration) -> bool {
        self.sleeper.wait(&self.broker, [&self.cursor], timeout)
    }

    /// The same for a task: ready when there is something to be seen.
    pub fn poll_wait(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.sleeper.poll(&self.broker, [&self.cursor], context)
    }

    /// Moves elsewhere; returns the offset.
    ///
    /// # Errors
    /// [`ReadError::Deleted`], [`ReadError::Stopped`], [`ReadError::Storage`].
    pub fn seek(&mut self, to: Position) -> Result<i64, ReadError> {
        self.cursor.seek(&self.broker, to)
    }

    /// The partition.
    pub fn partition(&self) -> i32 {
        self.cursor.partition
    }

    /// Offset of the next record.
    pub fn position(&self) -> i64 {
        self.cursor.offset
    }

    /// Records between here and the high watermark; 0 if the topic is gone.
    pub fn lag(&self) -> i64 {
        lag(&self.broker, &self.cursor)
    }

    /// What ends a [`Reader::wait`] from another thread.
    pub fn interrupter(&self) -> Interrupter {
        Interrupter { signal: self.sleeper.signal.clone() }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.sleeper.unwatch(&self.broker, [&self.cursor]);
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("partition", &self.partition())
            .field("position", &self.position())
            .finish_non_exhaustive()
    }
}

fn lag(broker: &Broker, cursor: &Cursor) -> i64 {
    let offsets = broker.store.offsets(cursor.id);
    offsets.map_or(0, |offsets| offsets.high_watermark.saturating_sub(cursor.offset).max(0))
}

/// Reads all partitions of a topic, one after the other, with one buffer. From
/// [`Client::topic_reader`].
///
/// Order holds within a partition. Partitions that the topic gets later are read from their
/// beginning.
pub struct TopicReader {
    broker: Arc<Broker>,
    topic: String,
    cursors: Vec<Cursor>,
    /// The cursor whose turn it is.
    turn: usize,
    buffer: Buffer,
    sleeper: Sleeper,
}

impl TopicReader {
    /// The next batches of whichever partition has some, `max_bytes` of them, or one if it is
    /// larger. None: nothing more yet in any.
    ///
    /// # Errors
    /// As [`Reader::next`], with the partition it is about; the next call looks at the next
    /// partition.
    pub fn next(&mut self, max_bytes: usize) -> Result<Option<Records<'_>>, (i32, ReadError)> {
        self.follow_growth();
        for _ in 0..self.cursors.len() {
            self.turn = (self.turn + 1) % self.cursors.len();
            let cursor = &mut self.cursors[self.turn];
            let partition = cursor.partition;
            match cursor.read(&self.broker, max_bytes, &mut self.buffer) {
                Ok(None) => {}
                Ok(Some(span)) => {
                    let bytes = self.buffer.bytes();
                    return Ok(Some(Records::new(&self.topic, partition, span, bytes)));
                }
                Err(error) => return Err((partition, error)),
            }
        }
        Ok(None)
    }

    /// Sleeps until there is something to be seen: records, an error, an interruption. False: the
    /// time is over first. Partitions that the topic gets meanwhile do not wake it.
    pub fn wait(&mut self, timeout: Duration) -> bool {
        self.sleeper.wait(&self.broker, &self.cursors, timeout)
    }

    /// The same for a task: ready when there is something to be seen.
    pub fn poll_wait(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.sleeper.poll(&self.broker, &self.cursors, context)
    }

    /// Moves one partition elsewhere; returns the offset.
    ///
    /// # Errors
    /// [`ReadError::Deleted`] also if there is no such partition; [`ReadError::Stopped`],
    /// [`ReadError::Storage`].
    pub fn seek(&mut self, partition: i32, to: Position) -> Result<i64, ReadError> {
        let cursor = usize::try_from(partition).ok().and_then(|at| self.cursors.get_mut(at));
        let cursor = cursor.ok_or_else(|| ReadError::Deleted(self.topic.clone()))?;
        cursor.seek(&self.broker, to)
    }

    /// Offset of the next record of each partition, in their order.
    pub fn positions(&self) -> impl Iterator<Item = (i32, i64)> {
        self.cursors.iter().map(|cursor| (cursor.partition, cursor.offset))
    }

    /// Records between here and the high watermarks.
    pub fn lag(&self) -> i64 {
        self.cursors.iter().map(|cursor| lag(&self.broker, cursor)).sum()
    }

    /// What ends a [`TopicReader::wait`] from another thread.
    pub fn interrupter(&self) -> Interrupter {
        Interrupter { signal: self.sleeper.signal.clone() }
    }

    /// Takes partitions in that the topic has got since the last look.
    fn follow_growth(&mut self) {
        let cluster = self.broker.cluster.load();
        let Some(topic) = cluster.by_name.get(self.topic.as_str()) else { return };
        if topic.partitions.len() == self.cursors.len() {
            return;
        }
        let is_same = self.cursors.first().is_some_and(|first| first.is_of(topic));
        if is_same {
            for at in self.cursors.len()..topic.partitions.len() {
                let Some(mut cursor) = Cursor::new(topic.clone(), at as i32) else { return };
                // If that fails, so does the first read, which says why.
                let _ = cursor.seek(&self.broker, Position::Earliest);
                self.cursors.push(cursor);
            }
        }
    }
}

impl Drop for TopicReader {
    fn drop(&mut self) {
        self.sleeper.unwatch(&self.broker, &self.cursors);
    }
}

impl fmt::Debug for TopicReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TopicReader")
            .field("topic", &self.topic)
            .field("partitions", &self.cursors.len())
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Reads one partition from a position on.
    ///
    /// # Errors
    /// [`ClientError::UnknownTopic`], [`ClientError::UnknownPartition`], [`ClientError::Stopped`],
    /// [`ClientError::Storage`].
    pub fn reader(
        &self,
        topic: &str,
        partition: i32,
        from: Position,
    ) -> Result<Reader, ClientError> {
        self.check_running()?;
        let (topic, _) = self.partition(topic, partition)?;
        let cursor = self.cursor(topic, partition, from)?;
        let sleeper = Sleeper::new(&self.broker);
        Ok(Reader { broker: self.broker.clone(), cursor, buffer: Buffer::default(), sleeper })
    }

    /// Reads all partitions of a topic, each from a position on.
    ///
    /// # Errors
    /// [`ClientError::UnknownTopic`], [`ClientError::Stopped`], [`ClientError::Storage`].
    pub fn topic_reader(&self, topic: &str, from: Position) -> Result<TopicReader, ClientError> {
        self.check_running()?;
        let (known, _) = self.partition(topic, 0)?;
        let partitions = 0..known.partitions.len() as i32;
        let cursors = partitions.map(|at| self.cursor(known.clone(), at, from));
        Ok(TopicReader {
            broker: self.broker.clone(),
            topic: topic.to_owned(),
            cursors: cursors.collect::<Result<_, _>>()?,
            turn: 0,
            buffer: Buffer::default(),
            sleeper: Sleeper::new(&self.broker),
        })
    }

    pub(crate) fn cursor(
        &self,
        topic: Arc<crate::cluster::Topic>,
        partition: i32,
        from: Position,
    ) -> Result<Cursor, ClientError> {
        let name = topic.name.clone();
        let gone = || ClientError::UnknownTopic { topic: name.to_string(), nearest: None };
        let mut cursor = Cursor::new(topic, partition).ok_or_else(gone)?;
        match cursor.seek(&self.broker, from) {
            Ok(_) => Ok(cursor),
            Err(ReadError::Deleted(_)) => Err(gone()),
            Err(ReadError::Storage(fault)) => Err(ClientError::Storage(fault)),
            Err(error) => {
                let fault = Fault::new(FaultKind::Other, error.to_string());
                Err(ClientError::Storage(fault))
            }
        }
    }
}
