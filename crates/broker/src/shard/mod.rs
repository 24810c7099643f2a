//! A shard: one event loop and the client connections it serves.
//!
//! A request is answered by the shard that read it. Appends and reads go straight to the store,
//! which any shard may call: a hop to another thread costs two kernel wake-ups (7-9 us each, more
//! than the whole append), a partition's lock costs nothing unless two shards append to the same
//! partition in the same microseconds. What is rare and changes shared state (topics, groups,
//! settings) crosses to the control thread and comes back as a message.

mod cold;
mod connection;
mod fetch;
mod produce;
mod seats;
mod session;
mod visitor;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use chaski_kafka::{ApiKey, RequestHeader};
use chaski_log::store::{AppendOutcome, AppendSink, Watcher};
use chaski_reactor::{Closed, ConnId, Handle, Io, Output, Progress, Service};
use slab::Slab;

use self::connection::{Answer, Connection};
use self::fetch::FetchWait;
use self::produce::{Gathered, ProduceWait};
use crate::Broker;
use crate::control::{Asker, ToControl, Work};
use crate::metrics::ShardStats;

pub(crate) use self::cold::LEADER_EPOCH;
pub(crate) use self::produce::now_ms;
pub(crate) use self::seats::Seats;
pub(crate) use self::visitor::ConnectionView;

/// What other threads tell a shard.
#[derive(Debug)]
pub(crate) enum ToShard {
    /// A durable append has its outcome.
    Appended { token: u64, outcome: AppendOutcome },
    /// A partition that a fetch waits for has new records.
    Advanced { key: u64 },
    /// The control thread answers; None: the request was malformed.
    Reply { ticket: Ticket, body: Option<Vec<u8>> },
    /// Somebody wants to know who is connected.
    Describe(mpsc::Sender<Vec<ConnectionView>>),
    /// Answer what waits, then leave.
    Stop { grace: Duration },
}

/// Names a request for as long as it is unanswered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticket {
    pub(crate) shard: usize,
    pub(crate) conn: ConnId,
    pub(crate) sequence: u64,
    pub(crate) api: ApiKey,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
}

/// Where the store reports to: the shard's own mailbox.
#[derive(Debug)]
pub(crate) struct Reports(pub(crate) Handle<ToShard>);

impl AppendSink for Reports {
    fn appended(&self, token: u64, outcome: AppendOutcome) {
        self.0.send_quietly(ToShard::Appended { token, outcome });
    }
    fn flush(&self) {
        self.0.wake();
    }
}

impl Watcher for Reports {
    fn advanced(&self, key: u64) {
        self.0.send_quietly(ToShard::Advanced { key });
    }
    fn flush(&self) {
        self.0.wake();
    }
}

/// One event loop's state.
pub(crate) struct Shard {
    index: usize,
    broker: Arc<Broker>,
    append_sink: Arc<dyn AppendSink>,
    watcher: Arc<dyn Watcher>,
    connections: HashMap<ConnId, Connection>,
    /// Produce requests whose appends are under way.
    produces: Slab<ProduceWait>,
    /// Appends gathered from the requests read in this call, written in one go.
    gathered: Gathered,
    outcomes: Vec<(u64, AppendOutcome)>,
    /// Fetches that wait for records, by the key the store and the timers know them by.
    fetches: HashMap<u64, FetchWait>,
    next_key: u64,
    /// Waiting fetches that have been woken in this turn; each is looked at once, at its end.
    woken: Vec<u64>,
    stopping: Option<Duration>,
    stats: Arc<ShardStats>,
}

/// How one frame was taken.
enum Taken {
    /// Dealt with, or waiting for somebody.
    Done,
    /// The client cannot be understood: close.
    Hopeless(&'static str),
}

impl Shard {
    pub(crate) fn new(
        index: usize,
        broker: Arc<Broker>,
        reports: Arc<Reports>,
        stats: Arc<ShardStats>,
    ) -> Shard {
        Shard {
            index,
            broker,
            append_sink: reports.clone(),
            watcher: reports,
            connections: HashMap::new(),
            produces: Slab::new(),
            gathered: Gathered::default(),
            outcomes: Vec::new(),
            fetches: HashMap::new(),
            // The store knows watches by key alone, whichever shard they come from.
            next_key: (index as u64) << KEY_BITS,
            woken: Vec::new(),
            stopping: None,
            stats,
        }
    }

