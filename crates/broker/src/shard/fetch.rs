//! Fetch: file ranges from the log to the socket.
//!
//! A fetch that finds less than `min_bytes` waits: it leaves a watch at each of its partitions and
//! a timer, and is looked at again when either comes. Responses hold whole batches only, and at
//! least one even if it is larger than asked for (KIP-74).

use std::sync::Arc;
use std::time::{Duration, Instant};

use chaski_kafka::{ApiKey, DecodeError, ErrorCode, Message, Reader, fetch, frame_response};
use chaski_log::store::{Offsets, PartitionId, Read, ReadError, ReadOk, Slice};
use chaski_reactor::{ConnId, Io, Output};

use super::connection::Answer;
use super::session::{self, FetchSession, Kind};
use super::{Shard, Ticket};
use crate::cluster::Cluster;

/// Longest a fetch may wait, whatever it asks for.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Partitions a fetch may follow beyond those there are: a client may be late to learn that a topic
/// is gone.
const UNKNOWN_PARTITIONS_MAX: usize = 1000;

/// A fetch being served.
#[derive(Debug)]
pub(crate) struct FetchWait {
    ticket: Ticket,
    kind: Kind,
    /// When it was read, or last woken.
    began: Instant,
    min_bytes: usize,
    max_bytes: usize,
    parts: Vec<Part>,
    /// The part that is read first; the others follow in order, round and round.
    first: usize,
    watching: bool,
}

/// One partition of a fetch.
#[derive(Debug)]
struct Part {
    topic: String,
    index: i32,
    offset: i64,
    max_bytes: usize,
    /// None: there is no such partition.
    partition: Option<PartitionId>,
}

/// What was found for one partition.
struct Found {
    error: ErrorCode,
    offsets: Offsets,
    records: Option<Slice>,
    /// More records could be read at once.
    more: bool,
}

impl Shard {
    pub(super) fn take_fetch(
        &mut self,
        io: &mut Io<'_>,
        ticket: Ticket,
        body: &[u8],
    ) -> Result<(), DecodeError> {
        let request = fetch::Request::decode(&mut Reader::new(body), ticket.version)?;
        let cluster = self.broker.cluster.load();
        let named: usize = request.topics.iter().map(|t| t.partitions.len()).sum();
        if named > cluster.partitions + UNKNOWN_PARTITIONS_MAX {
            return Err(DecodeError::Count { count: named, have: cluster.partitions });
        }
        let Some(connection) = self.connections.get_mut(&ticket.conn) else { return Ok(()) };
        let kind = match session::classify(&mut connection.session, &request) {
            Ok(kind) => kind,
            Err(code) => {
                let frame = error_frame(ticket, code);
                self.answer(io, ticket.conn, ticket.sequence, Answer::Frame(frame));
                return Ok(());
            }
        };
        let (parts, first) = match kind {
            Kind::Full => (named_parts(&request, &cluster), 0),
            Kind::Begin | Kind::Next => {
                if kind == Kind::Begin {
                    let id = session_id(self.index, self.next_key);
                    self.next_key += 1;
                    connection.session = Some(FetchSession::new(id));
                }
                let Some(session) = connection.session.as_mut() else { return Ok(()) };
                session.take(&request);
                if session.followed().len() > cluster.partitions + UNKNOWN_PARTITIONS_MAX {
                    let count = session.followed().len();
                    return Err(DecodeError::Count { count, have: cluster.partitions });
                }
                (followed_parts(session, &cluster), session.first())
            }
        };
        let max_bytes = usize::try_from(request.max_bytes).unwrap_or(0).min(self.broker.fetch_max);
        let wait = FetchWait {
            ticket,
            kind,
            began: io.now(),
            min_bytes: usize::try_from(request.min_bytes).unwrap_or(0).min(max_bytes),
            max_bytes,
            parts,
            first,
            watching: false,
        };
        let patience = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
        self.serve_or_wait(io, wait, patience.min(WAIT_MAX));
        Ok(())
    }

    /// Answers at once if there is enough, else waits for more.
    fn serve_or_wait(&mut self, io: &mut Io<'_>, mut wait: FetchWait, patience: Duration) {
        let found = self.look(&wait);
        if patience.is_zero() || self.stopping.is_some() || suffices(&wait, &found) {
            return self.answer_fetch(io, wait, found);
        }
        let key = self.next_key;
        self.next_key += 1;
        wait.watching = true;
        let quiet = self.watch(&wait, key, &found);
        io.timer(io.now() + patience, key);
        self.fetches.insert(key, wait);
        if !quiet {
            self.fetch_woken(io, key);
        }
    }

    /// Leaves a watch at each partition. False: one of them has grown since it was looked at.
    fn watch(&self, wait: &FetchWait, key: u64, found: &[Found]) -> bool {
        let mut quiet = true;
        for (part, found) in wait.parts.iter().zip(found) {
            if let Some(partition) = part.partition {
                let seen = found.offsets.high_watermark;
                quiet &= self.broker.store.watch(partition, seen, key, &self.watcher);
            }
        }
        quiet
    }

