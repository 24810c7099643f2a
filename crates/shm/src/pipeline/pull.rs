//! The side that receives.

use std::fmt;
use std::ops::Deref;
use std::time::{Duration, Instant};

use super::PEERS_MAX;
use super::collector::Collector;
use super::worker::Worker;
use crate::admit::Peer;
use crate::call::Departure;
use crate::door::{BindError, ConnectError};
use crate::error::Error;
use crate::hall::Key;
use crate::link::Batch;
use crate::options::{Options, binding_options, common_options, connecting_options};
use crate::tie::{Patience, patience_options};

/// Receives messages of which each goes to one receiver.
///
/// Connected, it is one of any number of workers of a [`Push`](super::Push):
///
/// ```no_run
/// let mut jobs = chaski_shm::Pull::connect("jobs")?;
/// loop {
///     let job = jobs.recv()?;
///     println!("{} bytes to work on", job.len());
/// }
/// # #[allow(unreachable_code)]
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Bound, it collects what any number of [`Push`](super::Push) send that are connected, from each
/// in turn:
///
/// ```no_run
/// use chaski_shm::{Batch, Pull};
///
/// let mut results = Pull::bind("results")?;
/// let mut batch = Batch::new();
/// loop {
///     results.recv_many(&mut batch, 256)?;
///     for result in &batch {
///         println!("{} bytes", result.len());
///     }
/// }
/// # #[allow(unreachable_code)]
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # One by one, or many
///
/// A message is taken, for good, before it is handed over. Receiving one by one a worker that dies
/// takes one with it, and never has more in hand than it works on. A batch is quicker by a multiple
/// where messages are short, and is for streams: all of it is taken at once, and what a worker has
/// taken is not given to another that is free.
///
/// # When the sender dies
///
/// What it had published still comes. A worker then waits for the next of the name, as long as
/// [`PullBuilder::reconnect_within`] says, and is [`Error::Closed`] after that. One that is bound
/// waits for whoever may come.
pub struct Pull {
    way: Way,
    /// The message in hand.
    payload: Vec<u8>,
}

/// Which side it is on.
enum Way {
    Collector(Box<Collector>),
    Worker(Box<Worker>),
}

/// Who sent a message: one of many, or the one there is.
type Origin = Option<Key>;

/// Choices for a [`Pull`].
#[derive(Debug, Clone)]
pub struct PullBuilder {
    options: Options,
    patience: Patience,
    senders_max: usize,
}

impl PullBuilder {
    common_options!();
    connecting_options!();
    binding_options!();
    patience_options!();

    /// The most senders at once, of one that is bound: 1,024 by default, 4,096 at most. Each takes
    /// three descriptors and the memory of its rings.
    #[must_use]
    pub fn senders_max(mut self, senders: usize) -> Self {
        self.senders_max = senders;
        self
    }

    /// Binds it to a name, for senders to connect to.
    ///
    /// # Errors
    ///
    /// See [`BindError`].
    pub fn bind(self, name: &str) -> Result<Pull, BindError> {
        let collector = Collector::bind(name, &self.options, self.senders_max)?;
        Ok(Pull { way: Way::Collector(Box::new(collector)), payload: Vec::new() })
    }

    /// Connects it as a worker to the sender of this name.
    ///
    /// # Errors
    ///
    /// See [`ConnectError`].
    pub fn connect(self, name: &str) -> Result<Pull, ConnectError> {
        let worker = Worker::connect(name, self.options, self.patience)?;
        Ok(Pull { way: Way::Worker(Box::new(worker)), payload: Vec::new() })
    }
}

impl Pull {
    /// For senders that connect to this name, with everything else as it is by default.
    ///
    /// # Errors
    ///
    /// See [`BindError`]: among others the name is in use, or is none.
    pub fn bind(name: &str) -> Result<Pull, BindError> {
        Pull::builder().bind(name)
    }