    /// Takes whole frames off the front of `input`; returns the bytes dealt with and how many the
    /// rest needs.
    fn take_frames(&mut self, io: &mut Io<'_>, id: ConnId, input: &mut [u8]) -> Progress {
        let mut at = 0;
        let mut need = 0;
        while let Some(prefix) = input.get(at..at + 4) {
            let len = i32::from_be_bytes([prefix[0], prefix[1], prefix[2], prefix[3]]);
            let Some(len) = usize::try_from(len).ok().filter(|n| *n <= self.broker.request_max)
            else {
                return self.give_up(io, id, input.len(), "frame length out of bounds");
            };
            let end = at + 4 + len;
            if end > input.len() {
                need = 4 + len;
                break;
            }
            if self.is_saturated(io, id) {
                break;
            }
            match self.take_frame(io, id, input, at + 4, end) {
                Taken::Done => at = end,
                Taken::Hopeless(why) => return self.give_up(io, id, input.len(), why),
            }
        }
        self.flush_appends(io, input);
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.visitor.took(at);
        }
        Progress { consumed: at, need }
    }

    /// Stops reading a connection that has too many requests unanswered or too many bytes of
    /// answers unsent, and all connections once the broker is to stop.
    fn is_saturated(&mut self, io: &mut Io<'_>, id: ConnId) -> bool {
        let Some(connection) = self.connections.get_mut(&id) else { return true };
        if self.stopping.is_some() {
            io.pause(id, true);
            return true;
        }
        // What is sent but not written yet goes down without our being told: the reactor offers
        // the rest of the input once it is written.
        if io.is_choked(id) {
            return true;
        }
        let full = connection.unanswered() >= self.broker.in_flight_max
            || connection.held_bytes() > HELD_BYTES_MAX;
        if full && !connection.paused {
            connection.paused = true;
            io.pause(id, true);
        }
        full
    }

    fn give_up(&mut self, io: &mut Io<'_>, id: ConnId, len: usize, why: &str) -> Progress {
        tracing::debug!(connection = id.0, why, "closing a connection that makes no sense");
        self.stats.malformed.add(1);
        self.gathered.forget(&mut self.produces);
        io.close(id);
        Progress { consumed: len, need: 0 }
    }

    fn take_frame(
        &mut self,
        io: &mut Io<'_>,
        id: ConnId,
        input: &mut [u8],
        start: usize,
        end: usize,
    ) -> Taken {
        let frame = &input[start..end];
        let Ok((header, header_len)) = RequestHeader::decode(frame) else {
            return Taken::Hopeless("malformed request header");
        };
        let (key, version) = (header.api_key, header.api_version);
        let correlation_id = header.correlation_id;
        let Some(api) = ApiKey::from_i16(key) else {
            return self.refuse(io, id, Some(cold::unknown_api(key, correlation_id)));
        };
        self.stats.requests.count(api);
        if !api.serves(version) {
            let body = &frame[header_len..];
            let answer = cold::unsupported_version(api, version, correlation_id, body);
            return self.refuse(io, id, answer);
        }
        if api == ApiKey::Produce {
            let body = start + header_len..end;
            return self.take_produce(io, id, input, body, version, correlation_id);
        }
        let client_id = header.client_id.unwrap_or("").to_owned();
        self.flush_appends(io, input);
        let Some(connection) = self.connections.get_mut(&id) else { return Taken::Done };
        connection.visitor.heard(api, version, &client_id, &input[start + header_len..end]);
        let ticket = Ticket {
            shard: self.index,
            conn: id,
            sequence: connection.begin(),
            api,
            version,
            correlation_id,
        };
        let body = &input[start + header_len..end];
        let taken = match api {
            ApiKey::Fetch => self.take_fetch(io, ticket, body),
            _ => self.take_cold(io, ticket, &client_id, body),
        };
        match taken {
            Ok(()) => Taken::Done,
            Err(_) => Taken::Hopeless("malformed request body"),
        }
    }

    /// Answers what is not served with the error the protocol has for it; a client that asks for a
    /// version nobody offered, and whose answer has no known form, is beyond help.
    fn refuse(&mut self, io: &mut Io<'_>, id: ConnId, answer: Option<Answer>) -> Taken {
        let Some(answer) = answer else { return Taken::Hopeless("version that was not offered") };
        if let Some(connection) = self.connections.get_mut(&id) {
            let sequence = connection.begin();
            self.answer(io, id, sequence, answer);
        }
        Taken::Done
    }

