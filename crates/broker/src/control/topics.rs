//! Topics: made, changed and deleted in the MetaStore first, in the log after.
//!
//! A crash between the two leaves a topic whose partitions do not exist yet (opening them at the
//! next start makes them) or directories that no topic claims (the next start removes them).

use std::collections::BTreeMap;

use chaski_kafka::ErrorCode;
use chaski_log::store::{Change, LogStore, MetaStore, PartitionId, PartitionSpec, StoreError};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Control, number};
use crate::cluster::{Cluster, Topic, TopicConfig, is_topic_name};
use crate::settings::{Given, TOPIC};

/// A topic as the MetaStore holds it, in JSON under `topic/<name>`.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    id: Uuid,
    partitions: usize,
    config: BTreeMap<String, String>,
}

/// Why a topic was not made or changed.
pub(crate) type Refused = (ErrorCode, String);

const PREFIX: &str = "topic/";

fn key(name: &str) -> String {
    format!("{PREFIX}{name}")
}

fn put(name: &str, id: Uuid, partitions: usize, given: &Given) -> Change {
    let config = given.iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    let stored = Stored { id, partitions, config };
    let value = serde_json::to_vec(&stored).expect("strings and numbers are JSON");
    Change::Put { key: key(name), value }
}

fn failed(error: &StoreError) -> Refused {
    (ErrorCode::KAFKA_STORAGE_ERROR, error.to_string())
}

/// Opens every topic the MetaStore knows.
pub(crate) fn load(
    meta: &mut dyn MetaStore,
    store: &dyn LogStore,
    broker: &Given,
) -> Result<Cluster, StoreError> {
    let mut found = Vec::new();
    for (key, value) in meta.scan(PREFIX)? {
        let name = key.strip_prefix(PREFIX).unwrap_or(&key).to_owned();
        let stored: Stored = serde_json::from_slice(&value)
            .map_err(|e| StoreError::Corrupt(format!("settings of topic {name}: {e}")))?;
        let mut given = Given::new();
        for (name, value) in &stored.config {
            // A setting that this version does not know must not keep the broker from starting.
            if let Err(error) = given.set(TOPIC, name, value) {
                tracing::warn!(%error, "topic setting ignored");
            }
        }
        let config = TopicConfig::resolve(&given, broker);
        found.push((name, stored, given, config));
    }
    let specs: Vec<PartitionSpec> = found
        .iter()
        .flat_map(|(name, stored, _, config)| specs(name, stored.id, 0..stored.partitions, config))
        .collect();
    let mut opened = open_all(store, &specs)?.into_iter();
    let mut cluster = Cluster::default();
    for (name, stored, given, config) in found {
        let partitions = opened.by_ref().take(stored.partitions).collect();
        cluster.insert(Topic { name: name.into(), id: stored.id, partitions, given, config });
    }
    Ok(cluster)
}

fn specs(
    name: &str,
    topic_id: Uuid,
    indexes: std::ops::Range<usize>,
    config: &TopicConfig,
) -> impl Iterator<Item = PartitionSpec> {
    let (topic, config) = (name.to_owned(), config.log.clone());
    indexes.map(move |index| PartitionSpec {
        topic: topic.clone(),
        topic_id,
        index: index as i32,
        config: config.clone(),
    })
}

/// Opens partitions on every core: after a crash each may have a tail to check.
fn open_all(store: &dyn LogStore, specs: &[PartitionSpec]) -> Result<Vec<PartitionId>, StoreError> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let share = specs.len().div_ceil(workers).max(1);
    std::thread::scope(|scope| {
        let threads: Vec<_> = specs
            .chunks(share)
            .map(|chunk| {
                scope.spawn(move || {
                    chunk.iter().map(|spec| store.open(spec)).collect::<Result<Vec<_>, _>>()
                })
            })
            .collect();
        let mut opened = Vec::with_capacity(specs.len());
        for thread in threads {
            opened.extend(thread.join().unwrap_or_else(|panic| {
                std::panic::resume_unwind(panic);
            })?);
        }
        Ok(opened)
    })
}

impl Control {
    /// Checks whether a topic of this name, size and settings could be made.
    pub(super) fn may_create(&self, name: &str, partitions: usize) -> Result<(), Refused> {
        if !is_topic_name(name) {
            let why = format!(
                "`{name}` is not a topic name: 1 to 249 of a-z A-Z 0-9 . _ -, not `.` or `..`"
            );
            return Err((ErrorCode::INVALID_TOPIC_EXCEPTION, why));
        }
        if self.cluster.by_name.contains_key(name) {
            let why = format!("topic `{name}` already exists");
            return Err((ErrorCode::TOPIC_ALREADY_EXISTS, why));
        }
        let topics_max = number(&self.broker.settings, "max.topics") as usize;
        if self.cluster.by_name.len() >= topics_max {
            return Err((ErrorCode::POLICY_VIOLATION, format!("limit of {topics_max} topics")));
        }
        self.may_add_partitions(partitions)
    }

