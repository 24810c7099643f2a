//! Producers of this machine: batches from shared memory into the log.
//!
//! ```text
//!   rings of all producers -> a round: copied out, checked -> one LogStore::append -> responses
//!                                                                  | disk asked for
//!                                     responses <- alarm <- Late <-+ group commit
//! ```
//! One thread, which never waits for the disk: what is to be durable is answered when its group
//! commit has come, and other rounds go on meanwhile.
//!
//! Invariants:
//! - a batch is copied out of its producer's memory before a byte of it is looked at, so that what
//!   was checked is what is stored;
//! - a request that was taken is answered, unless its producer is gone; batches of one producer for
//!   one partition are appended in the order it sent them;
//! - what is held at once is bounded: a round by [`ROUND_REQUESTS`] and [`ROUND_BYTES`], batches
//!   that wait for the disk by [`WAITING_MAX`]. Beyond that requests stay in the memory of those
//!   who sent them.
//!
//! A producer that writes what it should not is told, or cut off by `chaski-shm`; others do not
//! notice.

use std::io;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use chaski_batch::Header;
use chaski_kafka::ErrorCode;
use chaski_local::producer::wire::{
    self, APPEND_LEN, Appended, Reason, Refused, Request, Response,
};
use chaski_log::store::{Append, AppendError, AppendOutcome, AppendSink, Durability, PartitionId};
use chaski_shm::{BindError, Server, Ticket, Wait};
use slab::Slab;
use uuid::Uuid;

use super::LocalStats;
use super::late::Late;
use crate::admission::{self, Refusal};
use crate::cluster::Topic;
use crate::health::{self, Health};
use crate::{Broker, nearest, server};

/// Requests of one round.
const ROUND_REQUESTS: usize = 64;

/// Bytes after which a round takes no more: what was copied out is still in the core's cache when
/// it is written.
const ROUND_BYTES: usize = 512 << 10;

/// Batches that may wait for the disk.
const WAITING_MAX: usize = 64 << 10;

/// Producers at once. Each takes three descriptors, and memory that is its own.
const PRODUCERS_MAX: usize = 1024;

/// The longest request taken, whatever topics say.
const REQUEST_BYTES_MAX: usize = 64 << 20;

/// Memory of requests that is kept for others.
const SPARE_BYTES_MAX: usize = 8 << 20;

/// The longest sleep: who has left is noted after it at the latest.
const NAP: Duration = Duration::from_secs(1);

/// How long the end waits for the disk.
const GRACE: Duration = Duration::from_secs(5);

/// So many topics are looked at for one whose name is like an unknown one.
const LIKE_MAX: usize = 1000;

/// The intake, before and while it runs.
pub(super) struct Intake {
    broker: Arc<Broker>,
    server: Server,
    stop: Arc<AtomicBool>,
    late: Arc<Late>,
    sink: Arc<dyn AppendSink>,
    /// Appends without an outcome, by token.
    waits: Slab<Waiting>,
    round: Vec<Pending>,
    /// Memory for requests, and how much it is.
    spare: Vec<Vec<u8>>,
    spare_bytes: usize,
    outcomes: Vec<(u64, AppendOutcome)>,
    response: Vec<u8>,
    /// When departures were noted last.
    noted: Instant,
}

/// What a request takes beyond its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cost {
    Usual,
    /// A look through the names of topics: the round ends, so that batches in it do not wait for
    /// more of them.
    Dear,
}

/// An append whose producer waits.
struct Waiting {
    ticket: Ticket,
    partitions: u32,
    taken: Instant,
}

/// A batch on its way to the store.
struct Pending {
    /// The request; the batch is behind its head.
    bytes: Vec<u8>,
    partition: PartitionId,
    header: Header,
    durability: Durability,
    token: u64,
}

/// An intake that runs.
pub(super) struct Running {
    stop: Arc<AtomicBool>,
    late: Arc<Late>,
    thread: JoinHandle<()>,
}

