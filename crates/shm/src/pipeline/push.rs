//! The side that sends.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use super::crew::Crew;
use super::uplink::Uplink;
use super::{DEPARTED_MAX, PEERS_MAX};
use crate::admit::Peer;
use crate::door::{BindError, ConnectError};
use crate::error::Error;
use crate::hall::Leave;
use crate::options::{Options, binding_options, common_options, connecting_options};
use crate::tie::{Patience, patience_options};

/// Sends messages of which each goes to one receiver.
///
/// Bound, it gives work to any number of workers, each message to one that is free:
///
/// ```no_run
/// use chaski_shm::{Pull, Push};
///
/// // One process:
/// let mut jobs = Push::bind("jobs")?;
/// for job in 0..1000_u64 {
///     jobs.send(&job.to_le_bytes())?;
/// }
/// let left = jobs.close(std::time::Duration::from_secs(60))?;
/// assert_eq!(left, 0, "all were taken");
///
/// // As many others as there are cores, each:
/// let mut jobs = Pull::connect("jobs")?;
/// let mut results = Push::connect("results")?;
/// loop {
///     let job = jobs.recv()?;
///     results.send(&job)?;
/// }
/// # #[allow(unreachable_code)]
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Connected, it is one of any number of senders whose messages one [`Pull`](super::Pull) collects.
///
/// # How a worker is chosen
///
/// One that has taken all it was given and waits for more comes first; if there is none, the one
/// with the fewest bytes unread. So a job that takes long delays at most those behind it in the
/// ring of its worker, and they are few as long as anybody is free. A sender that is faster than
/// all its workers fills their rings, and then waits. For long jobs use small rings, on the side of
/// the workers: [`PullBuilder::ring_bytes`](super::PullBuilder::ring_bytes).
///
/// # One by one, or many
///
/// | call | the receiver sees the message | for |
/// |---|---|---|
/// | [`send`](Push::send) | now | work that should begin at once |
/// | [`stage`](Push::stage), then [`publish`](Push::publish) | with all staged before | streams |
/// | [`send_all`](Push::send_all) | after each 8 KiB, and at the end | streams that are at hand |
///
/// # What was sent and was not taken
///
/// A message is taken when its receiver gives its space back, before it is handed over; so each is
/// delivered at most once. What a dead worker had not taken goes to others, with the next call of
/// any method; what a dead collector had not taken is offered to the next that binds the name. What
/// they had taken is theirs: [`Push::departures`] counts it.
///
/// Dropping a `Push` loses nothing that its receivers can still reach: what is in their rings they
/// take, also if this process ends or dies. Lost is what is in no ring of a living receiver: what
/// was staged and not published, what came back from a worker that died and found no room with
/// another, and what waits for the next collector. [`Push::flush`] and [`Push::close`] wait until
/// there is no such thing.
pub struct Push {
    way: Way,
}

/// Which side it is on.
enum Way {
    Crew(Box<Crew>),
    Uplink(Box<Uplink>),
}

/// Calls the same method on either.
macro_rules! either {
    ($way:expr, $it:ident => $call:expr) => {
        match $way {
            Way::Crew($it) => $call,
            Way::Uplink($it) => $call,
        }
    };
}

/// A receiver that is connected no more, and what became of what it was sent.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Loss {
    /// Who it was.
    pub peer: Peer,
    /// Why it left.
    pub why: Leave,
    /// Messages that it had taken, all that it ever did. Those of them that it had not finished are
    /// lost with it: at most one if it receives one by one, a batch if it receives batches.
    ///
    /// Of a receiver that was cut off, left nonsense behind, or was hung up on by this side, all
    /// it was sent, since nobody can tell.
    pub taken: u64,
    /// Messages that it had not taken. They go to another worker, or to the next collector. One
    /// that is too long for all workers who are connected waits for one who takes it.
    pub returned: u64,
}

