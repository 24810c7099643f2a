//! The loop.
//!
//! ```text
//!   wait -> [ timers, messages, accepts, reads, ends, turn_ended ] -> writes -> sweep -> wait ...
//!            `------------- the service is called here ---------'
//! ```
//!
//! A request that arrives alone costs `epoll_wait`, a read and a write. All sockets are registered
//! once, edge-triggered, for both directions; what an edge told is remembered in the connection
//! until a read or a write came back short. Each phase has its bound, what is beyond it stays on
//! its list, and the next wait does not sleep.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::{Events, Interest, Poll, Token, Waker};

use crate::accept::Listener;
use crate::conn::Filled;
use crate::handle::{Envelope, Handle};
use crate::limits::{TURN_CONNECTIONS, TURN_SHARES};
use crate::state::State;
use crate::stats::Stats;
use crate::{Closed, ConnId, Io, Limits, Service};

/// The waker's token. Connections have their index, which is below `ConnId::OPEN_MAX`.
const WAKER: usize = usize::MAX;

/// Listener `n` has this minus `n`.
const LISTENERS: usize = WAKER - 1;

/// Messages for which a busy moment's mail leaves room behind.
const MAIL_CAPACITY: usize = 4096;

/// An event loop. Made on any thread, run on one.
pub struct Reactor<M> {
    poll: Poll,
    events: Events,
    state: State,
    handle: Handle<M>,
    listeners: Vec<Listener<M>>,
    stats: Arc<Stats>,
    /// When `run` began, and how much of the time since was sleep.
    started: Instant,
    slept: Duration,
    mail: Vec<Envelope<M>>,
    due: Vec<u64>,
    accepted: Vec<(mio::net::TcpStream, SocketAddr)>,
}

impl<M> fmt::Debug for Reactor<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reactor").field("state", &self.state).finish_non_exhaustive()
    }
}

