//! The bytes of a connection: a TCP or a Unix stream that never blocks.

use std::io::{self, IoSlice};
use std::net::TcpStream;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;

use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags, send, sendmsg};

/// A connected stream in non-blocking mode.
#[derive(Debug)]
pub(crate) enum Stream {
    /// TCP.
    Tcp(TcpStream),
    /// A Unix domain socket.
    Unix(UnixStream),
}

/// What a read found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// So many bytes, and there may be more.
    More(usize),
    /// So many bytes, perhaps none, and the next that come will be told of by an event.
    Drained(usize),
    /// The peer will send no more.
    End,
}

impl Stream {
    /// Reads once into the spare capacity of `page`, which must have some.
    ///
    /// A read that does not fill what it was given has drained the stream: the next byte raises a
    /// new edge (epoll(7), on edge-triggered streams). That saves the read that would say so.
    pub(crate) fn read(&self, page: &mut Vec<u8>) -> io::Result<Read> {
        let room = page.capacity() - page.len();
        loop {
            return match rustix::io::read(self, spare_capacity(page)) {
                Ok(0) => Ok(Read::End),
                Ok(count) if count < room => Ok(Read::Drained(count)),
                Ok(count) => Ok(Read::More(count)),
                Err(Errno::AGAIN) => Ok(Read::Drained(0)),
                Err(Errno::INTR) => continue,
                Err(error) => Err(error.into()),
            };
        }
    }

    /// Writes what the kernel takes now; 0 means that it takes nothing until it says so.
    pub(crate) fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        // A peer that is gone is an error, not a signal to the process.
        let flags = SendFlags::NOSIGNAL;
        loop {
            let written = match slices {
                [one] => send(self, one, flags),
                many => sendmsg(self, many, &mut SendAncillaryBuffer::default(), flags),
            };
            return match written {
                Ok(count) => Ok(count),
                Err(Errno::AGAIN) => Ok(0),
                Err(Errno::INTR) => continue,
                Err(error) => Err(error.into()),
            };
        }
    }

    /// The other side's address, if it has one that says something.
    pub(crate) fn peer_address(&self) -> Option<String> {
        match self {
            Stream::Tcp(stream) => stream.peer_addr().ok().map(|address| address.to_string()),
            Stream::Unix(_) => None,
        }
    }

    /// Whether the kernel raises an edge each time the peer has read something, though nobody was
    /// refused a write: Unix streams do, TCP does not.
    pub(crate) fn raises_writable_often(&self) -> bool {
        matches!(self, Stream::Unix(_))
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Stream::Tcp(stream) => stream.as_fd(),
            Stream::Unix(stream) => stream.as_fd(),
        }
    }
}

impl AsRawFd for Stream {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}
