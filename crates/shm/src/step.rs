//! Places at which a test may kill the process.
//!
//! Each operation that changes what another process sees names its steps. In an ordinary build a
//! step is nothing. With the feature `kill-points`, a process started with
//! `CHASKI_KILL_AT=name:n` sends itself SIGKILL when it comes to the step of that name for the
//! n-th time, so that a harness can let it die at each of them in turn.

/// Passes a step. The name is unique in the crate, `operation.what_has_just_been_done`.
#[cfg(not(feature = "kill-points"))]
#[inline(always)]
pub(crate) fn step(_name: &'static str) {}

/// Passes a step, perhaps not.
#[cfg(feature = "kill-points")]
pub(crate) fn step(name: &'static str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static FATAL: OnceLock<Option<(String, AtomicU64)>> = OnceLock::new();
    let fatal = FATAL.get_or_init(|| {
        let word = std::env::var("CHASKI_KILL_AT").ok()?;
        let (name, times) = word.rsplit_once(':')?;
        Some((name.to_owned(), AtomicU64::new(times.parse().ok()?)))
    });
    let Some((fatal, left)) = fatal else { return };
    if fatal == name && left.fetch_sub(1, Ordering::Relaxed) == 1 {
        let this = rustix::process::getpid();
        // There is nothing to do about a failure, and nothing after a success.
        let _ = rustix::process::kill_process(this, rustix::process::Signal::KILL);
    }
}