impl<M: Send + 'static> Reactor<M> {
    /// A reactor with no listener yet. Fails if the system has no descriptors to give.
    pub fn new(limits: Limits) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), Token(WAKER))?;
        let state = State::new(limits, poll.registry().try_clone()?);
        Ok(Reactor {
            poll,
            events: Events::with_capacity(TURN_CONNECTIONS),
            started: state.now,
            state,
            handle: Handle::new(waker),
            listeners: Vec::new(),
            stats: Arc::default(),
            slept: Duration::ZERO,
            mail: Vec::new(),
            due: Vec::new(),
            accepted: Vec::new(),
        })
    }

    /// How others reach it.
    pub fn handle(&self) -> Handle<M> {
        self.handle.clone()
    }

    /// Its counts.
    pub fn stats(&self) -> Arc<Stats> {
        Arc::clone(&self.stats)
    }

    /// Accepts from `listener`. New connections go round-robin to `to` (this reactor may be among
    /// them), or to this reactor if `to` is empty.
    pub fn listen(&mut self, listener: TcpListener, to: Vec<Handle<M>>) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        let mut socket = mio::net::TcpListener::from_std(listener);
        let token = Token(LISTENERS - self.listeners.len());
        self.poll.registry().register(&mut socket, token, Interest::READABLE)?;
        self.listeners.push(Listener::new(socket, to));
        Ok(())
    }

    /// Runs until [`Io::stop`]. Returns the service. Fails only if the system's poll does.
    pub fn run<S: Service<Message = M>>(mut self, mut service: S) -> io::Result<S> {
        self.started = Instant::now();
        while self.state.stop_by.is_none() {
            self.wait()?;
            self.turn(&mut service);
        }
        self.send_the_rest()?;
        Ok(service)
    }

    // Waiting.

    /// Waits for events, until there is something to do.
    fn wait(&mut self) -> io::Result<()> {
        let mut before = Instant::now();
        let mut wake_at = self.wake_at(before);
        let is_due = |at: Option<Instant>, now| at.is_some_and(|at| at <= now);
        if is_due(wake_at, before) || self.handle.has_mail() {
            poll(&mut self.poll, &mut self.events, Some(Duration::ZERO))?;
            self.state.now = before;
            return Ok(());
        }
        let spin_until = before + self.state.limits.spin;
        while before < spin_until {
            poll(&mut self.poll, &mut self.events, Some(Duration::ZERO))?;
            before = Instant::now();
            if !self.events.is_empty() || self.handle.has_mail() || is_due(wake_at, before) {
                self.state.now = before;
                return Ok(());
            }
        }
        let (events, poller) = (&mut self.events, &mut self.poll);
        self.handle.asleep(|has_mail| {
            if has_mail {
                wake_at = Some(before);
            }
            poll(poller, events, wake_at.map(|at| at.saturating_duration_since(before)))
        })?;
        self.state.now = Instant::now();
        self.slept += self.state.now - before;
        Ok(())
    }

    /// When to wake if nothing happens; `now` or before if there is something to do already.
    fn wake_at(&self, now: Instant) -> Option<Instant> {
        if self.state.has_work() {
            return Some(now);
        }
        let listeners = self.listeners.iter().filter_map(|listener| listener.wake_at(now));
        [self.state.timers.next(), self.state.sweep_at].into_iter().flatten().chain(listeners).min()
    }

    // One turn.

    fn turn<S: Service<Message = M>>(&mut self, service: &mut S) {
        self.note_events();
        self.fire_timers(service);
        self.take_mail(service);
        self.accept(service);
        self.serve_ready(service);
        reap(&mut self.state, service);
        service.turn_ended(&mut Io::new(&mut self.state));
        self.state.flush();
        if self.state.sweep_at.is_some_and(|at| at <= self.state.now) {
            self.state.sweep();
        }
        self.publish();
    }

    /// Remembers what the system reported.
    fn note_events(&mut self) {
        for event in &self.events {
            match event.token().0 {
                // Mail is looked for in every turn.
                WAKER => {}
                token if token > LISTENERS - self.listeners.len() => {
                    self.listeners[LISTENERS - token].is_ready = true;
                }
                // An event of a connection that is gone may reach its successor at the same index:
                // what an event says is tried, never trusted.
                index => note_event(&mut self.state, index, event),
            }
        }
    }

    fn fire_timers<S: Service<Message = M>>(&mut self, service: &mut S) {
        self.state.timers.take_due(self.state.now, &mut self.due);
        for key in self.due.drain(..) {
            service.timer(&mut Io::new(&mut self.state), key);
        }
    }

    fn take_mail<S: Service<Message = M>>(&mut self, service: &mut S) {
        self.handle.drain(&mut self.mail);
        for envelope in self.mail.drain(..) {
            match envelope {
                Envelope::Message(message) => {
                    service.message(&mut Io::new(&mut self.state), message);
                }
                Envelope::Adopt(stream, peer) => adopt(&mut self.state, service, stream, peer),
            }
        }
        self.mail.shrink_to(MAIL_CAPACITY);
    }

    fn accept<S: Service<Message = M>>(&mut self, service: &mut S) {
        for listener in &mut self.listeners {
            listener.accept(self.state.now, &self.handle, &mut self.accepted);
        }
        for (stream, peer) in self.accepted.drain(..) {
            open(&mut self.state, service, stream, peer);
        }
    }

    /// Gives each connection that was ready when this phase began its turn, within what all of them
    /// may read.
    fn serve_ready<S: Service<Message = M>>(&mut self, service: &mut S) {
        let enough = self.state.tally.bytes_in
            + self.state.limits.turn_bytes.saturating_mul(TURN_SHARES) as u64;
        for _ in 0..self.state.ready.len().min(TURN_CONNECTIONS) {
            if self.state.tally.bytes_in >= enough {
                break;
            }
            if let Some(id) = self.state.ready.pop_front() {
                serve(&mut self.state, service, id);
            }
        }
    }

    fn publish(&mut self) {
        let state = &mut self.state;
        state.tally.turns += 1;
        // Until the turn began: the end of this one is counted with the next.
        state.tally.busy_ns =
            (state.now - self.started).saturating_sub(self.slept).as_nanos() as u64;
        state.tally.publish(&self.stats, state.open, state.pool.lent_bytes());
    }

    // The end.

    /// Writes what is queued until nothing is left or the grace is over.
    fn send_the_rest(&mut self) -> io::Result<()> {
        let Some(by) = self.state.stop_by else { return Ok(()) };
        loop {
            self.state.flush();
            while self.state.next_ended().is_some() {}
            self.state.now = Instant::now();
            let left = by.saturating_duration_since(self.state.now);
            let done = self.state.conns.iter().all(|(_, conn)| conn.output.is_empty());
            if done || left.is_zero() {
                break;
            }
            let wait = if self.state.dirty.is_empty() { left } else { Duration::ZERO };
            poll(&mut self.poll, &mut self.events, Some(wait))?;
            self.note_events();
        }
        self.state.part_from_all();
        self.publish();
        Ok(())
    }
}

