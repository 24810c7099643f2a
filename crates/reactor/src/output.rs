//! What waits to be sent on one connection, and how it is sent.
//!
//! ```text
//!   [Bytes][Shared][File 300 B][Bytes] [File 1 MiB] [Bytes]
//!   `---- one sendmsg, MSG_MORE -----' `-sendfile-' `sendmsg
//! ```
//!
//! Neighbours in memory leave in one `sendmsg`, short file ranges are copied in among them, long
//! ones go from the page cache to the socket by `sendfile`. `MSG_MORE` keeps a header from being
//! sent as a segment of its own ahead of its file range (tcp(7)).
//!
//! Ranges that are not in the page cache are read from the disk by the thread of the loop, which
//! waits for them: regular files know no readiness.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::os::unix::fs::FileExt;

use mio::net::TcpStream;
use rustix::io::Errno;
use rustix::net::SendFlags;

use crate::Output;
use crate::limits::{JOIN_BYTES, PIECES_MAX, SLICES};

/// Capacity of the queue that an idle connection may keep.
const IDLE_CAPACITY: usize = 16;

/// A connection's unsent output, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    queue: VecDeque<Output>,
    /// Bytes of the front that are sent already.
    sent: usize,
    /// Unsent bytes that are in memory.
    memory: usize,
}

/// How an [`Outbox::write`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrote {
    /// Nothing is left.
    All,
    /// The socket takes no more for now.
    Blocked,
    /// The budget is used up.
    Budget,
}

/// What one system call did.
struct Step {
    bytes: usize,
    blocked: bool,
}

/// What one `sendmsg` will carry: the first `items` of the queue.
struct Batch {
    items: usize,
    more: bool,
}

impl Outbox {
    /// Queues output. Short neighbours become one, or a thousand small answers would hold many
    /// times their bytes.
    pub(crate) fn push(&mut self, output: Output) {
        self.memory += output.memory();
        match (self.queue.back_mut(), output) {
            (_, output) if output.is_empty() => {}
            (Some(Output::Bytes(last)), Output::Bytes(bytes))
                if last.len() + bytes.len() <= JOIN_BYTES =>
            {
                last.extend_from_slice(&bytes);
            }
            (_, output) => self.queue.push_back(output),
        }
    }

    /// Whether more is unsent than `bytes` of memory, or than an outbox may have pieces.
    pub(crate) fn exceeds(&self, bytes: usize) -> bool {
        self.memory > bytes || self.queue.len() > PIECES_MAX
    }

