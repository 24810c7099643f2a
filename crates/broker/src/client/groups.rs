//! Consumer groups: who is in them, and how far they are.
//!
//! Everything here is asked of the control thread, so what it tells of one group is of one moment;
//! high watermarks come from the store, a moment later.

use std::collections::{BTreeMap, HashMap};

use chaski_kafka::consumer_protocol::Assignment;
use chaski_kafka::{ErrorCode, delete_groups, describe_groups, list_groups};

use super::commits::Committed;
use super::{Client, ClientError};
use crate::groups::State;

/// Groups in one request: bounds the size of an answer.
const GROUPS_PER_REQUEST: usize = 500;

/// A group in a few words.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupSummary {
    /// Its id.
    pub group: String,
    /// Kafka's word for what it is doing: `Empty`, `PreparingRebalance`, `CompletingRebalance`,
    /// `Stable`.
    pub state: String,
    /// `consumer` for consumers; empty if the group has only ever held offsets.
    pub protocol_type: String,
    /// Members it has.
    pub members: usize,
    /// Topics that it has committed offsets of, or that its members read.
    pub topics: Vec<String>,
    /// Records behind, over all partitions where that is known; None: nowhere.
    pub lag: Option<i64>,
}

/// A group and its members and offsets.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupDescription {
    /// Its id.
    pub group: String,
    /// Kafka's word for what it is doing.
    pub state: String,
    /// `consumer` for consumers; empty if the group has only ever held offsets.
    pub protocol_type: String,
    /// How partitions are assigned; empty unless the group is stable.
    pub protocol: String,
    /// Its members, by id.
    pub members: Vec<GroupMember>,
    /// Every partition that it has committed an offset of or that a member reads, in order.
    pub offsets: Vec<GroupOffset>,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupMember {
    /// Its id.
    pub id: String,
    /// Its name if it is a static member (KIP-345).
    pub instance: Option<String>,
    /// What it calls itself.
    pub client_id: String,
    /// Its address.
    pub host: String,
    /// The partitions it reads, by topic; empty unless the group is stable and of consumers.
    pub assignment: Vec<(String, Vec<i32>)>,
}

/// How far a group is in a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupOffset {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// Offset of the next record to be read; None: never committed.
    pub committed: Option<i64>,
    /// Where the partition ends for consumers; None: there is no such partition any more.
    pub high_watermark: Option<i64>,
    /// Records between the two; None: not known.
    pub lag: Option<i64>,
    /// The id of the member that reads it.
    pub member: Option<String>,
}

impl GroupDescription {
    fn summary(&self) -> GroupSummary {
        let mut topics: Vec<String> = self.offsets.iter().map(|o| o.topic.clone()).collect();
        topics.dedup();
        let known = self.offsets.iter().filter_map(|offset| offset.lag);
        let lag = known.reduce(i64::saturating_add);
        GroupSummary {
            group: self.group.clone(),
            state: self.state.clone(),
            protocol_type: self.protocol_type.clone(),
            members: self.members.len(),
            topics,
            lag,
        }
    }
}

