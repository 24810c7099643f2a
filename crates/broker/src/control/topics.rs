//! Topics: made, changed and deleted in the MetaStore first, in the log after.
//!
//! A crash between the two leaves a topic whose partitions do not exist yet (opening them at the
//! next start makes them) or directories that no topic claims (the next start names them).
//!
//! A request is checked as a whole, then committed as a whole, then acted on by the files thread,
//! then shown: one flush, and one new snapshot, however many topics it names. A topic on its way
//! out is hidden before its partitions go, so that nobody looks up what is no more.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use chaski_kafka::ErrorCode;
use chaski_log::store::{Change, LogStore, MetaStore, PartitionSpec, StoreError};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::partitions::{self, Opened, open_all, specs};
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

    /// Makes the topics that were not refused, then hands what became of all to `then`.
    pub(super) fn make(
        &mut self,
        mut asked: Vec<Result<NewTopic, Refused>>,
        then: impl FnOnce(&mut Control, Vec<Result<NewTopic, Refused>>) + Send + 'static,
    ) {
        let stored = |new: &NewTopic| put(&new.name, new.id, new.partitions, &new.given);
        let changes = asked.iter().flatten().map(stored).collect();
        self.commit_all(&mut asked, changes);
        let wanted = asked.into_iter().map(|new| {
            let new = new?;
            let config = TopicConfig::resolve(&new.given, &self.broker.settings);
            let specs = specs(&new.name, new.id, 0..new.partitions, &config).collect();
            Ok((new, specs))
        });
        self.open_each(wanted.collect(), move |control, opened| {
            let made = opened.into_iter().map(|one| {
                let (new, opened) = one?;
                control.show_new(new, opened)
            });
            let made = made.collect();
            then(control, made);
        });
    }

    fn show_new(&mut self, new: NewTopic, opened: Opened) -> Result<NewTopic, Refused> {
        let NewTopic { name, id, given, .. } = &new;
        match opened {
            Ok(partitions) => {
                tracing::info!(topic = name, partitions = partitions.len(), "topic created");
                let config = TopicConfig::resolve(given, &self.broker.settings);
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
        then: impl FnOnce(&mut Control, Vec<Result<Arc<Topic>, Refused>>) + Send + 'static,
    ) {
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
        let job = move |store: &dyn LogStore| {
            for topic in asked.iter().flatten() {
                partitions::delete(store, &topic.partitions);
                tracing::info!(topic = &*topic.name, "topic deleted");
            }
            asked
        };
        self.with_files(job, then);
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

    /// Adds partitions to the topics that were not refused, then hands what became of all to
    /// `then`.
    pub(super) fn grow(
        &mut self,
        mut asked: Vec<Result<Growth, Refused>>,
        then: impl FnOnce(&mut Control, Vec<Result<(), Refused>>) + Send + 'static,
    ) {
        let stored = |g: &Growth| put(&g.topic.name, g.topic.id, g.count, &g.topic.given);
        let changes = asked.iter().flatten().map(stored).collect();
        self.commit_all(&mut asked, changes);
        let wanted = asked.into_iter().map(|growth| {
            let Growth { topic, count } = growth?;
            let more = topic.partitions.len()..count;
            let specs = specs(&topic.name, topic.id, more, &topic.config).collect();
            Ok((topic, specs))
        });
        self.open_each(wanted.collect(), move |control, opened| {
            let grown = opened.into_iter().map(|one| {
                let (topic, opened) = one?;
                control.show_more(&topic, opened)
            });
            let grown = grown.collect();
            then(control, grown);
        });
    }

    fn show_more(&mut self, topic: &Topic, opened: Opened) -> Result<(), Refused> {
        match opened {
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
                let had = topic.partitions.len();
                self.effects.changes.push(put(&topic.name, topic.id, had, &topic.given));
                Err(failed(&error))
            }
        }
    }

    /// Puts other settings in the place of those of the topics that were not refused, then hands
    /// what became of all to `then`.
    pub(super) fn configure(
        &mut self,
        mut asked: Vec<Result<Changed, Refused>>,
        then: impl FnOnce(&mut Control, Vec<Result<(), Refused>>) + Send + 'static,
    ) {
        let stored = |Changed { topic, given }: &Changed| {
            put(&topic.name, topic.id, topic.partitions.len(), given)
        };
        let changes = asked.iter().flatten().map(stored).collect();
        self.commit_all(&mut asked, changes);
        let broker = self.broker.clone();
        // A partition keeps its settings behind the lock under which it is written to.
        let apply = move |store: &dyn LogStore, Changed { topic, given }| {
            let config = TopicConfig::resolve(&given, &broker.settings);
            let applied = partitions::configure(store, &topic, &config);
            (Changed { topic, given }, config, applied)
        };
        let job = move |store: &dyn LogStore| {
            let done = asked.into_iter().map(|changed| Ok(apply(store, changed?)));
            done.collect::<Vec<Result<_, Refused>>>()
        };
        self.with_files(job, move |control, done| {
            let configured = done.into_iter().map(|one| {
                let (changed, config, applied) = one?;
                control.show_configured(changed, config);
                applied.map_err(|e| failed(&e))
            });
            let configured = configured.collect();
            then(control, configured);
        });
    }

    /// The new settings are on disk and hold, whatever a partition has to say to them.
    fn show_configured(&mut self, Changed { topic, given }: Changed, config: TopicConfig) {
        self.cluster.insert(Topic {
            name: topic.name.clone(),
            id: topic.id,
            partitions: topic.partitions.clone(),
            given,
            config,
        });
        self.dirty = true;
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

    /// Has partitions opened, those of a topic all or none, and hands what became of each topic to
    /// `then`.
    fn open_each<T: Send + 'static>(
        &mut self,
        wanted: Vec<Result<(T, Vec<PartitionSpec>), Refused>>,
        then: impl FnOnce(&mut Control, Vec<Result<(T, Opened), Refused>>) + Send + 'static,
    ) {
        let job = move |store: &dyn LogStore| {
            let opened = wanted.into_iter().map(|one| {
                let (topic, specs) = one?;
                Ok((topic, partitions::open(store, &specs)))
            });
            opened.collect()
        };
        self.with_files(job, then);
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
