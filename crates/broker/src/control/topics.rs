//! Topics: made, changed and deleted in the MetaStore first, in the log after.
//!
//! A crash between the two leaves a topic whose partitions do not exist yet (opening them at the
//! next start makes them) or directories that no topic claims (the next start names them).
//!
//! A request is checked as a whole, then committed as a whole, then acted on: one flush, and one
//! new snapshot, however many topics it names.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use chaski_kafka::ErrorCode;
use chaski_log::store::{Change, LogStore, MetaStore, PartitionId, PartitionSpec, StoreError};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Control, number};
use crate::cluster::{Cluster, Topic, TopicConfig, is_topic_name};
use crate::limits::PARTITIONS_PER_REQUEST_MAX;
use crate::settings::{Given, TOPIC};

/// A topic as the MetaStore holds it, in JSON under `topic/<name>`.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    id: Uuid,
    partitions: usize,
    config: BTreeMap<String, String>,
}

/// Why a topic was not made or changed.
pub(super) type Refused = (ErrorCode, String);

/// A topic that is to be made.
#[derive(Debug)]
pub(super) struct NewTopic {
    pub(super) name: String,
    pub(super) id: Uuid,
    pub(super) partitions: usize,
    pub(super) given: Given,
}

/// A topic that is to have more partitions, so many in all.
#[derive(Debug)]
pub(super) struct Growth {
    topic: Arc<Topic>,
    count: usize,
}

/// A topic that is to have other settings.
#[derive(Debug)]
pub(super) struct Changed {
    pub(super) topic: Arc<Topic>,
    pub(super) given: Given,
}

/// Topics and partitions there would be, counted while a request is checked.
#[derive(Debug)]
pub(super) struct Room {
    topics: usize,
    topics_max: usize,
    partitions: usize,
    partitions_max: usize,
    /// Partitions that this request may still make.
    new_max: usize,
}

impl Room {
    /// Counts a topic in, if it fits.
    pub(super) fn add_topic(&mut self, partitions: usize) -> Result<(), Refused> {
        if self.topics >= self.topics_max {
            let why = format!("limit of {} topics", self.topics_max);
            return Err((ErrorCode::POLICY_VIOLATION, why));
        }
        self.add_partitions(partitions)?;
        self.topics += 1;
        Ok(())
    }

    /// Counts partitions in, if they fit.
    fn add_partitions(&mut self, more: usize) -> Result<(), Refused> {
        let (total, max) = (self.partitions.saturating_add(more), self.partitions_max);
        if more == 0 || total > max {
            let why =
                format!("{more} partitions, must be at least 1 and at most {max} with all others");
            return Err((ErrorCode::INVALID_PARTITIONS, why));
        }
        let Some(left) = self.new_max.checked_sub(more) else {
            let why = format!("at most {PARTITIONS_PER_REQUEST_MAX} new partitions a request");
            return Err((ErrorCode::POLICY_VIOLATION, why));
        };
        self.new_max = left;
        self.partitions = total;
        Ok(())
    }
}

/// The names that occur more than once: nobody knows which of the two is meant.
pub(super) fn repeated<'a>(names: impl Iterator<Item = &'a str>) -> HashSet<&'a str> {
    let mut seen = HashSet::new();
    names.filter(|name| !seen.insert(*name)).collect()
}

/// The refusal of those.
pub(super) fn named_twice() -> Refused {
    (ErrorCode::INVALID_REQUEST, "named twice".to_owned())
}

pub(super) fn unknown(name: &str) -> Refused {
    (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, format!("no topic `{name}`"))
}

pub(super) fn code_of<T>(done: &Result<T, Refused>) -> ErrorCode {
    done.as_ref().err().map_or(ErrorCode::NONE, |(code, _)| *code)
}

