//! Topics: looked up in the snapshot, changed by the control thread.

use std::fmt;
use std::sync::Arc;

use chaski_kafka::describe_configs::TOPIC as TOPIC_RESOURCE;
use chaski_kafka::{
    ErrorCode, create_partitions, create_topics, delete_records, delete_topics,
    incremental_alter_configs as incremental,
};
use chaski_log::store::{
    OffsetFound, OffsetQuery, Offsets, PartitionId, PartitionStats, StoreError,
};
use uuid::Uuid;

use super::{Client, ClientError};
use crate::cluster::{self, Source, effective};
use crate::nearest;
use crate::settings::{BROKER, Setting, TOPIC};

/// A topic as it was when it was asked for. Cheap to clone.
#[derive(Clone)]
pub struct Topic {
    topic: Arc<cluster::Topic>,
}

impl Topic {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.topic.name
    }

    /// Its id: a topic made anew under an old name has another.
    pub fn id(&self) -> Uuid {
        self.topic.id
    }

    /// Its partitions; they count from 0.
    pub fn partitions(&self) -> usize {
        self.topic.partitions.len()
    }

    pub(super) fn into_inner(self) -> Arc<cluster::Topic> {
        self.topic
    }

    /// The settings given for it, by name.
    pub fn settings(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.topic.given.iter()
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topic")
            .field("name", &self.name())
            .field("id", &self.id())
            .field("partitions", &self.partitions())
            .finish()
    }
}

/// A setting, the value that holds, and where that comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SettingValue {
    /// Its name.
    pub name: &'static str,
    /// The value that holds; [`HIDDEN`](crate::settings::HIDDEN) for a secret that was given.
    pub value: String,
    /// The value that holds if nobody gives one.
    pub default: &'static str,
    /// Who has given the value.
    pub source: Source,
    /// What it does, one sentence.
    pub doc: &'static str,
}

impl SettingValue {
    fn new(setting: &Setting, value: &str, source: Source) -> SettingValue {
        let Setting { name, default, doc, .. } = *setting;
        SettingValue { name, value: setting.shown(value).to_owned(), default, source, doc }
    }
}

impl Client {
    /// All topics, by name.
    pub fn topics(&self) -> Vec<Topic> {
        let cluster = self.broker.cluster.load();
        cluster.by_name.values().map(|topic| Topic { topic: topic.clone() }).collect()
    }

    /// The topic of this name.
    pub fn topic(&self, name: &str) -> Option<Topic> {
        let topic = self.broker.cluster.load().by_name.get(name).cloned()?;
        Some(Topic { topic })
    }

    /// Makes a topic, with `num.partitions` partitions if no count is given, and these settings
    /// (names and values as in [`settings::TOPIC`](crate::settings::TOPIC)).
    ///
    /// # Errors
    /// [`ClientError::Refused`]: TOPIC_ALREADY_EXISTS, INVALID_TOPIC_EXCEPTION (the name),
    /// INVALID_PARTITIONS, INVALID_CONFIG, POLICY_VIOLATION (too many topics).
    pub fn create_topic(
        &self,
        name: &str,
        partitions: Option<u32>,
        settings: &[(&str, &str)],
    ) -> Result<Topic, ClientError> {
        // Beyond all bounds is beyond the broker's.
        let count = |n| i32::try_from(n).unwrap_or(i32::MAX);
        let topic = create_topics::RequestTopic {
            name,
            num_partitions: partitions.map_or(-1, count),
            replication_factor: -1,
            configs: settings
                .iter()
                .map(|&(name, value)| create_topics::RequestConfig { name, value: Some(value) })
                .collect(),
            ..Default::default()
        };
        let request = create_topics::Request { topics: vec![topic], ..Default::default() };
        self.call(7, &request, |response| {
            sole(response.topics.first().map(|topic| (topic.error_code, topic.error_message)))
        })??;
        self.known(name)
    }

    /// Deletes a topic with all its records, and the offsets groups have committed of it.
    ///
    /// # Errors
    /// [`ClientError::UnknownTopic`].
    pub fn delete_topic(&self, name: &str) -> Result<(), ClientError> {
        let id = self.known(name)?.id();
        let topic = delete_topics::RequestTopic { name: None, topic_id: id };
        let request = delete_topics::Request { topics: vec![topic], ..Default::default() };
        self.call(6, &request, |response| {
            sole(response.responses.first().map(|topic| (topic.error_code, topic.error_message)))
        })?
    }

    /// Changes settings of a topic, which hold at once; None gives one back its default.
    ///
    /// # Errors
    /// [`ClientError::UnknownTopic`]; [`ClientError::Refused`]: INVALID_CONFIG.
    pub fn alter_topic(
        &self,
        name: &str,
        settings: &[(&str, Option<&str>)],
    ) -> Result<Topic, ClientError> {
        self.known(name)?;
        let config = |&(name, value)| incremental::Config {
            name,
            config_operation: match value {
                Some(_) => incremental::SET,
                None => incremental::DELETE,
            },
            value,
        };
        let resource = incremental::RequestResource {
            resource_type: TOPIC_RESOURCE,
            resource_name: name,
            configs: settings.iter().map(config).collect(),
        };
        let request = incremental::Request { resources: vec![resource], validate_only: false };
        self.call(1, &request, |response| {
            sole(response.responses.first().map(|r| (r.error_code, r.error_message)))
        })??;
        self.known(name)
    }

