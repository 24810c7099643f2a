//! The half of a pipe that receives.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use super::bell::{Bell, Side};
use crate::admit::Peer;
use crate::error::{Corrupt, Error};
use crate::link::{Doorbell, Incoming, Taken};
use crate::step::step;
use crate::wait::{self, Sleeper, Wait, Waiter};

/// Receives from a pipe, and never waits. From [`Pipe::split`](super::Pipe::split).
pub struct PipeReceiver {
    incoming: Incoming,
    doorbell: Doorbell,
    /// The peer's publications run no fence, so that arming must.
    heavy: bool,
    /// It has said that it sleeps, when the bell had been cleared so often.
    armed: Option<u64>,
    /// The pipe has ended. Looks that are still made: as many as the peer can have published
    /// records. One that hung up and lives could go on for ever.
    last: Option<usize>,
    waiter: Waiter,
    side: Arc<Side>,
}

/// What was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// What the sender gave, see [`PipeSender::try_stage`](super::PipeSender::try_stage).
    pub tag: u8,
    /// Bytes of payload.
    pub len: usize,
}

impl PipeReceiver {
    pub(super) fn new(
        incoming: Incoming,
        doorbell: Doorbell,
        heavy: bool,
        wait: Wait,
        side: Arc<Side>,
    ) -> PipeReceiver {
        let waiter = Waiter::new(wait);
        PipeReceiver { incoming, doorbell, heavy, armed: None, last: None, waiter, side }
    }

    /// Takes the next record into `into`, whose earlier contents are cleared. `None`: there is none
    /// now.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`]: the pipe has ended, and all that was sent was received.
    /// [`Error::Corrupt`]: the peer does not keep the protocol, and the pipe has ended.
    #[inline]
    pub fn try_recv(&mut self, into: &mut Vec<u8>) -> Result<Option<Record>, Error> {
        self.count_last()?;
        let taken = self.incoming.recv(into, &mut self.doorbell);
        self.told(taken, into.len())
    }

    /// As [`PipeReceiver::try_recv`], but adds to what `into` holds, and the sender gets the room
    /// back with the next [`PipeReceiver::release`]: so many short records go into one buffer with
    /// one word to the sender. Records longer than a quarter of the ring are copied behind the
    /// others too.
    ///
    /// # Errors
    ///
    /// As [`PipeReceiver::try_recv`]; on any, `into` is as it was.
    #[inline]
    pub fn try_append(&mut self, into: &mut Vec<u8>) -> Result<Option<Record>, Error> {
        self.count_last()?;
        let before = into.len();
        let taken = self.incoming.append(into);
        if taken == Taken::Nothing {
            self.release();
        }
        self.told(taken, into.len() - before)
    }

    /// Gives back the room of all that was taken, and wakes the sender if it waits for that.
    #[inline]
    pub fn release(&mut self) {
        self.incoming.release(&mut self.doorbell);
        step("pipe.released");
    }

    /// Whether a receive would find something: a record, or the end.
    #[inline]
    pub fn is_ready(&mut self) -> bool {
        self.incoming.is_ready() || self.side.is_closed()
    }

    /// Looks for a record for as long as [`PipeBuilder::wait`](super::PipeBuilder::wait) says, less
    /// if that did not pay of late; whether a receive would find something. A peer that answers at
    /// once need not ring for this side, and this side need not sleep.
    pub fn comes_soon(&mut self) -> bool {
        let PipeReceiver { waiter, incoming, side, .. } = self;
        // Who would spin for ever looks once.
        !waiter.is_endless() && waiter.spin(&mut Soon { incoming, side }, None)
    }

    /// Says that this side is about to sleep until a record comes. True: it may, the descriptor
    /// will be readable. False: there is something to receive, be it the end.
    #[must_use]
    pub fn arm(&mut self) -> bool {
        let cleared = self.side.cleared();
        if self.armed != Some(cleared) {
            self.side.porch().lie_down();
            self.incoming.doze(&mut self.doorbell);
            self.armed = Some(cleared);
            step("pipe.armed");
            if self.heavy {
                wait::heavy_fence();
            }
        }
        let may_sleep = !self.is_ready();
        if !may_sleep {
            self.disarm();
        }
        may_sleep
    }

    /// Takes back that this side sleeps. A receive that finds something does so by itself.
    #[inline]
    pub fn disarm(&mut self) {
        if self.armed.take().is_some() {
            self.incoming.awake();
        }
    }

    /// The descriptor of the pipe, which is that of the other half too.
    pub fn bell(&self) -> Bell {
        Bell::new(&self.side)
    }

    /// The process at the other end.
    pub fn peer(&self) -> &Peer {
        self.side.session().peer()
    }

    /// Counts looks once the pipe has ended.
    #[inline]
    fn count_last(&mut self) -> Result<(), Error> {
        if self.side.is_closed() {
            return self.count_one();
        }
        Ok(())
    }

    #[cold]
    fn count_one(&mut self) -> Result<(), Error> {
        if let Some(corrupt) = self.incoming.corrupt() {
            return Err(Error::Corrupt(corrupt));
        }
        // The look behind the last record finds the end.
        let most = self.incoming.records_max() + 1;
        let left = self.last.get_or_insert(most);
        *left = left.checked_sub(1).ok_or(Error::Closed)?;
        Ok(())
    }

    /// What a look found. If the pipe had ended before it, nothing will come after nothing.
    #[inline]
    fn told(&mut self, taken: Taken, len: usize) -> Result<Option<Record>, Error> {
        match taken {
            Taken::Record(tag) => {
                self.disarm();
                match u8::try_from(tag) {
                    Ok(tag) => Ok(Some(Record { tag, len })),
                    Err(_) => Err(self.spoilt(Corrupt::Tag(tag))),
                }
            }
            Taken::Nothing if self.last.is_none() => Ok(None),
            Taken::Nothing => {
                self.last = Some(0);
                Err(Error::Closed)
            }
            Taken::Spoilt => Err(self.incoming.corrupt().map_or(Error::Closed, Error::Corrupt)),
        }
    }

    #[cold]
    fn spoilt(&mut self, corrupt: Corrupt) -> Error {
        self.incoming.spoil(corrupt);
        Error::Corrupt(corrupt)
    }

    /// To wait for records with.
    pub(super) fn for_records(&mut self) -> Records<'_> {
        Records(self)
    }
}

/// Waits for a record.
pub(super) struct Records<'a>(&'a mut PipeReceiver);

impl Sleeper for Records<'_> {
    fn look(&mut self) -> bool {
        self.0.is_ready()
    }

    fn lie_down(&mut self) {
        self.0.incoming.doze(&mut self.0.doorbell);
    }

    fn get_up(&mut self) {
        self.0.incoming.awake();
    }
}

/// Looks for a record, and does not lie down.
struct Soon<'a> {
    incoming: &'a mut Incoming,
    side: &'a Side,
}

impl Sleeper for Soon<'_> {
    fn look(&mut self) -> bool {
        self.incoming.is_ready() || self.side.is_closed()
    }

    fn lie_down(&mut self) {}

    fn get_up(&mut self) {}
}

impl AsFd for PipeReceiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.side.porch().as_fd()
    }
}

impl fmt::Debug for PipeReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipeReceiver")
            .field("closed", &self.side.is_closed())
            .finish_non_exhaustive()
    }
}
