//! What every shard knows of the topics: an immutable snapshot, replaced whole by the control
//! thread, read without a lock.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use chaski_log::store::{LogConfig, PartitionId};
use uuid::Uuid;

use crate::settings::{self, Given, TOPIC};

/// A topic.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) name: Arc<str>,
    pub(crate) id: Uuid,
    /// The store's name for each partition, by partition number.
    pub(crate) partitions: Vec<PartitionId>,
    /// Settings given for this topic.
    pub(crate) given: Given,
    /// The same with defaults filled in, ready for use.
    pub(crate) config: TopicConfig,
}

impl Topic {
    /// The store's name for partition `index`, if there is one.
    pub(crate) fn partition(&self, index: i32) -> Option<PartitionId> {
        self.partitions.get(usize::try_from(index).ok()?).copied()
    }
}

/// The settings of a topic that the shards act on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TopicConfig {
    pub(crate) max_message_bytes: usize,
    pub(crate) log_append_time: bool,
    pub(crate) timestamp_before_max_ms: i64,
    pub(crate) timestamp_after_max_ms: i64,
    /// Records must have keys.
    pub(crate) compacted: bool,
    pub(crate) log: LogConfig,
}

impl TopicConfig {
    /// Fills in what `topic` does not say from `broker`, and what that does not say from the
    /// defaults.
    pub(crate) fn resolve(topic: &Given, broker: &Given) -> TopicConfig {
        let text = |name: &str| effective(topic, broker, name).0;
        let number = |name: &str| text(name).parse::<i64>().unwrap_or_default();
        let limit = |name: &str| u64::try_from(number(name)).ok();
        let ms = |name: &str| limit(name).map(Duration::from_millis);
        let policy = text("cleanup.policy");
        // What is only compacted loses nothing to age or size.
        let deletes = policy.contains("delete");
        TopicConfig {
            max_message_bytes: limit("max.message.bytes").unwrap_or(0) as usize,
            log_append_time: text("message.timestamp.type") == "LogAppendTime",
            timestamp_before_max_ms: number("message.timestamp.before.max.ms"),
            timestamp_after_max_ms: number("message.timestamp.after.max.ms"),
            compacted: policy.contains("compact"),
            log: LogConfig {
                segment_bytes: limit("segment.bytes").unwrap_or(u64::MAX),
                segment_age: ms("segment.ms").unwrap_or(Duration::MAX),
                retention_bytes: limit("retention.bytes").filter(|_| deletes),
                retention_age: ms("retention.ms").filter(|_| deletes),
                index_interval_bytes: number("index.interval.bytes") as u32,
                flush_bytes: limit("flush.bytes").unwrap_or(u64::MAX),
                flush_age: ms("flush.ms").unwrap_or(Duration::MAX),
            },
        }
    }
}

/// Where the value of a setting comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Given for the topic.
    Topic,
    /// Given for the broker: by its file, environment or flags.
    Broker,
    /// Given by nobody.
    Default,
}

/// The value of a topic setting that holds, and where it comes from.
pub(crate) fn effective<'a>(topic: &'a Given, broker: &'a Given, name: &str) -> (&'a str, Source) {
    let setting = settings::find(TOPIC, name).expect("a name from the table");
    if let Some(value) = topic.get(name) {
        return (value, Source::Topic);
    }
    match setting.broker.and_then(|parent| broker.get(parent)) {
        Some(value) => (value, Source::Broker),
        None => (setting.default, Source::Default),
    }
}

/// All topics at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cluster {
    pub(crate) by_name: BTreeMap<Arc<str>, Arc<Topic>>,
    pub(crate) by_id: HashMap<Uuid, Arc<Topic>>,
    pub(crate) partitions: usize,
}

impl Cluster {
    /// Adds a topic, or puts a changed one in the place of the old.
    pub(crate) fn insert(&mut self, topic: Topic) {
        let topic = Arc::new(topic);
        self.remove(&topic.name);
        self.partitions += topic.partitions.len();
        self.by_id.insert(topic.id, topic.clone());
        self.by_name.insert(topic.name.clone(), topic);
    }

    /// Takes a topic out.
    pub(crate) fn remove(&mut self, name: &str) -> Option<Arc<Topic>> {
        let topic = self.by_name.remove(name)?;
        self.by_id.remove(&topic.id);
        self.partitions -= topic.partitions.len();
        Some(topic)
    }
}

/// Longest topic name: a directory name must hold it with a partition number.
pub(crate) const TOPIC_NAME_MAX: usize = 249;

/// Whether Kafka allows this topic name.
pub(crate) fn is_topic_name(name: &str) -> bool {
    (1..=TOPIC_NAME_MAX).contains(&name.len())
        && name != "."
        && name != ".."
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::BROKER;

    #[test]
    fn a_topic_setting_beats_the_brokers_and_that_the_default() {
        let mut broker = Given::new();
        broker.set(BROKER, "log.retention.ms", "5").expect("valid");
        broker.set(BROKER, "message.max.bytes", "7000").expect("valid");
        let mut topic = Given::new();
        topic.set(TOPIC, "retention.ms", "-1").expect("valid");
        let config = TopicConfig::resolve(&topic, &broker);
        assert_eq!(config.log.retention_age, None);
        assert_eq!(config.max_message_bytes, 7000);
        assert_eq!(config.log.segment_bytes, 256 << 20);
        assert_eq!(effective(&topic, &broker, "segment.ms").1, Source::Default);
    }

    #[test]
    fn retention_deletes_only_where_the_policy_says_delete() {
        let retention = |policy: &str| {
            let mut topic = Given::new();
            for (name, value) in
                [("cleanup.policy", policy), ("retention.ms", "5"), ("retention.bytes", "7")]
            {
                topic.set(TOPIC, name, value).expect("valid");
            }
            let log = TopicConfig::resolve(&topic, &Given::new()).log;
            (log.retention_age, log.retention_bytes)
        };
        let limited = (Some(Duration::from_millis(5)), Some(7));
        assert_eq!(retention("delete"), limited);
        assert_eq!(retention("compact,delete"), limited);
        assert_eq!(retention("compact"), (None, None), "compaction keeps the last of each key");
    }

    #[test]
    fn topic_names_are_kafkas() {
        assert!(is_topic_name("a.b_c-1"));
        for bad in ["", ".", "..", "a/b", "a b", &"x".repeat(250)] {
            assert!(!is_topic_name(bad), "{bad}");
        }
    }
}
