//! Where processes meet: a socket of a name, a handshake, and a session that ends with either of
//! them.
//!
//! ```text
//!  listens                               connects
//!  Bound::bind                           Dialing::begin
//!     |  lock the directory                 |
//!     |  remove a stale socket              |
//!     |  bind, listen                       |
//!     |                                     |  connect; is the server admitted?
//!     |  accept; is the client admitted? <--+
//!     |                        <-- Hello ---|  half, bell
//!     |  Host::greet                        |
//!     |--- Welcome or Refused -->           |  half, bell, status, board
//!  Session                               Session
//!     |          silent, but for Control, until one hangs up          |
//! ```
//!
//! One background thread of the process, the [`doorman`], does all of it for all endpoints: it is
//! the only one that waits for strangers, and the data path never goes through it. It holds no lock
//! while it calls a [`Host`], blocks nowhere but in `epoll_wait`, and bounds what a stranger can
//! make it keep: so many unfinished handshakes, each for so long; one packet of 256 bytes and four
//! descriptors a time; nothing at all of a session's control messages, which wait in the kernel, at
//! the sender's expense, until the endpoint takes them.
//!
//! A process that forks and goes on without `exec` keeps copies of its parent's sockets, so that
//! peers of a parent that dies before the child will not notice. That is not supported. The
//! endpoints do not work in the child, and dropping them there leaves those of the parent alone;
//! new ones can be made.

mod bound;
mod connected;
mod credentials;
mod dial;
mod directory;
mod doorman;
mod error;
mod packet;
mod reception;
mod session;
#[cfg(test)]
mod tests;
mod watched;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use bound::Bound;
pub(crate) use credentials::peer as peer_of;
pub(crate) use dial::{Dialed, Dialing};
pub use directory::BadDirectory;
pub(crate) use error::errno;
pub use error::{BindError, ConnectError};
pub use packet::Received;
pub(crate) use session::Session;
pub(crate) use watched::Watched;

use crate::admit::Peer;
use crate::porch::Porch;
use crate::survey;
use crate::wire::{Hello, Refused, Welcome};

/// What a survey needs of the door.
pub(crate) mod for_surveys {
    pub(crate) use super::credentials::peer as credentials;
    pub(crate) use super::directory::{Directory, Standing, Unusable};
    pub(crate) use super::errno;
    pub(crate) use super::packet::{Received, receive, send};
}

/// What packets without a session need of the door.
pub(crate) mod for_packets {
    pub(crate) use super::bound::place;
    pub(crate) use super::credentials::peer as credentials;
    pub(crate) use super::directory::{Directory, Identity, Unusable};
    pub(crate) use super::errno;
    pub(crate) use super::packet::{receive, send};
}

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(2);

/// The most unfinished handshakes of an endpoint; the oldest gives way.
const HALF_OPEN_MAX: usize = 64;

/// An endpoint that others connect to, as the doorman knows it.
///
/// It is called on the doorman's thread, so it must not block. If it panics, the one it was called
/// for is refused and nobody else notices.
pub(crate) trait Host: Send + Sync + 'static {
    /// Decides about a peer that was admitted by its credentials: what to answer, and what to do
    /// when the answer is sent. Nothing may be sent over the session before that. The descriptors
    /// are as many as the peer chose to send, at most four, and of any kind.
    fn greet(
        &self,
        peer: &Peer,
        hello: &Hello,
        fds: Vec<OwnedFd>,
        session: &Session,
    ) -> Result<Greeting, Refused>;

    /// Where the session of one who comes in knocks, if not at the endpoint's own porch.
    fn porch(&self) -> rustix::io::Result<Option<Arc<Porch>>> {
        Ok(None)
    }

    /// What there is to know of the endpoint.
    fn survey(&self) -> survey::Service;
}

/// A welcome, and what to do when it has been sent.
pub(crate) struct Greeting {
    pub(crate) welcome: Welcome,
    /// At most four; closed here when they have been sent.
    pub(crate) fds: Vec<OwnedFd>,
    /// Called on the doorman's thread unless the peer has gone meanwhile. A knock at the porch
    /// follows.
    pub(crate) seat: Box<dyn FnOnce(Session) + Send>,
}

/// A random number that is not zero: tells one binding of a name from the next.
pub(crate) fn generation() -> u64 {
    // The keys of a hasher are the standard library's randomness.
    RandomState::new().build_hasher().finish().max(1)
}
