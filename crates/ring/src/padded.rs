//! Keeps a value alone on its cache line.

use std::ops::Deref;

/// A value that shares its cache line with nothing else, so that writes to a neighbour do not take
/// the line away from whoever works on this one.
///
/// 128 bytes on x86-64 and aarch64: the former fetches lines in pairs (Intel 64 and IA-32
/// Optimization Reference Manual, "Spatial Prefetcher"), and some of the latter have lines of 128.
/// 64 elsewhere.
#[derive(Debug, Default)]
#[cfg_attr(any(target_arch = "x86_64", target_arch = "aarch64"), repr(align(128)))]
#[cfg_attr(not(any(target_arch = "x86_64", target_arch = "aarch64")), repr(align(64)))]
pub(crate) struct Padded<T>(pub(crate) T);

impl<T> Deref for Padded<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
