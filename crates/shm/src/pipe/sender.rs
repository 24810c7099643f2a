//! The half of a pipe that sends.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use chaski_ring::region::Observer;

use super::bell::{Bell, Side};
use crate::admit::Peer;
use crate::error::Error;
use crate::link::{Doorbell, Outgoing};
use crate::memory::RingMemory;
use crate::porch::Porch;
use crate::step::step;
use crate::wait::{self, Sleeper};

/// Sends into a pipe, and never waits. From [`Pipe::split`](super::Pipe::split).
///
/// A record is in the ring when the call returns, or in memory of its own if it is long: nothing of
/// it is kept in this process, so a sender that dies has sent what it said it had.
pub struct PipeSender {
    outgoing: Outgoing,
    doorbell: Doorbell,
    /// The peer's publications run no fence, so that arming must.
    heavy: bool,
    /// It has said that it waits for room, when the bell had been cleared so often.
    armed: Option<u64>,
    /// What can be seen of the ring.
    ring: Observer<RingMemory>,
    side: Arc<Side>,
}

impl PipeSender {
    pub(super) fn new(
        outgoing: Outgoing,
        doorbell: Doorbell,
        heavy: bool,
        ring: Observer<RingMemory>,
        side: Arc<Side>,
    ) -> PipeSender {
        PipeSender { outgoing, doorbell, heavy, armed: None, ring, side }
    }

    /// Sends a record of several parts, one behind the other, with the tag 0.
    ///
    /// # Errors
    ///
    /// [`Error::Full`]: there is no room now, and nothing was sent. [`Error::Closed`],
    /// [`Error::TooLarge`], [`Error::Corrupt`]; [`Error::System`]: no memory for a long record.
    #[inline]
    pub fn try_send(&mut self, parts: &[&[u8]]) -> Result<(), Error> {
        self.try_stage(0, parts)?;
        self.publish();
        Ok(())
    }

    /// Writes a record that the peer sees with the next [`PipeSender::publish`], together with all
    /// that were staged since the last. The tag is for the receiver, and means nothing here.
    ///
    /// # Errors
    ///
    /// As [`PipeSender::try_send`]. On any, what was staged before is published.
    #[inline]
    pub fn try_stage(&mut self, tag: u8, parts: &[&[u8]]) -> Result<(), Error> {
        if self.side.is_closed() {
            return Err(Error::Closed);
        }
        let staged = match parts {
            [payload] => self.outgoing.stage(tag.into(), payload),
            _ => self.outgoing.stage_parts(tag.into(), parts),
        };
        match staged {
            Ok(()) => self.disarm(),
            Err(_) => self.publish(),
        }
        staged
    }

    /// Shows the peer what was staged, and wakes it if it sleeps.
    #[inline]
    pub fn publish(&mut self) {
        self.outgoing.flush(&mut self.doorbell);
    }

    /// Whether a record of `len` bytes could be sent now, or never.
    pub fn has_room(&mut self, len: usize) -> bool {
        self.side.is_closed() || self.outgoing.has_room(len)
    }

    /// How many records the peer has taken, of all that were sent through this pipe. It is the
    /// peer's own word, and costs a look at its memory.
    pub fn taken(&self) -> u64 {
        self.ring.stats().received
    }

    /// The longest record that can be sent, in bytes.
    pub fn payload_max(&self) -> usize {
        self.outgoing.payload_max()
    }

    /// Says that this side is about to sleep until there is room for a record of `len` bytes. True:
    /// it may, the descriptor will be readable. False: there is room, or never will be.
    ///
    /// What was staged is published before: the peer makes room by taking it.
    #[must_use]
    pub fn arm(&mut self, len: usize) -> bool {
        self.arm_until(|sender| sender.has_room(len))
    }

    /// As [`PipeSender::arm`], but it is the caller who looks: `found` says that there is no need
    /// to sleep. The descriptor becomes readable when the peer has taken something.
    #[must_use]
    pub fn arm_until(&mut self, found: impl FnOnce(&mut PipeSender) -> bool) -> bool {
        self.publish();
        let cleared = self.side.cleared();
        if self.armed != Some(cleared) {
            self.side.porch().lie_down();
            self.outgoing.doze();
            self.armed = Some(cleared);
            step("pipe.armed_for_room");
            if self.heavy {
                wait::heavy_fence();
            }
        }
        let may_sleep = !(self.is_closed() || found(self));
        if !may_sleep {
            self.disarm();
        }
        may_sleep
    }

    /// Takes back that this side waits for room. A successful send does so by itself.
    #[inline]
    pub fn disarm(&mut self) {
        if self.armed.take().is_some() {
            self.outgoing.awake();
        }
    }

    /// The descriptor of the pipe, which is that of the other half too.
    pub fn bell(&self) -> Bell {
        Bell::new(&self.side)
    }

    /// Whether the pipe has ended: from now on nothing can be sent.
    pub fn is_closed(&self) -> bool {
        self.side.is_closed()
    }

    /// The process at the other end.
    pub fn peer(&self) -> &Peer {
        self.side.session().peer()
    }

    pub(super) fn porch(&self) -> &Arc<Porch> {
        self.side.porch()
    }

    /// To wait for room with.
    pub(super) fn for_room(&mut self, len: usize) -> Room<'_> {
        Room { sender: self, len }
    }
}

/// Waits for room for a record of so many bytes.
pub(super) struct Room<'a> {
    sender: &'a mut PipeSender,
    len: usize,
}

impl Sleeper for Room<'_> {
    fn look(&mut self) -> bool {
        self.sender.has_room(self.len)
    }

    fn lie_down(&mut self) {
        self.sender.outgoing.doze();
    }

    fn get_up(&mut self) {
        self.sender.outgoing.awake();
    }
}

impl AsFd for PipeSender {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.side.porch().as_fd()
    }
}

impl fmt::Debug for PipeSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipeSender").field("closed", &self.is_closed()).finish_non_exhaustive()
    }
}
