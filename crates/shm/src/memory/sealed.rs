//! Making memory, and looking at what a peer made before it is mapped.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{self, FileType, MemfdFlags, SealFlags};
use rustix::io::Errno;

use super::mapping::Access;
use super::{Mapping, Pages};
use crate::step::step;

/// What makes memory safe to map.
const RIGID: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW);

/// The file system that memory without a name lies in (`TMPFS_MAGIC`), if its pages are ordinary
/// ones.
const TMPFS: u64 = 0x0102_1994;

/// New memory of `len` bytes, all zero: writable here, and read-only to whoever gets the
/// descriptor. `name` is what `/proc` shows.
///
/// # Errors
///
/// No memory or descriptors left, or a kernel before Linux 5.1.
pub(crate) fn create(name: &str, len: usize) -> io::Result<(Mapping, OwnedFd)> {
    create_with(name, len, Pages::OnTouch)
}

/// As [`create`], with pages as asked for.
///
/// # Errors
///
/// As [`create`], and where there are no such [`Pages`].
pub(crate) fn create_with(name: &str, len: usize, pages: Pages) -> io::Result<(Mapping, OwnedFd)> {
    pages.check(len)?;
    create_sealed(name, len, pages, RIGID | SealFlags::FUTURE_WRITE | SealFlags::SEAL)
}

/// As [`create`], but writable by whoever gets the descriptor: for hints, which everybody may
/// forge.
///
/// # Errors
///
/// As [`create`].
pub(crate) fn create_open_to_all(name: &str, len: usize) -> io::Result<(Mapping, OwnedFd)> {
    create_sealed(name, len, Pages::OnTouch, RIGID | SealFlags::SEAL)
}

/// Nobody else has the descriptor before this returns, so it does not matter to anybody how far it
/// came: a process that dies on the way takes the memory along.
fn create_sealed(
    name: &str,
    len: usize,
    pages: Pages,
    seals: SealFlags,
) -> io::Result<(Mapping, OwnedFd)> {
    let fd = create_empty(name)?;
    step("memory.created");
    fs::ftruncate(&fd, len as u64)?;
    // In this order: a mapping made before `FUTURE_WRITE` stays writable, one made after is not.
    fs::fcntl_add_seals(&fd, RIGID)?;
    step("memory.sized");
    // SAFETY: it has this length, and the seals just added keep it.
    let mapping = unsafe { Mapping::new(fd.as_fd(), len, Access::Write, pages)? };
    step("memory.mapped");
    fs::fcntl_add_seals(&fd, seals)?;
    step("memory.sealed");
    Ok((mapping, fd))
}

fn create_empty(name: &str) -> rustix::io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    match fs::memfd_create(name, flags | MemfdFlags::NOEXEC_SEAL) {
        // Before Linux 6.3, which does not know the last flag.
        Err(Errno::INVAL) => fs::memfd_create(name, flags),
        other => other,
    }
}

/// Maps memory that a peer made, read-only, once it is known to be sound.
///
/// # Errors
///
/// See [`Unsound`].
pub(crate) fn open(fd: BorrowedFd<'_>, len: usize) -> Result<Mapping, Unsound> {
    open_as(fd, len, Access::Read)
}

/// As [`open`], for memory that is open to all.
///
/// # Errors
///
/// See [`Unsound`].
pub(crate) fn open_writable(fd: BorrowedFd<'_>, len: usize) -> Result<Mapping, Unsound> {
    open_as(fd, len, Access::Write)
}

fn open_as(fd: BorrowedFd<'_>, len: usize, access: Access) -> Result<Mapping, Unsound> {
    examine(fd, len)?;
    // SAFETY: it has this length and keeps it, as just found: seals are never taken off.
    unsafe { Mapping::new(fd, len, access, Pages::OnTouch) }.map_err(|errno| match errno {
        Errno::ACCESS | Errno::PERM => Unsound::Access,
        other => Unsound::System(other),
    })
}

/// Whether this is memory of exactly `len` bytes, now and for ever.
fn examine(fd: BorrowedFd<'_>, len: usize) -> Result<(), Unsound> {
    // Only memory can be asked for its seals. Files of a tmpfs answer too, with none of ours.
    let seals = fs::fcntl_get_seals(fd).map_err(|_| Unsound::NotMemory)?;
    let stat = fs::fstat(fd)?;
    // Reserved huge pages are another file system, whose memory may fail at a touch: see `Pages`.
    let ordinary = fs::fstatfs(fd)?.f_type as u64 == TMPFS;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || !ordinary {
        return Err(Unsound::NotMemory);
    }
    if !seals.contains(RIGID) {
        return Err(Unsound::Unsealed);
    }
    match u64::try_from(stat.st_size) {
        Ok(found) if found == len as u64 => Ok(()),
        _ => Err(Unsound::Length { expected: len, found: stat.st_size }),
    }
}

/// Why memory of a peer was not mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum Unsound {
    /// Something else: a file, a pipe, a device, reserved huge pages.
    NotMemory,
    /// Its length could still be changed.
    Unsealed,
    /// It is of another length than was agreed on.
    Length {
        /// What was agreed on.
        expected: usize,
        /// What it has.
        found: i64,
    },
    /// The descriptor, or a seal, does not allow the access that was agreed on.
    Access,
    /// The system refused, for no fault of the peer's.
    System(Errno),
}

impl fmt::Display for Unsound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unsound::NotMemory => write!(f, "descriptor of something that is not memory"),
            Unsound::Unsealed => write!(f, "memory that is not sealed against resizing"),
            Unsound::Length { expected, found } => {
                write!(f, "memory of {found} bytes where {expected} were agreed on")
            }
            Unsound::Access => write!(f, "memory that may not be mapped as agreed"),
            Unsound::System(errno) => write!(f, "memory could not be mapped: {errno}"),
        }
    }
}

impl std::error::Error for Unsound {}

impl From<Errno> for Unsound {
    fn from(errno: Errno) -> Self {
        Unsound::System(errno)
    }
}
