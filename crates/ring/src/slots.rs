//! The memory of a ring: slots in a row, none across more cache lines than it must.
//!
//! ```text
//!   size of a slot     stride       16-byte slots on 64-byte lines:  |0 |1 |2 |3 |4 |5 |6 |7 |
//!   up to 64           the next power of two                         |<- a line ->|
//!   more               whole lines, so that neighbours, who may be written at once, share none
//!   any, if dense      its size: slots side by side, as in a slice
//! ```

use std::alloc::{self, Layout};
#[cfg(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(miri)))]
use std::arch::asm;
use std::marker::PhantomData;
use std::ptr::NonNull;

use crate::padded::Padded;

/// How far ahead of itself an end asks for lines, in bytes. A line takes 50 to 200 ns to cross; an
/// end that waits for each, or has only those under way that its reordering reaches, is slower by
/// half (measured for 8 and for 64 bytes a message).
pub(crate) const AHEAD: usize = 512;

/// A row of `S` that is allocated once and never moves. Alignment: that of a padded line.
pub(crate) struct Slots<S, const DENSE: bool = false> {
    base: NonNull<u8>,
    count: usize,
    _owns: PhantomData<S>,
}

// SAFETY: a row owns its slots; what may be done to them through a shared reference is for `S` to
// say.
unsafe impl<S: Send, const DENSE: bool> Send for Slots<S, DENSE> {}
// SAFETY: as above: shared access hands out `&S` only.
unsafe impl<S: Sync, const DENSE: bool> Sync for Slots<S, DENSE> {}

impl<S, const DENSE: bool> Slots<S, DENSE> {
    /// Bytes from one slot to the next.
    const STRIDE: usize = {
        let size = size_of::<S>();
        match size {
            _ if DENSE => size,
            0..=64 => size.next_power_of_two(),
            _ => size.next_multiple_of(64),
        }
    };

    /// `count` slots, each made by `make`.
    ///
    /// # Panics
    /// If that many slots exceed what can be addressed.
    pub(crate) fn new(count: usize, make: impl Fn(usize) -> S) -> Slots<S, DENSE> {
        assert!(count > 0, "a ring has at least one slot");
        let layout = Self::layout(count);
        // SAFETY: a layout of at least one byte, see there.
        let Some(base) = NonNull::new(unsafe { alloc::alloc(layout) }) else {
            alloc::handle_alloc_error(layout)
        };
        let slots = Slots::<S, DENSE> { base, count, _owns: PhantomData };
        for index in 0..count {
            // SAFETY: within the allocation, aligned by the stride, and nobody else has it yet.
            unsafe { slots.pointer(index).write(make(index)) };
        }
        slots
    }

    fn layout(count: usize) -> Layout {
        let size = count.checked_mul(Self::STRIDE).expect("a ring larger than memory");
        let align = align_of::<Padded<()>>().max(align_of::<S>());
        // Nothing, a row of nothings, is not to be had from an allocator.
        Layout::from_size_align(size.max(1), align).expect("a ring larger than memory")
    }

    /// How many slots there are.
    #[inline(always)]
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    #[inline(always)]
    fn pointer(&self, index: usize) -> *mut S {
        // SAFETY: callers pass an index below `count`, so the result is within the allocation.
        unsafe { self.base.as_ptr().add(index * Self::STRIDE).cast() }
    }

    /// The slot at `index`.
    ///
    /// # Safety
    /// `index` is below [`Slots::count`].
    #[inline(always)]
    pub(crate) unsafe fn at(&self, index: usize) -> &S {
        debug_assert!(index < self.count);
        // SAFETY: in range by the caller's word, and made in `new`.
        unsafe { &*self.pointer(index) }
    }
}

impl<S> Slots<S, true> {
    /// Asks for the cache line of the slot that lies [`AHEAD`] behind the one at `index`: to read
    /// it soon, or to write it.
    #[inline(always)]
    pub(crate) fn expect<const WRITE: bool>(&self, index: usize) {
        // May point behind the row: nothing is accessed.
        let _line = self.base.as_ptr().wrapping_add(index * size_of::<S>() + AHEAD);
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        // SAFETY: a prefetch of any address has no effect but on the caches. `prefetchw` is in
        // every x86-64 processor since 2014, and does nothing in those before.
        unsafe {
            if WRITE {
                asm!("prefetchw [{}]", in(reg) _line, options(nostack, readonly, preserves_flags));
            } else {
                asm!("prefetcht0 [{}]", in(reg) _line, options(nostack, readonly, preserves_flags));
            }
        }
        #[cfg(all(target_arch = "aarch64", not(miri)))]
        // SAFETY: as above.
        unsafe {
            if WRITE {
                asm!("prfm pstl1keep, [{}]", in(reg) _line, options(nostack, readonly));
            } else {
                asm!("prfm pldl1keep, [{}]", in(reg) _line, options(nostack, readonly));
            }
        }
    }

    /// Where the first slot lies. The others follow as in a slice.
    #[inline(always)]
    pub(crate) fn base(&self) -> *mut S {
        self.base.as_ptr().cast()
    }
}

impl<S, const DENSE: bool> Drop for Slots<S, DENSE> {
    fn drop(&mut self) {
        if std::mem::needs_drop::<S>() {
            for index in 0..self.count {
                // SAFETY: made in `new`, dropped only here.
                unsafe { self.pointer(index).drop_in_place() };
            }
        }
        // SAFETY: allocated in `new` with the same layout.
        unsafe { alloc::dealloc(self.base.as_ptr(), Self::layout(self.count)) };
    }
}
