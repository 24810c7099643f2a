//! What moved from one look to the next, in a second.

use chaski_shm::survey::{Connection, Pattern, Ring, Service};
use serde::Serialize;

use super::Look;
use crate::output::{Row, or_dash};
use crate::progress::show_bytes;
use crate::shm::survey::{self, fill_percent, show_percent, ways};
use crate::table::{Column, number, text};

/// Counters of a ring, or the sum of some.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Counted {
    messages: u64,
    bytes: u64,
    stalls: u64,
    wakes: u64,
    drops: u64,
}

/// The same in a second. None: not known.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
struct PerSecond {
    messages_per_second: Option<f64>,
    bytes_per_second: Option<f64>,
    stalls_per_second: Option<f64>,
    wakes_per_second: Option<f64>,
    drops_per_second: Option<f64>,
}

/// A service and its rates.
#[derive(Debug, Serialize)]
pub(crate) struct ServiceRates {
    time: String,
    name: String,
    pattern: Option<String>,
    pid: u32,
    program: Option<String>,
    peers: usize,
    #[serde(flatten)]
    rates: PerSecond,
    waiting: u64,
    fill_percent: f64,
    /// ok or silent.
    state: &'static str,
}

/// One direction of a connection and its rates.
#[derive(Debug, Serialize)]
pub(super) struct PeerRates {
    time: String,
    name: String,
    slot: u64,
    pid: u64,
    program: Option<String>,
    /// in or out, as the service sees it.
    way: &'static str,
    #[serde(flatten)]
    rates: PerSecond,
    waiting: u64,
    fill_percent: f64,
    dead: bool,
}

impl Counted {
    fn of(way: &str, ring: &Ring, connection: &Connection) -> Counted {
        Counted {
            messages: ring.sent,
            bytes: ring.sent_bytes,
            stalls: ring.stalls,
            wakes: ring.receiver_wakes + ring.sender_wakes,
            drops: if way == "out" { connection.drops } else { 0 },
        }
    }

    fn add(self, more: Counted) -> Counted {
        Counted {
            messages: self.messages + more.messages,
            bytes: self.bytes + more.bytes,
            stalls: self.stalls + more.stalls,
            wakes: self.wakes + more.wakes,
            drops: self.drops + more.drops,
        }
    }

    /// Of a service, all its connections taken together. What is published is in one ring that all
    /// of them show.
    fn with(self, more: Counted, pattern: Pattern) -> Counted {
        match pattern {
            Pattern::Publisher => Counted {
                messages: self.messages.max(more.messages),
                bytes: self.bytes.max(more.bytes),
                ..self.add(more)
            },
            _ => self.add(more),
        }
    }

    /// What came since. Counters that went back have begun anew.
    fn since(self, before: Counted) -> Counted {
        let since = |now: u64, before: u64| now.checked_sub(before).unwrap_or(now);
        Counted {
            messages: since(self.messages, before.messages),
            bytes: since(self.bytes, before.bytes),
            stalls: since(self.stalls, before.stalls),
            wakes: since(self.wakes, before.wakes),
            drops: since(self.drops, before.drops),
        }
    }

    fn in_a_second(self, seconds: f64) -> PerSecond {
        let rate = |count: u64| Some((count as f64 / seconds * 10.0).round() / 10.0);
        PerSecond {
            messages_per_second: rate(self.messages),
            bytes_per_second: rate(self.bytes),
            stalls_per_second: rate(self.stalls),
            wakes_per_second: rate(self.wakes),
            drops_per_second: rate(self.drops),
        }
    }
}

/// What is known of a service from the look before.
enum Before<'a> {
    /// Nothing can be said of what it had counted.
    Unknown,
    /// It had not begun to count.
    Nothing,
    Service(&'a Service),
}

