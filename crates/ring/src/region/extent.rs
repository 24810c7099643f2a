//! One run of bytes with an owner: what a board, a sleeper's page and the parts of a broadcast lie
//! in.

use std::ptr::NonNull;
use std::sync::Arc;

use super::error::AttachError;
use super::layout::{ALIGN, MAGIC, VERSION, VERSION_AT};
use super::memory::{Area, PAGE, Page, Words};
use super::record::WORD;

/// Owns a run of bytes, or keeps alive what owns it.
///
/// # Safety
///
/// From when it is handed to anything in this module until it is dropped:
///
/// - `area` returns the same area each time, and moving the value does not move it;
/// - the area is valid for reads, and for writes where the call that takes it says that it writes.
///   (A mapping of a file that someone can truncate is not valid: it must be sealed against that.)
/// - this process touches the bytes in no way but through this module, or by atomic accesses.
///
/// What *other processes* do to the bytes does not matter for soundness.
pub unsafe trait Extent {
    /// Where it is.
    fn area(&self) -> Area;
}

// SAFETY: the value in the `Arc` does not move, lives as long as any of its clones, and keeps the
// promise itself.
unsafe impl<T: Extent + ?Sized> Extent for Arc<T> {
    fn area(&self) -> Area {
        (**self).area()
    }
}

/// Memory of this process, zeros at first: for tests and for threads. Clones share the memory.
#[derive(Debug, Clone)]
pub struct HeapExtent(Arc<[Page]>);

impl HeapExtent {
    /// At least `len` bytes.
    pub fn new(len: usize) -> Self {
        HeapExtent((0..len.div_ceil(PAGE * WORD)).map(|_| Page::zeroed()).collect())
    }
}

// SAFETY: the pages neither move nor go before the last clone of the `Arc`, and nobody else has
// their address. They hold atomics, which are written through shared references.
unsafe impl Extent for HeapExtent {
    fn area(&self) -> Area {
        Area { base: NonNull::from(&*self.0).cast(), len: self.0.len() * PAGE * WORD }
    }
}

/// An area as words, once it is known to be aligned and large enough.
pub(super) fn words(area: Area, required: usize) -> Result<Words, AttachError> {
    if !area.base.as_ptr().addr().is_multiple_of(ALIGN) {
        return Err(AttachError::Misaligned { align: ALIGN });
    }
    if area.len < required {
        return Err(AttachError::TooSmall { required, found: area.len });
    }
    // SAFETY: aligned and long enough, as just checked; that the bytes stay valid while their owner
    // lives is what `Memory` and `Extent` promise, and whoever gets the words holds the owner
    // beside them.
    Ok(unsafe { Words::new(area.base, required / WORD) })
}

/// Says what an area is, once all else in its header has been written.
pub(super) fn name(words: &Words, magic: [u8; 8]) {
    words.store(VERSION_AT, VERSION);
    // ORDERING: release, pairs with the fence of `check_name`: who sees the magic sees the rest.
    words.publish(MAGIC, u64::from_ne_bytes(magic));
}

/// Whether an area is what it is taken for.
pub(super) fn check_name(words: &Words, magic: [u8; 8]) -> Result<(), AttachError> {
    if words.load(MAGIC) != u64::from_ne_bytes(magic) {
        return Err(AttachError::BadMagic);
    }
    // ORDERING: pairs with the release of the magic in `name`.
    words.acquired();
    match words.load(VERSION_AT) {
        VERSION => Ok(()),
        found => Err(AttachError::BadVersion { found }),
    }
}
