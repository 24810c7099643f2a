//! Records out of a broker on this machine, read from the log's own pages.
//!
//! ```text
//!   broker                                        consumer
//!   append -> page cache -> high watermark -----> a look at shared memory      no system call
//!                \--------------------------------> pread into its own buffer    one a read
//!   LocalLog::read <------ "where is offset n?" --- at the end of a segment
//!                  ------> a descriptor, read-only, of the segment that holds it
//!   watchers       <------ "I sleep" -------------- nothing to read, and spinning did not pay
//!                  ------> "awake"
//! ```
//!
//! The broker does nothing for a consumer that is awake and keeps up. What it does for one is
//! bounded: a packet answered, a descriptor opened, a watch at a partition.
//!
//! Invariants:
//! - a record below the high watermark is whole in the page cache before the high watermark shows
//!   it, and never changes; nothing behind the high watermark is handed out;
//! - a batch is checked as a whole before any of its records is seen; what is wrong there ends the
//!   read, not the process: a file that is cut is an error, never a signal;
//! - a segment that retention removes is read to its end, since the descriptor keeps its pages;
//! - a consumer can write nothing that the broker reads but its requests, and a broker nothing that
//!   is believed here unless it is checked: either may die, or lie, at any instant.

mod builder;
mod error;
mod link;
mod records;
mod scan;
mod spin;
#[cfg(test)]
mod tests;
mod track;
#[doc(hidden)]
pub mod wire;

use std::fmt;
use std::time::{Duration, Instant};

pub use self::builder::LocalConsumerBuilder;
pub use self::error::ConsumeError;
pub use self::records::Records;

use self::builder::Options;
use self::error::Lost;
use self::link::Link;
use self::spin::Spin;
use self::track::{Buffer, Track, Trouble};
use self::wire::{Answer, PARTITIONS_MAX, Reason, Request};

/// Where to begin to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// The oldest record kept.
    Earliest,
    /// Behind the newest record: only what comes from now on.
    Latest,
    /// This offset.
    Offset(i64),
    /// The first record with this timestamp or a later one, in milliseconds since the epoch; behind
    /// the newest record if there is none.
    Time(i64),
}

/// Reads partitions of a broker on this machine, whole batches in order, straight from the pages
/// of its log.
///
/// Who is let in is decided by the user it runs as: see [`LocalConsumerBuilder::admit`]. Whoever
/// is, can read all topics. Partitions are given by hand; a group only remembers offsets
/// ([`LocalConsumer::commit`]).
///
/// When the broker stops or dies, the present call says so
/// ([`Disconnected`](ConsumeError::Disconnected)), and each later one looks for a broker of the
/// same name and goes on where the consumer was.
///
/// ```no_run
/// use std::time::Duration;
///
/// use chaski_local::{LocalConsumer, Position};
///
/// // The broker was started with `shm.listen=chaski`.
/// let mut consumer = LocalConsumer::connect("chaski")?;
/// consumer.assign("orders", 0, Position::Earliest)?;
/// loop {
///     let Some(records) = consumer.next(Duration::from_secs(1))? else { continue };
///     records.for_each(|record| println!("{}: {:?}", record.offset, record.value))?;
/// }
/// # #[allow(unreachable_code)]
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct LocalConsumer {
    options: Options,
    /// None: the broker was gone when it was last needed.
    link: Option<Link>,
    tracks: Vec<Track>,
    /// The track whose turn it was.
    turn: usize,
    buffer: Buffer,
    spin: Spin,
}

impl LocalConsumer {
    /// Connects to the broker of this name (its setting `shm.listen`), everything else as it is by
    /// default.
    ///
    /// # Errors
    /// See [`LocalConsumerBuilder::connect`].
    pub fn connect(name: &str) -> Result<LocalConsumer, ConsumeError> {
        LocalConsumer::builder().connect(name)
    }

    /// Choices to be made before it connects.
    pub fn builder() -> LocalConsumerBuilder {
        LocalConsumerBuilder::default()
    }

    fn open(options: Options) -> Result<LocalConsumer, ConsumeError> {
        let link = options.link(options.patience)?;
        let spin = Spin::new(options.spin);
        let (tracks, buffer) = (Vec::new(), Buffer::default());
        Ok(LocalConsumer { options, link: Some(link), tracks, turn: 0, buffer, spin })
    }

    /// Reads a partition from a position on, beside those that are read already; one that is moves
    /// there. Returns the offset.
    ///
    /// # Errors
    /// [`ConsumeError::Unknown`]; [`ConsumeError::Refused`] if there are as many partitions as may
    /// be: 100 of one consumer, 4096 of all that are connected to a broker;
    /// [`ConsumeError::Disconnected`]; [`ConsumeError::Storage`].
    pub fn assign(
        &mut self,
        topic: &str,
        partition: i32,
        from: Position,
    ) -> Result<i64, ConsumeError> {
        // One that was assigned may be of a topic that was deleted and made anew.
        self.unassign(topic, partition);
        if self.tracks.len() >= PARTITIONS_MAX {
            let why = format!("a consumer reads {PARTITIONS_MAX} partitions at most");
            return Err(ConsumeError::Refused(why));
        }
        self.reconnect(Duration::ZERO)?;
        let Some(link) = &mut self.link else { return Err(self.disconnected()) };
        match Track::open(link, topic, partition, from) {
            Ok(track) => {
                let offset = track.offset;
                self.tracks.push(track);
                Ok(offset)
            }
            Err(trouble) => Err(self.note(trouble)),
        }
    }

