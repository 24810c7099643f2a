//! Memory in our address space.

use std::os::fd::BorrowedFd;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::atomic::AtomicU64;

use chaski_ring::region::Area;
use rustix::io::{Errno, Result};
use rustix::mm::{self, Advice, MapFlags, ProtFlags};

use super::Pages;

/// What a mapping may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

/// Sealed memory, mapped until this is dropped.
///
/// Another process may be writing it at any moment, so safe code touches it by atomic accesses and
/// by copies that are as good as atomic. Offsets and lengths are always our own, checked if they
/// came from a peer: one that is outside is a defect of this crate, and a panic.
#[derive(Debug)]
pub(crate) struct Mapping {
    base: NonNull<u8>,
    len: usize,
    access: Access,
}

// SAFETY: the memory belongs to no thread, and what is done to it by shared reference is atomic.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first `len` bytes of `fd`.
    ///
    /// # Safety
    ///
    /// `fd` is memory of at least `len` bytes, and sealed so that nobody can shorten it.
    pub(super) unsafe fn new(
        fd: BorrowedFd<'_>,
        len: usize,
        access: Access,
        pages: Pages,
    ) -> Result<Mapping> {
        let protection = match access {
            Access::Read => ProtFlags::READ,
            Access::Write => ProtFlags::READ | ProtFlags::WRITE,
        };
        // SAFETY: a new mapping, at a place that the kernel chooses, takes nothing from anybody.
        let base = unsafe { mm::mmap(ptr::null_mut(), len, protection, MapFlags::SHARED, fd, 0)? };
        let base = NonNull::new(base.cast()).ok_or(Errno::NOMEM)?;
        let mapping = Mapping { base, len, access };
        mapping.fill(pages)?;
        Ok(mapping)
    }

    /// Brings the pages that are to be there from the start; those of a peer's memory are its own
    /// business.
    fn fill(&self, pages: Pages) -> Result<()> {
        if pages == Pages::OnTouch {
            return Ok(());
        }
        let huge = (pages == Pages::Huge).then_some(Advice::LinuxHugepage);
        for advice in huge.into_iter().chain([Advice::LinuxPopulateWrite]) {
            // SAFETY: within our mapping, whose contents neither advice changes.
            unsafe { mm::madvise(self.base.as_ptr().cast(), self.len, advice)? };
        }
        Ok(())
    }

    /// In bytes.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether this side may write it.
    pub(crate) fn is_writable(&self) -> bool {
        self.access == Access::Write
    }

    /// A part of it, for `chaski_ring::region`. Whoever uses it keeps the mapping beside it.
    ///
    /// # Panics
    ///
    /// If it is not all inside.
    pub(crate) fn area(&self, offset: usize, len: usize) -> Area {
        assert!(
            offset <= self.len && len <= self.len - offset,
            "{len} bytes at {offset} of {}",
            self.len
        );
        // SAFETY: within the mapping, or at its end, as just checked.
        Area { base: unsafe { self.base.add(offset) }, len }
    }

    /// The word at `offset`.
    ///
    /// Of a read-only mapping load it relaxed, with a fence behind where it must acquire, and never
    /// store (see "Atomic accesses to read-only memory" in [`std::sync::atomic`]).
    ///
    /// # Panics
    ///
    /// If it is outside, or `offset` is not a multiple of 8.
    pub(crate) fn word(&self, offset: usize) -> &AtomicU64 {
        let area = self.area(offset, size_of::<AtomicU64>());
        assert!(offset.is_multiple_of(align_of::<AtomicU64>()), "word at {offset}");
        // SAFETY: inside, aligned, since the mapping begins on a page, and there as long as `self`.
        // In this process nobody touches it but atomically, save under the promises made to
        // `bytes` and `bytes_mut`.
        unsafe { area.base.cast().as_ref() }
    }

    /// Copies `bytes` to `offset`. Up to the next multiple of 8 behind them, anything may be
    /// written.
    ///
    /// # Panics
    ///
    /// If they do not fit, `offset` is not a multiple of 8, or the mapping is read-only.
    pub(crate) fn copy_in(&self, offset: usize, bytes: &[u8]) {
        assert!(self.is_writable());
        let area = self.area(offset, bytes.len().next_multiple_of(8));
        // SAFETY: inside the mapping, which is writable and there as long as `self`; others touch
        // it atomically, as for `word`.
        unsafe { area.copy_in(bytes) };
    }

    /// Appends the `len` bytes at `offset` to `into`, whoever may be writing them. What they are is
    /// then settled: nobody changes the copy.
    ///
    /// # Panics
    ///
    /// If they are outside, counted up to the next multiple of 8, or `offset` is not one.
    pub(crate) fn append_to(&self, offset: usize, len: usize, into: &mut Vec<u8>) {
        let area = self.area(offset, len.next_multiple_of(8));
        // SAFETY: inside the mapping, which is there as long as `self`; others touch it atomically,
        // as for `word`.
        unsafe { area.append_to(len, into) };
    }

    /// The bytes themselves.
    ///
    /// # Panics
    ///
    /// If they are outside.
    ///
    /// # Safety
    ///
    /// While the slice lives nobody writes them: no thread of this process, and no other process.
    pub(crate) unsafe fn bytes(&self, offset: usize, len: usize) -> &[u8] {
        let area = self.area(offset, len);
        // SAFETY: inside the mapping, all of whose bytes are initialised; the caller vouches that
        // they keep still.
        unsafe { slice::from_raw_parts(area.base.as_ptr(), len) }
    }

    /// The bytes themselves, to be written.
    ///
    /// # Panics
    ///
    /// If they are outside, or the mapping is read-only.
    ///
    /// # Safety
    ///
    /// While the slice lives nobody else writes them, and nobody in this process reads them through
    /// this mapping. (A process that reads them through its own sees what it sees.)
    #[expect(clippy::mut_from_ref, reason = "that there is only one is the caller's promise")]
    pub(crate) unsafe fn bytes_mut(&self, offset: usize, len: usize) -> &mut [u8] {
        assert!(self.is_writable());
        let area = self.area(offset, len);
        // SAFETY: inside the mapping, which is writable; the caller vouches that nobody else
        // touches them.
        unsafe { slice::from_raw_parts_mut(area.base.as_ptr(), len) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: our own mapping; every borrow of it has ended. It fails only for addresses that
        // are none, and there is nothing to be done if it did.
        let _ = unsafe { mm::munmap(self.base.as_ptr().cast(), self.len) };
    }
}
