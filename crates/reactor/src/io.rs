//! What a service may do.

use std::time::{Duration, Instant};

use crate::state::State;
use crate::{ConnId, Output};

/// What a service may do from within a call.
#[derive(Debug)]
pub struct Io<'a> {
    state: &'a mut State,
}

impl<'a> Io<'a> {
    pub(crate) fn new(state: &'a mut State) -> Self {
        Io { state }
    }
}

impl Io<'_> {
    /// Queues output; it is written at the end of the turn, all of a connection's in one go.
    /// Silently dropped if the connection is gone or was told to close.
    pub fn send(&mut self, id: ConnId, output: Output) {
        self.state.send(id, output);
    }

    /// Closes once everything queued is written; `closed` follows, and no `received` before it.
    pub fn close(&mut self, id: ConnId) {
        self.state.close(id);
    }

    /// Stops or resumes calls to `received` (and reading, so that TCP pushes back). Input that was
    /// left unconsumed is offered again on resumption, without waiting for more.
    pub fn pause(&mut self, id: ConnId, paused: bool) {
        self.state.pause(id, paused);
    }

    /// Calls [`crate::Service::timer`] with `key` at `at` or soon after. Several timers may share a
    /// key. The clock has a resolution of a millisecond.
    pub fn timer(&mut self, at: Instant, key: u64) {
        self.state.timers.set(at, key);
    }

    /// The time this turn began: good for timers, free to ask.
    pub fn now(&self) -> Instant {
        self.state.now
    }

    /// Leaves the loop after this turn, once queued output is written or `grace` is over. The
    /// service is called no more but to end this turn: not even for connections still open, which
    /// are closed.
    pub fn stop(&mut self, grace: Duration) {
        let by = self.state.now + grace;
        self.state.stop_by = Some(self.state.stop_by.map_or(by, |already| already.min(by)));
    }

    /// Connections open.
    pub fn connections(&self) -> usize {
        self.state.open
    }

    /// Whether so much is unsent that the connection is not read. Input left unconsumed is offered
    /// again once enough has gone.
    pub fn is_choked(&mut self, id: ConnId) -> bool {
        self.state.conn(id).is_some_and(|conn| conn.choked)
    }

    /// Bytes of memory queued for a connection and not sent; 0 if it is gone. File ranges do not
    /// count.
    pub fn unsent(&mut self, id: ConnId) -> usize {
        self.state.conn(id).map_or(0, |conn| conn.output.memory())
    }
}
