//! The side that publishes.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chaski_ring::region::Fence;
use chaski_ring::region::board::Board;
use chaski_ring::region::broadcast::{self, Layout, Observer, PublishError};
use rustix::process::{Pid, getpid};

use super::Policy;
use super::desk::Desk;
use super::register::Register;
use super::stage::Stage;
use super::turns::Owner;
use crate::call::Departure;
use crate::door::{self, BindError, Bound};
use crate::error::Error;
use crate::hall::board::Page;
use crate::memory::{self, CAPACITY_MIN, Pages};
use crate::name::Name;
use crate::options::{BadRing, Options, meeting_options};
use crate::porch::Porch;
use crate::task;
use crate::wait::{self, Sleeper, Waiter, after};

/// Bytes of the ring, unless the publisher says otherwise.
const RING_BYTES: usize = 1024 * 1024;

/// Subscribers at once, unless the publisher says otherwise.
const SUBSCRIBERS_MAX: usize = 1024;

/// Publishes messages that every subscriber gets, each at its own pace.
///
/// ```no_run
/// let mut prices = chaski_shm::Publisher::bind("prices")?;
/// for price in 0..1000_u64 {
///     prices.publish(&price.to_le_bytes())?;
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// There is one ring, which the publisher writes and all subscribers read. A message is written
/// into it once, and to publish costs the same for one subscriber and for a hundred, as long as
/// they are awake; waking one that sleeps is a system call each. Subscribers come and go whatever
/// the publisher's thread does: one that connects reads the [history](PublisherBuilder::history)
/// and all that is published from then on, though the publisher may not call a method for hours.
///
/// # Who falls behind
///
/// Each subscriber says what is to become of it when it is a whole ring behind ([`Policy`]), within
/// what the publisher allows ([`PublisherBuilder::policies`]). By default it loses the oldest
/// messages and is told how many, and no subscriber can make the publisher wait.
///
/// # How long a message may be
///
/// Half of the ring, less 16 bytes: 524,272 bytes by default, and 512 MiB at most
/// ([`PublisherBuilder::ring_bytes`]). A ring should hold many of the longest, so that subscribers
/// have time to read them.
///
/// # One by one, or many
///
/// | call | subscribers see the message | waits for room |
/// |---|---|---|
/// | [`publish`](Publisher::publish) | now | if a [`Policy::Block`] subscriber is behind |
/// | [`try_publish`](Publisher::try_publish) | now | never |
/// | [`stage`](Publisher::stage), [`flush`](Publisher::flush) | with all staged before | likewise |
/// | [`publish_all`](Publisher::publish_all) | at the end, or when room is needed | likewise |
///
/// # Its end
///
/// When it is dropped, or its process dies, its subscribers still read what it has published, and
/// then wait for the next publisher of the name.
pub struct Publisher {
    stage: Owner<Stage>,
    porch: Arc<Porch>,
    waiter: Waiter,
    layout: Layout,
    /// `None` once it is about to end.
    bound: Option<Bound>,
    /// The process that it is of. A forked child that drops its copy leaves the ring alone.
    home: Pid,
}

/// What a publisher counted. The numbers are each right but perhaps not of one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PublisherStats {
    /// Messages published.
    pub published: u64,
    /// Payload bytes of those.
    pub bytes: u64,
    /// Messages of those that are out of reach for a subscriber that has not read them.
    pub overwritten: u64,
    /// Times a publication had to wait for a subscriber.
    pub stalls: u64,
    /// Times a subscriber was woken.
    pub wakes: u64,
    /// Subscribers that were cut off because they fell behind or broke the protocol.
    pub cut_off: u64,
}

/// Choices for a [`Publisher`].
#[derive(Debug, Clone)]
pub struct PublisherBuilder {
    options: Options,
    history: usize,
    policies: Vec<Policy>,
    subscribers_max: usize,
}

impl PublisherBuilder {
    meeting_options!();

    /// Bytes of the ring: a power of two from 4 KiB to 1 GiB, 1 MiB by default. A message takes 16
    /// bytes and its payload, rounded up to a multiple of 8, and may take half of the ring. A
    /// subscriber can be seven eighths of it behind without losing anything, less a 64th and what
    /// the next message takes.
    #[must_use]
    pub fn ring_bytes(mut self, bytes: usize) -> Self {
        self.options.ring_bytes = bytes;
        self
    }

    /// How many of the last messages a subscriber that comes late may ask for: none by default. It
    /// gets fewer if fewer are still in the ring. Each takes 8 bytes of memory, and a publication
    /// some nanoseconds to note where the message is.
    #[must_use]
    pub fn history(mut self, messages: usize) -> Self {
        self.history = messages;
        self
    }

    /// What subscribers may ask for: [`Policy::DropOldest`] and [`Policy::Disconnect`] by default.
    /// With [`Policy::Block`], each that asks for it can stall this publisher, and with it all
    /// other subscribers, by not reading.
    #[must_use]
    pub fn policies(mut self, policies: impl IntoIterator<Item = Policy>) -> Self {
        self.policies = policies.into_iter().collect();
        self
    }

