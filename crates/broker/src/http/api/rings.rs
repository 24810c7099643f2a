//! Rings in shared memory: the broker's own, and those of other programs of its user.

use std::fs;
use std::sync::Arc;

use chaski_log::store::LogStore;
use chaski_shm::survey::{Connection, Pattern, Ring, Service};
use serde::Serialize;

use crate::http::endpoints::{Endpoint, Endpoints};
use crate::http::error::ApiError;
use crate::http::extract::{Live, Told};
use crate::http::services::Survey;
use crate::local::{Progress, Reader};

const RINGS: Endpoint = Endpoint::get(
    "/api/rings",
    "Services in shared memory on this machine, of the broker and of other programs of its user, \
     and the processes at the other end of their rings, as of a second ago; and who reads the \
     log's own pages.",
)
.answer(
    "{directory, total, rings:[{name, kind, pid, program, own: whether it is of the broker's \
     process, answered, generation, age_s, peers, departed, dead, clients:[{slot, pid, program, \
     alive, fill, capacity, waiting, stalls, wakes, drops, in, out, in_bytes, out_bytes}]}], \
     readers_total, readers:[{id, pid, program, topic, partition, offset, records, lag: at most, \
     null if the partition is gone}]}; the broker's own first; 1000 rings, 1000 clients of each, \
     and 1000 readers, at most",
);

/// Services of an answer.
const RINGS_MAX: usize = 1000;

/// Clients of a service.
const CLIENTS_MAX: usize = 1000;

/// Readers of an answer.
const READERS_MAX: usize = 1000;

pub(super) fn add(all: &mut Endpoints) {
    all.add(RINGS, rings);
}

#[derive(Serialize)]
struct List {
    directory: String,
    total: usize,
    rings: Vec<Row>,
    readers_total: usize,
    readers: Vec<Reading>,
}

/// A partition as a process reads it, which has no ring for that.
#[derive(Serialize)]
struct Reading {
    /// That no other has.
    id: u64,
    pid: u32,
    program: Option<String>,
    topic: String,
    partition: i32,
    offset: i64,
    records: u64,
    lag: Option<i64>,
}

#[derive(Serialize)]
struct Row {
    name: String,
    /// What it is to others; None: it did not say.
    kind: Option<&'static str>,
    pid: u32,
    program: Option<String>,
    own: bool,
    answered: bool,
    /// As text: it is any number of 64 bits.
    generation: String,
    age_s: Option<u64>,
    peers: usize,
    departed: u64,
    dead: usize,
    clients: Vec<Client>,
}

#[derive(Serialize)]
struct Client {
    slot: u64,
    pid: u64,
    program: Option<String>,
    alive: bool,
    /// Of the fuller of its two rings, in bytes.
    fill: u64,
    capacity: u64,
    waiting: u64,
    stalls: u64,
    wakes: u64,
    drops: u64,
    /// Messages it has sent to the service.
    #[serde(rename = "in")]
    taken: u64,
    /// Messages that were sent to it.
    out: u64,
    in_bytes: u64,
    out_bytes: u64,
}

impl Row {
    fn of(service: &Service) -> Row {
        let Service { name, pid, answered, connections, .. } = service;
        Row {
            name: name.clone(),
            kind: answered.then(|| service.pattern.as_str()),
            pid: *pid,
            program: program((*pid).into()),
            own: *pid == std::process::id(),
            answered: *answered,
            generation: service.generation.to_string(),
            age_s: answered.then(|| service.age.as_secs()),
            peers: connections.len(),
            departed: service.departed,
            dead: connections.iter().filter(|one| one.dead).count(),
            clients: connections.iter().take(CLIENTS_MAX).map(Client::of).collect(),
        }
    }
}

impl Client {
    fn of(connection: &Connection) -> Client {
        let Connection { incoming, outgoing, .. } = connection;
        let fuller = if share(outgoing) > share(incoming) { outgoing } else { incoming };
        // An idle ring has the size that is not zero, if only one has.
        let fuller = if fuller.capacity == 0 { outgoing } else { fuller };
        Client {
            slot: connection.slot,
            pid: connection.pid,
            program: program(connection.pid),
            alive: !connection.dead,
            // Both are read while they change.
            fill: fuller.fill.min(fuller.capacity),
            capacity: fuller.capacity,
            waiting: incoming.depth.saturating_add(outgoing.depth),
            stalls: incoming.stalls.saturating_add(outgoing.stalls),
            wakes: wakes(incoming).saturating_add(wakes(outgoing)),
            drops: connection.drops,
            taken: incoming.sent,
            out: outgoing.sent,
            in_bytes: incoming.sent_bytes,
            out_bytes: outgoing.sent_bytes,
        }
    }
}

