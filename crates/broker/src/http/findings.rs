//! What is wrong or will be: each with what it leads to and the command that mends it.

use chaski_log::store::FaultKind;
use rustix::fs::statvfs;
use rustix::process::{Resource, getrlimit};
use serde::Serialize;

use super::census::{Places, Totals};
use super::extract::Live;
use super::sampler::Sample;
use crate::Broker;
use crate::gateway::{GatewayState, Glance};
use crate::settings::{BROKER, find};

/// Of the disk's space, less than this is left: a warning, an error.
const FREE_LOW: f64 = 0.10;
const FREE_OUT: f64 = 0.03;

/// Records behind in one partition that are worth a word.
const LAG_MAX: i64 = 1_000_000;

/// p99 of produce requests beyond which the disk is called slow, in milliseconds.
const PRODUCE_SLOW_MS: u128 = 100;

/// As few requests say nothing about p99.
const JUDGED_MIN: u64 = 100;

/// Descriptors that should be left for connections, beside those of segments.
const DESCRIPTORS_SPARE: u64 = 10_000;

/// A token shorter than this can be guessed.
const TOKEN_LEN_MIN: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Severity {
    Error,
    Warning,
    Info,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Finding {
    severity: Severity,
    what: String,
    effect: &'static str,
    command: String,
}

impl Finding {
    fn new(
        severity: Severity,
        what: impl Into<String>,
        effect: &'static str,
        command: impl Into<String>,
    ) -> Finding {
        Finding { severity, what: what.into(), effect, command: command.into() }
    }
}

/// Space where the records are; None: not known, or they are in memory.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Disk {
    used_bytes: Option<u64>,
    free_bytes: Option<u64>,
    total_bytes: Option<u64>,
}

impl Disk {
    pub(super) fn of(live: &Live) -> Disk {
        let used_bytes = live.view.census.totals().map(|totals| totals.bytes);
        match live.view.data_dir.as_ref().map(statvfs) {
            Some(Ok(disk)) => Disk {
                used_bytes,
                free_bytes: Some(disk.f_bavail * disk.f_frsize),
                total_bytes: Some(disk.f_blocks * disk.f_frsize),
            },
            _ => Disk { used_bytes, ..Disk::default() },
        }
    }
}

/// All there is to say, the worst first.
pub(super) fn of(
    live: &Live,
    sample: Option<&Sample>,
    disk: &Disk,
    gateways: &[Glance],
) -> Vec<Finding> {
    let totals = live.view.census.totals().unwrap_or_default();
    let mut all = Vec::new();
    all.extend(full(live, disk));
    all.extend(unstored(live));
    all.extend(broken(live, &totals));
    all.extend(behind(live));
    all.extend(sample.and_then(slow));
    all.extend(gateways.iter().filter(|one| one.state == GatewayState::Failed).map(failed));
    all.extend(reachable(live));
    all.extend(tokens(live));
    all.extend(descriptors(live));
    all.extend(durability(live));
    all.extend(partitions(live));
    all.sort_by_key(|finding: &Finding| finding.severity);
    all
}

fn data_dir(live: &Live) -> String {
    live.view.data_dir.as_ref().map_or_else(|| "DIR".to_owned(), |dir| dir.display().to_string())
}

/// A name for a shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./-_".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

/// Bytes, in the unit that people would say.
fn sized(bytes: u64) -> String {
    let mib = bytes as f64 / f64::from(1 << 20);
    if mib < 1024.0 { format!("{mib:.0} MiB") } else { format!("{:.1} GiB", mib / 1024.0) }
}

fn full(live: &Live, disk: &Disk) -> Option<Finding> {
    let (free, total) = (disk.free_bytes?, disk.total_bytes?);
    let share = free as f64 / total.max(1) as f64;
    let severity = match share {
        share if share < FREE_OUT => Severity::Error,
        share if share < FREE_LOW => Severity::Warning,
        _ => return None,
    };
    let dir = data_dir(live);
    Some(Finding::new(
        severity,
        format!("{:.1} % of the disk of `{dir}` is free: {}", share * 100.0, sized(free)),
        "Once it is full, nothing can be produced, and no offset committed.",
        format!("du -xsh {}/log/* | sort -h | tail", quoted(&dir)),
    ))
}

/// What a person does first about a failure of the storage.
fn command_for(kind: FaultKind, dir: &str) -> String {
    let dir = quoted(dir);
    match kind {
        FaultKind::Full => format!(
            "du -xsh {dir}/log/* | sort -h | tail; \
             chaski topic alter TOPIC --set retention.ms=3600000"
        ),
        FaultKind::Denied => format!("ls -ld {dir} {dir}/log"),
        FaultKind::Descriptors => {
            "ulimit -Hn 1048576; in a unit of systemd: LimitNOFILE=1048576".into()
        }
        _ => "dmesg --level=err,warn | tail".into(),
    }
}

