//! `chaski shm ls`.

use chaski_shm::survey::{Pattern, Service};
use serde::Serialize;

use super::survey::{self, fill_percent, show_age, show_percent};
use crate::args::ShmLs;
use crate::failure::Failure;
use crate::output::{self, Row, or_dash};
use crate::progress::show_bytes;
use crate::table::{Column, number, text};

#[derive(Debug, Serialize)]
struct Listed {
    name: String,
    /// None if it did not answer.
    pattern: Option<String>,
    pid: u32,
    /// None if it cannot be seen from here.
    program: Option<String>,
    uid: u32,
    user: String,
    /// From here on None if it did not answer, or its pattern is `packets`.
    age_ms: Option<u64>,
    peers: Option<usize>,
    departed: Option<u64>,
    messages: Option<u64>,
    bytes: Option<u64>,
    fill_percent: Option<f64>,
    /// ok or silent.
    state: &'static str,
}

pub(super) fn run(args: &ShmLs) -> Result<(), Failure> {
    let services = survey::all(&args.dir)?;
    let rows: Vec<Listed> = services.iter().map(Listed::of).collect();
    output::list(args.output.output, &rows)
}

impl Listed {
    fn of(service: &Service) -> Listed {
        let rings = || survey::rings(service);
        // Who speaks a protocol of its own says that it is there, and no more.
        let counts = service.answered && service.pattern != Pattern::Packets;
        let known = |value: u64| counts.then_some(value);
        // A notification is a number that is replaced, and no message.
        let carried = |value: u64| known(value).filter(|_| service.pattern != Pattern::Listener);
        let total = |counts: &mut dyn Iterator<Item = u64>| survey::total(service.pattern, counts);
        let fill = rings().map(fill_percent).fold(0.0, f64::max);
        Listed {
            name: service.name.clone(),
            pattern: survey::pattern(service),
            pid: service.pid,
            program: survey::program(service.pid.into()),
            uid: service.uid,
            user: survey::user(service.uid),
            age_ms: known(u64::try_from(service.age.as_millis()).unwrap_or(u64::MAX)),
            peers: counts.then_some(service.connections.len()),
            departed: known(service.departed),
            messages: carried(total(&mut rings().map(|ring| ring.sent))),
            bytes: carried(total(&mut rings().map(|ring| ring.sent_bytes))),
            fill_percent: counts.then_some(fill),
            state: if service.answered { "ok" } else { "silent" },
        }
    }
}

impl Row for Listed {
    const COLUMNS: &'static [Column] = &[
        text("SERVICE"),
        text("PATTERN"),
        number("PID"),
        text("PROGRAM"),
        text("USER"),
        text("AGE"),
        number("PEERS"),
        number("MESSAGES"),
        number("BYTES"),
        number("FILL"),
        text("STATE"),
    ];

    fn cells(&self) -> Vec<String> {
        let age = self.age_ms.map(|ms| show_age(std::time::Duration::from_millis(ms)));
        vec![
            self.name.clone(),
            or_dash(self.pattern.as_ref()),
            self.pid.to_string(),
            or_dash(self.program.as_ref()),
            self.user.clone(),
            or_dash(age),
            or_dash(self.peers),
            or_dash(self.messages),
            or_dash(self.bytes.map(show_bytes)),
            or_dash(self.fill_percent.map(show_percent)),
            self.state.to_owned(),
        ]
    }
}
