//! Who subscribes: the part of a publisher that the doorman calls on.
//!
//! A subscriber is seated then and there, whatever the publisher's thread does, even if that does
//! nothing for hours: what was published is in the ring, and the doorman's thread may visit the
//! stage between two publications.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chaski_ring::region::broadcast::{Layout, Observer};
use rustix::io::fcntl_dupfd_cloexec;

use super::Policy;
use super::page::NewPage;
use super::register::Register;
use super::stage::{Newcomer, Seated, Stage};
use super::turns::Visitor;
use crate::admit::Peer;
use crate::door::{Greeting, Host, Session};
use crate::hall::board::Page;
use crate::porch::{Bell, Button};
use crate::step::step;
use crate::survey::{self, Pattern};
use crate::wait;
use crate::wire::{Flags, Hello, Kind, Refusal, Refused, Welcome};

/// How long a newcomer makes the doorman wait for a publication to end. One that takes longer is of
/// many megabytes, or its thread has lost its core; the newcomer comes again.
const PATIENCE: Duration = Duration::from_millis(5);

/// Where subscribers are dealt with.
pub(super) struct Desk {
    pub(super) stage: Visitor<Stage>,
    pub(super) register: Arc<Register>,
    pub(super) layout: Layout,
    /// The ring, for those who look on.
    pub(super) ring: Observer<Page>,
    /// The ring and the board, to be handed out.
    pub(super) fds: [OwnedFd; 2],
    pub(super) policies: Vec<Policy>,
    pub(super) subscribers_max: usize,
    pub(super) generation: u64,
    pub(super) born: Instant,
}

impl Desk {
    /// What becomes of this subscriber if it falls behind, if that is allowed.
    fn policy(&self, hello: &Hello) -> Result<Policy, Refused> {
        let Some(policy) = Policy::from_code(hello.policy) else {
            let text = format!("{} is the number of no policy", hello.policy);
            return Err(Refused::new(Refusal::Malformed, text));
        };
        if self.policies.contains(&policy) {
            return Ok(policy);
        }
        let text = format!("the policy \"{policy}\" is not allowed by this publisher");
        Err(Refused::new(Refusal::TooLarge, text))
    }

    fn welcome(&self, slot: u32, start: u64) -> Welcome {
        Welcome {
            generation: self.generation,
            flags: if wait::fences() { Flags::FENCES } else { Flags::default() },
            // A ring is at most 1 GiB.
            capacity: self.layout.capacity() as u32,
            slot,
            start,
            payload_max: 0,
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
        if hello.kind != Kind::Subscribe {
            return Err(Refused::new(Refusal::WrongPattern, "this is a publisher"));
        }
        let policy = self.policy(hello)?;
        let Ok([bell]) = <[OwnedFd; 1]>::try_from(fds) else {
            return Err(Refused::new(Refusal::Malformed, "a doorbell was due"));
        };
        let bell = Button::new(bell, peer).map_err(Refused::unfit)?;
        let page = NewPage::new(self.layout).map_err(Refused::ours)?;
        step("publish.page_made");
        let mut handed_out = Vec::with_capacity(4);
        for fd in &self.fds {
            handed_out.push(fcntl_dupfd_cloexec(fd.as_fd(), 0).map_err(Refused::ours)?);
        }
        let mut room = None;
        let mut room_button = None;
        if policy == Policy::Block {
            let (bell, button) = Bell::new().map_err(Refused::ours)?;
            (room, room_button) = (Some(bell), Some(button));
        }
        let newcomer = Newcomer {
            page: page.kept.clone(),
            policy,
            history: hello.history as usize,
            fences: wait::fences() && hello.flags.contains(Flags::FENCES),
            bell,
            room,
            session: session.clone(),
        };
        let seated = self.stage.visit(PATIENCE, |stage| stage.seat(newcomer, self.subscribers_max));
        let Some(seated) = seated else {
            return Err(Refused::new(Refusal::Busy, "a long message is being published"));
        };
        let Seated { slot, start, row } = seated?;
        page.begin_at(start.sequence);
        handed_out.push(page.fd);
        handed_out.extend(room_button);
        // If the welcome does not get there, the session ends, and with it the seat.
        let seat = Box::new(move |_| row.welcomed());
        Ok(Greeting { welcome: self.welcome(slot, start.position), fds: handed_out, seat })
    }

    fn survey(&self) -> survey::Service {
        let ring = self.ring.stats();
        survey::Service {
            pattern: Pattern::Publisher,
            generation: self.generation,
            age: self.born.elapsed(),
            connections_max: self.subscribers_max as u64,
            departed: self.register.departed(),
            connections: self.register.survey(&ring, self.layout.capacity()),
            // Name and credentials are the surveyor's to fill in.
            ..survey::Service::default()
        }
    }
}
