//! The socket's own poll, and the doorbell on which its events are left.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use chaski_zmtp::pattern::Peer;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry, Token, Waker};

use crate::link::Stream;

/// How many events are taken at a time.
pub(super) const EVENTS_MAX: usize = 256;

/// The token of [`Poller::call`].
const CALL: Token = Token(usize::MAX);

/// In a token, beside the number of a peer: it is of the bell of a peer in shared memory.
const BELL: u64 = 1 << 32;

/// The number of the event by which a peer in shared memory rings.
pub(crate) fn bell_number(peer: Peer) -> u64 {
    BELL | u64::from(peer.0)
}

/// The poll of a socket.
pub(crate) struct Poller {
    sleep: Mutex<Sleep>,
    registry: Registry,
    waker: Waker,
}

/// The poll itself: held by who sleeps in it.
pub(crate) struct Sleep {
    poll: Poll,
    events: Events,
}

/// What happened to a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Occasion {
    pub(crate) peer: Peer,
    pub(crate) readable: bool,
    pub(crate) hung_up: bool,
    pub(crate) writable: bool,
    /// A bell: what it rings for, a message or room, does not show.
    pub(crate) bell: bool,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let registry = poll.registry().try_clone()?;
        let waker = Waker::new(&registry, CALL)?;
        let sleep = Sleep { poll, events: Events::with_capacity(EVENTS_MAX) };
        Ok(Poller { sleep: Mutex::new(sleep), registry, waker })
    }

    /// Takes the poll, unless somebody has it.
    pub(crate) fn try_sleep(&self) -> Option<MutexGuard<'_, Sleep>> {
        match self.sleep.try_lock() {
            Ok(sleep) => Some(sleep),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Takes the poll, which a task or the driver may have for a moment.
    pub(crate) fn sleep(&self) -> MutexGuard<'_, Sleep> {
        self.sleep.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes who sleeps in the poll return.
    pub(crate) fn call(&self) {
        // It fails only if the descriptor is closed or overfull; either way the poll returns.
        let _ = self.waker.wake();
    }

    /// Watches a stream. Events are edges: each is told once.
    pub(crate) fn add(&self, stream: &Stream, peer: Peer, interest: Interest) -> io::Result<()> {
        let token = Token(peer.0 as usize);
        self.registry.register(&mut SourceFd(&stream.as_raw_fd()), token, interest)
    }

    /// Watches a stream for something else, and tells at once what is already so.
    pub(crate) fn change(&self, stream: &Stream, peer: Peer, interest: Interest) -> io::Result<()> {
        let token = Token(peer.0 as usize);
        self.registry.reregister(&mut SourceFd(&stream.as_raw_fd()), token, interest)
    }

    /// Watches a stream no longer.
    pub(crate) fn remove(&self, stream: &Stream) {
        // One that was never added is no concern.
        let _ = self.registry.deregister(&mut SourceFd(&stream.as_raw_fd()));
    }
}

impl AsFd for Poller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.registry.as_fd()
    }
}

impl Sleep {
    /// Waits for events, and takes them; how many there were, at most [`EVENTS_MAX`].
    pub(crate) fn wait(
        &mut self,
        timeout: Option<Duration>,
        mut each: impl FnMut(Occasion),
    ) -> usize {
        if self.poll.poll(&mut self.events, timeout).is_err() {
            // Interrupted by a signal; the caller looks at its deadline and comes again.
            self.events.clear();
        }
        let mut count = 0;
        for event in &self.events {
            count += 1;
            if event.token() == CALL {
                continue;
            }
            let hung_up = event.is_read_closed() || event.is_error();
            each(Occasion {
                // Tokens are numbers of peers, and of a bell one bit more.
                peer: Peer(event.token().0 as u32),
                readable: event.is_readable() || hung_up,
                hung_up,
                writable: event.is_writable(),
                bell: event.token().0 as u64 & BELL != 0,
            });
        }
        count
    }
}

/// Peers that may have something to receive, left by whoever learned of it.
///
/// Its lock is held for nothing but a note and a swap, so anybody may ring it. A peer that rings
/// often before it is answered is noted once.
#[derive(Default)]
pub(crate) struct Doorbell {
    rung: AtomicBool,
    notes: Mutex<Notes>,
}

#[derive(Default)]
struct Notes {
    rang: Vec<Peer>,
    /// By number of the peer.
    noted: Vec<Note>,
}

#[derive(Clone, Copy, Default)]
struct Note {
    rang: bool,
    hung_up: bool,
}

impl Doorbell {
    /// `peer` may have something; `hung_up` says that it will send no more.
    pub(crate) fn ring(&self, peer: Peer, hung_up: bool) {
        let mut notes = self.lock();
        let at = peer.0 as usize;
        if notes.noted.len() <= at {
            notes.noted.resize(at + 1, Note::default());
        }
        let note = &mut notes.noted[at];
        note.hung_up |= hung_up;
        if !std::mem::replace(&mut note.rang, true) {
            notes.rang.push(peer);
        }
        // ORDERING: `answer` clears it under the same lock, with the notes.
        self.rung.store(true, Ordering::Release);
    }

    /// Whether anybody rang since it was last answered.
    #[inline]
    pub(crate) fn has_rung(&self) -> bool {
        self.rung.load(Ordering::Acquire)
    }

    /// Takes the notes of all who rang.
    #[inline]
    pub(crate) fn answer(&self, mut each: impl FnMut(Peer, bool)) {
        if !self.rung.load(Ordering::Acquire) {
            return;
        }
        let mut notes = self.lock();
        let Notes { rang, noted } = &mut *notes;
        for peer in rang.drain(..) {
            let note = std::mem::take(&mut noted[peer.0 as usize]);
            each(peer, note.hung_up);
        }
        self.rung.store(false, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