impl<'a> Before<'a> {
    fn of(look: Option<&'a Look>, service: &Service) -> Before<'a> {
        let Some(look) = look.filter(|_| service.answered) else { return Before::Unknown };
        match look.services.iter().find(|before| before.name == service.name) {
            Some(before) if !before.answered => Before::Unknown,
            Some(before) if before.generation == service.generation => Before::Service(before),
            _ => Before::Nothing,
        }
    }

    /// What one direction of a connection has counted since.
    fn since(&self, way: &'static str, ring: &Ring, now: &Connection) -> Option<Counted> {
        let counted = Counted::of(way, ring, now);
        let service = match self {
            Before::Unknown => return None,
            Before::Nothing => return Some(counted),
            Before::Service(service) => service,
        };
        let same = |before: &&Connection| before.slot == now.slot && before.pid == now.pid;
        let found = service.connections.binary_search_by_key(&now.slot, |before| before.slot);
        let before = found.ok().map(|at| &service.connections[at]).filter(same);
        let before = before.map(|before| {
            let ring = if way == "in" { &before.incoming } else { &before.outgoing };
            Counted::of(way, ring, before)
        });
        // A subscriber that is new shows a ring that has long been counting.
        let published = || match service.pattern {
            Pattern::Publisher => Counted { drops: 0, stalls: 0, wakes: 0, ..counted },
            _ => Counted::default(),
        };
        Some(counted.since(before.unwrap_or_else(published)))
    }
}

fn seconds(before: Option<&Look>, look: &Look) -> f64 {
    // A clock that stands still would make infinite rates, which JSON does not have.
    before.map_or(1.0, |before| (look.at - before.at).as_secs_f64().max(1e-3))
}

impl ServiceRates {
    /// A row for each service, the busiest first.
    pub(super) fn all(before: Option<&Look>, look: &Look) -> Vec<ServiceRates> {
        let rates = |service| ServiceRates::of(before, look, service);
        let mut rows: Vec<ServiceRates> = look.services.iter().map(rates).collect();
        let busy = |row: &ServiceRates| row.rates.messages_per_second.unwrap_or_default();
        rows.sort_by(|a, b| busy(b).total_cmp(&busy(a)));
        rows
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Of another machine, whose processes cannot be looked up here.
    pub(super) fn run_by(self, program: Option<String>) -> ServiceRates {
        ServiceRates { program, ..self }
    }

    fn of(before: Option<&Look>, look: &Look, service: &Service) -> ServiceRates {
        let then = Before::of(before, service);
        let each = service.connections.iter().flat_map(|connection| {
            let ways = ways(service.pattern, connection);
            ways.map(|(way, ring)| then.since(way, ring, connection))
        });
        let moved = match then {
            Before::Unknown => None,
            _ => Some(
                each.flatten()
                    .fold(Counted::default(), |all, more| all.with(more, service.pattern)),
            ),
        };
        let seconds = seconds(before, look);
        let rates = moved.map(|moved| moved.in_a_second(seconds)).unwrap_or_default();
        ServiceRates {
            time: look.time.clone(),
            name: service.name.clone(),
            pattern: survey::pattern(service),
            pid: service.pid,
            program: survey::program(service.pid.into()),
            peers: service.connections.len(),
            rates,
            waiting: survey::rings(service).map(|ring| ring.depth).sum(),
            fill_percent: survey::rings(service).map(fill_percent).fold(0.0, f64::max),
            state: if service.answered { "ok" } else { "silent" },
        }
    }
}

impl PeerRates {
    /// A row for each direction of each connection, by slot.
    pub(super) fn all(before: Option<&Look>, look: &Look) -> Vec<PeerRates> {
        let seconds = seconds(before, look);
        let mut rows = Vec::new();
        for service in &look.services {
            let then = Before::of(before, service);
            for connection in &service.connections {
                rows.extend(ways(service.pattern, connection).map(|(way, ring)| {
                    let since = then.since(way, ring, connection);
                    let rates = since.map(|since| since.in_a_second(seconds)).unwrap_or_default();
                    PeerRates::of(look, service, connection, (way, ring), rates)
                }));
            }
        }
        rows
    }

    fn of(
        look: &Look,
        service: &Service,
        connection: &Connection,
        (way, ring): (&'static str, &Ring),
        rates: PerSecond,
    ) -> PeerRates {
        PeerRates {
            time: look.time.clone(),
            name: service.name.clone(),
            slot: connection.slot,
            pid: connection.pid,
            program: survey::program(connection.pid),
            way,
            rates,
            waiting: ring.depth,
            fill_percent: fill_percent(ring),
            dead: connection.dead,
        }
    }
}

impl PerSecond {
    fn cells(self) -> [String; 5] {
        let count = |rate: Option<f64>| or_dash(rate.map(|rate| format!("{rate:.0}")));
        [
            count(self.messages_per_second),
            or_dash(self.bytes_per_second.map(|rate| show_bytes(rate as u64))),
            count(self.stalls_per_second),
            count(self.wakes_per_second),
            count(self.drops_per_second),
        ]
    }
}

impl Row for ServiceRates {
    const COLUMNS: &'static [Column] = &[
        text("SERVICE"),
        text("PATTERN"),
        number("PID"),
        text("PROGRAM"),
        number("PEERS"),
        number("MESSAGES/S"),
        number("BYTES/S"),
        number("STALLS/S"),
        number("WAKES/S"),
        number("DROPS/S"),
        number("WAITING"),
        number("FILL"),
        text("STATE"),
    ];

    fn cells(&self) -> Vec<String> {
        let mut cells = vec![
            self.name.clone(),
            or_dash(self.pattern.as_ref()),
            self.pid.to_string(),
            or_dash(self.program.as_ref()),
            self.peers.to_string(),
        ];
        cells.extend(self.rates.cells());
        cells.push(self.waiting.to_string());
        cells.push(show_percent(self.fill_percent));
        cells.push(self.state.to_owned());
        cells
    }
}

impl Row for PeerRates {
    const COLUMNS: &'static [Column] = &[
        number("SLOT"),
        number("PID"),
        text("PROGRAM"),
        text("WAY"),
        number("MESSAGES/S"),
        number("BYTES/S"),
        number("STALLS/S"),
        number("WAKES/S"),
        number("DROPS/S"),
        number("WAITING"),
        number("FILL"),
    ];

