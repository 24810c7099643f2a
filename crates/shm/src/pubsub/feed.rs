//! A subscriber's connection: the ring that it reads, its page, and its mark on the board.
//!
//! # Going to sleep
//!
//! ```text
//! subscriber                                publisher
//!   doze: odd, on its own page                publish
//!   (fence)                                   board empty? then nobody sleeps
//!   mark the board                            take the marks; of each that marked:
//!   look once more: nothing                     doze odd, and not answered? ring
//!   sleep
//! ```
//!
//! In this order, and not the mark before the doze. A mark that was taken before its owner's doze
//! is odd rings no bell, and would be gone when it sleeps: it could not be late, by a message that
//! the subscriber had read already, and cost it the next one.

use std::os::fd::AsFd;
use std::sync::Arc;

use chaski_ring::region::board::Board;
use chaski_ring::region::broadcast::{Layout, Record, RecvError, Start, Subscriber};
use chaski_ring::region::{AttachError, Fence};

use super::{Policy, page};
use crate::door::{Dialed, Session};
use crate::hall::board::Page;
use crate::memory::{self, Unsound};
use crate::porch::{Button, NoButton};
use crate::step::step;
use crate::wait;
use crate::wire::{Control, Flags, Reason};

/// A connection to a publisher.
pub(super) struct Feed {
    rx: Subscriber<Page>,
    board: Board<Page>,
    slot: usize,
    policy: Policy,
    /// What the publisher waits for, if it waits for this subscriber.
    room: Option<Button>,
    generation: u64,
    // Last, so that the publisher learns of the end when nothing of this is used any more.
    session: Session,
}

/// What a publisher sent is not what a subscriber needs.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unfit {
    #[error("three descriptors at least were due")]
    Descriptors,
    #[error(transparent)]
    Doorbell(#[from] NoButton),
    #[error("slot {0} of {max}", max = Board::SLOTS_MAX)]
    Slot(u32),
    #[error(transparent)]
    Memory(#[from] Unsound),
    #[error(transparent)]
    Broadcast(#[from] AttachError),
}

impl Feed {
    /// The connection to a publisher that welcomed this subscriber.
    pub(super) fn new(dialed: Dialed, policy: Policy) -> Result<Feed, Unfit> {
        let Dialed { session, welcome, fds } = dialed;
        let mut fds = fds.into_iter();
        let (Some(ring), Some(board), Some(cursor)) = (fds.next(), fds.next(), fds.next()) else {
            return Err(Unfit::Descriptors);
        };
        let room = fds.next().map(|fd| Button::new(fd, session.peer())).transpose()?;
        let slot = welcome.slot as usize;
        if slot >= Board::SLOTS_MAX {
            return Err(Unfit::Slot(welcome.slot));
        }
        let layout = Layout::new(welcome.capacity as usize)?;
        let ring = Page(Arc::new(memory::open(ring.as_fd(), layout.publisher_len())?));
        let board = Page(Arc::new(memory::open_writable(board.as_fd(), Board::LEN)?));
        let (page, sequence) = page::open(&cursor, layout)?;
        step("subscribe.mapped");
        let start = Start { position: welcome.start, sequence };
        let fences = wait::fences() && welcome.flags.contains(Flags::FENCES);
        let fence = if fences { Fence::Sleeper(wait::light_fence) } else { Fence::Both };
        Ok(Feed {
            rx: Subscriber::attach(ring, page, layout, start, fence)?,
            board: Board::attach(board, Board::SLOTS_MAX)?,
            slot,
            policy,
            room,
            generation: welcome.generation,
            session,
        })
    }

    /// Takes the next message: its payload goes into `into`.
    #[inline]
    pub(super) fn recv(&mut self, into: &mut Vec<u8>) -> Result<Option<Record>, RecvError> {
        let received = self.rx.try_recv(into);
        step("subscribe.received");
        self.make_room();
        received
    }

    /// Passes over the messages before this number, as far as there are any.
    pub(super) fn skip_to(&mut self, number: u64) {
        let most = self.rx.layout().capacity() / 16;
        for _ in 0..most {
            // Over what was lost meanwhile, too.
            if self.sequence() >= number || matches!(self.rx.skip(), Ok(false)) {
                return;
            }
        }
    }

    /// Whether there is a message, or something to be told instead of one.
    #[inline]
    pub(super) fn is_ready(&mut self) -> bool {
        let ready = self.rx.is_ready().unwrap_or(true);
        self.make_room();
        ready
    }

    /// Says that this side is about to sleep, where the publisher finds it.
    pub(super) fn lie_down(&mut self) {
        self.rx.announce();
        step("subscribe.lay_down");
        self.board.set(self.slot);
        step("subscribe.marked");
    }

    /// Says that it is up again. The mark stays: it costs the publisher a look.
    pub(super) fn get_up(&mut self) {
        self.rx.awake();
    }

    /// The number of the next message, or the least it can have.
    pub(super) fn sequence(&self) -> u64 {
        self.rx.sequence()
    }

    pub(super) fn policy(&self) -> Policy {
        self.policy
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn session(&self) -> &Session {
        &self.session
    }

    /// Whether the publisher said, before it hung up, that this side was too slow.
    pub(super) fn was_cut_off(&self) -> bool {
        let said = self.session.take();
        said.iter().any(|(control, _)| matches!(control, Control::Bye { reason: Reason::Slow }))
    }

    /// Wakes the publisher, if it sleeps until this side has read.
    #[inline]
    fn make_room(&mut self) {
        if let Some(room) = &self.room
            && self.rx.must_wake()
        {
            step("subscribe.before_ring");
            room.ring();
        }
    }
}