/// Who left, until somebody asks.
#[derive(Debug, Default)]
pub(super) struct Losses(VecDeque<Loss>);

impl Losses {
    pub(super) fn push(&mut self, loss: Loss) {
        if self.0.len() == DEPARTED_MAX {
            self.0.pop_front();
        }
        self.0.push_back(loss);
    }
}

/// Choices for a [`Push`].
#[derive(Debug, Clone)]
pub struct PushBuilder {
    options: Options,
    patience: Patience,
    workers_max: usize,
}

impl PushBuilder {
    common_options!();
    connecting_options!();
    binding_options!();
    patience_options!();

    /// The most workers at once, of one that is bound: 1,024 by default, 4,096 at most. Each takes
    /// three descriptors and the memory of its rings.
    #[must_use]
    pub fn workers_max(mut self, workers: usize) -> Self {
        self.workers_max = workers;
        self
    }

    /// Binds it to a name, for workers to connect to.
    ///
    /// # Errors
    ///
    /// See [`BindError`].
    pub fn bind(self, name: &str) -> Result<Push, BindError> {
        let crew = Crew::bind(name, &self.options, self.workers_max)?;
        Ok(Push { way: Way::Crew(Box::new(crew)) })
    }

    /// Connects it to the collector of this name.
    ///
    /// # Errors
    ///
    /// See [`ConnectError`].
    pub fn connect(self, name: &str) -> Result<Push, ConnectError> {
        let uplink = Uplink::connect(name, self.options, self.patience)?;
        Ok(Push { way: Way::Uplink(Box::new(uplink)) })
    }
}

impl Push {
    /// For workers that connect to this name, with everything else as it is by default.
    ///
    /// # Errors
    ///
    /// See [`BindError`]: among others the name is in use, or is none.
    pub fn bind(name: &str) -> Result<Push, BindError> {
        Push::builder().bind(name)
    }

    /// To the collector that is bound to this name, with everything else as it is by default.
    ///
    /// # Errors
    ///
    /// See [`ConnectError`]: among others nobody of that name came within 2 s.
    pub fn connect(name: &str) -> Result<Push, ConnectError> {
        Push::builder().connect(name)
    }

    /// For one that differs.
    pub fn builder() -> PushBuilder {
        PushBuilder {
            options: Options::default(),
            patience: Patience::default(),
            workers_max: PEERS_MAX,
        }
    }

    /// Sends a message, waiting until some receiver has room. One that is bound waits for a worker
    /// if there is none.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`]: no receiver takes such a payload. [`Error::Closed`]: the collector is
    /// gone, and no other came in time. [`Error::System`].
    #[inline]
    pub fn send(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.stage(payload)?;
        self.publish();
        Ok(())
    }

    /// As [`Push::send`], but waits no longer than that.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`]: it was not sent. Others as [`Push::send`].
    pub fn send_timeout(&mut self, payload: &[u8], limit: Duration) -> Result<(), Error> {
        self.stage_until(payload, Some(Instant::now() + limit))?;
        self.publish();
        Ok(())
    }

    /// Sends a message if there is room for it now.
    ///
    /// # Errors
    ///
    /// [`Error::Full`]: no receiver has room, or none is connected. Others as [`Push::send`].
    #[inline]
    pub fn try_send(&mut self, payload: &[u8]) -> Result<(), Error> {
        either!(&mut self.way, it => it.try_stage(payload))?;
        self.publish();
        Ok(())
    }

    /// Sends messages, each to one receiver, which sees them when 8 KiB of them, or all, have been
    /// written. It waits for room as [`Push::send`] does.
    ///
    /// # Errors
    ///
    /// As [`Push::send`]. The messages before the one it failed at have been sent.
    pub fn send_all<M: AsRef<[u8]>>(
        &mut self,
        messages: impl IntoIterator<Item = M>,
    ) -> Result<(), Error> {
        let mut messages = messages.into_iter();
        let staged = messages.try_for_each(|message| self.stage(message.as_ref()));
        self.publish();
        staged
    }