pub(super) fn message_of<T>(done: &Result<T, Refused>) -> Option<&str> {
    done.as_ref().err().map(|(_, message)| message.as_str())
}

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
    /// What there is now and what there may be.
    pub(super) fn room(&self) -> Room {
        Room {
            topics: self.cluster.by_name.len(),
            topics_max: number(&self.broker.settings, "max.topics") as usize,
            partitions: self.cluster.partitions,
            partitions_max: number(&self.broker.settings, "max.partitions") as usize,
            new_max: PARTITIONS_PER_REQUEST_MAX,
        }
    }

    /// Checks whether a topic of this name could be made.
    pub(super) fn check_name(&self, name: &str) -> Result<(), Refused> {
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
        Ok(())
    }

    /// Makes the topics that were not refused.
    pub(super) fn make(
        &mut self,
        mut asked: Vec<Result<NewTopic, Refused>>,
    ) -> Vec<Result<NewTopic, Refused>> {
        let stored = |new: &NewTopic| put(&new.name, new.id, new.partitions, &new.given);
        let changes = asked.iter().flatten().map(stored).collect();
        self.commit_all(&mut asked, changes);
        asked.into_iter().map(|new| new.and_then(|new| self.open_new(new))).collect()
    }

    fn open_new(&mut self, new: NewTopic) -> Result<NewTopic, Refused> {
        let NewTopic { name, id, partitions, given } = &new;
        let config = TopicConfig::resolve(given, &self.broker.settings);
        match self.open_whole(specs(name, *id, 0..*partitions, &config)) {
            Ok(partitions) => {
                tracing::info!(topic = name, partitions = partitions.len(), "topic created");
                let (name, given) = (name.as_str().into(), given.clone());
                self.cluster.insert(Topic { name, id: *id, partitions, given, config });
                self.dirty = true;
                Ok(new)
            }
            Err(error) => {
                self.effects.changes.push(Change::Delete { key: key(name) });
                Err(failed(&error))
            }
        }
    }

    /// Deletes the topics that were not refused, with all their records and committed offsets.
    ///
    /// The offsets go in the same commit: were they to outlive the topic, one made anew under its
    /// name would inherit them.
    pub(super) fn delete(
        &mut self,
        mut asked: Vec<Result<Arc<Topic>, Refused>>,
    ) -> Vec<Result<Arc<Topic>, Refused>> {
        let deletes = |topic: &Arc<Topic>| {
            let mut changes = self.coordinator.offset_deletes(&topic.name);
            changes.push(Change::Delete { key: key(&topic.name) });
            changes
        };
        let changes = asked.iter().flatten().flat_map(deletes).collect();
        self.commit_all(&mut asked, changes);
        for topic in asked.iter().flatten() {
            self.coordinator.topic_deleted(&topic.name);
            self.cluster.remove(&topic.name);
            self.dirty = true;
        }
        // Shards must not look a partition up that is gone.
        self.publish();
        for topic in asked.iter().flatten() {
            self.delete_partitions(&topic.partitions);
            tracing::info!(topic = &*topic.name, "topic deleted");
        }
        asked
    }

    /// Checks whether a topic could be made to have `count` partitions.
    pub(super) fn check_growth(
        &self,
        name: &str,
        count: usize,
        room: &mut Room,
    ) -> Result<Growth, Refused> {
        let topic = self.topic(name)?;
        let had = topic.partitions.len();
        if count <= had {
            let why = format!("topic `{name}` has {had} partitions; the new count must be more");
            return Err((ErrorCode::INVALID_PARTITIONS, why));
        }
        room.add_partitions(count - had)?;
        Ok(Growth { topic, count })
    }

    /// Adds partitions to the topics that were not refused.
    pub(super) fn grow(
        &mut self,
        mut asked: Vec<Result<Growth, Refused>>,
    ) -> Vec<Result<(), Refused>> {
        let stored = |g: &Growth| put(&g.topic.name, g.topic.id, g.count, &g.topic.given);
        let changes = asked.iter().flatten().map(stored).collect();
        self.commit_all(&mut asked, changes);
        asked.into_iter().map(|growth| growth.and_then(|growth| self.open_more(&growth))).collect()
    }

    fn open_more(&mut self, Growth { topic, count }: &Growth) -> Result<(), Refused> {
        let had = topic.partitions.len();
        match self.open_whole(specs(&topic.name, topic.id, had..*count, &topic.config)) {
            Ok(more) => {
                self.cluster.insert(Topic {
                    name: topic.name.clone(),
                    id: topic.id,
                    partitions: topic.partitions.iter().copied().chain(more).collect(),
                    given: topic.given.clone(),
                    config: topic.config.clone(),
                });
                self.dirty = true;
                Ok(())
            }
            Err(error) => {
                self.effects.changes.push(put(&topic.name, topic.id, had, &topic.given));
                Err(failed(&error))
            }
        }
    }

    /// Puts other settings in the place of those of the topics that were not refused.
    pub(super) fn configure(
        &mut self,
        mut asked: Vec<Result<Changed, Refused>>,
    ) -> Vec<Result<(), Refused>> {
        let stored = |Changed { topic, given }: &Changed| {
            put(&topic.name, topic.id, topic.partitions.len(), given)
        };
        let changes = asked.iter().flatten().map(stored).collect();
        self.commit_all(&mut asked, changes);
        asked.into_iter().map(|changed| changed.and_then(|c| self.apply(c))).collect()
    }

    /// The new settings are on disk and hold, whatever a partition has to say to them.
    fn apply(&mut self, Changed { topic, given }: Changed) -> Result<(), Refused> {
        let config = TopicConfig::resolve(&given, &self.broker.settings);
        let mut applied = Ok(());
        for partition in &topic.partitions {
            applied = applied.and(self.broker.store.configure(*partition, &config.log));
        }
        self.cluster.insert(Topic {
            name: topic.name.clone(),
            id: topic.id,
            partitions: topic.partitions.clone(),
            given,
            config,
        });
        self.dirty = true;
        applied.map_err(|e| failed(&e))
    }

    /// Commits what is to become of all that was not refused. If that fails, all of it is.
    fn commit_all<T>(&mut self, asked: &mut [Result<T, Refused>], changes: Vec<Change>) {
        if changes.is_empty() {
            return;
        }
        if let Err(error) = self.commit(changes) {
            for one in asked.iter_mut().filter(|one| one.is_ok()) {
                *one = Err(failed(&error));
            }
        }
    }

    /// Opens partitions, all or none.
    fn open_whole(
        &self,
        specs: impl Iterator<Item = PartitionSpec>,
    ) -> Result<Vec<PartitionId>, StoreError> {
        let mut opened = Vec::new();
        for spec in specs {
            match self.broker.store.open(&spec) {
                Ok(partition) => opened.push(partition),
                Err(error) => {
                    tracing::error!(topic = spec.topic, index = spec.index, %error, "not opened");
                    self.delete_partitions(&opened);
                    return Err(error);
                }
            }
        }
        Ok(opened)
    }

    fn delete_partitions(&self, partitions: &[PartitionId]) {
        for partition in partitions {
            if let Err(error) = self.broker.store.delete(*partition) {
                tracing::warn!(%error, "cannot delete a partition's files");
            }
        }
    }

    /// The topic of this name.
    pub(super) fn topic(&self, name: &str) -> Result<Arc<Topic>, Refused> {
        self.cluster.by_name.get(name).cloned().ok_or_else(|| unknown(name))
    }

    /// Shows the shards the topics as they are now.
    pub(super) fn publish(&mut self) {
        if self.dirty {
            self.broker.cluster.store(Arc::new(self.cluster.clone()));
            self.dirty = false;
        }
    }
}
