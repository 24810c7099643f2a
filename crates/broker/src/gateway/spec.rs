//! What a gateway is to be: a `[[gateway]]` table, a JSON object of the API, the flags of the
//! command line, all of the same names.

use std::fmt;

use chaski_zmq::Endpoint;
use chaski_zmq::endpoint::Address;
use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;

use super::frames::Frames;
use super::limits::{
    ENDPOINTS_MAX, HWM, HWM_MAX, MESSAGE_BYTES_LIMIT, MESSAGE_BYTES_MAX, NAME_CHARS_MAX,
    SUBSCRIPTIONS_MAX,
};
use super::security::Security;

/// A kind of gateway: which ZeroMQ socket it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GatewayKind {
    /// In: what PUSH sockets send becomes records. Nobody is told of them.
    Pull,
    /// In: what DEALER and REQ sockets send becomes records, and they are told the offsets.
    Router,
    /// In: what a PUB publishes becomes records.
    Sub,
    /// Out: records are published to SUB sockets.
    Pub,
    /// Out: each record goes to one of the PULL sockets, as a consumer group.
    Push,
}

impl GatewayKind {
    /// Its name, as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            GatewayKind::Pull => "pull",
            GatewayKind::Router => "router",
            GatewayKind::Sub => "sub",
            GatewayKind::Pub => "pub",
            GatewayKind::Push => "push",
        }
    }

    /// Which way messages go.
    pub fn direction(self) -> Direction {
        match self {
            GatewayKind::Pull | GatewayKind::Router | GatewayKind::Sub => Direction::In,
            GatewayKind::Pub | GatewayKind::Push => Direction::Out,
        }
    }
}

impl fmt::Display for GatewayKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which way messages go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From ZeroMQ into a topic.
    In,
    /// From a topic to ZeroMQ.
    Out,
}

/// Where a gateway begins to read that has committed nothing yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum From {
    /// At the oldest record kept.
    Earliest,
    /// Behind the newest record.
    #[default]
    Latest,
}

/// When a record counts as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Acks {
    /// As the broker's `acks.one` says: once the page cache has it.
    #[default]
    One,
    /// As the broker's `acks.all` says: once the disk has it.
    All,
}

/// What the first frame of a published message is: what a SUB subscribes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TopicFrame {
    /// The topic's name.
    #[default]
    Topic,
    /// The record's key; empty if it has none.
    Key,
}

/// What a gateway is to be. Read with serde, from TOML or JSON; see `docs/gateways.md`.
///
/// ```
/// use chaski_broker::gateway::{GatewayKind, GatewaySpec};
///
/// let text = r#"
///     name = "intake"
///     kind = "pull"
///     bind = "tcp://127.0.0.1:5555"
///     topic = "orders"
///     frames = "key,value"
/// "#;
/// let spec: GatewaySpec = toml::from_str(text)?;
/// assert_eq!(spec.kind, GatewayKind::Pull);
/// spec.check()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct GatewaySpec {
    /// By which it is known: letters, digits, `.`, `_` and `-`.
    pub name: String,
    /// Which ZeroMQ socket it is.
    pub kind: GatewayKind,
    /// Endpoints it listens on; one may be written without the brackets of a list.
    #[serde(default, deserialize_with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub bind: Vec<String>,
    /// Endpoints it connects to.
    #[serde(default, deserialize_with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub connect: Vec<String>,
    /// The topic. May be left out if each message names its own (`frames` has `topic`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// How frames map to a record. Default `value`; of a SUB `key,value`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frames: Option<Frames>,
    /// The consumer group whose offsets are committed: of a PUSH; of a PUB that is to go on after
    /// a restart where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// What a SUB subscribes to: prefixes of the first frame. Default: everything.
    #[serde(default, deserialize_with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub subscribe: Vec<String>,
    /// Whether subscribers of a PUB may ask for what was before.
    #[serde(default)]
    pub history: bool,
    /// What the first frame of a published message is.
    #[serde(default)]
    pub topic_frame: TopicFrame,
    /// Where a PUB or PUSH begins that has committed nothing yet.
    #[serde(default)]
    pub from: From,
    /// When a record that came in counts as stored.
    #[serde(default)]
    pub acks: Acks,
    /// Messages that may wait for each peer, either way.
    #[serde(default = "default_hwm")]
    pub hwm: u32,
    /// Longest frame taken, in bytes; who sends a longer one is disconnected.
    #[serde(default = "default_message_bytes_max")]
    pub message_bytes_max: u64,
    /// How long a PUSH holds back the offset of a message that has left, in milliseconds: if a
    /// worker's connection is lost in that time, the message is sent again.
    #[serde(default = "default_settle_ms")]
    pub settle_ms: u64,
    /// How far a PUB may fall behind because it waits for subscribers that are full, in
    /// milliseconds, before they lose messages. 0: they lose them at once.
    #[serde(default = "default_patience_ms")]
    pub patience_ms: u64,
    /// Who may connect, or who we are where we connect. Default: nobody is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security: Option<Security>,
}

