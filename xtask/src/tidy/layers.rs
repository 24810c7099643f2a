//! Rules about the crates: who may depend on whom, who may touch the world, who may be unsafe.

use super::Finding;
use super::source::{Source, without_comment};

/// The crates from the ground up. A crate depends only on those before it.
const ORDER: &[&str] = &[
    "batch", "ring", "reactor", "pool", "shm", "zmtp", "zmq", "log", "local", "kafka", "broker",
    "chaski", "cli",
];

/// Crates that may hold `unsafe`; every other one forbids it.
const UNSAFE_ALLOWED: &[&str] = &["ring", "shm"];

/// What must be absent from a crate (its tests excepted), so that it stays what it says it is.
const ABSENT: &[(&str, &[&str])] = &[
    ("batch", &["std::net", "std::fs", "Instant::now", "SystemTime"]),
    ("kafka", &["std::net", "std::fs", "Instant::now", "SystemTime"]),
    ("zmtp", &["std::net", "std::fs", "Instant::now", "SystemTime"]),
    ("ring", &["std::net", "std::fs"]),
    ("log", &["std::net"]),
];

pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources {
        let Some((name, path)) = within_crate(&source.path) else { continue };
        match path {
            "Cargo.toml" => {
                findings.extend(direction(source, name));
                findings.extend(lints(source));
            }
            "src/lib.rs" | "src/main.rs" => findings.extend(unsafety(source, name)),
            _ => {}
        }
        if path.starts_with("src/") && !source.is_test() {
            findings.extend(absence(source, name));
        }
    }
    findings
}

/// Splits `crates/log/src/lib.rs` into `log` and `src/lib.rs`; xtask counts as a crate.
fn within_crate(path: &str) -> Option<(&str, &str)> {
    match path.strip_prefix("crates/") {
        Some(rest) => rest.split_once('/'),
        None => path.strip_prefix("xtask/").map(|rest| ("xtask", rest)),
    }
}

/// Dependencies run only downward.
fn direction(source: &Source, name: &str) -> Vec<Finding> {
    let Some(place) = place(name) else {
        let message = format!("{name} has no place in the order of crates; give it one in xtask");
        let ours = name != "xtask";
        return ours.then(|| source.finding(1, "layers", message)).into_iter().collect();
    };
    // A crate may ask for itself: that is how its own tests turn one of its features on.
    let upward = |wanted: &str| self::place(wanted).is_none_or(|wanted| wanted > place);
    dependencies(source)
        .filter(|(_, wanted)| upward(wanted))
        .map(|(number, wanted)| {
            let message = format!("{name} may not depend on {wanted}, which lies above it");
            source.finding(number, "layers", message)
        })
        .collect()
}

fn place(name: &str) -> Option<usize> {
    ORDER.iter().position(|known| *known == name)
}

/// The crates of this tree that a manifest asks for, in any of its dependency tables.
fn dependencies(manifest: &Source) -> impl Iterator<Item = (usize, &str)> {
    let mut in_table = false;
    manifest.lines().filter_map(move |(number, line)| {
        if let Some(header) = line.trim().strip_prefix('[') {
            let header = header.trim_end_matches(']');
            in_table = header.ends_with("dependencies");
            let (table, name) = header.rsplit_once('.')?;
            return if table.ends_with("dependencies") { own_name(name) } else { None }
                .map(|name| (number, name));
        }
        let key = line.split(['=', '.']).next().filter(|_| in_table)?;
        own_name(key.trim()).map(|name| (number, name))
    })
}

/// `log` for `chaski-log`, `chaski` for the facade, nothing for the crates of others.
fn own_name(package: &str) -> Option<&str> {
    let package = package.trim_matches('"');
    if package == "chaski" { Some(package) } else { package.strip_prefix("chaski-") }
}

/// A crate without this table would silently escape the lints of the workspace.
fn lints(source: &Source) -> Option<Finding> {
    let mut lines = source.text.lines().map(str::trim).skip_while(|line| *line != "[lints]");
    lines.next();
    let inherited = lines.next() == Some("workspace = true");
    let message = "no `[lints]` table with `workspace = true`".to_owned();
    (!inherited).then(|| source.finding(1, "lints", message))
}

