//! What services say of themselves, with names for the numbers.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use chaski_shm::survey::{self, Connection, ListError, Pattern, Ring, Service};

use crate::args::DirArg;
use crate::failure::Failure;

/// The directory that is meant.
pub(super) fn directory(arg: &DirArg) -> PathBuf {
    arg.dir.clone().unwrap_or_else(chaski_shm::directory)
}

/// All services of a directory, by name.
pub(super) fn all(arg: &DirArg) -> Result<Vec<Service>, Failure> {
    let directory = directory(arg);
    survey::list_in(&directory).map_err(|error| {
        let what = format!("cannot list the services in {}", directory.display());
        let failure = Failure::because(what, &error);
        match error {
            ListError::Directory(_) => failure.hint(
                "it must belong to this user, who alone may write to it: \
                 `ls -ld` shows whose it is, `--dir` names another",
            ),
            _ => failure.hint("`--dir` names another directory"),
        }
    })
}

/// The user's name, or the number of one without.
pub(crate) fn user(uid: u32) -> String {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let found = users.lines().find_map(|line| named(line, uid));
    found.map_or_else(|| uid.to_string(), str::to_owned)
}

/// The name in a line of passwd(5), if it is this user's.
fn named(line: &str, uid: u32) -> Option<&str> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| !name.is_empty())?;
    (fields.nth(1)?.parse() == Ok(uid)).then_some(name)
}

/// The program that a process runs; nothing of one that is gone or cannot be seen.
pub(super) fn program(pid: u64) -> Option<String> {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(name.trim_end().to_owned())
}

/// Both directions of a connection, that of the peer first. Where messages go one way only, the
/// other is passed over.
pub(super) fn ways(
    pattern: Pattern,
    connection: &Connection,
) -> impl Iterator<Item = (&'static str, &Ring)> {
    let idle = match pattern {
        Pattern::Push | Pattern::Publisher => "in",
        Pattern::Pull | Pattern::Listener => "out",
        _ => "",
    };
    let ways = [("in", &connection.incoming), ("out", &connection.outgoing)];
    ways.into_iter().filter(move |(way, ring)| ring.sent > 0 || ring.capacity > 0 && *way != idle)
}

/// Every ring of a service.
pub(super) fn rings(service: &Service) -> impl Iterator<Item = &Ring> {
    let of = |connection| ways(service.pattern, connection).map(|(_, ring)| ring);
    service.connections.iter().flat_map(of)
}

/// Messages of all connections, or of another counter. What is published is in one ring that all
/// of them show.
pub(super) fn total(pattern: Pattern, counts: impl Iterator<Item = u64>) -> u64 {
    match pattern {
        Pattern::Publisher => counts.max().unwrap_or(0),
        _ => counts.sum(),
    }
}

/// What a service is, if it said so.
pub(super) fn pattern(service: &Service) -> Option<String> {
    service.answered.then(|| service.pattern.to_string())
}

/// How full a ring is, in percent.
pub(super) fn fill_percent(ring: &Ring) -> f64 {
    match ring.capacity {
        0 => 0.0,
        // Both are read while they change.
        capacity => (ring.fill.min(capacity) as f64 / capacity as f64 * 1000.0).round() / 10.0,
    }
}

/// A share for people: whole percents, and the difference between nothing and a little.
pub(super) fn show_percent(percent: f64) -> String {
    match percent {
        p if p > 0.0 && p < 1.0 => "<1 %".to_owned(),
        p => format!("{p:.0} %"),
    }
}

/// A time in its two largest units.
pub(super) fn show_age(age: Duration) -> String {
    let s = age.as_secs();
    match s {
        0 => format!("{} ms", age.subsec_millis()),
        1..60 => format!("{s} s"),
        60..3600 => format!("{} min {} s", s / 60, s % 60),
        3600..86_400 => format!("{} h {} min", s / 3600, s / 60 % 60),
        _ => format!("{} d {} h", s / 86_400, s / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_a_name_if_the_system_knows_one() {
        assert_eq!(named("daemon:x:17:17::/:/bin/false", 17), Some("daemon"));
        assert_eq!(named("daemon:x:17:17::/:/bin/false", 1), None);
        assert_eq!(named("nonsense", 0), None);
        assert_eq!(named(":x:0:0", 0), None);
        assert_eq!(user(4_294_000_001), "4294000001");
    }

    #[test]
    fn a_process_is_named_by_its_program() {
        assert!(program(std::process::id().into()).is_some_and(|name| !name.is_empty()));
        assert_eq!(program(u64::MAX), None);
    }

    #[test]
    fn a_share_says_whether_there_is_anything() {
        let of = |fill, capacity| {
            let mut ring = Ring::default();
            (ring.fill, ring.capacity) = (fill, capacity);
            show_percent(fill_percent(&ring))
        };
        assert_eq!(of(0, 65_536), "0 %");
        assert_eq!(of(64, 65_536), "<1 %");
        assert_eq!(of(32_768, 65_536), "50 %");
        assert_eq!(of(70_000, 65_536), "100 %");
        assert_eq!(of(0, 0), "0 %");
    }

    #[test]
    fn a_way_that_nothing_goes_is_passed_over() {
        let mut connection = Connection::default();
        (connection.incoming.capacity, connection.outgoing.capacity) = (4096, 4096);
        let of = |pattern, connection: &Connection| {
            ways(pattern, connection).map(|(way, _)| way).collect::<Vec<_>>()
        };
        assert_eq!(of(Pattern::Server, &connection), ["in", "out"]);
        assert_eq!(of(Pattern::Pull, &connection), ["in"]);
        assert_eq!(of(Pattern::Publisher, &connection), ["out"]);
        connection.outgoing.sent = 1;
        assert_eq!(of(Pattern::Pull, &connection), ["in", "out"], "against all expectations");
        connection.outgoing = Ring::default();
        assert_eq!(of(Pattern::Server, &connection), ["in"]);
    }

    #[test]
    fn an_age_has_two_units() {
        let shown = [0, 59, 61, 3_660, 90_000].map(|s| show_age(Duration::from_secs(s)));
        assert_eq!(shown, ["0 ms", "59 s", "1 min 1 s", "1 h 1 min", "1 d 1 h"]);
    }
}
