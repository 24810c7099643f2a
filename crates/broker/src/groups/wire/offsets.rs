//! OffsetCommit, OffsetFetch, OffsetDelete.

use std::collections::BTreeSet;

use chaski_kafka::{ErrorCode, offset_commit, offset_delete, offset_fetch};

use super::{Call, code};
use crate::groups::group::State;
use crate::groups::offsets::{Committed, Offsets};
use crate::groups::{Coordinator, Effects, saved};

impl<T: Copy> Coordinator<T> {
    pub(super) fn offset_commit(
        &mut self,
        call: &Call<'_, T>,
        request: &offset_commit::Request<'_>,
        fx: &mut Effects<T>,
    ) {
        let allowed = self.check_commit(call, request, fx);
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in &request.topics {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for partition in &topic.partitions {
                let outcome =
                    allowed.and_then(|()| self.commit(call, request, topic.name, partition, fx));
                partitions.push(offset_commit::Partition {
                    partition_index: partition.partition_index,
                    error_code: code(outcome),
                });
            }
            topics.push(offset_commit::Topic { name: topic.name, partitions });
        }
        self.forget_if_vacant(request.group_id);
        call.reply(&offset_commit::Response { topics, ..Default::default() }, fx);
    }

    pub(super) fn offset_fetch(
        &mut self,
        call: &Call<'_, T>,
        request: &offset_fetch::Request<'_>,
        fx: &mut Effects<T>,
    ) {
        // Offsets are stable as soon as they are committed: `require_stable` asks for nothing.
        if call.version < 8 {
            let topics = self.fetch(request.group_id, request.topics.as_deref());
            return call.reply(&offset_fetch::Response { topics, ..Default::default() }, fx);
        }
        let mut asked = BTreeSet::new();
        let groups = request.groups.iter().filter(|g| asked.insert(g.group_id));
        let groups = groups.map(|g| offset_fetch::Group {
            group_id: g.group_id,
            topics: self.fetch(g.group_id, g.topics.as_deref()),
            error_code: ErrorCode::NONE,
        });
        let groups = groups.collect();
        call.reply(&offset_fetch::Response { groups, ..Default::default() }, fx);
    }

    pub(super) fn offset_delete(
        &mut self,
        call: &Call<'_, T>,
        request: &offset_delete::Request<'_>,
        fx: &mut Effects<T>,
    ) {
        let response = match self.check_offset_delete(request.group_id) {
            Err(error_code) => offset_delete::Response { error_code, ..Default::default() },
            Ok(()) => {
                let topics = request.topics.iter();
                let topics = topics.map(|t| self.delete_offsets(call, request.group_id, t, fx));
                offset_delete::Response { topics: topics.collect(), ..Default::default() }
            }
        };
        self.forget_if_vacant(request.group_id);
        call.reply(&response, fx);
    }

    /// Whether the sender may commit at all. A group that is not known yet may be made by anybody
    /// who does not claim to be a member.
    fn check_commit(
        &mut self,
        call: &Call<'_, T>,
        request: &offset_commit::Request<'_>,
        fx: &mut Effects<T>,
    ) -> Result<(), ErrorCode> {
        self.check_group_id(request.group_id, true)?;
        let generation = request.generation_id_or_member_epoch;
        let allowed = self.with_group(request.group_id, call.now, fx, |group, turn| {
            let (member_id, instance) = (request.member_id, request.group_instance_id);
            group.check_commit(turn.now.at, generation, member_id, instance)
        });
        match allowed {
            Some(allowed) => allowed,
            None if generation < 0 => Ok(()),
            None => Err(ErrorCode::ILLEGAL_GENERATION),
        }
    }

    fn commit(
        &mut self,
        call: &Call<'_, T>,
        request: &offset_commit::Request<'_>,
        topic: &str,
        partition: &offset_commit::RequestPartition<'_>,
        fx: &mut Effects<T>,
    ) -> Result<(), ErrorCode> {
        let index = partition.partition_index;
        if !call.topics.has(topic, index) {
            return Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        }
        let metadata = partition.committed_metadata.unwrap_or_default();
        if metadata.len() > self.limits.offset_metadata_bytes_max {
            return Err(ErrorCode::OFFSET_METADATA_TOO_LARGE);
        }
        let retention_ms = request.retention_time_ms;
        let committed = Committed {
            offset: partition.committed_offset,
            leader_epoch: partition.committed_leader_epoch,
            metadata: metadata.to_owned(),
            commit_ms: call.now.ms,
            expire_ms: (retention_ms >= 0).then(|| call.now.ms.saturating_add(retention_ms)),
        };
        self.create_group(request.group_id)?;
        self.put_offset(request.group_id, topic, index, committed, fx)
    }

