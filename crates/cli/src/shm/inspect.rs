//! `chaski shm inspect`.

use std::time::Duration;

use chaski_shm::survey::{Connection, Pattern, Ring, Service};
use serde::Serialize;

use super::survey::{self, fill_percent, show_age, show_percent, ways};
use crate::args::{DirArg, ShmInspect};
use crate::failure::Failure;
use crate::output::{self, Described, Row, or_dash};
use crate::progress::show_bytes;
use crate::table::{Column, number, text};

#[derive(Debug, Serialize)]
struct Description {
    name: String,
    pattern: String,
    pid: u32,
    program: Option<String>,
    uid: u32,
    user: String,
    /// In hexadecimal: JSON numbers are not that long everywhere.
    generation: String,
    age_ms: u64,
    /// 0 for no limit.
    connections_max: u64,
    departed: u64,
    connections: Vec<Peer>,
}

#[derive(Debug, Serialize)]
struct Peer {
    slot: u64,
    pid: u64,
    program: Option<String>,
    uid: u64,
    user: String,
    /// Gone, and what it had sent is still being taken.
    dead: bool,
    drops: u64,
    large_bytes: u64,
    ways: Vec<Way>,
}

#[derive(Debug, Serialize)]
struct Way {
    /// in or out, as the service sees it.
    way: &'static str,
    sent: u64,
    sent_bytes: u64,
    received: u64,
    received_bytes: u64,
    waiting: u64,
    capacity_bytes: u64,
    fill_bytes: u64,
    fill_percent: f64,
    stalls: u64,
    receiver_wakes: u64,
    sender_wakes: u64,
    receiver_sleeps: bool,
    sender_sleeps: bool,
}

pub(super) fn run(args: &ShmInspect) -> Result<(), Failure> {
    let service = one(&args.dir, &args.name)?;
    if !service.answered {
        return Err(silent(&service));
    }
    output::describe(args.output.output, &Description::of(&service))
}

/// The service of this name.
pub(super) fn one(dir: &DirArg, name: &str) -> Result<Service, Failure> {
    let mut services = survey::all(dir)?;
    match services.iter().position(|service| service.name == name) {
        Some(at) => Ok(services.swap_remove(at)),
        None => Err(missing(name, &services, dir)),
    }
}

fn missing(name: &str, services: &[Service], dir: &DirArg) -> Failure {
    let directory = survey::directory(dir);
    let failure = Failure::new(format!("no process is bound to `{name}`"))
        .cause(format!("there is no such service in {}", directory.display()));
    match services {
        [] => failure.hint("no other service is there either; `--dir` names another directory"),
        [first, ..] => failure
            .hint(format!("`chaski shm ls` lists those that are there, such as {}", first.name)),
    }
}

fn silent(service: &Service) -> Failure {
    let Service { name, pid, uid, .. } = service;
    let user = survey::user(*uid);
    Failure::new(format!("`{name}` did not answer"))
        .cause(format!(
            "process {pid} of {user} holds the name, and answers its user and root only"
        ))
        .hint(format!("`ps -o stat,cmd {pid}` shows whether it was stopped: T"))
}

impl Description {
    fn of(service: &Service) -> Description {
        let peer = |connection| Peer::of(service.pattern, connection);
        Description {
            name: service.name.clone(),
            pattern: service.pattern.to_string(),
            pid: service.pid,
            program: survey::program(service.pid.into()),
            uid: service.uid,
            user: survey::user(service.uid),
            generation: format!("{:016x}", service.generation),
            age_ms: u64::try_from(service.age.as_millis()).unwrap_or(u64::MAX),
            connections_max: service.connections_max,
            departed: service.departed,
            connections: service.connections.iter().map(peer).collect(),
        }
    }
}

