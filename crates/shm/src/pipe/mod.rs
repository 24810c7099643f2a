//! Pipe: one to one, both ways, and at home in an event loop that is not ours.
//!
//! | | |
//! |---|---|
//! | [`Listener::bind`], then [`accept`](Listener::accept) | the side that is bound |
//! | [`connect`], or [`PipeBuilder::dial`] in the background | the side that connects |
//! | [`Pipe`] | either end of a pipe: records of any length, in order, both ways |
//! | [`Pipe::split`] | a [`PipeSender`] and a [`PipeReceiver`] for two threads, and a [`Bell`] |
//!
//! ```no_run
//! use chaski_shm::pipe;
//!
//! // One process:
//! let mut listener = pipe::Listener::bind("greeter")?;
//! let mut pipe = listener.accept()?;
//! let name = pipe.recv()?;
//! pipe.send(&[b"hello, ", &name])?;
//!
//! // Another:
//! let mut pipe = pipe::connect("greeter")?;
//! pipe.send(&[b"world"])?;
//! assert_eq!(pipe.recv()?, b"hello, world");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The other patterns decide who gets a message and what becomes of it when somebody dies. A pipe
//! is for those who decide that themselves: a messaging layer that has shared memory as one of its
//! transports, with a loop that waits for sockets as well.
//!
//! # In an event loop
//!
//! A pipe has one descriptor, whatever happens to it: a record that came, room that was made, the
//! peer's end. It becomes readable for one who has said that it sleeps, and for nobody else: a peer
//! that finds the other side awake makes no system call. So before each sleep it must be said:
//!
//! ```text
//!   take records until there is none          try_recv
//!   say that sleep is near; may it be?        arm            false: there is something, take it
//!   sleep                                     epoll, poll, mio, AsyncFd ... on the descriptor
//!   awake again                               Bell::clear    if the descriptor was readable
//!   take records ...
//! ```
//!
//! ```
//! # use std::os::fd::AsFd;
//! # use chaski_shm::{Error, pipe::{Bell, PipeReceiver}};
//! fn next(receiver: &mut PipeReceiver, bell: &Bell, into: &mut Vec<u8>) -> Result<(), Error> {
//!     loop {
//!         if receiver.try_recv(into)?.is_some() {
//!             return Ok(());
//!         }
//!         if receiver.arm() {
//!             wait_until_readable(bell.as_fd());
//!             bell.clear();
//!         }
//!     }
//! }
//! # fn wait_until_readable(_: std::os::fd::BorrowedFd<'_>) {}
//! ```
//!
//! A sender that found no room does the same with [`PipeSender::arm`]. Both may be armed at once,
//! and one of them alone: what the descriptor tells is that it is worth looking at both. Whoever
//! clears the bell must see to it that both are looked at, or armed, again. Readiness may be
//! watched by level or by edge; an edge that was seen must be cleared before the next can come.
//!
//! # Where one sleeps, the other pays
//!
//! Arming is free if nothing was cleared since the last time. Else it costs a fence in the peer's
//! process (`membarrier`: 1 us if the peer sleeps, 15 us if it runs, on a virtual machine), or
//! nothing to speak of if the pipe is for [light sleepers](PipeBuilder::light_sleep), in which case
//! each publication costs a fence instead. The ring costs the peer a system call, once for each
//! sleep. Who expects an answer at once looks for some microseconds before it lies down;
//! [`Pipe::recv`] does, and [`PipeReceiver::comes_soon`].
//!
//! # Who writes what
//!
//! As in the other patterns: each side writes its own half, sealed against everyone else, and
//! nothing that is read from the other's is believed before it was checked. What a peer had
//! published when it died is delivered, and then [`Error::Closed`] is.

mod bell;
mod connect;
mod desk;
mod listener;
mod receiver;
mod sender;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chaski_ring::region::AttachError;

