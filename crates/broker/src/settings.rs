//! Every setting of the broker and of a topic, defined once.
//!
//! The table below gives the configuration file, the environment, `--set`, `DescribeConfigs` and
//! the documentation their names, defaults and bounds. Names are Kafka's where Kafka has one.
//!
//! Precedence, lowest first: default, file, environment (`CHASKI_NUM_PARTITIONS` for
//! `num.partitions`), `--set` and the flags of `serve`.

use std::collections::BTreeMap;
use std::fmt;

use thiserror::Error;

use crate::nearest;

/// What values a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number within bounds; bytes may be written as `64KiB`, `256MiB`, `1GiB`.
    Int {
        /// Least value.
        min: i64,
        /// Greatest value.
        max: i64,
    },
    /// A number from 0 to 1.
    Fraction,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Any text.
    Text,
    /// Visible ASCII that nobody is shown: [`HIDDEN`] stands for it wherever settings are told.
    Secret,
}

/// What stands for a secret that was given.
pub const HIDDEN: &str = "(hidden)";

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its name, in the words of the field.
    pub name: &'static str,
    /// What values it takes.
    pub kind: Kind,
    /// Its default; for a topic setting with `broker`, the default of that broker setting.
    pub default: &'static str,
    /// The broker setting from which a topic inherits.
    pub broker: Option<&'static str>,
    /// What it does, one sentence.
    pub doc: &'static str,
}

const I32: i64 = i32::MAX as i64;
const MAX: i64 = i64::MAX;

const fn int(min: i64, max: i64) -> Kind {
    Kind::Int { min, max }
}

const fn broker(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    doc: &'static str,
) -> Setting {
    Setting { name, kind, default, broker: None, doc }
}

const fn topic(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    broker: Option<&'static str>,
    doc: &'static str,
) -> Setting {
    Setting { name, kind, default, broker, doc }
}

/// A setting of Kafka's topics that clients and tools set, and that has no meaning here.
const fn inert(name: &'static str, kind: Kind, default: &'static str) -> Setting {
    topic(name, kind, default, None, "Accepted for compatibility; has no effect.")
}

