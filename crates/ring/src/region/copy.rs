//! How payloads go between private bytes and words that anyone may be writing.
//!
//! Short ones go word by word, relaxed. Long ones go through the C library's `memcpy`, because no
//! compiler widens atomic accesses and 8 bytes at a time cost a 1 KiB round trip 1.7 times as much;
//! but by a call from assembly, not from Rust. A plain copy of bytes that another thread writes
//! would be a data race, undefined whatever the machine does. An assembly block is not: the
//! compiler knows nothing about the bytes it touches, and what `memcpy` does can be said in Rust,
//! as relaxed atomic loads and stores of single bytes, some done twice. So is what may come of it:
//! a mixture of old and new bytes.

#[cfg(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(any(loom, miri))))]
use std::arch::asm;
use std::mem::MaybeUninit;

use super::record::WORD;
use crate::sync::{AtomicU64, Ordering};

/// The shortest copy that a call is worth, in bytes.
const CALL_MIN: usize = 128;

/// The longest copy that is never `rep movsb`.
const PIECE: usize = 2048;

/// Addresses this far apart look alike to a processor that compares their last bits.
const ALIASES: usize = 4096;

/// Bytes of a cache line.
const LINE: usize = 64;

/// Copies `bytes` into `places`, which are just as many as it takes; the last one is filled up.
#[inline]
pub(super) fn copy_in(places: &[AtomicU64], bytes: &[u8]) {
    assert_eq!(places.len(), bytes.len().div_ceil(WORD));
    if bytes.len() >= CALL_MIN && call::AVAILABLE {
        // SAFETY: `bytes` are there to be read, and `places` are as many bytes or more; atomics
        // may be written through a shared reference.
        unsafe { copy_long(places.as_ptr().cast_mut().cast(), bytes.as_ptr(), bytes.len()) };
        return;
    }
    let (words, rest) = bytes.as_chunks::<WORD>();
    for (place, word) in places.iter().zip(words) {
        place.store(u64::from_ne_bytes(*word), Ordering::Relaxed);
    }
    if let Some(last) = places.get(words.len()) {
        let mut word = [0; WORD];
        word[..rest.len()].copy_from_slice(rest);
        last.store(u64::from_ne_bytes(word), Ordering::Relaxed);
    }
}

/// Copies out of `places`, which are just as many as it takes, to all of `into`.
#[inline]
pub(super) fn copy_out(places: &[AtomicU64], into: &mut [MaybeUninit<u8>]) {
    assert_eq!(places.len(), into.len().div_ceil(WORD));
    if into.len() >= CALL_MIN && call::AVAILABLE {
        // SAFETY: `into` is there to be written, and `places` are as many bytes or more.
        unsafe { copy_long(into.as_mut_ptr().cast(), places.as_ptr().cast(), into.len()) };
        return;
    }
    let (words, rest) = into.as_chunks_mut::<WORD>();
    for (place, word) in places.iter().zip(words.iter_mut()) {
        *word = place.load(Ordering::Relaxed).to_ne_bytes().map(MaybeUninit::new);
    }
    if let Some(last) = places.get(words.len()) {
        let word = last.load(Ordering::Relaxed).to_ne_bytes();
        for (byte, from) in rest.iter_mut().zip(word) {
            byte.write(from);
        }
    }
}

/// Copies with `memcpy`, in pieces where one long copy would be taken for an overlapping one.
///
/// For more than 2 KiB, `memcpy` is `rep movsb` on many processors. Zen 3 and 4 compare the last 12
/// bits of the addresses, and if the destination is less than a line ahead of the source they copy
/// byte by byte: 64 KiB took 60 us instead of 2. A buffer that was allocated is often 16 bytes into
/// its page, so this is not rare where the source begins on one. The C library avoids it since
/// glibc 2.39 (its bug 30994).
///
/// # Safety
///
/// As [`call::memcpy`].
#[inline]
unsafe fn copy_long(to: *mut u8, from: *const u8, len: usize) {
    let ahead = to.addr().wrapping_sub(from.addr()) % ALIASES;
    let piece = if (1..LINE).contains(&ahead) { PIECE } else { len };
    for at in (0..len).step_by(piece) {
        let len = piece.min(len - at);
        // SAFETY: a part of what the caller vouches for.
        unsafe { call::memcpy(to.add(at), from.add(at), len) };
    }
}