    /// A worker of the sender that is bound to this name, with everything else as it is by default.
    ///
    /// # Errors
    ///
    /// See [`ConnectError`]: among others nobody of that name came within 2 s.
    pub fn connect(name: &str) -> Result<Pull, ConnectError> {
        Pull::builder().connect(name)
    }

    /// For one that differs.
    pub fn builder() -> PullBuilder {
        PullBuilder {
            options: Options::default(),
            patience: Patience::default(),
            senders_max: PEERS_MAX,
        }
    }

    /// Waits for the next message.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`]: the sender is gone, all it had sent was received, and no other came in
    /// time. [`Error::System`]. What a sender does wrong ends its connection and nothing else.
    #[inline]
    pub fn recv(&mut self) -> Result<Message<'_>, Error> {
        let from = self.take(None)?.ok_or(Error::TimedOut)?;
        Ok(Message { pull: self, from })
    }

    /// Waits for the next message, but no longer than that.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`]; others as [`Pull::recv`].
    pub fn recv_timeout(&mut self, limit: Duration) -> Result<Message<'_>, Error> {
        let from = self.take(Some(Instant::now() + limit))?.ok_or(Error::TimedOut)?;
        Ok(Message { pull: self, from })
    }

    /// The next message, if there is one: waits for nothing.
    ///
    /// # Errors
    ///
    /// As [`Pull::recv`].
    #[inline]
    pub fn try_recv(&mut self) -> Result<Option<Message<'_>>, Error> {
        let Some(from) = self.poll()? else { return Ok(None) };
        Ok(Some(Message { pull: self, from }))
    }

    /// As [`Pull::recv`], as a task of any executor. Dropped before it is ready, it has taken
    /// nothing.
    ///
    /// # Errors
    ///
    /// As [`Pull::recv`].
    pub async fn recv_async(&mut self) -> Result<Message<'_>, Error> {
        let from = loop {
            if let Some(from) = self.poll()? {
                break from;
            }
            self.wait_async().await?;
        };
        Ok(Message { pull: self, from })
    }

    /// As [`Pull::recv`], into a buffer of the caller's, whose earlier contents are cleared.
    ///
    /// # Errors
    ///
    /// As [`Pull::recv`].
    pub fn recv_into(&mut self, payload: &mut Vec<u8>) -> Result<(), Error> {
        std::mem::swap(&mut self.payload, payload);
        let taken = self.take(None);
        std::mem::swap(&mut self.payload, payload);
        taken?.ok_or(Error::TimedOut).map(|_| ())
    }

    /// Waits for at least one message and takes as many as there are, `max` at most, into a batch,
    /// whose earlier contents are cleared; how many there are. After 16 KiB it takes no more.
    ///
    /// # Errors
    ///
    /// As [`Pull::recv`].
    ///
    /// # Panics
    ///
    /// If `max` is 0.
    #[inline]
    pub fn recv_many(&mut self, batch: &mut Batch, max: usize) -> Result<usize, Error> {
        loop {
            match self.try_recv_many(batch, max)? {
                0 => self.wait(None)?,
                taken => return Ok(taken),
            };
        }
    }

    /// As [`Pull::recv_many`], but waits no longer than that.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`]; others as [`Pull::recv`].
    ///
    /// # Panics
    ///
    /// If `max` is 0.
    pub fn recv_many_timeout(
        &mut self,
        batch: &mut Batch,
        max: usize,
        limit: Duration,
    ) -> Result<usize, Error> {
        let deadline = Instant::now() + limit;
        loop {
            match self.try_recv_many(batch, max)? {
                0 if Instant::now() >= deadline => return Err(Error::TimedOut),
                0 => self.wait(Some(deadline))?,
                taken => return Ok(taken),
            };
        }
    }

    /// As [`Pull::recv_many`], as a task of any executor. Dropped before it is ready, it has taken
    /// nothing.
    ///
    /// # Errors
    ///
    /// As [`Pull::recv`].
    ///
    /// # Panics
    ///
    /// If `max` is 0.
    pub async fn recv_many_async(&mut self, batch: &mut Batch, max: usize) -> Result<usize, Error> {
        loop {
            match self.try_recv_many(batch, max)? {
                0 => self.wait_async().await?,
                taken => return Ok(taken),
            }
        }
    }

    /// As [`Pull::recv_many`], but waits for nothing: 0 if there is no message.
    ///
    /// # Errors
    ///
    /// As [`Pull::recv`].
    ///
    /// # Panics
    ///
    /// If `max` is 0.
    #[inline]
    pub fn try_recv_many(&mut self, batch: &mut Batch, max: usize) -> Result<usize, Error> {
        assert!(max > 0, "a batch of at most 0 messages");
        batch.clear();
        match &mut self.way {
            Way::Collector(collector) => collector.poll_many(max, batch),
            Way::Worker(worker) => worker.poll_many(max, batch)?,
        }
        Ok(batch.len())
    }

    /// How many senders are connected: a worker has 1, or 0 while the next is looked for.
    pub fn senders(&mut self) -> usize {
        match &mut self.way {
            Way::Collector(collector) => collector.senders(),
            Way::Worker(worker) => usize::from(worker.is_connected()),
        }
    }

    /// Senders that are connected no more, each told once; at most the last 1,024 are kept. All
    /// that they had sent was received.
    pub fn departures(&mut self) -> impl Iterator<Item = Departure> {
        let departures = match &mut self.way {
            Way::Collector(collector) => collector.departures(),
            Way::Worker(worker) => worker.departures(),
        };
        departures.into_iter()
    }

    /// Takes the next message into `self.payload`, waiting until the deadline.
    #[inline]
    fn take(&mut self, deadline: Option<Instant>) -> Result<Option<Origin>, Error> {
        loop {
            if let Some(from) = self.poll()? {
                return Ok(Some(from));
            }
            // Asked here: what is found by waiting need not be a message, time after time.
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(None);
            }
            self.wait(deadline)?;
        }
    }

    /// Takes the next message into `self.payload`, if there is one.
    #[inline]
    fn poll(&mut self) -> Result<Option<Origin>, Error> {
        match &mut self.way {
            Way::Collector(collector) => Ok(collector.poll(&mut self.payload).map(Some)),
            Way::Worker(worker) => Ok(worker.poll(&mut self.payload)?.then_some(None)),
        }
    }

    fn wait(&mut self, deadline: Option<Instant>) -> Result<bool, Error> {
        match &mut self.way {
            Way::Collector(collector) => collector.wait(deadline),
            Way::Worker(worker) => worker.wait(deadline),
        }
    }

    async fn wait_async(&mut self) -> Result<(), Error> {
        match &mut self.way {
            Way::Collector(collector) => collector.wait_async().await,
            Way::Worker(worker) => worker.wait_async().await,
        }
    }
}

/// A message in hand: its payload.
#[derive(Debug)]
pub struct Message<'a> {
    pull: &'a mut Pull,
    from: Origin,
}

impl Message<'_> {
    /// Who sent it; `None` if it has left since.
    pub fn peer(&mut self) -> Option<&Peer> {
        match (&mut self.pull.way, self.from) {
            (Way::Collector(collector), Some(key)) => collector.peer(key),
            (Way::Worker(worker), _) => worker.peer(),
            (Way::Collector(_), None) => None,
        }
    }

    /// The payload, to be kept. The next message needs a new buffer then.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        std::mem::take(&mut self.pull.payload)
    }
}

impl Deref for Message<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.pull.payload
    }
}

impl fmt::Debug for Pull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = match &self.way {
            Way::Collector(_) => "bound",
            Way::Worker(_) => "connected",
        };
        f.debug_struct("Pull").field("way", &way).finish_non_exhaustive()
    }
}