/// Settings of the broker.
pub const BROKER: &[Setting] = &[
    broker("data.dir", Kind::Text, "./chaski-data", "Directory that holds the log."),
    broker("kafka.listen", Kind::Text, "127.0.0.1:9092", "Address Kafka clients connect to."),
    broker(
        "kafka.advertised",
        Kind::Text,
        "",
        "Address told to Kafka clients; empty: the one listened on.",
    ),
    broker(
        "http.listen",
        Kind::Text,
        "127.0.0.1:8080",
        "Address of the console, the JSON API, metrics and health.",
    ),
    broker(
        "http.token",
        Kind::Secret,
        "",
        "Token that opens the console and the JSON API; empty: no login, on this machine only.",
    ),
    broker(
        "http.read.token",
        Kind::Secret,
        "",
        "Token that opens them for reading only; needs `http.token`.",
    ),
    broker(
        "shm.listen",
        Kind::Text,
        "",
        "Name under which processes of this machine reach the log; empty: they do not.",
    ),
    broker(
        "shm.spin.us",
        int(0, 1_000_000),
        "20",
        "Microseconds an idle intake of batches from shared memory polls before it sleeps.",
    ),
    broker("shm.directory", Kind::Text, "", "Directory of its sockets; empty: that of this user."),
    broker("node.id", int(0, I32), "1", "This broker's id in the Kafka protocol."),
    broker("shards", int(0, 1024), "0", "Event loops that serve clients; 0: one per core."),
    broker("shards.pin", Kind::Bool, "false", "Pin each event loop to a core of its own."),
    broker(
        "shards.spin.us",
        int(0, 1000),
        "0",
        "Microseconds an idle event loop polls before it sleeps.",
    ),
    broker(
        "acks.one",
        Kind::Choice(&["page-cache", "fsync"]),
        "page-cache",
        "When acks=1 is answered: once the page cache has the batch, or the disk.",
    ),
    broker(
        "acks.all",
        Kind::Choice(&["page-cache", "fsync"]),
        "fsync",
        "When acks=all is answered: once the page cache has the batch, or the disk.",
    ),
    broker("sync.threads", int(1, 64), "2", "Threads that call fdatasync for acknowledgements."),
    broker(
        "auto.create.topics.enable",
        Kind::Bool,
        "true",
        "Create a topic when a client asks for its metadata.",
    ),
    broker(
        "num.partitions",
        int(1, 100_000),
        "1",
        "Partitions of a topic created without a count.",
    ),
    broker("max.connections", int(1, 1_000_000), "20000", "Client connections at most."),
    broker(
        "connections.max.idle.ms",
        int(-1, MAX),
        "600000",
        "Close a connection that was silent for so long; -1: never.",
    ),
    broker(
        "socket.request.max.bytes",
        int(1024, I32),
        "104857600",
        "Largest request accepted, in bytes.",
    ),
    broker(
        "max.in.flight.requests.per.connection",
        int(1, 100_000),
        "1000",
        "Unanswered requests of one connection before it is no longer read.",
    ),
    broker(
        "fetch.max.bytes",
        int(1024, 1 << 30),
        "57671680",
        "Bytes of records in one fetch response, unless the first batch alone is larger.",
    ),
    broker("max.topics", int(1, 10_000_000), "100000", "Topics at most."),
    broker("max.partitions", int(1, 10_000_000), "200000", "Partitions of all topics at most."),
    broker(
        "log.segment.bytes",
        SEGMENT_BYTES,
        "268435456",
        "A segment that would grow past this is closed.",
    ),
    broker("log.roll.ms", int(1, MAX), "604800000", "A segment older than this is closed."),
    broker("log.retention.bytes", int(-1, MAX), "-1", "Bytes kept per partition; -1: no limit."),
    broker("log.retention.ms", int(-1, MAX), "604800000", "Age of records kept; -1: for ever."),
    broker(
        "log.retention.check.interval.ms",
        int(1, MAX),
        "300000",
        "How often retention looks for segments to delete.",
    ),
    broker(
        "log.index.interval.bytes",
        int(0, I32),
        "4096",
        "Bytes of log between two entries of the sparse index.",
    ),
    broker(
        "log.flush.interval.ms",
        int(1, MAX),
        "10000",
        "Age of unflushed records after which they are flushed in the background.",
    ),
    broker(
        "log.flush.interval.bytes",
        int(1 << 20, MAX),
        "67108864",
        "Unflushed bytes of a partition after which they are flushed in the background.",
    ),
    broker("log.cleanup.policy", CLEANUP, "delete", "What happens to old records."),
    broker(
        "log.message.timestamp.type",
        TIMESTAMPS,
        "CreateTime",
        "Whose clock stamps a record: the producer's or the broker's.",
    ),
    broker(
        "log.message.timestamp.before.max.ms",
        int(0, MAX),
        "9223372036854775807",
        "How far a record's timestamp may lie in the past.",
    ),
    broker(
        "log.message.timestamp.after.max.ms",
        int(0, MAX),
        "3600000",
        "How far a record's timestamp may lie in the future.",
    ),
    broker("message.max.bytes", int(0, I32), "1048588", "Largest record batch accepted."),
    broker("compression.type", CODECS, "producer", "Batches are stored as they came."),
    broker(
        "min.insync.replicas",
        int(1, 1),
        "1",
        "Replicas that must have an acks=all batch; there is one.",
    ),
    broker("group.min.session.timeout.ms", int(1, I32), "6000", "Shortest session of a member."),
    broker("group.max.session.timeout.ms", int(1, I32), "1800000", "Longest session of a member."),
    broker(
        "group.initial.rebalance.delay.ms",
        int(0, I32),
        "100",
        "How long a new group waits for further members before its first assignment.",
    ),
    broker("group.max.size", int(1, I32), "10000", "Members of one group at most."),
    broker("offset.metadata.max.bytes", int(0, I32), "4096", "Bytes of metadata per commit."),
    broker(
        "offsets.retention.minutes",
        int(1, I32),
        "10080",
        "How long the offsets of an empty group are kept.",
    ),
];

/// A segment is three files and a descriptor: smaller ones would exhaust both first.
const SEGMENT_BYTES: Kind = int(64 << 10, 1 << 31);
const CLEANUP: Kind = Kind::Choice(&["delete", "compact", "compact,delete", "delete,compact"]);
const TIMESTAMPS: Kind = Kind::Choice(&["CreateTime", "LogAppendTime"]);
const CODECS: Kind =
    Kind::Choice(&["producer", "uncompressed", "none", "gzip", "snappy", "lz4", "zstd"]);

