//! Why a name could not be bound, and why there is no connection to one.

use std::io;
use std::path::PathBuf;

use rustix::io::Errno;

use super::bound::LOCK_PATIENCE;
use super::directory::BadDirectory;
use crate::admit::Peer;
use crate::name::{BadName, Name};
use crate::options::BadRing;
use crate::wire::Refusal;

/// Why a name could not be bound.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The name is none.
    #[error(transparent)]
    Name(#[from] BadName),

    /// The size that was asked for is none that a ring can have.
    #[error(transparent)]
    Ring(#[from] BadRing),

    /// A living process has bound the name.
    #[error("\"{name}\" is bound by a living process")]
    InUse {
        /// The name.
        name: Name,
    },

    /// The directory is not safe to meet in.
    #[error(transparent)]
    Directory(#[from] BadDirectory),

    /// Another process kept the directory locked, perhaps because it was stopped while it bound a
    /// name.
    #[error("{} was locked by another process for {LOCK_PATIENCE:?}", directory.display())]
    Locked {
        /// Which directory.
        directory: PathBuf,
    },

    /// There is a file of this name that is no socket. It is left alone.
    #[error("{} is in the way: it is no socket", path.display())]
    NoSocket {
        /// Which file.
        path: PathBuf,
    },

    /// The system refused something.
    #[error("cannot {what}: {errno}")]
    System {
        /// What was tried.
        what: &'static str,
        /// How the system answered.
        errno: Errno,
    },
}

/// Why there is no connection.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The name is none.
    #[error(transparent)]
    Name(#[from] BadName),

    /// The directory is not safe to meet in.
    #[error(transparent)]
    Directory(#[from] BadDirectory),

    /// The size that was asked for is none that a ring can have.
    #[error(transparent)]
    Ring(#[from] BadRing),

    /// Until the deadline nobody listened to this name. A socket may have been there, of a process
    /// that is gone.
    #[error("no service is bound to \"{name}\"")]
    NotFound {
        /// The name.
        name: Name,
    },

    /// Somebody listens, but until the deadline there was no room in its backlog.
    #[error("\"{name}\" has too many connections waiting to be accepted")]
    Busy {
        /// The name.
        name: Name,
    },

    /// Somebody listens, but did not answer until the deadline: it may have been stopped.
    #[error("\"{name}\" did not answer ({peer})")]
    Silent {
        /// The name.
        name: Name,
        /// Who listens.
        peer: Peer,
    },

    /// Somebody listens, but hung up in every handshake until the deadline.
    #[error("\"{name}\" hung up in the handshake")]
    HungUp {
        /// The name.
        name: Name,
    },

    /// Who listens is not one whom this side believes: see [`Admit`](crate::Admit).
    #[error("\"{name}\" is served by {peer}, who is not admitted")]
    NotAdmitted {
        /// The name.
        name: Name,
        /// Who listens.
        peer: Peer,
    },

    /// The other side said no.
    #[error("\"{name}\" refused: {code}: {text}")]
    Refused {
        /// The name.
        name: Name,
        /// Why, for programs.
        code: Refusal,
        /// Why, for people: the other side's own words.
        text: String,
    },

    /// The answer cannot be understood, or the memory and descriptors that came with it are not as
    /// they must be.
    #[error("\"{name}\" gave no sound answer: {why}")]
    Malformed {
        /// The name.
        name: Name,
        /// What is wrong with it.
        why: String,
    },

    /// The system refused something.
    #[error("cannot {what}: {errno}")]
    System {
        /// What was tried.
        what: &'static str,
        /// How the system answered.
        errno: Errno,
    },
}

/// The number of an error of the system.
pub(crate) fn errno(error: impl Into<io::Error>) -> Errno {
    Errno::from_io_error(&error.into()).unwrap_or(Errno::IO)
}
