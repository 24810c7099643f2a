//! What the loop and the service both act on: connections, the lists of those with work, timers.
//!
//! Invariants:
//! - a connection with input to offer is on `ready` or waits for an event, never neither;
//! - a connection with output is on `dirty`, or waits for its socket to be writable;
//! - a connection whose end is known is on `ended`, and `closed` was not called for it yet;
//! - no connection leaves the table while its service is being called.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use slab::Slab;

use crate::conn::{Conn, ConnId, Phase};
use crate::input::Pool;
use crate::limits::{JOIN_ROOM, SEND_BYTES, SWEEPS, TURN_SEND_BYTES};
use crate::output::Wrote;
use crate::stats::Tally;
use crate::timers::Timers;
use crate::{Closed, Limits, Output};

/// All of a reactor but its poll, its mailbox and its listeners.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) limits: Limits,
    /// When this turn began.
    pub(crate) now: Instant,
    pub(crate) conns: Slab<Conn>,
    /// Connections that may have input.
    pub(crate) ready: VecDeque<ConnId>,
    /// Connections to be written to, or to be closed when nothing is left to write.
    pub(crate) dirty: VecDeque<ConnId>,
    /// Connections at their end.
    pub(crate) ended: VecDeque<(ConnId, Closed)>,
    pub(crate) timers: Timers,
    pub(crate) pool: Pool,
    /// When to look for idle and lingering connections.
    pub(crate) sweep_at: Option<Instant>,
    /// When to leave, whatever is unsent.
    pub(crate) stop_by: Option<Instant>,
    /// Connections the service knows of.
    pub(crate) open: usize,
    pub(crate) tally: Tally,
    generation: u64,
    registry: Registry,
    scratch: Vec<u8>,
}

impl State {
    pub(crate) fn new(mut limits: Limits, registry: Registry) -> Self {
        limits.turn_bytes = limits.turn_bytes.max(1);
        limits.connections_max = limits.connections_max.min(ConnId::OPEN_MAX);
        let now = Instant::now();
        State {
            now,
            conns: Slab::new(),
            ready: VecDeque::new(),
            dirty: VecDeque::new(),
            ended: VecDeque::new(),
            timers: Timers::default(),
            pool: Pool::new(limits.turn_bytes),
            sweep_at: limits.idle_max.map(|idle| now + idle / SWEEPS),
            stop_by: None,
            open: 0,
            tally: Tally::default(),
            generation: 0,
            registry,
            scratch: vec![0; JOIN_ROOM],
            limits,
        }
    }

    pub(crate) fn conn(&mut self, id: ConnId) -> Option<&mut Conn> {
        self.conns.get_mut(id.index()).filter(|conn| conn.id == id)
    }

    /// Takes a connection into the table.
    pub(crate) fn insert(&mut self, mut stream: TcpStream) -> io::Result<ConnId> {
        stream.set_nodelay(true)?;
        let entry = self.conns.vacant_entry();
        let both = Interest::READABLE | Interest::WRITABLE;
        self.registry.register(&mut stream, Token(entry.key()), both)?;
        self.generation += 1;
        let id = ConnId::new(entry.key(), self.generation);
        entry.insert(Conn::new(id, stream, self.now));
        Ok(id)
    }

    /// Whether there is something to do that no event will tell of.
    pub(crate) fn has_work(&self) -> bool {
        !self.ready.is_empty() || !self.dirty.is_empty() || !self.ended.is_empty()
    }

    /// Puts a connection on the list of those to be served, if there is anything for its service.
    pub(crate) fn mark_ready(&mut self, id: ConnId) {
        if let Some(conn) = self.conn(id)
            && conn.has_input()
            && !std::mem::replace(&mut conn.is_ready, true)
        {
            self.ready.push_back(id);
        }
    }

    /// Puts a connection on the list of those to be written to.
    pub(crate) fn mark_dirty(&mut self, id: ConnId) {
        if let Some(conn) = self.conn(id)
            && !std::mem::replace(&mut conn.is_dirty, true)
        {
            self.dirty.push_back(id);
        }
    }

    pub(crate) fn send(&mut self, id: ConnId, output: Output) {
        let choke = self.limits.unsent_bytes_max;
        let Some(conn) = self.conn(id) else { return };
        if !matches!(conn.phase, Phase::Open | Phase::Ended) {
            return;
        }
        let memory = output.memory();
        conn.output.push(output);
        conn.choked |= conn.output.exceeds(choke);
        self.tally.unsent_bytes += memory;
        self.mark_dirty(id);
    }

    pub(crate) fn close(&mut self, id: ConnId) {
        let now = self.now;
        let Some(conn) = self.conn(id) else { return };
        if conn.phase == Phase::Open {
            conn.phase = Phase::Closing;
            conn.active = now;
            self.mark_dirty(id);
            self.sweep_within(self.limits.linger_max);
        }
    }

    pub(crate) fn pause(&mut self, id: ConnId, paused: bool) {
        let Some(conn) = self.conn(id) else { return };
        // Whether there is input to offer is asked later: now it may be out with the service.
        conn.offer |= conn.paused && !paused;
        conn.paused = paused;
        self.mark_ready(id);
    }

    /// A connection has come to its end: its service will be told, once.
    pub(crate) fn end(&mut self, id: ConnId, why: Closed) {
        let Some(conn) = self.conn(id) else { return };
        if matches!(conn.phase, Phase::Open | Phase::Closing) {
            conn.phase = Phase::Ended;
            self.ended.push_back((id, why));
        }
    }