/// Why the disk does not take what it should, after a colon.
fn reason(kind: Option<FaultKind>) -> &'static str {
    match kind {
        Some(FaultKind::Full) => "no room is left on the disk",
        Some(FaultKind::Broken) => "the disk does not do what it is asked",
        Some(FaultKind::ReadOnly) => "the file system is read-only",
        Some(FaultKind::Denied) => "the broker may not write there",
        Some(FaultKind::Descriptors) => "no more files may be open",
        _ => "writing to the disk failed",
    }
}

fn unstored(live: &Live) -> Option<Finding> {
    let fault = live.broker.ailment.get()?;
    Some(Finding::new(
        Severity::Error,
        format!("Topics, groups and committed offsets cannot be stored: {fault}"),
        "Whoever asks for one of them is disconnected, and tries again until they can.",
        command_for(fault.kind(), &data_dir(live)),
    ))
}

fn broken(live: &Live, totals: &Totals) -> impl Iterator<Item = Finding> {
    let dir = data_dir(live);
    let first_step =
        |places: &Places| command_for(places.kind.unwrap_or(FaultKind::Other), &data_dir(live));
    let place = |places: &Places| {
        let (topic, partition) = places.named.first()?;
        let more = match places.count {
            1 => String::new(),
            count => format!(" and {} more", count - 1),
        };
        Some((format!("{topic}-{partition}"), more))
    };
    let failed = place(&totals.failed).map(|(name, more)| {
        Finding::new(
            Severity::Error,
            format!(
                "Partition `{name}`{more} is closed for writing: {}",
                reason(totals.failed.kind)
            ),
            "Producers to it are refused. What was acknowledged with `acks=all` is on the disk.",
            format!("{}; then restart the broker", first_step(&totals.failed)),
        )
    });
    let refusing = place(&totals.refusing).map(|(name, more)| {
        Finding::new(
            Severity::Error,
            format!("Partition `{name}`{more} takes no records: {}", reason(totals.refusing.kind)),
            "Producers are refused until it does again. Nothing that was acknowledged is lost, and \
             consumers go on.",
            first_step(&totals.refusing),
        )
    });
    let damaged = place(&totals.damaged).map(|(name, more)| {
        Finding::new(
            Severity::Error,
            format!("Partition `{name}`{more} has damaged segments"),
            "The damaged records are kept and not served; consumers stop there.",
            format!("chaski inspect segment {}", quoted(&format!("{dir}/log/{name}"))),
        )
    });
    failed.into_iter().chain(refusing).chain(damaged)
}

fn behind(live: &Live) -> Option<Finding> {
    let seen = live.view.lags.last()?;
    let worst = seen.worst.first().filter(|worst| worst.lag >= LAG_MAX)?;
    let far = seen.worst.iter().filter(|place| place.lag >= LAG_MAX).count();
    let more =
        if far > 1 { format!("; {} more places are far behind", far - 1) } else { "".into() };
    let (group, topic, partition) = (&worst.group, &worst.topic, worst.partition);
    Some(Finding::new(
        Severity::Warning,
        format!("Group `{group}` is {} records behind in `{topic}` {partition}{more}", worst.lag),
        "Its consumers work on old records; what retention deletes before they come is lost to \
         them.",
        format!("chaski group describe {}", quoted(group)),
    ))
}

fn failed(gateway: &Glance) -> Finding {
    let why = gateway.last_error.as_deref().unwrap_or("nobody knows why");
    Finding::new(
        Severity::Error,
        format!("Gateway `{}` has failed: {why}", gateway.name),
        "Nothing passes through it until it is opened again, which is tried now and then.",
        format!("chaski gateway describe {}", quoted(&gateway.name)),
    )
}

fn slow(sample: &Sample) -> Option<Finding> {
    let p99 = sample.produce.percentile(0.99).filter(|_| sample.produce.count() >= JUDGED_MIN)?;
    (p99.as_millis() >= PRODUCE_SLOW_MS).then(|| {
        Finding::new(
            Severity::Warning,
            format!("A produce request in a hundred takes {} ms and more", p99.as_millis()),
            "Producers with `acks=all` wait for the disk: it is slow to sync, or busy.",
            "chaski doctor",
        )
    })
}

fn listens_widely(broker: &Broker) -> Option<String> {
    if broker.shards.is_empty() {
        return None;
    }
    let default = find(BROKER, "kafka.listen").map_or("", |setting| setting.default);
    let address = broker.settings.get("kafka.listen").unwrap_or(default);
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let wide = matches!(host, "0.0.0.0" | "[::]" | "::" | "*");
    wide.then(|| address.to_owned())
}