    fn unwatch(&self, wait: &FetchWait, key: u64) {
        if wait.watching {
            for partition in wait.parts.iter().filter_map(|p| p.partition) {
                self.broker.store.unwatch(partition, key);
            }
        }
    }

    /// A partition that fetch `key` waits for has grown.
    pub(super) fn fetch_woken(&mut self, io: &mut Io<'_>, key: u64) {
        if let Some(wait) = self.fetches.get_mut(&key) {
            wait.began = io.now();
        }
        loop {
            let Some(wait) = self.fetches.get(&key) else { return };
            let found = self.look(wait);
            if suffices(wait, &found) {
                if let Some(wait) = self.fetches.remove(&key) {
                    self.unwatch(&wait, key);
                    self.answer_fetch(io, wait, found);
                }
                return;
            }
            if self.watch(wait, key, &found) {
                return;
            }
        }
    }

    /// The patience of fetch `key` is over.
    pub(super) fn fetch_due(&mut self, io: &mut Io<'_>, key: u64) {
        if let Some(mut wait) = self.fetches.remove(&key) {
            wait.began = io.now();
            self.unwatch(&wait, key);
            let found = self.look(&wait);
            self.answer_fetch(io, wait, found);
        }
    }

    /// Answers every waiting fetch with what there is.
    pub(super) fn answer_all_fetches(&mut self, io: &mut Io<'_>) {
        let keys: Vec<u64> = self.fetches.keys().copied().collect();
        for key in keys {
            self.fetch_due(io, key);
        }
    }

    /// Drops the waiting fetches of a connection that is gone.
    pub(super) fn forget_fetches_of(&mut self, id: ConnId) {
        let broker = self.broker.clone();
        self.fetches.retain(|key, wait| {
            if wait.ticket.conn != id {
                return true;
            }
            for partition in wait.parts.iter().filter_map(|p| p.partition) {
                broker.store.unwatch(partition, *key);
            }
            false
        });
    }

