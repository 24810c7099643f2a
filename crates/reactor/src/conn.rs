//! One connection.

use std::io::{self, Read};
use std::net::Shutdown;
use std::time::Instant;

use mio::net::TcpStream;

use crate::input::{Input, Pool};
use crate::output::Outbox;

/// Bits of a [`ConnId`] that are the index; the rest count up, so that no two ids are equal before
/// a million million connections were accepted.
const INDEX_BITS: u32 = 24;

/// A connection of this reactor: an index and a generation, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnId(pub u64);

impl ConnId {
    /// Connections that can be open at once.
    pub(crate) const OPEN_MAX: usize = 1 << INDEX_BITS;

    pub(crate) fn new(index: usize, generation: u64) -> Self {
        debug_assert!(index < Self::OPEN_MAX);
        ConnId(generation << INDEX_BITS | index as u64)
    }

    pub(crate) fn index(self) -> usize {
        self.0 as usize & (Self::OPEN_MAX - 1)
    }
}

/// The life of a connection, in order; each step is optional but the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// In use.
    Open,
    /// The service asked to close it: what is queued is sent, nothing is read.
    Closing,
    /// It has come to its end, and the service will be told within a turn.
    Ended,
    /// The service knows of no connection any more; what was queued is still sent.
    Lingering,
}

/// A socket, what came from it, what goes to it, and what is known about it.
#[derive(Debug)]
pub(crate) struct Conn {
    pub(crate) id: ConnId,
    pub(crate) stream: TcpStream,
    pub(crate) phase: Phase,
    pub(crate) input: Input,
    pub(crate) output: Outbox,
    /// The last byte in or out.
    pub(crate) active: Instant,
    /// A read may find something. Under edge triggering this is ours to remember.
    pub(crate) readable: bool,
    /// A write may be taken.
    pub(crate) writable: bool,
    /// The end of the peer's stream, or an error, is known to be waiting behind the last byte, and
    /// will not be reported again: a short read does not mean that there is nothing left to read.
    pub(crate) ending: bool,
    /// The service wants no input.
    pub(crate) paused: bool,
    /// Input that was there when the service paused is offered again, though nothing came since.
    pub(crate) offer: bool,
    /// Too much is unsent.
    pub(crate) choked: bool,
    /// It is on the list of those to be served.
    pub(crate) is_ready: bool,
    /// It is on the list of those to be written to.
    pub(crate) is_dirty: bool,
}

/// How a read ended.
#[derive(Debug)]
pub(crate) enum Filled {
    Bytes(usize),
    Nothing,
    End,
}

impl Conn {
    pub(crate) fn new(id: ConnId, stream: TcpStream, now: Instant) -> Self {
        Conn {
            id,
            stream,
            phase: Phase::Open,
            input: Input::default(),
            output: Outbox::default(),
            active: now,
            readable: false,
            writable: true,
            ending: false,
            paused: false,
            offer: false,
            choked: false,
            is_ready: false,
            is_dirty: false,
        }
    }

    /// Whether the service may be given input.
    pub(crate) fn takes_input(&self) -> bool {
        self.phase == Phase::Open && !self.paused && !self.choked
    }

    /// Whether a turn would bring its service something.
    pub(crate) fn has_input(&self) -> bool {
        self.takes_input() && (self.readable || self.offer)
    }

    /// Reads once, at most `budget` bytes. A read that comes back short has drained the socket
    /// (epoll(7), "Possible pitfalls"), so there is no second one that only finds nothing.
    pub(crate) fn fill(&mut self, budget: usize, pool: &mut Pool) -> io::Result<Filled> {
        let room = self.input.room(budget, pool);
        let asked = room.len();
        loop {
            match (&self.stream).read(room) {
                Ok(0) => return Ok(Filled::End),
                Ok(count) => {
                    self.readable = count == asked || self.ending;
                    self.input.filled(count);
                    return Ok(Filled::Bytes(count));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    (self.readable, self.ending) = (false, false);
                    return Ok(Filled::Nothing);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Says farewell such that what was sent arrives: to close a socket with unread input makes
    /// Linux reset the connection, and a reset may overtake the last answer.
    pub(crate) fn part(&mut self, scratch: &mut [u8]) {
        if self.stream.shutdown(Shutdown::Write).is_err() {
            return;
        }
        // Bounded: who still sends at full speed gets the reset.
        for _ in 0..16 {
            match self.stream.read(scratch) {
                Ok(1..) => {}
                _ => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_carry_their_index_and_differ_by_generation() {
        let last = ConnId::OPEN_MAX - 1;
        assert_eq!(ConnId::new(last, 7).index(), last);
        assert_ne!(ConnId::new(3, 7), ConnId::new(3, 8));
        assert_eq!(ConnId::new(3, 8).index(), 3);
    }
}
