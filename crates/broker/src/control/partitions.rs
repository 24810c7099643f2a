//! A topic's partitions: what is done to them by the files thread, and at the start.

use chaski_log::store::{LogStore, PartitionId, PartitionSpec, StoreError};
use uuid::Uuid;

use crate::cluster::{Topic, TopicConfig};

/// What became of partitions that were to be opened.
pub(super) type Opened = Result<Vec<PartitionId>, StoreError>;

/// What the store has to know of a topic's partitions.
pub(super) fn specs(
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
pub(super) fn open_all(store: &dyn LogStore, specs: &[PartitionSpec]) -> Opened {
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

/// Opens partitions, all or none.
pub(super) fn open(store: &dyn LogStore, specs: &[PartitionSpec]) -> Opened {
    let mut opened = Vec::new();
    for spec in specs {
        match store.open(spec) {
            Ok(partition) => opened.push(partition),
            Err(error) => {
                tracing::error!(topic = spec.topic, index = spec.index, %error, "not opened");
                delete(store, &opened);
                return Err(error);
            }
        }
    }
    Ok(opened)
}

/// Deletes partitions; what cannot be deleted stays behind, claimed by no topic.
pub(super) fn delete(store: &dyn LogStore, partitions: &[PartitionId]) {
    for partition in partitions {
        if let Err(error) = store.delete(*partition) {
            tracing::warn!(%error, "cannot delete a partition's files");
        }
    }
}

/// Gives all partitions their settings; returns the first failure.
pub(super) fn configure(
    store: &dyn LogStore,
    topic: &Topic,
    config: &TopicConfig,
) -> Result<(), StoreError> {
    let mut applied = Ok(());
    for partition in &topic.partitions {
        applied = applied.and(store.configure(*partition, &config.log));
    }
    applied
}
