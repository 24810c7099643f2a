//! The pattern of a socket and the peers it chooses among.

use std::sync::Arc;

use chaski_zmtp::Command;
use chaski_zmtp::pattern::{Body, Delivery, Errand, Outgoing, Pattern, Peer, Room, Said};
use slab::Slab;
use smallvec::SmallVec;

use crate::link::{After, Clock, Link, NearSender};
use crate::monitor::{Breach, Lost, Refusal};

/// What is locked to decide where a message goes or whether the user gets it. Held for tens of
/// nanoseconds, never in a system call.
pub(crate) struct Rules {
    pub(crate) pattern: Box<dyn Pattern>,
    pub(crate) seats: Seats,
    /// Scratch: who gets a message.
    pub(crate) to: Vec<Peer>,
    /// Scratch: what the pattern wants said.
    pub(crate) errands: Vec<Errand>,
    /// The socket is closed: nothing more is sent or received.
    pub(crate) closed: bool,
}

/// The peers, by number.
#[derive(Default)]
pub(crate) struct Seats(pub(crate) Slab<Seat>);

/// A peer's place.
pub(crate) struct Seat {
    pub(crate) link: Arc<Link>,
    pub(crate) near: Option<Box<dyn NearSender>>,
    /// It is to be reached through memory, and the way there is not laid yet.
    pub(crate) unlaid: bool,
    /// Is given nothing more: it is gone, and kept only until what it sent has been received.
    pub(crate) leaving: bool,
}

/// What is to be done once the lock is released.
pub(crate) type Chores = SmallVec<[(Arc<Link>, After); 2]>;

impl Room for Seats {
    fn has_room(&self, peer: Peer) -> bool {
        self.get(peer).is_some_and(|seat| {
            !seat.leaving
                && match &seat.near {
                    None => !seat.unlaid && seat.link.outbox.has_room(),
                    Some(near) => near.has_room(),
                }
        })
    }

    fn is_gone(&self, peer: Peer) -> bool {
        self.get(peer).is_none_or(|seat| {
            seat.leaving || seat.near.as_ref().is_some_and(|near| near.is_gone())
        })
    }
}

impl Seats {
    #[inline]
    pub(crate) fn get(&self, peer: Peer) -> Option<&Seat> {
        self.0.get(peer.0 as usize)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, peer: Peer) -> Option<&mut Seat> {
        self.0.get_mut(peer.0 as usize)
    }
}

impl Rules {
    pub(crate) fn new(pattern: Box<dyn Pattern>) -> Self {
        Rules {
            pattern,
            seats: Seats::default(),
            to: Vec::new(),
            errands: Vec::new(),
            closed: false,
        }
    }

    /// Queues copies of a message to all of `to`, which the pattern chose. If the one peer of a
    /// message is to be written to at once, says which, and leaves the message; the rest of the
    /// duties goes to `chores`.
    #[inline]
    pub(crate) fn post(
        &mut self,
        message: &mut Outgoing<'_>,
        how: How,
        chores: &mut Chores,
    ) -> Option<Arc<Link>> {
        match self.to[..] {
            [peer] => self.post_one(peer, message, how, chores),
            _ => {
                self.post_all(message, how, chores);
                None
            }
        }
    }

    fn post_all(&mut self, message: &mut Outgoing<'_>, how: How, chores: &mut Chores) {
        let mut now = Clock::default();
        share(message);
        for peer in &self.to {
            let Some(seat) = self.seats.get_mut(*peer) else { continue };
            if let Some(near) = &mut seat.near {
                // There was room; if the other end has just closed, the copy is lost with it.
                let _ = near.push(copy(message));
                continue;
            }
            if how.conflate {
                seat.link.outbox.conflate();
            }
            match seat.link.outbox.push(message, how.hold, &mut now) {
                After::Rest => {}
                after => chores.push((Arc::clone(&seat.link), after)),
            }
        }
    }

