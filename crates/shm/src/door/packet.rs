//! One packet with its descriptors, in and out of a socket.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::cmsg_space;
use rustix::io::{Errno, Result};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use crate::wire::DESCRIPTORS_MAX;

/// What a look at a socket found.
#[derive(Debug)]
pub enum Received<'a> {
    /// A packet and what descriptors came with it, of whatever kind; they close on `exec`.
    Packet(&'a [u8], Vec<OwnedFd>),
    /// Nothing yet.
    Nothing,
    /// A packet longer than the buffer, or with more than four descriptors or more than this
    /// process can hold. Those that came have been closed.
    Oversized,
    /// Nothing, and nothing will come.
    Gone,
}

/// Takes a packet from a socket, without waiting.
pub(crate) fn receive(socket: impl AsFd, buffer: &mut [u8]) -> Received<'_> {
    let mut resets = 0;
    loop {
        match receive_once(socket.as_fd(), buffer) {
            Ok((0, ..)) => return Received::Gone,
            Ok((len, false, fds)) => return Received::Packet(&buffer[..len], fds),
            Ok((_, true, _)) => return Received::Oversized,
            Err(Errno::AGAIN) => return Received::Nothing,
            Err(Errno::INTR) => {}
            // A peer that closed its socket with packets of ours unread is reported once, in front
            // of what it had sent before.
            Err(Errno::CONNRESET) if resets == 0 => resets += 1,
            Err(_) => return Received::Gone,
        }
    }
}

fn receive_once(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<(usize, bool, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let message = recvmsg(socket, &mut [IoSliceMut::new(buffer)], &mut control, flags)?;
    let mut fds = Vec::new();
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = part {
            fds.extend(rights);
        }
    }
    let cut = message.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC);
    Ok((message.bytes, cut || fds.len() > DESCRIPTORS_MAX, fds))
}

/// Sends a packet without waiting and without a signal.
pub(crate) fn send(socket: impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<()> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if fds.len() > DESCRIPTORS_MAX {
        return Err(Errno::INVAL);
    }
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(Errno::INVAL);
    }
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    loop {
        match sendmsg(&socket, &[IoSlice::new(bytes)], &mut control, flags) {
            Err(Errno::INTR) => {}
            sent => return sent.map(drop),
        }
    }
}
