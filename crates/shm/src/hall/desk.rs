//! Who comes in: the part of a hall that the doorman calls on.
//!
//! It checks what a client brings, makes this side's half, and puts the connection where the hall
//! finds it. It also keeps what others may look at, in a [`Register`].

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use super::board::{FrontDoor, Pages};
use super::register::{Register, Seen};
use super::system;
use crate::admit::Peer;
use crate::blocks::{Borrower, Lender};
use crate::door::{self, BindError, Greeting, Host, Session};
use crate::link::{Doorbell, Ends, Link};
use crate::memory::{self, Half};
use crate::options::Options;
use crate::porch::{Bell, Button, Porch};
use crate::step::step;
use crate::survey::{self, Pattern};
use crate::wait;
use crate::wire::{Flags, Hello, Kind, Refusal, Refused, Welcome};

/// What an endpoint offers to those who connect.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    /// What they must want to be.
    pub(crate) serves: Kind,
    pub(crate) peers_max: usize,
}

/// The most peers a board has slots for.
const PEERS_MAX: usize = 4096;

/// A connection that is up and waits to be seated.
pub(super) struct Arrival {
    pub(super) slot: u32,
    pub(super) link: Link,
    pub(super) bell: Bell,
}

/// Where those who come are dealt with.
pub(crate) struct Desk {
    this: Weak<Desk>,
    terms: Terms,
    options: Options,
    generation: u64,
    born: Instant,
    pages: Pages,
    porch: Arc<Porch>,
    register: Register,
    arrivals: Mutex<Vec<Arrival>>,
}

impl Desk {
    pub(super) fn new(
        options: &Options,
        terms: Terms,
        porch: Arc<Porch>,
    ) -> Result<(Arc<Desk>, FrontDoor), BindError> {
        let terms = Terms { peers_max: terms.peers_max.clamp(1, PEERS_MAX), ..terms };
        let (door, pages) = FrontDoor::new(terms.peers_max).map_err(system)?;
        let desk = Arc::new_cyclic(|this| Desk {
            this: this.clone(),
            terms,
            options: options.clone(),
            generation: door::generation(),
            born: Instant::now(),
            pages,
            porch,
            register: Register::default(),
            arrivals: Mutex::default(),
        });
        Ok((desk, door))
    }

    pub(super) fn porch(&self) -> &Arc<Porch> {
        &self.porch
    }

    /// Who waits to be seated.
    pub(super) fn arrivals(&self) -> Vec<Arrival> {
        std::mem::take(&mut *locked(&self.arrivals))
    }

    /// The slot can be given to another.
    pub(super) fn free(&self, slot: u32) {
        self.register.free(slot);
    }

    /// A slot for a peer, if there is one.
    fn slot(&self, peer: &Peer) -> Result<Slot, Refused> {
        let number = self.register.take(peer, self.terms.peers_max)?;
        let desk = self.this.upgrade().expect("whoever calls holds it");
        Ok(Slot { desk, number, seated: false })
    }

    fn welcome(&self, hello: &Hello, slot: u32) -> Welcome {
        Welcome {
            generation: self.generation,
            flags: if wait::fences() { Flags::FENCES } else { Flags::default() },
            capacity: hello.capacity,
            slot,
            start: 0,
            payload_max: self.options.large_bytes as u64,
        }
    }
}

/// This side's half for a peer, in new memory, with both of its areas formatted.
pub(crate) fn meet(
    options: &Options,
    hello: &Hello,
    theirs: OwnedFd,
) -> Result<(Ends, OwnedFd), Refused> {
    let (capacity, max) = (hello.capacity as usize, options.ring_bytes_max);
    if capacity > max {
        let text = format!("rings of {capacity} bytes, but at most {max} may be asked for");
        return Err(Refused::new(Refusal::TooLarge, text));
    }
    let half = Half::new(capacity).map_err(Refused::unfit)?;
    let theirs = memory::open(theirs.as_fd(), half.len()).map_err(Refused::unfit)?;
    let (mine, fd) =
        memory::create_with("chaski-server", half.len(), options.pages).map_err(Refused::ours)?;
    let fences = wait::fences() && hello.flags.contains(Flags::FENCES);
    let payload_max = options.large_bytes.min(usize_from(hello.payload_max));
    let (mine, theirs) = (Arc::new(mine), Arc::new(theirs));
    let ends = Ends { mine, theirs, half, fences, payload_max };
    let head = hello.resume.map_or(0, |resume| resume.head);
    ends.format(head).map_err(Refused::unfit)?;
    step("desk.half_made");
    Ok((ends, fd))
}

/// A slot that was taken for a peer, and is given back unless that comes to be seated.
struct Slot {
    desk: Arc<Desk>,
    number: u32,
    seated: bool,
}

impl Slot {
    /// Makes the connection, once the answer is sent, and puts it where the hall finds it.
    fn seat(mut self, ends: Ends, bells: (Bell, Button), session: Session) {
        let (mine, theirs) = bells;
        let (lender, borrower) = large(&self.desk.options);
        let seen = Seen::of(&ends, lender.gauge());
        let link = Link::new(ends, Doorbell::Bell(theirs), lender, borrower, session);
        let Ok(link) = link else { return };
        self.seated = true;
        self.desk.register.show(self.number, seen);
        step("desk.link_made");
        let arrival = Arrival { slot: self.number, link, bell: mine };
        locked(&self.desk.arrivals).push(arrival);
        self.desk.porch.knock();
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !self.seated {
            self.desk.free(self.number);
        }
    }
}

/// The ways for large payloads of a new connection.
pub(crate) fn large(options: &Options) -> (Lender, Borrower) {
    let lender = Lender::new(options.large_bytes).pages(options.pages);
    (lender, Borrower::new(options.large_bytes))
}

fn usize_from(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl Host for Desk {
    fn greet(
        &self,
        peer: &Peer,
        hello: &Hello,
        fds: Vec<OwnedFd>,
        _session: &Session,
    ) -> Result<Greeting, Refused> {
        if hello.kind != self.terms.serves {
            let pattern = format!("this is a service for {:?}", self.terms.serves);
            return Err(Refused::new(Refusal::WrongPattern, pattern));
        }
        let Ok([theirs, bell]) = <[OwnedFd; 2]>::try_from(fds) else {
            return Err(Refused::new(Refusal::Malformed, "a half and a doorbell were due"));
        };
        let bell = Button::new(bell, peer).map_err(Refused::unfit)?;
        let (ends, half) = meet(&self.options, hello, theirs)?;
        let (mine, button) = Bell::new().map_err(Refused::ours)?;
        let [plate, board] = self.pages.handed_out().map_err(Refused::ours)?;
        let slot = self.slot(peer)?;
        Ok(Greeting {
            welcome: self.welcome(hello, slot.number),
            fds: vec![half, button, plate, board],
            seat: Box::new(move |session| slot.seat(ends, (mine, bell), session)),
        })
    }

    fn survey(&self) -> survey::Service {
        survey::Service {
            pattern: Pattern::serving(self.terms.serves),
            generation: self.generation,
            age: self.born.elapsed(),
            connections_max: self.terms.peers_max as u64,
            departed: self.register.departed(),
            connections: self.register.survey(),
            // Name and credentials are the surveyor's to fill in.
            ..survey::Service::default()
        }
    }
}

/// A thread that panicked while it held one of these locks left a whole value.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
