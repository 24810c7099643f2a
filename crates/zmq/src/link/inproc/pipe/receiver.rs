//! The end of a pipe that messages come out of.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;

use chaski_ring::{TryRecvError, spsc};
use chaski_zmtp::{Frame, Message};

use super::super::lent::Borrower;
use super::{Limit, Piece, Pipe, lock, wake};
use crate::link::{Arrival, Gone, NearReceiver};

/// The end that they come out of.
pub(in crate::link::inproc) struct Receiver {
    pipe: Arc<Pipe>,
    ring: spsc::Receiver<Piece>,
    bodies: Option<Box<Borrower>>,
    /// The frames so far of a message whose last is not here yet.
    partial: Message,
    /// What `Pipe::taken` says.
    taken: usize,
    /// What it said when the sender was last asked whether it waits.
    told: usize,
    /// The last word to [`Pipe::idle`] was that nothing is here.
    dozing: bool,
}

impl Receiver {
    /// An end that reads `ring` first.
    pub(super) fn new(pipe: Arc<Pipe>, ring: spsc::Receiver<Piece>) -> Self {
        let partial = Message::new();
        Receiver { pipe, ring, bodies: None, partial, taken: 0, told: 0, dozing: false }
    }

    /// As `Sender::set_limit`.
    pub(in crate::link::inproc) fn set_limit(&self, limit: Limit) {
        self.pipe.set_limit(limit);
    }

    /// Who is woken when something comes. It is told once; what came before is to be looked for.
    pub(in crate::link::inproc) fn set_waker(&self, waker: Waker) {
        let _ = self.pipe.receiver.set(waker);
    }

    /// The next piece. `None`: there is none now.
    fn next(&mut self) -> Result<Option<Piece>, Gone> {
        loop {
            match self.ring.try_recv() {
                Ok(piece) => return Ok(Some(piece)),
                Err(TryRecvError::Empty) => return Ok(None),
                Err(TryRecvError::Closed) => {
                    let next = self.pipe.rings().pop_front();
                    self.ring = next.ok_or(Gone)?;
                }
            }
        }
    }

    /// What arrived, if its last piece is there.
    fn arrival(&mut self) -> Result<Option<Arrival>, Gone> {
        loop {
            match self.next() {
                Ok(Some(Piece::Last(frame))) => return Ok(Some(self.whole(frame))),
                Ok(Some(Piece::Lent(len))) => {
                    let frame = self.body(len);
                    return Ok(Some(self.whole(frame)));
                }
                Ok(Some(Piece::Bodies(bodies))) => self.bodies = Some(bodies),
                Ok(Some(Piece::More(frame))) => self.partial.push(frame),
                Ok(Some(Piece::Command(command))) => return Ok(Some(Arrival::Command(command))),
                Ok(None) => return Ok(self.newest()),
                Err(Gone) => return self.newest().map_or(Err(Gone), |newest| Ok(Some(newest))),
            }
        }
    }

    /// A message, of which this is the last frame.
    fn whole(&mut self, last: Frame) -> Arrival {
        let mut message = std::mem::take(&mut self.partial);
        message.push(last);
        self.count();
        Arrival::Message(message)
    }

    /// The next lent body.
    #[inline]
    fn body(&mut self, len: usize) -> Frame {
        // `Piece::Bodies` comes before the first of them.
        self.bodies.as_mut().map_or_else(Frame::empty, |bodies| bodies.take(len))
    }

    fn newest(&mut self) -> Option<Arrival> {
        if !self.pipe.conflates() {
            return None;
        }
        lock(&self.pipe.newest).take().map(Arrival::Message)
    }

    /// One more message was taken.
    fn count(&mut self) {
        self.taken = self.taken.wrapping_add(1);
        // ORDERING: relaxed, see `Sender::waiting`.
        self.pipe.taken.store(self.taken, Ordering::Relaxed);
        if self.taken.wrapping_sub(self.told) >= (self.pipe.limit() / 8).max(1) {
            self.tell_room();
        }
    }

    /// Something was there after all.
    fn wake_up(&mut self) {
        if std::mem::take(&mut self.dozing) {
            self.pipe.idle.awake();
        }
    }

    /// Wakes the sender, if it waits for room and there is some it has not been told of.
    fn tell_room(&mut self) {
        if self.told != self.taken {
            self.told = self.taken;
            if self.pipe.starved.must_wake() {
                wake(&self.pipe.sender);
            }
        }
    }
}

impl NearReceiver for Receiver {
    fn pop(&mut self) -> Result<Option<Arrival>, Gone> {
        let mut arrival = self.arrival()?;
        if arrival.is_none() {
            self.tell_room();
            // Each time anew: a wake that came late may have taken the last announcement away.
            self.pipe.idle.announce();
            self.dozing = true;
            arrival = self.arrival()?;
        }
        if arrival.is_some() {
            self.wake_up();
        }
        Ok(arrival)
    }

    fn pop_single(&mut self) -> Option<Frame> {
        if !self.partial.is_empty() {
            return None;
        }
        let (Piece::Last(_) | Piece::Lent(_)) = self.ring.try_peek().ok()?.as_slices().0.first()?
        else {
            return None;
        };
        let frame = match self.ring.try_recv() {
            Ok(Piece::Last(frame)) => frame,
            Ok(Piece::Lent(len)) => self.body(len),
            _ => return None,
        };
        self.count();
        self.wake_up();
        Some(frame)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // ORDERING: relaxed, see `Sender::is_closed`.
        self.pipe.closed.store(true, Ordering::Relaxed);
        let rings = std::mem::take(&mut *self.pipe.rings());
        drop(rings);
        wake(&self.pipe.sender);
    }
}
