//! What one connection is writing: the writer's half of an outbox.
//!
//! Whoever set `Phase::Writing` in the outbox is the writer, and has this to itself while it is in
//! a system call; others go on appending to the outbox meanwhile. In the clear the bytes of the
//! queue go out as they lie. With a cipher they are sealed here, [`SEALED_BYTES`] at a time, and
//! the queue keeps the plain messages until their sealed bytes are written: should the connection
//! break, the next one has keys of its own.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use chaski_zmtp::Sealer;
use chaski_zmtp::pattern::Outgoing;

use super::queue::{Framing, Queue, Slices};
use super::stream::Stream;

/// How many sealed bytes are gathered for one write.
const SEALED_BYTES: usize = 64 * 1024;

/// See the head of this module.
#[derive(Default)]
pub(super) struct Flight {
    pub(super) queue: Queue,
    sealed: Option<Sealed>,
    /// What has been written on this connection and before.
    pub(super) messages: u64,
    pub(super) bytes: u64,
}

struct Sealed {
    sealer: Box<dyn Sealer>,
    bytes: Vec<u8>,
    written: usize,
    /// Where each entry of the queue that has been sealed ends, and whether it is a command.
    ends: VecDeque<(usize, bool)>,
}

/// What became of a write.
#[derive(Debug)]
pub(super) struct Written {
    /// How many messages are out whole.
    pub(super) messages: usize,
    /// Whether the kernel takes no more for now.
    pub(super) stuck: bool,
}

impl Flight {
    /// A connection begins.
    pub(super) fn begin(&mut self, sealer: Option<Box<dyn Sealer>>) {
        self.sealed = sealer.map(|sealer| Sealed {
            sealer,
            bytes: Vec::new(),
            written: 0,
            ends: VecDeque::new(),
        });
    }

    /// The connection is over: moves what was not written whole behind the messages of `to`.
    pub(super) fn end(&mut self, to: &mut Queue) {
        self.sealed = None;
        self.queue.move_messages(to);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether bodies can go to the kernel as they lie.
    pub(super) fn is_clear(&self) -> bool {
        self.sealed.is_none()
    }

    /// Writes once.
    ///
    /// A write that is taken only in part means that the kernel's buffer is full, and that it will
    /// say when it no longer is.
    pub(super) fn write(&mut self, stream: &Stream) -> io::Result<Written> {
        let (asked, taken, messages) = match &mut self.sealed {
            None => {
                let mut slices = Slices::new();
                self.queue.slices(&mut slices);
                let asked = total(&slices);
                let taken = stream.write(&slices)?;
                drop(slices);
                (asked, taken, self.queue.advance(taken))
            }
            Some(sealed) => {
                sealed.refill(&self.queue);
                let rest = &sealed.bytes[sealed.written..];
                let taken = stream.write(&[IoSlice::new(rest)])?;
                (rest.len(), taken, sealed.advance(taken, &mut self.queue))
            }
        };
        self.messages += messages as u64;
        self.bytes += taken as u64;
        Ok(Written { messages, stuck: taken < asked })
    }

    /// Writes what is queued and then `message`, whose body is a slice that is not copied unless
    /// the kernel does not take it all. Only in the clear.
    pub(super) fn write_through(
        &mut self,
        stream: &Stream,
        message: &Outgoing<'_>,
        head: &[u8],
        body: &[u8],
    ) -> io::Result<Written> {
        let mut slices = Slices::new();
        self.queue.slices(&mut slices);
        let queued = self.queue.len();
        if total(&slices) < queued {
            drop(slices);
            self.queue.push(message, Framing::Zmtp);
            return self.write(stream);
        }
        slices.push(IoSlice::new(head));
        slices.push(IoSlice::new(body));
        let asked = total(&slices);
        let taken = stream.write(&slices);
        drop(slices);
        let taken = taken.inspect_err(|_| self.queue.push(message, Framing::Zmtp))?;
        let messages = if taken == asked {
            self.queue.advance(queued) + 1
        } else {
            self.queue.push(message, Framing::Zmtp);
            self.queue.advance(taken)
        };
        self.messages += messages as u64;
        self.bytes += taken as u64;
        Ok(Written { messages, stuck: taken < asked })
    }
}

impl Sealed {
    /// Seals more if all that was sealed is written.
    fn refill(&mut self, queue: &Queue) {
        if self.written == self.bytes.len() {
            self.bytes.clear();
            self.written = 0;
            queue.seal(&mut *self.sealer, SEALED_BYTES, &mut self.bytes, &mut self.ends);
        }
    }

    /// The first `count` sealed bytes are written; how many messages are thereby written whole.
    fn advance(&mut self, count: usize, queue: &mut Queue) -> usize {
        self.written += count;
        let mut messages = 0;
        while let Some(&(end, command)) = self.ends.front()
            && end <= self.written
        {
            self.ends.pop_front();
            queue.pop();
            messages += usize::from(!command);
        }
        messages
    }
}

fn total(slices: &[IoSlice<'_>]) -> usize {
    slices.iter().map(|slice| slice.len()).sum()
}