    /// A connection's socket failed.
    fn fail(&mut self, id: ConnId, error: io::Error) {
        match self.conn(id).map(|conn| conn.phase) {
            Some(Phase::Lingering) => self.remove(id),
            _ => self.end(id, Closed::Io(error)),
        }
    }

    /// The next connection that has come to its end. It takes no more output; what was queued is
    /// still sent if there is sense in it.
    pub(crate) fn next_ended(&mut self) -> Option<(ConnId, Closed)> {
        let (id, why) = self.ended.pop_front()?;
        match why {
            Closed::Idle | Closed::Io(_) => self.remove(id),
            Closed::Peer if self.conn(id).is_some_and(|conn| conn.output.is_empty()) => {
                self.remove(id);
            }
            _ => self.linger(id),
        }
        Some((id, why))
    }

    /// The service is done with a connection: sends what is queued, then forgets it.
    pub(crate) fn linger(&mut self, id: ConnId) {
        let now = self.now;
        let Some(conn) = self.conn(id) else { return };
        conn.phase = Phase::Lingering;
        conn.active = now;
        self.mark_dirty(id);
        self.sweep_within(self.limits.linger_max);
    }

    /// Drops a connection with all it holds. The service is not called.
    pub(crate) fn remove(&mut self, id: ConnId) {
        if self.conn(id).is_none() {
            return;
        }
        let mut conn = self.conns.remove(id.index());
        self.tally.unsent_bytes -= conn.output.memory();
        conn.input.clear(&mut self.pool);
        if let Err(error) = self.registry.deregister(&mut conn.stream) {
            tracing::debug!(%error, "cannot deregister a connection");
        }
    }

    /// Writes what is queued, within what one turn may send.
    pub(crate) fn flush(&mut self) {
        let mut budget = TURN_SEND_BYTES;
        for _ in 0..self.dirty.len() {
            if budget == 0 {
                break;
            }
            let Some(id) = self.dirty.pop_front() else { break };
            budget = budget.saturating_sub(self.write(id));
        }
    }

    /// Writes to one connection; tells how much.
    fn write(&mut self, id: ConnId) -> usize {
        let Some(conn) = self.conns.get_mut(id.index()).filter(|conn| conn.id == id) else {
            return 0;
        };
        conn.is_dirty = false;
        if conn.phase == Phase::Ended || (!conn.writable && !conn.output.is_empty()) {
            return 0;
        }
        let before = conn.output.memory();
        let wrote = conn.output.write(&conn.stream, &mut self.scratch, SEND_BYTES);
        self.tally.unsent_bytes -= before - conn.output.memory();
        match wrote {
            Ok((bytes, end)) => {
                if bytes > 0 {
                    conn.active = self.now;
                    self.tally.bytes_out += bytes as u64;
                }
                conn.writable = end != Wrote::Blocked;
                self.wrote(id, end);
                bytes
            }
            Err(error) => {
                self.fail(id, error);
                0
            }
        }
    }

    /// What follows from a write.
    fn wrote(&mut self, id: ConnId, end: Wrote) {
        let choke = self.limits.unsent_bytes_max;
        let Some(conn) = self.conn(id) else { return };
        if conn.choked && conn.output.is_relieved(choke) {
            conn.choked = false;
            // A service that saw how much is unsent may have left whole requests in the input.
            conn.offer = true;
            self.mark_ready(id);
        }
        match end {
            Wrote::Blocked => {}
            Wrote::Budget => self.mark_dirty(id),
            Wrote::All => self.drained(id),
        }
    }

    /// Nothing is left to send: who was only kept for that goes.
    fn drained(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id.index()) else { return };
        match conn.phase {
            Phase::Open | Phase::Ended => {}
            Phase::Closing => self.end(id, Closed::Service),
            Phase::Lingering => {
                conn.part(&mut self.scratch);
                self.remove(id);
            }
        }
    }

    /// Has a sweep come soon enough for a limit that began to run just now.
    fn sweep_within(&mut self, limit: Duration) {
        let at = self.now + limit / SWEEPS;
        self.sweep_at = Some(self.sweep_at.map_or(at, |already| already.min(at)));
    }

    /// Ends connections on which nothing has moved for too long. One pass over all of them a few
    /// times per limit costs less than a timer for each, moved with each byte.
    pub(crate) fn sweep(&mut self) {
        let mut next: Option<Duration> = self.limits.idle_max;
        let mut late = Vec::new();
        for (_, conn) in &self.conns {
            let limit = match conn.phase {
                Phase::Open | Phase::Ended => self.limits.idle_max,
                Phase::Closing | Phase::Lingering => Some(self.limits.linger_max),
            };
            if limit.is_some_and(|limit| self.now.duration_since(conn.active) >= limit) {
                late.push((conn.id, conn.phase));
            }
            next = [next, limit].into_iter().flatten().min();
        }
        for (id, phase) in late {
            match phase {
                Phase::Lingering => self.remove(id),
                _ => self.end(id, Closed::Idle),
            }
        }
        self.sweep_at = next.map(|limit| self.now + limit / SWEEPS);
    }

    /// Says farewell to all connections: the loop is left.
    pub(crate) fn part_from_all(&mut self) {
        for conn in self.conns.iter_mut().map(|(_, conn)| conn) {
            conn.part(&mut self.scratch);
        }
    }
}
