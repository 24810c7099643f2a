//! Memory that two processes see, as a value of some type: what the bare contestants are made of.

use std::fmt;
use std::ops::Deref;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::NonNull;

use anyhow::Result;
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::link::Link;

/// A type that can live in shared memory.
///
/// # Safety
///
/// Memory full of zeros is a value of it, and everything in it is an atomic or a cell, so that it
/// may change while it is looked at.
pub unsafe trait Shareable: Sync {}

/// A `T` in memory that has no name.
pub struct Shared<T: Shareable> {
    at: NonNull<T>,
}

impl<T: Shareable> Shared<T> {
    /// A new one, and the descriptor by which another process can see it.
    pub fn create() -> Result<(Shared<T>, OwnedFd)> {
        let memory = memfd_create("bench", MemfdFlags::CLOEXEC)?;
        ftruncate(&memory, size_of::<T>() as u64)?;
        Ok((Shared::map(&memory)?, memory))
    }

    /// A new one, which the other side of the link takes.
    pub fn give(link: &Link) -> Result<Shared<T>> {
        let (shared, memory) = Shared::create()?;
        link.give(&[memory.as_fd()])?;
        Ok(shared)
    }

    /// The one that the other side of the link gives.
    pub fn take(link: &Link) -> Result<Shared<T>> {
        let [memory] = link.take()?;
        Shared::map(&memory)
    }

    /// The one behind a descriptor, of which the bench has made each.
    pub fn map(memory: &OwnedFd) -> Result<Shared<T>> {
        let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        // SAFETY: the kernel chooses an address where nothing else is.
        let at = unsafe {
            mmap(
                std::ptr::null_mut(),
                size_of::<T>(),
                access,
                flags | MapFlags::POPULATE,
                memory,
                0,
            )
        }?;
        Ok(Shared { at: NonNull::new(at.cast()).expect("a mapping has an address") })
    }
}

impl<T: Shareable> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the mapping is as long as a `T`, page-aligned, and lives as long as this; it was
        // all zeros at first, and whatever changes it since does so by a shared reference to the
        // same type, which `Shareable` allows.
        unsafe { self.at.as_ref() }
    }
}

// SAFETY: it is a reference to a `T`, which is `Sync`, and unmapping it is for any thread.
unsafe impl<T: Shareable> Send for Shared<T> {}

impl<T: Shareable> Drop for Shared<T> {
    fn drop(&mut self) {
        // SAFETY: the mapping was made with this length, and nothing refers to it any more.
        let unmapped = unsafe { munmap(self.at.as_ptr().cast(), size_of::<T>()) };
        unmapped.expect("a mapping can be undone");
    }
}

impl<T: Shareable> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("at", &self.at).finish()
    }
}