impl Client {
    /// All groups, by id.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn groups(&self) -> Result<Vec<GroupSummary>, ClientError> {
        Ok(self.describe_all_groups()?.iter().map(GroupDescription::summary).collect())
    }

    /// All groups with members and offsets, by id.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn describe_all_groups(&self) -> Result<Vec<GroupDescription>, ClientError> {
        let request = list_groups::Request::default();
        let mut ids: Vec<String> = self.call(5, &request, |response| {
            response.groups.iter().map(|group| group.group_id.to_owned()).collect()
        })?;
        ids.sort_unstable();
        let mut described = Vec::with_capacity(ids.len());
        for some in ids.chunks(GROUPS_PER_REQUEST) {
            let some: Vec<&str> = some.iter().map(String::as_str).collect();
            described.extend(self.describe_groups(&some)?.into_iter().flatten());
        }
        Ok(described)
    }

    /// A group with its members and offsets; None: there is no such group.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn group(&self, id: &str) -> Result<Option<GroupDescription>, ClientError> {
        Ok(self.describe_groups(&[id])?.pop().flatten())
    }

    /// Deletes a group that has no members, and all it has committed.
    ///
    /// # Errors
    /// [`ClientError::UnknownGroup`]; [`ClientError::Refused`]: NON_EMPTY_GROUP. As
    /// [`Client::ask`].
    pub fn delete_group(&self, group: &str) -> Result<(), ClientError> {
        let request = delete_groups::Request { groups_names: vec![group] };
        let code = self.call(2, &request, |response| {
            response.results.first().map_or(ErrorCode::UNKNOWN_SERVER_ERROR, |g| g.error_code)
        })?;
        of_group(group, code)
    }

    /// Describes each group; None: there is no such group. `ids` are in order, each once.
    fn describe_groups(&self, ids: &[&str]) -> Result<Vec<Option<GroupDescription>>, ClientError> {
        let request = describe_groups::Request { groups: ids.to_vec(), ..Default::default() };
        let mut described: HashMap<String, GroupDescription> =
            self.call(5, &request, |response| {
                let there = response.groups.iter().filter(|g| g.group_state != State::Dead.name());
                there.map(|group| (group.group_id.to_owned(), description(group))).collect()
            })?;
        let mut committed = self.fetch_committed(ids, None)?;
        let finish = |id: &&str| {
            let mut group = described.remove(*id)?;
            group.offsets = self.group_offsets(&group, committed.remove(*id).unwrap_or_default());
            Some(group)
        };
        Ok(ids.iter().map(finish).collect())
    }

    /// Every partition that a group has to do with.
    fn group_offsets(&self, group: &GroupDescription, committed: Committed) -> Vec<GroupOffset> {
        let mut readers: BTreeMap<(&str, i32), &str> = BTreeMap::new();
        for member in &group.members {
            for (topic, partitions) in &member.assignment {
                readers.extend(partitions.iter().map(|p| ((topic.as_str(), *p), &*member.id)));
            }
        }
        let cluster = self.broker.cluster.load();
        let mut all: BTreeMap<(&str, i32), Option<i64>> =
            readers.keys().map(|place| (*place, None)).collect();
        all.extend(
            committed
                .iter()
                .map(|((topic, partition), offset)| ((topic.as_str(), *partition), Some(*offset))),
        );
        let describe = |((topic, partition), committed): ((&str, i32), Option<i64>)| {
            let id = cluster.by_name.get(topic).and_then(|known| known.partition(partition));
            let offsets = id.and_then(|id| self.broker.store.offsets(id).ok());
            let high_watermark = offsets.map(|offsets| offsets.high_watermark);
            GroupOffset {
                topic: topic.to_owned(),
                partition,
                committed,
                high_watermark,
                lag: high_watermark.zip(committed).map(|(end, at)| end.saturating_sub(at).max(0)),
                member: readers.get(&(topic, partition)).map(|id| (*id).to_owned()),
            }
        };
        all.into_iter().map(describe).collect()
    }
}

fn description(group: &describe_groups::Group<'_>) -> GroupDescription {
    GroupDescription {
        group: group.group_id.to_owned(),
        state: group.group_state.to_owned(),
        protocol_type: group.protocol_type.to_owned(),
        protocol: group.protocol_data.to_owned(),
        members: group.members.iter().map(member).collect(),
        offsets: Vec::new(),
    }
}

fn member(member: &describe_groups::Member<'_>) -> GroupMember {
    // What is no assignment of a consumer is nobody's business but the group's.
    let assignment = Assignment::from_bytes(member.member_assignment).unwrap_or_default();
    let topics = assignment.assigned_partitions.into_iter();
    GroupMember {
        id: member.member_id.to_owned(),
        instance: member.group_instance_id.map(str::to_owned),
        client_id: member.client_id.to_owned(),
        host: member.client_host.to_owned(),
        assignment: topics.map(|t| (t.topic.to_owned(), t.partitions)).collect(),
    }
}

/// What an error code about a whole group stands for.
pub(super) fn of_group(group: &str, code: ErrorCode) -> Result<(), ClientError> {
    match code {
        ErrorCode::NONE => Ok(()),
        ErrorCode::GROUP_ID_NOT_FOUND => Err(ClientError::UnknownGroup(group.to_owned())),
        code => Err(ClientError::Refused { code, message: format!("group `{group}`: {code}") }),
    }
}