fn reachable(live: &Live) -> impl Iterator<Item = Finding> {
    let wide = listens_widely(&live.broker);
    let told = &live.broker.node.host;
    let lost = wide.as_ref().filter(|_| told == "127.0.0.1" || told == "localhost").map(|_| {
        Finding::new(
            Severity::Warning,
            format!("Kafka clients are told to connect to `{told}`"),
            "Clients on other machines reach the broker once, and then look for it on their own.",
            "chaski serve --set kafka.advertised=\"$(hostname -f):9092\"",
        )
    });
    let open = wide.map(|address| {
        Finding::new(
            Severity::Warning,
            format!(
                "Kafka is served on all addresses (`{address}`), and nobody is asked who he is"
            ),
            "Whoever reaches the port may read, write and delete everything.",
            "chaski serve --kafka 127.0.0.1:9092",
        )
    });
    open.into_iter().chain(lost)
}

fn tokens(live: &Live) -> impl Iterator<Item = Finding> {
    let (access, given) = (&live.view.access, &live.broker.settings);
    let is_given = |name| given.get(name).is_some_and(|token| !token.is_empty());
    let short = access.shortest_token().filter(|len| *len < TOKEN_LEN_MIN).map(|len| {
        Finding::new(
            Severity::Warning,
            format!("A token of the console is shorter than {TOKEN_LEN_MIN} characters: {len}"),
            "It can be guessed by whoever reaches the port.",
            "CHASKI_HTTP_TOKEN=\"$(openssl rand -hex 16)\" chaski serve",
        )
    });
    let alone = (is_given("http.read.token") && !is_given("http.token")).then(|| {
        Finding::new(
            Severity::Warning,
            "`http.read.token` is given, and `http.token` is not",
            "Nobody is asked for a token: everybody on this machine may do everything.",
            "CHASKI_HTTP_TOKEN=\"$(openssl rand -hex 16)\" chaski serve",
        )
    });
    let address = live.view.address;
    let far = (access.needs_login() && !address.ip().to_canonical().is_loopback()).then(|| {
        Finding::new(
            Severity::Info,
            format!("The console is served on `{address}` without encryption"),
            "Whoever can listen on the way sees the token and the records.",
            format!("ssh -L {0}:127.0.0.1:{0} HOST", address.port()),
        )
    });
    short.into_iter().chain(alone).chain(far)
}

fn descriptors(live: &Live) -> Option<Finding> {
    live.view.data_dir.as_ref()?;
    let limit = getrlimit(Resource::Nofile).current?;
    let partitions = live.broker.cluster.load().partitions as u64;
    let wanted = partitions * 3 + DESCRIPTORS_SPARE;
    (limit < wanted).then(|| {
        Finding::new(
            if limit < partitions * 3 + 1000 { Severity::Warning } else { Severity::Info },
            format!(
                "{limit} files may be open; the partitions and their clients may need {wanted}"
            ),
            "Connections are refused, and segments cannot be opened, once the limit is reached.",
            "ulimit -Hn 1048576; in a unit of systemd: LimitNOFILE=1048576",
        )
    })
}

fn durability(live: &Live) -> Option<Finding> {
    if live.view.data_dir.is_none() {
        return Some(Finding::new(
            Severity::Info,
            "Records are kept in memory",
            "All of them are gone when the broker stops.",
            "chaski serve --data ./chaski-data",
        ));
    }
    (live.broker.settings.get("acks.all") == Some("page-cache")).then(|| {
        Finding::new(
            Severity::Info,
            "`acks.all` is `page-cache`",
            "What was acknowledged may be lost when the machine goes down.",
            "chaski serve --set acks.all=fsync",
        )
    })
}

fn partitions(live: &Live) -> Option<Finding> {
    let default = find(BROKER, "max.partitions").map_or("", |setting| setting.default);
    let max = live.broker.settings.get("max.partitions").unwrap_or(default);
    let (max, now) = (max.parse::<usize>().ok()?, live.broker.cluster.load().partitions);
    (now >= max - max / 10).then(|| {
        Finding::new(
            Severity::Warning,
            format!("There are {now} partitions of {max} that may be"),
            "No topic can be made, and none can grow, once the limit is reached.",
            format!("chaski serve --set max.partitions={}", max.saturating_mul(2)),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_out_of_a_command() {
        assert_eq!(quoted("plain-1.x"), "plain-1.x");
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("a'; rm -rf /; '"), "'a'\\''; rm -rf /; '\\'''");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn the_worst_comes_first() {
        assert!(Severity::Error < Severity::Warning && Severity::Warning < Severity::Info);
    }
}
