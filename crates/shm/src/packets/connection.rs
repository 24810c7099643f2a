//! Either end of a connection.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{Shutdown, shutdown, sockopt};

use crate::admit::{Admit, Peer};
use crate::door::for_packets::{Directory, Unusable, credentials, errno, receive, send};
use crate::door::{ConnectError, Received};
use crate::name::Name;
use crate::survey;
use crate::wire::{Answer, Hello, Kind};

/// Between two tries to connect.
const REST: Duration = Duration::from_millis(5);

/// Packets with descriptors, in order and whole, until one side hangs up. Dropped, it does.
///
/// Its descriptor is readable when there is something to [`receive`](Connection::receive).
#[derive(Debug)]
pub struct Connection {
    socket: OwnedFd,
    peer: Peer,
}

impl Connection {
    pub(super) fn new(socket: OwnedFd, peer: Peer) -> Connection {
        Connection { socket, peer }
    }

    /// Connects to a name in a directory, by default that of the user, if who listens there is
    /// admitted. Tries again for up to `patience` where nobody listens yet or there is no room in
    /// the backlog; once, if that is zero.
    ///
    /// # Errors
    ///
    /// See [`ConnectError`].
    pub fn connect(
        name: &str,
        directory: Option<&Path>,
        admit: &Admit,
        patience: Duration,
    ) -> Result<Connection, ConnectError> {
        let name = Name::new(name)?;
        let path = directory.map_or_else(crate::name::directory, Path::to_owned);
        let deadline = Instant::now().checked_add(patience);
        loop {
            let error = match try_connect(&name, &path, admit) {
                Ok(connection) => return Ok(connection),
                Err(error) => error,
            };
            let passing =
                matches!(error, ConnectError::NotFound { .. } | ConnectError::Busy { .. });
            if !passing || deadline.is_some_and(|deadline| Instant::now() + REST > deadline) {
                return Err(error);
            }
            sleep(REST);
        }
    }

    /// Who is at the other end.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Sends a packet and copies of up to four descriptors, without waiting.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock): the peer does not take what it was sent, and
    /// nothing was sent. Others: it has gone, or too many descriptors are under way.
    pub fn send(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        Ok(send(&self.socket, bytes, fds)?)
    }

    /// Takes a packet, without waiting.
    pub fn receive<'b>(&self, buffer: &'b mut [u8]) -> Received<'b> {
        receive(&self.socket, buffer)
    }

    /// Waits until there is something to receive, a hang-up included; false: the time is over
    /// first.
    ///
    /// # Errors
    ///
    /// If the system does not let it wait.
    pub fn wait(&self, timeout: Duration) -> io::Result<bool> {
        let deadline = Instant::now().checked_add(timeout);
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let left = left.map(|left| Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            });
            match poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], left.as_ref()) {
                Ok(found) => return Ok(found > 0),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Answers a packet that is a survey (`chaski shm ls`), if the peer is of the same user or
    /// root: there is a service here, of a kind of its own. False: the packet is something else.
    pub fn answer_survey(&self, packet: &[u8]) -> bool {
        let is_survey = Hello::decode(packet).is_ok_and(|hello| hello.kind == Kind::Survey);
        if is_survey
            && self.peer.is_same_user_or_root()
            && let Ok((len, fd)) = survey::write(&survey::Service {
                pattern: survey::Pattern::Packets,
                ..survey::Service::default()
            })
        {
            // Who has gone meanwhile does not want to know.
            let _ = self.send(&Answer::Survey { len }.encode(), &[fd.as_fd()]);
        }
        is_survey
    }

    /// Bounds the bytes that may wait for the peer, as the kernel counts them: some 800 for a small
    /// packet. With them it bounds the descriptors under way, which count against this user's
    /// limit until they are received.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub fn bound_unreceived(&self, bytes: usize) -> io::Result<()> {
        Ok(sockopt::set_socket_send_buffer_size(&self.socket, bytes)?)
    }

    /// Hangs up: the peer finds out, and so does whoever waits here. What the peer had sent can
    /// still be received.
    pub fn hang_up(&self) {
        let _ = shutdown(&self.socket, Shutdown::Both);
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Closing alone would leave it to a child between `fork` and `exec`.
        self.hang_up();
    }
}

fn try_connect(name: &Name, path: &Path, admit: &Admit) -> Result<Connection, ConnectError> {
    let not_found = || ConnectError::NotFound { name: name.clone() };
    let directory = Directory::open(path, admit).map_err(|unusable| match unusable {
        Unusable::Bad(bad) => bad.into(),
        Unusable::System(Errno::NOENT) => not_found(),
        Unusable::System(errno) => system("open the directory of the service", errno),
    })?;
    let socket = directory.connect(name).map_err(|errno| match errno {
        Errno::NOENT | Errno::CONNREFUSED => not_found(),
        Errno::AGAIN => ConnectError::Busy { name: name.clone() },
        errno => system("connect", errno),
    })?;
    let peer = credentials(socket.as_fd()).map_err(|e| system("tell who listens", errno(e)))?;
    if !admit.admits(&peer) {
        return Err(ConnectError::NotAdmitted { name: name.clone(), peer });
    }
    Ok(Connection { socket, peer })
}

fn system(what: &'static str, errno: Errno) -> ConnectError {
    ConnectError::System { what, errno }
}