    /// The offsets asked for, or all of the group.
    fn fetch<'a>(
        &'a self,
        group_id: &str,
        topics: Option<&[offset_fetch::RequestTopic<'a>]>,
    ) -> Vec<offset_fetch::Topic<'a>> {
        let offsets = self.groups.get(group_id).map(|entry| &entry.offsets);
        match topics {
            Some(topics) => fetch_some(offsets, topics),
            None => offsets.map(fetch_all).unwrap_or_default(),
        }
    }

    fn check_offset_delete(&self, group_id: &str) -> Result<(), ErrorCode> {
        self.check_group_id(group_id, false)?;
        let group = &self.groups.get(group_id).ok_or(ErrorCode::GROUP_ID_NOT_FOUND)?.group;
        let inspectable = group.state() == State::Empty || group.is_consumer();
        if inspectable { Ok(()) } else { Err(ErrorCode::NON_EMPTY_GROUP) }
    }

    fn delete_offsets<'a>(
        &mut self,
        call: &Call<'_, T>,
        group_id: &str,
        topic: &offset_delete::RequestTopic<'a>,
        fx: &mut Effects<T>,
    ) -> offset_delete::Topic<'a> {
        let used = self.groups.get(group_id).is_some_and(|entry| {
            let topics = entry.group.subscribed_topics();
            let has_members = entry.group.state() != State::Empty;
            has_members && topics.is_none_or(|topics| topics.contains(topic.name))
        });
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for offset_delete::RequestPartition { partition_index } in &topic.partitions {
            let error_code = if !call.topics.has(topic.name, *partition_index) {
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
            } else if used {
                ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC
            } else {
                self.delete_offset(group_id, topic.name, *partition_index, fx);
                ErrorCode::NONE
            };
            let partition_index = *partition_index;
            partitions.push(offset_delete::Partition { partition_index, error_code });
        }
        offset_delete::Topic { name: topic.name, partitions }
    }

    fn delete_offset(&mut self, id: &str, topic: &str, partition: i32, fx: &mut Effects<T>) {
        let Some(entry) = self.groups.get_mut(id) else { return };
        if entry.offsets.remove(topic, partition) {
            self.offsets_held -= 1;
            fx.changes.push(saved::delete_offset(id, topic, partition));
        }
    }
}

/// Each partition asked for, in the order asked. A committed one is given once however often it is
/// asked for, for its metadata may be a thousand times as long as the question.
fn fetch_some<'a>(
    offsets: Option<&'a Offsets>,
    topics: &[offset_fetch::RequestTopic<'a>],
) -> Vec<offset_fetch::Topic<'a>> {
    let mut given = BTreeSet::new();
    let mut fetched = Vec::with_capacity(topics.len());
    for topic in topics {
        let mut partitions = Vec::with_capacity(topic.partition_indexes.len());
        for &index in &topic.partition_indexes {
            match offsets.and_then(|o| o.get(topic.name, index)) {
                None => partitions.push(nothing(index)),
                Some(committed) => {
                    if given.insert((topic.name, index)) {
                        partitions.push(found(index, committed));
                    }
                }
            }
        }
        fetched.push(offset_fetch::Topic { name: topic.name, partitions });
    }
    fetched
}

fn fetch_all(offsets: &Offsets) -> Vec<offset_fetch::Topic<'_>> {
    let topics = offsets.topics().map(|(name, partitions)| offset_fetch::Topic {
        name,
        partitions: partitions.iter().map(|(index, c)| found(*index, c)).collect(),
    });
    topics.collect()
}

fn found(index: i32, committed: &Committed) -> offset_fetch::Partition<'_> {
    offset_fetch::Partition {
        partition_index: index,
        committed_offset: committed.offset,
        committed_leader_epoch: committed.leader_epoch,
        metadata: Some(&committed.metadata),
        error_code: ErrorCode::NONE,
    }
}

/// No offset committed: not an error.
fn nothing<'a>(index: i32) -> offset_fetch::Partition<'a> {
    offset_fetch::Partition {
        partition_index: index,
        committed_offset: -1,
        committed_leader_epoch: -1,
        metadata: Some(""),
        error_code: ErrorCode::NONE,
    }
}
