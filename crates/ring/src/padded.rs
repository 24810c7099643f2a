//! Keeps a value alone on its cache line.

use std::ops::{Deref, DerefMut};

/// A value that shares its cache line with nothing else, so that writes to a neighbour do not take
/// the line away from whoever works on this one.
///
/// | architecture | bytes | why |
/// |---|---|---|
/// | x86-64 | 128 | lines are 64, but fetched in pairs (Intel's "Spatial Prefetcher") |
/// | aarch64 | 128 | some cores have lines of 128 |
/// | riscv64 and others | 64 | the usual line |
#[derive(Debug, Default)]
#[cfg_attr(any(target_arch = "x86_64", target_arch = "aarch64"), repr(align(128)))]
#[cfg_attr(not(any(target_arch = "x86_64", target_arch = "aarch64")), repr(align(64)))]
pub struct Padded<T>(pub T);

impl<T> Deref for Padded<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Padded<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}
