//! The side that is bound: it makes a pipe with each that connects.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::desk::Desk;
use super::{Pipe, pipe_options};
use crate::door::{self, BindError, Bound};
use crate::error::Error;
use crate::name::Name;
use crate::options::{Options, binding_options, common_options};
use crate::porch::Porch;
use crate::task;
use crate::wait::{Sleeper, after};

/// Pipes at once, unless it says otherwise.
const PIPES_MAX: usize = 1024;

/// Accepts pipes under a name.
///
/// Who connects is dealt with by a background thread: its pipe is up, and it may send, before it is
/// accepted here. Dropped, the name is free; pipes that were accepted live on.
///
/// Its descriptor is readable when there may be a pipe to accept: take them until
/// [`Listener::try_accept`] finds none, and wait again. There is nothing to arm.
pub struct Listener {
    // First: then nobody comes in any more.
    _bound: Bound,
    desk: Arc<Desk>,
    porch: Arc<Porch>,
}

/// Choices for a [`Listener`].
#[derive(Debug, Clone)]
pub struct ListenerBuilder {
    options: Options,
    pipes_max: usize,
    light_sleep: bool,
}

impl ListenerBuilder {
    common_options!();
    binding_options!();
    pipe_options!();

    /// The most pipes at once, those not yet accepted included: 1,024 by default. Each takes five
    /// descriptors and the memory of its rings. Who comes when there are as many is told to come
    /// again.
    #[must_use]
    pub fn pipes_max(mut self, pipes: usize) -> Self {
        self.pipes_max = pipes;
        self
    }

    /// Binds the listener to a name.
    ///
    /// # Errors
    ///
    /// See [`BindError`].
    pub fn bind(self, name: &str) -> Result<Listener, BindError> {
        let name = Name::new(name)?;
        let porch = Porch::new().map_err(system)?;
        // A knock always rings: who waits for it may wait in a loop of its own.
        porch.lie_down();
        let (directory, admit) = (self.options.directory.clone(), self.options.admit.clone());
        let desk = Desk::new(self.options, self.pipes_max, self.light_sleep);
        let bound = Bound::bind(&name, directory, admit, porch.clone(), desk.clone())?;
        Ok(Listener { _bound: bound, desk, porch })
    }
}

impl Listener {
    /// A listener of that name, with everything else as it is by default.
    ///
    /// # Errors
    ///
    /// See [`BindError`]: among others the name is in use, or is none.
    pub fn bind(name: &str) -> Result<Listener, BindError> {
        Listener::builder().bind(name)
    }

    /// For a listener that differs.
    pub fn builder() -> ListenerBuilder {
        ListenerBuilder { options: Options::default(), pipes_max: PIPES_MAX, light_sleep: false }
    }

    /// Waits for the next pipe.
    ///
    /// # Errors
    ///
    /// [`Error::System`].
    pub fn accept(&mut self) -> Result<Pipe, Error> {
        self.accept_until(None)
    }

    /// As [`Listener::accept`], but waits no longer than that.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`], [`Error::System`].
    pub fn accept_timeout(&mut self, limit: Duration) -> Result<Pipe, Error> {
        self.accept_until(Some(after(limit)))
    }

    /// The next pipe, if somebody has connected: waits for nothing.
    ///
    /// # Errors
    ///
    /// [`Error::System`].
    pub fn try_accept(&mut self) -> Result<Option<Pipe>, Error> {
        // An async accept that was dropped half-way may have left it up.
        self.porch.lie_down();
        self.sleep(Some(Duration::ZERO))?;
        self.porch.take_news();
        Ok(self.desk.next())
    }

    /// As [`Listener::accept`], as a task of any executor. Dropped before it is ready, it has
    /// accepted nothing.
    ///
    /// # Errors
    ///
    /// [`Error::System`].
    pub async fn accept_async(&mut self) -> Result<Pipe, Error> {
        loop {
            if let Some(pipe) = self.try_accept()? {
                return Ok(pipe);
            }
            task::wait(&self.porch, &mut Arrivals(&self.desk)).await?;
        }
    }

    fn accept_until(&mut self, deadline: Option<Instant>) -> Result<Pipe, Error> {
        loop {
            if let Some(pipe) = self.try_accept()? {
                return Ok(pipe);
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Err(Error::TimedOut);
            }
            self.sleep(left)?;
        }
    }

    fn sleep(&self, limit: Option<Duration>) -> Result<(), Error> {
        let slept = self.porch.sleep(limit, |_| ());
        slept.map(drop).map_err(Error::system("waiting for somebody to connect"))
    }
}

/// Waits for somebody to accept.
struct Arrivals<'a>(&'a Desk);

impl Sleeper for Arrivals<'_> {
    fn look(&mut self) -> bool {
        self.0.has_arrivals()
    }

    // The doorman is told by the porch.
    fn lie_down(&mut self) {}

    fn get_up(&mut self) {}
}

fn system(error: impl Into<std::io::Error>) -> BindError {
    BindError::System { what: "make a descriptor to wait with", errno: door::errno(error) }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.porch.as_fd()
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").finish_non_exhaustive()
    }
}