    /// Gives a topic more partitions, so many in all.
    ///
    /// # Errors
    /// [`ClientError::UnknownTopic`]; [`ClientError::Refused`]: INVALID_PARTITIONS.
    pub fn grow_topic(&self, name: &str, partitions: u32) -> Result<Topic, ClientError> {
        self.known(name)?;
        let count = i32::try_from(partitions).unwrap_or(i32::MAX);
        let topic = create_partitions::RequestTopic { name, count, assignments: None };
        let request = create_partitions::Request { topics: vec![topic], ..Default::default() };
        self.call(3, &request, |response| {
            sole(response.results.first().map(|topic| (topic.error_code, topic.error_message)))
        })??;
        self.known(name)
    }

    /// Deletes the records of a partition before `offset`; -1: all there are. Returns the oldest
    /// offset left.
    ///
    /// # Errors
    /// [`ClientError::UnknownTopic`], [`ClientError::UnknownPartition`];
    /// [`ClientError::Refused`]: OFFSET_OUT_OF_RANGE.
    pub fn delete_records(
        &self,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> Result<i64, ClientError> {
        self.partition(topic, partition)?;
        let one = delete_records::RequestPartition { partition_index: partition, offset };
        let topic = delete_records::RequestTopic { name: topic, partitions: vec![one] };
        let request = delete_records::Request { topics: vec![topic], ..Default::default() };
        self.call(2, &request, |response| {
            let partition = response.topics.first().and_then(|topic| topic.partitions.first());
            sole(partition.map(|p| (p.error_code, None)))?;
            Ok(partition.map_or(-1, |p| p.low_watermark))
        })?
    }

    /// The settings of a topic: those given, and the broker's or the defaults for all others.
    ///
    /// # Errors
    /// [`ClientError::UnknownTopic`].
    pub fn topic_settings(&self, name: &str) -> Result<Vec<SettingValue>, ClientError> {
        let Topic { topic } = self.known(name)?;
        let setting = |setting: &Setting| {
            let (value, source) = effective(&topic.given, &self.broker.settings, setting.name);
            SettingValue::new(setting, value, source)
        };
        Ok(TOPIC.iter().map(setting).collect())
    }

    /// The settings of the broker.
    pub fn settings(&self) -> Vec<SettingValue> {
        let setting = |setting: &Setting| match self.broker.settings.get(setting.name) {
            Some(value) => SettingValue::new(setting, value, Source::Broker),
            None => SettingValue::new(setting, setting.default, Source::Default),
        };
        BROKER.iter().map(setting).collect()
    }

    /// The offsets that bound a partition.
    ///
    /// # Errors
    /// [`ClientError::UnknownTopic`], [`ClientError::UnknownPartition`].
    pub fn offsets(&self, topic: &str, partition: i32) -> Result<Offsets, ClientError> {
        let (_, id) = self.partition(topic, partition)?;
        self.broker.store.offsets(id).map_err(|e| self.of_store(&e, topic))
    }

    /// Facts about a partition, for people.
    ///
    /// # Errors
    /// [`ClientError::UnknownTopic`], [`ClientError::UnknownPartition`].
    pub fn stats(&self, topic: &str, partition: i32) -> Result<PartitionStats, ClientError> {
        let (_, id) = self.partition(topic, partition)?;
        self.broker.store.stats(id).map_err(|e| self.of_store(&e, topic))
    }

    /// Looks an offset up; None: no record is that young.
    ///
    /// # Errors
    /// [`ClientError::UnknownTopic`], [`ClientError::UnknownPartition`],
    /// [`ClientError::Storage`].
    pub fn find_offset(
        &self,
        topic: &str,
        partition: i32,
        query: OffsetQuery,
    ) -> Result<Option<OffsetFound>, ClientError> {
        self.check_running()?;
        let (_, id) = self.partition(topic, partition)?;
        self.broker.store.find(id, query).map_err(|e| self.of_store(&e, topic))
    }

    /// The topic of this name, or an error that names the one most like it.
    pub(super) fn known(&self, name: &str) -> Result<Topic, ClientError> {
        self.topic(name).ok_or_else(|| self.unknown(name))
    }

    fn unknown(&self, name: &str) -> ClientError {
        let cluster = self.broker.cluster.load();
        let nearest = nearest(name, cluster.by_name.keys().map(|known| &**known));
        ClientError::UnknownTopic { topic: name.to_owned(), nearest: nearest.map(str::to_owned) }
    }

    /// A partition, and the store's name for it.
    pub(crate) fn partition(
        &self,
        name: &str,
        partition: i32,
    ) -> Result<(Arc<cluster::Topic>, PartitionId), ClientError> {
        let Topic { topic } = self.known(name)?;
        match topic.partition(partition) {
            Some(id) => Ok((topic, id)),
            None => {
                let partitions = topic.partitions.len();
                Err(ClientError::UnknownPartition { topic: name.to_owned(), partition, partitions })
            }
        }
    }

    fn of_store(&self, error: &StoreError, topic: &str) -> ClientError {
        match error {
            StoreError::NotFound => self.unknown(topic),
            other => ClientError::Storage(other.into()),
        }
    }
}

/// What became of the one thing a request was about.
fn sole(answer: Option<(ErrorCode, Option<&str>)>) -> Result<(), ClientError> {
    match answer {
        Some((ErrorCode::NONE, _)) => Ok(()),
        Some((code, message)) => Err(ClientError::refused(code, message)),
        None => Err(ClientError::refused(ErrorCode::UNKNOWN_SERVER_ERROR, None)),
    }
}