impl Running {
    /// Ends it: what was taken is answered before.
    pub(super) fn stop(self) {
        // ORDERING: relaxed; the ring that follows orders it before the look of who is woken.
        self.stop.store(true, Ordering::Relaxed);
        self.late.ring();
        let _ = self.thread.join();
    }
}

impl Intake {
    pub(super) fn bind(name: &str, broker: Arc<Broker>) -> Result<Intake, BindError> {
        let spin = Duration::from_micros(server::number(&broker.settings, "shm.spin.us") as u64);
        let mut builder = Server::builder()
            .clients_max(PRODUCERS_MAX)
            .large_bytes(broker.request_max.min(REQUEST_BYTES_MAX))
            .wait(Wait::Adaptive(spin));
        let directory = broker.settings.get("shm.directory");
        if let Some(directory) = directory.filter(|directory| !directory.is_empty()) {
            builder = builder.directory(directory);
        }
        let server = builder.bind(name)?;
        let late = Arc::new(Late::new(server.alarm()));
        Ok(Intake {
            broker,
            server,
            stop: Arc::default(),
            sink: late.clone(),
            late,
            waits: Slab::new(),
            round: Vec::new(),
            spare: Vec::new(),
            spare_bytes: 0,
            outcomes: Vec::new(),
            response: Vec::new(),
            noted: Instant::now(),
        })
    }

    pub(super) fn spawn(self, health: &Arc<Health>) -> io::Result<Running> {
        let (stop, late) = (self.stop.clone(), self.late.clone());
        let thread = health::spawn(health, "chaski-local-in", move || self.run())?;
        Ok(Running { stop, late, thread })
    }

    fn run(mut self) -> io::Result<()> {
        // ORDERING: see `Running::stop`.
        while !self.stop.load(Ordering::Relaxed) {
            self.take_round();
            let appended = self.append_round();
            // Behind the look at the rings: a ring of the alarm after this ends the wait.
            let idle = !self.answer_late() && !appended;
            if idle || self.noted.elapsed() >= NAP {
                self.note_departures();
            }
            if idle {
                self.rest()?;
            }
        }
        self.wind_up();
        Ok(())
    }

    /// Sleeps until there is something to do.
    fn rest(&mut self) -> io::Result<()> {
        // Its ring may have been taken with the requests just now, and would not end the wait.
        if self.stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        if self.waits.len() >= WAITING_MAX {
            // Requests may be there, and are not to be taken: a wait would not sleep.
            std::thread::sleep(Duration::from_millis(1));
            return Ok(());
        }
        self.server.wait(NAP).map_err(io::Error::other)
    }

    /// Takes requests until there are none, or enough. Those that need no append are answered.
    fn take_round(&mut self) {
        let mut bytes = 0;
        for _ in 0..ROUND_REQUESTS {
            if bytes >= ROUND_BYTES || self.waits.len() >= WAITING_MAX {
                return;
            }
            let mut request = self.spare.pop().unwrap_or_default();
            self.spare_bytes -= request.capacity();
            let Some(ticket) = self.server.try_recv_into(&mut request) else {
                return self.keep(request);
            };
            bytes += request.len();
            self.stats().requests.add(1);
            if self.take(ticket, request) == Cost::Dear {
                return;
            }
        }
    }

    fn take(&mut self, ticket: Ticket, mut request: Vec<u8>) -> Cost {
        let mut cost = Cost::Usual;
        match Request::decode(&request) {
            Ok(Request::Append(append)) => {
                let taken = Instant::now();
                match self.admit(&append, &mut request[APPEND_LEN..]) {
                    Ok((partition, header, partitions)) => {
                        let stats = self.stats();
                        stats.produced_batches.add(1);
                        stats.produced_records.add(header.record_count as u64);
                        stats.produced_bytes.add((request.len() - APPEND_LEN) as u64);
                        let token = self.waits.insert(Waiting { ticket, partitions, taken }) as u64;
                        let durability = self.durability(append.durability);
                        let bytes = request;
                        self.round.push(Pending { bytes, partition, header, durability, token });
                        return cost;
                    }
                    Err(why) => self.refuse(ticket, &why),
                }
            }
            Ok(Request::Open { topic }) => match self.topic(topic) {
                Ok(topic) => self.reply(ticket, &Response::Topic(topic)),
                Err(why) => {
                    cost = Cost::Dear;
                    self.refuse(ticket, &why);
                }
            },
            Err(error) => {
                self.refuse(ticket, &Why::new(Reason::Request, error.to_string()));
            }
        }
        self.keep(request);
        cost
    }