    /// Does not read a partition any more.
    pub fn unassign(&mut self, topic: &str, partition: i32) {
        let Some(index) = self.find(topic, partition) else { return };
        let track = self.tracks.remove(index);
        if let (Some(handle), Some(link)) = (track.handle(), &mut self.link)
            && let Err(lost) = link.tell(&Request::Close { handle })
        {
            self.lose(lost);
        }
    }

    /// The next batches of whichever partition has some, those that have in turn; waits for them
    /// for up to `timeout`, if need be. None: nothing came.
    ///
    /// It may take longer while the broker looks something up: at the end of a segment, and behind
    /// damage.
    ///
    /// # Errors
    /// [`ConsumeError::Disconnected`], after which the next call connects again;
    /// [`ConsumeError::Deleted`], [`ConsumeError::OutOfRange`], [`ConsumeError::Damaged`],
    /// [`ConsumeError::Storage`], after which the next call looks at the next partition.
    pub fn next(&mut self, timeout: Duration) -> Result<Option<Records<'_>>, ConsumeError> {
        let deadline = Instant::now().checked_add(timeout);
        self.reconnect(timeout)?;
        let mut is_told = false;
        loop {
            for _ in 0..self.tracks.len() {
                self.turn = (self.turn + 1) % self.tracks.len();
                if let Some(span) = self.read(self.turn)? {
                    let track = &self.tracks[self.turn];
                    let bytes = self.buffer.bytes();
                    return Ok(Some(Records::new(&track.topic, track.partition, span, bytes)));
                }
            }
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return Ok(None);
            }
            // Shared memory that promises what is not there is not asked twice: the broker is.
            is_told = !is_told && self.look()?;
            if !is_told && !self.sleep(deadline)? {
                return Ok(None);
            }
        }
    }

    /// Moves in a partition; returns the offset.
    ///
    /// # Errors
    /// [`ConsumeError::Unassigned`], [`ConsumeError::Disconnected`], [`ConsumeError::Deleted`],
    /// [`ConsumeError::Storage`].
    pub fn seek(&mut self, topic: &str, partition: i32, to: Position) -> Result<i64, ConsumeError> {
        let index = self.index(topic, partition)?;
        self.reconnect(Duration::ZERO)?;
        let Some(link) = &mut self.link else { return Err(self.disconnected()) };
        let moved = self.tracks[index].seek(link, to);
        moved.map_err(|trouble| self.note(trouble))
    }

    /// Offset of the next record of a partition; None: it is not assigned.
    pub fn position(&self, topic: &str, partition: i32) -> Option<i64> {
        Some(self.tracks[self.find(topic, partition)?].offset)
    }

    /// Records of a partition between here and the high watermark, as far as that is known; None:
    /// it is not assigned.
    pub fn lag(&self, topic: &str, partition: i32) -> Option<i64> {
        Some(self.tracks[self.find(topic, partition)?].lag(self.link.as_ref()))
    }

    /// The partitions that are read, and the offset of the next record of each.
    pub fn positions(&self) -> impl Iterator<Item = (&str, i32, i64)> {
        self.tracks.iter().map(|track| (&*track.topic, track.partition, track.offset))
    }

    /// Commits the positions of all partitions for a group that has no members; makes the group if
    /// there is none. What this returns for is on disk.
    ///
    /// It waits for the broker's disk, so once in a while is enough.
    ///
    /// # Errors
    /// [`ConsumeError::Refused`]: the group has members, who alone may commit, or the broker is
    /// busy; [`ConsumeError::Deleted`] for the first such partition, nothing is committed until it
    /// is not assigned any more; [`ConsumeError::Disconnected`].
    pub fn commit(&mut self, group: &str) -> Result<(), ConsumeError> {
        self.reconnect(Duration::ZERO)?;
        let mut offsets = Vec::with_capacity(self.tracks.len());
        for index in 0..self.tracks.len() {
            offsets.push((self.ensure_open(index)?, self.tracks[index].offset));
        }
        match self.ask(&Request::Commit { group, offsets })? {
            Answer::Done => Ok(()),
            Answer::Failed { reason: Reason::Deleted, offsets: [handle, ..], .. } => {
                let is_it = |track: &&Track| track.handle().map(i64::from) == Some(handle);
                let Some(track) = self.tracks.iter().find(is_it) else {
                    return Err(self.lose(Lost::nonsense()));
                };
                let (topic, partition) = (track.topic.to_string(), track.partition);
                Err(ConsumeError::Deleted { topic, partition })
            }
            other => Err(self.refused(other)),
        }
    }

    /// What a group has committed of a partition; None: nothing.
    ///
    /// # Errors
    /// [`ConsumeError::Unassigned`], [`ConsumeError::Refused`], [`ConsumeError::Deleted`],
    /// [`ConsumeError::Disconnected`].
    pub fn committed(
        &mut self,
        group: &str,
        topic: &str,
        partition: i32,
    ) -> Result<Option<i64>, ConsumeError> {
        let index = self.index(topic, partition)?;
        self.reconnect(Duration::ZERO)?;
        let handle = self.ensure_open(index)?;
        match self.ask(&Request::Committed { handle, group })? {
            Answer::Committed(offset) => Ok(offset),
            other => {
                let trouble = self.tracks[index].explain(other);
                Err(self.note(trouble))
            }
        }
    }

    fn ensure_open(&mut self, index: usize) -> Result<u32, ConsumeError> {
        let Some(link) = &mut self.link else { return Err(self.disconnected()) };
        let opened = self.tracks[index].ensure_open(link);
        opened.map_err(|trouble| self.note(trouble))
    }

    fn read(&mut self, index: usize) -> Result<Option<chaski_batch::Span>, ConsumeError> {
        let Some(link) = &mut self.link else { return Err(self.disconnected()) };
        let read = self.tracks[index].read(link, &mut self.buffer, self.options.reading);
        read.map_err(|trouble| self.note(trouble))
    }

    /// Looks at shared memory for a while; true: there is something, if it is to be believed.
    fn look(&mut self) -> Result<bool, ConsumeError> {
        let Some(link) = &self.link else { return Err(self.disconnected()) };
        let tracks = &self.tracks;
        Ok(self.spin.until(|| tracks.iter().any(|track| track.is_ready(link))))
    }

    /// Sleeps until the broker says that there is something; false: the time is over.
    fn sleep(&mut self, deadline: Option<Instant>) -> Result<bool, ConsumeError> {
        let Some(link) = &mut self.link else { return Err(self.disconnected()) };
        let tracks = &self.tracks;
        let place = |track: &Track| Some((track.handle()?, track.offset));
        let places = tracks.iter().filter_map(place).collect();
        match link.sleep(places, deadline) {
            Ok(false) => Ok(false),
            Ok(true) => {
                if !tracks.iter().any(|track| track.is_ready(link)) {
                    self.tracks.iter_mut().for_each(Track::suspect);
                }
                Ok(true)
            }
            Err(lost) => Err(self.lose(lost)),
        }
    }

    fn ask(&mut self, request: &Request<'_>) -> Result<Answer, ConsumeError> {
        let Some(link) = &mut self.link else { return Err(self.disconnected()) };
        let asked = link.ask(request);
        asked.map(|(answer, _)| answer).map_err(|lost| self.lose(lost))
    }

    /// Connects again if the broker was gone; the partitions are opened as they are read.
    fn reconnect(&mut self, patience: Duration) -> Result<(), ConsumeError> {
        if self.link.is_some() {
            return Ok(());
        }
        let link = self.options.link(patience.min(self.options.patience));
        let link = link.map_err(|error| match error {
            ConsumeError::Connect(chaski_shm::ConnectError::NotFound { .. }) => self.disconnected(),
            other => other,
        })?;
        self.link = Some(link);
        Ok(())
    }

    fn note(&mut self, trouble: Trouble) -> ConsumeError {
        match trouble {
            Trouble::Lost(lost) => self.lose(lost),
            Trouble::Error(error) => error,
        }
    }

    fn lose(&mut self, Lost(why): Lost) -> ConsumeError {
        self.link = None;
        self.tracks.iter_mut().for_each(Track::disconnect);
        ConsumeError::Disconnected { name: self.options.name.clone(), why }
    }

    fn refused(&mut self, answer: Answer) -> ConsumeError {
        match answer {
            Answer::Failed { reason: Reason::Stopped, why, .. } => self.lose(Lost(why)),
            Answer::Failed { why, .. } => ConsumeError::Refused(why),
            _ => self.lose(Lost::nonsense()),
        }
    }

    fn disconnected(&self) -> ConsumeError {
        let why = "nobody has its name".to_owned();
        ConsumeError::Disconnected { name: self.options.name.clone(), why }
    }

    fn index(&self, topic: &str, partition: i32) -> Result<usize, ConsumeError> {
        let unassigned = || ConsumeError::Unassigned { topic: topic.to_owned(), partition };
        self.find(topic, partition).ok_or_else(unassigned)
    }

    fn find(&self, topic: &str, partition: i32) -> Option<usize> {
        let is_it = |track: &Track| (&*track.topic, track.partition) == (topic, partition);
        self.tracks.iter().position(is_it)
    }
}

impl fmt::Debug for LocalConsumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalConsumer")
            .field("broker", &self.options.name)
            .field("connected", &self.link.is_some())
            .field("partitions", &self.tracks.len())
            .finish_non_exhaustive()
    }
}