fn default_hwm() -> u32 {
    HWM
}

fn default_message_bytes_max() -> u64 {
    MESSAGE_BYTES_MAX
}

fn default_settle_ms() -> u64 {
    1000
}

fn default_patience_ms() -> u64 {
    250
}

/// Takes `"a"` for `["a"]`.
fn one_or_many<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    Ok(match OneOrMany::deserialize(from)? {
        OneOrMany::One(one) => vec![one],
        OneOrMany::Many(many) => many,
    })
}

/// Why a gateway cannot be as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
#[error("gateway `{gateway}`: {why}")]
pub struct SpecError {
    /// Its name, as far as it has one.
    pub gateway: String,
    /// What is wrong.
    pub why: String,
}

impl GatewaySpec {
    /// One with this name, kind and topic, and the defaults for everything else.
    pub fn new(name: &str, kind: GatewayKind, topic: &str) -> GatewaySpec {
        GatewaySpec {
            name: name.to_owned(),
            kind,
            bind: Vec::new(),
            connect: Vec::new(),
            topic: Some(topic.to_owned()),
            frames: None,
            group: None,
            subscribe: Vec::new(),
            history: false,
            topic_frame: TopicFrame::default(),
            from: From::default(),
            acks: Acks::default(),
            hwm: default_hwm(),
            message_bytes_max: default_message_bytes_max(),
            settle_ms: default_settle_ms(),
            patience_ms: default_patience_ms(),
            security: None,
        }
    }

    /// Adds an endpoint to listen on.
    #[must_use]
    pub fn bind(mut self, endpoint: &str) -> GatewaySpec {
        self.bind.push(endpoint.to_owned());
        self
    }

    /// Adds an endpoint to connect to.
    #[must_use]
    pub fn connect(mut self, endpoint: &str) -> GatewaySpec {
        self.connect.push(endpoint.to_owned());
        self
    }

    /// Reads the `[[gateway]]` tables of a configuration file, and checks them.
    ///
    /// # Errors
    /// What is wrong with the first that is wrong.
    pub fn read_toml(text: &str) -> Result<Vec<GatewaySpec>, SpecError> {
        let wrong = |gateway: &str, why: &dyn fmt::Display| SpecError {
            gateway: gateway.to_owned(),
            why: why.to_string().trim_end().to_owned(),
        };
        let mut file: toml::Table = text.parse().map_err(|e| wrong("", &e))?;
        let tables = match file.remove("gateway") {
            None => return Ok(Vec::new()),
            Some(toml::Value::Array(tables)) => tables,
            Some(_) => return Err(wrong("", &"gateways are written as [[gateway]] tables")),
        };
        let mut specs = Vec::with_capacity(tables.len());
        for table in tables {
            let name = table.get("name").and_then(toml::Value::as_str).unwrap_or("").to_owned();
            let spec: GatewaySpec = table.try_into().map_err(|e| wrong(&name, &e))?;
            spec.check()?;
            specs.push(spec);
        }
        Ok(specs)
    }

