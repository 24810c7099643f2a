//! What happens to workers, told as it happens.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::partition::WorkerId;

/// Something that happened to a worker.
///
/// Told to the function given to [`Builder::on_event`](crate::Builder::on_event), on the worker's
/// own thread: it should be short, or pass the event on through a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// It has built its state and takes messages.
    #[non_exhaustive]
    Started {
        /// Which worker.
        worker: WorkerId,
    },
    /// It was to be bound to a CPU, and the system refused: it runs wherever the kernel puts it.
    #[non_exhaustive]
    NotPinned {
        /// Which worker.
        worker: WorkerId,
        /// What the system said.
        reason: String,
    },
    /// Code of the program panicked on its thread; the panic ended there.
    #[non_exhaustive]
    Panicked {
        /// Which worker.
        worker: WorkerId,
        /// What was running.
        during: During,
        /// The text the panic was raised with, if it had one.
        message: String,
        /// Messages the worker had handled until then.
        handled: u64,
        /// Whether its state is built anew. If not, and it was a handler or a tick, the worker is
        /// dead.
        restarting: bool,
    },
    /// It has a new state and goes on with its queue.
    #[non_exhaustive]
    Restarted {
        /// Which worker.
        worker: WorkerId,
        /// How often by now.
        restarts: u64,
    },
    /// Its state could not be built anew, and said why.
    #[non_exhaustive]
    NotRestarted {
        /// Which worker.
        worker: WorkerId,
        /// The error of `build`.
        reason: String,
    },
    /// It is dead: its queue is closed, and its place stays empty.
    #[non_exhaustive]
    Died {
        /// Which worker.
        worker: WorkerId,
        /// Messages it had taken or queued, and did not handle.
        left: u64,
    },
    /// It has stopped as it was told to.
    #[non_exhaustive]
    Stopped {
        /// Which worker.
        worker: WorkerId,
        /// Messages it had taken or queued, and did not handle.
        left: u64,
    },
}

/// Which of a worker's functions panicked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum During {
    /// `build`, when the state was to be built anew.
    Build,
    /// `handle` or `handle_batch`.
    Handle,
    /// `tick`.
    Tick,
    /// `stop`, or the state's own `drop`.
    Stop,
    /// `undelivered`, or the `drop` of a message that nobody handled.
    Undelivered,
}

/// Whom to tell.
#[derive(Clone, Default)]
pub(crate) struct Listener(Option<Arc<dyn Fn(Event) + Send + Sync>>);

impl Listener {
    pub(crate) fn new(listener: impl Fn(Event) + Send + Sync + 'static) -> Listener {
        Listener(Some(Arc::new(listener)))
    }

    /// A listener that panics is not told of its own panic, and the worker goes on.
    pub(crate) fn tell(&self, event: Event) {
        if let Some(listener) = &self.0 {
            let told = catch_unwind(AssertUnwindSafe(|| listener(event)));
            if let Err(payload) = told {
                let _ = panic_text(payload);
            }
        }
    }
}

/// The text of a panic. The payload is dropped, and if that panics too, forgotten.
pub(crate) fn panic_text(payload: Box<dyn std::any::Any + Send>) -> String {
    let text = match payload.downcast_ref::<&'static str>() {
        Some(text) => (*text).to_owned(),
        None => match payload.downcast_ref::<String>() {
            Some(text) => text.clone(),
            None => "a panic without a text".to_owned(),
        },
    };
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(again);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(panicking: impl FnOnce()) -> String {
        panic_text(catch_unwind(AssertUnwindSafe(panicking)).unwrap_err())
    }

    #[test]
    fn texts_of_all_kinds() {
        assert_eq!(text_of(|| panic!("plain")), "plain");
        assert_eq!(text_of(|| panic!("number {}", 7)), "number 7");
        assert_eq!(text_of(|| std::panic::panic_any(7)), "a panic without a text");
    }

    #[test]
    fn a_payload_whose_drop_panics_goes_no_further() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("in drop");
            }
        }
        assert_eq!(text_of(|| std::panic::panic_any(Bomb)), "a panic without a text");
    }

    #[test]
    fn a_listener_may_panic() {
        Listener::new(|_| panic!("listener")).tell(Event::Started { worker: WorkerId::new(0) });
    }
}
