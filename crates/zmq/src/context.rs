//! What sockets of one program share: the driver, who authenticates peers, and the inproc names.
//!
//! Most programs never name a context: sockets live in [`Context::default`]. One of its own keeps a
//! library's sockets and `inproc` names apart from those of the program around it.

use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::driver::{Authenticator, Driver, Forked};

/// A context. Clones are the same context; it ends with its last socket and clone.
///
/// # Fork
///
/// A context belongs to the process that made it. In a forked child its sockets return an error,
/// and [`Context::default`] is a new one.
///
/// ```
/// use chaski_zmq::Context;
///
/// let context = Context::new();
/// assert!(!context.same(&Context::default()));
/// ```
#[derive(Clone)]
pub struct Context {
    driver: Driver,
}

impl Context {
    /// A new context. Its thread is started when something first needs it.
    pub fn new() -> Self {
        Context { driver: Driver::new() }
    }

    /// Has peers authenticated by this from now on, in place of any handler that is bound to
    /// `inproc://zeromq.zap.01`.
    pub fn authenticator(&self, authenticator: impl Authenticator + 'static) {
        self.driver.authenticate_by(Some(Arc::new(authenticator)));
    }

    /// Waits until all sockets of this context that were closed or dropped have sent what waited,
    /// or no longer linger; at most for `timeout`. Whether that is so.
    ///
    /// A dropped socket lingers in the background, and a process that ends takes that with it: at
    /// the end of `main` this is what keeps its last messages.
    ///
    /// ```
    /// use chaski_zmq::{Context, Push};
    /// use std::time::Duration;
    ///
    /// let push = Push::new();
    /// push.bind("tcp://127.0.0.1:*")?;
    /// drop(push);
    /// assert!(Context::default().wait_closed(Duration::from_secs(5)));
    /// # Ok::<(), chaski_zmq::BindError>(())
    /// ```
    pub fn wait_closed(&self, timeout: impl Into<Option<Duration>>) -> bool {
        self.check().is_err() || self.driver.wait_closed(timeout.into())
    }

    /// Whether both are the same context.
    pub fn same(&self, other: &Context) -> bool {
        self.driver.same(&other.driver)
    }

    /// Its driver.
    pub(crate) fn driver(&self) -> &Driver {
        &self.driver
    }

    /// Whether it may be used in this process.
    ///
    /// # Errors
    ///
    /// [`Forked`] if it was made by a parent of this process.
    pub fn check(&self) -> Result<(), Forked> {
        self.driver.origin().check()
    }
}

impl Default for Context {
    /// The context of sockets that are not given one. A process has one of them.
    fn default() -> Self {
        static DEFAULT: Mutex<Option<Context>> = Mutex::new(None);
        let mut default = DEFAULT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(context) = default.as_ref().filter(|context| context.check().is_ok()) {
            return context.clone();
        }
        let context = Context::new();
        // The one of a parent process is not dropped: its thread does not exist here.
        mem::forget(default.replace(context.clone()));
        context
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").finish_non_exhaustive()
    }
}