    /// How frames map to a record, the default included.
    pub fn frames(&self) -> Frames {
        self.frames.clone().unwrap_or_else(|| match self.kind {
            GatewayKind::Sub => Frames::key_value(),
            _ => Frames::value(),
        })
    }

    /// Whether each message names its topic.
    pub(crate) fn names_topics(&self) -> bool {
        self.kind.direction() == Direction::In && self.frames().has_topic()
    }

    /// Whether it makes sense.
    ///
    /// # Errors
    /// The first thing that does not.
    pub fn check(&self) -> Result<(), SpecError> {
        self.check_name()
            .and_then(|()| self.check_endpoints())
            .and_then(|()| self.check_topic())
            .and_then(|()| self.check_fitting())
            .and_then(|()| self.check_bounds())
            .and_then(|()| self.security.as_ref().map_or(Ok(()), |s| s.check(self)))
            .map_err(|why| SpecError { gateway: self.name.clone(), why })
    }

    fn check_name(&self) -> Result<(), String> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let count = self.name.chars().count();
        if !(1..=NAME_CHARS_MAX).contains(&count) || !self.name.chars().all(fits) {
            return Err(format!(
                "a name is 1 to {NAME_CHARS_MAX} letters, digits, `.`, `_` and `-`"
            ));
        }
        Ok(())
    }

    fn check_endpoints(&self) -> Result<(), String> {
        let count = self.bind.len() + self.connect.len();
        if !(1..=ENDPOINTS_MAX).contains(&count) {
            return Err(format!("it needs 1 to {ENDPOINTS_MAX} endpoints, in `bind` or `connect`"));
        }
        for text in self.bind.iter().chain(&self.connect) {
            let endpoint: Endpoint = text.parse().map_err(|e| format!("{e}"))?;
            if matches!(endpoint.address(), Address::Inproc(_)) {
                return Err(format!("nobody outside of this process can reach {text}"));
            }
            if self.kind == GatewayKind::Push && matches!(endpoint.address(), Address::Shm(_)) {
                return Err("a push goes by tcp or ipc: what left by shm is not counted".to_owned());
            }
        }
        Ok(())
    }

    fn check_topic(&self) -> Result<(), String> {
        match &self.topic {
            Some(topic) if topic.is_empty() => Err("`topic` is empty".to_owned()),
            Some(_) => Ok(()),
            None if self.names_topics() => Ok(()),
            None => Err("it needs a `topic`".to_owned()),
        }
    }

    /// What has no meaning for this kind is refused: it would look as if it did something.
    fn check_fitting(&self) -> Result<(), String> {
        use GatewayKind::{Pub, Push, Sub};
        let out = self.kind.direction() == Direction::Out;
        let unfit = [
            (self.kind != Sub && !self.subscribe.is_empty(), "subscribe", "a sub"),
            (self.kind != Pub && self.history, "history", "a pub"),
            (self.kind != Pub && self.topic_frame != TopicFrame::Topic, "topic_frame", "a pub"),
            (!out && self.group.is_some(), "group", "a push or pub"),
            (!out && self.from != From::Latest, "from", "a push or pub"),
            (out && self.acks != Acks::One, "acks", "a pull, router or sub"),
        ];
        if let Some((_, option, owner)) = unfit.iter().find(|(wrong, ..)| *wrong) {
            return Err(format!("`{option}` is for {owner}, this is a {}", self.kind));
        }
        if self.kind == Push && self.group.as_ref().is_none_or(String::is_empty) {
            return Err("a push needs a `group`, whose offsets say what is done".to_owned());
        }
        self.frames().check(self.kind.direction())
    }

    fn check_bounds(&self) -> Result<(), String> {
        if self.subscribe.len() > SUBSCRIPTIONS_MAX {
            return Err(format!("it may have {SUBSCRIPTIONS_MAX} subscriptions at most"));
        }
        if !(1..=HWM_MAX).contains(&self.hwm) {
            return Err(format!("`hwm` is {}, but must be 1 to {HWM_MAX}", self.hwm));
        }
        if !(1..=MESSAGE_BYTES_LIMIT).contains(&self.message_bytes_max) {
            return Err(format!("`message_bytes_max` must be 1 to {MESSAGE_BYTES_LIMIT}"));
        }
        if self.settle_ms > 3_600_000 {
            return Err("`settle_ms` must be an hour at most".to_owned());
        }
        if self.patience_ms > 60_000 {
            return Err("`patience_ms` must be a minute at most".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<GatewaySpec, SpecError> {
        GatewaySpec::read_toml(&format!("[[gateway]]\n{body}")).map(|mut specs| specs.remove(0))
    }

    const INTAKE: &str = "name = 'in'\nkind = 'pull'\nbind = 'tcp://127.0.0.1:*'\ntopic = 't'";

    #[test]
    fn a_table_needs_little_and_the_rest_has_defaults() {
        let spec = read(INTAKE).expect("valid");
        assert_eq!(spec, GatewaySpec::new("in", GatewayKind::Pull, "t").bind("tcp://127.0.0.1:*"));
        assert_eq!(spec.frames().to_string(), "value");
        let json = serde_json::to_string(&spec).expect("json");
        assert_eq!(serde_json::from_str::<GatewaySpec>(&json).expect("the same"), spec);
    }

    #[test]
    fn other_keys_of_the_file_are_not_ours() {
        assert_eq!(GatewaySpec::read_toml("num.partitions = 3"), Ok(Vec::new()));
        assert!(GatewaySpec::read_toml("gateway = 3").is_err());
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_the_reason() {
        let wrong = [
            ("", "missing field `name`"),
            ("name = 'a/b'\nkind = 'pull'\nbind = 'tcp://*:1'\ntopic = 't'", "a name is 1 to 64"),
            ("name = 'a'\nkind = 'pull'\ntopic = 't'", "1 to 16 endpoints"),
            ("name = 'a'\nkind = 'pull'\nbind = 'inproc://x'\ntopic = 't'", "can reach inproc://x"),
            ("name = 'a'\nkind = 'pull'\nbind = 'http://x'\ntopic = 't'", "is no endpoint"),
            ("name = 'a'\nkind = 'pull'\nbind = 'tcp://*:1'", "needs a `topic`"),
            ("name = 'a'\nkind = 'push'\nbind = 'tcp://*:1'\ntopic = 't'", "needs a `group`"),
        ];
        for (text, why) in wrong {
            let error = read(text).expect_err(text).to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
        let extra = [
            ("history = true", "`history` is for a pub"),
            ("group = 'g'", "`group` is for a push or pub"),
            ("subscribe = 'x'", "`subscribe` is for a sub"),
            ("from = 'earliest'", "`from` is for a push or pub"),
            ("frames = 'key'", "must have `value`"),
            ("frames = 'position,value'", "`position` is for gateways out"),
            ("hwm = 0", "`hwm` is 0"),
            ("patience_ms = 60001", "a minute at most"),
            ("colour = 1", "unknown field `colour`"),
            ("acks = 'two'", "unknown variant `two`"),
        ];
        for (line, why) in extra {
            let error = read(&format!("{INTAKE}\n{line}")).expect_err(line).to_string();
            assert!(error.contains(why), "{line}: {error}");
        }
    }

    #[test]
    fn the_topic_may_come_with_each_message() {
        let spec = read("name = 'a'\nkind = 'pull'\nbind = 'tcp://*:1'\nframes = 'topic,value'");
        assert!(spec.expect("valid").names_topics());
    }
}
