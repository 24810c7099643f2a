//! The end that has the name.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::io::Errno;
use rustix::net::{Shutdown, SocketFlags, accept_with, shutdown};

use super::Connection;
use crate::admit::Admit;
use crate::door::BindError;
use crate::door::for_packets::{Directory, Identity, Unusable, credentials, place};
use crate::name::Name;

/// Strangers turned away in one call of [`Listener::accept`], before others have their turn.
const REFUSALS_MAX: usize = 32;

/// Accepts connections under a name. Dropped, the name is free; connections live on.
///
/// Its descriptor is readable when somebody waits to be accepted.
pub struct Listener {
    name: Name,
    directory: Directory,
    identity: Identity,
    socket: OwnedFd,
    admit: Admit,
    /// The process that bound it: a child of it that drops a copy leaves the name alone.
    home: u32,
}

impl Listener {
    /// Takes a name in a directory, by default that of the user.
    ///
    /// # Errors
    ///
    /// See [`BindError`]: among others the name is in use, or is none.
    pub fn bind(name: &str, directory: Option<&Path>, admit: Admit) -> Result<Listener, BindError> {
        let name = Name::new(name)?;
        let path = directory.map_or_else(crate::name::directory, Path::to_owned);
        let directory = Directory::create(&path, &admit).map_err(|unusable| match unusable {
            Unusable::Bad(bad) => bad.into(),
            Unusable::System(errno) => {
                BindError::System { what: "open or make the directory for services", errno }
            }
        })?;
        let (socket, identity) = place(&directory, &name, &admit)?;
        let home = std::process::id();
        Ok(Listener { name, directory, identity, socket, admit, home })
    }

    /// The next connection, of a peer that is admitted; those that are not are hung up on. None:
    /// nobody waits, or only so many strangers that the rest is for the next call.
    ///
    /// # Errors
    ///
    /// No descriptor or memory left. Who waits goes on waiting, and the listener stays readable:
    /// let some time pass.
    pub fn accept(&self) -> io::Result<Option<Connection>> {
        for _ in 0..REFUSALS_MAX {
            match accept_with(&self.socket, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
                Ok(socket) => {
                    let Ok(peer) = credentials(socket.as_fd()) else { continue };
                    if self.admit.admits(&peer) {
                        return Ok(Some(Connection::new(socket, peer)));
                    }
                }
                // Who connected has given up already.
                Err(Errno::INTR | Errno::CONNABORTED | Errno::PROTO) => {}
                Err(Errno::AGAIN) => return Ok(None),
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(None)
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if self.home != std::process::id() {
            return;
        }
        // While it listens the socket is not stale, so nobody else touches it, and it is the same
        // file as long as it is bound.
        if self.directory.identity(&self.name) == Ok(self.identity) {
            let _ = self.directory.unlink(&self.name);
        }
        // Closing alone would leave it to a child between `fork` and `exec`.
        let _ = shutdown(&self.socket, Shutdown::Both);
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("name", &self.name).finish_non_exhaustive()
    }
}
