//! The directory in which names are sockets: whom it must belong to, the lock under which sockets
//! are made and removed, and how a socket is told to be stale.
//!
//! A socket file outlives its process. What is left of one that was killed refuses to connect, and
//! that is the only sign: a live one with a full backlog says to come again, and one that is bound
//! but does not listen yet refuses just like a dead one. Therefore everybody who makes a socket or
//! takes a stale one away holds an exclusive `flock` on the directory from the look until the
//! socket listens. The kernel releases it when its holder dies, wherever that is.

use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf, absolute};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{
    AtFlags, CWD, FileType, FlockOperation, Mode, OFlags, Stat, fchmod, flock, fstat, mkdirat,
    openat, statat, unlinkat,
};
use rustix::io::{Errno, Result};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use rustix::process::geteuid;

use crate::admit::{Admit, Reach};
use crate::name::Name;
use crate::step::step;

/// The longest path that fits into a `sockaddr_un`, in bytes, without the final zero.
const SUN_PATH_MAX: usize = 107;

/// The longest rest between two tries to get the lock.
const LOCK_REST_MAX: Duration = Duration::from_millis(10);

/// Write permission for anybody but the owner.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// Permission to pass through for those who are not the owner.
const PASSABLE: u32 = 0o011;

/// A directory in which sockets must not stand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} is not safe to meet in: {flaw}", path.display())]
pub struct BadDirectory {
    path: PathBuf,
    flaw: Flaw,
}

impl BadDirectory {
    /// Which directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    NoDirectory,
    Owner { uid: u32 },
    Writable { mode: u32 },
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Flaw::NoDirectory => f.write_str("it is a symbolic link, or no directory"),
            Flaw::Owner { uid } => {
                write!(f, "it belongs to user {uid}, this is user {}", geteuid().as_raw())
            }
            Flaw::Writable { mode } => {
                write!(f, "others than its owner may write to it (mode {mode:04o})")
            }
        }
    }
}

/// Why a directory could not be opened.
#[derive(Debug)]
pub(crate) enum Unusable {
    Bad(BadDirectory),
    System(Errno),
}

impl From<Errno> for Unusable {
    fn from(errno: Errno) -> Unusable {
        Unusable::System(errno)
    }
}

/// What stands at a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing.
    Nothing,
    /// A socket whose process lives, or is not known not to.
    Alive,
    /// A socket that nobody will ever answer.
    Stale,
    /// Something else than a socket.
    Other,
}

/// Tells one file from another that has its name later, as long as the first is not freed: a bound
/// socket keeps its file's number from being used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
}

/// An open directory that was found safe.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    fd: OwnedFd,
}

impl Directory {
    /// Opens the directory of a server, and makes it if need be.
    pub(crate) fn create(path: &Path, admit: &Admit) -> std::result::Result<Directory, Unusable> {
        let path = absolute(path).map_err(|_| Errno::INVAL)?;
        match mkdirat(CWD, &path, Mode::RWXU) {
            Ok(()) => step("bind.directory_made"),
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
        let directory = Directory::open_as(path, OFlags::RDONLY)?;
        let found = directory.check(|uid| uid == 0 || uid == geteuid().as_raw())?;
        directory.widen(&found, admit)?;
        Ok(directory)
    }

    /// Opens the directory of a server to be met, which may be one of another user that is
    /// admitted, and for passing through only.
    pub(crate) fn open(path: &Path, admit: &Admit) -> std::result::Result<Directory, Unusable> {
        let path = absolute(path).map_err(|_| Errno::INVAL)?;
        let directory = Directory::open_as(path, OFlags::PATH)?;
        directory.check(|uid| admit.may_admit_user(uid))?;
        Ok(directory)
    }

    /// Opens a directory to look for services in it and to take away stale sockets.
    pub(crate) fn open_to_list(path: &Path) -> std::result::Result<Directory, Unusable> {
        let path = absolute(path).map_err(|_| Errno::INVAL)?;
        let directory = Directory::open_as(path, OFlags::RDONLY)?;
        directory.check(|uid| uid == 0 || uid == geteuid().as_raw())?;
        Ok(directory)
    }

    fn open_as(path: PathBuf, access: OFlags) -> std::result::Result<Directory, Unusable> {
        let flags = access | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(CWD, &path, flags, Mode::empty()) {
            Ok(fd) => Ok(Directory { path, fd }),
            Err(Errno::LOOP | Errno::NOTDIR) => {
                Err(Unusable::Bad(BadDirectory { path, flaw: Flaw::NoDirectory }))
            }
            Err(errno) => Err(errno.into()),
        }
    }

    fn check(&self, owner: impl Fn(u32) -> bool) -> std::result::Result<Stat, Unusable> {
        let found = fstat(&self.fd)?;
        let mode = found.st_mode & 0o7777;
        let flaw = if !owner(found.st_uid) {
            Flaw::Owner { uid: found.st_uid }
        } else if mode & WRITABLE_BY_OTHERS != 0 {
            Flaw::Writable { mode }
        } else {
            return Ok(found);
        };
        Err(Unusable::Bad(BadDirectory { path: self.path.clone(), flaw }))
    }

    /// Lets those pass whom the policy admits, and who then find a socket with a mode of its own.
    fn widen(&self, found: &Stat, admit: &Admit) -> Result<()> {
        let mode = found.st_mode & 0o7777;
        let ours = found.st_uid == geteuid().as_raw();
        if admit.reach() != Reach::User && ours && mode & PASSABLE != PASSABLE {
            fchmod(&self.fd, Mode::from_raw_mode(mode | PASSABLE))?;
            step("bind.directory_widened");
        }
        Ok(())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Excludes everybody else who makes or removes sockets here. `None` if somebody held the lock
    /// all the time: it may be a process that was stopped, so nobody waits for ever.
    pub(crate) fn lock(&self, patience: Duration) -> Result<Option<Lock<'_>>> {
        let deadline = Instant::now() + patience;
        let mut rest = Duration::from_micros(100);
        loop {
            match flock(&self.fd, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Some(Lock { directory: self })),
                Err(Errno::AGAIN) if Instant::now() >= deadline => return Ok(None),
                Err(Errno::AGAIN) => sleep(rest),
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(errno),
            }
            rest = (rest * 2).min(LOCK_REST_MAX);
        }
    }