    /// The most subscribers at once: 1,024 by default, 4,096 at most. Each takes two descriptors,
    /// three if it is waited for, and 4 KiB of memory.
    #[must_use]
    pub fn subscribers_max(mut self, subscribers: usize) -> Self {
        self.subscribers_max = subscribers;
        self
    }

    /// When the ring gets its memory: by default page by page, when it is first touched.
    #[must_use]
    pub fn pages(mut self, pages: Pages) -> Self {
        self.options.pages = pages;
        self
    }

    /// Binds the publisher to a name.
    ///
    /// # Errors
    ///
    /// See [`BindError`].
    pub fn bind(self, name: &str) -> Result<Publisher, BindError> {
        let name = Name::new(name)?;
        let bytes = self.options.ring_bytes;
        let layout = Layout::new(bytes).ok().filter(|_| bytes >= CAPACITY_MIN);
        let layout = layout.ok_or_else(|| BadRing::new(bytes))?;
        let (ring, ring_fd) =
            memory::create_with("chaski-broadcast", layout.publisher_len(), self.options.pages)
                .map_err(system)?;
        let ring = Page(Arc::new(ring));
        let (board, board_fd) =
            memory::create_open_to_all("chaski-board", Board::LEN).map_err(system)?;
        let board = Page(Arc::new(board));
        Board::format(&board).expect("a mapping is a whole page");
        let subscribers_max = self.subscribers_max.clamp(1, Board::SLOTS_MAX);
        let board = Board::attach(board, subscribers_max).expect("it has just been formatted");
        // Who sleeps pays for both sides, see `Stage::flush` for those who cannot.
        let fence = Fence::Sleeper(wait::light_fence);
        let publisher = broadcast::Publisher::new(ring.clone(), layout, self.history, fence)
            .expect("the mapping is as long as asked for");

        let porch = Porch::new().map_err(system)?;
        let register = Arc::new(Register::default());
        let stage = Owner::new(Stage::new(publisher, board, register.clone(), porch.clone()));
        let desk = Desk {
            stage: stage.visitor(),
            register,
            layout,
            ring: Observer::attach(ring).expect("it has just been formatted"),
            fds: [ring_fd, board_fd],
            policies: self.policies,
            subscribers_max,
            generation: door::generation(),
            born: Instant::now(),
        };
        let Options { directory, admit, wait, .. } = self.options;
        let bound = Bound::bind(&name, directory, admit, porch.clone(), Arc::new(desk))?;
        let (waiter, bound, home) = (Waiter::new(wait), Some(bound), getpid());
        Ok(Publisher { stage, porch, waiter, layout, bound, home })
    }
}

/// What could not be made for a publisher.
fn system(error: impl Into<std::io::Error>) -> BindError {
    BindError::System { what: "make memory and doorbells", errno: door::errno(error) }
}

impl Publisher {
    /// A publisher of that name, with everything else as it is by default.
    ///
    /// # Errors
    ///
    /// See [`BindError`]: among others the name is in use, or is none.
    pub fn bind(name: &str) -> Result<Publisher, BindError> {
        Publisher::builder().bind(name)
    }

    /// For a publisher that differs.
    pub fn builder() -> PublisherBuilder {
        PublisherBuilder {
            options: Options { ring_bytes: RING_BYTES, ..Options::default() },
            history: 0,
            policies: vec![Policy::DropOldest, Policy::Disconnect],
            subscribers_max: SUBSCRIBERS_MAX,
        }
    }

    /// Publishes a message, with all that were staged. Waits if a subscriber of the policy
    /// [`Policy::Block`] is a whole ring behind, and for nothing else.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`], [`Error::System`].
    #[inline]
    pub fn publish(&mut self, payload: &[u8]) -> Result<(), Error> {
        let published = self.stage.enter().publish(payload);
        match published {
            Ok(()) => Ok(()),
            Err(refused) => self.publish_later(payload, refused, None),
        }
    }

    /// As [`Publisher::publish`], but waits no longer than that.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`]: it was not published. Others as [`Publisher::publish`].
    pub fn publish_timeout(&mut self, payload: &[u8], limit: Duration) -> Result<(), Error> {
        let published = self.stage.enter().publish(payload);
        match published {
            Ok(()) => Ok(()),
            Err(refused) => self.publish_later(payload, refused, Some(after(limit))),
        }
    }

    /// Publishes a message if nobody has to be waited for.
    ///
    /// # Errors
    ///
    /// [`Error::Full`]: a subscriber of the policy [`Policy::Block`] is a whole ring behind.
    /// [`Error::TooLarge`].
    #[inline]
    pub fn try_publish(&mut self, payload: &[u8]) -> Result<(), Error> {
        let published = self.stage.enter().publish(payload);
        published.map_err(error)
    }