/// Settings of a topic.
pub const TOPIC: &[Setting] = &[
    topic(
        "cleanup.policy",
        CLEANUP,
        "delete",
        Some("log.cleanup.policy"),
        "What happens to old records; `compact` requires keys, and keeps every record as yet.",
    ),
    topic(
        "compression.type",
        CODECS,
        "producer",
        Some("compression.type"),
        "Batches are stored as they came, whatever this says.",
    ),
    topic(
        "flush.ms",
        int(1, MAX),
        "10000",
        Some("log.flush.interval.ms"),
        "Age of unflushed records after which they are flushed in the background.",
    ),
    topic(
        "flush.bytes",
        int(1 << 20, MAX),
        "67108864",
        Some("log.flush.interval.bytes"),
        "Unflushed bytes of a partition after which they are flushed in the background.",
    ),
    topic(
        "index.interval.bytes",
        int(0, I32),
        "4096",
        Some("log.index.interval.bytes"),
        "Bytes of log between two entries of the sparse index.",
    ),
    topic(
        "max.message.bytes",
        int(0, I32),
        "1048588",
        Some("message.max.bytes"),
        "Largest record batch accepted.",
    ),
    topic(
        "message.timestamp.after.max.ms",
        int(0, MAX),
        "3600000",
        Some("log.message.timestamp.after.max.ms"),
        "How far a record's timestamp may lie in the future.",
    ),
    topic(
        "message.timestamp.before.max.ms",
        int(0, MAX),
        "9223372036854775807",
        Some("log.message.timestamp.before.max.ms"),
        "How far a record's timestamp may lie in the past.",
    ),
    topic(
        "message.timestamp.type",
        TIMESTAMPS,
        "CreateTime",
        Some("log.message.timestamp.type"),
        "Whose clock stamps a record: the producer's or the broker's.",
    ),
    topic(
        "min.insync.replicas",
        int(1, 1),
        "1",
        Some("min.insync.replicas"),
        "Replicas that must have an acks=all batch; there is one.",
    ),
    topic(
        "retention.bytes",
        int(-1, MAX),
        "-1",
        Some("log.retention.bytes"),
        "Bytes kept per partition; -1: no limit.",
    ),
    topic(
        "retention.ms",
        int(-1, MAX),
        "604800000",
        Some("log.retention.ms"),
        "Age of records kept; -1: for ever.",
    ),
    topic(
        "segment.bytes",
        SEGMENT_BYTES,
        "268435456",
        Some("log.segment.bytes"),
        "A segment that would grow past this is closed.",
    ),
    topic(
        "segment.ms",
        int(1, MAX),
        "604800000",
        Some("log.roll.ms"),
        "A segment older than this is closed.",
    ),
    inert("compression.gzip.level", int(-1, 9), "-1"),
    inert("compression.lz4.level", int(1, 17), "9"),
    inert("compression.zstd.level", int(-131_072, 22), "3"),
    inert("delete.retention.ms", int(0, MAX), "86400000"),
    inert("file.delete.delay.ms", int(0, MAX), "60000"),
    inert("flush.messages", int(1, MAX), "9223372036854775807"),
    inert("follower.replication.throttled.replicas", Kind::Text, ""),
    inert("leader.replication.throttled.replicas", Kind::Text, ""),
    inert("max.compaction.lag.ms", int(1, MAX), "9223372036854775807"),
    inert("message.downconversion.enable", Kind::Bool, "true"),
    inert("min.cleanable.dirty.ratio", Kind::Fraction, "0.5"),
    inert("min.compaction.lag.ms", int(0, MAX), "0"),
    inert("preallocate", Kind::Bool, "false"),
    inert("remote.storage.enable", Kind::Choice(&["false"]), "false"),
    inert("segment.index.bytes", int(4, I32), "10485760"),
    inert("segment.jitter.ms", int(0, MAX), "0"),
    inert("unclean.leader.election.enable", Kind::Bool, "false"),
];