    fn cells(&self) -> Vec<String> {
        let mut cells = vec![
            self.slot.to_string(),
            self.pid.to_string(),
            if self.dead { "dead".to_owned() } else { or_dash(self.program.as_ref()) },
            self.way.to_owned(),
        ];
        cells.extend(self.rates.cells());
        cells.push(self.waiting.to_string());
        cells.push(show_percent(self.fill_percent));
        cells
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    /// A service with one connection that has received so many messages of 10 bytes.
    fn service(generation: u64, pid: u64, messages: u64) -> Service {
        let mut connection = Connection::default();
        (connection.slot, connection.pid) = (3, pid);
        connection.incoming.capacity = 4096;
        (connection.incoming.sent, connection.incoming.sent_bytes) = (messages, messages * 10);
        let mut service = Service::default();
        service.name = "s".to_owned();
        (service.answered, service.generation) = (true, generation);
        service.connections.push(connection);
        service
    }

    fn looks(before: Service, now: Service) -> (Look, Look) {
        let (at, time) = (Instant::now(), String::new);
        (
            Look { at, time: time(), services: vec![before] },
            Look { at: at + Duration::from_secs(2), time: time(), services: vec![now] },
        )
    }

    fn rate(before: Service, now: Service) -> Option<f64> {
        let (before, now) = looks(before, now);
        let service = ServiceRates::all(Some(&before), &now).pop().unwrap().rates;
        let peer = PeerRates::all(Some(&before), &now).pop().unwrap().rates;
        assert_eq!(service, peer, "there is but one");
        let bytes = service.messages_per_second.map(|rate| rate * 10.0);
        assert_eq!(service.bytes_per_second, bytes);
        service.messages_per_second
    }

    #[test]
    fn a_rate_is_what_came_since_the_look_before() {
        assert_eq!(rate(service(1, 7, 100), service(1, 7, 300)), Some(100.0));
        assert_eq!(rate(service(1, 7, 100), service(1, 7, 100)), Some(0.0));
    }

    #[test]
    fn what_is_new_has_counted_from_nothing() {
        assert_eq!(rate(service(1, 7, 100), service(1, 8, 300)), Some(150.0), "another peer");
        assert_eq!(rate(service(1, 7, 100), service(2, 7, 300)), Some(150.0), "restarted");
        assert_eq!(rate(service(1, 7, 500), service(1, 7, 300)), Some(150.0), "began anew");
    }

    #[test]
    fn what_is_published_counts_once() {
        let publisher = |peers: &[(u64, u64)], messages| {
            let mut service = service(1, 0, 0);
            service.pattern = Pattern::Publisher;
            service.connections.clear();
            for (slot, pid) in peers {
                let mut connection = Connection::default();
                (connection.slot, connection.pid) = (*slot, *pid);
                (connection.outgoing.capacity, connection.outgoing.sent) = (4096, messages);
                service.connections.push(connection);
            }
            service
        };
        let rate = |before, now| {
            let (before, now) = looks(before, now);
            ServiceRates::all(Some(&before), &now)[0].rates.messages_per_second
        };
        let two = [(0, 7), (1, 8)];
        assert_eq!(rate(publisher(&two, 100), publisher(&two, 300)), Some(100.0));
        let three = [(0, 7), (1, 8), (2, 9)];
        assert_eq!(rate(publisher(&two, 100), publisher(&three, 300)), Some(100.0));
        assert_eq!(rate(publisher(&[], 100), publisher(&two, 300)), Some(0.0), "nobody saw it");
    }

    #[test]
    fn of_who_was_silent_nothing_is_known() {
        let mut silent = service(0, 7, 0);
        silent.answered = false;
        assert_eq!(rate(silent.clone(), service(1, 7, 300)), None);
        let (before, now) = looks(service(1, 7, 100), service(1, 7, 300));
        assert_eq!(ServiceRates::all(None, &now)[0].rates, PerSecond::default());
        let now = Look { services: vec![silent], ..now };
        assert_eq!(ServiceRates::all(Some(&before), &now)[0].state, "silent");
        assert_eq!(ServiceRates::all(Some(&before), &now)[0].rates, PerSecond::default());
    }

    #[test]
    fn the_busiest_comes_first() {
        let mut quick = service(9, 7, 900);
        quick.name = "quick".to_owned();
        let (mut before, mut now) = looks(service(1, 7, 0), service(1, 7, 10));
        before.services.push(service(9, 7, 0));
        before.services[1].name = "quick".to_owned();
        now.services.push(quick);
        let rows = ServiceRates::all(Some(&before), &now);
        assert_eq!(rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["quick", "s"]);
    }
}
