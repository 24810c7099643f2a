//! The side that connects: its half, and a dialling in the background.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;

use super::bell::Side;
use super::{PEER, Pipe, flags, pipe_options};
use crate::door::{ConnectError, Dialed, Dialing};
use crate::error::Error;
use crate::link::Ends;
use crate::memory::{self, Half, Mapping};
use crate::name::Name;
use crate::options::{BadRing, Options, common_options, connecting_options};
use crate::porch::{Bell, Button, Porch};
use crate::step::step;
use crate::task;
use crate::wait::{Sleeper, after};
use crate::wire::{Flags, Hello, Kind, Welcome};

/// Connects to the [`Listener`](super::Listener) of that name, with everything else as it is by
/// default.
///
/// # Errors
///
/// See [`ConnectError`]: among others nobody of that name came within 2 s.
pub fn connect(name: &str) -> Result<Pipe, ConnectError> {
    Pipe::builder().connect(name)
}

/// Choices for who connects.
#[derive(Debug, Clone)]
pub struct PipeBuilder {
    options: Options,
    connect_within: Duration,
    light_sleep: bool,
}

impl Default for PipeBuilder {
    fn default() -> Self {
        let connect_within = Duration::from_secs(2);
        PipeBuilder { options: Options::default(), connect_within, light_sleep: false }
    }
}

impl PipeBuilder {
    common_options!();
    connecting_options!();
    pipe_options!();

    /// How long to wait for a listener of the name: 2 s by default. However short, it is tried
    /// once.
    #[must_use]
    pub fn connect_within(mut self, limit: Duration) -> Self {
        self.connect_within = limit;
        self
    }

    /// Connects to the listener of this name.
    ///
    /// # Errors
    ///
    /// See [`ConnectError`].
    pub fn connect(self, name: &str) -> Result<Pipe, ConnectError> {
        let mut dial = self.dial(name)?;
        loop {
            if let Some(outcome) = dial.poll() {
                return outcome;
            }
            // Knocked at when the dialling is over, by the deadline at the latest.
            dial.porch.sleep(None, |_| ()).map_err(system)?;
        }
    }

    /// As [`PipeBuilder::connect`], as a task of any executor. Dropped before it is ready, it is
    /// given up.
    ///
    /// # Errors
    ///
    /// See [`ConnectError`].
    pub async fn connect_async(self, name: &str) -> Result<Pipe, ConnectError> {
        let mut dial = self.dial(name)?;
        loop {
            if let Some(outcome) = dial.poll() {
                return outcome;
            }
            let porch = Arc::clone(&dial.porch);
            task::wait(&porch, &mut News(&porch)).await.map_err(waiting)?;
        }
    }

    /// Begins to connect, in the background.
    ///
    /// # Errors
    ///
    /// [`ConnectError::Name`], [`ConnectError::Ring`], [`ConnectError::System`]. All others are the
    /// outcome of the [`Dial`].
    pub fn dial(self, name: &str) -> Result<Dial, ConnectError> {
        Dial::begin(Name::new(name)?, self)
    }
}

/// A pipe that is being made, by a background thread. Dropped, it is given up.
///
/// Its descriptor becomes readable when there is something to [`poll`](Dial::poll), and is then
/// that of the pipe.
pub struct Dial {
    name: Name,
    options: Options,
    light_sleep: bool,
    porch: Arc<Porch>,
    half: Half,
    mine: Arc<Mapping>,
    /// `None`: it is over.
    dialing: Option<Dialing>,
}