/// Why a setting was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum SettingError {
    #[error("unknown setting `{name}`{}", suggestion(.nearest))]
    Unknown { name: String, nearest: Option<&'static str> },
    #[error("`{name}` is `{value}`, but must be {expected}")]
    Value { name: String, value: String, expected: String },
    #[error("`{name}` is a TOML {kind}, but must be one value")]
    Kind { name: String, kind: &'static str },
}

fn suggestion(nearest: &Option<&'static str>) -> String {
    nearest.map(|n| format!("; did you mean `{n}`?")).unwrap_or_default()
}

/// Finds a setting by name.
pub fn find(table: &'static [Setting], name: &str) -> Result<&'static Setting, SettingError> {
    table.iter().find(|s| s.name == name).ok_or_else(|| SettingError::Unknown {
        name: name.to_owned(),
        nearest: nearest(name, table.iter().map(|s| s.name)),
    })
}

impl Setting {
    /// A value of it as people may see it.
    pub fn shown<'a>(&self, value: &'a str) -> &'a str {
        if self.kind == Kind::Secret && !value.is_empty() { HIDDEN } else { value }
    }

    /// Checks a value and brings it into its plain form (`64KiB` becomes `65536`).
    pub fn check(&self, value: &str) -> Result<String, SettingError> {
        let value = value.trim();
        let refuse = |expected: String| SettingError::Value {
            name: self.name.to_owned(),
            value: value.to_owned(),
            expected,
        };
        match self.kind {
            Kind::Text => Ok(value.to_owned()),
            Kind::Secret if value.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Ok(value.to_owned())
            }
            Kind::Secret => Err(SettingError::Value {
                name: self.name.to_owned(),
                value: HIDDEN.to_owned(),
                expected: "visible ASCII without blanks".to_owned(),
            }),
            Kind::Bool => match value {
                "true" | "false" => Ok(value.to_owned()),
                _ => Err(refuse("true or false".to_owned())),
            },
            Kind::Choice(words) => words
                .iter()
                .find(|w| w.eq_ignore_ascii_case(value))
                .map(|w| (*w).to_owned())
                .ok_or_else(|| refuse(format!("one of {}", words.join(", ")))),
            Kind::Fraction => match value.parse::<f64>() {
                Ok(n) if (0.0..=1.0).contains(&n) => Ok(value.to_owned()),
                _ => Err(refuse("a number from 0 to 1".to_owned())),
            },
            Kind::Int { min, max } => match parse_int(value) {
                Some(n) if (min..=max).contains(&n) => Ok(n.to_string()),
                _ => Err(refuse(format!("a whole number from {min} to {max}"))),
            },
        }
    }
}

fn parse_int(value: &str) -> Option<i64> {
    let digits = value.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(value.len());
    let (number, unit) = value.split_at(digits);
    let factor: i64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" => 1,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        _ => return None,
    };
    number.parse::<i64>().ok()?.checked_mul(factor)
}

/// Settings that were given, over the defaults of a table. Its debug form hides secrets.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Given(BTreeMap<&'static str, String>);

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |(name, value)| match find(BROKER, name) {
            Ok(setting) => (name, setting.shown(value)),
            Err(_) => (name, value),
        };
        f.debug_map().entries(self.iter().map(shown)).finish()
    }
}

impl Given {
    /// Nothing given.
    pub fn new() -> Given {
        Given::default()
    }

    /// Takes one setting of `table`, checked.
    pub fn set(
        &mut self,
        table: &'static [Setting],
        name: &str,
        value: &str,
    ) -> Result<(), SettingError> {
        let setting = find(table, name)?;
        self.0.insert(setting.name, setting.check(value)?);
        Ok(())
    }