/// Asks the processor for the line of a word that is to be written soon.
#[inline]
pub(super) fn fetch(word: &AtomicU64) {
    // SAFETY: a hint, which changes nothing but the caches; an x86-64 that does not know it does
    // nothing.
    #[cfg(all(target_arch = "x86_64", not(any(loom, miri))))]
    unsafe {
        asm!("prefetchw [{}]", in(reg) word, options(readonly, nostack, preserves_flags));
    }
    // SAFETY: a hint that every AArch64 knows.
    #[cfg(all(target_arch = "aarch64", not(any(loom, miri))))]
    unsafe {
        asm!("prfm pstl1keep, [{}]", in(reg) word, options(readonly, nostack, preserves_flags));
    }
    let _ = word;
}

/// The C library's `memcpy`, called behind the compiler's back.
#[cfg(all(unix, any(target_arch = "x86_64", target_arch = "aarch64"), not(any(loom, miri))))]
mod call {
    use std::arch::asm;
    use std::ffi::c_void;

    pub(super) const AVAILABLE: bool = true;

    mod libc {
        use super::c_void;

        unsafe extern "C" {
            pub(super) fn memcpy(to: *mut c_void, from: *const c_void, len: usize) -> *mut c_void;
        }
    }

    /// # Safety
    ///
    /// `from` is valid for reads and `to` for writes of `len` bytes, and they do not overlap.
    #[inline]
    pub(super) unsafe fn memcpy(to: *mut u8, from: *const u8, len: usize) {
        // SAFETY: a call as the platform's C convention has it: arguments in their registers,
        // everything a callee may change declared so, the stack aligned as for any block that does
        // not say `nostack`. The caller vouches for the bytes.
        #[cfg(target_arch = "x86_64")]
        unsafe {
            asm!(
                "call {memcpy}",
                memcpy = sym libc::memcpy,
                inout("rdi") to => _,
                inout("rsi") from => _,
                inout("rdx") len => _,
                clobber_abi("C"),
            );
        }
        // SAFETY: as above.
        #[cfg(target_arch = "aarch64")]
        unsafe {
            asm!(
                "bl {memcpy}",
                memcpy = sym libc::memcpy,
                inout("x0") to => _,
                inout("x1") from => _,
                inout("x2") len => _,
                clobber_abi("C"),
            );
        }
    }
}

#[cfg(not(all(unix, any(target_arch = "x86_64", target_arch = "aarch64"), not(any(loom, miri)))))]
mod call {
    pub(super) const AVAILABLE: bool = false;

    pub(super) unsafe fn memcpy(_: *mut u8, _: *const u8, _: usize) {
        unreachable!("copied word by word")
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn copies_in_pieces_where_addresses_look_alike() {
        let len = if cfg!(miri) { 300 } else { 3 * PIECE + 5 };
        let all: Vec<_> = (0..len / WORD + 1).map(|_| AtomicU64::new(0)).collect();
        let bytes: Vec<u8> = (0..len).map(|n| (n / 7) as u8).collect();
        copy_in(&all, &bytes);
        let mut room = vec![MaybeUninit::new(0); len + ALIASES];
        let base = all.as_ptr().addr().wrapping_sub(room.as_ptr().addr()) % ALIASES;
        for ahead in [0, 1, 16, LINE - 1, LINE] {
            let at = (base + ahead) % ALIASES;
            let into = &mut room[at..at + len];
            copy_out(&all, into);
            // SAFETY: initialised as zeros, and by bytes since.
            let out: Vec<u8> = into.iter().map(|byte| unsafe { byte.assume_init() }).collect();
            assert_eq!(out, bytes, "{ahead} bytes ahead");
        }
    }

    #[test]
    fn copies_what_it_is_given_and_nothing_beside() {
        let long = if cfg!(miri) { 300 } else { 5003 };
        for len in (0..40).chain([CALL_MIN - 1, CALL_MIN, CALL_MIN + 1, long]) {
            let bytes: Vec<u8> = (0..len).map(|n| n as u8 | 1).collect();
            let all: Vec<_> = (0..len / WORD + 3).map(|_| AtomicU64::new(u64::MAX)).collect();
            let places = &all[1..=len.div_ceil(WORD)];
            copy_in(places, &bytes);
            let mut out = vec![MaybeUninit::new(0); len + 1];
            copy_out(places, &mut out[..len]);
            // SAFETY: initialised as zeros, and by bytes since.
            let out: Vec<u8> = out.iter().map(|byte| unsafe { byte.assume_init() }).collect();
            assert_eq!((&out[..len], out[len]), (&bytes[..], 0));
            for beside in [&all[0], &all[places.len() + 1]] {
                assert_eq!(beside.load(Ordering::Relaxed), u64::MAX);
            }
        }
    }
}