    /// As [`Push::send`], as a task of any executor. Dropped before it is ready, it has sent
    /// nothing.
    ///
    /// # Errors
    ///
    /// As [`Push::send`].
    pub async fn send_async(&mut self, payload: &[u8]) -> Result<(), Error> {
        loop {
            match self.try_send(payload) {
                Err(Error::Full) => {}
                other => return other,
            }
            either!(&mut self.way, it => it.wait_for_room_async(payload.len()).await)?;
        }
    }

    /// Writes a message into the ring of a receiver, which sees it after [`Push::publish`]; earlier
    /// if 8 KiB have been staged, or if this or another call finds a ring full or turns to another
    /// worker. It waits for room as [`Push::send`] does.
    ///
    /// # Errors
    ///
    /// As [`Push::send`].
    #[inline]
    pub fn stage(&mut self, payload: &[u8]) -> Result<(), Error> {
        match either!(&mut self.way, it => it.try_stage(payload)) {
            Err(Error::Full) => self.stage_until(payload, None),
            other => other,
        }
    }

    /// Shows the receivers what was staged, and wakes those that sleep.
    #[inline]
    pub fn publish(&mut self) {
        either!(&mut self.way, it => it.publish());
    }

    /// Waits until every message sent so far is taken, and returns 0; or for that long, or until
    /// there is nobody to wait for, and returns how many are not. Taken is not yet worked on.
    ///
    /// Messages of workers that die meanwhile are given to others.
    ///
    /// # Errors
    ///
    /// [`Error::System`].
    pub fn flush(&mut self, limit: Duration) -> Result<u64, Error> {
        either!(&mut self.way, it => it.flush(Instant::now() + limit))
    }

    /// As [`Push::flush`] without a limit, as a task of any executor.
    ///
    /// # Errors
    ///
    /// As [`Push::flush`].
    pub async fn flush_async(&mut self) -> Result<u64, Error> {
        either!(&mut self.way, it => it.flush_async().await)
    }

    /// As [`Push::flush`], and the end. What is in the ring of a receiver that lives it takes all
    /// the same, see [above](Push#what-was-sent-and-was-not-taken).
    ///
    /// # Errors
    ///
    /// As [`Push::flush`].
    pub fn close(mut self, limit: Duration) -> Result<u64, Error> {
        self.flush(limit)
    }

    /// How many messages were sent, or staged, and not yet taken.
    pub fn untaken(&mut self) -> u64 {
        either!(&mut self.way, it => it.untaken())
    }

    /// How many receivers are connected: of one that is bound its workers, else 1, or 0 while the
    /// next collector is looked for.
    pub fn receivers(&mut self) -> usize {
        match &mut self.way {
            Way::Crew(crew) => crew.workers(),
            Way::Uplink(uplink) => usize::from(uplink.is_connected()),
        }
    }

    /// Receivers that are connected no more, each told once; at most the last 1,024 are kept.
    pub fn departures(&mut self) -> impl Iterator<Item = Loss> {
        either!(&mut self.way, it => it.losses()).0.into_iter()
    }

    /// Stages a message, waiting for room until the deadline.
    #[cold]
    fn stage_until(&mut self, payload: &[u8], deadline: Option<Instant>) -> Result<(), Error> {
        loop {
            match either!(&mut self.way, it => it.try_stage(payload)) {
                Err(Error::Full) => {}
                other => return other,
            }
            // Asked here: rings that are each too little may come without end.
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Err(Error::TimedOut);
            }
            either!(&mut self.way, it => it.wait_for_room(payload.len(), deadline))?;
        }
    }
}

impl fmt::Debug for Push {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = match &self.way {
            Way::Crew(_) => "bound",
            Way::Uplink(_) => "connected",
        };
        f.debug_struct("Push").field("way", &way).finish_non_exhaustive()
    }
}
