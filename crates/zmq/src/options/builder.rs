//! Options being gathered for a socket that does not exist yet. The methods that set them come from
//! the table ([`super`]).

use std::marker::PhantomData;

use chaski_zmtp::Kind;

use super::{OptionError, Options, SocketOption};
use crate::context::Context;

/// Options being gathered for a socket of type `S`.
///
/// ```
/// use chaski_zmq::Options;
///
/// assert_eq!(Options::default().sndhwm, 1000);
/// assert!(Options::table().iter().any(|row| row.name == "sndhwm"));
/// ```
#[derive(Debug)]
#[must_use = "a builder does nothing until it is told to build"]
pub struct Builder<S> {
    pub(crate) kind: Kind,
    pub(crate) options: Options,
    pub(crate) context: Option<Context>,
    socket: PhantomData<fn() -> S>,
}

/// Whether or not sockets of this type can be cloned.
impl<S> Clone for Builder<S> {
    fn clone(&self) -> Self {
        Builder {
            kind: self.kind,
            options: self.options.clone(),
            context: self.context.clone(),
            socket: PhantomData,
        }
    }
}

impl<S> Builder<S> {
    pub(crate) fn new(kind: Kind) -> Self {
        Builder { kind, options: Options::default(), context: None, socket: PhantomData }
    }

    /// The context to live in, instead of the default one.
    pub fn context(mut self, context: &Context) -> Self {
        self.context = Some(context.clone());
        self
    }

    /// Sets an option whose value is at hand as a [`SocketOption`].
    pub fn set(mut self, option: SocketOption) -> Self {
        self.options.put(option);
        self
    }

    /// Sets an option by its name, from a text.
    ///
    /// # Errors
    ///
    /// As [`SocketOption::parse`].
    pub fn set_by_name(self, name: &str, value: &str) -> Result<Self, OptionError> {
        Ok(self.set(SocketOption::parse(name, value)?))
    }

    /// What has been gathered.
    pub fn options(&self) -> &Options {
        &self.options
    }
}
