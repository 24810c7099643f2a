//! The side that subscribes.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chaski_ring::region::broadcast::RecvError;
use rustix::io::Errno;

use super::Policy;
use super::feed::Feed;
use crate::admit::Peer;
use crate::door::{ConnectError, Dialed, Dialing};
use crate::error::{Corrupt, Error};
use crate::name::Name;
use crate::options::{Options, meeting_options};
use crate::porch::{Bell, Porch};
use crate::task;
use crate::tie::{Patience, patience_options};
use crate::wait::{self, Sleeper, Waiter, after};
use crate::wire::{Flags, Hello, Kind};

/// The key of the one doorbell that a subscriber has.
const PUBLISHER: u32 = 0;

/// The longest sleep without a look. Nothing depends on it but what another subscriber may spoil:
/// its mark on the board, which all of them can write.
const SLEEP_MAX: Duration = Duration::from_millis(250);

/// Gets what a [`Publisher`](super::Publisher) publishes, each message once, in order.
///
/// ```no_run
/// use chaski_shm::{Error, Subscriber};
///
/// let mut prices = Subscriber::connect("prices")?;
/// loop {
///     match prices.recv() {
///         Ok(news) => println!("message {} of {} bytes", news.sequence(), news.len()),
///         Err(Error::Lagged { lost }) => println!("too slow: {lost} were lost"),
///         Err(Error::Restarted { missed }) => println!("another publisher; {missed} missed"),
///         Err(error) => return Err(error.into()),
///     }
/// }
/// # #[allow(unreachable_code)]
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # What is not received is counted
///
/// Messages are numbered by their publisher, from 0. Between two that are received, none is missing
/// unless the numbers say so, and before a gap there is an error that says how large it is.
///
/// | error | what happened | what to do |
/// |---|---|---|
/// | [`Error::Lagged`] | messages were written over before this side had read them | go on |
/// | [`Error::Restarted`] | another publisher came, whose numbers begin anew | go on |
/// | [`Error::CutOff`] | with [`Policy::Disconnect`]: this side fell behind | connect again |
/// | [`Error::Corrupt`] | the publisher broke the protocol; it is tried anew | go on, or not |
/// | [`Error::Closed`] | the publisher ended, and no other came in time | connect again |
///
/// Whatever a publisher had published when it ended, or was killed, is received first.
pub struct Subscriber {
    finder: Finder,
    state: State,
    reconnect_within: Duration,
    waiter: Waiter,
    /// The number of the next message that was neither received nor told to be lost.
    expected: u64,
    /// What was lost by connections before this one.
    lost: u64,
    /// The message in hand.
    payload: Vec<u8>,
}

/// Where a subscriber stands.
enum State {
    Up(Box<Feed>),
    /// Its publisher is gone, and the next is looked for. That one was of this generation.
    Seeking(Dialing, u64),
    Over,
}

/// A message.
#[derive(Debug, Clone, Copy)]
pub struct News<'a> {
    payload: &'a [u8],
    sequence: u64,
}

/// Choices for a [`Subscriber`].
#[derive(Debug, Clone)]
pub struct SubscriberBuilder {
    options: Options,
    patience: Patience,
    policy: Policy,
    history: usize,
}

impl SubscriberBuilder {
    meeting_options!();
    patience_options!();

    /// What is to become of this subscriber when it falls behind: [`Policy::DropOldest`] by
    /// default. The publisher refuses what it does not allow.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// How many messages from before it connects it wants: none by default. It gets as many as the
    /// publisher remembers and still has.
    #[must_use]
    pub fn history(mut self, messages: usize) -> Self {
        self.history = messages;
        self
    }