    #[inline]
    fn post_one(
        &mut self,
        peer: Peer,
        message: &mut Outgoing<'_>,
        how: How,
        chores: &mut Chores,
    ) -> Option<Arc<Link>> {
        let seat = self.seats.get_mut(peer)?;
        if let Some(near) = &mut seat.near {
            // There was room; if the other end has just closed, the message is lost with it.
            let _ = match message.body {
                Body::Slice(slice) => near.push_lent(&message.envelope, slice),
                Body::Message(_) => near.push(take(message).into_message()).is_ok(),
            };
            return None;
        }
        if how.conflate {
            seat.link.outbox.conflate();
        }
        match seat.link.outbox.push(message, how.hold, &mut Clock::default()) {
            After::Rest => None,
            After::Through => Some(Arc::clone(&seat.link)),
            after => {
                chores.push((Arc::clone(&seat.link), after));
                None
            }
        }
    }

    /// Queues what the pattern wants said.
    pub(crate) fn run_errands(&mut self, chores: &mut Chores) {
        if self.errands.is_empty() {
            return;
        }
        let mut now = Clock::default();
        for Errand { to, what } in self.errands.drain(..) {
            let Some(seat) = self.seats.get_mut(to) else { continue };
            let after = match (what, &mut seat.near) {
                (Said::Goodbye, _) => After::Close,
                (Said::Message(message), None) => {
                    seat.link.outbox.push(&Outgoing::from(message), false, &mut now)
                }
                (Said::Command(command), None) => seat.link.outbox.tell(&command, &mut now),
                (Said::Message(message), Some(near)) => {
                    let _ = near.push(message);
                    continue;
                }
                (Said::Command(command), Some(near)) => {
                    near.tell(command);
                    continue;
                }
            };
            if after != After::Rest {
                chores.push((Arc::clone(&seat.link), after));
            }
        }
    }

    /// Answers a PING, or passes a command to the pattern. `Err` says why the connection ends: the
    /// peer broke a rule, or refuses us, which is fatal (RFC 37, "Error Handling").
    pub(crate) fn command(
        &mut self,
        from: Peer,
        command: Command,
        chores: &mut Chores,
    ) -> Result<(), Lost> {
        let Rules { pattern, errands, .. } = self;
        let mut kept = Ok(());
        match command {
            Command::Ping { context, .. } => {
                let what = Said::Command(Command::Pong { context });
                errands.push(Errand { to: from, what });
            }
            Command::Pong { .. } | Command::Unknown(_) => {}
            Command::Error(reason) => kept = Err(Lost::Refused(Refusal::new(&reason))),
            command => {
                if let Delivery::Close(why) = pattern.command(from, command, errands) {
                    kept = Err(Lost::Protocol(Breach::Rule(why)));
                }
            }
        }
        self.run_errands(chores);
        kept
    }
}

/// How a message is queued.
#[derive(Clone, Copy)]
pub(crate) struct How {
    /// The user has received messages left to take, and will be back.
    pub(crate) hold: bool,
    /// Only the newest message is kept.
    pub(crate) conflate: bool,
}

/// Makes a message one of which each peer's queue holds a reference to large frames, not a copy.
fn share(message: &mut Outgoing<'_>) {
    if matches!(message.body, Body::Slice(slice) if slice.len() > 1024) {
        *message = Outgoing::from(take(message).into_message());
    }
}

/// Takes a message out of its place.
fn take<'a>(message: &mut Outgoing<'a>) -> Outgoing<'a> {
    std::mem::replace(message, Outgoing::new(Body::Slice(&[])))
}

/// One peer's copy.
fn copy(message: &Outgoing<'_>) -> chaski_zmtp::Message {
    let body = match &message.body {
        Body::Slice(slice) => Body::Slice(slice),
        Body::Message(message) => Body::Message(message.clone()),
    };
    Outgoing { envelope: message.envelope.clone(), body }.into_message()
}