fn unsafety(source: &Source, name: &str) -> Option<Finding> {
    let forbids = source.text.lines().any(|line| line == "#![forbid(unsafe_code)]");
    let missing = !forbids && !UNSAFE_ALLOWED.contains(&name);
    let message = format!("{name} does not say #![forbid(unsafe_code)] and may not be unsafe");
    missing.then(|| source.finding(1, "unsafe", message))
}

fn absence(source: &Source, name: &str) -> Vec<Finding> {
    let rule = ABSENT.iter().find(|(crate_name, _)| *crate_name == name);
    let absent = rule.map_or(&[][..], |(_, absent)| absent);
    let mut findings = Vec::new();
    for (number, line) in source.product_lines() {
        let code = without_comment(line);
        for what in absent.iter().filter(|what| code.contains(**what)) {
            let message = format!("{what} must be absent from {name}");
            findings.push(source.finding(number, "absent", message));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<(usize, &'static str)> {
        let findings = check(&[Source::sample(path, text)]);
        findings.into_iter().map(|finding| (finding.line, finding.rule)).collect()
    }

    const LINTS: &str = "[lints]\nworkspace = true\n";

    #[test]
    fn dependencies_run_downward() {
        let down = format!("{LINTS}[dependencies]\nchaski-batch.workspace = true\nslab = \"1\"\n");
        assert_eq!(found("crates/log/Cargo.toml", &down), []);
        let up = format!("{LINTS}[dependencies]\nchaski-broker.workspace = true\n");
        assert_eq!(found("crates/log/Cargo.toml", &up), [(4, "layers")]);
        let itself = format!("{LINTS}[dev-dependencies]\nchaski-log = {{ path = \".\" }}\n");
        assert_eq!(found("crates/log/Cargo.toml", &itself), []);
    }

    #[test]
    fn every_dependency_table_counts() {
        let table = format!("{LINTS}[dependencies.chaski-cli]\nworkspace = true\n");
        assert_eq!(found("crates/ring/Cargo.toml", &table), [(3, "layers")]);
        let target = format!("{LINTS}[target.'cfg(loom)'.dependencies]\nchaski = \"1\"\n");
        assert_eq!(found("crates/ring/Cargo.toml", &target), [(4, "layers")]);
        let features = format!("{LINTS}[features]\nchaski-cli = []\n");
        assert_eq!(found("crates/ring/Cargo.toml", &features), []);
    }

    #[test]
    fn a_crate_without_a_place_is_found() {
        assert_eq!(found("crates/novel/Cargo.toml", LINTS), [(1, "layers")]);
        assert_eq!(found("xtask/Cargo.toml", LINTS), []);
    }

    #[test]
    fn lints_are_inherited() {
        assert_eq!(found("crates/log/Cargo.toml", "[package]\n"), [(1, "lints")]);
    }

    #[test]
    fn unsafe_is_forbidden_outside_the_list() {
        assert_eq!(found("crates/kafka/src/lib.rs", "//! Head.\n"), [(1, "unsafe")]);
        assert_eq!(found("crates/kafka/src/lib.rs", "#![forbid(unsafe_code)]\n"), []);
        assert_eq!(found("crates/ring/src/lib.rs", "//! Head.\n"), []);
    }

    #[test]
    fn a_pure_crate_touches_nothing() {
        let file = "crates/kafka/src/fetch.rs";
        assert_eq!(found(file, "use std::net::TcpStream;\n"), [(1, "absent")]);
        assert_eq!(found(file, "\nlet now = Instant::now();\n"), [(2, "absent")]);
        assert_eq!(found(file, "/// Unlike std::fs, this.\n"), []);
        assert_eq!(found(file, "#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n"), []);
        assert_eq!(found("crates/kafka/tests/x.rs", "use std::fs;\n"), []);
        assert_eq!(found("crates/broker/src/x.rs", "use std::net::TcpStream;\n"), []);
    }
}