    fn may_add_partitions(&self, more: usize) -> Result<(), Refused> {
        let max = number(&self.broker.settings, "max.partitions") as usize;
        if more == 0 || self.cluster.partitions.saturating_add(more) > max {
            let why =
                format!("{more} partitions, must be at least 1 and at most {max} with all others");
            return Err((ErrorCode::INVALID_PARTITIONS, why));
        }
        Ok(())
    }

    /// Makes a topic that [`Control::may_create`] has allowed.
    pub(super) fn create_topic(
        &mut self,
        name: &str,
        partitions: usize,
        given: Given,
    ) -> Result<Uuid, Refused> {
        let id = Uuid::new_v4();
        self.commit_now(put(name, id, partitions, &given)).map_err(|e| failed(&e))?;
        let config = TopicConfig::resolve(&given, &self.broker.settings);
        let opened = specs(name, id, 0..partitions, &config)
            .map(|spec| self.broker.store.open(&spec))
            .collect::<Result<Vec<_>, _>>();
        match opened {
            Ok(partitions) => {
                tracing::info!(topic = name, partitions = partitions.len(), "topic created");
                self.cluster.insert(Topic { name: name.into(), id, partitions, given, config });
                self.dirty = true;
                Ok(id)
            }
            Err(error) => {
                let _ = self.commit_now(Change::Delete { key: key(name) });
                Err(failed(&error))
            }
        }
    }

    /// Deletes a topic and all its records.
    pub(super) fn delete_topic(&mut self, name: &str) -> Result<(), Refused> {
        let unknown = || (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, format!("no topic `{name}`"));
        if !self.cluster.by_name.contains_key(name) {
            return Err(unknown());
        }
        self.commit_now(Change::Delete { key: key(name) }).map_err(|e| failed(&e))?;
        let topic = self.cluster.remove(name).ok_or_else(unknown)?;
        // Shards must not look a partition up that is gone.
        self.publish();
        for partition in &topic.partitions {
            if let Err(error) = self.broker.store.delete(*partition) {
                tracing::warn!(topic = name, %error, "cannot delete a partition's files");
            }
        }
        self.coordinator.topic_deleted(name, &mut self.effects);
        tracing::info!(topic = name, "topic deleted");
        Ok(())
    }

    /// Adds partitions until a topic has `count`.
    pub(super) fn grow_topic(
        &mut self,
        name: &str,
        count: usize,
        only_check: bool,
    ) -> Result<(), Refused> {
        let topic =
            self.cluster.by_name.get(name).cloned().ok_or_else(|| {
                (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, format!("no topic `{name}`"))
            })?;
        let had = topic.partitions.len();
        if count <= had {
            let why = format!("topic `{name}` has {had} partitions; the new count must be more");
            return Err((ErrorCode::INVALID_PARTITIONS, why));
        }
        self.may_add_partitions(count - had)?;
        if only_check {
            return Ok(());
        }
        let change = put(name, topic.id, count, &topic.given);
        self.commit_now(change).map_err(|e| failed(&e))?;
        let opened = specs(name, topic.id, had..count, &topic.config)
            .map(|spec| self.broker.store.open(&spec))
            .collect::<Result<Vec<_>, _>>();
        let opened = match opened {
            Ok(opened) => opened,
            Err(error) => {
                let _ = self.commit_now(put(name, topic.id, had, &topic.given));
                return Err(failed(&error));
            }
        };
        let partitions = topic.partitions.iter().copied().chain(opened).collect();
        self.cluster.insert(Topic {
            name: topic.name.clone(),
            id: topic.id,
            partitions,
            given: topic.given.clone(),
            config: topic.config.clone(),
        });
        self.dirty = true;
        Ok(())
    }

    /// Puts other settings in the place of a topic's.
    pub(super) fn configure_topic(&mut self, name: &str, given: Given) -> Result<(), Refused> {
        let topic =
            self.cluster.by_name.get(name).cloned().ok_or_else(|| {
                (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, format!("no topic `{name}`"))
            })?;
        let change = put(name, topic.id, topic.partitions.len(), &given);
        self.commit_now(change).map_err(|e| failed(&e))?;
        let config = TopicConfig::resolve(&given, &self.broker.settings);
        for partition in &topic.partitions {
            self.broker.store.configure(*partition, &config.log).map_err(|e| failed(&e))?;
        }
        self.cluster.insert(Topic {
            name: topic.name.clone(),
            id: topic.id,
            partitions: topic.partitions.clone(),
            given,
            config,
        });
        self.dirty = true;
        Ok(())
    }

    /// Shows the shards the topics as they are now.
    fn publish(&mut self) {
        self.broker.cluster.store(std::sync::Arc::new(self.cluster.clone()));
        self.dirty = false;
    }
}