    /// Forgets one setting, so that its default holds again.
    pub fn unset(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// The value given, if one was.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// All that was given, in name order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// Takes every key of a TOML text; `a.b = 1` and `[a] b = 1` are the same setting. Gateways are
    /// none: [`GatewaySpec::read_toml`](crate::gateway::GatewaySpec::read_toml).
    pub fn read_toml(
        &mut self,
        table: &'static [Setting],
        text: &str,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let mut parsed: toml::Table = text.parse()?;
        if matches!(parsed.get("gateway"), Some(toml::Value::Array(_))) {
            parsed.remove("gateway");
        }
        self.take_toml(table, "", &parsed)?;
        Ok(())
    }

    fn take_toml(
        &mut self,
        table: &'static [Setting],
        prefix: &str,
        values: &toml::Table,
    ) -> Result<(), SettingError> {
        for (key, value) in values {
            let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
            match value {
                toml::Value::Table(inner) => self.take_toml(table, &name, inner)?,
                toml::Value::String(text) => self.set(table, &name, text)?,
                toml::Value::Integer(number) => self.set(table, &name, &number.to_string())?,
                toml::Value::Boolean(flag) => self.set(table, &name, &flag.to_string())?,
                toml::Value::Float(number) => self.set(table, &name, &number.to_string())?,
                toml::Value::Array(_) | toml::Value::Datetime(_) => {
                    find(table, &name)?;
                    return Err(SettingError::Kind { name, kind: value.type_str() });
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_passes_its_own_check() {
        for setting in BROKER.iter().chain(TOPIC) {
            assert_eq!(setting.check(setting.default).as_deref(), Ok(setting.default));
        }
    }

    #[test]
    fn a_topic_setting_inherits_an_equal_broker_default_or_does_nothing() {
        for setting in TOPIC {
            match setting.broker.map(|parent| find(BROKER, parent).expect("known")) {
                Some(parent) => {
                    assert_eq!((parent.default, parent.kind), (setting.default, setting.kind));
                }
                None => assert!(setting.doc.ends_with("has no effect."), "{}", setting.name),
            }
        }
    }

    #[test]
    fn what_kafkas_own_tools_set_is_accepted() {
        let tools = [
            ("delete.retention.ms", "100"),
            ("min.cleanable.dirty.ratio", "0.01"),
            ("segment.jitter.ms", "0"),
            ("unclean.leader.election.enable", "false"),
            ("remote.storage.enable", "false"),
            ("leader.replication.throttled.replicas", "0:1,1:1"),
        ];
        for (name, value) in tools {
            assert_eq!(Given::new().set(TOPIC, name, value), Ok(()), "{name}");
        }
        let refused = [("min.cleanable.dirty.ratio", "1.5"), ("remote.storage.enable", "true")];
        for (name, value) in refused {
            assert!(Given::new().set(TOPIC, name, value).is_err(), "{name}");
        }
    }

    #[test]
    fn segments_cannot_be_so_small_that_files_flood_the_directory() {
        assert!(Given::new().set(TOPIC, "segment.bytes", "65535").is_err());
        assert!(Given::new().set(BROKER, "log.segment.bytes", "64KiB").is_ok());
    }

    #[test]
    fn a_slip_is_met_with_a_suggestion() {
        let error = find(BROKER, "num.partition").expect_err("unknown");
        assert_eq!(
            error.to_string(),
            "unknown setting `num.partition`; did you mean `num.partitions`?"
        );
        let error = find(BROKER, "colour").expect_err("unknown");
        assert_eq!(error.to_string(), "unknown setting `colour`");
    }

    #[test]
    fn a_secret_is_kept_and_never_shown() {
        let mut given = Given::new();
        given.set(BROKER, "http.token", "s3cret-s3cret").expect("valid");
        given.set(BROKER, "node.id", "7").expect("valid");
        assert_eq!(given.get("http.token"), Some("s3cret-s3cret"));
        let told = format!("{given:?}");
        assert!(told.contains("node.id") && !told.contains("s3cret"), "{told}");
        let error = Given::new().set(BROKER, "http.token", "two words").expect_err("refused");
        assert!(!error.to_string().contains("two"), "{error}");
        assert_eq!(find(BROKER, "http.token").expect("known").shown(""), "", "not given");
    }

    #[test]
    fn both_toml_forms_name_the_same_setting() {
        let mut flat = Given::new();
        flat.read_toml(BROKER, "num.partitions = 4\nlog.segment.bytes = \"1MiB\"").expect("valid");
        let mut nested = Given::new();
        nested
            .read_toml(BROKER, "[num]\npartitions = 4\n[log.segment]\nbytes = 1048576")
            .expect("valid");
        assert_eq!(flat, nested);
        assert_eq!(flat.get("num.partitions"), Some("4"));
    }

    #[test]
    fn values_out_of_bounds_name_the_bounds() {
        let error = Given::new().set(BROKER, "num.partitions", "0").expect_err("refused");
        assert_eq!(
            error.to_string(),
            "`num.partitions` is `0`, but must be a whole number from 1 to 100000"
        );
        assert!(Given::new().set(BROKER, "log.segment.bytes", "9000000TiB").is_err());
    }
}