impl Reading {
    fn of(reader: &Reader, store: &dyn LogStore) -> Reading {
        let Progress { offset, records, lag } = reader.progress(store);
        let (topic, partition) = (reader.topic.to_string(), reader.partition);
        let program = program(reader.pid.into());
        Reading {
            id: reader.number,
            pid: reader.pid,
            program,
            topic,
            partition,
            offset,
            records,
            lag,
        }
    }
}

/// How full it is.
fn share(ring: &Ring) -> f64 {
    ring.fill as f64 / ring.capacity.max(1) as f64
}

fn wakes(ring: &Ring) -> u64 {
    ring.receiver_wakes.saturating_add(ring.sender_wakes)
}

/// What a process runs; None: it is gone, or cannot be seen.
fn program(pid: u64) -> Option<String> {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(name.trim_end().to_owned())
}

async fn rings(live: Live) -> Told {
    let seen = live.view.services.fresh(&live).await?;
    let directory = live.view.services.directory().display().to_string();
    let broker = live.broker.clone();
    let told = move |_: &_| {
        let all = broker.local.readers.list();
        let reading = |reader: &Arc<Reader>| Reading::of(reader, &*broker.store);
        let readers = all.iter().take(READERS_MAX).map(reading).collect();
        let readers_total = all.len();
        Ok::<_, ApiError>(List { readers_total, readers, ..list(&seen, directory) })
    };
    live.tell(told).await
}

/// Without the readers.
fn list(seen: &Survey, directory: String) -> List {
    let own = |service: &Service| service.pid == std::process::id();
    // What hands out the log's pages has no rings: its readers are told apart.
    let has_rings = |service: &&Service| {
        !own(service) || (service.answered && service.pattern != Pattern::Packets)
    };
    let mut services: Vec<&Service> = seen.services.iter().filter(has_rings).collect();
    // Those of a kind stay in order of name.
    services.sort_by_key(|service| !own(service));
    List {
        directory,
        total: services.len(),
        rings: services.into_iter().take(RINGS_MAX).map(Row::of).collect(),
        readers_total: 0,
        readers: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fuller_ring_is_told_and_counts_are_of_both() {
        let mut connection = Connection::default();
        (connection.slot, connection.pid, connection.dead) = (3, u64::MAX, true);
        (connection.incoming.capacity, connection.incoming.fill) = (100, 10);
        (connection.outgoing.capacity, connection.outgoing.fill) = (50, 60);
        (connection.incoming.stalls, connection.outgoing.stalls) = (1, u64::MAX);
        (connection.incoming.sent, connection.outgoing.sent) = (7, 8);
        let told = Client::of(&connection);
        assert_eq!((told.fill, told.capacity), (50, 50), "never more than there is room for");
        assert_eq!((told.stalls, told.taken, told.out), (u64::MAX, 7, 8));
        assert_eq!((told.alive, told.program), (false, None));
        connection.incoming = Ring::default();
        connection.outgoing.fill = 0;
        assert_eq!(Client::of(&connection).capacity, 50, "the only ring there is");
    }

    #[test]
    fn the_brokers_own_come_first() {
        let service = |name: &str, pid| {
            let mut service = Service::default();
            (service.name, service.pid, service.answered) = (name.to_owned(), pid, true);
            service.generation = u64::MAX;
            service.connections = vec![Connection::default(); CLIENTS_MAX + 1];
            service
        };
        let own = std::process::id();
        let mut pages = service("pages", own);
        pages.answered = false;
        let services = vec![service("a", own + 1), service("b", own), pages, service("c", own + 1)];
        let told = list(&Survey::of(services), "/run/x".to_owned());
        let names: Vec<&str> = told.rings.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["b", "a", "c"]);
        let first = &told.rings[0];
        assert_eq!((first.own, first.peers, first.clients.len()), (true, 1001, CLIENTS_MAX));
        assert_eq!(first.generation, "18446744073709551615");
    }
}