    /// What a producer may know of a topic.
    fn topic(&self, name: &str) -> Result<wire::Topic, Why> {
        let cluster = self.broker.cluster.load();
        let Some(topic) = cluster.by_name.get(name) else {
            let names = cluster.by_name.keys().map(|known| &**known);
            let like = nearest(name, names.take(LIKE_MAX));
            let like = like.map(|like| format!("; did you mean `{like}`?")).unwrap_or_default();
            return Err(Why::new(Reason::UnknownTopic, format!("no topic `{name}`{like}")));
        };
        Ok(wire::Topic {
            id: topic.id.into_bytes(),
            partitions: partitions(topic),
            batch_bytes_max: topic.config.max_message_bytes as u64,
            keys_required: topic.config.compacted,
        })
    }

    /// Whether a batch may be appended, and where.
    fn admit(
        &self,
        append: &wire::Append,
        batch: &mut [u8],
    ) -> Result<(PartitionId, Header, u32), Why> {
        let cluster = self.broker.cluster.load();
        let Some(topic) = cluster.by_id.get(&Uuid::from_bytes(append.topic)) else {
            return Err(Why::new(Reason::UnknownTopic, "the topic is no more".to_owned()));
        };
        let partitions = partitions(topic);
        let Some(partition) = topic.partition(append.partition) else {
            let why = format!("no partition {}", append.partition);
            return Err(Why { partitions, ..Why::new(Reason::UnknownPartition, why) });
        };
        let fit = admission::check(batch, &topic.config).and_then(|header| {
            admission::fit(batch, header, &topic.config, chaski_batch::has_null_key)
        });
        let fit = fit.map_err(|refusal| Why { partitions, ..refusal.into() })?;
        Ok((partition, fit.header, partitions))
    }

    /// What the operator has made of `acks=1` holds here too; the disk is never less than the disk.
    fn durability(&self, asked: Durability) -> Durability {
        match asked {
            Durability::PageCache => self.broker.acks_one,
            Durability::Disk => Durability::Disk,
        }
    }

    /// Hands the round to the store, and answers what it answers at once. Whether there was one.
    fn append_round(&mut self) -> bool {
        if self.round.is_empty() {
            return false;
        }
        let mut round = mem::take(&mut self.round);
        // The store makes one write of neighbours; the sort is stable, so their order stands.
        round.sort_by_key(|pending| pending.partition);
        let appends = round.iter_mut().map(|pending| Append {
            partition: pending.partition,
            batch: &mut pending.bytes[APPEND_LEN..],
            header: pending.header,
            durability: pending.durability,
            token: pending.token,
        });
        let mut appends: Vec<Append<'_>> = appends.collect();
        let mut outcomes = mem::take(&mut self.outcomes);
        self.broker.store.append(&mut appends, &mut outcomes, &self.sink);
        drop(appends);
        self.answer_all(&mut outcomes);
        self.outcomes = outcomes;
        for pending in round.drain(..) {
            self.keep(pending.bytes);
        }
        self.round = round;
        true
    }

    /// Answers what the disk has been waited for; whether there was any.
    fn answer_late(&mut self) -> bool {
        let mut outcomes = self.late.take(mem::take(&mut self.outcomes));
        let any = !outcomes.is_empty();
        self.answer_all(&mut outcomes);
        self.outcomes = outcomes;
        any
    }