    /// Connects to the publisher of this name.
    ///
    /// # Errors
    ///
    /// See [`ConnectError`]: among others the publisher does not allow the policy
    /// ([`Refusal::TooLarge`](crate::Refusal::TooLarge)).
    pub fn connect(self, name: &str) -> Result<Subscriber, ConnectError> {
        let wait = self.options.wait;
        let porch = Porch::new().map_err(system)?;
        let name = Name::new(name)?;
        let mut finder = Finder { name, options: self.options, policy: self.policy, porch };
        let feed = finder.connect(self.history, after(self.patience.connect_within))?;
        Ok(Subscriber {
            finder,
            expected: feed.sequence(),
            state: State::Up(Box::new(feed)),
            reconnect_within: self.patience.reconnect_within,
            waiter: Waiter::new(wait),
            lost: 0,
            payload: Vec::new(),
        })
    }
}

impl Subscriber {
    /// Connects to the publisher of that name, with everything else as it is by default.
    ///
    /// # Errors
    ///
    /// See [`ConnectError`]: among others nobody of that name came within 2 s.
    pub fn connect(name: &str) -> Result<Subscriber, ConnectError> {
        Subscriber::builder().connect(name)
    }

    /// For a subscriber that differs.
    pub fn builder() -> SubscriberBuilder {
        SubscriberBuilder {
            options: Options::default(),
            patience: Patience::default(),
            policy: Policy::default(),
            history: 0,
        }
    }

