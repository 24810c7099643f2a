//! Words that one process writes and any number of others read.
//!
//! ```text
//!    0  cell 0    u64, then 56 bytes not used
//!   64  cell 1    ..
//!       up to a whole page; as many as the writer made
//! ```
//!
//! A position that others follow, say: they look at it without asking anybody, and without the
//! writer knowing of them. Each cell has a cache line of its own, so that those who watch one do
//! not slow down who writes the next.
//!
//! The memory is sealed: nobody but its maker can write it or change its length, whoever has the
//! descriptor. A reader believes nothing else of it: a word is loaded whole, and may be any.
//!
//! # What a reader sees
//!
//! Who finds a value in a cell also finds all that the writer had done before it stored the value,
//! in other memory or in files: a store releases, a load acquires.
//!
//! ```
//! use std::os::fd::AsFd;
//!
//! use chaski_shm::cells::{Cells, CellsView};
//!
//! let cells = Cells::new(2)?;
//! // In another process, which got the descriptor through a socket:
//! let view = CellsView::open(cells.as_fd(), 2)?;
//! cells.set(1, 77);
//! assert_eq!((view.get(0), view.get(1), view.get(2)), (Some(0), Some(77), None));
//! # Ok::<(), std::io::Error>(())
//! ```

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{Ordering, fence};

use crate::memory::{self, Mapping};

/// Bytes of a cell: those that are not the word keep others off its cache line.
const CELL: usize = 64;

/// Memory comes in these.
const PAGE: usize = 4096;

/// The most cells: 4 MiB of memory, of which pages that nobody touches take none.
pub const CELLS_MAX: usize = 65_536;

/// Cells of this process. Its descriptor is what others open, and gives them no right to write.
#[derive(Debug)]
pub struct Cells {
    mapping: Mapping,
    fd: OwnedFd,
    count: usize,
}

impl Cells {
    /// So many cells, all 0.
    ///
    /// # Errors
    ///
    /// More than [`CELLS_MAX`] or none, no memory or descriptors left, or a kernel before Linux
    /// 5.1.
    pub fn new(count: usize) -> io::Result<Cells> {
        let (mapping, fd) = memory::create("chaski-cells", len_of(count)?)?;
        Ok(Cells { mapping, fd, count })
    }

    /// How many there are.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "there is always one")]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Stores a value.
    ///
    /// # Panics
    ///
    /// If there is no such cell.
    #[inline]
    pub fn set(&self, cell: usize, value: u64) {
        assert!(cell < self.count, "cell {cell} of {}", self.count);
        // ORDERING: release, pairs with the fence in `CellsView::get`: what was done before is
        // there for whoever finds the value.
        self.mapping.word(cell * CELL).store(value, Ordering::Release);
    }
}

impl AsFd for Cells {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Cells of another process, to be read.
#[derive(Debug)]
pub struct CellsView {
    mapping: Mapping,
    count: usize,
}

impl CellsView {
    /// Opens what another process has made with [`Cells::new`] of the same count.
    ///
    /// # Errors
    ///
    /// The descriptor is of something else, or of memory that could still be cut; no memory left.
    pub fn open(fd: BorrowedFd<'_>, count: usize) -> io::Result<CellsView> {
        let mapping = memory::open(fd, len_of(count)?);
        let mapping = mapping.map_err(|unsound| {
            io::Error::new(io::ErrorKind::InvalidData, format!("cells: {unsound}"))
        })?;
        Ok(CellsView { mapping, count })
    }

    /// The value of a cell; None: there is none of this number.
    #[inline]
    #[must_use]
    pub fn get(&self, cell: usize) -> Option<u64> {
        if cell >= self.count {
            return None;
        }
        let value = self.mapping.word(cell * CELL).load(Ordering::Relaxed);
        // ORDERING: acquire, by a fence because the memory is read-only; pairs with the store in
        // `Cells::set`.
        fence(Ordering::Acquire);
        Some(value)
    }
}

fn len_of(count: usize) -> io::Result<usize> {
    if !(1..=CELLS_MAX).contains(&count) {
        let message = format!("{count} cells; 1 to {CELLS_MAX} are possible");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    Ok((count * CELL).next_multiple_of(PAGE))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::sync::atomic::AtomicU64;

    use super::*;

    #[test]
    fn what_was_done_before_a_store_is_there_for_whoever_finds_the_value() {
        let cells = Cells::new(1).unwrap();
        let view = CellsView::open(cells.as_fd(), 1).unwrap();
        let page = AtomicU64::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for value in 1..=10_000 {
                    page.store(value, Ordering::Relaxed);
                    cells.set(0, value);
                }
            });
            let mut last = 0;
            while last < 10_000 {
                let found = view.get(0).unwrap();
                assert!(found >= last && page.load(Ordering::Relaxed) >= found);
                last = found;
                std::thread::yield_now();
            }
        });
    }

    #[test]
    fn cells_are_apart_and_bounded() {
        let cells = Cells::new(65).unwrap();
        let view = CellsView::open(cells.as_fd(), 65).unwrap();
        for cell in 0..65 {
            cells.set(cell, cell as u64 + 1);
        }
        assert!((0..65).all(|cell| view.get(cell) == Some(cell as u64 + 1)));
        assert_eq!((view.get(65), view.get(usize::MAX)), (None, None));
        assert!(Cells::new(0).is_err() && Cells::new(CELLS_MAX + 1).is_err());
    }

    #[test]
    fn what_is_no_cells_is_refused() {
        let cells = Cells::new(64).unwrap();
        assert!(CellsView::open(cells.as_fd(), 65).is_err(), "of another length");
        assert!(CellsView::open(cells.as_fd(), usize::MAX).is_err());
        let file = File::open("/dev/zero").unwrap();
        assert_eq!(
            CellsView::open(file.as_fd(), 1).unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
    }

    #[test]
    fn a_reader_cannot_write_them() {
        let cells = Cells::new(1).unwrap();
        let view = CellsView::open(cells.as_fd(), 1).unwrap();
        assert!(!view.mapping.is_writable());
        assert!(rustix::io::write(cells.as_fd(), b"x").is_err());
    }
}
