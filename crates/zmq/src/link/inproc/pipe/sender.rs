//! The end of a pipe that messages go into.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;

use chaski_ring::{TrySendError, spsc};
use chaski_zmtp::{Command, Frame, Message};

use super::super::lent::{Lender, Loan};
use super::{Limit, Piece, Pipe, RING_SLOTS_MAX, lock, wake};
use crate::link::NearSender;

/// The end that messages go into.
pub(in crate::link::inproc) struct Sender {
    pipe: Arc<Pipe>,
    /// None: closed.
    ring: Option<spsc::Sender<Piece>>,
    slots: usize,
    bodies: Lender,
    /// Messages pushed. Counts from 0 and wraps.
    pushed: usize,
    /// The newest `taken` that this end has seen.
    seen: Cell<usize>,
}

impl Sender {
    /// An end of which `ring`, of so many slots, is the first.
    pub(super) fn new(pipe: Arc<Pipe>, ring: spsc::Sender<Piece>, slots: usize) -> Self {
        let bodies = Lender::default();
        Sender { pipe, ring: Some(ring), slots, bodies, pushed: 0, seen: Cell::new(0) }
    }

    /// Who is woken when there is room. It is told once.
    pub(in crate::link::inproc) fn set_waker(&self, waker: Waker) {
        let _ = self.pipe.sender.set(waker);
    }

    /// Sets another limit. Who waits for room under the old one is to be told to look again.
    pub(in crate::link::inproc) fn set_limit(&self, limit: Limit) {
        self.pipe.set_limit(limit);
    }

    /// Puts frames or a command behind what is there, whatever it takes. `Err`: nobody will read
    /// the piece given back, nor those behind it.
    fn put(&mut self, piece: Piece) -> Result<(), Piece> {
        let Some(ring) = &mut self.ring else { return Err(piece) };
        match ring.try_send(piece) {
            Ok(()) => Ok(()),
            Err(TrySendError::Closed(piece)) => Err(piece),
            Err(TrySendError::Full(piece)) => {
                self.extend();
                self.put(piece)
            }
        }
    }

    /// Goes on in a new ring.
    fn extend(&mut self) {
        self.slots = (self.slots * 2).min(RING_SLOTS_MAX);
        let (tx, rx) = spsc::channel(self.slots);
        // In this order: the receiver looks for the next ring when it finds this one closed.
        self.pipe.rings().push_back(rx);
        self.ring = Some(tx);
    }

    #[expect(clippy::result_large_err, reason = "it goes back to who has it")]
    fn put_message(&mut self, mut message: Message) -> Result<(), Message> {
        let last = message.pop().unwrap_or_default();
        if message.is_empty() {
            return self.put(Piece::Last(last)).map_err(Message::from);
        }
        for frame in message {
            // A receiver that goes now would have dropped the whole message a moment later.
            let _ = self.put(Piece::More(frame));
        }
        let _ = self.put(Piece::Last(last));
        Ok(())
    }

    fn put_lent(&mut self, body: &[u8]) -> Result<(), Piece> {
        match self.bodies.lend(body) {
            Loan::Made => {}
            Loan::MadeAnew(bodies) => self.put(Piece::Bodies(bodies))?,
            Loan::Refused => return self.put(Piece::Last(Frame::from(body))),
        }
        self.put(Piece::Lent(body.len()))
    }

    fn is_closed(&self) -> bool {
        // ORDERING: relaxed: nothing is read that the receiver wrote before it went.
        self.ring.is_none() || self.pipe.closed.load(Ordering::Relaxed)
    }

    /// How many messages wait, by the newest that is known of the receiver.
    fn waiting(&self) -> usize {
        // ORDERING: relaxed: what it limits is a number; the slots have their own handshake.
        self.seen.set(self.pipe.taken.load(Ordering::Relaxed));
        self.pushed.wrapping_sub(self.seen.get())
    }

    /// Wakes the receiver, if it sleeps.
    fn knock(&self) {
        if self.pipe.idle.must_wake() {
            wake(&self.pipe.receiver);
        }
    }
}

impl NearSender for Sender {
    fn is_gone(&self) -> bool {
        self.is_closed()
    }

    fn has_room(&self) -> bool {
        if self.is_closed() {
            return false;
        }
        let limit = self.pipe.limit();
        if self.pushed.wrapping_sub(self.seen.get()) < limit || self.waiting() < limit {
            return true;
        }
        self.pipe.starved.announce();
        self.waiting() < limit
    }

    fn push(&mut self, message: Message) -> Result<(), Message> {
        if !self.has_room() {
            return Err(message);
        }
        if self.pipe.conflates() {
            let old = lock(&self.pipe.newest).replace(message);
            drop(old);
        } else {
            self.put_message(message)?;
            self.pushed = self.pushed.wrapping_add(1);
        }
        self.knock();
        Ok(())
    }

    #[inline]
    fn push_lent(&mut self, envelope: &Message, body: &[u8]) -> bool {
        if self.pipe.conflates() {
            return self.push(envelope.clone().with(body)).is_ok();
        }
        if !self.has_room() {
            return false;
        }
        for frame in envelope {
            let _ = self.put(Piece::More(frame.clone()));
        }
        if self.put_lent(body).is_err() {
            return false;
        }
        self.pushed = self.pushed.wrapping_add(1);
        self.knock();
        true
    }

    fn tell(&mut self, command: Command) {
        // To one that is gone there is nothing to say.
        if !self.is_closed() && self.put(Piece::Command(command)).is_ok() {
            self.knock();
        }
    }

    fn queued(&self) -> usize {
        let newest = self.pipe.conflates() && lock(&self.pipe.newest).is_some();
        self.waiting() + usize::from(newest)
    }

    fn close(&mut self) {
        if self.ring.take().is_some() {
            wake(&self.pipe.receiver);
        }
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.close();
    }
}
