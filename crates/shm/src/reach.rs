//! The side that connects: its half, and the way to a server, the first and each that follows.
//!
//! The half outlives the server it was made for: what is in its ring and was not taken is offered
//! to the next. Only if the server left nonsense behind does the next one get a new half.
//!
//! Until the connection to the next one is complete, the first record that was not taken is
//! withheld: its header is zero, so the ring looks empty. So the next server finds the large
//! payloads announced that the records refer to, and one that is given up in the handshake has
//! taken nothing that was reported as not taken.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use chaski_ring::region::AttachError;
use rustix::io::{Errno, fcntl_dupfd_cloexec};

use crate::blocks::Lender;
use crate::door::{ConnectError, Dialed, Dialing};
use crate::hall::board::Knocker;
use crate::hall::large;
use crate::link::{Doorbell, Ends, Link, NOTES, note};
use crate::memory::{self, Half, Mapping, RingMemory};
use crate::name::Name;
use crate::options::{BadRing, Options};
use crate::porch::{Bell, Button, Porch};
use crate::step::step;
use crate::wait;
use crate::wire::{Flags, Hello, Kind, Resume, Welcome};

/// The key of the one doorbell that a client has.
const SERVER: u32 = 0;

/// The way to a server.
pub(crate) struct Reach {
    name: Name,
    options: Options,
    kind: Kind,
    porch: Arc<Porch>,
    half: Half,
    mine: Arc<Mapping>,
    fd: OwnedFd,
    /// The server last connected to, if there was one. Any number may be its own.
    generation: Option<u64>,
    search: Option<Search>,
    /// Where in this half the header of the first record not taken belongs, and what it is.
    withheld: Option<(usize, u64)>,
}

/// A connection in the making.
struct Search {
    dialing: Dialing,
    /// What was lent to the last server, and up to where that had taken what is in the ring.
    lender: Option<(Lender, u64)>,
    deadline: Instant,
}

/// How far a search has come.
pub(crate) enum Reached {
    NotYet,
    Link(Box<Link>),
    Nobody,
}

impl Reach {
    pub(crate) fn new(name: Name, options: Options, kind: Kind) -> Result<Reach, ConnectError> {
        let half = Half::new(options.ring_bytes).map_err(|_| BadRing::new(options.ring_bytes))?;
        let (mine, fd) =
            memory::create_with("chaski-client", half.len(), options.pages).map_err(system)?;
        let porch = Porch::new().map_err(system)?;
        Ok(Reach {
            name,
            options,
            kind,
            porch,
            half,
            mine: Arc::new(mine),
            fd,
            generation: None,
            search: None,
            withheld: None,
        })
    }

    #[inline]
    pub(crate) fn porch(&self) -> &Arc<Porch> {
        &self.porch
    }

    /// A note in the half of this side, which outlives servers.
    pub(crate) fn note(&self, at: usize) -> &AtomicU64 {
        note(&self.mine, self.half, at)
    }

    /// Connects for the first time, waiting for a server until the deadline.
    pub(crate) fn connect(&mut self, deadline: Instant) -> Result<Link, ConnectError> {
        self.format().expect("the mapping is as long as the half");
        let mut dialing = self.dial(0, deadline)?;
        loop {
            self.porch.take_news();
            if let Some(dialed) = dialing.poll() {
                return self.link(dialed?, &mut None);
            }
            self.porch.lie_down();
            if !self.porch.has_news() {
                // Knocked at when the dialing is over, by the deadline at the latest.
                self.porch.sleep(None, |_| ()).map_err(system)?;
            }
            self.porch.get_up();
        }
    }

    /// Looks for another server, with the ring as the last one left it: it had taken what ends at
    /// `head` or before, and is gone. `None`: that cannot be told, or it may live; begin anew.
    pub(crate) fn search(&mut self, last: Link, head: Option<u64>, deadline: Instant) {
        // Of one that may live its half is its own, up to the end.
        debug_assert!(head.is_none() || !last.session().is_shut());
        // Not by `map`: in either case its descriptors are given back before others are needed.
        let lender = match head {
            Some(head) => Some((last.into_lender(), head)),
            None => {
                drop(last);
                None
            }
        };
        let ready = match head {
            Some(head) => {
                self.withhold(head);
                self.format_responses().is_ok()
            }
            None => self.renew(),
        };
        self.search = None;
        if ready {
            self.search_on(lender, deadline);
        }
    }

    /// Looks for a server that goes on with what was lent.
    fn search_on(&mut self, lender: Option<(Lender, u64)>, deadline: Instant) {
        let head = lender.as_ref().map_or(0, |(_, head)| *head);
        let dialing = self.dial(head, deadline).ok();
        self.search = dialing.map(|dialing| Search { dialing, lender, deadline });
    }

    /// Whether another server was found; asked after a knock.
    pub(crate) fn poll(&mut self) -> Reached {
        let Some(search) = &mut self.search else { return Reached::Nobody };
        let dialed = match search.dialing.poll() {
            None => return Reached::NotYet,
            Some(Ok(dialed)) => dialed,
            Some(Err(_)) => return Reached::Nobody,
        };
        let (mut lender, deadline) = (search.lender.take(), search.deadline);
        self.search = None;
        match self.link(dialed, &mut lender) {
            Ok(mut link) => {
                self.let_go();
                link.flush();
                if link.session().is_closed() {
                    // Its knock may have been heard before there was a connection to look at.
                    self.porch.knock();
                }
                Reached::Link(Box::new(link))
            }
            // It died in the handshake: there may be a third.
            Err(ConnectError::System { errno: Errno::PIPE | Errno::CONNRESET, .. })
                if Instant::now() < deadline =>
            {
                self.search_on(lender, deadline);
                // Of a search that could not begin nobody knocks.
                if self.search.is_some() { Reached::NotYet } else { Reached::Nobody }
            }
            Err(_) => Reached::Nobody,
        }
    }
}

