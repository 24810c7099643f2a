//! What is known of requests and was not told yet.
//!
//! It comes up when a client looks for one thing and finds another: responses while it waits for
//! room or for one certain response, and all that a server leaves behind when it dies.

use std::collections::VecDeque;

use super::RequestId;
use crate::error::Error;

/// Payload bytes kept before the client wants to be asked for them.
const BYTES_MAX: usize = 16 * 1024 * 1024;
/// What an entry counts beside its payload.
const ENTRY: usize = 64;

/// What became of a request, or of a part of its response.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) id: RequestId,
    pub(super) outcome: Outcome,
}

#[derive(Debug)]
pub(super) enum Outcome {
    /// A payload, and more to come.
    Part,
    /// A payload, and that was all.
    Last,
    Failed(Error),
}

/// In the order in which it became known.
#[derive(Debug, Default)]
pub(super) struct Untold {
    entries: VecDeque<(Told, Vec<u8>)>,
    bytes: usize,
}

impl Untold {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether there is so much that no more should be taken from the server.
    pub(super) fn is_full(&self) -> bool {
        self.bytes >= BYTES_MAX
    }

    /// Requests of which the last is among them.
    pub(super) fn requests(&self) -> usize {
        let last = |entry: &&(Told, Vec<u8>)| !matches!(entry.0.outcome, Outcome::Part);
        self.entries.iter().filter(last).count()
    }

    pub(super) fn push(&mut self, told: Told, payload: Vec<u8>) {
        self.bytes += payload.len() + ENTRY;
        self.entries.push_back((told, payload));
    }

    /// The oldest.
    pub(super) fn pop(&mut self) -> Option<(Told, Vec<u8>)> {
        let (told, payload) = self.entries.pop_front()?;
        self.bytes -= payload.len() + ENTRY;
        Some((told, payload))
    }

    /// The oldest that is about this request.
    pub(super) fn pop_about(&mut self, id: RequestId) -> Option<(Outcome, Vec<u8>)> {
        let at = self.entries.iter().position(|(told, _)| told.id == id)?;
        let (told, payload) = self.entries.remove(at)?;
        self.bytes -= payload.len() + ENTRY;
        Some((told.outcome, payload))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_about_one_request_can_be_had_before_the_rest() {
        let mut untold = Untold::default();
        for (n, id) in [(1, 7), (2, 8), (3, 7)] {
            untold.push(Told { id: RequestId(id), outcome: Outcome::Part }, vec![n]);
        }
        assert_eq!(untold.pop_about(RequestId(8)).map(|(_, payload)| payload), Some(vec![2]));
        assert!(untold.pop_about(RequestId(8)).is_none());
        let rest: Vec<_> = std::iter::from_fn(|| untold.pop()).map(|(_, p)| p[0]).collect();
        assert_eq!((rest, untold.bytes), (vec![1, 3], 0));
    }
}
