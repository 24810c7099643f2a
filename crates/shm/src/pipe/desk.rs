//! Who comes in: the part of a listener that the doorman calls on.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use super::bell::Side;
use super::{PEER, Pipe, flags};
use crate::admit::Peer;
use crate::door::{self, Greeting, Host, Session};
use crate::hall::meet;
use crate::hall::register::Register;
use crate::link::Ends;
use crate::options::Options;
use crate::porch::{Bell, Button, Porch};
use crate::step::step;
use crate::survey::{self, Pattern};
use crate::wire::{Hello, Kind, Refusal, Refused, Welcome};

/// The most pipes that wait to be accepted; who comes then is told to come again.
const BACKLOG: usize = 128;

/// Where those who come are dealt with.
pub(super) struct Desk {
    this: Weak<Desk>,
    options: Options,
    pipes_max: usize,
    light_sleep: bool,
    generation: u64,
    born: Instant,
    register: Register,
    arrivals: Mutex<VecDeque<Pipe>>,
}

impl Desk {
    pub(super) fn new(options: Options, pipes_max: usize, light_sleep: bool) -> Arc<Desk> {
        Arc::new_cyclic(|this| Desk {
            this: this.clone(),
            options,
            pipes_max: pipes_max.max(1),
            light_sleep,
            generation: door::generation(),
            born: Instant::now(),
            register: Register::default(),
            arrivals: Mutex::default(),
        })
    }

    /// The pipe that has waited longest.
    pub(super) fn next(&self) -> Option<Pipe> {
        self.arrivals().pop_front()
    }

    pub(super) fn has_arrivals(&self) -> bool {
        !self.arrivals().is_empty()
    }

    /// A thread that panicked while it held the lock left a whole value.
    fn arrivals(&self) -> MutexGuard<'_, VecDeque<Pipe>> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn place(&self, peer: &Peer) -> Result<Place, Refused> {
        let slot = self.register.take(peer, self.pipes_max)?;
        Ok(Place { desk: self.this.clone(), slot })
    }

    /// Makes the pipe, once the answer is sent, and puts it where the listener finds it.
    fn seat(&self, ends: &Ends, button: Button, place: Place, session: Session) {
        let slot = place.slot;
        let side = Side::new(Arc::clone(session.porch()), session, Some(place));
        let Ok((pipe, seen)) = Pipe::new(ends, button, &self.options, side) else { return };
        self.register.show(slot, seen);
        step("pipe.made");
        self.arrivals().push_back(pipe);
    }
}

/// A place among the pipes of a listener, which may be gone; free again when this is dropped.
pub(super) struct Place {
    desk: Weak<Desk>,
    slot: u32,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(desk) = self.desk.upgrade() {
            desk.register.free(self.slot);
        }
    }
}

impl Host for Desk {
    fn greet(
        &self,
        peer: &Peer,
        hello: &Hello,
        fds: Vec<OwnedFd>,
        session: &Session,
    ) -> Result<Greeting, Refused> {
        if hello.kind != Kind::Pipe {
            return Err(Refused::new(Refusal::WrongPattern, "this is a service for pipes"));
        }
        let Ok([theirs, button]) = <[OwnedFd; 2]>::try_from(fds) else {
            return Err(Refused::new(Refusal::Malformed, "a half and a doorbell were due"));
        };
        let button = Button::new(button, peer).map_err(Refused::unfit)?;
        if self.arrivals().len() >= BACKLOG {
            let text = format!("{BACKLOG} others wait to be accepted");
            return Err(Refused::new(Refusal::Busy, text));
        }
        let place = self.place(peer)?;
        let (mut ends, half) = meet(&self.options, hello, theirs)?;
        ends.fences &= !self.light_sleep;
        let (bell, handed_out) = Bell::new().map_err(Refused::ours)?;
        session.porch().watch(bell, PEER).map_err(Refused::ours)?;
        let welcome = Welcome {
            generation: self.generation,
            flags: flags(self.light_sleep),
            capacity: hello.capacity,
            slot: place.slot,
            start: 0,
            payload_max: self.options.large_bytes as u64,
        };
        let desk = self.this.clone();
        let seat = move |session| {
            if let Some(desk) = desk.upgrade() {
                desk.seat(&ends, button, place, session);
            }
        };
        Ok(Greeting { welcome, fds: vec![half, handed_out], seat: Box::new(seat) })
    }

    /// Each pipe has one of its own.
    fn porch(&self) -> rustix::io::Result<Option<Arc<Porch>>> {
        Ok(Some(Porch::new()?))
    }

    fn survey(&self) -> survey::Service {
        survey::Service {
            pattern: Pattern::Pipe,
            generation: self.generation,
            age: self.born.elapsed(),
            connections_max: self.pipes_max as u64,
            departed: self.register.departed(),
            connections: self.register.survey(),
            // Name and credentials are the surveyor's to fill in.
            ..survey::Service::default()
        }
    }
}
