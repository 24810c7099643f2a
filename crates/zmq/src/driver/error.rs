//! Why an address cannot be bound or connected to.

use std::io;

use super::origin::Forked;
use crate::endpoint::{Endpoint, EndpointError};

/// Why an address could not be bound.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The text is no endpoint.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// Somebody is bound to it already.
    #[error("{endpoint} is in use; stop who uses it, or bind to another port or name")]
    InUse {
        /// The address.
        endpoint: Endpoint,
    },
    /// No interface of this machine has this address or name.
    #[error("{endpoint} is no address of this machine; bind to one of its own, or to \"*\"")]
    NotHere {
        /// The address.
        endpoint: Endpoint,
    },
    /// This process may not bind there.
    #[error("{endpoint} may not be bound; a port below 1024 and a foreign directory need a right")]
    Denied {
        /// The address.
        endpoint: Endpoint,
    },
    /// What stands at this path is no socket, and is not removed.
    #[error("{endpoint} is a file that is no socket; remove it, or choose another path")]
    NotASocket {
        /// The address.
        endpoint: Endpoint,
    },
    /// This address is for connecting only, or this kind of socket does not do that.
    #[error("{endpoint} cannot be bound: {why}")]
    Unsuitable {
        /// The address.
        endpoint: Endpoint,
        /// Why.
        why: &'static str,
    },
    /// An option is set that would do nothing there.
    #[error("{endpoint} cannot be bound with the option {option}: {why}")]
    Option {
        /// The address.
        endpoint: Endpoint,
        /// Which option.
        option: &'static str,
        /// Why, and what to do.
        why: &'static str,
    },
    /// The system refused for another reason.
    #[error("{endpoint} cannot be bound: {error}")]
    Io {
        /// The address.
        endpoint: Endpoint,
        /// What the system says.
        error: io::Error,
    },
    /// The context belongs to the process that this one was forked from.
    #[error(transparent)]
    Forked(#[from] Forked),
    /// The socket is closed.
    #[error("the socket is closed")]
    Closed,
}

impl BindError {
    /// What the system says, in the words of this crate.
    pub(crate) fn of_io(endpoint: &Endpoint, error: io::Error) -> Self {
        let endpoint = endpoint.clone();
        match error.kind() {
            io::ErrorKind::AddrInUse => BindError::InUse { endpoint },
            io::ErrorKind::AddrNotAvailable => BindError::NotHere { endpoint },
            io::ErrorKind::PermissionDenied => BindError::Denied { endpoint },
            io::ErrorKind::AlreadyExists => BindError::NotASocket { endpoint },
            _ => BindError::Io { endpoint, error },
        }
    }
}

/// Why connecting could not begin. That a peer is not there yet is none: it is tried again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The text is no endpoint.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// This address is for binding only, or this kind of socket does not do that.
    #[error("nobody can connect to {endpoint}: {why}")]
    Unsuitable {
        /// The address.
        endpoint: Endpoint,
        /// Why.
        why: &'static str,
    },
    /// An option is set that would do nothing there.
    #[error("nobody can connect to {endpoint} with the option {option}: {why}")]
    Option {
        /// The address.
        endpoint: Endpoint,
        /// Which option.
        option: &'static str,
        /// Why, and what to do.
        why: &'static str,
    },
    /// The socket takes no further peer.
    #[error("no connection to {endpoint} is possible: {why}")]
    Refused {
        /// The address.
        endpoint: Endpoint,
        /// Why.
        why: &'static str,
    },
    /// The system refused.
    #[error("connecting to {endpoint} cannot begin: {error}")]
    Io {
        /// The address.
        endpoint: Endpoint,
        /// What the system says.
        error: io::Error,
    },
    /// The context belongs to the process that this one was forked from.
    #[error(transparent)]
    Forked(#[from] Forked),
    /// The socket is closed.
    #[error("the socket is closed")]
    Closed,
}

/// Nothing is bound, or connected, to this endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnbindError {
    /// The text is no endpoint.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// It is none of this socket's.
    #[error("this socket has nothing at {0}; give what bind returned, or what was connected to")]
    Unknown(Endpoint),
    /// The context belongs to the process that this one was forked from.
    #[error(transparent)]
    Forked(#[from] Forked),
}