use crate::admit::Peer;
use crate::error::Error;
use crate::hall::large;
use crate::hall::register::Seen;
use crate::link::{Doorbell, Ends, both_ways};
use crate::options::Options;
use crate::porch::Button;
use crate::task;
use crate::wait::{self, Waiter, after};
use crate::wire::Flags;

pub use bell::Bell;
pub use connect::{Dial, PipeBuilder, connect};
pub use listener::{Listener, ListenerBuilder};
pub use receiver::{PipeReceiver, Record};
pub use sender::PipeSender;

use bell::Side;

/// The builder method that both sides of a pipe have beside the common ones.
macro_rules! pipe_options {
    () => {
        /// Whether sides that sleep often are to sleep lightly: no by default. Each publication
        /// then runs a fence of its own, some tens of nanoseconds, and to arm costs next to
        /// nothing. That one of the two sides asks for it is enough.
        #[must_use]
        pub fn light_sleep(mut self, light: bool) -> Self {
            self.light_sleep = light;
            self
        }
    };
}

pub(crate) use pipe_options;

/// What a side says in the handshake about fences.
fn flags(light_sleep: bool) -> Flags {
    if wait::fences() && !light_sleep { Flags::FENCES } else { Flags::default() }
}

/// The key of the one doorbell that a side has.
const PEER: u32 = 0;

/// One end of a pipe, for one thread; [`Pipe::split`] makes two halves of it.
///
/// Dropped, the pipe ends: the peer still receives what was sent, and is then told so.
pub struct Pipe {
    sender: PipeSender,
    receiver: PipeReceiver,
    waiter: Waiter,
}

impl Pipe {
    /// Over two halves in which both rings have been formatted.
    fn new(
        ends: &Ends,
        button: Button,
        options: &Options,
        side: Side,
    ) -> Result<(Pipe, Option<Seen>), AttachError> {
        let (lender, borrower) = large(options);
        let seen = Seen::of(ends, lender.gauge());
        let (ring, _) = ends.observe()?;
        let (outgoing, incoming) = both_ways(ends, lender, borrower, side.session())?;
        let side = Arc::new(side);
        let bell = || Doorbell::Bell(button.clone());
        let heavy = ends.fences;
        let pipe = Pipe {
            sender: PipeSender::new(outgoing, bell(), heavy, ring, Arc::clone(&side)),
            receiver: PipeReceiver::new(incoming, bell(), heavy, options.wait, side),
            waiter: Waiter::new(options.wait),
        };
        Ok((pipe, seen))
    }

    /// For a connection that differs.
    pub fn builder() -> PipeBuilder {
        PipeBuilder::default()
    }

    /// Its two halves, for two threads, or for a loop of yours. The pipe ends when both are
    /// dropped, or by [`Bell::close`].
    pub fn split(self) -> (PipeSender, PipeReceiver) {
        (self.sender, self.receiver)
    }

    /// The process at the other end.
    pub fn peer(&self) -> &Peer {
        self.sender.peer()
    }

    /// Whether the peer is gone. What it had sent can still be received.
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// The longest record that can be sent, in bytes.
    pub fn payload_max(&self) -> usize {
        self.sender.payload_max()
    }

    /// Sends a record of several parts, one behind the other, waiting for room.
    ///
    /// If both sides do nothing but send, both wait for ever.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`], [`Error::TooLarge`], [`Error::Corrupt`], [`Error::System`].
    pub fn send(&mut self, parts: &[&[u8]]) -> Result<(), Error> {
        self.send_until(parts, None)
    }

    /// As [`Pipe::send`], but waits no longer than that.
    ///
    /// # Errors
    ///
    /// As [`Pipe::send`], and [`Error::TimedOut`]: nothing was sent.
    pub fn send_timeout(&mut self, parts: &[&[u8]], limit: Duration) -> Result<(), Error> {
        self.send_until(parts, Some(after(limit)))
    }