    /// Whether so much has gone since it was too much that more may come.
    pub(crate) fn is_relieved(&self, bytes: usize) -> bool {
        self.memory <= bytes / 2 && self.queue.len() <= PIECES_MAX / 2
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Unsent bytes that are in memory.
    pub(crate) fn memory(&self) -> usize {
        self.memory
    }

    /// Writes until all is sent, the socket is full, or `budget` bytes are sent. `scratch` is where
    /// short file ranges are joined: at least [`JOIN_BYTES`].
    pub(crate) fn write(
        &mut self,
        stream: &TcpStream,
        scratch: &mut [u8],
        budget: usize,
    ) -> io::Result<(usize, Wrote)> {
        let mut total = 0;
        let end = loop {
            if self.queue.is_empty() {
                self.queue.shrink_to(IDLE_CAPACITY);
                break Wrote::All;
            }
            if total >= budget {
                break Wrote::Budget;
            }
            let step = match &self.queue[0] {
                Output::File { file, position, len } if len - self.sent >= JOIN_BYTES => {
                    let count = (len - self.sent).min(budget - total);
                    send_range(stream, file, position + self.sent as u64, count, scratch)?
                }
                _ => self.send_joined(stream, scratch, budget - total)?,
            };
            self.advance(step.bytes);
            total += step.bytes;
            if step.blocked {
                break Wrote::Blocked;
            }
        };
        Ok((total, end))
    }

    /// Sends what is at the front in one call, up to the next long file range.
    fn send_joined(
        &self,
        stream: &TcpStream,
        scratch: &mut [u8],
        budget: usize,
    ) -> io::Result<Step> {
        let batch = self.read_short_ranges(scratch, budget)?;
        let mut slices = [IoSlice::new(&[]); SLICES];
        let (mut bytes, mut joined) = (0, 0);
        for (at, slice) in slices.iter_mut().enumerate().take(batch.items) {
            let range = self.unsent(at);
            let all = match &self.queue[at] {
                Output::Bytes(bytes) => &bytes[range],
                Output::Shared(bytes) => &bytes[range],
                Output::File { .. } => {
                    joined += range.len();
                    &scratch[joined - range.len()..joined]
                }
            };
            let part = &all[..all.len().min(budget - bytes)];
            *slice = IoSlice::new(part);
            bytes += part.len();
        }
        send(stream, &slices[..batch.items], bytes, batch.more)
    }

    /// Decides what one call carries, and reads the short file ranges among it, one after the
    /// other, into `scratch`.
    fn read_short_ranges(&self, scratch: &mut [u8], budget: usize) -> io::Result<Batch> {
        let (mut bytes, mut joined, mut items) = (0, 0, 0);
        while items < self.queue.len().min(SLICES) && bytes < budget {
            let range = self.unsent(items);
            if let Output::File { file, position, .. } = &self.queue[items] {
                if range.len() >= JOIN_BYTES || joined + range.len() > scratch.len() {
                    break;
                }
                let into = &mut scratch[joined..joined + range.len()];
                file.read_exact_at(into, position + range.start as u64).map_err(cut_short)?;
                joined += range.len();
            }
            bytes += range.len();
            items += 1;
        }
        Ok(Batch { items, more: items < self.queue.len() && bytes < budget })
    }

    /// The part of an item that is not sent.
    fn unsent(&self, at: usize) -> Range<usize> {
        let sent = if at == 0 { self.sent } else { 0 };
        sent..self.queue[at].len()
    }

    /// `bytes` of the front are sent: lets go of what is done.
    fn advance(&mut self, mut bytes: usize) {
        while bytes > 0 {
            let left = self.unsent(0).len();
            let step = left.min(bytes);
            if !matches!(self.queue[0], Output::File { .. }) {
                self.memory -= step;
            }
            bytes -= step;
            self.sent += step;
            if step == left {
                self.queue.pop_front();
                self.sent = 0;
            }
        }
    }
}

/// One `send` or `sendmsg` of `bytes` bytes. A short one means a full socket, whose writability
/// epoll(7) will report: there is no need to try again and be refused.
fn send(stream: &TcpStream, slices: &[IoSlice<'_>], bytes: usize, more: bool) -> io::Result<Step> {
    let flags = send_flags(more);
    let sent = match slices {
        [one] => rustix::net::send(stream, one, flags),
        many => rustix::net::sendmsg(stream, many, &mut Default::default(), flags),
    };
    step(sent, bytes)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn send_flags(more: bool) -> SendFlags {
    if more { SendFlags::NOSIGNAL | SendFlags::MORE } else { SendFlags::NOSIGNAL }
}

/// The standard library has SIGPIPE ignored.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn send_flags(_more: bool) -> SendFlags {
    SendFlags::empty()
}

/// What a call did that was asked to send `asked` bytes.
fn step(sent: Result<usize, Errno>, asked: usize) -> io::Result<Step> {
    match sent {
        Ok(bytes) => Ok(Step { bytes, blocked: bytes < asked }),
        Err(Errno::AGAIN) => Ok(Step { bytes: 0, blocked: true }),
        Err(Errno::INTR) => Ok(Step { bytes: 0, blocked: false }),
        Err(errno) => Err(errno.into()),
    }
}

/// Sends part of a file range from the page cache.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn send_range(
    stream: &TcpStream,
    file: &File,
    position: u64,
    count: usize,
    scratch: &mut [u8],
) -> io::Result<Step> {
    let mut at = position;
    match rustix::fs::sendfile(stream, file, Some(&mut at), count) {
        Ok(0) => Err(cut_short(io::ErrorKind::UnexpectedEof.into())),
        // Unlike a short `sendmsg`, this may only be the end of what the kernel moves at once.
        Ok(bytes) => Ok(Step { bytes, blocked: false }),
        // A file system without page cache.
        Err(Errno::INVAL | Errno::NOSYS) => copy_range(stream, file, position, count, scratch),
        Err(errno) => step(Err(errno), count),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
use copy_range as send_range;

/// Sends part of a file range through memory.
fn copy_range(
    stream: &TcpStream,
    file: &File,
    position: u64,
    count: usize,
    scratch: &mut [u8],
) -> io::Result<Step> {
    let count = count.min(scratch.len());
    file.read_exact_at(&mut scratch[..count], position).map_err(cut_short)?;
    send(stream, &[IoSlice::new(&scratch[..count])], count, false)
}

/// A file shorter than the range promised of it: what was announced to the peer cannot be sent.
fn cut_short(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            io::Error::new(error.kind(), "a file ends before the range to be sent of it")
        }
        _ => error,
    }
}