fn poll(poll: &mut Poll, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
    match poll.poll(events, timeout) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {
            events.clear();
            Ok(())
        }
        other => other,
    }
}

/// Remembers what the system reported of a connection.
fn note_event(state: &mut State, index: usize, event: &Event) {
    let Some(conn) = state.conns.get_mut(index) else { return };
    let id = conn.id;
    conn.ending |= event.is_read_closed() || event.is_error();
    if event.is_readable() || conn.ending {
        conn.readable = true;
    }
    if event.is_writable() || event.is_error() {
        conn.writable = true;
    }
    // Nobody will read the error off a connection that is paused.
    if event.is_error()
        && conn.paused
        && let Ok(Some(error)) = conn.stream.take_error()
    {
        state.end(id, Closed::Io(error));
    } else if !conn.output.is_empty() && conn.writable {
        state.mark_dirty(id);
    }
    state.mark_ready(id);
}

/// Takes on a connection accepted elsewhere.
fn adopt<S: Service>(
    state: &mut State,
    service: &mut S,
    stream: TcpStream,
    peer: Option<SocketAddr>,
) {
    let peer = match peer {
        Some(peer) => Ok(peer),
        None => stream.peer_addr().and_then(|peer| stream.set_nonblocking(true).map(|()| peer)),
    };
    match peer {
        Ok(peer) => open(state, service, mio::net::TcpStream::from_std(stream), peer),
        Err(error) => tracing::debug!(%error, "an adopted connection is gone"),
    }
}

/// Takes on a connection, if there is room and the service wants it.
fn open<S: Service>(
    state: &mut State,
    service: &mut S,
    stream: mio::net::TcpStream,
    peer: SocketAddr,
) {
    if state.conns.len() >= state.limits.connections_max {
        tracing::debug!(%peer, limit = state.limits.connections_max, "too many connections");
        return;
    }
    let id = match state.insert(stream) {
        Ok(id) => id,
        Err(error) => return tracing::debug!(%peer, %error, "cannot take on a connection"),
    };
    state.open += 1;
    state.tally.accepted += 1;
    if !service.opened(&mut Io::new(state), id, peer) {
        state.open -= 1;
        state.linger(id);
    }
}

/// Gives a connection its turn: reads it until it is drained or the turn is used up, and offers its
/// service what came.
fn serve<S: Service>(state: &mut State, service: &mut S, id: ConnId) {
    let mut budget = state.limits.turn_bytes;
    let Some(conn) = state.conn(id) else { return };
    conn.is_ready = false;
    if conn.takes_input() && std::mem::take(&mut conn.offer) && conn.input.len() > 0 {
        offer(state, service, id);
    }
    while budget > 0 {
        let Some(conn) = state.conns.get_mut(id.index()).filter(|conn| conn.has_input()) else {
            break;
        };
        match conn.fill(budget, &mut state.pool) {
            Ok(Filled::Bytes(count)) => {
                conn.active = state.now;
                budget -= count;
                state.tally.bytes_in += count as u64;
                if conn.input.is_enough() {
                    offer(state, service, id);
                }
            }
            Ok(Filled::Nothing) => break,
            Ok(Filled::End) => state.end(id, Closed::Peer),
            Err(error) => state.end(id, Closed::Io(error)),
        }
    }
    if let Some(conn) = state.conns.get_mut(id.index()) {
        conn.input.park(&mut state.pool);
    }
    state.mark_ready(id);
}

/// Offers the service all input of a connection that it has not consumed.
fn offer<S: Service>(state: &mut State, service: &mut S, id: ConnId) {
    let Some(conn) = state.conn(id) else { return };
    let mut input = std::mem::take(&mut conn.input);
    let progress = service.received(&mut Io::new(state), id, input.unconsumed());
    let advanced = input.advance(progress, state.limits.frame_bytes_max);
    if let Some(conn) = state.conn(id) {
        conn.input = input;
    }
    if let Err(bytes) = advanced {
        state.end(id, Closed::FrameTooLarge(bytes));
    }
}

/// Tells the service of the connections that have come to their end.
fn reap<S: Service>(state: &mut State, service: &mut S) {
    while let Some((id, why)) = state.next_ended() {
        state.open -= 1;
        service.closed(&mut Io::new(state), id, why);
    }
}
