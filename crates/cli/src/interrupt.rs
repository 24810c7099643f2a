//! Ctrl-C as a question that can be asked.
//!
//! The first Ctrl-C (or SIGTERM) raises a flag, and what is under way comes to a clean end; the
//! second ends the process at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::failure::Failure;

/// Exit code of a process that the second Ctrl-C ends: 128 and the signal, as shells have it.
const EXIT_INTERRUPTED: i32 = 130;

/// Whether the user wants it to end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Takes over both signals.
    pub(crate) fn install() -> Result<Interrupt, Failure> {
        let interrupt = Interrupt::default();
        for signal in [SIGINT, SIGTERM] {
            // The order matters: the flag that is up already when the second signal comes.
            flag::register_conditional_shutdown(signal, EXIT_INTERRUPTED, interrupt.0.clone())
                .and_then(|_| flag::register(signal, interrupt.0.clone()))
                .map_err(|e| Failure::because("cannot wait for signals", &e))?;
        }
        Ok(interrupt)
    }

    pub(crate) fn came(&self) -> bool {
        // ORDERING: a lone flag; nothing else is published with it.
        self.0.load(Ordering::Relaxed)
    }
}
