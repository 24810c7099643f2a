//! The offsets one group has committed.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// One committed offset: the value stored under its key, and what a fetch gives back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Committed {
    /// Offset of the next record to read.
    pub(super) offset: i64,
    /// Leader epoch of the last record read, -1 if the client did not say (KIP-320).
    pub(super) leader_epoch: i32,
    /// Whatever the client wants to find again.
    pub(super) metadata: String,
    /// Wall-clock time of the commit, in milliseconds since the epoch.
    pub(super) commit_ms: i64,
    /// When it expires, if the client set a retention (OffsetCommit 2 to 4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) expire_ms: Option<i64>,
}

/// All committed offsets of one group, by topic and partition.
#[derive(Debug, Default)]
pub(super) struct Offsets {
    topics: BTreeMap<Arc<str>, BTreeMap<i32, Committed>>,
}

impl Offsets {
    /// Sets an offset; true if the partition had none.
    pub(super) fn insert(&mut self, topic: &str, partition: i32, committed: Committed) -> bool {
        match self.topics.get_mut(topic) {
            Some(partitions) => partitions.insert(partition, committed).is_none(),
            None => {
                let partitions = BTreeMap::from([(partition, committed)]);
                self.topics.insert(Arc::from(topic), partitions).is_none()
            }
        }
    }

    /// Forgets an offset; true if there was one.
    pub(super) fn remove(&mut self, topic: &str, partition: i32) -> bool {
        let Some(partitions) = self.topics.get_mut(topic) else { return false };
        let removed = partitions.remove(&partition).is_some();
        if partitions.is_empty() {
            self.topics.remove(topic);
        }
        removed
    }

    /// The partitions of a topic that have an offset.
    pub(super) fn of_topic(&self, topic: &str) -> impl Iterator<Item = i32> {
        self.topics.get(topic).into_iter().flat_map(|partitions| partitions.keys().copied())
    }

    /// Forgets a topic; how many partitions had an offset.
    pub(super) fn remove_topic(&mut self, topic: &str) -> usize {
        self.topics.remove(topic).map_or(0, |partitions| partitions.len())
    }

    /// Forgets the offsets whose time has come: those with a time of their own by that, the others
    /// `retention_ms` after the moment that `since` gives for their topic and commit (None:
    /// never). Returns what went.
    pub(super) fn expire(
        &mut self,
        now_ms: i64,
        retention_ms: i64,
        since: impl Fn(&str, &Committed) -> Option<i64>,
    ) -> Vec<(Arc<str>, i32)> {
        let mut gone = Vec::new();
        self.topics.retain(|topic, partitions| {
            partitions.retain(|partition, committed| {
                let Some(since) = since(topic, committed) else { return true };
                let end = since.saturating_add(retention_ms);
                let kept = now_ms < committed.expire_ms.unwrap_or(end);
                if !kept {
                    gone.push((topic.clone(), *partition));
                }
                kept
            });
            !partitions.is_empty()
        });
        gone
    }

    pub(super) fn get(&self, topic: &str, partition: i32) -> Option<&Committed> {
        self.topics.get(topic)?.get(&partition)
    }

    pub(super) fn contains(&self, topic: &str, partition: i32) -> bool {
        self.get(topic, partition).is_some()
    }

    /// Every topic with its partitions, in order.
    pub(super) fn topics(&self) -> impl Iterator<Item = (&Arc<str>, &BTreeMap<i32, Committed>)> {
        self.topics.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.topics.values().map(BTreeMap::len).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn committed(commit_ms: i64, expire_ms: Option<i64>) -> Committed {
        Committed { offset: 7, leader_epoch: -1, metadata: String::new(), commit_ms, expire_ms }
    }

    #[test]
    fn keeps_the_last_offset_of_each_partition() {
        let mut offsets = Offsets::default();
        assert!(offsets.insert("t", 0, committed(1, None)));
        assert!(!offsets.insert("t", 0, committed(2, None)));
        assert!(offsets.insert("t", 1, committed(3, None)));
        assert_eq!(offsets.len(), 2);
        assert_eq!(offsets.get("t", 0).map(|c| c.commit_ms), Some(2));
        assert!(offsets.remove("t", 0));
        assert!(!offsets.remove("t", 0));
        assert_eq!(offsets.remove_topic("t"), 1);
        assert!(offsets.is_empty());
    }

    #[test]
    fn expires_by_retention_or_by_the_offsets_own_time() {
        let mut offsets = Offsets::default();
        offsets.insert("old", 0, committed(0, None));
        offsets.insert("kept", 0, committed(0, Some(10_000)));
        offsets.insert("short", 0, committed(0, Some(50)));
        offsets.insert("held", 0, committed(0, None));
        let since = |topic: &str, c: &Committed| (topic != "held").then_some(c.commit_ms);
        let gone = offsets.expire(99, 100, since);
        assert_eq!(gone, [(Arc::from("short"), 0)]);
        let gone = offsets.expire(100, 100, since);
        assert_eq!(gone, [(Arc::from("old"), 0)]);
        assert_eq!(offsets.len(), 2);
    }
}