impl Reach {
    /// Makes both areas of this half anew.
    fn format(&mut self) -> Result<(), AttachError> {
        self.withheld = None;
        let mine = RingMemory::outgoing(&self.mine, self.half, &self.mine, self.half);
        self.half.layout().format_producer(&mine)?;
        self.format_responses()
    }

    /// A new half in the place of this one, with the same notes. The last server keeps the old one,
    /// as it was: it may still read it. Whether there is memory for it.
    fn renew(&mut self) -> bool {
        let Ok((mine, fd)) = memory::create("chaski-client", self.half.len()) else { return false };
        let last = std::mem::replace(&mut self.mine, Arc::new(mine));
        self.fd = fd;
        for at in 0..NOTES {
            let word = note(&last, self.half, at).load(Ordering::Relaxed);
            self.note(at).store(word, Ordering::Relaxed);
        }
        step("reach.renewed");
        self.format().is_ok()
    }

    /// Lets the ring look empty from `head` on.
    fn withhold(&mut self, head: u64) {
        let layout = self.half.layout();
        let records = layout.producer_len() - layout.capacity();
        // The producer, which is no more, has found `head` to be a place for a header.
        let at = records + head as usize % layout.capacity();
        let header = self.mine.word(at);
        self.withheld = Some((at, header.load(Ordering::Relaxed)));
        // ORDERING: comes before the handshake, whose system calls are a barrier.
        header.store(0, Ordering::Relaxed);
        step("reach.withheld");
    }

    /// Lets the records be seen that are still to be taken.
    fn let_go(&mut self) {
        if let Some((at, header)) = self.withheld.take() {
            // ORDERING: release, pairs with the look of the server's consumer at a header: who sees
            // it finds the segments announced.
            self.mine.word(at).store(header, Ordering::Release);
            step("reach.let_go");
        }
    }

    /// Makes the area anew with which responses are taken: each server has a ring of its own.
    fn format_responses(&self) -> Result<(), AttachError> {
        let mine = RingMemory::incoming(&self.mine, self.half, &self.mine, self.half);
        self.half.layout().format_consumer(&mine, 0)
    }

    /// Begins to look for a server. The requests in the ring begin at `head`.
    fn dial(&mut self, head: u64, deadline: Instant) -> Result<Dialing, ConnectError> {
        let half = fcntl_dupfd_cloexec(&self.fd, 0).map_err(system)?;
        let (mine, bell) = Bell::new().map_err(system)?;
        // In the place of the last one's.
        self.porch.watch(mine, SERVER).map_err(system)?;
        step("reach.bell_made");
        let resume = self.generation.map(|generation| Resume { generation, head });
        let hello = Hello {
            flags: if wait::fences() { Flags::FENCES } else { Flags::default() },
            // A ring is at most 1 GiB.
            capacity: self.half.layout().capacity() as u32,
            payload_max: self.options.large_bytes as u64,
            resume,
            ..Hello::new(self.kind)
        };
        Ok(Dialing::begin(
            &self.name,
            self.options.directory.clone(),
            self.options.admit.clone(),
            hello,
            vec![half, bell],
            deadline,
            self.porch.clone(),
        ))
    }

    /// The connection to a server that welcomed this client. What was lent stays the caller's if it
    /// fails.
    fn link(
        &mut self,
        dialed: Dialed,
        lent: &mut Option<(Lender, u64)>,
    ) -> Result<Link, ConnectError> {
        let Dialed { session, welcome, fds } = dialed;
        let Ok([theirs, bell, plate, board]) = <[OwnedFd; 4]>::try_from(fds) else {
            return Err(self.unfit("four descriptors were due"));
        };
        let bell = Button::new(bell, session.peer()).map_err(|why| self.unfit(why))?;
        let theirs =
            memory::open(theirs.as_fd(), self.half.len()).map_err(|why| self.unfit(why))?;
        let knocker = Knocker::new(&plate, &board, welcome.slot).map_err(|why| self.unfit(why))?;
        let ends = Ends {
            mine: self.mine.clone(),
            theirs: Arc::new(theirs),
            half: self.half,
            fences: wait::fences() && welcome.flags.contains(Flags::FENCES),
            payload_max: self.payload_max(&welcome),
        };
        if let Some((lender, head)) = lent {
            lender.reconnect(*head, &session).map_err(system)?;
        }
        let (new, borrower) = large(&self.options);
        let lender = lent.take().map_or(new, |(lender, _)| lender);
        let link = Link::new(ends, Doorbell::Board(knocker, bell), lender, borrower, session);
        self.generation = Some(welcome.generation);
        let link = link.map_err(|why| self.unfit(why))?;
        if link.session().is_closed() {
            // The knock at the hang-up may have been taken for the one at the answer.
            self.porch.knock();
        }
        Ok(link)
    }

    /// The server's part is not as it must be.
    fn unfit(&self, why: impl ToString) -> ConnectError {
        ConnectError::Malformed { name: self.name.clone(), why: why.to_string() }
    }

    /// What both sides take.
    fn payload_max(&self, welcome: &Welcome) -> usize {
        let theirs = usize::try_from(welcome.payload_max).unwrap_or(usize::MAX);
        theirs.min(self.options.large_bytes)
    }
}

/// What could not be made for a connection.
fn system(error: impl Into<std::io::Error>) -> ConnectError {
    let errno = Errno::from_io_error(&error.into()).unwrap_or(Errno::IO);
    ConnectError::System { what: "make memory and doorbells", errno }
}
