//! Where a child stops before an operation, so that it can be taken under ptrace, and behind it.
//!
//! `CHASKI_GATE=name:n` closes the gate before the n-th operation of that name. The child says so
//! on its output, and waits for a byte on its input.

use std::sync::Mutex;

use super::processes::child;

/// Says that the child is at its gate.
pub(crate) const AT_THE_GATE: u8 = b'g';

/// Operations of which name, and how many until the gate.
static GATE: Mutex<Option<(String, u32)>> = Mutex::new(None);

/// Reads which gate is closed, if any.
pub(crate) fn set_up() {
    let told = child::told("CHASKI_GATE");
    let gate = told.as_deref().and_then(|gate| gate.split_once(':'));
    let gate = gate.map(|(name, n)| (name.to_owned(), n.parse().expect("a number")));
    *GATE.lock().expect("nobody panics with it") = gate;
}

/// Whether the gate is one of operations of this name.
pub(crate) fn is(name: &str) -> bool {
    let gate = child::told("CHASKI_GATE");
    gate.is_some_and(|gate| gate.split_once(':').is_some_and(|(which, _)| which == name))
}

/// Does an operation, with a stop before and behind it if it is the one.
pub(crate) fn through<T>(name: &str, operation: impl FnOnce() -> T) -> T {
    let closed = comes_to_gate(name);
    if closed {
        stop();
    }
    let done = operation();
    if closed {
        stop();
    }
    done
}

fn comes_to_gate(name: &str) -> bool {
    let mut gate = GATE.lock().expect("nobody panics with it");
    let Some((which, left)) = &mut *gate else { return false };
    if which != name {
        return false;
    }
    *left -= 1;
    let closed = *left == 0;
    if closed {
        *gate = None;
    }
    closed
}

/// Raw reads and writes: as few instructions as can be belong to the stop.
fn stop() {
    let mut byte = [AT_THE_GATE];
    // SAFETY: one byte of ours, and descriptors that every process has.
    unsafe {
        libc::write(1, byte.as_ptr().cast(), 1);
        libc::read(0, byte.as_mut_ptr().cast(), 1);
    }
}