    /// Waits for the next message.
    ///
    /// # Errors
    ///
    /// See [above](Subscriber#what-is-not-received-is-counted); [`Error::System`].
    #[inline]
    pub fn recv(&mut self) -> Result<News<'_>, Error> {
        let sequence = self.take(None)?.ok_or(Error::TimedOut)?;
        Ok(News { payload: &self.payload, sequence })
    }

    /// Waits for the next message, but no longer than that.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`]; others as [`Subscriber::recv`].
    pub fn recv_timeout(&mut self, limit: Duration) -> Result<News<'_>, Error> {
        let sequence = self.take(Some(after(limit)))?.ok_or(Error::TimedOut)?;
        Ok(News { payload: &self.payload, sequence })
    }

    /// The next message, if there is one: waits for nothing.
    ///
    /// # Errors
    ///
    /// As [`Subscriber::recv`].
    #[inline]
    pub fn try_recv(&mut self) -> Result<Option<News<'_>>, Error> {
        let Some(sequence) = self.poll()? else { return Ok(None) };
        Ok(Some(News { payload: &self.payload, sequence }))
    }

    /// As [`Subscriber::recv`], into a buffer of the caller's, whose earlier contents are cleared;
    /// the number of the message.
    ///
    /// # Errors
    ///
    /// As [`Subscriber::recv`].
    #[inline]
    pub fn recv_into(&mut self, payload: &mut Vec<u8>) -> Result<u64, Error> {
        std::mem::swap(&mut self.payload, payload);
        let taken = self.take(None);
        std::mem::swap(&mut self.payload, payload);
        taken?.ok_or(Error::TimedOut)
    }

    /// As [`Subscriber::recv`], as a task of any executor. Dropped before it is ready, it has taken
    /// nothing.
    ///
    /// A subscriber that sleeps in [`recv`](Subscriber::recv) looks around four times a second, and
    /// so finds what another, malicious one kept it from being woken for. A task has no clock and
    /// does not: it is found by the publisher, within some publications.
    ///
    /// # Errors
    ///
    /// As [`Subscriber::recv`].
    pub async fn recv_async(&mut self) -> Result<News<'_>, Error> {
        loop {
            if let Some(sequence) = self.poll()? {
                return Ok(News { payload: &self.payload, sequence });
            }
            let Subscriber { state, finder, .. } = self;
            task::wait(&finder.porch, &mut Listening { state, porch: &finder.porch }).await?;
        }
    }

    /// Messages that this side was told it has lost, with those that it missed of publishers that
    /// came later.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Whether its publisher is there. What that published before it ended may still be received.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.publisher().is_some()
    }

    /// Who publishes, if anybody does.
    #[must_use]
    pub fn publisher(&self) -> Option<&Peer> {
        match &self.state {
            State::Up(feed) if !feed.session().is_closed() => Some(feed.session().peer()),
            _ => None,
        }
    }

    /// The next message before the deadline: its number.
    #[inline]
    fn take(&mut self, deadline: Option<Instant>) -> Result<Option<u64>, Error> {
        match self.poll()? {
            None => self.wait(deadline),
            sequence => Ok(sequence),
        }
    }

    #[inline(never)]
    fn wait(&mut self, deadline: Option<Instant>) -> Result<Option<u64>, Error> {
        loop {
            let look_again = Instant::now() + SLEEP_MAX;
            let limit = deadline.map_or(look_again, |deadline| deadline.min(look_again));
            let Subscriber { state, finder, waiter, .. } = self;
            let mut listening = Listening { state, porch: &finder.porch };
            let found = waiter.wait(&finder.porch, &mut listening, Some(limit))?;
            let sequence = self.poll()?;
            if sequence.is_some() || !found && deadline == Some(limit) {
                return Ok(sequence);
            }
        }
    }

    /// Takes the next message, if there is one, into `self.payload`: its number.
    #[inline]
    fn poll(&mut self) -> Result<Option<u64>, Error> {
        loop {
            if let State::Up(feed) = &mut self.state {
                match feed.recv(&mut self.payload) {
                    Ok(Some(record)) => {
                        self.expected = record.sequence.wrapping_add(1);
                        return Ok(Some(record.sequence));
                    }
                    // The session is asked too: its one knock may have been taken for another.
                    Ok(None) if !self.finder.porch.has_news() && !feed.session().is_closed() => {
                        return Ok(None);
                    }
                    Ok(None) => {}
                    Err(error) => self.failed(error)?,
                }
            }
            if !self.advance()? {
                return Ok(None);
            }
        }
    }

    /// A receive that brought no message.
    #[cold]
    fn failed(&mut self, error: RecvError) -> Result<(), Error> {
        let State::Up(feed) = &mut self.state else { return Ok(()) };
        match error {
            RecvError::Lagged { .. } if feed.policy() != Policy::DropOldest => {
                // Only who was cut off is written over.
                self.state = State::Over;
                Err(Error::CutOff)
            }
            RecvError::Lagged { .. } => {
                let now = feed.sequence();
                self.lagged(now)
            }
            error => {
                let corrupt = match error {
                    RecvError::Corrupt(corrupt) => corrupt.into(),
                    // No limit was set below what a ring can hold.
                    _ => Corrupt::Reference,
                };
                feed.session().close();
                self.seek();
                Err(Error::Corrupt(corrupt))
            }
        }
    }

    /// The next message has this number, or a later one.
    fn lagged(&mut self, now: u64) -> Result<(), Error> {
        let lost = now.saturating_sub(self.expected);
        self.expected = now;
        self.lost = self.lost.saturating_add(lost);
        if lost == 0 { Ok(()) } else { Err(Error::Lagged { lost }) }
    }

    /// Deals with a publisher that is gone, and with one that was found; whether to look for a
    /// message again.
    #[cold]
    fn advance(&mut self) -> Result<bool, Error> {
        self.finder.porch.take_news();
        match &mut self.state {
            State::Up(feed) if feed.session().is_closed() => {
                // What it had published before it went may have come after the last look.
                if feed.is_ready() {
                    return Ok(true);
                }
                if feed.was_cut_off() {
                    self.state = State::Over;
                    return Err(Error::CutOff);
                }
                self.seek();
                Ok(false)
            }
            State::Up(_) => Ok(false),
            State::Seeking(dialing, last) => match dialing.poll() {
                None => Ok(false),
                Some(dialed) => {
                    let last = *last;
                    self.found(dialed, last).map(|()| true)
                }
            },
            State::Over => Err(Error::Closed),
        }
    }

    /// Looks for the next publisher, in the background.
    fn seek(&mut self) {
        let State::Up(feed) = &self.state else { return };
        let generation = feed.generation();
        // All that the next one has: this side was there before it.
        let dialing = self.finder.dial(usize::MAX, after(self.reconnect_within));
        self.state = match dialing {
            Ok(dialing) => State::Seeking(dialing, generation),
            Err(_) => State::Over,
        };
    }

    /// A publisher was found, or nobody was.
    fn found(&mut self, dialed: Result<Dialed, ConnectError>, last: u64) -> Result<(), Error> {
        let feed = dialed.and_then(|dialed| self.finder.feed(dialed));
        let Ok(mut feed) = feed else {
            self.state = State::Over;
            return Err(Error::Closed);
        };
        if feed.generation() != last {
            let missed = feed.sequence();
            self.expected = missed;
            self.lost = self.lost.saturating_add(missed);
            self.state = State::Up(Box::new(feed));
            return Err(Error::Restarted { missed });
        }
        // The same as before: it hung up on this side. What was read already is not read again.
        feed.skip_to(self.expected);
        let now = feed.sequence();
        if now > self.expected && self.finder.policy != Policy::DropOldest {
            self.state = State::Over;
            return Err(Error::CutOff);
        }
        self.state = State::Up(Box::new(feed));
        self.lagged(now)
    }
}