    /// A connection to a name. `CONNREFUSED`: nobody listens. `AGAIN`: somebody does, and has no
    /// room in the backlog now.
    pub(crate) fn connect(&self, name: &Name) -> Result<OwnedFd> {
        let socket = new_socket()?;
        loop {
            match connect(&socket, &self.address(name)?) {
                Ok(()) => return Ok(socket),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }

    /// The address of a name: its path, or, where that is too long, one by way of the open
    /// directory.
    pub(super) fn address(&self, name: &Name) -> Result<SocketAddrUnix> {
        let plain = self.path.join(name.as_str());
        if plain.as_os_str().as_bytes().len() <= SUN_PATH_MAX {
            return SocketAddrUnix::new(&plain);
        }
        SocketAddrUnix::new(format!("/proc/self/fd/{}/{name}", self.fd.as_raw_fd()))
    }

    /// Which file has the name now.
    pub(crate) fn identity(&self, name: &Name) -> Result<Identity> {
        let found = self.stat(name)?;
        Ok(Identity { device: found.st_dev, inode: found.st_ino })
    }

    pub(crate) fn unlink(&self, name: &Name) -> Result<()> {
        unlinkat(&self.fd, name.as_str(), AtFlags::empty())
    }

    fn stat(&self, name: &Name) -> Result<Stat> {
        statat(&self.fd, name.as_str(), AtFlags::SYMLINK_NOFOLLOW)
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A new socket of the kind that all here are.
pub(super) fn new_socket() -> Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
}

/// The exclusive right to make and remove sockets in a directory, until it is dropped.
pub(crate) struct Lock<'a> {
    directory: &'a Directory,
}

impl Lock<'_> {
    /// What stands at a name. Under the lock, because a socket that does not listen yet looks
    /// stale.
    pub(crate) fn standing(&self, name: &Name) -> Result<Standing> {
        let found = match self.directory.stat(name) {
            Ok(found) => found,
            Err(Errno::NOENT) => return Ok(Standing::Nothing),
            Err(errno) => return Err(errno),
        };
        if FileType::from_raw_mode(found.st_mode) != FileType::Socket {
            return Ok(Standing::Other);
        }
        match self.directory.connect(name) {
            Ok(_) | Err(Errno::AGAIN | Errno::PROTOTYPE) => Ok(Standing::Alive),
            Err(Errno::CONNREFUSED) => Ok(Standing::Stale),
            Err(Errno::NOENT) => Ok(Standing::Nothing),
            Err(errno) => Err(errno),
        }
    }

    /// Takes a stale socket away, and says what stands there after that.
    pub(crate) fn clear(&self, name: &Name) -> Result<Standing> {
        match self.standing(name)? {
            Standing::Stale => {
                self.directory.unlink(name)?;
                step("bind.stale_removed");
                Ok(Standing::Nothing)
            }
            other => Ok(other),
        }
    }
}

impl Drop for Lock<'_> {
    fn drop(&mut self) {
        // Not left to closing the descriptor: a child between `fork` and `exec` has a copy.
        let _ = flock(&self.directory.fd, FlockOperation::Unlock);
    }
}