    /// Sends if there is room.
    ///
    /// # Errors
    ///
    /// As [`Pipe::send`], and [`Error::Full`]: nothing was sent.
    #[inline]
    pub fn try_send(&mut self, parts: &[&[u8]]) -> Result<(), Error> {
        self.sender.try_send(parts)
    }

    /// As [`Pipe::send`], as a task of any executor. Dropped before it is ready, it has sent
    /// nothing.
    ///
    /// # Errors
    ///
    /// As [`Pipe::send`].
    pub async fn send_async(&mut self, parts: &[&[u8]]) -> Result<(), Error> {
        loop {
            match self.sender.try_send(parts) {
                Err(Error::Full) => {}
                sent => return sent,
            }
            let porch = Arc::clone(self.sender.porch());
            task::wait(&porch, &mut self.sender.for_room(length(parts))).await?;
        }
    }

    /// Waits for the next record.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`]: the peer is gone, and all it had sent was received. [`Error::Corrupt`],
    /// [`Error::System`].
    pub fn recv(&mut self) -> Result<Vec<u8>, Error> {
        let mut payload = Vec::new();
        self.recv_into(&mut payload)?;
        Ok(payload)
    }

    /// As [`Pipe::recv`], into memory of yours, whose earlier contents are cleared.
    ///
    /// # Errors
    ///
    /// As [`Pipe::recv`].
    pub fn recv_into(&mut self, into: &mut Vec<u8>) -> Result<Record, Error> {
        self.recv_until(into, None)
    }

    /// As [`Pipe::recv`], but waits no longer than that.
    ///
    /// # Errors
    ///
    /// As [`Pipe::recv`], and [`Error::TimedOut`].
    pub fn recv_timeout(&mut self, limit: Duration) -> Result<Vec<u8>, Error> {
        let mut payload = Vec::new();
        self.recv_until(&mut payload, Some(after(limit)))?;
        Ok(payload)
    }

    /// The next record, if there is one: waits for nothing.
    ///
    /// # Errors
    ///
    /// As [`Pipe::recv`].
    #[inline]
    pub fn try_recv(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let mut payload = Vec::new();
        Ok(self.receiver.try_recv(&mut payload)?.map(|_| payload))
    }

    /// As [`Pipe::recv`], as a task of any executor. Dropped before it is ready, it has taken
    /// nothing.
    ///
    /// # Errors
    ///
    /// As [`Pipe::recv`].
    pub async fn recv_async(&mut self) -> Result<Vec<u8>, Error> {
        let mut payload = Vec::new();
        loop {
            if self.receiver.try_recv(&mut payload)?.is_some() {
                return Ok(payload);
            }
            let porch = Arc::clone(self.sender.porch());
            task::wait(&porch, &mut self.receiver.for_records()).await?;
        }
    }

    fn send_until(&mut self, parts: &[&[u8]], deadline: Option<Instant>) -> Result<(), Error> {
        loop {
            match self.sender.try_send(parts) {
                Err(Error::Full) => {}
                sent => return sent,
            }
            let porch = Arc::clone(self.sender.porch());
            let mut room = self.sender.for_room(length(parts));
            if !self.waiter.wait(&porch, &mut room, deadline)? {
                return Err(Error::TimedOut);
            }
        }
    }

    fn recv_until(
        &mut self,
        into: &mut Vec<u8>,
        deadline: Option<Instant>,
    ) -> Result<Record, Error> {
        loop {
            if let Some(record) = self.receiver.try_recv(into)? {
                return Ok(record);
            }
            let porch = self.sender.porch();
            if !self.waiter.wait(porch, &mut self.receiver.for_records(), deadline)? {
                return Err(Error::TimedOut);
            }
        }
    }
}

/// Bytes of a record.
fn length(parts: &[&[u8]]) -> usize {
    parts.iter().map(|part| part.len()).fold(0, usize::saturating_add)
}

impl fmt::Debug for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipe")
            .field("peer", self.peer())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
