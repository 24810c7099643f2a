//! How a client tells a server that serves many that there is something in its ring.
//!
//! The server has two pages for that. The *board* has a bit for each slot and is writable by all
//! clients; the *plate* says whether the server sleeps and is read-only to them. A client whose
//! ring is not looked at sets its bit, and if the plate says that the server sleeps, it rings as
//! well. See [`chaski_ring::region::board`] for why no wake is lost between the two.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use chaski_ring::region::board::{Board, Ringer, Sleeper};
use chaski_ring::region::{Area, AttachError, Extent};
use rustix::io;

use crate::memory::{self, Mapping, Unsound};

/// A page of its own, as the ring crate wants it.
#[derive(Debug, Clone)]
pub(crate) struct Page(pub(crate) Arc<Mapping>);

// SAFETY: a mapping stays in place while the `Arc` lives and is sealed against truncation; this
// crate touches it through `chaski_ring::region` and atomics only. Which pages are writable is the
// callers' part: the board is mapped so by all, the plate by its owner, who alone makes a
// `Sleeper`.
unsafe impl Extent for Page {
    fn area(&self) -> Area {
        self.0.area(0, self.0.len())
    }
}

/// The server's side.
#[derive(Debug)]
pub(crate) struct FrontDoor {
    pub(super) board: Board<Page>,
    pub(super) sleeper: Sleeper<Page>,
}

/// What is handed to each client.
#[derive(Debug)]
pub(super) struct Pages {
    pub(super) plate: OwnedFd,
    pub(super) board: OwnedFd,
}

impl FrontDoor {
    /// New pages, with room for that many clients.
    pub(super) fn new(slots: usize) -> std::io::Result<(FrontDoor, Pages)> {
        let (plate, plate_fd) = memory::create("chaski-plate", Sleeper::LEN)?;
        let (board, board_fd) = memory::create_open_to_all("chaski-board", Board::LEN)?;
        let (plate, board) = (Page(Arc::new(plate)), Page(Arc::new(board)));
        Board::format(&board).expect("a mapping is a whole page");
        let door = FrontDoor {
            board: Board::attach(board, slots).expect("it has just been formatted"),
            sleeper: Sleeper::new(plate).expect("a mapping is a whole page"),
        };
        Ok((door, Pages { plate: plate_fd, board: board_fd }))
    }
}

impl Pages {
    pub(super) fn handed_out(&self) -> io::Result<[OwnedFd; 2]> {
        let copy = |fd: BorrowedFd<'_>| io::fcntl_dupfd_cloexec(fd, 0);
        Ok([copy(self.plate.as_fd())?, copy(self.board.as_fd())?])
    }
}

/// A client's side: its bit, and the word that says whether to ring too.
#[derive(Debug)]
pub(crate) struct Knocker {
    board: Board<Page>,
    ringer: Ringer<Page>,
    slot: usize,
}

/// What a server sent is no board, no plate, or no slot of that board.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadBoard {
    #[error(transparent)]
    Memory(#[from] Unsound),
    #[error(transparent)]
    Page(#[from] AttachError),
    #[error("slot {0} of {max}", max = Board::SLOTS_MAX)]
    Slot(u32),
}

impl Knocker {
    pub(crate) fn new(plate: &OwnedFd, board: &OwnedFd, slot: u32) -> Result<Knocker, BadBoard> {
        let plate = Page(Arc::new(memory::open(plate.as_fd(), Sleeper::LEN)?));
        let board = Page(Arc::new(memory::open_writable(board.as_fd(), Board::LEN)?));
        let found = slot as usize;
        if found >= Board::SLOTS_MAX {
            return Err(BadBoard::Slot(slot));
        }
        Ok(Knocker {
            board: Board::attach(board, Board::SLOTS_MAX)?,
            ringer: Ringer::attach(plate)?,
            slot: found,
        })
    }

    /// Marks this client's ring; whether the server sleeps and must be rung for, too.
    pub(crate) fn mark(&mut self) -> bool {
        self.board.set(self.slot);
        self.ringer.must_ring()
    }
}