impl Peer {
    fn of(pattern: Pattern, connection: &Connection) -> Peer {
        Peer {
            slot: connection.slot,
            pid: connection.pid,
            program: survey::program(connection.pid),
            uid: connection.uid,
            user: u32::try_from(connection.uid).map_or_else(|_| "-".to_owned(), survey::user),
            dead: connection.dead,
            drops: connection.drops,
            large_bytes: connection.large_bytes,
            ways: ways(pattern, connection).map(|(way, ring)| Way::of(way, ring)).collect(),
        }
    }
}

impl Way {
    fn of(way: &'static str, ring: &Ring) -> Way {
        Way {
            way,
            sent: ring.sent,
            sent_bytes: ring.sent_bytes,
            received: ring.received,
            received_bytes: ring.received_bytes,
            waiting: ring.depth,
            capacity_bytes: ring.capacity,
            fill_bytes: ring.fill,
            fill_percent: fill_percent(ring),
            stalls: ring.stalls,
            receiver_wakes: ring.receiver_wakes,
            sender_wakes: ring.sender_wakes,
            receiver_sleeps: ring.receiver_sleeps,
            sender_sleeps: ring.sender_sleeps,
        }
    }

    fn asleep(&self) -> &'static str {
        match (self.sender_sleeps, self.receiver_sleeps) {
            (false, false) => "-",
            (true, false) => "sender",
            (false, true) => "receiver",
            (true, true) => "both",
        }
    }
}

impl Described for Description {
    fn describe(&self) -> String {
        let Description { name, pattern, pid, user, departed, connections, .. } = self;
        let program = self.program.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
        let age = show_age(Duration::from_millis(self.age_ms));
        let most = match self.connections_max {
            0 => String::new(),
            most => format!(" of at most {most}"),
        };
        let rows: Vec<PeerWay<'_>> = connections.iter().flat_map(PeerWay::of).collect();
        let peers = match rows.is_empty() {
            true => "Nobody is connected.\n".to_owned(),
            false => output::table(&rows),
        };
        format!(
            "service  {name}\npattern  {pattern}\nprocess  {pid}{program} of {user}\n\
             age      {age}\npeers    {}{most}, and {departed} that have left\n\n{peers}",
            connections.len(),
        )
    }
}

/// A direction of a connection, as a row.
#[derive(Debug, Serialize)]
struct PeerWay<'a> {
    peer: &'a Peer,
    way: &'a Way,
}

impl<'a> PeerWay<'a> {
    fn of(peer: &'a Peer) -> impl Iterator<Item = PeerWay<'a>> {
        peer.ways.iter().map(move |way| PeerWay { peer, way })
    }
}

impl Row for PeerWay<'_> {
    const COLUMNS: &'static [Column] = &[
        number("SLOT"),
        number("PID"),
        text("PROGRAM"),
        text("USER"),
        text("WAY"),
        number("SENT"),
        number("BYTES"),
        number("RECEIVED"),
        number("WAITING"),
        number("RING"),
        number("FILL"),
        number("STALLS"),
        number("WAKES"),
        text("ASLEEP"),
        number("DROPS"),
        number("LARGE"),
    ];

    fn cells(&self) -> Vec<String> {
        let PeerWay { peer, way } = self;
        // What is sent can be dropped, and lies in memory made here.
        let outgoing = way.way == "out";
        vec![
            peer.slot.to_string(),
            peer.pid.to_string(),
            if peer.dead { "dead".to_owned() } else { or_dash(peer.program.as_ref()) },
            peer.user.clone(),
            way.way.to_owned(),
            way.sent.to_string(),
            show_bytes(way.sent_bytes),
            way.received.to_string(),
            way.waiting.to_string(),
            show_bytes(way.capacity_bytes),
            show_percent(way.fill_percent),
            way.stalls.to_string(),
            (way.sender_wakes + way.receiver_wakes).to_string(),
            way.asleep().to_owned(),
            or_dash(outgoing.then_some(peer.drops)),
            or_dash(outgoing.then(|| show_bytes(peer.large_bytes))),
        ]
    }
}