impl fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber")
            .field("name", &self.finder.name)
            .field("expected", &self.expected)
            .field("lost", &self.lost)
            .finish_non_exhaustive()
    }
}

impl News<'_> {
    /// How many messages its publisher had published before this one.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }
}

impl Deref for News<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.payload
    }
}

/// Waits for a message, or for news of the publisher.
struct Listening<'a> {
    state: &'a mut State,
    porch: &'a Porch,
}

impl Sleeper for Listening<'_> {
    #[inline]
    fn look(&mut self) -> bool {
        let ready = match self.state {
            State::Up(feed) => feed.is_ready() || feed.session().is_closed(),
            State::Seeking(..) => false,
            State::Over => true,
        };
        ready || self.porch.has_news()
    }

    fn lie_down(&mut self) {
        if let State::Up(feed) = self.state {
            feed.lie_down();
        }
    }

    fn get_up(&mut self) {
        if let State::Up(feed) = self.state {
            feed.get_up();
        }
    }
}

/// How publishers are found, the first and each that follows.
struct Finder {
    name: Name,
    options: Options,
    policy: Policy,
    porch: Arc<Porch>,
}

impl Finder {
    /// Connects, waiting for a publisher until the deadline.
    fn connect(&mut self, history: usize, deadline: Instant) -> Result<Feed, ConnectError> {
        let mut dialing = self.dial(history, deadline)?;
        loop {
            self.porch.take_news();
            if let Some(dialed) = dialing.poll() {
                return self.feed(dialed?);
            }
            self.porch.lie_down();
            if !self.porch.has_news() {
                // Knocked at when the dialing is over, by the deadline at the latest.
                self.porch.sleep(None, |_| ()).map_err(system)?;
            }
            self.porch.get_up();
        }
    }

    fn feed(&self, dialed: Dialed) -> Result<Feed, ConnectError> {
        Feed::new(dialed, self.policy).map_err(|why| {
            let why = why.to_string();
            ConnectError::Malformed { name: self.name.clone(), why }
        })
    }

    /// Begins to look for a publisher.
    fn dial(&mut self, history: usize, deadline: Instant) -> Result<Dialing, ConnectError> {
        let (bell, button) = Bell::new().map_err(system)?;
        // In the place of the last one's: each has its own, so that none can take the rings of
        // another.
        self.porch.watch(bell, PUBLISHER).map_err(system)?;
        let hello = Hello {
            flags: if wait::fences() { Flags::FENCES } else { Flags::default() },
            history: u32::try_from(history).unwrap_or(u32::MAX),
            policy: self.policy.code(),
            ..Hello::new(Kind::Subscribe)
        };
        Ok(Dialing::begin(
            &self.name,
            self.options.directory.clone(),
            self.options.admit.clone(),
            hello,
            vec![button],
            deadline,
            self.porch.clone(),
        ))
    }
}

/// What could not be made for a connection.
fn system(errno: Errno) -> ConnectError {
    ConnectError::System { what: "make doorbells", errno }
}