    fn answer_all(&mut self, outcomes: &mut Vec<(u64, AppendOutcome)>) {
        if outcomes.is_empty() {
            return;
        }
        let now = Instant::now();
        for (token, outcome) in outcomes.drain(..) {
            let Some(wait) = self.waits.try_remove(token as usize) else { continue };
            let took = now.saturating_duration_since(wait.taken);
            self.stats().produce_latency.record(took);
            match outcome {
                Ok(appended) => {
                    let appended = Appended {
                        partitions: wait.partitions,
                        base_offset: appended.base_offset,
                        log_start: appended.log_start,
                    };
                    self.reply(wait.ticket, &Response::Appended(appended));
                }
                Err(error) => {
                    let reason = match error {
                        AppendError::NotFound => Reason::UnknownTopic,
                        AppendError::InDoubt(_) => Reason::InDoubt,
                        AppendError::Closed => Reason::Stopping,
                        _ => Reason::Storage,
                    };
                    self.refuse(wait.ticket, &Why::new(reason, error.to_string()));
                }
            }
        }
    }

    fn refuse(&mut self, ticket: Ticket, why: &Why) {
        self.stats().produce_errors.add(1);
        let Why { reason, partitions, ref text } = *why;
        self.reply(ticket, &Response::Refused(Refused { reason, partitions, why: text }));
    }

    fn reply(&mut self, ticket: Ticket, response: &Response<'_>) {
        let mut bytes = mem::take(&mut self.response);
        response.encode(&mut bytes);
        // What cannot be sent its producer is told of as a request that was dropped.
        if let Err(error) = self.server.reply(ticket, &bytes) {
            tracing::warn!(%error, "an acknowledgement to a producer of this machine was not sent");
        }
        self.response = bytes;
    }

    /// Keeps the memory of a request for others, within limits.
    fn keep(&mut self, request: Vec<u8>) {
        if self.spare_bytes + request.capacity() <= SPARE_BYTES_MAX {
            self.spare_bytes += request.capacity();
            self.spare.push(request);
        }
    }

    fn note_departures(&mut self) {
        for departure in self.server.departures() {
            let (peer, why) = (departure.peer, departure.why);
            match why {
                chaski_shm::Leave::Gone => tracing::debug!(%peer, "a producer has left"),
                why => tracing::warn!(%peer, ?why, "a producer of this machine was cut off"),
            }
        }
        self.noted = Instant::now();
        let producers = self.server.clients() as u64;
        self.stats().producers.store(producers, Ordering::Relaxed);
    }

    /// Waits for the disk, and answers those who wait for it too. The others are told.
    fn wind_up(&mut self) {
        let deadline = Instant::now() + GRACE;
        while !self.waits.is_empty() && Instant::now() < deadline {
            if !self.answer_late() {
                // Nobody looks at the rings any more: with a request there a wait would not sleep.
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        // Those left are in doubt, as their producers find out when the connection ends.
        self.waits.clear();
    }

    fn stats(&self) -> &LocalStats {
        &self.broker.local
    }
}

/// Why a request is refused.
struct Why {
    reason: Reason,
    partitions: u32,
    text: String,
}

impl Why {
    fn new(reason: Reason, text: String) -> Why {
        Why { reason, partitions: 0, text }
    }
}

impl From<Refusal> for Why {
    fn from(Refusal(code, text): Refusal) -> Why {
        let reason = match code {
            ErrorCode::MESSAGE_TOO_LARGE => Reason::TooLarge,
            ErrorCode::INVALID_TIMESTAMP => Reason::Timestamp,
            ErrorCode::CORRUPT_MESSAGE
            | ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT
            | ErrorCode::UNSUPPORTED_COMPRESSION_TYPE => Reason::Corrupt,
            _ => Reason::Invalid,
        };
        Why::new(reason, text.unwrap_or_else(|| code.message().to_owned()))
    }
}

fn partitions(topic: &Topic) -> u32 {
    u32::try_from(topic.partitions.len()).unwrap_or(u32::MAX)
}
