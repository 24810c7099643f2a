//! The asking side of a survey: every socket of a directory, all at once.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};
use std::{fs, io};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::{SURVEY_MAX, Service, pages, text};
use crate::admit::Admit;
use crate::door::BadDirectory;
use crate::door::for_surveys::{
    Directory, Received, Standing, Unusable, credentials, errno, receive, send,
};
use crate::memory;
use crate::name::{Name, directory};
use crate::wire::{Answer, Hello, Kind, PACKET_MAX};

/// How long all services together have to answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// Why the services of a directory cannot be listed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// The directory is not safe to meet in.
    #[error(transparent)]
    Directory(#[from] BadDirectory),

    /// The directory cannot be read.
    #[error("cannot read the directory of services: {0}")]
    System(Errno),
}

/// The services in the [`directory`] of this user, by name.
///
/// Sockets of dead processes are removed on the way. Takes up to a second if a service does not
/// answer, which is then listed as such.
///
/// # Errors
///
/// When the directory is not safe or cannot be read. One that is not there has no services.
pub fn list() -> Result<Vec<Service>, ListError> {
    list_in(&directory())
}

/// The services in another directory.
///
/// # Errors
///
/// As [`list`].
pub fn list_in(path: &Path) -> Result<Vec<Service>, ListError> {
    let directory = match Directory::open_to_list(path) {
        Ok(directory) => directory,
        Err(Unusable::Bad(bad)) => return Err(bad.into()),
        Err(Unusable::System(Errno::NOENT)) => return Ok(Vec::new()),
        Err(Unusable::System(errno)) => return Err(ListError::System(errno)),
    };
    let names = names(directory.path()).map_err(|e| ListError::System(errno(e)))?;
    let asked: Vec<_> = names.iter().filter_map(|name| ask(&directory, name)).collect();
    let deadline = Instant::now() + PATIENCE;
    Ok(asked.into_iter().map(|asked| asked.hear(deadline)).collect())
}

/// What may be services, in order.
fn names(path: &Path) -> io::Result<Vec<Name>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name();
        names.extend(name.to_str().and_then(|name| Name::new(name).ok()));
    }
    names.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    Ok(names)
}

/// A service that was asked, or could not be.
struct Asked {
    service: Service,
    socket: Option<OwnedFd>,
}

/// Asks whatever stands at a name, if it is a service at all.
fn ask(directory: &Directory, name: &Name) -> Option<Asked> {
    let mut service = Service { name: name.to_string(), ..Service::default() };
    let socket = match directory.connect(name) {
        Ok(socket) => socket,
        Err(Errno::CONNREFUSED) if !is_alive(directory, name) => return None,
        Err(Errno::NOENT | Errno::PROTOTYPE) => return None,
        Err(_) => return Some(Asked { service, socket: None }),
    };
    let Ok(peer) = credentials(socket.as_fd()) else {
        return Some(Asked { service, socket: None });
    };
    (service.pid, service.uid) = (peer.pid, peer.uid);
    let believed = Admit::same_user().admits(&peer);
    let sent = believed && send(&socket, &Hello::new(Kind::Survey).encode(), &[]).is_ok();
    Some(Asked { service, socket: sent.then_some(socket) })
}

/// Looks again under the lock, and takes a stale socket away. Whoever has the lock is about to bind
/// something.
fn is_alive(directory: &Directory, name: &Name) -> bool {
    match directory.lock(Duration::ZERO) {
        Ok(Some(lock)) => lock.clear(name) == Ok(Standing::Alive),
        _ => false,
    }
}

impl Asked {
    fn hear(mut self, deadline: Instant) -> Service {
        let Some(socket) = self.socket.take() else { return self.service };
        while wait(&socket, deadline) {
            let mut buffer = [0; PACKET_MAX];
            match receive(&socket, &mut buffer) {
                Received::Nothing => {}
                Received::Packet(bytes, fds) => {
                    self.understand(bytes, &fds);
                    break;
                }
                Received::Oversized | Received::Gone => break,
            }
        }
        self.service
    }

    fn understand(&mut self, bytes: &[u8], fds: &[OwnedFd]) {
        let (Ok(Answer::Survey { len }), [fd]) = (Answer::decode(bytes), fds) else { return };
        let Some(len) = usize::try_from(len).ok().filter(|len| *len <= SURVEY_MAX) else { return };
        let Ok(mapping) = memory::open(fd.as_fd(), pages(len)) else { return };
        let mut said = Vec::with_capacity(len);
        mapping.append_to(0, len, &mut said);
        text::decode(&String::from_utf8_lossy(&said), &mut self.service);
        self.service.answered = true;
    }
}

/// Waits until there is something to read; false at the deadline.
fn wait(socket: &OwnedFd, deadline: Instant) -> bool {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(1),
            tv_nsec: left.subsec_nanos().into(),
        };
        match poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&timeout)) {
            Ok(0) => return false,
            Ok(_) => return true,
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::event::{EventfdFlags, eventfd};

    use super::*;
    use crate::survey::{Connection, Pattern, write};

    /// What is understood of an answer with this length and this descriptor.
    fn understood(len: u64, fd: OwnedFd) -> Service {
        let mut asked = Asked { service: Service::default(), socket: None };
        asked.understand(&Answer::Survey { len }.encode(), &[fd]);
        asked.service
    }

    #[test]
    fn an_answer_may_be_long() {
        let connection = |slot| Connection { slot, ..Connection::default() };
        let said = Service {
            pattern: Pattern::Publisher,
            connections: (0..4096).map(connection).collect(),
            ..Service::default()
        };
        let (len, fd) = write(&said).unwrap();
        assert_eq!(understood(len, fd), Service { answered: true, ..said });
    }

    #[test]
    fn an_answer_that_is_no_memory_or_of_another_length_is_none() {
        let (len, fd) = write(&Service::default()).unwrap();
        let another = |len| understood(len, fd.try_clone().unwrap());
        assert!(another(len).answered);
        assert!(another(4096).answered, "the rest of the page is zero");
        for wrong in [4097, SURVEY_MAX as u64, SURVEY_MAX as u64 + 1, u64::MAX] {
            assert_eq!(another(wrong), Service::default(), "{wrong}");
        }
        let no_memory = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
        assert_eq!(understood(len, no_memory), Service::default());
    }
}