    /// Reads every partition of a fetch, within its byte limits, beginning at `wait.first`.
    fn look(&self, wait: &FetchWait) -> Vec<Found> {
        let mut budget = wait.max_bytes;
        let mut any = false;
        let mut results = Vec::with_capacity(1);
        let mut found = Vec::with_capacity(wait.parts.len());
        let (before, after) = wait.parts.split_at(wait.first.min(wait.parts.len()));
        for part in after.iter().chain(before) {
            let Some(partition) = part.partition else {
                found.push(Found::error(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
                continue;
            };
            let read = Read {
                partition,
                offset: part.offset,
                max_bytes: part.max_bytes.min(budget),
                at_least_one: !any,
            };
            self.broker.store.read(&[read], &mut results);
            let one = results
                .pop()
                .map_or_else(|| Found::error(ErrorCode::UNKNOWN_SERVER_ERROR), Found::from_read);
            let bytes = one.records.as_ref().map_or(0, Slice::len);
            any |= bytes > 0;
            budget = budget.saturating_sub(bytes);
            found.push(one);
        }
        found.rotate_right(before.len());
        found
    }

    fn answer_fetch(&mut self, io: &mut Io<'_>, wait: FetchWait, found: Vec<Found>) {
        let bytes: usize = found.iter().filter_map(|f| f.records.as_ref()).map(Slice::len).sum();
        self.stats.fetched_bytes.add(bytes as u64);
        let ticket = wait.ticket;
        let mut session = self.connections.get_mut(&ticket.conn).and_then(|c| c.session.as_mut());
        if let Some(session) = &mut session {
            session.served(found.iter().rposition(|f| f.records.is_some()));
        }
        let began = wait.began;
        let answer = encode(&wait, found, session);
        if bytes > 0 {
            self.stats.fetch_latency.record(began.elapsed());
        }
        self.answer(io, ticket.conn, ticket.sequence, answer);
    }
}

impl Found {
    fn error(error: ErrorCode) -> Found {
        let offsets = Offsets { log_start: -1, high_watermark: -1, log_end: -1 };
        Found { error, offsets, records: None, more: false }
    }

    fn from_read(result: Result<ReadOk, ReadError>) -> Found {
        match result {
            Ok(ok) => Found {
                error: ErrorCode::NONE,
                offsets: ok.offsets,
                records: ok.records,
                more: ok.more,
            },
            Err(error) => {
                let code = match &error {
                    ReadError::NotFound => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                    ReadError::OutOfRange { .. } => ErrorCode::OFFSET_OUT_OF_RANGE,
                    ReadError::Corrupt { .. } => ErrorCode::CORRUPT_MESSAGE,
                    _ => ErrorCode::KAFKA_STORAGE_ERROR,
                };
                tracing::debug!(%error, "nothing to fetch");
                Found::error(code)
            }
        }
    }
}

/// A session id that is never 0 and tells the shards apart.
fn session_id(shard: usize, count: u64) -> i32 {
    let mixed = (count << 10 | shard as u64 & 0x3ff) & 0x3fff_ffff;
    mixed as i32 + 1
}

/// Whether there is enough to answer: the bytes asked for, an error to tell, or records with more
/// behind them, which no waiting would add to.
fn suffices(wait: &FetchWait, found: &[Found]) -> bool {
    let bytes: usize = found.iter().filter_map(|f| f.records.as_ref()).map(Slice::len).sum();
    bytes >= wait.min_bytes
        || found.is_empty()
        || found.iter().any(|one| one.error != ErrorCode::NONE || one.more)
}

fn named_parts(request: &fetch::Request<'_>, cluster: &Cluster) -> Vec<Part> {
    let mut parts = Vec::new();
    for topic in &request.topics {
        let known = cluster.by_name.get(topic.topic);
        for partition in &topic.partitions {
            parts.push(Part {
                topic: topic.topic.to_owned(),
                index: partition.partition,
                offset: partition.fetch_offset,
                max_bytes: usize::try_from(partition.partition_max_bytes).unwrap_or(0),
                partition: known.and_then(|t| t.partition(partition.partition)),
            });
        }
    }
    parts
}

fn followed_parts(session: &FetchSession, cluster: &Cluster) -> Vec<Part> {
    let part = |followed: &session::Followed| Part {
        topic: followed.topic.clone(),
        index: followed.index,
        offset: followed.offset,
        max_bytes: usize::try_from(followed.max_bytes).unwrap_or(0),
        partition: cluster
            .by_name
            .get(followed.topic.as_str())
            .and_then(|t| t.partition(followed.index)),
    };
    session.followed().iter().map(part).collect()
}

fn encode(wait: &FetchWait, found: Vec<Found>, mut session: Option<&mut FetchSession>) -> Answer {
    let mut topics: Vec<fetch::Topic<'_>> = Vec::new();
    let mut slices = Vec::new();
    for (place, (part, found)) in wait.parts.iter().zip(found).enumerate() {
        let told = found.records.is_some() || found.error != ErrorCode::NONE;
        let offsets = (found.offsets.log_start, found.offsets.high_watermark);
        let news = match (&mut session, wait.kind) {
            (Some(session), Kind::Next) => session.is_news(place, told, offsets),
            (Some(session), Kind::Begin) => {
                session.is_news(place, told, offsets);
                true
            }
            _ => true,
        };
        if !news {
            continue;
        }
        if topics.last().is_none_or(|t| t.topic != part.topic) {
            topics.push(fetch::Topic { topic: &part.topic, ..Default::default() });
        }
        let records = found.records.as_ref().map_or(0, Slice::len);
        slices.extend(found.records);
        if let Some(topic) = topics.last_mut() {
            topic.partitions.push(fetch::Partition {
                partition_index: part.index,
                error_code: found.error,
                high_watermark: found.offsets.high_watermark,
                last_stable_offset: found.offsets.high_watermark,
                log_start_offset: found.offsets.log_start,
                aborted_transactions: None,
                preferred_read_replica: -1,
                records: fetch::Records::Spliced(records),
                ..Default::default()
            });
        }
    }
    let session_id = match wait.kind {
        Kind::Full => 0,
        Kind::Begin | Kind::Next => session.as_ref().map_or(0, |s| s.id()),
    };
    let response = fetch::Response { session_id, responses: topics, ..Default::default() };
    let ticket = wait.ticket;
    let frame = frame_response(ApiKey::Fetch, ticket.version, ticket.correlation_id, &response);
    pieces(frame.bytes, &frame.cuts, slices)
}

/// Lays the record slices between the pieces of the encoded response.
fn pieces(bytes: Vec<u8>, cuts: &[(usize, usize)], slices: Vec<Slice>) -> Answer {
    if slices.is_empty() {
        return Answer::Frame(bytes);
    }
    let mut pieces = Vec::with_capacity(2 * slices.len() + 1);
    let mut slices = slices.into_iter();
    let mut from = 0;
    for (at, _) in cuts {
        pieces.push(Output::Bytes(bytes[from..*at].to_vec()));
        from = *at;
        match slices.next() {
            Some(Slice::Bytes(bytes)) => pieces.push(Output::Shared(Arc::clone(&bytes))),
            Some(Slice::File { file, position, len }) => {
                pieces.push(Output::File { file, position, len });
            }
            None => {}
        }
    }
    if from < bytes.len() {
        pieces.push(Output::Bytes(bytes[from..].to_vec()));
    }
    Answer::Pieces(pieces)
}

fn error_frame(ticket: Ticket, error_code: ErrorCode) -> Vec<u8> {
    let response = fetch::Response { error_code, ..Default::default() };
    frame_response(ApiKey::Fetch, ticket.version, ticket.correlation_id, &response).into_bytes()
}
