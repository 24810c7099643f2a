//! How a process learns, for next to nothing, that it is a fork.
//!
//! A fork copies memory and the calling thread, and no other thread of the process: what relies on
//! them must be refused in the child. Asking the kernel for the process's number each time costs a
//! system call; here the C library tells the child once, and everybody else reads a counter.

use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

static FORKS: AtomicU64 = AtomicU64::new(0);
static TOLD: Once = Once::new();

/// How many forks this process is away from the first of its ancestors that asked. Who remembers
/// the answer and gets another one later is in a child of the process that asked before.
///
/// A child made by the bare `clone` system call, past the C library, is not noticed.
///
/// ```
/// use chaski_ring::fork;
///
/// let here = fork::generation();
/// assert_eq!(fork::generation(), here);
/// ```
#[inline]
pub fn generation() -> u64 {
    if !TOLD.is_completed() {
        be_told();
    }
    // ORDERING: a child has one thread when the counter changes, and that thread changes it.
    FORKS.load(Ordering::Relaxed)
}

#[cold]
fn be_told() {
    TOLD.call_once(|| {
        // SAFETY: the handler has the signature that is asked for, lives as long as the program
        // (nothing unloads it), and does nothing in the child but an atomic addition, which is
        // safe in a process that was forked from one with many threads.
        //
        // It fails only for want of memory; then forks go unnoticed.
        unsafe { libc::pthread_atfork(None, None, Some(count)) };
    });
}

extern "C" fn count() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}
