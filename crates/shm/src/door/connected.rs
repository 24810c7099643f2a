//! A connected socket while the handshake lasts.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::event::epoll::EventFlags;
use rustix::io::Result;
use rustix::net::{Shutdown, shutdown};

use super::doorman::Doorman;

/// A connected socket. Dropped, it hangs up and is no longer watched; closing alone would do
/// neither while a child between `fork` and `exec` has a copy.
pub(super) struct Connected {
    /// There until it is taken out.
    socket: Option<OwnedFd>,
    doorman: Arc<Doorman>,
    watched: bool,
}

impl Connected {
    pub(super) fn new(doorman: &Arc<Doorman>, socket: OwnedFd) -> Connected {
        Connected { socket: Some(socket), doorman: Arc::clone(doorman), watched: false }
    }

    /// Lets the doorman watch for packets and the hang-up, if it does not yet.
    pub(super) fn watch(&mut self, token: u64) -> Result<()> {
        if !self.watched {
            self.doorman.watch(self.as_fd(), token, EventFlags::IN | EventFlags::RDHUP)?;
            self.watched = true;
        }
        Ok(())
    }

    /// The socket alone, connected and not watched.
    pub(super) fn into_socket(mut self) -> OwnedFd {
        self.unwatch();
        self.socket.take().expect("it is taken out only here")
    }

    fn unwatch(&mut self) {
        if std::mem::take(&mut self.watched) {
            self.doorman.unwatch(self.as_fd());
        }
    }
}

impl AsFd for Connected {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_ref().expect("it is there until it is taken out").as_fd()
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        if self.socket.is_some() {
            self.unwatch();
            let _ = shutdown(self.as_fd(), Shutdown::Both);
        }
    }
}