    /// As [`Publisher::publish`], as a task of any executor. Dropped before it is ready, it has not
    /// published the message.
    ///
    /// # Errors
    ///
    /// As [`Publisher::publish`].
    pub async fn publish_async(&mut self, payload: &[u8]) -> Result<(), Error> {
        loop {
            match self.try_publish(payload) {
                Err(Error::Full) => {}
                other => return other,
            }
            let Publisher { stage, porch, .. } = self;
            task::wait(porch, &mut Room { stage, porch, len: payload.len() }).await?;
        }
    }

    /// Publishes messages, which may be seen only when all are written, or room is needed.
    ///
    /// # Errors
    ///
    /// As [`Publisher::publish`]. The messages before the one it failed at are published.
    pub fn publish_all<M: AsRef<[u8]>>(
        &mut self,
        messages: impl IntoIterator<Item = M>,
    ) -> Result<(), Error> {
        let mut messages = messages.into_iter();
        let staged = messages.try_for_each(|message| self.stage(message.as_ref()));
        self.flush();
        staged
    }

    /// Writes a message that is seen after [`Publisher::flush`]; earlier if another call needs
    /// room, or somebody subscribes. Waits as [`Publisher::publish`] does.
    ///
    /// # Errors
    ///
    /// As [`Publisher::publish`].
    #[inline]
    pub fn stage(&mut self, payload: &[u8]) -> Result<(), Error> {
        let staged = self.stage.enter().stage(payload);
        match staged {
            Ok(()) => Ok(()),
            Err(refused) => self.stage_later(payload, refused),
        }
    }

    /// Shows subscribers what was staged, and wakes those that sleep.
    #[inline]
    pub fn flush(&mut self) {
        self.stage.enter().flush();
    }

    /// The longest payload that can be published.
    #[must_use]
    pub fn payload_max(&self) -> usize {
        self.layout.payload_max()
    }

    /// How many subscribers are connected.
    pub fn subscribers(&mut self) -> usize {
        let mut stage = self.stage.enter();
        stage.settle();
        stage.subscribers()
    }

    /// Subscribers that are connected no more, each told once; at most the last 1,024 are kept.
    pub fn departures(&mut self) -> impl Iterator<Item = Departure> + use<> {
        let mut stage = self.stage.enter();
        stage.settle();
        stage.departures().into_iter()
    }

    /// What was counted.
    pub fn stats(&mut self) -> PublisherStats {
        let stats = self.stage.enter().stats();
        PublisherStats {
            published: stats.records,
            bytes: stats.bytes,
            overwritten: stats.overwritten,
            stalls: stats.full_stalls,
            wakes: stats.wakes,
            cut_off: stats.cut_off,
        }
    }

    /// Publishes once there is room.
    #[cold]
    fn publish_later(
        &mut self,
        payload: &[u8],
        mut refused: PublishError,
        deadline: Option<Instant>,
    ) -> Result<(), Error> {
        loop {
            self.wait_for_room(payload.len(), refused, deadline)?;
            let published = self.stage.enter().publish(payload);
            match published {
                Ok(()) => return Ok(()),
                Err(error) => refused = error,
            }
        }
    }

    /// Stages once there is room.
    #[cold]
    fn stage_later(&mut self, payload: &[u8], mut refused: PublishError) -> Result<(), Error> {
        loop {
            // There was no room with what is staged, so that was published; now for the sleepers.
            self.flush();
            self.wait_for_room(payload.len(), refused, None)?;
            let staged = self.stage.enter().stage(payload);
            match staged {
                Ok(()) => return Ok(()),
                Err(error) => refused = error,
            }
        }
    }

    /// Waits for room, somebody to leave, or the deadline, if room is what was lacking.
    fn wait_for_room(
        &mut self,
        len: usize,
        refused: PublishError,
        deadline: Option<Instant>,
    ) -> Result<(), Error> {
        if refused != PublishError::Full {
            return Err(error(refused));
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(Error::TimedOut);
        }
        let Publisher { stage, porch, waiter, .. } = self;
        waiter.wait(porch, &mut Room { stage, porch, len }, deadline)?;
        Ok(())
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        // In this order: nobody comes any more who would not be told.
        self.bound = None;
        if getpid() == self.home {
            self.stage.enter().close();
        }
    }
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher")
            .field("ring_bytes", &self.layout.capacity())
            .finish_non_exhaustive()
    }
}

fn error(refused: PublishError) -> Error {
    match refused {
        PublishError::TooLarge { len, max } => Error::TooLarge { len, max },
        _ => Error::Full,
    }
}

/// Waits for subscribers to make room.
struct Room<'a> {
    stage: &'a mut Owner<Stage>,
    porch: &'a Porch,
    /// Bytes of the payload that there should be room for.
    len: usize,
}

impl Sleeper for Room<'_> {
    fn look(&mut self) -> bool {
        self.porch.has_news() || self.stage.enter().has_room(self.len)
    }

    fn lie_down(&mut self) {
        self.stage.enter().lie_down();
    }

    fn get_up(&mut self) {
        self.stage.enter().get_up();
    }
}
