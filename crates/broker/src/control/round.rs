//! Work beside the control thread, one round of it at a time.

use std::io;
use std::thread::{Builder, JoinHandle};

/// The round under way, if one is.
#[derive(Debug, Default)]
pub(super) struct Round(Option<JoinHandle<()>>);

impl Round {
    /// Begins a round on a thread of its own. Returns false, and does nothing, while another is
    /// under way.
    pub(super) fn begin(
        &mut self,
        name: &str,
        work: impl FnOnce() + Send + 'static,
    ) -> io::Result<bool> {
        if self.0.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return Ok(false);
        }
        self.0 = Some(Builder::new().name(name.to_owned()).spawn(work)?);
        Ok(true)
    }

    /// Waits for the end of the round under way.
    pub(super) fn join(&mut self) {
        if let Some(thread) = self.0.take() {
            // A thread that panicked has said so already.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_round_that_takes_long_is_not_joined_by_another() {
        let (end, ended) = mpsc::channel::<()>();
        let mut round = Round::default();
        let slow = move || assert!(ended.recv().is_err(), "the end comes by hanging up");
        assert!(round.begin("slow", slow).expect("a thread"));
        assert!(!round.begin("next", || panic!("must not run")).expect("no thread"));
        drop(end);
        round.join();
        assert!(round.begin("next", || {}).expect("a thread"));
        round.join();
    }
}
