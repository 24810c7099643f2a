//! Who is at the other end of a socket, by the kernel's word.
//!
//! Asked here and not through a wrapper: a process id of 0, a peer in a process namespace that
//! cannot be seen from here, is no valid value of the wrapper's type.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;

use crate::admit::Peer;

/// The most groups a process can be in (`NGROUPS_MAX`).
const GROUPS_MAX: usize = 65_536;

/// Groups there is room for at the first try.
const GROUPS_USUAL: usize = 32;

/// Who connected, or, on the connecting side, who listens.
pub(crate) fn peer(socket: BorrowedFd<'_>) -> io::Result<Peer> {
    // struct ucred: pid, uid and gid, 32 bits each.
    let mut ucred = [0; 3];
    read_option(socket, libc::SO_PEERCRED, &mut ucred)?;
    let [pid, uid, gid] = ucred;
    Ok(Peer { pid, uid, gid, groups: groups(socket) })
}

/// The supplementary groups; none on a kernel that does not tell (before 4.13).
fn groups(socket: BorrowedFd<'_>) -> Arc<[u32]> {
    let mut usual = [0; GROUPS_USUAL];
    match read_option(socket, libc::SO_PEERGROUPS, &mut usual) {
        Ok(count) => usual[..count].into(),
        Err(e) if e.raw_os_error() == Some(libc::ERANGE) => {
            let mut all = vec![0; GROUPS_MAX];
            let count = read_option(socket, libc::SO_PEERGROUPS, &mut all).unwrap_or(0);
            all[..count].into()
        }
        Err(_) => Arc::new([]),
    }
}

/// Reads a socket option of 32-bit words; returns how many there were.
fn read_option(socket: BorrowedFd<'_>, option: i32, words: &mut [u32]) -> io::Result<usize> {
    let size = libc::socklen_t::try_from(size_of_val(words)).map_err(io::Error::other)?;
    let mut written = size;
    let fd = socket.as_raw_fd();
    let to = words.as_mut_ptr().cast();
    // SAFETY: `to` points to `size` bytes that are ours to write, of which the kernel writes no
    // more than the number in `written`, and any bytes are valid words.
    let result = unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, option, to, &mut written) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok((written.min(size) as usize) / size_of::<u32>())
}