impl Dial {
    fn begin(name: Name, builder: PipeBuilder) -> Result<Dial, ConnectError> {
        let PipeBuilder { options, connect_within, light_sleep } = builder;
        let bytes = options.ring_bytes;
        let half = Half::new(bytes).map_err(|_| BadRing::new(bytes))?;
        let (mine, fd) =
            memory::create_with("chaski-client", half.len(), options.pages).map_err(system)?;
        let porch = Porch::new().map_err(system)?;
        // A knock always rings: who waits for it may wait in a loop of its own.
        porch.lie_down();
        let (bell, button) = Bell::new().map_err(system)?;
        porch.watch(bell, PEER).map_err(system)?;
        let mine = Arc::new(mine);
        let mut dial = Dial { name, options, light_sleep, porch, half, mine, dialing: None };
        let ends = dial.ends(Arc::clone(&dial.mine), Flags::default(), 0);
        ends.format(0).map_err(|_| BadRing::new(bytes))?;
        step("pipe.half_made");
        let hello = Hello {
            flags: flags(light_sleep),
            // A ring is at most 1 GiB.
            capacity: bytes as u32,
            payload_max: dial.options.large_bytes as u64,
            ..Hello::new(Kind::Pipe)
        };
        let Options { directory, admit, .. } = dial.options.clone();
        let (fds, porch) = (vec![fd, button], Arc::clone(&dial.porch));
        let deadline = after(connect_within);
        let dialing = Dialing::begin(&dial.name, directory, admit, hello, fds, deadline, porch);
        dial.dialing = Some(dialing);
        Ok(dial)
    }

    /// The outcome, once, when there is one.
    pub fn poll(&mut self) -> Option<Result<Pipe, ConnectError>> {
        // Before the look, so that a knock behind it is heard; a task may have left it up.
        self.porch.lie_down();
        let _ = self.porch.sleep(Some(Duration::ZERO), |_| ());
        self.porch.take_news();
        let outcome = self.dialing.as_mut()?.poll()?;
        self.dialing = None;
        Some(outcome.and_then(|dialed| self.pipe(dialed)))
    }

    /// The pipe to a listener that welcomed this side.
    fn pipe(&self, dialed: Dialed) -> Result<Pipe, ConnectError> {
        let Dialed { session, welcome, fds } = dialed;
        let Ok([theirs, button]) = <[OwnedFd; 2]>::try_from(fds) else {
            return Err(self.unfit("two descriptors were due"));
        };
        let button = Button::new(button, session.peer()).map_err(|why| self.unfit(why))?;
        let theirs =
            memory::open(theirs.as_fd(), self.half.len()).map_err(|why| self.unfit(why))?;
        let ends = self.ends(Arc::new(theirs), welcome.flags, self.payload_max(&welcome));
        let side = Side::new(Arc::clone(&self.porch), session, None);
        let made = Pipe::new(&ends, button, &self.options, side);
        let (pipe, _) = made.map_err(|why| self.unfit(why))?;
        step("pipe.dialed");
        Ok(pipe)
    }

    fn ends(&self, theirs: Arc<Mapping>, flags: Flags, payload_max: usize) -> Ends {
        let fences =
            [flags, super::flags(self.light_sleep)].iter().all(|it| it.contains(Flags::FENCES));
        Ends { mine: Arc::clone(&self.mine), theirs, half: self.half, fences, payload_max }
    }

    /// The listener's part is not as it must be.
    fn unfit(&self, why: impl ToString) -> ConnectError {
        ConnectError::Malformed { name: self.name.clone(), why: why.to_string() }
    }

    /// What both sides take.
    fn payload_max(&self, welcome: &Welcome) -> usize {
        let theirs = usize::try_from(welcome.payload_max).unwrap_or(usize::MAX);
        theirs.min(self.options.large_bytes)
    }
}

/// Waits for a knock.
struct News<'a>(&'a Porch);

impl Sleeper for News<'_> {
    fn look(&mut self) -> bool {
        self.0.has_news()
    }

    // The doorman is told by the porch.
    fn lie_down(&mut self) {}

    fn get_up(&mut self) {}
}

/// What could not be made for a connection.
fn system(error: impl Into<std::io::Error>) -> ConnectError {
    let errno = crate::door::errno(error);
    ConnectError::System { what: "make memory and doorbells", errno }
}

fn waiting(error: Error) -> ConnectError {
    let errno = if let Error::System { errno, .. } = error { errno } else { Errno::IO };
    ConnectError::System { what: "wait for an answer", errno }
}

impl AsFd for Dial {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.porch.as_fd()
    }
}

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dial").field("name", &self.name).finish_non_exhaustive()
    }
}