    /// Hands a request to the control thread, unless that is too far behind: then the client loses
    /// its connection, and asks again when it has come back.
    fn to_control(&self, io: &mut Io<'_>, ticket: Ticket, client_id: &str, body: &[u8]) {
        if !self.broker.control_has_room(body.len()) {
            tracing::warn!(api = ticket.api.name(), bytes = body.len(), "control thread is behind");
            return io.close(ticket.conn);
        }
        let host = self.connections.get(&ticket.conn).map(|c| c.visitor.host());
        self.broker.tell_control(ToControl::Request(Work {
            asker: Asker::Connection(ticket),
            api: ticket.api,
            version: ticket.version,
            client_id: client_id.to_owned(),
            client_host: host.unwrap_or_default(),
            body: body.to_vec(),
        }));
    }

    /// Puts an answer in its place and sends all that is in order.
    fn answer(&mut self, io: &mut Io<'_>, id: ConnId, sequence: u64, answer: Answer) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.finish(sequence, answer);
        while let Some(answer) = connection.next_ready() {
            match answer {
                Answer::None => {}
                Answer::Frame(frame) => {
                    let frame = Output::Bytes(frame);
                    connection.visitor.gave(&frame);
                    io.send(id, frame);
                }
                Answer::Pieces(pieces) => {
                    for piece in pieces {
                        connection.visitor.gave(&piece);
                        io.send(id, piece);
                    }
                }
            }
        }
        if connection.paused
            && connection.unanswered() <= self.broker.in_flight_max / 2
            && connection.held_bytes() <= HELD_BYTES_MAX
        {
            connection.paused = false;
            io.pause(id, false);
        }
    }

    fn leave_when_idle(&mut self, io: &mut Io<'_>) {
        if let Some(grace) = self.stopping
            && self.produces.is_empty()
        {
            io.stop(grace);
        }
    }
}

/// Fetch keys of one shard count up from its index shifted by this.
const KEY_BITS: u32 = 48;

/// The timer key of the end of a shard's grace period.
const STOP_TIMER: u64 = u64::MAX;

/// Bytes of answers that wait for earlier ones before their connection is no longer read.
const HELD_BYTES_MAX: usize = 1 << 20;

impl Service for Shard {
    type Message = ToShard;

    fn opened(&mut self, _io: &mut Io<'_>, id: ConnId, peer: SocketAddr) -> bool {
        if self.stopping.is_some() {
            return false;
        }
        let Some(seat) = self.broker.seats.take() else {
            tracing::debug!(%peer, "too many connections");
            return false;
        };
        self.connections.insert(id, Connection::new(peer, seat));
        true
    }

    fn received(&mut self, io: &mut Io<'_>, id: ConnId, input: &mut [u8]) -> Progress {
        self.take_frames(io, id, input)
    }

    fn closed(&mut self, _io: &mut Io<'_>, id: ConnId, why: Closed) {
        tracing::trace!(connection = id.0, ?why, "connection closed");
        self.connections.remove(&id);
        self.forget_fetches_of(id);
        self.broker.tell_control(ToControl::Gone { shard: self.index, conn: id });
    }

    fn timer(&mut self, io: &mut Io<'_>, key: u64) {
        if key == STOP_TIMER {
            io.stop(Duration::ZERO);
        } else {
            self.fetch_due(io, key);
        }
    }

    fn message(&mut self, io: &mut Io<'_>, message: ToShard) {
        match message {
            ToShard::Appended { token, outcome } => {
                self.append_done(io, token, outcome);
                self.leave_when_idle(io);
            }
            ToShard::Advanced { key } => self.woken.push(key),
            ToShard::Reply { ticket, body } => match body {
                Some(body) => {
                    let frame = cold::frame(ticket, &body);
                    self.answer(io, ticket.conn, ticket.sequence, Answer::Frame(frame));
                }
                None => io.close(ticket.conn),
            },
            ToShard::Describe(tell) => self.describe(&tell),
            ToShard::Stop { grace } => {
                self.stopping = Some(grace);
                io.timer(io.now() + grace, STOP_TIMER);
                self.answer_all_fetches(io);
                self.leave_when_idle(io);
            }
        }
    }

    fn turn_ended(&mut self, io: &mut Io<'_>) {
        let mut woken = std::mem::take(&mut self.woken);
        woken.sort_unstable();
        woken.dedup();
        for key in woken.drain(..) {
            self.fetch_woken(io, key);
        }
        self.woken = woken;
    }
}
